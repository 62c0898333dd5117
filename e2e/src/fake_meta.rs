use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http::{Alive, Request, Server, Stream, trickle, write_head, write_whole};
use crate::wait::{SOON, wait_for};

/// What the fake ops-meta says to every beat.
#[derive(Debug, Clone)]
pub enum Answer {
    Json(Value),
    Text(String),
    Bytes(Vec<u8>),
    Status(u16),
    /// 503, with this Retry-After.
    RetryAfter(String),
    /// Takes the beat and never answers.
    Silent,
    /// One byte a second of an answer that orders nothing.
    Trickle,
    /// Promises an answer and ends the connection in its middle.
    Truncated,
    /// Ends the connection without a word.
    Closes,
}

/// An ops-meta that notes every beat and answers as the test wants.
#[derive(Debug)]
pub struct FakeMeta {
    server: Server,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    answer: Answer,
    first: VecDeque<Answer>,
    beats: Vec<Value>,
}

impl FakeMeta {
    /// It orders nothing until it is told to.
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> Self {
        let nothing = Answer::Json(answer_of(&[]));
        let shared = Shared { answer: nothing, first: VecDeque::new(), beats: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let theirs = Arc::clone(&shared);
        let server =
            Server::start(None, move |request, stream, alive| answer(&theirs, request, stream, alive));
        Self { server, shared }
    }

    /// As `server` in cfg.json names it.
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// Orders these agents from now on.
    pub fn order(&self, agents: &[Value]) {
        self.say(Answer::Json(answer_of(agents)));
    }

    /// Orders these agents and asks for these actions from now on, beat after beat.
    pub fn ask(&self, agents: &[Value], actions: &[Value]) {
        let mut answer = answer_of(agents);
        answer["actions"] = json!(actions);
        self.say(Answer::Json(answer));
    }

    pub fn say(&self, answer: Answer) {
        self.shared.lock().unwrap().answer = answer;
    }

    /// Says this to the next beat, and to those after it what it says anyway.
    pub fn say_first(&self, answer: Answer) {
        self.shared.lock().unwrap().first.push_back(answer);
    }

    pub fn beats(&self) -> Vec<Value> {
        self.shared.lock().unwrap().beats.clone()
    }

    /// The last beat.
    #[track_caller]
    pub fn last(&self) -> Value {
        self.beats().pop().expect("there was no beat")
    }

    /// What the last beat says of an agent; null when it says nothing.
    #[track_caller]
    pub fn agent(&self, name: &str) -> Value {
        agent_of(&self.last(), name)
    }

    /// Waits until a beat says this of an agent.
    #[track_caller]
    pub fn wait_for_agent(&self, what: &str, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let from = self.beats().len().saturating_sub(1);
        let find =
            || self.beats().iter().skip(from).map(|beat| agent_of(beat, name)).find(|it| condition(it));
        wait_for(what, SOON, || find().is_some());
        find().unwrap()
    }

    /// Waits for this many beats more.
    #[track_caller]
    pub fn wait_for_beats(&self, more: usize) {
        let all = self.beats().len() + more;
        wait_for("the next beats", SOON, || self.beats().len() >= all);
    }
}

fn agent_of(beat: &Value, name: &str) -> Value {
    let agents = beat["realAgents"].as_array().cloned().unwrap_or_default();
    agents.into_iter().find(|it| it["name"] == name).unwrap_or(Value::Null)
}

fn answer_of(agents: &[Value]) -> Value {
    json!({"errorMessage": "", "desiredAgents": agents})
}

fn answer(
    shared: &Mutex<Shared>,
    request: &Request,
    stream: &mut dyn Stream,
    alive: &Alive,
) -> io::Result<()> {
    let answer = {
        let mut shared = shared.lock().unwrap();
        let beat = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        shared.beats.push(beat);
        shared.first.pop_front().unwrap_or_else(|| shared.answer.clone())
    };
    match answer {
        Answer::Json(value) => write_whole(stream, 200, &[], value.to_string().as_bytes()),
        Answer::Text(text) => write_whole(stream, 200, &[], text.as_bytes()),
        Answer::Bytes(bytes) => write_whole(stream, 200, &[], &bytes),
        Answer::Status(status) => write_whole(stream, status, &[], b"no"),
        Answer::RetryAfter(when) => write_whole(stream, 503, &[("Retry-After", when)], b"later"),
        Answer::Silent => {
            alive.stall();
            Ok(())
        }
        Answer::Trickle => {
            let nothing = answer_of(&[]).to_string();
            write_head(stream, 200, &[("Content-Length", nothing.len().to_string())])?;
            trickle(stream, nothing.as_bytes(), alive)
        }
        Answer::Truncated => {
            write_head(stream, 200, &[("Content-Length", "1000".to_owned())])?;
            stream.write_all(b"{\"desiredAgents\": [")
        }
        Answer::Closes => Ok(()),
    }
}
