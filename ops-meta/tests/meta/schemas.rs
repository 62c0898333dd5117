//! A database of every schema there ever was is opened, brought to the newest one, and served whole. Each is kept as a
//! dump in `tests/fixtures`, whose head says how it was made and holds a token of its admin.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Operator, Server, config};

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    files.sort();
    files
}

fn newest() -> i64 {
    files("migrations", ".sql").len() as i64
}

/// Every dump, oldest first.
fn dumps() -> Vec<String> {
    let dumps =
        files("tests/fixtures", ".sql").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_eq!(Vec::len(&dumps) as i64, newest(), "one for each schema");
    dumps
}

/// A server of the database that this is the dump of.
fn server_of(dump: &str) -> Server {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let database = Connection::open(folder.path().join("data/ops-meta.db")).unwrap();
    database.execute_batch(dump).unwrap();
    drop(database);
    Server::start_in(folder, &config())
}

fn admin<'a>(server: &'a Server, dump: &str) -> Operator<'a> {
    let token = dump.lines().find_map(|line| line.strip_prefix("-- admin.token: ")).unwrap();
    Operator::with(server, token.to_owned())
}

fn texts(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
}

/// What a database is made of: every table, index and trigger, and the columns of tables.
fn schema(server: &Server) -> Vec<(String, String, Option<String>, Option<String>)> {
    let database = Connection::open(server.path("data/ops-meta.db")).unwrap();
    let sql = "SELECT it.type, it.name, of.name, of.type FROM sqlite_schema it \
               LEFT JOIN pragma_table_info(it.name) of ORDER BY it.type, it.name, of.cid";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_database_of_every_schema_is_served_whole() {
    for dump in dumps() {
        let server = server_of(&dump);
        let admin = admin(&server, &dump);
        let list = admin.get("/api/v1/hosts?total=true").json();
        assert_eq!(
            (texts(&list["hosts"], "hostname"), &list["total"]),
            (vec!["db01".to_owned(), "web01".to_owned(), "web02".to_owned()], &json!(3))
        );
        assert_eq!(
            (&list["hosts"][1]["current"], &list["hosts"][1]["labels"]),
            (&json!("yes"), &json!({ "env": "prod" }))
        );

        let failed = admin.get("/api/v1/hosts/web02").json();
        let agent = &failed["agents"][0];
        assert_eq!(
            (&failed["current"], &agent["errorCode"], &agent["error"]),
            (&json!("failed"), &json!("trial_failed"), &json!("it died"))
        );
        assert_eq!(
            (&agent["steps"][0]["step"], &failed["machineId"]),
            (&json!("fetch"), &json!("00000000000000000000000000000002"))
        );
        assert!(
            failed["reported"].is_i64() && failed["firstSeen"].as_i64() > Some(1_700_000_000_000),
            "{failed}"
        );
        let history = admin.get("/api/v1/hosts/db01").json()["history"].clone();
        assert_eq!((&history[0]["before"], &history[0]["after"]), (&json!("1"), &json!("2")), "{history}");

        let kinds = texts(&admin.get("/api/v1/events").json()["events"], "kind");
        let later = ["package.", "desired.", "rollout.", "job.", "freeze."];
        let early = |kind: &String| !later.iter().any(|begin| kind.starts_with(begin));
        let kinds: Vec<String> = kinds.into_iter().filter(early).collect();
        let expected = [
            "host.dropped",
            "token.revoked",
            "token.created",
            "token.created",
            "token.created",
            "orders.changed",
        ];
        assert!(kinds.ends_with(&expected.map(str::to_owned)), "{kinds:?}");
        let tokens = admin.get("/api/v1/tokens").json()["tokens"].clone();
        assert_eq!(tokens.as_array().unwrap().len(), 3);
        let of_host = tokens.as_array().unwrap().iter().find(|token| token["role"] == "host").unwrap();
        assert_eq!((&of_host["hostname"], of_host["revoked"].is_i64()), (&json!("web01"), false));

        packages_are_as_they_were(&admin);
        decisions_are_as_they_were(&admin);
        rollouts_are_as_they_were(&admin);
        jobs_are_as_they_were(&admin);

        // It goes on from there.
        let (id, viewer) = admin.create("viewer", "viewer", &Value::Null);
        assert_eq!((id, viewer.get("/api/v1/hosts").status), (4, 200));
    }
}

/// Two from schema 3 on, none before. Their files are not in the dump.
fn packages_are_as_they_were(admin: &Operator<'_>) {
    let packages = admin.get("/api/v1/packages").json()["packages"].clone();
    if packages.as_array().unwrap().is_empty() {
        return;
    }
    let [other, falcon] = packages.as_array().unwrap().as_slice() else { panic!("{packages}") };
    assert_eq!(
        (&falcon["name"], &falcon["version"], &falcon["os"]),
        (&json!("falcon-agent"), &json!("1.0.0"), &json!(""))
    );
    assert_eq!(
        (&falcon["deprecated"], &falcon["protected"], &falcon["entries"]),
        (&Value::Null, &json!(false), &json!(1))
    );
    for (key, value) in [
        ("name", json!("other")),
        ("version", json!("2-1")),
        ("os", json!("linux")),
        ("arch", json!("x86_64")),
        ("description", json!("the other one")),
        ("requires", json!({ "falcon-agent": ">=1.0.0" })),
        ("trialSecs", json!(30)),
        ("restart", json!("reboot")),
        ("deprecated", json!("it leaks")),
        ("protected", json!(true)),
        ("state", json!("ready")),
        ("entries", json!(2)),
    ] {
        assert_eq!(other[key], value, "{key}");
    }
    let entries =
        admin.get("/api/v1/packages/other/2-1/entries?os=linux&arch=x86_64").json()["entries"].clone();
    assert_eq!(texts(&entries, "path"), ["control", "manifest.json"]);
    assert_eq!(admin.get("/packages/falcon-agent-1.0.0.tar.gz").status, 404, "its file is not there");
}

/// From schema 4 on. While cfg.json decides they are only kept.
fn decisions_are_as_they_were(admin: &Operator<'_>) {
    let fleet = admin.get("/api/v1/fleet").json();
    if fleet["groups"] == json!({}) {
        return;
    }
    assert_eq!(fleet["settings"]["confirmAbovePercent"], json!(30));
    assert_eq!(fleet["lists"], json!({"canaries": ["web01", "web02"]}));
    assert_eq!(
        fleet["groups"]["prod"],
        json!({"select": "env=prod", "priority": 10, "description": "earns money"})
    );
    let policies = fleet["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 3, "{fleet}");
    assert_eq!(
        policies[1],
        json!({"agent": "falcon-agent", "group": "prod", "version": "2.0.0", "trialSecs": 60})
    );
    let group = admin.get("/api/v1/groups/prod").json();
    assert_eq!((&group["hosts"], &group["some"]), (&json!(1), &json!(["web01"])));
}

/// From schema 5 on.
fn rollouts_are_as_they_were(admin: &Operator<'_>) {
    let rollouts = admin.get("/api/v1/rollouts").json()["rollouts"].clone();
    let [draft, paused] = rollouts.as_array().unwrap().as_slice() else { return };
    assert_eq!((&draft["state"], draft["finished"].is_i64()), (&json!("stopped"), true));
    assert_eq!((&paused["state"], &paused["finished"]), (&json!("paused"), &Value::Null));
    assert_eq!((&paused["note"], &paused["actor"]), (&json!("faster"), &json!("token 1 (first admin)")));
    assert_eq!(
        paused["plan"],
        json!({"agent": "falcon-agent", "group": "prod", "version": "3.0.0", "onBreach": "rollback",
               "waves": [{"percent": 10, "soakSecs": 600, "approval": true}, {"percent": 100}],
               "windows": [{"start": "22:00", "durationSecs": 3600}]})
    );
}

/// From schema 6 on.
fn jobs_are_as_they_were(admin: &Operator<'_>) {
    let jobs = admin.get("/api/v1/jobs").json()["jobs"].clone();
    let [report, restart] = jobs.as_array().unwrap().as_slice() else { return };
    assert_eq!((&report["kind"], &report["state"]), (&json!("report"), &json!("stopped")));
    assert_eq!((&report["maxInFlight"], &report["counts"]["pending"]), (&json!(3), &json!(1)));
    assert_eq!((&restart["kind"], &restart["agent"]), (&json!("restart"), &json!("falcon-agent")));
    assert_eq!((&restart["state"], &restart["note"]), (&json!("done"), &json!("it leaks")));
    assert_eq!(restart["failures"], json!({"held": {"hosts": 1, "some": ["web02"]}}));
    let freezes = admin.get("/api/v1/freezes").json()["freezes"].clone();
    assert_eq!((&freezes[0]["group"], &freezes[0]["why"]), (&json!("canary"), &json!("sales week")));
    let hosts = admin.get(&format!("/api/v1/jobs/{}/hosts", restart["id"])).json()["hosts"].clone();
    assert_eq!((&hosts[0]["state"], &hosts[1]["state"]), (&json!("done"), &json!("failed")));
    assert!(hosts[0]["answered"].is_i64() && hosts[1]["code"] == "held", "{hosts}");
}

#[test]
fn a_database_that_was_upgraded_is_made_as_a_new_one() {
    let new = Server::start(&config());
    for dump in dumps() {
        let upgraded = server_of(&dump);
        let number = |name: &str| {
            let database = Connection::open(upgraded.path("data/ops-meta.db")).unwrap();
            database.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((number("user_version"), number("application_id")), (newest(), 0x4f50_534d));
        let why = "where the newest schema is not released yet: tests/fixtures/make.sh makes its dump again";
        assert_eq!(schema(&upgraded), schema(&new), "{why}");
    }
}
