//! What is to be written behind: each host stands on its shard's list once, until a batch takes it.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use super::{Fleet, Host, Shard, UNWRITTEN, locked};
use crate::store::{Batch, HostChange, HostId, HostRow, HostWrite};

/// What waits may be so large; beyond that, reports wait for the next beat of their host, and lines of
/// history are lost.
const PENDING_BYTES_MAX: usize = 32 << 20;
/// Lines of history that one host may have waiting.
const LINES_MAX: usize = 64;

/// One host that is to be written.
pub(super) struct Pending {
    hostname: Box<str>,
    /// The host was dropped since.
    dropped: bool,
    /// Else only when it was heard.
    whole: bool,
    report: Option<Bytes>,
    history: Vec<HostChange>,
}

impl Pending {
    fn bytes(&self) -> usize {
        let texts = |it: &HostChange| it.agent.len() + it.what.len() + it.before.len() + it.after.len();
        let history: usize = self.history.iter().map(|it| size_of::<HostChange>() + texts(it)).sum();
        size_of::<Self>() + self.hostname.len() + self.report.as_ref().map_or(0, Bytes::len) + history
    }
}

/// Of a host that the database is to forget, in bytes.
const FORGOTTEN_BYTES: usize = size_of::<HostId>();

/// What of a host is to be written.
pub(super) enum News<'a> {
    /// When it was heard.
    Heard,
    /// It changed in this way, and said this.
    Changed(&'a [u8], Vec<HostChange>),
}

impl Fleet {
    /// Puts a host on the list of its shard. A report that there is no room for is written with the host's next beat.
    pub(super) fn pend(&self, list: &mut Vec<Pending>, hostname: &str, host: &mut Host, news: News<'_>) {
        let room = self.pending_bytes.load(Ordering::Relaxed) < PENDING_BYTES_MAX;
        if !room && matches!(news, News::Changed(..)) {
            host.report = 0;
        }
        self.with_pending(list, hostname, host, |pending| {
            let News::Changed(body, lines) = news else { return };
            pending.whole = true;
            if room {
                pending.report = Some(Bytes::copy_from_slice(body));
                pending.history.extend(lines);
            }
        });
    }

    /// The host's entry in the list, made where there is none.
    fn with_pending(
        &self,
        list: &mut Vec<Pending>,
        hostname: &str,
        host: &mut Host,
        put: impl FnOnce(&mut Pending),
    ) {
        let before = of_host(list, host).map(|pending| pending.bytes());
        if before.is_none() {
            list.push(Pending {
                hostname: hostname.into(),
                dropped: false,
                whole: false,
                report: None,
                history: Vec::new(),
            });
            host.pending = u32::try_from(list.len()).unwrap_or(0);
        }
        let Some(pending) = of_host(list, host) else { return };
        put(pending);
        pending.history.truncate(LINES_MAX);
        self.more_pending(pending.bytes());
        self.less_pending(before.unwrap_or_default());
    }

    /// Takes about so many hosts that are to be written.
    pub fn take(&self, most: usize) -> Batch {
        let mut batch = Batch { forgotten: self.take_forgotten(most), ..Batch::default() };
        for _ in 0..self.shards.len() {
            if batch.changed.len() + batch.seen.len() + batch.forgotten.len() >= most {
                break;
            }
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            if let Some(shard) = self.shards.get(turn) {
                let taken = locked(shard).take(&mut batch, &self.next_id);
                self.less_pending(taken);
            }
        }
        // Neighbours lie on the same pages of a table.
        batch.changed.sort_unstable_by_key(|write| write.row.id);
        batch.seen.sort_unstable();
        batch
    }

    fn take_forgotten(&self, most: usize) -> Vec<HostId> {
        let mut forgotten = locked(&self.forgotten);
        let left = forgotten.len().saturating_sub(most);
        let taken = forgotten.split_off(left);
        self.less_pending(taken.len() * FORGOTTEN_BYTES);
        taken
    }

    /// Puts back what was taken and not written.
    pub fn give_back(&self, batch: Batch) {
        for HostWrite { row, report, history } in batch.changed {
            self.pend_again(&row.hostname, row.id, |older| {
                older.whole = true;
                // What it said since is newer.
                older.report = older.report.take().or(report);
                older.history.splice(0..0, history);
            });
        }
        for (id, hostname, _) in batch.seen {
            self.pend_again(&hostname, id, |_| {});
        }
        self.more_pending(batch.forgotten.len() * FORGOTTEN_BYTES);
        locked(&self.forgotten).extend(batch.forgotten);
    }

    /// A host that is no more is written no more; what was on its way into the database is taken out with the next batch.
    pub(super) fn pend_forgotten(&self, shard: &mut Shard, host: &Host) {
        // Its place stays, since others are found by theirs.
        if let Some(pending) = of_host(&mut shard.pending, host) {
            pending.dropped = true;
        }
        if host.id == UNWRITTEN {
            return;
        }
        self.more_pending(FORGOTTEN_BYTES);
        locked(&self.forgotten).push(host.id);
    }

    fn pend_again(&self, hostname: &str, id: HostId, put: impl FnOnce(&mut Pending)) {
        let mut shard = self.shard_of(hostname);
        let Shard { hosts, pending, .. } = &mut *shard;
        // It may have been dropped, and another may have come under its name.
        let Some(host) = hosts.get_mut(hostname).filter(|host| host.id == id) else { return };
        self.with_pending(pending, hostname, host, put);
    }

    /// How many bytes wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    fn more_pending(&self, bytes: usize) {
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn less_pending(&self, bytes: usize) {
        let less = |have: usize| Some(have.saturating_sub(bytes));
        let _ = self.pending_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Shard {
    /// Moves the whole list into a batch, and says how large it was.
    fn take(&mut self, batch: &mut Batch, next_id: &AtomicU32) -> usize {
        let mut bytes = 0;
        for pending in std::mem::take(&mut self.pending) {
            bytes += pending.bytes();
            if pending.dropped {
                continue;
            }
            let Some(host) = self.hosts.get_mut(&pending.hostname) else { continue };
            (host.pending, host.last_written) = (0, host.last);
            if host.id == UNWRITTEN {
                host.id = next_id.fetch_add(1, Ordering::Relaxed);
            }
            match pending.whole {
                true => batch.changed.push(write(pending, host)),
                false => batch.seen.push((host.id, pending.hostname, ms(host.last))),
            }
        }
        bytes
    }
}

/// Where `host.pending` points to.
fn of_host<'a>(list: &'a mut [Pending], host: &Host) -> Option<&'a mut Pending> {
    list.get_mut((host.pending as usize).wrapping_sub(1))
}

fn write(pending: Pending, host: &Host) -> HostWrite {
    // A struct of texts and numbers is always JSON.
    let text = |value: Result<String, serde_json::Error>| value.unwrap_or_default().into();
    let row = HostRow {
        id: host.id,
        hostname: pending.hostname,
        first_seen: ms(host.first),
        last_seen: ms(host.last),
        revived: ms(host.revived),
        report_hash: host.report,
        ip: host.ip.to_text(),
        machine_id: host.machine.to_text(),
        facts: text(serde_json::to_string(&*host.facts)),
        agents: text(serde_json::to_string(&*host.agents)),
    };
    HostWrite { row, report: pending.report, history: pending.history }
}

fn ms(secs: u32) -> i64 {
    i64::from(secs) * 1000
}
