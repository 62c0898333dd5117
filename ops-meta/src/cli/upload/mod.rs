//! Tarballs, brought to the server one after the other. Each is read here first. Then:
//!
//! * what the server has already is not sent again, unless its file is damaged there or a signature is new;
//! * what was sent before the connection broke is not sent again either;
//! * a server that is away is asked again for a while. Once there is no more hope, the files that are left are not tried.

mod patience;
mod progress;
mod tarball;

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::{Client, NotPut, Query, Upload};
use super::failed::Failed;
use super::output::{Listing, Output, is, list, number, text};
use super::package::remote::{build_query, path_of, row_of_build};
use super::say;
use super::sizes::size;
use crate::domain::one_line::one_line;
use patience::Patience;
use progress::Progress;
pub use tarball::{Called, Md5, Tarball};

/// What lies in the buffers of a connection that breaks is lost; more than this was refused.
const LOST_BYTES_MAX: u64 = 16 << 20;
/// How often it may be.
const IN_VAIN_MAX: u32 = 2;

/// Brings tarballs, and says what became of each.
pub struct Bringing<'a> {
    client: Client,
    called: &'a Called,
    md5: Md5,
    listing: Listing,
    /// It has answered, and takes the token.
    met: bool,
    /// Nothing more can be brought.
    hopeless: bool,
}

impl<'a> Bringing<'a> {
    pub fn new(client: Client, called: &'a Called, md5: Md5, output: &Output) -> Self {
        let heads = &["NAME", "VERSION", "FOR", "SIZE", "SHA256", "RESULT"];
        let listing = Listing::new(output.format, heads);
        Self { client, called, md5, listing, met: false, hopeless: false }
    }

    /// Goes on with the others after a failure.
    pub fn all(mut self, files: &[PathBuf]) -> Result<(), Failed> {
        let mut left = files.len();
        Failed::of_each(files, |path| {
            if self.hopeless {
                return Ok(());
            }
            left -= 1;
            let brought = self.one(path);
            if self.hopeless && left > 0 {
                let path = one_line(&path.display().to_string());
                let behind = match left {
                    1 => format!("the file behind `{path}` is not tried"),
                    _ => format!("the {left} files behind `{path}` are not tried"),
                };
                say(&format!("ops-meta: {behind}"));
            }
            brought
        })
    }

    fn one(&mut self, path: &Path) -> Result<(), Failed> {
        let tarball = Tarball::read(path, self.called, self.md5)?;
        let brought = self.meet().and_then(|()| bring(&self.client, &tarball));
        self.hopeless = !self.met || matches!(brought, Err(Failed::Away { .. }));
        let (mut package, result) = brought?;
        if let Some(fields) = package.as_object_mut() {
            fields.insert("result".to_owned(), result.into());
            fields.insert("file".to_owned(), tarball.path.to_string_lossy().into());
        }
        match self.listing.print(&[package], row) {
            // The files that are left are wanted on the server all the same.
            Err(Failed::ReaderGone) => Ok(()),
            printed => printed,
        }
    }

    /// One that cannot be reached at all, or does not take the token, is not asked for each file.
    fn meet(&mut self) -> Result<(), Failed> {
        if !self.met {
            self.client.get("/api/v1/whoami", &Query::new())?;
            self.met = true;
        }
        Ok(())
    }
}

fn row(package: &Value) -> Vec<String> {
    let mut row = row_of_build(package);
    row.extend([text(package, "sha256"), text(package, "result")]);
    row
}

/// The package as the server has it then, and what was done.
type Brought = (Value, &'static str);

fn bring(client: &Client, tarball: &Tarball) -> Result<Brought, Failed> {
    let mut bringing = One::new(client, tarball);
    loop {
        match bringing.once() {
            Err(Failed::Away { why, retry_after }) => {
                bringing.patience.wait(&tarball.shown, why, retry_after)?;
            }
            Err(Failed::Refused(why)) => {
                return Err(Failed::Refused(format!("`{}`: {why}", tarball.shown)));
            }
            done => return done,
        }
    }
}

/// One tarball on its way.
struct One<'a> {
    client: &'a Client,
    tarball: &'a Tarball,
    patience: Patience,
    /// What was there of it was refused.
    began_anew: bool,
    /// All of it was sent, and no answer came.
    was_sent: bool,
    /// What was sent the last time, and how often the server kept nothing of it.
    sent: u64,
    in_vain: u32,
}

impl<'a> One<'a> {
    fn new(client: &'a Client, tarball: &'a Tarball) -> Self {
        let patience = Patience::default();
        Self { client, tarball, patience, began_anew: false, was_sent: false, sent: 0, in_vain: 0 }
    }

    fn once(&mut self) -> Result<Brought, Failed> {
        let Some(there) = self.there()? else { return Ok((self.send(true)?, "pushed")) };
        if self.was_sent {
            return Ok((there, "pushed"));
        }
        let is_damaged = self.damage()?.is_some();
        let is_signed_so =
            self.tarball.signature.is_none() || self.signature_of(&there) == self.tarball.signature;
        match (is_damaged, is_signed_so) {
            (false, true) => Ok((there, "already there")),
            (false, false) => Ok((self.send(false)?, "signed")),
            (true, _) => {
                let package = self.send(false)?;
                match self.damage()? {
                    None => Ok((package, "repaired")),
                    Some(why) => {
                        Err(Failed::Refused(format!("it was sent again, and nothing is better: {why}")))
                    }
                }
            }
        }
    }

    /// The same bytes, under the same version.
    fn there(&self) -> Result<Option<Value>, Failed> {
        let Tarball { build, sha256, .. } = self.tarball;
        let path = path_of(build.name.as_str(), build.version.as_str());
        let detail = match self.client.get(&path, &Query::new()) {
            Err(Failed::NotFound(_)) => return Ok(None),
            got => got?,
        };
        let is_it = |it: &&Value| {
            let word = |field| it.get(field).and_then(Value::as_str).unwrap_or_default();
            word("os") == build.platform.os() && word("arch") == build.platform.arch()
        };
        let Some(there) = list(&detail, "builds").iter().find(is_it) else { return Ok(None) };
        let other = text(there, "sha256");
        if other != sha256.as_str() {
            return Err(Failed::Refused(format!(
                "{build} is there with other bytes (sha256 {other}, and this has {sha256}); a version never changes: \
                 give this another version"
            )));
        }
        if text(there, "state") != "ready" {
            return Err(Failed::Refused(format!(
                "{build} is being deleted; say `ops-meta package delete` until it is gone, then push it again"
            )));
        }
        Ok(Some(there.clone()))
    }

    /// What is wrong with the server's file, if anything.
    fn damage(&self) -> Result<Option<String>, Failed> {
        let build = &self.tarball.build;
        let path = path_of(build.name.as_str(), build.version.as_str()) + "/verify";
        let query = build_query(build.platform.os(), build.platform.arch());
        let verified = self.client.work(&path, &query, &Value::Null)?;
        Ok((text(&verified, "state") != "good").then(|| text(&verified, "why")))
    }

    fn signature_of(&self, there: &Value) -> Option<String> {
        is(there, "signed").then(|| self.client.text(&format!("{}.minisig", text(there, "path"))))?
    }

    /// `is_new`: nothing of that name was there.
    fn send(&mut self, is_new: bool) -> Result<Value, Failed> {
        let Tarball { build, size: whole, sha256, md5, .. } = self.tarball;
        let offset = self.offset()?;
        self.look_whether_it_is_in_vain(offset)?;
        let mut file = &self.tarball.file;
        file.seek(SeekFrom::Start(offset)).map_err(|error| self.unread(&error))?;
        let progress = Progress::new(&self.tarball.shown, *whole, offset);
        let mut body = Body { file, left: whole.saturating_sub(offset), progress, failed: None };
        let mut query = build_query(build.platform.os(), build.platform.arch());
        query.extend([("sha256", sha256.to_string()), ("md5", md5.to_string())]);
        let signature = self.tarball.signature_in_base64();
        let path = path_of(build.name.as_str(), build.version.as_str());
        let upload = Upload { query, size: *whole, offset, signature: signature.as_deref(), body: &mut body };
        let sent = self.client.put(&path, upload);
        let is_all_sent = body.left == 0;
        self.sent = whole.saturating_sub(offset).saturating_sub(body.left);
        if let Some(error) = body.failed {
            return Err(self.unread(&error));
        }
        match sent {
            // Perhaps it is what was there before: after a power cut it may have other bytes.
            Err(NotPut::Rest(why)) if !self.began_anew => {
                self.began_anew = true;
                Err(Failed::away(why))
            }
            Err(NotPut::Rest(why)) => Err(Failed::Refused(why)),
            Err(NotPut::Failed(failed)) => {
                self.was_sent |= is_new && is_all_sent;
                Err(failed)
            }
            Ok(package) => Ok(package),
        }
    }

    /// A server whose disk is full says so and breaks the connection, and what it says is lost with that.
    fn look_whether_it_is_in_vain(&mut self, offset: u64) -> Result<(), Failed> {
        let is_kept = self.patience.at(offset);
        if self.sent > LOST_BYTES_MAX && !is_kept {
            self.in_vain += 1;
        }
        if self.in_vain < IN_VAIN_MAX {
            return Ok(());
        }
        Err(Failed::Refused(format!(
            "{} were sent, and the server broke the connection and kept nothing of it: perhaps its disk is full",
            size(self.sent)
        )))
    }

    /// How much the server has of it. One that has all, and made nothing of it, gets it again.
    fn offset(&self) -> Result<u64, Failed> {
        let Tarball { size: whole, sha256, .. } = self.tarball;
        let there = self.client.get(&format!("/api/v1/uploads/{sha256}"), &Query::new())?;
        let offset = number(&there, "offset").and_then(|it| u64::try_from(it).ok()).unwrap_or_default();
        Ok(match offset.cmp(whole) {
            Ordering::Less => offset,
            // All of it is there, and was not looked at: the last byte goes again.
            Ordering::Equal => whole.saturating_sub(1),
            Ordering::Greater => 0,
        })
    }

    fn unread(&self, error: &io::Error) -> Failed {
        Failed::Refused(format!("failed to read it: {error}"))
    }
}

/// The rest of a file, while it is sent.
struct Body<'a> {
    file: &'a File,
    left: u64,
    progress: Progress<'a>,
    /// Why it could not be read: else that would look like the network's fault.
    failed: Option<io::Error>,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.take(self.left).read(buffer);
        match read {
            Ok(0) if self.left > 0 && !buffer.is_empty() => {
                self.failed =
                    Some(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter meanwhile"));
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                self.left -= count as u64;
                self.progress.add(count as u64);
                Ok(count)
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}
