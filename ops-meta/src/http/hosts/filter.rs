//! Which hosts a list is to have.

use std::cell::RefCell;
use std::sync::Arc;

use regex::bytes::Regex;

use super::shown::Looked;
use super::{ListAsked, conformities, states};
use crate::domain::conformity::Conformity;
use crate::domain::desired::Desired;
use crate::domain::host::State;
use crate::domain::precedence::Rules;
use crate::domain::selector::{self, AgentFacts, ListFilter, PATTERN_CHARS_MAX, RealFacts, Selector};
use crate::fleet::{Address, Host, Real};
use crate::http::problem::Problem;

/// For `?`: the first byte of a character in UTF-8, and its others.
const ONE_CHAR: &str = r"[^\x80-\xBF][\x80-\xBF]*";

/// Everything has to hold; what is not asked for holds always.
#[derive(Default)]
pub struct Filter {
    hostname: Option<Glob>,
    regex: Option<Regex>,
    states: Option<Vec<State>>,
    current: Option<Vec<Conformity>>,
    agent: AgentFilter,
    labels: Vec<(String, Option<String>)>,
    os: Option<String>,
    arch: Option<String>,
    ip: Option<Glob>,
    reboot_required: Option<bool>,
    claimed_twice: Option<bool>,
    /// In words.
    expression: Option<ListFilter>,
    group: Option<Selector>,
    /// Every group, and whether it is to be in one.
    in_groups: Option<(Arc<Rules>, bool)>,
}

#[derive(Default)]
struct AgentFilter {
    name: Option<String>,
    version: Option<String>,
    status: Option<Glob>,
    error: Option<Glob>,
}

impl Filter {
    pub fn of(asked: &ListAsked, desired: &Desired) -> Result<Self, Problem> {
        let glob =
            |field, text: &Option<String>| text.as_deref().map(|text| Glob::of(field, text)).transpose();
        Ok(Self {
            hostname: glob("hostname", &asked.hostname)?,
            regex: asked.regex.as_deref().map(|text| regex("match", bounded("match", text)?)).transpose()?,
            states: asked.state.as_deref().map(states).transpose()?,
            current: asked.current.as_deref().map(conformities).transpose()?,
            agent: AgentFilter {
                name: asked.agent.clone(),
                version: asked.version.clone(),
                status: glob("status", &asked.status)?,
                error: glob("error", &asked.error)?,
            },
            labels: asked.label.as_deref().map(labels).transpose()?.unwrap_or_default(),
            os: asked.os.clone(),
            arch: asked.arch.clone(),
            ip: glob("ip", &asked.ip)?,
            reboot_required: asked.reboot_required,
            claimed_twice: asked.claimed_twice,
            expression: asked.filter.as_deref().map(|text| expression(text, desired)).transpose()?,
            group: asked.group.as_deref().map(|name| group(name, desired)).transpose()?,
            in_groups: asked.in_groups.map(|wanted| (desired.rules().clone(), wanted)),
        })
    }

    /// What is cheap to see is looked at first.
    pub fn admits(&self, hostname: &str, host: &Host, looked: &mut Looked<'_>) -> bool {
        holds(&self.hostname, |glob| glob.matches(hostname))
            && holds(&self.regex, |regex| regex.is_match(hostname.as_bytes()))
            && holds(&self.os, |os| *os == host.facts.os)
            && holds(&self.arch, |arch| *arch == host.facts.arch)
            && self.labels.iter().all(|(key, value)| {
                host.facts.labels.get(key).is_some_and(|has| value.as_ref().is_none_or(|value| value == has))
            })
            && holds(&self.ip, |glob| glob.matches_address(&host.ip))
            && holds(&self.states, |states| states.contains(&looked.state(host)))
            && holds(&self.claimed_twice, |twice| looked.is_claimed_twice(host) == *twice)
            && holds(&self.reboot_required, |needed| {
                host.agents.0.iter().any(|it| it.reboot_required) == *needed
            })
            && self.agent.admits(host)
            && holds(&self.group, |selector| selector.matches(&host.stable(hostname)))
            && holds(&self.in_groups, |(rules, wanted)| {
                rules.groups_of(&host.stable(hostname)).next().is_some() == *wanted
            })
            && holds(&self.current, |current| current.contains(&looked.current(hostname, host)))
            && holds(&self.expression, |filter| {
                let facts = host.stable(hostname);
                filter.matches(&facts, &Whole::new(hostname, host, looked))
            })
    }
}

fn group(name: &str, desired: &Desired) -> Result<Selector, Problem> {
    let group = desired.rules().group_called(name).map(|group| group.selector.clone());
    group.ok_or_else(|| Problem::field("group", format!("there is no group {name:?}")))
}

pub fn expression(text: &str, desired: &Desired) -> Result<ListFilter, Problem> {
    ListFilter::parse(text, desired.lists()).map_err(|why| Problem::field("where", format!("`where`, {why}")))
}

/// A host with what it runs, and what is wanted of it.
pub struct Whole<'a, 'b> {
    hostname: &'a str,
    host: &'a Host,
    looked: RefCell<&'a mut Looked<'b>>,
}

impl<'a, 'b> Whole<'a, 'b> {
    pub fn new(hostname: &'a str, host: &'a Host, looked: &'a mut Looked<'b>) -> Self {
        Self { hostname, host, looked: RefCell::new(looked) }
    }
}

impl RealFacts for Whole<'_, '_> {
    fn state(&self) -> State {
        self.looked.borrow().state(self.host)
    }

    fn current(&self) -> Conformity {
        self.looked.borrow_mut().current(self.hostname, self.host)
    }

    fn agents(&self) -> impl Iterator<Item = AgentFacts<'_>> {
        self.host.agents.0.iter().map(|real| AgentFacts {
            name: &real.name,
            version: &real.version,
            status: real.status.as_str(),
            error_code: &real.error_code,
            reboot_required: real.reboot_required,
        })
    }
}

impl AgentFilter {
    fn admits(&self, host: &Host) -> bool {
        let any =
            self.name.is_some() || self.version.is_some() || self.status.is_some() || self.error.is_some();
        !any || host.agents.0.iter().any(|real| self.admits_agent(real))
    }

    fn admits_agent(&self, real: &Real) -> bool {
        holds(&self.name, |name| **name == *real.name)
            && holds(&self.version, |version| **version == *real.version)
            && holds(&self.status, |glob| glob.matches(real.status.as_str()))
            && holds(&self.error, |glob| !real.error_code.is_empty() && glob.matches(&real.error_code))
    }
}

fn holds<T>(asked: &Option<T>, has: impl FnOnce(&T) -> bool) -> bool {
    asked.as_ref().is_none_or(has)
}

fn labels(text: &str) -> Result<Vec<(String, Option<String>)>, Problem> {
    let label = |label: &str| match label.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (label.to_owned(), None),
    };
    Ok(bounded("label", text)?.split(',').map(label).collect())
}

/// A text in which `*` stands for any text and `?` for one character.
enum Glob {
    Word(String),
    Pattern(Regex),
}

impl Glob {
    fn of(field: &str, text: &str) -> Result<Self, Problem> {
        if !text.contains(['*', '?']) {
            return Ok(Self::Word(text.to_owned()));
        }
        let part = |c: char| match c {
            '*' => ".*".to_owned(),
            '?' => ONE_CHAR.to_owned(),
            c => regex::escape(c.encode_utf8(&mut [0; 4])),
        };
        let pattern: String = bounded(field, text)?.chars().map(part).collect();
        regex(field, &format!("^(?s:{pattern})$")).map(Self::Pattern)
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Word(word) => word == text,
            Self::Pattern(regex) => regex.is_match(text.as_bytes()),
        }
    }

    fn matches_address(&self, text: &Address) -> bool {
        match self {
            Self::Word(word) => Address::of(word) == *text,
            Self::Pattern(regex) => regex.is_match(text.to_text().as_bytes()),
        }
    }
}

fn bounded<'a>(field: &str, text: &'a str) -> Result<&'a str, Problem> {
    if text.chars().count() <= PATTERN_CHARS_MAX {
        return Ok(text);
    }
    Err(Problem::field(field, format!("`{field}` is longer than {PATTERN_CHARS_MAX} characters")))
}

fn regex(field: &str, text: &str) -> Result<Regex, Problem> {
    let built = selector::regex(text);
    built.map_err(|error| Problem::field(field, format!("`{field}` is no regular expression: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_glob_is_the_whole_text() {
        for (glob, text, expected) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("web*", "web1.dc1", true),
            ("web?", "web1", true),
            ("web?", "web12", false),
            ("k?se ??", "käse äö", true),
            ("käse*", "käse äö", true),
            ("k??se", "käse", false),
            ("*.dc1", "web1.dc1", true),
            ("w.b*", "web1", false),
            ("*", "", true),
            ("*", "a\nb", true),
        ] {
            assert_eq!(Glob::of("f", glob).ok().unwrap().matches(text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn an_address_is_found_however_it_is_kept() {
        for (glob, ip, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.*", "10.0.7.1", true),
            ("fe80::1", "fe80::1", true),
            ("10.0.0.1", "10.0.0.2", false),
        ] {
            let glob = Glob::of("ip", glob).ok().unwrap();
            assert_eq!(glob.matches_address(&Address::of(ip)), expected, "{ip}");
        }
    }

    #[test]
    fn what_would_be_huge_is_refused() {
        for huge in ["(((a{100}){100}){100}){100}", "a.{400}b", "(a?|b?|c?|d?){200}"] {
            assert!(regex("match", huge).is_err(), "{huge}");
        }
        for usual in
            [r"^(web|db|lg)-?\d{1,3}\.dc[0-9]+\.example\.com$", r"\w+-\d+$", "^.*a.*b.*c$", &"w".repeat(200)]
        {
            assert!(regex("match", usual).is_ok(), "{usual}");
        }
        assert!(bounded("match", &"a".repeat(1025)).is_err());
        assert!(Glob::of("f", &"*".repeat(1025)).is_err());
        assert!(regex("match", "(").is_err());
        // Slow with others, linear here.
        assert!(!regex("match", "(a*)*b").ok().unwrap().is_match("a".repeat(10_000).as_bytes()));
    }
}
