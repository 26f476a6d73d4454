//! The agent's methods, one native call each. `coerced` is how many values of the JSON text were
//! written in another form.
#![expect(
    clippy::needless_pass_by_value,
    reason = "what JavaScript hands over is owned"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hook_agent::{Call, Config, Error, Helper, HookAgent, Keep, SharedAgent, Ticket};
use napi_derive::napi;

use crate::error::{Result, thrown};
use crate::reply_queue::ReplyQueue;

/// The data of a call without data.
const EMPTY: &str = "{}";

/// One session's, or no session's, in one environment.
#[napi]
pub struct Agent {
    shared: Arc<SharedAgent>,
    handle: HookAgent,
    user: String,
}

#[napi]
impl Agent {
    /// From settings by the names of their environment variables.
    #[napi(constructor)]
    pub fn new(vars: HashMap<String, String>) -> Result<Self> {
        let mut config =
            Config::from_vars(&|name| vars.get(name).cloned()).map_err(|error| thrown(&error))?;
        let session = config.session_id.take();
        let user = config
            .user_id
            .clone()
            .unwrap_or_else(|| "unknown".to_owned());
        let shared = SharedAgent::of(config, Keep::UntilSettled);
        let handle = match session {
            Some(session) => shared
                .agent()
                .for_session(&session)
                .map_err(|error| thrown(&error))?,
            None => shared.agent().clone(),
        };
        Ok(Self {
            shared,
            handle,
            user,
        })
    }

    /// The session that calls are for; made by the process where none is named.
    #[napi(getter)]
    pub fn session_id(&self) -> &str {
        self.handle.session_id()
    }

    /// Whether it is settled which that is.
    #[napi(getter)]
    pub fn has_session(&self) -> bool {
        self.handle.has_session()
    }

    #[napi(getter)]
    pub fn service_url(&self) -> &str {
        self.handle.service_url()
    }

    #[napi]
    pub fn create_session(
        &self,
        json: String,
        coerced: u32,
        user: Option<String>,
        parent: Option<String>,
    ) -> Result<i64> {
        let user_id = user.as_deref().unwrap_or(&self.user);
        self.send(
            Call::CreateSession {
                user_id,
                parent: parent.as_deref(),
            },
            &json,
            coerced,
        )
    }

    #[napi]
    pub fn log_action(&self, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::Action, &json, coerced)
    }

    #[napi]
    pub fn log_response(&self, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::Response, &json, coerced)
    }

    /// The names of the typed helpers, each at its index.
    #[napi]
    pub fn helpers() -> Vec<&'static str> {
        Helper::ALL.iter().map(|helper| helper.name()).collect()
    }

    /// Records by the typed helper with this index in `helpers()`. `lines` are two lines: the parts
    /// of the record, and its other fields. They are one text, because each one is copied.
    #[napi]
    pub fn log_typed(&self, helper: u32, lines: String, coerced: u32) -> Result<i64> {
        let helper = Helper::ALL.get(helper as usize);
        let helper = *helper.expect("the package has the indexes from the table");
        let (parts, fields) = lines
            .split_once('\n')
            .expect("the package writes two lines");
        let sent = self
            .handle
            .send_typed(helper, parts, fields, coerced.into());
        self.sent(sent)
    }

    #[napi]
    pub fn update_state(&self, json: String, coerced: u32, if_version: Option<i64>) -> Result<i64> {
        self.send(
            Call::StateUpdate {
                if_version: if_version.map(i64::cast_unsigned),
            },
            &json,
            coerced,
        )
    }

    #[napi]
    pub fn add_goal(&self, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::GoalAdd, &json, coerced)
    }

    #[napi]
    pub fn update_goal(&self, goal_id: String, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::GoalUpdate { goal_id: &goal_id }, &json, coerced)
    }

    #[napi]
    pub fn spawn_agent(&self, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::AgentSpawn, &json, coerced)
    }

    #[napi]
    pub fn complete_agent(&self, agent_id: String) -> Result<i64> {
        self.send(
            Call::AgentComplete {
                agent_id: &agent_id,
            },
            EMPTY,
            0,
        )
    }

    #[napi]
    pub fn update_metadata(&self, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::MetadataUpdate, &json, coerced)
    }

    #[napi]
    pub fn finalize_session(&self, json: String, coerced: u32) -> Result<i64> {
        self.send(Call::Finalize, &json, coerced)
    }

    #[napi]
    pub fn reopen_session(&self) -> Result<i64> {
        self.send(Call::Reopen, EMPTY, 0)
    }

    /// Puts the outcome of a record into the queue.
    #[napi]
    pub fn answer(&self, record: i64, replies: &ReplyQueue, id: i64) -> Result<()> {
        queue_reply(self.handle.ticket(record.cast_unsigned()), replies, id)
    }

    #[napi]
    pub fn get_state(&self, replies: &ReplyQueue, id: i64) -> Result<()> {
        queue_reply(self.handle.get_state(), replies, id)
    }

    #[napi]
    pub fn restore(&self, last: u32, replies: &ReplyQueue, id: i64) -> Result<()> {
        queue_reply(self.handle.restore(last as usize), replies, id)
    }

    #[napi]
    pub fn test_connection(&self, replies: &ReplyQueue, id: i64) -> Result<()> {
        queue_reply(self.handle.test_connection(), replies, id)
    }

    /// Waits on a thread of its own: those of the loop's pool are the host's.
    #[napi]
    pub fn flush(&self, millis: u32, replies: &ReplyQueue, id: i64) -> Result<()> {
        let agent = self.handle.clone();
        let replies = replies.sender()?;
        let wait = move || {
            let flushed = agent.flush(Duration::from_millis(millis.into()));
            replies.put_text(id, flushed.map(|flushed| flushed.to_string()));
        };
        let thread = std::thread::Builder::new().name("hook-agent-flush".to_owned());
        thread
            .spawn(wait)
            .map(drop)
            .map_err(|source| thrown(&Error::Thread { source }))
    }

    #[napi]
    pub fn stats(&self) -> Result<String> {
        let stats = self.handle.stats().map_err(|error| thrown(&error))?;
        Ok(serde_json::to_string(&stats).expect("counters and texts are JSON"))
    }

    fn send(&self, call: Call<'_>, json: &str, coerced: u32) -> Result<i64> {
        self.sent(self.handle.send_coerced(call, json, coerced.into()))
    }

    fn sent(&self, sent: std::result::Result<Ticket, Error>) -> Result<i64> {
        let ticket = sent.map_err(|error| thrown(&error))?;
        self.shared.wrote(&ticket);
        let record = ticket.number().expect("a write has a number");
        Ok(record.cast_signed())
    }
}

fn queue_reply(
    ticket: std::result::Result<Ticket, Error>,
    replies: &ReplyQueue,
    id: i64,
) -> Result<()> {
    let replies = replies.sender()?;
    ticket
        .map_err(|error| thrown(&error))?
        .on_done(move |outcome| replies.put(id, outcome));
    Ok(())
}
