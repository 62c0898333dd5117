//! What is asked of a fact.

use super::condition::Read;
use super::glob::Glob;
use super::parse::Parser;
use super::pattern::{PATTERN_CHARS_MAX, Pattern};
use super::real::Order;
use super::refusal::{Found, Refusal, Why};
use super::scan::Value;
use super::text::{Listed, Test};
use crate::domain::nearest::nearest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Is,
    IsNot,
    Matches,
    MatchesNot,
    In,
    Ordered(Order),
}

/// Longer signs first.
const SIGNS: [(&str, Operator); 8] = [
    ("!=", Operator::IsNot),
    ("!~", Operator::MatchesNot),
    ("<=", Operator::Ordered(Order::LessOrEqual)),
    (">=", Operator::Ordered(Order::GreaterOrEqual)),
    ("=", Operator::Is),
    ("~", Operator::Matches),
    ("<", Operator::Ordered(Order::Less)),
    (">", Operator::Ordered(Order::Greater)),
];
/// What others write.
const INSTEAD: [(&str, &str); 9] = [
    ("==", "`=`"),
    ("=~", "`~`"),
    ("~=", "`~`"),
    ("!==", "`!=`"),
    ("!~=", "`!~`"),
    ("<>", "`!=`"),
    ("=<", "`<=`"),
    ("=>", "`>=`"),
    ("!in", "`not` in front of the condition"),
];
const INSTEAD_WORDS: [(&str, &str); 6] = [
    ("is", "`=`"),
    ("eq", "`=`"),
    ("ne", "`!=`"),
    ("like", "`=`, with * and ?"),
    ("matches", "`~`"),
    ("not", "`not` in front of the condition"),
];
const OF_TEXTS: &str = "=, !=, ~, !~ and in";

impl Operator {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Matches => "~",
            Self::MatchesNot => "!~",
            Self::In => "in",
            Self::Ordered(order) => order.as_str(),
        }
    }
}

impl<'a> Parser<'a> {
    pub fn operator(&mut self, fact: &str) -> Result<(usize, Operator), Refusal> {
        let at = self.scan.next();
        let word = self.scan.name();
        let wrong = INSTEAD.into_iter().find(|(wrong, _)| self.scan.rest().starts_with(wrong));
        let wrong_word = INSTEAD_WORDS.into_iter().find(|(wrong, _)| wrong.eq_ignore_ascii_case(word));
        if let Some((wrong, right)) = wrong.or(wrong_word) {
            return Err(self.scan.refused(Why::instead(wrong, right)));
        }
        if self.scan.keyword("in") {
            return Ok((at, Operator::In));
        }
        let sign = SIGNS.into_iter().find(|(sign, _)| self.scan.eat(sign));
        let none = || Refusal { at, why: Why::NoOperator(Found::of(fact)) };
        sign.map(|(_, operator)| (at, operator)).ok_or_else(none)
    }

    pub fn test(&mut self, fact: &str) -> Read<Test> {
        let (at, operator) = self.operator(fact)?;
        self.test_by(fact, at, operator, |word| word)
    }

    /// `spelled` says how a word is spelled where it is compared.
    pub fn test_by(
        &mut self,
        fact: &str,
        at: usize,
        operator: Operator,
        spelled: fn(&str) -> &str,
    ) -> Read<Test> {
        let negated = matches!(operator, Operator::IsNot | Operator::MatchesNot);
        let test = match operator {
            Operator::Is | Operator::IsNot => {
                Test::Is(Glob::new(spelled(&bounded(self.scan.value("a value")?)?.text)))
            }
            Operator::Matches | Operator::MatchesNot => {
                let value = bounded(self.scan.value("a regular expression in quotes")?)?;
                let none = |why| Refusal { at: value.at, why: Why::NoPattern(why) };
                Test::Matches(Pattern::new(&value.text).map_err(none)?)
            }
            Operator::In if self.scan.eat("@") => Test::Listed(self.named_list()?),
            Operator::In if self.scan.eat("(") => Test::one_of(self.listed(|parser| {
                let value = bounded(parser.scan.value("a word")?)?;
                match value.text.contains(['*', '?']) {
                    true => Err(Refusal { at: value.at, why: Why::GlobInList(value.found()) }),
                    false => Ok(spelled(&value.text).into()),
                }
            })?),
            Operator::In => {
                return Err(self.scan.refused(Why::Expected("(a, b) or @LIST", self.scan.found())));
            }
            Operator::Ordered(_) => {
                let fact = Found::of(fact).0;
                return Err(Refusal { at, why: Why::NotWith(operator.as_str(), fact, OF_TEXTS) });
            }
        };
        Ok((test, negated))
    }

    /// Behind an opening parenthesis, to the closing one.
    pub fn listed<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let opened = self.scan.at - 1;
        let mut items = Vec::new();
        loop {
            let at = self.scan.next();
            self.counted(at)?;
            if self.scan.rest().is_empty() {
                return Err(Refusal { at: opened, why: Why::Unclosed('(') });
            }
            items.push(item(self)?);
            if self.scan.eat(")") {
                return Ok(items);
            }
            if !self.scan.eat(",") && !self.scan.rest().is_empty() {
                return Err(self.scan.refused(Why::Expected("`,` or `)`", self.scan.found())));
            }
        }
    }

    fn named_list(&mut self) -> Result<Listed, Refusal> {
        let value = self.scan.value("the name of a list")?;
        match self.lists.get_key_value(&*value.text) {
            Some((name, words)) => Ok(Listed { name: name.clone(), words: words.clone() }),
            None => {
                let near = nearest(&value.text, self.lists.keys().map(|name| &**name));
                let near = near.map(|name| Found::of(name).0);
                Err(Refusal { at: value.at, why: Why::NoList(value.found(), near) })
            }
        }
    }

    /// What stands in parentheses behind a fact.
    pub fn within(
        &mut self,
        fact: &'static str,
        form: &'static str,
        what: &'static str,
    ) -> Result<Value<'a>, Refusal> {
        let opened = self.scan.next();
        if !self.scan.eat("(") {
            return Err(self.scan.refused(Why::Lacks(fact, form)));
        }
        if self.scan.next() == self.scan.text.len() {
            return Err(Refusal { at: opened, why: Why::Unclosed('(') });
        }
        let value = self.scan.value(what)?;
        match self.scan.eat(")") {
            true => Ok(value),
            false if self.scan.rest().is_empty() => Err(Refusal { at: opened, why: Why::Unclosed('(') }),
            false => Err(self.scan.refused(Why::Expected("`)`", self.scan.found()))),
        }
    }
}

fn bounded(value: Value<'_>) -> Result<Value<'_>, Refusal> {
    match value.text.chars().count() > PATTERN_CHARS_MAX {
        true => Err(Refusal { at: value.at, why: Why::PatternTooLong }),
        false => Ok(value),
    }
}
