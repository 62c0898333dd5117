//! The stable codes of what went wrong.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($variant:ident $text:literal $doc:literal,)*) => {
        /// A stable code for what went wrong. Codes are added, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = $doc] $variant,)*
        }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is spelled on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    BadName "bad_name" "a name or version that cannot be a path component",
    BadAnswer "bad_answer" "an answer, or an entry of it, that cannot be read",
    Unreachable "unreachable" "no connection",
    Timeout "timeout" "connected, then silent",
    HttpStatus "http_status" "an answer with another status than the expected ones",
    NotThereYet "not_there_yet" "404 for a package",
    TooLarge "too_large" "above a limit on bytes or entries",
    TooSlow "too_slow" "below the minimum rate",
    Md5Missing "md5_missing" "no digest to be had",
    Md5Mismatch "md5_mismatch" "other bytes than the md5 promises",
    Sha256Mismatch "sha256_mismatch" "other bytes than the sha256 promises",
    SignatureMissing "signature_missing" "keys are configured and there is no signature",
    SignatureInvalid "signature_invalid" "a signature that does not hold for this file",
    ArchiveInvalid "archive_invalid" "not a readable tar.gz",
    ArchiveUnsafe "archive_unsafe" "an archive with something that is refused",
    ControlMissing "control_missing" "no executable `control` at the root",
    VersionReused "version_reused" "another content under a version that is in use",
    NoSpace "no_space" "too little room or too few inodes",
    Io "io" "the operating system refused",
    StopFailed "stop_failed" "the version does not stop",
    StartFailed "start_failed" "the version does not start",
    StartTimeout "start_timeout" "the version did not start in time",
    TrialFailed "trial_failed" "the version started and did not stay",
    RollbackFailed "rollback_failed" "the version before will not start either",
    PrecheckRefused "precheck_refused" "the new version's `./control check` refused",
    AccountMissing "account_missing" "the account to run as is not on this host",
    ControlUnsafe "control_unsafe" "others may write the control script",
    ChildKilled "child_killed" "a child of the updater did not end by itself",
    NotConfined "not_confined" "the kernel cannot confine the updater's children",
    TlsFailed "tls_failed" "no trusted connection",
    StatusFailed "status_failed" "`./control status` does not say how the agent is",
    StatusTimeout "status_timeout" "`./control status` did not end in time",
    Held "held" "left alone because somebody wants it so",
    KeyWithdrawn "key_withdrawn" "what is in use was verified with a key that is no longer configured; it runs on",
    UnknownCmd "unknown_cmd" "an order this version does not know",
}

impl ErrorCode {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no error code")))
    }
}
