//! One beat: built from the report, posted by a child, decoded here.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_wire::{ActionDone, Answer, ErrorCode, Heartbeat, HostError, RealAgent};
use serde::{Deserialize, Serialize};

use crate::child::{self, Child};
use crate::error::Fault;
use crate::http;

/// The name of this child.
pub const KIND: &str = "beat";
/// An answer is not longer than this.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Agents of one host: more is a mistake, and each costs a child at every beat.
const AGENTS_MAX: usize = 500;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A URL without a `/` at its end.
    pub server: String,
    pub hostname: String,
    pub labels: BTreeMap<String, String>,
    pub interval_secs: u32,
    pub http: http::Settings,
}

/// What a beat's child is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    url: String,
    body: String,
    http: http::Settings,
}

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Answered { body: String, ip: String },
    Failed(Fault),
}

/// A beat under way.
#[derive(Debug)]
pub struct Beat {
    child: Child,
    said: Option<Message>,
}

/// What is sent besides the agents.
#[derive(Debug, Default)]
pub struct Extra {
    pub generation: Option<u64>,
    pub errors: Vec<HostError>,
    pub actions_done: Vec<ActionDone>,
}

impl Settings {
    /// Begins a beat that tells of `agents`.
    pub fn begin(
        &self,
        agents: Vec<RealAgent>,
        extra: Extra,
        ip: &str,
        now: Duration,
    ) -> Result<Beat, Fault> {
        let beat = Heartbeat {
            hostname: self.hostname.clone(),
            real_agents: agents,
            ip: ip.to_owned(),
            updater_version: env!("CARGO_PKG_VERSION").to_owned(),
            run_user: std::env::var("USER").unwrap_or_default(),
            machine_id: machine_id(),
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            labels: self.labels.clone(),
            interval_secs: Some(self.interval_secs),
            generation: extra.generation,
            errors: extra.errors,
            actions_done: extra.actions_done,
        };
        let body = serde_json::to_string(&beat)
            .map_err(|error| Fault::new(ErrorCode::Io, format!("the beat cannot be printed: {error}")))?;
        let job = Job { url: format!("{}/heartbeat", self.server), body, http: self.http.clone() };
        // The child keeps the time limits itself; this is for a child that cannot.
        let deadline =
            now + self.http.connect_timeout + self.http.answer_timeout * 2 + Duration::from_secs(5);
        Ok(Beat { child: Child::begin(KIND, &job, deadline)?, said: None })
    }
}

impl Beat {
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// The answer, or why there is none; `None` while the beat is under way. The text beside the answer is the address
    /// from which ops-meta was reached.
    pub fn poll(&mut self, now: Duration) -> Option<Result<(Answer, String), Fault>> {
        let polled = self.child.poll(now);
        for line in polled.lines {
            self.said = serde_json::from_slice(&line).ok().or(self.said.take());
        }
        let ended = polled.ended?;
        Some(match (self.said.take(), ended) {
            (Some(Message::Answered { body, ip }), _) => decode(&body).map(|answer| (answer, ip)),
            (Some(Message::Failed(fault)), _) | (None, Err(fault)) => Err(fault),
            (None, Ok(())) => {
                Err(Fault::new(ErrorCode::ChildKilled, "the child that beats ended without a word"))
            }
        })
    }
}

/// A broken answer is an error of this beat, never "stop".
fn decode(body: &str) -> Result<Answer, Fault> {
    let answer = Answer::read(body.as_bytes()).map_err(|why| {
        Fault::new(ErrorCode::BadAnswer, format!("the answer of ops-meta cannot be read: {why}"))
    })?;
    if answer.desired_agents.len() > AGENTS_MAX {
        let sentence = format!(
            "ops-meta orders {} agents, at most {AGENTS_MAX} are possible",
            answer.desired_agents.len()
        );
        return Err(Fault::new(ErrorCode::TooLarge, sentence));
    }
    if answer.error_message.is_empty() {
        return Ok(answer);
    }
    Err(Fault::new(ErrorCode::BadAnswer, format!("ops-meta says: {}", answer.error_message)))
}

fn machine_id() -> String {
    std::fs::read_to_string("/etc/machine-id")
        .map(|it| it.trim().chars().take(64).collect())
        .unwrap_or_default()
}

/// The child's whole life.
pub fn run() -> Result<(), Fault> {
    let job: Job = child::take_job()?;
    http::resolve_without_foreign_modules();
    child::say(&job.post().unwrap_or_else(Message::Failed));
    Ok(())
}

impl Job {
    fn post(&self) -> Result<Message, Fault> {
        let (reply, bytes) = self.http.post(&self.url, &self.body, ANSWER_BYTES_MAX)?;
        if reply.status != 200 {
            let mut fault = reply.refusal(&self.url);
            fault.code = ErrorCode::HttpStatus;
            fault.sentence.push_str(&format!(": {}", crate::error::tail(&bytes, 300)));
            return Err(fault);
        }
        let body = String::from_utf8(bytes)
            .map_err(|_| Fault::new(ErrorCode::BadAnswer, "the answer of ops-meta is not UTF-8"))?;
        Ok(Message::Answered { body, ip: own_address(&self.url) })
    }
}

/// The address by which this host reaches ops-meta: a connected UDP socket sends nothing and knows it.
fn own_address(url: &str) -> String {
    let host = url.split("://").nth(1).and_then(|it| it.split('/').next()).unwrap_or_default();
    let with_port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let connected = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|it| it.connect(with_port).map(|()| it));
    connected.and_then(|it| it.local_addr()).map(|it| it.ip().to_string()).unwrap_or_default()
}
