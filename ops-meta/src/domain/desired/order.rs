//! The fields of a policy, checked.

use std::fmt;
use std::str::FromStr;

use ops_wire::{Cmd, HexDigest, Md5, Version};

use super::fault::Faults;
use super::{PolicyText, URL_BYTES_MAX};
use crate::domain::precedence::Order;

/// The longest text of a signature, in bytes.
const SIGNATURE_BYTES_MAX: usize = 4 << 10;
/// The largest whole number that every reader of JSON with 64 bits has.
const WHOLE_MAX: u64 = i64::MAX as u64;
const MIRRORS_MAX: usize = 16;
/// A start may be on trial for a day.
const TRIAL_SECS_MAX: u32 = 86_400;
const ACCOUNT_BYTES_MAX: usize = 64;

pub fn check(path: &str, text: &PolicyText, faults: &mut Faults) -> Order {
    let mut fields = Fields { path, faults };
    fields.urls(text);
    fields.others(text);
    Order {
        version: fields.read("version", &text.version),
        cmd: fields.cmd(&text.cmd),
        tarball: text.tarball.clone(),
        md5: Md5::read(&text.md5),
        sha256: fields.sha256("sha256", &text.sha256),
        signature: text.signature.clone(),
        size: text.size,
        unpacked_size: text.unpacked_size,
        mirrors: text.mirrors.clone(),
        trial_secs: text.trial_secs,
        run_user: text.run_user.clone(),
        config_file_name: text.config_file_name.clone(),
        config_remote_url: text.config_remote_url.clone(),
        config_sha256: fields.sha256("configSha256", &text.config_sha256),
    }
}

/// Some hosts hand it to wget, where a leading `-` makes it an option.
pub fn url(path: &str, text: &str, faults: &mut Faults) {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.len() > URL_BYTES_MAX || text.starts_with('-') || text.contains(odd) {
        faults.note(
            path,
            format!("it has to be an address of {URL_BYTES_MAX} bytes at most, without blanks, not beginning with -"),
        );
    }
}

/// Of one policy.
struct Fields<'a> {
    path: &'a str,
    faults: &'a mut Faults,
}

impl Fields<'_> {
    fn note(&mut self, field: &str, why: impl fmt::Display) {
        self.faults.note(format!("{}.{field}", self.path), why);
    }

    /// `None`: there is none, or a wrong one.
    fn read<T: FromStr<Err: fmt::Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        let given = (!text.is_empty()).then(|| text.parse());
        given?.map_err(|why| self.note(field, why)).ok()
    }

    fn sha256(&mut self, field: &str, text: &str) -> Option<HexDigest> {
        let digest = HexDigest::sha256(text);
        if digest.is_none() && !text.is_empty() {
            self.note(field, "it has to be 64 hexadecimal digits");
        }
        digest
    }

    fn cmd(&mut self, text: &str) -> Cmd {
        let cmd = Cmd::read(text);
        if let Cmd::Unknown(text) = &cmd {
            self.note("cmd", format!("{text:?} is none; it has to be start, stop or uninstall, or left out"));
        }
        cmd
    }

    fn urls(&mut self, text: &PolicyText) {
        let fields =
            [("tarball", &text.tarball), ("md5", &text.md5), ("configRemoteUrl", &text.config_remote_url)];
        for (field, url) in fields {
            self::url(&format!("{}.{field}", self.path), url, self.faults);
        }
        let is_digest = !text.md5.is_empty() && text.md5.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_digest && text.md5.len() != 32 {
            self.note("md5", "it has to be 32 hexadecimal digits, or a URL prefix");
        }
        for (n, url) in text.mirrors.iter().enumerate() {
            self::url(&format!("{}.mirrors[{n}]", self.path), url, self.faults);
        }
        if text.mirrors.len() > MIRRORS_MAX {
            self.note("mirrors", format!("there are {}, {MIRRORS_MAX} are allowed", text.mirrors.len()));
        }
    }

    fn others(&mut self, text: &PolicyText) {
        if text.signature.len() > SIGNATURE_BYTES_MAX {
            self.note("signature", format!("{SIGNATURE_BYTES_MAX} bytes are allowed"));
        }
        let large =
            [("size", text.size), ("unpackedSize", text.unpacked_size), ("generation", text.generation)];
        for (field, _) in large.iter().filter(|(_, it)| it.is_some_and(|it| it > WHOLE_MAX)) {
            self.note(field, format!("it has to be 0 to {WHOLE_MAX}"));
        }
        if text.trial_secs.is_some_and(|secs| secs > TRIAL_SECS_MAX) {
            self.note("trialSecs", format!("it has to be 0 to {TRIAL_SECS_MAX}"));
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        if text.run_user.len() > ACCOUNT_BYTES_MAX || text.run_user.contains(odd) {
            self.note("runUser", "it has to be the name of an account");
        }
        // One component of a path, and never the script that starts the agent.
        let name = text.config_file_name.parse::<Version>();
        if !text.config_file_name.is_empty() && (name.is_err() || text.config_file_name == "control") {
            self.note("configFileName", "it has to be the name of a file beside `control`, without a folder");
        }
    }
}
