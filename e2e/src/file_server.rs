use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::http::{Alive, Request, Server, Stream, trickle, write_head, write_whole};
use crate::package::Package;
use crate::tls::Authority;

/// How a file is served badly.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Takes the request and never answers.
    Silent,
    /// Half the file, then nothing more, the connection stays.
    Stall,
    /// This many bytes twenty times a second.
    Drip(usize),
    /// One byte a second, the head at once.
    Trickle,
    /// One byte a second, from the first of the head on.
    TrickleFromTheStart,
    /// The head promises the whole file; the connection ends after this many bytes.
    Truncated(usize),
    Status(u16),
    /// 503, with this Retry-After.
    RetryAfter(String),
    Redirect(String),
    /// The head promises this many bytes; the whole file comes.
    Length(u64),
    /// Without a length; the connection ends after this many bytes.
    Unannounced(usize),
    /// Without a length and without an end.
    Endless,
}

/// A download server whose files can be served badly, path by path.
#[derive(Debug)]
pub struct FileServer {
    server: Server,
    scheme: &'static str,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Fault>,
    requests: Vec<Request>,
}

impl FileServer {
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> Self {
        Self::start(None)
    }

    pub fn tls(authority: &Authority) -> Self {
        Self::start(Some(authority))
    }

    fn start(authority: Option<&Authority>) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        let server = Server::start(authority.map(Authority::config), move |request, stream, alive| {
            answer(&theirs, request, stream, alive)
        });
        Self { server, scheme: if authority.is_some() { "https" } else { "http" }, shared }
    }

    /// The prefix of all files.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.server.address)
    }

    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.shared.lock().unwrap().files.insert(path.to_owned(), bytes.into());
    }

    pub fn remove(&self, path: &str) {
        self.shared.lock().unwrap().files.remove(path);
    }

    /// Serves a package and its md5 file, and gives the order to have it.
    pub fn offer(&self, package: &Package) -> Value {
        self.put(&tarball(package), package.bytes.clone());
        self.put(&format!("{}.md5", tarball(package)), package.md5_file());
        self.order(package, "start")
    }

    pub fn order(&self, package: &Package, cmd: &str) -> Value {
        json!({"name": package.name, "version": package.version, "tarball": self.url(), "md5": "", "cmd": cmd})
    }

    /// Serves `path` badly from now on.
    pub fn spoil(&self, path: &str, fault: Fault) {
        self.shared.lock().unwrap().faults.insert(path.to_owned(), fault);
    }

    pub fn spoil_tarball(&self, package: &Package, fault: Fault) {
        self.spoil(&tarball(package), fault);
    }

    /// Serves everything well again.
    pub fn mend(&self) {
        self.shared.lock().unwrap().faults.clear();
    }

    /// How often anything was asked for.
    pub fn requests(&self) -> usize {
        self.shared.lock().unwrap().requests.len()
    }

    /// How often `path` was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.lock().unwrap().requests.iter().filter(|it| it.path == path).count()
    }

    pub fn asked_tarball(&self, package: &Package) -> usize {
        self.asked(&tarball(package))
    }

    /// A header of the last request for `path`.
    pub fn last_header(&self, path: &str, name: &str) -> Option<String> {
        let shared = self.shared.lock().unwrap();
        shared.requests.iter().rfind(|it| it.path == path)?.headers.get(name).cloned()
    }
}

fn tarball(package: &Package) -> String {
    format!("/{}", package.file_name())
}

fn answer(
    shared: &Mutex<Shared>,
    request: &Request,
    stream: &mut dyn Stream,
    alive: &Alive,
) -> io::Result<()> {
    let (file, fault) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(request.clone());
        (shared.files.get(&request.path).cloned(), shared.faults.get(&request.path).cloned())
    };
    match (file, fault) {
        (file, Some(fault)) => badly(&file.unwrap_or_default(), &fault, stream, alive),
        (Some(file), None) => well(&file, request, stream),
        (None, None) => write_whole(stream, 404, &[], b"no such file\n"),
    }
}

fn etag(file: &[u8]) -> String {
    format!("\"{:x}\"", Md5::digest(file))
}

fn well(file: &[u8], request: &Request, stream: &mut dyn Stream) -> io::Result<()> {
    let tag = etag(file);
    let same = request.headers.get("if-range").is_none_or(|it| *it == tag);
    let range = request.headers.get("range").filter(|_| same);
    let from = range.and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        Some(from) if from >= file.len() => {
            write_whole(stream, 416, &[("Content-Range", format!("bytes */{}", file.len()))], b"")
        }
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
            write_whole(stream, 206, &[("ETag", tag), ("Content-Range", range)], &file[from..])
        }
        None => write_whole(stream, 200, &[("ETag", tag)], file),
    }
}

fn badly(file: &[u8], fault: &Fault, stream: &mut dyn Stream, alive: &Alive) -> io::Result<()> {
    let head = [("ETag", etag(file)), ("Content-Length", file.len().to_string())];
    match fault {
        Fault::Silent => alive.stall(),
        Fault::Stall => {
            write_head(stream, 200, &head)?;
            stream.write_all(&file[..file.len() / 2])?;
            stream.flush()?;
            alive.stall();
        }
        Fault::Drip(bytes) => {
            write_head(stream, 200, &head)?;
            for part in file.chunks(*bytes) {
                stream.write_all(part)?;
                stream.flush()?;
                if !alive.pause(Duration::from_millis(50)) {
                    break;
                }
            }
        }
        Fault::Trickle => {
            write_head(stream, 200, &head)?;
            trickle(stream, file, alive)?;
        }
        Fault::TrickleFromTheStart => {
            let mut whole = Vec::from("HTTP/1.1 200 Said\r\nConnection: close\r\n\r\n");
            whole.extend_from_slice(file);
            trickle(stream, &whole, alive)?;
        }
        Fault::Truncated(bytes) => {
            write_head(stream, 200, &head)?;
            stream.write_all(&file[..*bytes])?;
        }
        Fault::Status(status) => write_whole(stream, *status, &[], b"sorry\n")?,
        Fault::RetryAfter(when) => write_whole(stream, 503, &[("Retry-After", when.clone())], b"later\n")?,
        Fault::Redirect(to) => write_whole(stream, 302, &[("Location", to.clone())], b"")?,
        Fault::Length(length) => {
            write_head(stream, 200, &[("Content-Length", length.to_string())])?;
            stream.write_all(file)?;
        }
        Fault::Unannounced(bytes) => {
            write_head(stream, 200, &[])?;
            stream.write_all(&file[..*bytes])?;
        }
        Fault::Endless => {
            write_head(stream, 200, &[])?;
            let part = [b'x'; 16 << 10];
            while alive.pause(Duration::ZERO) {
                stream.write_all(&part)?;
            }
        }
    }
    Ok(())
}
