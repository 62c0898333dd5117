//! One thread and one epoll: takes beats from a load, gives each a connection, and hands their outcomes back.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::answer::Answer;
use crate::connection::{Break, Connection, Step};
use crate::load::{Load, Outcome, Ticket};
use crate::ports::Ports;
use crate::server::Server;
use crate::tally::Tally;

/// How often it is looked whether something has to end.
const LOOK: Duration = Duration::from_millis(200);
/// Beats under way at the end are waited for this long.
const FINISH: Duration = Duration::from_secs(2);
const EVENTS: usize = 1024;
const SIGNALS: Token = Token(usize::MAX - 1);
const TIMER: Token = Token(usize::MAX - 2);

/// How the server is spoken to.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Connections at once.
    pub connections: usize,
    pub keep: Keep,
    /// For a whole beat.
    pub timeout: Duration,
    /// The end; `None`: Ctrl-C.
    pub duration: Option<Duration>,
    /// See [`Ports`].
    pub sources: u8,
    /// How often `told` is called.
    pub every: Duration,
}

/// What becomes of a connection after a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Kept,
    /// As the updater does: it closes, and opens another for the next beat.
    Closed,
}

pub struct Engine<L> {
    load: L,
    server: Server,
    settings: Settings,
    poll: Poll,
    timer: TimerFd,
    signals: SignalFd,
    ports: Ports,
    slots: Vec<Slot>,
    /// Slots without a beat, the one used last on top.
    idle: Vec<usize>,
    body: Vec<u8>,
    joined: Vec<u8>,
    start: Instant,
    tally: Tally,
    interrupted: bool,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    beat: Option<UnderWay>,
}

#[derive(Clone, Copy)]
struct UnderWay {
    ticket: Ticket,
    begun: Duration,
}

impl<L: Load> Engine<L> {
    /// From here on SIGINT and SIGTERM only end the run.
    pub fn new(load: L, server: Server, settings: Settings) -> io::Result<Self> {
        let ended_by = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ended_by), None)?;
        let signals = SignalFd::with_flags(&ended_by, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // mio waits in whole milliseconds: half of a fast server's latency.
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let poll = Poll::new()?;
        let watched = [(signals.as_fd().as_raw_fd(), SIGNALS), (timer.as_fd().as_raw_fd(), TIMER)];
        for (fd, token) in watched {
            poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        Ok(Self {
            load,
            server,
            poll,
            timer,
            signals,
            ports: Ports::new(settings.sources),
            slots: (0..settings.connections).map(|_| Slot::default()).collect(),
            idle: (0..settings.connections).rev().collect(),
            settings,
            body: Vec::new(),
            joined: Vec::new(),
            start: Instant::now(),
            tally: Tally::new(),
            interrupted: false,
        })
    }

    /// Until the time is over, nothing is left to send, or a signal comes. `told` is called now and then.
    pub fn run(mut self, mut told: impl FnMut(&Tally, Duration)) -> io::Result<(L, Tally, Duration)> {
        let mut events = Events::with_capacity(EVENTS);
        let (mut looked, mut tell_at) = (Duration::ZERO, self.settings.every);
        while !self.is_over() {
            self.begin_what_is_due();
            self.wait(&mut events)?;
            if self.now() >= looked + LOOK {
                looked = self.now();
                self.give_up_slow_ones();
            }
            if self.now() >= tell_at {
                tell_at += self.settings.every;
                told(&self.tally, self.now());
            }
        }
        let took = self.now();
        self.finish(&mut events)?;
        Ok((self.load, self.tally, took))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn is_over(&self) -> bool {
        let over = self.settings.duration.is_some_and(|it| self.now() >= it);
        let nothing_left = self.load.due().is_none() && self.idle.len() == self.slots.len();
        self.interrupted || over || nothing_left
    }

    fn begin_what_is_due(&mut self) {
        // Where nobody listens a beat ends as it begins: then signals and time have their turn before the next ones.
        for _ in 0..self.slots.len() {
            let Some(slot) = self.idle.last().copied() else { return };
            let now = self.now();
            if self.load.due().is_none_or(|due| due > now) {
                return;
            }
            self.body.clear();
            let Some(ticket) = self.load.begin(now, &mut self.body) else { return };
            self.idle.pop();
            self.begin(slot, UnderWay { ticket, begun: now });
        }
    }

    fn begin(&mut self, at: usize, beat: UnderWay) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        slot.beat = Some(beat);
        if let Err(broken) = self.connect(at) {
            return self.broken(at, broken);
        }
        let Some(connection) = self.slots.get_mut(at).and_then(|it| it.connection.as_mut()) else { return };
        self.server.request(&self.body, &mut connection.out);
        self.tally.sent_bytes += connection.out.len() as u64;
        connection.begin();
        self.go_on(at);
    }

    /// A connection that was kept, or a new one.
    fn connect(&mut self, at: usize) -> Result<(), Break> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        if slot.connection.is_some() {
            return Ok(());
        }
        let socket = self.ports.connect(self.server.address)?;
        let mut connection = Connection::new(socket, self.server.tls.as_ref()).map_err(|_| Break::Tls)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(connection.socket(), Token(at), interest)?;
        slot.connection = Some(connection);
        self.tally.connections += 1;
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now = self.now();
        // Where all connections are busy, what is due has to wait for them.
        let due = if self.idle.is_empty() { None } else { self.load.due() };
        let timeout = match due.map(|it| it.saturating_sub(now)) {
            Some(Duration::ZERO) => Duration::ZERO,
            Some(wait) if wait < LOOK => {
                let once = Expiration::OneShot(TimeSpec::from_duration(wait));
                self.timer.set(once, TimerSetTimeFlags::empty())?;
                LOOK
            }
            _ => LOOK,
        };
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            match event.token() {
                TIMER => {}
                SIGNALS => self.interrupted |= matches!(self.signals.read_signal(), Ok(Some(_))),
                Token(at) => self.happened(at),
            }
        }
        Ok(())
    }

    fn happened(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.beat.is_some() {
            self.go_on(at);
        } else if slot.connection.as_mut().is_some_and(Connection::is_spent) {
            slot.connection = None;
        }
    }

    fn go_on(&mut self, at: usize) {
        let connection = self.slots.get_mut(at).and_then(|it| it.connection.as_mut());
        let Some(connection) = connection else { return };
        match connection.go_on() {
            Step::Waiting => {}
            Step::Answered(answer) => self.answered(at, answer),
            Step::Broken(Break::Closed) if connection.answers > 0 && connection.came.is_empty() => {
                self.begin_again(at);
            }
            Step::Broken(broken) => self.broken(at, broken),
        }
    }

    /// The server closed a kept connection while the beat was on its way: no fault of either, so it goes out on a new one.
    fn begin_again(&mut self, at: usize) {
        let Some(request) = self.slots.get_mut(at).and_then(|it| it.connection.take()).map(|it| it.out)
        else {
            return;
        };
        if let Err(broken) = self.connect(at) {
            return self.broken(at, broken);
        }
        let Some(connection) = self.slots.get_mut(at).and_then(|it| it.connection.as_mut()) else { return };
        connection.out = request;
        connection.begin();
        self.go_on(at);
    }

    fn answered(&mut self, at: usize, answer: Answer) {
        let now = self.now();
        let Some(slot) = self.slots.get_mut(at) else { return };
        let Some(beat) = slot.beat.take() else { return };
        let Some(connection) = slot.connection.take() else { return };
        let outcome = match answer.status {
            200 => Outcome::Answered(answer.body.of(&connection.came, &mut self.joined)),
            _ => Outcome::Refused { retry_after_secs: answer.retry_after_secs },
        };
        match (self.load.ended(beat.ticket, &outcome, now), answer.status) {
            (Ok(()), 200) => {
                self.tally.beats += 1;
                let latency = now.saturating_sub(beat.ticket.due);
                self.tally.latency.record(latency.as_micros() as u64);
            }
            (Ok(()), status) => self.tally.error(&format!("status {status}")),
            (Err(kind), _) => self.tally.error(kind),
        }
        if self.settings.keep == Keep::Kept && !answer.closes {
            slot.connection = Some(connection);
        }
        self.idle.push(at);
    }

    fn broken(&mut self, at: usize, broken: Break) {
        self.failed(at, broken.as_str());
    }

    fn failed(&mut self, at: usize, kind: &str) {
        let now = self.now();
        let Some(slot) = self.slots.get_mut(at) else { return };
        slot.connection = None;
        let Some(beat) = slot.beat.take() else { return };
        self.tally.error(kind);
        // What a load makes of it is no other error.
        let _ = self.load.ended(beat.ticket, &Outcome::Broken, now);
        self.idle.push(at);
    }

    fn give_up_slow_ones(&mut self) {
        let (now, timeout) = (self.now(), self.settings.timeout);
        for at in 0..self.slots.len() {
            let begun = self.slots.get(at).and_then(|it| it.beat).map(|it| it.begun);
            if begun.is_some_and(|it| now > it + timeout) {
                self.failed(at, "time-out");
            }
        }
    }

    fn finish(&mut self, events: &mut Events) -> io::Result<()> {
        let end = self.now() + FINISH;
        while self.idle.len() < self.slots.len() && self.now() < end {
            self.poll.poll(events, Some(LOOK)).or_else(|error| match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            })?;
            for event in events.iter() {
                self.happened(event.token().0);
            }
        }
        Ok(())
    }
}
