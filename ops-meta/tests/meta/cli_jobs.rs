//! `ops-meta job`: what it makes, shows, waits for and ends.

use serde_json::{Value, json};

use crate::support::command_line::{Said, asking, fake, run};
use crate::support::{Server, eventually};

fn refused(said: &Said, code: i32, sentence: &str) {
    assert!(said.code == code && said.err.contains(sentence), "{sentence} is not in {said:?}");
}

/// What is made; its number.
fn make(server: &Server, words: &str) -> u64 {
    server.say(&format!("job {words}")).ok().out.trim().parse().unwrap()
}

fn answers(server: &Server, hostname: &str, id: u64, code: &str) {
    let beat = json!({"hostname": hostname, "realAgents": [], "actionsDone": [{"id": id, "code": code}]});
    assert_eq!(server.post("/heartbeat", &beat).status, 200);
}

fn show(server: &Server, id: u64) -> Value {
    server.say(&format!("job show {id} -o json")).ok().objects().remove(0)
}

#[test]
fn a_job_is_made_listed_shown_and_deleted() {
    let server = Server::with_hosts(4);
    assert_eq!(server.say("job list").ok().err, "no jobs\n");
    let dry = server.say("job restart my-agent --select env=prod --dry-run").ok();
    assert_eq!(dry.out, "web-01\nweb-02\nweb-03\n");
    assert_eq!(dry.err, "it would be 3 hosts; nothing was begun, as this was a dry run\n");

    let words = [
        "job",
        "restart",
        "my-agent",
        "web-01",
        "web-02",
        "web-03",
        "--max-in-flight",
        "2",
        "--note",
        "it leaks",
    ];
    let made = server.admin(&words).ok();
    let id: u64 = made.out.trim().parse().unwrap();
    assert_eq!(made.err, format!("job {id} is for 3 hosts; `ops-meta job wait {id}` waits for them\n"));
    ["web-01", "web-02", "web-03"].iter().for_each(|host| _ = server.told(host));
    answers(&server, "web-01", id, "held");

    let listed = server.say("job list --state running").ok().out;
    let head = "ID          WHAT              HOSTS  STATE    ANSWERED  FAILED  CREATED";
    let row = format!("{id}  restart my-agent  3      running  33 %      held 1  ");
    assert_eq!(listed.lines().next().unwrap(), head);
    assert!(listed.lines().nth(1).unwrap().starts_with(&row), "{listed}");
    assert_eq!(server.say("job list --state done").ok().err, "no jobs\n");

    let page = server.say(&format!("job show {id}")).ok().out;
    for line in [
        &*format!("job {id}"),
        "  what      restart my-agent",
        "  state     running",
        "  hosts     3; 33 % have answered: pending 1, sent 1, failed 1",
        "  in flight 2 at most",
        "  note      it leaks",
        "  failed    held 1: web-01",
    ] {
        assert!(page.lines().any(|it| it == line), "{line} is not in {page}");
    }
    assert!(page.contains("  expires   ") && !page.contains("  finished"), "{page}");

    let failed = server.say(&format!("job hosts {id} --state failed")).ok().out;
    assert!(failed.starts_with("HOSTNAME  STATE   TOLD"), "{failed}");
    assert!(
        failed.ends_with("held  it is held on this host, or an upgrade of it is under way\n"),
        "{failed}"
    );
    let all = server.say(&format!("job hosts {id} -o json")).ok().objects();
    let states: Vec<&str> = all.iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "sent", "pending"]);
    assert_eq!(server.say(&format!("job hosts {id} --state done")).ok().err, "no hosts\n");

    refused(&server.say(&format!("job delete {id}")), 1, "is not over; wait for its end, or stop it");
    let stopped = server.say(&format!("job stop {id}")).ok().out;
    assert!(stopped.contains("  state     stopped\n") && stopped.contains("  finished  "), "{stopped}");
    assert_eq!(server.say(&format!("job delete {id}")).ok().err, format!("job {id} is deleted\n"));
    refused(&server.say(&format!("job show {id}")), 3, &format!("there is no job {id}"));
    refused(&server.say(&format!("job hosts {id}")), 3, &format!("there is no job {id}"));
}

#[test]
fn who_waits_hears_how_it_ended() {
    let server = Server::with_hosts(3);
    let id = make(&server, "report web-01 web-02");
    let not_over = server.say(&format!("job wait {id} --timeout 1s"));
    refused(&not_over, 1, &format!("after 1.0 s job {id} is not over, and goes on: 0 of 2 hosts answered"));
    answers(&server, "web-01", id, "");
    answers(&server, "web-02", id, "");
    let said = server.say(&format!("job wait {id} --interval 1s")).ok();
    assert!(said.err.ends_with(&format!("job {id} is done: 2 hosts\n")) && said.out.is_empty(), "{said:?}");

    let id = make(&server, "restart my-agent web-01 web-02 web-03 --expires 3s");
    answers(&server, "web-01", id, "bad_name");
    answers(&server, "web-02", id, "");
    let said = server.say(&format!("job wait {id} --interval 1s"));
    let sentence = format!(
        "job {id} is expired: of 3 hosts 1 failed (bad_name 1), 1 did not answer; `ops-meta job hosts {id} --state \
         pending,sent,failed,expired` shows them"
    );
    refused(&said, 1, &sentence);
    assert!(said.err.contains("2 of 3 hosts answered; failed: bad_name 1\n"), "{said:?}");
    refused(&server.say("job wait 7"), 3, "there is no job 7");
}

#[test]
fn one_may_wait_for_what_one_makes() {
    let server = Server::with_hosts(1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.say("job restart my-agent web-01 --wait --interval 1s"));
        let id =
            eventually("the job", || server.say("job list -o json").ok().objects().first()?["id"].as_u64());
        assert_eq!(show(&server, id)["kind"], "restart");
        answers(&server, "web-01", id, "");
        let said = waiting.join().unwrap().ok();
        assert_eq!(said.out, format!("{id}\n"));
        assert!(said.err.starts_with(&format!("job {id} is for 1 host\n")), "{said:?}");
        assert!(said.err.ends_with(&format!("job {id} is done: 1 host\n")), "{said:?}");
    });
}

#[test]
fn a_server_that_is_away_is_asked_again() {
    let mut asked = 0;
    let url = fake(move |_| {
        asked += 1;
        let job = |state: &str, done: u64| {
            let counts = json!({"done": done, "sent": 1 - done});
            ("200 OK", "", json!({"id": 1, "state": state, "hosts": 1, "counts": counts}).to_string())
        };
        match asked {
            1 => job("running", 0),
            2 => ("502 Bad Gateway", "", String::new()),
            _ => job("done", 1),
        }
    });
    let said = run(&mut asking(&url, &["job", "wait", "1", "--interval", "1s"])).ok();
    assert!(said.err.starts_with("0 of 1 host answered\nops-meta: "), "{said:?}");
    assert!(said.err.ends_with("502 Bad Gateway; it is asked again\njob 1 is done: 1 host\n"), "{said:?}");
}

#[test]
fn what_is_typed_wrongly_is_told() {
    let server = Server::with_hosts(1);
    refused(&server.say("job restart my-agent"), 2, "<HOST>");
    refused(&server.say("job report"), 2, "<HOST>");
    refused(&server.say("job restart my-agent web-01 --max-in-flight 0"), 2, "--max-in-flight");
    refused(&server.say("job restart my-agent web-01 --dry-run --wait"), 2, "--wait");
    refused(&server.say("job report web-01 --timeout 1m"), 2, "give --wait, too");
    refused(
        &server.say("job restart my-agent nobody"),
        1,
        "not known: nobody (1 of those named); --allow-unknown",
    );
    refused(&server.say("job restart ../x web-01"), 1, "is no agent's name");
    refused(&server.say("job hosts 1 --state sent"), 3, "there is no job 1");
    let id = make(&server, "report new-01 --allow-unknown");
    refused(
        &server.say(&format!("job hosts {id} --state gone")),
        1,
        "there are pending, sent, done, failed, expired",
    );
}
