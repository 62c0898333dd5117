//! docs/threat-model.md claims nothing of a test or a case that is not there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends here"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = include_str!("../../docs/threat-model.md");

fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Rust files of our crates, those of `target` left out.
fn sources() -> Vec<PathBuf> {
    let roots = ["src", "ops-wire", "ops-package", "ops-meta", "e2e"];
    let (mut folders, mut files) = (roots.map(|it| tree().join(it)).to_vec(), Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The functions that stand below `#[test]`, or the like of it.
fn tests() -> BTreeSet<String> {
    let texts: Vec<String> = sources().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let after_attribute = texts.iter().flat_map(|text| text.split("#[test]\n").skip(1));
    let asynchronous = texts.iter().flat_map(|text| text.split("#[tokio::test").skip(1));
    let name = |text: &str| Some(text.split_once("fn ")?.1.split(['(', '<']).next()?.to_owned());
    after_attribute.chain(asynchronous).filter_map(name).collect()
}

/// What the document puts between backticks and looks like the name of a test or a code.
fn named() -> BTreeSet<&'static str> {
    let quoted = DOCUMENT.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(is_name).collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let codes = fs::read_to_string(tree().join("ops-wire/src/code.rs")).unwrap();
    let tests = tests();
    let (named, is_code) = (named(), |name: &&str| codes.contains(&format!("\"{name}\"")));
    let missing: Vec<&str> =
        named.iter().copied().filter(|name| !tests.contains(*name) && !is_code(name)).collect();
    assert!(missing.is_empty(), "neither a test nor a code: {missing:?}");
    assert!(named.iter().filter(|name| tests.contains(**name)).count() > 50);
}

#[test]
fn every_folder_of_bad_archives_is_in_the_threat_model() {
    for folder in fs::read_dir(tree().join("ops-package/tests/bad")).unwrap() {
        let path = folder.unwrap().path();
        let name = path.strip_prefix(tree()).unwrap().to_str().unwrap();
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{name} is not in it");
    }
}
