//! `cfg.json`: read once, checked whole, and past this border impossible values do not exist. All faults of a file are
//! listed at once; an unknown key is only a warning, since an older binary must be able to read a newer file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_wire::{AgentName, Hostname};
use serde_json::{Map, Value};

use crate::{apply, control, heartbeat, http, plan, stage, wake};

/// A checked configuration: each room's settings, filled.
#[derive(Debug, Clone)]
pub struct Config {
    pub base: PathBuf,
    pub debug: bool,
    pub heartbeat: heartbeat::Settings,
    pub wake: wake::Settings,
    pub plan: plan::Settings,
    pub apply: apply::Settings,
    pub warnings: Vec<String>,
    /// Keys that this version does not know; a warning for each is among the warnings.
    pub unknown_keys: Vec<String>,
}

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

impl Config {
    /// Reads the file at `path`. Relative paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let failed = |why: String| Faults(vec![format!("failed to read `{}`: {why}", path.display())]);
        // Whatever waits for a writer would keep the updater waiting, too.
        match std::fs::metadata(path) {
            Ok(it) if it.is_file() => {}
            Ok(_) => return Err(failed("it is no file".to_owned())),
            Err(error) => return Err(failed(error.to_string())),
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, folder)
    }

    pub fn parse(text: &str, folder: &Path) -> Result<Self, Faults> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| Faults(vec![format!("not JSON: {error}")]))?;
        let Value::Object(keys) = value else {
            return Err(Faults(vec!["the file has to hold one JSON object".to_owned()]));
        };
        let mut reader = Reader { keys, folder, faults: Vec::new(), warnings: Vec::new() };
        let config = reader.config();
        let unknown_keys: Vec<String> = reader.keys.keys().cloned().collect();
        let unknown = unknown_keys.iter().map(|key| format!("`{}`: unknown key, ignored", head(key)));
        if !reader.faults.is_empty() {
            // Perhaps a missing key is one of them, misspelled.
            reader.faults.extend(unknown);
            return Err(Faults(reader.faults));
        }
        reader.warnings.extend(unknown);
        Ok(Self { warnings: reader.warnings, unknown_keys, ..config })
    }
}

/// Takes key after key out of the file; what is left is unknown.
struct Reader<'a> {
    keys: Map<String, Value>,
    folder: &'a Path,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn config(&mut self) -> Config {
        let interval_secs = self.number("interval", 300, 1, 86_400);
        let control = self.control(interval_secs);
        let http = self.http();
        self.accepted_for_2015();
        let public_keys = self.public_keys();
        Config {
            base: self.base(),
            debug: self.boolean("debug"),
            heartbeat: heartbeat::Settings {
                server: self.server(),
                hostname: self.hostname(),
                labels: self.labels(),
                interval_secs: interval_secs as u32,
                http: http.clone(),
            },
            wake: wake::Settings {
                interval: Duration::from_secs(interval_secs),
                initial_jitter: self.secs("initialJitterSecs", interval_secs, 0, 86_400),
            },
            plan: plan::Settings {
                only: self.only(),
                trial_secs: self.number("trialSecs", 120, 0, 86_400) as u32,
                signatures: !public_keys.is_empty(),
                account: own_account(),
            },
            apply: apply::Settings {
                control,
                account: own_account(),
                keep_versions: self.number("keepVersions", 2, 2, 100) as usize,
                // A tenth of the time over which the beats are spread.
                download_spread: Duration::from_secs(interval_secs) / 10,
                download_timeout: self.secs("downloadTimeoutSecs", 3600, 1, 86_400),
                stage: self.stage(http, public_keys),
            },
            warnings: Vec::new(),
            unknown_keys: Vec::new(),
        }
    }

    fn control(&mut self, interval_secs: u64) -> control::Settings {
        let status = self.secs("statusTimeoutSecs", 10, 1, 3600);
        // All agents are asked at once, and the beat waits for them: half the interval is theirs at most.
        let most = Duration::from_millis(interval_secs * 500);
        control::Settings {
            status_timeout: status.min(most),
            start_timeout: self.secs("startTimeoutSecs", 60, 1, 3600),
            stop_timeout: self.secs("stopTimeoutSecs", 30, 1, 3600),
        }
    }

    fn http(&mut self) -> http::Settings {
        let settings = http::Settings {
            connect_timeout: self.secs("connectTimeoutSecs", 10, 1, 600),
            answer_timeout: self.secs("answerTimeoutSecs", 30, 1, 600),
            ca_file: self.path("caFile"),
            client_cert_file: self.path("clientCertFile"),
            client_key_file: self.path("clientKeyFile"),
            proxy: self.proxy(),
            token_file: self.path("tokenFile"),
        };
        if settings.client_cert_file.is_some() != settings.client_key_file.is_some() {
            self.fault("clientCertFile", "one of it and `clientKeyFile` alone", "both or none");
        }
        settings
    }

    fn proxy(&mut self) -> Option<String> {
        let text = self.text("proxy")?;
        if !http::is_proxy(&text) {
            self.fault("proxy", &shown(&text), "a URL with http or https");
        }
        Some(text)
    }

    fn stage(&mut self, http: http::Settings, public_keys: Vec<String>) -> stage::Settings {
        stage::Settings {
            http,
            public_keys,
            bytes_per_sec_min: self.number("bytesPerSecMin", 1024, 0, GIB),
            tarball_bytes_max: self.number("tarballBytesMax", 2 * GIB, 1, 1024 * GIB),
            unpacked_bytes_max: self.number("unpackedBytesMax", 8 * GIB, 1, 1024 * GIB),
            unpacked_entries_max: self.number("unpackedEntriesMax", 200_000, 1, 10_000_000),
            disk_reserve_bytes: self.number("diskReserveBytes", 100 * MIB, 0, 1024 * GIB),
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

    fn public_keys(&mut self) -> Vec<String> {
        let Some(value) = self.take("publicKeys") else { return Vec::new() };
        let keys = serde_json::from_value::<Vec<String>>(value.clone()).ok();
        keys.filter(|keys| keys.iter().all(|key| stage::is_key(key))).unwrap_or_else(|| {
            let allowed = "a list of minisign public keys, each the second line of its file";
            self.fault("publicKeys", &found(&value), allowed);
            Vec::new()
        })
    }

    fn base(&mut self) -> PathBuf {
        let binary = || std::env::current_exe().ok().and_then(|it| it.parent().map(Path::to_owned));
        self.path("baseDir").or_else(binary).unwrap_or_else(|| self.folder.to_owned())
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
        let own = || nix::unistd::gethostname().ok().and_then(|it| it.into_string().ok());
        let name = self.text("hostname").or_else(own).unwrap_or_default();
        if let Err(why) = Hostname::check(&name) {
            let allowed = "1 to 253 bytes of letters, digits and signs, as ops-meta takes them";
            self.fault("hostname", &format!("{} ({why})", shown(&name)), allowed);
        }
        name
    }

    fn only(&mut self) -> Option<AgentName> {
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
        self.text(key).map(|text| self.folder.join(text))
    }
}

/// What this process runs as, by its name.
fn own_account() -> String {
    if nix::unistd::Uid::effective().is_root() {
        return "root".to_owned();
    }
    std::env::var("USER").unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn parse(text: &str) -> Result<Config, Faults> {
        Config::parse(text, Path::new("/etc/ops"))
    }

    #[test]
    fn the_example_is_read_without_a_word() {
        let config = parse(include_str!("../cfg.example.json")).unwrap();
        assert_eq!(config.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_file_of_2015_is_read_as_it_stands() {
        let text = r#"{"debug": true, "hostname": "", "desiredAgent": "", "server": "127.0.0.1:2000", "interval": 300,
            "http": {"enabled": true, "listen": "0.0.0.0:2001"}}"#;
        let config = parse(text).unwrap();
        assert_eq!(config.heartbeat.server, "http://127.0.0.1:2000");
        assert!(config.debug && config.plan.only.is_none() && !config.heartbeat.hostname.is_empty());
        assert_eq!(config.warnings.len(), 1);
    }

    #[test]
    fn all_faults_are_listed_at_once_with_key_found_and_allowed() {
        let text = r#"{"server": "", "interval": 0, "trialSecs": "2", "labels": {"a": 1}, "desiredAgent": "../x", "debug": 1}"#;
        let faults = parse(text).unwrap_err().0;
        for (key, found) in [
            ("interval", "0"),
            ("trialSecs", "\"2\""),
            ("labels", "{\"a\":1}"),
            ("desiredAgent", "../x"),
            ("debug", "1"),
            ("server", "nothing"),
        ] {
            assert!(
                faults.iter().any(|it| it.starts_with(&format!("`{key}`: found"))
                    && it.contains(found)
                    && it.contains("allowed is")),
                "{key} in {faults:?}"
            );
        }
        assert_eq!(faults.len(), 6, "{faults:?}");
    }

    #[test]
    fn a_server_is_an_address_or_a_url() {
        for good in ["a:2000", "http://a", "https://a:1/x/", "[::1]:2000", "http://[::1]"] {
            assert!(parse(&format!(r#"{{"server": "{good}"}}"#)).is_ok(), "{good}");
        }
        for bad in ["ftp://a", "http://", ":2000", "a b", "a:70000", "u@h:1", "http://a?x"] {
            assert!(parse(&format!(r#"{{"server": "{bad}"}}"#)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hostname_that_ops_meta_would_refuse_is_a_fault() {
        let with =
            |hostname: &str| parse(&serde_json::json!({"server": "a:1", "hostname": hostname}).to_string());
        for good in ["web01", "lg-dinp-01.bj", "10.0.0.1", "北京-01"] {
            assert_eq!(with(good).unwrap().heartbeat.hostname, good);
        }
        for bad in [" ", "a b", "a\nb", "a\u{202e}b", &"a".repeat(254)] {
            let faults = with(bad).unwrap_err().0;
            assert!(faults.len() == 1 && faults[0].starts_with("`hostname`: found"), "{bad:?}: {faults:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_a_warning() {
        let config = parse(r#"{"server": "a:1", "fromTheFuture": 1}"#).unwrap();
        assert_eq!(config.warnings, ["`fromTheFuture`: unknown key, ignored"]);
    }

    #[test]
    fn a_key_of_any_length_makes_a_short_warning() {
        let config = parse(&serde_json::json!({"server": "a:1", "k\n".repeat(1000): 1}).to_string()).unwrap();
        assert!(
            config.warnings[0].len() < 200 && !config.warnings[0].contains('\n'),
            "{:?}",
            config.warnings
        );
    }

    const KEYS: [&str; 33] = [
        "server",
        "hostname",
        "labels",
        "desiredAgent",
        "baseDir",
        "debug",
        "http",
        "interval",
        "initialJitterSecs",
        "trialSecs",
        "statusTimeoutSecs",
        "startTimeoutSecs",
        "stopTimeoutSecs",
        "connectTimeoutSecs",
        "answerTimeoutSecs",
        "downloadTimeoutSecs",
        "bytesPerSecMin",
        "tarballBytesMax",
        "unpackedBytesMax",
        "unpackedEntriesMax",
        "diskReserveBytes",
        "keepVersions",
        "caFile",
        "clientCertFile",
        "clientKeyFile",
        "tokenFile",
        "proxy",
        "publicKeys",
        // Of other programs, of the future, and misspelled.
        "tarballDir",
        "agents",
        "Server",
        "",
        "../x",
    ];

    /// What is odd in one place and fine in another.
    const TEXTS: [&str; 8] = [
        "a:2000",
        "https://[::1]:1/x",
        "http://a:70000",
        "http://[",
        "web01",
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "\u{202e}\n\u{7f}\u{85}",
        "ä",
    ];

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0..200_u64).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            select(&TEXTS).prop_map(Value::from),
            ".{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 40, 8, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Value::from),
                btree_map(".{0,99}", inner, 0..8).prop_map(|it| Value::Object(Map::from_iter(it))),
            ]
        })
    }

    /// Whatever the file says: an answer, each of its lines short; and what is taken is possible.
    fn is_answered(text: &str) {
        let lines = match parse(text) {
            Ok(config) => {
                let (interval, status) = (config.wake.interval, config.apply.control.status_timeout);
                assert!((1..=86_400).contains(&interval.as_secs()) && status * 2 <= interval);
                assert!(config.apply.keep_versions >= 2);
                assert!(config.heartbeat.server.starts_with("http"));
                config.warnings
            }
            Err(Faults(faults)) => {
                assert!(!faults.is_empty());
                faults
            }
        };
        assert!(lines.len() <= text.len() + 2);
        for line in lines {
            assert!(line.len() <= 600 && !line.contains(char::is_control), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_object_is_taken_or_refused(
            known in btree_map(select(&KEYS), any_value(), 0..12),
            unknown in btree_map(".{0,300}", any_value(), 0..3),
            is_useful in any::<bool>(),
        ) {
            let known = known.into_iter().map(|(key, value)| (key.to_owned(), value));
            let mut object = Map::from_iter(unknown.into_iter().chain(known));
            if is_useful {
                object.insert("server".to_owned(), "a:1".into());
                object.insert("hostname".to_owned(), "web01".into());
            }
            is_answered(&Value::Object(object).to_string());
        }

        #[test]
        fn any_text_is_taken_or_refused(bytes in vec(any::<u8>(), 0..400), json in r#"[\[\]{}:,0-9a-z" -]{0,60}"#) {
            is_answered(&String::from_utf8_lossy(&bytes));
            is_answered(&json);
        }

        #[test]
        fn any_damage_to_the_example_is_taken_or_refused(at in 0..400_usize, byte in any::<u8>(), len in 0..400_usize) {
            let mut bytes = include_bytes!("../cfg.example.json").to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(len.max(at + 1));
            is_answered(&String::from_utf8_lossy(&bytes));
        }
    }
}
