//! One condition: a fact, and what is asked of it.

use std::net::IpAddr;

use ops_wire::{AgentName, NameError};

use super::expr::Expr;
use super::net::Net;
use super::operator::Operator;
use super::parse::Parser;
use super::real::{Real, Term};
use super::refusal::{Found, Refusal, Why};
use super::scan::near_fact;
use super::stable::{Fact, Key, Stable};
use super::word::is_joining;
use crate::domain::conformity::Conformity;
use crate::domain::host::State;

/// What an expression may ask.
pub trait Level: Sized {
    fn stable(term: Stable) -> Self;
    /// `None`: it may not ask what runs.
    fn real() -> Option<fn(Real) -> Self>;
}

impl Level for Stable {
    fn stable(term: Stable) -> Self {
        term
    }

    fn real() -> Option<fn(Real) -> Self> {
        None
    }
}

impl Level for Term {
    fn stable(term: Stable) -> Self {
        Self::Stable(term)
    }

    fn real() -> Option<fn(Real) -> Self> {
        Some(Self::Real)
    }
}

/// A condition, and whether its opposite was written.
pub type Read<T> = Result<(T, bool), Refusal>;

impl Parser<'_> {
    pub fn condition<T: Level>(&mut self) -> Result<Expr<T>, Refusal> {
        let at = self.scan.next();
        self.counted(at)?;
        let word = self.scan.name();
        if word.is_empty() || is_joining(word) {
            return Err(self.no_condition());
        }
        self.scan.at += word.len();
        let (term, negated) = match word.to_ascii_lowercase().as_str() {
            "version" => self.real("version", at, Self::version)?,
            "status" => self.real("status", at, Self::status)?,
            "error" => self.real("error", at, Self::error)?,
            "state" => self.real("state", at, |parser| {
                let (states, negated) = parser.choice("state", &State::ALL)?;
                Ok((Real::State(states), negated))
            })?,
            "current" => self.real("current", at, |parser| {
                let (current, negated) = parser.choice("current", &Conformity::ALL)?;
                Ok((Real::Current(current), negated))
            })?,
            "reboot" => self.real("reboot", at, Self::reboot)?,
            fact => {
                let (term, negated) = self.stable(fact, word, at)?;
                (T::stable(term), negated)
            }
        };
        Ok(if negated { Expr::Term(term).negated() } else { Expr::Term(term) })
    }

    fn real<T: Level>(
        &mut self,
        fact: &'static str,
        at: usize,
        read: impl FnOnce(&mut Self) -> Read<Real>,
    ) -> Read<T> {
        let made = T::real().ok_or(Refusal { at, why: Why::Real(fact) })?;
        read(self).map(|(term, negated)| (made(term), negated))
    }

    fn stable(&mut self, fact: &str, word: &str, at: usize) -> Read<Stable> {
        let fact = match fact {
            "hostname" | "host" => Fact::Hostname,
            "os" => Fact::Os,
            "arch" => Fact::Arch,
            "label" => Fact::Label(self.key("label")?),
            "ip" => return self.ip(),
            "has" => return Ok((Stable::Has(self.key("has")?), false)),
            _ => return self.label(word, at),
        };
        let (test, negated) = self.test(&fact.to_string())?;
        Ok((Stable::Text(fact, test), negated))
    }

    /// By its key alone.
    fn label(&mut self, word: &str, at: usize) -> Read<Stable> {
        let found = Found::of(word);
        if let Some(fact) = near_fact(word) {
            return Err(Refusal { at, why: Why::NearFact(found, fact) });
        }
        if word.contains(['*', '?']) {
            let why = Why::instead(word, &format!("hostname={}, if a hostname is meant", found.0));
            return Err(Refusal { at, why });
        }
        let (test, negated) = self.test(word).map_err(|refusal| match refusal.why {
            Why::NoOperator(_) => Refusal { at, why: Why::BareWord(found) },
            _ => refusal,
        })?;
        Ok((Stable::Text(Fact::Label(Key(word.into())), test), negated))
    }

    fn key(&mut self, fact: &'static str) -> Result<Key, Refusal> {
        let what = "the key of a label";
        let value = self.within(fact, "(KEY)", what)?;
        match value.text.is_empty() {
            true => Err(Refusal { at: value.at, why: Why::NoName(what, value.found(), NameError::Empty) }),
            false => Ok(Key(value.text.into())),
        }
    }

    pub fn agent(&mut self, fact: &'static str) -> Result<AgentName, Refusal> {
        let what = "the name of an agent";
        let value = self.within(fact, "(AGENT)", what)?;
        let none = |why| Refusal { at: value.at, why: Why::NoName(what, value.found(), why) };
        value.text.parse().map_err(none)
    }

    fn ip(&mut self) -> Read<Stable> {
        let (at, operator) = self.operator("ip")?;
        match operator {
            Operator::Is | Operator::IsNot => {
                let value = self.scan.value("an address")?;
                let none = |why| Refusal { at: value.at, why };
                let net = Net::read(&value.text).map_err(|why| none(Why::NoNet(value.found(), why)))?;
                if value.text.parse::<IpAddr>().is_err() {
                    return Err(none(Why::instead(&value.text, &format!("ip in {net}"))));
                }
                Ok((Stable::ip(vec![net]), operator == Operator::IsNot))
            }
            Operator::In if self.scan.eat("@") => {
                let why = Why::NotWith("in @LIST", "ip".to_owned(), "=, != and in with networks");
                Err(Refusal { at, why })
            }
            Operator::In => Ok((Stable::ip(self.nets()?), false)),
            other => Err(Refusal { at, why: Why::NotWith(other.as_str(), "ip".to_owned(), "=, != and in") }),
        }
    }

    fn nets(&mut self) -> Result<Vec<Net>, Refusal> {
        let what = "an address or a network such as 10.3.0.0/16";
        let net = |parser: &mut Self| {
            let value = parser.scan.value(what)?;
            let none = |why| Refusal { at: value.at, why: Why::NoNet(value.found(), why) };
            Net::read(&value.text).map_err(none)
        };
        match self.scan.eat("(") {
            true => self.listed(net),
            false => Ok(vec![net(self)?]),
        }
    }

    /// No condition begins here.
    fn no_condition(&mut self) -> Refusal {
        let rest = self.scan.rest();
        self.scan.refused(match rest.chars().next() {
            Some('!') => Why::instead("!", "`not`"),
            Some('"') => Why::instead("\"", "hostname=\"...\" or label(\"...\")=VALUE"),
            _ => Why::Expected("a condition such as env=prod", self.scan.found()),
        })
    }
}
