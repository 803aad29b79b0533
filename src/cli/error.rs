//! How a command fails: what is printed, and the exit code.

use crate::control::client::ClientError;
use crate::control::messages::{ErrorAnswer, ErrorDetail};

/// A command's end: the exit code, or the error that decides it.
pub type Outcome = Result<u8, CliError>;

/// Done, but some targets failed.
pub const SOME_FAILED: u8 = 4;

/// An error as a person or a script sees it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", detail.message)]
pub struct CliError {
    /// 1 failed · 2 usage or bad configuration · 3 daemon not reachable · 4 some targets failed · 75 and 78
    /// are the daemon's own.
    pub exit: u8,
    pub detail: Box<ErrorDetail>,
    /// What lies behind it, outermost first.
    pub causes: Vec<String>,
    /// Nothing is printed: it was said already, or the reader has gone.
    pub quiet: bool,
}

impl CliError {
    /// An error with this exit code and stable code word.
    pub fn new(exit: u8, code: &str, message: impl Into<String>) -> Self {
        let detail = ErrorDetail {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            problems: Vec::new(),
            targets: Vec::new(),
        };
        Self { exit, detail: detail.into(), causes: Vec::new(), quiet: false }
    }

    /// It was tried and failed. Exit 1.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(1, code, message)
    }

    /// The command line makes no sense. Exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, "usage", message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.detail.hint = Some(hint.into());
        self
    }

    /// The error as one line of JSON.
    pub fn json(&self) -> String {
        let answer = ErrorAnswer { error: (*self.detail).clone() };
        serde_json::to_string(&answer).unwrap_or_else(|_| r#"{"error":{"code":"internal"}}"#.to_owned())
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self { exit: error.exit_code(), detail: error.detail().into(), causes: Vec::new(), quiet: false }
    }
}

/// An error of stdout or stderr. A reader that has seen enough (`| head`) is no failure.
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
        let wrong = Self::new(u8::from(!gone), "output", format!("cannot write the output: {error}"));
        Self { quiet: gone, ..wrong }
    }
}
