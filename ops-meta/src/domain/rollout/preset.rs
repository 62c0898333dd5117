//! Waves as they are written on a command line: `--waves 1%,10%,50%,100% --soak 10m --max-failed 2%`.

use super::share::{MaxFailed, Share};
use super::wave::WaveText;

/// What is given for all waves; what is left out is the default of each.
#[derive(Debug, Clone, Copy, Default)]
pub struct PresetText<'a> {
    /// `1%,10%,100%`, or numbers of hosts: `5,50%,100%`.
    pub waves: &'a str,
    /// `90s`, `10m`, `2h`, `1d`
    pub soak: Option<&'a str>,
    pub timeout: Option<&'a str>,
    /// `2%` or `3`
    pub max_failed: Option<&'a str>,
    pub max_in_flight: Option<u32>,
    pub hosts_per_minute: Option<u32>,
}

/// Waves, to be checked like any others.
///
/// # Errors
/// A sentence that says which option is wrong, and how it is written.
pub fn preset(text: &PresetText<'_>) -> Result<Vec<WaveText>, String> {
    let soak_secs = text.soak.map(|it| secs("--soak", it)).transpose()?;
    let timeout_secs = text.timeout.map(|it| secs("--timeout", it)).transpose()?;
    let max_failed = text.max_failed.map(str::parse::<MaxFailed>).transpose();
    let max_failed = max_failed.map_err(|why| format!("--max-failed: {why}"))?;
    let wave = |share: &str| {
        let share = share_of(share.trim())?;
        let (percent, count) = match share {
            Share::Percent(percent) => (Some(percent), None),
            Share::Count(count) => (None, Some(count)),
        };
        Ok(WaveText {
            name: share.to_string(),
            percent,
            count,
            max_in_flight: text.max_in_flight,
            hosts_per_minute: text.hosts_per_minute,
            max_failed,
            timeout_secs,
            soak_secs,
            ..WaveText::default()
        })
    };
    text.waves.split(',').map(wave).collect()
}

fn share_of(text: &str) -> Result<Share, String> {
    match text.parse() {
        Ok(count) => Ok(Share::Count(count)),
        Err(_) => text.parse().map(Share::Percent).map_err(|_| {
            format!(
                "--waves: {text:?} is no share of the hosts; write shares that grow, as in `1%,10%,100%` or `5,50%,100%`"
            )
        }),
    }
}

/// `90s`, `10m`, `2h`, `1d`
pub(super) fn length_secs(text: &str) -> Option<u32> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(number).unwrap_or_default();
    let unit_secs = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    unit_secs.and_then(|unit: u32| number.parse::<u32>().ok()?.checked_mul(unit))
}

/// Seconds of a length of time.
fn secs(option: &str, text: &str) -> Result<u32, String> {
    length_secs(text).ok_or_else(|| {
        format!("{option}: {text:?} is no length of time; write it as `90s`, `10m`, `2h` or `1d`")
    })
}
