//! The language of groups and lists.
#![no_main]

use fuzz::domain::selector::{ListFilter, Lists, Refusal, Selector, Why};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lists = Lists::from([("edge".into(), std::sync::Arc::default())]);
    let filter = ListFilter::parse(text, &lists);
    match (Selector::parse(text, &lists), &filter) {
        (Ok(selector), Ok(filter)) => {
            assert_eq!(selector.to_string(), filter.to_string());
            assert_eq!(Selector::parse(&selector.to_string(), &lists), Ok(selector));
        }
        // Whatever a list may not ask, nobody may.
        (Ok(selector), Err(why)) => panic!("{selector}: {why}"),
        (Err(Refusal { why, .. }), Ok(_)) => assert!(matches!(why, Why::Real(_)), "{why}"),
        (Err(_), Err(_)) => {}
    }
    match filter {
        Ok(filter) => assert_eq!(ListFilter::parse(&filter.to_string(), &lists), Ok(filter)),
        Err(refusal) => {
            assert!(text.is_char_boundary(refusal.at));
            fuzz::sentence(&refusal.to_string());
            let shown = refusal.shown_in(text);
            assert_eq!(shown.lines().count(), 2);
            shown.lines().for_each(fuzz::sentence);
        }
    }
});
