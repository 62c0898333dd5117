//! Values by the beginning of a hostname.

use std::collections::{BTreeSet, HashMap};

/// One value for each prefix; a hostname has the value of its longest one.
#[derive(Debug, Clone)]
pub struct Prefixes<T> {
    values: HashMap<Box<str>, T>,
    /// The lengths that occur, longest first: a look-up costs one probe each.
    lengths: Vec<usize>,
}

impl<T> Prefixes<T> {
    pub fn find(&self, hostname: &str) -> Option<&T> {
        self.find_all(hostname).next()
    }

    /// The longest first.
    pub fn find_all(&self, hostname: &str) -> impl Iterator<Item = &T> {
        let prefixes = self.lengths.iter().filter_map(|&length| hostname.get(..length));
        prefixes.filter_map(|prefix| self.values.get(prefix))
    }

    /// The value of this prefix, which it has from now on.
    pub fn of(&mut self, prefix: &str) -> &mut T
    where
        T: Default,
    {
        if let Err(at) = self.lengths.binary_search_by(|length| prefix.len().cmp(length)) {
            self.lengths.insert(at, prefix.len());
        }
        self.values.entry(prefix.into()).or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.values.iter().map(|(prefix, value)| (&**prefix, value))
    }
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), lengths: Vec::new() }
    }
}

impl<T> FromIterator<(Box<str>, T)> for Prefixes<T> {
    fn from_iter<I: IntoIterator<Item = (Box<str>, T)>>(values: I) -> Self {
        let values: HashMap<_, _> = values.into_iter().collect();
        let lengths: BTreeSet<usize> = values.keys().map(|prefix| prefix.len()).collect();
        Self { values, lengths: lengths.into_iter().rev().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins() {
        let table: Prefixes<u8> = [("", 0), ("lg", 1), ("lg-dinp", 2), ("ä", 3)]
            .map(|(prefix, n)| (prefix.into(), n))
            .into_iter()
            .collect();
        for (hostname, n) in
            [("web", 0), ("lg-web", 1), ("lg-dinp-01", 2), ("lg-dinp", 2), ("ä1", 3), ("é", 0)]
        {
            assert_eq!(table.find(hostname), Some(&n), "{hostname}");
        }
        assert_eq!(table.find_all("lg-dinp-01").collect::<Vec<_>>(), [&2, &1, &0]);
    }

    #[test]
    fn a_prefix_is_added_to_those_there_are() {
        let mut table: Prefixes<u8> = Prefixes::default();
        for prefix in ["lg", "lg-dinp", "", "lg", "ws"] {
            *table.of(prefix) += 1;
        }
        assert_eq!(table.find_all("lg-dinp-01").collect::<Vec<_>>(), [&1, &2, &1]);
        assert_eq!(table.find_all("w").collect::<Vec<_>>(), [&1]);
    }
}
