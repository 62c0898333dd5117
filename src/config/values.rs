//! What a `cfg.json` says: every key, its default and its bounds. All faults of a file are listed at once; an unknown key
//! is only a warning, since an older binary must be able to read a newer file. This looks at nothing but the text and what
//! it is given, and needs no other room: `fuzz/` feeds the very same code.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_wire::{AgentName, Hostname};
use serde_json::{Map, Value};

/// Everything that is wrong with a file, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Labels of a host, and the longest key or value of one.
const LABELS_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 256;

/// What a file is read with.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Paths in the file are relative to it.
    pub folder: &'a Path,
    /// Of the kernel.
    pub hostname: &'a str,
    /// What only the rooms that use it can tell of a text.
    pub is_proxy: fn(&str) -> bool,
    pub is_key: fn(&str) -> bool,
}

/// What the file says, or what stands in for what it does not say. docs/configuration.md tells what each means.
#[derive(Debug, Clone)]
pub struct Values {
    /// A URL without a `/` at its end.
    pub server: String,
    pub hostname: String,
    pub labels: BTreeMap<String, String>,
    pub desired_agent: Option<AgentName>,
    pub base_dir: Option<PathBuf>,
    pub debug: bool,
    pub interval_secs: u32,
    pub initial_jitter: Duration,
    pub trial_secs: u32,
    pub status_timeout: Duration,
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
    pub connect_timeout: Duration,
    pub answer_timeout: Duration,
    pub download_timeout: Duration,
    pub bytes_per_sec_min: u64,
    pub tarball_bytes_max: u64,
    pub unpacked_bytes_max: u64,
    pub unpacked_entries_max: u64,
    pub disk_reserve_bytes: u64,
    pub keep_versions: usize,
    pub ca_file: Option<PathBuf>,
    pub client_cert_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub proxy: Option<String>,
    pub public_keys: Vec<String>,
    pub warnings: Vec<String>,
    /// Keys that this version does not know; a warning for each is among the warnings.
    pub unknown_keys: Vec<String>,
}

impl Values {
    pub fn read(text: &str, given: Given<'_>) -> Result<Self, Faults> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| Faults(vec![format!("not JSON: {error}")]))?;
        let Value::Object(keys) = value else {
            return Err(Faults(vec!["the file has to hold one JSON object".to_owned()]));
        };
        let mut reader = Reader { keys, given, faults: Vec::new(), warnings: Vec::new() };
        let values = reader.values();
        let unknown_keys: Vec<String> = reader.keys.keys().cloned().collect();
        let unknown = unknown_keys.iter().map(|key| format!("`{}`: unknown key, ignored", head(key)));
        if !reader.faults.is_empty() {
            // Perhaps a missing key is one of them, misspelled.
            reader.faults.extend(unknown);
            return Err(Faults(reader.faults));
        }
        reader.warnings.extend(unknown);
        Ok(Self { warnings: reader.warnings, unknown_keys, ..values })
    }
}

/// Takes key after key out of the file; what is left is unknown.
struct Reader<'a> {
    keys: Map<String, Value>,
    given: Given<'a>,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn values(&mut self) -> Values {
        self.accepted_for_2015();
        let interval_secs = self.number("interval", 300, 1, 86_400);
        let (client_cert_file, client_key_file) = self.client_files();
        Values {
            server: self.server(),
            hostname: self.hostname(),
            labels: self.labels(),
            desired_agent: self.desired_agent(),
            base_dir: self.path("baseDir"),
            debug: self.boolean("debug"),
            interval_secs: interval_secs as u32,
            initial_jitter: self.secs("initialJitterSecs", interval_secs, 0, 86_400),
            trial_secs: self.number("trialSecs", 120, 0, 86_400) as u32,
            // All agents are asked at once, and the beat waits for them: half the interval is theirs at most.
            status_timeout: self
                .secs("statusTimeoutSecs", 10, 1, 3600)
                .min(Duration::from_millis(interval_secs * 500)),
            start_timeout: self.secs("startTimeoutSecs", 60, 1, 3600),
            stop_timeout: self.secs("stopTimeoutSecs", 30, 1, 3600),
            connect_timeout: self.secs("connectTimeoutSecs", 10, 1, 600),
            answer_timeout: self.secs("answerTimeoutSecs", 30, 1, 600),
            download_timeout: self.secs("downloadTimeoutSecs", 3600, 1, 86_400),
            bytes_per_sec_min: self.number("bytesPerSecMin", 1024, 0, GIB),
            tarball_bytes_max: self.number("tarballBytesMax", 2 * GIB, 1, 1024 * GIB),
            unpacked_bytes_max: self.number("unpackedBytesMax", 8 * GIB, 1, 1024 * GIB),
            unpacked_entries_max: self.number("unpackedEntriesMax", 200_000, 1, 10_000_000),
            disk_reserve_bytes: self.number("diskReserveBytes", 100 * MIB, 0, 1024 * GIB),
            keep_versions: self.number("keepVersions", 2, 2, 100) as usize,
            ca_file: self.path("caFile"),
            client_cert_file,
            client_key_file,
            token_file: self.path("tokenFile"),
            proxy: self.proxy(),
            public_keys: self.public_keys(),
            warnings: Vec::new(),
            unknown_keys: Vec::new(),
        }
    }

    /// 2015's keys that mean nothing here.
    fn accepted_for_2015(&mut self) {
        if self.take("http").is_some() {
            self.warnings.push(
                "`http`: accepted and ignored, there is no listener; see `ops-updater status`".to_owned(),
            );
        }
    }

    fn client_files(&mut self) -> (Option<PathBuf>, Option<PathBuf>) {
        let files = (self.path("clientCertFile"), self.path("clientKeyFile"));
        if files.0.is_some() != files.1.is_some() {
            self.fault("clientCertFile", "one of it and `clientKeyFile` alone", "both or none");
        }
        files
    }

    fn proxy(&mut self) -> Option<String> {
        let text = self.text("proxy")?;
        if !(self.given.is_proxy)(&text) {
            self.fault("proxy", &shown(&text), "a URL with http or https");
        }
        Some(text)
    }

    fn public_keys(&mut self) -> Vec<String> {
        let Some(value) = self.take("publicKeys") else { return Vec::new() };
        let is_key = self.given.is_key;
        let keys = serde_json::from_value::<Vec<String>>(value.clone()).ok();
        keys.filter(|keys| keys.iter().all(|key| is_key(key))).unwrap_or_else(|| {
            let allowed = "a list of minisign public keys, each the second line of its file";
            self.fault("publicKeys", &found(&value), allowed);
            Vec::new()
        })
    }

    /// `host:port` as in 2015, or a URL.
    fn server(&mut self) -> String {
        let allowed = "`host:port`, or a URL with http or https";
        let faults = self.faults.len();
        let Some(text) = self.text("server") else {
            if self.faults.len() == faults {
                self.fault("server", "nothing", allowed);
            }
            return String::new();
        };
        let url = if text.contains("://") { text.clone() } else { format!("http://{text}") };
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.and_then(|it| it.split(['/', '?', '#']).next()).unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#');
        let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map(|(_, port)| port);
        let bad_port = port.is_some_and(|port| port.parse::<u16>().is_err());
        if host.is_empty() || host.starts_with(':') || url.contains(odd) || bad_port {
            self.fault("server", &shown(&text), allowed);
        }
        url.trim_end_matches('/').to_owned()
    }

    fn hostname(&mut self) -> String {
        let name = self.text("hostname").unwrap_or_else(|| self.given.hostname.to_owned());
        if let Err(why) = Hostname::check(&name) {
            let allowed = "1 to 253 bytes of letters, digits and signs, as ops-meta takes them";
            self.fault("hostname", &format!("{} ({why})", shown(&name)), allowed);
        }
        name
    }

    fn desired_agent(&mut self) -> Option<AgentName> {
        let text = self.text("desiredAgent")?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(why) => {
                self.fault("desiredAgent", &format!("{} ({why})", shown(&text)), "an agent's name, or empty");
                None
            }
        }
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let allowed = format!("an object of at most {LABELS_MAX} strings of at most {LABEL_BYTES_MAX} bytes");
        let Some(value) = self.take("labels") else { return BTreeMap::new() };
        let short = |text: &str| text.len() <= LABEL_BYTES_MAX && !text.contains(char::is_control);
        match serde_json::from_value::<BTreeMap<String, String>>(value.clone()) {
            Ok(labels)
                if labels.len() <= LABELS_MAX
                    && labels.iter().all(|(key, value)| short(key) && short(value)) =>
            {
                labels
            }
            _ => {
                self.fault("labels", &found(&value), &allowed);
                BTreeMap::new()
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.keys.remove(key).filter(|value| !value.is_null())
    }

    fn fault(&mut self, key: &str, found: &str, allowed: &str) {
        self.faults.push(format!("`{key}`: found {found}, allowed is {allowed}"));
    }

    fn boolean(&mut self, key: &str) -> bool {
        match self.take(key) {
            None => false,
            Some(Value::Bool(value)) => value,
            Some(other) => {
                self.fault(key, &found(&other), "true or false");
                false
            }
        }
    }

    fn number(&mut self, key: &str, default: u64, least: u64, most: u64) -> u64 {
        match self.take(key) {
            None => default,
            Some(value) => match value.as_u64().filter(|number| (least..=most).contains(number)) {
                Some(number) => number,
                None => {
                    self.fault(key, &found(&value), &format!("a whole number from {least} to {most}"));
                    default
                }
            },
        }
    }

    fn secs(&mut self, key: &str, default: u64, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.number(key, default, least, most))
    }

    /// A text; the empty one is as good as none, as in 2015.
    fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            other => {
                self.fault(key, &found(&other), "a string");
                None
            }
        }
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(|text| self.given.folder.join(text))
    }
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

fn found(value: &Value) -> String {
    head(&value.to_string())
}

/// The beginning of what the file says, on one line.
fn head(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
