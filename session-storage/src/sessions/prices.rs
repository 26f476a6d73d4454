//! The file with prices of models.

use std::fs;
use std::path::{Path, PathBuf};

use session_insight::usage::{Prices, PricesError};

/// Why the file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesFileError {
    /// The file cannot be read.
    #[error("PRICES_FILE: failed to read `{path}`: {source}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The file's content is invalid.
    #[error("PRICES_FILE: `{path}` cannot be used: {source}")]
    Unusable {
        /// Path of the file.
        path: PathBuf,
        /// The error in the table.
        source: PricesError,
    },
}

/// Returns the built-in prices, with those of a file before them.
pub fn read_prices(file: Option<&Path>) -> Result<Prices, PricesFileError> {
    let Some(path) = file else {
        return Ok(Prices::default());
    };
    let bytes = fs::read(path).map_err(|source| PricesFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let prices = Prices::parse(&bytes).map_err(|source| PricesFileError::Unusable {
        path: path.to_owned(),
        source,
    })?;
    Ok(Prices::default().overridden_by(prices))
}
