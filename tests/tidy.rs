//! What docs/ARCHITECTURE.md says about rooms is what the code does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Table = BTreeMap<String, BTreeSet<String>>;

/// Everything may import these.
const FREE: [&str; 2] = ["error", "log"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The code of each room, its tests left out.
fn rooms() -> BTreeMap<String, String> {
    let mut rooms = BTreeMap::<String, String>::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_stem().unwrap() != "tests" {
                let below = path.strip_prefix(root().join("src")).unwrap();
                let room = below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
                let code = fs::read_to_string(&path).unwrap();
                let code = code.split("#[cfg(test)]").next().unwrap();
                rooms.entry(room).or_default().push_str(code);
            }
        }
    }
    rooms
}

/// The words after `beginning`, as long as they can be a name.
fn named_after<'a>(code: &'a str, beginning: &'a str) -> impl Iterator<Item = &'a str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    code.match_indices(beginning).map(move |(at, _)| {
        let rest = &code[at + beginning.len()..];
        &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]
    })
}

/// The lines of the document in which a room is followed by `separator` and others.
fn table(separator: &str) -> Table {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let begin = text.find("Arrows:").unwrap();
    let end = text.find("Who may rename").unwrap();
    let cells = text[begin..end].split("```text").skip(1).map(|block| block.split("```").next().unwrap());
    let cells = cells.flat_map(|block| block.lines().flat_map(|line| line.split("   ")));
    let rows = cells.filter_map(|cell| cell.split_once(separator));
    rows.map(|(room, others)| {
        (room.trim().to_owned(), others.split_whitespace().map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn the_arrows_are_as_the_document_says() {
    let rooms = rooms();
    let mut found = Table::new();
    for (room, code) in &rooms {
        let grouped =
            code.split("use crate::{").skip(1).flat_map(|it| it.split('}').next().unwrap().split(','));
        let used = named_after(code, "crate::").chain(grouped.map(str::trim));
        let used: BTreeSet<String> = used
            .filter(|it| rooms.contains_key(*it) && it != room && !FREE.contains(it))
            .map(str::to_owned)
            .collect();
        if !used.is_empty() {
            found.insert(room.clone(), used);
        }
    }
    assert_eq!(table("->"), found);
}

#[test]
fn each_outside_crate_has_its_rooms() {
    for (outside, allowed) in table(": ") {
        let whole = |code: &str, at: usize| {
            !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        };
        let names = |code: &str| code.match_indices(&format!("{outside}::")).any(|(at, _)| whole(code, at));
        let found: BTreeSet<String> =
            rooms().into_iter().filter(|(_, code)| names(code)).map(|(room, _)| room).collect();
        assert_eq!(found, allowed, "{outside}");
    }
    assert!(table(": ").contains_key("ureq"), "the table was read");
}

#[test]
fn every_file_that_the_document_names_is_there() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let (_, where_is) = text.split_once("## Where is").unwrap();
    let is_path = |word: &&str| {
        let is_in_one = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        word.contains('/') && !word.starts_with('/') && word.chars().all(is_in_one)
    };
    let paths: BTreeSet<_> = where_is.split('`').skip(1).step_by(2).filter(is_path).collect();
    let missing: Vec<_> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(paths.len() > 50, "only {}", paths.len());
}
