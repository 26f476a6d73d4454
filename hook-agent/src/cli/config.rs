//! The agent's configuration as a command line has it.

use super::args::Options;
use crate::{Config, Error};

/// The environment, then the options.
pub(super) fn config(options: &Options) -> Result<Config, Error> {
    let mut config = match &options.url {
        None => Config::from_env()?,
        Some(url) => Config { service: crate::ServiceUrl::parse(url)?, ..Config::from_env()? },
    };
    config.session_id = options.session.clone().or(config.session_id);
    config.user_id = options.user.clone().or(config.user_id);
    if let Some(dir) = &options.spool_dir {
        config.spool_dirs = vec![dir.clone()];
    }
    Ok(config)
}
