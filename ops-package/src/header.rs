//! The fields of one header block of a tar (POSIX ustar, GNU, and the older form without a magic).

use tar::Header;

const BLOCK_BYTES: usize = 512;

/// Magic and version, in the one case; magic alone, in GNU's.
const MAGIC: std::ops::Range<usize> = 257..265;

/// One block of 512 bytes.
pub(crate) struct Block(Header);

impl Block {
    pub(crate) const BYTES: u64 = BLOCK_BYTES as u64;

    pub(crate) fn zeroed() -> Self {
        let mut header = Header::new_old();
        header.as_mut_bytes().fill(0);
        Self(header)
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_bytes()
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.as_bytes().iter().all(|&byte| byte == 0)
    }

    /// Whether this is a header at all.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let old = self.0.as_old();
        // The sum is taken with the sum's own field as spaces.
        let field: u64 = old.cksum.iter().map(|&byte| u64::from(byte)).sum();
        let all: u64 = self.0.as_bytes().iter().map(|&byte| u64::from(byte)).sum();
        if number(&old.cksum) != Some(all - field + 8 * u64::from(b' ')) {
            return Err("its checksum is wrong");
        }
        // Tools differ about how a name continues under a magic they do not know.
        match self.0.as_bytes().get(MAGIC).unwrap_or_default() {
            b"ustar\x0000" | b"ustar  \0" | b"\0\0\0\0\0\0\0\0" => Ok(()),
            _ => Err("its magic is not that of a tar"),
        }
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0.entry_type().as_byte()
    }

    /// The name, with the prefix of a ustar header.
    pub(crate) fn name(&self) -> Vec<u8> {
        self.0.path_bytes().into_owned()
    }

    pub(crate) fn link_name(&self) -> Vec<u8> {
        self.0.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default()
    }

    pub(crate) fn size(&self) -> Result<u64, &'static str> {
        number(&self.0.as_old().size).ok_or("its size is no number, negative or too large")
    }

    pub(crate) fn mode(&self) -> Result<u32, &'static str> {
        let mode = number(&self.0.as_old().mode).and_then(|mode| u32::try_from(mode).ok());
        mode.ok_or("its mode is no number, negative or too large")
    }
}

/// A number field: octal digits between spaces or NULs (POSIX), or GNU's base-256 with the first bit set. Negative
/// and larger ones than 64 bits hold are none.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((0x80, rest)) => base_256(rest),
        _ => octal(field),
    }
}

fn base_256(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0_u64, |value, &byte| Some(value.checked_mul(256)? | u64::from(byte)))
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.trim_ascii_start().split(|byte| matches!(byte, b' ' | 0)).next()?;
    let value = |value: u64, &digit: &u8| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777777\0"), Some(0o77_777_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\x02"), Some(0x102));
        for bad in [
            &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
            b"\x81\0\0\0\0\0\0\0\0\0\0\0",
            b"-0000000001\0",
            b"+0000000001\0",
            b"00000000009\0",
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
            b"            ",
        ] {
            assert_eq!(number(bad), None, "{}", bad.escape_ascii());
        }
    }
}
