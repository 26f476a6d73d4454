//! Live fan-out.
pub mod history;
pub use history::{Filter, History, HistoryPage, Published};
