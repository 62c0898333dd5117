//! Paths as sentences name them: whoever reads a log does not know in which folder the program was started.

use std::path::{self, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// As it was given where the working folder is gone.
pub fn absolute(path: PathBuf) -> PathBuf {
    path::absolute(&path).unwrap_or(path)
}

/// For clap.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(absolute)
}
