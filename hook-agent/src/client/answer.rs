//! The result of a call or a read.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::delivery::{Delivery, Outcome};

/// JSON text from the service, or in the same shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    json: String,
    queued: bool,
}

impl Answer {
    pub(crate) fn from_service(json: String) -> Self {
        Self {
            json,
            queued: false,
        }
    }

    pub(crate) fn queued() -> Self {
        Self {
            json: r#"{"success":true,"queued":true}"#.to_owned(),
            queued: true,
        }
    }

    pub(crate) fn of(outcome: Outcome, shared: &Delivery) -> Result<Self, Error> {
        match outcome {
            Outcome::Answer(json) => Ok(Self::from_service(json.into())),
            Outcome::Stored => Ok(Self::from_service(r#"{"success":true}"#.to_owned())),
            Outcome::Queued => Ok(Self::queued()),
            Outcome::Rejected {
                call,
                code,
                message,
            } => Err(Error::Rejected {
                call,
                code,
                message,
            }),
            Outcome::Dropped => Err(Error::Dropped {
                path: shared.spool.path(),
            }),
            Outcome::Forgotten => Err(Error::Forgotten),
        }
    }

    /// Returns the JSON text.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns whether a record with the same key was stored before. The answer then has the number
    /// of that record, and nothing was stored now.
    pub fn is_duplicate(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Repeated {
            #[serde(default)]
            duplicate: bool,
        }
        serde_json::from_str::<Repeated>(&self.json).is_ok_and(|answer| answer.duplicate)
    }

    /// Returns the JSON text, owned.
    pub fn into_json(self) -> String {
        self.json
    }

    /// Returns whether the record is still queued, because the service could not be reached.
    pub fn is_queued(&self) -> bool {
        self.queued
    }

    /// Parses the JSON into a type of the caller's choice.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.json).map_err(|error| Error::NotJson {
            call: "answer",
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_shows_in_the_answer() {
        let answer = |json: &str| Answer::from_service(json.to_owned());
        assert!(answer(r#"{"success":true,"seq":1,"duplicate":true}"#).is_duplicate());
        assert!(!answer(r#"{"success":true,"seq":1}"#).is_duplicate());
        assert!(!Answer::queued().is_duplicate());
    }
}
