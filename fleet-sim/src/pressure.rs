//! Beats without schedules: as fast as the server takes them, or so many a second. All are of hosts at rest, printed
//! once; another host's beat is the same bytes with a few written over, so that the generator costs little.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ops_wire::{Phase, RealAgent, Status};

use crate::beat::Common;
use crate::fleet::Installed;
use crate::identity;
use crate::load::{Load, Outcome, Ticket};

/// Ten digits, as the time has until 2286.
const TIMESTAMP: i64 = 1_111_111_111;

/// How fast.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// The next beat of a connection as soon as the last is answered.
    Saturating,
    /// Beats a second, whatever the server does.
    Rate(f64),
}

pub struct Pressure {
    template: Template,
    hosts: u32,
    pace: Pace,
    begun: u64,
    beats_max: u64,
}

impl Pressure {
    /// `beats_max` beats of `hosts` hosts in turn. `None`: the names are none.
    pub fn new(
        hosts: u32,
        installed: &Installed,
        common: Common,
        pace: Pace,
        beats_max: Option<u64>,
    ) -> Option<Self> {
        let template = Template::new(installed, common)?;
        Some(Self { template, hosts, pace, begun: 0, beats_max: beats_max.unwrap_or(u64::MAX) })
    }
}

impl Load for Pressure {
    fn due(&self) -> Option<Duration> {
        let due = match self.pace {
            Pace::Saturating => Duration::ZERO,
            Pace::Rate(rate) => Duration::from_secs_f64(self.begun as f64 / rate),
        };
        (self.begun < self.beats_max).then_some(due)
    }

    fn begin(&mut self, now: Duration, body: &mut Vec<u8>) -> Option<Ticket> {
        let host = (self.begun % u64::from(self.hosts)) as u32;
        let due = match self.pace {
            Pace::Saturating => now,
            Pace::Rate(_) => self.due()?,
        };
        self.begun += 1;
        self.template.write(host, now, body);
        Some(Ticket { host, due })
    }

    fn ended(&mut self, _: Ticket, _: &Outcome<'_>, _: Duration) -> Result<(), &'static str> {
        Ok(())
    }
}

/// A printed beat, and where in it the parts are that differ.
struct Template {
    bytes: Vec<u8>,
    hostname_prefix: String,
    hostname_at: usize,
    machine_id_at: usize,
    ip_at: usize,
    timestamps_at: Vec<usize>,
    /// When the timestamps were printed last, by both clocks.
    printed: Duration,
    began_unix: u64,
}

impl Template {
    fn new(installed: &Installed, common: Common) -> Option<Self> {
        let version: ops_wire::Version = installed.version.parse().ok()?;
        let agents: Option<Vec<RealAgent>> = (1..=installed.agents)
            .map(|number| {
                let name = format!("agent-{number}").parse().ok()?;
                let mut agent = RealAgent::new(name, Some(version.clone()), Status::Started, TIMESTAMP);
                agent.phase = Some(Phase::Idle);
                agent.desired_version = Some(version.clone());
                Some(agent)
            })
            .collect();
        let hostname_prefix = common.hostname_prefix.clone();
        let bytes = serde_json::to_vec(&common.beat(0, agents?, None, Vec::new())).ok()?;
        let timestamp = TIMESTAMP.to_string();
        let first = |text: &str| places(&bytes, text).next();
        let mut template = Self {
            hostname_at: first(&identity::hostname(&hostname_prefix, 0))?,
            machine_id_at: first(&identity::machine_id(0))?,
            ip_at: first(&identity::ip(0))?,
            timestamps_at: places(&bytes, &timestamp).collect(),
            bytes: bytes.clone(),
            hostname_prefix,
            printed: Duration::ZERO,
            began_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs()),
        };
        template.print_time(Duration::ZERO);
        Some(template)
    }

    fn write(&mut self, host: u32, now: Duration, body: &mut Vec<u8>) {
        if now.as_secs() != self.printed.as_secs() {
            self.print_time(now);
        }
        let (hostname_at, machine_id_at, ip_at) = (self.hostname_at, self.machine_id_at, self.ip_at);
        let hostname = identity::hostname(&self.hostname_prefix, host);
        self.put(hostname_at, &hostname);
        self.put(machine_id_at, &identity::machine_id(host));
        self.put(ip_at, &identity::ip(host));
        body.extend_from_slice(&self.bytes);
    }

    fn print_time(&mut self, now: Duration) {
        let text = (self.began_unix + now.as_secs()).to_string();
        for at in self.timestamps_at.clone() {
            self.put(at, &text);
        }
        self.printed = now;
    }

    fn put(&mut self, at: usize, text: &str) {
        if let Some(place) = self.bytes.get_mut(at..at + text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
    }
}

fn places(bytes: &[u8], text: &str) -> impl Iterator<Item = usize> {
    bytes.windows(text.len()).enumerate().filter(move |(_, it)| *it == text.as_bytes()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_prepared_beat_of_another_host_is_what_that_host_would_print() {
        let common = || Common {
            hostname_prefix: "host-".to_owned(),
            labels: BTreeMap::from([("idc".to_owned(), "x".to_owned())]),
            interval_secs: 300,
        };
        let installed = Installed { agents: 3, version: "1.0.0".to_owned() };
        let mut pressure = Pressure::new(1_000_000, &installed, common(), Pace::Saturating, None).unwrap();
        for host in [0_u32, 42, 999_999] {
            let mut body = Vec::new();
            pressure.template.write(host, Duration::from_secs(5), &mut body);
            let (beat, refused) = ops_wire::Heartbeat::read(&body).unwrap();
            let wanted = common().beat(host, beat.real_agents.clone(), None, Vec::new());
            assert!(refused.is_empty() && beat == wanted, "{beat:?}");
            assert_eq!(beat.real_agents.len(), 3);
            assert!(beat.real_agents.iter().all(|it| it.timestamp > TIMESTAMP));
        }
    }
}
