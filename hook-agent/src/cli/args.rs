//! The command line, parsed once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::exit::Failure;
use crate::claude_code::Place;

/// The text printed by `--help`.
pub(super) const HELP: &str = "\
Records what an agent does into the flight recorder.

Usage: hook-agent [OPTIONS] COMMAND

Writes; JSON is an object, read from standard input when it is left out or `-`:
  action [JSON]                a tool call, a command, an edit …
  response [JSON]              what came of it
  state [JSON]                 merge into the state [--if-version N]
  goal add [JSON]              goal update ID [JSON]
  agent spawn [JSON]           agent complete ID [JSON]
  metadata [JSON]              set dotted keys of the metadata
  create [JSON]                create the session; JSON is its `initial`
  finalize [JSON]              end the session; `{}` when left out
  reopen                       make an ended session active again
  exec -- PROGRAM [ARG]…       run a program; record its start, every line of its output and its end. Without a session
                               it is one of its own, which ends with it; --end: a named one ends with it, too.
                               No line is left out: a flood of output fills the spool up to its bound

Claude Code:
  claude-code                  record the hook on standard input; prints nothing, always exits 0
  install claude-code          set it for every event in .claude/settings.json; --user: in ~/.claude; --dry-run: print
  uninstall claude-code        take it out again; the same options

Others:
  restore                      print what is needed to go on with the session [--last N, default 50]
  flush                        deliver every spool whose owner is gone [--timeout MS, default 10000]; --all: also those
                               for other services, each to its own; --redirect FROM: what was for the service FROM
  status                       print the service's health and what waits in the spool; --json: as JSON

Options:
  --session ID                 default $SESSION_ID
  --user ID                    default $SESSION_USER_ID
  --url URL                    default $SESSION_SERVICE_URL, http://localhost:9000; also https:// and unix:///path
  --spool-dir DIR              default $HOOK_AGENT_SPOOL_DIR, ~/.local/state/hook-agent
  --wait MS                    how long a write waits for its delivery [default 50]
  --strict                     a write fails when the service did not take it
  --print                      a write prints the service's answer
  -h, --help    -V, --version

Exit codes: 0 done (a write: in the spool, or standard error says why not), 64 usage, 65 not a JSON object or too large,
69 no answer in time (flush: something is left), 74 spool not writable (flush: records were lost), 76 refused by
the service (flush: some of it); 69, 74 and 76 of a write only with --strict. exec exits as the program did, 128 + N for signal N, 126 not runnable, 127 not found.
";

/// What to do.
#[derive(Debug)]
pub(super) enum Asked {
    Help,
    Version,
    Run(Box<Options>, Command),
}

/// The options of all commands.
#[derive(Debug)]
pub(super) struct Options {
    pub session: Option<String>,
    pub user: Option<String>,
    pub url: Option<String>,
    pub spool_dir: Option<PathBuf>,
    pub wait: Duration,
    pub strict: bool,
    pub print: bool,
    pub if_version: Option<u64>,
    pub last: usize,
    pub timeout: Duration,
    pub place: Place,
    pub dry: bool,
    /// `flush`: also deliver to other services.
    pub all: bool,
    /// `flush`: deliver the records that were for this service to ours.
    pub redirect: Option<String>,
    pub json: bool,
    /// `exec`: the session ends with the program.
    pub end: bool,
}

/// The command and its own arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Write {
        call: Write,
        json: Option<String>,
    },
    /// A Claude Code hook.
    Hook,
    /// Changes Claude Code's settings.
    Settings {
        install: bool,
    },
    Restore,
    Flush,
    Status,
    Exec(Vec<OsString>),
}

/// The writes, as they are named on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Write {
    Action,
    Response,
    State,
    GoalAdd,
    GoalUpdate(String),
    AgentSpawn,
    AgentComplete(String),
    Metadata,
    Create,
    Finalize,
    Reopen,
}

impl Write {
    /// Returns whether empty input counts as `{}`.
    pub(super) fn may_be_empty(&self) -> bool {
        matches!(self, Self::AgentComplete(_) | Self::Create | Self::Finalize | Self::Reopen)
    }
}

/// Parses the arguments, without the program's name.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Asked, Failure> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options {
        session: None,
        user: None,
        url: None,
        spool_dir: None,
        wait: Duration::from_millis(50),
        strict: false,
        print: false,
        if_version: None,
        last: 50,
        timeout: Duration::from_secs(10),
        place: Place::Project,
        dry: false,
        all: false,
        redirect: None,
        json: false,
        end: false,
    };
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = parser.next().map_err(|error| failed(&error))? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
            Arg::Long(_) | Arg::Short(_) => {
                let name = match arg {
                    Arg::Long(name) => name.to_owned(),
                    _ => String::new(),
                };
                match (name.as_str(), words.first().map(String::as_str)) {
                    // After these commands, `--user` selects the settings file, not the session's
                    // owner.
                    ("user", Some("install" | "uninstall")) => options.place = Place::User,
                    _ => option(&mut options, &name, &mut parser)?,
                }
            }
            // An event with invalid UTF-8 is worth recording with replacement characters.
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
        }
        if words.first().is_some_and(|word| word == "exec") {
            return exec(&mut parser, options);
        }
    }
    Ok(Asked::Run(Box::new(options), command(words)?))
}

/// Parses the arguments of `exec`. Our options may come before the program; from its name on, all
/// arguments are the program's.
fn exec(parser: &mut Parser, mut options: Options) -> Result<Asked, Failure> {
    loop {
        let dashed = parser.try_raw_args().and_then(|rest| {
            let next = rest.peek()?.to_str()?;
            Some(next == "-h" || next.len() > 2 && next.starts_with("--"))
        });
        if dashed != Some(true) {
            break;
        }
        let name = match parser.next().map_err(|error| failed(&error))? {
            Some(Arg::Long("help") | Arg::Short('h')) => return Ok(Asked::Help),
            Some(Arg::Long(name)) => name.to_owned(),
            _ => break,
        };
        option(&mut options, &name, parser)?;
    }
    let mut program: Vec<OsString> = parser.raw_args().map_err(|error| failed(&error))?.collect();
    if program.first().is_some_and(|word| word == "--") {
        program.remove(0);
    }
    if program.is_empty() {
        return Err(Failure::usage("`exec` needs a program: `hook-agent exec -- PROGRAM`"));
    }
    Ok(Asked::Run(Box::new(options), Command::Exec(program)))
}

fn option(options: &mut Options, name: &str, parser: &mut Parser) -> Result<(), Failure> {
    match name {
        "strict" => options.strict = true,
        "print" => options.print = true,
        "dry-run" => options.dry = true,
        "all" => options.all = true,
        "redirect" => options.redirect = Some(text(parser)?),
        "json" => options.json = true,
        "end" => options.end = true,
        "project" => options.place = Place::Project,
        "session" => options.session = Some(text(parser)?),
        "user" => options.user = Some(text(parser)?),
        "url" => options.url = Some(text(parser)?),
        "spool-dir" => options.spool_dir = Some(PathBuf::from(text(parser)?)),
        "wait" => options.wait = Duration::from_millis(number(parser, name)?),
        "timeout" => options.timeout = Duration::from_millis(number(parser, name)?),
        "if-version" => options.if_version = Some(number(parser, name)?),
        "last" => options.last = number(parser, name)? as usize,
        _ => return Err(Failure::usage(format!("unknown option `--{name}`; see `hook-agent --help`"))),
    }
    Ok(())
}

fn text(parser: &mut Parser) -> Result<String, Failure> {
    parser.value().and_then(ValueExt::string).map_err(|error| failed(&error))
}

fn number(parser: &mut Parser, name: &str) -> Result<u64, Failure> {
    let text = text(parser)?;
    text.parse().map_err(|_| Failure::usage(format!("`--{name} {text}` is not a number")))
}

fn failed(error: &lexopt::Error) -> Failure {
    Failure::usage(error.to_string())
}

fn command(words: Vec<String>) -> Result<Command, Failure> {
    let mut words = words.into_iter();
    let mut next = || words.next();
    let name = next().ok_or_else(|| Failure::usage("a command is missing; see `hook-agent --help`"))?;
    let call = match name.as_str() {
        "action" => Write::Action,
        "response" => Write::Response,
        "state" => Write::State,
        "goal" | "agent" => sub_command(&name, next().as_deref(), &mut next)?,
        "metadata" => Write::Metadata,
        "create" => Write::Create,
        "finalize" => Write::Finalize,
        "reopen" => Write::Reopen,
        "claude-code" => return alone(Command::Hook, next()),
        "install" | "uninstall" => return settings(&name, next().as_deref(), next()),
        "restore" => return alone(Command::Restore, next()),
        "flush" => return alone(Command::Flush, next()),
        "status" => return alone(Command::Status, next()),
        other => return Err(Failure::usage(format!("unknown command `{other}`; see `hook-agent --help`"))),
    };
    let json = next().filter(|text| text != "-");
    alone(Command::Write { call, json }, next())
}

fn sub_command(
    name: &str,
    sub: Option<&str>,
    next: &mut impl FnMut() -> Option<String>,
) -> Result<Write, Failure> {
    let mut id = || next().ok_or_else(|| Failure::usage(format!("`{name}` needs the id after its verb")));
    match (name, sub.unwrap_or_default()) {
        ("goal", "add") => Ok(Write::GoalAdd),
        ("goal", "update") => Ok(Write::GoalUpdate(id()?)),
        ("agent", "spawn") => Ok(Write::AgentSpawn),
        ("agent", "complete") => Ok(Write::AgentComplete(id()?)),
        (_, other) => {
            Err(Failure::usage(format!("unknown command `{name} {other}`; see `hook-agent --help`")))
        }
    }
}

fn settings(name: &str, whose: Option<&str>, surplus: Option<String>) -> Result<Command, Failure> {
    match whose {
        Some("claude-code") => alone(Command::Settings { install: name == "install" }, surplus),
        _ => Err(Failure::usage(format!("`{name}` needs `claude-code` after it"))),
    }
}

fn alone(command: Command, surplus: Option<String>) -> Result<Command, Failure> {
    match surplus {
        None => Ok(command),
        Some(word) => Err(Failure::usage(format!("unexpected argument `{word}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Box<Options>, Command), Failure> {
        match parse(line.split(' ').map(OsString::from).collect())? {
            Asked::Run(options, command) => Ok((options, command)),
            Asked::Help | Asked::Version => Err(Failure::usage("help")),
        }
    }

    #[test]
    fn options_and_words_may_come_in_any_order() {
        let (options, command) = parsed("--wait 7 goal update g1 {} --session s --strict").unwrap();
        assert_eq!(command, Command::Write { call: Write::GoalUpdate("g1".into()), json: Some("{}".into()) });
        assert_eq!(
            (options.wait.as_millis(), options.session.as_deref(), options.strict),
            (7, Some("s"), true)
        );
    }

    #[test]
    fn everything_behind_the_program_is_the_programs() {
        for line in ["exec -- ls --session x", "exec ls --session x"] {
            let (options, command) = parsed(line).unwrap();
            assert_eq!(command, Command::Exec(["ls", "--session", "x"].map(OsString::from).to_vec()));
            assert_eq!(options.session, None);
        }
        let (options, command) = parsed("exec --session s -- ls -l").unwrap();
        assert_eq!(
            (options.session.as_deref(), command),
            (Some("s"), Command::Exec(vec!["ls".into(), "-l".into()]))
        );
    }

    #[test]
    fn help_is_there_before_the_program_and_the_programs_behind_it() {
        for line in ["exec --help", "exec -h", "exec --strict --help"] {
            let arguments = line.split(' ').map(OsString::from).collect();
            assert!(matches!(parse(arguments), Ok(Asked::Help)), "{line}");
        }
        assert!(
            matches!(parsed("exec -- ls --help").unwrap().1, Command::Exec(program) if program.len() == 2)
        );
    }

    #[test]
    fn user_is_a_place_behind_install_and_a_person_elsewhere() {
        let (options, command) = parsed("install claude-code --user --dry-run").unwrap();
        assert_eq!(
            (command, options.place, options.dry),
            (Command::Settings { install: true }, Place::User, true)
        );
        let (options, command) = parsed("--user ann uninstall claude-code").unwrap();
        assert_eq!((command, options.place), (Command::Settings { install: false }, Place::Project));
        assert_eq!(options.user.as_deref(), Some("ann"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("launch", "`launch`"),
            ("goal", "`goal "),
            ("goal update", "`goal`"),
            ("action {} {}", "`{}`"),
            ("--wait soon action", "`--wait soon`"),
            ("--nope action", "`--nope`"),
            ("exec", "`exec`"),
            ("install", "`install`"),
        ] {
            let failure = parsed(line).unwrap_err();
            assert!(failure.message.contains(named), "{line}: {}", failure.message);
        }
    }
}
