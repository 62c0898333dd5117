//! `ops-meta whoami`

use super::client::Server;
use super::failed::Failed;
use super::output::{Format, Out, Output, number, text};
use super::times;

/// Whom ops-meta takes the token for
#[derive(clap::Args)]
#[command(after_help = "Example:\n  OPS_META_TOKEN=$(cat /var/lib/ops-meta/admin.token) ops-meta whoami")]
pub struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let me = args.server.client()?.get("/api/v1/whoami", &Vec::new())?;
    let mut out = Out::new();
    match args.output.format {
        Format::Json => out.json(&me)?,
        Format::Table => {
            out.line(&format!("actor    {}", text(&me, "actor")))?;
            out.line(&format!("role     {}", text(&me, "role")))?;
            if me.get("hostname").is_some_and(|it| !it.is_null()) {
                out.line(&format!("host     {}", text(&me, "hostname")))?;
            }
            let expires = number(&me, "expires").map_or_else(|| "never".to_owned(), times::date_and_relative);
            out.line(&format!("expires  {expires}"))?;
        }
    }
    out.flush()
}
