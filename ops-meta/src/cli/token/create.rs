//! `ops-meta token create`

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::{TOKENS, path_of};
use crate::absolute;
use crate::cli::client::{Client, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, number, text};
use crate::cli::say;
use crate::cli::times::{self, Length};
use crate::domain::role::Role;
use crate::store::{Actor, Change, Changed, FILE, LastAdmin, NewToken, Store};
use crate::tokens::{NoRandomness, Secret, is_name};

/// Make a token
///
/// It is shown once, alone on standard output; everything else goes to standard error. ops-meta keeps no more than a hash of
/// it.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  export OPS_META_TOKEN=$(ops-meta token create alice --role operator --expires 30d)\n  \
                        ops-meta token create web01 --role host --hostname web01 > web01.token\n  \
                        ops-meta token create rescue --role admin --data /var/lib/ops-meta   # while ops-meta is stopped"
)]
pub struct Args {
    /// Who or what it is for
    name: String,
    /// What it may do: host, viewer, publisher, operator or admin
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// The only host that may use it; for the role host
    #[arg(long, value_name = "HOSTNAME")]
    hostname: Option<String>,
    /// After how long it counts no longer, as `30d` or `12h`; never, unless said
    #[arg(long, value_name = "TIME", value_parser = times::length)]
    expires: Option<Length>,
    /// Write it into the data folder of an ops-meta that does not run, instead of asking a server
    #[arg(long, value_name = "DIR", conflicts_with_all = ["token_file", "hostname"], value_parser = absolute::path())]
    data: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

fn role(text: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::as_str).join(", ");
    text.parse().map_err(|_| format!("this is no role; there are {}", names()))
}

/// A token that nobody has seen is not left to count.
pub fn run(args: &Args) -> Result<(), Failed> {
    let maker = Maker::of(args)?;
    let token = maker.create(args)?;
    show(args.output.format, &token).map_err(|failed| {
        let (id, name) = (text(&token, "id"), text(&token, "name"));
        let what = match maker.revoke(number(&token, "id").unwrap_or_default()) {
            Ok(()) => format!("token {id} ({name}), which nobody has seen, is revoked again"),
            Err(why) => format!("nobody has seen token {id} ({name}), which counts: revoke it ({why})"),
        };
        Failed::Refused(format!("{failed}; {what}"))
    })
}

/// Where tokens are made.
enum Maker {
    Server(Client),
    /// The data folder of an ops-meta that does not run: for who has no token any more, and may write it.
    Here(Store),
}

impl Maker {
    fn of(args: &Args) -> Result<Self, Failed> {
        match &args.data {
            Some(folder) => Self::here(args, folder),
            None => Ok(Self::Server(args.server.client()?)),
        }
    }

    fn here(args: &Args, folder: &Path) -> Result<Self, Failed> {
        if !folder.join(FILE).exists() {
            return Err(refused(format!("there is no database in `{}`", folder.display())));
        }
        if !is_name(&args.name) {
            let why = "its name has to be 1 to 64 printable ASCII characters, without a blank at either end";
            return Err(refused(why));
        }
        Store::open(folder).map(Self::Here).map_err(refused)
    }

    fn create(&self, args: &Args) -> Result<Value, Failed> {
        match self {
            Self::Server(client) => client.post(TOKENS, &args.wanted()),
            Self::Here(store) => create_in(store, args),
        }
    }

    fn revoke(&self, id: i64) -> Result<(), Failed> {
        match self {
            Self::Server(client) => client.delete(&path_of(id.unsigned_abs()), &Vec::new()),
            // It is the only one of an admin, perhaps, as it was before.
            Self::Here(store) => {
                change(store, Change::RevokeToken { id, last_admin: LastAdmin::MayGo }).map(drop)
            }
        }
    }
}

impl Args {
    fn wanted(&self) -> Value {
        let expires = self.expires.map(|length| length.secs);
        json!({"name": self.name, "role": self.role, "hostname": self.hostname, "expiresInSecs": expires})
    }
}

fn create_in(store: &Store, args: &Args) -> Result<Value, Failed> {
    let secret =
        Secret::new().map_err(|NoRandomness| refused("the operating system gives no random bytes"))?;
    let expires = args.expires.map(|length| length.ahead_ms());
    let (name, role) = (args.name.clone(), args.role);
    let new = NewToken { name, role, hostname: None, hash: secret.hash(), expires };
    let changed = change(store, Change::CreateToken(new))?;
    Ok(json!({"id": changed.id, "name": args.name, "role": role, "hostname": null,
        "created": changed.event.map(|event| event.at), "expires": expires, "revoked": null, "lastUsed": null,
        "secret": secret.expose()}))
}

fn change(store: &Store, change: Change) -> Result<Changed, Failed> {
    let runtime = Builder::new_current_thread().enable_time().build().map_err(refused)?;
    runtime.block_on(store.change(Actor("command line".to_owned()), change)).map_err(refused)
}

fn refused(why: impl Display) -> Failed {
    Failed::Refused(format!("failed to create a token: {why}"))
}

/// The secret alone, for `$(...)`.
fn show(format: Format, token: &Value) -> Result<(), Failed> {
    let mut out = Out::new();
    match format {
        Format::Json => out.json(token)?,
        Format::Table => out.line(&text(token, "secret"))?,
    }
    out.flush()?;
    let ends = number(token, "expires")
        .map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", times::date(at)));
    let (id, name, role) = (text(token, "id"), text(token, "name"), text(token, "role"));
    say(&format!("token {id} ({name}), {role}, {ends}; this is the only time that it is shown"));
    Ok(())
}
