//! Looks at real scripts, again and again.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::agent::Unwritten;
use super::*;
use crate::config::Config;

/// Descriptors of this process, and its children that nobody waited for.
fn held() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok());
    let zombie = |stat: &String| {
        let mut fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace();
        fields.next() == Some("Z") && fields.next() == Some(own.as_str())
    };
    (descriptors, stats.filter(zombie).count())
}

/// The least of several readings: other tests run beside this one.
fn least_held() -> (usize, usize) {
    let readings: Vec<_> = (0..20)
        .map(|_| {
            wake::pause(wake::now().boot + Duration::from_millis(10), &[]);
            held()
        })
        .collect();
    (readings.iter().map(|it| it.0).min().unwrap(), readings.iter().map(|it| it.1).min().unwrap())
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `OPS_FULL=1`, as `make test-full` says it: ten thousand.
#[test]
fn nothing_grows_with_the_number_of_cycles() {
    let full = std::env::var_os("OPS_FULL").is_some_and(|it| it == "1");
    let cycles = if full { 10_000 } else { 200 };
    let folder = tempfile::tempdir().unwrap();
    let kinds = [
        ("good", "echo started"),
        ("leaves", "sleep 1000 & echo started"),
        ("floods", "yes started | head -c 200000"),
        ("fails", "exit 3"),
    ];
    for (name, does) in kinds {
        let version = folder.path().join(name).join("1.0.0");
        std::fs::create_dir_all(&version).unwrap();
        std::fs::write(folder.path().join(name).join(".version"), "1.0.0").unwrap();
        std::fs::write(version.join("control"), format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(version.join("control"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = Config::parse(r#"{"server": "a:1"}"#, folder.path()).unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    layout.make_own().unwrap();
    let mut agents = Agents::new(layout);
    let mut run = |cycles: usize| {
        for _ in 0..cycles {
            agents.refresh(&[]).unwrap();
            agents.look_at_all(wake::now());
            while !agents.all_looked_at() {
                agents.tick(&config.apply, &config.plan, wake::now());
                let until = wake::now().boot + Duration::from_millis(5);
                wake::pause(until.min(agents.next_wake().unwrap_or(until)), &agents.pipes());
            }
        }
        agents.tick(&config.apply, &config.plan, wake::now());
        let report = agents.report(wake::now());
        assert_eq!(report.len(), kinds.len());
        assert!(report.iter().any(|it| it.status == ops_wire::Status::Started));
    };

    let begun = Instant::now();
    run(cycles / 10);
    let (before, resident) = (least_held(), resident_kib());
    run(cycles - cycles / 10);
    let (after, resident_after) = (least_held(), resident_kib());

    println!(
        "{cycles} cycles in {:.0} s: {before:?} {resident} KiB, {after:?} {resident_after} KiB",
        begun.elapsed().as_secs_f64()
    );
    // Other tests have descriptors and children, too, but not hundreds.
    assert!(after.0 <= before.0 + 30 && after.1 <= before.1 + 10, "{before:?} became {after:?}");
    if full {
        assert!(resident_after <= resident + 1024, "{resident} KiB became {resident_after} KiB");
    }
}

#[test]
fn a_failure_that_could_not_even_be_marked_is_marked_later_and_a_release_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    let mut agent = Agent::new("alpha".parse().unwrap());
    let mut past = Past::default();
    let fault = Fault::new(ErrorCode::StartFailed, "it failed");
    past.remember(&"1.0.0".parse().unwrap(), &fault, false, 0, 0.0);
    agent.unwritten = Some(Unwritten { past, marked: false });
    // In the way, and there is no place to put it aside.
    std::fs::create_dir_all(layout.agent(&agent.name).join(".failed.new/x")).unwrap();

    agent.write_at_last(&layout);
    assert!(agent.unwritten.as_ref().is_some_and(|it| it.marked) && layout.failed_file(&agent.name).exists());

    layout.release(&agent.name).unwrap();
    agent.write_at_last(&layout);
    assert!(agent.unwritten.is_none());
}
