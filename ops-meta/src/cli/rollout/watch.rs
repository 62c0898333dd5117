//! `ops-meta rollout watch`: on a terminal a picture that is drawn anew, elsewhere a line for whatever changes.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use super::waves::{self, Sums};
use super::{breach, change, path_of, percent, waits_for, wave, whom};
use crate::cli::client::{Query, Server};
use crate::cli::failed::Failed;
use crate::cli::output::{Format, Out, Output, text};
use crate::cli::say;
use crate::cli::times::{self, Length};
use crate::domain::one_line::one_line;

/// Over which the rate is measured.
const RATE_SPAN: Duration = Duration::from_secs(60);
/// From the beginning of the line to the end of the screen all is cleared; what is longer than a line of the terminal is
/// cut, so that it stays one.
const CLEAR: &str = "\r\x1b[J\x1b[?7l";
const WRAP_AGAIN: &str = "\x1b[?7h";

/// Look on until a rollout is over
///
/// On a terminal a bar for each wave, drawn anew; elsewhere a line whenever something changes. It ends with 0 once the rollout
/// is over, however it ended, unless --until says otherwise.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta rollout watch 7\n  ops-meta rollout watch 7 --until done --timeout 2h"
)]
pub struct Args {
    id: u64,
    /// `done` ends with 0 when it is completed, and with 1 and the reason when it was stopped, rolled back, or paused by itself
    #[arg(long)]
    until: Option<Until>,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = times::length)]
    interval: Length,
    /// How long at most; for ever, unless given
    #[arg(long, value_name = "TIME", value_parser = times::length)]
    timeout: Option<Length>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Done,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let client = args.server.client()?;
    let (begun, mut screen, mut away) = (Instant::now(), Screen::new(args.output.format), String::new());
    loop {
        let mut pause = Duration::from_secs(args.interval.secs);
        match client.get(&path_of(args.id), &Query::new()) {
            Ok(rollout) => {
                away.clear();
                screen.show(&rollout)?;
                if let Some(end) = args.end(&rollout) {
                    return end;
                }
            }
            Err(Failed::Away { why, retry_after }) => {
                pause = retry_after.map_or(pause, |after| after.max(pause));
                if away != why {
                    say(&format!("ops-meta: {why}; it is asked again"));
                    screen.is_disturbed();
                    away = why;
                }
            }
            Err(failed) => return Err(failed),
        }
        let Some(left) = args.left(begun) else {
            screen.out.pause(pause)?;
            continue;
        };
        if left.is_zero() {
            return Err(args.timed_out(&away));
        }
        screen.out.pause(pause.min(left))?;
    }
}

impl Args {
    /// `None`: there is no end to it.
    fn left(&self, begun: Instant) -> Option<Duration> {
        Some(Duration::from_secs(self.timeout?.secs).saturating_sub(begun.elapsed()))
    }

    /// How it ends; `None`: it does not yet.
    fn end(&self, rollout: &Value) -> Option<Result<(), Failed>> {
        let (state, breach) = (text(rollout, "state"), breach(rollout));
        match (state.as_str(), self.until) {
            ("completed", _) | ("stopped" | "rolled_back", None) => Some(Ok(())),
            ("stopped" | "rolled_back", Some(Until::Done)) => {
                let why = breach.unwrap_or_else(|| "somebody wanted it so".to_owned());
                Some(Err(self.failed(&format!("was {}: {why}", state.replace('_', " ")))))
            }
            ("paused", Some(Until::Done)) => {
                breach.map(|why| Err(self.failed(&format!("paused by itself: {why}"))))
            }
            _ => None,
        }
    }

    fn failed(&self, what: &str) -> Failed {
        Failed::Refused(format!(
            "rollout {} {what}; `ops-meta rollout show {}` has all of it",
            self.id, self.id
        ))
    }

    fn timed_out(&self, away: &str) -> Failed {
        let after = times::took(self.timeout.map_or(0, |it| it.secs).saturating_mul(1000));
        match away {
            "" => self.failed(&format!("is not over after {after}")),
            away => Failed::away(format!("{away}; given up after {after}")),
        }
    }
}

/// Where somebody or something looks on.
struct Screen {
    out: Out,
    format: Format,
    is_looked_at: bool,
    /// What was told last, without what only time changes.
    told: String,
    /// Lines of the picture that is there.
    drawn: usize,
    rate: Rate,
}

impl Screen {
    fn new(format: Format) -> Self {
        let is_looked_at = format == Format::Table && io::stdout().is_terminal();
        let (told, drawn, rate) = (String::new(), 0, Rate::default());
        Self { out: Out::new(), format, is_looked_at, told, drawn, rate }
    }

    /// Somebody else wrote below the picture: the next one comes below that.
    fn is_disturbed(&mut self) {
        self.drawn = 0;
    }

    fn show(&mut self, rollout: &Value) -> Result<(), Failed> {
        let line = line(rollout);
        if self.is_looked_at {
            self.draw(rollout)?;
        } else if std::mem::replace(&mut self.told, without_digits(&line)) != self.told {
            match self.format {
                Format::Json => self.out.json(rollout)?,
                Format::Table => self.out.line(&line.text())?,
            }
        }
        self.out.flush()
    }

    fn draw(&mut self, rollout: &Value) -> Result<(), Failed> {
        let rate = self.rate.of(waves::sums(rollout).done, Instant::now());
        let lines = picture(rollout, rate);
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        self.drawn = lines.len();
        self.out.line(&format!("{up}{CLEAR}{}{WRAP_AGAIN}", lines.join("\n")))
    }
}

/// One look, in a line.
struct Line {
    numbers: String,
    why: String,
}

/// `running, wave 2/4, 12 % done: done 5, under way 3, failed 1 (trial_failed 1); wave "10 %" waits ...`
fn line(rollout: &Value) -> Line {
    let Sums { done, under_way, failed } = waves::sums(rollout);
    let percent = percent(rollout).map_or_else(String::new, |percent| format!(", {percent} done"));
    let mut numbers = format!("{}, wave {}{percent}", text(rollout, "state"), wave(rollout));
    if done + under_way + failed > 0 {
        numbers += &format!("; done {done}, under way {under_way}, failed {failed}");
    }
    let codes = codes(rollout);
    if !codes.is_empty() {
        numbers += &format!(" ({codes})");
    }
    Line { numbers, why: breach(rollout).or_else(|| waits_for(rollout)).unwrap_or_default() }
}

/// `timed_out 1, trial_failed 3`
fn codes(rollout: &Value) -> String {
    let failures = rollout.get("failures").and_then(Value::as_object).into_iter().flatten();
    let shown = failures.map(|(code, of)| format!("{} {}", one_line(code), text(of, "hosts")));
    shown.collect::<Vec<_>>().join(", ")
}

impl Line {
    fn text(&self) -> String {
        match self.why.as_str() {
            "" => self.numbers.clone(),
            why => format!("{}; {why}", self.numbers),
        }
    }
}

/// That less time is left is no change.
fn without_digits(line: &Line) -> String {
    let why: String = line.why.chars().filter(|c| !c.is_ascii_digit()).collect();
    format!("{}; {why}", line.numbers)
}

fn picture(rollout: &Value, rate: Option<f64>) -> Vec<String> {
    let plan = rollout.get("plan").unwrap_or(&Value::Null);
    let mut state = format!("{}, wave {}", text(rollout, "state"), wave(rollout));
    state += &percent(rollout).map_or_else(String::new, |percent| format!(", {percent} done"));
    state += &rate.map_or_else(String::new, |rate| format!(", {rate:.0} hosts a minute"));
    let (id, agent) = (text(rollout, "id"), text(plan, "agent"));
    let mut lines = vec![format!("rollout {id}: {agent} for {} to {}", whom(rollout), change(plan)), state];
    lines.extend(waves::lines(rollout).into_iter().map(|line| format!("  {line}")));
    lines.extend(waves::failures(rollout).into_iter().map(|line| format!("failed: {line}")));
    lines.extend(breach(rollout).or_else(|| waits_for(rollout)));
    let why = rollout.get("why").map_or_else(|| "-".to_owned(), |why| text(why, "movedBy"));
    lines.extend((why != "-").then(|| format!("what moves it: {why}")));
    lines
}

/// How many hosts are done in a minute, of late.
#[derive(Default)]
struct Rate {
    seen: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// `None`: nothing is known yet.
    fn of(&mut self, done: u64, now: Instant) -> Option<f64> {
        while self.seen.len() > 1
            && self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_SPAN)
        {
            self.seen.pop_front();
        }
        self.seen.push_back((now, done));
        let (first, before) = self.seen.front()?;
        let secs = now.duration_since(*first).as_secs_f64();
        (secs > 0.0).then(|| done.saturating_sub(*before) as f64 * 60.0 / secs)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(left_secs: u32, done: u32) -> Value {
        json!({
            "id": 7, "state": "running", "begun": 1, "waves": 2, "percent": 5, "counted": 1,
            "plan": {"agent": "a", "group": "prod", "version": "2", "waves": [{"percent": 10}, {"percent": 100}]},
            "each": [{"name": "10 %", "begun": true, "hosts": 100, "reached": 10, "of": {"done": done, "rolled_back": 1}},
                     {"name": "100 %", "begun": false, "hosts": 100, "reached": 10, "of": {}}],
            "failures": {"trial_failed": {"hosts": 1, "some": ["web-01"]}},
            "why": {"what": format!("it is watched for another {left_secs} s"), "movedBy": "time", "since": 1},
        })
    }

    #[test]
    fn time_that_passes_is_no_change() {
        let told = |rollout: &Value| without_digits(&line(rollout));
        assert_eq!(told(&rollout(60, 9)), told(&rollout(9, 9)));
        assert_ne!(told(&rollout(60, 9)), told(&rollout(60, 8)));
        assert_eq!(
            line(&rollout(60, 9)).text(),
            "running, wave 1/2, 5 % done; done 9, under way 0, failed 1 (trial_failed 1); it is watched for another 60 s"
        );
    }

    #[test]
    fn a_picture_has_a_bar_for_each_wave_and_what_failed() {
        assert_eq!(
            picture(&rollout(60, 9), Some(12.3)),
            [
                "rollout 7: a for group prod to 2",
                "running, wave 1/2, 5 % done, 12 hosts a minute",
                "  10 %   [###########################xxx] 10 of 10 hosts  done 9, rolled_back 1",
                "  100 %  [##x...........................] 10 of 100 hosts",
                "failed: trial_failed  1 host: web-01",
                "it is watched for another 60 s",
                "what moves it: time",
            ]
        );
    }

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let (mut rate, begun) = (Rate::default(), Instant::now());
        let mut after = |secs, done| rate.of(done, begun + Duration::from_secs(secs));
        assert_eq!((after(0, 5), after(30, 15)), (None, Some(20.0)));
        assert_eq!((after(61, 15), after(92, 15)), (Some(0.0), Some(0.0)));
    }
}
