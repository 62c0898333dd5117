//! Sizes and numbers, as people read them. On the wire they are bytes.

/// `512 bytes`, `1.2 kB`, `34 MB`: two digits at least.
pub fn size(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.into_iter().find(|&(unit, _)| bytes >= unit) {
        None => count(bytes, "byte", "bytes"),
        Some((unit, name)) if bytes < 10 * unit => {
            format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
        }
        Some((unit, name)) => format!("{} {name}", bytes / unit),
    }
}

/// `1 package`, `2 packages`
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_in_which_it_is_a_short_number() {
        assert_eq!((size(0), size(999)), ("0 bytes".into(), "999 bytes".into()));
        assert_eq!(size(1), "1 byte");
        assert_eq!(
            (size(1000), size(9_999), size(10_000)),
            ("1.0 kB".into(), "9.9 kB".into(), "10 kB".into())
        );
        assert_eq!((size(1_250_000), size(4 << 30)), ("1.2 MB".into(), "4.2 GB".into()));
        assert_eq!(size(u64::MAX), "18446744 TB");
    }
}
