//! What a host, or whoever speaks as one, tells ops-meta.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ops_wire::Heartbeat;

fuzz_target!(|bytes: &[u8]| {
    let beat = match Heartbeat::read(bytes) {
        Ok((beat, refused)) => {
            fuzz::refused(&refused);
            beat
        }
        Err(why) => return fuzz::unreadable(&why),
    };
    let printed = serde_json::to_vec(&beat).unwrap();
    assert_eq!(Heartbeat::read(&printed).unwrap(), (beat, Vec::new()));
});
