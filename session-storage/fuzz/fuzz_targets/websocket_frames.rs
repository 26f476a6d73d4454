//! Whatever a WebSocket's client says: heard, or told that it broke a rule; read to its end, whatever the pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| session_storage::fuzz::frames(bytes));
