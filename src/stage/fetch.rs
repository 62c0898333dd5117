//! Brings a package's bytes into the staging folder: resumed where a server allows it, bounded in size, time and
//! slowness, digested while they stream.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use minisign_verify::Signature;
use nix::fcntl::OFlag;
use ops_package::{Algorithm, Digesting, Digests, Limited, SUMS_BYTES_MAX, TooLarge, find_sum};
use ops_wire::{ErrorCode, HexDigest, tarball_name};

use super::{Job, Message, signature};
use crate::child;
use crate::error::Fault;
use crate::fs_layout::{read_bounded, remove_all};
use crate::http::{self, Reply};
use crate::plan::Record;

/// Over how long the minimum rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(30);
const CHUNK_BYTES: usize = 128 << 10;

/// A fetched file, its digest not yet compared.
pub(super) struct Package {
    file: File,
    digest: HexDigest,
    size: u64,
    signatures: Vec<Signature>,
}

/// The digest that the package has to have: the order's own, or the one in the md5 file.
pub(super) fn expected(job: &Job) -> Result<HexDigest, Fault> {
    match (job.desired.digest(), job.desired.md5_url(&job.version)) {
        (Some(digest), _) => Ok(digest.clone()),
        (None, Some(url)) => from_md5_file(job, &url),
        (None, None) => {
            Err(Fault::new(ErrorCode::Md5Missing, "the order names no digest and no place to find one"))
        }
    }
}

fn from_md5_file(job: &Job, url: &str) -> Result<HexDigest, Fault> {
    let missing = |why: String| {
        Fault::new(ErrorCode::Md5Missing, format!("`{}` gives no digest: {why}", http::shown(url)))
    };
    let text = small_file(job, url, SUMS_BYTES_MAX as u64, |_| {
        missing("the server has no such file; nothing is installed unverified".to_owned())
    })?;
    let file = tarball_name(&job.desired.name, &job.version);
    find_sum(&text, Algorithm::Md5, &file).map_err(|error| missing(error.to_string()))
}

/// A small file, whole. `missing`: what a 404 means.
pub(super) fn small_file(
    job: &Job,
    url: &str,
    bytes_max: u64,
    missing: impl FnOnce(Fault) -> Fault,
) -> Result<Vec<u8>, Fault> {
    refuse_odd(url)?;
    let mut reply = job.settings.http.get_small(url)?;
    match reply.status {
        200 => {}
        404 => return Err(missing(reply.refusal(url))),
        _ => return Err(reply.refusal(url)),
    }
    let mut content = Vec::new();
    let read = Limited::new(reply.reader(), bytes_max).read_to_end(&mut content);
    read.map_err(|error| broken(url, error))?;
    if reply.length().is_some_and(|length| length != content.len() as u64) {
        return Err(Fault::new(
            ErrorCode::Unreachable,
            format!("`{}` ended before its end", http::shown(url)),
        ));
    }
    Ok(content)
}

/// A prefix goes into a URL as it stands; what cannot be one is refused here.
fn refuse_odd(url: &str) -> Result<(), Fault> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if !(url.starts_with("http://") || url.starts_with("https://")) || url.contains(odd) {
        let url: String = url.chars().take(200).collect();
        return Err(Fault::new(ErrorCode::BadAnswer, format!("{url:?} is no http or https URL")));
    }
    Ok(())
}

/// Fetches from the first source that gives the right bytes: mirrors may fail, never decide.
pub(super) fn fetch(job: &Job, expected: &HexDigest) -> Result<Package, Fault> {
    let mut last = Fault::new(ErrorCode::BadAnswer, "the order names no place to fetch from");
    let urls = job.desired.tarball_urls(&job.version);
    for (index, url) in urls.iter().enumerate() {
        match from_source(job, url, expected) {
            Ok(package) if package.digest == *expected || index + 1 == urls.len() => return Ok(package),
            Ok(_) => remove_all(&partial(job))?,
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

fn from_source(job: &Job, url: &str, expected: &HexDigest) -> Result<Package, Fault> {
    refuse_odd(url)?;
    let (package, resumed) = download(job, url, expected, true)?;
    if !resumed || package.digest == *expected {
        return Ok(package);
    }
    // The first part may be of another file than the rest.
    download(job, url, expected, false).map(|(package, _)| package)
}

/// The second value: whether an earlier download was gone on with.
fn download(job: &Job, url: &str, expected: &HexDigest, resume: bool) -> Result<(Package, bool), Fault> {
    let begun = if resume { Begun::find(job) } else { None };
    let from = begun.as_ref().map(|it| (it.bytes, it.validator.as_str()));
    let mut reply = job.settings.http.get(url, from)?;
    let file = match (reply.status, begun) {
        (206, Some(begun)) if starts_at(&reply, begun.bytes) => begun.file,
        (200, _) => Begun::anew(job, reply.validator())?,
        // The rest of something else, or no rest at all.
        (206 | 416, Some(_)) => return download(job, url, expected, false),
        _ => return Err(reply.refusal(url)),
    };
    receive(job, url, expected, &mut reply, file)
}

fn starts_at(reply: &Reply, bytes: u64) -> bool {
    reply.header("content-range").is_some_and(|it| it.starts_with(&format!("bytes {bytes}-")))
}

fn receive(
    job: &Job,
    url: &str,
    expected: &HexDigest,
    reply: &mut Reply,
    file: File,
) -> Result<(Package, bool), Fault> {
    let path = partial(job);
    let before = file.metadata().map_err(|error| Fault::io("look at", &path, &error))?.len();
    let total = reply.length().map(|rest| rest.saturating_add(before));
    let most = job.settings.tarball_bytes_max;
    if let (Some(size), Some(promised)) = (total, job.desired.size)
        && size != promised
    {
        return Err(other_size(job, expected, size, promised));
    }
    if let Some(size) = job.desired.size.or(total).filter(|size| *size > most) {
        return Err(Fault::new(
            ErrorCode::TooLarge,
            format!("`{}` has {size} bytes, `tarballBytesMax` is {most}", http::shown(url)),
        ));
    }
    job.make_sure_of_room(
        total
            .or(job.desired.size)
            .unwrap_or(0)
            .saturating_sub(before)
            .saturating_add(job.desired.unpacked_size.unwrap_or(0)),
    )?;
    let mut receiving = Receiving { job, url, file: &file, before, total, position: 0, said: None };
    let digests = receiving.all(expected, reply)?;
    if total.is_some_and(|total| digests.bytes != total) {
        let sentence = format!(
            "`{}` ended after {} bytes instead of {}",
            http::shown(url),
            digests.bytes,
            total.unwrap_or(0)
        );
        return Err(Fault::new(ErrorCode::Unreachable, sentence));
    }
    if let Some(promised) = job.desired.size.filter(|promised| *promised > digests.bytes) {
        let sentence =
            format!("`{}` ended after {} bytes instead of {promised}", http::shown(url), digests.bytes);
        return Err(Fault::new(ErrorCode::Unreachable, sentence));
    }
    let digest = digests
        .md5
        .or(digests.sha256)
        .ok_or_else(|| Fault::new(ErrorCode::Io, "a digest was not computed"))?;
    Ok((Package { file, digest, size: digests.bytes, signatures: Vec::new() }, before > 0))
}

/// Of other bytes than the digest promises, since it promises this many.
fn other_size(job: &Job, expected: &HexDigest, size: u64, promised: u64) -> Fault {
    let name = tarball_name(&job.desired.name, &job.version);
    let code = if expected.is_md5() { ErrorCode::Md5Mismatch } else { ErrorCode::Sha256Mismatch };
    let sentence = format!("{name} has {size} bytes, {promised} are promised");
    Fault::new(code, sentence).with_digest(Some(expected))
}

/// A download under way.
struct Receiving<'a> {
    job: &'a Job,
    url: &'a str,
    file: &'a File,
    /// Bytes that an earlier child brought.
    before: u64,
    total: Option<u64>,
    position: u64,
    said: Option<u8>,
}

impl Receiving<'_> {
    /// Digests what is here and what comes, and writes what comes.
    fn all(&mut self, expected: &HexDigest, reply: &mut Reply) -> Result<Digests, Fault> {
        let algorithm = if expected.is_md5() { Algorithm::Md5 } else { Algorithm::Sha256 };
        let most = self.job.settings.tarball_bytes_max.min(self.job.desired.size.unwrap_or(u64::MAX));
        let most = most.saturating_sub(self.before);
        let coming = Paced::new(Limited::new(reply.reader(), most), self.job);
        (&mut &*self.file).rewind().map_err(|error| self.io("rewind", &error))?;
        let mut source = Digesting::new(self.file.take(self.before).chain(coming), algorithm);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = match source.read(&mut chunk) {
                Ok(0) => return Ok(source.finish().1),
                Ok(read) => chunk.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(self.url, error)),
            };
            if self.position >= self.before {
                let mut file = self.file;
                file.write_all(read).map_err(|error| self.io("write", &error))?;
            }
            self.position += read.len() as u64;
            self.say();
        }
    }

    fn io(&self, verb: &str, error: &io::Error) -> Fault {
        Fault::io(verb, &partial(self.job), error)
    }

    fn say(&mut self) {
        let Some(total) = self.total.filter(|total| *total > 0) else { return };
        let percent = u8::try_from(self.position.saturating_mul(100) / total).unwrap_or(100).min(100);
        if self.said != Some(percent) {
            self.said = Some(percent);
            child::say(&Message::Percent(percent));
        }
    }
}

impl Package {
    pub(super) fn with_signatures(self, signatures: Vec<Signature>) -> Self {
        Self { signatures, ..self }
    }

    /// Compares the digest; a wrong file is thrown away. What is recorded is what was computed.
    pub(super) fn verify(&mut self, job: &Job, expected: &HexDigest) -> Result<Record, Fault> {
        let is_md5 = expected.is_md5();
        if self.digest != *expected {
            forget(job)?;
            let (code, kind) =
                if is_md5 { (ErrorCode::Md5Mismatch, "md5") } else { (ErrorCode::Sha256Mismatch, "sha256") };
            let sentence = format!(
                "the {kind} of {} is {}, {expected} is promised",
                tarball_name(&job.desired.name, &job.version),
                self.digest
            );
            return Err(Fault::new(code, sentence).with_digest(Some(expected)));
        }
        let signed_by = match signature::verify(job, &self.signatures, &mut self.file) {
            Ok(key) => key,
            Err(fault) => {
                forget(job)?;
                return Err(fault.with_digest(Some(expected)));
            }
        };
        let digest = Some(self.digest.clone());
        let (md5, sha256) = if is_md5 { (digest, None) } else { (None, digest) };
        Ok(Record { md5, sha256, size: self.size, signed_by, run_user: job.run_user.clone() })
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }
}

/// What went wrong while bytes came.
fn broken(url: &str, error: io::Error) -> Fault {
    if let Some(slow) = error.get_ref().and_then(|it| it.downcast_ref::<Fault>()) {
        return Fault::new(slow.code, format!("`{}` {}", http::shown(url), slow.sentence));
    }
    match TooLarge::from_io(&error) {
        Some(too_large) => Fault::new(
            ErrorCode::TooLarge,
            format!("`{}` has {too_large}, see `tarballBytesMax`", http::shown(url)),
        ),
        None => http::fault(url, error.into()),
    }
}

/// Refuses a stream that comes slower than the minimum rate, or longer than a download may take.
struct Paced<R> {
    inner: R,
    bytes_per_sec_min: u64,
    window: (Instant, u64),
    end: Instant,
}

impl<R> Paced<R> {
    fn new(inner: R, job: &Job) -> Self {
        let now = Instant::now();
        let bytes_per_sec_min = job.settings.bytes_per_sec_min;
        Self { inner, bytes_per_sec_min, window: (now, 0), end: now + job.download_timeout }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let now = Instant::now();
        self.window.1 += read as u64;
        if read > 0 && now > self.end {
            return Err(io::Error::other(Fault::new(
                ErrorCode::Timeout,
                "did not end within `downloadTimeoutSecs`",
            )));
        }
        let since = now - self.window.0;
        if since >= RATE_WINDOW {
            let rate = self.window.1 / since.as_secs().max(1);
            if rate < self.bytes_per_sec_min {
                let least = self.bytes_per_sec_min;
                let sentence = format!("gives {rate} bytes a second, `bytesPerSecMin` is {least}");
                return Err(io::Error::other(Fault::new(ErrorCode::TooSlow, sentence)));
            }
            self.window = (now, 0);
        }
        Ok(read)
    }
}

/// Where the bytes are kept while they come. The file name carries the version, so that one version's first half is never
/// taken for another's.
fn partial(job: &Job) -> PathBuf {
    job.folder.join(tarball_name(&job.desired.name, &job.version))
}

/// Beside it: by what to ask for the rest.
fn validator_file(job: &Job) -> PathBuf {
    job.folder.join(format!("{}.validator", tarball_name(&job.desired.name, &job.version)))
}

/// Throws away what was fetched.
pub(super) fn forget(job: &Job) -> Result<(), Fault> {
    remove_all(&partial(job))?;
    remove_all(&validator_file(job))
}

/// The beginning of a download that an earlier child left.
struct Begun {
    file: File,
    bytes: u64,
    validator: String,
}

impl Begun {
    fn find(job: &Job) -> Option<Self> {
        let validator = String::from_utf8(read_bounded(&validator_file(job)).ok()??).ok()?;
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(partial(job)).ok()?;
        let it = file.metadata().ok()?;
        let usable = it.is_file() && it.nlink() == 1 && it.len() > 0 && !validator.is_empty();
        usable.then(|| Self { bytes: it.len(), file, validator })
    }

    /// An empty file, created new and never through a link; whatever else lay in the folder goes.
    fn anew(job: &Job, validator: Option<String>) -> Result<File, Fault> {
        remove_all(&job.folder)?;
        std::fs::create_dir_all(&job.folder)
            .map_err(|error| Fault::io("make the folder", &job.folder, &error))?;
        let create = |path: &PathBuf| {
            let flags = (OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits();
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(flags)
                .open(path);
            file.map_err(|error| Fault::io("make", path, &error))
        };
        if let Some(validator) = validator {
            let path = validator_file(job);
            let written = create(&path)?.write_all(validator.as_bytes());
            written.map_err(|error| Fault::io("write", &path, &error))?;
        }
        create(&partial(job))
    }
}
