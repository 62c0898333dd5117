//! For which hosts a package was built.

use std::fmt;

/// Bytes of an operating system's or an architecture's name.
const WORD_BYTES_MAX: usize = 32;

/// The hosts a package was built for: all of them, those of an operating system, or those of an architecture with it.
/// The words are those of Rust's `std::env::consts`: `linux`, `x86_64`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    arch: String,
}

/// Why two words are no platform; the field at fault is told with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformError {
    Os,
    Arch,
    /// An architecture alone: programs of another operating system do not run on it.
    ArchAlone,
}

impl Platform {
    /// Empty words are none; both empty: for all hosts.
    pub fn new(os: &str, arch: &str) -> Result<Self, PlatformError> {
        match (os, arch) {
            (os, _) if !is_word_or_empty(os) => Err(PlatformError::Os),
            (_, arch) if !is_word_or_empty(arch) => Err(PlatformError::Arch),
            ("", arch) if !arch.is_empty() => Err(PlatformError::ArchAlone),
            _ => Ok(Self { os: os.to_owned(), arch: arch.to_owned() }),
        }
    }

    /// Empty: any.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Empty: any.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    pub fn is_any(&self) -> bool {
        self.os.is_empty()
    }
}

fn is_word_or_empty(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= WORD_BYTES_MAX && text.bytes().all(allowed)
}

impl PlatformError {
    /// As manifests and URLs call it.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Arch | Self::ArchAlone => "arch",
        }
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os => write!(f, "up to {WORD_BYTES_MAX} of `a-z 0-9 _` are wanted, as in `linux`"),
            Self::Arch => write!(f, "up to {WORD_BYTES_MAX} of `a-z 0-9 _` are wanted, as in `x86_64`"),
            Self::ArchAlone => f.write_str("it needs an `os` beside it"),
        }
    }
}

impl std::error::Error for PlatformError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hosts_or_an_operating_system_or_an_architecture_of_one() {
        for (os, arch) in [("", ""), ("linux", ""), ("linux", "x86_64"), ("freebsd", "aarch64")] {
            let platform = Platform::new(os, arch).unwrap();
            assert_eq!((platform.os(), platform.arch(), platform.is_any()), (os, arch, os.is_empty()));
        }
    }

    #[test]
    fn other_words_are_refused() {
        let long = "a".repeat(33);
        for os in ["Linux", "li nux", "linux-gnu", "../x", "ä", &long] {
            assert_eq!(Platform::new(os, ""), Err(PlatformError::Os), "{os}");
            assert_eq!(Platform::new("linux", os), Err(PlatformError::Arch), "{os}");
        }
        assert_eq!(Platform::new("", "x86_64"), Err(PlatformError::ArchAlone));
    }
}
