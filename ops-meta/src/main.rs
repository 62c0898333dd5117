//! ops-meta knows every host, and says which agents should run on it.

mod admission;
mod args;
mod config;
mod current;
mod domain;
mod fleet;
mod http;
mod log;
mod patience;
mod routes;
mod running;
mod serve;
mod tls;
mod work;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use admission::admission;
use args::{Typed, Wanted};
use running::{App, Running};

const NO_ADDRESS: &str = "there is no address to listen on: set `http.listen` in cfg.json, or say \
                          `ops-meta serve --listen ADDR`";

fn main() -> ExitCode {
    match run(Typed::parse().wanted()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ops-meta: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: Wanted) -> Result<(), Box<dyn Error>> {
    let running = Running::read(wanted.config.as_deref())?;
    let listen = wanted.listen.or(running.config.listen).ok_or(NO_ADDRESS)?;
    let admission = admission(listen, wanted.anonymous_hosts, &running.config)?;
    let app = Arc::new(App::new(running, wanted.config));
    let warn = || {
        app.running().warn();
        admission.warn();
    };
    let serving = serve::serve(app.clone(), listen, warn);
    let served = tokio::runtime::Runtime::new()?.block_on(serving);
    served.map_err(|error| format!("failed to serve `{listen}`: {error}").into())
}
