use std::time::{Duration, Instant};

/// Long enough for anything that is to happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; fails with `what` when it does not within `deadline`.
#[track_caller]
pub fn wait_for(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
