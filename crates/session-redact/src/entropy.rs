//! Whether a value looks machine-generated: not a word, name, path, number or stand-in for a
//! secret.

/// How strongly the name of a value indicates a secret; a weak name requires more evidence in the
/// value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trust {
    /// The name is clear, such as `password` or `api_key`.
    Strong,
    /// The name often means something else, such as `token`.
    Weak,
}

/// The most bytes of a value that are checked.
pub(super) const JUDGED: usize = 128;

/// Whether a value assigned to a name of this trust is a secret.
pub(super) fn is_secret(value: &[u8], trust: Trust) -> bool {
    let judged = &value[..value.len().min(JUDGED)];
    let (least, distinct) = match trust {
        Trust::Strong => (8, 5),
        Trust::Weak => (16, 8),
    };
    judged.len() >= least
        && judged.iter().all(u8::is_ascii_graphic)
        && !is_placeholder(judged)
        && distinct_bytes(judged) >= distinct
        && (!is_wordy(judged) || trust == Trust::Strong && is_spiced(judged))
        && (trust == Trust::Strong || !is_uuid(judged))
        // A value that was redacted before keeps what its first redaction left.
        && memchr::memmem::find(value, b"[redacted:").is_none()
}

/// Whether a value in a place where only a secret can stand is a real value and not a stand-in for
/// one.
pub(super) fn is_given(value: &[u8]) -> bool {
    const NONE: [&[u8]; 10] = [
        b"password",
        b"passwd",
        b"pass",
        b"pwd",
        b"secret",
        b"token",
        b"key",
        b"api_key",
        b"apikey",
        b"changeme",
    ];
    let is_text = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii() || *byte == b' ';
    let is_hint = |hint: &&[u8]| {
        value
            .get(..hint.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(hint))
    };
    value.len() >= 3
        && value.iter().all(is_text)
        && !is_stand_in(value)
        && !NONE.iter().any(|none| value.eq_ignore_ascii_case(none))
        && ![&b"your-"[..], b"your_"].iter().any(is_hint)
}

/// Whether a value is a stand-in (`$PASSWORD`, `<password>`, `%PASSWORD%`, `xxxx`, `…`), or the
/// text after an option without a value.
fn is_stand_in(value: &[u8]) -> bool {
    let bears = |part: &&[u8]| memchr::memmem::find(value, part).is_some();
    value
        .first()
        .is_some_and(|first| b"$<{[(*-,}]".contains(first))
        || value.starts_with(b"%") && value.ends_with(b"%")
        || value.starts_with("\u{2026}".as_bytes())
        || [&b"${"[..], b"$(", b"{{", b"[redacted:"].iter().any(bears)
        || value
            .iter()
            .all(|byte| matches!(byte, b'x' | b'X' | b'.' | b'*'))
}

/// Whether a value stands in for a secret: `$TOKEN`, `<token>`, `{{token}}`, `%s`, a path, a URL or
/// code.
fn is_placeholder(value: &[u8]) -> bool {
    let first = value.first().copied().unwrap_or_default();
    let begins = matches!(
        first,
        b'$' | b'<' | b'{' | b'[' | b'(' | b'%' | b'*' | b'@' | b'&'
    );
    let bears = |part: &[u8]| memchr::memmem::find(value, part).is_some();
    begins
        || is_path(value)
        || [
            &b"${"[..],
            b"{{",
            b"(",
            b"::",
            b"->",
            b"=>",
            b"://",
            b"...",
            b"[redacted:",
        ]
        .iter()
        .any(|part| bears(part))
}

/// Whether a value is a path: `/home/…`, `./run/…`. Base64 may begin with `/` too, but not followed
/// by a word.
fn is_path(value: &[u8]) -> bool {
    let rest = value
        .strip_prefix(b"~")
        .or_else(|| value.strip_prefix(b"."))
        .unwrap_or(value);
    let Some(rest) = rest.strip_prefix(b"/") else {
        return false;
    };
    let letters = rest
        .iter()
        .take_while(|byte| byte.is_ascii_lowercase())
        .count();
    letters >= 2 && matches!(rest.get(letters), None | Some(b'/' | b'.' | b'-' | b'_'))
}

fn distinct_bytes(value: &[u8]) -> u32 {
    let mut seen = [0_u64; 2];
    for byte in value {
        seen[usize::from(byte >> 6) & 1] |= 1 << (byte & 63);
    }
    seen[0].count_ones() + seen[1].count_ones()
}

/// Whether a value has letters, digits and a symbol that names do not contain, as in `Sommer2024!`.
fn is_spiced(value: &[u8]) -> bool {
    let sign = |byte: &u8| {
        matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' | b'@' | b'+'
        )
    };
    value.iter().any(sign)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
}

/// Whether a value consists of words and numbers only, as names, paths and versions do.
fn is_wordy(value: &[u8]) -> bool {
    value
        .split(|byte| !byte.is_ascii_alphanumeric())
        .all(is_word_or_number)
}

/// Whether a part is `word`, `Word`, `camelCaseWord`, `WORD`, `2024`, `word2`, `v2` or similar.
fn is_word_or_number(part: &[u8]) -> bool {
    let letters = part
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let (word, digits) = part.split_at(letters);
    digits.iter().all(u8::is_ascii_digit)
        && digits.len() <= if word.is_empty() { 12 } else { 4 }
        && is_word(word)
}

/// Whether letters can be words: all capitals, or capitals that each begin at least three letters.
fn is_word(letters: &[u8]) -> bool {
    let capitals = letters
        .iter()
        .filter(|byte| byte.is_ascii_uppercase())
        .count();
    capitals == letters.len() && letters.len() <= 24 || capitals * 3 <= letters.len().max(3)
}

/// Whether a value is a UUID such as `550e8400-e29b-41d4-a716-446655440000`.
fn is_uuid(value: &[u8]) -> bool {
    let groups: Vec<usize> = value.split(|byte| *byte == b'-').map(<[u8]>::len).collect();
    groups == [8, 4, 4, 4, 12]
        && value
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

/// Whether a body is one piece that is longer than any word.
fn is_unbroken(body: &[u8]) -> bool {
    body.len() >= 30 && body.iter().all(u8::is_ascii_alphanumeric)
}

/// Whether the body of a token looks random: letters of both cases, or letters and digits, that
/// form no words.
pub(super) fn is_drawn(body: &[u8]) -> bool {
    let body = &body[..body.len().min(JUDGED)];
    let some = |is: fn(&u8) -> bool| body.iter().filter(|byte| is(byte)).count() >= 2;
    let kinds = [
        u8::is_ascii_uppercase,
        u8::is_ascii_lowercase,
        u8::is_ascii_digit,
    ];
    kinds.into_iter().filter(|is| some(*is)).count() >= 2
        && distinct_bytes(body) >= 6
        && (!is_wordy(body) || is_unbroken(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_values_are_secrets() {
        for value in [
            "hunter2hunter2",
            "Tr0ub4dor&3",
            "Sommer2024!",
            "kJhGfDsAqWeRtYuIoP",
            "9f86d081884c7d65",
            "xK9$mQ2#vL5",
            "dGhpcyBpcyBhIHRlc3Q=",
        ] {
            assert!(is_secret(value.as_bytes(), Trust::Strong), "{value}");
        }
        for value in ["9f86d081884c7d659a2feaa0c55ad015", "kJhGfDsAqWeRtYuIoP12"] {
            assert!(is_secret(value.as_bytes(), Trust::Weak), "{value}");
        }
    }

    #[test]
    fn names_paths_numbers_and_placeholders_are_none() {
        for value in [
            "",
            "short1",
            "password",
            "get_password()",
            "process.env.DB_PASSWORD",
            "config.database.password2",
            "${DB_PASSWORD}",
            "<your-password>",
            "{{password}}",
            "********",
            "/run/secrets/db_password",
            "aaaaaaaa1111",
            "SECRET_KEY_V2",
            "1700000000",
            "camelCaseName",
            "secrets/prod/db-password.txt",
            "std::env::var",
            "your-api-key-here-2024",
            "undefined",
            "[redacted:password:01234567]",
        ] {
            assert!(!is_secret(value.as_bytes(), Trust::Strong), "{value}");
        }
        for value in [
            "550e8400-e29b-41d4-a716-446655440000",
            "9f86d081884c",
            "max_tokens_per_minute_1000",
        ] {
            assert!(!is_secret(value.as_bytes(), Trust::Weak), "{value}");
        }
    }
}
