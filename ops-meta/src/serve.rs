//! Connections: accepted up to a limit, spoken to in TLS where configured, given up when they are slow or silent,
//! and finished before the process ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

use crate::log;
use crate::patience::Patient;
use crate::routes;
use crate::running::App;
use crate::work::{expiry, flush, usage};

/// How long requests under way may take after SIGTERM.
const FINISH_SECS: u64 = 10;
/// The head of a request: 2015's and ours stay below 1 KiB.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Descriptors for everything that is no connection and no download.
const OTHER_FILES: u64 = 64;
/// A host that went away without a word is asked whether it is there after this long, so often.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);
/// What the kernel keeps unsent. Without it an answer lies there by the megabyte, and a slow client that takes it
/// steadily looks from here as if it took nothing for a minute.
const UNSENT_BYTES_MAX: u32 = 128 << 10;
/// How long a client whose handshake failed is heard out, and how much of it.
const PARTING: Duration = Duration::from_secs(2);
const PARTING_BYTES_MAX: u64 = 1 << 20;
/// Connections that wait to be accepted, and never more than `net.core.somaxconn`. tokio asks for 128, which
/// 3,333 beats a second fill in 40 ms when this process is kept from running: whoever finds no place tries again after a second.
const WAITING_MAX: i32 = 4096;
/// Before the next accept, when the operating system is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until SIGTERM or SIGINT. `warn` is called once the port is open.
pub async fn serve(app: Arc<App>, listen: SocketAddr, warn: impl FnOnce()) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(listen).await?;
    set_up(&listener)?;
    tell_who_listens(&app, &listener)?;
    warn();
    tokio::spawn(expiry::run(app.clone()));
    let (end, ended) = oneshot::channel();
    let writing = tokio::spawn(flush::run(app.clone(), ended));
    tokio::spawn(usage::run(app.clone()));
    let house = House {
        places: Arc::new(Semaphore::new(connections_max(&app))),
        router: routes::router(app.clone()),
        graceful: GracefulShutdown::new(),
        app,
    };
    tokio::select! {
        () = house.accept_all(&listener) => {}
        () = signals.ended(&house.app) => {}
    }
    drop(listener);
    house.finish().await;
    // A batch that is being written is not let go: it would be neither in the database nor in memory.
    let _ = end.send(());
    writing.await?.map_err(|why| io::Error::other(format!("what hosts said last is not written: {why}")))
}

/// The first line of a log: who it is of.
fn tell_who_listens(app: &App, listener: &TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?.to_string();
    let config = app.config_path().map_or("none".into(), |path| path.to_string_lossy());
    log::line(
        "listening",
        &[
            ("listening", &*address),
            ("version", env!("CARGO_PKG_VERSION")),
            ("config", &*config),
            ("data", &*app.data().to_string_lossy()),
        ],
    );
    Ok(())
}

/// How many may wait, and what every accepted connection inherits (tcp(7)).
fn set_up(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.listen(WAITING_MAX)?;
    // Answers are small and leave at once.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

/// What is configured, or what the operating system has descriptors for.
fn connections_max(app: &App) -> usize {
    let limits = &app.running().config.limits;
    let other = OTHER_FILES + 2 * limits.downloads_max as u64;
    let allowed = files_max().saturating_sub(other).max(OTHER_FILES);
    if allowed < limits.connections_max as u64 {
        let fields = [("level", "warning"), ("connections", &*allowed.to_string())];
        log::line("few_open_files_allowed", &fields);
    }
    limits.connections_max.min(allowed as usize)
}

/// Raises the limit on open files to what this process is allowed.
fn files_max() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads on SIGHUP, and returns when it is time to end.
    async fn ended(&mut self, app: &Arc<App>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    // The outcome is in the log. One that takes long holds up no other signal.
                    drop(tokio::spawn(app.clone().reload()));
                }
            }
        }
    }
}

/// What all connections share.
struct House {
    app: Arc<App>,
    router: Router,
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl House {
    /// When all places are taken nobody is accepted until one is free; silent connections are soon given up.
    async fn accept_all(&self, listener: &TcpListener) {
        while let Ok(place) = self.places.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, place),
                Err(error) => {
                    log::line("not_accepted", &[("level", "warning"), ("why", &error.to_string())]);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let guest = Guest {
            app: self.app.clone(),
            router: self.router.clone(),
            peer,
            watcher: self.graceful.watcher(),
            _place: place,
        };
        tokio::spawn(guest.serve(stream));
    }

    async fn finish(self) {
        log::line("ending", &[("connections", &self.graceful.count().to_string())]);
        let patience = Duration::from_secs(FINISH_SECS);
        let ended = match tokio::time::timeout(patience, self.graceful.shutdown()).await {
            Ok(()) => "all requests answered",
            Err(_) => "requests were cut off",
        };
        usage::write(&self.app).await;
        log::line("ended", &[("how", ended)]);
    }
}

/// One connection.
struct Guest {
    app: Arc<App>,
    router: Router,
    peer: SocketAddr,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    async fn serve(self, stream: TcpStream) {
        let running = self.app.running().clone();
        let stream = Patient::new(stream, running.config.limits.patience);
        match running.tls.clone() {
            None => self.speak(stream).await,
            // What a handshake needs is large, and a connection without one should not carry it about.
            Some(tls) => Box::pin(self.speak_tls(tls, stream, running.config.limits.header)).await,
        }
    }

    async fn speak_tls(self, tls: Arc<ServerConfig>, stream: Patient<TcpStream>, patience: Duration) {
        let handshake = TlsAcceptor::from(tls).accept(stream).into_fallible();
        match tokio::time::timeout(patience, handshake).await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err((error, stream))) => {
                self.refuse_tls(&error.to_string());
                let _ = tokio::time::timeout(PARTING, hear_out(stream)).await;
            }
            Err(_) => self.refuse_tls("the handshake took too long"),
        }
    }

    /// A host whose certificate has expired is heard of here only.
    fn refuse_tls(&self, why: &str) {
        self.app.told.tls.warn("no_tls", &[("peer", &self.peer.to_string()), ("why", why)]);
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(self.peer));
            routes::answer(&self.app, &self.router, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.app.running().config.limits.header)
            // Answers are small: one buffer is cheaper than two.
            .writev(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            tell(&self.app, self.peer, "connection_broken", &error);
        }
    }
}

/// Lets the client read why it was refused: bytes of it that were never read would make the kernel answer with a reset,
/// which overtakes the reason.
async fn hear_out(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(PARTING_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

/// What breaks a connection is the network's business, or a scanner's: told only where more is asked for.
fn tell(app: &App, peer: SocketAddr, event: &str, why: &dyn std::fmt::Display) {
    if app.running().config.debug {
        log::line(event, &[("peer", &peer.to_string()), ("why", &why.to_string())]);
    }
}
