//! Just enough of HTTP/1.1 for servers that misbehave on purpose: a connection per request, a thread per connection.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// What was asked; header names are in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// A listener on a port of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// Says whether the server is still there, so that no stall outlives it.
#[derive(Clone)]
pub(crate) struct Alive(Arc<AtomicBool>);

impl Alive {
    /// Waits, but not longer than the server lives. `false`: it is gone.
    pub fn pause(&self, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        while Instant::now() < end && !self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10).min(wait));
        }
        !self.0.load(Ordering::Relaxed)
    }

    pub fn stall(&self) {
        while self.pause(Duration::from_secs(1)) {}
    }
}

impl Server {
    pub fn start<H>(tls: Option<Arc<ServerConfig>>, handle: H) -> Self
    where
        H: Fn(&Request, &mut dyn Stream, &Alive) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (handle, alive) = (Arc::new(handle), Alive(Arc::clone(&stop)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if alive.0.load(Ordering::Relaxed) {
                    return;
                }
                let (handle, alive, tls) = (Arc::clone(&handle), alive.clone(), tls.clone());
                std::thread::spawn(move || serve(stream, tls, &*handle, &alive));
            }
        });
        Self { address, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve<H>(stream: TcpStream, tls: Option<Arc<ServerConfig>>, handle: &H, alive: &Alive)
where
    H: Fn(&Request, &mut dyn Stream, &Alive) -> io::Result<()>,
{
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
    };
    if let Ok(request) = read_request(&mut *stream) {
        // A client that goes away is part of many tests.
        let _ = handle(&request, &mut *stream, alive);
        let _ = stream.flush();
    }
}

fn read_request(stream: &mut dyn Stream) -> io::Result<Request> {
    let (head, mut body) = read_head(stream)?;
    let path = head.lines().next().and_then(|it| it.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = headers(&head);
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut chunk = [0; 8192];
    while body.len() < length {
        match stream.read(&mut chunk)? {
            0 => break,
            read => body.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(Request { path, headers, body })
}

fn read_head(stream: &mut dyn Stream) -> io::Result<(String, Vec<u8>)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), body));
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

fn headers(head: &str) -> BTreeMap<String, String> {
    let pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect()
}

pub(crate) fn write_head(stream: &mut dyn Stream, status: u16, headers: &[(&str, String)]) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.flush()
}

pub(crate) fn write_whole(
    stream: &mut dyn Stream,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
) -> io::Result<()> {
    let mut all = headers.to_vec();
    all.push(("Content-Length", body.len().to_string()));
    write_head(stream, status, &all)?;
    stream.write_all(body)?;
    stream.flush()
}

/// One byte a second, as long as the server lives.
pub(crate) fn trickle(stream: &mut dyn Stream, bytes: &[u8], alive: &Alive) -> io::Result<()> {
    for byte in bytes.chunks(1) {
        stream.write_all(byte)?;
        stream.flush()?;
        if !alive.pause(Duration::from_secs(1)) {
            break;
        }
    }
    Ok(())
}

/// An answer to [`get`].
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// Asks `http://ADDRESS/PATH`; `None` when nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let (head, mut body) = read_head(&mut stream).ok()?;
    stream.read_to_end(&mut body).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
}
