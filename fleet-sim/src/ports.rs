//! Source addresses and ports. A client that closes first keeps each pair of address and port for a minute (TIME_WAIT);
//! who opens tens of thousands of connections a second runs out of those of one address, so more of loopback's are used.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

const PORTS: std::ops::Range<u16> = 10_000..60_000;
/// Some other program may have a port.
const TRIES: usize = 200;

/// The next source of a connection.
pub struct Ports {
    /// How many addresses from 127.0.0.2 on; 0: the kernel chooses.
    sources: u8,
    address: u8,
    port: u16,
}

impl Ports {
    pub fn new(sources: u8) -> Self {
        Self { sources, address: 0, port: PORTS.start }
    }

    /// Begins to connect.
    pub fn connect(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        if self.sources == 0 || !to.ip().is_loopback() || to.is_ipv6() {
            return TcpStream::connect(to);
        }
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..TRIES {
            match self.connect_from_next(to) {
                Err(error) if is_taken(&error) => last = error,
                connected => return connected,
            }
        }
        Err(last)
    }

    fn connect_from_next(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        // A port that is in TIME_WAIT only may be used again.
        socket.set_reuse_address(true)?;
        socket.bind(&self.next().into())?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    fn next(&mut self) -> SocketAddr {
        self.address = (self.address + 1) % self.sources;
        if self.address == 0 {
            self.port = if self.port + 1 < PORTS.end { self.port + 1 } else { PORTS.start };
        }
        (Ipv4Addr::new(127, 0, 0, 2 + self.address), self.port).into()
    }
}

const IN_PROGRESS: i32 = nix::errno::Errno::EINPROGRESS as i32;

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}
