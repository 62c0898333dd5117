//! One connection: a request goes out, an answer comes back, nothing waits.

use std::io::{self, Read as _, Write as _};

use mio::net::TcpStream;
use rustls::ClientConnection;

use crate::answer::{Answer, Read, read};
use crate::server::Tls;

/// Read at once; an answer to a beat is seldom longer.
const CHUNK_BYTES: usize = 4096;

pub struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    pub out: Vec<u8>,
    written: usize,
    pub came: Vec<u8>,
    /// Answers that came on it.
    pub answers: u64,
}

/// How far it is.
#[derive(Debug)]
pub enum Step {
    Waiting,
    Answered(Answer),
    Broken(Break),
}

/// Why there will be no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    Refused,
    Closed,
    NotHttp,
    Tls,
    Other,
}

impl Break {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::Closed => "connection closed",
            Self::NotHttp => "answer is not HTTP",
            Self::Tls => "TLS failed",
            Self::Other => "network",
        }
    }
}

impl From<io::Error> for Break {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionAborted => Self::Closed,
            // rustls says so where the peer speaks another language.
            io::ErrorKind::InvalidData => Self::Tls,
            _ => Self::Other,
        }
    }
}

impl Connection {
    pub fn new(socket: TcpStream, tls: Option<&Tls>) -> Result<Self, rustls::Error> {
        let tls = match tls {
            Some(tls) => Some(Box::new(ClientConnection::new(tls.config.clone(), tls.name.clone())?)),
            None => None,
        };
        Ok(Self { socket, tls, out: Vec::new(), written: 0, came: Vec::new(), answers: 0 })
    }

    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// `out` is a new request.
    pub fn begin(&mut self) {
        self.written = 0;
        self.came.clear();
    }

    /// Goes on as far as it can without waiting.
    pub fn go_on(&mut self) -> Step {
        match self.exchange() {
            Ok(Some(answer)) => {
                self.answers += 1;
                Step::Answered(answer)
            }
            Ok(None) => Step::Waiting,
            Err(broken) => Step::Broken(broken),
        }
    }

    fn exchange(&mut self) -> Result<Option<Answer>, Break> {
        while let Some(rest) = self.out.get(self.written..).filter(|it| !it.is_empty()) {
            let written = match &mut self.tls {
                None => self.socket.write(rest),
                Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).write(rest),
            };
            match written {
                Ok(written) => self.written += written,
                Err(error) if is_not_yet(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        self.hear()
    }

    fn hear(&mut self) -> Result<Option<Answer>, Break> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let count = match &mut self.tls {
                None => self.socket.read(&mut chunk),
                Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).read(&mut chunk),
            };
            let count = match count {
                Ok(count) => count,
                Err(error) if is_not_yet(&error) => return Ok(None),
                // A peer that closes without a farewell has closed.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(error.into()),
            };
            self.came.extend_from_slice(chunk.get(..count).unwrap_or_default());
            match read(&self.came, count == 0) {
                Read::Whole(answer) => return Ok(Some(answer)),
                Read::Nonsense => return Err(Break::NotHttp),
                Read::Part if count == 0 => return Err(Break::Closed),
                Read::Part => {}
            }
        }
    }

    /// Whether nobody is at the other end of this idle connection, or it says what was not asked for.
    pub fn is_spent(&mut self) -> bool {
        if self.tls.is_some() {
            let mut byte = [0];
            let tls = self.tls.as_mut();
            let read = tls.map(|tls| rustls::Stream::new(&mut **tls, &mut self.socket).read(&mut byte));
            return !matches!(read, Some(Err(error)) if is_not_yet(&error));
        }
        !matches!(self.socket.peek(&mut [0]), Err(error) if is_not_yet(&error))
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted
    )
}
