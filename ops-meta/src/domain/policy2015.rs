//! The rules of a 2015 cfg.json: `default`, then each entry of `others` whose prefix begins the hostname, in order,
//! every field that is not empty overriding.
//!
//! All prefixes that match a hostname are prefixes of the longest of them, so hosts with the same longest prefix get
//! the same agents: the answer is compiled once per prefix, not per host.

use std::collections::BTreeSet;

use ops_wire::{AgentName, Cmd, DesiredAgent, Md5, Version};

use super::Prefixes;

/// One entry of `agents`.
#[derive(Debug, Clone)]
pub struct Policy {
    pub name: AgentName,
    pub default: Order,
    /// In the order of the file.
    pub others: Vec<Other>,
}

/// An exception for the hosts whose name begins with `prefix`.
#[derive(Debug, Clone)]
pub struct Other {
    pub prefix: String,
    pub order: Order,
}

/// What is asked for; an empty field asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    pub version: Option<Version>,
    pub tarball: String,
    pub md5: Md5,
    pub cmd: Cmd,
}

impl Order {
    fn overridden_by(mut self, other: &Self) -> Self {
        if other.version.is_some() {
            self.version.clone_from(&other.version);
        }
        if !other.tarball.is_empty() {
            self.tarball.clone_from(&other.tarball);
        }
        if other.md5 != Md5::TarballPrefix {
            self.md5.clone_from(&other.md5);
        }
        if other.cmd != Cmd::Blank {
            self.cmd.clone_from(&other.cmd);
        }
        self
    }
}

impl Policy {
    /// What this agent should be on a host.
    pub fn order_for(&self, hostname: &str) -> Order {
        let matching = self.others.iter().filter(|other| hostname.starts_with(&other.prefix));
        matching.fold(self.default.clone(), |order, other| order.overridden_by(&other.order))
    }

    /// The prefixes whose hosts would be told to start this agent without being told which version.
    pub fn starts_without_version(&self) -> Vec<&str> {
        self.starts_where(|order| order.version.is_none())
    }

    /// The prefixes whose hosts would be told to start this agent and could not get it from anywhere.
    pub fn starts_without_tarball(&self) -> Vec<&str> {
        self.starts_where(|order| order.tarball.is_empty())
    }

    /// Every order to start it that some host gets.
    pub fn starts(&self) -> Vec<Order> {
        let orders = self.prefixes().map(|prefix| self.order_for(prefix));
        orders.filter(|order| order.cmd == Cmd::Start).collect()
    }

    fn starts_where(&self, lacking: impl Fn(&Order) -> bool) -> Vec<&str> {
        let starts = |prefix: &&str| {
            let order = self.order_for(prefix);
            order.cmd == Cmd::Start && lacking(&order)
        };
        self.prefixes().filter(starts).collect()
    }

    /// The hosts that are told this version, in words.
    pub fn hosts_ordered(&self, version: &Version) -> Vec<String> {
        let all = self.default.version.as_ref() == Some(version);
        let others = self.others.iter().filter(|other| other.order.version.as_ref() == Some(version));
        let others = others.map(|other| format!("hosts whose name begins with {:?}", other.prefix));
        all.then(|| "all hosts without an exception".to_owned()).into_iter().chain(others).collect()
    }

    /// Every prefix that makes a difference, and the empty one.
    fn prefixes(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(|other| other.prefix.as_str());
        std::iter::once("").chain(others).collect::<BTreeSet<_>>().into_iter()
    }
}

/// What should run, for each prefix that makes a difference.
pub fn compile(policies: &[Policy]) -> Prefixes<Vec<DesiredAgent>> {
    let prefixes: BTreeSet<&str> = policies.iter().flat_map(Policy::prefixes).chain([""]).collect();
    prefixes.into_iter().map(|prefix| (prefix.into(), desired(policies, prefix))).collect()
}

fn desired(policies: &[Policy], hostname: &str) -> Vec<DesiredAgent> {
    policies.iter().map(|policy| desired_agent(policy.name.clone(), policy.order_for(hostname))).collect()
}

fn desired_agent(name: AgentName, order: Order) -> DesiredAgent {
    let version = order.version.ok_or_else(|| "there is none".to_owned());
    DesiredAgent { md5: order.md5, ..DesiredAgent::with_any_version(name, version, order.tarball, order.cmd) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn order(version: &str, tarball: &str, md5: &str, cmd: Cmd) -> Order {
        let md5 = if md5.is_empty() { Md5::TarballPrefix } else { Md5::Prefix(md5.to_owned()) };
        Order { version: version.parse().ok(), tarball: tarball.to_owned(), md5, cmd }
    }

    fn policy(default: Order, others: Vec<(&str, Order)>) -> Policy {
        let others = others.into_iter().map(|(prefix, order)| Other { prefix: prefix.to_owned(), order });
        Policy { name: "a".parse().unwrap(), default, others: others.collect() }
    }

    fn answered(policies: &[Policy], hostname: &str) -> Vec<DesiredAgent> {
        compile(policies).find(hostname).unwrap().clone()
    }

    #[test]
    fn the_precedence_table() {
        let policy = policy(
            order("1", "http://t", "http://m", Cmd::Start),
            vec![
                ("lg-", order("2", "", "", Cmd::Blank)),
                ("lg-dinp", order("", "http://dinp", "", Cmd::Blank)),
                ("lg", order("3", "", "http://lg", Cmd::Blank)),
                ("old", order("", "", "", Cmd::Stop)),
                ("old-", order("0.9", "", "", Cmd::Uninstall)),
            ],
        );
        for (hostname, version, tarball, md5, cmd) in [
            ("web", "1", "http://t", "http://m", Cmd::Start),
            ("l", "1", "http://t", "http://m", Cmd::Start),
            ("LG-1", "1", "http://t", "http://m", Cmd::Start),
            ("my-lg-1", "1", "http://t", "http://m", Cmd::Start),
            ("lg", "3", "http://t", "http://lg", Cmd::Start),
            // The later entry wins, not the longer one.
            ("lg-1", "3", "http://t", "http://lg", Cmd::Start),
            ("lg-dinp-1", "3", "http://dinp", "http://lg", Cmd::Start),
            ("old1", "1", "http://t", "http://m", Cmd::Stop),
            ("old-1", "0.9", "http://t", "http://m", Cmd::Uninstall),
        ] {
            let expected = desired_agent(policy.name.clone(), order(version, tarball, md5, cmd));
            assert_eq!(answered(std::slice::from_ref(&policy), hostname), [expected], "{hostname}");
        }
    }

    #[test]
    fn an_empty_prefix_is_for_everybody() {
        let policy = policy(order("1", "", "", Cmd::Blank), vec![("", order("2", "", "", Cmd::Blank))]);
        assert_eq!(
            answered(&[policy], "web").first().unwrap().version,
            "2".parse().map_err(|_| String::new())
        );
    }

    #[test]
    fn without_policies_nothing_is_wanted() {
        assert!(answered(&[], "web").is_empty());
    }

    #[test]
    fn a_start_that_lacks_something_is_found_wherever_it_comes_about() {
        let start = order("", "", "", Cmd::Start);
        let complete = order("1", "http://t", "", Cmd::Blank);
        let late = policy(start.clone(), vec![("lg", complete.clone())]);
        assert_eq!((late.starts_without_version(), late.starts_without_tarball()), (vec![""], vec![""]));
        let whole = policy(start.clone(), vec![("", complete.clone())]);
        assert_eq!((whole.starts_without_version(), whole.starts_without_tarball()), (vec![], vec![]));
        let half = policy(order("1", "", "", Cmd::Blank), vec![("lg", start), ("lg-", complete)]);
        assert_eq!((half.starts_without_version(), half.starts_without_tarball()), (vec![], vec!["lg"]));
    }

    type Fields = [&'static str; 4];

    fn fields() -> impl Strategy<Value = Fields> {
        let field = |values: &'static [&'static str]| prop::sample::select(values);
        (
            field(&["", "1", "2"]),
            field(&["", "http://t"]),
            field(&["", "http://m"]),
            field(&["", "start", "stop"]),
        )
            .prop_map(|(version, tarball, md5, cmd)| [version, tarball, md5, cmd])
    }

    fn as_order([version, tarball, md5, cmd]: Fields) -> Order {
        let cmd = match cmd {
            "start" => Cmd::Start,
            "stop" => Cmd::Stop,
            _ => Cmd::Blank,
        };
        order(version, tarball, md5, cmd)
    }

    /// The sentence of 2015, word by word, and host by host.
    fn by_hand(default: Fields, others: &[(String, Fields)], hostname: &str) -> Fields {
        let mut result = default;
        for (prefix, fields) in others {
            if hostname.starts_with(prefix.as_str()) {
                for (field, new) in result.iter_mut().zip(fields) {
                    if !new.is_empty() {
                        *field = new;
                    }
                }
            }
        }
        result
    }

    proptest! {
        #[test]
        fn compiled_answers_are_those_worked_out_by_hand(
            agents in prop::collection::vec((fields(), prop::collection::vec(("[ab]{0,3}", fields()), 0..6)), 0..3),
            hostname in "[abc]{1,5}",
        ) {
            let policies: Vec<_> = agents.iter().map(|(default, others)| {
                let others = others.iter().map(|(prefix, fields)| (prefix.as_str(), as_order(*fields)));
                policy(as_order(*default), others.collect())
            }).collect();
            let expected: Vec<_> = agents.iter().map(|(default, others)| {
                desired_agent("a".parse().unwrap(), as_order(by_hand(*default, others, &hostname)))
            }).collect();
            prop_assert_eq!(answered(&policies, &hostname), expected);
        }
    }
}
