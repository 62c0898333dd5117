//! One simulated host: when it beats, what it has, what it heard. Pure.

use crate::agent::{Agent, Plan};
use crate::chance::{Fate, Fates, mixed, part};
use crate::orders::{Order, Orders, Standing};
use crate::schedule::Schedule;
use crate::words::{Word, Words};

/// No orders yet.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub struct Host {
    pub schedule: Schedule,
    pub agents: Box<[Agent]>,
    /// The newest that it has acted on; 0: none.
    pub generation: u64,
    orders: u32,
    /// Counts what was left to chance so far, so that each host has its own, in every run the same.
    chances: u32,
    pub standing: Standing,
}

/// What all hosts have in common.
#[derive(Debug)]
pub struct Ways {
    pub fates: Fates,
    pub interval_ms: u64,
    pub trial_secs: u32,
}

impl Host {
    pub fn new(number: u32, agents: &[Agent], ways: &Ways) -> Self {
        let spread = part(mixed(&[ways.fates.seed, number.into()]));
        Self {
            schedule: Schedule::new(ways.interval_ms, 0, spread),
            agents: agents.into(),
            generation: 0,
            orders: NONE,
            chances: 1,
            standing: Standing::UnderWay,
        }
    }

    pub fn orders(&self) -> Option<u32> {
        (self.orders != NONE).then_some(self.orders)
    }

    /// A random number from 0 to 1.
    pub fn spread(&mut self, number: u32, ways: &Ways) -> f64 {
        self.chances = self.chances.wrapping_add(1);
        part(mixed(&[ways.fates.seed, number.into(), self.chances.into()]))
    }

    /// Brings the agents to where they are now.
    pub fn settle(&mut self, now_ms: u64) {
        self.agents.iter_mut().for_each(|it| it.settle(now_ms));
    }

    /// Begins what is ordered. Of a host that is to vanish by one of the versions, that is the last that is heard.
    pub fn hear(&mut self, number: u32, heard: (u32, &Orders), words: &Words, ways: &Ways, now_ms: u64) {
        let (orders_number, orders) = heard;
        for order in &orders.agents {
            if !self.agents.iter().any(|it| it.name == order.name) {
                self.add(order.name);
            }
            let plan = |version: Word| plan(number, order, words.text(version), words, ways);
            let mut vanishes = false;
            if let Some(agent) = self.agents.iter_mut().find(|it| it.name == order.name) {
                let has_run = agent.has_run(order.wanted);
                let planned = |version| {
                    let mut plan = plan(version);
                    if has_run {
                        plan.fate = Fate::Succeeds;
                    }
                    vanishes = plan.fate == Fate::Vanishes;
                    plan
                };
                agent.hear(order.wanted, planned, now_ms);
            }
            if vanishes {
                self.standing = Standing::Vanished;
            }
        }
        self.orders = orders_number;
    }

    fn add(&mut self, name: Word) {
        let mut agents = std::mem::take(&mut self.agents).into_vec();
        agents.push(Agent::new(name, None));
        self.agents = agents.into_boxed_slice();
    }

    /// Each agent that comes to rest is news.
    pub fn bring_news_forward(&mut self, number: u32, ways: &Ways) {
        let Some(first_ms) = self.agents.iter().filter_map(Agent::rest_ms).min() else { return };
        let spread = self.spread(number, ways);
        self.schedule.bring_forward(first_ms, spread);
    }

    /// Where it stands with these orders.
    pub fn standing_with(&self, orders: &Orders) -> Standing {
        if self.standing == Standing::Vanished {
            return Standing::Vanished;
        }
        let agent = |order: &Order| self.agents.iter().find(|it| it.name == order.name);
        let pairs = || orders.agents.iter().filter_map(|order| Some((agent(order)?, order.wanted)));
        match () {
            () if !pairs().all(|(agent, wanted)| agent.is_at_rest(wanted)) => Standing::UnderWay,
            () if pairs().any(|(agent, wanted)| agent.has_failed(wanted)) => Standing::Failed,
            () => Standing::AsWanted,
        }
    }
}

fn plan(number: u32, order: &Order, version: &str, words: &Words, ways: &Ways) -> Plan {
    Plan {
        fate: ways.fates.of(number, words.text(order.name), version),
        seed: mixed(&[ways.fates.seed, number.into(), crate::chance::of_text(version)]),
        trial_secs: order.trial_secs.unwrap_or(ways.trial_secs),
    }
}
