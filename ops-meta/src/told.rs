//! What may happen at every request or connection, and is told a few times a minute only.

use crate::log::Seldom;

/// Each with its own count.
pub struct Told {
    /// Hosts beyond `hostsMax`.
    pub full: Seldom,
    /// Hosts whose words found no room.
    pub texts: Seldom,
    /// Entries of beats that were left out.
    pub refused: Seldom,
    /// Handshakes that failed.
    pub tls: Seldom,
    /// Addresses that have their share of the connections.
    pub connections: Seldom,
    /// Tokens that do not count.
    pub tokens: Seldom,
    /// Packages that are there, and cannot be given.
    pub packages: Seldom,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            full: Seldom::new(1),
            texts: Seldom::new(1),
            refused: Seldom::new(10),
            tls: Seldom::new(10),
            connections: Seldom::new(2),
            tokens: Seldom::new(5),
            packages: Seldom::new(10),
        }
    }
}
