//! The words of jobs, in the database and in the API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text that is none of the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoWord(pub String);

impl fmt::Display for NoWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are {}", self.0)
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $text:literal,)* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = NoWord;

            fn from_str(text: &str) -> Result<Self, NoWord> {
                let all = || Self::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
                Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or_else(|| NoWord(all()))
            }
        }
    };
}

words! {
    /// What hosts are to do, as it is spelled on the wire.
    #[schema(as = JobKind)]
    Kind {
        /// Stop an agent and start it again.
        Restart "restart",
        /// Beat now.
        Report "report",
    }
}

words! {
    /// How a job stands.
    #[schema(as = JobState)]
    State {
        Running "running",
        /// Every host has answered.
        Done "done",
        /// Somebody ended it.
        Stopped "stopped",
        /// Its time ran out before every host had answered.
        Expired "expired",
    }
}

words! {
    /// How a host of a job stands.
    #[schema(as = JobHostState)]
    HostState {
        /// Not told yet.
        Pending "pending",
        /// Told, and not answered yet.
        Sent "sent",
        Done "done",
        Failed "failed",
        /// Not answered before the job was over.
        Expired "expired",
    }
}
