//! Texts of others, for people to read.

/// The text as one line, and without what a terminal would take for a command: it may come from anywhere.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
