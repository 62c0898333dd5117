//! What is bounded, and how.

use std::time::Duration;

use serde_json::Map;

use super::faults::{Faults, Keys};
use crate::fleet::Most;
use crate::patience::Patience;

// Least, default and most of each number.
const HOSTS: (u64, u64, u64) = (1, 2_000_000, 100_000_000);
/// A kilobyte for each of a million hosts.
const TEXTS_BYTES: (u64, u64, u64) = (64 << 10, 1 << 30, 1 << 40);
const DOWNLOADS: (u64, u64, u64) = (1, 200, 100_000);
const CONNECTIONS: (u64, u64, u64) = (1, 10_000, 1_000_000);
/// 0, which is the same as nothing: half of all, so that no one address has all of them.
const CONNECTIONS_PER_ADDRESS: (u64, u64, u64) = (0, 0, 1_000_000);
/// A host gives up a download that is slower than its own minimum, which is the same.
const BYTES_PER_SEC: (u64, u64, u64) = (0, 1024, 1 << 30);
const PACKAGE_BYTES: (u64, u64, u64) = (1, 4 << 30, 1 << 40);
const DISK_RESERVE_BYTES: (u64, u64, u64) = (0, 256 << 20, 1 << 40);
const HEADER_MILLIS: (u64, u64, u64) = (10, 10_000, 600_000);
const BODY_MILLIS: (u64, u64, u64) = (10, 15_000, 600_000);
const IDLE_MILLIS: (u64, u64, u64) = (10, 60_000, 3_600_000);

/// Each has a default.
#[derive(Debug, Clone)]
pub struct Limits {
    pub fleet: Most,
    pub downloads_max: usize,
    pub connections_max: usize,
    /// Of a tarball that is uploaded.
    pub package_bytes_max: u64,
    /// What uploads leave free on their disk.
    pub disk_reserve_bytes: u64,
    /// `None`: half of those that there are.
    pub connections_per_address_max: Option<usize>,
    /// From the first byte waited for until the head of a request is there.
    pub header: Duration,
    /// For the whole body of a request.
    pub body: Duration,
    pub patience: Patience,
}

impl Limits {
    pub(super) fn read(keys: &mut Keys<'_>, faults: &mut Faults) -> Self {
        let fleet = Most {
            hosts: keys.number("hostsMax", HOSTS, faults) as usize,
            texts_bytes: keys.number("textsBytesMax", TEXTS_BYTES, faults) as usize,
        };
        let downloads_max = keys.number("downloadsMax", DOWNLOADS, faults) as usize;
        let connections_max = keys.number("connectionsMax", CONNECTIONS, faults) as usize;
        let package_bytes_max = keys.number("packageBytesMax", PACKAGE_BYTES, faults);
        let disk_reserve_bytes = keys.number("diskReserveBytes", DISK_RESERVE_BYTES, faults);
        let per_address = keys.number("connectionsPerAddressMax", CONNECTIONS_PER_ADDRESS, faults) as usize;
        let connections_per_address_max = Some(per_address).filter(|&given| given > 0);
        let bytes_per_sec_min = keys.number("bytesPerSecMin", BYTES_PER_SEC, faults);
        let (none, path) = (Map::new(), keys.path_of("timeouts"));
        let given = keys.take("timeouts").and_then(|value| Keys::of(value, &path, faults));
        let mut timeouts = given.unwrap_or_else(|| Keys::of_fields(&none, &path));
        let mut millis = |key, range| Duration::from_millis(timeouts.number(key, range, faults));
        let (header, body) = (millis("headerMillis", HEADER_MILLIS), millis("bodyMillis", BODY_MILLIS));
        let patience = Patience { idle_max: millis("idleMillis", IDLE_MILLIS), bytes_per_sec_min };
        timeouts.finish(faults);
        Self {
            fleet,
            downloads_max,
            connections_max,
            connections_per_address_max,
            package_bytes_max,
            disk_reserve_bytes,
            header,
            body,
            patience,
        }
    }
}
