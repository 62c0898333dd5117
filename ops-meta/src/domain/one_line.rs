//! Text of somebody else, on one line and without power over a terminal.

/// Control characters and marks that turn the direction of writing are written out.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Line separators and marks that turn the direction of writing, which are no control characters to Unicode.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line() {
        assert_eq!(one_line("started"), "started");
        assert_eq!(one_line("a\nweb02 1.0 started"), "a\\nweb02 1.0 started");
        assert_eq!(one_line("a\u{2028}b\u{202e}\r\u{1b}\u{200f}"), "a\\u{2028}b\\u{202e}\\r\\u{1b}\\u{200f}");
        assert_eq!(one_line("\u{9b}2J"), "\\u{9b}2J");
    }
}
