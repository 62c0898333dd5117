//! What is printed: tables for people, objects for scripts. Values come from hosts, which may say anything.

use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use super::failed::Failed;
use super::say;
use crate::domain::one_line::one_line;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people
    Table,
    /// The server's objects, one a line
    Json,
}

#[derive(Args)]
pub struct Output {
    /// What to print
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub format: Format,
}

/// Standard output, in large pieces.
pub struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    pub fn line(&mut self, line: &str) -> Result<(), Failed> {
        writeln!(self.0, "{line}").map_err(Failed::written)
    }

    /// JSON escapes control characters by itself.
    pub fn json(&mut self, object: &Value) -> Result<(), Failed> {
        writeln!(self.0, "{object}").map_err(Failed::written)
    }

    pub fn flush(&mut self) -> Result<(), Failed> {
        self.0.flush().map_err(Failed::written)
    }

    /// Ends early when nobody reads any more: who only writes now and then would hear of it with the next line.
    pub fn pause(&self, time: Duration) -> Result<(), Failed> {
        // Errors and hang-ups are told without being asked for.
        let mut stdout = [PollFd::new(self.0.get_ref().as_fd(), PollFlags::empty())];
        match poll(&mut stdout, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
            Ok(0) | Err(Errno::EINTR) => Ok(()),
            Ok(_) => Err(Failed::ReaderGone),
            Err(errno) => Err(Failed::written(errno.into())),
        }
    }
}

/// The rows of a list, as they come.
pub struct Listing {
    format: Format,
    out: Out,
    table: Table,
    rows: usize,
}

impl Listing {
    pub fn new(format: Format, heads: &'static [&'static str]) -> Self {
        Self { format, out: Out::new(), table: Table::new(heads), rows: 0 }
    }

    pub fn print(&mut self, objects: &[Value], row: impl Fn(&Value) -> Vec<String>) -> Result<(), Failed> {
        self.rows += objects.len();
        match self.format {
            Format::Json => objects.iter().try_for_each(|object| self.out.json(object))?,
            Format::Table => {
                let rows: Vec<_> = objects.iter().map(row).collect();
                self.table.print(&mut self.out, &rows)?;
            }
        }
        self.out.flush()
    }

    /// Whoever looks at an empty table is told that it is one.
    pub fn end(self, none: &str) {
        if self.rows == 0 && self.format == Format::Table {
            say(none);
        }
    }

    /// Until the next rows may be there.
    pub fn pause(&self, time: Duration) -> Result<(), Failed> {
        self.out.pause(time)
    }
}

/// Columns that are as wide as what was seen so far: a list of a million rows is not kept to be measured.
pub struct Table {
    heads: &'static [&'static str],
    widths: Vec<usize>,
    indent: &'static str,
}

impl Table {
    pub fn new(heads: &'static [&'static str]) -> Self {
        Self { heads, widths: Vec::new(), indent: "" }
    }

    pub fn indented(heads: &'static [&'static str]) -> Self {
        Self { indent: "  ", ..Self::new(heads) }
    }

    /// The heads come with the first rows.
    pub fn print(&mut self, out: &mut Out, rows: &[Vec<String>]) -> Result<(), Failed> {
        let first = self.widths.is_empty();
        if first {
            self.widths = self.heads.iter().map(|head| head.len()).collect();
        }
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if first && !rows.is_empty() {
            let heads: Vec<String> = self.heads.iter().map(|&head| head.to_owned()).collect();
            out.line(&self.aligned(&heads))?;
        }
        rows.iter().try_for_each(|row| out.line(&self.aligned(row)))
    }

    fn aligned(&self, row: &[String]) -> String {
        let mut line = self.indent.to_owned();
        for (width, cell) in self.widths.iter().zip(row) {
            line += cell;
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A field as one word or sentence for people; `-` where there is none.
pub fn text(object: &Value, field: &str) -> String {
    let text = match object.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => one_line(text),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(other) => one_line(&other.to_string()),
    };
    if text.is_empty() { "-".to_owned() } else { text }
}

pub fn number(object: &Value, field: &str) -> Option<i64> {
    object.get(field).and_then(Value::as_i64)
}

pub fn is(object: &Value, field: &str) -> bool {
    object.get(field).and_then(Value::as_bool).unwrap_or_default()
}

pub fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_grow() {
        let mut table = Table::new(&["A", "LONGER"]);
        table.widths = vec![3, 6];
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(table.aligned(&row("x", "y")), "x    y");
        assert_eq!(table.aligned(&row("äöü", "")), "äöü");
    }

    #[test]
    fn a_field_is_harmless_text() {
        let object =
            json!({"a": "x\u{1b}[2J\n", "b": null, "c": true, "d": 7, "e": "", "f": {"k": "\u{202e}"}});
        let shown = |field| text(&object, field);
        assert_eq!(shown("a"), "x\\u{1b}[2J\\n");
        assert_eq!((shown("b"), shown("c"), shown("d")), ("-".into(), "yes".into(), "7".into()));
        assert_eq!((shown("e"), shown("none")), ("-".into(), "-".into()));
        assert_eq!(shown("f"), "{\"k\":\"\\u{202e}\"}");
    }
}
