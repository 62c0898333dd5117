//! Which of two versions is the later one.
//!
//! On the wire versions are equal or not, and nothing more. Where an operator asks for an order (`version(a)<3.2` in a
//! list), it is this one, much as dpkg's: the versions are read from the left, and the first difference decides.
//! * A run of digits is a number, of any length: 1.9 < 1.10.
//! * `~` comes before everything, even before the end: 1.0~rc1 < 1.0.
//! * The end comes before a number, a number before any other sign, and other signs go by their bytes:
//!   1.0 < 1.0-1 < 1.0.1 < 1.0a.
//! * Where nothing differs but leading zeros (1.0, 1.00), the bytes decide: only a version is equal to itself.

use std::cmp::Ordering;

pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (one, other) = (Part::first(&mut left), Part::first(&mut right));
        match one.cmp(&other) {
            Ordering::Equal if one == Part::End => return a.cmp(b),
            Ordering::Equal => {}
            decided => return decided,
        }
    }
}

/// In their order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Tilde,
    End,
    Number(Number<'a>),
    Other(u8),
}

/// Digits without leading zeros: the longer is the larger one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number<'a> {
    length: usize,
    digits: &'a [u8],
}

impl<'a> Part<'a> {
    /// Takes it away.
    fn first(rest: &mut &'a [u8]) -> Self {
        let Some((&first, others)) = rest.split_first() else { return Self::End };
        if first.is_ascii_digit() {
            let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            let (run, others) = rest.split_at(end);
            *rest = others;
            let zeros = run.iter().take_while(|&&byte| byte == b'0').count();
            let digits = run.get(zeros..).unwrap_or_default();
            return Self::Number(Number { length: digits.len(), digits });
        }
        *rest = others;
        match first {
            b'~' => Self::Tilde,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_stand_in_this_order() {
        let sorted = [
            "0.9",
            "1",
            "1.0~~",
            "1.0~rc1",
            "1.0~rc2",
            "1.0~rc10",
            "1.0",
            "1.00",
            "1.0+b",
            "1.0-1",
            "1.0-2",
            "1.0-10",
            "1.0.1",
            "1.0a",
            "1.2",
            "1.10",
            "2.0",
            "10",
            "18446744073709551616",
            "a",
            "v1",
            "v2",
            "v10",
        ];
        for (n, a) in sorted.iter().enumerate() {
            for (m, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), n.cmp(&m), "{a} {b}");
            }
        }
    }

    fn version() -> impl Strategy<Value = String> {
        "[0-2a.~+-]{0,6}"
    }

    proptest! {
        #[test]
        fn one_of_two_is_the_later_or_they_are_the_same(a in version(), b in version()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
        }

        #[test]
        fn what_is_before_the_earlier_is_before_the_later(a in version(), b in version(), c in version()) {
            let mut sorted = [a, b, c];
            sorted.sort_by(|a, b| compare(a, b));
            let [a, b, c] = &sorted;
            prop_assert_ne!(compare(a, b), Ordering::Greater);
            prop_assert_ne!(compare(b, c), Ordering::Greater);
            prop_assert_ne!(compare(a, c), Ordering::Greater);
        }

        #[test]
        fn numbers_are_compared_as_numbers(a: u64, b: u64, zeros in "0{0,3}") {
            if a != b {
                prop_assert_eq!(compare(&format!("1.{zeros}{a}"), &format!("1.{b}")), a.cmp(&b));
            }
        }
    }
}
