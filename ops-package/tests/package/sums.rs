//! The files md5sum and sha256sum write.

use std::process::Command;

use ops_package::{Algorithm, SUMS_BYTES_MAX, SumsError, find_sum};

const FILE: &str = "agent-1.0.tar.gz";
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const OTHER: &str = "d41d8cd98f00b204e9800998ecf8427e";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn md5(text: &str) -> Result<String, SumsError> {
    find_sum(text.as_bytes(), Algorithm::Md5, FILE).map(|digest| digest.to_string())
}

fn not_named(other: Option<&str>) -> Result<String, SumsError> {
    Err(SumsError::NotNamed { file: FILE.to_owned(), other: other.map(str::to_owned) })
}

#[test]
fn all_forms_that_name_the_file_are_read() {
    let upper = MD5.to_ascii_uppercase();
    for text in [
        format!("{MD5}  {FILE}\n"),
        format!("{MD5}  {FILE}"),
        format!("{MD5} *{FILE}\n"),
        format!("{MD5} {FILE}\n"),
        format!("{MD5}  ./{FILE}\n"),
        format!("{upper}  {FILE}\n"),
        format!("{MD5}  {FILE}\r\n"),
        format!("MD5 ({FILE}) = {MD5}\n"),
        format!("MD5 (./{FILE}) = {upper}\r\n"),
        format!("# made by hand\n\n{OTHER}  other-1.0.tar.gz\n{MD5}  {FILE}\n"),
        format!("{MD5}  {FILE}\n{MD5} *{FILE}\n"),
        format!("{SHA256}  {FILE}\n{MD5}  {FILE}\n"),
    ] {
        assert_eq!(md5(&text).as_deref(), Ok(MD5), "{text:?}");
    }
}

#[test]
fn a_sha256_is_read() {
    for text in [format!("{SHA256}  {FILE}\n"), format!("SHA256 ({FILE}) = {SHA256}\n")] {
        assert_eq!(find_sum(text.as_bytes(), Algorithm::Sha256, FILE).unwrap().as_str(), SHA256);
    }
}

#[test]
fn a_digest_of_another_file_verifies_nothing() {
    for other in
        ["agent-1.1.tar.gz", "dir/agent-1.0.tar.gz", "../agent-1.0.tar.gz", "/x/agent-1.0.tar.gz", "-"]
    {
        assert_eq!(md5(&format!("{MD5}  {other}\n")), not_named(Some(other)));
        assert_eq!(md5(&format!("MD5 ({other}) = {MD5}\n")), not_named(Some(other)));
    }
}

#[test]
fn a_digest_that_names_no_file_is_refused() {
    for text in [format!("{MD5}\n"), MD5.to_owned(), format!("{OTHER}  x\n{MD5}\r\n")] {
        assert_eq!(md5(&text), Err(SumsError::Bare { file: FILE.to_owned() }), "{text:?}");
    }
}

#[test]
fn two_different_digests_of_the_file_are_refused() {
    let text = format!("{MD5}  {FILE}\n{OTHER}  ./{FILE}\n");
    assert_eq!(md5(&text), Err(SumsError::Contradiction { file: FILE.to_owned() }));
}

#[test]
fn other_text_has_no_digest() {
    for text in [
        String::new(),
        "<html>not found</html>".to_owned(),
        format!("\\{MD5}  {FILE}\n"),
        format!("{}  {FILE}\n", &MD5[1..]),
        format!("{SHA256}  {FILE}\n"),
        format!("{MD5}\t{FILE}\n"),
        format!("SHA256 ({FILE}) = {MD5}\n"),
        format!("{}x  {FILE}\n", &MD5[1..]),
    ] {
        assert_eq!(md5(&text), not_named(None), "{text:?}");
    }
    assert_eq!(find_sum(b"\xff\xfe\0", Algorithm::Md5, FILE).unwrap_err().code(), "md5_missing");
}

#[test]
fn a_long_file_of_digests_is_refused_unread() {
    let mut text = format!("{MD5}  {FILE}\n");
    text.push_str(&"\n".repeat(SUMS_BYTES_MAX - text.len()));
    assert_eq!(md5(&text).as_deref(), Ok(MD5));
    text.push('\n');
    assert_eq!(md5(&text).map_err(|error| error.code()), Err("too_large"));
}

#[test]
fn a_name_from_outside_is_shown_escaped_and_bounded() {
    let sentence = md5(&format!("{MD5}  \x1b[2J{}\n", "x".repeat(5000))).unwrap_err().to_string();
    assert!(sentence.len() < 400 && !sentence.contains('\x1b'), "{sentence}");
}

#[test]
fn what_md5sum_writes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "abc").unwrap();
    for flag in ["--text", "--binary", "--tag"] {
        if let Ok(output) = Command::new("md5sum").arg(flag).arg(FILE).current_dir(&folder).output() {
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(md5(&text).as_deref(), Ok(MD5), "{flag}");
        }
    }
}
