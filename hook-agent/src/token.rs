//! The credential: an API key or session token of the service, which appears nowhere but in a
//! request's header.

use std::fmt;

/// The token sent as `Authorization: Bearer …`.
///
/// ```
/// let token = hook_agent::Token::from(" ssk_secret\n");
/// assert_eq!(token.expose(), "ssk_secret");
/// assert_eq!(format!("{token:?}"), "Token(…)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Returns the token's text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the token can be sent in a header.
    pub(crate) fn fits_a_header(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Trims the blanks and line ends that files and shells leave around a token.
impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
