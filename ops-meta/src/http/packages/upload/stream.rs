//! The body of an upload: written aside while it comes.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::super::super::body;
use super::super::super::problem::Problem;
use super::{RETRY_AFTER_SECS, broken_off, too_large, unwritten};
use crate::blobs::{Promise, Received, Spool};
use crate::config::Limits;
use crate::patience::Patience;

/// Pieces that wait for the disk: some 32 KiB each.
const PIECES_MAX: usize = 16;
/// How long who is refused may send on.
const PARTING: Duration = Duration::from_secs(2);

/// A body, and whether its client sends it.
pub struct Coming {
    body: Body,
    /// The client waits for `100 Continue`, which it gets once the body is asked for.
    waits: bool,
}

impl Coming {
    pub fn of(body: Body, headers: &HeaderMap) -> Self {
        Self { body, waits: headers.contains_key(EXPECT) }
    }

    /// To be written behind the first `offset` bytes.
    pub async fn receive(
        &mut self,
        spool: Spool,
        offset: u64,
        promise: Promise,
        limits: &Limits,
    ) -> Result<Received, Problem> {
        self.waits = false;
        let most = limits.package_bytes_max;
        let (pieces, coming) = mpsc::channel(PIECES_MAX);
        let writing = tokio::task::spawn_blocking(move || spool.receive(offset, coming, promise));
        let sent = send(&mut self.body, pieces, most.saturating_sub(offset), limits.patience).await;
        let received = writing.await.map_err(|_| broken_off())?.map_err(|error| unwritten(&error))?;
        let cut = |status, why: &str| {
            let detail = format!("the upload was cut after {} bytes{why}", received.size);
            Problem::new(status, detail)
        };
        match sent {
            Ok(()) => Ok(received),
            Err(Broken::TooLarge) => {
                received.spool.discard();
                Err(too_large(most))
            }
            Err(Broken::Cut) => Err(cut(StatusCode::BAD_REQUEST, "")),
            Err(Broken::Slow) => {
                let why = ": it came too slowly (`bytesPerSecMin` and `timeouts.idleMillis` in ops-meta's cfg.json)";
                // It may go on where it was cut.
                Err(cut(StatusCode::REQUEST_TIMEOUT, why).retry_after(RETRY_AFTER_SECS))
            }
        }
    }

    /// Whoever is refused and still sends gets to read why.
    pub async fn hear_out(mut self) {
        if !self.waits {
            body::drain(&mut self.body, PARTING).await;
        }
    }
}

enum Broken {
    Cut,
    Slow,
    TooLarge,
}

async fn send(
    body: &mut Body,
    pieces: mpsc::Sender<Bytes>,
    most: u64,
    patience: Patience,
) -> Result<(), Broken> {
    let (mut count, mut pace) = (0, Pace::new(patience));
    loop {
        let since = Instant::now();
        let frame = timeout(patience.idle_max, body.frame()).await.map_err(|_| Broken::Slow)?;
        let Some(frame) = frame else { return Ok(()) };
        let Ok(piece) = frame.map_err(|_| Broken::Cut)?.into_data() else { continue };
        count += piece.len() as u64;
        if count > most {
            return Err(Broken::TooLarge);
        }
        if !pace.is_kept(piece.len() as u64, since.elapsed()) {
            return Err(Broken::Slow);
        }
        // Whoever writes has failed, and says why.
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
    }
}

/// How fast a client sends, looked at when it was waited for long enough; what the disk takes is not its fault.
struct Pace {
    patience: Patience,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(patience: Patience) -> Self {
        Self { patience, waited: Duration::ZERO, bytes: 0 }
    }

    /// So many bytes more, waited for so long.
    fn is_kept(&mut self, bytes: u64, waited: Duration) -> bool {
        self.bytes += bytes;
        self.waited += waited;
        if self.waited < self.patience.idle_max {
            return true;
        }
        let is_slow = self.patience.is_slow(self.bytes, self.waited);
        *self = Self::new(self.patience);
        !is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_too_little_while_waited_for_is_slow() {
        let second = Duration::from_secs(1);
        let patience = Patience { idle_max: 3 * second, bytes_per_sec_min: 10 };
        let mut pace = Pace::new(patience);
        assert!(pace.is_kept(1, second) && pace.is_kept(1, second) && pace.is_kept(28, second));
        assert!(pace.is_kept(0, second) && pace.is_kept(0, second), "it begins anew");
        assert!(!pace.is_kept(29, second));
        let mut any = Pace::new(Patience { bytes_per_sec_min: 0, ..patience });
        assert!(any.is_kept(0, 9 * second));
    }
}
