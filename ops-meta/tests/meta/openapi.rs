//! The description of the API is true: schemathesis makes calls of it, good and bad ones, and looks at the answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Operator, Server, config};

/// Where packaging/deps.sh puts it.
const SCHEMATHESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/schemathesis/bin/schemathesis");
/// No token that schemathesis thinks of: it would revoke its own.
const FIRST_ID: i64 = 7_000_000;

/// A host's token for beats. What the description cannot say: `hostname` goes with the role host only,
/// and not every text is a regular expression.
fn settings(folder: &Path, host: &str) -> PathBuf {
    let path = folder.join("schemathesis.toml");
    let text = format!(
        r#"
[[operations]]
include-operation-id = "heartbeat"
headers = {{ Authorization = "Bearer {host}" }}

[[operations]]
include-operation-id = "listHosts"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 429]

[[operations]]
include-operation-id = "createToken"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 429]
"#
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn begin_ids_late(server: &Server) {
    let database = rusqlite::Connection::open(server.path("data/ops-meta.db")).unwrap();
    let sql = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'tokens'";
    assert_eq!(database.execute(sql, [FIRST_ID]).unwrap(), 1);
}

#[test]
fn every_answer_is_as_the_description_says() {
    let server = Server::start(&config());
    let first = Operator::first(&server);
    begin_ids_late(&server);
    let (_, admin) = first.create("schemathesis", "admin", &Value::Null);
    let (_, host) = first.create("host of schemathesis", "host", &Value::Null);
    let settings = settings(&server.path(""), &host.token);
    let run = |operations: &[&str]| {
        let run = Command::new(SCHEMATHESIS)
            .arg("--config-file")
            .arg(&settings)
            .args(["run", "--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color"])
            .args(["--max-redirects", "0", "--request-timeout", "10"])
            .args(["-H", &format!("Authorization: Bearer {}", admin.token)])
            .args(operations)
            .arg(format!("http://{}/api/openapi.json", server.address))
            .current_dir(server.path(""))
            .output()
            .expect("packaging/deps.sh brings schemathesis");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        assert_eq!(admin.get("/api/v1/whoami").json()["role"], "admin", "it lost its token on the way");
    };
    // From a list of tokens it would pick its own, and revoke it.
    run(&["--exclude-operation-id", "revokeToken"]);
    run(&["--include-operation-id", "createToken", "--include-operation-id", "revokeToken"]);
}
