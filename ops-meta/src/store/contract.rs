//! What every database has to do for the rest of the program.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::domain::desired::Object;

fn store() -> (Store, TempDir) {
    let folder = TempDir::new().unwrap();
    (Store::open(folder.path()).unwrap(), folder)
}

fn actor() -> Actor {
    Actor("a test".to_owned())
}

fn token(name: &str) -> Change {
    let hash = std::array::from_fn(|n| name.as_bytes().get(n).copied().unwrap_or_default());
    Change::CreateToken(NewToken {
        name: name.to_owned(),
        role: Role::Viewer,
        hostname: None,
        hash,
        expires: None,
    })
}

fn revocation(id: i64) -> Change {
    Change::RevokeToken { id, last_admin: LastAdmin::Stays }
}

fn package_of(store: &Store, id: i64) -> Option<Package> {
    store.packages().unwrap().into_iter().find(|it| it.id == id)
}

/// A number for each name here.
fn id(hostname: &str) -> HostId {
    hostname.bytes().fold(0, |id, byte| 31 * id + HostId::from(byte))
}

fn write(hostname: &str, agents: &str) -> HostWrite {
    HostWrite {
        row: HostRow {
            id: id(hostname),
            hostname: hostname.into(),
            first_seen: 1,
            last_seen: 2,
            revived: 0,
            report_hash: u64::MAX,
            ip: "10.0.0.1".to_owned(),
            machine_id: "m".to_owned(),
            facts: "{}".into(),
            agents: agents.into(),
        },
        report: Some(Bytes::from(format!("report of {hostname}"))),
        history: vec![HostChange {
            at: 5,
            agent: "a".into(),
            what: "version".into(),
            before: "1".into(),
            after: agents.into(),
        }],
    }
}

fn batch(changed: Vec<HostWrite>) -> Batch {
    Batch { changed, ..Batch::default() }
}

fn hosts(store: &Store) -> Vec<HostRow> {
    let mut rows = Vec::new();
    let owned = |row: HostRow<&str>| HostRow {
        id: row.id,
        hostname: row.hostname,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        revived: row.revived,
        report_hash: row.report_hash,
        ip: row.ip,
        machine_id: row.machine_id,
        facts: row.facts.into(),
        agents: row.agents.into(),
    };
    for part in store.parts(3).unwrap() {
        store.load(part, |row| rows.push(owned(row))).unwrap();
    }
    rows
}

#[tokio::test]
async fn a_change_is_a_row_a_generation_and_an_event() {
    let (store, _folder) = store();
    assert_eq!(store.generation().await.unwrap(), 0);
    let changed = store.change(actor(), token("alice")).await.unwrap();
    assert_eq!((changed.generation, store.generation().await.unwrap()), (1, 1));
    let event = changed.event.unwrap();
    assert_eq!((event.kind.as_str(), event.actor.as_str()), ("token.created", "a test"));
    assert_eq!(store.events(EventsAsked { limit: 9, ..EventsAsked::default() }).await.unwrap(), [event]);
    assert_eq!(store.tokens().await.unwrap()[0].id, changed.id.unwrap());
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let (store, _folder) = store();
    store.change(actor(), token("alice")).await.unwrap();
    let refused = store.change(actor(), token("alice")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
    let missing = store.change(actor(), revocation(99)).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing(_)), "{missing}");
    assert_eq!((store.generation().await.unwrap(), store.tokens().await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn what_is_done_already_is_no_change() {
    let (store, _folder) = store();
    let id = store.change(actor(), token("alice")).await.unwrap().id.unwrap();
    assert!(store.change(actor(), revocation(id)).await.unwrap().event.is_some());
    let again = store.change(actor(), revocation(id)).await.unwrap();
    assert_eq!((again.event, again.generation), (None, 2));
    // The name is free again.
    store.change(actor(), token("alice ")).await.unwrap();
    let orders = || Change::Orders { digest: "d".to_owned(), agents: json!({}) };
    assert!(store.change(actor(), orders()).await.unwrap().event.is_some());
    assert!(store.change(actor(), orders()).await.unwrap().event.is_none());
}

#[tokio::test]
async fn everything_survives_a_new_start() {
    let (store, folder) = store();
    store.change(actor(), token("alice")).await.unwrap();
    store.flush(|| batch(vec![write("web01", "2"), write("web02", "2")])).await.unwrap();
    let (tokens, rows) = (store.tokens().await.unwrap(), hosts(&store));
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!((store.tokens().await.unwrap(), hosts(&store)), (tokens, rows));
    assert_eq!(store.generation().await.unwrap(), 1);
    let report = store.report(id("web01")).await.unwrap().unwrap();
    assert_eq!((report.at, &*report.body), (2, &b"report of web01"[..]));
}

#[tokio::test]
async fn a_host_is_replaced_and_its_history_grows() {
    let (store, _folder) = store();
    store.flush(|| batch(vec![write("h", "2")])).await.unwrap();
    store.flush(|| batch(vec![write("h", "3")])).await.unwrap();
    assert_eq!(hosts(&store), [write("h", "3").row]);
    let history = store.history(id("h")).await.unwrap();
    let after: Vec<&str> = history.iter().map(|it| &*it.after).collect();
    assert_eq!(after, ["3", "2"]);
    assert_eq!(store.forget_history(6).await.unwrap(), 2);
    assert_eq!(store.history(id("h")).await.unwrap(), []);
}

/// Another program on the same file.
fn sql(folder: &TempDir, sql: &str) -> rusqlite::Result<()> {
    rusqlite::Connection::open(folder.path().join(FILE)).unwrap().execute_batch(sql)
}

#[tokio::test]
async fn a_part_of_the_history_is_looked_at_at_once() {
    let (store, folder) = store();
    let lines = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10001)
        INSERT INTO history SELECT n, 'h', n > 10000, 'a', 'version', '', '' FROM n";
    sql(&folder, lines).unwrap();
    assert_eq!(store.forget_history(1).await.unwrap(), 10_000);
    assert_eq!(store.forget_history(1).await.unwrap(), 0);
    // Whatever is old behind so many that are not.
    sql(&folder, "DELETE FROM history").unwrap();
    sql(&folder, &lines.replace("n > 10000", "n <= 10000")).unwrap();
    assert_eq!(store.forget_history(1).await.unwrap(), 0);
}

#[tokio::test]
async fn a_host_that_changes_without_end_keeps_its_newest_history() {
    let (store, folder) = store();
    let flaps = |host: &str, from: i64, to: i64| {
        let change = |at| HostChange { at, ..write(host, "").history[0].clone() };
        batch(vec![HostWrite { history: (from..to).map(change).collect(), ..write(host, "") }])
    };
    store.flush(move || flaps("other", 0, 1)).await.unwrap();
    for n in 0..20 {
        store.flush(move || flaps("h", 64 * n, 64 * (n + 1))).await.unwrap();
    }
    let kept = "SELECT count(*), min(at), max(at) FROM history WHERE host = 104";
    let database = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    let kept = database.query_row(kept, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(kept, (1000_i64, 280_i64, 1279_i64));
    assert_eq!(store.history(id("other")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_is_free_when_its_token_has_expired() {
    let (store, _folder) = store();
    let Change::CreateToken(new) = token("alice") else { panic!() };
    store.change(actor(), Change::CreateToken(NewToken { expires: Some(7), ..new })).await.unwrap();
    let Change::CreateToken(new) = token("other hash") else { panic!() };
    let again = NewToken { name: "alice".to_owned(), expires: Some(i64::MAX), ..new.clone() };
    store.change(actor(), Change::CreateToken(again)).await.unwrap();
    let third = NewToken { name: "alice".to_owned(), hash: [3; 32], ..new };
    let refused = store.change(actor(), Change::CreateToken(third)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
}

#[tokio::test]
async fn a_token_of_an_unknown_role_does_not_count() {
    let (store, folder) = store();
    let id = store.change(actor(), token("alice")).await.unwrap().id.unwrap();
    sql(&folder, "UPDATE tokens SET role = 'emperor'").unwrap();
    assert!(store.tokens().await.unwrap()[0].revoked.is_some());
    // And it is revoked all the same when somebody wants it.
    assert!(store.change(actor(), revocation(id)).await.unwrap().event.is_some());
    assert!(store.change(actor(), revocation(id)).await.unwrap().event.is_none());
}

#[tokio::test]
async fn a_database_that_was_moved_is_not_made_anew() {
    let (store, folder) = store();
    let path = folder.path().join(FILE);
    std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    let away = store.tokens().await.unwrap_err();
    assert!(matches!(away, StoreError::Away(_)), "{away}");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_makes_no_sense_is_damage() {
    let (store, folder) = store();
    store.change(actor(), token("alice")).await.unwrap();
    store.flush(|| batch(vec![write("h", "2")])).await.unwrap();
    sql(&folder, "UPDATE hosts SET first_seen = 'x'; UPDATE tokens SET name = x'ff'; DELETE FROM state")
        .unwrap();
    let found = [
        store.load(0..=HostId::MAX, |_| ()).unwrap_err(),
        store.tokens().await.unwrap_err(),
        store.generation().await.unwrap_err(),
    ];
    for error in found {
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }
}

#[tokio::test]
async fn events_stay_as_they_are() {
    let (store, folder) = store();
    store.change(actor(), token("alice")).await.unwrap();
    for attempt in [
        "DELETE FROM events",
        "UPDATE events SET actor = ''",
        "INSERT OR REPLACE INTO events SELECT id, at, generation, '', kind, object, before, after FROM events",
    ] {
        let why = sql(&folder, attempt).unwrap_err().to_string();
        assert!(why.contains("append-only"), "{attempt}: {why}");
    }
}

#[tokio::test]
async fn when_a_host_was_seen_is_written_alone() {
    let (store, _folder) = store();
    store.flush(|| batch(vec![write("h", "2")])).await.unwrap();
    let seen = vec![(id("h"), "h".into(), 77), (id("nobody"), "nobody".into(), 77)];
    store.flush(|| Batch { seen, ..Batch::default() }).await.unwrap();
    assert_eq!(hosts(&store)[0].last_seen, 77);
}

#[tokio::test]
async fn when_hosts_were_listened_to_is_remembered() {
    let (store, _folder) = store();
    let listened = async |since, until| {
        let run = Some(Run { since, until });
        store.flush(move || Batch { listened: run, ..Batch::default() }).await.unwrap();
        store.runs().unwrap().iter().map(|run| (run.since, run.until)).collect::<Vec<_>>()
    };
    assert_eq!(store.runs().unwrap(), []);
    assert_eq!(listened(10, 10).await, [(10, 10)]);
    assert_eq!(listened(10, 70).await, [(10, 70)]);
    assert_eq!(listened(90, 90).await, [(10, 70), (90, 90)]);
    // The clock was set back.
    assert_eq!(listened(50, 100).await, [(10, 50), (50, 100)]);
    for n in 2..400 {
        listened(n * 100, n * 100 + 1).await;
    }
    let kept = store.runs().unwrap();
    assert_eq!((kept.len(), kept.last().unwrap().since), (256, 39_900));
}

#[tokio::test]
async fn a_dropped_host_is_gone_with_all_it_said() {
    let (store, _folder) = store();
    store.flush(|| batch(vec![write("h", "2")])).await.unwrap();
    let changed = store.drop_host(actor(), "h".to_owned(), || Some(id("h")), || ()).await.unwrap();
    assert_eq!(changed.event.unwrap().before, Some(json!({"firstSeen": 1, "lastSeen": 2})));
    assert_eq!(hosts(&store), []);
    assert_eq!(store.report(id("h")).await.unwrap(), None);
    assert_eq!(store.history(id("h")).await.unwrap(), []);
}

#[tokio::test]
async fn events_are_found_by_what_they_are() {
    let (store, _folder) = store();
    for name in ["a", "b", "c"] {
        store.change(Actor(format!("by {name}")), token(name)).await.unwrap();
    }
    let ids = async |asked: EventsAsked| -> Vec<i64> {
        let events = store.events(EventsAsked { limit: 2, ..asked }).await.unwrap();
        events.iter().map(|event| event.id).collect()
    };
    let all = EventsAsked::default;
    assert_eq!(ids(all()).await, [3, 2]);
    assert_eq!(ids(EventsAsked { before_id: Some(2), ..all() }).await, [1]);
    assert_eq!(ids(EventsAsked { after_id: Some(2), ..all() }).await, [3]);
    assert_eq!(ids(EventsAsked { actor: Some("by b".to_owned()), ..all() }).await, [2]);
    assert_eq!(ids(EventsAsked { object: Some("token 1".to_owned()), ..all() }).await, [1]);
    assert_eq!(ids(EventsAsked { kind: Some("host.dropped".to_owned()), ..all() }).await, [0; 0]);
    assert_eq!(ids(EventsAsked { until: Some(0), ..all() }).await, [0; 0]);
}

#[tokio::test]
async fn a_batch_that_is_not_written_is_given_back() {
    let (store, folder) = store();
    let other = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let not = store.flush(|| batch(vec![write("h", "2")])).await.unwrap_err();
    assert!(matches!(not.error, StoreError::Away(_)), "{}", not.error);
    // It was not even taken, since the turn never came.
    assert!(not.batch.changed.is_empty());
    other
        .execute_batch(
            "ROLLBACK; CREATE TRIGGER no BEFORE INSERT ON hosts BEGIN SELECT RAISE (ABORT, 'no'); END",
        )
        .unwrap();
    let not = store.flush(|| batch(vec![write("h", "2")])).await.unwrap_err();
    assert_eq!(not.batch.changed.len(), 1);
}

#[test]
fn a_folder_has_one_owner() {
    let (_store, folder) = store();
    assert!(matches!(Store::open(folder.path()), Err(Unopened::InUse(..))));
}

/// What `Store::open` says, and that the file is as it was.
fn refused(bytes_or_sql: Result<&[u8], &str>) -> Unopened {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE);
    match bytes_or_sql {
        Ok(bytes) => std::fs::write(&path, bytes).unwrap(),
        Err(sql) => rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap(),
    }
    let before = std::fs::read(&path).unwrap();
    let Err(why) = Store::open(folder.path()) else { panic!("it was opened") };
    assert_eq!(std::fs::read(&path).unwrap(), before);
    why
}

#[test]
fn what_is_not_ours_or_too_new_is_left_as_it_is() {
    assert!(matches!(refused(Ok(&[7; 5000])), Unopened::NotOurs(_)));
    assert!(matches!(refused(Err("CREATE TABLE t (x)")), Unopened::NotOurs(_)));
    let newer = refused(Err("PRAGMA application_id = 1330664269; PRAGMA user_version = 99"));
    assert!(matches!(newer, Unopened::Newer { found: 99, .. }), "{newer}");
}

fn new_package(version: &str, digit: &str) -> NewPackage {
    let digest = |digits| ops_wire::HexDigest::parse(&digit.repeat(digits), digits).unwrap();
    NewPackage {
        build: crate::domain::package::Build::check("a", version, "linux", "").unwrap(),
        content: Content {
            sha256: digest(64),
            md5: digest(32),
            size: 5,
            unpacked_size: 7,
            entries: 2,
            seen: "as it was".to_owned(),
            manifest: json!({ "trialSecs": 3 }),
        },
        signature: None,
        deprecated: None,
        listing: "[]".to_owned(),
        created: 1,
    }
}

async fn bring(store: &Store, version: &str, digit: &str) -> i64 {
    let new = Change::CreatePackage(Box::new(new_package(version, digit)));
    store.change(actor(), new).await.unwrap().id.unwrap()
}

async fn kinds(store: &Store) -> Vec<String> {
    let events = store.events(EventsAsked { limit: 99, ..EventsAsked::default() }).await.unwrap();
    events.into_iter().rev().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_package_is_kept_whole() {
    let (store, folder) = store();
    let id = bring(&store, "1", "a").await;
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let package = package_of(&store, id).unwrap();
    assert_eq!(store.packages().unwrap(), std::slice::from_ref(&package));
    let new = new_package("1", "a");
    assert_eq!((&package.build, &package.content), (&new.build, &new.content));
    assert_eq!(
        (package.state, package.protected, package.actor.as_str()),
        (PackageState::Ready, false, "a test")
    );
    assert_eq!(store.package_entries(id).await.unwrap().as_deref(), Some("[]"));
    let again = store.change(actor(), Change::CreatePackage(Box::new(new))).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)), "{again}");
}

#[tokio::test]
async fn what_becomes_of_a_package_is_told_once_each() {
    let (store, _folder) = store();
    let id = bring(&store, "1", "a").await;
    let change = async |change| store.change(actor(), Change::Package { id, change }).await;
    let marks = |protected| PackageChange::Mark {
        deprecated: Some(Some("old".to_owned())),
        protected: Some(protected),
    };
    change(PackageChange::Sign("signed".to_owned())).await.unwrap();
    change(marks(true)).await.unwrap();
    assert!(change(marks(true)).await.unwrap().event.is_none(), "it is marked so already");
    let refused = change(PackageChange::Delete).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
    change(marks(false)).await.unwrap();
    change(PackageChange::Delete).await.unwrap();
    assert!(change(PackageChange::Delete).await.unwrap().event.is_none(), "it goes already");
    change(PackageChange::DeleteFailed("why".to_owned())).await.unwrap();
    let package = package_of(&store, id).unwrap();
    assert_eq!((package.state, package.why.as_deref()), (PackageState::DeleteFailed, Some("why")));
    assert_eq!((package.signature.as_deref(), package.deprecated.as_deref()), (Some("signed"), Some("old")));
    change(marks(true)).await.unwrap();
    change(PackageChange::Delete).await.unwrap();
    assert_eq!(package_of(&store, id).unwrap().why, None);
    change(PackageChange::Gone).await.unwrap();
    assert_eq!((package_of(&store, id), store.package_entries(id).await.unwrap()), (None, None));
    let gone = change(PackageChange::Delete).await.unwrap_err();
    assert!(matches!(gone, StoreError::Missing(_)), "{gone}");
    let told = [
        "created",
        "signed",
        "marked",
        "marked",
        "deleting",
        "delete_failed",
        "marked",
        "deleting",
        "deleted",
    ];
    assert_eq!(kinds(&store).await, told.map(|kind| format!("package.{kind}")));
}

#[tokio::test]
async fn the_file_of_a_blob_is_noted_for_every_package_that_has_it() {
    let (store, _folder) = store();
    let ids = [bring(&store, "1", "a").await, bring(&store, "2", "b").await, bring(&store, "3", "a").await];
    store.blob_seen(new_package("1", "a").content.sha256, "anew".to_owned()).await.unwrap();
    let mut seen = Vec::new();
    for id in ids {
        seen.push(package_of(&store, id).unwrap().content.seen);
    }
    assert_eq!(seen, ["anew", "as it was", "anew"]);
    assert_eq!(kinds(&store).await.len(), 3, "nobody decided that");
}

fn new_rollout(agent: &str, replaces: Option<u64>) -> Change {
    let plan = json!({"agent": agent, "version": "2", "waves": [{"percent": 100}]});
    let progress = json!({"state": "running", "since": 1, "waves": []});
    Change::StartRollout(Box::new(NewRollout { plan, progress, note: "why".to_owned(), replaces }))
}

fn moved(id: u64, state: &str, told: Option<&'static str>, policy: Vec<Difference>) -> Change {
    let progress = json!({"state": state, "since": 2, "waves": [7]});
    let told = told.map(|kind| MoveTold { kind, why: "so".to_owned() });
    let is_finished = state == "completed";
    Change::Rollout(Box::new(RolloutMove { id, progress, is_finished, seen: None, told, policy }))
}

#[tokio::test]
async fn a_rollout_is_one_row_and_what_is_of_no_interest_later_has_no_event() {
    let (store, _folder) = store();
    let started = store.change(actor(), new_rollout("a", None)).await.unwrap();
    let id = started.id.unwrap().unsigned_abs();
    assert_eq!(started.event.unwrap().kind, "rollout.started");
    let raised = store.change(actor(), moved(id, "running", None, Vec::new())).await.unwrap();
    assert_eq!((raised.generation, raised.event), (started.generation + 1, None));
    let row = store.rollout(id).await.unwrap().unwrap();
    assert_eq!((&row.progress["waves"], row.note.as_str(), row.finished), (&json!([7]), "why", None));
    assert_eq!(store.standing_rollouts().unwrap(), [row]);
    let paused =
        store.change(actor(), moved(id, "paused", Some("rollout.paused"), Vec::new())).await.unwrap();
    let event = paused.event.unwrap();
    assert_eq!((event.kind.as_str(), event.object.as_str()), ("rollout.paused", "rollout 1"));
    assert_eq!(event.before, Some(json!({"state": "running", "wave": 1})));
    assert_eq!(event.after, Some(json!({"state": "paused", "wave": 1, "why": "so"})));
    let missing = store.change(actor(), moved(9, "paused", None, Vec::new())).await.unwrap_err();
    assert_eq!(missing.to_string(), StoreError::Missing("rollout 9".to_owned()).to_string());
}

#[tokio::test]
async fn the_end_of_a_rollout_writes_the_policy_with_it_or_not_at_all() {
    let (store, _folder) = store();
    let id = store.change(actor(), new_rollout("a", None)).await.unwrap().id.unwrap().unsigned_abs();
    let object = Object::Policy("a".to_owned(), String::new(), String::new());
    let policy =
        || vec![Difference { object: object.clone(), before: None, after: Some(json!({"version": "2"})) }];
    let nobody = store.change(actor(), moved(9, "completed", Some("rollout.completed"), policy())).await;
    assert!(nobody.is_err() && store.desired().unwrap().is_empty());
    let done =
        store.change(actor(), moved(id, "completed", Some("rollout.completed"), policy())).await.unwrap();
    let rows = store.desired().unwrap();
    assert_eq!((rows[0].value.clone(), rows[0].generation), (json!({"version": "2"}), done.generation));
    assert_eq!(done.event.unwrap().after.unwrap()["policy a"], json!({"version": "2"}));
    assert!(store.standing_rollouts().unwrap().is_empty());
}

#[tokio::test]
async fn rollouts_are_listed_found_replaced_and_deleted() {
    let (store, _folder) = store();
    for agent in ["a", "b", "a"] {
        store.change(actor(), new_rollout(agent, None)).await.unwrap();
    }
    store.change(actor(), moved(1, "stopped", Some("rollout.stopped"), Vec::new())).await.unwrap();
    store.change(actor(), new_rollout("a", Some(1))).await.unwrap();
    let ended = Change::Desired { differences: Vec::new(), ended: vec![2] };
    store.change(actor(), ended).await.unwrap();
    let standing: Vec<u64> = store.standing_rollouts().unwrap().iter().map(|it| it.id).collect();
    assert_eq!(standing, [3, 4]);
    let list = |state, agent: Option<&str>, before_id| {
        let asked = RolloutsAsked { before_id, state, agent: agent.map(str::to_owned), limit: 2 };
        let rows = store.rollouts(asked);
        async { rows.await.unwrap().iter().map(|it| it.id).collect::<Vec<_>>() }
    };
    assert_eq!(list(None, None, None).await, [4, 3]);
    assert_eq!(list(None, Some("a"), Some(4)).await, [3, 1]);
    assert_eq!(list(Some("stopped"), None, None).await, [1]);
    let deleted = store.change(actor(), Change::DeleteRollout(1)).await.unwrap();
    assert_eq!(deleted.event.unwrap().kind, "rollout.deleted");
    assert_eq!(store.rollout(1).await.unwrap(), None);
    assert!(store.change(actor(), Change::DeleteRollout(1)).await.is_err());
}
