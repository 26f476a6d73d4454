//! Subscribers: WebSocket clients that check what they are shown and note when.

pub(crate) mod audience;
pub(crate) mod frame;
pub(crate) mod slow_clients;
pub(crate) mod subscriber;
