//! Looks at the real agents of this host: what the files say. What runs is asked of each agent's `./control status`.

use ops_wire::{AgentName, DesiredAgent, Version};

use crate::error::Fault;
use crate::fs_layout::{Layout, read_json};
use crate::plan::{Past, Real, Record};
use crate::upgrade::{Intent, Look};

/// What the files say of one agent, and what cannot be read of it.
pub fn read(
    layout: &Layout,
    name: &AgentName,
    desired: Option<&DesiredAgent>,
    look: Option<Look>,
    boot_id: &str,
) -> Result<Real, Fault> {
    let version = layout.version(name)?;
    // A damaged record is as if it were not there: `.version` and what runs say where the agent is.
    let intent: Option<Intent> = read_json(&layout.intent_file(name)).ok().flatten();
    let wanted = desired.and_then(|it| it.version.as_ref().ok());
    Ok(Real {
        complete: version.as_ref().is_some_and(|version| layout.is_complete(name, version)),
        record: version.as_ref().and_then(|version| record(layout, name, version)),
        wanted_record: wanted.and_then(|version| record(layout, name, version)),
        exists: layout.has_agent(name),
        held: layout.held(name),
        same_boot: intent.as_ref().is_some_and(|it| it.boot_id == boot_id),
        past: past(layout, name),
        name: name.clone(),
        version,
        look,
        intent,
    })
}

/// What a version's folder was made from, when it is one that can be used.
pub fn record(layout: &Layout, name: &AgentName, version: &Version) -> Option<Record> {
    layout.record(name, version).filter(|_| layout.is_complete(name, version))
}

/// What failed before. A damaged file is forgotten: the worst that follows is one more try.
pub fn past(layout: &Layout, name: &AgentName) -> Past {
    read_json(&layout.failed_file(name)).ok().flatten().unwrap_or_default()
}
