//! Conditions on what runs, as they are written.

use std::fmt;

use ops_wire::Status;

use super::condition::Read;
use super::operator::Operator;
use super::parse::Parser;
use super::real::Real;
use super::refusal::{Refusal, Why};
use super::scan::Value;
use crate::domain::nearest::nearest;

const OF_CHOICES: &str = "=, != and in";

impl Parser<'_> {
    pub fn version(&mut self) -> Read<Real> {
        let agent = self.agent("version")?;
        let fact = format!("version({agent})");
        let (at, operator) = self.operator(&fact)?;
        let Operator::Ordered(order) = operator else {
            let (test, negated) = self.test_by(&fact, at, operator, |word| word)?;
            return Ok((Real::Version(agent, test), negated));
        };
        let what = "a version";
        let value = self.scan.value(what)?;
        let none = |why| Refusal { at: value.at, why: Why::NoName(what, value.found(), why) };
        Ok((Real::Ordered(agent, order, value.text.parse().map_err(none)?), false))
    }

    pub fn status(&mut self) -> Read<Real> {
        let agent = self.agent("status")?;
        let fact = format!("status({agent})");
        let (at, operator) = self.operator(&fact)?;
        let (test, negated) = self.test_by(&fact, at, operator, spelled)?;
        Ok((Real::Status(agent, test), negated))
    }

    pub fn error(&mut self) -> Read<Real> {
        self.scan.next();
        let agent = if self.scan.rest().starts_with('(') { Some(self.agent("error")?) } else { None };
        let (test, negated) = self.test("error")?;
        Ok((Real::Error(agent, test), negated))
    }

    pub fn reboot(&mut self) -> Read<Real> {
        let (at, operator) = self.operator("reboot")?;
        if !matches!(operator, Operator::Is | Operator::IsNot) {
            return Err(Refusal {
                at,
                why: Why::NotWith(operator.as_str(), "reboot".to_owned(), "= and !="),
            });
        }
        let value = self.scan.value("yes or no")?;
        let no = chosen(&value, &["yes", "no"])? == "no";
        Ok((Real::RebootRequired, no != (operator == Operator::IsNot)))
    }

    pub fn choice<T: Ord + Clone + fmt::Display>(&mut self, fact: &str, all: &[T]) -> Read<Box<[T]>> {
        let (at, operator) = self.operator(fact)?;
        let one = |parser: &mut Self| chosen(&parser.scan.value("a word")?, all);
        let mut chosen = match operator {
            Operator::Is | Operator::IsNot => vec![one(self)?],
            Operator::In if self.scan.eat("(") => self.listed(one)?,
            Operator::In => return Err(self.scan.refused(Why::Expected("(a, b)", self.scan.found()))),
            other => {
                let why = Why::NotWith(other.as_str(), fact.to_owned(), OF_CHOICES);
                return Err(Refusal { at, why });
            }
        };
        chosen.sort();
        chosen.dedup();
        Ok((chosen.into(), operator == Operator::IsNot))
    }
}

/// On the wire it is `stoped`, as in 2015.
fn spelled(word: &str) -> &str {
    if word == "stopped" { Status::Stopped.as_str() } else { word }
}

fn chosen<T: Clone + fmt::Display>(value: &Value<'_>, all: &[T]) -> Result<T, Refusal> {
    let words: Vec<_> = all.iter().map(T::to_string).collect();
    let found = words.iter().zip(all).find(|(word, _)| **word == value.text);
    found.map(|(_, it)| it.clone()).ok_or_else(|| {
        let near = nearest(&value.text, words.iter().map(String::as_str)).map(str::to_owned);
        Refusal { at: value.at, why: Why::NotOneOf(value.found(), words.join(", "), near) }
    })
}
