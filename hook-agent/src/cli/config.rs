//! The agent's configuration from the command line.

use super::args::Options;
use crate::{Config, Error, ServiceUrl};

/// Returns the configuration from the environment, overridden by the options.
pub(super) fn config(options: &Options) -> Result<Config, Error> {
    let config = placed(Config::from_env, options)?;
    Ok(Config {
        session_id: options.session.clone().or(config.session_id),
        user_id: options.user.clone().or(config.user_id),
        ..config
    })
}

/// Returns only the settings that select the spool, to report there that another setting is
/// invalid.
pub(super) fn place(options: &Options) -> Result<Config, Error> {
    placed(Config::place_from_env, options)
}

fn placed(environment: fn() -> Result<Config, Error>, options: &Options) -> Result<Config, Error> {
    let url = options.url.as_deref().map(ServiceUrl::parse).transpose()?;
    let config = environment()?;
    Ok(Config {
        service: url.unwrap_or(config.service),
        spool_dirs: options
            .spool_dir
            .clone()
            .map_or(config.spool_dirs, |dir| vec![dir]),
        ..config
    })
}
