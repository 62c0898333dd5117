//! Reading what others wrote: one cheap typed parse for what is as it should be, and an entry-by-entry one, in which a
//! bad entry spoils only itself, when that fails.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::code::ErrorCode;
use crate::desired::{Answer, Cmd, DesiredAgent};
use crate::heartbeat::{Heartbeat, RealAgent};
use crate::names::{AgentName, HexDigest};

/// How much of a bad text goes into a sentence, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// One entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The agent's name as it was sent, or empty.
    pub agent: String,
    pub code: ErrorCode,
    pub why: String,
}

/// The whole text is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Answer {
    /// Reads an answer, or the bare array that the 2015 README shows.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut answer = match serde_json::from_slice::<Object<Self>>(bytes) {
            Ok(Object(answer)) => answer,
            Err(_) => tolerant_answer(bytes)?,
        };
        answer.refuse_contradictions();
        Ok(answer)
    }

    /// A start without a version, and an agent that is ordered twice and differently, order nothing.
    fn refuse_contradictions(&mut self) {
        let agents = std::mem::take(&mut self.desired_agents);
        let torn = ordered_differently(&agents);
        let mut seen = HashSet::with_capacity(agents.len());
        for agent in agents {
            if !seen.insert(agent.name.clone()) {
                continue;
            }
            let refusal = match &agent.version {
                _ if torn.contains(&agent.name) => {
                    Some((ErrorCode::BadAnswer, "ordered twice, and differently".to_owned()))
                }
                Err(why) if agent.cmd == Cmd::Start => {
                    Some((ErrorCode::BadName, format!("bad version: {why}")))
                }
                _ => None,
            };
            match refusal {
                Some((code, why)) => self.refused.push(bad(agent.name.as_str(), code, &why)),
                None => self.desired_agents.push(agent),
            }
        }
    }
}

/// The agents that are ordered more than once and not alike.
fn ordered_differently(agents: &[DesiredAgent]) -> HashSet<AgentName> {
    let (mut first, mut torn) = (HashMap::with_capacity(agents.len()), HashSet::new());
    for agent in agents {
        if *first.entry(&agent.name).or_insert(agent) != agent {
            torn.insert(agent.name.clone());
        }
    }
    torn
}

fn tolerant_answer(bytes: &[u8]) -> Result<Answer, Unreadable> {
    let (mut fields, mut refused) = (object(bytes, "desiredAgents")?, Vec::new());
    // It would say whether anything else counts.
    if let Some(other) = fields.get("errorMessage").filter(|it| !it.is_string() && !it.is_null()) {
        return Err(Unreadable(format!("`errorMessage` is {}, not a string", kind(other))));
    }
    let desired_agents =
        entries::<DesiredAgent>(fields.remove("desiredAgents"), "desiredAgents", &mut refused);
    Ok(Answer {
        error_message: field(&mut fields, "errorMessage", &mut refused),
        desired_agents,
        generation: field(&mut fields, "generation", &mut refused),
        next_interval_secs: field(&mut fields, "nextIntervalSecs", &mut refused),
        actions: entries(fields.remove("actions"), "actions", &mut refused),
        refused,
    })
}

impl Heartbeat {
    /// Reads a beat, or the bare array that the 2015 README shows (which has no hostname). The second value says
    /// which entries were left out.
    pub fn read(bytes: &[u8]) -> Result<(Self, Vec<Refused>), Unreadable> {
        match serde_json::from_slice::<Object<Self>>(bytes) {
            Ok(Object(beat)) => Ok((beat, Vec::new())),
            Err(_) => tolerant_heartbeat(bytes),
        }
    }
}

fn tolerant_heartbeat(bytes: &[u8]) -> Result<(Heartbeat, Vec<Refused>), Unreadable> {
    let (mut fields, mut refused) = (object(bytes, "realAgents")?, Vec::new());
    let beat = Heartbeat {
        hostname: field(&mut fields, "hostname", &mut refused),
        real_agents: entries::<RealAgent>(fields.remove("realAgents"), "realAgents", &mut refused),
        ip: field(&mut fields, "ip", &mut refused),
        updater_version: field(&mut fields, "updaterVersion", &mut refused),
        run_user: field(&mut fields, "runUser", &mut refused),
        machine_id: field(&mut fields, "machineId", &mut refused),
        os: field(&mut fields, "os", &mut refused),
        arch: field(&mut fields, "arch", &mut refused),
        labels: field(&mut fields, "labels", &mut refused),
        interval_secs: field(&mut fields, "intervalSecs", &mut refused),
        generation: field(&mut fields, "generation", &mut refused),
        errors: entries(fields.remove("errors"), "errors", &mut refused),
        actions_done: entries(fields.remove("actionsDone"), "actionsDone", &mut refused),
    };
    Ok((beat, refused))
}

/// The text as an object; a bare array becomes the object's one field `array`.
fn object(bytes: &[u8], array: &str) -> Result<Map<String, Value>, Unreadable> {
    let value = serde_json::from_slice(bytes).map_err(|error| Unreadable(format!("not JSON: {error}")))?;
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Array(entries) => Ok(Map::from_iter([(array.to_owned(), Value::Array(entries))])),
        other => Err(Unreadable(format!("neither an object nor an array, but {}", kind(&other)))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Takes one field; null is absent, and what cannot be read is absent and reported.
fn field<T: DeserializeOwned + Default>(
    fields: &mut Map<String, Value>,
    name: &str,
    refused: &mut Vec<Refused>,
) -> T {
    let read = match fields.remove(name) {
        None | Some(Value::Null) => return T::default(),
        Some(value) => serde_json::from_value(value),
    };
    read.unwrap_or_else(|error| {
        refused.push(bad("", ErrorCode::BadAnswer, &format!("`{name}`: {error}")));
        T::default()
    })
}

fn entries<T: DeserializeOwned>(value: Option<Value>, list: &str, refused: &mut Vec<Refused>) -> Vec<T> {
    let values = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(values)) => values,
        Some(other) => {
            let why = format!("`{list}` is {}, not an array", kind(&other));
            refused.push(bad("", ErrorCode::BadAnswer, &why));
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        match Object::<T>::deserialize(&value) {
            Ok(Object(entry)) => read.push(entry),
            Err(error) => refused.push(bad_entry(&value, &format!("`{list}[{index}]`: {error}"))),
        }
    }
    read
}

fn bad_entry(value: &Value, why: &str) -> Refused {
    let name = value.get("name").and_then(Value::as_str);
    let version = value.get("version").and_then(Value::as_str).unwrap_or_default();
    let bad_name = name.is_some_and(|name| name.parse::<AgentName>().is_err());
    let bad_version = !version.is_empty() && version.parse::<crate::Version>().is_err();
    let code = if bad_name || bad_version { ErrorCode::BadName } else { ErrorCode::BadAnswer };
    bad(name.unwrap_or_default(), code, why)
}

fn bad(agent: &str, code: ErrorCode, why: &str) -> Refused {
    Refused { agent: quoted(agent), code, why: quoted_long(why) }
}

/// Control characters escaped, and bounded: it goes into logs and reports.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).flat_map(char::escape_default).collect()
}

fn quoted_long(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(4 * QUOTED_CHARS_MAX).map(printable).collect()
}

/// Null means the same as absent.
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An object, read as `T`. What serde derives also takes an array for the fields in their order, and on this wire no
/// array ever means that.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields))
    }
}

/// A list of objects; null means the same as absent.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let entries = Option::<Vec<Object<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(entries.into_iter().map(|Object(entry)| entry).collect())
}

/// A digest; the empty string means the same as absent.
pub(crate) fn absent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HexDigest>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => HexDigest::sha256(text)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom("a sha256 has 64 hexadecimal digits")),
    }
}

/// A version that may be blank.
pub(crate) mod blank_version {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::names::Version;

    pub(crate) fn serialize<S: Serializer>(
        version: &Option<Version>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(version.as_ref().map_or("", Version::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Version>, D::Error> {
        match Option::<String>::deserialize(deserializer)?.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
        }
    }
}

/// A version that is allowed to be wrong, since `stop` and `uninstall` ignore it; the text is kept beside.
pub(crate) mod any_version {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::desired::no_version;
    use crate::names::Version;

    pub(crate) fn serialize<S: Serializer>(
        version: &Result<Version, String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(version.as_ref().map_or("", Version::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<Version, String>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        if text.is_empty() {
            return Ok(no_version());
        }
        Ok(text
            .parse::<Version>()
            .map_err(|why| format!("{:?}: {why}", text.chars().take(80).collect::<String>())))
    }
}
