//! The native half of the Node.js package `hook-agent`: private to its `lib/`.
//!
//! Each method takes JSON text and makes one library call. A write returns the number of its
//! record; a call that is answered later returns nothing. All answers come through the
//! environment's [`reply_queue`], in batches, under the id that the JavaScript side passed. This crate
//! knows no promises, sessions or names of settings.

mod agent;
mod error;
mod reply_queue;
