//! PAX extension headers (POSIX.1-2001 pax): records of the form `LENGTH KEY=VALUE\n`.

/// What a PAX header says about the next entry, as far as it concerns a package.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link_path: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) sparse: bool,
}

impl Pax {
    /// Reads a header's records. Owners, times, access lists, extended attributes and keys nobody knows are dropped;
    /// the keys that change what the entry *is* are honoured or reported, and must not be said twice.
    pub(crate) fn read(data: &[u8]) -> Result<Self, &'static str> {
        let mut pax = Self::default();
        let mut rest = data;
        while !rest.is_empty() {
            let (key, value, after) = record(rest).ok_or("a PAX record is malformed")?;
            pax.set(key, value)?;
            rest = after;
        }
        Ok(pax)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => once(&mut self.path, text(value)?),
            b"linkpath" => once(&mut self.link_path, text(value)?),
            b"size" => once(&mut self.size, decimal(value).ok_or("a PAX size is no number")?),
            // star's and GNU's sparse files, the parts of a volume, incremental dumps: other content than it seems.
            b"SCHILY.realsize" => self.set_sparse(),
            _ if key.starts_with(b"GNU.sparse.") => self.set_sparse(),
            _ if key.starts_with(b"GNU.") => Err("it has a PAX record of GNU's that is not known here"),
            _ => Ok(()),
        }
    }

    fn set_sparse(&mut self) -> Result<(), &'static str> {
        self.sparse = true;
        Ok(())
    }

    /// Whether nothing here changes what an entry is: what a header for all entries (`git archive` writes a comment
    /// into one) has to be.
    pub(crate) fn is_harmless(&self) -> bool {
        *self == Self::default()
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err("a PAX record is there twice"),
    }
}

fn text(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    // POSIX lets an empty value take back a global one; there are no global ones here.
    if value.is_empty() { Err("a PAX path is empty") } else { Ok(value.to_owned()) }
}

/// The first record's key and value, and what follows it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|&byte| byte == b' ')?;
    let len = usize::try_from(decimal(data.get(..space)?)?).ok()?;
    let (record, rest) = data.split_at_checked(len)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    let (key, value) = pair.split_at_checked(equals)?;
    (!key.is_empty()).then_some((key, value.get(1..)?, rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let value = |value: u64, &digit: &u8| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, value) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends there")]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_length_not_by_their_lines() {
        let pax = Pax::read(b"12 path=a\nb\n19 size=0000000123\n12 comment=\n").unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(pax.size, Some(123));
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [
            &b"x"[..],
            b"5 a=b\n",
            b"7 a=b\n",
            b"6 a=b ",
            b"6 abc\n",
            b"5 =b\n",
            b"0 a=b\n",
            b" 6 a=b\n",
            b"-6 a=b\n",
            b"99999999999999999999 a=b\n",
            b"18446744073709551615 a=b\n",
            b"6 a=b\n\0\0",
            b"11 size=-1\n",
            b"8 path=\n",
            b"9 size=1\n9 size=1\n",
            b"21 GNU.volume.size=1\n",
        ] {
            assert!(Pax::read(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn sparse_records_are_reported() {
        assert!(Pax::read(b"22 GNU.sparse.major=1\n").unwrap().sparse);
        assert!(Pax::read(b"21 SCHILY.realsize=9\n").unwrap().sparse);
        assert!(Pax::read(b"28 SCHILY.xattr.user.x=\0\n\0\n\n").unwrap().is_harmless());
    }
}
