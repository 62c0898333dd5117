//! The command line: as typed, then as the one thing that can be done.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::absolute::{self, absolute};
use crate::cli::Verb;
use crate::config::address;

/// Below the working folder.
pub const DATA: &str = "data";

/// Knows every host, and says which agents should run on it.
#[derive(Parser)]
#[command(name = "ops-meta", version, disable_version_flag = true, args_conflicts_with_subcommands = true)]
pub struct Typed {
    /// A cfg.json, as of 2015
    #[arg(short = 'c', long = "config", value_name = "FILE", value_parser = absolute::path())]
    config: Option<PathBuf>,
    /// The folder for what is to survive a restart; made where there is none
    #[arg(long, value_name = "DIR", default_value = DATA, value_parser = absolute::path())]
    data: PathBuf,
    /// Print the version
    #[arg(short = 'v', visible_short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer hosts and operators
    Serve(ServeArgs),
    #[command(flatten)]
    Verb(Verb),
}

#[derive(Args)]
struct ServeArgs {
    /// Wins over `http.listen` in the configuration; port 0 takes any free one
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    listen: Option<SocketAddr>,
    /// The folder for what is to survive a restart; made where there is none
    #[arg(long, value_name = "DIR", default_value = DATA, value_parser = absolute::path())]
    data: PathBuf,
    /// A cfg.json, as of 2015
    #[arg(short = 'c', long = "config", value_name = "FILE", value_parser = absolute::path())]
    config: Option<PathBuf>,
    /// Take heartbeats from anybody, on every address
    #[arg(long)]
    allow_anonymous_hosts: bool,
    /// Take heartbeats with a token only: on loopback too, and whatever the configuration says
    #[arg(long, conflicts_with = "allow_anonymous_hosts")]
    require_host_tokens: bool,
}

/// For clap.
fn listen(text: &str) -> Result<SocketAddr, String> {
    address(text).ok_or_else(|| {
        "this is no address to listen on; write it as `127.0.0.1:2000`, or `:2000` for every IPv4 address"
            .to_owned()
    })
}

/// Whether hosts may send heartbeats without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnonymousHosts {
    /// On every address.
    Allowed,
    /// On loopback, and where the configuration implies it.
    Unsaid,
    /// Nowhere.
    Refused,
}

/// What the command line asks for.
pub enum Wanted {
    Serve(Serve),
    /// Something else than to serve.
    Verb(Verb),
}

/// How to serve.
pub struct Serve {
    pub listen: Option<SocketAddr>,
    pub data: PathBuf,
    pub config: Option<PathBuf>,
    pub anonymous_hosts: AnonymousHosts,
}

impl Typed {
    /// `ops-meta` alone reads `cfg.json` in the working folder, as it did in 2015.
    pub fn wanted(self) -> Wanted {
        match self.command {
            Some(Command::Serve(serve)) => Wanted::Serve(serve.wanted()),
            Some(Command::Verb(verb)) => Wanted::Verb(verb),
            None => Wanted::Serve(Serve {
                listen: None,
                data: self.data,
                config: Some(self.config.unwrap_or_else(|| absolute("cfg.json".into()))),
                anonymous_hosts: AnonymousHosts::Unsaid,
            }),
        }
    }
}

impl ServeArgs {
    fn wanted(self) -> Serve {
        let anonymous_hosts = match (self.allow_anonymous_hosts, self.require_host_tokens) {
            (true, _) => AnonymousHosts::Allowed,
            (false, true) => AnonymousHosts::Refused,
            (false, false) => AnonymousHosts::Unsaid,
        };
        Serve { listen: self.listen, data: self.data, config: self.config, anonymous_hosts }
    }
}
