//! Why a host is told of an agent what it is told, in sentences.

use ops_wire::{AgentName, Cmd, DesiredAgent};
use serde_json::Value;

use super::compile::Withheld;
use super::conformity::Conformity;
use super::policy2015;
use super::precedence::{Decision, Field, Order, Policy};

/// A signature is longer; who needs all of a value looks at the policy.
const VALUE_CHARS_MAX: usize = 80;

/// One rule that was considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whose it is: `all hosts`, `group prod`, `host web-01`.
    pub of: String,
    /// What it decides: `version 1.2`, `cmd start`.
    pub gives: Vec<String>,
    /// What it says, and a stronger one says otherwise.
    pub overridden: Vec<String>,
}

/// Of a decision, the strongest first.
pub fn rules(decision: &Decision<'_>) -> Vec<Rule> {
    let rule = |policy: &&Policy| {
        let is_giver =
            |field: &Field| decision.givers.get(field).is_some_and(|giver| std::ptr::eq(*giver, *policy));
        let said = Field::ALL.iter().copied().filter(|field| field.is_set(&policy.order));
        let (gives, overridden): (Vec<Field>, Vec<Field>) = said.partition(is_giver);
        let shown =
            |fields: Vec<Field>| fields.into_iter().map(|field| value(field, decision.agent, &policy.order));
        Rule {
            of: policy.scope.to_string(),
            gives: shown(gives).collect(),
            overridden: shown(overridden).collect(),
        }
    };
    decision.policies.iter().map(rule).collect()
}

/// `version 1.2`
fn value(field: Field, agent: &AgentName, order: &Order) -> String {
    let all = serde_json::to_value(order.desired(agent.clone())).unwrap_or_default();
    let value = match all.get(field.as_str()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let cut = value.char_indices().nth(VALUE_CHARS_MAX).map(|(end, _)| end);
    let value = cut.map_or(value.clone(), |end| format!("{}…", value.get(..end).unwrap_or_default()));
    format!("{field} {value}")
}

/// Of a cfg.json of 2015: the default, then the exceptions for this host, the strongest first.
pub fn rules_of_2015(policy: &policy2015::Policy, hostname: &str) -> Vec<Rule> {
    let others = policy.others.iter().filter(|other| hostname.starts_with(&other.prefix));
    let others = others.map(|other| (format!("`others` with the prefix {:?}", other.prefix), &other.order));
    let weakest_first: Vec<_> =
        std::iter::once(("`default`".to_owned(), &policy.default)).chain(others).collect();
    let mut given: Vec<&str> = Vec::new();
    let mut rules = Vec::new();
    for (of, order) in weakest_first.into_iter().rev() {
        let said = fields_of_2015(order);
        let (gives, overridden): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|(field, _)| !given.contains(field));
        given.extend(gives.iter().map(|(field, _)| *field));
        let shown = |all: Vec<(&str, String)>| {
            all.into_iter().map(|(field, value)| format!("{field} {value}")).collect()
        };
        rules.push(Rule { of, gives: shown(gives), overridden: shown(overridden) });
    }
    rules
}

fn fields_of_2015(order: &policy2015::Order) -> Vec<(&'static str, String)> {
    let md5 = serde_json::to_value(&order.md5).unwrap_or_default();
    let all = [
        ("version", order.version.as_ref().map_or_else(String::new, ToString::to_string)),
        ("cmd", order.cmd.as_str().to_owned()),
        ("tarball", order.tarball.clone()),
        ("md5", md5.as_str().unwrap_or_default().to_owned()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// What runs, in words.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Empty: not installed.
    pub version: &'a str,
    pub status: &'a str,
    /// Empty: the host does not say.
    pub phase: &'a str,
    /// Empty: none.
    pub error_code: &'a str,
    pub error: &'a str,
}

/// What an operator would ask: what the rules say, what the host is told, what is there, and what would change it.
pub fn sentences(
    agent: &str,
    rules: &[Rule],
    told: Result<Option<&DesiredAgent>, &Withheld>,
    seen: Option<Seen<'_>>,
    current: Conformity,
) -> Vec<String> {
    let mut sentences: Vec<String> = rules.iter().enumerate().map(|(n, rule)| sentence(n, rule)).collect();
    if rules.is_empty() {
        sentences.push(format!(
            "No policy is of {agent}, so the host is told nothing of it and leaves it as it is."
        ));
    }
    match told {
        Ok(Some(told)) => sentences.push(order(told)),
        Ok(None) => {}
        Err(why) => sentences.push(format!("The host is told nothing of it, and leaves it as it is: {why}.")),
    }
    sentences.extend(real(seen));
    sentences.extend(next(rules, told.is_ok(), seen, current));
    sentences
}

fn sentence(n: usize, rule: &Rule) -> String {
    let place = if n == 0 { "The strongest policy" } else { "Then the one" };
    let gives = match rule.gives.as_slice() {
        [] => "decides nothing".to_owned(),
        gives => format!("says {}", gives.join(", ")),
    };
    let overridden = match rule.overridden.as_slice() {
        [] => String::new(),
        fields => format!("; its {} counts for less than what is said above", fields.join(", ")),
    };
    format!("{place}, of {}, {gives}{overridden}.", rule.of)
}

fn order(told: &DesiredAgent) -> String {
    let version = told.version.as_ref().map_or("", |version| version.as_str());
    match &told.cmd {
        Cmd::Start => format!("The host is told to run version {version}."),
        Cmd::Stop => "The host is told to stop it.".to_owned(),
        Cmd::Uninstall => "The host is told to uninstall it.".to_owned(),
        _ => "No policy says `cmd`, so the host leaves it as it is.".to_owned(),
    }
}

fn real(seen: Option<Seen<'_>>) -> Vec<String> {
    let Some(seen) = seen else { return vec!["The host does not report it.".to_owned()] };
    let there = match seen.version {
        "" => "It is not installed".to_owned(),
        version => format!("Version {version} is there, {}", seen.status),
    };
    let phase = match seen.phase {
        "" | "idle" => String::new(),
        phase => format!("; {phase}"),
    };
    let error = match (seen.error_code, seen.error) {
        ("", _) => None,
        (code, "") => Some(format!("The host says {code}.")),
        (code, error) => Some(format!("The host says {code}: {}", error.trim_end())),
    };
    [Some(format!("{there}{phase}.")), error].into_iter().flatten().collect()
}

/// What would change it.
fn next(rules: &[Rule], is_told: bool, seen: Option<Seen<'_>>, current: Conformity) -> Option<String> {
    let held = seen.is_some_and(|seen| seen.phase == "held");
    let decides = |field: &str| rules.iter().find(|rule| rule.gives.iter().any(|it| it.starts_with(field)));
    let version =
        decides("version ").map(|rule| format!("a change of the policy of {} changes the version", rule.of));
    match current {
        _ if rules.is_empty() || !is_told => None,
        _ if held => Some("A release on the host (`ops-updater release`) lets it follow again.".to_owned()),
        Conformity::Yes => version.map(|it| format!("It is as wanted; {it}, or a stronger policy does.")),
        Conformity::Pending => Some("It is under way; the next heartbeats tell how far it is.".to_owned()),
        Conformity::No if seen.is_none() => {
            Some("It is not there yet; it comes with the next heartbeats.".to_owned())
        }
        Conformity::No => {
            Some("It is not as wanted yet; the host acts on it with its next heartbeats.".to_owned())
        }
        Conformity::Failed => Some(format!(
            "What becomes of it is for the host to say; another version, or `ops-updater release` there, gives it another \
             try{}.",
            version.map_or_else(String::new, |it| format!("; {it}"))
        )),
    }
}
