//! What is wrong with a template.

use std::fmt;

/// What is wrong with a template, and in which line.
#[derive(Debug, PartialEq)]
pub(in crate::data) struct Fault {
    /// From 1; `None` where it is not of a line.
    pub(in crate::data) line: Option<usize>,
    pub(in crate::data) text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(super) type Result<T, E = Fault> = std::result::Result<T, E>;
