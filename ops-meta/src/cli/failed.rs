//! Why a verb was not done, in one sentence, and the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::say;
use crate::domain::one_line::one_line;

#[derive(Debug)]
pub enum Failed {
    /// Typed or set up wrongly: nothing was asked of anybody.
    WrongUse(String),
    NotFound(String),
    /// The server or the network: perhaps for a while.
    Away {
        why: String,
        /// What the server says is worth waiting.
        retry_after: Option<Duration>,
    },
    Refused(String),
    /// The server says what is wrong with what it was brought; nothing was changed.
    Faulty(Vec<Fault>),
    /// It touches so many hosts that somebody has to say that it is meant; nothing was changed.
    Unconfirmed {
        why: String,
        /// What it would do.
        changed: Box<Value>,
    },
    /// What should run is not what a file says, which was told already.
    Differs,
    /// Some of many, told already; the exit code of the worst.
    Some(u8),
    /// Nobody reads the output any more, as after `| head`: they have what they wanted.
    ReaderGone,
}

/// One thing that is wrong with what the server was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As in `groups.prod.select`.
    pub path: String,
    /// May have several lines.
    pub why: String,
}

impl Failed {
    /// docs/ops-meta.md has the table.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn number(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Away { .. } | Self::Refused(_) | Self::Unconfirmed { .. } => 1,
            Self::WrongUse(_) | Self::Faulty(_) => 2,
            Self::NotFound(_) => 3,
            Self::Differs => 10,
            Self::Some(number) => *number,
        }
    }

    /// Does one after the other and goes on after a failure, of which each is told. That one is not there is the least.
    pub fn of_each<T>(items: &[T], mut each: impl FnMut(&T) -> Result<(), Self>) -> Result<(), Self> {
        let failed = items.iter().filter_map(|item| each(item).err());
        let worst = failed.inspect(|failed| say(&format!("ops-meta: {failed}"))).map(|it| it.number()).min();
        worst.map_or(Ok(()), |number| Err(Self::Some(number)))
    }

    /// The server or the network, and nobody knows for how long.
    pub fn away(why: String) -> Self {
        Self::Away { why, retry_after: None }
    }

    /// Of the output.
    pub fn written(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Refused(format!("failed to write the output: {error}")),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongUse(why)
            | Self::NotFound(why)
            | Self::Away { why, .. }
            | Self::Refused(why)
            | Self::Unconfirmed { why, .. } => f.write_str(why),
            Self::Faulty(faults) => {
                f.write_str("nothing was changed")?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
            Self::Differs => f.write_str("there are differences"),
            Self::Some(_) => f.write_str("not everything was done"),
            Self::ReaderGone => f.write_str("nobody reads the output"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.why.lines().map(one_line).collect();
        write!(f, "{}: {}", one_line(&self.path), lines.join("\n      "))
    }
}
