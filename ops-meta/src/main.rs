//! ops-meta knows every host, and says which agents should run on it.

mod absolute;
mod admission;
mod args;
mod attempts;
mod blobs;
mod cli;
mod clock;
mod config;
mod current;
mod deciding;
mod desired;
mod domain;
mod first_token;
mod fleet;
mod freezes;
mod guest;
mod http;
mod jobs;
mod keys;
mod log;
mod meant_hosts;
mod metrics;
mod packages;
mod patience;
mod readiness;
mod remembered;
mod rollouts;
mod room;
mod routes;
mod running;
mod serve;
mod shares;
mod simulation;
mod stocked;
mod store;
mod tls;
mod tokens;
mod told;
mod work;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::stat::{Mode, umask};
use tokio::runtime::Runtime;

use admission::admission;
use args::{Serve, Typed, Wanted};
use blobs::Blobs;
use clock::now_ms;
use desired::Standing;
use domain::host::Listening;
use first_token::NoTokens;
use fleet::{Fleet, LAST_SEEN_SLACK, Loader};
use jobs::Jobs;
use packages::Packages;
use rollouts::Rollouts;
use running::{App, Kept, NotInForce, Unnoted};
use store::{Store, StoreError, Unopened};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
/// How long what still waits for the disk may take when all else has ended.
const PARTING: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match Typed::parse().wanted() {
        Wanted::Verb(verb) => cli::run(verb),
        Wanted::Serve(wanted) => served(wanted),
    }
}

fn served(wanted: Serve) -> ExitCode {
    match serve(wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ops-meta: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why the server does not serve.
enum Failure {
    Configuration(NotInForce),
    NoAddress,
    Store(Unopened),
    Load(StoreError),
    Tokens(NoTokens),
    Blobs(PathBuf, io::Error),
    Runtime(io::Error),
    Serve(SocketAddr, io::Error),
}

fn serve(wanted: Serve) -> Result<(), Failure> {
    // Whoever may enter the data folder may not read what is in it.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let read = Unnoted::read(wanted.config.as_deref()).map_err(Failure::Configuration)?;
    let listen = wanted.listen.or(read.config.listen).ok_or(Failure::NoAddress)?;
    let admission = admission(listen, wanted.anonymous_hosts, &read.config);
    let store = Store::open(&wanted.data).map_err(Failure::Store)?;
    let read = read.spares(&wanted.data).map_err(Failure::Configuration)?;
    let runtime = Runtime::new().map_err(Failure::Runtime)?;
    let (running, generation) = runtime.block_on(read.noted(&store, None)).map_err(Failure::Configuration)?;
    let began = Instant::now();
    let fleet = load(&store).map_err(Failure::Load)?;
    let loaded = began.elapsed();
    let (tokens, at_start) =
        runtime.block_on(first_token::tokens(&store, &wanted.data)).map_err(Failure::Tokens)?;
    let packages = packages(&store, &wanted.data)?;
    let generation = generation.unwrap_or_default();
    let standing =
        store.desired().and_then(|rows| Standing::read(rows, generation)).map_err(Failure::Load)?;
    let rollouts = store
        .standing_rollouts()
        .and_then(|rows| Rollouts::read(rows, &standing.desired))
        .map_err(Failure::Load)?;
    let freezes = store.freezes().map_err(Failure::Load)?;
    let jobs = Jobs::of(store.running_jobs().map_err(Failure::Load)?);
    let kept =
        Kept { folder: wanted.data, store, fleet, tokens, packages, standing, rollouts, freezes, jobs };
    let app = Arc::new(App::new(running, generation, wanted.config, admission, kept));
    let telling = app.clone();
    let warn = move || {
        let (hosts, millis) = (telling.fleet.count().to_string(), loaded.as_millis().to_string());
        log::line("loaded", &[("hosts", &hosts), ("millis", &millis)]);
        telling.warn();
        admission.warn();
        at_start.tell();
    };
    let serving = serve::serve(app, listen, warn);
    // Accepted where connections are served: no other thread has to be woken for each.
    let serving = runtime.spawn(serving);
    let served = runtime.block_on(serving).map_err(io::Error::other).flatten();
    // A disk that hangs holds up no end for ever.
    runtime.shutdown_timeout(PARTING);
    served.map_err(|error| Failure::Serve(listen, error))
}

/// Every host that the database knows, read by two: more would have to share what processors there are.
fn load(store: &Store) -> Result<Fleet, StoreError> {
    let fleet = Fleet::new(Listening::new(store.runs()?, LAST_SEEN_SLACK, now_ms() / 1000));
    let read = |part| {
        let mut loader = Loader::new(&fleet);
        store.load(part, |row| loader.load(row))
    };
    let parts = store.parts(2)?;
    std::thread::scope(|scope| {
        let readers: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| read(part))).collect();
        let broken = |_| Err(StoreError::Damaged("a row of `hosts` could not be read".to_owned()));
        readers.into_iter().try_for_each(|reader| reader.join().unwrap_or_else(broken))
    })?;
    Ok(fleet)
}

fn packages(store: &Store, data: &Path) -> Result<Packages, Failure> {
    let blobs = Blobs::open(data).map_err(|error| Failure::Blobs(data.to_owned(), error))?;
    Ok(Packages::new(store.packages().map_err(Failure::Load)?, blobs))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(why) => why.fmt(f),
            Self::NoAddress => f.write_str(
                "failed to serve: there is no address to listen on; set `http.listen` in cfg.json, or say \
                 `ops-meta serve --listen ADDR`",
            ),
            Self::Store(why) => why.fmt(f),
            Self::Load(why) => write!(f, "failed to read the database: {why}"),
            Self::Tokens(why) => why.fmt(f),
            Self::Blobs(data, error) => {
                write!(
                    f,
                    "failed to keep packages in `{}`: {error}; --data DIR names another folder",
                    data.display()
                )
            }
            Self::Runtime(error) => write!(f, "failed to start threads: {error}"),
            Self::Serve(listen, error) => write!(f, "failed to serve `{listen}`: {error}"),
        }
    }
}
