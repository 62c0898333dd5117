//! The members of a tar, one after the other, with what the extension headers in front of each say about it.
//!
//! The framing is our own, over the tar crate's header fields: that crate reads the extension headers whole, takes
//! any end for a tar's end, and in its raw form goes by the size in the header where a PAX size overrules it.

use crate::gunzip::{Gunzipped, Stop};
use crate::header::Block;
use crate::limits::Limits;
use crate::pax::Pax;
use crate::refusal::Refusal;

/// One member as the archive describes it; nothing of it is checked yet.
pub(crate) struct Member {
    /// Offset of the header in the tar.
    pub(crate) at: u64,
    pub(crate) kind: u8,
    pub(crate) name: Vec<u8>,
    pub(crate) link_name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) sparse: bool,
}

pub(crate) struct Members<'a> {
    tar: Gunzipped,
    limits: &'a Limits,
    /// Bytes of the tar taken so far.
    at: u64,
    /// Extension headers so far.
    extensions: u64,
    /// Bytes between the last member's content and the next header.
    padding: u64,
}

/// What the extension headers in front of a member said.
#[derive(Default)]
struct Extensions {
    bytes: u64,
    name: Option<Vec<u8>>,
    link_name: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(tar: Gunzipped, limits: &'a Limits) -> Self {
        Self { tar, limits, at: 0, extensions: 0, padding: 0 }
    }

    pub(crate) fn bytes_taken(&self) -> u64 {
        self.at
    }

    /// The next member, after whose content was taken; `None` after the tarball's end was seen.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, Stop> {
        self.skip(self.padding)?;
        let mut extensions = Extensions::default();
        loop {
            let at = self.at;
            let block = self.block()?;
            if block.is_zero() {
                return self.end(&extensions).map(|()| None);
            }
            let refused = |why| Refusal::Header { at, why };
            block.check().map_err(refused)?;
            let size = block.size().map_err(refused)?;
            match block.kind() {
                kind @ (b'L' | b'K' | b'x' | b'g') => {
                    extensions.bytes = extensions.bytes.saturating_add(size);
                    let data = self.extension(at, size, extensions.bytes)?;
                    let read = extensions.read(kind, data);
                    read.map_err(|why| Refusal::Extension { at, why })?;
                    self.count(at)?;
                }
                _ => return self.member(at, &block, size, extensions).map(Some),
            }
        }
    }

    fn member(&mut self, at: u64, block: &Block, size: u64, extensions: Extensions) -> Result<Member, Stop> {
        let pax = extensions.pax.unwrap_or_default();
        // POSIX: a PAX size overrules the header's.
        let size = pax.size.unwrap_or(size);
        self.padding = padding(size);
        Ok(Member {
            at,
            kind: block.kind(),
            name: pax.path.or(extensions.name).unwrap_or_else(|| block.name()),
            link_name: pax.link_path.or(extensions.link_name).unwrap_or_else(|| block.link_name()),
            mode: block.mode().map_err(|why| Refusal::Header { at, why })?,
            size,
            sparse: pax.sparse || block.kind() == b'S',
        })
    }

    /// The data of an extension header, which is refused by its size before any of it is read.
    fn extension(&mut self, at: u64, size: u64, all_bytes: u64) -> Result<Vec<u8>, Stop> {
        let limit = self.limits.metadata_bytes_max;
        if all_bytes > limit {
            return Err(Refusal::ExtensionTooLarge { at, limit }.into());
        }
        let mut data = Vec::new();
        self.take(size, |bytes| data.extend_from_slice(bytes))?;
        self.skip(padding(size))?;
        Ok(data)
    }

    /// Extension headers cost time like entries, and at most four of them are of use to one entry.
    fn count(&mut self, at: u64) -> Result<(), Refusal> {
        self.extensions += 1;
        if self.extensions > self.limits.entries_max.saturating_mul(4) {
            return Err(Refusal::Extension { at, why: "there are too many of them" });
        }
        Ok(())
    }

    /// After the first zero block: nothing but zeros, however many a tool's blocking factor added. One zero block is
    /// taken for an end where POSIX wants two, as GNU tar does: what came before is whole.
    fn end(&mut self, extensions: &Extensions) -> Result<(), Stop> {
        if extensions.bytes > 0 {
            let why = "no entry follows it";
            return Err(Refusal::Extension { at: self.at - Block::BYTES, why }.into());
        }
        loop {
            let bytes = self.tar.fill()?;
            if bytes.is_empty() {
                return Ok(());
            }
            if bytes.iter().any(|&byte| byte != 0) {
                return Err(Refusal::AfterTar.into());
            }
            let len = bytes.len();
            self.consume(len)?;
        }
    }

    /// Up to `len_max` bytes of the member's content. That there are none is a refusal.
    pub(crate) fn content(&mut self, len_max: u64) -> Result<&[u8], Stop> {
        let bytes = self.tar.fill()?;
        if bytes.is_empty() {
            return Err(Refusal::Truncated { at: self.at }.into());
        }
        Ok(bytes.get(..usize::try_from(len_max).unwrap_or(usize::MAX)).unwrap_or(bytes))
    }

    fn block(&mut self) -> Result<Block, Stop> {
        let mut block = Block::zeroed();
        let mut rest = block.bytes_mut();
        self.take(Block::BYTES, |bytes| {
            if let Some((head, tail)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
                head.copy_from_slice(bytes);
                rest = tail;
            }
        })?;
        Ok(block)
    }

    pub(crate) fn skip(&mut self, len: u64) -> Result<(), Stop> {
        self.take(len, |_| {})
    }

    /// Takes exactly `len` bytes.
    fn take(&mut self, mut len: u64, mut each: impl FnMut(&[u8])) -> Result<(), Stop> {
        while len > 0 {
            let bytes = self.content(len)?;
            each(bytes);
            let taken = bytes.len();
            self.consume(taken)?;
            len -= taken as u64;
        }
        Ok(())
    }

    pub(crate) fn consume(&mut self, len: usize) -> Result<(), Stop> {
        self.tar.consume(len);
        self.at = self.at.saturating_add(len as u64);
        let limit = self.limits.tar_bytes_max();
        if self.at > limit { Err(Refusal::TarTooLarge { limit }.into()) } else { Ok(()) }
    }
}

impl Extensions {
    fn read(&mut self, kind: u8, data: Vec<u8>) -> Result<(), &'static str> {
        match kind {
            b'L' => once(&mut self.name, long_name(data)?)?,
            b'K' => once(&mut self.link_name, long_name(data)?)?,
            b'x' => once(&mut self.pax, Pax::read(&data)?)?,
            _ if Pax::read(&data)?.is_harmless() => {}
            _ => return Err("a global PAX header changes the entries after it"),
        }
        match &self.pax {
            Some(pax) if pax.path.is_some() && self.name.is_some() => Err(TWICE),
            Some(pax) if pax.link_path.is_some() && self.link_name.is_some() => Err(TWICE),
            _ => Ok(()),
        }
    }
}

/// Tools differ about which of two counts.
const TWICE: &str = "the entry after it has two of them";

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TWICE),
    }
}

/// GNU ends a long name with a NUL, some tools do not.
fn long_name(mut data: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    data.pop_if(|byte| *byte == 0);
    if data.is_empty() { Err("a long name is empty") } else { Ok(data) }
}

/// Bytes up to the next block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % Block::BYTES
}
