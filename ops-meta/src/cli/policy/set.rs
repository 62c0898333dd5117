//! `ops-meta policy set`

use std::path::Path;

use serde_json::Value;

use super::Which;
use crate::cli::client::Request;
use crate::cli::editing::{Editing, Number, Standing, number};
use crate::cli::failed::Failed;
use crate::cli::regular;
use crate::domain::one_line::one_line;

/// As the server has it.
const SIGNATURE_BYTES_MAX: usize = 4 << 10;

/// Make a policy, or change what is given of one
///
/// What is not given stays as it is; what is given empty (`--version ''`) is inherited from the next weaker policy.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ops-meta policy set node_exporter --version 1.8.0 --cmd start\n  \
                        ops-meta policy set node_exporter --group prod --version 1.7.0 --dry-run\n  \
                        ops-meta policy set node_exporter --host web-01 --cmd stop")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    editing: Editing,
}

#[derive(clap::Args)]
#[command(next_help_heading = "What it says")]
struct Fields {
    #[arg(long)]
    version: Option<String>,
    /// start, stop or uninstall
    #[arg(long)]
    cmd: Option<String>,
    /// The URL prefix where hosts fetch it, instead of `packagesUrl` in the settings
    #[arg(long, value_name = "URL")]
    tarball: Option<String>,
    /// A URL prefix that is tried before it; may be given several times, and replaces those that were
    #[arg(long = "mirror", value_name = "URL")]
    mirrors: Option<Vec<String>>,
    /// A URL prefix, or a digest
    #[arg(long)]
    md5: Option<String>,
    #[arg(long)]
    sha256: Option<String>,
    /// The .minisig file
    #[arg(long, value_name = "FILE")]
    signature: Option<String>,
    /// Of the tarball
    #[arg(long, value_name = "BYTES", value_parser = number)]
    size: Option<Number>,
    /// Of what is in it
    #[arg(long, value_name = "BYTES", value_parser = number)]
    unpacked_size: Option<Number>,
    /// How long it has to run until the version before is not needed any more
    #[arg(long, value_name = "SECS", value_parser = number)]
    trial_secs: Option<Number>,
    /// The account it runs as
    #[arg(long, value_name = "ACCOUNT")]
    run_user: Option<String>,
    /// Its configuration file
    #[arg(long, value_name = "NAME")]
    config_file_name: Option<String>,
    /// Where hosts fetch that
    #[arg(long, value_name = "URL")]
    config_remote_url: Option<String>,
    #[arg(long, value_name = "SHA256")]
    config_sha256: Option<String>,
}

pub fn run(args: Args) -> Result<(), Failed> {
    let Args { which, fields, editing } = args;
    let given = fields.given()?;
    if given.is_empty() {
        return Err(Failed::WrongUse("there is nothing to set; --version and --cmd, for example".to_owned()));
    }
    let (client, path, query) = (editing.client()?, which.path(), which.query());
    let standing = Standing::of(&client, &path, &query)?;
    let only_if = standing.only_if.clone();
    let policy = standing.with(&Fields::ALL, given);
    let request = Request::put(&path).query(query).body(&policy).only_if(only_if);
    editing.edit(&client, request)
}

impl Fields {
    const ALL: [&str; 14] = [
        "version",
        "cmd",
        "tarball",
        "mirrors",
        "md5",
        "sha256",
        "signature",
        "size",
        "unpackedSize",
        "trialSecs",
        "runUser",
        "configFileName",
        "configRemoteUrl",
        "configSha256",
    ];

    /// In the order of `ALL`, under the names that the server has for them.
    fn given(self) -> Result<Vec<(&'static str, Value)>, Failed> {
        let text = |it: Option<String>| it.map(Value::from);
        let mirrors = self.mirrors.map(|all| all.into_iter().filter(|it| !it.is_empty()).collect());
        let values = [
            text(self.version),
            text(self.cmd),
            text(self.tarball),
            mirrors,
            text(self.md5),
            text(self.sha256),
            self.signature.map(|path| signature(&path)).transpose()?,
            self.size.map(Number::value),
            self.unpacked_size.map(Number::value),
            self.trial_secs.map(Number::value),
            text(self.run_user),
            text(self.config_file_name),
            text(self.config_remote_url),
            text(self.config_sha256),
        ];
        Ok(Self::ALL.into_iter().zip(values).filter_map(|(field, value)| Some((field, value?))).collect())
    }
}

/// The text of the file; none where no file is named.
fn signature(path: &str) -> Result<Value, Failed> {
    if path.is_empty() {
        return Ok(Value::from(""));
    }
    let unread = |why: &str| Failed::WrongUse(format!("failed to read `{}`: {why}", one_line(path)));
    let bytes =
        regular::read(Path::new(path), SIGNATURE_BYTES_MAX).map_err(|error| unread(&error.to_string()))?;
    match String::from_utf8(bytes) {
        Ok(text) if text.len() <= SIGNATURE_BYTES_MAX => Ok(Value::from(text)),
        _ => Err(unread("it is no minisign signature")),
    }
}
