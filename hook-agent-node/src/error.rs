//! The library's errors as JavaScript's: its code becomes `.code`.

/// A stable word for programs.
pub struct Code(String);

/// What a native function fails with.
pub(crate) type Result<T> = napi::Result<T, Code>;

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The machinery's own failures, such as a value of the wrong type.
impl From<napi::Status> for Code {
    fn from(status: napi::Status) -> Self {
        Self(status.as_ref().to_owned())
    }
}

pub(crate) fn thrown(error: &hook_agent::Error) -> napi::Error<Code> {
    napi::Error::new(Code(error.code().to_owned()), error.to_string())
}
