//! How long a server that is away is asked again.

use std::time::{Duration, Instant};

use crate::cli::failed::Failed;
use crate::cli::say;

/// Without a new byte. Longer than a server waits for a connection that broke without a word (`timeouts.idleMillis`): until
/// then the upload is being made already.
const PATIENCE: Duration = Duration::from_secs(120);
/// The first pause; each is twice the one before.
const PAUSE_SECS: u64 = 1;
const DOUBLINGS_MAX: u32 = 4;

/// Of one upload.
#[derive(Default)]
pub struct Patience {
    since: Option<Instant>,
    tries: u32,
    offset: u64,
}

impl Patience {
    /// So far the upload is. Whether that is further than before.
    pub fn at(&mut self, offset: u64) -> bool {
        let is_further = offset > self.offset;
        if is_further {
            (self.since, self.tries) = (None, 0);
        }
        self.offset = offset;
        is_further
    }

    /// Waits, where there is hope.
    pub fn wait(&mut self, shown: &str, why: String, retry_after: Option<Duration>) -> Result<(), Failed> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let pause = retry_after
            .unwrap_or(Duration::from_secs(PAUSE_SECS << self.tries.min(DOUBLINGS_MAX)))
            .max(Duration::from_secs(PAUSE_SECS));
        self.tries += 1;
        if since.elapsed() + pause > PATIENCE {
            let why = format!("`{shown}`: {why}; push it again, and it goes on where it ended");
            return Err(Failed::Away { why, retry_after });
        }
        say(&format!("ops-meta: `{shown}`: {why}; tried again in {} s", pause.as_secs()));
        std::thread::sleep(pause);
        Ok(())
    }
}
