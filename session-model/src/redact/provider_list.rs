//! Parser of the list in `providers.txt`, which also documents the sources of its shapes.

use super::alphabet::{NAMES, STD, is};
use super::provider_shape::{LONGEST, Piece, Shape};

const LIST: &str = include_str!("providers.txt");

/// The kinds and shapes of the list.
pub(super) fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.filter_map(|line| line.split_once(' '));
    split.filter(|(kind, _)| !matches!(*kind, "version" | "date"))
}

/// Parses the shapes of a line: one per combination of its choices.
pub(super) fn read(kind: &'static str, shape: &str) -> Vec<Shape> {
    let mut all: Vec<Vec<Piece>> = vec![Vec::new()];
    for piece in shape.split_ascii_whitespace() {
        if let Some(any) = any(piece) {
            all.iter_mut().for_each(|pieces| pieces.push(any.clone()));
        } else if piece.contains('(') {
            let choices = texts(piece);
            let with = |choice: &String| {
                let mut all = all.clone();
                all.iter_mut().for_each(|pieces| push(pieces, choice));
                all
            };
            all = choices.iter().flat_map(with).collect();
        } else {
            all.iter_mut().for_each(|pieces| push(pieces, piece));
        }
    }
    let (kind, plain) = kind.strip_prefix('!').map_or((kind, false), |kind| (kind, true));
    let shape = |pieces: Vec<Piece>| {
        let head: &[u8] = if let Some(Piece::Text(head)) = pieces.first() { head } else { b"" };
        let weak = head.iter().all(|byte| is(*byte, STD));
        let first = match &pieces[..] {
            [Piece::Text(head), ..] => head.last().map(|last| (head.len() - 1, *last)),
            [Piece::Any { least, most, .. }, Piece::Text(text), ..] if least == most => {
                Some((*least, text[0]))
            }
            _ => None,
        };
        Shape { kind, head: head.len(), plain, weak, first, pieces }
    };
    all.into_iter().map(shape).collect()
}

/// Appends a text, joining it with a text directly before it.
fn push(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(before)) => before.extend_from_slice(text.as_bytes()),
        _ => pieces.push(Piece::Text(text.into())),
    }
}

/// Expands choices: `(a|b)_(c|d)` becomes `a_c`, `a_d`, `b_c` and `b_d`.
fn texts(piece: &str) -> Vec<String> {
    let Some((before, (choices, after))) =
        piece.split_once('(').and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    else {
        return vec![piece.to_owned()];
    };
    let after = texts(after);
    let with =
        |choice: &str| after.iter().map(move |after| [before, choice, after].concat()).collect::<Vec<_>>();
    choices.split('|').flat_map(with).collect()
}

/// Parses an alphabet with a count: `alnum{36}`, `hex{24,34}`, `word{20,}`.
fn any(piece: &str) -> Option<Piece> {
    let (name, count) = piece.strip_suffix('}')?.split_once('{')?;
    let (_, alphabet) = NAMES.iter().find(|(known, _)| *known == name)?;
    let (least, most) = count.split_once(',').unwrap_or((count, count));
    let most = if most.is_empty() { LONGEST } else { most.parse().ok()? };
    Some(Piece::Any { alphabet: *alphabet, least: least.parse().ok()?, most })
}

/// The version of the list and its date.
pub fn list_version() -> (&'static str, &'static str) {
    let value = |name| LIST.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    (value("version "), value("date "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_whole_and_says_of_when_it_is() {
        let (version, date) = list_version();
        assert!(version.starts_with(&date[..4]) && date.len() == 10, "{version} {date}");
        for (kind, line) in lines() {
            let shapes = read(kind, line);
            assert!(shapes.iter().all(|shape| crate::redact::tag::is_kind(shape.kind)), "{kind}");
            for shape in shapes {
                let unread = |piece: &Piece| matches!(piece, Piece::Text(text) if text.iter().any(|b| b"{}()".contains(b)));
                assert!(!shape.pieces.iter().any(unread), "{line}");
                // Matching never goes back: after a piece of variable length, the next text cannot
                // be part of that piece.
                for pair in shape.pieces.windows(2) {
                    if let [Piece::Any { alphabet, least, most }, Piece::Text(next)] = pair {
                        assert!(least == most || !is(next[0], *alphabet), "{line}");
                    }
                }
            }
        }
    }
}
