//! Which known word was probably meant.

/// Longer words are no slips of somebody's finger.
const CHARS_MAX: usize = 32;

/// The nearest of the known words, if it is near: of a short word one slip, of a longer one two.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = |known: &'a str| {
        let slips = slips(&word, known)?;
        (slips <= if known.len() < 5 { 1 } else { 2 }).then_some((slips, known))
    };
    known.into_iter().filter_map(near).min().map(|(_, known)| known)
}

/// How many characters are to be added, left out, replaced or exchanged with the next one; `None`: far too many.
pub fn slips(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > CHARS_MAX || b.len() > CHARS_MAX {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, &c) in a.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, &d) in b.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&above, column) + usize::from(c != d);
            let mut least = replaced.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let exchanged =
                row > 0 && column > 0 && a.get(row - 1) == Some(&d) && b.get(column - 1) == Some(&c);
            if exchanged {
                least = least.min(at(&before, column - 1) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, expected) in [
            ("", "", 0),
            ("late", "late", 0),
            ("lat", "late", 1),
            ("alte", "late", 1),
            ("gate", "late", 1),
            ("", "late", 4),
            ("hostnmae", "hostname", 1),
            ("stratus", "started", 3),
        ] {
            assert_eq!((slips(a, b), slips(b, a)), (Some(expected), Some(expected)), "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_is_found_if_it_is_near() {
        let known = ["new", "alive", "late", "gone", "revived"];
        for (word, expected) in [
            ("Lates", Some("late")),
            ("alvie", Some("alive")),
            ("revvieved", Some("revived")),
            ("dead", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }
}
