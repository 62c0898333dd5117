//! Texts that are refused: where, and with which words.

use super::super::{LEVELS_MAX, TERMS_MAX, Why};
use super::*;

/// Each is a text, and below it a caret at the place and the sentence.
const REFUSED: &str = include_str!("refused.txt");

#[test]
fn what_is_no_filter_says_where_and_why() {
    let mut count = 0;
    for case in REFUSED.split_terminator("\n\n") {
        let text = case.lines().next().unwrap();
        let refusal = filter(text).expect_err(text);
        assert_eq!(refusal.shown_in(text), case.trim_end_matches('\n'), "{text}");
        count += 1;
    }
    assert!(count > 60, "{count}");
}

#[test]
fn nothing_is_no_filter() {
    for text in ["", " ", "\n\t"] {
        assert_eq!(filter(text), Err(Refusal { at: 0, why: Why::Empty }));
    }
}

#[test]
fn a_selector_asks_nothing_of_what_runs() {
    for (text, column, fact) in [
        ("version(falcon-agent)<3.2", 1, "version"),
        ("env=prod and status(a)=started", 14, "status"),
        ("env=prod and not (os=linux or ERROR=*)", 31, "error"),
        ("not error(a)=held", 5, "error"),
        ("state=late", 1, "state"),
        ("state", 1, "state"),
        ("current=yes", 1, "current"),
        ("reboot=maybe", 1, "reboot"),
    ] {
        let refusal = selector(text).expect_err(text);
        assert_eq!((refusal.at + 1, &refusal.why), (column, &Why::Real(fact)), "{text}");
        let sentence = format!("column {column}: `{fact}` is what runs, and only lists ask for it: a group");
        assert!(refusal.to_string().starts_with(&sentence), "{refusal}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = |opening: &str, times: usize| format!("{}all", opening.repeat(times));
    let wide = vec!["os=linux"; TERMS_MAX / 2 + 1];
    let names = vec!["a"; TERMS_MAX];
    for (text, at, why) in [
        (deep("(", LEVELS_MAX + 1), LEVELS_MAX, "more than 200 parentheses"),
        (deep("(", 60_000), LEVELS_MAX, "more than 200 parentheses"),
        (deep("not ", 1000), 4 * LEVELS_MAX, "more than 200 parentheses"),
        (deep("not(", 1000), 2 * LEVELS_MAX, "more than 200 parentheses"),
        (format!("all and {}", deep("not ", 1000)), 8 + 4 * LEVELS_MAX, "more than 200 parentheses"),
        (format!("host in ({})", names.join(",")), 9 + 2 * (TERMS_MAX - 1), "more than 10000 conditions"),
        (wide.join(" or "), 0, "it has 65008 bytes"),
        (format!("env={}", "x".repeat(1025)), 4, "more than 1024 characters"),
        (format!("env~\"{}\"", "x".repeat(1025)), 4, "more than 1024 characters"),
    ] {
        let start: String = text.chars().take(40).collect();
        match filter(&text) {
            Ok(_) => assert!(text.len() <= super::super::TEXT_BYTES_MAX, "{start} was taken"),
            Err(refusal) => {
                assert_eq!(refusal.at, at, "{start}: {refusal}");
                assert!(refusal.to_string().contains(why), "{start}: {refusal}");
            }
        }
    }
}

#[test]
fn a_place_in_a_long_text_is_shown_with_what_is_around_it() {
    let text = format!("{}zone==a{}", "env=\"ä\nö\" and ".repeat(50), " and os=linux".repeat(50));
    let shown = filter(&text).unwrap_err().shown_in(&text);
    let (line, below) = shown.split_once('\n').unwrap();
    let cut = "… ö\" and env=\"ä ö\" and env=\"ä ö\" and zone==a and os=linux and os=linux and os=lin…";
    assert_eq!(line, cut);
    assert_eq!(below.find('^'), cut.find("==").map(|at| cut[..at].chars().count()));
}
