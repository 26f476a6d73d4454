//! The documents that are made from records, through the crate's public face.
#![allow(clippy::unwrap_used, clippy::panic)]

mod costs;
mod hail;
mod hail_rules;
mod prices;
mod running_sums;
mod usage;
