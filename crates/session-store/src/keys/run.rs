//! A run: an immutable file of sorted entries, and how an entry is found in it.
//!
//! ```text
//! run    = header page{pages}
//! header = magic "keyindex" · version u32 · log u32 · level u32 · 0 u32 · created_offset u64
//!          · from u64 · to u64 · mark u32 · 0 u32 · count u64 · id u64 · zeros · crc u32
//! page   = entry{63} · crc u32 · number u32 · id u64
//! ```
//! Header and pages have 1 KiB each. Numbers are little-endian; an entry is big-endian, so that its
//! bytes sort as it does. `crc` is CRC-32C: of the header, over the bytes before it; of a page, over
//! the rest of the page. `id` is random and the same in all pages of a run. `from` and `to` are
//! positions in the log: the run has the entries of the records between them. `mark` is the CRC-32C
//! of the log's last bytes before `to`.
//!
//! Digests are evenly distributed, so an entry's place is estimated and the estimate is corrected by
//! what is found there: two or three pages are read, even in the largest run. Where digests are not
//! evenly distributed (many records amend the same one) the search falls back to bisection.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, ReadWriteFlags};
use session_model::LogKind;

use super::Reads;
use super::entry::{Digest, Entry};
use crate::files;
use crate::log_file::LogFile;
use crate::reader_limit::OpenPermit;

/// The length of the header and of each page.
pub(super) const PAGE: usize = 1024;
/// The number of entries in a full page.
pub(super) const PER_PAGE: usize = 63;
const TRAILER: usize = PER_PAGE * Entry::LEN;
const MAGIC: &[u8; 8] = b"keyindex";
const VERSION: u32 = 1;
/// How many bytes of the log before `to` are in the mark.
const MARKED: u64 = 256;
/// How many estimates a search makes before it bisects.
const ESTIMATES: u32 = 6;

/// What a run contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// The log.
    pub(crate) log: LogKind,
    /// The level.
    pub(crate) level: u32,
    /// The offset of the session's creation.
    pub(crate) created_offset: u64,
    /// Where the covered part of the log begins, in bytes.
    pub(crate) from: u64,
    /// Where it ends.
    pub(crate) to: u64,
    /// The checksum of the log's last bytes before `to`.
    pub(crate) mark: u32,
    /// The number of entries.
    pub(crate) count: u64,
    /// The identity of the run.
    pub(crate) id: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; PAGE] {
        let mut bytes = Vec::with_capacity(PAGE);
        bytes.extend_from_slice(MAGIC);
        for number in [VERSION, self.log.index() as u32, self.level, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.created_offset, self.from, self.to] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.mark, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.count, self.id] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let mut page = [0; PAGE];
        page[..bytes.len()].copy_from_slice(&bytes);
        let crc = crc32c::crc32c(&page[..PAGE - 4]);
        page[PAGE - 4..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a header; `None` if it is damaged or of another version.
    fn from_bytes(page: &[u8; PAGE]) -> Option<Self> {
        let crc = crc32c::crc32c(&page[..PAGE - 4]);
        if page[..8] != *MAGIC || u32_at(page, PAGE - 4) != crc || u32_at(page, 8) != VERSION {
            return None;
        }
        let log = u32_at(page, 12);
        let log = LogKind::ALL.into_iter().find(|l| l.index() as u32 == log)?;
        Some(Self {
            log,
            level: u32_at(page, 16),
            created_offset: u64_at(page, 24),
            from: u64_at(page, 32),
            to: u64_at(page, 40),
            mark: u32_at(page, 48),
            count: u64_at(page, 56),
            id: u64_at(page, 64),
        })
    }

    fn pages(&self) -> u64 {
        self.count.div_ceil(PER_PAGE as u64)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("is four bytes long"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("is eight bytes long"))
}

/// Completes a page that holds entries: writes its checksum, number and run.
pub(super) fn seal_page(page: &mut [u8; PAGE], number: u32, id: u64) {
    page[TRAILER + 4..TRAILER + 8].copy_from_slice(&number.to_le_bytes());
    page[TRAILER + 8..].copy_from_slice(&id.to_le_bytes());
    let crc = page_crc(page);
    page[TRAILER..TRAILER + 4].copy_from_slice(&crc.to_le_bytes());
}

fn page_crc(page: &[u8; PAGE]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&page[..TRAILER]), &page[TRAILER + 4..])
}

/// Returns the checksum of the log's last bytes before a position.
pub(crate) fn mark(log: &LogFile, to: u64) -> io::Result<u32> {
    let begin = to.saturating_sub(MARKED);
    let bytes = log.bytes(begin, (to - begin) as usize)?;
    if bytes.len() as u64 != to - begin {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(crc32c::crc32c(&bytes))
}

/// Why a lookup in a run has no result.
#[derive(Debug)]
pub(crate) enum RunFault {
    /// A page is not in the page cache.
    NotCached,
    /// A page is damaged or cannot be read, or the file is not the one that was opened.
    Damaged,
    /// The file could not be read.
    Io(io::Error),
}

impl From<io::Error> for RunFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl RunFault {
    fn of_read(error: io::Error) -> Self {
        match error.kind() {
            // Another program removed or shortened the file.
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ if is_lost(&error) => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

/// Returns whether the disk has lost the content of a file. An index is rebuilt then, as one that is
/// damaged: the log has all that it names.
fn is_lost(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Returns whether another program has put something in the place of a run that cannot be opened
/// as one, whenever it is tried. An index that is not there is rebuilt.
fn is_in_the_way(error: &io::Error) -> bool {
    error.raw_os_error().is_none() || error.kind() == io::ErrorKind::PermissionDenied
}

/// The file of a run. Without a permit to keep it open, it is opened for each lookup that may wait
/// for the disk.
#[derive(Debug)]
enum Opened {
    Kept(File, #[expect(dead_code, reason = "is held")] OpenPermit),
    Closed(PathBuf),
}

/// A run that can be searched.
#[derive(Debug)]
pub(crate) struct Run {
    /// What it contains.
    pub(crate) header: Header,
    file: Opened,
}

/// The entries of one page.
#[derive(Clone)]
struct Page {
    bytes: [u8; PAGE],
    len: usize,
}

impl Page {
    fn entry(&self, n: usize) -> Entry {
        let bytes = &self.bytes[n * Entry::LEN..(n + 1) * Entry::LEN];
        Entry::from_bytes(bytes.try_into().expect("is an entry long"))
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len).map(|n| self.entry(n))
    }

    fn first(&self) -> Entry {
        self.entry(0)
    }

    fn last(&self) -> Entry {
        self.entry(self.len - 1)
    }
}

impl Run {
    /// Opens a run; `None` if there is none or its header is damaged.
    pub(crate) fn open(path: &Path, permit: Option<OpenPermit>) -> io::Result<Option<Self>> {
        let file = match files::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_in_the_way(&error) => {
                tracing::warn!(path = %path.display(), %error, "is no index of record keys: it is not used");
                return Ok(None);
            }
            opened => opened?,
        };
        let header = match header_of(&file) {
            Err(error) if is_lost(&error) => {
                tracing::warn!(path = %path.display(), %error, "an index of record keys cannot be read: it is not used");
                None
            }
            header => header?,
        };
        Ok(header.map(|header| Self::new(header, file, path, permit)))
    }

    /// Returns the run that a file holds which was just written.
    pub(super) fn new(header: Header, file: File, path: &Path, permit: Option<OpenPermit>) -> Self {
        let file = match permit {
            Some(permit) => Opened::Kept(file, permit),
            None => Opened::Closed(path.to_owned()),
        };
        Self { header, file }
    }

    /// Returns the entries of a digest, the lowest sequence number first, `most` of them at most.
    pub(super) fn find(
        &self,
        digest: Digest,
        most: usize,
        reads: Reads,
    ) -> Result<Vec<Entry>, RunFault> {
        let mut found = Vec::new();
        if self.header.count == 0 {
            return Ok(found);
        }
        let range = digest.range();
        let reader = self.reader(reads)?;
        let (mut number, mut page) = reader.search(*range.start())?;
        loop {
            found.extend(page.entries().filter(|entry| range.contains(entry)));
            number += 1;
            let is_done = page.last() > *range.end() || found.len() >= most;
            if is_done || number == self.header.pages() {
                found.truncate(most);
                return Ok(found);
            }
            page = reader.page(number)?;
            if page.first() > *range.end() {
                return Ok(found);
            }
        }
    }

    /// Visits every entry in order.
    pub(crate) fn entries(&self) -> Result<Entries<'_>, RunFault> {
        Ok(Entries {
            reader: self.reader(Reads::Any)?,
            number: 0,
            page: None,
            next: 0,
        })
    }

    fn reader(&self, reads: Reads) -> Result<Reader<'_>, RunFault> {
        let file = match &self.file {
            Opened::Kept(file, _) => Held::Kept(file),
            Opened::Closed(_) if reads == Reads::Cached => return Err(RunFault::NotCached),
            Opened::Closed(path) => {
                let file = files::open(path).map_err(RunFault::of_read)?;
                if header_of(&file).map_err(RunFault::of_read)? != Some(self.header) {
                    return Err(RunFault::Damaged);
                }
                Held::Opened(file)
            }
        };
        Ok(Reader {
            header: &self.header,
            file,
            reads,
        })
    }
}

fn header_of(file: &File) -> io::Result<Option<Header>> {
    let mut page = [0; PAGE];
    match file.read_exact_at(&mut page, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let Some(header) = Header::from_bytes(&page) else {
        return Ok(None);
    };
    let expected = (header.pages() + 1) * PAGE as u64;
    Ok((file.metadata()?.len() == expected).then_some(header))
}

enum Held<'r> {
    Kept(&'r File),
    Opened(File),
}

/// Reads the pages of a run.
struct Reader<'r> {
    header: &'r Header,
    file: Held<'r>,
    reads: Reads,
}

impl Reader<'_> {
    /// Reads a page and verifies it.
    fn page(&self, number: u64) -> Result<Page, RunFault> {
        let mut bytes = [0; PAGE];
        let at = (number + 1) * PAGE as u64;
        let file = match &self.file {
            Held::Kept(file) => file,
            Held::Opened(file) => file,
        };
        match self.reads {
            Reads::Any => file
                .read_exact_at(&mut bytes, at)
                .map_err(RunFault::of_read)?,
            Reads::Cached => read_cached(file, &mut bytes, at)?,
        }
        let is_whole = u32_at(&bytes, TRAILER) == page_crc(&bytes)
            && u64::from(u32_at(&bytes, TRAILER + 4)) == number
            && u64_at(&bytes, TRAILER + 8) == self.header.id;
        if !is_whole {
            return Err(RunFault::Damaged);
        }
        let before = number * PER_PAGE as u64;
        let len = (self.header.count - before).min(PER_PAGE as u64) as usize;
        Ok(Page { bytes, len })
    }

    /// Returns the last page whose first entry is not greater than the wanted one, or the first
    /// page.
    fn search(&self, wanted: Entry) -> Result<(u64, Page), RunFault> {
        let pages = self.header.pages();
        // Pages before `low` are too low, pages from `high` on too high.
        let (mut low, mut high) = (0, pages);
        let mut lowest = None;
        let mut at = scaled(wanted.place(), pages);
        let mut tries = 0;
        loop {
            if high == low + 1 {
                let page = lowest.map_or_else(|| self.page(low), Ok)?;
                return Ok((low, page));
            }
            // The page at `low` is only read again if it has not been read yet.
            at = at.clamp(low + u64::from(lowest.is_some()), high - 1);
            let page = self.page(at)?;
            let next = estimate(&page, at, wanted, pages);
            if page.first() > wanted {
                if at == 0 {
                    return Ok((0, page));
                }
                high = at;
            } else if page.last() >= wanted {
                return Ok((at, page));
            } else {
                low = at;
                lowest = Some(page);
            }
            tries += 1;
            at = if tries < ESTIMATES {
                next
            } else {
                low + (high - low) / 2
            };
        }
    }
}

/// Estimates where an entry is, from a page that was read.
fn estimate(page: &Page, at: u64, wanted: Entry, pages: u64) -> u64 {
    let (first, last) = (page.first().place(), page.last().place());
    if wanted.place() < first {
        let back = scaled(first - wanted.place(), pages);
        at.saturating_sub(back + 1)
    } else {
        at + 1 + scaled(wanted.place().saturating_sub(last), pages)
    }
}

/// Returns `part / 2^64 * whole`.
fn scaled(part: u64, whole: u64) -> u64 {
    ((u128::from(part) * u128::from(whole)) >> 64) as u64
}

/// Reads bytes that are in the page cache.
fn read_cached(file: &File, bytes: &mut [u8], at: u64) -> Result<(), RunFault> {
    let wanted = bytes.len();
    let mut parts = [IoSliceMut::new(bytes)];
    match rustix::io::preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == wanted => Ok(()),
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Err(RunFault::NotCached),
        // The file system does not know the request.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            file.read_exact_at(bytes, at).map_err(RunFault::of_read)
        }
        Err(error) => Err(RunFault::of_read(error.into())),
    }
}

/// The entries of a run, in order.
pub(crate) struct Entries<'r> {
    reader: Reader<'r>,
    number: u64,
    page: Option<Page>,
    next: usize,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, RunFault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(page) = &self.page
                && self.next < page.len
            {
                self.next += 1;
                return Some(Ok(page.entry(self.next - 1)));
            }
            if self.number == self.reader.header.pages() {
                return None;
            }
            match self.reader.page(self.number) {
                Ok(page) => (self.page, self.next) = (Some(page), 0),
                Err(fault) => {
                    self.number = self.reader.header.pages();
                    self.page = None;
                    return Some(Err(fault));
                }
            }
            self.number += 1;
        }
    }
}
