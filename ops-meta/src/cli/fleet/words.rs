//! The file of a list: a word a line, `#` begins a comment where YAML would begin one.

use std::io::{self, Read as _};
use std::path::Path;

use crate::cli::regular;
use crate::domain::desired::WORDS_MAX;
use crate::domain::one_line::one_line;

const FILE_BYTES_MAX: usize = 16 << 20;

/// Or all that is wrong, a sentence each. `file` is below the folder, or has a whole path.
pub fn read(folder: &Path, file: &str) -> Result<Vec<String>, Vec<String>> {
    of_file(file, regular::read(&folder.join(file), FILE_BYTES_MAX))
}

/// The same of what somebody pipes in.
pub fn read_stdin() -> Result<Vec<String>, Vec<String>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    of_file("standard input", read.map(|_| bytes))
}

fn of_file(file: &str, bytes: io::Result<Vec<u8>>) -> Result<Vec<String>, Vec<String>> {
    let unread = |why: String| vec![format!("failed to read `{}`: {why}", one_line(file))];
    let bytes = bytes.map_err(|error| unread(error.to_string()))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(unread(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| unread("it is not UTF-8".to_owned()))?;
    words(&text).map_err(|faults| faults.iter().map(|fault| format!("{}:{fault}", one_line(file))).collect())
}

fn words(text: &str) -> Result<Vec<String>, Vec<String>> {
    let (mut words, mut faults) = (Vec::new(), Vec::new());
    // Some editors begin a file with a mark.
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let word = without_comment(line).trim();
        if word.contains(char::is_whitespace) {
            faults.push(format!("{}: {word:?} is more than one word; a line has one", index + 1));
        } else if !word.is_empty() {
            words.push(word.to_owned());
        }
        if words.len() > WORDS_MAX {
            faults.push(format!("{}: it has more than {WORDS_MAX} words", index + 1));
            break;
        }
    }
    if faults.is_empty() { Ok(words) } else { Err(faults) }
}

fn without_comment(line: &str) -> &str {
    let begins =
        |at: usize| line.get(..at).is_some_and(|it| it.is_empty() || it.ends_with(char::is_whitespace));
    let comment = line.match_indices('#').find(|(at, _)| begins(*at));
    comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_a_line() {
        let text = "\u{feff}# racks\r\nweb-01\r\n\n  web-02\t# the second\n#web-03\nweb-04\nweb#5";
        assert_eq!(words(text).unwrap(), ["web-01", "web-02", "web-04", "web#5"]);
        assert_eq!(words("").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_word_is_told_with_its_line() {
        let faults = words("a b\nc\nd\te").unwrap_err();
        assert_eq!(
            faults,
            [
                "1: \"a b\" is more than one word; a line has one",
                "3: \"d\\te\" is more than one word; a line has one"
            ]
        );
    }

    #[test]
    fn the_number_of_words_is_bounded() {
        assert_eq!(words(&"w\n".repeat(WORDS_MAX)).unwrap().len(), WORDS_MAX);
        assert_eq!(
            words(&"w\n".repeat(WORDS_MAX + 9)).unwrap_err(),
            ["100001: it has more than 100000 words"]
        );
    }

    #[test]
    fn a_file_that_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("latin"), b"caf\xe9").unwrap();
        std::fs::write(folder.path().join("large"), vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
        std::fs::write(folder.path().join("two"), "a b").unwrap();
        let cases = [
            ("absent", "failed to read `absent`: No such file or directory (os error 2)"),
            (".", "failed to read `.`: it is no file"),
            ("latin", "failed to read `latin`: it is not UTF-8"),
            ("large", "failed to read `large`: it has more than 16 MiB"),
            ("two", "two:1: \"a b\" is more than one word; a line has one"),
        ];
        for (file, why) in cases {
            assert_eq!(read(folder.path(), file).unwrap_err(), [why]);
        }
    }
}
