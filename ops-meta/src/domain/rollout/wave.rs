//! The steps of a rollout.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::share::{MaxFailed, Percent, Share};
use crate::domain::desired::Fault;
use crate::domain::selector::{Lists, Selector};

/// [`super::Seen::selected`] has a bit for each.
pub const WAVES_MAX: usize = 32;
const NAME_CHARS_MAX: usize = 64;
/// Of fewer hosts a percentage means nothing.
const MIN_SAMPLE: u32 = 10;
const TIMEOUT_SECS_MAX: u32 = 7 * 86_400;
const SOAK_SECS_MAX: u32 = 30 * 86_400;

/// A wave as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = Wave)]
pub struct WaveText {
    /// Left out: its share, `10 %`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Of which hosts, in the language of docs/selectors.md; left out: of all that the policy is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub select: String,
    /// How many of them have the change when the wave is over, those of earlier waves included: a percentage, to two
    /// decimals ...
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, exclusive_minimum = 0, maximum = 100)]
    pub percent: Option<Percent>,
    /// ... or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub count: Option<u32>,
    /// So many hosts of the rollout may be under way at once; left out: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_in_flight: Option<u32>,
    /// So many begin in a minute; left out: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub hosts_per_minute: Option<u32>,
    /// Of the hosts that were ordered, so many have to be done before the next wave; left out: all but those that may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    pub success_percent: Option<u8>,
    /// More failures are a breach: `3`, or `"2%"` of those that were ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>, default = "2%")]
    pub max_failed: Option<MaxFailed>,
    /// So many have to be ordered before a percentage of them counts; where the wave has fewer hosts, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, default = 10)]
    pub min_sample: Option<u32>,
    /// A host that was told, and is not done after that long, has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, default = 900)]
    pub timeout_secs: Option<u32>,
    /// For so long all has to go well before the next wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = 0)]
    pub soak_secs: Option<u32>,
    /// It begins only when somebody approves.
    #[serde(skip_serializing_if = "is_false")]
    pub approval: bool,
}

impl WaveText {
    /// Where the text does not say.
    pub const MAX_FAILED: MaxFailed = MaxFailed::Percent(Percent::whole(2));
    /// Where the text does not say.
    pub const TIMEOUT_SECS: u32 = 900;
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A wave without faults; what was left out is what it is by default.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    pub name: String,
    /// `None`: all hosts of the policy.
    pub select: Option<Selector>,
    pub share: Share,
    pub max_in_flight: Option<u32>,
    pub hosts_per_minute: Option<u32>,
    pub success_percent: Option<u8>,
    pub max_failed: MaxFailed,
    pub min_sample: u32,
    pub timeout_secs: u32,
    pub soak_secs: u32,
    pub approval: bool,
}

/// Every fault is noted; what is returned is a plan's only where there is none.
pub fn check(texts: &[WaveText], lists: &Lists, faults: &mut Vec<Fault>) -> Vec<Wave> {
    let mut note = |path: String, why: String| faults.push(Fault { path, why });
    if texts.len() > WAVES_MAX {
        note("waves".to_owned(), format!("there are {}, {WAVES_MAX} are allowed; join some", texts.len()));
        return Vec::new();
    }
    let mut waves: Vec<Wave> = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let mut note = |field: &str, why: String| note(format!("waves[{n}].{field}"), why);
        numbers(text, &mut note);
        let select = selector(&text.select, lists, &mut note);
        let share = share(text, &mut note);
        let (Some(select), Some(share)) = (select, share) else { continue };
        let wave = wave(text, select, share);
        if wave.name.chars().count() > NAME_CHARS_MAX || wave.name.contains(char::is_control) {
            note(
                "name",
                format!("it has to be {NAME_CHARS_MAX} characters at most, without control characters"),
            );
        }
        let not_grown = waves.iter().rev().find(|it| it.select == wave.select).and_then(|before| {
            let field = if text.count.is_some() { "count" } else { "percent" };
            Some((field, not_grown(before, &wave)?))
        });
        match not_grown {
            Some((field, why)) => note(field, why),
            None if waves.iter().any(|it| it.name == wave.name) => {
                note("name", format!("there are two waves {:?}; call one otherwise", wave.name));
            }
            None => {}
        }
        waves.push(wave);
    }
    if let Some((path, why)) = not_whole(texts) {
        note(path, why);
    }
    waves
}

/// Finishing writes the policy, which is for all its hosts.
fn not_whole(texts: &[WaveText]) -> Option<(String, String)> {
    let Some((last, before)) = texts.split_last() else {
        let why = "there are none; one wave with `percent` 100 changes all hosts at once";
        return Some(("waves".to_owned(), why.to_owned()));
    };
    // What is no percentage at all was noted.
    if last.select.is_empty() && last.percent.is_none_or(|it| it == Percent::ALL) && last.count.is_none() {
        return None;
    }
    let why = "the last wave has to be 100 % of all hosts, since the policy is written when it is over; add one, with \
               `approval` where somebody should look first";
    Some((format!("waves[{}]", before.len()), why.to_owned()))
}

fn wave(text: &WaveText, select: Option<Selector>, share: Share) -> Wave {
    let name = match (text.name.as_str(), &select) {
        ("", None) => share.to_string(),
        ("", Some(_)) => format!("{share} of {}", text.select.trim()).chars().take(NAME_CHARS_MAX).collect(),
        (name, _) => name.to_owned(),
    };
    Wave {
        name,
        select,
        share,
        max_in_flight: text.max_in_flight,
        hosts_per_minute: text.hosts_per_minute,
        success_percent: text.success_percent,
        max_failed: text.max_failed.unwrap_or(WaveText::MAX_FAILED),
        min_sample: text.min_sample.unwrap_or(MIN_SAMPLE),
        timeout_secs: text.timeout_secs.unwrap_or(WaveText::TIMEOUT_SECS),
        soak_secs: text.soak_secs.unwrap_or(0),
        approval: text.approval,
    }
}

/// A wave has more hosts than the one before it that selects the same.
fn not_grown(before: &Wave, wave: &Wave) -> Option<String> {
    let has_grown = match (before.share, wave.share) {
        (Share::Percent(before), Share::Percent(now)) => before < now,
        (Share::Count(before), Share::Count(now)) => before < now,
        // How many hosts there are is not known here.
        _ => true,
    };
    (!has_grown).then(|| {
        format!(
            "{} is not more than the {} of the wave {:?} before it, and nobody would be left for it: shares include \
             those of earlier waves; make it larger, or leave the wave out",
            wave.share, before.share, before.name
        )
    })
}

/// `None` within: all hosts.
fn selector(text: &str, lists: &Lists, note: &mut impl FnMut(&str, String)) -> Option<Option<Selector>> {
    if text.is_empty() {
        return Some(None);
    }
    let refused = |why: crate::domain::selector::Refusal| {
        note("select", format!("column {}\n{}", why.at + 1, why.shown_in(text)));
    };
    Selector::parse(text, lists).map(Some).map_err(refused).ok()
}

fn share(text: &WaveText, note: &mut impl FnMut(&str, String)) -> Option<Share> {
    let (field, why) = match (text.percent, text.count) {
        (Some(percent), None) if !percent.is_none() => return Some(Share::Percent(percent)),
        (None, Some(count @ 1..)) => return Some(Share::Count(count)),
        (Some(_), None) => ("percent", "0 % is nobody; it has to be 0.01 to 100"),
        (None, Some(_)) => ("count", "0 hosts are nobody; it has to be 1 or more"),
        (Some(_), Some(_)) => ("percent", "there is a `count`, too; leave one of them out"),
        (None, None) => ("percent", "how many hosts is missing; write `percent` or `count`"),
    };
    note(field, why.to_owned());
    None
}

fn numbers(text: &WaveText, note: &mut impl FnMut(&str, String)) {
    let at_least_1 = [
        ("maxInFlight", text.max_in_flight),
        ("hostsPerMinute", text.hosts_per_minute),
        ("minSample", text.min_sample),
    ];
    for (field, _) in at_least_1.iter().filter(|(_, number)| *number == Some(0)) {
        note(field, "of 0 nothing would ever happen; it has to be 1 or more, or left out".to_owned());
    }
    if text.success_percent.is_some_and(|percent| percent > 100) {
        note("successPercent", "it has to be 0 to 100".to_owned());
    }
    if text.timeout_secs.is_some_and(|secs| !(1..=TIMEOUT_SECS_MAX).contains(&secs)) {
        note("timeoutSecs", format!("it has to be 1 to {TIMEOUT_SECS_MAX}, which are 7 days"));
    }
    if text.soak_secs.is_some_and(|secs| secs > SOAK_SECS_MAX) {
        note("soakSecs", format!("it has to be 0 to {SOAK_SECS_MAX}, which are 30 days"));
    }
}
