//! From the groups that a host is in by one set of rules to those by the next: most rules are the same, and need not be
//! asked again.

use std::collections::HashMap;

use super::Rules;
use crate::domain::selector::HostFacts;

/// What is the same in both, and what has to be asked. Of deciding groups.
#[derive(Debug, Clone)]
pub struct Carry {
    /// By the number before: the number after.
    same: HashMap<u32, u32>,
    /// Numbers after.
    asked: Vec<u32>,
}

impl Carry {
    pub fn new(before: &Rules, after: &Rules) -> Self {
        let by_name: HashMap<&str, u32> =
            before.deciding().map(|(number, group)| (&*group.name, number)).collect();
        let (mut same, mut asked) = (HashMap::new(), Vec::new());
        for (number, group) in after.deciding() {
            let was = by_name.get(&*group.name);
            let was =
                was.filter(|&&was| before.group(was).is_some_and(|(it, _)| it.selector == group.selector));
            match was {
                Some(&was) => _ = same.insert(was, number),
                None => asked.push(number),
            }
        }
        Self { same, asked }
    }

    /// Those of the groups that have to be asked that a host is in.
    pub fn asked_of(&self, host: &HostFacts<'_>, after: &Rules, into: &mut Vec<u32>) {
        into.clear();
        into.extend(
            self.asked.iter().filter(|&&number| {
                after.group(number).is_some_and(|(group, _)| group.selector.matches(host))
            }),
        );
    }

    /// All groups of a host that was in these and is in those that were asked, the strongest first.
    pub fn groups(&self, before: &[u32], asked: &[u32]) -> Vec<u32> {
        let same = before.iter().filter_map(|number| self.same.get(number));
        let mut groups: Vec<u32> = same.chain(asked).copied().collect();
        groups.sort_unstable();
        groups
    }
}
