//! A beat that says what the last one of its host said is known by its bytes, without being read: the same bytes but for
//! the numbers behind `"timestamp":` mean the same, so nothing changes but when the agents were looked at. Most beats of
//! a fleet are such.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use memchr::memmem::Finder;
use ops_wire::RealAgent;

use super::pending::News;
use super::{Fleet, Host, Shard};
use crate::domain::host::GONE_SECS;

/// How a beat begins that is looked at here; that of the 2015 updater and ours do.
const BEGIN: &[u8] = br#"{"hostname":""#;
/// The quotes of a text inside of JSON are escaped, so this is always a key, or the end of one (`"x\"timestamp":`); both
/// have a number behind them that is left out, which is why they are counted: see `are_of`.
const TIMESTAMP: &[u8] = br#""timestamp":"#;
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TIMESTAMP));
/// Agents of a host that is looked at here.
const TIMESTAMPS_MAX: usize = 16;

/// The bytes of a beat, looked at and not understood.
pub struct Looks<'a> {
    pub hostname: &'a str,
    /// Of all bytes but the timestamps; never 0.
    pub hash: u64,
    /// Unix seconds.
    timestamps: [u32; TIMESTAMPS_MAX],
    count: usize,
}

impl<'a> Looks<'a> {
    /// `None`: this one has to be read.
    pub fn at(body: &'a [u8], hasher: &impl BuildHasher) -> Option<Self> {
        let rest = body.strip_prefix(BEGIN)?;
        let name = rest.get(..memchr::memchr(b'"', rest)?)?;
        if name.contains(&b'\\') {
            return None;
        }
        let hostname = std::str::from_utf8(name).ok()?;
        let (mut timestamps, mut count, mut from) = ([0; TIMESTAMPS_MAX], 0, 0);
        let mut hasher = hasher.build_hasher();
        for key in FINDER.find_iter(body) {
            let number = body.get(key + TIMESTAMP.len()..)?;
            let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
            // JSON has no number of more digits that begins so.
            if digits > 1 && number.first() == Some(&b'0') {
                return None;
            }
            *timestamps.get_mut(count)? = std::str::from_utf8(number.get(..digits)?).ok()?.parse().ok()?;
            count += 1;
            // The length of each part is hashed, too: no part can be taken for another.
            hasher.write(body.get(from..key)?);
            hasher.write_usize(key - from);
            from = key + TIMESTAMP.len() + digits;
        }
        hasher.write(body.get(from..)?);
        Some(Self { hostname, hash: hasher.finish().max(1), timestamps, count })
    }

    /// Whether these are the timestamps of these agents, in their order, and nothing else has one.
    pub fn are_of(&self, agents: &[RealAgent]) -> bool {
        self.timestamps().iter().map(|at| i64::from(*at)).eq(agents.iter().map(|agent| agent.timestamp))
    }

    fn timestamps(&self) -> &[u32] {
        self.timestamps.get(..self.count).unwrap_or_default()
    }
}

impl Fleet {
    pub fn looks<'a>(&self, body: &'a [u8]) -> Option<Looks<'a>> {
        Looks::at(body, &self.hasher)
    }

    /// Notes a beat that says nothing new, `now` in Unix milliseconds, and looks at its host. `None`: it has to be read.
    pub fn repeat<T>(&self, looks: &Looks<'_>, now: i64, look: impl FnOnce(&Host) -> T) -> Option<T> {
        let mut shard = self.shard_of(looks.hostname);
        let Shard { hosts, pending, .. } = &mut *shard;
        let host = hosts.get_mut(looks.hostname)?;
        let now = super::secs(now);
        let was_gone = now.saturating_sub(host.last) >= GONE_SECS as u32;
        if host.body != looks.hash || host.report == 0 || was_gone {
            return None;
        }
        for (look, timestamp) in host.looks.iter_mut().zip(looks.timestamps()) {
            look.at = *timestamp;
        }
        host.last = now;
        if host.was_written_long_ago(looks.hostname) {
            self.pend(pending, looks.hostname, host, News::Heard);
        }
        Some(look(host))
    }
}
