//! The compiled answer: what a beat gets, as prepared bytes. Made anew after each change and swapped whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use ops_wire::{AgentName, Answer, Cmd, DesiredAgent};

use crate::domain::Prefixes;
use crate::domain::compile::{Compiled, Ordered, Withheld};
use crate::domain::policy2015::{self, Policy};
use crate::domain::precedence::Carry;
use crate::domain::selector::HostFacts;
use crate::remembered::Remembered;

/// Answers that are kept prepared; hosts of whom there are more kinds are answered one by one.
const KEPT_MAX: usize = 65_536;
const KEPT_BYTES_MAX: usize = 128 << 20;

/// The answer to every host, of one generation.
pub struct Current {
    pub generation: u64,
    source: Source,
    kept: Arc<Kept>,
    carried: Option<Carried>,
    /// Whether policies decide here, or did: a host for which nothing is left of them has to hear that.
    decides: bool,
}

/// Who decides.
enum Source {
    /// cfg.json, in the way of 2015.
    File(Prefixes<Arc<Wanted>>),
    Rules(Box<Compiled>),
}

/// What is wanted of hosts that get the same answer.
#[derive(Debug)]
pub struct Wanted {
    pub agents: Vec<DesiredAgent>,
    /// What was decided, too, and is not told.
    pub withheld: Vec<(AgentName, Withheld)>,
    /// The body of the answer; cheap to clone.
    pub answer: Bytes,
}

/// Answers that were worked out.
struct Kept {
    /// Gives numbers to them.
    numbers: Arc<Numbers>,
    /// The first number of this generation.
    first: u32,
    answers: RwLock<Answers>,
}

#[derive(Default)]
struct Answers {
    /// By their numbers.
    all: Vec<(Arc<Kind>, Arc<Wanted>)>,
    by_kind: HashMap<Arc<Kind>, Answered>,
    /// Of all bodies; what they were made of takes two or three times as much.
    bytes: usize,
}

/// What was worked out for the generation before: of a host that was answered then, only what has changed is asked.
struct Carried {
    kept: Arc<Kept>,
    carry: Carry,
    /// By the number before, and the groups that had to be asked and have the host.
    answers: RwLock<HashMap<Before, Answered>>,
}

type Before = (u32, Box<[u32]>);

/// Hosts of one kind get the same answer.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    /// With policies, the strongest first.
    groups: Box<[u32]>,
    os: Box<str>,
    arch: Box<str>,
    /// Of a host with policies of its own.
    hostname: Option<Box<str>>,
}

/// Numbers of answers, never the same twice: whoever remembers one from an earlier generation knows it by that.
pub struct Numbers(Mutex<Next>);

struct Next {
    /// The first number of the newest generation; older ones get no more.
    first: u32,
    next: u32,
}

type Answered = (u32, Arc<Wanted>);

impl Current {
    pub fn of_file(policies: &[Policy], generation: u64, numbers: &Arc<Numbers>) -> Self {
        let desired = policy2015::compile(policies);
        let wanted = |agents: &Vec<DesiredAgent>| Wanted::prepared(agents.clone(), Vec::new(), generation);
        let wanted = desired.iter().map(|(prefix, agents)| (prefix.into(), wanted(agents))).collect();
        Self {
            generation,
            source: Source::File(wanted),
            kept: Kept::new(numbers),
            carried: None,
            decides: false,
        }
    }

    /// `before`: what is in force, of which much may stay as it is.
    pub fn of_rules(compiled: Compiled, generation: u64, numbers: &Arc<Numbers>, before: &Self) -> Self {
        // Where builds are for other machines than before, hosts of one kind may be of several now.
        let alike = before.rules().filter(|rules| rules.shelf.knows_the_same_words(&compiled.shelf));
        let carried = alike.map(|rules| Carried {
            kept: before.kept.clone(),
            carry: Carry::new(&rules.rules, &compiled.rules),
            answers: RwLock::default(),
        });
        let decides = before.decides || compiled.rules.policies().next().is_some();
        let (source, kept) = (Source::Rules(Box::new(compiled)), Kept::new(numbers));
        Self { generation, source, kept, carried, decides }
    }

    /// `None`: cfg.json decides.
    pub fn rules(&self) -> Option<&Compiled> {
        match &self.source {
            Source::File(_) => None,
            Source::Rules(compiled) => Some(compiled),
        }
    }

    /// What is wanted of a host that is not known.
    pub fn wanted(&self, host: &HostFacts<'_>) -> Arc<Wanted> {
        self.look(host).1
    }

    /// The same of one that is: what was looked for once is remembered as long as the host stays what it is.
    pub fn wanted_of(&self, host: &HostFacts<'_>, remembered: &Remembered) -> Arc<Wanted> {
        if let Some((_, wanted)) = self.kept.get(remembered.get()) {
            return wanted;
        }
        let (number, wanted) = self.carried_over(host, remembered.get()).unwrap_or_else(|| self.look(host));
        remembered.set(number);
        wanted
    }

    /// The body of the answer to a host that reports these agents. An empty list would mean "no change", and the host go
    /// on with orders that are none any more: where nothing is wanted of it, it is told to leave each agent alone.
    pub fn answer_to<'a>(&self, wanted: &Wanted, reported: impl Iterator<Item = &'a str>) -> Bytes {
        if !self.decides || !wanted.agents.is_empty() {
            return wanted.answer.clone();
        }
        let left_alone = |name: &str| {
            let version = Err("there is none".to_owned());
            Some(DesiredAgent::with_any_version(name.parse().ok()?, version, String::new(), Cmd::Blank))
        };
        Wanted::prepared(reported.filter_map(left_alone).collect(), Vec::new(), self.generation)
            .answer
            .clone()
    }

    /// What would be wanted of a host that is answered by another generation now.
    pub fn wanted_instead(&self, host: &HostFacts<'_>, remembered: &Remembered) -> Arc<Wanted> {
        self.carried_over(host, remembered.get()).unwrap_or_else(|| self.look(host)).1
    }

    /// Of a host that remembers an answer of the generation before.
    fn carried_over(&self, host: &HostFacts<'_>, number: u32) -> Option<Answered> {
        let (carried, compiled) = self.carried.as_ref().zip(self.rules())?;
        let (kind, _) = carried.kept.get(number)?;
        let rules = &compiled.rules;
        if kind.hostname.is_some() || rules.has_own(host.hostname) {
            return None;
        }
        let mut asked = Vec::new();
        carried.carry.asked_of(host, rules, &mut asked);
        let key = (number, asked.into_boxed_slice());
        let known = carried.answers.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if known.is_some() {
            return known;
        }
        let groups = carried.carry.groups(&kind.groups, &key.1).into();
        let kind = Kind { groups, os: kind.os.clone(), arch: kind.arch.clone(), hostname: None };
        let answered = self.of_kind(compiled, kind, host.hostname);
        let mut answers = carried.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() < KEPT_MAX {
            answers.insert(key, answered.clone());
        }
        Some(answered)
    }

    fn look(&self, host: &HostFacts<'_>) -> Answered {
        match &self.source {
            Source::File(prefixes) => match prefixes.find(host.hostname) {
                Some(wanted) => (0, wanted.clone()),
                // There is one for the empty prefix.
                None => (0, Wanted::prepared(Vec::new(), Vec::new(), self.generation)),
            },
            Source::Rules(compiled) => self.look_in(compiled, host),
        }
    }

    fn look_in(&self, compiled: &Compiled, host: &HostFacts<'_>) -> Answered {
        let rules = &compiled.rules;
        let mut groups = Vec::new();
        rules.deciding_groups(host, &mut groups);
        let own = rules.has_own(host.hostname).then(|| host.hostname.into());
        // What no build is for makes no difference, and hosts may say anything.
        let (os, arch) = compiled.shelf.known_words(host.os, host.arch);
        let (os, arch) = (os.into(), arch.into());
        self.of_kind(compiled, Kind { groups: groups.into(), os, arch, hostname: own }, host.hostname)
    }

    fn of_kind(&self, compiled: &Compiled, kind: Kind, hostname: &str) -> Answered {
        if let Some(known) = self.kept.of_kind(&kind) {
            return known;
        }
        let decisions = compiled.rules.decide_in(&kind.groups, hostname);
        let ordered = compiled.ordered_of(decisions, &kind.os, &kind.arch);
        let (mut agents, mut withheld) = (Vec::new(), Vec::new());
        for Ordered { decision, told } in ordered {
            match told {
                Ok(agent) => agents.push(agent),
                Err(why) => withheld.push((decision.agent.clone(), why)),
            }
        }
        self.kept.keep(kind, Wanted::prepared(agents, withheld, self.generation))
    }
}

impl Wanted {
    fn prepared(
        agents: Vec<DesiredAgent>,
        withheld: Vec<(AgentName, Withheld)>,
        generation: u64,
    ) -> Arc<Self> {
        let answer = Answer { desired_agents: agents, generation: Some(generation), ..Answer::default() };
        // Nothing in it is what JSON has not; an empty object would mean "no change".
        let bytes = serde_json::to_vec(&answer).unwrap_or_else(|_| b"{}".to_vec()).into();
        Arc::new(Self { agents: answer.desired_agents, withheld, answer: bytes })
    }
}

impl Kept {
    fn new(numbers: &Arc<Numbers>) -> Arc<Self> {
        Arc::new(Self { numbers: numbers.clone(), first: numbers.begin(), answers: RwLock::default() })
    }

    fn get(&self, number: u32) -> Option<(Arc<Kind>, Arc<Wanted>)> {
        let index = number.checked_sub(self.first)?;
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.all.get(index as usize).cloned()
    }

    fn of_kind(&self, kind: &Kind) -> Option<Answered> {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).by_kind.get(kind).cloned()
    }

    /// Another may have worked it out meanwhile; it is the same.
    fn keep(&self, kind: Kind, wanted: Arc<Wanted>) -> Answered {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.by_kind.get(&kind) {
            return known.clone();
        }
        let has_room = answers.all.len() < KEPT_MAX && answers.bytes < KEPT_BYTES_MAX;
        let number = has_room.then(|| self.numbers.next(self.first)).flatten();
        let Some(number) = number else { return (0, wanted) };
        answers.bytes += wanted.answer.len();
        let kind = Arc::new(kind);
        answers.all.push((kind.clone(), wanted.clone()));
        answers.by_kind.insert(kind, (number, wanted.clone()));
        (number, wanted)
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self(Mutex::new(Next { first: 1, next: 1 }))
    }
}

impl Numbers {
    fn begin(&self) -> u32 {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A generation without an answer has a number, too: no two begin with the same.
        it.next = it.next.saturating_add(1);
        it.first = it.next;
        it.first
    }

    /// `None`: the generation is over, or there are no more numbers.
    fn next(&self, first: u32) -> Option<u32> {
        let mut it = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = it.next;
        it.next = (it.first == first).then(|| number.checked_add(1)).flatten()?;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::compile::Shelf;
    use crate::domain::desired::{Desired, Document};

    fn current(
        json: serde_json::Value,
        generation: u64,
        numbers: &Arc<Numbers>,
        before: &Current,
    ) -> Current {
        let document: Document = serde_json::from_value(json).unwrap();
        let rules = Desired::check(document, &Desired::default()).unwrap().0.rules().clone();
        let compiled = Compiled { rules, shelf: Shelf::default(), packages_url: None };
        Current::of_rules(compiled, generation, numbers, before)
    }

    fn rules(version: &str) -> serde_json::Value {
        serde_json::json!({"policies": [
            {"agent": "a", "version": version, "tarball": "http://t", "cmd": "start"},
            {"agent": "a", "host": "web-1", "cmd": "stop"},
        ]})
    }

    fn version(wanted: &Wanted) -> (String, u64) {
        let answer: Answer = serde_json::from_slice(&wanted.answer).unwrap();
        let agent = answer.desired_agents.first().unwrap();
        (format!("{} {}", agent.version.as_ref().unwrap(), agent.cmd.as_str()), answer.generation.unwrap())
    }

    /// Documents of few groups and policies, and hosts in all of them.
    fn any_document() -> impl Strategy<Value = serde_json::Value> {
        let select = prop::sample::select(
            &["all", "env=a", "env=b", "hostname=h1*", "hostname in @few", "os=linux"][..],
        );
        let groups = prop::collection::btree_map("[gh]", (select, -1..2_i32), 0..3);
        let policy =
            (prop::sample::select(&["a", "b"][..]), prop::sample::select(&["", "g", "h"][..]), "[12]");
        let few = prop::collection::vec("h[12]", 0..2);
        (groups, prop::collection::vec(policy, 0..4), few, any::<bool>()).prop_map(|(groups, policies, few, own)| {
            let exists = |group: &str| group.is_empty() || groups.contains_key(group);
            let mut all = BTreeMap::new();
            for (agent, group, version) in policies.iter().filter(|(_, group, _)| exists(group)) {
                let policy = serde_json::json!({"agent": agent, "group": group, "version": version, "cmd": "start"});
                all.insert((agent, group), policy);
            }
            let mut policies: Vec<_> = all.into_values().collect();
            if own {
                policies.push(serde_json::json!({"agent": "a", "host": "h1", "cmd": "stop"}));
            }
            let groups: BTreeMap<_, _> = groups
                .iter()
                .map(|(name, (select, priority))| (name, serde_json::json!({"select": select, "priority": priority})))
                .collect();
            serde_json::json!({"groups": groups, "lists": {"few": few}, "policies": policies})
        })
    }

    proptest! {
        /// Whatever was remembered, and however many generations ago.
        #[test]
        fn what_is_remembered_is_what_is_looked_for_anew(
            documents in prop::collection::vec(any_document(), 1..6),
            asked in prop::collection::vec((0..6_usize, 0..4_usize), 0..30),
        ) {
            let numbers = Arc::new(Numbers::default());
            let mut current = Current::of_file(&[], 0, &numbers);
            let hosts: Vec<_> = ["h1", "h2"].into_iter().flat_map(|name| ["a", "b"].map(|env| (name, env))).collect();
            let labels: Vec<_> =
                hosts.iter().map(|(_, env)| BTreeMap::from([("env".to_owned(), (*env).to_owned())])).collect();
            let remembered: Vec<_> = hosts.iter().map(|_| Remembered::default()).collect();
            for (n, document) in documents.iter().enumerate() {
                current = self::current(document.clone(), n as u64 + 1, &numbers, &current);
                for (_, host) in asked.iter().filter(|(generation, _)| *generation == n) {
                    let (hostname, labels) = (hosts[*host].0, &labels[*host]);
                    let facts = HostFacts { hostname, os: "linux", arch: "", ip: None, labels };
                    let (known, anew) = (current.wanted_of(&facts, &remembered[*host]), current.wanted(&facts));
                    prop_assert_eq!(&known.answer, &anew.answer);
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_counts_for_one_generation() {
        let numbers = Arc::new(Numbers::default());
        let labels = BTreeMap::new();
        let host = |hostname| HostFacts { hostname, os: "", arch: "", ip: None, labels: &labels };
        let (one, other) = (Remembered::default(), Remembered::default());
        let nothing = Current::of_file(&[], 0, &numbers);
        let first = current(rules("1"), 7, &numbers, &nothing);
        for _ in 0..2 {
            assert_eq!(version(&first.wanted_of(&host("web-2"), &one)), ("1 start".to_owned(), 7));
            assert_eq!(version(&first.wanted_of(&host("web-1"), &other)), ("1 stop".to_owned(), 7));
        }
        let kept = one.clone();
        let second = current(rules("2"), 8, &numbers, &first);
        for remembered in [&one, &kept] {
            assert_eq!(version(&second.wanted_of(&host("web-2"), remembered)), ("2 start".to_owned(), 8));
        }
        // The older one, still in somebody's hands, answers as before and is not remembered.
        let late = Remembered::default();
        assert_eq!(version(&first.wanted_of(&host("web-3"), &late)), ("1 start".to_owned(), 7));
        assert_eq!(version(&second.wanted_of(&host("web-3"), &late)), ("2 start".to_owned(), 8));
    }
}
