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
        let standing = self.standing().clone();
        let mut hosts = named(&meant.hosts, &standing.desired)?;
        if !meant.allow_unknown {
            let is_unknown = |name: &&String| self.fleet.look(name, |_| ()).is_none();
            are_known(hosts.iter().filter(is_unknown))?;
        }
        if !meant.select.is_empty() {
            let selector = Selector::parse(&meant.select, standing.desired.lists());
            let selector = selector.map_err(|why| field("select", format!("`select`, {why}")))?;
            hosts.extend(self.selected(selector).await?);
        }
        match hosts.len() {
            0 if meant.hosts.is_empty() && !meant.select.is_empty() => {
                Err(field("select", "no host is selected that is known".to_owned()))
            }
            0 => {
                Err(field("hosts", "nobody is meant; name hosts, a list as @NAME, or a selector".to_owned()))
            }
            count if count > HOSTS_MAX => {
                let why = format!(
                    "{count} hosts are meant, and {HOSTS_MAX} may be; say it several times, or for a version make a \
                     group, and roll its policy out"
                );
                Err(field(if meant.select.is_empty() { "hosts" } else { "select" }, why))
            }
            _ => Ok(hosts.into_iter().collect()),
        }
    }

    /// Every host is asked: beats do not wait for it.
    async fn selected(self: Arc<Self>, selector: Selector) -> Result<Vec<String>, NotMeant> {
        let look = self.look_in_time().await?;
        let looking = tokio::task::spawn_blocking(move || {
            let _look = look;
            let mut selected = Vec::new();
            self.fleet.visit(|hostname, host| {
                if selector.matches(&host.stable(hostname)) {
                    selected.push(hostname.to_owned());
                }
            });
            selected
        });
        looking.await.map_err(|_| NotMeant::BrokenOff)
    }
}

/// The hosts of these names, and of these lists.
fn named(names: &[String], desired: &Desired) -> Result<BTreeSet<String>, NotMeant> {
    let mut hosts = BTreeSet::new();
    for name in names {
        match name.strip_prefix('@') {
            Some(list) => {
                let words = desired.document().lists.get(list);
                let words = words.ok_or_else(|| field("hosts", format!("there is no list {list:?}")))?;
                hosts.extend(words.iter().cloned());
            }
            None => _ = hosts.insert(name.clone()),
        }
    }
    let wrong = hosts.iter().find_map(|name| Some((name, Hostname::check(name).err()?)));
    wrong.map_or(Ok(()), |(name, why)| Err(field("hosts", format!("{name:?} is no host: {why}"))))?;
    Ok(hosts)
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
