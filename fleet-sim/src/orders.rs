//! What ops-meta ordered, each distinct order kept once, and how far the hosts that heard it are.

use std::collections::HashMap;
use std::rc::Rc;

use ops_wire::{Action, Answer, Cmd, DesiredAgent};

use crate::words::{Word, Words};

/// Answers that are remembered as they came, so that most need not be read. Then the memory begins anew.
const ANSWERS_MAX: usize = 4096;
/// Distinct orders in one run. An ops-meta that tells every host something else is not what is simulated here.
const ORDERS_MAX: usize = 65_536;

/// What is wanted of one agent.
#[derive(Debug, Clone)]
pub struct Order {
    pub name: Word,
    pub wanted: Wanted,
    pub trial_secs: Option<u32>,
    pub rollout: Option<u64>,
    pub sha256: Option<ops_wire::HexDigest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Started(Word),
    Stopped,
    Uninstalled,
    /// An order without a command, or with one that the updater would not know.
    LeftAlone,
}

/// What one answer asks of a host.
#[derive(Debug)]
pub struct Orders {
    pub agents: Vec<Order>,
    pub progress: Progress,
}

/// How far the hosts are that have these orders.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// When the first host heard them, and when the last one told that it is at rest.
    pub heard_ms: u64,
    pub settled_ms: u64,
    /// Hosts that ever heard them; one that heard others meanwhile counts again.
    pub told: u32,
    pub under_way: u32,
    pub as_wanted: u32,
    pub failed: u32,
    pub vanished: u32,
}

/// Where a host is with its orders, as far as ops-meta was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    UnderWay,
    AsWanted,
    Failed,
    Vanished,
}

/// An answer that was read.
#[derive(Debug)]
pub struct Heard {
    /// `None`: no change of orders.
    pub orders: Option<u32>,
    pub generation: Option<u64>,
    pub next_interval_secs: Option<u32>,
    pub actions: Vec<Action>,
}

/// All orders of a run.
#[derive(Debug, Default)]
pub struct Book {
    answers: HashMap<Box<[u8]>, Rc<Heard>>,
    orders: Vec<Orders>,
    numbers: HashMap<String, u32>,
}

impl Book {
    /// Reads an answer as the updater does. The error is a kind of error, for the report.
    pub fn read(&mut self, body: &[u8], words: &mut Words, now_ms: u64) -> Result<Rc<Heard>, &'static str> {
        if let Some(heard) = self.answers.get(body) {
            return Ok(heard.clone());
        }
        let answer = Answer::read(body).map_err(|_| "answer is not readable")?;
        if !answer.error_message.is_empty() {
            return Err("answer says errorMessage");
        }
        let heard = Rc::new(Heard {
            orders: self.number(&answer.desired_agents, words, now_ms)?,
            generation: answer.generation,
            next_interval_secs: answer.next_interval_secs,
            actions: answer.actions,
        });
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        self.answers.insert(body.into(), heard.clone());
        Ok(heard)
    }

    fn number(
        &mut self,
        desired: &[DesiredAgent],
        words: &mut Words,
        now_ms: u64,
    ) -> Result<Option<u32>, &'static str> {
        if desired.is_empty() {
            return Ok(None);
        }
        let text = serde_json::to_string(desired).map_err(|_| "answer is not readable")?;
        if let Some(number) = self.numbers.get(&text) {
            return Ok(Some(*number));
        }
        if self.orders.len() >= ORDERS_MAX {
            return Err("too many different answers");
        }
        let agents: Option<Vec<Order>> = desired.iter().map(|it| order(it, words)).collect();
        let progress = Progress { heard_ms: now_ms, settled_ms: now_ms, ..Progress::default() };
        let number = self.orders.len() as u32;
        self.orders.push(Orders { agents: agents.ok_or("too many names and versions")?, progress });
        self.numbers.insert(text, number);
        Ok(Some(number))
    }

    pub fn get(&self, number: u32) -> Option<&Orders> {
        self.orders.get(number as usize)
    }

    pub fn all(&self) -> &[Orders] {
        &self.orders
    }

    /// A host stands no longer there, or stands here from now on.
    pub fn moved(&mut self, left: Option<(u32, Standing)>, reached: (u32, Standing), now_ms: u64) {
        if let Some((number, standing)) = left
            && let Some(orders) = self.orders.get_mut(number as usize)
        {
            *orders.progress.count(standing) -= 1;
        }
        if let Some(orders) = self.orders.get_mut(reached.0 as usize) {
            *orders.progress.count(reached.1) += 1;
            orders.progress.told += u32::from(left.is_none_or(|(number, _)| number != reached.0));
            if reached.1 != Standing::UnderWay && left != Some(reached) {
                orders.progress.settled_ms = now_ms;
            }
        }
    }
}

impl Progress {
    fn count(&mut self, standing: Standing) -> &mut u32 {
        match standing {
            Standing::UnderWay => &mut self.under_way,
            Standing::AsWanted => &mut self.as_wanted,
            Standing::Failed => &mut self.failed,
            Standing::Vanished => &mut self.vanished,
        }
    }

    /// Hosts that still speak.
    pub fn living(&self) -> u32 {
        self.under_way + self.as_wanted + self.failed
    }
}

fn order(desired: &DesiredAgent, words: &mut Words) -> Option<Order> {
    let wanted = match (&desired.cmd, &desired.version) {
        (Cmd::Start, Ok(version)) => Wanted::Started(words.word(version.as_str())?),
        (Cmd::Stop, _) => Wanted::Stopped,
        (Cmd::Uninstall, _) => Wanted::Uninstalled,
        _ => Wanted::LeftAlone,
    };
    Some(Order {
        name: words.word(desired.name.as_str())?,
        wanted,
        trial_secs: desired.trial_secs,
        rollout: desired.rollout,
        sha256: desired.sha256.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_was_told_whatever_it_is_told_after_that() {
        let nothing = || Orders { agents: Vec::new(), progress: Progress::default() };
        let mut book = Book { orders: vec![nothing(), nothing()], ..Book::default() };
        book.moved(None, (0, Standing::UnderWay), 1);
        book.moved(Some((0, Standing::UnderWay)), (0, Standing::AsWanted), 2);
        book.moved(Some((0, Standing::AsWanted)), (1, Standing::UnderWay), 3);
        let told: Vec<(u32, u32)> =
            book.all().iter().map(|it| (it.progress.told, it.progress.living())).collect();
        assert_eq!(told, [(1, 0), (1, 1)]);
    }
}
