//! The lines of a transcript: the model's messages, its thinking, what each request cost. Pure.
//!
//! A message comes in several lines, one per block, or each with all blocks so far; every line
//! repeats the usage, which may grow. Lines of tools may stand between them. So a message is
//! recorded once it is complete: a line of another message follows, or the agent has stopped. Calls,
//! results and prompts are not taken from here, because their hooks report them.

use memchr::memmem;
use session_model::records::{Decision, Lane, Record, RecordKey, body};

use super::digest::text_digest;
use super::draft::Entry;
use super::read_position::ReadPosition;
use super::transcript_shape::{Block, Line, Usage};

/// A line without any of these is of no interest, and is not parsed. Within a text of a line, the
/// second quotation mark would be escaped.
const MARKS: [&[u8]; 3] = [
    br#""assistant""#,
    br#""permissionDecision""#,
    br#""compact_boundary""#,
];

/// Collects the records of one agent's transcript.
#[derive(Default)]
pub(super) struct Listener {
    /// The subagent whose transcript it is.
    agent: Option<String>,
    /// Lines before this time are another session's.
    since: Option<String>,
    pub found: Vec<Found>,
    /// The model of the last answer.
    pub model: Option<String>,
    open: Option<Message>,
    /// The tools of the latest calls, by the ids of the calls.
    tools: Vec<(String, String)>,
    /// The first [`MOST_UNREADABLE`] whole lines that may have been of interest and could not be
    /// read: a file may have millions of them.
    pub unreadable: Vec<Unreadable>,
    /// The number of all of them.
    pub unreadable_lines: usize,
}

/// The most unreadable lines of which the place and the reason are kept.
pub(super) const MOST_UNREADABLE: usize = 9;

/// A line that could not be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// The byte of the file at which it begins.
    pub start: u64,
    pub why: String,
}

/// What is new in a transcript.
pub(super) enum Found {
    Record(Box<Entry<'static>>),
    /// A message of the assistant; `text` tells whether it was recorded already.
    Message {
        text: String,
        /// The digest of all texts of the message.
        whole: u64,
        key: RecordKey,
        entry: Box<Entry<'static>>,
        amendment: Box<Entry<'static>>,
    },
    /// The size of the conversation before and after a compaction.
    Compacted {
        before: Option<i64>,
        after: Option<i64>,
    },
}

/// A message whose lines have not all come.
struct Message {
    id: String,
    request: Option<String>,
    /// `None` if the transcript does not name it.
    model: Option<String>,
    stop: Option<String>,
    version: Option<String>,
    turn: Option<String>,
    usage: Option<Usage>,
    /// The number of the first block.
    first: usize,
    blocks: Vec<Block>,
    /// Where its first line begins.
    start: u64,
    at: Option<String>,
}

impl Listener {
    /// Returns a listener to the transcript of this subagent, or of the main agent. Lines before
    /// `since` are another session's.
    pub(super) fn new(agent: Option<&str>, since: Option<&str>) -> Self {
        Self {
            agent: agent.map(str::to_owned),
            since: since.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Reads a line that begins at this byte of the file, and that a newline ended.
    pub(super) fn line(&mut self, line: &[u8], start: u64, place: &mut ReadPosition) {
        let is_marked = MARKS.iter().any(|mark| memmem::find(line, mark).is_some());
        if !is_marked {
            return;
        }
        let line = match Line::read(line) {
            Ok(line) => line,
            Err(error) => return self.pass_over(start, error.to_string()),
        };
        if self.since.is_some() && line.timestamp < self.since {
            return;
        }
        match (line.kind.as_deref(), line.subtype.as_deref()) {
            (Some("assistant"), _) => self.said(line, start, place),
            (Some("system"), Some("compact_boundary")) => {
                let metadata = line.compact_metadata;
                self.found.push(Found::Compacted {
                    before: metadata.as_ref().and_then(|found| found.pre_tokens),
                    after: metadata.as_ref().and_then(|found| found.post_tokens),
                });
            }
            (Some("user"), _) if line.permission_decision.is_some() => self.decided(line),
            _ => {}
        }
    }

    /// Notes a line that begins at this byte of the file and is not read.
    pub(super) fn pass_over(&mut self, start: u64, why: impl Into<String>) {
        self.unreadable_lines += 1;
        if self.unreadable.len() < MOST_UNREADABLE {
            let why = why.into();
            self.unreadable.push(Unreadable { start, why });
        }
    }

    fn said(&mut self, line: Line, start: u64, place: &mut ReadPosition) {
        let Some(said) = line.message else {
            return self.pass_over(start, "its message is not an object");
        };
        let model = said.model.filter(|model| !model.is_empty());
        if model.as_deref().is_some_and(is_own_name) {
            return;
        }
        let Some(id) = said.id.or(line.uuid) else {
            return self.pass_over(start, "its message has no id");
        };
        if self.open.as_ref().is_some_and(|open| open.id != id) {
            self.close(place);
        }
        self.model = model.clone().or(self.model.take());
        let first = match &place.message {
            Some(last) if *last == id => place.blocks,
            _ => 0,
        };
        let open = self.open.get_or_insert_with(|| Message {
            id,
            request: None,
            model: None,
            stop: None,
            version: None,
            turn: None,
            usage: None,
            first,
            blocks: Vec::new(),
            start,
            at: None,
        });
        open.request = line.request_id.or(open.request.take());
        open.model = model.or(open.model.take());
        open.stop = said.stop_reason.or(open.stop.take());
        open.version = line.version.or(open.version.take());
        open.turn = line.prompt_id.or(open.turn.take());
        open.at = line.timestamp.or(open.at.take());
        open.add_usage(said.usage);
        open.add_blocks(said.content);
    }

    /// Records the message whose lines came last.
    pub(super) fn close(&mut self, place: &mut ReadPosition) {
        let Some(message) = self.open.take() else {
            return;
        };
        place.message = Some(message.id.clone());
        place.blocks = message.first + message.blocks.len();
        for (at, block) in message.blocks.iter().enumerate() {
            let key = RecordKey::message(&message.id, message.first + at);
            self.found
                .extend(message.found(block, key, self.agent.as_deref()));
            if let (Some(id), Some(name)) = (&block.id, &block.name) {
                self.tools.push((id.clone(), name.clone()));
            }
        }
        self.found.extend(message.cost(self.agent.as_deref()));
    }

    /// Returns whether this is the digest of the last message's last text, or of all its texts.
    pub(super) fn is_last(&self, text: u64) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        let mut texts = open.blocks.iter().filter_map(|block| block.text.as_deref());
        let last = texts.next_back();
        last.is_some_and(|last| text_digest(last) == text) || open.whole() == text
    }

    /// Leaves the message whose lines came last to the next reading.
    pub(super) fn leave(&mut self, place: &mut ReadPosition) {
        if let Some(message) = self.open.take() {
            place.offset = message.start;
        }
    }

    /// A decision about a permission, in the line of the call's result.
    fn decided(&mut self, line: Line) {
        let Some(made) = line.permission_decision else {
            return;
        };
        let blocks = line.message.unwrap_or_default().content;
        let call = blocks.into_iter().find_map(|block| block.tool_use_id);
        let open = self.open.iter().flat_map(|open| &open.blocks);
        let mut known = open
            .filter_map(|block| Some((block.id.as_ref()?, block.name.as_ref()?)))
            .chain(self.tools.iter().map(|(id, name)| (id, name)));
        let tool = known
            .rfind(|(id, _)| Some(*id) == call.as_ref())
            .map(|(_, name)| name.clone());
        let decision = match made.decision.as_deref() {
            Some("allow" | "allowed" | "accept" | "approved") => Decision::Allowed,
            Some("deny" | "denied" | "reject" | "rejected") => Decision::Denied,
            Some("ask" | "asked") => Decision::Asked,
            _ => return,
        };
        let mut record = Record::new(body::Permission {
            tool,
            decision: Some(decision),
            by: made.source,
        });
        record.common.timestamp = line.timestamp;
        record.common.turn_id = line.prompt_id;
        let key = line.uuid.and_then(|id| RecordKey::own(&id).ok());
        let entry = Entry::new(record, Lane::Transcript, line.version.as_deref())
            .call_id(call.as_deref())
            .agent(self.agent.as_deref());
        let entry = match key {
            Some(key) => entry.key(key),
            None => entry,
        };
        self.found.push(Found::Record(Box::new(entry)));
    }
}

/// Returns whether a model's name marks a message that Claude Code generated itself, as
/// `<synthetic>` does.
fn is_own_name(model: &str) -> bool {
    model.starts_with('<')
}

impl Message {
    /// Keeps the greatest usage: every line repeats it, and it may grow.
    fn add_usage(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let size = |usage: &Usage| (usage.output_tokens, usage.input_tokens);
        if self
            .usage
            .as_ref()
            .is_none_or(|known| size(known) <= size(&usage))
        {
            self.usage = Some(usage);
        }
    }

    /// Adds the blocks of a line, which are new ones, or all so far.
    fn add_blocks(&mut self, mut blocks: Vec<Block>) {
        let is_all = blocks.len() >= self.blocks.len()
            && self
                .blocks
                .iter()
                .zip(&blocks)
                .all(|(old, new)| old.grew_to(new));
        let known = if is_all { self.blocks.len() } else { 0 };
        for block in &mut blocks {
            block.at.clone_from(&self.at);
        }
        for (block, old) in blocks.iter_mut().zip(&self.blocks).take(known) {
            block.at.clone_from(&old.at);
        }
        if is_all {
            self.blocks = blocks;
        } else {
            self.blocks.append(&mut blocks);
        }
    }

    /// Returns the digest of all texts.
    fn whole(&self) -> u64 {
        let texts = self.blocks.iter().filter_map(|block| block.text.as_deref());
        text_digest(&texts.collect::<String>())
    }

    fn entry(
        &self,
        mut record: Record,
        at: Option<&String>,
        agent: Option<&str>,
    ) -> Entry<'static> {
        record.common.timestamp = at.cloned();
        record.common.turn_id.clone_from(&self.turn);
        Entry::new(record, Lane::Transcript, self.version.as_deref()).agent(agent)
    }

    fn found(&self, block: &Block, key: RecordKey, agent: Option<&str>) -> Option<Found> {
        let entry = |record| self.entry(record, block.at.as_ref(), agent);
        match block.kind.as_deref() {
            Some("text") => {
                let text = block.text.clone().filter(|text| !text.is_empty())?;
                let fields = body::AssistantMessage {
                    model: self.model.clone(),
                    message_id: Some(self.id.clone()),
                    stop_reason: self.stop.clone(),
                    ..body::AssistantMessage::default()
                };
                let mut amendment = Record::new(body::Amend::default());
                amendment.extra = Record::new(fields.clone()).into_fields();
                amendment.extra.shift_remove("type");
                let record = Record::new(body::AssistantMessage {
                    text: Some(text.as_str().into()),
                    ..fields
                });
                Some(Found::Message {
                    text,
                    whole: self.whole(),
                    entry: Box::new(entry(record).key(key.clone())),
                    key,
                    amendment: Box::new(entry(amendment)),
                })
            }
            Some("thinking" | "redacted_thinking") => {
                let text = block.thinking.clone().filter(|text| !text.is_empty());
                let record = Record::new(body::Thinking {
                    encrypted: text.is_none().then_some(true),
                    text: text.map(Into::into),
                    message_id: Some(self.id.clone()),
                });
                Some(Found::Record(Box::new(entry(record).key(key))))
            }
            _ => None,
        }
    }

    fn cost(&self, agent: Option<&str>) -> Option<Found> {
        let usage = self.usage.as_ref()?;
        let details = usage.output_tokens_details.as_ref();
        let record = Record::new(body::Usage {
            message_id: Some(self.id.clone()),
            request_id: self.request.clone(),
            model: self.model.clone(),
            input: usage.input_tokens,
            output: usage.output_tokens,
            cache_read: usage.cache_read_input_tokens,
            cache_write: usage.cache_creation_input_tokens,
            cache_write_1h: usage
                .cache_creation
                .as_ref()
                .and_then(|kept| kept.ephemeral_1h_input_tokens),
            reasoning: details.and_then(|found| found.thinking_tokens),
            ..body::Usage::default()
        });
        let key = RecordKey::usage(&self.id, self.request.as_deref());
        let entry = self.entry(record, self.at.as_ref(), agent).key(key);
        Some(Found::Record(Box::new(entry)))
    }
}
