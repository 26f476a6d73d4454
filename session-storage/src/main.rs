//! `session-storage`: arguments → configuration → service → exit code.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use session_storage::config::{Config, with_options};
use session_storage::store::error::OpenError;
use session_storage::{check, server, telemetry};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const IN_USE: u8 = 3;
const EXIT_CODES: &str = "Exit codes: 0 done (check: no faults; healthcheck: healthy), 1 failed (check: faults; \
    healthcheck: not healthy), 2 wrong arguments or configuration, 3 the storage directory is in use.";

fn command() -> Command {
    let repair = Arg::new("repair").long("repair").action(ArgAction::SetTrue);
    let print = Arg::new("print-config").long("print-config").action(ArgAction::SetTrue);
    let command = Command::new("session-storage")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The flight recorder for AI agents: sessions as files behind one journal, over HTTP and WebSocket.")
        .after_help(EXIT_CODES)
        .arg(print.help("print every option with its value and where it comes from, and end"))
        .subcommand(Command::new("healthcheck").about("ask the running service whether it is healthy"))
        .subcommand(
            Command::new("check")
                .about("read the whole storage directory and report every fault with file and place")
                .arg(repair.help("mend what can be mended without guessing (the service must be stopped)")),
        );
    with_options(command)
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let config = match Config::load(&matches) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("session-storage: {error}");
            return ExitCode::from(USAGE);
        }
    };
    if matches.get_flag("print-config") {
        print!("{}", config.print());
        return ExitCode::SUCCESS;
    }
    let result = match matches.subcommand() {
        Some(("healthcheck", _)) => healthcheck(&config).map(|()| 0),
        Some(("check", arguments)) => {
            check::run(&config.storage_path, arguments.get_flag("repair"), &mut std::io::stdout())
        }
        _ => serve(config).map(|()| 0),
    };
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("session-storage: {error:#}");
            let in_use = matches!(error.downcast_ref(), Some(OpenError::InUse { .. }));
            ExitCode::from(if in_use { IN_USE } else { FAILED })
        }
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::start(&config)?;
    actix_web::rt::System::new().block_on(server::run(config, &mut std::io::stdout()))
}

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks for `/health` over the Unix socket if there is one, else over TCP.
fn healthcheck(config: &Config) -> anyhow::Result<()> {
    if let Some(path) = &config.socket_path {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        return ask(stream);
    }
    let local = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    let address = config.addresses().first().copied().map(local);
    let address = address.ok_or_else(|| anyhow::anyhow!("there is no address to ask"))?;
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, config.port), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream)
}

fn ask(mut stream: impl Read + Write) -> anyhow::Result<()> {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer)?;
    let status = answer.get(9..12).unwrap_or_default();
    anyhow::ensure!(status == b"200", "the service answers {}", String::from_utf8_lossy(status));
    println!("healthy");
    Ok(())
}
