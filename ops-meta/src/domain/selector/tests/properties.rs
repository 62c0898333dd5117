//! What holds for every text and every host.

use proptest::prelude::*;

use super::super::Why;
use super::*;

/// Longer sentences are no sentences.
const SENTENCE_BYTES_MAX: usize = 1024;

/// Pieces of the language, and what others take for some.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "and",
        "OR",
        "not",
        "in",
        "all",
        "(",
        ")",
        ",",
        "\"",
        "\\",
        "=",
        "!=",
        "~",
        "!~",
        "<",
        "<=",
        ">",
        "==",
        "&&",
        "|",
        "!",
        "@",
        "edge",
        "hostname",
        "host",
        "os",
        "ip",
        "label",
        "has",
        "version",
        "status",
        "error",
        "state",
        "current",
        "reboot",
        "env",
        "prod",
        "web*",
        "10.3.0.0/16",
        "::1",
        "late",
        "yes",
        "\"a b\"",
        "\"^a\"",
        " ",
        "\n",
        "ä",
        "\u{202e}",
        "\0",
        "host=a",
        "env=b and",
        "(os=c or",
        "version(a)<",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn is_sound(text: &str) -> Result<(), TestCaseError> {
    match (selector(text), filter(text)) {
        (Ok(selector), Ok(filter)) => {
            prop_assert_eq!(selector.to_string(), filter.to_string());
            prop_assert_eq!(super::selector(&selector.to_string()), Ok(selector));
        }
        (Err(refusal), Ok(filter)) => {
            prop_assert!(matches!(refusal.why, Why::Real(_)), "{}", refusal);
            prop_assert_eq!(super::filter(&filter.to_string()), Ok(filter));
        }
        (Ok(_), Err(refusal)) => prop_assert!(false, "only the filter is refused: {}", refusal),
        (Err(_), Err(refusal)) => {
            prop_assert!(text.is_char_boundary(refusal.at), "{} of {:?}", refusal.at, text);
            let sentence = refusal.to_string();
            prop_assert!(
                sentence.len() < SENTENCE_BYTES_MAX && !sentence.contains(char::is_control),
                "{sentence}"
            );
            prop_assert_eq!(refusal.shown_in(text).lines().count(), 2);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_is_taken_or_refused(text in any::<String>()) {
        is_sound(&text)?;
    }

    #[test]
    fn any_row_of_words_is_taken_or_refused(text in soup()) {
        is_sound(&text)?;
    }

    #[test]
    fn a_selector_means_what_it_means_word_by_word(naive in naive::selector(), host in naive::host()) {
        let text = naive.written();
        let selector = selector(&text).map_err(|why| TestCaseError::fail(why.shown_in(&text)))?;
        prop_assert_eq!(selector.matches(&host.facts()), naive.holds(&host), "{}", selector);
        prop_assert_eq!(super::selector(&selector.to_string()), Ok(selector));
    }

    #[test]
    fn a_filter_means_what_it_means_word_by_word(naive in naive::filter(), host in naive::host()) {
        let text = naive.written();
        let filter = filter(&text).map_err(|why| TestCaseError::fail(why.shown_in(&text)))?;
        prop_assert_eq!(filter.matches(&host.facts(), &host), naive.holds(&host), "{}", filter);
        prop_assert_eq!(super::filter(&filter.to_string()), Ok(filter));
    }

    #[test]
    fn reasons_say_how_their_conditions_stand(naive in naive::filter(), host in naive::host()) {
        let filter = filter(&naive.written()).unwrap();
        for reason in filter.explain(&host.facts(), &host) {
            let condition = super::filter(&reason.condition).unwrap();
            prop_assert_eq!(condition.matches(&host.facts(), &host), reason.holds, "{}", reason);
        }
    }
}
