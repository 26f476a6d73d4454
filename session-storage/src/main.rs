//! The program `session-storage`: arguments, configuration, service, exit code.
//!
//! `--help` lists the exit codes. Results go to stdout, everything else to stderr; a closed pipe is
//! no failure.

mod access_command;
mod health_check;
mod moving;

use std::io::Write as _;
use std::process::ExitCode;

use session_storage::access::key_file::FileError;
use session_storage::config::{Config, ConfigError, Layers, Loaded, Request, read_command_line};
use session_storage::permissions;
use session_storage::server::{self, Ended, ServerError};
use session_storage::sessions::ExportQuery;
use session_storage::store::error::OpenError;
use session_storage::telemetry::{self, TelemetryError};
use session_storage::transfer::{Asked, Existing};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const IN_USE: u8 = 3;
const STORAGE: u8 = 4;
const ADDRESS: u8 = 5;

/// Why the process failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// An option is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logging could not be started.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The service could not be run.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The keys could not be read or changed.
    #[error(transparent)]
    Access(#[from] FileError),
    /// Any other error.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Config(_)
            | Failure::Telemetry(_)
            | Failure::Server(
                ServerError::Archive(_)
                | ServerError::Traces(_)
                | ServerError::Rules(_)
                | ServerError::Tls(_)
                | ServerError::Unguarded(_)
                | ServerError::TooFewFiles { .. },
            ) => USAGE,
            Failure::Access(FileError::NoSuchKey(_) | FileError::KeyRevoked(_))
            | Failure::Server(ServerError::Io(_) | ServerError::Clock(_)) => FAILED,
            Failure::Server(ServerError::Open(OpenError::InUse { .. })) => IN_USE,
            Failure::Access(_) | Failure::Server(ServerError::Open(_) | ServerError::Access(_)) => STORAGE,
            Failure::Server(ServerError::Listen { .. }) => ADDRESS,
            Failure::Other(error) => match error.downcast_ref::<OpenError>() {
                Some(OpenError::InUse { .. }) => IN_USE,
                Some(_) => STORAGE,
                None => FAILED,
            },
        }
    }
}

fn main() -> ExitCode {
    let (request, layers, file) = match read_command_line(std::env::args_os()) {
        Ok(asked) => asked,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match load(layers, file.as_deref()).map_err(Failure::from).and_then(|loaded| answer(request, &loaded)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "session-storage: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn load(mut layers: Layers, file: Option<&std::path::Path>) -> Result<Loaded, ConfigError> {
    layers.environment =
        std::env::vars_os().filter_map(|(name, v)| Some((name.into_string().ok()?, v))).collect();
    match file {
        Some(file) => layers.with_file(file)?.load(),
        None => layers.load(),
    }
}

fn answer(request: Request, loaded: &Loaded) -> Result<u8, Failure> {
    let config = &loaded.config;
    permissions::apply(config.storage_mode);
    match request {
        Request::PrintConfig => {
            let _ = loaded.print(&mut std::io::stdout());
            Ok(0)
        }
        Request::HealthCheck => Ok(health_check::run(config)),
        Request::Check { repair } => check(config, repair),
        Request::Access(request) => access_command::run(loaded, request).map(|()| 0),
        Request::Serve => serve(loaded),
        Request::Retention { dry_run } => moving::retention(loaded, dry_run),
        Request::Export { ids, user, output } => {
            moving::write(loaded, &Asked::Export(ExportQuery { ids, user }), &output)
        }
        Request::Backup(output) => moving::write(loaded, &Asked::Backup, &output),
        Request::Import { source, skip_existing, as_new } => {
            moving::import(loaded, &source, Existing::from_flags(skip_existing, as_new))
        }
        Request::Archive(asked) => moving::archive(loaded, asked),
        Request::Restore { file } => moving::restore(loaded, &file),
    }
}

fn check(config: &Config, repair: bool) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let faults = session_storage::check::run(&config.storage_path, repair, &mut std::io::stdout().lock())?;
    Ok(if faults == 0 { 0 } else { FAILED })
}

fn serve(loaded: &Loaded) -> Result<u8, Failure> {
    telemetry::init(&loaded.config)?;
    let ended = actix_web::rt::System::new().block_on(server::run(loaded, &mut std::io::stdout()))?;
    Ok(match ended {
        Ended::InOrder => 0,
        Ended::Forced => FAILED,
    })
}
