//! A stream that gives up on a client that is no use waiting for: no byte moves in either direction for a while (a
//! half-open connection, one that is kept and says nothing), or an answer is taken so slowly that it would hold its
//! place for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What a client has to do to be waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Without a byte in either direction.
    pub idle_max: Duration,
    /// What a client takes of an answer at least, looked at every `idle_max`.
    pub bytes_per_sec_min: u64,
}

/// A stream with limits on idleness and slowness.
pub struct Patient<S> {
    inner: S,
    patience: Patience,
    moved: Instant,
    /// Set again only when it fires, since every byte would have to move it otherwise.
    timer: Pin<Box<Sleep>>,
    /// `None` while the client takes what it is given at once.
    taking: Option<Taking>,
    /// Whether it is we who are waited for.
    working: Arc<AtomicBool>,
}

/// How a client takes an answer that it has to be waited for with.
#[derive(Debug, Clone, Copy)]
struct Taking {
    since: Instant,
    bytes: u64,
    /// More could be given if the client took it.
    waits: bool,
}

impl Patience {
    fn too_slow(&self, taking: &Taking, now: Instant) -> bool {
        self.is_slow(taking.bytes, now.duration_since(taking.since))
    }

    /// Whether so many bytes are too few for so long.
    pub fn is_slow(&self, bytes: u64, time: Duration) -> bool {
        (bytes as f64) < self.bytes_per_sec_min as f64 * time.as_secs_f64()
    }
}

impl<S> Patient<S> {
    pub fn new(inner: S, patience: Patience) -> Self {
        let timer = Box::pin(sleep(patience.idle_max));
        let working = Arc::default();
        Self { inner, patience, moved: Instant::now(), timer, taking: None, working }
    }

    /// To be set while a request is worked on: a client that waits for its answer says nothing. Whoever reads the body of
    /// a request meanwhile looks at the time himself.
    pub fn working(&self) -> Arc<AtomicBool> {
        self.working.clone()
    }

    fn judged<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.moved = Instant::now();
            return poll;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.working.load(Relaxed) {
                self.moved = Instant::now();
            }
            let due = self.moved + self.patience.idle_max;
            if due <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn written(&mut self, poll: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        match (&poll, &mut self.taking) {
            (Poll::Ready(Ok(bytes)), Some(taking)) => {
                taking.bytes += *bytes as u64;
                taking.waits = false;
            }
            (Poll::Ready(_), _) => {}
            (Poll::Pending, Some(taking)) if now.duration_since(taking.since) < self.patience.idle_max => {
                taking.waits = true;
            }
            (Poll::Pending, taking) => {
                if taking.is_some_and(|taking| self.patience.too_slow(&taking, now)) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                *taking = Some(Taking { since: now, bytes: 0, waits: true });
            }
        }
        self.judged(poll, cx)
    }

    /// Whoever asks for something has taken the answer before; but not whoever sends while it has to be waited for.
    fn has_said(&mut self) {
        self.taking = self.taking.filter(|taking| taking.waits);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if poll.is_ready() {
            self.has_said();
        }
        self.judged(poll, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(poll, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush that has nothing to do is no sign of life.
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judged(poll, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(poll, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
