//! Reads from the service, on a few threads of their own so that no read waits behind a delivery.
//!
//! The threads start when there is something to read, and end after an idle time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Answer;
use super::ticket::{AnswerCell, Ticket};
use crate::sync::{Condvar, Mutex};
use crate::transport::{Request, Transport, TransportError, open};
use crate::{Config, Error};

const MAX_THREADS: usize = 4;
const IDLE: Duration = Duration::from_secs(5);

/// What to read.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// The response of one path, unchanged.
    Get(String),
    /// A session and the last records of its logs.
    Restore { session: String, last: usize },
}

/// The threads and their queue of reads.
pub(crate) struct Reads {
    config: Arc<Config>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

struct Job {
    question: Question,
    cell: Arc<AnswerCell>,
    deadline: Instant,
}

impl Reads {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            queue: Mutex::default(),
            wake: Condvar::default(),
        }
    }

    /// Queues a read for a background thread.
    pub(crate) fn ask(self: &Arc<Self>, question: Question) -> Result<Ticket, Error> {
        let cell = Arc::new(AnswerCell::default());
        let deadline = Instant::now() + self.config.connect_timeout + self.config.answer_timeout;
        let mut queue = self.queue.lock();
        if queue.idle <= queue.jobs.len() && queue.threads < MAX_THREADS {
            let reads = Arc::clone(self);
            let thread = std::thread::Builder::new().name("hook-agent-read".to_owned());
            let started = thread.spawn(move || reads.run());
            started.map_err(|source| Error::Thread { source })?;
            queue.threads += 1;
        }
        queue.jobs.push_back(Job {
            question,
            cell: Arc::clone(&cell),
            deadline,
        });
        self.wake.notify_one();
        Ok(Ticket::read(cell))
    }

    fn run(&self) {
        let mut transport = None;
        while let Some(job) = self.next() {
            let settled = self.answer(&mut transport, &job);
            let fill = std::panic::AssertUnwindSafe(|| job.cell.fill(settled));
            // The binding's own callback panicked. The next read must not suffer from that.
            let _ = std::panic::catch_unwind(fill);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.idle += 1;
            let silent;
            (queue, silent) = self.wake.wait_until(queue, Instant::now() + IDLE);
            queue.idle -= 1;
            if silent && queue.jobs.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }

    fn answer(
        &self,
        transport: &mut Option<Box<dyn Transport>>,
        job: &Job,
    ) -> Result<Answer, Error> {
        if Instant::now() > job.deadline {
            return Err(self.unreachable(&"earlier reads took all the time"));
        }
        let mut opened = match transport.take() {
            Some(opened) => opened,
            None => open(&self.config)?,
        };
        let answer = match &job.question {
            Question::Get(path) => self.get(&mut *opened, path),
            Question::Restore { session, last } => self.restore(&mut *opened, session, *last),
        };
        *transport = Some(opened);
        answer.map(Answer::from_service)
    }

    fn get(&self, transport: &mut dyn Transport, path: &str) -> Result<String, Error> {
        let request = Request {
            method: "GET",
            path: path.to_owned(),
            ..Request::default()
        };
        let response = transport
            .send(&request)
            .map_err(|error: TransportError| self.unreachable(&error))?;
        let body = String::from_utf8_lossy(&response.body).into_owned();
        if (200..300).contains(&response.status) {
            serde_json::from_str::<&RawValue>(&body)
                .map_err(|_| self.unreachable(&"its response is not JSON"))?;
            return Ok(body);
        }
        let error = serde_json::from_str::<ErrorBody>(&body).unwrap_or_default();
        let message = if error.error.is_empty() {
            body.chars().take(160).collect()
        } else {
            error.error
        };
        let code = if error.code.is_empty() {
            format!("status_{}", response.status)
        } else {
            error.code
        };
        Err(Error::Refused {
            path: path.to_owned(),
            status: response.status,
            code,
            message,
        })
    }

    fn restore(
        &self,
        transport: &mut dyn Transport,
        session: &str,
        last: usize,
    ) -> Result<String, Error> {
        let whole = self.get(transport, &format!("/api/sessions/{session}?logs=false"))?;
        let actions = self.get(
            transport,
            &format!("/api/actions/{session}?order=desc&limit={last}"),
        )?;
        let responses = self.get(
            transport,
            &format!("/api/actions/{session}/responses?order=desc&limit={last}"),
        )?;
        let bad = |_| self.unreachable(&"its response is not a session");
        let mut restored: Restored<'_> = serde_json::from_str(&whole).map_err(bad)?;
        restored.actions = oldest_first(&actions).map_err(bad)?;
        restored.responses = oldest_first(&responses).map_err(bad)?;
        serde_json::to_string(&restored).map_err(bad)
    }

    fn unreachable(&self, reason: &dyn ToString) -> Error {
        Error::Unreachable {
            url: self.config.service.as_str().to_owned(),
            reason: reason.to_string(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: String,
    code: String,
}

/// What an agent needs to continue a session.
#[derive(Serialize, Deserialize)]
struct Restored<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
    #[serde(borrow, default)]
    initial: Option<&'a RawValue>,
    #[serde(borrow)]
    state: &'a RawValue,
    #[serde(borrow, default, rename = "final")]
    finished: Option<&'a RawValue>,
    #[serde(borrow, default, skip_deserializing)]
    actions: Vec<&'a RawValue>,
    #[serde(borrow, default, skip_deserializing)]
    responses: Vec<&'a RawValue>,
}

fn oldest_first(array: &str) -> serde_json::Result<Vec<&RawValue>> {
    let mut records: Vec<&RawValue> = serde_json::from_str(array)?;
    records.reverse();
    Ok(records)
}
