//! Writes a package, reproducibly: the same entries in the same order are the same bytes, whoever packs them and when.
//!
//! * Owners are 0 and have no names, every time is the one that is given, modes are 0755 or 0644.
//! * The gzip header has neither name nor time. Compressed is in pieces whose sizes depend on the content alone,
//!   because what the compressor makes of the same bytes may depend on how they came.
//! * The tar is GNU's: a path or a target of more than 100 bytes has a header of its own, which every tar reads.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use ops_wire::HexDigest;
use tar::{EntryType, Header};

use crate::digest::Digesting;
use crate::outline::Mode;
use crate::path::EntryPath;

/// gzip's own default, said here so that no other default changes what comes out.
const LEVEL: Compression = Compression::new(6);
const PIECE_BYTES: usize = 64 << 10;
/// What a header has room for.
const NAME_BYTES: usize = 100;
const BLOCK_BYTES: u64 = 512;
/// As GNU tar names the headers that hold long names.
const LONG: &str = "././@LongLink";

/// Writes a package to `W`. What [`crate::Outline`] took is accepted by [`crate::walk`].
pub struct Packer<W: Write> {
    gzip: GzEncoder<Digesting<W>>,
    mtime: u64,
    piece: Vec<u8>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub bytes: u64,
    pub md5: HexDigest,
    pub sha256: HexDigest,
}

impl<W: Write> Packer<W> {
    /// `mtime` is the time of every entry, in Unix seconds.
    pub fn new(inner: W, mtime: u64) -> Self {
        let digesting = Digesting::both(inner);
        Self { gzip: GzBuilder::new().mtime(0).write(digesting, LEVEL), mtime, piece: vec![0; PIECE_BYTES] }
    }

    pub fn folder(&mut self, path: &EntryPath) -> io::Result<()> {
        self.header(EntryType::Directory, &format!("{path}/"), "", 0o755, 0)
    }

    /// # Errors
    /// Also when `content` has not exactly `bytes` bytes; what was written is no package then.
    pub fn file(
        &mut self,
        path: &EntryPath,
        bytes: u64,
        mode: Mode,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.header(EntryType::Regular, path.as_str(), "", mode.bits(), bytes)?;
        let mut left = bytes;
        while left > 0 {
            let len = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let piece = self.piece.get_mut(..len).unwrap_or_default();
            content.read_exact(piece).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => error,
            })?;
            self.gzip.write_all(piece)?;
            left -= len as u64;
        }
        let mut more = [0];
        let ended = loop {
            match content.read(&mut more) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read? == 0,
            }
        };
        if ended { self.pad(bytes) } else { Err(changed()) }
    }

    pub fn symlink(&mut self, path: &EntryPath, target: &str) -> io::Result<()> {
        self.header(EntryType::Symlink, path.as_str(), target, 0o777, 0)
    }

    /// Ends the package.
    pub fn finish(mut self) -> io::Result<(W, Packed)> {
        self.gzip.write_all(&[0; 2 * BLOCK_BYTES as usize])?;
        let (mut inner, digests) = self.gzip.finish()?.finish();
        inner.flush()?;
        let both = digests.md5.zip(digests.sha256);
        let (md5, sha256) = both.ok_or_else(|| io::Error::other("a digest is missing"))?;
        Ok((inner, Packed { bytes: digests.bytes, md5, sha256 }))
    }

    fn header(&mut self, kind: EntryType, path: &str, target: &str, mode: u32, bytes: u64) -> io::Result<()> {
        self.long_name(EntryType::GNULongLink, target)?;
        self.long_name(EntryType::GNULongName, path)?;
        self.block(kind, path, target, mode, bytes)
    }

    fn long_name(&mut self, kind: EntryType, name: &str) -> io::Result<()> {
        if name.len() <= NAME_BYTES {
            return Ok(());
        }
        // With the NUL that ends it.
        let bytes = name.len() as u64 + 1;
        self.block(kind, LONG, "", 0o644, bytes)?;
        self.gzip.write_all(name.as_bytes())?;
        self.gzip.write_all(&[0])?;
        self.pad(bytes)
    }

    fn block(&mut self, kind: EntryType, path: &str, target: &str, mode: u32, bytes: u64) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.mtime);
        header.set_size(bytes);
        let fields = header.as_old_mut();
        put(&mut fields.name, path);
        put(&mut fields.linkname, target);
        header.set_cksum();
        self.gzip.write_all(header.as_bytes())
    }

    /// Zeros up to the next block.
    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let padding = (bytes.wrapping_neg() % BLOCK_BYTES) as usize;
        self.gzip.write_all([0; BLOCK_BYTES as usize].get(..padding).unwrap_or_default())
    }
}

/// As much of `text` as there is room for.
fn put(field: &mut [u8; NAME_BYTES], text: &str) {
    for (byte, value) in field.iter_mut().zip(text.bytes()) {
        *byte = value;
    }
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was read")
}
