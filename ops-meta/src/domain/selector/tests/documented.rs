//! docs/selectors.md says what is so.

use super::*;

const DOCS: &str = include_str!("../../../../../docs/selectors.md");

/// What stands in backquotes in the first column of the table behind a heading.
fn examples(heading: &str) -> Vec<&str> {
    let (_, behind) = DOCS.split_once(heading).unwrap();
    let section = behind.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    cells.flat_map(|(cell, _)| cell.trim_end_matches('`').split("`, `")).collect()
}

#[test]
fn every_example_is_taken_where_it_says() {
    let (stable, real) = (examples("## What stays"), examples("## What runs"));
    assert!(stable.len() > 10 && real.len() > 5);
    for text in stable {
        assert!(selector(text).is_ok(), "{text}: {}", selector(text).unwrap_err());
    }
    for text in real {
        assert!(filter(text).is_ok(), "{text}: {}", filter(text).unwrap_err());
        assert!(selector(text).is_err(), "{text}");
    }
    let first = DOCS.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    for line in first.lines() {
        let text = line.split('#').next().unwrap();
        assert!(filter(text).is_ok(), "{text}: {}", filter(text).unwrap_err());
    }
}

#[test]
fn the_grammar_is_the_one_above_the_code() {
    let grammar = include_str!("../mod.rs").lines().skip_while(|line| *line != "//! ```text").skip(1);
    let grammar = grammar.take_while(|line| *line != "//! ```");
    let grammar: Vec<_> =
        grammar.map(|line| line.trim_start_matches("//!").trim_start_matches(' ')).collect();
    let documented = DOCS.split("## Grammar\n```text\n").nth(1).unwrap().split("```").next().unwrap();
    let documented: Vec<_> = documented.lines().map(str::trim_start).collect();
    assert_eq!(grammar, documented);
}
