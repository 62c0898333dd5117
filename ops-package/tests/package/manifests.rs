//! `manifest.json`: what is read, and what is refused in which words.

use ops_package::{Deprecated, MANIFEST_BYTES_MAX, Manifest, ManifestError, Platform, Restart};
use proptest::prelude::*;

fn read(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::read(text.as_bytes())
}

fn why_not(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn everything_may_be_missing() {
    assert_eq!(read("{}"), Ok(Manifest::default()));
    let nulls = r#"{"name": null, "requires": null, "os": null, "trialSecs": null, "restart": null, "deprecated": null}"#;
    assert_eq!(read(nulls), Ok(Manifest::default()));
}

#[test]
fn every_field_is_read() {
    let manifest = read(
        r#"{"name": "falcon-agent", "version": "2.0.1-rc1", "description": "Measures\nthe host.",
            "requires": {"collector": ">=1.2", "dns": "*"}, "os": "linux", "arch": "x86_64", "trialSecs": 600,
            "restart": "reboot", "deprecated": "leaks memory", "owner": "team", "x": {"y": [1, 2.5, -1, true]}}"#,
    )
    .unwrap();
    assert_eq!(manifest.name.unwrap().as_str(), "falcon-agent");
    assert_eq!(manifest.version.unwrap().as_str(), "2.0.1-rc1");
    assert_eq!(manifest.description.as_deref(), Some("Measures\nthe host."));
    let requires: Vec<_> = manifest.requires.iter().map(|(name, it)| format!("{name} {it}")).collect();
    assert_eq!(requires, ["collector >=1.2", "dns *"]);
    assert_eq!(manifest.platform, Platform::new("linux", "x86_64").unwrap());
    assert_eq!((manifest.trial_secs, manifest.restart), (Some(600), Restart::Reboot));
    assert_eq!(manifest.deprecated, Some(Deprecated::Because("leaks memory".to_owned())));
    assert_eq!(manifest.unknown, ["owner", "x"]);
}

#[test]
fn what_is_no_json_object_is_refused() {
    assert!(why_not("").starts_with("failed to read `manifest.json` as JSON: EOF"));
    assert!(why_not("{\"name\": \"a\"").contains("line 1"));
    assert!(why_not("{} x").contains("trailing"));
    assert_eq!(why_not("[]"), "`manifest.json` is refused: a JSON object, `{...}`, is wanted");
    assert!(matches!(Manifest::read(b"{\"a\xff\": 1}"), Err(ManifestError::NoJson(_))));
    assert!(matches!(read("\u{feff}{}"), Err(ManifestError::NoJson(_))));
}

#[test]
fn a_key_that_stands_there_twice_is_refused_at_any_depth() {
    for text in [
        r#"{"name": "a", "name": "b"}"#,
        r#"{"requires": {"a": "*", "a": "1"}}"#,
        r#"{"x": [{"y": 1, "y": 1}]}"#,
        r#"{"name": "a", "n\u0061me": "a"}"#,
    ] {
        assert!(why_not(text).contains("stands there twice"), "{text}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let mut text = r#"{"x": ""}"#.to_owned();
    text.extend(std::iter::repeat_n(' ', MANIFEST_BYTES_MAX - text.len()));
    assert!(read(&text).is_ok());
    assert_eq!(read(&(text + " ")), Err(ManifestError::TooLarge));
    assert!(matches!(read(&("{\"x\":".to_owned() + &"[".repeat(60_000))), Err(ManifestError::NoJson(_))));
}

#[test]
fn a_refused_value_is_named() {
    let long = |field: &str, bytes| format!(r#"{{"{field}": "{}"}}"#, "a".repeat(bytes));
    let many: Vec<_> = (0..65).map(|agent| format!(r#""a{agent}": "*""#)).collect();
    for (text, field, why) in [
        (r#"{"name": "../x"}"#.to_owned(), "name", "'.' is not allowed there"),
        (r#"{"name": 7}"#.to_owned(), "name", "a text is wanted, not `7`"),
        (r#"{"version": ""}"#.to_owned(), "version", "it is empty"),
        (r#"{"version": 1.0}"#.to_owned(), "version", "a text is wanted, not `1.0`"),
        (r#"{"description": ["x"]}"#.to_owned(), "description", "not an array"),
        (long("description", 4097), "description", "4097 bytes, 4096 are allowed"),
        (r#"{"requires": ["x"]}"#.to_owned(), "requires", "an object of agents and versions is wanted"),
        (r#"{"requires": {"a/b": "*"}}"#.to_owned(), "requires.a/b", "no name of an agent"),
        (r#"{"requires": {"a": "^1"}}"#.to_owned(), "requires.a", "`*` is wanted, or a version"),
        (r#"{"requires": {"a": 1}}"#.to_owned(), "requires.a", "a text is wanted, not `1`"),
        (r#"{"name": "a", "requires": {"a": "*"}}"#.to_owned(), "requires.a", "cannot require itself"),
        (format!(r#"{{"requires": {{{}}}}}"#, many.join(",")), "requires", "65 agents, 64 are allowed"),
        (r#"{"os": "Linux"}"#.to_owned(), "os", "as in `linux`"),
        (r#"{"os": ""}"#.to_owned(), "os", "leave it out"),
        (r#"{"os": "linux", "arch": "x86-64"}"#.to_owned(), "arch", "as in `x86_64`"),
        (r#"{"arch": "x86_64"}"#.to_owned(), "arch", "needs an `os`"),
        (r#"{"trialSecs": 86401}"#.to_owned(), "trialSecs", "from 0 to 86400 is wanted, not `86401`"),
        (r#"{"trialSecs": -1}"#.to_owned(), "trialSecs", "not `-1`"),
        (r#"{"trialSecs": 1.5}"#.to_owned(), "trialSecs", "not `1.5`"),
        (r#"{"trialSecs": "60"}"#.to_owned(), "trialSecs", "not `\\\"60\\\"`"),
        (r#"{"restart": "host"}"#.to_owned(), "restart", "\"agent\" or \"reboot\" is wanted"),
        (r#"{"deprecated": false}"#.to_owned(), "deprecated", "or true is wanted, not `false`"),
        (r#"{"deprecated": " "}"#.to_owned(), "deprecated", "say why"),
        (long("deprecated", 1025), "deprecated", "1025 bytes, 1024 are allowed"),
    ] {
        let said = why_not(&text);
        assert!(said.starts_with(&format!("`{field}` in `manifest.json` is refused: ")), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_a_manifest_says_gets_no_power_over_a_terminal() {
    for text in
        ["{\"requires\": {\"a\\u001b[2J\": \"*\"}}", "{\"restart\": \"\\u0007\"}", "{\"a\u{1b}\": 1, }"]
    {
        let said = why_not(text);
        assert!(!said.contains(char::is_control), "{said:?}");
    }
    assert_eq!(read("{\"\\u001b\": 1}").unwrap().unknown, ["\\u{1b}"]);
}

#[test]
fn it_fits_the_package_it_lies_in() {
    let manifest = read(r#"{"name": "a", "version": "1"}"#).unwrap();
    let fits = |manifest: &Manifest, name: &str, version: &str| {
        manifest.fits(&name.parse().unwrap(), &version.parse().unwrap()).map_err(|why| why.to_string())
    };
    assert_eq!(fits(&manifest, "a", "1"), Ok(()));
    let other = "`version` in `manifest.json` is refused: it says `1`, and the package is called `1.0`";
    assert_eq!(fits(&manifest, "a", "1.0"), Err(other.to_owned()));
    assert!(fits(&manifest, "b", "1").unwrap_err().starts_with("`name`"));
    let selfish = read(r#"{"requires": {"a": ">1"}}"#).unwrap();
    assert!(fits(&selfish, "a", "1").unwrap_err().contains("itself"));
    assert_eq!(fits(&selfish, "b", "1"), Ok(()));
}

/// Texts that are mostly near something.
fn value() -> impl Strategy<Value = String> {
    let texts =
        ["null", "true", "1", "-1", "1e9", "\"\"", "\"*\"", "\"1.0\"", "\">=2\"", "\"agent\"", "\"reboot\""];
    let more =
        ["\"linux\"", "{}", "{\"a\": \"*\"}", "{\"b\": \"<1\", \"c\": \"2\"}", "[1]", "\"ä\\n\"", "600"];
    prop::sample::select([&texts[..], &more[..]].concat()).prop_map(str::to_owned)
}

fn object() -> impl Strategy<Value = String> {
    let names =
        ["name", "version", "description", "requires", "os", "arch", "trialSecs", "restart", "deprecated"];
    let field = (prop::sample::select(names.to_vec()), value());
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{{}}}", fields.join(", "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::read(&bytes);
    }

    #[test]
    fn what_is_written_is_read_the_same(text in object()) {
        if let Ok(manifest) = read(&text) {
            prop_assert_eq!(read(&manifest.to_json()), Ok(manifest));
        }
    }
}
