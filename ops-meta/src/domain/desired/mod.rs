//! The whole desired state: settings, lists, groups and policies. A [`Document`] is what was written; a [`Desired`] is one
//! that was checked.

mod bounded;
mod check;
mod document;
mod fault;
mod object;
mod object_only;
mod order;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::precedence::Rules;
use super::selector::Lists;
pub use document::{Document, GroupText, PolicyText, SettingsText};
pub use fault::Fault;
pub use object::{Difference, Object, differences};

pub use bounded::words;

/// Words of one list.
pub const WORDS_MAX: usize = 100_000;
/// Of all lists, so that whatever was made piece by piece can be said as a whole, too.
const LISTS_BYTES_MAX: usize = 8 << 20;
const LISTS_MAX: usize = 1000;
const GROUPS_MAX: usize = 10_000;
/// The selectors of all groups.
const SELECTORS_BYTES_MAX: usize = 4 << 20;
const POLICIES_MAX: usize = 100_000;
/// The longest word of a list, in bytes, and the longest description.
const WORD_BYTES_MAX: usize = 253;
const DESCRIPTION_BYTES_MAX: usize = 1024;
/// The longest URL prefix, in bytes.
const URL_BYTES_MAX: usize = 2048;
/// A change that touches more of all hosts wants to be confirmed, unless the settings say otherwise.
pub const CONFIRM_ABOVE_PERCENT: u8 = 25;

/// What should run where, without a contradiction in it.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    document: Document,
    rules: Arc<Rules>,
    lists: Lists,
}

impl Desired {
    /// Sorted, and every word of a list once.
    pub fn document(&self) -> &Document {
        &self.document
    }

    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    pub fn confirm_above_percent(&self) -> u8 {
        self.document.settings.confirm_above_percent.unwrap_or(CONFIRM_ABOVE_PERCENT)
    }
}
