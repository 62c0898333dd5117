//! One connection: spoken to in TLS where configured, given up when it is slow or silent, and ended between two requests
//! where others wait for its place.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::TlsAcceptor;

use crate::log;
use crate::patience::Patient;
use crate::routes;
use crate::running::App;
use crate::shares::Share;

/// The head of a request: 2015's and ours stay below 1 KiB.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How long a client whose handshake failed is heard out, and how much of it.
const PARTING: Duration = Duration::from_secs(2);
const PARTING_BYTES_MAX: u64 = 1 << 20;

/// What all connections are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    GoOn,
    /// Others wait: whoever was answered leaves.
    MakeRoom,
    /// Whoever asks for something now is answered, and then all leave.
    End,
}

impl Word {
    fn means_leave(self, answered: bool) -> bool {
        match self {
            Self::GoOn => false,
            Self::MakeRoom => answered,
            Self::End => true,
        }
    }
}

/// A place among all connections, and among those of the address.
pub type Place = (OwnedSemaphorePermit, Share);

/// One connection.
pub struct Guest {
    pub app: Arc<App>,
    pub router: Router,
    pub peer: SocketAddr,
    pub word: watch::Receiver<Word>,
    pub _place: Place,
}

impl Guest {
    pub async fn serve(self, stream: TcpStream) {
        let running = self.app.running().clone();
        let stream = Patient::new(stream, running.config.limits.patience);
        let working = stream.working();
        match running.tls.clone() {
            None => self.speak(stream, &working).await,
            // What a handshake needs is large, and a connection without one should not carry it about.
            Some(tls) => {
                Box::pin(self.speak_tls(tls, stream, &working, running.config.limits.header)).await;
            }
        }
    }

    async fn speak_tls(
        self,
        tls: Arc<ServerConfig>,
        stream: Patient<TcpStream>,
        working: &AtomicBool,
        patience: Duration,
    ) {
        let handshake = TlsAcceptor::from(tls).accept(stream).into_fallible();
        match tokio::time::timeout(patience, handshake).await {
            Ok(Ok(stream)) => self.speak(stream, working).await,
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

    async fn speak(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, working: &AtomicBool) {
        let answered = AtomicBool::new(false);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(self.peer));
            let answer = routes::answer(&self.app, &self.router, request);
            let answered = &answered;
            async move {
                working.store(true, Relaxed);
                let answer = answer.await;
                working.store(false, Relaxed);
                answered.store(true, Relaxed);
                answer
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.app.running().config.limits.header)
            // Answers are small: one buffer is cheaper than two.
            .writev(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => break ended,
                Ok(()) = self.word.changed() => {
                    let word = *self.word.borrow_and_update();
                    if word.means_leave(answered.load(Relaxed)) {
                        // What it has asked for it still gets.
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        };
        if let Err(error) = ended {
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
