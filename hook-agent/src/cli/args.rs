//! The command line, parsed once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use session_model::{BatchLine, LineData};

use super::exit::Failure;
use super::help;
use super::shell::Shell;
use crate::Helper;
use crate::claude_code::SettingsFile;
use crate::client::RESTORE_LAST;

/// What to do.
#[derive(Debug)]
pub(super) enum Asked {
    /// The text of `--help`.
    Help(String),
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
    pub settings_file: SettingsFile,
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
    Write(Write),
    Log(Log),
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
    Completions(Shell),
}

/// A write as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The line, or `None` for `create`.
    pub line: Option<BatchLine>,
    /// What the line changes; empty if it has no id.
    pub id: String,
    pub json: Option<String>,
}

impl Write {
    /// Returns whether input is needed, may be empty, or is not read.
    pub(super) fn data(&self) -> LineData {
        self.line.map_or(LineData::Optional, BatchLine::data)
    }
}

/// A record of a typed helper as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Log {
    pub helper: Helper,
    /// One word for each of the helper's parts, then possibly the other fields. `-` stands for
    /// standard input.
    pub words: Vec<String>,
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
        last: RESTORE_LAST,
        timeout: Duration::from_secs(10),
        settings_file: SettingsFile::Project,
        dry: false,
        all: false,
        redirect: None,
        json: false,
        end: false,
    };
    let mut words: Vec<String> = Vec::new();
    loop {
        let given = given(&mut parser);
        let Some(arg) = parser.next().map_err(|error| failed(&error))? else {
            break;
        };
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help(help::of(&words))),
            Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
            // All our short options are above.
            Arg::Short(_) => return Err(unknown(&given)),
            Arg::Long(name) => {
                let name = name.to_owned();
                match (name.as_str(), words.first().map(String::as_str)) {
                    // After these commands, `--user` selects the settings file, not the session's
                    // owner.
                    ("user", Some("install" | "uninstall")) => {
                        options.settings_file = SettingsFile::User;
                    }
                    _ => option(&mut options, &name, &given, &mut parser)?,
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
        let given = given(parser);
        let name = match parser.next().map_err(|error| failed(&error))? {
            Some(Arg::Long("help") | Arg::Short('h')) => {
                return Ok(Asked::Help(help::of(&["exec".to_owned()])));
            }
            Some(Arg::Long(name)) => name.to_owned(),
            _ => break,
        };
        option(&mut options, &name, &given, parser)?;
    }
    let mut program: Vec<OsString> = parser.raw_args().map_err(|error| failed(&error))?.collect();
    if program.first().is_some_and(|word| word == "--") {
        program.remove(0);
    }
    if program.is_empty() {
        return Err(Failure::usage(
            "`exec` has no program: write `hook-agent exec -- PROGRAM`",
        ));
    }
    Ok(Asked::Run(Box::new(options), Command::Exec(program)))
}

/// Returns the next argument as it was given.
fn given(parser: &mut Parser) -> String {
    let rest = parser.try_raw_args();
    let next = rest.and_then(|rest| Some(rest.peek()?.to_string_lossy().into_owned()));
    next.unwrap_or_default()
}

fn unknown(given: &str) -> Failure {
    Failure::usage(format!(
        "unknown option `{given}`: see `hook-agent --help`, or write `--` before a text that begins with `-`"
    ))
}

/// Reads the value of an option, which was given so, and sets the option.
fn option(
    options: &mut Options,
    name: &str,
    given: &str,
    parser: &mut Parser,
) -> Result<(), Failure> {
    match name {
        "strict" => options.strict = true,
        "print" => options.print = true,
        "dry-run" => options.dry = true,
        "all" => options.all = true,
        "redirect" => options.redirect = Some(text(parser)?),
        "json" => options.json = true,
        "end" => options.end = true,
        "project" => options.settings_file = SettingsFile::Project,
        "session" => options.session = Some(text(parser)?),
        "user" => options.user = Some(text(parser)?),
        "url" => options.url = Some(text(parser)?),
        "spool-dir" => options.spool_dir = Some(PathBuf::from(text(parser)?)),
        "wait" => options.wait = Duration::from_millis(number(parser, name)?),
        "timeout" => options.timeout = Duration::from_millis(number(parser, name)?),
        "if-version" => options.if_version = Some(number(parser, name)?),
        "last" => options.last = number(parser, name)? as usize,
        _ => return Err(unknown(given)),
    }
    Ok(())
}

fn text(parser: &mut Parser) -> Result<String, Failure> {
    parser
        .value()
        .and_then(ValueExt::string)
        .map_err(|error| failed(&error))
}

fn number(parser: &mut Parser, name: &str) -> Result<u64, Failure> {
    let text = text(parser)?;
    text.parse()
        .map_err(|_| Failure::usage(format!("invalid `--{name} {text}`: pass a whole number")))
}

fn failed(error: &lexopt::Error) -> Failure {
    Failure::usage(error.to_string())
}

fn command(words: Vec<String>) -> Result<Command, Failure> {
    let mut words = words.into_iter();
    let mut next = || words.next();
    let name = next().ok_or_else(|| Failure::usage("missing command: see `hook-agent --help`"))?;
    let line = match name.as_str() {
        "claude-code" => return alone(Command::Hook, next()),
        "install" | "uninstall" => return settings(&name, next().as_deref(), next()),
        "restore" => return alone(Command::Restore, next()),
        "flush" => return alone(Command::Flush, next()),
        "status" => return alone(Command::Status, next()),
        "completions" => {
            let shell = Shell::parse(next().as_deref())?;
            return alone(Command::Completions(shell), next());
        }
        "log" => return log(words.collect()).map(Command::Log),
        "create" => None,
        _ => Some(batch_line(&name, &mut next)?),
    };
    let id = match line.and_then(BatchLine::id_field) {
        Some(_) => {
            let command = line.map_or("create", BatchLine::command);
            next().ok_or_else(|| {
                Failure::usage(format!(
                    "`{command}` has no id: write `hook-agent {command} ID`"
                ))
            })?
        }
        None => String::new(),
    };
    let json = next().filter(|text| text != "-");
    alone(Command::Write(Write { line, id, json }), next())
}

/// Parses what follows `log`: the kind of the record, its parts and its other fields.
fn log(mut words: Vec<String>) -> Result<Log, Failure> {
    let kind = words.first().cloned().unwrap_or_default();
    let named = |helper: &&Helper| helper.command().strip_prefix("log ") == Some(&kind);
    let helper = Helper::ALL.iter().copied().find(|helper| named(&helper));
    let helper = helper.ok_or_else(|| {
        Failure::usage(format!(
            "unknown command `log {kind}`: see `hook-agent log --help`"
        ))
    })?;
    words.remove(0);
    let parts = helper.parts().len();
    let usage = help::usage_of(helper);
    if words.len() < parts {
        let missing = helper.parts()[words.len()].name;
        return Err(Failure::usage(format!(
            "`{}` has no `{missing}`: write `{usage}`",
            helper.command()
        )));
    }
    if let Some(word) = words.get(parts + 1) {
        return Err(Failure::usage(format!(
            "unexpected argument `{word}`: write `{usage}`"
        )));
    }
    if words.iter().filter(|word| *word == "-").count() > 1 {
        return Err(Failure::usage(format!(
            "standard input can be read once: write `-` once in `{usage}`"
        )));
    }
    Ok(Log { helper, words })
}

/// Returns the line whose command starts with this word.
fn batch_line(name: &str, next: &mut impl FnMut() -> Option<String>) -> Result<BatchLine, Failure> {
    let has_verbs = BatchLine::ALL
        .iter()
        .filter_map(|line| line.command().split_once(' '))
        .any(|(first, _)| first == name);
    let command = if has_verbs {
        format!("{name} {}", next().unwrap_or_default())
    } else {
        name.to_owned()
    };
    BatchLine::of_command(&command).ok_or_else(|| {
        Failure::usage(format!(
            "unknown command `{command}`: see `hook-agent --help`"
        ))
    })
}

fn settings(name: &str, whose: Option<&str>, surplus: Option<String>) -> Result<Command, Failure> {
    match whose {
        Some("claude-code") => alone(
            Command::Settings {
                install: name == "install",
            },
            surplus,
        ),
        _ => Err(Failure::usage(format!(
            "`{name}` has no target: write `hook-agent {name} claude-code`"
        ))),
    }
}

fn alone(command: Command, surplus: Option<String>) -> Result<Command, Failure> {
    match surplus {
        None => Ok(command),
        Some(word) => Err(Failure::usage(format!(
            "unexpected argument `{word}`: see `hook-agent COMMAND --help`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Box<Options>, Command), Failure> {
        match parse(line.split(' ').map(OsString::from).collect())? {
            Asked::Run(options, command) => Ok((options, command)),
            Asked::Help(_) | Asked::Version => Err(Failure::usage("help")),
        }
    }

    #[test]
    fn options_and_words_may_come_in_any_order() {
        let (options, command) = parsed("--wait 7 goal update g1 {} --session s --strict").unwrap();
        assert_eq!(
            command,
            Command::Write(Write {
                line: Some(BatchLine::GoalUpdate),
                id: "g1".into(),
                json: Some("{}".into())
            })
        );
        assert_eq!(options.wait.as_millis(), 7);
        assert_eq!(options.session.as_deref(), Some("s"));
        assert!(options.strict);
    }

    #[test]
    fn everything_behind_the_program_is_the_programs() {
        for line in ["exec -- ls --session x", "exec ls --session x"] {
            let (options, command) = parsed(line).unwrap();
            assert_eq!(
                command,
                Command::Exec(["ls", "--session", "x"].map(OsString::from).to_vec())
            );
            assert_eq!(options.session, None);
        }
        let (options, command) = parsed("exec --session s -- ls -l").unwrap();
        assert_eq!(options.session.as_deref(), Some("s"));
        assert_eq!(command, Command::Exec(vec!["ls".into(), "-l".into()]));
    }

    #[test]
    fn help_is_there_before_the_program_and_the_programs_behind_it() {
        for line in ["exec --help", "exec -h", "exec --strict --help"] {
            let arguments = line.split(' ').map(OsString::from).collect();
            assert!(
                matches!(parse(arguments), Ok(Asked::Help(text)) if text.contains("PROGRAM")),
                "{line}"
            );
        }
        assert!(
            matches!(parsed("exec -- ls --help").unwrap().1, Command::Exec(program) if program.len() == 2)
        );
    }

    #[test]
    fn user_is_a_place_behind_install_and_a_person_elsewhere() {
        let (options, command) = parsed("install claude-code --user --dry-run").unwrap();
        assert_eq!(command, Command::Settings { install: true });
        assert_eq!(options.settings_file, SettingsFile::User);
        assert!(options.dry);
        let (options, command) = parsed("--user ann uninstall claude-code").unwrap();
        assert_eq!(command, Command::Settings { install: false });
        assert_eq!(options.settings_file, SettingsFile::Project);
        assert_eq!(options.user.as_deref(), Some("ann"));
    }

    #[test]
    fn an_unknown_option_is_named_as_it_was_given() {
        for given in ["- item", "-x", "-5", "-x=y", "--- a/file", "--nope=1"] {
            for before in [&["log", "user-message"][..], &[]] {
                let arguments = before.iter().chain([&given]).map(OsString::from);
                let failure = parse(arguments.collect()).unwrap_err();
                let named = format!("unknown option `{given}`");
                assert!(failure.message.contains(&named), "{}", failure.message);
                assert!(failure.message.contains("`--`"), "{}", failure.message);
            }
        }
    }

    #[test]
    fn what_follows_two_dashes_is_a_text() {
        let arguments = ["log", "user-message", "--wait", "7", "--", "- item", "{}"];
        let parsed = parse(arguments.map(OsString::from).to_vec()).unwrap();
        let Asked::Run(options, Command::Log(log)) = parsed else {
            panic!("{parsed:?}");
        };
        assert_eq!(options.wait.as_millis(), 7);
        assert_eq!(log.words, ["- item", "{}"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("launch", "`launch`"),
            ("goal", "`goal "),
            ("goal update", "`goal update`"),
            ("action {} {}", "`{}`"),
            ("log", "`log `"),
            ("log dance", "`log dance`"),
            ("log tool-call Bash", "`input`"),
            ("log tool-result Bash", "`callId`"),
            ("log usage m opus {} {}", "`{}`"),
            ("log tool-result Bash - -", "once"),
            ("--wait soon action", "`--wait soon`"),
            ("--nope action", "`--nope`"),
            ("exec", "`exec`"),
            ("install", "`install`"),
        ] {
            let failure = parsed(line).unwrap_err();
            assert!(
                failure.message.contains(named),
                "{line}: {}",
                failure.message
            );
        }
    }
}
