//! The references: what the same framework does for the same bytes when nothing is stored.

pub(crate) mod append;
pub(crate) mod broadcast;
