//! `cfg.json`: read once, checked whole, and past this border impossible values do not exist. `values` knows the keys;
//! here each room's settings are filled with what they say.

mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use values::{Given, Values};

use crate::{apply, control, heartbeat, http, plan, stage, wake};

pub use values::Faults;

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
        let hostname = nix::unistd::gethostname().ok().and_then(|it| it.into_string().ok());
        let hostname = &hostname.unwrap_or_default();
        let given = Given { folder, hostname, is_proxy: http::is_proxy, is_key: stage::is_key };
        Values::read(text, given).map(|values| Self::fill(values, folder))
    }

    fn fill(it: Values, folder: &Path) -> Self {
        let interval = Duration::from_secs(it.interval_secs.into());
        let binary = || std::env::current_exe().ok().and_then(|it| it.parent().map(Path::to_owned));
        let http = http::Settings {
            connect_timeout: it.connect_timeout,
            answer_timeout: it.answer_timeout,
            ca_file: it.ca_file,
            client_cert_file: it.client_cert_file,
            client_key_file: it.client_key_file,
            proxy: it.proxy,
            token_file: it.token_file,
            server: it.server.clone(),
        };
        Self {
            base: it.base_dir.or_else(binary).unwrap_or_else(|| folder.to_owned()),
            debug: it.debug,
            heartbeat: heartbeat::Settings {
                server: it.server,
                hostname: it.hostname,
                labels: it.labels,
                interval_secs: it.interval_secs,
                http: http.clone(),
            },
            wake: wake::Settings { interval, initial_jitter: it.initial_jitter },
            plan: plan::Settings {
                only: it.desired_agent,
                trial_secs: it.trial_secs,
                public_keys: it.public_keys.clone(),
                account: own_account(),
            },
            apply: apply::Settings {
                control: control::Settings {
                    status_timeout: it.status_timeout,
                    start_timeout: it.start_timeout,
                    stop_timeout: it.stop_timeout,
                },
                account: own_account(),
                keep_versions: it.keep_versions,
                // A tenth of the time over which the beats are spread.
                download_spread: interval / 10,
                download_timeout: it.download_timeout,
                stage: stage::Settings {
                    http,
                    public_keys: it.public_keys,
                    bytes_per_sec_min: it.bytes_per_sec_min,
                    tarball_bytes_max: it.tarball_bytes_max,
                    unpacked_bytes_max: it.unpacked_bytes_max,
                    unpacked_entries_max: it.unpacked_entries_max,
                    disk_reserve_bytes: it.disk_reserve_bytes,
                },
            },
            warnings: it.warnings,
            unknown_keys: it.unknown_keys,
        }
    }
}

/// What this process runs as, by its name.
fn own_account() -> String {
    if nix::unistd::Uid::effective().is_root() {
        return "root".to_owned();
    }
    std::env::var("USER").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::{Map, Value};

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
