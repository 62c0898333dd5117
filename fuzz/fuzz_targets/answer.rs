//! What ops-meta, or whoever stands in for it, answers to a beat.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ops_wire::Answer;

fuzz_target!(|bytes: &[u8]| {
    let mut answer = match Answer::read(bytes) {
        Ok(answer) => answer,
        Err(why) => return fuzz::unreadable(&why),
    };
    fuzz::refused(&answer.refused);
    for agent in &answer.desired_agents {
        if let Ok(version) = &agent.version {
            assert!(agent.tarball_urls(version).iter().all(|url| url.ends_with(".tar.gz")));
            assert!(agent.digest().is_some() || agent.sha256.is_none());
            agent.md5_url(version);
        }
    }
    // What is kept for a restart is read from there as it was heard; only why something is no version is not kept.
    answer.refused.clear();
    let kept = Answer::read(&serde_json::to_vec(&answer).unwrap()).unwrap();
    assert_eq!(without_reasons(kept), without_reasons(answer));
});

fn without_reasons(mut answer: Answer) -> Answer {
    for agent in &mut answer.desired_agents {
        if let Err(why) = &mut agent.version {
            fuzz::sentence(why);
            why.clear();
        }
    }
    answer
}
