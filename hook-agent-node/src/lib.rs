//! The native half of the Node.js package `hook-agent`: private to its `lib/`.
//!
//! Each method takes JSON text, makes one call of the library's and hands back a number: of the record, for a write,
//! or nothing, for what is answered later. Answers of any kind come through the environment's one [`inbox`], in
//! batches, under the id that the JavaScript side gave. Nothing here knows promises, sessions or settings by name.

mod agent;
mod error;
mod inbox;
mod shared;
