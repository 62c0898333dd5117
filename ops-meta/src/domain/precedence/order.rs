//! The fields of a policy.

use std::fmt;

use ops_wire::{AgentName, Cmd, DesiredAgent, HexDigest, Md5, Version};

macro_rules! fields {
    ($($variant:ident $field:ident $name:literal $type:ty,)*) => {
        /// What is asked for; an empty field asks for nothing.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Order {
            $(pub $field: $type,)*
        }

        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($variant,)*
        }

        impl Field {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is called on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub fn is_set(self, order: &Order) -> bool {
                match self {
                    $(Self::$variant => !order.$field.is_blank(),)*
                }
            }

            pub fn is_same(self, one: &Order, other: &Order) -> bool {
                match self {
                    $(Self::$variant => one.$field == other.$field,)*
                }
            }

            /// Writes this field, and no other.
            pub fn take(self, from: &Order, into: &mut Order) {
                match self {
                    $(Self::$variant => into.$field.clone_from(&from.$field),)*
                }
            }
        }
    };
}

fields! {
    Version version "version" Option<Version>,
    Cmd cmd "cmd" Cmd,
    Tarball tarball "tarball" String,
    Md5 md5 "md5" Md5,
    Sha256 sha256 "sha256" Option<HexDigest>,
    Signature signature "signature" String,
    Size size "size" Option<u64>,
    UnpackedSize unpacked_size "unpackedSize" Option<u64>,
    Mirrors mirrors "mirrors" Vec<String>,
    TrialSecs trial_secs "trialSecs" Option<u32>,
    RunUser run_user "runUser" String,
    ConfigFileName config_file_name "configFileName" String,
    ConfigRemoteUrl config_remote_url "configRemoteUrl" String,
    ConfigSha256 config_sha256 "configSha256" Option<HexDigest>,
}

impl Field {
    /// The field that says which content this one describes.
    pub fn describes(self) -> Option<Self> {
        match self {
            Self::Sha256 | Self::Signature | Self::Size | Self::UnpackedSize => Some(Self::Version),
            Self::ConfigSha256 => Some(Self::ConfigRemoteUrl),
            _ => None,
        }
    }
}

impl Order {
    pub fn desired(&self, agent: AgentName) -> DesiredAgent {
        let order = self.clone();
        let version = order.version.ok_or_else(|| "there is none".to_owned());
        DesiredAgent {
            md5: order.md5,
            sha256: order.sha256,
            signature: order.signature,
            size: order.size,
            unpacked_size: order.unpacked_size,
            mirrors: order.mirrors,
            trial_secs: order.trial_secs,
            run_user: order.run_user,
            config_file_name: order.config_file_name,
            config_remote_url: order.config_remote_url,
            config_sha256: order.config_sha256,
            ..DesiredAgent::with_any_version(agent, version, order.tarball, order.cmd)
        }
    }
}

/// What asks for nothing.
trait Blank {
    fn is_blank(&self) -> bool;
}

impl<T> Blank for Option<T> {
    fn is_blank(&self) -> bool {
        self.is_none()
    }
}

impl<T> Blank for Vec<T> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Blank for String {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Blank for Cmd {
    fn is_blank(&self) -> bool {
        *self == Self::Blank
    }
}

impl Blank for Md5 {
    fn is_blank(&self) -> bool {
        *self == Self::TarballPrefix
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
