//! The lines of a file, and the batch lines that an import makes of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};
use session_insight::hail::{FileNotes, Header, Import, Item, Reader, Restored};
use session_model::LogKind;
use session_model::hex::hex;
use sha2::{Digest as _, Sha256};

/// The most lines and bytes of one batch.
const BATCH_LINES: usize = 500;
const BATCH_BYTES: usize = 256 * 1024;

/// A file that was checked.
pub(super) struct Checked {
    pub(super) header: Header,
    /// The digest of its bytes, in hexadecimal digits.
    pub(super) digest: String,
    pub(super) events: u64,
    /// The keys that the records of its events have.
    pub(super) taken: FileNotes,
    /// What the counters at the end of the file say against its being whole, if anything.
    pub(super) remark: Option<String>,
}

/// Reads a file line by line, and sums its bytes.
pub(super) struct FileLines {
    file: BufReader<File>,
    reader: Reader,
    sum: Sha256,
    /// The number of the line that was read last, from 1.
    number: u64,
}

impl FileLines {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("failed to open `{}`", path.display()))?;
        Ok(Self {
            file: BufReader::new(file),
            reader: Reader::default(),
            sum: Sha256::new(),
            number: 0,
        })
    }

    /// The next line that means something.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Item>> {
        let mut line = Vec::new();
        while self.file.read_until(b'\n', &mut line)? > 0 {
            self.number += 1;
            self.sum.update(&line);
            let text = std::str::from_utf8(&line).context("the file is not UTF-8")?;
            if let Some(item) = self.reader.line(text)? {
                return Ok(Some(item));
            }
            line.clear();
        }
        Ok(None)
    }

    /// Returns the digest of the file, once all lines were read.
    pub(super) fn finish(self) -> anyhow::Result<String> {
        self.reader.finish()?;
        Ok(hex(&self.sum.finalize()))
    }
}

/// Makes the batch lines of a file that was checked.
pub(super) struct Records<'c> {
    lines: FileLines,
    import: Import,
    checked: &'c Checked,
}

/// What a line of a file becomes.
pub(super) struct RecordsOfLine {
    /// The number of the line, from 1.
    pub(super) number: u64,
    metadata: Option<Map<String, Value>>,
    records: Vec<Restored>,
}

impl<'c> Records<'c> {
    pub(super) fn open(path: &Path, checked: &'c Checked) -> anyhow::Result<Self> {
        Ok(Self {
            lines: FileLines::open(path)?,
            import: Import::default(),
            checked,
        })
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<RecordsOfLine>> {
        let Some(item) = self.lines.next()? else {
            return Ok(None);
        };
        let mut metadata = None;
        let records = match item {
            Item::Header(header) => {
                self.import = Import::new(&header, self.checked.taken.clone());
                metadata = Some(metadata_of(&header));
                Vec::new()
            }
            Item::Event(event) => self.import.event(event),
            Item::Unknown(line) => vec![Import::unknown(line)],
            Item::Stats(_) => Vec::new(),
        };
        Ok(Some(RecordsOfLine {
            number: self.lines.number,
            metadata,
            records,
        }))
    }

    /// Checks that the file is the one that was checked, once all lines were read.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        ensure!(
            self.lines.finish()? == self.checked.digest,
            "the file was changed while it was read: import it again"
        );
        Ok(())
    }
}

impl RecordsOfLine {
    /// How many records there are.
    pub(super) fn count(&self) -> u64 {
        self.records.len() as u64
    }

    /// Adds the lines to a batch.
    pub(super) fn push_to(&self, batch: &mut Batch) -> anyhow::Result<()> {
        if let Some(metadata) = &self.metadata {
            batch.push("metadata_update", metadata)?;
        }
        for Restored { log, fields } in &self.records {
            let kind = match log {
                LogKind::Responses => "response",
                LogKind::Actions | LogKind::Changes => "action",
            };
            batch.push(kind, fields)?;
        }
        Ok(())
    }
}

fn metadata_of(header: &Header) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("tags".to_owned(), header.context.tags.clone().into());
    if let Some(title) = &header.context.title {
        metadata.insert("title".to_owned(), title.as_str().into());
    }
    if !header.agent.model.is_empty() {
        metadata.insert("model".to_owned(), header.agent.model.as_str().into());
    }
    metadata
}

/// The lines of one batch.
#[derive(Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    lines: usize,
}

impl Batch {
    pub(super) fn push(&mut self, kind: &str, data: &Map<String, Value>) -> anyhow::Result<()> {
        write!(self.text, "{{\"type\":\"{kind}\",\"data\":")?;
        serde_json::to_writer(&mut self.text, data)?;
        self.text.extend_from_slice(b"}\n");
        self.lines += 1;
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines >= BATCH_LINES || self.text.len() >= BATCH_BYTES
    }

    pub(super) fn text(&self) -> anyhow::Result<&str> {
        Ok(std::str::from_utf8(&self.text)?)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text
    }
}
