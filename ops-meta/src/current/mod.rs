//! The compiled answer: what a beat gets, as prepared bytes. Made anew after each change and swapped whole.

mod kept;
mod of;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use ops_wire::{Cmd, DesiredAgent};

use crate::domain::Prefixes;
use crate::domain::compile::{Compiled, Ordered};
use crate::domain::policy2015::{self, Policy};
use crate::domain::precedence::{Carry, Decision, Field, Rules};
use crate::domain::rollout::{Active, Gates, Progress, Rollout, Says};
use crate::domain::selector::HostFacts;
use crate::remembered::Remembered;
pub use kept::Numbers;
use kept::{Answered, KEPT_BYTES_MAX, KEPT_MAX, Kept};
pub use of::Of;
pub use wanted::Wanted;

/// The answer to every host, of one generation.
pub struct Current {
    pub generation: u64,
    source: Arc<Source>,
    /// Rollouts that tell hosts something, by their ids.
    active: Box<[Active]>,
    /// Hosts that some of them name.
    named: Arc<HashSet<Box<str>>>,
    /// What keeps hosts from beginning.
    gates: Arc<Gates>,
    kept: Arc<Kept>,
    carried: Option<Arc<Carried>>,
    /// Whether policies decide here, or did: a host for which nothing is left of them has to hear that.
    decides: bool,
    /// Nobody is told this, and no host remembers its answers.
    is_tried_out: bool,
}

/// Who decides.
enum Source {
    /// cfg.json, in the way of 2015.
    File(Prefixes<Arc<Base>>),
    Rules(Box<Compiled>),
}

/// What hosts of one kind have in common.
pub struct Base {
    kind: Kind,
    /// By policies alone.
    wanted: Arc<Wanted>,
    /// The rollouts that would change it.
    of: Box<[Of]>,
    /// By the rollouts that tell.
    variants: RwLock<HashMap<Box<[usize]>, Arc<Wanted>>>,
}

/// What hosts say of an agent.
pub type Reports<'a> = &'a dyn Fn(&str) -> Option<Says<'a>>;

/// What was worked out for the generation before: of a host that was answered then, only what has changed is asked.
struct Carried {
    kept: Arc<Kept>,
    carry: Carry,
    /// By the number before, and the groups that had to be asked and have the host.
    answers: RwLock<HashMap<Before, Answered>>,
}

type Before = (u32, Box<[u32]>);

/// Hosts of one kind get the same answer, unless a rollout tells some of them otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Kind {
    /// With policies, the strongest first.
    groups: Box<[u32]>,
    os: Box<str>,
    arch: Box<str>,
    /// Of a host with policies of its own.
    hostname: Option<Box<str>>,
}

impl Current {
    pub fn of_file(policies: &[Policy], generation: u64, numbers: &Arc<Numbers>) -> Self {
        let desired = policy2015::compile(policies);
        let base = |agents: &Vec<DesiredAgent>| {
            Base::alone(Kind::default(), Wanted::prepared(agents.clone(), Vec::new(), generation).into())
        };
        let bases = desired.iter().map(|(prefix, agents)| (prefix.into(), base(agents))).collect();
        Self {
            generation,
            source: Arc::new(Source::File(bases)),
            active: Box::default(),
            named: Arc::default(),
            gates: Arc::default(),
            kept: Kept::new(numbers),
            carried: None,
            decides: false,
            is_tried_out: false,
        }
    }

    /// `before`: what is in force, of which much may stay as it is.
    pub fn of_rules(
        compiled: Compiled,
        rollouts: impl IntoIterator<Item = Rollout>,
        gates: Gates,
        generation: u64,
        numbers: &Arc<Numbers>,
        before: &Self,
    ) -> Self {
        // Where builds are for other machines than before, hosts of one kind may be of several now.
        let alike = before.rules().filter(|rules| rules.shelf.knows_the_same_words(&compiled.shelf));
        let carried = alike.map(|rules| {
            Arc::new(Carried {
                kept: before.kept.clone(),
                carry: Carry::new(&rules.rules, &compiled.rules),
                answers: RwLock::default(),
            })
        });
        let decides = before.decides || compiled.rules.policies().next().is_some();
        let active: Box<[Active]> =
            rollouts.into_iter().filter_map(|it| Active::of(it, &compiled.rules)).collect();
        let named = Arc::new(active.iter().flat_map(Active::named).map(Into::into).collect());
        let (source, kept) = (Arc::new(Source::Rules(Box::new(compiled))), Kept::new(numbers));
        let gates = Arc::new(gates);
        Self { generation, source, active, named, gates, kept, carried, decides, is_tried_out: false }
    }

    /// Only to be looked at.
    pub fn tried_out(self) -> Self {
        Self { is_tried_out: true, ..self }
    }

    /// After a step of one rollout, which tells the same to others: every answer stays as it is, and so does what hosts
    /// remember of it.
    pub fn after_step(&self, id: u64, progress: &Progress, generation: u64) -> Self {
        let mut active = self.active.clone();
        if let Some(it) = active.iter_mut().find(|it| it.rollout.id == id) {
            it.rollout.progress = progress.clone();
        }
        Self { generation, active, ..self.again() }
    }

    /// When a window opened or closed; the same counts for it.
    pub fn after_gates(&self, gates: Gates) -> Self {
        Self { gates: Arc::new(gates), ..self.again() }
    }

    fn again(&self) -> Self {
        let Self { generation, source, active, named, gates, kept, carried, decides, is_tried_out } = self;
        Self {
            generation: *generation,
            source: source.clone(),
            active: active.clone(),
            named: named.clone(),
            gates: gates.clone(),
            kept: kept.clone(),
            carried: carried.clone(),
            decides: *decides,
            is_tried_out: *is_tried_out,
        }
    }

    /// `None`: cfg.json decides.
    pub fn rules(&self) -> Option<&Compiled> {
        match &*self.source {
            Source::File(_) => None,
            Source::Rules(compiled) => Some(compiled),
        }
    }

    pub fn active(&self) -> &[Active] {
        &self.active
    }

    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// What is wanted of a host that is not known.
    pub fn wanted(&self, host: &HostFacts<'_>, reports: Reports<'_>) -> Arc<Wanted> {
        self.told(&self.look(host).1, host, reports)
    }

    /// The same of one that is: what was looked for once is remembered as long as the host stays what it is.
    pub fn wanted_of(
        &self,
        host: &HostFacts<'_>,
        remembered: &Remembered,
        reports: Reports<'_>,
    ) -> Arc<Wanted> {
        self.told(&self.base_of(host, remembered), host, reports)
    }

    /// What a host is told now, known or not.
    pub fn told_now(
        &self,
        host: &HostFacts<'_>,
        remembered: Option<&Remembered>,
        reports: Reports<'_>,
    ) -> Arc<Wanted> {
        let base = remembered.map_or_else(|| self.look(host).1, |it| self.base_of(host, it));
        self.told(&base, host, reports).where_it_runs(reports, |agent| self.goes_back(&base, agent))
    }

    /// What a host has in common with others of its kind.
    pub fn base_of(&self, host: &HostFacts<'_>, remembered: &Remembered) -> Arc<Base> {
        if self.is_tried_out {
            return self.base_instead(host, remembered);
        }
        if let Some(base) = self.kept.get(remembered.get()) {
            return base;
        }
        let (number, base) = self.carried_over(host, remembered.get()).unwrap_or_else(|| self.look(host));
        remembered.set(number);
        base
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
        Wanted::prepared(reported.filter_map(left_alone).collect(), Vec::new(), self.generation).answer
    }

    /// What would be wanted of a host that is answered by another generation now.
    pub fn wanted_instead(
        &self,
        host: &HostFacts<'_>,
        remembered: &Remembered,
        reports: Reports<'_>,
    ) -> Arc<Wanted> {
        self.told(&self.base_instead(host, remembered), host, reports)
    }

    /// The same, of what it would have in common with others.
    pub fn base_instead(&self, host: &HostFacts<'_>, remembered: &Remembered) -> Arc<Base> {
        self.carried_over(host, remembered.get()).unwrap_or_else(|| self.look(host)).1
    }

    /// What is decided of each agent of a host, rollouts included. `None`: cfg.json decides.
    pub fn ordered(&self, host: &HostFacts<'_>, reports: Reports<'_>) -> Option<Vec<Ordered<'_>>> {
        let compiled = self.rules()?;
        let (_, base) = self.look(host);
        // As it says what it is, rather than as packages make a difference.
        let kind = Kind { os: host.os.into(), arch: host.arch.into(), ..base.kind.clone() };
        let mut ordered = self.ordered_of(compiled, &kind, &self.telling(&base, host, reports));
        let real = |agent: &str| reports(agent).map(|it| it.real);
        for Ordered { decision, told, needs } in &mut ordered {
            let waits = needs.as_ref().filter(|_| told.is_ok() && !self.goes_back(&base, decision.agent));
            if let Some(why) = waits.and_then(|it| it.unmet(real)) {
                *told = Err(why);
            }
        }
        Some(ordered)
    }

    /// Of a host that remembers an answer of the generation before.
    fn carried_over(&self, host: &HostFacts<'_>, number: u32) -> Option<Answered> {
        let (carried, compiled) = self.carried.as_ref().zip(self.rules())?;
        let before = carried.kept.get(number)?;
        let (kind, rules) = (&before.kind, &compiled.rules);
        if kind.hostname.is_some() || self.has_own(rules, host.hostname) {
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
        let answered = self.of_kind(compiled, kind);
        let mut answers = carried.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() < KEPT_MAX {
            answers.insert(key, answered.clone());
        }
        Some(answered)
    }

    fn look(&self, host: &HostFacts<'_>) -> Answered {
        match &*self.source {
            Source::File(prefixes) => match prefixes.find(host.hostname) {
                Some(base) => (0, base.clone()),
                // There is one for the empty prefix.
                None => {
                    let nothing = Wanted::prepared(Vec::new(), Vec::new(), self.generation);
                    (0, Base::alone(Kind::default(), nothing.into()))
                }
            },
            Source::Rules(compiled) => self.look_in(compiled, host),
        }
    }

    fn look_in(&self, compiled: &Compiled, host: &HostFacts<'_>) -> Answered {
        let rules = &compiled.rules;
        let mut groups = Vec::new();
        rules.deciding_groups(host, &mut groups);
        let own = self.has_own(rules, host.hostname).then(|| host.hostname.into());
        // What no build is for makes no difference, and hosts may say anything.
        let (os, arch) = compiled.shelf.known_words(host.os, host.arch);
        let (os, arch) = (os.into(), arch.into());
        self.of_kind(compiled, Kind { groups: groups.into(), os, arch, hostname: own })
    }

    /// Whether some policy is for this host alone, or will be.
    fn has_own(&self, rules: &Rules, hostname: &str) -> bool {
        rules.has_own(hostname) || self.named.contains(hostname)
    }

    fn of_kind(&self, compiled: &Compiled, kind: Kind) -> Answered {
        if let Some(known) = self.kept.of_kind(&kind) {
            return known;
        }
        let ordered = self.ordered_of(compiled, &kind, &[]);
        let of = (0..self.active.len()).filter_map(|active| self.of(compiled, &kind, &ordered, active));
        let mut of: Vec<Of> = of.collect();
        // Of two that came to be of one agent on one host, the later one has to wait: by both it would be moved to and fro.
        let mut agents = HashSet::new();
        of.retain(|it| agents.insert(it.target.name.clone()));
        let of = of.into();
        let wanted = Wanted::of(ordered, self.generation);
        self.kept.keep(Arc::new(Base { kind, wanted, of, variants: RwLock::default() }))
    }

    /// What hosts of this kind are told of each agent where these rollouts tell.
    fn ordered_of<'a>(&'a self, compiled: &'a Compiled, kind: &Kind, telling: &[usize]) -> Vec<Ordered<'a>> {
        let telling: Vec<&Active> = telling.iter().filter_map(|&active| self.active.get(active)).collect();
        let hostname = kind.hostname.as_deref().unwrap_or_default();
        let policies: Vec<_> = telling.iter().filter_map(|it| it.policy(hostname)).collect();
        let decisions = compiled.rules.decide_with(&kind.groups, hostname, &policies);
        let mut ordered = compiled.ordered_of(decisions, &kind.os, &kind.arch);
        for Ordered { decision, told, .. } in &mut ordered {
            let Ok(told) = told else { continue };
            told.rollout = telling.iter().find(|it| gives(it, decision)).map(|it| it.rollout.id);
        }
        ordered
    }

    fn told(&self, base: &Base, host: &HostFacts<'_>, reports: Reports<'_>) -> Arc<Wanted> {
        let telling = if base.of.is_empty() { Vec::new() } else { self.telling(base, host, reports) };
        match (telling.as_slice(), self.rules()) {
            ([], _) | (_, None) => base.wanted.clone(),
            (telling, Some(compiled)) => self.variant(compiled, base, telling),
        }
    }

    fn variant(&self, compiled: &Compiled, base: &Base, telling: &[usize]) -> Arc<Wanted> {
        let known = base.variants.read().unwrap_or_else(PoisonError::into_inner).get(telling).cloned();
        if let Some(known) = known {
            return known;
        }
        let wanted = Wanted::of(self.ordered_of(compiled, &base.kind, telling), self.generation);
        let taken = self.kept.variants_bytes.fetch_add(wanted.answer.len(), Ordering::Relaxed);
        if taken > KEPT_BYTES_MAX {
            return wanted;
        }
        let mut variants = base.variants.write().unwrap_or_else(PoisonError::into_inner);
        // Another may have worked it out meanwhile; it is the same.
        variants.entry(telling.into()).or_insert(wanted).clone()
    }
}

/// Whether what is decided is decided by this rollout.
fn gives(active: &Active, decision: &Decision<'_>) -> bool {
    let target = &active.rollout.plan.target;
    let field = if target.version.is_some() { Field::Version } else { Field::Cmd };
    decision.givers.get(&field).is_some_and(|giver| active.becomes(giver))
}

impl Base {
    /// No rollout is of these hosts.
    fn alone(kind: Kind, wanted: Arc<Wanted>) -> Arc<Self> {
        Arc::new(Self { kind, wanted, of: Box::default(), variants: RwLock::default() })
    }

    /// The rollouts that would change what its hosts are told.
    pub fn of(&self) -> &[Of] {
        &self.of
    }
}
