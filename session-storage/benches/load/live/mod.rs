//! Subscribers: WebSocket clients that check what they are shown and note when.

pub(crate) mod audience;
pub(crate) mod dawdlers;
pub(crate) mod frame;
pub(crate) mod subscriber;
