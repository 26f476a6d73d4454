//! Random-looking values in `Cookie` and `Set-Cookie` headers, `--cookie` options and
//! `document.cookie`.

use super::entropy::{Trust, is_secret};
use super::scan::{Find, run};

pub(super) const KIND: &str = "cookie";
/// The longest header that is read.
const LONGEST: usize = 8 << 10;

/// Whether a name is that of a header, field or option that contains cookies.
pub(super) fn is_name(name: &[u8]) -> bool {
    let name = name.strip_suffix(b"s").unwrap_or(name);
    name.len() >= 6 && name[name.len() - 6..].eq_ignore_ascii_case(b"cookie")
}

/// Where the cookies begin that are assigned to the name ending at `end`.
pub(super) fn begins(text: &[u8], end: usize) -> Option<usize> {
    let blank = |byte: u8| byte == b' ' || is_quote(byte);
    let sign = run(text, end, 40, blank);
    let has_sign = matches!(text.get(sign), Some(b':' | b'='));
    // In `--cookie a=b` there is no sign after the name.
    (has_sign || sign > end).then(|| run(text, sign + usize::from(has_sign), 40, blank))
}

/// Finds the cookie values from `from` on. Returns where the header ends.
pub(super) fn find(text: &[u8], from: usize, finds: &mut Vec<Find<'_>>) -> usize {
    let until = (from + LONGEST).min(text.len());
    let mut at = from;
    while at < until {
        let name = run(text, at, until - at, |byte| {
            byte.is_ascii_graphic() && !b"=;,".contains(&byte) && !is_quote(byte)
        });
        if text.get(name) != Some(&b'=') || name == at {
            // An attribute without a value, such as `HttpOnly`.
            match run(text, name, 8, is_between) {
                next if next > name => at = next,
                _ => return name,
            }
            continue;
        }
        let start = run(text, name + 1, 8, is_quote);
        let end = run(text, start, until.max(start) - start, |byte| {
            byte.is_ascii_graphic() && byte != b';' && byte != b',' && !is_quote(byte)
        });
        if is_secret(&text[start..end], Trust::Strong) && !is_code(&text[start..end]) {
            finds.push(Find::context(KIND, start..end));
        }
        let quoted = if start > name + 1 {
            run(text, end, start - name - 1, is_quote)
        } else {
            end
        };
        at = run(text, quoted, 8, is_between);
        if at == quoted {
            return at;
        }
    }
    at
}

/// Whether a value is code, as in `document.cookie = null == e ? [] : [e]`.
fn is_code(value: &[u8]) -> bool {
    value.starts_with(b"=") || value.iter().any(|byte| b"()[]{}<>|?".contains(byte))
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b';' | b',')
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}
