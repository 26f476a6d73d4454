//! The program `session-storage`: arguments, configuration, service, exit code.
//!
//! `--help` lists the exit codes. Results go to stdout, everything else to stderr; a closed pipe is
//! no failure.

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use cli::{access_command, health_check, moving};
use session_storage::access::key_file::FileError;
use session_storage::config::{
    Config, ConfigError, Layers, LoadedConfig, Request, print_completions, read_command_line,
};
use session_storage::observability::telemetry::{self, TelemetryError};
use session_storage::permissions;
use session_storage::server::{self, Ended, ServerError};
use session_storage::sessions::ExportQuery;
use session_storage::transfer::Asked;
use session_store::error::OpenError;
use session_store::incoming::{Existing, IncomingError};

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
    /// Nothing was imported or restored.
    #[error(transparent)]
    Incoming(#[from] IncomingError),
    /// Any other error.
    #[error("{}", with_causes(.0))]
    Other(#[from] anyhow::Error),
}

/// Returns the message of an error with its causes, each once: the store's errors name theirs
/// already.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
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
                | ServerError::Prices(_)
                | ServerError::Tls(_)
                | ServerError::Unguarded(_)
                | ServerError::TooFewFiles { .. },
            ) => USAGE,
            Failure::Access(FileError::NoSuchKey(_) | FileError::KeyRevoked(_))
            | Failure::Server(ServerError::Io(_) | ServerError::Clock(_)) => FAILED,
            Failure::Server(ServerError::Open(OpenError::InUse { .. }))
            | Failure::Incoming(IncomingError::Open(OpenError::InUse { .. })) => IN_USE,
            Failure::Access(_)
            | Failure::Incoming(IncomingError::Open(_))
            | Failure::Server(ServerError::Open(_) | ServerError::Access(_)) => STORAGE,
            Failure::Incoming(_) => FAILED,
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
    if let Request::Completions(shell) = request {
        print_completions(shell, &mut std::io::stdout().lock());
        return ExitCode::SUCCESS;
    }
    match load(layers, file.as_deref())
        .map_err(Failure::from)
        .and_then(|loaded| answer(request, &loaded))
    {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "session-storage: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn load(mut layers: Layers, file: Option<&std::path::Path>) -> Result<LoadedConfig, ConfigError> {
    layers.environment = std::env::vars_os()
        .filter_map(|(name, v)| Some((name.into_string().ok()?, v)))
        .collect();
    match file {
        Some(file) => layers.with_file(file)?.load(),
        None => layers.load(),
    }
}

fn answer(request: Request, loaded: &LoadedConfig) -> Result<u8, Failure> {
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
        Request::Export {
            ids,
            user: None,
            as_hail: true,
            output,
        } => moving::write_hail(loaded, &ids, &output),
        Request::Export { as_hail: true, .. } => Err(anyhow::anyhow!(
            "--format hail writes the sessions that --session names: leave out --user"
        )
        .into()),
        Request::Export {
            ids, user, output, ..
        } => moving::write(loaded, &Asked::Export(ExportQuery { ids, user }), &output),
        Request::Backup(output) => moving::write(loaded, &Asked::Backup, &output),
        Request::Import {
            source,
            skip_existing,
            as_new,
        } => moving::import(loaded, &source, Existing::from_flags(skip_existing, as_new)),
        Request::Archive(asked) => moving::archive(loaded, asked),
        // Answered before the configuration is read.
        Request::Completions(_) => Ok(0),
        Request::Restore { file } => moving::restore(loaded, &file),
    }
}

fn check(config: &Config, repair: bool) -> Result<u8, Failure> {
    telemetry::init(config)?;
    let faults =
        session_store::check::run(&config.storage_path, repair, &mut std::io::stdout().lock())
            .map_err(anyhow::Error::from)?;
    Ok(if faults == 0 { 0 } else { FAILED })
}

fn serve(loaded: &LoadedConfig) -> Result<u8, Failure> {
    telemetry::init(&loaded.config)?;
    let ended =
        actix_web::rt::System::new().block_on(server::run(loaded, &mut std::io::stdout()))?;
    Ok(match ended {
        Ended::InOrder => 0,
        Ended::Forced => FAILED,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_failure_names_each_cause_once() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let opened = OpenError::io("open", "/data/x")(missing);
        let error = anyhow::Error::from(opened).context("nothing was copied");
        let text = Failure::from(error).to_string();
        assert_eq!(
            text,
            "nothing was copied: failed to open `/data/x`: entity not found"
        );
    }

    #[test]
    fn a_directory_in_use_has_its_own_exit_code_on_every_way_to_it() {
        let in_use = || OpenError::InUse {
            path: "/data".into(),
            holder: String::new(),
        };
        let copied = Err::<(), _>(in_use()).context("nothing was copied");
        assert_eq!(Failure::from(copied.unwrap_err()).exit_code(), IN_USE);
        let imported = IncomingError::from(in_use());
        assert_eq!(Failure::from(imported).exit_code(), IN_USE);
    }
}
