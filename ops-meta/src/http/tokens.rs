//! Tokens: who has which, new ones, and those that no longer count.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ops_wire::Hostname;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{self, Nothing, Query, Segment};
use super::auth::{Admin, Caller, With};
use super::page::{self, Page};
use super::problem::{Problem, Problems};
use super::whole::whole;
use crate::clock::now_ms;
use crate::domain::role::Role;
use crate::running::App;
use crate::store::{LastAdmin, NewToken};
use crate::tokens::{Known, NoRandomness, Secret, is_name};

/// Ten years.
const EXPIRES_SECS_MAX: i64 = 315_360_000;

/// Who calls.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whoami {
    /// As events name it.
    actor: String,
    role: Role,
    /// The only host that may use the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    /// Unix milliseconds; null: never.
    expires: Option<i64>,
}

/// Who the token is, and what it may do.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "tokens", security(("token" = [])),
    responses((status = 200, body = Whoami), Problems))]
pub async fn whoami(caller: Caller, _: Query<Nothing>) -> Json<Whoami> {
    Json(Whoami {
        actor: caller.actor().0,
        role: caller.role(),
        hostname: caller.hostname().map(str::to_owned),
        expires: caller.expires(),
    })
}

/// A token, without its secret. Times are Unix milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    id: i64,
    name: String,
    role: Role,
    /// Of a host's token: the only host that may use it.
    hostname: Option<String>,
    created: i64,
    expires: Option<i64>,
    revoked: Option<i64>,
    /// To about a minute; of a host to about an hour.
    last_used: Option<i64>,
}

impl From<&Known> for Token {
    fn from(known: &Known) -> Self {
        let token = &known.token;
        Self {
            id: token.id,
            name: token.name.clone(),
            role: token.role,
            hostname: token.hostname.clone(),
            created: token.created,
            expires: token.expires,
            revoked: token.revoked,
            last_used: known.last_used(),
        }
    }
}

/// In the order in which they were made.
#[derive(Serialize, ToSchema)]
pub struct TokenList {
    tokens: Vec<Token>,
    /// For `cursor`, where there are more.
    next: Option<String>,
    /// Where it was asked for.
    total: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAsked {
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: page::Limit,
    /// `next` of the answer before.
    #[param(value_type = Option<i64>, minimum = 0)]
    cursor: Option<page::Cursor>,
    /// Count them all?
    #[serde(default)]
    #[param(default = false)]
    total: bool,
}

/// All tokens, those that no longer count too.
#[utoipa::path(get, operation_id = "listTokens", path = "/api/v1/tokens", tag = "tokens", params(ListAsked), security(("token" = [])),
    responses((status = 200, body = TokenList), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    _: With<Admin>,
    Query(asked): Query<ListAsked>,
) -> Json<TokenList> {
    let all = app.tokens.all();
    let total = asked.total.then_some(all.len());
    let after = asked.cursor.map_or(0, |cursor| cursor.0);
    let rest = all.iter().filter(|known| known.token.id > after);
    let page = Page::of(rest, asked.limit, |known| known.token.id);
    let tokens = page.items.into_iter().map(|known| Token::from(&**known)).collect();
    Json(TokenList { tokens, next: page.next, total })
}

/// A token that is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenWanted {
    /// Printable ASCII, no blank at either end. No two tokens that count have the same.
    #[schema(min_length = 1, max_length = 64, pattern = "^[!-~]([ -~]{0,62}[!-~])?$")]
    name: String,
    role: Role,
    /// With the role `host` only: the one host that may use it.
    #[schema(min_length = 1, max_length = 253)]
    hostname: Option<String>,
    /// From now on; never, if it is not given.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in_secs: Option<i64>,
}

impl TokenWanted {
    fn checked(self, secret: &Secret) -> Result<NewToken, Problem> {
        if !is_name(&self.name) {
            let detail = "`name` has to be 1 to 64 printable ASCII characters, without a blank at either end";
            return Err(Problem::field("name", detail));
        }
        if let Some(hostname) = &self.hostname {
            Hostname::check(hostname).map_err(|why| Problem::field("hostname", why.to_string()))?;
            if self.role != Role::Host {
                let detail =
                    format!("only a token of the role host is for one host; this is to be {}", self.role);
                return Err(Problem::field("hostname", detail));
            }
        }
        if self.expires_in_secs.is_some_and(|secs| !(1..=EXPIRES_SECS_MAX).contains(&secs)) {
            let detail = format!("`expiresInSecs` has to be 1 to {EXPIRES_SECS_MAX}");
            return Err(Problem::field("expiresInSecs", detail));
        }
        let expires = self.expires_in_secs.map(|secs| now_ms() + secs * 1000);
        let (name, role, hostname) = (self.name, self.role, self.hostname);
        Ok(NewToken { name, role, hostname, hash: secret.hash(), expires })
    }
}

/// A new token, and what to send.
#[derive(Serialize, ToSchema)]
pub struct TokenCreated {
    #[serde(flatten)]
    token: Token,
    /// Shown here and never again.
    secret: String,
}

/// Makes a token.
#[utoipa::path(post, operation_id = "createToken", path = "/api/v1/tokens", tag = "tokens", request_body = TokenWanted,
    security(("token" = [])), responses((status = 201, body = TokenCreated), Problems))]
pub async fn create(
    State(app): State<Arc<App>>,
    admin: With<Admin>,
    asked::Json(wanted): asked::Json<TokenWanted>,
) -> Result<(StatusCode, Json<TokenCreated>), Problem> {
    let secret = Secret::new().map_err(|NoRandomness| no_randomness())?;
    let new = wanted.checked(&secret)?;
    let known = whole(async move { app.tokens.create(&app.store, admin.caller.actor(), new).await }).await?;
    let created = TokenCreated { token: Token::from(&*known), secret: secret.expose() };
    Ok((StatusCode::CREATED, Json(created)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevokeAsked {
    /// Even the last token of an admin?
    #[serde(default)]
    #[param(default = false)]
    force: bool,
}

/// Makes a token count no longer.
///
/// The last token of an admin that counts is kept (409) unless that is forced.
#[utoipa::path(delete, operation_id = "revokeToken", path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = i64, Path, minimum = 1), RevokeAsked), security(("token" = [])), responses((status = 204), Problems))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    admin: With<Admin>,
    Segment(id): Segment,
    Query(asked): Query<RevokeAsked>,
) -> Result<StatusCode, Problem> {
    let id: i64 = id.parse().map_err(|_| Problem::missing(format!("token {id:?}")))?;
    let last_admin = if asked.force { LastAdmin::MayGo } else { LastAdmin::Stays };
    whole(async move { app.tokens.revoke(&app.store, admin.caller.actor(), id, last_admin).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_randomness() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the operating system gives no random bytes; try again")
        .retry_after(1)
}
