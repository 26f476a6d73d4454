//! The figures of the agent and its command, with their peers in the same run, as a markdown table.
//!
//! `bench URL COMMAND`: a running service and the `hook-agent` command. `scripts/bench-hooks.sh`
//! brings both.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hook_agent::{Call, Config, HookAgent};
use serde_json::json;

type Any<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Any<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, command] = arguments.as_slice() else {
        return Err("usage: bench URL COMMAND".into());
    };
    let event = event();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| Work | Figure | Peer, same run | Must reach |\n|---|---|---|---|"
    )?;
    for row in [
        calls(url, &event)?,
        typed(url)?,
        awaited(url, &event)?,
        throughput(url, &event)?,
    ] {
        writeln!(out, "{row}")?;
    }
    for row in command_rows(url, command, &event)? {
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// 300 bytes, as a tool call of an agent is.
fn event() -> String {
    let text = "x".repeat(300 - r#"{"type":"tool_call","tool":"grep","text":""}"#.len());
    format!(r#"{{"type":"tool_call","tool":"grep","text":"{text}"}}"#)
}

fn agent(url: &str, session: &str, spool: &tempfile::TempDir) -> Any<HookAgent> {
    let mut config = Config::new(url)?;
    config.session_id = Some(format!("bench-{session}-{}", std::process::id()));
    config.spool_dirs = vec![spool.path().to_owned()];
    Ok(HookAgent::new(config))
}

fn spool() -> Any<tempfile::TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("hook-agent-bench")
        .tempdir_in(std::env::current_dir()?)?)
}

/// The call on the caller's thread, at 5,000 a second and in one breath.
fn calls(url: &str, event: &str) -> Any<String> {
    let spool = spool()?;
    let agent = agent(url, "calls", &spool)?;
    agent
        .send(Call::Action, event)?
        .wait(Duration::from_secs(5))?;
    let breath = sample(100_000, || agent.send(Call::Action, event).map(drop))?;
    agent.flush(Duration::from_mins(1))?;
    let mut next = Instant::now();
    let paced = sample_after(
        20_000,
        || {
            next += Duration::from_micros(200);
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        },
        || agent.send(Call::Action, event).map(drop),
    )?;
    agent.close(Duration::from_mins(1));
    Ok(format!(
        "| `log_action`, 300 B, spool on disk, caller's thread | p50 {:.2} µs, p99 {:.2} µs (5,000 a second: p50 {:.2}, p99 {:.2}) | | p50 ≤ 2 µs, p99 ≤ 20 µs |",
        micros(&breath, 50),
        micros(&breath, 99),
        micros(&paced, 50),
        micros(&paced, 99),
    ))
}

/// One call of a helper.
type Run<'a> = Box<dyn Fn() -> Result<(), hook_agent::Error> + 'a>;

/// The typed helpers on the caller's thread, each at one after the other without a pause.
fn typed(url: &str) -> Any<String> {
    let spool = spool()?;
    let agent = agent(url, "typed", &spool)?;
    let text = "x".repeat(160);
    let input =
        json!({"command": "cargo test --workspace", "cwd": "/workspace", "timeout": 120_000});
    let call = json!({"callId": "toolu_01AbCdEfGhIjKlMnOpQrStUv", "turnId": "turn-1"});
    let turn = json!({"turnId": "turn-1"});
    let block =
        json!({"messageId": "msg_01AbCdEfGhIjKlMnOpQrStUv", "blockIndex": 0, "turnId": "turn-1"});
    let tokens = json!({"input": 3, "output": 120, "cacheRead": 20_000, "requestId": "req_1"});
    let id = "toolu_01AbCdEfGhIjKlMnOpQrStUv";
    let helpers: [(&str, Run<'_>); 8] = [
        (
            "tool_call",
            Box::new(|| agent.log_tool_call("Bash", &input, &call).map(drop)),
        ),
        (
            "tool_result",
            Box::new(|| agent.log_tool_result("Bash", id, &text, &turn).map(drop)),
        ),
        (
            "user_message",
            Box::new(|| agent.log_user_message(&text, &turn).map(drop)),
        ),
        (
            "assistant_message",
            Box::new(|| agent.log_assistant_message(&text, &block).map(drop)),
        ),
        (
            "thinking",
            Box::new(|| agent.log_thinking(&*text, &block).map(drop)),
        ),
        (
            "usage",
            Box::new(|| {
                agent
                    .log_usage("msg_1", "claude-opus-4-5", &tokens)
                    .map(drop)
            }),
        ),
        (
            "file_change",
            Box::new(|| agent.log_file_change("/w/a.rs", "edit", &call).map(drop)),
        ),
        (
            "checkpoint",
            Box::new(|| agent.checkpoint("tests pass", &turn).map(drop)),
        ),
    ];
    let mut figures = Vec::new();
    for (name, run) in &helpers {
        figures.push(format!("{name} {:.2}", micros(&sample(20_000, run)?, 50)));
        agent.flush(Duration::from_mins(1))?;
    }
    agent.close(Duration::from_mins(1));
    Ok(format!(
        "| typed helpers, spool on disk, caller's thread | p50 in µs: {} | | p50 ≤ 2 µs |",
        figures.join(", ")
    ))
}

/// Awaited calls and raw POSTs of the same body, in turns of 200.
fn awaited(url: &str, event: &str) -> Any<String> {
    let spool = spool()?;
    let agent = agent(url, "awaited", &spool)?;
    let mut raw = Raw::connect(url, "bench-raw", event)?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..15 {
        ours.extend(sample(200, || {
            agent
                .send(Call::Action, event)?
                .wait(Duration::from_secs(5))
                .map(|answer| assert!(!answer.is_queued()))
        })?);
        theirs.extend(sample(200, || raw.post())?);
    }
    agent.close(Duration::from_secs(5));
    let mine = micros(&ours, 50);
    let peer = micros(&theirs, 50);
    Ok(format!(
        "| awaited acknowledgement, 1 caller | p50 {mine:.0} µs ({:.2} ×), p99 {:.0} | raw POST p50 {peer:.0} µs, p99 {:.0} | p50 ≤ 1.5 × |",
        mine / peer,
        micros(&ours, 99),
        micros(&theirs, 99),
    ))
}

/// From the first call to everything acknowledged.
fn throughput(url: &str, event: &str) -> Any<String> {
    const RECORDS: u32 = 300_000;
    let spool = spool()?;
    let agent = agent(url, "throughput", &spool)?;
    agent
        .send(Call::Action, event)?
        .wait(Duration::from_secs(5))?;
    let began = Instant::now();
    for _ in 0..RECORDS {
        agent.send(Call::Action, event)?;
    }
    assert!(
        agent.flush(Duration::from_mins(2))?,
        "not everything was delivered: {:?}",
        agent.stats()
    );
    let rate = f64::from(RECORDS) / began.elapsed().as_secs_f64();
    let stats = agent.stats()?;
    agent.close(Duration::from_secs(5));
    Ok(format!(
        "| one producer, {RECORDS} records to acknowledged | {rate:.0} a second in {} batches, {} MiB resident | | ≥ 100,000 |",
        stats.batches,
        resident_mib()
    ))
}

fn resident_mib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .split(' ')
            .next()?
            .parse::<u64>()
            .ok()
    });
    peak.map_or("?".to_owned(), |kib| (kib / 1024).to_string())
}

/// Start to exit of the command, and of what else a hook could call.
fn command_rows(url: &str, command: &str, event: &str) -> Any<Vec<String>> {
    let spool = spool()?;
    let run = |url: &str| {
        let mut run = Command::new(command);
        run.args(["action", event])
            .env("SESSION_ID", "bench-command")
            .env("SESSION_SERVICE_URL", url);
        run.env(
            "HOOK_AGENT_SPOOL_DIR",
            spool.path().join(url.replace('/', "_")),
        );
        run
    };
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let silent = Silent::start()?;
    let post = format!("{url}/api/actions/bench-curl");
    let mut curl = Command::new("curl");
    curl.args([
        "-s",
        "-H",
        "content-type: application/json",
        "-d",
        event,
        &post,
    ]);
    let up = processes(300, &mut run(url))?;
    let floor = processes(300, &mut Command::new("true"))?;
    let curl = processes(100, &mut curl).map_or("curl is not here".to_owned(), |times| {
        format!("curl {:.2} ms", micros(&times, 50) / 1000.0)
    });
    let down = processes(300, &mut run(&format!("http://{closed}")))?;
    let unreachable = processes(40, &mut run(&format!("http://{}", silent.address)))?;
    let row = |name: &str, times: &[Duration], peer: &str, bound: &str| {
        let p50 = micros(times, 50) / 1000.0;
        let p99 = micros(times, 99) / 1000.0;
        format!(
            "| `hook-agent action`, start to exit, service {name} | p50 {p50:.2} ms, p99 {p99:.2} | {peer} | {bound} |"
        )
    };
    let floor = format!("`true` {:.2} ms, {curl}", micros(&floor, 50) / 1000.0);
    Ok(vec![
        row("up", &up, &floor, "p50 ≤ 2.5 ms"),
        row("down", &down, "", "p50 ≤ 2 ms"),
        row("unreachable", &unreachable, "", "p50 ≤ 60 ms"),
    ])
}

fn processes(count: usize, command: &mut Command) -> Any<Vec<Duration>> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for _ in 0..5 {
        command.status()?;
    }
    sample(count, || command.status().map(drop))
}

fn sample<E>(count: usize, work: impl FnMut() -> Result<(), E>) -> Any<Vec<Duration>>
where
    E: std::error::Error + 'static,
{
    sample_after(count, || {}, work)
}

fn sample_after<E>(
    count: usize,
    mut before: impl FnMut(),
    mut work: impl FnMut() -> Result<(), E>,
) -> Any<Vec<Duration>>
where
    E: std::error::Error + 'static,
{
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        before();
        let began = Instant::now();
        work()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn micros(times: &[Duration], percentile: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percentile / 100].as_secs_f64() * 1e6
}

/// The simplest client there can be: one connection, one request prepared, the answer read.
struct Raw {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Raw {
    fn connect(url: &str, session: &str, event: &str) -> Any<Self> {
        let host = url
            .strip_prefix("http://")
            .ok_or("the raw POST needs an http:// address")?;
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /api/actions/{session} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            event.len()
        );
        Ok(Self {
            stream,
            request: [head.as_bytes(), event.as_bytes()].concat(),
            buffer: vec![0; 4096],
        })
    }

    fn post(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.request)?;
        let read = self.stream.read(&mut self.buffer)?;
        if self.buffer[..read].starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        Err(std::io::Error::other(
            String::from_utf8_lossy(&self.buffer[..read]).into_owned(),
        ))
    }
}

/// An address that answers nothing to anyone who connects, as one behind a firewall: its backlog is
/// full.
struct Silent {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<std::thread::JoinHandle<()>>,
}

impl Silent {
    fn start() -> Any<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        rustix::net::listen(&listener, 0)?;
        let address = listener.local_addr()?;
        let waiting = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let held = TcpStream::connect_timeout(&address, Duration::from_mins(2));
                    std::thread::sleep(Duration::from_mins(2));
                    drop(held);
                })
            })
            .collect();
        while TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok() {}
        Ok(Self {
            address,
            _listener: listener,
            _waiting: waiting,
        })
    }
}
