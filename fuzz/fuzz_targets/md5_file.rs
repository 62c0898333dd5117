//! The file beside a tarball that carries its digest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ops_package::{Algorithm, find_sum};

const FILE: &str = "agent-1.0.tar.gz";

fuzz_target!(|bytes: &[u8]| {
    for (algorithm, digits) in [(Algorithm::Md5, 32), (Algorithm::Sha256, 64)] {
        match find_sum(bytes, algorithm, FILE) {
            // A digest counts only when the file says it, and says whose it is.
            Ok(digest) => {
                assert_eq!(digest.as_str().len(), digits);
                let text = String::from_utf8_lossy(bytes);
                assert!(text.contains(FILE));
                assert!(text.to_ascii_lowercase().contains(digest.as_str()));
            }
            Err(why) => fuzz::sentence(&why.to_string()),
        }
    }
});
