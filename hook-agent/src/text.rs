//! Prepares text from others for people to read.

/// Returns the text as one line, without control characters that a terminal would obey: it may come
/// from anywhere.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
