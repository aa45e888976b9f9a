//! Any header is nothing, nonsense or a pair whose user has no colon.
#![no_main]

use adapter_integrators::basic::{self, Authorization};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    for header in [header.to_vec(), [b"Basic ", header].concat()] {
        match basic::parse(Some(&header)) {
            Authorization::Absent => assert!(header.trim_ascii().is_empty()),
            Authorization::Malformed => {}
            Authorization::Basic(pair) => {
                assert!(!pair.user().contains(':'));
                assert!(pair.user().len() + pair.password().len() < header.len());
            }
        }
    }
});
