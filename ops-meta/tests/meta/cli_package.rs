//! Packages begun and checked, without a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ops_package::{Limits, inspect};

use crate::support::eventually;
use crate::support::packages::{AS_1_0, agent, make_executable, names, package, refused, tool};

#[test]
fn a_new_package_is_packed_is_sound_and_its_control_starts_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    package(&folder, &["new", "my-agent"]).ok();
    let agent = folder.path().join("my-agent");
    assert_eq!(names(&agent), ["README.md", "bin", "control", "manifest.json"]);
    let program = agent.join("bin/my-agent");
    fs::write(&program, "#!/bin/sh\necho hello\nexec sleep 600\n").unwrap();
    make_executable(&program);

    let said = package(&folder, &["pack", "my-agent"]).ok();
    assert!(said.out.starts_with("my-agent-0.1.0.tar.gz: "), "{said:?}");
    let checked = package(&folder, &["check", "nowhere", "my-agent-0.1.0.tar.gz", "my-agent"]);
    assert_eq!((checked.code, checked.err.lines().count()), (1, 1), "{checked:?}");
    let table = checked.out;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "VERSION", "SIZE", "ENTRIES", "SHA256"]);
    assert_eq!((rows[1][..2].to_vec(), rows[1][3]), (vec!["my-agent", "0.1.0"], "5"));
    assert_eq!((rows.len(), &rows[1]), (3, &rows[2]));
    assert!(said.out.contains(rows[1][4]), "{said:?} {table}");

    // As a host has it.
    let host = tempfile::tempdir().unwrap();
    let tarball = folder.path().join("my-agent-0.1.0.tar.gz");
    tool(host.path(), &["tar", "-xzf", tarball.to_str().unwrap()]);
    let control = |verb: &str| {
        let mut script = Command::new(host.path().join("control"));
        let output = script.arg(verb).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(control("status"), (Some(0), "stoped\n".to_owned()));
    assert_eq!(control("pid"), (Some(1), String::new()));
    assert_eq!(control("start"), (Some(0), String::new()));
    assert_eq!(control("status"), (Some(0), "started\n".to_owned()));
    let pid = control("pid").1;
    let log = || fs::read_to_string(host.path().join("agent.log")).ok();
    eventually("the agent's first words", || log().filter(|log| log == "hello\n"));
    assert_eq!((control("start"), control("pid").1), ((Some(0), String::new()), pid));
    assert_eq!(control("stop"), (Some(0), String::new()));
    assert_eq!(control("status"), (Some(0), "stoped\n".to_owned()));
    assert_eq!(control("stop").0, Some(0));
    assert_eq!(control("restart").0, Some(2));
    fs::remove_file(host.path().join("bin/my-agent")).unwrap();
    assert_eq!(control("start").0, Some(1));
}

#[test]
fn what_is_there_is_not_begun_again() {
    let folder = agent();
    let said = package(&folder, &["new", "agent"]);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("ops-meta: failed to make `agent`: "), "{said:?}");
    assert_eq!(names(&folder.path().join("agent")), ["bin", "control", "current"]);
    assert_eq!(package(&folder, &["new", "../agent"]).code, 2);
    let occupied = package(&folder, &["new", "agent", "--dir", "agent/bin"]);
    assert!(occupied.code == 1 && occupied.err.contains("give another --dir"), "{occupied:?}");
    assert_eq!(fs::read(folder.path().join("agent/bin/agent")).unwrap(), b"elf");
}

fn frozen() -> Vec<PathBuf> {
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops-package/tests/bad");
    let below =
        |folder: &Path| fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect::<Vec<_>>();
    let files = below(&bad).into_iter().flat_map(|danger| below(&danger));
    files.filter(|file| file.extension().is_some_and(|it| it == "gz")).collect()
}

#[test]
fn every_archive_that_hosts_refuse_is_refused_in_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let (mut args, mut sentences) = (vec!["check".to_owned()], Vec::new());
    for (n, file) in frozen().iter().enumerate() {
        // Some are only too large for the small limits of that crate's tests.
        let limits = Limits { unpacked_bytes_max: 8 << 30, ..Limits::default() };
        if let Err(why) = inspect(fs::File::open(file).unwrap(), &limits) {
            let name = format!("agent-{n}.tar.gz");
            fs::copy(file, folder.path().join(&name)).unwrap();
            sentences.push(format!("ops-meta: {name}: {why}"));
            args.push(name);
        }
    }
    assert!(sentences.len() > 80, "only {}", sentences.len());
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let said = package(&folder, &args);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert_eq!(said.err.lines().collect::<Vec<_>>(), sentences);
}

#[test]
fn a_check_tells_every_problem_of_a_file() {
    let folder = agent();
    package(&folder, &AS_1_0).ok();
    let at = |name: &str| folder.path().join(name);
    fs::copy(at("agent-1.0.tar.gz"), at("other-1.0.tar.gz")).unwrap();
    fs::write(at("other-1.0.tar.gz.md5"), format!("{}  other-1.0.tar.gz\n", "0".repeat(32))).unwrap();
    fs::write(at("other-1.0.tar.gz.sha256"), "nonsense\n").unwrap();
    refused(
        &folder,
        &["check", "other-1.0.tar.gz"],
        1,
        &[
            "`other-1.0.tar.gz.md5` gives it the digest 00000000000000000000000000000000, and it has ",
            "`other-1.0.tar.gz.sha256`: the file of digests has no digest of `other-1.0.tar.gz`",
        ],
    );
    fs::copy(at("agent-1.0.tar.gz"), at("agent.tgz")).unwrap();
    refused(&folder, &["check", "agent.tgz"], 1, &["agent.tgz: nothing says which agent and version"]);
    refused(
        &folder,
        &["check", "nowhere", "/dev/null"],
        1,
        &["nowhere: failed to look", "/dev/null: this is neither"],
    );

    // Cut off: why, and that the digest says so too.
    let half = fs::read(at("agent-1.0.tar.gz")).unwrap();
    fs::write(at("agent-1.0.tar.gz"), &half[..half.len() / 2]).unwrap();
    refused(
        &folder,
        &["check", "agent-1.0.tar.gz"],
        1,
        &["failed to gunzip", ".md5` gives", ".sha256` gives"],
    );
}

#[test]
fn a_file_is_called_what_its_manifest_says() {
    let folder = agent();
    fs::write(folder.path().join("agent/manifest.json"), r#"{"name": "agent", "version": "1.0"}"#).unwrap();
    package(&folder, &["pack", "agent"]).ok();
    fs::rename(folder.path().join("agent-1.0.tar.gz"), folder.path().join("agent-1.1.tar.gz")).unwrap();
    refused(
        &folder,
        &["check", "agent-1.1.tar.gz"],
        1,
        &["it is the package of agent 1.0: it has to be called `agent-1.0.tar.gz`"],
    );
}

#[test]
fn scripts_get_an_object_for_each() {
    let folder = agent();
    fs::write(
        folder.path().join("agent/manifest.json"),
        r#"{"name": "agent", "version": "1.0", "requires": {"dns": ">=2"}, "os": "linux", "owner": 1}"#,
    )
    .unwrap();
    package(&folder, &["pack", "agent"]).ok();
    let said = package(&folder, &["check", "-o", "json", "agent-1.0.tar.gz", "nowhere"]);
    let objects = said.objects();
    assert_eq!((said.code, objects.len()), (1, 2));
    let good = &objects[0];
    assert_eq!((&good["file"], &good["name"]), (&"agent-1.0.tar.gz".into(), &"agent".into()));
    assert_eq!((&good["entries"], &good["unpackedSize"]), (&5.into(), &103.into()));
    assert_eq!(good["manifest"]["requires"]["dns"], ">=2");
    assert_eq!((&good["manifest"]["os"], good["warnings"].as_array().unwrap().len()), (&"linux".into(), 1));
    assert_eq!(good["md5"].as_str().unwrap().len(), 32);
    assert_eq!(objects[1]["problems"].as_array().unwrap().len(), 1);
    assert!(objects[1].get("sha256").is_none());
}
