//! Runs each command with the agent.

use std::io::Read as _;

use serde_json::value::RawValue;
use session_model::LineData;

use super::args::{Command, Log, Options, Write};
use super::config::config;
use super::exit::{Exit, Failure, print, warn};
use super::flush::flush;
use super::status::status;
use super::{claude_code, completions, exec};
use crate::{Answer, Call, Config, Error, HookAgent};

pub(super) fn run(options: &Options, command: Command) -> Exit {
    let done = match command {
        Command::Exec(program) => return exec::run(options, &program),
        Command::Write(asked) => write(options, asked),
        Command::Log(asked) => log(options, &asked),
        Command::Hook => return claude_code::hook(options),
        Command::Settings { install } => {
            claude_code::install(options.settings_file, install, options.dry)
        }
        Command::Restore => restore(options),
        Command::Flush => flush(options),
        Command::Status => status(options),
        Command::Completions(shell) => return print(&completions::script(shell)),
    };
    done.unwrap_or_else(|failure| failure.report())
}

fn write(options: &Options, write: Write) -> Result<Exit, Failure> {
    let config = of_session(options)?;
    let user = config
        .user_id
        .clone()
        .unwrap_or_else(|| "unknown".to_owned());
    let data = write.data();
    let json = match (data, write.json) {
        (_, Some(json)) => json,
        (LineData::Ignored, None) => String::new(),
        (LineData::Required | LineData::Optional, None) => read_input()?,
    };
    let json = match data {
        LineData::Optional | LineData::Ignored if json.trim().is_empty() => "{}",
        LineData::Optional | LineData::Ignored | LineData::Required => &json,
    };
    let call = match write.line {
        Some(line) => Call::of_line(line, &write.id, options.if_version),
        None => Call::CreateSession {
            user_id: &user,
            parent: None,
        },
    };
    let agent = HookAgent::new(config);
    let sent = agent
        .send(call, json)
        .map(|ticket| ticket.wait(options.wait));
    settle(options, &agent, sent)
}

/// Records what a typed helper records.
fn log(options: &Options, asked: &Log) -> Result<Exit, Failure> {
    let agent = HookAgent::new(of_session(options)?);
    let mut values = Vec::new();
    let mut fields = None;
    let mut parts = asked.helper.parts().iter();
    for word in &asked.words {
        let given = match word.as_str() {
            "-" => read_input()?,
            word => word.to_owned(),
        };
        match parts.next() {
            Some(part) => values.push(json_of(part.is_json, given)),
            None => fields = Some(given),
        }
    }
    let parts = asked.helper.object(&values);
    let fields = fields.filter(|fields| !fields.trim().is_empty());
    let fields = fields.as_deref().unwrap_or("{}");
    let sent = agent
        .send_typed(asked.helper, &parts, fields, 0)
        .map(|ticket| ticket.wait(options.wait));
    settle(options, &agent, sent)
}

/// Returns the JSON text of a part. A part that may be any value is a text unless it is an object or
/// an array.
fn json_of(is_json: bool, given: String) -> String {
    let begins = given.trim_start().chars().next();
    let is_structure = is_json && matches!(begins, Some('{' | '['));
    if is_structure && serde_json::from_str::<&RawValue>(given.trim()).is_ok() {
        return given;
    }
    serde_json::Value::String(given).to_string()
}

/// Decides the result of a write. Errors in the event itself always fail it; other errors fail only
/// a strict write.
fn settle(
    options: &Options,
    agent: &HookAgent,
    sent: Result<Result<Answer, Error>, Error>,
) -> Result<Exit, Failure> {
    let failure = match sent {
        Ok(Ok(answer)) if !answer.is_queued() || !options.strict => {
            return Ok(shown(options, &answer));
        }
        Ok(Ok(_)) => Failure {
            exit: Exit::Unavailable,
            message: queued(agent),
        },
        Ok(Err(Error::Timeout { .. })) if !options.strict => {
            return Ok(shown(options, &Answer::queued()));
        }
        Ok(Err(error)) | Err(error) => Failure::from(error),
    };
    if options.strict || matches!(failure.exit, Exit::Usage | Exit::Data) {
        return Err(failure);
    }
    warn(&failure.message);
    Ok(Exit::Done)
}

/// Returns why the write is only queued.
fn queued(agent: &HookAgent) -> String {
    let why = agent.stats().ok().and_then(|stats| stats.last_error);
    format!(
        "queued: {}",
        why.unwrap_or_else(|| "the service is unreachable".to_owned())
    )
}

fn shown(options: &Options, answer: &Answer) -> Exit {
    if options.print {
        print(&format!("{}\n", answer.json()))
    } else {
        Exit::Done
    }
}

fn restore(options: &Options) -> Result<Exit, Failure> {
    let config = of_session(options)?;
    let longest = config.connect_timeout + config.answer_timeout;
    let answer = HookAgent::new(config)
        .restore(options.last)?
        .wait(longest * 3)?;
    Ok(print(&format!("{}\n", answer.json())))
}

/// Returns the configuration of a command for one session. Unlike the library, the command does not
/// create a session id by itself: each call of a script would record into another session.
fn of_session(options: &Options) -> Result<Config, Failure> {
    let config = config(options)?;
    if config.session_id.is_none() {
        return Err(Failure::usage(
            "no session: set `SESSION_ID` or pass `--session ID`",
        ));
    }
    Ok(config)
}

/// Reads standard input. Invalid UTF-8 becomes replacement characters: the rest is worth recording.
fn read_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(Failure {
            exit: Exit::Data,
            message: format!("failed to read standard input: {error}"),
        }),
    }
}
