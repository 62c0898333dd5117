//! Signatures by minisign, the prehashed kind only: one of the configured keys has to have signed exactly this file under
//! exactly this name.

use std::fs::File;
use std::io::{Read, Seek};

use minisign_verify::{PublicKey, Signature};
use ops_package::SIGNATURE_BYTES_MAX;
use ops_wire::{ErrorCode, tarball_name};

use super::Job;
use super::fetch::small_file;
use crate::error::Fault;
use crate::http;

const CHUNK_BYTES: usize = 128 << 10;

/// Whether `text` can be one of `publicKeys`: the second line of a minisign public key file.
pub fn is_key(text: &str) -> bool {
    PublicKey::from_base64(text).is_ok()
}

/// The signatures that came with the order, or lie beside the tarball: none when no keys are configured, else one at least.
pub(super) fn find(job: &Job) -> Result<Vec<Signature>, Fault> {
    if job.settings.public_keys.is_empty() {
        return Ok(Vec::new());
    }
    match job.desired.signature.as_str() {
        "" => beside_the_tarball(job),
        sent => read(job, sent).map(|signature| vec![signature]),
    }
}

/// Mirrors may fail, never decide: what they give is only a candidate, to be checked against the keys.
fn beside_the_tarball(job: &Job) -> Result<Vec<Signature>, Fault> {
    let mut found = Vec::new();
    let mut last = Fault::new(ErrorCode::SignatureMissing, "the order names no place to find a signature");
    for url in job.desired.tarball_urls(&job.version) {
        match fetch(job, &format!("{url}.minisig")).and_then(|text| read(job, &text)) {
            Ok(signature) => found.push(signature),
            Err(fault) => last = fault,
        }
    }
    if found.is_empty() { Err(last) } else { Ok(found) }
}

fn fetch(job: &Job, url: &str) -> Result<String, Fault> {
    let text = small_file(job, url, SIGNATURE_BYTES_MAX as u64, |_| {
        let sentence = format!("`{}` is not there, and `publicKeys` demand a signature", http::shown(url));
        Fault::new(ErrorCode::SignatureMissing, sentence)
    })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A signature that is about this very file.
fn read(job: &Job, text: &str) -> Result<Signature, Fault> {
    let signature =
        Signature::decode(text).map_err(|error| invalid(job, &format!("it cannot be read: {error}")))?;
    let name = tarball_name(&job.desired.name, &job.version);
    let named = signature.trusted_comment().split(['\t', ' ']).find_map(|field| field.strip_prefix("file:"));
    if named == Some(name.as_str()) {
        return Ok(signature);
    }
    let named = named.unwrap_or("no file");
    Err(invalid(job, &format!("its trusted comment names {named:?}, it has to carry `file:{name}`")))
}

/// Checks the very descriptor that is going to be unpacked: one key and one signature have to fit. Tells the key; without
/// any configured, none.
pub(super) fn verify(job: &Job, signatures: &[Signature], file: &mut File) -> Result<String, Fault> {
    let keys = &job.settings.public_keys;
    if keys.is_empty() {
        return Ok(String::new());
    }
    let mut last = "there is no key and signature to compare".to_owned();
    for (key, signature) in keys.iter().flat_map(|key| signatures.iter().map(move |it| (key, it))) {
        match holds(key, signature, file) {
            Ok(()) => return Ok(key.clone()),
            Err(why) => last = why,
        }
    }
    Err(invalid(job, &last))
}

fn holds(key: &str, signature: &Signature, file: &mut File) -> Result<(), String> {
    let key = PublicKey::from_base64(key).map_err(|error| error.to_string())?;
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
