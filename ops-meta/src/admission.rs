//! Which hosts may speak: those of this machine, and others only where somebody said so. Whoever may send heartbeats
//! may fill the list of hosts and read what is wanted of them.

use std::fmt;
use std::net::SocketAddr;

use crate::args::AnonymousHosts;
use crate::config::Config;
use crate::log;

/// Why the server may listen where it does.
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
}

impl Admission {
    /// At each start, so that nobody forgets.
    pub fn warn(self) {
        let why =
            "`agents` in the configuration implies --allow-anonymous-hosts: anybody may send heartbeats";
        if self == Self::Implied {
            log::line("anonymous_hosts", &[("level", "warning"), ("why", why)]);
        }
    }
}

/// Anybody could reach this address, and nobody wanted that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAdmitted;

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "it is no loopback address and hosts would not have to say who they are: \
             give --allow-anonymous-hosts to want that, or `tls.clientCaFile` in the configuration",
        )
    }
}

/// Decides, or says why the server must not start.
pub fn admission(
    listen: SocketAddr,
    asked: AnonymousHosts,
    config: &Config,
) -> Result<Admission, NotAdmitted> {
    let client_ca = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    match asked {
        _ if client_ca => Ok(Admission::Certificates),
        _ if listen.ip().to_canonical().is_loopback() => Ok(Admission::Loopback),
        AnonymousHosts::Allowed => Ok(Admission::Anonymous),
        AnonymousHosts::NotAllowed if !config.policies.is_empty() => Ok(Admission::Implied),
        AnonymousHosts::NotAllowed => Err(NotAdmitted),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn decide(listen: &str, asked: AnonymousHosts, config: serde_json::Value) -> Option<Admission> {
        admission(listen.parse().unwrap(), asked, &Config::check(config).unwrap()).ok()
    }

    #[test]
    fn only_this_machine_may_speak_unless_somebody_said_otherwise() {
        use AnonymousHosts::{Allowed, NotAllowed};
        let none = json!({"agents": []});
        let agents = json!({"agents": [{"default": {"name": "a"}}]});
        let certificates =
            json!({"agents": [], "tls": {"certFile": "c", "keyFile": "k", "clientCaFile": "ca"}});
        for (listen, asked, config, expected) in [
            ("127.0.0.1:1", NotAllowed, &none, Some(Admission::Loopback)),
            ("[::1]:1", NotAllowed, &agents, Some(Admission::Loopback)),
            ("[::ffff:127.0.0.1]:1", NotAllowed, &none, Some(Admission::Loopback)),
            ("0.0.0.0:1", NotAllowed, &none, None),
            ("[::]:1", NotAllowed, &none, None),
            ("10.0.0.1:1", NotAllowed, &none, None),
            ("0.0.0.0:1", Allowed, &agents, Some(Admission::Anonymous)),
            ("0.0.0.0:1", NotAllowed, &agents, Some(Admission::Implied)),
            ("0.0.0.0:1", NotAllowed, &certificates, Some(Admission::Certificates)),
        ] {
            assert_eq!(decide(listen, asked, config.clone()), expected, "{listen} {config}");
        }
    }
}
