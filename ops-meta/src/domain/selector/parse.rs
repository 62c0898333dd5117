//! Conditions, and how they are joined. What a condition says is read in `condition`.

use super::condition::Level;
use super::expr::{Expr, Joint};
use super::refusal::{Refusal, Why};
use super::scan::Scan;
use super::{LEVELS_MAX, Lists, TERMS_MAX, TEXT_BYTES_MAX};

/// What others write for the words that join.
const INSTEAD: [(&str, &str); 6] = [
    ("&&", "`and`"),
    ("&", "`and`"),
    ("||", "`or`"),
    ("|", "`or`"),
    (",", "`and` or `or`"),
    (";", "`and` or `or`"),
];

pub struct Parser<'a> {
    pub scan: Scan<'a>,
    pub lists: &'a Lists,
    levels: usize,
    terms: usize,
}

pub fn parse<T: Level>(text: &str, lists: &Lists) -> Result<Expr<T>, Refusal> {
    let mut parser = Parser { scan: Scan { text, at: 0 }, lists, levels: 0, terms: 0 };
    if text.len() > TEXT_BYTES_MAX {
        return Err(parser.scan.refused(Why::TextTooLong(text.len())));
    }
    if text.trim().is_empty() {
        return Err(parser.scan.refused(Why::Empty));
    }
    let expr = parser.alternatives()?;
    match parser.scan.eat(")") {
        true => Err(Refusal { at: parser.scan.at - 1, why: Why::ClosesNothing }),
        false if parser.scan.rest().is_empty() => Ok(expr),
        false => Err(parser.stray()),
    }
}

impl Parser<'_> {
    fn alternatives<T: Level>(&mut self) -> Result<Expr<T>, Refusal> {
        let mut parts = vec![self.conjunction()?];
        while self.scan.keyword("or") {
            parts.push(self.conjunction()?);
        }
        Ok(Expr::joined(Joint::Or, parts))
    }

    fn conjunction<T: Level>(&mut self) -> Result<Expr<T>, Refusal> {
        let mut parts = vec![self.single()?];
        while self.scan.keyword("and") {
            parts.push(self.single()?);
        }
        Ok(Expr::joined(Joint::And, parts))
    }

    fn single<T: Level>(&mut self) -> Result<Expr<T>, Refusal> {
        let at = self.scan.next();
        if self.scan.keyword("not") {
            return self.deeper(at, Self::single).map(Expr::negated);
        }
        if self.scan.eat("(") {
            let inner = self.deeper(at, Self::alternatives)?;
            return match self.scan.eat(")") {
                true => Ok(inner),
                false if self.scan.rest().is_empty() => Err(Refusal { at, why: Why::Unclosed('(') }),
                false => Err(self.stray()),
            };
        }
        match self.scan.keyword("all") {
            true => Ok(Expr::All),
            false => self.condition(),
        }
    }

    /// What is read this way is within something: whoever calls itself does so through here.
    fn deeper<T>(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if self.levels == LEVELS_MAX {
            return Err(Refusal { at, why: Why::TooDeep });
        }
        self.levels += 1;
        let read = read(self);
        self.levels -= 1;
        read
    }

    /// One condition more, or one word in a list.
    pub fn counted(&mut self, at: usize) -> Result<(), Refusal> {
        self.terms += 1;
        match self.terms > TERMS_MAX {
            true => Err(Refusal { at, why: Why::TooManyTerms }),
            false => Ok(()),
        }
    }

    /// Something behind a condition that joins nothing.
    fn stray(&mut self) -> Refusal {
        self.scan.next();
        let found = INSTEAD.into_iter().find(|(wrong, _)| self.scan.rest().starts_with(wrong));
        self.scan.refused(match found {
            Some((wrong, right)) => Why::instead(wrong, right),
            None => Why::Expected("`and`, `or` or the end", self.scan.found()),
        })
    }
}
