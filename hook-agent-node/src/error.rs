//! Maps the library's errors to JavaScript errors: the error's code becomes `.code`.

/// A stable error code for programs.
pub struct Code(String);

/// The result type of native functions.
pub(crate) type Result<T> = napi::Result<T, Code>;

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// napi's own failures, such as a value of the wrong type.
impl From<napi::Status> for Code {
    fn from(status: napi::Status) -> Self {
        Self(status.as_ref().to_owned())
    }
}

pub(crate) fn thrown(error: &hook_agent::Error) -> napi::Error<Code> {
    napi::Error::new(Code(error.code().to_owned()), error.to_string())
}
