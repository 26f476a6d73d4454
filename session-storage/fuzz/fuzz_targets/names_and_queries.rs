//! Whatever stands in a path or behind its question mark: refused, or within its bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_storage::fuzz;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    fuzz::names(&text);
    fuzz::query(&text);
});
