//! Reading a log: finds a line by bisection and walks over lines.
//!
//! The lines written by this service have consecutive `seq` numbers and ascending `$offset` values,
//! so a line is found with a few small reads, however long the log is. Lines of the legacy service
//! come before them and are only read sequentially.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use session_model::line;

use super::files;

/// The number of bytes that one probe of a bisection reads at first.
const PROBE: usize = 1024;
/// Bisection stops when the remaining range is this small; the lines in it are then read
/// sequentially.
const CLOSE: u64 = 8 * 1024;
/// The number of bytes that a walk reads at once.
pub(crate) const CHUNK: usize = 128 * 1024;

/// The number of bytes that the search for the end of a long line reads at once.
const SEARCH: usize = 32 * 1024;

/// Extracts the number by which a line is looked up.
pub(crate) type Key = fn(&[u8]) -> Option<u64>;

/// Returns a line's number in its log.
pub(crate) fn by_seq(line: &[u8]) -> Option<u64> {
    line::head(line).map(|head| head.seq)
}

/// Returns a line's service-wide offset.
pub(crate) fn by_offset(line: &[u8]) -> Option<u64> {
    line::head(line).map(|head| head.offset)
}

/// Identifies a file, to detect that another file has replaced it: device, inode and creation time.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino(), found.created().ok())
}

/// A log open for reading, with the length that it had when it was opened.
#[derive(Debug)]
pub struct LogFile {
    /// Where the file is, to open it again; `None` for a log that is not a file.
    path: Option<PathBuf>,
    /// `None` if there is no such log, or if it is closed between two reads.
    file: Option<File>,
    /// `None` if there is no such log.
    identity: Option<Identity>,
    len: u64,
    legacy: u64,
    /// The last line is from the legacy service and has no newline.
    open_end: bool,
    /// The bytes that the file lacks, and the position where they belong.
    missing: Option<(u64, Vec<u8>)>,
}

impl LogFile {
    /// Opens a log whose first `legacy` bytes were written by the legacy service. A missing file is
    /// read as an empty log.
    pub fn open(path: &Path, legacy: u64) -> io::Result<Self> {
        match files::open(path) {
            Ok(file) => {
                let found = file.metadata()?;
                let len = found.len();
                let identity = Some(identity(&found));
                let open_end = legacy > len;
                Ok(Self {
                    path: Some(path.to_owned()),
                    file: Some(file),
                    identity,
                    len,
                    legacy: legacy.min(len),
                    open_end,
                    missing: None,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::absent()),
            Err(error) => Err(error),
        }
    }

    /// Returns a log that holds these lines and is not a file.
    pub(crate) fn in_memory(lines: Vec<u8>) -> Self {
        Self::absent().completed_with(0, lines)
    }

    fn absent() -> Self {
        Self {
            path: None,
            file: None,
            identity: None,
            len: 0,
            legacy: 0,
            open_end: false,
            missing: None,
        }
    }

    /// Limits reading to the first `bytes` bytes.
    #[must_use]
    pub fn up_to(mut self, bytes: u64) -> Self {
        self.len = self.len.min(bytes);
        self
    }

    /// Reads `bytes` from position `at` on instead of the file's content there. A missing newline
    /// before `at` is added.
    #[must_use]
    pub fn completed_with(mut self, mut at: u64, mut bytes: Vec<u8>) -> Self {
        if at == self.len + 1 {
            at = self.len;
            bytes.insert(0, b'\n');
        }
        self.len = at + bytes.len() as u64;
        self.open_end = false;
        self.missing = Some((at, bytes));
        self
    }

    /// Returns how many bytes of the log come from the file.
    fn in_file(&self) -> u64 {
        self.missing
            .as_ref()
            .map_or(self.len, |(at, _)| self.len.min(*at))
    }

    /// Closes the file descriptor; nothing can be read until [`LogFile::reopen`].
    pub fn close(&mut self) {
        self.file = None;
    }

    /// Opens the file again after [`LogFile::close`]; fails if another file has replaced it.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.file.is_some() || self.identity.is_none() {
            return Ok(());
        }
        let Some(path) = &self.path else {
            return Ok(());
        };
        let file = files::open(path)?;
        let found = file.metadata()?;
        if Some(identity(&found)) != self.identity || found.len() < self.in_file() {
            return Err(io::Error::other(
                "the log was replaced while it was being read",
            ));
        }
        self.file = Some(file);
        Ok(())
    }

    /// Returns the length of the log in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the log is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the position where the lines of this service begin.
    pub fn legacy(&self) -> u64 {
        self.legacy
    }

    /// Reads into the buffer as many bytes as there are; returns how many.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let want = (self.in_file().saturating_sub(at)).min(buffer.len() as u64) as usize;
        let mut filled = 0;
        if let Some(file) = &self.file {
            while filled < want {
                match file.read_at(&mut buffer[filled..want], at + filled as u64)? {
                    0 => break,
                    n => filled += n,
                }
            }
        }
        if filled == want
            && let Some((begin, missing)) = self.missing.as_ref()
        {
            let from = at + filled as u64;
            let to = self.len.min(at + buffer.len() as u64);
            if from < to {
                let bytes = &missing[(from - begin) as usize..(to - begin) as usize];
                buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
                filled += bytes.len();
            }
        }
        Ok(filled)
    }

    /// Returns a reader over a byte range of the log.
    pub fn part(&self, place: Range<u64>) -> Part<'_> {
        Part {
            file: self,
            at: place.start,
            end: place.end,
        }
    }

    /// Returns `len` bytes from `at` on, or as many as there are.
    pub fn bytes(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; len.min(self.len.saturating_sub(at) as usize)];
        let read = self.read_at(&mut buffer, at)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// Returns the first position in `from..to`, at or after `at`, where a line begins; a line
    /// begins at `from`.
    fn line_start(&self, from: u64, at: u64, to: u64) -> io::Result<u64> {
        if at <= from {
            return Ok(from);
        }
        let mut at = at - 1;
        let mut buffer = [0; PROBE];
        while at < to {
            let read = self.read_at(&mut buffer, at)?;
            if read == 0 {
                return Ok(to);
            }
            if let Some(newline) = memchr::memchr(b'\n', &buffer[..read]) {
                return Ok((at + newline as u64 + 1).min(to));
            }
            at += read as u64;
        }
        Ok(to)
    }

    /// Returns the key of the line that begins at `at`; the key is within a line's first bytes.
    fn key_at(&self, at: u64, key: Key) -> io::Result<Option<u64>> {
        let mut buffer = [0; 256];
        let read = self.read_at(&mut buffer, at)?;
        Ok(key(&buffer[..read]))
    }

    /// Returns the position of the first line of this service whose key is at least `wanted`, or
    /// the end if there is none.
    pub fn find(&self, wanted: u64, key: Key) -> io::Result<u64> {
        let mut low = self.legacy;
        let mut high = self.len;
        while high - low > CLOSE {
            let start = self.line_start(low, low + (high - low) / 2, high)?;
            if start >= high {
                break;
            }
            match self.key_at(start, key)? {
                Some(found) if found < wanted => low = start,
                // A line without a key is damaged or torn, so the wanted line can only be before
                // it.
                Some(_) | None => high = start,
            }
        }
        let mut place = self.len;
        self.walk(low, self.len, |at, line| {
            let reached = key(line).is_none_or(|found| found >= wanted);
            if reached {
                place = at;
            }
            !reached
        })?;
        Ok(place)
    }

    /// Returns the whole line of this service with this key, and the position where it begins.
    pub fn line(&self, wanted: u64, key: Key) -> io::Result<Option<(u64, Vec<u8>)>> {
        let at = self.find(wanted, key)?;
        let mut found = None;
        self.walk(at, self.len, |at, line| {
            found = Some((at, line.to_vec()));
            false
        })?;
        Ok(found.filter(|(_, line)| key(line) == Some(wanted)))
    }

    /// Visits the lines in `from..to`, without their newlines, until `visit` returns false.
    ///
    /// Returns the position after the last line visited. Bytes after the last newline are not
    /// visited.
    pub fn walk(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<u64> {
        let mut at = from;
        let mut size = PROBE * 8;
        let mut buffer = Vec::new();
        while at < to {
            buffer.resize(size.min((to - at) as usize), 0);
            let read = self.read_at(&mut buffer, at)?;
            let Some(last) = memchr::memrchr(b'\n', &buffer[..read]) else {
                if read < buffer.len() || at + read as u64 >= to {
                    return Ok(at);
                }
                size *= 4;
                continue;
            };
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &buffer[..=last]) {
                let line_at = at + start as u64;
                start = end + 1;
                if !visit(line_at, &buffer[(line_at - at) as usize..end]) {
                    return Ok(at + start as u64);
                }
            }
            at += start as u64;
            size = size.max(CHUNK);
        }
        Ok(at)
    }

    /// Reads whole lines from `from` on, about `size` bytes (more if one line is longer), not
    /// beyond `to`.
    pub fn lines_from(&self, from: u64, to: u64, size: usize) -> io::Result<Vec<u8>> {
        Ok(match self.next_lines(from, to, size)? {
            Lines::Whole(_, lines) => lines,
            Lines::Long(place) => self.long_line(&place)?,
        })
    }

    /// Reads whole lines that end at `to`, about `size` bytes (more if one line is longer), not
    /// before `from`; also returns the position where they begin.
    pub fn lines_before(&self, from: u64, to: u64, size: usize) -> io::Result<(u64, Vec<u8>)> {
        Ok(match self.previous_lines(from, to, size)? {
            Lines::Whole(at, lines) => (at, lines),
            Lines::Long(place) => (place.start, self.long_line(&place)?),
        })
    }

    /// Reads whole lines from `from` on, at most `size` bytes; returns the range of the first line
    /// if it is longer than that.
    pub fn next_lines(&self, from: u64, to: u64, size: usize) -> io::Result<Lines> {
        let mut buffer = vec![0; size.max(1).min(to.saturating_sub(from) as usize)];
        let read = self.read_at(&mut buffer, from)?;
        buffer.truncate(read);
        let end = from + read as u64;
        if read > 0 && self.is_open_end(end) {
            buffer.push(b'\n');
            return Ok(Lines::Whole(from, buffer));
        }
        let whole = memchr::memrchr(b'\n', &buffer).map_or(0, |n| n + 1);
        if whole == 0 && read > 0 && end < to {
            let Some(end) = self.line_end(end, to)? else {
                return Ok(Lines::Whole(from, Vec::new()));
            };
            return Ok(Lines::Long(from..end));
        }
        buffer.truncate(whole);
        Ok(Lines::Whole(from, buffer))
    }

    /// Reads whole lines that end at `to`, at most `size` bytes; returns the range of the last line
    /// if it is longer than that.
    pub fn previous_lines(&self, from: u64, to: u64, size: usize) -> io::Result<Lines> {
        let start = to.saturating_sub(size.max(1) as u64).max(from);
        let mut buffer = vec![0; (to - start) as usize];
        let read = self.read_at(&mut buffer, start)?;
        buffer.truncate(read);
        let end = start + read as u64;
        if read > 0 && self.is_open_end(end) {
            buffer.push(b'\n');
        }
        if start == from {
            return Ok(Lines::Whole(start, buffer));
        }
        if let Some(first) = memchr::memchr(b'\n', &buffer[..buffer.len().saturating_sub(1)]) {
            buffer.drain(..=first);
            return Ok(Lines::Whole(start + first as u64 + 1, buffer));
        }
        let begin = self.line_begin(from, start)?;
        Ok(match buffer.last() {
            Some(b'\n') => Lines::Long(begin..to - u64::from(!self.is_open_end(end))),
            // Bytes after the last newline are not a line yet.
            Some(_) | None => Lines::Whole(begin, Vec::new()),
        })
    }

    /// Returns where the line that contains `at` ends, without its newline; `None` if `to` comes
    /// first. Buffers none of the line.
    fn line_end(&self, mut at: u64, to: u64) -> io::Result<Option<u64>> {
        let mut buffer = vec![0; SEARCH];
        while at < to {
            let want = buffer.len().min((to - at) as usize);
            let read = self.read_at(&mut buffer[..want], at)?;
            if let Some(newline) = memchr::memchr(b'\n', &buffer[..read]) {
                return Ok(Some(at + newline as u64));
            }
            if read == 0 {
                break;
            }
            at += read as u64;
        }
        Ok(self.is_open_end(at).then_some(at))
    }

    /// Returns where the line that contains `at` begins, but not before `from`. Buffers none of the
    /// line.
    fn line_begin(&self, from: u64, mut at: u64) -> io::Result<u64> {
        let mut buffer = vec![0; SEARCH];
        while at > from {
            let start = at.saturating_sub(SEARCH as u64).max(from);
            let read = self.read_at(&mut buffer[..(at - start) as usize], start)?;
            if let Some(newline) = memchr::memrchr(b'\n', &buffer[..read]) {
                return Ok(start + newline as u64 + 1);
            }
            at = start;
        }
        Ok(from)
    }

    /// Reads a whole line, and ends it with a newline even if the file has none there.
    fn long_line(&self, place: &Range<u64>) -> io::Result<Vec<u8>> {
        let mut line = vec![0; (place.end - place.start) as usize + 1];
        let read = self.read_at(&mut line[..(place.end - place.start) as usize], place.start)?;
        line.truncate(read);
        line.push(b'\n');
        Ok(line)
    }

    /// Returns whether a line without a newline ends here.
    fn is_open_end(&self, at: u64) -> bool {
        self.open_end && at == self.len
    }
}

/// Result of reading lines at a position of a log.
#[derive(Debug)]
pub enum Lines {
    /// Whole lines with their newlines, and the position where they begin.
    Whole(u64, Vec<u8>),
    /// The range of one line that is longer than the requested size, without its newline.
    Long(Range<u64>),
}

/// A reader over a byte range of a log, for parsers.
pub struct Part<'a> {
    file: &'a LogFile,
    at: u64,
    end: u64,
}

impl io::Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min((self.end - self.at) as usize);
        let read = self.file.read_at(&mut buffer[..want], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn log(records: u64, width: usize) -> (tempfile::NamedTempFile, Vec<u64>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut out = Vec::new();
        let mut starts = Vec::new();
        for seq in 1..=records {
            starts.push(out.len() as u64);
            let start = out.len();
            line::open(&mut out, seq, "2026-01-01T00:00:00.000Z", seq * 10);
            let filler = width * (1 + (seq % 7) as usize);
            write!(out, ",\"text\":\"{}\"", "x".repeat(filler)).unwrap();
            line::seal(&mut out, start);
        }
        file.write_all(&out).unwrap();
        (file, starts)
    }

    #[test]
    fn every_line_is_found_by_seq_and_by_offset() {
        for (records, width) in [(0, 10), (1, 10), (500, 20), (60, 3000)] {
            let (file, starts) = log(records, width);
            let log = LogFile::open(file.path(), 0).unwrap();
            for seq in 1..=records {
                let expected = starts[seq as usize - 1];
                assert_eq!(log.find(seq, by_seq).unwrap(), expected);
                assert_eq!(log.find(seq * 10, by_offset).unwrap(), expected);
                assert_eq!(log.find(seq * 10 - 9, by_offset).unwrap(), expected);
            }
            assert_eq!(log.find(records + 1, by_seq).unwrap(), log.len());
        }
    }

    #[test]
    fn what_the_file_lacks_is_read_as_if_it_were_there() {
        let (file, starts) = log(12, 30);
        let whole = std::fs::read(file.path()).unwrap();
        let whole_log = LogFile::open(file.path(), 0).unwrap();
        let cut = tempfile::NamedTempFile::new().unwrap();
        for &at in &starts {
            for torn in [0, 7] {
                std::fs::write(cut.path(), &whole[..at as usize + torn]).unwrap();
                let missing = whole[at as usize..].to_vec();
                let mut log = LogFile::open(cut.path(), 0)
                    .unwrap()
                    .completed_with(at, missing);
                log.close();
                log.reopen().unwrap();
                assert_eq!(log.bytes(0, usize::MAX).unwrap(), whole);
                for seq in 1..=12 {
                    assert_eq!(
                        log.line(seq, by_seq).unwrap(),
                        whole_log.line(seq, by_seq).unwrap()
                    );
                }
                for (from, len) in [
                    (at.saturating_sub(3), 5),
                    (at + 1, 9),
                    (at, 1),
                    (whole.len() as u64, 4),
                ] {
                    assert_eq!(
                        log.bytes(from, len).unwrap(),
                        whole_log.bytes(from, len).unwrap()
                    );
                }
            }
        }
        std::fs::write(cut.path(), b"{\"old\":1}").unwrap();
        let log = LogFile::open(cut.path(), 10)
            .unwrap()
            .completed_with(10, b"{}\n".to_vec());
        assert_eq!(log.bytes(0, usize::MAX).unwrap(), b"{\"old\":1}\n{}\n");
    }

    #[test]
    fn pieces_hold_whole_lines_in_both_directions() {
        let (file, starts) = log(40, 200);
        let log = LogFile::open(file.path(), 0).unwrap();
        let mut at = 0;
        let mut lines = 0;
        while at < log.len() {
            let piece = log.lines_from(at, log.len(), 700).unwrap();
            lines += memchr::memchr_iter(b'\n', &piece).count();
            at += piece.len() as u64;
        }
        assert_eq!(lines, 40);
        let mut end = log.len();
        let mut seen = Vec::new();
        while end > 0 {
            let (start, piece) = log.lines_before(0, end, 700).unwrap();
            assert!(starts.contains(&start) && piece.ends_with(b"\n"));
            seen.push(piece.len());
            end = start;
        }
        assert_eq!(seen.iter().sum::<usize>() as u64, log.len());
    }
}
