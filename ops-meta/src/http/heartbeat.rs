//! `POST /heartbeat`: a host says what really runs, and hears what should.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ops_wire::{Heartbeat, Hostname, RealAgent, Refused, Status};

use super::auth::Speaker;
use super::body;
use super::error::{Refusal, Refusals};
use super::openapi;
use crate::clock::now_ms;
use crate::domain::conformity::Real;
use crate::domain::rollout::Says;
use crate::domain::selector::HostFacts;
use crate::fleet::{Host, Recorded, Said};
use crate::log;
use crate::running::App;

/// The largest body. A host with 256 agents and full error texts stays below.
const BODY_BYTES_MAX: usize = 256 << 10;
/// No host has nearly as many.
const AGENTS_MAX: usize = 256;
/// A status sentence is cut to this, in bytes, and so are other texts that are kept in memory.
const STATUS_BYTES_MAX: usize = 2 << 10;
const TEXT_BYTES_MAX: usize = 256;
const ERROR_CODE_BYTES_MAX: usize = 64;
/// Labels beyond these are left out.
const LABELS_MAX: usize = 64;
const LABELS_BYTES_MAX: usize = 4 << 10;

/// A host says what really runs, and hears what should.
// 2015's Go client sends no Content-Type, so none is asked for.
#[utoipa::path(post, path = "/heartbeat", tag = "hosts", operation_id = "heartbeat", request_body = openapi::Beat,
    security((), ("token" = [])), responses((status = 200, body = openapi::Answer), Refusals))]
pub async fn beat(
    State(app): State<Arc<App>>,
    speaker: Result<Speaker, Refusal>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Result<Response, Refusal> {
    // The body is heard out first: whoever is still sending would not get to read why it is refused. Of who is, nothing
    // is kept.
    let bytes_max = if speaker.is_ok() { BODY_BYTES_MAX } else { 0 };
    let read =
        body::read(body, bytes_max, app.running().config.limits.body, app.beats_room.at(peer.ip())).await;
    let answer = speaker.and_then(|speaker| answer(&app, &speaker, &read?));
    match answer {
        Ok(_) => app.metrics.heartbeats.inc(),
        Err(_) => app.metrics.heartbeats_refused.inc(),
    };
    let answer = answer?;
    Ok(([(CONTENT_TYPE, "application/json; charset=UTF-8")], answer).into_response())
}

fn answer(app: &App, speaker: &Speaker, bytes: &[u8]) -> Result<Bytes, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Bad("body is blank".to_owned()));
    }
    let now = now_ms();
    let looks = app.fleet.looks(bytes);
    if let Some(looks) = &looks
        && let Ok(hostname) = Hostname::check(looks.hostname)
    {
        speaker.may_speak_for(hostname)?;
        let answer = |host: &Host| answer_to(app, looks.hostname, host);
        if let Some(answer) = app.fleet.repeat(looks, now, answer) {
            return Ok(app.jobs.told(looks.hostname, answer, now));
        }
    }
    let unreadable = |error| Refusal::Bad(format!("body format error: {error}"));
    let (mut beat, refused) = Heartbeat::read(bytes).map_err(unreadable)?;
    // A host that says too much is better seen in part than not at all.
    let whole = bound(&mut beat);
    let hostname = Hostname::check(&beat.hostname).map_err(|error| Refusal::Bad(error.to_string()))?;
    speaker.may_speak_for(hostname)?;
    let running = app.running();
    // What was read in parts, or is kept in part, is read again.
    let known = looks.filter(|looks| refused.is_empty() && whole && looks.are_of(&beat.real_agents));
    let said = Said { body: bytes, known_by: known.map_or(0, |looks| looks.hash) };
    let recorded = app.fleet.record(&beat, &said, now, running.config.limits.fleet);
    tell(app, hostname, &recorded, &refused);
    app.jobs.heard(hostname.as_str(), &beat.actions_done, now);
    // Of whom not all is remembered, what he says of himself counts.
    let known = (recorded != Recorded::InPart).then_some(hostname.as_str());
    let known = known.and_then(|name| app.fleet.look(name, |host| answer_to(app, name, host)));
    let answer = known.unwrap_or_else(|| {
        let Heartbeat { os, arch, ip, labels, real_agents, .. } = &beat;
        let facts = HostFacts { hostname: hostname.as_str(), os, arch, ip: ip.parse().ok(), labels };
        let current = app.current();
        let says = |agent: &str| real_agents.iter().find(|it| it.name.as_str() == agent).map(says);
        let names = real_agents.iter().map(|agent| agent.name.as_str());
        current.answer_to(&current.told_now(&facts, None, &says), names)
    });
    Ok(app.jobs.told(hostname.as_str(), answer, now))
}

fn answer_to(app: &App, hostname: &str, host: &Host) -> Bytes {
    let current = app.current();
    let says = |agent: &str| host.says(agent);
    let wanted = current.told_now(&host.stable(hostname), Some(&host.answer), &says);
    current.answer_to(&wanted, host.agents.0.iter().map(|agent| &*agent.name))
}

fn says(agent: &RealAgent) -> Says<'_> {
    let RealAgent { version, status, phase, error_code, rollout, .. } = agent;
    let version = version.as_ref().map_or("", |it| it.as_str());
    Says { real: Real { version, status, phase: *phase, error_code }, rollout: *rollout }
}

fn tell(app: &App, hostname: Hostname<'_>, recorded: &Recorded, refused: &[Refused]) {
    let host = hostname.as_str();
    match recorded {
        Recorded::New if app.running().config.debug => log::line("new_host", &[("host", host)]),
        Recorded::Full => app.told.full.warn("host_not_recorded", &[("host", host), ("why", "hostsMax")]),
        Recorded::InPart => {
            app.metrics.texts_left_out.inc();
            app.told.texts.warn("texts_left_out", &[("host", host), ("why", "textsBytesMax")]);
        }
        Recorded::New | Recorded::Known => {}
    }
    for entry in refused {
        let fields = [("host", host), ("agent", &entry.agent), ("why", &entry.why)];
        app.told.refused.warn("entry_left_out", &fields);
    }
}

/// Cuts what is too long to be kept. Whether nothing was.
fn bound(beat: &mut Heartbeat) -> bool {
    let agents = &mut beat.real_agents;
    let mut whole = agents.len() <= AGENTS_MAX;
    agents.truncate(AGENTS_MAX);
    let texts = [
        &mut beat.ip,
        &mut beat.updater_version,
        &mut beat.run_user,
        &mut beat.machine_id,
        &mut beat.os,
        &mut beat.arch,
    ];
    texts.into_iter().for_each(|text| whole &= cut(text, TEXT_BYTES_MAX));
    for agent in agents {
        whole &= cut(&mut agent.error_code, ERROR_CODE_BYTES_MAX);
        if let Status::Other(sentence) = &mut agent.status {
            whole &= cut(sentence, STATUS_BYTES_MAX);
        }
    }
    let (mut count, mut bytes) = (0, 0);
    beat.labels.retain(|key, value| {
        (count, bytes) = (count + 1, bytes + key.len() + value.len());
        count <= LABELS_MAX && bytes <= LABELS_BYTES_MAX
    });
    whole && count == beat.labels.len()
}

fn cut(text: &mut String, bytes_max: usize) -> bool {
    let fits = text.len() <= bytes_max;
    text.truncate(text.floor_char_boundary(bytes_max));
    fits
}
