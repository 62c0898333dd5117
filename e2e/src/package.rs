use std::io::Write;
use std::path::Path;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::control::{Sick, agent_script, script};

/// An entry of an archive, as it stands in the tar: nothing is checked, everything can be said.
#[derive(Debug, Clone)]
pub struct Entry {
    pub path: String,
    pub kind: u8,
    pub mode: u32,
    /// User and group.
    pub owner: u64,
    pub link: String,
    pub content: Vec<u8>,
}

impl Entry {
    pub fn file(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            kind: b'0',
            mode,
            owner: 0,
            link: String::new(),
            content: content.into(),
        }
    }

    pub fn folder(path: &str) -> Self {
        Self { kind: b'5', mode: 0o755, ..Self::file(path, 0o755, "") }
    }

    pub fn symlink(path: &str, target: &str) -> Self {
        Self { kind: b'2', link: target.to_owned(), ..Self::file(path, 0o777, "") }
    }

    pub fn hard_link(path: &str, target: &str) -> Self {
        Self { kind: b'1', link: target.to_owned(), ..Self::file(path, 0o644, "") }
    }

    pub fn of_kind(path: &str, kind: u8) -> Self {
        Self { kind, ..Self::file(path, 0o644, "") }
    }

    /// Its header, which says that `size` bytes follow.
    pub fn header(&self, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        // Into the bytes, since the setters refuse what a hostile archive says.
        header.as_old_mut().name[..self.path.len()].copy_from_slice(self.path.as_bytes());
        header.as_old_mut().linkname[..self.link.len()].copy_from_slice(self.link.as_bytes());
        header.set_entry_type(tar::EntryType::new(self.kind));
        header.set_mode(self.mode);
        header.set_uid(self.owner);
        header.set_gid(self.owner);
        header.set_mtime(1_400_000_000);
        header.set_size(size);
        header.set_cksum();
        header
    }
}

/// A tar of these entries.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let header = entry.header(entry.content.len() as u64);
        builder.append(&header, entry.content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A part of what a gzip stream holds, compressed once however often it occurs: a gigabyte takes no time to make.
#[derive(Debug)]
pub struct Part {
    deflated: Vec<u8>,
    crc: Crc,
}

impl Part {
    pub fn of(bytes: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        // It ends at a whole byte then, and refers to nothing before it.
        encoder.flush().unwrap();
        let mut crc = Crc::new();
        crc.update(bytes);
        Self { deflated: encoder.get_ref().clone(), crc }
    }
}

/// The gzip stream of these parts.
pub fn gzip_of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut crc = Crc::new();
    for part in parts {
        stream.extend_from_slice(&part.deflated);
        crc.combine(&part.crc);
    }
    stream.extend(DeflateEncoder::new(Vec::new(), Compression::fast()).finish().unwrap());
    stream.extend(crc.sum().to_le_bytes());
    stream.extend(crc.amount().to_le_bytes());
    stream
}

/// One version of an agent, as a tarball.
#[derive(Debug, Clone)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub bytes: Vec<u8>,
}

impl Package {
    /// An agent that does as it should.
    pub fn agent(name: &str, version: &str) -> Self {
        Self::with_script(name, version, &agent_script())
    }

    pub fn sick(name: &str, version: &str, sick: Sick) -> Self {
        Self::with_script(name, version, &script(&[sick]))
    }

    pub fn with_script(name: &str, version: &str, script: &str) -> Self {
        Self::of(name, version, &Self::entries(version, script))
    }

    /// What a good package holds: the script, the program, a file.
    pub fn entries(version: &str, script: &str) -> Vec<Entry> {
        vec![
            Entry::file("control", 0o755, script),
            Entry::file("agent", 0o755, std::fs::read("/bin/sleep").unwrap()),
            Entry::file("content", 0o644, version),
        ]
    }

    pub fn of(name: &str, version: &str, entries: &[Entry]) -> Self {
        Self::of_bytes(name, version, gzip(&tar(entries)))
    }

    pub fn of_bytes(name: &str, version: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), bytes }
    }

    pub fn file_name(&self) -> String {
        format!("{}-{}.tar.gz", self.name, self.version)
    }

    pub fn md5(&self) -> String {
        format!("{:x}", Md5::digest(&self.bytes))
    }

    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The line that md5sum prints for it.
    pub fn md5_file(&self) -> String {
        format!("{}  {}\n", self.md5(), self.file_name())
    }

    /// Writes tarball and md5 file into a folder.
    pub fn put(&self, folder: &Path) {
        std::fs::write(folder.join(self.file_name()), &self.bytes).unwrap();
        std::fs::write(folder.join(format!("{}.md5", self.file_name())), self.md5_file()).unwrap();
    }
}
