//! Runs each command with the agent.

use std::io::Read as _;

use super::args::{Command, Options, Write};
use super::config::config;
use super::exit::{Exit, Failure, print, tell};
use super::flush::flush;
use super::status::status;
use super::{claude_code, exec};
use crate::{Answer, Call, Config, Error, HookAgent};

pub(super) fn run(options: &Options, command: Command) -> Exit {
    let done = match command {
        Command::Exec(program) => return exec::run(options, &program),
        Command::Write { call, json } => write(options, &call, json),
        Command::Hook => return claude_code::hook(options),
        Command::Settings { install } => claude_code::install(options.place, install, options.dry),
        Command::Restore => restore(options),
        Command::Flush => flush(options),
        Command::Status => status(options),
    };
    done.unwrap_or_else(|failure| failure.report())
}

fn write(options: &Options, write: &Write, json: Option<String>) -> Result<Exit, Failure> {
    let config = of_session(options)?;
    let user = config.user_id.clone().unwrap_or_else(|| "unknown".to_owned());
    let json = match json {
        Some(json) => json,
        None if matches!(write, Write::Reopen) => String::new(),
        None => read_input()?,
    };
    let json = if write.may_be_empty() && json.trim().is_empty() { "{}" } else { &json };
    let call = match write {
        Write::Action => Call::Action,
        Write::Response => Call::Response,
        Write::State => Call::StateUpdate { if_version: options.if_version },
        Write::GoalAdd => Call::GoalAdd,
        Write::GoalUpdate(id) => Call::GoalUpdate { goal_id: id },
        Write::AgentSpawn => Call::AgentSpawn,
        Write::AgentComplete(id) => Call::AgentComplete { agent_id: id },
        Write::Metadata => Call::MetadataUpdate,
        Write::Create => Call::CreateSession { user_id: &user, parent: None },
        Write::Finalize => Call::Finalize,
        Write::Reopen => Call::Reopen,
    };
    let agent = HookAgent::new(config);
    let sent = agent.send(call, json).map(|ticket| ticket.wait(options.wait));
    settle(options, &agent, sent)
}

/// Decides the result of a write. Errors in the event itself always fail it; other errors fail only
/// a strict write.
fn settle(
    options: &Options,
    agent: &HookAgent,
    sent: Result<Result<Answer, Error>, Error>,
) -> Result<Exit, Failure> {
    let failure = match sent {
        Ok(Ok(answer)) if !answer.is_queued() || !options.strict => return Ok(shown(options, &answer)),
        Ok(Ok(_)) => Failure { exit: Exit::Unavailable, message: queued(agent) },
        Ok(Err(Error::Timeout { .. })) if !options.strict => return Ok(shown(options, &Answer::queued())),
        Ok(Err(error)) | Err(error) => Failure::from(error),
    };
    if options.strict || matches!(failure.exit, Exit::Usage | Exit::Data) {
        return Err(failure);
    }
    tell(&failure.message);
    Ok(Exit::Done)
}

/// Returns why the write is only queued.
fn queued(agent: &HookAgent) -> String {
    let why = agent.stats().ok().and_then(|stats| stats.last_error);
    format!("queued: {}", why.unwrap_or_else(|| "the service can't be reached".to_owned()))
}

fn shown(options: &Options, answer: &Answer) -> Exit {
    if options.print { print(&format!("{}\n", answer.json())) } else { Exit::Done }
}

fn restore(options: &Options) -> Result<Exit, Failure> {
    let config = of_session(options)?;
    let longest = config.connect_timeout + config.answer_timeout;
    let answer = HookAgent::new(config).restore(options.last)?.wait(longest * 3)?;
    Ok(print(&format!("{}\n", answer.json())))
}

/// Returns the configuration of a command for one session. Unlike the library, the command does not
/// create a session id by itself: each call of a script would record into another session.
fn of_session(options: &Options) -> Result<Config, Failure> {
    let config = config(options)?;
    if config.session_id.is_none() {
        return Err(Failure::usage("no session: set `SESSION_ID` or pass `--session ID`"));
    }
    Ok(config)
}

/// Reads standard input. Invalid UTF-8 becomes replacement characters: the rest is worth recording.
fn read_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(Failure { exit: Exit::Data, message: format!("standard input: {error}") }),
    }
}
