//! The updater's `cfg.json`, by the file of its crate that reads it.
#![no_main]

use std::path::Path;
use std::time::Duration;

use fuzz::values::{Faults, Given, Values};
use libfuzzer_sys::fuzz_target;
use ops_wire::Hostname;

/// What the updater's other rooms know of a text is as good as any other answer.
fn given() -> Given<'static> {
    Given {
        folder: Path::new("/etc/ops"),
        hostname: "web01",
        is_proxy: |text| text.starts_with("http"),
        is_key: |text| text.len() == 56,
    }
}

fuzz_target!(|bytes: &[u8]| {
    // What is no text is refused where the file is read.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = match Values::read(text, given()) {
        Ok(values) => {
            possible(&values);
            assert!(values.unknown_keys.len() <= values.warnings.len());
            values.warnings
        }
        Err(Faults(faults)) => {
            assert!(!faults.is_empty());
            faults
        }
    };
    assert!(lines.len() <= text.len() + 2);
    lines.iter().for_each(|line| fuzz::sentence(line));
});

/// Past the border no impossible value exists.
fn possible(it: &Values) {
    assert!((1..=86_400).contains(&it.interval_secs) && it.trial_secs <= 86_400);
    let interval = Duration::from_secs(it.interval_secs.into());
    assert!(it.status_timeout * 2 <= interval);
    let timeouts = [
        it.status_timeout,
        it.start_timeout,
        it.stop_timeout,
        it.connect_timeout,
        it.answer_timeout,
        it.download_timeout,
    ];
    assert!(timeouts.iter().all(|it| !it.is_zero() && *it <= Duration::from_secs(86_400)));
    assert!(it.initial_jitter <= Duration::from_secs(86_400));
    assert!((2..=100).contains(&it.keep_versions) && it.tarball_bytes_max > 0 && it.unpacked_bytes_max > 0);
    let host = it.server.strip_prefix("http://").or(it.server.strip_prefix("https://"));
    assert!(host.is_some_and(|it| !it.is_empty()) && !it.server.contains(char::is_whitespace));
    assert!(Hostname::check(&it.hostname).is_ok());
    assert_eq!(it.client_cert_file.is_some(), it.client_key_file.is_some());
    let files = [&it.base_dir, &it.ca_file, &it.client_cert_file, &it.client_key_file, &it.token_file];
    assert!(files.into_iter().flatten().all(|it| it.is_absolute()));
    assert!(
        it.labels.len() <= 64 && it.labels.iter().flat_map(|(key, it)| [key, it]).all(|it| it.len() <= 256)
    );
    assert!(it.public_keys.iter().all(|it| it.len() == 56));
}
