//! The second pass: writes the record with the cut that the first pass found.

use serde_json::{Map, Value};

use super::text::{DecodedLength, cut};
use super::walker::{Frame, Sink, Walker};
use super::{Cut, Form, SHORT, TRUNCATED};

/// The longest `truncated` of the stored record that is merged with ours, in bytes.
pub(super) const MAX_STORED_LIST: usize = 16 << 10;
/// The longest string of an event outside of its record, in bytes: ids and names, which the service
/// limits to less.
const MAX_AROUND: usize = 4 << 10;
/// Room that is kept for the list while fields are dropped, in bytes.
const LIST_SPACE: usize = 512;
/// Room that is kept for the fields behind the record in an event: time and format of a patch.
const BEHIND: usize = 160;
/// The entry for all fields that did not fit and are not listed by name.
const OTHERS: &str = "*";

/// Writes a record in pieces, cut.
#[derive(Debug)]
pub struct Clamper {
    walker: Walker,
    writer: Writer,
}

impl Clamper {
    /// Starts a record with the cut that [`super::Measure`] found.
    pub fn new(form: Form, cut: Cut) -> Self {
        let cut = match (form, cut) {
            (Form::Event, Cut::Fields(limit)) => Cut::Fields(limit.saturating_sub(BEHIND)),
            (Form::Record, Cut::Fields(_)) | (_, Cut::Strings(_)) => cut,
        };
        Self {
            walker: Walker::default(),
            writer: Writer {
                form,
                cut,
                written: 0,
                out: Vec::new(),
                member: Member::Copied,
                any: false,
                head: Vec::new(),
                text: 0,
                decoded: DecodedLength::default(),
                stored_list: Vec::new(),
                list: Vec::new(),
                others: 0,
            },
        }
    }

    /// Reads the next piece and appends the part of the record that is complete.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.walker.feed(piece, &mut self.writer);
        out.append(&mut self.writer.out);
    }
}

/// The treatment of the current field of the record.
#[derive(Debug)]
enum Member {
    /// It is written; its strings are cut.
    Copied,
    /// It is left out.
    Dropped,
    /// It is the stored `truncated`, which is merged with ours.
    List,
    /// It is written if it is short: name, value as far as it is short, length of the value.
    Short(Vec<u8>, Vec<u8>, u64),
}

#[derive(Debug)]
struct Writer {
    form: Form,
    cut: Cut,
    /// The number of bytes of the record that were written.
    written: usize,
    out: Vec<u8>,
    member: Member,
    /// Whether the record has a field yet.
    any: bool,
    /// The start of the current string.
    head: Vec<u8>,
    /// The length of the current string, as written in JSON.
    text: usize,
    decoded: DecodedLength,
    stored_list: Vec<u8>,
    list: Vec<(Vec<u8>, u64)>,
    /// The total length of dropped fields that are not listed.
    others: u64,
}

/// Returns whether the fields of the record are those of the last open frame.
fn is_record(form: Form, open: &[Frame]) -> bool {
    match form {
        Form::Record => open.len() == 1,
        Form::Event => open.len() == 2 && open[0].key == b"data" && open[1].is_object,
    }
}

/// Returns the path of the current value within the record, its keys as written in JSON; `None`
/// outside of the record.
pub(super) fn path(form: Form, open: &[Frame]) -> Option<Vec<u8>> {
    let outside = match form {
        Form::Record => 0,
        Form::Event => 1,
    };
    let inside = open.get(outside..).filter(|inside| !inside.is_empty())?;
    if form == Form::Event && open[0].key != b"data" {
        return None;
    }
    let mut path = Vec::new();
    for frame in inside {
        if !path.is_empty() {
            path.push(b'.');
        }
        if frame.is_object {
            path.extend_from_slice(&frame.key);
        } else {
            path.extend_from_slice(itoa::Buffer::new().format(frame.index).as_bytes());
        }
    }
    Some(path)
}

impl Writer {
    /// Appends to the current field, or to the event around the record.
    fn write(&mut self, bytes: &[u8]) {
        match &mut self.member {
            Member::Copied => {
                self.written += bytes.len();
                self.out.extend_from_slice(bytes);
            }
            Member::Dropped => {}
            Member::List => append_up_to(&mut self.stored_list, bytes, MAX_STORED_LIST),
            Member::Short(_, value, length) => {
                *length += bytes.len() as u64;
                append_up_to(value, bytes, SHORT + 1);
            }
        }
    }

    /// The longest string that is kept here.
    fn longest(&self, open: &[Frame]) -> usize {
        if path(self.form, open).is_none() {
            return MAX_AROUND;
        }
        match (&self.member, self.cut) {
            (Member::Copied, Cut::Strings(most)) => most,
            (Member::List, _) => MAX_STORED_LIST,
            (Member::Copied | Member::Dropped | Member::Short(..), _) => SHORT + 1,
        }
    }

    fn begin_member(&mut self, name: &[u8]) {
        self.member = match (name, self.cut) {
            (b"$crc", _) => Member::Dropped,
            (name, _) if name == TRUNCATED.as_bytes() => Member::List,
            (_, Cut::Strings(_)) => Member::Copied,
            (name, Cut::Fields(_)) => Member::Short(name.to_vec(), Vec::new(), 0),
        };
        if matches!(self.member, Member::Copied) {
            self.write_name(name);
        }
    }

    fn write_name(&mut self, name: &[u8]) {
        if std::mem::replace(&mut self.any, true) {
            self.write(b",");
        }
        self.write(b"\"");
        self.write(name);
        self.write(b"\"");
    }

    fn end_member(&mut self) {
        let member = std::mem::replace(&mut self.member, Member::Copied);
        let (Member::Short(name, value, length), Cut::Fields(limit)) = (member, self.cut) else {
            return;
        };
        let listed: usize = self.list.iter().map(|(name, _)| name.len() + 24).sum();
        let space = limit.saturating_sub(self.written + listed + LIST_SPACE);
        if length <= SHORT as u64 && name.len() + value.len() + 4 <= space {
            self.write_name(&name);
            self.write(&value);
        } else if name.len() * 2 + 40 <= space {
            self.write_name(&name);
            self.write(b":null");
            // Without the colon.
            self.list.push((name, length - 1));
        } else {
            self.others = self.others.saturating_add(length - 1);
        }
    }

    /// Writes `truncated` as the last field. The entries of values that were cut now come first, so
    /// that none of them is left out for others; their stored lengths win, because these are from
    /// before the first cut.
    fn write_list(&mut self) {
        let stored = std::mem::take(&mut self.stored_list);
        let stored = stored.strip_prefix(b":").unwrap_or(&stored);
        let mut stored: Map<String, Value> = serde_json::from_slice(stored).unwrap_or_default();
        let mut list = Map::new();
        for (name, length) in std::mem::take(&mut self.list) {
            let quoted = [b"\"", &name[..], b"\""].concat();
            let name = serde_json::from_slice(&quoted)
                .unwrap_or_else(|_| String::from_utf8_lossy(&name).into_owned());
            let length = stored.remove(&name).unwrap_or_else(|| length.into());
            list.entry(name).or_insert(length);
        }
        list.append(&mut stored);
        if let Cut::Fields(limit) = self.cut {
            self.shorten(&mut list, limit);
        }
        if self.others > 0 {
            list.insert(OTHERS.to_owned(), self.others.into());
        }
        if !list.is_empty() {
            let list = serde_json::to_vec(&list).expect("JSON values always serialize");
            self.write_name(TRUNCATED.as_bytes());
            self.write(b":");
            self.write(&list);
        }
    }
}

impl Writer {
    /// Leaves out the entries that do not fit, and counts their lengths among the others.
    fn shorten(&mut self, list: &mut Map<String, Value>, limit: usize) {
        // The name of the list, the entry for the others, and the brackets.
        let mut space = limit.saturating_sub(self.written + TRUNCATED.len() + 40);
        list.retain(|name, length| {
            let needed = json_len(name) + length.to_string().len() + 2;
            let fits = needed <= space;
            if fits {
                space -= needed;
            } else {
                self.others = self.others.saturating_add(length.as_u64().unwrap_or(0));
            }
            fits
        });
    }
}

fn json_len(name: &str) -> usize {
    serde_json::to_string(name).map_or(name.len(), |quoted| quoted.len())
}

fn append_up_to(out: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let space = most.saturating_sub(out.len());
    out.extend_from_slice(&bytes[..bytes.len().min(space)]);
}

impl Sink for Writer {
    fn key(&mut self, open: &[Frame]) {
        let Some(frame) = open.last() else { return };
        if is_record(self.form, open) {
            self.begin_member(&frame.key);
        } else {
            self.write(b"\"");
            self.write(&frame.key);
            self.write(b"\"");
        }
    }

    fn opens(&mut self, byte: u8, _: &[Frame]) {
        self.write(&[byte]);
    }

    fn closes(&mut self, byte: u8, open: &[Frame]) {
        if is_record(self.form, open) {
            self.end_member();
            self.write_list();
        }
        self.write(&[byte]);
    }

    fn comma(&mut self, open: &[Frame]) {
        if is_record(self.form, open) {
            self.end_member();
        } else {
            self.write(b",");
        }
    }

    fn plain(&mut self, bytes: &[u8], _: &[Frame]) {
        self.write(bytes);
    }

    fn text(&mut self, piece: &[u8], open: &[Frame]) {
        self.text += piece.len();
        self.decoded.feed(piece);
        // Some bytes more than needed show whether the cut is between two characters.
        let most = self.longest(open) + 16;
        append_up_to(&mut self.head, piece, most);
    }

    fn text_ends(&mut self, open: &[Frame]) {
        let length = std::mem::take(&mut self.text);
        let decoded = self.decoded.take();
        let mut head = std::mem::take(&mut self.head);
        let longest = self.longest(open);
        if matches!(self.member, Member::Copied) && length > longest {
            head.truncate(cut(&head, longest));
            self.list
                .extend(path(self.form, open).map(|path| (path, decoded)));
        }
        self.write(b"\"");
        self.write(&head);
        self.write(b"\"");
        if let Member::Short(_, _, total) = &mut self.member {
            *total += (length - head.len().min(length)) as u64;
        }
        head.clear();
        self.head = head;
    }
}
