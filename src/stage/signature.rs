//! Signatures by minisign, the prehashed kind only: one of the configured keys has to have signed exactly this file under
//! exactly this name.

use std::fs::File;
use std::io::{Read, Seek};

use minisign_verify::{PublicKey, Signature};
use ops_package::Limited;
use ops_wire::{ErrorCode, tarball_name};

use super::Job;
use super::fetch::refuse_odd;
use crate::error::Fault;

/// A signature file has four lines.
const SIGNATURE_BYTES_MAX: u64 = 16 << 10;
const CHUNK_BYTES: usize = 128 << 10;

/// Whether `text` can be one of `publicKeys`: the second line of a minisign public key file.
pub fn is_key(text: &str) -> bool {
    PublicKey::from_base64(text).is_ok()
}

/// The signature that came with the order, or the one beside the tarball. `None`: no keys are configured.
pub(super) fn find(job: &Job) -> Result<Option<Signature>, Fault> {
    if job.settings.public_keys.is_empty() {
        return Ok(None);
    }
    let text = match job.desired.signature.as_str() {
        "" => beside_the_tarball(job)?,
        sent => sent.to_owned(),
    };
    let signature =
        Signature::decode(&text).map_err(|error| invalid(job, &format!("it cannot be read: {error}")))?;
    let name = tarball_name(&job.desired.name, &job.version);
    let named = signature.trusted_comment().split(['\t', ' ']).find_map(|field| field.strip_prefix("file:"));
    if named != Some(name.as_str()) {
        let named = named.unwrap_or("no file");
        return Err(invalid(
            job,
            &format!("its trusted comment names {named:?}, it has to carry `file:{name}`"),
        ));
    }
    Ok(Some(signature))
}

/// Mirrors may fail, never decide: whatever a source gives is checked against the keys.
fn beside_the_tarball(job: &Job) -> Result<String, Fault> {
    let mut last = Fault::new(ErrorCode::SignatureMissing, "the order names no place to find a signature");
    for url in job.desired.tarball_urls(&job.version) {
        match fetch(job, &format!("{url}.minisig")) {
            Ok(text) => return Ok(text),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

fn fetch(job: &Job, url: &str) -> Result<String, Fault> {
    refuse_odd(url)?;
    let mut reply = job.settings.http.get(url, None)?;
    match reply.status {
        200 => {}
        404 => {
            let sentence = format!("`{url}` is not there, and `publicKeys` demand a signature");
            return Err(Fault::new(ErrorCode::SignatureMissing, sentence));
        }
        _ => return Err(reply.refusal(url)),
    }
    let mut text = String::new();
    let read = Limited::new(reply.reader(), SIGNATURE_BYTES_MAX).read_to_string(&mut text);
    read.map(|_| text).map_err(|error| invalid(job, &format!("`{url}` cannot be read: {error}")))
}

/// Checks the very descriptor that is going to be unpacked.
pub(super) fn verify(job: &Job, signature: &Signature, file: &mut File) -> Result<(), Fault> {
    let keys = job.settings.public_keys.iter().filter_map(|key| PublicKey::from_base64(key).ok());
    let mut last = "no configured key can be read".to_owned();
    for key in keys {
        match holds(&key, signature, file) {
            Ok(()) => return Ok(()),
            Err(why) => last = why,
        }
    }
    Err(invalid(job, &last))
}

fn holds(key: &PublicKey, signature: &Signature, file: &mut File) -> Result<(), String> {
    let mut verifier = key.verify_stream(signature).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return verifier.finalize().map_err(|error| error.to_string()),
            Ok(read) => verifier.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn invalid(job: &Job, why: &str) -> Fault {
    let name = tarball_name(&job.desired.name, &job.version);
    Fault::new(ErrorCode::SignatureInvalid, format!("the signature of {name} does not hold: {why}"))
}
