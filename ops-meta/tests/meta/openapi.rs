//! The description of the API is true: schemathesis makes calls of it, good and bad ones, and looks at the answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::tarball::package;
use crate::support::{Operator, Server, config};

/// Where packaging/deps.sh puts it.
const SCHEMATHESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/schemathesis/bin/schemathesis");
/// No token that schemathesis thinks of: it would revoke its own.
const FIRST_ID: i64 = 7_000_000;

/// Calls that may be refused though they are as described, and with what. What the description cannot say: `hostname` goes with the role host only, `arch` with `os`;
/// not every text is a regular expression, a selector, the name of a package or a group, or a reason of so many bytes; what is named
/// in the address is not named otherwise in the body; 3.0 is no whole number.
const REFUSED: [(&str, &[&str]); 3] = [
    (
        r#"["2xx", 400, 401, 403, 404, 409, 429]"#,
        &[
            "listHosts",
            "collectPackages",
            "markPackage",
            "listPackageEntries",
            "verifyPackage",
            "deletePackage",
            "startRollout",
            "beginFreeze",
            "installOnHost",
            "uninstallOnHost",
            "moveRollout",
            "listRolloutHosts",
            "createJob",
            "createToken",
        ],
    ),
    (r#"["2xx", 400, 401, 403, 404, 409, 422, 429]"#, &["pushPackage"]),
    (
        r#"["2xx", 400, 401, 403, 404, 409, 412, 429]"#,
        &[
            "putFleet",
            "putGroup",
            "deleteGroup",
            "putList",
            "deleteList",
            "putPolicy",
            "deletePolicy",
            "putSettings",
            "explainHost",
        ],
    ),
];

/// With a host's token for beats.
fn settings(folder: &Path, host: &str) -> PathBuf {
    let path = folder.join("schemathesis.toml");
    let mut text = format!(
        r#"
hooks = "hooks.py"

[[operations]]
include-operation-id = "heartbeat"
headers = {{ Authorization = "Bearer {host}" }}
"#
    );
    for (statuses, operations) in REFUSED {
        for operation in operations {
            text += &format!(
                r#"
[[operations]]
include-operation-id = "{operation}"
checks.positive_data_acceptance.expected-statuses = {statuses}
"#
            );
        }
    }
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.join("hooks.py"), HOOKS).unwrap();
    std::fs::write(folder.join("package.tar.gz"), package("schemathesis")).unwrap();
    path
}

/// Bodies that are tarballs: a good one, half of it, and anything.
const HOOKS: &str = r#"
import pathlib
import schemathesis
from hypothesis import strategies

good = pathlib.Path("package.tar.gz").read_bytes()
bodies = strategies.sampled_from([good, good[: len(good) // 2]]) | strategies.binary(max_size=100)
schemathesis.openapi.media_type("application/gzip", bodies)


@schemathesis.serializer("application/gzip")
def tarball(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer("application/gzip")
def read(ctx, response):
    return "bytes"
"#;

fn begin_ids_late(server: &Server) {
    let database = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    let sql = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'tokens'";
    assert_eq!(database.execute(sql, [FIRST_ID]).unwrap(), 1);
}

/// Runs schemathesis once with each of these choices of calls, against a server of its own: it shows many a wrong token, and
/// who does that too often is not heard for a while.
fn holds(choices: &[&[&str]]) {
    let server = Server::start(&config());
    let first = Operator::first(&server);
    begin_ids_late(&server);
    let (_, admin) = first.create("schemathesis", "admin", &Value::Null);
    let (_, host) = first.create("host of schemathesis", "host", &Value::Null);
    let settings = settings(&server.path(""), &host.token);
    for choice in choices {
        let run = Command::new(SCHEMATHESIS)
            .arg("--config-file")
            .arg(&settings)
            .args(["run", "--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color"])
            .args(["--max-redirects", "0", "--request-timeout", "10"])
            // Of what stands in a path much is thrown away.
            .args(["--suppress-health-check", "filter_too_much"])
            .args(["-H", &format!("Authorization: Bearer {}", admin.token)])
            .args(*choice)
            .arg(format!("http://{}/api/openapi.json", server.address))
            .current_dir(server.path(""))
            .output()
            .expect("packaging/deps.sh brings schemathesis");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        assert_eq!(admin.get("/api/v1/whoami").json()["role"], "admin", "it lost its token on the way");
    }
}

#[test]
fn every_answer_is_as_the_description_says() {
    holds(&[
        // From a list of tokens it would pick its own, and revoke it.
        &[
            &["--exclude-operation-id", "revokeToken", "--exclude-tag", "packages"][..],
            &except(&DECIDED),
            &except(&BESIDE),
        ]
        .concat(),
        &["--include-operation-id", "createToken", "--include-operation-id", "revokeToken"],
    ]);
}

#[test]
fn every_answer_about_packages_is_as_the_description_says() {
    holds(&[&["--include-tag", "packages"]]);
}

/// What should run where.
const DECIDED: [&str; 6] = ["fleet", "groups", "lists", "policies", "rollouts", "settings"];

/// What keeps it from being so.
const BESIDE: [&str; 2] = ["freezes", "jobs"];

fn except(tags: &[&'static str]) -> Vec<&'static str> {
    tags.iter().flat_map(|tag| ["--exclude-tag", *tag]).collect()
}

fn only(tags: &[&'static str]) -> Vec<&'static str> {
    tags.iter().flat_map(|tag| ["--include-tag", *tag]).collect()
}

#[test]
fn every_answer_about_what_should_run_is_as_the_description_says() {
    holds(&[&only(&DECIDED)]);
}

#[test]
fn every_answer_about_what_stands_beside_it_is_as_the_description_says() {
    holds(&[&only(&BESIDE)]);
}
