//! Whatever stands in a journal segment: decoded or refused, never a panic, never without end.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| session_store::fuzz_decode(bytes));
