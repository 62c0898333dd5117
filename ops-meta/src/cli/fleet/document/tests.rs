use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cli::fleet::written::written;

/// The lists that lie beside the file.
fn words(file: &str) -> Result<Vec<String>, Vec<String>> {
    match file {
        "racks.txt" => Ok(vec!["r1".to_owned(), "r2".to_owned()]),
        _ => Err(vec![format!("failed to read `{file}`: gone")]),
    }
}

fn taken(text: &str) -> Value {
    read(text.as_bytes(), &words).unwrap_or_else(|faults| panic!("{text}: {faults:?}")).0
}

fn refused(bytes: &[u8]) -> Vec<String> {
    let faults = read(bytes, &words).expect_err(&String::from_utf8_lossy(bytes));
    faults.iter().map(ToString::to_string).collect()
}

const WHOLE: &str = r"# The whole fleet
settings:
  packagesUrl: http://meta.example:2000/packages  # for all
  confirmAbovePercent: 25
lists:
  canaries: [web-01, 007, yes]
  racks: {file: racks.txt}
groups:
  prod:
    select: env=prod and not ip in 10.3.0.0/16
    priority: -10
    description: >-
      all that
      earns money
policies:
  - agent: node_exporter
    version: 1.10
    cmd: start
    size: 18446744073709551615
    group:
  - agent: node_exporter
    host: null
    version: 2.0
    runUser: yes
    mirrors:
    - http://a
";

fn whole_document() -> Value {
    json!({
        "settings": {"packagesUrl": "http://meta.example:2000/packages", "confirmAbovePercent": 25},
        "lists": {"canaries": ["web-01", "007", "yes"], "racks": ["r1", "r2"]},
        "groups": {"prod": {
            "select": "env=prod and not ip in 10.3.0.0/16", "priority": -10, "description": "all that earns money",
        }},
        "policies": [
            {"agent": "node_exporter", "version": "1.10", "cmd": "start", "size": u64::MAX},
            {"agent": "node_exporter", "version": "2.0", "runUser": "yes", "mirrors": ["http://a"]},
        ],
    })
}

#[test]
fn each_value_is_what_its_field_wants() {
    assert_eq!(taken(WHOLE), whole_document());
    assert_eq!(taken(&WHOLE.replace('\n', "\r\n")), whole_document());
    assert_eq!(taken(&format!("\u{feff}{WHOLE}")), whole_document());
    assert_eq!(taken(&format!("%YAML 1.2\n---\n{WHOLE}...\n")), whole_document());
}

#[test]
fn json_is_yaml() {
    let document = whole_document();
    assert_eq!(taken(&document.to_string()), document);
    let pretty = serde_json::to_string_pretty(&document).unwrap();
    assert_eq!(taken(&pretty), document);
    assert_eq!(taken(&pretty.replace("  ", "\t")), document);
    let answered = r#"{"generation":7,"groups":{"a":{"select":"\u00e4\/😀","priority":null}}}"#;
    assert_eq!(taken(answered)["groups"], json!({"a": {"select": "ä/😀"}}));
}

#[test]
fn a_missing_section_is_an_empty_one() {
    let empty = json!({"settings": {}, "lists": {}, "groups": {}, "policies": []});
    for text in ["{}", "policies: []", "groups:\npolicies:\n", "--- {settings: {}}"] {
        assert_eq!(taken(text), empty, "{text:?}");
    }
}

#[test]
fn what_is_written_once_may_be_repeated() {
    let document = taken(
        "lists:\n  a: &a [x]\n  b: *a\npolicies:\n- &p {agent: a, version: &v 1.0}\n- *p\n- version: *v\n",
    );
    assert_eq!(document["lists"], json!({"a": ["x"], "b": ["x"]}));
    let policy = json!({"agent": "a", "version": "1.0"});
    assert_eq!(document["policies"], json!([policy, policy, {"version": "1.0"}]));
}

#[test]
fn faults_are_told_with_their_place() {
    let empty = format!("1:1: {EMPTY}");
    let cases = [
        ("", empty.as_str()),
        ("# nothing\n\n", &empty),
        ("---\n", &empty),
        ("~", &empty),
        ("a", "1:1: an object is wanted here, not \"a\""),
        ("- a", "1:1: an object is wanted here, not a list"),
        ("policy: []", "1:1: policy: there is no such field; there are settings, lists, groups, policies"),
        ("polices: []", "1:1: polices: there is no such field; is `policies` meant?"),
        ("policies: {}", "1:1: policies: a list is wanted here, not an object"),
        (
            "policies:\n  - agent: a\n    verison: 1.0\n",
            "3:5: policies[0].verison: there is no such field; is `version` meant?",
        ),
        ("policies:\n  - version: [1]", "2:5: policies[0].version: a text is wanted here, not a list"),
        ("policies:\n  - agent: a\n  -\n", "3:4: policies[1]: there is nothing here; an object is wanted"),
        (
            "policies:\n- mirrors: http://a",
            "2:3: policies[0].mirrors: a list is wanted here, not \"http://a\"",
        ),
        ("policies:\n- {size: 1e3}", "2:4: policies[0].size: \"1e3\" is no whole number"),
        (
            "policies:\n- <<: {agent: a}\n",
            "2:3: policies[0].<<: YAML 1.2 does not merge; write the fields out",
        ),
        ("groups: {a: {priority: 010}}", "1:14: groups.a.priority: \"010\" is no whole number"),
        ("groups: {a: {priority: }, }\nlists: []", "2:1: lists: an object is wanted here, not a list"),
        ("groups:\n  ä: {}\n  b: {}\n  \"b\": {}", "4:3: groups.b: it is there already, in line 3"),
        ("groups:\n  a:\n", "2:3: groups.a: there is nothing here; an object is wanted"),
        ("lists:\n  a:\n", "2:3: lists.a: there is nothing here; an empty list is []"),
        ("lists:\n  a: b\n", "2:3: lists.a: a list of words, or {file: ...} is wanted here, not \"b\""),
        (
            "lists:\n  a: [x,\n   null]",
            "3:4: lists.a[1]: there is nothing here; put it in quotes if a text is meant",
        ),
        ("lists:\n  a: [x, [y]]", "2:10: lists.a[1]: a text is wanted here, not a list"),
        ("lists:\n  a: {}", "2:3: lists.a: a list of words, or {file: ...} is wanted here"),
        ("lists:\n  a: {fil: x}", "2:7: lists.a.fil: there is no such field; is `file` meant?"),
        ("lists:\n  a: {file: x.txt}", "2:3: lists.a: failed to read `x.txt`: gone"),
        (
            "policies: !!seq []",
            "1:11: a tag (`!...`) says nothing here: each field knows its type; leave it out",
        ),
        ("policies: []\n---\npolicies: []", "2:1: a second document begins here; one file is one document"),
        ("{[a]: b}", "1:2: a key has to be a text"),
        ("policies: &a [*a]", "1:15: the alias is inside of what it stands for"),
        ("policies: *a", "1:11: it is no YAML: while parsing node, found unknown anchor"),
        ("policies: [[[[[[[[[[[[[[[[", "1:26: it is nested more than 16 levels deep"),
    ];
    for (text, fault) in cases {
        assert_eq!(refused(text.as_bytes()), [fault], "{text}");
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    let cases: [(&[u8], &str, &str); 6] = [
        (b"a\nb\xc3\xa4c\xff", "2:4: ", "it is not UTF-8 from here on"),
        (b"\xff\xfea\0", "1:1: ", "it is not UTF-8 from here on"),
        (b"groups:\n\ta: b\n", "2:", "it is indented by a tab, and YAML wants blanks"),
        (b"groups: {a", "2:1: ", "it is no YAML: "),
        (b"groups: \"a\nb", "", "it is no YAML: "),
        (b"groups:\n  a: {}\n b: {}\n", "3:", "it is no YAML: "),
    ];
    for (bytes, place, why) in cases {
        let faults = refused(bytes);
        assert!(faults.len() == 1 && faults[0].starts_with(place) && faults[0].contains(why), "{faults:?}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_in_its_order() {
    let text = "policies:\n- {agent: [], size: x}\ngroups: {a: , a: }\nsetings: {}\n";
    assert_eq!(
        refused(text.as_bytes()),
        [
            "2:4: policies[0].agent: a text is wanted here, not a list",
            "2:15: policies[0].size: \"x\" is no whole number",
            "3:10: groups.a: there is nothing here; an object is wanted",
            "3:15: groups.a: it is there already, in line 3",
            "4:1: setings: there is no such field; is `settings` meant?",
        ]
    );
}

#[test]
fn aliases_do_not_make_a_large_document_of_a_small_one() {
    let mut laughs = "lists:\n  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs += &format!("  a{level}: &a{level} [{before}]\n");
    }
    let faults = refused(laughs.as_bytes());
    assert!(faults[0].contains("its aliases repeat more"), "{faults:?}");
    let mut deep = "lists:\n  a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..1000 {
        deep += &format!("  a{level}: &a{level} [[[[[[[[*a{}]]]]]]]]\n", level - 1);
    }
    assert!(refused(deep.as_bytes())[0].ends_with("it is nested more than 16 levels deep"));
}

#[test]
fn a_fault_of_the_server_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.yaml");
    std::fs::write(folder.path().join("racks.txt"), "r1 # the first\nr2\n").unwrap();
    std::fs::write(&path, WHOLE.replace("  prod:\n", "  prod.eu: {}\n  prod:\n")).unwrap();
    let file = FleetFile::read(&path).unwrap();
    assert_eq!(file.document["lists"]["racks"], json!(["r1", "r2"]));
    let places = [
        ("settings", "2:1"),
        ("settings.confirmAbovePercent", "4:3"),
        ("lists.canaries[1]", "6:22"),
        ("lists.racks[0]", "7:3"),
        ("groups.prod.eu", "9:3"),
        ("groups.prod.select", "11:5"),
        ("groups.prod.nothing", "10:3"),
        ("groups.none", "8:1"),
        ("policies[0]", "17:5"),
        ("policies[0].version", "18:5"),
        ("policies[0].md5", "17:5"),
        ("policies[1].mirrors[0]", "27:7"),
        ("policies[7]", "16:1"),
        ("policies[x", "16:1"),
        ("", "2:1"),
        ("nothing", "2:1"),
    ];
    for (named, place) in places {
        let told = file.told(&[failed::Fault { path: named.to_owned(), why: "why".to_owned() }]);
        let named = if named.is_empty() { String::new() } else { format!("{named}: ") };
        let shown = path.display();
        let told = told.strip_prefix(&format!("nothing was changed: `{shown}` has 1 fault\n")).unwrap();
        assert_eq!(told, format!("  {shown}:{place}: {named}why"));
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.yaml");
    let why =
        || FleetFile::read(&path).unwrap_err().to_string().replace(&path.display().to_string(), "fleet.yaml");
    assert_eq!(why(), "failed to read `fleet.yaml`: No such file or directory (os error 2)");
    std::fs::write(&path, "a: 1\nb: 2\n").unwrap();
    let no_field = "there is no such field; there are settings, lists, groups, policies";
    let told = format!("it has 2 faults\n  fleet.yaml:1:1: a: {no_field}\n  fleet.yaml:2:1: b: {no_field}");
    assert_eq!(why(), format!("failed to read `fleet.yaml`: {told}"));
    std::fs::write(&path, format!("policies:\n{}", "- \n".repeat(123))).unwrap();
    assert!(why().ends_with("and 23 more"));
    std::fs::write(&path, vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
    assert_eq!(why(), "failed to read `fleet.yaml`: it has more than 32 MiB");
}

const NASTY: [&str; 32] = [
    "yes",
    "1.10",
    "null",
    "~",
    "#x",
    ": ",
    "a: b",
    "\u{e4}\u{1f600}",
    "\"",
    "'",
    "it's",
    "a\nb\n",
    " a",
    "a ",
    "@x",
    "*x",
    "!x",
    "- x",
    "&x",
    "---",
    "...",
    "a #b",
    "a:",
    "\\",
    "\t",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{feff}x",
    "<<",
    "[a, b]",
    "{a",
];

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(&NASTY[..]).prop_map(str::to_owned),
        "[-a-z0-9.:#,~ ]{0,12}",
        proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        proptest::collection::vec(proptest::sample::select(&NASTY[..]), 0..4)
            .prop_map(|texts| texts.concat()),
    ]
}

fn any_document() -> impl Strategy<Value = Value> {
    use proptest::collection::{btree_map, vec};
    let group = (any_text(), any_text(), any::<i64>())
        .prop_map(|(select, description, priority)| json!({"select": select, "description": description, "priority": priority}));
    let policy = (any_text(), any_text(), any::<u64>(), vec(any_text(), 0..4))
        .prop_map(|(agent, version, size, mirrors)| json!({"agent": agent, "version": version, "size": size, "mirrors": mirrors}));
    let policy = prop_oneof![policy, Just(json!({}))];
    let lists = btree_map(any_text(), vec(any_text(), 0..30), 0..4);
    (any_text(), lists, btree_map(any_text(), group, 0..4), vec(policy, 0..4)).prop_map(
        |(packages_url, lists, groups, policies)| {
            json!({"settings": {"packagesUrl": packages_url}, "lists": lists, "groups": groups, "policies": policies})
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(document in any_document()) {
        prop_assert_eq!(taken(&written(&document)), document);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &words);
    }

    #[test]
    fn any_text_is_read_or_refused(
        pieces in proptest::collection::vec(
            proptest::sample::select(&[
                "policies", "groups", "lists", ": ", ":", "\n", "\n  ", "\n- ", "- ", "? ", "a", "[", "]", "{", "}", ",", "\"", "'",
                "&a ", "*a", "!", "!!str ", "|", ">-", "\n\t", "#", " ", "---\n", "...\n", "%YAML 1.2\n", "\\", "\u{feff}", "\u{e4}", "\r",
                "<<", "~", "file", "\0", "\u{85}", "%TAG ! x\n", "|9", "\\x",
            ][..]),
            0..40,
        ),
        cut in 0.0..1.0,
    ) {
        let _ = read(pieces.concat().as_bytes(), &words);
        let cut = (WHOLE.len() as f64 * cut) as usize;
        let _ = read(format!("{}{}", &WHOLE[..cut], pieces.concat()).as_bytes(), &words);
    }
}
