//! What is in force: one configuration, its compiled answers and certificates, swapped whole on a reload. A reload
//! that fails leaves the old one in force.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};
use ops_package::file_name;
use ops_wire::AgentName;
use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::attempts::Attempts;
#[cfg(test)]
use crate::blobs::Blobs;
use crate::config::{Config, ConfigError};
use crate::deciding::Deciding;
use crate::desired::Standing;
use crate::domain::freeze::Freeze;
use crate::domain::policy2015::Order;
use crate::fleet::Fleet;
use crate::jobs::Jobs;
use crate::keys::Keys;
use crate::log;
use crate::metrics::Metrics;
use crate::packages::Packages;
use crate::readiness::Readiness;
use crate::rollouts::{Looks, Rollouts};
use crate::room::Room;
use crate::store::{Actor, Change, Store, StoreError};
use crate::tls::{self, TlsError};
use crate::tokens::Tokens;
use crate::told::Told;

/// Lists that look at every host, at once: of two processors one is for the heartbeats.
const SCANS_MAX: usize = 1;
/// Lists of events at once: one may have to look at every event.
const EVENT_LISTS_MAX: usize = 2;
/// Lists of 2015 under way; each may go to a slow client.
const STATUS_LISTS_MAX: usize = 16;
/// What all beats that come in pieces may take together, in bytes: those of some hundred hosts that say much.
const BEATS_BYTES_MAX: usize = 64 << 20;
/// The same of administrative calls, which no beat keeps from coming in.
const CALLS_BYTES_MAX: usize = 8 << 20;
/// The same of those that bring long lists; a quarter of it is for each address.
const DOCUMENTS_BYTES_MAX: usize = 64 << 20;

/// One configuration, ready for use.
pub struct Running {
    pub config: Config,
    /// The digest of what it orders.
    orders: String,
    pub tls: Option<Arc<ServerConfig>>,
}

/// One configuration as it was read: what it orders is not noted yet.
pub struct Unnoted {
    pub config: Config,
    tls: Option<Arc<ServerConfig>>,
}

/// Why a configuration does not come into force.
#[derive(Debug)]
pub enum NotInForce {
    Config(ConfigError),
    Tls(TlsError),
    /// The thread that read it is gone.
    Broken,
    Store(StoreError),
    NoFile,
    TlsNeedsRestart,
    /// Whoever fetches files would fetch the tokens in it.
    DataServed(PathBuf),
}

impl Unnoted {
    /// Reads the file, or takes the defaults when there is none. Blocks on the disk.
    pub fn read(path: Option<&Path>) -> Result<Self, NotInForce> {
        let config = path.map(Config::read).transpose().map_err(NotInForce::Config)?;
        let config = config.unwrap_or_else(Config::without_file);
        let tls = config.tls.as_ref().map(tls::load).transpose().map_err(NotInForce::Tls)?;
        Ok(Self { config, tls })
    }

    /// Whether `tarballDir` leaves the data folder alone. Blocks on the disk.
    pub fn spares(self, data: &Path) -> Result<Self, NotInForce> {
        let real = |path: &Path| path.canonicalize().ok();
        // What is not there has nothing in it.
        let served = self.config.tarball_dir.as_deref().and_then(real);
        match served.zip(real(data)) {
            Some((served, data)) if data.starts_with(&served) => Err(NotInForce::DataServed(data)),
            _ => Ok(self),
        }
    }

    /// Notes what it orders, which is a new generation when it is not what was ordered before; the database need not be
    /// asked where it is what is in force. `None`: the generation stays.
    pub async fn noted(
        self,
        store: &Store,
        before: Option<&Running>,
    ) -> Result<(Running, Option<u64>), NotInForce> {
        let agents = self.config.raw.get("agents").cloned().unwrap_or_default();
        let digest = match self.config.policies.is_empty() {
            // As it was before there was any order.
            true => String::new(),
            false => format!("{:x}", Sha256::digest(agents.to_string())),
        };
        let generation = match before.filter(|before| before.orders == digest) {
            Some(_) => None,
            None => {
                let (actor, digest) = (Actor("cfg.json".to_owned()), digest.clone());
                let noted = store.change(actor, Change::Orders { digest, agents }).await;
                Some(noted.map_err(NotInForce::Store)?.generation)
            }
        };
        Ok((Running { config: self.config, orders: digest, tls: self.tls }, generation))
    }
}

impl Running {
    /// Tells of what is odd and no reason not to start. Looks at the disk.
    pub fn warn(&self) {
        for key in &self.config.unknown {
            log::line("unknown_key", &[("level", "warning"), ("key", key)]);
        }
        // 2015 took this; hosts report what they cannot do.
        for policy in &self.config.policies {
            for prefix in policy.starts_without_tarball() {
                let fields = [("level", "warning"), ("agent", policy.name.as_str()), ("prefix", prefix)];
                log::line("start_without_tarball", &fields);
            }
        }
        // It may be mounted later.
        if let Some(dir) = self.config.tarball_dir.as_deref().filter(|dir| !dir.is_dir()) {
            let fields = [("level", "warning"), ("tarballDir", &*dir.to_string_lossy())];
            log::line("no_tarball_dir", &fields);
        }
    }
}

/// Whether connections are encrypted, and whether clients show certificates.
fn welcome(config: &Config) -> (bool, bool) {
    let client_ca = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    (config.tls.is_some(), client_ca)
}

/// What a reload does not change, and who reads "success" may believe changed.
fn tell_what_waits(admission: Admission, before: &Config, after: &Config) {
    for (key, differs) in [
        ("http.listen", before.listen != after.listen),
        ("connectionsMax", before.limits.connections_max != after.limits.connections_max),
        (
            "connectionsPerAddressMax",
            before.limits.connections_per_address_max != after.limits.connections_per_address_max,
        ),
        ("whether hosts need a token", admission.would_change(after)),
    ] {
        if differs {
            let why = "this counts from the next start of ops-meta on";
            log::line("needs_restart", &[("level", "warning"), ("what", key), ("why", why)]);
        }
    }
}

/// What survives a restart, and what is in memory of it.
pub struct Kept {
    pub folder: PathBuf,
    pub store: Store,
    pub fleet: Fleet,
    pub tokens: Tokens,
    pub packages: Packages,
    pub standing: Standing,
    pub rollouts: Rollouts,
    pub freezes: Vec<Freeze>,
    pub jobs: Jobs,
}

/// Everything that requests share.
pub struct App {
    pub fleet: Fleet,
    pub store: Store,
    pub admission: Admission,
    pub tokens: Tokens,
    pub packages: Arc<Packages>,
    pub attempts: Attempts,
    /// Answers to calls that may be made again.
    pub keys: Keys,
    pub readiness: Arc<Readiness>,
    pub metrics: Metrics,
    pub told: Told,
    running: ArcSwap<Running>,
    /// What hosts are told, and why.
    pub deciding: Deciding,
    /// How rollouts fare.
    pub looks: Looks,
    /// What hosts are to do once.
    pub jobs: Jobs,
    config_path: Option<PathBuf>,
    data: PathBuf,
    downloads: AtomicUsize,
    /// Turns to look at every host.
    pub scans: Arc<Semaphore>,
    /// Turns to look for events.
    pub event_lists: Arc<Semaphore>,
    /// Places among the lists of 2015.
    pub status_lists: Arc<Semaphore>,
    /// For beats that come in pieces.
    pub beats_room: Room,
    /// For administrative calls that do.
    pub calls_room: Room,
    /// For those that bring long lists.
    pub documents_room: Room,
    /// The turn to read one.
    pub documents: Arc<Semaphore>,
}

impl App {
    pub fn new(
        running: Running,
        generation: u64,
        config_path: Option<PathBuf>,
        admission: Admission,
        kept: Kept,
    ) -> Self {
        let Kept { folder: data, store, fleet, tokens, packages, standing, rollouts, freezes, jobs } = kept;
        let app = Self {
            fleet,
            readiness: store.readiness(),
            store,
            admission,
            tokens,
            packages: Arc::new(packages),
            attempts: Attempts::new(),
            keys: Keys::default(),
            metrics: Metrics::default(),
            told: Told::default(),
            running: ArcSwap::from_pointee(running),
            deciding: Deciding::new(standing, rollouts, freezes),
            looks: Looks::default(),
            jobs,
            config_path,
            data,
            downloads: AtomicUsize::new(0),
            scans: Arc::new(Semaphore::new(SCANS_MAX)),
            event_lists: Arc::new(Semaphore::new(EVENT_LISTS_MAX)),
            status_lists: Arc::new(Semaphore::new(STATUS_LISTS_MAX)),
            beats_room: Room::new(BEATS_BYTES_MAX),
            calls_room: Room::new(CALLS_BYTES_MAX),
            documents_room: Room::new(DOCUMENTS_BYTES_MAX),
            documents: Arc::new(Semaphore::new(1)),
        };
        app.decide(&app.running(), generation);
        app
    }

    /// Without a configuration.
    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub async fn for_test(folder: &Path) -> Self {
        let store = Store::open(folder).unwrap();
        let listening = crate::domain::host::Listening::default();
        let (running, _) = Unnoted::read(None).unwrap().noted(&store, None).await.unwrap();
        let (fleet, tokens) = (Fleet::new(listening), Tokens::of(Vec::new()));
        let packages = Packages::new(Vec::new(), Blobs::open(folder).unwrap());
        let standing = Standing::default();
        let (rollouts, freezes, jobs) = (Rollouts::default(), Vec::new(), Jobs::default());
        let kept =
            Kept { folder: folder.into(), store, fleet, tokens, packages, standing, rollouts, freezes, jobs };
        Self::new(running, 0, None, Admission::Loopback, kept)
    }

    /// Where the configuration is read from, if there is one.
    pub fn config_path(&self) -> Option<&Path> {
        self.config_path.as_deref()
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn running(&self) -> Guard<Arc<Running>> {
        self.running.load()
    }

    /// Reads the file again. The outcome is logged here. Not to be broken off: what is noted has to come into force.
    pub async fn reload(self: Arc<Self>) -> Result<(), NotInForce> {
        // Whoever waits here holds no thread: the one whose turn it is needs one.
        let _one_at_a_time = self.deciding.turn().await;
        match self.read_again().await {
            Ok((running, generation)) => {
                log::line("reloaded", &[]);
                tell_what_waits(self.admission, &self.running().config, &running.config);
                let running = Arc::new(running);
                self.running.store(running.clone());
                // What is ordered as before is answered as before.
                if let Some(generation) = generation {
                    self.decide(&running, generation);
                }
                let this = self.clone();
                let warning = move || {
                    this.warn();
                    Ok(())
                };
                blocking(warning).await
            }
            Err(why) => {
                for part in why.to_string().lines() {
                    log::line("reload_refused", &[("level", "error"), ("why", part.trim())]);
                }
                Err(why)
            }
        }
    }

    /// Tells of what is odd. Looks at the disk.
    pub fn warn(&self) {
        let running = self.running();
        running.warn();
        let policies = self.standing().desired.rules().policies().count();
        if !running.config.policies.is_empty() && policies > 0 {
            let why =
                "cfg.json has agents, and alone says what should run: groups and policies do not count now";
            let fields = [("level", "warning"), ("policies", &*policies.to_string()), ("why", why)];
            log::line("policies_not_in_force", &fields);
        }
        for policy in &running.config.policies {
            for order in policy.starts() {
                self.warn_of_missing(&policy.name, &order);
            }
        }
    }

    /// Whoever fetches from `/packages` of a server means this one, mostly.
    fn warn_of_missing(&self, name: &AgentName, order: &Order) {
        let (_, rest) = order.tarball.split_once("://").unwrap_or_default();
        let (_, folder) = rest.split_once('/').unwrap_or_default();
        let Some(version) = order.version.as_ref().filter(|_| folder.trim_end_matches('/') == "packages")
        else {
            return;
        };
        if self.packages.served(&file_name(name, version)).is_none() {
            let why = "it is ordered, and there is no such package here; `ops-meta push` brings it";
            let fields =
                [("level", "warning"), ("agent", name.as_str()), ("version", version.as_str()), ("why", why)];
            log::line("no_such_package", &fields);
        }
    }

    async fn read_again(&self) -> Result<(Running, Option<u64>), NotInForce> {
        let path = self.config_path.clone().ok_or(NotInForce::NoFile)?;
        let data = self.data.clone();
        let read = blocking(move || Unnoted::read(Some(&path))?.spares(&data)).await?;
        // The open port speaks either TLS or not, and who may speak on it was settled at the start.
        if welcome(&read.config) != welcome(&self.running().config) {
            return Err(NotInForce::TlsNeedsRestart);
        }
        let before = self.running().clone();
        read.noted(&self.store, Some(&before)).await
    }

    /// A place among the downloads under way; `None` when all are taken.
    pub fn download(self: &Arc<Self>) -> Option<Download> {
        let most = self.running().config.limits.downloads_max;
        let more = |count| (count < most).then_some(count + 1);
        self.downloads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Download(self.clone()))
    }
}

/// On a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotInForce> + Send + 'static,
) -> Result<T, NotInForce> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(NotInForce::Broken))
}

/// One download under way, until it is dropped.
pub struct Download(Arc<App>);

impl Drop for Download {
    fn drop(&mut self) {
        self.0.downloads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Display for NotInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Broken => f.write_str("reading it was broken off"),
            Self::Store(error) => write!(f, "failed to note what is ordered: {error}"),
            Self::DataServed(data) => write!(
                f,
                "failed to serve `tarballDir`: the data folder `{}` lies in it, and anybody could fetch the tokens; \
                 name another folder with --data, or for the files",
                data.display()
            ),
            Self::NoFile => f.write_str("there is no configuration file; start with -c to have one"),
            Self::TlsNeedsRestart => {
                f.write_str("`tls` or `tls.clientCaFile` was added or removed; that needs a restart")
            }
        }
    }
}

impl std::error::Error for NotInForce {}
