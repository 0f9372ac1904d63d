//! The crate's error: what is wrong, where, and what would be right.
//!
//! Two kinds matter to a caller. *Input* errors (arguments, experiment files, data, models) are
//! found before work starts and end the program with status 2; everything else is a *failure* of
//! running work and ends it with status 1.

use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that can go wrong, printed as one paragraph by its `Display`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad input, found before work starts. The text names the place, the fault and the remedy.
    #[error("{0}")]
    Input(String),
    /// A field of an experiment has a value that is not possible.
    #[error("the field `{field}` {problem}")]
    Field {
        /// Its path, such as `rollout.temperature`.
        field: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A file or folder could not be read or written while working.
    #[error("{doing} failed: {source} ({})", path.display())]
    Io {
        /// What was being done, such as `writing metrics`.
        doing: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
        /// The file or folder.
        path: PathBuf,
    },
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A stage of the training step failed; the optimizer did not run.
    #[error("stage `{stage}` failed: {message}")]
    Stage {
        /// The system that failed.
        stage: String,
        /// Its error, with all causes.
        message: String,
    },
    /// Anything else that failed while working.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// Bad input; the message says what is wrong, where, and what would be right.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// A field of an experiment, by its path, that `problem` holds of:
    /// `is 0; it must be at least 1`.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field { field: field.into(), problem: problem.into() }
    }

    /// A failure of running work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// For `map_err`: an I/O failure while `doing` something to `path`.
    pub fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { doing, source, path }
    }

    /// The program's exit status for this error: 2 for bad input, 1 otherwise.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Field { .. } => 2,
            _ => 1,
        }
    }
}

/// The candidate most like `found` (Damerau-Levenshtein), if any is near enough to be a slip of the
/// keyboard or memory.
pub fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&found, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= candidate.len().max(found.len()).div_ceil(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
