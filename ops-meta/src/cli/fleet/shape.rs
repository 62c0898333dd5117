//! Which fields the document has, in the order in which people read them, and what each of them holds.

/// YAML guesses that 1.10 is a number; here the field says what it wants.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Text,
    /// A whole number.
    Whole,
    Texts,
    /// Texts, or the file that holds them.
    Words,
    /// An object of these fields.
    Fields(&'static [(&'static str, Shape)]),
    /// An object whose keys are names.
    Named(&'static Shape),
    Each(&'static Shape),
    /// What the server says of the document, and does not want to hear.
    Said,
}

impl Shape {
    /// For a sentence.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Whole => "a whole number",
            Self::Texts | Self::Each(_) => "a list",
            Self::Words => "a list of words, or {file: ...}",
            Self::Fields(_) | Self::Named(_) | Self::Said => "an object",
        }
    }
}

/// A section that is missing is an empty one.
pub const SECTIONS: &[(&str, Shape)] = &[
    ("settings", Shape::Fields(SETTINGS)),
    ("lists", Shape::Named(&Shape::Words)),
    ("groups", Shape::Named(&Shape::Fields(GROUP))),
    ("policies", Shape::Each(&Shape::Fields(POLICY))),
    ("generation", Shape::Said),
];

const SETTINGS: &[(&str, Shape)] = &[("packagesUrl", Shape::Text), ("confirmAbovePercent", Shape::Whole)];

const GROUP: &[(&str, Shape)] = &[
    ("description", Shape::Text),
    ("select", Shape::Text),
    ("priority", Shape::Whole),
    ("windows", Shape::Each(&Shape::Fields(WINDOW))),
];

const WINDOW: &[(&str, Shape)] =
    &[("days", Shape::Texts), ("start", Shape::Text), ("durationSecs", Shape::Whole), ("zone", Shape::Text)];

/// For whom, then the order as it goes over the wire (`ops_wire::DesiredAgent`).
const POLICY: &[(&str, Shape)] = &[
    ("agent", Shape::Text),
    ("group", Shape::Text),
    ("host", Shape::Text),
    ("version", Shape::Text),
    ("cmd", Shape::Text),
    ("tarball", Shape::Text),
    ("mirrors", Shape::Texts),
    ("md5", Shape::Text),
    ("sha256", Shape::Text),
    ("signature", Shape::Text),
    ("size", Shape::Whole),
    ("unpackedSize", Shape::Whole),
    ("trialSecs", Shape::Whole),
    ("runUser", Shape::Text),
    ("configFileName", Shape::Text),
    ("configRemoteUrl", Shape::Text),
    ("configSha256", Shape::Text),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ops_wire::{Cmd, DesiredAgent, HexDigest};

    use super::*;

    #[test]
    fn a_policy_has_the_fields_of_the_wire() {
        let digest = HexDigest::sha256(&"a".repeat(64));
        let agent = DesiredAgent {
            sha256: digest.clone(),
            signature: "s".to_owned(),
            size: Some(1),
            unpacked_size: Some(1),
            mirrors: vec!["m".to_owned()],
            trial_secs: Some(1),
            run_user: "u".to_owned(),
            config_file_name: "f".to_owned(),
            config_remote_url: "c".to_owned(),
            config_sha256: digest,
            ..DesiredAgent::new("a".parse().unwrap(), "1".parse().unwrap(), "t".to_owned(), Cmd::Start)
        };
        let wire = serde_json::to_value(agent).unwrap();
        let wire: BTreeSet<_> = wire.as_object().unwrap().keys().map(String::as_str).collect();
        let mut policy: BTreeSet<_> = POLICY.iter().map(|(name, _)| *name).collect();
        assert!(policy.remove("agent") && policy.remove("group") && policy.remove("host"));
        policy.insert("name");
        assert_eq!(policy, wire);
    }
}
