#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Instant;

use ops_wire::{Heartbeat, RealAgent, Status, StepDone};
use proptest::prelude::*;

use super::*;
use crate::store::{Batch, HostWrite};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
const SAID: Said<'static> = Said { body: b"the body", known_by: 0 };
/// Unix milliseconds.
const NOW: i64 = 1_800_000_000_000;

fn fleet() -> Fleet {
    Fleet::new(Listening::new(Vec::new(), 0, NOW / 1000))
}

/// Listens for so long, in milliseconds.
fn listen(fleet: &Fleet, millis: i64) {
    for passed in (0..=millis).step_by(MINUTE as usize) {
        fleet.listen((NOW + passed) / 1000);
    }
}

fn agent(version: &str) -> RealAgent {
    RealAgent::new("a".parse().unwrap(), version.parse().ok(), Status::Started, NOW / 1000)
}

fn beat(hostname: &str, version: &str) -> Heartbeat {
    let real_agents = vec![agent(version)];
    Heartbeat { hostname: hostname.to_owned(), real_agents, interval_secs: Some(60), ..Heartbeat::default() }
}

fn most(hosts: usize) -> Most {
    Most { hosts, texts_bytes: 1 << 30 }
}

fn record(fleet: &Fleet, beat: &Heartbeat, now: i64) -> Recorded {
    fleet.record(beat, &SAID, now, most(10))
}

/// What is to be written, as lines.
fn lines(batch: &Batch) -> Vec<String> {
    let history = |write: &HostWrite| {
        let lines: Vec<_> =
            write.history.iter().map(|it| format!("{} {}->{}", it.what, it.before, it.after)).collect();
        format!("{}: {}", write.row.hostname, lines.join(", "))
    };
    let seen = batch.seen.iter().map(|(_, hostname, _)| format!("{hostname} heard"));
    let forgotten = batch.forgotten.iter().map(|id| format!("host {id} forgotten"));
    batch.changed.iter().map(history).chain(seen).chain(forgotten).collect()
}

fn taken(fleet: &Fleet) -> Vec<String> {
    let lines = lines(&fleet.take(usize::MAX));
    assert_eq!(fleet.pending_bytes(), 0);
    lines
}

fn load(fleet: &Fleet, batch: Batch) {
    let mut loader = Loader::new(fleet);
    batch.changed.into_iter().for_each(|write| loader.load(write.row));
}

#[test]
fn the_same_report_is_written_once() {
    let fleet = fleet();
    assert_eq!(record(&fleet, &beat("h", "1"), NOW), Recorded::New);
    assert_eq!(taken(&fleet), ["h: "]);
    for minute in 1..60 {
        let mut again = beat("h", "1");
        again.real_agents[0].timestamp += minute * 60;
        again.generation = Some(minute as u64);
        assert_eq!(record(&fleet, &again, NOW + minute * MINUTE), Recorded::Known);
    }
    assert_eq!(taken(&fleet), [""; 0]);
    assert_eq!(i64::from(fleet.find("h").unwrap().last), NOW / 1000 + 59 * 60);
}

#[test]
fn when_it_was_heard_is_written_seldom() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    taken(&fleet);
    record(&fleet, &beat("h", "1"), NOW + LAST_SEEN_SLACK * 1000);
    assert_eq!(taken(&fleet), ["h heard"]);
    record(&fleet, &beat("h", "1"), NOW + LAST_SEEN_SLACK * 1000 + MINUTE);
    assert_eq!(taken(&fleet), [""; 0]);
}

#[test]
fn what_changes_is_told() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    taken(&fleet);
    let mut changed = beat("h", "2");
    changed.real_agents[0].status = Status::Stopped;
    changed.real_agents[0].error_code = "trial_failed".to_owned();
    changed.ip = "10.0.0.1".to_owned();
    record(&fleet, &changed, NOW + MINUTE);
    assert_eq!(
        taken(&fleet),
        ["h: ip ->10.0.0.1, version 1->2, status started->stoped, error ->trial_failed"]
    );
    changed.real_agents.clear();
    record(&fleet, &changed, NOW + 2 * MINUTE);
    assert_eq!(taken(&fleet), ["h: version 2->"]);
    // What stands in the report only is written, and is no history.
    changed.errors.push(ops_wire::HostError {
        agent: "x".into(),
        code: "bad_name".into(),
        error: "e".into(),
    });
    record(&fleet, &changed, NOW + 3 * MINUTE);
    assert_eq!(taken(&fleet), ["h: "]);
    record(&fleet, &changed, NOW + 4 * MINUTE);
    assert_eq!(taken(&fleet), [""; 0]);
}

#[test]
fn a_restart_changes_nothing() {
    let fleet = fleet();
    let mut full = beat("h", "1");
    full.machine_id = "0123456789abcdef0123456789abcdef".to_owned();
    full.ip = "fe80::1".to_owned();
    full.os = "linux".to_owned();
    full.labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let step = StepDone { step: "fetch".to_owned(), at: 1, ms: 2, code: String::new() };
    full.real_agents[0].steps = vec![step];
    record(&fleet, &full, NOW);
    let restarted = self::fleet();
    load(&restarted, fleet.take(usize::MAX));
    assert_eq!(restarted.count(), 1);
    assert_eq!(record(&restarted, &full, NOW + MINUTE), Recorded::Known);
    assert_eq!(taken(&restarted), [""; 0]);
    let (before, after) = (fleet.find("h").unwrap(), restarted.find("h").unwrap());
    assert_eq!(before.first, after.first);
    assert_eq!((&before.facts, &before.agents, &before.ip), (&after.facts, &after.agents, &after.ip));
    assert_eq!(before.machine.to_text(), full.machine_id);
}

#[test]
fn what_was_not_written_is_written_later() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    record(&fleet, &beat("i", "1"), NOW);
    let batch = fleet.take(usize::MAX);
    record(&fleet, &beat("h", "2"), NOW + MINUTE);
    let dropped = fleet.find("i").unwrap().id;
    fleet.drop_host("i");
    fleet.give_back(batch);
    assert_eq!(taken(&fleet), ["h: version 1->2".to_owned(), format!("host {dropped} forgotten")]);
}

#[test]
fn a_dropped_host_is_not_written_and_may_come_again() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    assert!(fleet.drop_host("h"));
    assert!(!fleet.drop_host("h"));
    assert_eq!((taken(&fleet), fleet.count()), (vec![], 0));
    record(&fleet, &beat("h", "1"), NOW);
    fleet.drop_host("h");
    record(&fleet, &beat("h", "2"), NOW);
    assert_eq!(taken(&fleet), ["h: "]);
}

#[test]
fn known_hosts_are_recorded_when_the_fleet_is_full() {
    let fleet = fleet();
    assert_eq!(fleet.record(&beat("a", "1"), &SAID, NOW, most(1)), Recorded::New);
    assert_eq!(fleet.record(&beat("b", "1"), &SAID, NOW, most(1)), Recorded::Full);
    assert_eq!(fleet.record(&beat("a", "2"), &SAID, NOW, most(1)), Recorded::Known);
    assert_eq!(fleet.count(), 1);
}

#[test]
fn silent_hosts_are_forgotten_and_make_room() {
    let fleet = fleet();
    fleet.record(&beat("a", "1"), &SAID, NOW, most(1));
    taken(&fleet);
    listen(&fleet, 9 * MINUTE);
    assert_eq!(fleet.forget(Duration::from_secs(600), NOW / 1000 + 599).count, 0);
    let forgotten = fleet.forget(Duration::from_secs(600), NOW / 1000 + 600);
    assert_eq!((forgotten.count, forgotten.some), (1, vec!["a".to_owned()]));
    assert_eq!(fleet.record(&beat("b", "1"), &SAID, NOW, most(1)), Recorded::New);
    assert_eq!(fleet.take(9).forgotten, [1]);
}

#[test]
fn a_host_that_was_gone_is_revived() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    let at = |now: i64| fleet.state(&fleet.find("h").unwrap(), now / 1000);
    assert_eq!(at(NOW), State::New);
    assert_eq!(at(NOW + 4 * MINUTE), State::Late);
    let later = NOW + 2 * DAY;
    listen(&fleet, 2 * DAY);
    assert_eq!(at(later), State::Gone);
    record(&fleet, &beat("h", "1"), later);
    assert_eq!(at(later), State::Revived);
    assert_eq!(taken(&fleet), ["h: state gone->revived"]);
}

#[test]
fn a_machine_that_slept_takes_nobody_for_gone() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    record(&fleet, &beat("i", "1"), NOW);
    taken(&fleet);
    let later = NOW + 9 * DAY;
    record(&fleet, &beat("h", "1"), later);
    assert_eq!(taken(&fleet), ["h heard"]);
    assert_eq!(fleet.state(&fleet.find("i").unwrap(), later / 1000), State::Alive);
    // Nor where the first that is done is to look for the silent.
    assert_eq!(fleet.forget(Duration::from_secs(600), later / 1000 + 86_400).count, 0);
    assert_eq!(fleet.listen(later / 1000 + 86_401).since, later / 1000 + 86_400);
}

#[test]
fn two_machines_of_one_name_are_told_of_and_a_new_machine_is_not() {
    let fleet = fleet();
    let says = |machine: &str, minute: i64| {
        let beat = Heartbeat { machine_id: machine.to_owned(), ..beat("h", "1") };
        record(&fleet, &beat, NOW + minute * MINUTE);
        let now = NOW / 1000 + minute * 60;
        fleet.find("h").unwrap().rival(now).map(|(machine, _)| machine.to_text())
    };
    assert_eq!(says("old", 0), None);
    assert_eq!(says("new", 1), None);
    assert_eq!(says("new", 2), None);
    // Much later it is set up once more.
    assert_eq!(says("old", 10), None);
    // And in turns.
    assert_eq!(says("new", 11), Some("old".to_owned()));
    assert_eq!(says("new", 12), Some("old".to_owned()));
    assert_eq!(says("new", 90), None);
}

#[test]
fn many_machines_of_one_name_are_told_of() {
    let fleet = fleet();
    let says = |machine: &str, second: i64| {
        let beat = Heartbeat { machine_id: machine.to_owned(), ..beat("h", "1") };
        record(&fleet, &beat, NOW + second * 1000);
        fleet.find("h").unwrap().rival(NOW / 1000 + second).is_some()
    };
    assert_eq!(["a", "b", "c", "a"].map(|it| says(it, 20)), [false, false, true, true]);
}

#[test]
fn machines_without_an_id_are_told_by_their_address() {
    let fleet = fleet();
    let says = |machine: &str, ip: &str, minute: i64| {
        let beat = Heartbeat { machine_id: machine.to_owned(), ip: ip.to_owned(), ..beat("h", "1") };
        record(&fleet, &beat, NOW + minute * MINUTE);
        fleet.find("h").unwrap().rival(NOW / 1000 + minute * 60).map(|(_, ip)| ip.to_text())
    };
    assert_eq!(says("", "10.0.0.1", 0), None);
    assert_eq!(says("", "10.0.0.2", 1), None);
    assert_eq!(says("", "", 2), None);
    assert_eq!(says("", "10.0.0.1", 2), Some("10.0.0.2".to_owned()));
    // A machine that says who it is may have any address.
    assert_eq!(says("m", "10.0.0.2", 90), None);
    assert_eq!(says("m", "10.0.0.3", 91), None);
    assert_eq!(says("m", "10.0.0.2", 92), None);
}

#[test]
fn an_interval_is_believed_within_bounds() {
    let fleet = fleet();
    for machine in ["a", "b", "a"] {
        let interval_secs = Some(u32::MAX);
        record(&fleet, &Heartbeat { machine_id: machine.to_owned(), interval_secs, ..beat("h", "1") }, NOW);
    }
    let state = |now: i64| fleet.state(&fleet.find("h").unwrap(), now / 1000);
    assert_eq!(state(NOW + 3 * DAY), State::Alive);
    assert_eq!(state(NOW + 3 * DAY + 1000), State::Gone);
    record(&fleet, &Heartbeat { interval_secs: Some(0), ..beat("h", "1") }, NOW);
    assert_eq!(state(NOW + 3000), State::New);
}

#[test]
fn a_slow_host_is_not_forgotten_when_it_is_hardly_late() {
    let fleet = fleet();
    record(&fleet, &Heartbeat { interval_secs: Some(86_400), ..beat("h", "1") }, NOW);
    listen(&fleet, 6 * DAY - MINUTE);
    let three_days = Duration::from_secs(3 * 86_400);
    assert_eq!(fleet.forget(three_days, NOW / 1000 + 6 * 86_400 - 1).count, 0);
    assert_eq!(fleet.forget(three_days, NOW / 1000 + 6 * 86_400).count, 1);
}

#[test]
fn forgotten_hosts_wait_like_others() {
    let fleet = fleet();
    for n in 0..5000 {
        fleet.record(&beat(&format!("h{n}"), "1"), &SAID, NOW, most(5000));
    }
    taken(&fleet);
    listen(&fleet, 10 * MINUTE);
    assert_eq!(fleet.forget(Duration::from_secs(60), NOW / 1000 + 600).count, 5000);
    assert!(fleet.pending_bytes() > 5000);
    let batch = fleet.take(100);
    assert_eq!(batch.forgotten.len(), 100);
    fleet.give_back(batch);
    assert_eq!(taken(&fleet).len(), 5000);
}

#[test]
fn lines_of_history_count_with_their_texts() {
    let fleet = fleet();
    record(&fleet, &beat("h", "1"), NOW);
    taken(&fleet);
    let status = Status::Other("x".repeat(200));
    record(
        &fleet,
        &Heartbeat { real_agents: vec![RealAgent { status, ..agent("1") }], ..beat("h", "1") },
        NOW,
    );
    let one = size_of::<crate::store::HostChange>() + 200;
    assert!(fleet.pending_bytes() > one, "{}", fleet.pending_bytes());
}

#[test]
fn what_nobody_has_is_not_kept() {
    let fleet = fleet();
    for version in 0..10_000 {
        record(&fleet, &beat("h", &version.to_string()), NOW);
    }
    let kept = fleet.shard_of("h").agents.len();
    assert_eq!(kept, 1);
    fleet.drop_host("h");
    assert_eq!(fleet.texts_bytes(), 0);
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let fleet = fleet();
    for n in 0..10 {
        record(&fleet, &beat(&format!("h{n}"), "1"), NOW + n / 2 * 1000);
    }
    let page = |by_name: bool, order, after, limit, total| {
        let mut rank = |_: &str, host: &Host| i64::from(host.last);
        let page = fleet.page(Asked {
            admits: &mut |hostname, _| hostname != "h3",
            rank: (!by_name).then_some(&mut rank),
            order,
            after,
            limit,
            total,
            until: Instant::now() + Duration::from_secs(60),
        });
        let page = page.ok().unwrap();
        assert_eq!(page.total, total.then_some(9));
        assert_eq!(page.next, page.hosts.last().filter(|_| page.next.is_some()).map(|(it, _)| it.clone()));
        let names: Vec<_> = page.hosts.iter().map(|(it, _)| it.hostname.to_string()).collect();
        (names.join(" "), page.hosts.last().map(|(it, _)| it.clone()), page.next.is_some())
    };
    for (by_name, total) in [(true, false), (true, true), (false, false), (false, true)] {
        let (names, last, more) = page(by_name, Order::Ascending, None, 4, total);
        assert_eq!((names.as_str(), more), ("h0 h1 h2 h4", true));
        let (names, last, more) = page(by_name, Order::Ascending, last, 5, total);
        assert_eq!((names.as_str(), more), ("h5 h6 h7 h8 h9", false));
        assert_eq!(page(by_name, Order::Ascending, last, 5, total).0, "");
        let (names, last, more) = page(by_name, Order::Descending, None, 3, total);
        assert_eq!((names.as_str(), more), ("h9 h8 h7", true));
        assert_eq!(page(by_name, Order::Descending, last, 9, total).0, "h6 h5 h4 h2 h1 h0");
    }
}

#[test]
fn a_page_whose_hosts_left_meanwhile_is_not_the_last() {
    let fleet = fleet();
    let named = |letter: char, shard: usize| {
        let lies_there = |name: &String| fleet.hasher.hash_one(&**name) as usize % SHARDS == shard;
        (0..).map(|n| format!("{letter}{n}")).find(lies_there).unwrap()
    };
    let names = [named('a', 0), named('b', 0), named('c', 1)];
    for name in &names {
        record(&fleet, &beat(name, "1"), NOW);
    }
    let page = fleet.page(Asked {
        admits: &mut |hostname, _| {
            // By then the shard of the others is behind.
            if hostname == names[2] {
                names[..2].iter().for_each(|name| assert!(fleet.drop_host(name)));
            }
            true
        },
        rank: None,
        order: Order::Ascending,
        after: None,
        limit: 2,
        total: false,
        until: Instant::now() + Duration::from_secs(60),
    });
    let page = page.ok().unwrap();
    assert!(page.hosts.is_empty());
    assert_eq!(page.next.map(|it| it.hostname), Some(names[1].as_str().into()));
}

proptest! {
    #[test]
    fn what_is_kept_small_comes_out_as_it_was(text in "([0-9a-f]{30,33}|[0-9A-F]{32}|[0-9]{1,3}(\\.[0-9]{1,3}){3}|.{0,40})") {
        prop_assert_eq!(&Compact::of(&text).to_text(), &text);
        prop_assert_eq!(Address::of(&text).to_text(), text);
    }

    #[test]
    fn what_is_written_is_always_what_is_known(
        steps in proptest::collection::vec((0_u8..6, 0_u8..4, 0_u8..3), 1..60)
    ) {
        let (fleet, mut written) = (fleet(), BTreeMap::new());
        for (what, host, version) in steps {
            let name = format!("h{host}");
            match what {
                0..3 => {
                    // Reports grow and shrink.
                    let body = vec![b'x'; 100 * usize::from(version)];
                    let said = Said { body: &body, known_by: 0 };
                    fleet.record(&beat(&name, &version.to_string()), &said, NOW, most(10));
                }
                3 => { fleet.drop_host(&name); written.remove(&name); }
                4 => { let batch = fleet.take(9); fleet.give_back(batch); }
                _ => for write in fleet.take(usize::MAX).changed {
                    written.insert(write.row.hostname.to_string(), write.row.agents);
                },
            }
        }
        for write in fleet.take(usize::MAX).changed {
            written.insert(write.row.hostname.to_string(), write.row.agents);
        }
        let mut known = BTreeMap::new();
        fleet.visit(|name, host| { known.insert(name.to_owned(), serde_json::to_string(&*host.agents).unwrap().into()); });
        prop_assert_eq!(written, known);
        prop_assert_eq!(fleet.pending_bytes(), 0);
    }
}

/// A beat as an updater writes it, read or recognised as the server does. Whether it was recognised.
fn hear(fleet: &Fleet, beat: &Heartbeat, now: i64) -> bool {
    let body = serde_json::to_vec(beat).unwrap();
    let looks = fleet.looks(&body).unwrap();
    if fleet.repeat(&looks, now, |_| ()).is_some() {
        return true;
    }
    let known_by = if looks.are_of(&beat.real_agents) { looks.hash } else { 0 };
    fleet.record(beat, &Said { body: &body, known_by }, now, most(10));
    false
}

#[test]
fn a_beat_of_the_same_words_is_recognised() {
    let fleet = fleet();
    let mut beat = beat("h", "1");
    assert!(!hear(&fleet, &beat, NOW));
    beat.real_agents[0].timestamp += 60;
    assert!(hear(&fleet, &beat, NOW + MINUTE));
    let host = fleet.find("h").unwrap();
    assert_eq!(i64::from(host.looks[0].at), NOW / 1000 + 60);
    assert_eq!(i64::from(host.last), NOW / 1000 + 60);
    // Anything else is news.
    beat.generation = Some(7);
    assert!(!hear(&fleet, &beat, NOW + 2 * MINUTE));
    assert!(hear(&fleet, &beat, NOW + 3 * MINUTE));
    beat.real_agents[0].status = Status::Stopped;
    assert!(!hear(&fleet, &beat, NOW + 4 * MINUTE));
    // Who was gone is looked at closely.
    listen(&fleet, 2 * DAY);
    assert!(!hear(&fleet, &beat, NOW + 2 * DAY));
    assert_eq!(fleet.state(&fleet.find("h").unwrap(), (NOW + 2 * DAY) / 1000), State::Revived);
}

#[test]
fn only_the_timestamps_of_agents_are_looked_over() {
    let fleet = fleet();
    // A label of this name has a text behind it.
    let mut beat = beat("h", "1");
    beat.labels.insert("timestamp".to_owned(), "5".to_owned());
    assert!(fleet.looks(&serde_json::to_vec(&beat).unwrap()).is_none());
    // Nor is a number that JSON does not have.
    for (number, known) in [("0", true), ("7", true), ("07", false), ("00", false)] {
        let body = format!(r#"{{"hostname":"h","timestamp":{number}}}"#);
        assert_eq!(fleet.looks(body.as_bytes()).is_some(), known, "{number}");
    }
    // Inside a text it is no key.
    beat.labels.clear();
    beat.real_agents[0].error = r#""timestamp":5"#.to_owned();
    let looks = |beat: &Heartbeat| fleet.looks(&serde_json::to_vec(beat).unwrap()).map(|looks| looks.hash);
    let before = looks(&beat);
    beat.real_agents[0].error = r#""timestamp":6"#.to_owned();
    assert!(before.is_some() && before != looks(&beat));
}

proptest! {
    #[test]
    fn any_bytes_may_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = fleet().looks(&bytes);
        let _ = fleet().looks(&[&br#"{"hostname":"h","timestamp":"#[..], &bytes].concat());
    }

    /// Whatever is said in whatever order: a host that is known by bytes is known as if all had been read.
    #[test]
    fn what_is_recognised_is_what_would_have_been_read(
        beats in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..2, 0_i64..3), 1..40)
    ) {
        let (known_by_bytes, read) = (fleet(), fleet());
        for (n, (version, agents, generation, timestamp)) in beats.into_iter().enumerate() {
            let mut beat = beat("h", &version.to_string());
            beat.real_agents[0].timestamp += timestamp;
            beat.real_agents.truncate(agents.into());
            beat.generation = Some(generation.into());
            let now = NOW + n as i64 * MINUTE;
            hear(&known_by_bytes, &beat, now);
            record(&read, &beat, now);
        }
        let (one, other) = (known_by_bytes.find("h").unwrap(), read.find("h").unwrap());
        prop_assert_eq!((one.last, one.generation, one.agents, one.looks), (other.last, other.generation, other.agents, other.looks));
        let lines = |fleet: &Fleet| lines(&fleet.take(9));
        prop_assert_eq!(lines(&known_by_bytes), lines(&read));
    }
}

#[test]
fn a_walk_in_pieces_meets_every_host_once_either_way_and_ends_in_time() {
    let shard = std::sync::Mutex::new(Shard::default());
    let names: Vec<String> = (100..300).map(|n| format!("h{n}")).collect();
    let template = {
        let fleet = fleet();
        record(&fleet, &beat("h", "1"), NOW);
        fleet.find("h").unwrap()
    };
    for name in &names {
        shard.lock().unwrap().hosts.insert(name.as_str().into(), Box::new(template.clone()));
    }
    let walk = |order, after, most: usize| {
        let mut met = Vec::new();
        let mut each = |name: &str, _: &Host| {
            met.push(name.to_owned());
            met.len() < most
        };
        list::walk(&shard, order, after, None, &mut each).unwrap();
        met
    };
    assert_eq!(walk(Order::Ascending, None, 1000), names);
    assert_eq!(walk(Order::Ascending, Some("h199"), 1000), names[100..]);
    assert_eq!(
        walk(Order::Descending, Some("h199"), 50),
        names[49..99].iter().rev().cloned().collect::<Vec<_>>()
    );
    let late = list::walk(&shard, Order::Ascending, None, Some(Instant::now()), &mut |_, _| true);
    assert_eq!(late, Err(TooLate));
}
