//! `ops-meta restore`

use std::path::PathBuf;

use super::failed::Failed;
use super::output::Out;
use super::times;
use crate::absolute;
use crate::args::DATA;
use crate::store::restore;

/// Put a backup in the place of the database
///
/// ops-meta must not be serving from the folder. FILE is checked first; the database that is there is kept as
/// `ops-meta.db.before-restore-TIME`. Where anything fails, all is as it was. Tokens are those of the backup.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  systemctl stop ops-meta\n  \
                        ops-meta restore --data /var/lib/ops-meta /backup/ops-meta-2026-01-31.db\n  \
                        systemctl start ops-meta")]
pub struct Args {
    /// What `ops-meta backup` made; it stays where it is
    #[arg(value_parser = absolute::path())]
    file: PathBuf,
    /// The folder that ops-meta serves from; made where there is none
    #[arg(long, value_name = "DIR", default_value = DATA, value_parser = absolute::path())]
    data: PathBuf,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let restored =
        restore(&args.data, &args.file, &time).map_err(|error| Failed::Refused(error.to_string()))?;
    let mut out = Out::new();
    out.line(&format!(
        "{}: {} bytes, {} hosts, generation {}, last event {}",
        args.file.display(),
        restored.bytes,
        restored.hosts,
        restored.generation,
        restored.newest_event.map_or_else(|| "never".to_owned(), times::date),
    ))?;
    if let Some(aside) = restored.aside {
        out.line(&format!("the database that was there is `{}` now", aside.display()))?;
    }
    out.line(
        "tokens are those of the backup: one that was made since counts no longer, one that was revoked since counts \
         again, and `admin.token` may not fit",
    )?;
    out.flush()
}
