//! Anchors: literals of which every known shape contains one, and what each may indicate.
//!
//! There are few anchors and they are rare in ordinary records, because every stored byte is
//! [searched](super::literals) for them.

/// What an anchor may indicate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    /// A text within the token of a provider, by its number among the anchored shapes.
    Token(usize),
    /// The URL of a Slack webhook.
    SlackWebhook,
    /// A private key block.
    Pem,
    /// A private key block in base64.
    Pem64,
    /// A URL that may contain a password.
    Url,
    /// `Bearer` or `Basic`.
    Header,
    /// A name that secrets are assigned to.
    Name,
    /// A cookie header.
    Cookie,
    /// The command with this number.
    Command(usize),
    /// An escape that may hide any of the others.
    Escape,
    /// An invisible character.
    Hidden,
    /// A placeholder that is already in the text.
    Tag,
}

/// The anchors.
pub(super) const ANCHORS: &[(&str, Sign)] = &[
    ("ooks.slack.com", Sign::SlackWebhook),
    ("--BEGIN", Sign::Pem),
    ("LS0tLS1CRUdJTi", Sign::Pem64),
    ("://", Sign::Url),
    (":\\/\\/", Sign::Url),
    ("earer ", Sign::Header),
    ("asic ", Sign::Header),
    ("assw", Sign::Name),
    ("ASSW", Sign::Name),
    ("assph", Sign::Name),
    ("pwd=", Sign::Name),
    ("pwd:", Sign::Name),
    ("pwd ", Sign::Name),
    ("pwd'", Sign::Name),
    ("pwd\"", Sign::Name),
    ("pwd\\", Sign::Name),
    ("PWD=", Sign::Name),
    ("PWD:", Sign::Name),
    ("PWD ", Sign::Name),
    ("PWD'", Sign::Name),
    ("PWD\"", Sign::Name),
    ("PWD\\", Sign::Name),
    ("ecret", Sign::Name),
    ("ECRET", Sign::Name),
    ("oken", Sign::Name),
    ("OKEN", Sign::Name),
    ("_key", Sign::Name),
    ("_KEY", Sign::Name),
    ("-key", Sign::Name),
    ("-Key", Sign::Name),
    ("piKey", Sign::Name),
    ("pikey", Sign::Name),
    ("ssKey", Sign::Name),
    ("ntKey", Sign::Name),
    ("uthoriz", Sign::Name),
    ("sig=", Sign::Name),
    ("ookie", Sign::Cookie),
    ("OOKIE", Sign::Cookie),
    ("curl", Sign::Command(0)),
    ("mysql", Sign::Command(1)),
    ("mariadb", Sign::Command(2)),
    ("sshpass", Sign::Command(3)),
    ("redis-cli", Sign::Command(4)),
    ("mongo", Sign::Command(5)),
    ("login", Sign::Command(6)),
    ("\\u00", Sign::Escape),
    ("\\u20", Sign::Hidden),
    ("\\ufe", Sign::Hidden),
    ("\\uFE", Sign::Hidden),
    ("[redacted:", Sign::Tag),
];

/// Finds out now instead of at first use which instructions the processor has: for programs that
/// fork.
pub fn prepare() {
    let _ = fearless_simd::Level::new();
}

/// An anchor in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Anchor {
    /// Where it begins.
    pub(super) at: usize,
    /// Its length.
    pub(super) length: usize,
    /// What it may indicate.
    pub(super) sign: Sign,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::COMMANDS;
    use crate::literals::Anchors;

    #[test]
    fn every_anchor_is_found_wherever_it_stands() {
        let rare = [
            ("://", Sign::Url),
            ("\u{200b}", Sign::Hidden),
            ("\u{ad}", Sign::Hidden),
        ];
        for &(literal, sign) in ANCHORS.iter().chain(&rare) {
            assert!(literal.len() >= 4 || rare.contains(&(literal, sign)));
            for (before, after) in [(0, 0), (1, 40), (40, 1), (63, 64)] {
                let text = format!("{}{literal}{}", " ".repeat(before), " ".repeat(after));
                let found = Anchors::of(text.as_bytes()).next(0);
                assert_eq!(
                    found,
                    Some(Anchor {
                        at: before,
                        length: literal.len(),
                        sign
                    }),
                    "{text}"
                );
            }
            if let Sign::Command(number) = sign {
                assert_eq!(COMMANDS[number].name(), literal);
            }
        }
        let nothing = b"nothing of the kind in here, just words \xe2\x80\x93";
        assert_eq!(Anchors::of(nothing).next(0), None);
        let several = b"a pwd= b :// c \xe2\x80\x8b d pwd= e";
        let mut anchors = Anchors::of(several);
        let mut places = Vec::new();
        while let Some(anchor) = anchors.next(places.last().map_or(0, |last| last + 1)) {
            places.push(anchor.at);
        }
        assert_eq!(places, [2, 9, 15, 21]);
    }
}
