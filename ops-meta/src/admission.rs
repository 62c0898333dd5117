//! Which hosts may speak: those of this machine, those with a certificate or a token, and others only where somebody
//! said so; or, where that is asked for, those with a token alone. Whoever may send heartbeats may fill the list of hosts and read what is wanted of them.

use std::net::SocketAddr;

use crate::args::AnonymousHosts;
use crate::config::Config;
use crate::log;

/// Whom the server hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Only this machine reaches the address.
    Loopback,
    /// Clients show a certificate.
    Certificates,
    /// Everybody may speak, as was asked for.
    Anonymous,
    /// Everybody may speak, since a cfg.json with `agents` knew no other way in 2015.
    Implied,
    /// Hosts show a token.
    Tokens,
    /// The same, as was asked for: on loopback too, beside a certificate, and whatever is in cfg.json.
    TokensRequired,
}

impl Admission {
    /// Whether a heartbeat is taken without a token. One that is given is looked at all the same.
    pub fn is_anonymous(self) -> bool {
        !matches!(self, Self::Tokens | Self::TokensRequired)
    }

    /// Whether a start with this configuration would hear others than this one does.
    pub fn would_change(self, config: &Config) -> bool {
        match self {
            Self::Implied => config.policies.is_empty(),
            Self::Tokens => !config.policies.is_empty(),
            Self::Loopback | Self::Certificates | Self::Anonymous | Self::TokensRequired => false,
        }
    }

    /// At each start, so that nobody forgets.
    pub fn warn(self) {
        let implied = "`agents` in the configuration implies --allow-anonymous-hosts: anybody may send heartbeats; \
             `ops-meta serve --require-host-tokens` takes those with a token alone";
        let required = "hosts need a token, as --require-host-tokens says";
        let tokens = "hosts need a token (`ops-meta token create NAME --role host`, and `tokenFile` in the updater's \
                      cfg.json); --allow-anonymous-hosts takes them without";
        match self {
            Self::Implied => log::line("anonymous_hosts", &[("level", "warning"), ("why", implied)]),
            Self::Tokens => log::line("hosts_need_tokens", &[("why", tokens)]),
            Self::TokensRequired => log::line("hosts_need_tokens", &[("why", required)]),
            Self::Loopback | Self::Certificates | Self::Anonymous => {}
        }
    }
}

/// Decides.
pub fn admission(listen: SocketAddr, asked: AnonymousHosts, config: &Config) -> Admission {
    let client_ca = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    match asked {
        AnonymousHosts::Refused => Admission::TokensRequired,
        _ if client_ca => Admission::Certificates,
        _ if listen.ip().to_canonical().is_loopback() => Admission::Loopback,
        AnonymousHosts::Allowed => Admission::Anonymous,
        AnonymousHosts::Unsaid if !config.policies.is_empty() => Admission::Implied,
        AnonymousHosts::Unsaid => Admission::Tokens,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn decide(listen: &str, asked: AnonymousHosts, config: serde_json::Value) -> Admission {
        admission(listen.parse().unwrap(), asked, &Config::check(config).unwrap())
    }

    #[test]
    fn orders_change_who_is_heard_only_where_they_decide_it() {
        let config = |agents| Config::check(json!({ "agents": agents })).unwrap();
        let (none, some) = (config(json!([])), config(json!([{"default": {"name": "a"}}])));
        for (admission, without, with) in [
            (Admission::Implied, true, false),
            (Admission::Tokens, false, true),
            (Admission::Loopback, false, false),
            (Admission::Certificates, false, false),
            (Admission::Anonymous, false, false),
            (Admission::TokensRequired, false, false),
        ] {
            let found = (admission.would_change(&none), admission.would_change(&some));
            assert_eq!(found, (without, with), "{admission:?}");
        }
    }

    #[test]
    fn only_this_machine_may_speak_without_a_token_unless_somebody_said_otherwise() {
        use AnonymousHosts::{Allowed, Refused, Unsaid};
        let none = json!({"agents": []});
        let agents = json!({"agents": [{"default": {"name": "a"}}]});
        let certificates =
            json!({"agents": [], "tls": {"certFile": "c", "keyFile": "k", "clientCaFile": "ca"}});
        for (listen, asked, config, expected) in [
            ("127.0.0.1:1", Unsaid, &none, Admission::Loopback),
            ("[::1]:1", Unsaid, &agents, Admission::Loopback),
            ("[::ffff:127.0.0.1]:1", Unsaid, &none, Admission::Loopback),
            ("0.0.0.0:1", Unsaid, &none, Admission::Tokens),
            ("[::]:1", Unsaid, &none, Admission::Tokens),
            ("10.0.0.1:1", Unsaid, &none, Admission::Tokens),
            ("0.0.0.0:1", Allowed, &agents, Admission::Anonymous),
            ("0.0.0.0:1", Unsaid, &agents, Admission::Implied),
            ("0.0.0.0:1", Unsaid, &certificates, Admission::Certificates),
            ("127.0.0.1:1", Refused, &none, Admission::TokensRequired),
            ("0.0.0.0:1", Refused, &agents, Admission::TokensRequired),
            ("0.0.0.0:1", Refused, &certificates, Admission::TokensRequired),
        ] {
            assert_eq!(decide(listen, asked, config.clone()), expected, "{listen} {config}");
        }
    }
}
