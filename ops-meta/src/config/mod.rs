//! cfg.json: raw, then checked once. All faults are told at once, each with its key, what was found and what is
//! allowed.
//!
//! The keys of 2015 are read as they stand; `tls`, `hostsMax`, `textsBytesMax`, `downloadsMax`, `connectionsMax`,
//! `connectionsPerAddressMax`, `packageBytesMax`, `diskReserveBytes`, `packagesNeedToken`, `bytesPerSecMin` and `timeouts`
//! are ours and optional. docs/ops-meta.md has them all.

mod agents;
mod error;
mod faults;
mod limits;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::absolute::absolute;
use crate::domain::policy2015::Policy;
pub use error::ConfigError;
use faults::{Fault, Faults, Keys, shown};
pub use limits::Limits;

/// The largest configuration, in bytes.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tells more in the log.
    pub debug: bool,
    /// The files that are served; none when absent.
    pub tarball_dir: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub policies: Vec<Policy>,
    pub tls: Option<TlsFiles>,
    pub limits: Limits,
    /// Whether only who shows a token gets packages.
    pub packages_need_token: bool,
    /// The file as it stands, for those who ask what is in force.
    pub raw: Value,
    /// Keys that nobody reads.
    pub unknown: Vec<String>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// When given, every client has to show a certificate of this authority.
    pub client_ca: Option<PathBuf>,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable(path.to_owned(), error);
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        let raw =
            serde_json::from_slice(&bytes).map_err(|error| ConfigError::NotJson(path.to_owned(), error))?;
        Self::check(raw).map_err(|faults| ConfigError::Faulty(path.to_owned(), faults))
    }

    /// Raw to checked.
    pub fn check(raw: Value) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let config = Keys::of(&raw, "", &mut faults).map(|keys| checked(keys, &mut faults));
        match config {
            Some(config) if faults.list.is_empty() => Ok(Self { raw, unknown: faults.unknown, ..config }),
            _ => Err(faults.list),
        }
    }

    /// What is in force when there is no file: no agents, no files, the default limits.
    pub fn without_file() -> Self {
        let none = Map::new();
        // That `agents` is missing is the one fault, and none here.
        let config = checked(Keys::of_fields(&none, ""), &mut Faults::default());
        Self { raw: Value::Object(none), ..config }
    }
}

fn checked(mut keys: Keys<'_>, faults: &mut Faults) -> Config {
    let debug = keys.boolean("debug", faults).unwrap_or_default();
    let tarball_dir = keys.text("tarballDir", faults).filter(|dir| !dir.is_empty()).map(absolute_path);
    let listen = listen(&mut keys, faults);
    // Without the key every host would silently be told that nothing is wanted.
    if keys.take("agents").is_none() {
        faults.note("agents", "missing", "an array, which may be empty");
    }
    let entries = keys.entries("agents", faults).unwrap_or_default();
    let policies = agents::policies(&entries, faults);
    let tls = tls(&mut keys, faults);
    let limits = Limits::read(&mut keys, faults);
    let packages_need_token = keys.boolean("packagesNeedToken", faults).unwrap_or_default();
    keys.finish(faults);
    let (raw, unknown) = (Value::Null, Vec::new());
    Config { debug, tarball_dir, listen, policies, tls, limits, packages_need_token, raw, unknown }
}

fn listen(keys: &mut Keys<'_>, faults: &mut Faults) -> Option<SocketAddr> {
    let mut http = Keys::of(keys.take("http")?, "http", faults)?;
    if http.boolean("enabled", faults) == Some(false) {
        faults.note("http.enabled", "false", "true: there is nothing else to serve");
    }
    let text = http.text("listen", faults);
    http.finish(faults);
    let text = text?;
    let address = address(text);
    if address.is_none() {
        faults.note("http.listen", shown(&text.into()), "an address and a port, such as 0.0.0.0:2000");
    }
    address
}

/// `:2000` is every address, as in Go.
pub fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix(':') {
        Some(port) => port.parse().ok().map(|port: u16| SocketAddr::from(([0, 0, 0, 0], port))),
        None => text.replace("localhost:", "127.0.0.1:").parse().ok(),
    }
}

fn tls(keys: &mut Keys<'_>, faults: &mut Faults) -> Option<TlsFiles> {
    let mut tls = Keys::of(keys.take("tls")?, "tls", faults)?;
    let cert = tls.needed_text("certFile", "the path of a PEM file", faults);
    let key = tls.needed_text("keyFile", "the path of a PEM file", faults);
    let client_ca = tls.text("clientCaFile", faults).filter(|path| !path.is_empty()).map(absolute_path);
    tls.finish(faults);
    Some(TlsFiles { cert: absolute_path(cert?), key: absolute_path(key?), client_ca })
}

fn absolute_path(text: &str) -> PathBuf {
    absolute(text.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn faults(raw: Value) -> Vec<String> {
        Config::check(raw).unwrap_err().iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_file_of_2015_is_read_as_it_stands() {
        let config = Config::check(json!({
            "debug": true, "tarballDir": "/p", "http": {"enabled": true, "listen": "0.0.0.0:2000"},
            "agents": [{
                "default": {"name": "a", "version": "1", "tarball": "http://t", "md5": "", "cmd": "start"},
                "others": [{"prefix": "lg-", "version": "2", "tarball": "", "md5": "", "cmd": ""}],
            }, {"default": {"name": "b", "version": "1", "cmd": "stop"}, "others": null}],
        }));
        let config = config.unwrap();
        assert_eq!(config.listen, "0.0.0.0:2000".parse().ok());
        assert_eq!(config.tarball_dir, Some("/p".into()));
        assert_eq!(config.policies.len(), 2);
        assert_eq!((config.debug, config.unknown.len()), (true, 0));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let found = faults(json!({
            "debug": "yes", "tarballDir": 1, "http": {"enabled": false, "listen": "here"}, "hostsMax": 0,
            "agents": [null, {}, {"default": {"name": "../x", "version": "a b", "tarball": "-O /etc", "cmd": "go"}}],
        }));
        let paths: Vec<_> = found.iter().filter_map(|fault| fault.split('`').nth(1)).collect();
        assert_eq!(
            paths,
            [
                "debug",
                "tarballDir",
                "http.enabled",
                "http.listen",
                "agents[0]",
                "agents[1].default",
                "agents[2].default.name",
                "agents[2].default.version",
                "agents[2].default.tarball",
                "agents[2].default.cmd",
                "hostsMax",
            ]
        );
    }

    #[test]
    fn a_fault_says_where_what_and_what_instead() {
        let found = faults(json!({"agents": [], "downloadsMax": "many"}));
        assert_eq!(found, ["`downloadsMax` is \"many\"; allowed: a whole number, 1 to 100000"]);
    }

    #[test]
    fn nothing_is_not_a_configuration() {
        assert_eq!(faults(json!({})), ["`agents` is missing; allowed: an array, which may be empty"]);
        assert_eq!(faults(json!(null)).len(), 1);
        assert_eq!(faults(json!({"agents": null})).len(), 1);
    }

    #[test]
    fn an_agent_stands_there_once_and_a_start_is_complete() {
        let agent = json!({"default": {"name": "a"}});
        assert_eq!(faults(json!({"agents": [agent, agent]})).len(), 1);
        assert_eq!(faults(json!({"agents": [{"default": {"name": "a", "cmd": "start"}}]})).len(), 1);
    }

    #[test]
    fn unknown_keys_are_named_and_forgiven() {
        let raw = json!({"agents": [{"default": {"name": "a", "new": 1}, "more": 2}], "tls2": {}});
        let mut unknown = Config::check(raw).unwrap().unknown;
        unknown.sort();
        assert_eq!(unknown, ["agents[0].default.new", "agents[0].more", "tls2"]);
    }

    #[test]
    fn the_example_of_the_readme_is_read_without_a_word() {
        let readme = include_str!("../../../README.md");
        let example = readme.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let config = Config::check(serde_json::from_str(example).unwrap()).unwrap();
        assert_eq!((config.policies.len(), config.unknown), (1, vec![]));
    }

    #[test]
    fn every_key_is_in_the_documentation() {
        let whole = json!({
            "debug": false, "tarballDir": "", "http": {"enabled": true, "listen": ":1"},
            "agents": [{
                "default": {"name": "a", "version": "", "tarball": "", "md5": "", "cmd": ""},
                "others": [{"prefix": ""}],
            }],
            "tls": {"certFile": "c", "keyFile": "k", "clientCaFile": ""},
            "hostsMax": 1, "textsBytesMax": 1 << 30, "packageBytesMax": 1, "diskReserveBytes": 0, "packagesNeedToken": false, "downloadsMax": 1, "connectionsMax": 1, "connectionsPerAddressMax": 0, "bytesPerSecMin": 0,
            "timeouts": {"headerMillis": 10, "bodyMillis": 10, "idleMillis": 10},
        });
        assert_eq!(Config::check(whole.clone()).unwrap().unknown, [""; 0]);
        let documentation = include_str!("../../../docs/ops-meta.md");
        for key in keys(&whole) {
            let named = [format!("{key}`"), format!("`{key}.")];
            assert!(named.iter().any(|name| documentation.contains(name)), "{key} is not in it");
        }
    }

    fn keys(value: &Value) -> Vec<&str> {
        match value {
            Value::Object(fields) => {
                fields.iter().flat_map(|(key, value)| [vec![key.as_str()], keys(value)].concat()).collect()
            }
            Value::Array(entries) => entries.iter().flat_map(keys).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn addresses_are_those_that_go_understood() {
        for (text, expected) in [
            (":2000", Some("0.0.0.0:2000")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("[::]:1", Some("[::]:1")),
            ("2000", None),
            (":70000", None),
            ("", None),
        ] {
            assert_eq!(address(text), expected.and_then(|text| text.parse().ok()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_taken_or_refused(text in r#"[\[\]{}:,0-9a-z" -]{0,60}"#) {
            if let Ok(raw) = serde_json::from_str(&text) {
                let _ = Config::check(raw);
            }
        }
    }
}
