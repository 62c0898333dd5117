//! Networks of addresses, v4 and v6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `10.3.0.0/16`; a single address is the network of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoNet {
    Address,
    /// Not of the form `/N`, or more than the bits there are.
    Prefix(u8),
    /// The address has bits behind the prefix; this is the network it lies in.
    Inside(Net),
}

impl Net {
    pub fn of(address: IpAddr) -> Self {
        let base = address.to_canonical();
        Self { base, prefix: bits(base) }
    }

    /// Of all networks with a prefix of so many bits the one that contains the address, if there is any.
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        Self { base: masked(address.to_canonical(), prefix), prefix }
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    pub fn read(text: &str) -> Result<Self, NoNet> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse().map(Self::of).map_err(|_| NoNet::Address);
        };
        let given: IpAddr = address.parse().map_err(|_| NoNet::Address)?;
        // Rust would take a `+` too.
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: Option<u8> = prefix.parse().ok().filter(|&prefix| digits && prefix <= bits(given));
        let prefix = prefix.ok_or(NoNet::Prefix(bits(given)))?;
        let net = Self { base: masked(given, prefix), prefix };
        match net.base == given {
            true => Ok(net.canonical()),
            false => Err(NoNet::Inside(net)),
        }
    }

    /// Hosts with a v4 address that is written as v6 have a v4 address; so do networks.
    fn canonical(self) -> Self {
        match (self.base.to_canonical(), self.prefix.checked_sub(96)) {
            (base @ IpAddr::V4(_), Some(prefix)) if self.base.is_ipv6() => Self { base, prefix },
            _ => self,
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Self::around(address, self.prefix) == *self
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits behind the prefix are 0.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(it) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(it.to_bits() & mask).into()
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from_bits(it.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix == bits(self.base) {
            true => self.base.fmt(f),
            false => write!(f, "{}/{}", self.base, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_network_has_its_addresses() {
        for (net, address, expected) in [
            ("10.3.0.0/16", "10.3.255.1", true),
            ("10.3.0.0/16", "10.4.0.1", false),
            ("10.3.0.0/16", "::ffff:10.3.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("::/0", "1.2.3.4", false),
            ("::ffff:0:0/96", "1.2.3.4", true),
            ("fe80::/10", "febf::1", true),
            ("fe80::/10", "fec0::1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("::1/128", "::1", true),
        ] {
            let net = Net::read(net).unwrap();
            assert_eq!(net.contains(address.parse().unwrap()), expected, "{net} {address}");
            assert_eq!(Net::read(&net.to_string()), Ok(net));
        }
    }

    #[test]
    fn what_is_no_network_says_why() {
        for text in ["", "/8", "10.0.0", "10.0.0.256/8", "web", "10.0.0.0.0/8", "010.0.0.0/8"] {
            assert_eq!(Net::read(text), Err(NoNet::Address), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0"] {
            assert_eq!(Net::read(text), Err(NoNet::Prefix(32)), "{text}");
        }
        assert_eq!(Net::read("::/129"), Err(NoNet::Prefix(128)));
        assert_eq!(Net::read("10.3.1.0/16"), Err(NoNet::Inside(Net::read("10.3.0.0/16").unwrap())));
    }
}
