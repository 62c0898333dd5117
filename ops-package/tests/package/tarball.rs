//! Builds tars block by block, so that they can be as wrong as wanted.

use std::io::Write;

use flate2::{Compression, GzBuilder};

/// A tar in the making.
#[derive(Clone)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

/// The fields of one header.
pub(crate) struct Head<'a> {
    pub(crate) kind: u8,
    pub(crate) name: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) mode: &'a [u8],
    /// The field as it stands; empty: the content's length in octal.
    pub(crate) size: &'a [u8],
    pub(crate) magic: &'a [u8],
}

impl Default for Head<'_> {
    fn default() -> Self {
        Self { kind: b'0', name: b"x", link: b"", mode: b"0000644\0", size: b"", magic: b"ustar\x0000" }
    }
}

impl Tar {
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    /// A tar that holds what every package has to hold.
    pub(crate) fn package() -> Self {
        Self::empty().file("control", 0o755, b"#!/bin/sh\n")
    }

    pub(crate) fn head(mut self, head: &Head, content: &[u8]) -> Self {
        let mut block = [0_u8; 512];
        let octal = format!("{:011o}\0", content.len());
        let size = if head.size.is_empty() { octal.as_bytes() } else { head.size };
        for (at, field) in [
            (0, head.name),
            (100, head.mode),
            (108, b"0000000\0"),
            (116, b"0000000\0"),
            (124, size),
            (136, b"00000000000\0"),
            (148, b"        "),
            (156, &[head.kind]),
            (157, head.link),
            (257, head.magic),
        ] {
            block[at..at + field.len()].copy_from_slice(field);
        }
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(block);
        self.content(content)
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        let mode = format!("{mode:07o}\0");
        self.head(&Head { name: name.as_bytes(), mode: mode.as_bytes(), ..Head::default() }, content)
    }

    pub(crate) fn folder(self, name: &str, mode: u32) -> Self {
        let mode = format!("{mode:07o}\0");
        self.head(&Head { kind: b'5', name: name.as_bytes(), mode: mode.as_bytes(), ..Head::default() }, b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.head(
            &Head { kind: b'2', name: name.as_bytes(), link: target.as_bytes(), ..Head::default() },
            b"",
        )
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.head(
            &Head { kind: b'1', name: name.as_bytes(), link: target.as_bytes(), ..Head::default() },
            b"",
        )
    }

    /// An extension header: `x` `g` `L` `K`.
    pub(crate) fn extension(self, kind: u8, data: &[u8]) -> Self {
        self.head(&Head { kind, name: b"././@Extension", ..Head::default() }, data)
    }

    /// A PAX header of these records.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.extension(b'x', &data)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// With the two zero blocks that end a tar.
    pub(crate) fn ended(self) -> Vec<u8> {
        self.bytes(&[0; 1024]).0
    }

    pub(crate) fn gz(self) -> Vec<u8> {
        gz(&self.ended())
    }
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let len = (1..).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap();
    format!("{}{rest}", rest.len() + len).into_bytes()
}

/// One gzip member, the same at each call.
pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
