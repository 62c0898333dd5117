//! Connections: accepted up to a limit, no address having all of them, and finished before the process ends. What is said
//! on one is `guest`'s.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::guest::{Guest, Place, Word};
use crate::log;
use crate::routes;
use crate::running::App;
use crate::shares::Shares;
use crate::work::{deletion, expiry, flush, jobs, rollouts, usage};

/// How long requests under way may take after SIGTERM.
const FINISH_SECS: u64 = 10;
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
/// Connections that wait to be accepted, and never more than `net.core.somaxconn`. tokio asks for 128, which
/// 3,333 beats a second fill in 40 ms when this process is kept from running: whoever finds no place tries again after a second.
const WAITING_MAX: i32 = 4096;
/// While all places are taken, those who have been answered are asked this often to leave.
const ROOM_EVERY: Duration = Duration::from_millis(250);
/// Before the next accept, when the operating system is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until SIGTERM or SIGINT. `warn` is called once the port is open.
pub async fn serve(app: Arc<App>, listen: SocketAddr, warn: impl FnOnce()) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(listen).await?;
    set_up(&listener)?;
    app.is_reached_at(listener.local_addr()?);
    tell_who_listens(&app, &listener)?;
    warn();
    tokio::spawn(deletion::run(app.clone()));
    tokio::spawn(expiry::run(app.clone()));
    let (end, ended) = oneshot::channel();
    let writing = tokio::spawn(flush::run(app.clone(), ended));
    tokio::spawn(usage::run(app.clone()));
    tokio::spawn(rollouts::run(app.clone()));
    tokio::spawn(rollouts::watch_windows(app.clone()));
    tokio::spawn(jobs::run(app.clone()));
    let house = House::new(app);
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

/// Who may have all places waits for one like everybody else; he waits beside those that he has.
fn share(places: usize, asked: usize) -> usize {
    if asked >= places { usize::MAX } else { asked.max(1) }
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
    /// Places of each address.
    shares: Arc<Shares>,
    word: watch::Sender<Word>,
}

impl House {
    fn new(app: Arc<App>) -> Self {
        let places = connections_max(&app);
        let each = app.running().config.limits.connections_per_address_max.unwrap_or(places / 2);
        Self {
            places: Arc::new(Semaphore::new(places)),
            shares: Shares::new(share(places, each)),
            router: routes::router(app.clone()),
            word: watch::Sender::new(Word::GoOn),
            app,
        }
    }

    /// When all places are taken nobody else is accepted until one is free. Whoever has his share already is sent away:
    /// those behind him would wait as long as he likes.
    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let mut share = self.shares.of(peer.ip());
                    match share.grow(1) {
                        true => self.welcome(stream, peer, (self.place().await, share)),
                        false => self.send_away(peer),
                    }
                }
                Err(error) => {
                    log::line("not_accepted", &[("level", "warning"), ("why", &error.to_string())]);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Those who were answered and only wait make room; others are soon answered, or given up.
    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = self.places.clone().try_acquire_owned() {
                return place;
            }
            self.word.send_replace(Word::MakeRoom);
            let waiting = self.places.clone().acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(ROOM_EVERY, waiting).await {
                return place;
            }
        }
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let (app, router, word) = (self.app.clone(), self.router.clone(), self.word.subscribe());
        tokio::spawn(Guest { app, router, peer, word, _place: place }.serve(stream));
    }

    fn send_away(&self, peer: SocketAddr) {
        let why = "its address has connectionsPerAddressMax of them";
        self.app.told.connections.warn("too_many_connections", &[("peer", &peer.to_string()), ("why", why)]);
    }

    async fn finish(self) {
        log::line("ending", &[("connections", &self.word.receiver_count().to_string())]);
        self.word.send_replace(Word::End);
        let patience = Duration::from_secs(FINISH_SECS);
        let ended = match tokio::time::timeout(patience, self.word.closed()).await {
            Ok(()) => "all requests answered",
            Err(_) => "requests were cut off",
        };
        usage::write(&self.app).await;
        // What is lost is told again.
        let _ = jobs::write(&self.app).await;
        log::line("ended", &[("how", ended)]);
    }
}
