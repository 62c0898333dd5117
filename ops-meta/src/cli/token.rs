//! `ops-meta token`

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::client::{Server, part};
use super::failed::Failed;
use super::output::{Format, Out, Output, Table, number, text};
use super::say;
use super::times::{self, Length};
use crate::clock::now_ms;
use crate::domain::role::Role;
use crate::store::{Actor, Change, FILE, NewToken, Store};
use crate::tokens::{NoRandomness, Secret, is_name};

const TOKENS: &str = "/api/v1/tokens";

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Make a token; it is shown once
    Create(CreateArgs),
    /// All tokens, those that no longer count too
    List(ListArgs),
    /// Make tokens count no longer, at once
    Revoke(RevokeArgs),
}

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
pub struct CreateArgs {
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
    #[arg(long, value_name = "DIR", conflicts_with_all = ["token_file", "hostname"])]
    data: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta token list\n  \
                        ops-meta token list -o json | jq -r 'select(.revoked == null) | .name'")]
pub struct ListArgs {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  ops-meta token revoke 3 7")]
pub struct RevokeArgs {
    /// As `token list` shows them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    server: Server,
}

fn role(text: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::as_str).join(", ");
    text.parse().map_err(|_| format!("this is no role; there are {}", names()))
}

pub fn run(verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::Create(args) => create(&args),
        Verb::List(args) => print_all(&args),
        Verb::Revoke(args) => revoke(&args),
    }
}

fn create(args: &CreateArgs) -> Result<(), Failed> {
    let token = match &args.data {
        Some(folder) => create_here(args, folder)?,
        None => args.server.client()?.post(TOKENS, &args.wanted())?,
    };
    show_created(args.output.format, &token)
}

impl CreateArgs {
    fn wanted(&self) -> Value {
        let expires = self.expires.map(|length| length.secs);
        json!({"name": self.name, "role": self.role, "hostname": self.hostname, "expiresInSecs": expires})
    }
}

/// For who has no token any more, and may write the data folder.
fn create_here(args: &CreateArgs, folder: &Path) -> Result<Value, Failed> {
    let refused = |why: &dyn std::fmt::Display| Failed::Refused(format!("failed to create a token: {why}"));
    if !folder.join(FILE).exists() {
        return Err(refused(&format!("there is no database in `{}`", folder.display())));
    }
    if !is_name(&args.name) {
        return Err(refused(
            &"its name has to be 1 to 64 printable ASCII characters, without a blank at either end",
        ));
    }
    let store = Store::open(folder).map_err(|error| refused(&error))?;
    let secret =
        Secret::new().map_err(|NoRandomness| refused(&"the operating system gives no random bytes"))?;
    let expires = args.expires.map(|length| length.ahead_ms());
    let (name, role) = (args.name.clone(), args.role);
    let new = NewToken { name, role, hostname: None, hash: secret.hash(), expires };
    let change = store.change(Actor("command line".to_owned()), Change::CreateToken(new));
    let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| refused(&error))?;
    let changed = runtime.block_on(change).map_err(|error| refused(&error))?;
    Ok(json!({"id": changed.id, "name": args.name, "role": role, "hostname": null,
        "created": changed.event.map(|event| event.at), "expires": expires, "revoked": null, "lastUsed": null,
        "secret": secret.expose()}))
}
/// The secret alone, for `$(...)`.
fn show_created(format: Format, token: &Value) -> Result<(), Failed> {
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

fn print_all(args: &ListArgs) -> Result<(), Failed> {
    let heads = &["ID", "NAME", "ROLE", "HOST", "STATE", "CREATED", "EXPIRES", "LAST USED"];
    let (mut out, mut table, now) = (Out::new(), Table::new(heads), now_ms());
    args.server.client()?.pages(TOKENS, "tokens", &Vec::new(), None, |tokens| {
        match args.output.format {
            Format::Json => tokens.iter().try_for_each(|token| out.json(token))?,
            Format::Table => {
                let rows: Vec<_> = tokens.iter().map(|token| row(token, now)).collect();
                table.print(&mut out, &rows)?;
            }
        }
        out.flush()
    })
}

fn row(token: &Value, now: i64) -> Vec<String> {
    let time = |field: &str| number(token, field);
    let state = match (time("revoked"), time("expires")) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "expired",
        _ => "valid",
    };
    let or = |at: Option<i64>, none: &str| at.map_or_else(|| none.to_owned(), |at| times::relative(at, now));
    vec![
        text(token, "id"),
        text(token, "name"),
        text(token, "role"),
        text(token, "hostname"),
        state.to_owned(),
        time("created").map_or_else(|| "-".to_owned(), times::date),
        or(time("expires"), "never"),
        or(time("lastUsed"), "never"),
    ]
}

fn revoke(args: &RevokeArgs) -> Result<(), Failed> {
    let client = args.server.client()?;
    Failed::of_each(&args.ids, |id| {
        client.delete(&format!("{TOKENS}/{}", part(&id.to_string())))?;
        say(&format!("token {id} is revoked"));
        Ok(())
    })
}
