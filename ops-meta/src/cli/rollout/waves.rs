//! Waves as they are drawn: a bar each, with what it is made of.

use serde_json::Value;

use crate::cli::output::{is, list, number, text};
use crate::cli::sizes::count;
use crate::domain::one_line::one_line;
use crate::domain::rollout::Percent;

const BAR_CHARS: u64 = 30;
/// Told, or about to be, and not settled.
const UNDER_WAY: [&str; 6] = ["ordered", "moving", "trial", "waiting", "shut", "returning"];
const FAILED: [&str; 4] = ["failed", "rolled_back", "timed_out", "vanished"];
const DONE: [&str; 2] = ["done", "there"];

/// Of all waves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    pub done: u64,
    pub under_way: u64,
    pub failed: u64,
}

/// How many hosts are how far.
pub fn sums(rollout: &Value) -> Sums {
    let admitted = list(rollout, "each").iter().map(|wave| wave.get("of"));
    let mut sums = Sums::default();
    for of in admitted.chain([rollout.get("rest")]) {
        sums.done += sum(of, &DONE);
        sums.under_way += sum(of, &UNDER_WAY);
        sums.failed += sum(of, &FAILED);
    }
    sums
}

/// A line for each wave: `10 %  [#####x++..........] 7 of 17 hosts  done 5, moving 2, failed 1`. What is behind the bar is of
/// the hosts that the wave was the first to admit.
pub fn lines(rollout: &Value) -> Vec<String> {
    let waves = waves(rollout);
    let is_counted = number(rollout, "counted").is_some();
    let width = waves.iter().map(|wave| text(wave.seen, "name").chars().count()).max().unwrap_or_default();
    let line = |wave: &Wave<'_>| {
        let state = match (is_counted, is(wave.seen, "begun")) {
            (true, _) => wave.counted(&waves),
            (false, true) => "begun".to_owned(),
            (false, false) => "not begun".to_owned(),
        };
        format!("{:width$}  {state}", text(wave.seen, "name"))
    };
    waves.iter().map(line).collect()
}

/// As it was planned, and as it was seen.
struct Wave<'a> {
    number: usize,
    planned: &'a Value,
    seen: &'a Value,
}

fn waves(rollout: &Value) -> Vec<Wave<'_>> {
    let planned = rollout.get("plan").map_or(&[][..], |plan| list(plan, "waves"));
    let seen = list(rollout, "each").iter().enumerate();
    let wave = |(number, seen)| Wave { number, planned: planned.get(number).unwrap_or(&Value::Null), seen };
    seen.map(wave).collect()
}

impl Wave<'_> {
    fn counted(&self, all: &[Self]) -> String {
        // Later waves reach more of them than it takes.
        let whole = whole(self.seen, self.planned);
        let reached = size(self.seen, "reached").min(whole);
        // Of the hosts that it reaches the first ones are those of earlier waves.
        let of = |classes: &[&str]| -> u64 {
            all.iter()
                .filter(|wave| self.has_hosts_of(wave))
                .map(|wave| sum(wave.seen.get("of"), classes))
                .sum()
        };
        let (bar, hosts) = (bar(reached, whole, of(&UNDER_WAY), of(&FAILED)), count(whole, "host", "hosts"));
        format!("[{bar}] {reached} of {hosts}  {}", classes(self.seen.get("of"))).trim_end().to_owned()
    }

    fn has_hosts_of(&self, other: &Wave<'_>) -> bool {
        let (select, others) = (self.planned.get("select"), other.planned.get("select"));
        other.number <= self.number && (select.is_none() || select == others)
    }
}

/// How many hosts it reaches when it is over, those of earlier waves included.
fn whole(wave: &Value, planned: &Value) -> u64 {
    let hosts = size(wave, "hosts");
    let percent = planned.get("percent").and_then(Value::as_f64).and_then(Percent::new);
    match (percent, number(planned, "count")) {
        (Some(percent), _) => percent.of(u32::try_from(hosts).unwrap_or(u32::MAX)).into(),
        (None, Some(count)) => count.unsigned_abs().min(hosts),
        (None, None) => hosts,
    }
}

/// `#` well, `x` failed, `+` under way, `.` to go.
fn bar(reached: u64, whole: u64, under_way: u64, failed: u64) -> String {
    let failed = failed.min(reached);
    let under_way = under_way.min(reached - failed);
    let well = reached - failed - under_way;
    let chars = |hosts: u64| (hosts * BAR_CHARS).checked_div(whole).unwrap_or_default().min(BAR_CHARS);
    // Whatever there is is seen: one host of a million, too.
    let seen = |from: u64, hosts: u64| (chars(from + hosts) - chars(from)).max(u64::from(hosts > 0));
    let parts = [('#', chars(well)), ('x', seen(well, failed)), ('+', seen(well + failed, under_way))];
    let drawn = parts.into_iter().flat_map(|(sign, chars)| (0..chars).map(move |_| sign));
    drawn.chain(std::iter::repeat('.')).take(BAR_CHARS as usize).collect()
}

/// `done 5, moving 2, failed 1`
pub fn classes(of: Option<&Value>) -> String {
    let mut classes: Vec<(&String, &Value)> = of.and_then(Value::as_object).into_iter().flatten().collect();
    classes.sort_by_key(|(class, _)| place(class));
    let shown = classes.into_iter().map(|(class, hosts)| format!("{} {hosts}", one_line(class)));
    shown.collect::<Vec<_>>().join(", ")
}

/// Done first, then what is under way, then what failed, then all else.
fn place(class: &str) -> usize {
    let mut known = DONE.iter().chain(&UNDER_WAY).chain(&FAILED);
    known.position(|it| *it == class).unwrap_or(usize::MAX)
}

/// A line for each reason: `trial_failed  2 hosts: web-01 web-02`.
pub fn failures(rollout: &Value) -> Vec<String> {
    let failures = rollout.get("failures").and_then(Value::as_object);
    let codes = || failures.into_iter().flatten();
    let width = codes().map(|(code, _)| one_line(code).chars().count()).max().unwrap_or_default();
    let line = |(code, of): (&String, &Value)| {
        let (hosts, some) = (size(of, "hosts"), list(of, "some"));
        let names: Vec<String> = some.iter().filter_map(Value::as_str).map(one_line).collect();
        let more = if (names.len() as u64) < hosts { " ..." } else { "" };
        format!("{:width$}  {}: {}{more}", one_line(code), count(hosts, "host", "hosts"), names.join(" "))
    };
    codes().map(line).collect()
}

fn sum(of: Option<&Value>, classes: &[&str]) -> u64 {
    of.map_or(0, |of| classes.iter().map(|class| size(of, class)).sum())
}

fn size(object: &Value, field: &str) -> u64 {
    object.get(field).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bar_shows_whatever_there_is() {
        for (reached, whole, under_way, failed, expected) in [
            (0, 10, 0, 0, ".............................."),
            (10, 10, 0, 0, "##############################"),
            (5, 10, 0, 0, "###############..............."),
            (5, 10, 2, 1, "######xxx++++++..............."),
            (1000, 1_000_000, 1, 1, "x+............................"),
            (10, 10, 10, 0, "++++++++++++++++++++++++++++++"),
            // Counts of different moments.
            (12, 10, 20, 1, "xxx+++++++++++++++++++++++++++"),
            (0, 0, 0, 0, ".............................."),
        ] {
            assert_eq!(bar(reached, whole, under_way, failed), expected, "{reached} of {whole}");
        }
    }

    #[test]
    fn waves_are_lines() {
        let wave = |name: &str, begun: bool, reached: u64, of: Value| json!({"name": name, "begun": begun, "hosts": 100, "reached": reached, "of": of});
        let mut rollout = json!({
            "plan": {"waves": [{"count": 5}, {"percent": 12.5}, {"percent": 100}]},
            "counted": 1,
            "each": [
                wave("5 hosts", true, 5, json!({"done": 5})),
                wave("12.5 %", true, 8, json!({"timed_out": 1, "away": 4, "moving": 2})),
                wave("100 %", false, 8, json!({})),
            ],
            "failures": {"timed_out": {"hosts": 1, "some": ["web-01"]}, "no\u{1b}": {"hosts": 3, "some": ["a", "b"]}},
        });
        assert_eq!(
            lines(&rollout),
            [
                "5 hosts  [##############################] 5 of 5 hosts  done 5",
                "12.5 %   [###########xx+++++............] 8 of 13 hosts  moving 2, timed_out 1, away 4",
                "100 %    [#x+...........................] 8 of 100 hosts",
            ]
        );
        assert_eq!(sums(&rollout), Sums { done: 5, under_way: 2, failed: 1 });
        assert_eq!(failures(&rollout), ["no\\u{1b}   3 hosts: a b ...", "timed_out  1 host: web-01"]);
        rollout["counted"] = Value::Null;
        assert_eq!(lines(&rollout), ["5 hosts  begun", "12.5 %   begun", "100 %    not begun"]);
    }
}
