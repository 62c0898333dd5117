//! From what was written to what is right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ops_wire::{AgentName, Hostname};

use super::fault::{Fault, Faults};
use super::{
    DESCRIPTION_BYTES_MAX, Desired, Document, GROUPS_MAX, GroupText, LISTS_BYTES_MAX, POLICIES_MAX,
    PolicyText, SELECTORS_BYTES_MAX, SettingsText, WORD_BYTES_MAX, WORDS_MAX, order,
};
use crate::domain::nearest::nearest;
use crate::domain::precedence::{Group, Policy, Rules, Scope};
use crate::domain::rollout::Window;
use crate::domain::selector::{Lists, Selector, Words};

/// A group's priority is between this and its negative.
const PRIORITY_MAX: i32 = 1_000_000;

impl Desired {
    /// `before`: what is in force, of which much may stay as it is. With it comes where in the document each of its
    /// policies stood.
    ///
    /// # Errors
    /// Every fault.
    pub fn check(mut document: Document, before: &Self) -> Result<(Self, Vec<usize>), Vec<Fault>> {
        let mut faults = Faults::default();
        settings(&document.settings, &mut faults);
        let lists = lists(&mut document.lists, before, &mut faults);
        let groups = groups(&document.groups, &lists, &mut faults);
        let policies = policies(&document, &mut faults);
        let rules = faults.none_or((groups, policies)).and_then(|(groups, policies)| {
            // Whatever contradicts is a fault above.
            Rules::new(groups, policies).map_err(|all| all.iter().map(other_fault).collect())
        })?;
        document.policies.iter_mut().for_each(|policy| policy.generation = None);
        let mut placed: Vec<_> = document.policies.into_iter().enumerate().collect();
        placed.sort_by(|(_, a), (_, b)| key(a).cmp(&key(b)));
        let places = placed.iter().map(|(place, _)| *place).collect();
        document.policies = placed.into_iter().map(|(_, policy)| policy).collect();
        Ok((Self { document, rules: Arc::new(rules), lists }, places))
    }
}

fn other_fault(fault: &crate::domain::precedence::Fault) -> Fault {
    Fault { path: "policies".to_owned(), why: fault.to_string() }
}

/// All hosts before groups, groups before hosts.
fn key(policy: &PolicyText) -> (&str, &str, &str) {
    (&policy.agent, &policy.host, &policy.group)
}

fn settings(settings: &SettingsText, faults: &mut Faults) {
    if let Some(url) = &settings.packages_url {
        order::url("settings.packagesUrl", url, faults);
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            faults.note("settings.packagesUrl", "it has to begin with http:// or https://");
        }
    }
    if settings.confirm_above_percent.is_some_and(|percent| percent > 100) {
        faults.note("settings.confirmAbovePercent", "it has to be 0 to 100");
    }
}

fn lists(lists: &mut BTreeMap<String, Vec<String>>, before: &Desired, faults: &mut Faults) -> Lists {
    let mut checked = Lists::new();
    let bytes: usize = lists.values().flatten().map(String::len).sum();
    if bytes > LISTS_BYTES_MAX {
        faults.note("lists", format!("all words have {bytes} bytes, {LISTS_BYTES_MAX} are allowed"));
    }
    for (name, words) in lists {
        let path = format!("lists.{name}");
        words.sort();
        words.dedup();
        self::name(&path, name, faults);
        if words.len() > WORDS_MAX {
            faults.note(&*path, format!("it has {} words, {WORDS_MAX} are allowed", words.len()));
        }
        let odd = |word: &&String| {
            word.is_empty()
                || word.len() > WORD_BYTES_MAX
                || word.contains(|c: char| c.is_control() || c.is_whitespace())
        };
        if let Some(word) = words.iter().find(odd) {
            let why = format!("{word:?} has to be a word of 1 to {WORD_BYTES_MAX} bytes, without blanks");
            faults.note(path, why);
        }
        let is_same = before.document.lists.get(name) == Some(words);
        let kept = before.lists.get(name.as_str()).filter(|_| is_same).cloned();
        let new = || Arc::new(words.iter().map(|word| word.as_str().into()).collect::<Words>());
        checked.insert(name.as_str().into(), kept.unwrap_or_else(new));
    }
    checked
}

fn groups(groups: &BTreeMap<String, GroupText>, lists: &Lists, faults: &mut Faults) -> Vec<Group> {
    let mut checked = Vec::new();
    let bytes: usize = groups.values().map(|group| group.select.len()).sum();
    if bytes > SELECTORS_BYTES_MAX || groups.len() > GROUPS_MAX {
        let why = format!(
            "there are {} groups, and their selectors have {bytes} bytes; {GROUPS_MAX} and {SELECTORS_BYTES_MAX} are allowed",
            groups.len()
        );
        faults.note("groups", why);
        return checked;
    }
    for (name, group) in groups {
        let path = format!("groups.{name}");
        self::name(&path, name, faults);
        if !(-PRIORITY_MAX..=PRIORITY_MAX).contains(&group.priority) {
            faults
                .note(format!("{path}.priority"), format!("it has to be -{PRIORITY_MAX} to {PRIORITY_MAX}"));
        }
        if group.description.len() > DESCRIPTION_BYTES_MAX {
            faults.note(format!("{path}.description"), format!("{DESCRIPTION_BYTES_MAX} bytes are allowed"));
        }
        let windows =
            Window::check_all(&group.windows, |field, why| faults.note(format!("{path}.{field}"), why));
        match Selector::parse(&group.select, lists) {
            Ok(selector) => {
                let (name, priority) = (name.as_str().into(), group.priority);
                checked.push(Group { name, selector, priority, windows });
            }
            Err(why) => {
                faults.note(
                    format!("{path}.select"),
                    format!("column {}\n{}", why.at + 1, why.shown_in(&group.select)),
                );
            }
        }
    }
    checked
}

fn name(path: &str, name: &str, faults: &mut Faults) {
    if let Err(why) = name.parse::<AgentName>() {
        faults.note(path, format!("this is no name: {why}"));
    }
}

fn policies(document: &Document, faults: &mut Faults) -> Vec<Policy> {
    let (mut checked, mut seen) = (Vec::new(), BTreeSet::new());
    if document.policies.len() > POLICIES_MAX {
        let why = format!("there are {}, {POLICIES_MAX} are allowed", document.policies.len());
        faults.note("policies", why);
        return checked;
    }
    for (n, text) in document.policies.iter().enumerate() {
        let path = format!("policies[{n}]");
        let agent = text.agent.parse::<AgentName>();
        let agent = agent.inspect_err(|why| faults.note(format!("{path}.agent"), why)).ok();
        let scope = scope(&path, text, &document.groups, faults);
        let order = order::check(&path, text, faults);
        let Some((agent, scope)) = agent.zip(scope) else { continue };
        if !seen.insert((agent.clone(), scope.clone())) {
            faults.note(path, format!("there are two policies of {agent} for {scope}; make them one"));
            continue;
        }
        checked.push(Policy { agent, scope, order });
    }
    checked
}

fn scope(
    path: &str,
    text: &PolicyText,
    groups: &BTreeMap<String, GroupText>,
    faults: &mut Faults,
) -> Option<Scope> {
    match (text.group.as_str(), text.host.as_str()) {
        ("", "") => Some(Scope::Default),
        ("", host) => {
            let hostname =
                Hostname::check(host).map_err(|why| faults.note(format!("{path}.host"), why)).ok()?;
            Some(Scope::Host(hostname.as_str().into()))
        }
        (group, "") if groups.contains_key(group) => Some(Scope::Group(group.into())),
        (group, "") => {
            let meant = nearest(group, groups.keys().map(String::as_str));
            let meant = meant.map_or_else(|| "make it first".to_owned(), |name| format!("{name}, perhaps?"));
            faults.note(format!("{path}.group"), format!("there is no group {group:?}; {meant}"));
            None
        }
        _ => {
            faults.note(path, "it is for a group and for a host; make two policies of it");
            None
        }
    }
}
