//! What a host needs to be selected, where that is something that can be looked up.
//!
//! A thousand groups are a thousand selectors, and a host is in ten of them. Whoever keeps groups by their anchors asks
//! only the selectors of those that a host can be in. An anchor is a condition that is simple enough to be a key;
//! whether the whole selector holds is another question.

use super::TERMS_MAX;
use super::expr::{Expr, Joint};
use super::net::Net;
use super::stable::{Fact, Stable};
use super::text::Test;

/// A longer list is not taken apart: to look a hostname up in it costs as much as to ask the selector.
const LISTED_WORDS_MAX: usize = 1000;
/// Of one selector; only one that names lists over and over comes to more, and is always asked.
const ANCHORS_MAX: usize = TERMS_MAX;
/// Of a condition with more words nobody counts who else asks for each of them; they are taken for as crowded as this.
const COUNTED_MAX: usize = 16;
const UNCOUNTED_CROWD: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Anchor<'a> {
    Hostname(Asked<'a>),
    Os(Asked<'a>),
    Arch(Asked<'a>),
    /// By its key.
    Label(&'a str, Asked<'a>),
    Ip(Net),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked<'a> {
    Is(&'a str),
    /// Any text begins with the empty one.
    Begins(&'a str),
}

/// Anchors of which one holds for every host that is selected.
#[derive(Debug)]
pub struct Needed<'a> {
    pub anchors: Vec<Anchor<'a>>,
    /// Of the most crowded one.
    crowd: usize,
}

impl Expr<Stable> {
    /// Those that are counted: what stands outside of any `not`.
    pub fn anchors(&self) -> Vec<Anchor<'_>> {
        match self {
            Self::All | Self::Not(_) => Vec::new(),
            Self::Term(term) => {
                term.anchors().filter(|anchors| anchors.len() <= COUNTED_MAX).unwrap_or_default()
            }
            Self::Joined(_, parts) => parts.iter().flat_map(Self::anchors).collect(),
        }
    }

    /// All parts of an `and` hold, so that those of any one of them do; of an `or`, those of all are needed. `crowd`
    /// says how many others are kept by an anchor: with `env=prod and role=db` in a thousand groups, of which each has a
    /// role of its own, it makes `env=prod` none.
    pub fn needed<'a>(&'a self, crowd: &impl Fn(&Anchor<'a>) -> usize) -> Option<Needed<'a>> {
        match self {
            Self::All | Self::Not(_) => None,
            Self::Term(term) => {
                let anchors = term.anchors()?;
                let crowd = match anchors.len() > COUNTED_MAX {
                    true => UNCOUNTED_CROWD,
                    false => anchors.iter().map(crowd).max().unwrap_or(0),
                };
                Some(Needed { anchors, crowd })
            }
            Self::Joined(Joint::And, parts) => {
                let needed = parts.iter().filter_map(|part| part.needed(crowd));
                needed.min_by_key(|needed| needed.crowd)
            }
            Self::Joined(Joint::Or, parts) => {
                let mut all = Needed { anchors: Vec::new(), crowd: 0 };
                for part in parts {
                    let needed = part.needed(crowd)?;
                    all.anchors.extend(needed.anchors);
                    all.crowd = all.crowd.max(needed.crowd);
                    if all.anchors.len() > ANCHORS_MAX {
                        return None;
                    }
                }
                Some(all)
            }
        }
    }
}

impl Stable {
    fn anchors(&self) -> Option<Vec<Anchor<'_>>> {
        Some(match self {
            Self::Text(Fact::Label(key), test) => {
                // A label that is compared is there.
                let asked = test.asked().unwrap_or_else(|| vec![Asked::Begins("")]);
                asked.into_iter().map(|asked| Anchor::Label(&key.0, asked)).collect()
            }
            Self::Text(Fact::Hostname, test) => test.asked()?.into_iter().map(Anchor::Hostname).collect(),
            Self::Text(Fact::Os, test) => test.asked()?.into_iter().map(Anchor::Os).collect(),
            Self::Text(Fact::Arch, test) => test.asked()?.into_iter().map(Anchor::Arch).collect(),
            Self::Ip(nets) => nets.iter().copied().map(Anchor::Ip).collect(),
            Self::Has(key) => vec![Anchor::Label(&key.0, Asked::Begins(""))],
        })
    }
}

impl Test {
    /// One of these is so wherever it holds; none of them is so of any text.
    fn asked(&self) -> Option<Vec<Asked<'_>>> {
        match self {
            Self::Is(glob) => match (glob.word(), glob.beginning()) {
                (Some(word), _) => Some(vec![Asked::Is(word)]),
                (None, "") => None,
                (None, beginning) => Some(vec![Asked::Begins(beginning)]),
            },
            Self::Matches(pattern) => {
                Some(pattern.beginnings()?.iter().map(|it| Asked::Begins(it)).collect())
            }
            Self::OneOf(words) => Some(words.iter().map(|word| Asked::Is(word)).collect()),
            Self::Listed(listed) if listed.words.len() > LISTED_WORDS_MAX => None,
            Self::Listed(listed) => Some(listed.words.iter().map(|word| Asked::Is(word)).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::domain::selector::{Lists, Selector};

    #[test]
    fn what_few_others_need_is_what_is_needed() {
        let list = |words: usize| Arc::new((0..words).map(|word| word.to_string().into()).collect());
        let lists = Lists::from([
            ("short".into(), list(1)),
            ("full".into(), list(LISTED_WORDS_MAX)),
            ("long".into(), list(LISTED_WORDS_MAX + 1)),
        ]);
        let selected = |selector: &str| Selector::parse(selector, &lists).unwrap();
        for (selector, expected) in [
            ("env=prod and role=db", &[Anchor::Label("role", Asked::Is("db"))][..]),
            ("env=prod and (role=db or not os=linux)", &[Anchor::Label("env", Asked::Is("prod"))]),
            ("os=linux and not (hostname=a or has(x))", &[Anchor::Os(Asked::Is("linux"))]),
            (
                "(env=prod or env=test) and hostname~\"^(bj|sh)-\" and os=linux",
                &[Anchor::Hostname(Asked::Begins("bj-")), Anchor::Hostname(Asked::Begins("sh-"))],
            ),
            ("env!~x and env~x", &[Anchor::Label("env", Asked::Begins(""))]),
            ("hostname in @short", &[Anchor::Hostname(Asked::Is("0"))]),
            ("ip in 10.0.0.0/8", &[Anchor::Ip(Net::read("10.0.0.0/8").unwrap())]),
            ("arch in (b, a)", &[Anchor::Arch(Asked::Is("a")), Anchor::Arch(Asked::Is("b"))]),
        ] {
            let crowd = |anchor: &Anchor<'_>| match anchor {
                Anchor::Label("env", _) => 9,
                Anchor::Os(_) => 10,
                _ => 1,
            };
            assert_eq!(selected(selector).needed(&crowd).as_deref(), Some(expected), "{selector}");
        }
        let over_and_over = ["hostname in @full"; ANCHORS_MAX / LISTED_WORDS_MAX + 1].join(" or ");
        for selector in [
            "all",
            "not env=prod",
            "hostname=*a",
            "hostname~a",
            "hostname in @long",
            &over_and_over,
            "env=prod or all",
            "os!=linux",
        ] {
            assert_eq!(selected(selector).needed(&|_| 1), None, "{selector}");
        }
    }
}
