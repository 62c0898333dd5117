//! Whether it is somebody on this machine who asks: by where the connection comes from, and by what a proxy or a browser
//! adds when it asks for others.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::{FORWARDED, HOST, VIA};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};

use super::auth;
use super::error::Refusal;

/// Somebody on this machine.
pub struct ThisMachine;

impl<S: Sync> FromRequestParts<S> for ThisMachine {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let peer = auth::address(&parts.extensions).to_canonical();
        let is_local =
            peer.is_loopback() && !is_forwarded(&parts.headers) && asks_this_machine(&parts.headers);
        if is_local { Ok(Self) } else { Err(Refusal::LoopbackOnly) }
    }
}

/// A proxy on this machine makes every client look local; the headers that it adds give it away.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let of_proxies = |name: &HeaderName| {
        [FORWARDED, VIA].contains(name) || name.as_str().starts_with("x-forwarded") || name == "x-real-ip"
    };
    headers.keys().any(of_proxies)
}

/// A site may let its own name lead here, and a browser on this machine then asks on its behalf; by that name.
fn asks_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let authority: Option<Authority> = host.to_str().ok().and_then(|text| text.parse().ok());
    authority.is_some_and(|authority| is_this_machine(authority.host()))
}

fn is_this_machine(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_have_are_this_machine() {
        for (host, expected) in [
            ("127.0.0.1:2000", true),
            ("127.8.9.1", true),
            ("localhost", true),
            ("LocalHost:2000", true),
            ("[::1]:2000", true),
            ("[::ffff:127.0.0.1]", true),
            ("", false),
            ("meta", false),
            ("10.0.0.1:2000", false),
            ("[::2]", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost@evil.example", false),
            ("evil.example#localhost", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert_eq!(asks_this_machine(&headers), expected, "{host:?}");
        }
        assert!(!asks_this_machine(&HeaderMap::new()));
    }
}
