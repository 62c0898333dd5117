//! What a rollout waits for, for people.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rollout;
use super::count::Waiting;
use super::evaluate::{Look, Next, Step, evaluate};
use super::state::State;

/// What is waited for. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    Draft,
    Approval,
    Paused,
    /// The server has just begun to listen.
    Learning,
    Frozen {
        why: String,
    },
    /// `None`: nobody knows when it opens.
    Window {
        until: Option<i64>,
    },
    InFlight {
        in_flight: u32,
        most: u32,
        left: u32,
        waiting: Waiting,
    },
    Pace {
        per_minute: u32,
        left: u32,
        waiting: Waiting,
    },
    /// None of those that are left may begin.
    Turns {
        left: u32,
    },
    UnderWay {
        in_flight: u32,
        waiting: Waiting,
    },
    /// More hosts are silent, or lack what their package requires, than have the change.
    Missing {
        missing: u32,
        have_it: u32,
    },
    /// No host of the wave counts.
    Nobody {
        left_out: u32,
    },
    /// All others are done.
    Shut {
        hosts: u32,
    },
    TooFewDone {
        done: u32,
        ordered: u32,
        wanted: u32,
    },
    Soak {
        since: i64,
        left_secs: i64,
    },
    Returning {
        returning: u32,
        most: Option<u32>,
    },
    /// For nothing: it is over.
    Over(State),
}

/// The same, as people read it; and what the next step is, where nothing is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RolloutWhy)]
pub struct Why {
    /// `wave "10 %" waits until 3 hosts that are under way are done`
    pub what: String,
    /// Unix milliseconds.
    pub since: i64,
    /// What would move it.
    pub moved_by: String,
}

pub fn why(rollout: &Rollout, look: &Look<'_>) -> Why {
    let (what, since, moved_by) = match evaluate(rollout, look) {
        Next::Do(step) => (step.said(rollout), None, "it goes on by itself, within seconds".to_owned()),
        Next::Wait(Wait::Soak { since, left_secs }) => {
            let wait = Wait::Soak { since, left_secs };
            (waiting(rollout, &wait), Some(since), moved_by(rollout, &wait))
        }
        Next::Wait(wait) => (waiting(rollout, &wait), None, moved_by(rollout, &wait)),
    };
    Why { what, since: since.unwrap_or(rollout.progress.since), moved_by }
}

impl Step {
    /// What it does, as it is about to be done.
    pub fn said(&self, rollout: &Rollout) -> String {
        let wave = wave(rollout);
        match self {
            Step::Raise { hosts, .. } => format!("{wave} admits {}", hosts_of(*hosts)),
            Step::Settle => format!("{wave} has settled"),
            Step::Recover { .. } => format!("{wave} has fewer failures than before"),
            Step::Begin { .. } => format!("wave {:?} begins", next_name(rollout)),
            Step::Await { .. } => format!("wave {:?} is next, and wants approval", next_name(rollout)),
            Step::Complete => "all is done, and the policy is about to be written".to_owned(),
            Step::Breach { breached, then } => format!("{}: {}", breached.why, then.said()),
            Step::Lower { hosts, .. } => format!("{wave} takes it back from {}", hosts_of(*hosts)),
            Step::TakenBack { failed: 0 } => "all is taken back".to_owned(),
            Step::TakenBack { failed } => {
                format!("all is taken back, but for {} that failed on the way back", hosts_of(*failed))
            }
        }
    }
}

fn waiting(rollout: &Rollout, wait: &Wait) -> String {
    let wave = wave(rollout);
    match wait {
        Wait::Draft => "it is a draft, and nobody has begun it".to_owned(),
        Wait::Approval => format!("wave {:?} waits until somebody approves it", next_name(rollout)),
        Wait::Paused | Wait::Over(State::Stopped) => breach_or(rollout, "somebody stopped or paused it"),
        Wait::Over(State::Completed) => "it is complete: the policy says what it changed".to_owned(),
        Wait::Over(_) => breach_or(rollout, "it was taken back"),
        Wait::Learning => {
            "ops-meta has just begun to listen, and waits until it has heard every host".to_owned()
        }
        Wait::Frozen { why } => format!("{wave} waits, since changes are frozen: {why}"),
        Wait::Window { .. } => format!("{wave} waits for a maintenance window"),
        Wait::InFlight { in_flight, most, left, waiting } => format!(
            "{wave} has {} to go, and {in_flight} are under way of {most} at once{}",
            hosts_of(*left),
            of_whom(*waiting)
        ),
        Wait::Pace { per_minute, left, waiting } => {
            format!("{wave} has {} to go, {per_minute} in a minute{}", hosts_of(*left), of_whom(*waiting))
        }
        Wait::Turns { left } => {
            format!("{wave} has {} to go, and none of those that are left may begin", hosts_of(*left))
        }
        Wait::UnderWay { in_flight, waiting } => format!(
            "all hosts of {wave} are admitted, and {} under way{}",
            are(*in_flight),
            of_whom(*waiting)
        ),
        Wait::Missing { missing, have_it } => format!(
            "of the hosts of {wave} {} silent, or without what their package requires, and {} done",
            are(*missing),
            if *have_it == 0 { "none is".to_owned() } else { are(*have_it) }
        ),
        Wait::Nobody { left_out } => format!(
            "{wave} is of {}, all of whom are held, silent, or without a package or what it requires",
            hosts_of(*left_out)
        ),
        Wait::Shut { hosts } => {
            format!("{} kept from beginning by a freeze or the windows of a group", are(*hosts))
        }
        Wait::TooFewDone { done, ordered, wanted } => format!(
            "{done} of {ordered} hosts ordered in {wave} are done, and {wanted} have to be; the others failed"
        ),
        Wait::Soak { left_secs, .. } => {
            format!("all went well in {wave}; it is watched for another {left_secs} s")
        }
        Wait::Returning { returning, .. } => {
            format!("{} on the way back to what the policy says", are(*returning))
        }
    }
}

fn moved_by(rollout: &Rollout, wait: &Wait) -> String {
    match wait {
        Wait::Draft => "approve begins it".to_owned(),
        Wait::Approval => "approve begins that wave; rollback takes back what the others did".to_owned(),
        Wait::Paused if rollout.progress.breach.is_some() => {
            "resume goes on and leaves out what has failed, retry counts it anew, rollback takes all back"
                .to_owned()
        }
        Wait::Paused => "resume goes on; rollback takes all back".to_owned(),
        Wait::Over(State::Stopped) => {
            "rollback takes back what it changed; another rollout to the same changes the rest".to_owned()
        }
        Wait::Over(_) => "nothing; what comes next is another rollout".to_owned(),
        Wait::Learning => "an interval of the hosts has to pass".to_owned(),
        Wait::Frozen { .. } => "the end of the freeze".to_owned(),
        Wait::Window { until: Some(until) } => match Timestamp::from_millisecond(*until) {
            Ok(opens) => format!("the next one opens at {}", opens.strftime("%Y-%m-%d %H:%M:%SZ")),
            Err(_) => "the next one that opens".to_owned(),
        },
        Wait::Window { until: None } => "the next one that opens".to_owned(),
        Wait::InFlight { in_flight, waiting, .. } if *in_flight == waiting.all() => waited_for(*waiting),
        Wait::InFlight { .. } => {
            "the next host that is done; or a larger maxInFlight in another rollout".to_owned()
        }
        Wait::Pace { .. } => "time".to_owned(),
        Wait::Turns { .. } => "their turn; next goes on with the next wave".to_owned(),
        Wait::Missing { .. } => {
            "they are heard, or forgotten (`host drop`), or what they lack is ordered for them; next goes on without them"
                .to_owned()
        }
        Wait::Nobody { .. } => {
            "a host that is released, heard, or has what it lacks; next goes on without them".to_owned()
        }
        Wait::Shut { .. } => "the end of the freeze, or the next window".to_owned(),
        Wait::UnderWay { in_flight, waiting } if *in_flight == waiting.all() => {
            format!("{}; next does not wait for them", waited_for(*waiting))
        }
        Wait::UnderWay { .. } => format!(
            "they are done, or count as failed after {} s; next does not wait for them",
            rollout.wave().map_or(0, |(_, wave)| wave.timeout_secs)
        ),
        Wait::TooFewDone { .. } => {
            "retry counts the failed hosts anew, next goes on without them, rollback takes all back"
                .to_owned()
        }
        Wait::Soak { .. } => "time; next ends it now".to_owned(),
        Wait::Returning { .. } => {
            "they are back, or count as failed when their time is over; stop leaves it so".to_owned()
        }
    }
}

/// Of those under way.
fn of_whom(waiting: Waiting) -> String {
    match waiting.all() {
        0 => String::new(),
        all => format!(", {all} of whom wait for {}", waited_for(waiting)),
    }
}

fn waited_for(Waiting { requires, shut }: Waiting) -> String {
    let requires = (requires > 0).then_some("what their package requires, which does not run there yet");
    let shut = (shut > 0).then_some("the end of a freeze or the next window");
    [shut, requires].into_iter().flatten().collect::<Vec<_>>().join(", or for ")
}

fn breach_or(rollout: &Rollout, otherwise: &str) -> String {
    let breach = rollout.progress.breach.as_ref();
    breach.map_or(otherwise.to_owned(), |breach| format!("too many hosts failed: {}", breach.why))
}

fn wave(rollout: &Rollout) -> String {
    rollout.wave().map_or_else(|| "the first wave".to_owned(), |(_, wave)| format!("wave {:?}", wave.name))
}

fn next_name(rollout: &Rollout) -> &str {
    rollout.plan.waves.get(rollout.progress.waves.len()).map_or("", |wave| &wave.name)
}

fn hosts_of(count: u32) -> String {
    if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
}

fn are(count: u32) -> String {
    if count == 1 { "1 host is".to_owned() } else { format!("{count} hosts are") }
}

/// The whole sentence.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Ok(since) = Timestamp::from_millisecond(self.since) {
            write!(f, ", since {}", since.strftime("%Y-%m-%d %H:%M:%SZ"))?;
        }
        write!(f, "; what moves it: {}", self.moved_by)
    }
}
