//! The first start makes one token, of an admin, and leaves it in a file for whoever may read the data folder. It never
//! happens again, even when the file is gone: `ops-meta token create --data` is the way back.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::domain::role::Role;
use crate::log;
use crate::store::{self, Actor, NewToken, Store, StoreError};
use crate::tokens::{NoRandomness, Secret, Tokens};

/// In the data folder.
pub const FILE: &str = "admin.token";
const NAME: &str = "first admin";

/// Why the tokens are not there.
#[derive(Debug)]
pub enum NoTokens {
    Store(PathBuf, StoreError),
    Randomness,
    File(PathBuf, io::Error),
}

/// What a start has to tell of the tokens that it found.
pub enum AtStart {
    /// There was none; the first one is in this file now.
    Made(PathBuf),
    /// There are some in this folder, and nobody may give or revoke any.
    NoAdmin(PathBuf),
    Usual,
}

/// All tokens. Where there was none the first one is made.
pub async fn tokens(store: &Store, folder: &Path) -> Result<(Tokens, AtStart), NoTokens> {
    let failed = |why| NoTokens::Store(folder.join(store::FILE), why);
    let known = store.tokens().await.map_err(failed)?;
    let is_first = known.is_empty();
    let tokens = Tokens::of(known);
    let at_start = match is_first {
        true => AtStart::Made(first(store, &tokens, folder).await?),
        false if tokens.have_an_admin() => AtStart::Usual,
        false => AtStart::NoAdmin(folder.to_owned()),
    };
    Ok((tokens, at_start))
}

/// The file is safe on the disk before the token counts: one without the other would let nobody in. A file that was
/// left by a start that did not get further is replaced.
async fn first(store: &Store, tokens: &Tokens, folder: &Path) -> Result<PathBuf, NoTokens> {
    let secret = Secret::new().map_err(|NoRandomness| NoTokens::Randomness)?;
    let hash = secret.hash();
    let path = folder.join(FILE);
    write(folder, &path, &secret.expose()).map_err(|error| NoTokens::File(path.clone(), error))?;
    let new = NewToken { name: NAME.to_owned(), role: Role::Admin, hostname: None, hash, expires: None };
    let created = tokens.create(store, Actor("ops-meta".to_owned()), new).await;
    created.map_err(|why| NoTokens::Store(folder.join(store::FILE), why))?;
    Ok(path)
}

fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("token.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    #[allow(clippy::disallowed_methods, reason = "what is renamed is synced, and the folder is below")]
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

impl AtStart {
    /// Names the file, never what is in it.
    pub fn tell(&self) {
        match self {
            Self::Made(path) => {
                let why =
                    "this is the first start: the token of an admin is in this file; nobody else has one";
                log::line("first_token", &[("file", &*path.to_string_lossy()), ("why", why)]);
            }
            Self::NoAdmin(folder) => {
                let why = format!(
                    "no token of an admin counts, so nobody gives or revokes tokens; stop ops-meta and say \
                     `ops-meta token create NAME --role admin --data {}`",
                    folder.display()
                );
                log::line("no_admin_token", &[("level", "warning"), ("why", &why)]);
            }
            Self::Usual => {}
        }
    }
}

impl fmt::Display for NoTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(path, why) => write!(
                f,
                "failed to read or make the tokens in `{}`: {why}; if that does not help, `ops-meta restore` puts a \
                 backup in its place",
                path.display()
            ),
            Self::Randomness => {
                f.write_str("failed to make a token: the operating system gives no random bytes")
            }
            Self::File(path, error) => {
                write!(f, "failed to write the first token to `{}`: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for NoTokens {}
