//! Secrets in tables drawn with characters: next to a telling name in the same row, or in that
//! name's column.

use std::ops::Range;

use super::assignment;
use super::entropy::{Trust, is_secret};
use super::scan::{Find, is_word};

/// The border of a cell in tables with box-drawing characters.
const BAR: &[u8] = "│".as_bytes();
/// The most cells of a row that are examined.
const CELLS: usize = 64;
/// How far a name may be from the border of its cell.
const PADDING: usize = 40;

/// A column with a telling name as its header.
struct Column {
    number: usize,
    kind: &'static str,
    trust: Trust,
}

/// Whether a name is next to the border of a cell, with a blank or a Markdown mark between them.
pub(super) fn is_cell(text: &[u8], name: &Range<usize>) -> bool {
    let padding = |byte: &&u8| matches!(byte, b' ' | b'`' | b'*' | b'"' | b'\'' | b'\\');
    let before = &text[..name.start];
    let after = &text[name.end..];
    let left = before
        .iter()
        .rev()
        .take(PADDING)
        .take_while(padding)
        .count();
    let right = after.iter().take(PADDING).take_while(padding).count();
    let before = &before[..before.len() - left];
    let after = &after[right..];
    left > 0 && (before.ends_with(b"|") || before.ends_with(BAR))
        || right > 0 && (after.starts_with(b"|") || after.starts_with(BAR))
}

/// Finds the secrets in all tables of a text.
pub(super) fn find(text: &[u8], finds: &mut Vec<Find<'_>>) {
    let mut columns: Vec<Column> = Vec::new();
    let mut header: Vec<Column> = Vec::new();
    for line in lines(text) {
        if is_rule(&text[line.clone()]) {
            if !header.is_empty() {
                columns = std::mem::take(&mut header);
            }
            continue;
        }
        header.clear();
        let mut named = None;
        let mut count = 0;
        for (number, cell) in cells(text, &line).take(CELLS).enumerate() {
            count += 1;
            let value = &text[cell.clone()];
            let column = columns.iter().find(|column| column.number == number);
            let given = named.or(column.map(|column| (column.kind, column.trust)));
            if let Some((kind, _)) = given.filter(|(_, trust)| is_secret(value, *trust)) {
                finds.push(Find::context(kind, cell));
            } else if let Some((kind, trust)) = name(value) {
                header.push(Column {
                    number,
                    kind,
                    trust,
                });
                named = Some((kind, trust));
            }
        }
        if count < 2 {
            columns.clear();
            header.clear();
        }
    }
}

/// Returns the position of the header, with the rule below it, of the table to which a line after
/// this text would belong.
pub(super) fn open_header(text: &[u8]) -> Option<Range<usize>> {
    let mut header: Option<Range<usize>> = None;
    let mut candidate = None;
    for line in lines(text).filter(|line| !line.is_empty() || line.end < text.len()) {
        if is_rule(&text[line.clone()]) {
            if let Some(start) = candidate.take() {
                header = Some(start..(line.end + 1).min(text.len()));
            }
            continue;
        }
        candidate = None;
        let mut count = 0;
        for cell in cells(text, &line).take(CELLS) {
            count += 1;
            if name(&text[cell]).is_some() {
                candidate = Some(line.start);
            }
        }
        if count < 2 {
            header = None;
            candidate = None;
        }
    }
    // A header whose rule is yet to come.
    match candidate {
        Some(start) if header.is_none() => Some(start..text.len()),
        _ => header,
    }
}

fn name(cell: &[u8]) -> Option<(&'static str, Trust)> {
    let one = cell
        .iter()
        .all(|byte| is_word(*byte) || *byte == b'.' || *byte == b' ');
    if one {
        assignment::classify_key(cell)
    } else {
        None
    }
}

/// The lines of a text, which end at a newline or an escaped newline.
fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = (from <= text.len()).then_some(from)?;
        let mut end = start;
        loop {
            end =
                memchr::memchr2(b'\n', b'\\', &text[end..]).map_or(text.len(), |found| end + found);
            if text.get(end) != Some(&b'\\') || text.get(end + 1) == Some(&b'n') {
                break;
            }
            end += 1;
        }
        from = end + if text.get(end) == Some(&b'\\') { 2 } else { 1 };
        Some(start..end)
    })
}

/// Whether a line is a rule of a table: `|---|:--:|`, `+-----+`, `├──┼──┤`.
fn is_rule(line: &[u8]) -> bool {
    let dashes = line
        .iter()
        .filter(|byte| matches!(byte, b'-' | b'=') || !byte.is_ascii())
        .count();
    dashes >= 3
        && line.iter().all(|byte| {
            matches!(byte, b'-' | b'=' | b'+' | b'|' | b':')
                || byte.is_ascii_whitespace()
                || !byte.is_ascii()
        })
}

/// The cells of a row without padding.
fn cells<'t>(text: &'t [u8], line: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<'t> {
    let mut from = Some(line.start);
    let end = line.end;
    std::iter::from_fn(move || {
        let start = from?;
        let border = (start..end).find_map(|at| match text[at] {
            b'|' => Some((at, 1)),
            0xe2 if text[at..end].starts_with(BAR) => Some((at, BAR.len())),
            _ => None,
        });
        let mut cell = start..border.map_or(end, |(at, _)| at);
        from = border.map(|(at, length)| at + length);
        let pads = |byte: u8| {
            matches!(
                byte,
                b' ' | b'\t' | b'\r' | b'`' | b'*' | b'"' | b'\'' | b'\\'
            )
        };
        cell.start += text[cell.clone()]
            .iter()
            .take_while(|byte| pads(**byte))
            .count();
        cell.end -= text[cell.clone()]
            .iter()
            .rev()
            .take_while(|byte| pads(**byte))
            .count();
        Some(cell)
    })
}
