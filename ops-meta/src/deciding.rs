//! What hosts are told, and how that changes: one change after the other, each tried on all hosts before it is written.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit};
use tokio::time::timeout;

use crate::clock::now_ms;
use crate::current::{Current, Numbers};
use crate::desired::Standing;
use crate::domain::compile::Compiled;
use crate::domain::desired::{Desired, Difference, Document, Fault, differences};
use crate::domain::freeze::Freeze;
use crate::domain::package::Build;
use crate::domain::precedence::Rules;
use crate::domain::rollout::{Active, Gates};
use crate::meant_hosts::NotMeant;
use crate::rollouts::Rollouts;
use crate::running::{App, Running};
use crate::simulation::{self, Simulated};
use crate::stocked;
use crate::store::{Actor, Change, StoreError};

/// How long a change waits for others.
const WAIT: Duration = Duration::from_secs(5);
/// Of a change that touches so few hosts, whatever their share is, nobody has to say twice that it is meant.
const CONFIRM_ABOVE_HOSTS: usize = 10;

/// What is in force.
pub struct Deciding {
    current: ArcSwap<Current>,
    standing: ArcSwap<Standing>,
    rollouts: ArcSwap<Rollouts>,
    freezes: ArcSwap<Arc<[Freeze]>>,
    numbers: Arc<Numbers>,
    /// The packages of this server, where it is clear how hosts reach it.
    own_url: OnceLock<String>,
    turn: Mutex<()>,
}

/// How a change is meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meant {
    /// Only to see what it would do.
    pub dry_run: bool,
    /// Whatever it does.
    pub confirmed: bool,
}

/// What became of a change.
pub struct Edited {
    pub generation: u64,
    pub differences: Vec<Difference>,
    pub simulated: Simulated,
    /// Why somebody should say that it is meant.
    pub unconfirmed: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug)]
pub enum NotEdited {
    /// cfg.json decides.
    FileDecides,
    Faults(Vec<Fault>),
    /// It is so already, or comes by this rollout.
    Already(String, Option<u64>),
    /// There is no such object.
    Missing(String),
    /// Others need what is to be deleted.
    InUse(String),
    /// It is not what whoever changes it has seen.
    Stale(String),
    /// Somebody froze what it would change.
    Frozen(Box<Simulated>, String),
    /// A host would not do it at once: in a word, and why.
    Rejected(&'static str, String),
    /// It would do this, which nobody has said is meant.
    Unconfirmed(Box<Simulated>, String),
    Store(StoreError),
    BrokenOff,
}

impl Deciding {
    pub fn new(standing: Standing, rollouts: Rollouts, freezes: Vec<Freeze>) -> Self {
        let numbers = Arc::default();
        Self {
            current: ArcSwap::from_pointee(Current::of_file(&[], 0, &numbers)),
            standing: ArcSwap::from_pointee(standing),
            rollouts: ArcSwap::from_pointee(rollouts),
            freezes: ArcSwap::from_pointee(freezes.into()),
            numbers,
            own_url: OnceLock::new(),
            turn: Mutex::default(),
        }
    }

    /// For whoever waits as long as it takes.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// For whoever cannot wait for ever.
    pub async fn turn_in_time(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let why = || StoreError::Away("other changes of what should run wait for it as well".to_owned());
        timeout(WAIT, self.turn.lock()).await.map_err(|_| why())
    }
}

impl App {
    pub fn current(&self) -> Guard<Arc<Current>> {
        self.deciding.current.load()
    }

    /// Groups, policies, lists and settings, also while cfg.json decides.
    pub fn standing(&self) -> Guard<Arc<Standing>> {
        self.deciding.standing.load()
    }

    /// Rollouts that tell hosts something, or will.
    pub fn rollouts(&self) -> Guard<Arc<Rollouts>> {
        self.deciding.rollouts.load()
    }

    pub fn freezes(&self) -> Arc<[Freeze]> {
        self.deciding.freezes.load().as_ref().clone()
    }

    /// The right to look at every host.
    pub async fn look_in_time(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let why = || StoreError::Away("lists of all hosts are being made".to_owned());
        let look = timeout(WAIT, self.scans.clone().acquire_owned()).await;
        look.ok().and_then(Result::ok).ok_or_else(why)
    }

    /// What is in the database is in force; by whoever has the turn, as those below.
    pub fn keep_rollouts(&self, rollouts: Rollouts) {
        self.deciding.rollouts.store(Arc::new(rollouts));
    }

    pub fn keep_standing(&self, standing: Standing) {
        self.deciding.standing.store(Arc::new(standing));
    }

    pub fn keep_freezes(&self, freezes: Arc<[Freeze]>) {
        self.deciding.freezes.store(Arc::new(freezes));
    }

    pub fn keep_current(&self, current: Current) {
        self.deciding.current.store(Arc::new(current));
    }

    /// Works out anew what hosts are told.
    pub fn decide(&self, running: &Running, generation: u64) {
        let policies = &running.config.policies;
        match policies.is_empty() {
            true => {
                let compiled = self.compiled(&self.standing().desired);
                self.decide_by(compiled, &self.rollouts(), generation);
            }
            false => self.keep_current(Current::of_file(policies, generation, &self.deciding.numbers)),
        }
    }

    fn decide_by(&self, compiled: Compiled, rollouts: &Rollouts, generation: u64) {
        let (numbers, before, gates) = (&self.deciding.numbers, self.current(), self.gates(&compiled));
        let rollouts = rollouts.rollouts();
        self.keep_current(Current::of_rules(compiled, rollouts, gates, generation, numbers, &before));
    }

    pub fn try_out(&self, compiled: Compiled, rollouts: &Rollouts) -> Current {
        let before = self.current();
        // Numbers of its own: nobody remembers these answers.
        let (numbers, gates) = (Arc::default(), self.gates(&compiled));
        Current::of_rules(compiled, rollouts.rollouts(), gates, before.generation, &numbers, &before)
            .tried_out()
    }

    /// What keeps hosts from beginning now.
    pub fn gates(&self, compiled: &Compiled) -> Gates {
        Gates::at(now_ms(), self.freezes(), compiled.rules.groups())
    }

    pub fn compiled(&self, desired: &Desired) -> Compiled {
        let (agents, rollouts) = (desired.rules().agents(), self.rollouts());
        let shelf = stocked::shelf(&self.packages, |name| agents.contains(name) || rollouts.are_of(name));
        Compiled { rules: self.rules(desired), shelf, packages_url: self.packages_url(desired) }
    }

    /// With frozen groups, which make a difference though no policy may be for them.
    pub fn rules(&self, desired: &Desired) -> Arc<Rules> {
        let freezes = self.freezes();
        let mut frozen = freezes.iter().filter_map(|it| it.of.as_group()).peekable();
        match frozen.peek() {
            Some(_) => Arc::new(desired.rules().freezing(frozen)),
            None => desired.rules().clone(),
        }
    }

    /// Where hosts fetch what no policy names a tarball for.
    pub fn packages_url(&self, desired: &Desired) -> Option<String> {
        let own = || self.deciding.own_url.get().cloned();
        desired.document().settings.packages_url.clone().or_else(own)
    }

    /// This server is reached here, unless it listens everywhere.
    pub fn is_reached_at(&self, address: SocketAddr) {
        if address.ip().is_unspecified() {
            return;
        }
        let running = self.running();
        let scheme = if running.config.tls.is_some() { "https" } else { "http" };
        let _ = self.deciding.own_url.set(format!("{scheme}://{address}/packages"));
        self.decide(&running, self.current().generation);
    }

    /// A package came, went or is told otherwise: where it is ordered, hosts are told of it as it is now.
    pub async fn package_changed(&self, build: &Build) {
        let _turn = self.deciding.turn().await;
        let Build { name, version, .. } = build;
        let current = self.current().clone();
        let by_rollout = |it: &Active| it.orders(name, version);
        let ordered = current.rules().is_some_and(|it| it.rules.orders(name, version));
        if ordered || current.active().iter().any(by_rollout) {
            // A database that has just gone away does not keep hosts from hearing of it.
            let generation = self.store.generation().await.unwrap_or(self.current().generation);
            self.decide(&self.running(), generation);
        }
    }

    /// Changes what should run where: `change` makes the new document from what is in force. Not to be broken off.
    pub async fn edit(
        self: Arc<Self>,
        actor: Actor,
        meant: Meant,
        change: impl FnOnce(&Standing) -> Result<Document, NotEdited> + Send + 'static,
    ) -> Result<Edited, NotEdited> {
        // Whoever only looks is in nobody's way.
        let _turn = if meant.dry_run { None } else { Some(self.deciding.turn_in_time().await?) };
        let look = self.look_in_time().await?;
        let (this, standing) = (self.clone(), self.standing().clone());
        // Much may have to be read, compiled and asked: beats do not wait for it.
        let trying = tokio::task::spawn_blocking(move || {
            let _look = look;
            this.tried(&standing, meant, change).map(|tried| (standing, tried))
        });
        let (standing, tried) = trying.await.map_err(|_| NotEdited::BrokenOff)??;
        let Tried { desired, compiled, rollouts, ended, differences, simulated, unconfirmed } = tried;
        if meant.dry_run || differences.is_empty() {
            let generation = standing.generation;
            return Ok(Edited { generation, differences, simulated, unconfirmed });
        }
        if let Some(why) = simulated.frozen() {
            return Err(NotEdited::Frozen(Box::new(simulated), why));
        }
        if let Some(why) = unconfirmed.as_ref().filter(|_| !meant.confirmed) {
            return Err(NotEdited::Unconfirmed(Box::new(simulated), why.clone()));
        }
        let change = Change::Desired { differences: differences.clone(), ended };
        let generation = self.store.change(actor, change).await?.generation;
        self.keep_standing(standing.after(desired, &differences, generation));
        self.decide_by(compiled, &rollouts, generation);
        self.keep_rollouts(rollouts);
        Ok(Edited { generation, differences, simulated, unconfirmed })
    }

    /// What a change would do. Blocks for as long as it takes to ask every host.
    fn tried(
        &self,
        standing: &Standing,
        meant: Meant,
        change: impl FnOnce(&Standing) -> Result<Document, NotEdited>,
    ) -> Result<Tried, NotEdited> {
        let before = self.current().clone();
        if before.rules().is_none() && !meant.dry_run {
            return Err(NotEdited::FileDecides);
        }
        let (desired, places) =
            Desired::check(change(standing)?, &standing.desired).map_err(NotEdited::Faults)?;
        let Stocked { differences, compiled, warnings } =
            self.stocked(standing, &desired, &places).map_err(NotEdited::Faults)?;
        self.spares_frozen(&desired)?;
        let (rollouts, ended) = self.rollouts().after(&differences, &desired).map_err(NotEdited::InUse)?;
        let after = self.try_out(compiled.clone(), &rollouts);
        let written = differences.iter().filter(|it| it.after.is_some());
        let groups = written.filter_map(|it| desired.rules().group_called(it.object.as_group()?));
        let simulated = simulation::simulate(&self.fleet, &before, &after, groups, warnings);
        let unconfirmed = unconfirmed(&simulated, standing.desired.confirm_above_percent());
        Ok(Tried { desired, compiled, rollouts, ended, differences, simulated, unconfirmed })
    }

    /// A freeze is of a group that is there.
    fn spares_frozen(&self, desired: &Desired) -> Result<(), NotEdited> {
        let freezes = self.freezes();
        let is_gone =
            |it: &&Freeze| it.of.as_group().is_some_and(|name| desired.rules().group_called(name).is_none());
        match freezes.iter().find(is_gone) {
            Some(freeze) => {
                Err(NotEdited::InUse(format!("the group cannot be deleted, since {freeze}; end that first")))
            }
            None => Ok(()),
        }
    }

    /// What differs from what is in force, where hosts can fetch what it names. `places`: of each policy, in what was
    /// written.
    pub fn stocked(
        &self,
        standing: &Standing,
        desired: &Desired,
        places: &[usize],
    ) -> Result<Stocked, Vec<Fault>> {
        let differences = differences(standing.desired.document(), desired.document());
        let compiled = self.compiled(desired);
        stocked::check(desired.document(), places, &differences, &compiled, &self.packages)?;
        let warnings = stocked::warnings(&differences, &compiled);
        Ok(Stocked { differences, compiled, warnings })
    }
}

/// A change that hosts can follow, as far as packages go.
pub struct Stocked {
    pub differences: Vec<Difference>,
    pub compiled: Compiled,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// A change that was tried on every host.
struct Tried {
    desired: Desired,
    compiled: Compiled,
    rollouts: Rollouts,
    /// Of those that were stopped.
    ended: Vec<u64>,
    differences: Vec<Difference>,
    simulated: Simulated,
    unconfirmed: Option<String>,
}

/// Why somebody should look at it first.
fn unconfirmed(simulated: &Simulated, percent: u8) -> Option<String> {
    let Simulated { hosts, changed, withheld, .. } = simulated;
    let share = 100 * changed > usize::from(percent) * hosts;
    if share && *changed > CONFIRM_ABOVE_HOSTS {
        return Some(format!(
            "this changes what {changed} of {hosts} hosts are told, and that is more than {percent} % \
             (`confirmAbovePercent`)"
        ));
    }
    let first = withheld.first()?;
    let hosts = if first.hosts == 1 { "1 host".to_owned() } else { format!("{} hosts", first.hosts) };
    Some(format!("{hosts} would not be told to run {} {}: {}", first.agent, first.version, first.why))
}

impl From<NotMeant> for NotEdited {
    fn from(why: NotMeant) -> Self {
        match why {
            NotMeant::Field(field, why) => Self::Faults(vec![Fault { path: field.to_owned(), why }]),
            NotMeant::Store(why) => Self::Store(why),
            NotMeant::BrokenOff => Self::BrokenOff,
        }
    }
}

impl From<StoreError> for NotEdited {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl fmt::Display for NotEdited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileDecides => f.write_str(
                "the cfg.json of this ops-meta has `agents`, and so it alone says what should run: change it there and \
                 reload; or keep a copy, make its `agents` empty, reload, and say `ops-meta import cfg.json` of the copy \
                 (with --dry-run before)",
            ),
            Self::Faults(faults) => match faults.as_slice() {
                [one] => one.fmt(f),
                several => write!(f, "{} things are wrong", several.len()),
            },
            Self::Already(what, _) => f.write_str(what),
            Self::Missing(what) => write!(f, "there is no {what}"),
            Self::InUse(why) | Self::Stale(why) => f.write_str(why),
            Self::Rejected(_, why) => write!(
                f,
                "rejected: {why}; with `--force` (`force`) it is begun all the same, and waits where it has to"
            ),
            Self::Frozen(_, why) => write!(
                f,
                "{why}; nothing was changed: wait until the freeze is over, or end it (`ops-meta freeze end ID`)"
            ),
            Self::Unconfirmed(_, why) => write!(
                f,
                "{why}; nothing was changed: look at it with a dry run, then say that it is meant (`--confirm`, \
                 `?confirm=true`)"
            ),
            Self::Store(why) => why.fmt(f),
            Self::BrokenOff => f.write_str("trying it on all hosts was broken off; nothing was changed"),
        }
    }
}
