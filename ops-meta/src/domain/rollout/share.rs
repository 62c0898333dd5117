//! Parts of a whole: how many hosts a wave reaches, and how many may fail.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 0 to 100 %, to two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    hundredths: u16,
}

/// How many of the hosts that a wave selects have the change when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Percent(Percent),
    Count(u32),
}

/// More failures than this are a breach. In JSON and on the command line `3`, or `"2%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxFailed {
    Absolute(u32),
    /// Of the hosts that were ordered.
    Percent(Percent),
}

impl Percent {
    pub const ALL: Self = Self { hundredths: 10_000 };

    pub const fn whole(percent: u8) -> Self {
        let hundredths = percent as u16 * 100;
        Self { hundredths: if hundredths > 10_000 { 10_000 } else { hundredths } }
    }

    /// `None`: less than nothing, more than all, or finer than two decimals.
    pub fn new(percent: f64) -> Option<Self> {
        let hundredths = (percent * 100.0).round();
        let is_exact = (hundredths - percent * 100.0).abs() < 1e-6;
        (is_exact && (0.0..=10_000.0).contains(&hundredths)).then_some(Self { hundredths: hundredths as u16 })
    }

    pub fn is_none(self) -> bool {
        self.hundredths == 0
    }

    /// Never fewer than one, of one or more: the first wave is there to try something.
    pub fn of(self, hosts: u32) -> u32 {
        let part = (u64::from(hosts) * u64::from(self.hundredths)).div_ceil(10_000);
        u32::try_from(part).unwrap_or(hosts)
    }

    /// Whether `part` of `whole` is more than this.
    pub fn is_exceeded_by(self, part: u32, whole: u32) -> bool {
        u64::from(part) * 10_000 > u64::from(self.hundredths) * u64::from(whole)
    }
}

impl Share {
    pub fn of(self, hosts: u32) -> u32 {
        match self {
            Self::Percent(percent) => percent.of(hosts),
            Self::Count(count) => count.min(hosts),
        }
    }
}

impl MaxFailed {
    /// So many of these may have failed.
    pub fn of(self, ordered: u32) -> u32 {
        match self {
            Self::Absolute(most) => most,
            Self::Percent(most) => (u64::from(most.hundredths) * u64::from(ordered) / 10_000) as u32,
        }
    }

    pub fn is_exceeded_by(self, failed: u32, ordered: u32) -> bool {
        match self {
            Self::Absolute(most) => failed > most,
            Self::Percent(most) => most.is_exceeded_by(failed, ordered),
        }
    }
}

/// `1.5 %`
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.hundredths) / 100.0)
    }
}

/// `10 %`, `5 hosts`
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => percent.fmt(f),
            Self::Count(1) => f.write_str("1 host"),
            Self::Count(count) => write!(f, "{count} hosts"),
        }
    }
}

impl fmt::Display for MaxFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(most) => most.fmt(f),
            Self::Percent(most) => write!(f, "{most} of them"),
        }
    }
}

/// `1.5%` or `1.5 %`
impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
        let percent = number.and_then(Self::new);
        percent.ok_or_else(|| format!("{text:?} is no percentage; write it as `1%`, `0.25%` or `100%`"))
    }
}

impl FromStr for MaxFailed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(most) => Ok(Self::Absolute(most)),
            Err(_) => text.parse().map(Self::Percent).map_err(|_| {
                format!("{text:?} is no number of hosts and no percentage; write it as `3` or `2%`")
            }),
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.hundredths % 100 {
            0 => serializer.serialize_u16(self.hundredths / 100),
            _ => serializer.serialize_f64(f64::from(self.hundredths) / 100.0),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let why = "a percentage is a number from 0 to 100 with two decimals at most";
        Self::new(f64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(why))
    }
}

impl Serialize for MaxFailed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absolute(most) => serializer.serialize_u32(*most),
            Self::Percent(most) => {
                serializer.collect_str(&format_args!("{}%", f64::from(most.hundredths) / 100.0))
            }
        }
    }
}

impl<'de> Deserialize<'de> for MaxFailed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number of hosts, or a percentage such as \"2%\"")]
        enum Written {
            Number(u32),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(most) => Ok(Self::Absolute(most)),
            Written::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}
