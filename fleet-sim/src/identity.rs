//! Who a simulated host says that it is. Every part has the same length for all hosts, so that a prepared beat becomes
//! another host's by writing over a few bytes. Pure.

use crate::chance::mix;

/// More hosts have no name of seven digits.
pub const HOSTS_MAX: u32 = 10_000_000;

/// `PREFIX0000042`.
pub fn hostname(prefix: &str, host: u32) -> String {
    format!("{prefix}{host:07}")
}

/// 32 hexadecimal digits, as in /etc/machine-id.
pub fn machine_id(host: u32) -> String {
    format!("{:016x}{:016x}", mix(host.into()), mix(u64::from(host) << 32))
}

/// An address out of 10.100.100.100 and up. Two hosts may have the same when there are more than a million.
pub fn ip(host: u32) -> String {
    format!("10.{}.{}.{}", 100 + host / 10_000 % 100, 100 + host / 100 % 100, 100 + host % 100)
}
