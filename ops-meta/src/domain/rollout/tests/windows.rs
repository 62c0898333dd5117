//! When windows are open. The zones are rules, so that the machine need not know any.

use jiff::Timestamp;

use super::*;

const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn window(days: Option<&[&str]>, start: &str, hours: u32, zone: &str) -> Window {
    let mut text = json!({"start": start, "durationSecs": hours * 3600, "zone": zone});
    if let Some(days) = days {
        text["days"] = json!(days);
    }
    Window::check(&serde_json::from_value(text).unwrap()).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn said(windows: &[Window], when: &str) -> String {
    let shown = |until: Option<i64>| {
        until.map_or("?".to_owned(), |ms| Timestamp::from_millisecond(ms).unwrap().to_string())
    };
    match opening(windows, at(when)) {
        Opening::Open { until } => format!("open until {}", shown(until)),
        Opening::Closed { until } => format!("closed until {}", shown(until)),
    }
}

#[test]
fn a_window_is_open_from_its_start_to_its_end() {
    // 2026-06-06 is a Saturday; Berlin is two hours ahead.
    let nights = [window(Some(&["sat"]), "22:00", 4, BERLIN)];
    for (when, expected) in [
        ("2026-06-06T19:59:59Z", "closed until 2026-06-06T20:00:00Z"),
        ("2026-06-06T20:00:00Z", "open until 2026-06-07T00:00:00Z"),
        ("2026-06-06T23:59:59Z", "open until 2026-06-07T00:00:00Z"),
        ("2026-06-07T00:00:00Z", "closed until 2026-06-13T20:00:00Z"),
    ] {
        assert_eq!(said(&nights, when), expected, "{when}");
    }
}

#[test]
fn where_clocks_go_forward_over_its_start_it_opens_that_much_later() {
    // At 2:00 on 2026-03-29 it is 3:00.
    let early = [window(None, "02:30", 1, BERLIN)];
    for (when, expected) in [
        ("2026-03-28T01:30:00Z", "open until 2026-03-28T02:30:00Z"),
        ("2026-03-28T12:00:00Z", "closed until 2026-03-29T01:30:00Z"),
        ("2026-03-29T01:30:00Z", "open until 2026-03-29T02:30:00Z"),
        ("2026-03-29T02:30:00Z", "closed until 2026-03-30T00:30:00Z"),
    ] {
        assert_eq!(said(&early, when), expected, "{when}");
    }
}

#[test]
fn where_clocks_go_back_over_its_start_it_opens_once() {
    // At 3:00 on 2026-10-25 it is 2:00.
    let early = [window(None, "02:30", 1, BERLIN)];
    for (when, expected) in [
        ("2026-10-25T00:29:59Z", "closed until 2026-10-25T00:30:00Z"),
        ("2026-10-25T00:30:00Z", "open until 2026-10-25T01:30:00Z"),
        // 2:30 for the second time.
        ("2026-10-25T01:30:00Z", "closed until 2026-10-26T01:30:00Z"),
    ] {
        assert_eq!(said(&early, when), expected, "{when}");
    }
}

#[test]
fn a_night_in_which_clocks_change_is_no_longer_and_no_shorter() {
    let night = [window(None, "22:00", 8, BERLIN)];
    for (when, expected) in [
        ("2026-03-28T23:00:00Z", "open until 2026-03-29T05:00:00Z"),
        ("2026-10-24T23:00:00Z", "open until 2026-10-25T04:00:00Z"),
    ] {
        assert_eq!(said(&night, when), expected, "{when}");
    }
}

#[test]
fn windows_that_follow_each_other_are_one() {
    let halves = [window(Some(&["mon"]), "08:00", 4, ""), window(Some(&["mon"]), "12:00", 2, "")];
    assert_eq!(said(&halves, "2026-06-08T09:00:00Z"), "open until 2026-06-08T14:00:00Z");
    let always = [window(None, "00:00", 24, "")];
    assert_eq!(said(&always, "2026-06-08T09:00:00Z"), "open until ?");
    let week = [window(Some(&["wed"]), "00:00", 7 * 24, "")];
    assert_eq!(said(&week, "2026-06-08T09:00:00Z"), "open until ?");
    assert_eq!(opening(&[], NOW), Opening::ALWAYS);
    assert_eq!(opening(&week, i64::MAX), Opening::Closed { until: None });
}

#[test]
fn a_window_that_never_opens_is_refused() {
    for (text, expected) in [
        (json!({"days": [], "start": "1:00", "durationSecs": 1}), "days: without a day it never opens"),
        (json!({"start": "1:00"}), "durationSecs: of 0 seconds it never opens"),
        (json!({"start": "1:00", "durationSecs": 604_801}), "durationSecs: 604800 are a week"),
        (json!({"start": "24:00", "durationSecs": 1}), "start: \"24:00\" is no time of day such as 22:00"),
        (json!({"start": "soon", "durationSecs": 1}), "start: \"soon\" is no time of day"),
        (
            json!({"start": "1:00", "durationSecs": 1, "zone": "Atlantis"}),
            "zone: \"Atlantis\" is no time zone",
        ),
    ] {
        let (field, why) = Window::check(&serde_json::from_value(text).unwrap()).unwrap_err();
        assert!(format!("{field}: {why}").starts_with(expected), "{field}: {why}");
    }
    let plan = plan(
        json!({"agent": "a", "cmd": "stop", "waves": [{"percent": 100}], "windows": [{"start": "1:00"}]}),
    );
    assert!(plan.unwrap_err()[0].starts_with("`windows[0].durationSecs`: of 0 seconds it never opens"));
}
