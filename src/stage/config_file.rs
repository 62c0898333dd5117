//! The configuration file of an agent, which ops-meta may keep apart from the package (the fork of 2016 does). It is put
//! into the version's folder while that is made; one that changes later comes with the next version.

use ops_package::{Algorithm, Digesting};
use ops_wire::{AgentName, ErrorCode};

use super::Job;
use super::fetch::small_file;
use crate::error::Fault;

/// A configuration file is not larger than this.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

pub(super) struct ConfigFile {
    /// One checked path component, and not `control`.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// Fetches what the order names, if it names something.
pub(super) fn fetch(job: &Job) -> Result<Option<ConfigFile>, Fault> {
    let (name, url) = (&job.desired.config_file_name, &job.desired.config_remote_url);
    if name.is_empty() {
        return Ok(None);
    }
    // The rules of names are those of path components.
    if name.parse::<AgentName>().is_err() || name == "control" {
        let name: String = name.chars().take(80).collect();
        return Err(Fault::new(
            ErrorCode::BadName,
            format!("{name:?} cannot be the name of a configuration file"),
        ));
    }
    if job.desired.config_sha256.is_none() && !job.settings.public_keys.is_empty() {
        let sentence = format!(
            "`configSha256` of {name} is not sent, and with `publicKeys` nothing is taken unverified"
        );
        return Err(Fault::new(ErrorCode::BadAnswer, sentence));
    }
    let content = small_file(job, url, CONFIG_BYTES_MAX, |refusal| refusal)?;
    verify(job, name, &content)?;
    Ok(Some(ConfigFile { name: name.clone(), content }))
}

fn verify(job: &Job, name: &str, content: &[u8]) -> Result<(), Fault> {
    let Some(promised) = &job.desired.config_sha256 else { return Ok(()) };
    let mut digesting = Digesting::new(std::io::empty(), Algorithm::Sha256);
    digesting.consume(content);
    match digesting.finish().1.sha256 {
        Some(found) if found == *promised => Ok(()),
        found => {
            let found = found.map(|it| it.to_string()).unwrap_or_default();
            let sentence = format!(
                "the configuration file {name} is not the promised one: its sha256 is {found}, {promised} is promised"
            );
            // Whoever changes both does not do so in one moment: it is tried again.
            Err(Fault::new(ErrorCode::NotThereYet, sentence))
        }
    }
}
