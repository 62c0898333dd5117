//! ops-meta knows every host, and says which agents should run on it.

mod admission;
mod args;
mod attempts;
mod cli;
mod clock;
mod config;
mod current;
mod domain;
mod first_token;
mod fleet;
mod http;
mod log;
mod patience;
mod readiness;
mod routes;
mod running;
mod serve;
mod store;
mod tls;
mod tokens;
mod work;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::runtime::Runtime;

use admission::admission;
use args::{Serve, Typed, Wanted};
use first_token::NoTokens;
use running::{App, NotInForce, Running};
use store::{Store, Unopened};

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
    Tokens(NoTokens),
    Runtime(io::Error),
    Serve(SocketAddr, io::Error),
}

fn serve(wanted: Serve) -> Result<(), Failure> {
    let running = Running::read(wanted.config.as_deref()).map_err(Failure::Configuration)?;
    let listen = wanted.listen.or(running.config.listen).ok_or(Failure::NoAddress)?;
    let admission = admission(listen, wanted.anonymous_hosts, &running.config);
    let store = Store::open(&wanted.data).map_err(Failure::Store)?;
    let runtime = Runtime::new().map_err(Failure::Runtime)?;
    let (tokens, first) =
        runtime.block_on(first_token::tokens(&store, &wanted.data)).map_err(Failure::Tokens)?;
    let app = Arc::new(App::new(running, wanted.config, store, admission, tokens));
    let warn = || {
        app.running().warn();
        admission.warn();
        if let Some(path) = first {
            first_token::tell(&path);
        }
    };
    let serving = serve::serve(app.clone(), listen, warn);
    let served = runtime.block_on(serving);
    served.map_err(|error| Failure::Serve(listen, error))
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
            Self::Tokens(why) => why.fmt(f),
            Self::Runtime(error) => write!(f, "failed to start threads: {error}"),
            Self::Serve(listen, error) => write!(f, "failed to serve `{listen}`: {error}"),
        }
    }
}
