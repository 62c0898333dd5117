//! Who speaks, by the token in `Authorization: Bearer`, and whether that is enough.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode};
use ops_wire::Hostname;

use super::error::Refusal;
use super::problem::Problem;
use crate::domain::role::Role;
use crate::running::App;
use crate::store::Actor;
use crate::tokens::{Invalid, Known};

const SCHEME: &[u8] = b"bearer ";

/// Why nobody is let in.
enum NotIn {
    NoToken,
    Invalid(Invalid),
    /// An address that failed too often, and how many seconds it has to wait.
    Slower(u64),
}

impl NotIn {
    fn sentence(&self) -> String {
        match self {
            Self::NoToken => "a token is needed: send `Authorization: Bearer TOKEN`".to_owned(),
            Self::Invalid(Invalid::Unknown) => "this token is not known here; is it complete?".to_owned(),
            Self::Invalid(Invalid::Expired(known)) => {
                format!("{known} has expired; ask an admin for another")
            }
            Self::Invalid(Invalid::Revoked(known)) => {
                format!("{known} was revoked; ask an admin for another")
            }
            Self::Slower(_) => "too many wrong tokens came from this address; try again later".to_owned(),
        }
    }

    /// For who runs the updater, and knows no header.
    fn for_a_host(self) -> Refusal {
        match self {
            Self::Slower(_) => self.into(),
            _ => Refusal::NotIn(format!(
                "{}; put a host token into the file that `tokenFile` in the updater's cfg.json names",
                self.sentence()
            )),
        }
    }
}

impl From<NotIn> for Problem {
    fn from(why: NotIn) -> Self {
        match why {
            NotIn::Slower(secs) => Self::new(StatusCode::TOO_MANY_REQUESTS, why.sentence()).retry_after(secs),
            _ => Self::new(StatusCode::UNAUTHORIZED, why.sentence()),
        }
    }
}

impl From<NotIn> for Refusal {
    fn from(why: NotIn) -> Self {
        match why {
            NotIn::Slower(secs) => Self::Slower(why.sentence(), secs),
            _ => Self::NotIn(why.sentence()),
        }
    }
}

/// The token that came with a request. A wrong one is counted against the address; a good one is never held up.
fn known(app: &App, parts: &Parts) -> Result<Arc<Known>, NotIn> {
    let text = bearer(&parts.headers).ok_or(NotIn::NoToken)?;
    let why = match app.tokens.find(text) {
        Ok(known) => return Ok(known),
        Err(Invalid::Unknown) => app
            .attempts
            .failed(address(&parts.extensions))
            .map_or(NotIn::Invalid(Invalid::Unknown), NotIn::Slower),
        Err(invalid) => NotIn::Invalid(invalid),
    };
    tell(app, parts, &why.sentence());
    Err(why)
}

/// Seldom, and without the token.
fn tell(app: &App, parts: &Parts, why: &str) {
    app.told
        .tokens
        .warn("token_refused", &[("peer", &*address(&parts.extensions).to_string()), ("why", why)]);
}

/// Another scheme, of a proxy perhaps, is no token.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, text) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| text.trim_ascii())
}

/// Where a request came from.
pub fn address(of: &Extensions) -> IpAddr {
    let peer = of.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())
}

/// Whoever has a token that counts.
pub struct Caller(Arc<Known>);

impl Caller {
    /// As events name it.
    pub fn actor(&self) -> Actor {
        self.0.actor()
    }

    pub fn role(&self) -> Role {
        self.0.token.role
    }

    pub fn hostname(&self) -> Option<&str> {
        self.0.token.hostname.as_deref()
    }

    /// Unix milliseconds.
    pub fn expires(&self) -> Option<i64> {
        self.0.token.expires
    }

    /// Itself, or why not.
    fn with(self, needed: Role) -> Result<Self, String> {
        if self.role().includes(needed) {
            return Ok(self);
        }
        Err(format!("this needs the role {needed}; {} has the role {}", self.0, self.role()))
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self(known(app, parts)?))
    }
}

/// A caller with at least this role: a handler that asks for one is reached by nobody else.
pub struct With<R> {
    pub caller: Caller,
    role: PhantomData<R>,
}

/// One role, as a type.
pub trait Needed {
    const ROLE: Role;
}

macro_rules! needed {
    ($($role:ident),*) => {$(
        pub enum $role {}

        impl Needed for $role {
            const ROLE: Role = Role::$role;
        }
    )*};
}

needed!(Viewer, Publisher, Operator, Admin);

impl<R: Needed> FromRequestParts<Arc<App>> for With<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?.with(R::ROLE);
        let caller = caller.map_err(|why| Problem::new(StatusCode::FORBIDDEN, why))?;
        Ok(Self { caller, role: PhantomData })
    }
}

/// Who asks for the lists of 2015: anybody, but where hosts have to show a token a viewer.
pub struct Looker;

impl FromRequestParts<Arc<App>> for Looker {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if !app.admission.is_anonymous() {
            Caller(known(app, parts)?).with(Role::Viewer).map_err(Refusal::NotAllowed)?;
        }
        Ok(Self)
    }
}

/// Who fetches packages: anybody, unless `packagesNeedToken` says otherwise; then any token will do, a host's too.
pub struct Fetcher;

impl FromRequestParts<Arc<App>> for Fetcher {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if app.running().config.packages_need_token {
            known(app, parts)?;
        }
        Ok(Self)
    }
}

/// Who sends a heartbeat.
pub enum Speaker {
    /// Somebody who has to show no token here.
    Anyone,
    Host(Arc<Known>),
}

impl Speaker {
    /// Whether it may speak for the host of this name.
    pub fn may_speak_for(&self, hostname: Hostname<'_>) -> Result<(), Refusal> {
        let Self::Host(known) = self else { return Ok(()) };
        match known.token.hostname.as_deref() {
            Some(own) if own != hostname.as_str() => {
                let why = format!("{known} is for the host {own} only, this heartbeat is of {hostname}");
                Err(Refusal::NotAllowed(why))
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<Arc<App>> for Speaker {
    type Rejection = Refusal;

    /// Where no token is needed one that is given has to count all the same.
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let known = match known(app, parts) {
            Err(NotIn::NoToken) if app.admission.is_anonymous() => return Ok(Self::Anyone),
            Err(NotIn::NoToken) => {
                tell(app, parts, "a heartbeat came without a token");
                return Err(NotIn::NoToken.for_a_host());
            }
            known => known.map_err(NotIn::for_a_host)?,
        };
        if known.token.role.includes(Role::Host) {
            return Ok(Self::Host(known));
        }
        let why =
            format!("a heartbeat needs a token of the role host; {known} has the role {}", known.token.role);
        Err(Refusal::NotAllowed(why))
    }
}
