//! The language once more, written down without a thought of speed: what it means, and one way to write it.

use std::net::IpAddr;

use proptest::prelude::*;

use super::Host;

#[derive(Debug, Clone)]
pub enum Naive {
    All,
    Not(Box<Naive>),
    And(Vec<Naive>),
    Or(Vec<Naive>),
    Text(Fact, Test),
    Ip(IpAddr, usize),
    Has(String),
    Before(String, u32),
    State(super::State),
}

#[derive(Debug, Clone)]
pub enum Fact {
    Hostname,
    Os,
    Arch,
    Label(String),
    Version(String),
    Status(String),
    Error(Option<String>),
}

#[derive(Debug, Clone)]
pub enum Test {
    Is(String),
    IsNot(String),
    Begins(String),
    EndsNot(String),
    OneOf(Vec<String>),
    Listed,
}

impl Naive {
    pub fn holds(&self, host: &Host) -> bool {
        match self {
            Self::All => true,
            Self::Not(inner) => !inner.holds(host),
            Self::And(parts) => parts.iter().all(|part| part.holds(host)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(host)),
            Self::Text(fact, test) => test.holds(&fact.of(host)),
            Self::Ip(base, prefix) => host.ip.parse().is_ok_and(|ip: IpAddr| {
                ip.is_ipv4() == base.is_ipv4() && bits(ip)[..*prefix] == bits(*base)[..*prefix]
            }),
            Self::Has(key) => host.labels.contains_key(key),
            Self::Before(agent, version) => {
                let found = Fact::Version(agent.clone()).of(host);
                found.iter().any(|found| found.parse::<u32>().unwrap() < *version)
            }
            Self::State(state) => host.state == *state,
        }
    }

    /// More parentheses than needed.
    pub fn written(&self) -> String {
        let joined = |parts: &[Self], by| {
            let parts: Vec<_> = parts.iter().map(|part| format!("({})", part.written())).collect();
            parts.join(by)
        };
        match self {
            Self::All => "all".to_owned(),
            Self::Not(inner) => format!("not ({})", inner.written()),
            Self::And(parts) => joined(parts, " and "),
            Self::Or(parts) => joined(parts, " or "),
            Self::Text(fact, test) => fact.written() + &test.written(),
            Self::Ip(base, prefix) => format!("ip in {base}/{prefix}"),
            Self::Has(key) => format!("has({key:?})"),
            Self::Before(agent, version) => format!("version({agent})<{version}"),
            Self::State(state) => format!("state={state}"),
        }
    }
}

fn bits(ip: IpAddr) -> Vec<bool> {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1 == 1)).collect()
}

impl Fact {
    /// All that there is of it: of errors there can be several.
    fn of(&self, host: &Host) -> Vec<String> {
        let agents = |name: &String, column: usize| {
            let agent = host.agents.iter().find(|agent| agent[0] == *name);
            agent.map(|agent| agent[column].clone()).into_iter().collect()
        };
        let said = |texts: Vec<String>| texts.into_iter().filter(|text| !text.is_empty()).collect();
        match self {
            Self::Hostname => vec![host.hostname.clone()],
            Self::Os => vec![host.os.clone()],
            Self::Arch => vec![host.arch.clone()],
            Self::Label(key) => host.labels.get(key).cloned().into_iter().collect(),
            Self::Version(agent) => said(agents(agent, 1)),
            Self::Status(agent) => agents(agent, 2),
            Self::Error(None) => said(host.agents.iter().map(|agent| agent[3].clone()).collect()),
            Self::Error(Some(agent)) => said(agents(agent, 3)),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Hostname => "host".to_owned(),
            Self::Os => "os".to_owned(),
            Self::Arch => "ARCH".to_owned(),
            Self::Label(key) => format!("label({key:?})"),
            Self::Version(agent) => format!("version({agent})"),
            Self::Status(agent) => format!("status({agent})"),
            Self::Error(None) => "error".to_owned(),
            Self::Error(Some(agent)) => format!("error({agent})"),
        }
    }
}

impl Test {
    fn holds(&self, texts: &[String]) -> bool {
        match self {
            Self::Is(glob) => texts.iter().any(|text| text == glob || glob == "*"),
            Self::IsNot(glob) => !Self::Is(glob.clone()).holds(texts),
            Self::Begins(beginning) => texts.iter().any(|text| text.starts_with(beginning)),
            Self::EndsNot(end) => !texts.iter().any(|text| text.ends_with(end)),
            Self::OneOf(words) => texts.iter().any(|text| words.contains(text)),
            Self::Listed => texts.iter().any(|text| ["bj-web01", "sh-web01"].contains(&text.as_str())),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Is(glob) => format!("={glob:?}"),
            Self::IsNot(glob) => format!("!={glob:?}"),
            Self::Begins(beginning) => format!("~\"^{beginning}\""),
            Self::EndsNot(end) => format!("!~\"{end}$\""),
            Self::OneOf(words) => {
                format!(" in ({})", words.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(","))
            }
            Self::Listed => " in @edge".to_owned(),
        }
    }
}

fn word() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(&[
        "a", "b", "1", "12", "bj-web01", "prod", "and", "x y", "q\"\\", "~", "started", "held", "",
    ])
    .prop_map(str::to_owned)
}

fn plain() -> impl Strategy<Value = String> {
    prop::sample::select(&["a", "b", "1", "bj", "x y", "st"]).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(&["env", "os", "k.io/v", "my key", "hostnam", "All", "a*"]).prop_map(str::to_owned)
}

fn agent() -> impl Strategy<Value = String> {
    prop::sample::select(&["one", "two", "state"]).prop_map(str::to_owned)
}

fn state() -> impl Strategy<Value = super::State> {
    prop::sample::select(super::State::ALL.as_slice())
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop::sample::select(&["10.0.0.1", "10.0.0.2", "10.128.0.0", "127.0.0.1", "::1", "fe80::1"])
        .prop_map(|it: &str| it.parse().unwrap())
}

fn net() -> impl Strategy<Value = Naive> {
    (ip(), 0..=128_usize).prop_map(|(ip, prefix)| {
        let prefix = prefix.min(bits(ip).len());
        let cut = |byte: usize| {
            u8::MAX.checked_shl(8_u32.saturating_sub(prefix.saturating_sub(8 * byte) as u32)).unwrap_or(0)
        };
        let base: IpAddr = match ip {
            IpAddr::V4(ip) => std::array::from_fn::<u8, 4, _>(|n| ip.octets()[n] & cut(n)).into(),
            IpAddr::V6(ip) => std::array::from_fn::<u8, 16, _>(|n| ip.octets()[n] & cut(n)).into(),
        };
        Naive::Ip(base, prefix)
    })
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        word().prop_map(Test::Is),
        Just(Test::Is("*".to_owned())),
        word().prop_map(Test::IsNot),
        plain().prop_map(Test::Begins),
        plain().prop_map(Test::EndsNot),
        prop::collection::vec(word(), 1..4).prop_map(Test::OneOf),
        Just(Test::Listed),
    ]
}

fn stable_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![Just(Fact::Hostname), Just(Fact::Os), Just(Fact::Arch), key().prop_map(Fact::Label)]
}

fn real_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        agent().prop_map(Fact::Version),
        agent().prop_map(Fact::Status),
        prop::option::of(agent()).prop_map(Fact::Error),
    ]
}

fn stable_term() -> impl Strategy<Value = Naive> {
    prop_oneof![
        (stable_fact(), test()).prop_map(|(fact, test)| Naive::Text(fact, test)),
        net(),
        key().prop_map(Naive::Has),
        Just(Naive::All),
    ]
}

fn real_term() -> impl Strategy<Value = Naive> {
    prop_oneof![
        (real_fact(), test()).prop_map(|(fact, test)| Naive::Text(fact, test)),
        (agent(), 0..20_u32).prop_map(|(agent, version)| Naive::Before(agent, version)),
        state().prop_map(Naive::State),
    ]
}

fn joined(term: impl Strategy<Value = Naive> + 'static) -> impl Strategy<Value = Naive> {
    term.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Naive::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Naive::And),
            prop::collection::vec(inner, 1..4).prop_map(Naive::Or),
        ]
    })
}

pub fn selector() -> impl Strategy<Value = Naive> {
    joined(stable_term())
}

pub fn filter() -> impl Strategy<Value = Naive> {
    joined(prop_oneof![stable_term(), real_term()])
}

pub fn host() -> impl Strategy<Value = Host> {
    let text_ip = prop_oneof![ip().prop_map(|ip| ip.to_string()), Just("none".to_owned())];
    let version = prop_oneof![Just(String::new()), (0..20_u32).prop_map(|it| it.to_string())];
    let one = (agent(), version, word(), word())
        .prop_map(|(name, version, status, error)| [name, version, status, error]);
    let labels = prop::collection::btree_map(key(), word(), 0..4);
    (word(), word(), word(), text_ip, labels, prop::collection::vec(one, 0..4), state()).prop_map(
        |(hostname, os, arch, ip, labels, agents, state)| Host {
            hostname,
            os,
            arch,
            ip,
            labels,
            agents,
            state,
            current: super::Conformity::Yes,
        },
    )
}
