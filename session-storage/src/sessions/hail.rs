//! A session as a HAIL file, streamed.
//!
//! The logs are read twice: once for the header and for which usage records count, and once for the
//! events. While the file is streamed, memory is needed for the verdicts on usage records and for the
//! window in which records are sorted by time.

use bytes::Bytes;
use serde_json::{Map, Value};
use session_insight::hail::{CountedTokens, Export, SessionInfo, Timed, Timeline};
use session_insight::usage::{Amendments, OrderedUsage, Verdicts};
use session_model::records::Record;
use session_model::timestamp::Timestamp;
use session_model::{Code, LogKind, Refusal, SessionId, View};
use session_store::log_records::{LogRecords, StoredLine, next_of};

use super::pieces::ByteStream;
use super::service::Sessions;
use super::usage_records::{Known, Summed, usage_record};

/// Approximate size of one piece of a file, in bytes.
const PIECE: usize = 64 * 1024;

/// A file that is being written.
struct Writing {
    logs: [LogRecords; 2],
    amendments: Amendments,
    verdicts: Verdicts,
    export: Option<Export>,
    timeline: Timeline<Waiting>,
    /// Whether all records are in the timeline.
    is_read: bool,
}

/// A record that waits for its place in the file.
struct Waiting {
    log: LogKind,
    /// The number of its line in the log, from 1.
    line: u64,
    fields: Map<String, Value>,
    tokens: Option<CountedTokens>,
}

impl Sessions {
    /// Returns the session as the lines of a HAIL file.
    pub async fn hail(&self, id: &SessionId) -> Result<ByteStream, Refusal> {
        let (mut info, known) = self
            .read(id, |view| (info_of(view), Known::of(view)))
            .await?;
        let created = info.created;
        let summed = self.sum(id, known, move |logs, amendments| {
            let verdicts = look_through(logs, amendments, &mut info)?;
            Ok((line_of(&info.header().into_fields()), verdicts))
        });
        let Summed {
            result: (head, verdicts),
            logs,
            amendments,
        } = summed.await?;
        let writing = Writing {
            logs,
            amendments,
            verdicts,
            export: Some(Export::new(created)),
            timeline: Timeline::default(),
            is_read: false,
        };
        Ok(writing.stream(head))
    }
}

fn info_of(view: &View) -> SessionInfo {
    let metadata = &view.metadata;
    let text = |name: &str| metadata.doc().get(name)?.as_str().map(str::to_owned);
    SessionInfo {
        session_id: view.id.to_string(),
        model: text("model"),
        title: text("title"),
        tags: metadata.texts("tags").map(str::to_owned).collect(),
        created: metadata.created(),
        updated: metadata.updated(),
        parent: metadata
            .parent()
            .filter(|parent| !parent.is_empty())
            .map(str::to_owned),
        children: metadata.texts("subsessions").map(str::to_owned).collect(),
        ..SessionInfo::default()
    }
}

/// Reads all records for the header and for which usage records count. Blocking.
fn look_through(
    logs: &mut [LogRecords; 2],
    amendments: &mut Amendments,
    info: &mut SessionInfo,
) -> Result<Verdicts, Refusal> {
    let mut usage = OrderedUsage::default();
    for log in logs.iter_mut() {
        while let Some(line) = log.next_line()? {
            info.learn(&Record::of_fields(line.record()?.fields).record);
            if let Some((place, record)) = usage_record(&line, amendments)? {
                usage.add(place, &record);
            }
        }
    }
    Ok(usage.into_verdicts())
}

fn line_of(fields: &Map<String, Value>) -> Vec<u8> {
    let mut line = serde_json::to_vec(fields).expect("JSON values always serialize");
    line.push(b'\n');
    line
}

impl Writing {
    fn stream(self, head: Vec<u8>) -> ByteStream {
        Box::pin(futures_util::stream::unfold(
            Some((self, head)),
            |state| async move {
                let (mut writing, mut out) = state?;
                let read = actix_web::web::block(move || {
                    let piece = writing.piece();
                    (piece, writing)
                });
                match read.await {
                    Ok((Ok(piece), writing)) => {
                        out.extend_from_slice(&piece);
                        let is_over = writing.export.is_none();
                        let next = (!is_over).then(|| (writing, Vec::new()));
                        Some((Ok(Bytes::from(out)), next))
                    }
                    Ok((Err(refusal), _)) => Some((Err(refusal), None)),
                    Err(_) => {
                        let refusal = Refusal::new(Code::Internal, "the session could not be read");
                        Some((Err(refusal), None))
                    }
                }
            },
        ))
    }

    /// The next lines of the file. Blocking.
    fn piece(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::new();
        while out.len() < PIECE {
            let next = self.next()?;
            let Some(export) = &mut self.export else {
                break;
            };
            if let Some(Timed { record, at }) = next {
                let place = (record.log, record.line);
                let event = export.event(place, at, record.fields, record.tokens);
                out.extend_from_slice(&line_of(&event.into_fields()));
                continue;
            }
            if let Some(event) = export.stand_in() {
                out.extend_from_slice(&line_of(&event.into_fields()));
            }
            if let Some(export) = self.export.take() {
                out.extend_from_slice(&line_of(&export.finish()));
            }
            break;
        }
        Ok(out)
    }

    /// The next record in the order of the file. Blocking.
    fn next(&mut self) -> Result<Option<Timed<Waiting>>, Refusal> {
        while !self.is_read {
            if let Some(timed) = self.timeline.ready() {
                return Ok(Some(timed));
            }
            match next_of(&mut self.logs)? {
                Some(line) => {
                    let (time, waiting) = self.waiting(&line)?;
                    self.timeline.push(time, line.size(), waiting);
                }
                None => self.is_read = true,
            }
        }
        Ok(self.timeline.pop())
    }

    fn waiting(&mut self, line: &StoredLine) -> Result<(Timestamp, Waiting), Refusal> {
        // The tokens are those with the amendments; the event is the record as it is stored.
        let tokens = usage_record(line, &mut self.amendments)?
            .and_then(|(place, record)| CountedTokens::of(place, &record, &mut self.verdicts));
        let record = line.record()?;
        let time = record.time();
        let waiting = Waiting {
            log: record.log,
            line: line.number,
            fields: record.fields,
            tokens,
        };
        Ok((time, waiting))
    }
}
