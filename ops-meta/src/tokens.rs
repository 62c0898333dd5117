//! Every token, in memory: found by the sha256 of its text, which takes the same time for any guess. They keep counting
//! while the database is away. The table lies in parts, so that a change replaces a small one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use crate::clock::now_ms;
use crate::domain::hex::hex;
use crate::domain::role::Role;
use crate::store::{Actor, Change, LastAdmin, NewToken, Store, StoreError, Token, TokenHash};

/// What the text of a token begins with, so that one that lies about is recognised.
const PREFIX: &str = "opsm_";
const RANDOM_BYTES: usize = 32;
const NAME_CHARS_MAX: usize = 64;
/// How exactly the last use is known; of hosts, which may have a token each and speak all the time, to the hour.
const USED_EVERY_MS: i64 = 60_000;
const USED_BY_HOST_EVERY_MS: i64 = 3_600_000;

/// The text of a token. Shown once, never kept, never logged.
pub struct Secret(String);

impl Secret {
    /// `opsm_` and 64 hexadecimal digits.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut bytes = [0; RANDOM_BYTES];
        OsRng.try_fill_bytes(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(PREFIX.to_owned() + &hex(&bytes)))
    }

    pub fn hash(&self) -> TokenHash {
        hash(self.0.as_bytes())
    }

    /// For the one answer or file that tells it.
    pub fn expose(self) -> String {
        self.0
    }
}

/// The operating system gave none.
#[derive(Debug)]
pub struct NoRandomness;

/// Printable ASCII, without a blank at either end.
pub fn is_name(text: &str) -> bool {
    let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    printable && !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.trim() == text
}

fn hash(text: &[u8]) -> TokenHash {
    Sha256::digest(text).into()
}

/// One token, and when it was last used.
pub struct Known {
    pub token: Token,
    /// Unix milliseconds; 0: never.
    used: AtomicI64,
    /// What of it the database has heard.
    written: AtomicI64,
}

impl Known {
    fn of(token: Token) -> Self {
        let used = token.last_used.unwrap_or_default();
        Self { token, used: AtomicI64::new(used), written: AtomicI64::new(used) }
    }

    /// As events name it.
    pub fn actor(&self) -> Actor {
        Actor(self.to_string())
    }

    /// Unix milliseconds, to about a minute; of a host's token to about an hour.
    pub fn last_used(&self) -> Option<i64> {
        Some(self.used.load(Ordering::Relaxed)).filter(|&at| at > 0)
    }

    fn use_it(&self, now: i64) {
        let every = if self.token.role == Role::Host { USED_BY_HOST_EVERY_MS } else { USED_EVERY_MS };
        if now - self.used.load(Ordering::Relaxed) >= every {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    fn revoked(&self, at: i64) -> Self {
        let token = Token { revoked: Some(at), ..self.token.clone() };
        let same = |it: &AtomicI64| AtomicI64::new(it.load(Ordering::Relaxed));
        Self { token, used: same(&self.used), written: same(&self.written) }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {} ({})", self.token.id, self.token.name)
    }
}

/// Why a text opens nothing.
#[derive(Clone)]
pub enum Invalid {
    Unknown,
    Expired(Arc<Known>),
    Revoked(Arc<Known>),
}

type Table = HashMap<TokenHash, Arc<Known>>;

/// By the first byte of the hash.
const PARTS: usize = 256;

/// The table.
pub struct Tokens {
    parts: [ArcSwap<Table>; PARTS],
}

impl Tokens {
    pub fn of(tokens: Vec<Token>) -> Self {
        let mut parts: [Table; PARTS] = std::array::from_fn(|_| Table::new());
        for token in tokens {
            let [first, ..] = token.hash;
            if let Some(part) = parts.get_mut(usize::from(first)) {
                part.insert(token.hash, Arc::new(Known::of(token)));
            }
        }
        Self { parts: parts.map(ArcSwap::from_pointee) }
    }

    fn part(&self, hash: &TokenHash) -> &ArcSwap<Table> {
        let [first, ..] = *hash;
        #[allow(clippy::indexing_slicing, reason = "there is a part for every byte")]
        &self.parts[usize::from(first)]
    }

    /// The token of this text, if it counts at this moment.
    pub fn find(&self, text: &[u8]) -> Result<Arc<Known>, Invalid> {
        let hash = hash(text);
        let known = self.part(&hash).load().get(&hash).cloned().ok_or(Invalid::Unknown)?;
        let now = now_ms();
        if known.token.revoked.is_some() {
            return Err(Invalid::Revoked(known));
        }
        if known.token.has_expired(now) {
            return Err(Invalid::Expired(known));
        }
        known.use_it(now);
        Ok(known)
    }

    /// Whether anybody may give and revoke tokens at this moment.
    pub fn have_an_admin(&self) -> bool {
        let now = now_ms();
        let counts = |token: &Token| token.revoked.is_none() && !token.has_expired(now);
        self.each(|known| (known.token.role == Role::Admin && counts(&known.token)).then_some(()))
            .next()
            .is_some()
    }

    /// In the order in which they were made, those that no longer count too.
    pub fn all(&self) -> Vec<Arc<Known>> {
        let mut all: Vec<_> = self.each(|known| Some(known.clone())).collect();
        all.sort_unstable_by_key(|known| known.token.id);
        all
    }

    /// What `look` finds.
    fn each<T>(&self, look: impl Fn(&Arc<Known>) -> Option<T>) -> impl Iterator<Item = T> {
        self.parts.iter().flat_map(move |part| part.load().values().filter_map(&look).collect::<Vec<_>>())
    }

    fn put(&self, known: &Arc<Known>) {
        self.part(&known.token.hash).rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(known.token.hash, known.clone());
            table
        });
    }

    /// Which were used since this was asked last, and when: for the database.
    pub fn take_used(&self) -> Vec<(i64, i64)> {
        let unwritten = |known: &Arc<Known>| {
            let used = known.used.load(Ordering::Relaxed);
            (known.written.swap(used, Ordering::Relaxed) != used).then_some((known.token.id, used))
        };
        self.each(unwritten).collect()
    }

    /// In the database, then in memory: not to be broken off in between. Nobody else has his turn before both are done, so
    /// that tokens change here in the order in which they do there.
    pub async fn create(&self, store: &Store, actor: Actor, new: NewToken) -> Result<Arc<Known>, StoreError> {
        let turn = store.turn().await?;
        let changed = store.change_in(turn.clone(), actor, Change::CreateToken(new.clone())).await?;
        let NewToken { name, role, hostname, hash, expires } = new;
        let id = changed.id.unwrap_or_default();
        let created = changed.event.map_or_else(now_ms, |event| event.at);
        let token =
            Token { id, name, role, hostname, hash, created, expires, revoked: None, last_used: None };
        let known = Arc::new(Known::of(token));
        self.put(&known);
        drop(turn);
        Ok(known)
    }

    /// The same.
    pub async fn revoke(
        &self,
        store: &Store,
        actor: Actor,
        id: i64,
        last_admin: LastAdmin,
    ) -> Result<(), StoreError> {
        let turn = store.turn().await?;
        let change = Change::RevokeToken { id, last_admin };
        let changed = store.change_in(turn.clone(), actor, change).await?;
        // It may have been revoked there before.
        let at = changed.event.map_or_else(now_ms, |event| event.at);
        let valid = |known: &Arc<Known>| {
            (known.token.id == id && known.token.revoked.is_none()).then(|| Arc::new(known.revoked(at)))
        };
        self.each(valid).for_each(|revoked| self.put(&revoked));
        drop(turn);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn token(text: &str, expires: Option<i64>, revoked: Option<i64>) -> Token {
        let (name, role, hostname) = ("t".to_owned(), Role::Viewer, None);
        let hash = hash(text.as_bytes());
        Token { id: 1, name, role, hostname, hash, created: 1, expires, revoked, last_used: None }
    }

    #[test]
    fn a_token_counts_until_it_expires_or_is_revoked() {
        let future = Some(now_ms() + 100_000);
        let tokens = Tokens::of(vec![
            token("good", future, None),
            token("old", Some(now_ms()), None),
            token("gone", future, Some(1)),
        ]);
        assert!(tokens.find(b"good").is_ok());
        assert!(matches!(tokens.find(b"old"), Err(Invalid::Expired(_))));
        assert!(matches!(tokens.find(b"gone"), Err(Invalid::Revoked(_))));
        assert!(matches!(tokens.find(b"goo"), Err(Invalid::Unknown)));
        assert!(matches!(tokens.find(b""), Err(Invalid::Unknown)));
    }

    #[test]
    fn a_use_is_told_once() {
        let tokens = Tokens::of(vec![token("good", None, None)]);
        assert_eq!(tokens.take_used(), []);
        let used = tokens.find(b"good").ok().unwrap().last_used().unwrap();
        assert_eq!(tokens.take_used(), [(1, used)]);
        tokens.find(b"good").ok().unwrap();
        assert_eq!(tokens.take_used(), []);
    }

    #[test]
    fn of_a_hosts_token_the_last_use_is_known_to_the_hour() {
        let used = |role, minutes_ago: i64| {
            let last_used = Some(now_ms() - minutes_ago * 60_000);
            let tokens = Tokens::of(vec![Token { role, last_used, ..token("good", None, None) }]);
            tokens.find(b"good").ok().unwrap();
            tokens.take_used().len()
        };
        assert_eq!((used(Role::Viewer, 2), used(Role::Host, 2), used(Role::Host, 61)), (1, 0, 1));
    }

    #[tokio::test]
    async fn a_token_that_the_database_knows_as_revoked_counts_no_longer() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (tokens, actor) = (Tokens::of(Vec::new()), || Actor("a test".to_owned()));
        let (hash, name) = (hash(b"good"), "t".to_owned());
        let new = NewToken { name, role: Role::Viewer, hostname: None, hash, expires: None };
        let id = tokens.create(&store, actor(), new).await.unwrap().token.id;
        let last_admin = LastAdmin::Stays;
        store.change(actor(), Change::RevokeToken { id, last_admin }).await.unwrap();
        assert!(tokens.find(b"good").is_ok());
        tokens.revoke(&store, actor(), id, last_admin).await.unwrap();
        assert!(matches!(tokens.find(b"good"), Err(Invalid::Revoked(_))));
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let [one, other] = [(); 2].map(|()| Secret::new().unwrap().expose());
        assert_ne!(one, other);
        let digits = one.strip_prefix(PREFIX).unwrap();
        assert!(digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{one}");
    }
}
