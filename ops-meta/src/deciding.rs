//! What hosts are told, and how that changes: one change after the other, each tried on all hosts before it is written.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::current::{Current, Numbers};
use crate::desired::Standing;
use crate::domain::compile::Compiled;
use crate::domain::desired::{Desired, Difference, Document, Fault, differences};
use crate::domain::package::Build;
use crate::domain::policy2015::Policy;
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
    /// There is no such object.
    Missing(String),
    /// Others need what is to be deleted.
    InUse(String),
    /// It is not what whoever changes it has seen.
    Stale(String),
    /// It would do this, which nobody has said is meant.
    Unconfirmed(Box<Simulated>, String),
    Store(StoreError),
    BrokenOff,
}

impl Deciding {
    pub fn new(standing: Standing) -> Self {
        let numbers = Arc::default();
        Self {
            current: ArcSwap::from_pointee(Current::of_file(&[], 0, &numbers)),
            standing: ArcSwap::from_pointee(standing),
            numbers,
            own_url: OnceLock::new(),
            turn: Mutex::default(),
        }
    }

    /// For whoever waits as long as it takes.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    async fn turn_in_time(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
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

    /// Works out anew what hosts are told.
    pub fn decide(&self, running: &Running, generation: u64) {
        let policies = &running.config.policies;
        self.deciding.current.store(Arc::new(self.current_of(
            policies,
            &self.standing().desired,
            generation,
        )));
    }

    fn current_of(&self, policies: &[Policy], desired: &Desired, generation: u64) -> Current {
        let numbers = &self.deciding.numbers;
        match policies.is_empty() {
            true => Current::of_rules(self.compiled(desired), generation, numbers, &self.current()),
            false => Current::of_file(policies, generation, numbers),
        }
    }

    fn compiled(&self, desired: &Desired) -> Compiled {
        let agents = desired.rules().agents();
        let shelf = stocked::shelf(&self.packages, |name| agents.contains(name));
        Compiled { rules: desired.rules().clone(), shelf, packages_url: self.packages_url(desired) }
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
        let ordered = self.current().rules().is_some_and(|it| it.rules.orders(name, version));
        if ordered {
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
        let looking = async { self.scans.clone().acquire_owned().await };
        let busy = || StoreError::Away("lists of all hosts are being made".to_owned());
        let look = timeout(WAIT, looking).await.map_err(|_| busy())?;
        let (this, standing) = (self.clone(), self.standing().clone());
        // Much may have to be read, compiled and asked: beats do not wait for it.
        let trying = tokio::task::spawn_blocking(move || {
            let _look = look;
            this.tried(&standing, meant, change).map(|tried| (standing, tried))
        });
        let (standing, tried) = trying.await.map_err(|_| NotEdited::BrokenOff)??;
        let Tried { desired, compiled, differences, simulated, unconfirmed } = tried;
        if meant.dry_run || differences.is_empty() {
            let generation = standing.generation;
            return Ok(Edited { generation, differences, simulated, unconfirmed });
        }
        if let Some(why) = unconfirmed.as_ref().filter(|_| !meant.confirmed) {
            return Err(NotEdited::Unconfirmed(Box::new(simulated), why.clone()));
        }
        let changed = self.store.change(actor, Change::Desired(differences.clone())).await?;
        let generation = changed.generation;
        self.deciding.standing.store(Arc::new(standing.after(desired, &differences, generation)));
        let current = Current::of_rules(compiled, generation, &self.deciding.numbers, &self.current());
        self.deciding.current.store(Arc::new(current));
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
        let differences = differences(standing.desired.document(), desired.document());
        let compiled = self.compiled(&desired);
        stocked::check(desired.document(), &places, &differences, &compiled, &self.packages)
            .map_err(NotEdited::Faults)?;
        let warnings = stocked::warnings(&differences, &compiled);
        let after = Current::of_rules(compiled.clone(), before.generation, &Arc::default(), &before);
        let written = differences.iter().filter(|it| it.after.is_some());
        let groups = written.filter_map(|it| desired.rules().group_called(it.object.as_group()?)).collect();
        let simulated = simulation::simulate(&self.fleet, &before, &after, groups, warnings);
        let unconfirmed = unconfirmed(&simulated, standing.desired.confirm_above_percent());
        Ok(Tried { desired, compiled, differences, simulated, unconfirmed })
    }
}

/// A change that was tried on every host.
struct Tried {
    desired: Desired,
    compiled: Compiled,
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
            Self::Missing(what) => write!(f, "there is no {what}"),
            Self::InUse(why) | Self::Stale(why) => f.write_str(why),
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
