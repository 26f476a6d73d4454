//! `exec`: runs a program as if it ran alone, and records its start, its output
//! ([`lines`](super::lines)) and its end.
//!
//! The program inherits our standard input; its output passes through unchanged and at once. The
//! program runs even if the recorder fails. Signals sent to us are passed on, except those that a
//! terminal sends to both. If the reader of our output goes away, the program gets a broken pipe,
//! as it would alone.
//!
//! Without a configured session, the program gets a session of its own, which ends with it.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

use super::args::Options;
use super::config::config;
use super::exec_records::{End, Run};
use super::exit::{Exit, warn};
use super::flush::records;
use super::lines::Lines;
use crate::{Call, Config, HookAgent, process_session};

/// After the program has ended, a background child may keep its output open. The output is followed
/// until it has been silent for this long.
const LEFT_OPEN: Duration = Duration::from_secs(1);

pub(super) fn run(options: &Options, program: &[OsString]) -> Exit {
    let mut config = config(options)
        .map_err(|error| warn(&error.to_string()))
        .ok();
    let own = config.as_mut().is_some_and(named);
    let user = config.as_ref().and_then(|config| config.user_id.clone());
    let user = user.unwrap_or_else(|| "unknown".to_owned());
    let blobs = config.as_ref().is_some_and(|config| config.blobs);
    let recorder = Recorder {
        agent: config.map(HookAgent::new),
        user,
    };
    let command: Vec<_> = program.iter().map(|word| word.to_string_lossy()).collect();
    if own {
        recorder.create(
            &json!({"source": "exec", "input": {"command": command, "cwd": std::env::current_dir().ok()}}),
        );
    }
    let words: Vec<&str> = command.iter().map(|word| &**word).collect();
    let (run, call) = Run::begin(&words, blobs);
    recorder.action(&call);
    // Registered before the program starts, so that no signal is lost in between.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]);
    let started = Command::new(&program[0])
        .args(&program[1..])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let exit = match started {
        Ok(child) => follow(child, signals, &recorder, &run),
        Err(error) => {
            warn(&format!("failed to start `{}`: {error}", command[0]));
            let code = if error.kind() == io::ErrorKind::NotFound {
                127
            } else {
                126
            };
            let end = End {
                exit_code: Some(code.into()),
                signal: None,
                error: Some(error.to_string()),
            };
            recorder.result(&run, end);
            Exit::Program(code)
        }
    };
    if own || options.end {
        let Exit::Program(code) = exit else {
            return exit;
        };
        recorder.finalize(&json!({"status": status_of(code), "outcome": {"exitCode": code}}));
    }
    recorder.flush(options.wait);
    exit
}

/// Gives the program a session of its own if none is configured. Returns whether it did.
fn named(config: &mut Config) -> bool {
    if config.session_id.is_some() {
        return false;
    }
    config.session_id = Some(process_session().to_owned());
    true
}

/// Returns the final status for an exit code; 128 + N stands for signal N.
fn status_of(code: u8) -> &'static str {
    match i32::from(code) - 128 {
        SIGHUP | SIGINT | SIGTERM => "interrupted",
        _ if code == 0 => "success",
        _ => "error",
    }
}

fn follow(mut child: Child, signals: io::Result<Signals>, recorder: &Recorder, run: &Run) -> Exit {
    let passing = signals
        .map(|signals| pass_on(signals, child.id()))
        .map_err(|error| warn(&error.to_string()));
    let (sender, bytes) = mpsc::channel();
    let mut open = 0;
    if let Some(out) = child.stdout.take() {
        open += usize::from(copy(
            "stdout",
            out,
            io::stdout(),
            (recorder.clone(), run.clone()),
            sender.clone(),
        ));
    }
    if let Some(out) = child.stderr.take() {
        let records = (recorder.clone(), run.clone());
        open += usize::from(copy("stderr", out, io::stderr(), records, sender));
    }
    let status = child.wait();
    if let Ok(handle) = passing {
        handle.close();
    }
    while open > 0 {
        match bytes.recv_timeout(LEFT_OPEN) {
            Ok(Copied::Some) => {}
            Ok(Copied::End) => open -= 1,
            Err(_) => break,
        }
    }
    ended(status, recorder, run)
}

fn ended(status: io::Result<ExitStatus>, recorder: &Recorder, run: &Run) -> Exit {
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            let end = End {
                exit_code: None,
                signal: None,
                error: Some(error.to_string()),
            };
            recorder.result(run, end);
            return Exit::Program(126);
        }
    };
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    let end = End {
        exit_code: Some(code),
        signal: status.signal(),
        error: None,
    };
    recorder.result(run, end);
    Exit::Program(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Passes every signal that we get on to the program. A signal from the terminal's keyboard reaches
/// the program by itself.
fn pass_on(mut signals: Signals, pid: u32) -> Handle {
    let handle = signals.handle();
    let terminal = io::stdin().is_terminal();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if terminal && matches!(signal, SIGINT | SIGQUIT) {
                continue;
            }
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid
                && let Some(signal) = Signal::from_named_raw(signal)
                && let Err(error) = kill_process(pid, signal)
            {
                warn(&format!("failed to pass on signal {signal:?}: {error}"));
            }
        }
    });
    handle
}

/// A message from a copying thread.
enum Copied {
    Some,
    End,
}

fn copy(
    stream: &'static str,
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    (recorder, run): (Recorder, Run),
    copied: mpsc::Sender<Copied>,
) -> bool {
    let body = move || {
        // Each line counts as output: recording many on a busy machine may take longer than the
        // output may be silent.
        let mut lines = Lines::new(|text: &str, goes_on| {
            recorder.response(&run.line(stream, text, goes_on));
            let _ = copied.send(Copied::Some);
        });
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let written = to.write_all(&buffer[..read]).and_then(|()| to.flush());
            let _ = copied.send(Copied::Some);
            lines.add(&buffer[..read]);
            // Nobody reads the output any more: stop reading, so that the program gets a broken
            // pipe too. After any other error keep reading, or the program would stall.
            if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                break;
            }
        }
        drop(from);
        lines.end();
        let _ = copied.send(Copied::End);
    };
    std::thread::Builder::new()
        .name(format!("hook-agent-{stream}"))
        .spawn(body)
        .is_ok()
}

/// Records what it can, and reports the first failure. The program is not affected.
#[derive(Clone)]
struct Recorder {
    agent: Option<HookAgent>,
    /// The owner of the session, if it has to be created.
    user: String,
}

impl Recorder {
    fn action(&self, action: &serde_json::Value) {
        if let Some(Err(error)) = self.agent.as_ref().map(|agent| agent.log_action(action)) {
            warn(&format!("not recorded: {error}"));
        }
    }

    fn create(&self, initial: &serde_json::Value) {
        self.send(
            |user| Call::CreateSession {
                user_id: user,
                parent: None,
            },
            initial,
        );
    }

    fn finalize(&self, end: &serde_json::Value) {
        self.send(|_| Call::Finalize, end);
    }

    fn send<'c>(&'c self, call: impl FnOnce(&'c str) -> Call<'c>, data: &serde_json::Value) {
        let Some(agent) = &self.agent else { return };
        if let Err(error) = agent.send(call(&self.user), &data.to_string()) {
            warn(&format!("not recorded: {error}"));
        }
    }

    fn result(&self, run: &Run, end: End) {
        self.action(&run.result(end, run.elapsed()));
    }

    fn response(&self, response: &serde_json::Value) {
        // A failure was reported at the start; one message per line would bury the program's own
        // output.
        let _ = self
            .agent
            .as_ref()
            .map(|agent| agent.log_response(response));
    }

    fn flush(&self, wait: Duration) {
        if let Some(agent) = &self.agent {
            let _ = agent.flush(wait);
            let Ok(stats) = agent.stats() else { return };
            if stats.lost > 0 {
                warn(&format!(
                    "{} lost on the way to the service: see `hook-agent status`",
                    records(stats.lost)
                ));
            }
            // An unreachable service may recover by itself, but a token that it refuses has to be
            // replaced, so report it.
            if stats.locked
                && let Some(why) = stats.last_error
            {
                warn(&why);
            }
        }
    }
}
