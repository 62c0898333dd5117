//! The fields of a manifest, each checked once.

use std::collections::BTreeMap;

use ops_wire::AgentName;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Deprecated, Manifest, ManifestError, Restart, itself};
use crate::platform::Platform;
use crate::refusal::shown;
use crate::requirement::Requirement;

const DESCRIPTION_BYTES_MAX: usize = 4096;
const REQUIRES_MAX: usize = 64;
const TRIAL_SECS_MAX: u32 = 86_400;
const WHY_BYTES_MAX: usize = 1024;
/// Unknown keys that are told.
const UNKNOWN_MAX: usize = 20;

type Read<T> = Result<T, ManifestError>;

/// What is left of the object is unknown.
pub(super) fn read(mut object: Map<String, Value>) -> Read<Manifest> {
    let fields = &mut Fields(&mut object);
    let manifest = Manifest {
        name: fields.name("name")?,
        version: fields.name("version")?,
        description: fields.text("description", DESCRIPTION_BYTES_MAX)?,
        requires: fields.requires()?,
        platform: fields.platform()?,
        trial_secs: fields.trial_secs()?,
        restart: fields.restart()?,
        deprecated: fields.deprecated()?,
        unknown: Vec::new(),
    };
    if let Some(name) = manifest.name.as_ref().filter(|name| manifest.requires.contains_key(name)) {
        return Err(itself(name));
    }
    let unknown = object.keys().take(UNKNOWN_MAX).map(|key| shown(key.as_bytes())).collect();
    Ok(Manifest { unknown, ..manifest })
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    /// Null is the same as a missing key.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    fn name<T: std::str::FromStr<Err = ops_wire::NameError>>(&mut self, field: &str) -> Read<Option<T>> {
        let parsed = |text: String| text.parse().map_err(|why| refused(field, format!("{why}")));
        self.take(field).map(|value| string(field, value).and_then(parsed)).transpose()
    }

    fn text(&mut self, field: &str, bytes_max: usize) -> Read<Option<String>> {
        let bounded = |text: String| match text.len() {
            bytes if bytes <= bytes_max => Ok(text),
            bytes => Err(refused(field, format!("it has {bytes} bytes, {bytes_max} are allowed"))),
        };
        self.take(field).map(|value| string(field, value).and_then(bounded)).transpose()
    }

    fn requires(&mut self) -> Read<BTreeMap<AgentName, Requirement>> {
        let requires = match self.take("requires") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(requires)) => requires,
            Some(other) => return Err(wrong_type("requires", "an object of agents and versions", &other)),
        };
        if requires.len() > REQUIRES_MAX {
            let why = format!("it names {} agents, {REQUIRES_MAX} are allowed", requires.len());
            return Err(refused("requires", why));
        }
        requires.into_iter().map(|(agent, requirement)| required(&agent, requirement)).collect()
    }

    fn platform(&mut self) -> Read<Platform> {
        let mut word = |field| match self.take(field).map(|value| string(field, value)).transpose()? {
            Some(word) if word.is_empty() => Err(refused(field, "it is empty; leave it out for all hosts")),
            word => Ok(word.unwrap_or_default()),
        };
        let (os, arch) = (word("os")?, word("arch")?);
        Platform::new(&os, &arch).map_err(|why| refused(why.field(), why.to_string()))
    }

    fn trial_secs(&mut self) -> Read<Option<u32>> {
        let field = "trialSecs";
        let wanted = format!("a whole number of seconds from 0 to {TRIAL_SECS_MAX}");
        let bounded = |value: Value| {
            let secs = value.as_u64().and_then(|secs| u32::try_from(secs).ok());
            secs.filter(|&secs| secs <= TRIAL_SECS_MAX).ok_or_else(|| wrong_type(field, &wanted, &value))
        };
        self.take(field).map(bounded).transpose()
    }

    fn restart(&mut self) -> Read<Restart> {
        match self.take("restart") {
            None => Ok(Restart::Agent),
            Some(Value::String(text)) if text == "agent" => Ok(Restart::Agent),
            Some(Value::String(text)) if text == "reboot" => Ok(Restart::Reboot),
            Some(other) => Err(wrong_type("restart", "\"agent\" or \"reboot\"", &other)),
        }
    }

    fn deprecated(&mut self) -> Read<Option<Deprecated>> {
        let field = "deprecated";
        match self.0.get(field) {
            Some(Value::Bool(true)) => {
                self.take(field);
                return Ok(Some(Deprecated::Unexplained));
            }
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => return Err(wrong_type(field, "a sentence that says why, or true", other)),
        }
        match self.text(field, WHY_BYTES_MAX)? {
            Some(why) if why.trim().is_empty() => Err(refused(field, "it is empty; say why, or true")),
            why => Ok(why.map(Deprecated::Because)),
        }
    }
}

fn required(agent: &str, requirement: Value) -> Read<(AgentName, Requirement)> {
    let field = format!("requires.{}", shown(agent.as_bytes()));
    let name = agent.parse().map_err(|why| refused(&field, format!("this is no name of an agent: {why}")))?;
    let text = string(&field, requirement)?;
    let requirement = text.parse().map_err(|why| refused(&field, format!("{why}")))?;
    Ok((name, requirement))
}

fn string(field: &str, value: Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(field, "a text", &other)),
    }
}

fn wrong_type(field: &str, wanted: &str, value: &Value) -> ManifestError {
    let found = match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => format!("`{}`", shown(other.to_string().as_bytes())),
    };
    refused(field, format!("{wanted} is wanted, not {found}"))
}

fn refused(field: &str, why: impl Into<String>) -> ManifestError {
    ManifestError::field(field, why)
}

/// The two words, where there are any.
pub(super) fn platform<S: Serializer>(platform: &Platform, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Words<'a> {
        #[serde(skip_serializing_if = "str::is_empty")]
        os: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        arch: &'a str,
    }
    Words { os: platform.os(), arch: platform.arch() }.serialize(serializer)
}
