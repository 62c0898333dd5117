//! When to wake next, and the only sleep. Signals and what children print end a sleep early.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use ops_wire::ErrorCode;
use rand::rngs::OsRng;
use rand::{Rng, TryRngCore};

use crate::error::Fault;
use crate::upgrade::Moment;

/// An agent that came to rest brings the next beat forward to some moment within this.
const NEWS_WITHIN: Duration = Duration::from_secs(10);
/// First wait after a failed beat is the interval; it doubles up to an hour, or the interval if that is longer.
const BACK_OFF_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub struct Settings {
    pub interval: Duration,
    /// The first beat comes at a random moment within this.
    pub initial_jitter: Duration,
}

/// Now, on both clocks.
pub fn now() -> Moment {
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs() as i64);
    Moment { boot, unix }
}

/// A random part of `whole`.
pub fn random_part(whole: Duration) -> Duration {
    whole.mul_f64(spread())
}

/// A random number from 0 to 1.
pub fn spread() -> f64 {
    OsRng.unwrap_err().random()
}

/// Names the boot this process runs in.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|it| it.trim().to_owned())
        .unwrap_or_default()
}

/// When the next beat is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    due: Duration,
    failures: u32,
}

impl Schedule {
    /// The first beat, at a random moment.
    pub fn new(settings: &Settings, now: Duration) -> Self {
        Self { due: now + random_part(settings.initial_jitter), failures: 0 }
    }

    pub fn due(&self) -> Duration {
        self.due
    }

    /// The beat that was due begins; the next one is counted from when it was due, so that periods do not drift.
    pub fn begun(&mut self, settings: &Settings, now: Duration) {
        self.due = next_due(self.due, settings.interval, spread(), now);
    }

    /// The server's hint, counted from now.
    pub fn hint(&mut self, secs: u32, now: Duration) {
        let secs = Duration::from_secs(secs.clamp(1, 3600).into());
        self.due = now + secs.mul_f64(0.95 + 0.1 * spread());
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The server failed: back off with jitter, and obey what it asked for.
    pub fn failed(&mut self, settings: &Settings, retry_after_secs: Option<u32>, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let wait = back_off(settings.interval, self.failures, spread());
        let asked =
            retry_after_secs.map(|secs| Duration::from_secs(secs.into()).mul_f64(1.0 + 0.1 * spread()));
        self.due = self.due.max(now + asked.unwrap_or_default()).max(now + wait);
    }

    /// Something happened that ops-meta wants to know. While it fails, the back-off stands.
    pub fn bring_forward(&mut self, now: Duration) {
        if self.failures == 0 {
            self.due = self.due.min(now + random_part(NEWS_WITHIN));
        }
    }
}

/// The interval +-5 % after the last beat was due; a beat that was missed (a suspended host) is not made up for.
fn next_due(due: Duration, interval: Duration, spread: f64, now: Duration) -> Duration {
    let next = due + interval.mul_f64(0.95 + 0.1 * spread);
    if next > now { next } else { now + interval.mul_f64(spread) }
}

/// The wait after `failures` failures in a row: the interval twice, four times ..., with jitter of a quarter.
fn back_off(interval: Duration, failures: u32, spread: f64) -> Duration {
    let doubled = interval.saturating_mul(1 << failures.saturating_sub(1).min(12));
    doubled.min(BACK_OFF_MAX.max(interval)).mul_f64(0.75 + 0.25 * spread)
}

/// Waits until `until` or until one of `pipes` has something, for commands that hear no signals.
pub fn pause(until: Duration, pipes: &[BorrowedFd<'_>]) {
    let mut watched: Vec<PollFd> = pipes.iter().map(|pipe| PollFd::new(*pipe, PollFlags::POLLIN)).collect();
    let _ = poll(&mut watched, timeout(until));
}

/// Rounded up: waking a moment too early would make the loop spin.
fn timeout(until: Duration) -> PollTimeout {
    let wait = until.saturating_sub(now().boot);
    let millis = i32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

/// A request by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT.
    End,
    /// SIGHUP.
    Reload,
}

/// Sleeps, and hears signals while it does.
#[derive(Debug)]
pub struct Sleeper {
    signals: SignalFd,
}

impl Sleeper {
    /// From here on signals are heard by [`Sleeper::sleep`] only. Dispositions inherited from whoever started us would
    /// leak into agents: all are the system's own again.
    pub fn new() -> Result<Self, Fault> {
        reset_dispositions();
        let heard = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD]);
        let set_up = || -> nix::Result<SignalFd> {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&heard), None)?;
            SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        };
        let signals = set_up()
            .map_err(|error| Fault::new(ErrorCode::Io, format!("failed to hear signals: {error}")))?;
        Ok(Self { signals })
    }

    /// Sleeps until `until`, or until a signal comes or one of `pipes` has something.
    pub fn sleep(&self, until: Duration, pipes: &[BorrowedFd<'_>]) -> Vec<Request> {
        let mut watched: Vec<PollFd> =
            pipes.iter().map(|pipe| PollFd::new(*pipe, PollFlags::POLLIN)).collect();
        watched.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        let _ = poll(&mut watched, timeout(until));
        self.requests()
    }

    fn requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => requests.push(Request::End),
                Ok(Signal::SIGHUP) => requests.push(Request::Reload),
                _ => {}
            }
        }
        requests
    }
}

#[expect(unsafe_code, reason = "sigaction can install handlers; the default one cannot do harm")]
fn reset_dispositions() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in
        Signal::iterator().filter(|it| !matches!(it, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGPIPE))
    {
        // SAFETY: no handler of ours is installed, only the system's default.
        let _ = unsafe { sigaction(signal, &default) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn periods_are_the_interval_and_do_not_drift() {
        let due = Duration::from_secs(1000);
        for spread in [0.0, 0.5, 1.0] {
            let period = next_due(due, MINUTE, spread, due + Duration::from_secs(5)) - due;
            assert!((57..=63).contains(&period.as_secs()), "{period:?}");
        }
    }

    #[test]
    fn a_missed_beat_is_not_made_up_for() {
        let now = Duration::from_secs(100_000);
        let next = next_due(Duration::from_secs(1000), MINUTE, 0.5, now);
        assert!(next > now && next <= now + MINUTE);
    }

    /// A server that was away is not met by everybody at once when it is back, nor later.
    #[test]
    fn beats_stay_spread_over_an_outage() {
        const HOSTS: usize = 2000;
        let settings = Settings { interval: MINUTE, initial_jitter: MINUTE };
        let back = MINUTE * 60;
        let mut hosts: Vec<Schedule> = (0..HOSTS).map(|_| Schedule::new(&settings, Duration::ZERO)).collect();
        let mut beats = vec![0; 4 * 3600];
        for host in &mut hosts {
            while host.due() < MINUTE * 200 {
                let now = host.due();
                beats[now.as_secs() as usize] += 1;
                host.begun(&settings, now);
                if now < back { host.failed(&settings, None, now) } else { host.succeeded() }
            }
        }
        let busiest = |from: u64, to: u64| *beats[from as usize..to as usize].iter().max().unwrap();
        let usual = HOSTS as u64 / MINUTE.as_secs();
        for (from, to) in [(0, 3600), (3600, 7200), (7200, 12_000)] {
            assert!(
                busiest(from, to) <= 3 * usual,
                "{} beats in one second, {usual} are usual",
                busiest(from, to)
            );
        }
        let during: u64 = beats[1800..3600].iter().sum();
        assert!(during <= HOSTS as u64 * 3, "{during} beats in half an hour at a server that is away");
    }

    #[test]
    fn back_off_doubles_to_an_hour() {
        let waits: Vec<u64> = (1..9).map(|failures| back_off(MINUTE, failures, 1.0).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(back_off(Duration::from_secs(7200), 9, 1.0).as_secs(), 7200);
    }
}
