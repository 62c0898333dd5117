//! All hosts, each by its own schedule: who beats next, and what it makes of the answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ops_wire::{ActionDone, ErrorCode};

use crate::agent::{Agent, Now};
use crate::arrivals::Arrivals;
use crate::beat::Common;
use crate::host::{Host, Ways};
use crate::load::{Load, Outcome, Ticket};
use crate::orders::{Book, Heard, Standing};
use crate::words::Words;

/// Actions that a host remembers, so that none is done twice.
const ACTIONS_MAX: usize = 64;

/// The hosts at work.
pub struct Fleet {
    hosts: Vec<Host>,
    /// When each host beats that has no beat under way and has not vanished.
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    common: Common,
    ways: Ways,
    words: Words,
    pub book: Book,
    pub arrivals: Arrivals,
    /// Of the few hosts that were asked for actions.
    actions: HashMap<u32, Actions>,
    pub vanished: u32,
    /// Seconds of the hosts in one real second.
    time_scale: f64,
    began_unix: i64,
}

#[derive(Debug, Default)]
struct Actions {
    /// With their codes.
    done: BTreeMap<u64, String>,
    to_tell: Vec<ActionDone>,
}

/// What a host has before it hears anything.
pub struct Installed {
    pub agents: u16,
    pub version: String,
}

impl Fleet {
    /// `hosts` of them, not one having beaten yet. `None`: too many agents.
    pub fn new(
        hosts: u32,
        installed: &Installed,
        common: Common,
        ways: Ways,
        time_scale: f64,
    ) -> Option<Self> {
        let mut words = Words::default();
        let version = words.word(&installed.version)?;
        let agents: Option<Vec<Agent>> = (1..=installed.agents)
            .map(|number| Some(Agent::new(words.word(&format!("agent-{number}"))?, Some(version))))
            .collect();
        let agents = agents?;
        let hosts: Vec<Host> = (0..hosts).map(|number| Host::new(number, &agents, &ways)).collect();
        let due = |(host, number): (&Host, u32)| Reverse((host.schedule.due_ms(), number));
        let queue = hosts.iter().zip(0..).map(due).collect();
        let began_unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs() as i64);
        Some(Self {
            hosts,
            queue,
            common,
            ways,
            words,
            book: Book::default(),
            arrivals: Arrivals::default(),
            actions: HashMap::new(),
            vanished: 0,
            time_scale,
            began_unix,
        })
    }

    /// Milliseconds of the hosts' time.
    pub fn host_ms(&self, now: Duration) -> u64 {
        (now.as_secs_f64() * self.time_scale * 1000.0) as u64
    }

    pub fn interval_secs(&self) -> u64 {
        self.ways.interval_ms / 1000
    }

    pub fn words(&self) -> &Words {
        &self.words
    }

    fn real(&self, host_ms: u64) -> Duration {
        Duration::from_secs_f64(host_ms as f64 / 1000.0 / self.time_scale)
    }

    fn body(&mut self, number: u32, now_ms: u64, body: &mut Vec<u8>) -> Option<()> {
        let host = self.hosts.get_mut(number as usize)?;
        let spread = host.spread(number, &self.ways);
        host.schedule.begun(self.ways.interval_ms, now_ms, spread);
        host.settle(now_ms);
        let orders = host.orders().and_then(|it| self.book.get(it));
        let order = |agent: &Agent| orders?.agents.iter().find(|it| it.name == agent.name);
        let now = Now { host_ms: now_ms, began_unix: self.began_unix };
        let agents = host.agents.iter().filter_map(|it| it.report(order(it), &self.words, now)).collect();
        let generation = (host.generation > 0).then_some(host.generation);
        let done = self.actions.get(&number).map(|it| it.to_tell.clone()).unwrap_or_default();
        serde_json::to_writer(body, &self.common.beat(number, agents, generation, done)).ok()
    }

    /// The answer was read: what was told is known to ops-meta now, and what is ordered begins.
    fn hear(&mut self, number: u32, heard: &Heard, now_ms: u64) {
        let Some(host) = self.hosts.get_mut(number as usize) else { return };
        host.schedule.succeeded();
        let before = host.orders().map(|it| (it, host.standing));
        let orders_number = heard.orders.or(host.orders());
        if let Some((orders_number, orders)) = orders_number.and_then(|it| Some((it, self.book.get(it)?))) {
            host.hear(number, (orders_number, orders), &self.words, &self.ways, now_ms);
            host.standing = host.standing_with(orders);
            let vanished = host.standing == Standing::Vanished;
            self.vanished += u32::from(vanished);
            self.book.moved(before, (orders_number, host.standing), now_ms);
        }
        host.generation = host.generation.max(heard.generation.unwrap_or(0));
        if let Some(secs) = heard.next_interval_secs {
            let spread = host.spread(number, &self.ways);
            host.schedule.hint(secs, now_ms, spread);
        }
        host.bring_news_forward(number, &self.ways);
        self.act(number, heard, now_ms);
    }

    /// Done once per id, told in the next beat, which is news. Who asks again is told again.
    fn act(&mut self, number: u32, heard: &Heard, now_ms: u64) {
        if let Some(actions) = self.actions.get_mut(&number) {
            actions.to_tell.clear();
        }
        if heard.actions.is_empty() {
            return;
        }
        let (actions, mut is_news) = (self.actions.entry(number).or_default(), false);
        for action in &heard.actions {
            let code = actions.done.entry(action.id).or_insert_with(|| {
                is_news = true;
                let known = matches!(action.kind.as_str(), "restart" | "report");
                if known { String::new() } else { ErrorCode::UnknownCmd.to_string() }
            });
            actions.to_tell.push(ActionDone { id: action.id, code: code.clone() });
        }
        while actions.done.len() > ACTIONS_MAX {
            actions.done.pop_first();
        }
        if let (true, Some(host)) = (is_news, self.hosts.get_mut(number as usize)) {
            let spread = host.spread(number, &self.ways);
            host.schedule.bring_forward(now_ms, spread);
        }
    }

    fn failed(&mut self, number: u32, retry_after_secs: Option<u64>, now_ms: u64) {
        let Some(host) = self.hosts.get_mut(number as usize) else { return };
        let spread = host.spread(number, &self.ways);
        host.schedule.failed(self.ways.interval_ms, retry_after_secs, now_ms, spread);
    }

    /// One that has vanished is not in the queue any more.
    fn enqueue(&mut self, number: u32) {
        let Some(host) = self.hosts.get(number as usize) else { return };
        if host.standing != Standing::Vanished {
            self.queue.push(Reverse((host.schedule.due_ms(), number)));
        }
    }
}

impl Load for Fleet {
    fn due(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((due_ms, _))| self.real(*due_ms))
    }

    fn begin(&mut self, now: Duration, body: &mut Vec<u8>) -> Option<Ticket> {
        let Reverse((due_ms, number)) = self.queue.pop()?;
        self.body(number, self.host_ms(now), body)?;
        Some(Ticket { host: number, due: self.real(due_ms) })
    }

    fn ended(&mut self, ticket: Ticket, outcome: &Outcome<'_>, now: Duration) -> Result<(), &'static str> {
        let (number, now_ms) = (ticket.host, self.host_ms(now));
        // When the host came, however long it had to wait here for a connection.
        let came_ms = self.host_ms(ticket.due);
        let ended = match outcome {
            Outcome::Answered(body) => match self.book.read(body, &mut self.words, now_ms) {
                Ok(heard) => {
                    self.arrivals.answered(came_ms);
                    self.hear(number, &heard, now_ms);
                    Ok(())
                }
                Err(kind) => {
                    self.failed(number, None, now_ms);
                    Err(kind)
                }
            },
            Outcome::Refused { retry_after_secs } => {
                self.failed(number, *retry_after_secs, now_ms);
                Ok(())
            }
            Outcome::Broken => {
                self.arrivals.nobody_there(came_ms);
                self.failed(number, None, now_ms);
                Ok(())
            }
        };
        self.enqueue(number);
        ended
    }

    fn fleet(&self) -> Option<&Fleet> {
        Some(self)
    }
}
