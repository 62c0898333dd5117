//! What becomes of an agent that is not as wanted, and what an operator can do about it: the host's own rules, in a
//! sentence.

use serde_json::Value;

use crate::cli::output::{number, text};
use crate::cli::times;

/// `None` where the host says nothing that it can be told from; what stands in the way is in its error then.
pub fn sentence(agent: &Value, now_ms: i64) -> Option<String> {
    let (name, version) = (text(agent, "name"), text(agent, "version"));
    let release = format!("`ops-updater release {name}` on the host");
    let phase = text(agent, "phase");
    if phase == "held" {
        return Some(format!("left alone until {release}"));
    }
    // Without a count nothing was tried that could be tried again.
    number(agent, "attempt")?;
    let kept = match phase.as_str() {
        "rolled_back" => format!("taken back to {version}; "),
        _ => String::new(),
    };
    let next = match number(agent, "nextTry") {
        None => format!("not tried again at this version: order another version, or {release}"),
        Some(at) if at <= now_ms => {
            format!("the next try is due, and comes by itself; {release} forgets the failure")
        }
        Some(at) => format!(
            "tried again by itself {} ({}); {release} tries at once",
            times::relative(at, now_ms),
            times::date(at)
        ),
    };
    Some(kept + &next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happens_next_follows_from_what_the_host_says() {
        let now = 1_769_860_800_000_i64;
        let later = now + 600_000;
        let at = times::date(later);
        for (agent, expected) in [
            (json!({}), None),
            (json!({"phase": "idle"}), None),
            // Nothing was tried: the error says what stands in the way.
            (json!({"phase": "failed", "errorCode": "status_failed"}), None),
            (json!({"phase": "held", "errorCode": "held"}), Some("left alone until RELEASE".to_owned())),
            // Who holds it wins over what failed before.
            (json!({"phase": "held", "attempt": 2}), Some("left alone until RELEASE".to_owned())),
            (
                json!({"phase": "failed", "errorCode": "md5_mismatch", "attempt": 1}),
                Some("not tried again at this version: order another version, or RELEASE".to_owned()),
            ),
            (
                json!({"phase": "failed", "errorCode": "timeout", "attempt": 3, "nextTry": later}),
                Some(format!("tried again by itself in 10 min ({at}); RELEASE tries at once")),
            ),
            (
                json!({"phase": "failed", "errorCode": "timeout", "attempt": 3, "nextTry": now}),
                Some("the next try is due, and comes by itself; RELEASE forgets the failure".to_owned()),
            ),
            (
                json!({"phase": "rolled_back", "errorCode": "trial_failed", "attempt": 1, "nextTry": later}),
                Some(format!(
                    "taken back to 1.0; tried again by itself in 10 min ({at}); RELEASE tries at once"
                )),
            ),
            (
                json!({"phase": "rolled_back", "errorCode": "trial_failed", "attempt": 3}),
                Some(
                    "taken back to 1.0; not tried again at this version: order another version, or RELEASE"
                        .to_owned(),
                ),
            ),
        ] {
            let mut said = agent.clone();
            (said["name"], said["version"]) = (json!("nginx"), json!("1.0"));
            let expected =
                expected.map(|it| it.replace("RELEASE", "`ops-updater release nginx` on the host"));
            assert_eq!(sentence(&said, now), expected, "{agent}");
        }
    }
}
