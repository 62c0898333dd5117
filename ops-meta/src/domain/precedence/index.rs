//! Which groups a host can be in, without a look at every selector.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use crate::domain::Prefixes;
use crate::domain::selector::{Anchor, Asked, HostFacts, Net, Selector};

/// Numbers of groups, by what a host needs to be in them.
#[derive(Debug, Clone, Default)]
pub struct Index {
    hostname: Texts,
    os: Texts,
    arch: Texts,
    /// By their keys.
    labels: HashMap<Box<str>, Texts>,
    ip: Nets,
    /// Nothing is known that a host needs: these can have any.
    any: Vec<u32>,
}

#[derive(Debug, Clone, Default)]
struct Texts {
    words: HashMap<Box<str>, Vec<u32>>,
    beginnings: Prefixes<Vec<u32>>,
}

#[derive(Debug, Clone, Default)]
struct Nets {
    groups: HashMap<Net, Vec<u32>>,
    /// Those that occur: a look-up costs one probe each.
    prefixes: BTreeSet<u8>,
}

impl Index {
    /// The first selector is that of group 0.
    pub fn new<'a>(selectors: impl Iterator<Item = &'a Selector> + Clone) -> Self {
        let mut crowds: HashMap<Anchor<'_>, usize> = HashMap::new();
        for anchor in selectors.clone().flat_map(Selector::anchors) {
            *crowds.entry(anchor).or_default() += 1;
        }
        let crowd = |anchor: &Anchor<'_>| crowds.get(anchor).copied().unwrap_or(0);
        let mut index = Self::default();
        for (group, selector) in (0..).zip(selectors) {
            match selector.needed(&crowd) {
                Some(anchors) => anchors.into_iter().for_each(|anchor| index.keep(anchor, group)),
                None => index.any.push(group),
            }
        }
        index
    }

    fn keep(&mut self, anchor: Anchor<'_>, group: u32) {
        match anchor {
            Anchor::Hostname(asked) => self.hostname.keep(asked, group),
            Anchor::Os(asked) => self.os.keep(asked, group),
            Anchor::Arch(asked) => self.arch.keep(asked, group),
            Anchor::Label(key, asked) => self.labels.entry(key.into()).or_default().keep(asked, group),
            Anchor::Ip(net) => self.ip.keep(net, group),
        }
    }

    /// Adds all groups that a host can be in, in no order, and some of them twice.
    pub fn find(&self, host: &HostFacts<'_>, found: &mut Vec<u32>) {
        self.hostname.find(host.hostname, found);
        self.os.find(host.os, found);
        self.arch.find(host.arch, found);
        for (key, value) in host.labels {
            if let Some(texts) = self.labels.get(&**key) {
                texts.find(value, found);
            }
        }
        if let Some(ip) = host.ip {
            self.ip.find(ip, found);
        }
        found.extend(&self.any);
    }
}

impl Texts {
    fn keep(&mut self, asked: Asked<'_>, group: u32) {
        match asked {
            Asked::Begins(beginning) => self.beginnings.of(beginning).push(group),
            // Lists are long, and several groups have the same one: no word is copied twice.
            Asked::Is(word) => match self.words.get_mut(word) {
                Some(groups) => groups.push(group),
                None => {
                    self.words.insert(word.into(), vec![group]);
                }
            },
        }
    }

    fn find(&self, text: &str, found: &mut Vec<u32>) {
        found.extend(self.words.get(text).into_iter().flatten());
        found.extend(self.beginnings.find_all(text).flatten());
    }
}

impl Nets {
    fn keep(&mut self, net: Net, group: u32) {
        self.prefixes.insert(net.prefix());
        self.groups.entry(net).or_default().push(group);
    }

    fn find(&self, ip: IpAddr, found: &mut Vec<u32>) {
        let nets = self.prefixes.iter().map(|&prefix| Net::around(ip, prefix));
        found.extend(nets.filter_map(|net| self.groups.get(&net)).flatten());
    }
}
