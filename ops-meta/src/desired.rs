//! What should run where, in memory: as it is in the database, with the generation in which each object was written.

use std::collections::BTreeMap;

use crate::domain::desired::{Desired, Difference, Document, Object};
use crate::store::{DesiredRow, StoreError};

/// The desired state that is in force.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub desired: Desired,
    /// Of the last change; deletions leave nothing else behind.
    pub generation: u64,
    generations: BTreeMap<Object, u64>,
}

impl Standing {
    /// As the database has it in this generation. What is in there was checked before it came in.
    pub fn read(rows: Vec<DesiredRow>, generation: u64) -> Result<Self, StoreError> {
        let damaged = |row: &DesiredRow, why: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("{} {} in `desired`: {why}", row.kind, row.name))
        };
        let (mut document, mut by_name) = (Document::default(), BTreeMap::new());
        for row in rows {
            document.put(&row.kind, &row.name, row.value.clone()).map_err(|why| damaged(&row, &why))?;
            by_name.insert((row.kind, row.name), row.generation);
        }
        let (desired, _) = Desired::check(document, &Desired::default()).map_err(|faults| {
            let first = faults.first().map(ToString::to_string).unwrap_or_default();
            StoreError::Damaged(format!(
                "of what should run this ops-meta does not take {first}; where another version wrote it, start that one \
                 again and change it there, or put a backup back"
            ))
        })?;
        let objects = desired.document().objects().into_keys();
        let written = |object: &Object| by_name.get(&(object.kind().to_owned(), object.name())).copied();
        let generations = objects.filter_map(|object| Some((object.clone(), written(&object)?))).collect();
        Ok(Self { desired, generation, generations })
    }

    /// After a change that is in the database.
    pub fn after(&self, desired: Desired, differences: &[Difference], generation: u64) -> Self {
        let mut generations = self.generations.clone();
        for Difference { object, after, .. } in differences {
            match after {
                Some(_) => generations.insert(object.clone(), generation),
                None => generations.remove(object),
            };
        }
        Self { desired, generation, generations }
    }

    /// When an object was written; `None`: there is none.
    pub fn generation_of(&self, object: &Object) -> Option<u64> {
        self.generations.get(object).copied()
    }
}
