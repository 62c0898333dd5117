//! Which hosts somebody means: names, lists as `@NAME`, and those that a selector selects, as all of that is now.

use std::collections::BTreeSet;
use std::sync::Arc;

use ops_wire::Hostname;

use crate::domain::desired::Desired;
use crate::domain::job::HOSTS_MAX;
use crate::domain::selector::Selector;
use crate::running::App;
use crate::store::StoreError;

/// How many hosts a refusal names.
const NAMED_MAX: usize = 10;

#[derive(Debug, Clone, Default)]
pub struct MeantHosts {
    /// Names, and lists as `@NAME`.
    pub hosts: Vec<String>,
    /// A selector; empty: nobody else.
    pub select: String,
    /// Though hosts of these names were never heard of.
    pub allow_unknown: bool,
}

/// Why nobody is meant.
#[derive(Debug)]
pub enum NotMeant {
    /// This field is wrong.
    Field(&'static str, String),
    Store(StoreError),
    BrokenOff,
}

impl MeantHosts {
    pub fn is_nobody(&self) -> bool {
        self.hosts.is_empty() && self.select.is_empty()
    }
}

impl App {
    /// Everybody who is meant, by name.
    pub async fn meant_hosts(self: Arc<Self>, meant: &MeantHosts) -> Result<Vec<String>, NotMeant> {
        // Long lists are read, and perhaps every host is asked: beats do not wait for it.
        let look = if meant.select.is_empty() { None } else { Some(self.look_in_time().await?) };
        let meant = meant.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let _look = look;
            self.everybody(&meant)
        });
        looking.await.map_err(|_| NotMeant::BrokenOff)?
    }

    fn everybody(&self, meant: &MeantHosts) -> Result<Vec<String>, NotMeant> {
        let standing = self.standing().clone();
        let mut hosts = named(&meant.hosts, &standing.desired)?;
        if !meant.allow_unknown {
            let is_unknown = |name: &&String| self.fleet.look(name, |_| ()).is_none();
            are_known(hosts.iter().filter(is_unknown))?;
        }
        if !meant.select.is_empty() {
            let selector = Selector::parse(&meant.select, standing.desired.lists());
            let selector = selector.map_err(|why| field("select", format!("`select`, {why}")))?;
            self.fleet.visit(|hostname, host| {
                if selector.matches(&host.stable(hostname)) {
                    hosts.insert(hostname.to_owned());
                }
            });
        }
        match hosts.len() {
            0 if meant.hosts.is_empty() && !meant.select.is_empty() => {
                Err(field("select", "no host is selected that is known".to_owned()))
            }
            0 => {
                Err(field("hosts", "nobody is meant; name hosts, a list as @NAME, or a selector".to_owned()))
            }
            count if count > HOSTS_MAX => Err(too_many(count, "select")),
            _ => Ok(hosts.into_iter().collect()),
        }
    }
}

/// The hosts of these names, and of these lists.
fn named(names: &[String], desired: &Desired) -> Result<BTreeSet<String>, NotMeant> {
    let mut hosts = BTreeSet::new();
    // Each once, however often it is said, and no more than there may be.
    for name in names.iter().map(String::as_str).collect::<BTreeSet<_>>() {
        match name.strip_prefix('@') {
            Some(list) => {
                let words = desired.document().lists.get(list);
                let words = words.ok_or_else(|| field("hosts", format!("there is no list {list:?}")))?;
                hosts.extend(words.iter().cloned());
            }
            None => _ = hosts.insert(name.to_owned()),
        }
        if hosts.len() > HOSTS_MAX {
            return Err(too_many(hosts.len(), "hosts"));
        }
    }
    let wrong = hosts.iter().find_map(|name| Some((name, Hostname::check(name).err()?)));
    wrong.map_or(Ok(()), |(name, why)| Err(field("hosts", format!("{name:?} is no host: {why}"))))?;
    Ok(hosts)
}

fn too_many(count: usize, of: &'static str) -> NotMeant {
    let why = format!(
        "{count} hosts are meant, and {HOSTS_MAX} may be; say it several times, or for a version make a group, and roll \
         its policy out"
    );
    field(of, why)
}

fn are_known<'a>(unknown: impl Iterator<Item = &'a String>) -> Result<(), NotMeant> {
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let some = unknown.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = if unknown.len() > NAMED_MAX { ", ..." } else { "" };
    Err(field(
        "hosts",
        format!(
            "not known: {some}{more} ({} of those named); --allow-unknown (`allowUnknown`) takes them all the same, and they are told once \
             they come",
            unknown.len()
        ),
    ))
}

fn field(field: &'static str, why: String) -> NotMeant {
    NotMeant::Field(field, why)
}

impl From<StoreError> for NotMeant {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}
