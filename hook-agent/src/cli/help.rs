//! The texts of `--help`: an overview, and for each command what it reads.

use std::fmt::Write as _;

use session_model::{BatchLine, LineData};

use crate::Helper;

/// One command: the words that name it, and what `--help` says of it.
struct Topic {
    command: &'static str,
    /// The arguments after the words.
    arguments: &'static str,
    /// One line, for the overview too.
    about: &'static str,
    /// What else there is to know, in lines of their own.
    more: &'static str,
    options: &'static [Opt],
    example: &'static str,
}

/// An option. The command line takes each one before and after any command; a command's help has
/// those that it reads.
#[derive(Clone, Copy)]
enum Opt {
    Session,
    User,
    Url,
    SpoolDir,
    Wait,
    Strict,
    Print,
    IfVersion,
    End,
    Last,
    Timeout,
    All,
    Redirect,
    Json,
    Project,
    UserSettings,
    DryRun,
}

impl Opt {
    fn line(self) -> (&'static str, &'static str) {
        match self {
            Self::Session => ("--session ID", "default $SESSION_ID"),
            Self::User => (
                "--user ID",
                "owner of a new session [default $SESSION_USER_ID]",
            ),
            Self::Url => (
                "--url URL",
                "default $SESSION_SERVICE_URL, http://localhost:9000; also https:// and unix:///path",
            ),
            Self::SpoolDir => (
                "--spool-dir DIR",
                "default $HOOK_AGENT_SPOOL_DIR, ~/.local/state/hook-agent",
            ),
            Self::Wait => (
                "--wait MS",
                "how long to wait for the delivery [default 50]",
            ),
            Self::Strict => ("--strict", "fail if the service did not accept the record"),
            Self::Print => ("--print", "print the service's response"),
            Self::IfVersion => ("--if-version N", "only if the state still has this version"),
            Self::End => (
                "--end",
                "end the session with the program, also a given one",
            ),
            Self::Last => ("--last N", "records of each log [default 50]"),
            Self::Timeout => ("--timeout MS", "default 10000"),
            Self::All => (
                "--all",
                "also records for other services, each to its own, without $SESSION_TOKEN",
            ),
            Self::Redirect => (
                "--redirect FROM",
                "send what was for the service FROM to ours",
            ),
            Self::Json => ("--json", "print JSON, for programs"),
            Self::Project => (
                "--project",
                "change .claude/settings.json here (the default)",
            ),
            Self::UserSettings => (
                "--user",
                "change the user's settings, in $CLAUDE_CONFIG_DIR or ~/.claude",
            ),
            Self::DryRun => ("--dry-run", "print the new settings and change nothing"),
        }
    }
}

const WRITE: &[Opt] = &[
    Opt::Session,
    Opt::Url,
    Opt::SpoolDir,
    Opt::Wait,
    Opt::Strict,
    Opt::Print,
];
const STATE: &[Opt] = &[
    Opt::IfVersion,
    Opt::Session,
    Opt::Url,
    Opt::SpoolDir,
    Opt::Wait,
    Opt::Strict,
    Opt::Print,
];
const CREATE: &[Opt] = &[
    Opt::User,
    Opt::Session,
    Opt::Url,
    Opt::SpoolDir,
    Opt::Wait,
    Opt::Strict,
    Opt::Print,
];
const SETTINGS: &[Opt] = &[Opt::Project, Opt::UserSettings, Opt::DryRun];

/// The topic of a batch line.
const fn line_topic(line: BatchLine) -> Topic {
    let (about, example) = match line {
        BatchLine::Action => (
            "record a tool call, a command or an edit",
            r#"hook-agent action '{"type":"tool_call","tool":"grep"}'"#,
        ),
        BatchLine::Response => (
            "record the result of an action, or the agent's text",
            r#"echo '{"type":"tool_result","matches":3}' | hook-agent response"#,
        ),
        BatchLine::StateUpdate => (
            "merge into the state",
            r#"hook-agent state '{"phase":"testing"}' --if-version 3"#,
        ),
        BatchLine::GoalAdd => (
            "add a goal",
            r#"hook-agent goal add '{"id":"g-1","description":"ship it"}'"#,
        ),
        BatchLine::GoalUpdate => (
            "change a goal",
            r#"hook-agent goal update g-1 '{"status":"completed"}'"#,
        ),
        BatchLine::AgentSpawn => (
            "record a sub-agent's start",
            r#"hook-agent agent spawn '{"agentId":"a-1","type":"reviewer"}'"#,
        ),
        BatchLine::AgentComplete => (
            "record a sub-agent's end",
            r#"hook-agent agent complete a-1 '{"result":"done"}'"#,
        ),
        BatchLine::MetadataUpdate => (
            "set dotted keys of the metadata; `+N` adds to a number",
            r#"hook-agent metadata '{"tokenUsage.input":"+512"}'"#,
        ),
        BatchLine::Finalize => (
            "end the session",
            r#"hook-agent finalize '{"status":"success"}'"#,
        ),
        BatchLine::Reopen => (
            "make an ended session active again",
            "hook-agent reopen --session demo",
        ),
    };
    let arguments = match (line.id_field().is_some(), line.data()) {
        (true, LineData::Required | LineData::Optional) => "ID [JSON]",
        (false, LineData::Required | LineData::Optional) => "[JSON]",
        (true, LineData::Ignored) => "ID",
        (false, LineData::Ignored) => "",
    };
    let more = match line.data() {
        LineData::Required => {
            "JSON is an object, read from standard input if it is missing or `-`.\n"
        }
        LineData::Optional => {
            "JSON is an object, read from standard input if it is missing or `-`; empty input is `{}`.\n"
        }
        LineData::Ignored => "",
    };
    Topic {
        command: line.command(),
        arguments,
        about,
        more,
        options: if line.takes_version() { STATE } else { WRITE },
        example,
    }
}

/// The topic of a typed helper.
const fn helper_topic(helper: Helper) -> Topic {
    let (arguments, about, example) = match helper {
        Helper::ToolCall => (
            "TOOL INPUT [FIELDS]",
            "record the call of a tool, by what the tool does",
            r#"hook-agent log tool-call Bash '{"command":"make"}' '{"callId":"c-1"}'"#,
        ),
        Helper::ToolResult => (
            "TOOL CALL_ID OUTPUT [FIELDS]",
            "record how a call ended",
            r#"hook-agent log tool-result Bash c-1 - '{"exitCode":2}' <make.log"#,
        ),
        Helper::UserMessage => (
            "TEXT [FIELDS]",
            "record what the user said",
            r#"hook-agent log user-message 'fix the build' '{"turnId":"t-1"}'"#,
        ),
        Helper::AssistantMessage => (
            "TEXT [FIELDS]",
            "record what the assistant said",
            r#"hook-agent log assistant-message 'It builds again.' '{"messageId":"m-1"}'"#,
        ),
        Helper::Thinking => (
            "TEXT [FIELDS]",
            "record the model's thinking",
            "hook-agent log thinking - <thoughts.txt",
        ),
        Helper::Usage => (
            "MESSAGE_ID MODEL [FIELDS]",
            "record the tokens of a model request",
            r#"hook-agent log usage m-1 claude-sonnet-4-5 '{"input":512,"output":80}'"#,
        ),
        Helper::FileChange => (
            "PATH OP [FIELDS]",
            "record a file's change",
            r#"hook-agent log file-change src/main.rs edit '{"added":3,"removed":1}'"#,
        ),
        Helper::Checkpoint => (
            "MESSAGE [FIELDS]",
            "mark a point of the session",
            "hook-agent log checkpoint 'before the rewrite'",
        ),
    };
    Topic {
        command: helper.command(),
        arguments,
        about,
        more: LOG_MORE,
        options: WRITE,
        example,
    }
}

const LOG_MORE: &str = "FIELDS is an object of the other fields that docs/RECORDS.md lists for the record. One of the\n\
                        arguments may be `-`: it is read from standard input. INPUT and OUTPUT are texts, unless they\n\
                        are a JSON object or array. OP is create, edit, delete or rename. `--` ends the options: write it\n\
                        before a text that begins with `-`, as in `hook-agent log user-message -- '- item'`.\n";

/// Returns how a typed helper is called.
pub(super) fn usage_of(helper: Helper) -> String {
    let topic = helper_topic(helper);
    format!("hook-agent {} {}", topic.command, topic.arguments)
}

const CREATE_TOPIC: Topic = Topic {
    command: "create",
    arguments: "[JSON]",
    about: "create the session; JSON is its `initial` document",
    more: "Not required: the first write creates a session, for the user `unknown`. JSON is read from standard\n\
           input if it is missing or `-`; empty input is `{}`.\n",
    options: CREATE,
    example: r#"hook-agent create --user ann '{"input":"fix the build"}'"#,
};

const OTHERS: [Topic; 8] = [
    Topic {
        command: "exec",
        arguments: "[--] PROGRAM [ARG]…",
        about: "run a program; record its start, output lines and end",
        more: "The program runs as if alone and decides the exit code: 128 + N for signal N, 126 not runnable, 127\n\
               not found. Without a configured session it gets a session of its own, which ends with it. No line is\n\
               left out: much output can fill the spool up to its limit.\n",
        options: &[
            Opt::End,
            Opt::Session,
            Opt::User,
            Opt::Url,
            Opt::SpoolDir,
            Opt::Wait,
        ],
        example: "hook-agent exec -- make test",
    },
    Topic {
        command: "claude-code",
        arguments: "",
        about: "record the Claude Code hook on standard input",
        more: "Prints nothing and always exits with 0, because Claude Code takes other codes as a decision. Errors are\n\
               in `trouble.log` in the spool's folder. The default session is Claude Code's own.\n",
        options: &[Opt::Session, Opt::User, Opt::Url, Opt::SpoolDir, Opt::Wait],
        example: "hook-agent claude-code <payload.json",
    },
    Topic {
        command: "install claude-code",
        arguments: "",
        about: "set the hook for every event of Claude Code",
        more: "Keeps everything else in the settings file as it is written.\n",
        options: SETTINGS,
        example: "hook-agent install claude-code --user",
    },
    Topic {
        command: "uninstall claude-code",
        arguments: "",
        about: "remove the hook of Claude Code again",
        more: "Removes the settings file if nothing else is in it.\n",
        options: SETTINGS,
        example: "hook-agent uninstall claude-code --dry-run",
    },
    Topic {
        command: "restore",
        arguments: "",
        about: "print what is needed to continue the session",
        more: "Prints `{metadata, initial, state, final, actions, responses}` as JSON, the oldest record first.\n",
        options: &[Opt::Last, Opt::Session, Opt::Url],
        example: "hook-agent restore --session demo --last 20",
    },
    Topic {
        command: "flush",
        arguments: "",
        about: "deliver every spool whose owner has ended",
        more: "Exit codes: 69 records are left, 74 records were lost, 76 the service rejected some.\n",
        options: &[
            Opt::Timeout,
            Opt::All,
            Opt::Redirect,
            Opt::Url,
            Opt::SpoolDir,
        ],
        example: "hook-agent flush --timeout 60000",
    },
    Topic {
        command: "status",
        arguments: "",
        about: "print the service's health and what waits in the spool",
        more: "",
        options: &[Opt::Json, Opt::Url, Opt::SpoolDir],
        example: "hook-agent status --json",
    },
    Topic {
        command: "completions",
        arguments: "SHELL",
        about: "print completions for bash, zsh or fish",
        more: "The script's first lines say where to save it.\n",
        options: &[],
        example: "hook-agent completions bash",
    },
];

/// A command as completions offer it.
pub(super) struct Offered {
    pub(super) words: &'static str,
    pub(super) about: &'static str,
    pub(super) options: Vec<OfferedOption>,
}

/// An option as completions offer it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OfferedOption {
    /// The name, with its dashes.
    pub(super) flag: &'static str,
    /// The name of its value; empty for a switch.
    pub(super) value: &'static str,
    pub(super) about: &'static str,
}

impl OfferedOption {
    fn of(option: Opt) -> Self {
        let (name, about) = option.line();
        let (flag, value) = name.split_once(' ').unwrap_or((name, ""));
        Self { flag, value, about }
    }
}

/// Returns every command with the options that it reads.
pub(super) fn offered() -> Vec<Offered> {
    topics()
        .map(|topic| Offered {
            words: topic.command,
            about: topic.about,
            options: topic
                .options
                .iter()
                .copied()
                .map(OfferedOption::of)
                .collect(),
        })
        .collect()
}

fn topics() -> impl Iterator<Item = Topic> {
    let lines = BatchLine::ALL.iter().copied().map(line_topic);
    let helpers = Helper::ALL.iter().copied().map(helper_topic);
    lines.chain(helpers).chain([CREATE_TOPIC]).chain(OTHERS)
}

const HEAD: &str = "\
Records what an agent does into the flight recorder.

Usage: hook-agent [OPTIONS] COMMAND

Commands; `hook-agent COMMAND --help` shows what one reads, with an example:
";

const FOOT: &str = "
Options of most commands: --session ID, --url URL, --spool-dir DIR; -h, --help; -V, --version
Environment: SESSION_ID, SESSION_SERVICE_URL, SESSION_USER_ID, SESSION_TOKEN, HOOK_AGENT_SPOOL_DIR and others, see the README

Exit codes: 0 done (a write: in the spool, or standard error says why not), 64 usage, 65 not a JSON object or too large,
69 no response in time, 74 spool not writable or records lost, 76 rejected by the service; of a write, 69, 74 and 76 only
with --strict. exec exits as its program did.
";

/// Returns the overview of all commands.
pub(super) fn overview() -> String {
    let topics: Vec<_> = topics().collect();
    HEAD.to_owned() + &rows(topics.iter()) + FOOT
}

/// Returns one line for each of these commands.
fn rows<'t>(topics: impl Iterator<Item = &'t Topic>) -> String {
    let usage = |topic: &Topic| format!("{} {}", topic.command, topic.arguments);
    columns(topics.map(|topic| (usage(topic), topic.about)))
}

/// Returns one line for each of these names, with what is said of them in a second column.
fn columns<N: AsRef<str>>(rows: impl Iterator<Item = (N, &'static str)>) -> String {
    let rows: Vec<_> = rows.collect();
    let length = |(name, _): &(N, _)| name.as_ref().trim_end().chars().count();
    let lengths = rows.iter().map(length);
    let width = lengths.max().unwrap_or_default();
    let mut text = String::new();
    for (name, about) in rows {
        let name = name.as_ref().trim_end();
        let _ = writeln!(text, "  {name:<width$}  {about}");
    }
    text
}

/// The most commands whose help is printed as a whole.
const MOST_WHOLE: usize = 2;

/// Returns the help of the command that these words name or begin, or the overview if there is
/// none. What follows a command's own words is its arguments. Of a group of many commands, each has
/// one line.
pub(super) fn of(words: &[String]) -> String {
    let words = words.join(" ");
    let found: Vec<_> = topics()
        .filter(|topic| begins(topic.command, &words) || begins(&words, topic.command))
        .collect();
    if words.is_empty() || found.is_empty() {
        return overview();
    }
    if found.len() > MOST_WHOLE {
        let rows = rows(found.iter());
        let more = found[0].more;
        let is_shared = found.iter().all(|topic| topic.more == more);
        let more = if is_shared && !more.is_empty() {
            format!("\n{more}")
        } else {
            String::new()
        };
        return format!("Commands; `hook-agent COMMAND --help` shows more of one:\n\n{rows}{more}");
    }
    let texts: Vec<_> = found.iter().map(Topic::text).collect();
    texts.join("\n\n")
}

/// Returns whether the words of `whole` begin with those of `start`.
fn begins(start: &str, whole: &str) -> bool {
    let rest = whole.strip_prefix(start);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

impl Topic {
    fn text(&self) -> String {
        let usage = format!("{} [OPTIONS] {}", self.command, self.arguments);
        let about = capitalized(self.about);
        let mut text = format!("{about}.\n\nUsage: hook-agent {}\n", usage.trim_end());
        if !self.more.is_empty() {
            let _ = write!(text, "\n{}", self.more);
        }
        if !self.options.is_empty() {
            text.push_str("\nOptions:\n");
        }
        text += &columns(self.options.iter().map(|option| option.line()));
        let _ = writeln!(text, "\nExample: {}", self.example);
        text
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::args::{Asked, parse};
    use super::*;

    const LINES: usize = 40;
    const COLUMNS: usize = 125;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_readme_has_every_command_of_a_helper() {
        let readme = include_str!("../../README.md");
        for helper in Helper::ALL {
            let usage = usage_of(*helper).replacen("hook-agent ", "", 1);
            let row = format!("| `{usage}` | `{}` |", helper.name());
            assert!(readme.contains(&row), "{row}");
        }
    }

    #[test]
    fn every_text_fits_a_screen() {
        let texts = topics().map(|topic| of(&words(topic.command)));
        for text in texts.chain([overview()]) {
            assert!(text.lines().count() <= LINES, "{text}");
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(COLUMNS), "{longest:?}: {text}");
        }
    }

    #[test]
    fn every_list_has_two_columns() {
        for text in [overview(), of(&words("log"))] {
            let mut columns = Vec::new();
            for topic in topics() {
                let usage = format!("  {} {}", topic.command, topic.arguments);
                let mut lines = text.lines();
                let Some(line) = lines.find(|line| line.starts_with(usage.trim_end())) else {
                    continue;
                };
                let name = line.strip_suffix(topic.about).expect(line);
                assert!(name.ends_with("  "), "{line}");
                columns.push(name.chars().count());
            }
            assert!(columns.len() >= Helper::ALL.len(), "{text}");
            assert!(columns.iter().all(|at| *at == columns[0]), "{text}");
        }
    }

    /// The words of a topic's example.
    fn example(topic: &Topic) -> Vec<String> {
        let (_, call) = topic.example.split_once("hook-agent ").unwrap();
        let (call, _) = call.split_once(" <").unwrap_or((call, ""));
        shell_words(call)
    }

    fn is_command(arguments: Vec<String>) -> bool {
        let parsed = parse(arguments.into_iter().map(Into::into).collect());
        matches!(parsed, Ok(Asked::Run(..)))
    }

    #[test]
    fn every_command_has_one_example_which_can_be_parsed() {
        for topic in topics() {
            assert!(overview().contains(topic.command), "{}", topic.command);
            let own = of(&words(topic.command));
            assert_eq!(own.matches("Example: ").count(), 1, "{own}");
            let example = example(&topic);
            assert!(example.join(" ").starts_with(topic.command), "{own}");
            assert!(is_command(example), "{own}");
        }
    }

    #[test]
    fn every_option_that_a_text_names_is_taken_after_its_command() {
        for topic in topics() {
            for option in topic.options {
                let (name, _) = option.line();
                let given = name.replace("URL", "http://x:1").replace("MS", "1");
                let given = words(&given.replace(" N", " 1"));
                let mut arguments = example(&topic);
                let at = topic.command.split(' ').count();
                arguments.splice(at..at, given);
                assert!(is_command(arguments), "{}: {name}", topic.command);
            }
        }
    }

    #[test]
    fn help_is_that_of_the_words_before_it() {
        assert_eq!(of(&[]), overview());
        assert_eq!(of(&words("dance")), overview());
        assert_eq!(of(&words("goal update g-1")), of(&words("goal update")));
        let goals = of(&words("goal"));
        assert!(goals.contains("goal add") && goals.contains("goal update"));
        let records = of(&words("log"));
        assert!(records.lines().count() <= LINES, "{records}");
        assert!(records.contains("`--` ends the options"), "{records}");
        for helper in Helper::ALL {
            assert!(records.contains(helper.command()), "{helper:?}: {records}");
        }
        assert!(!of(&words("state")).contains("status"));
    }

    /// Splits a command of the examples: words, some of them between single quotes.
    fn shell_words(line: &str) -> Vec<String> {
        let parts = line.split('\'').enumerate();
        parts
            .flat_map(|(index, part)| match index % 2 {
                1 => vec![part.to_owned()],
                _ => part.split_whitespace().map(str::to_owned).collect(),
            })
            .collect()
    }
}
