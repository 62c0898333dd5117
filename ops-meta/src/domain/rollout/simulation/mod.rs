//! A server and hosts in one process: everything that goes wrong does, from a seed, and what must hold is looked at all
//! the time. Nothing sleeps; `OPS_FULL=1` takes more seeds, `OPS_SEED=7` that one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod host;
mod invariants;
mod random;
mod server;
mod world;

use super::state::State;
use world::World;

const SEEDS: u64 = 500;
const SEEDS_FULL: u64 = 10_000;

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("OPS_SEED={} shows it again", self.0);
        }
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("OPS_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..if std::env::var_os("OPS_FULL").is_some() { SEEDS_FULL } else { SEEDS }).collect(),
    }
}

#[test]
fn whatever_goes_wrong_a_rollout_stays_within_its_limits_and_ends() {
    let mut ends = std::collections::BTreeMap::<State, u32>::new();
    let mut seen = world::Happened::default();
    for seed in seeds() {
        let _seed = Seed(seed);
        let mut world = World::new(seed);
        world.has_faults();
        *ends.entry(world.comes_to_rest()).or_default() += 1;
        seen.add(&world.happened);
    }
    println!("{ends:?} {seen:?}");
    if ends.values().sum::<u32>() >= SEEDS as u32 {
        // A simulation in which nothing happens shows nothing.
        assert!(ends.len() == 3 && ends.values().all(|count| *count > 10), "{ends:?}");
        assert!(seen.is_enough(), "{seen:?}");
    }
}
