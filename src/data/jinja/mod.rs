//! Jinja as Transformers runs it for chat templates: the same text, byte for byte, or a fault that
//! says what is not known.
//!
//! ```text
//! source --lexer--> tokens --parser--> statements --machine--> text
//! ```
//!
//! What Transformers sets is set here: blocks are trimmed, `break` and `continue` are there,
//! nothing is escaped, values cannot be changed. Values print, compare and calculate as Python's
//! do. A template may come from anybody, so everything that it does is paid from one budget, in
//! time and memory alike, and nesting is bounded where it is read and where it runs.

mod filters;
mod lexer;
mod machine;
mod methods;
mod parser;
mod python;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub(super) use value::Value;

use std::fmt;

/// Most bytes of a template's source. Those of models have up to 30 KiB.
const MAX_SOURCE: usize = 1 << 20;

/// How deep expressions and statements may be nested.
const MAX_NESTING: usize = 64;

/// How deep statements, expressions and macros may be within each other while they run.
const MAX_DEPTH: usize = 300;

/// How deep lists and dictionaries may be within each other.
const MAX_VALUE_DEPTH: usize = 64;

/// What one rendering may cost. A byte that is made costs 1, a step 16, a place in a list 32: so it
/// takes at most some tenths of a second and about 64 MiB.
const BUDGET: u64 = 1 << 26;

/// Most bytes of a text: a million tokens or so.
const MAX_TEXT: usize = 4 << 20;

/// What is wrong with a template, and in which line.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    /// From 1; `None` where it is not of a line.
    pub(super) line: Option<usize>,
    pub(super) text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

type Result<T, E = Fault> = std::result::Result<T, E>;

/// A template that is ready to be rendered.
#[derive(Debug)]
pub(super) struct Template {
    parsed: parser::Parsed,
    /// Whether a name that nothing stands for is a fault wherever it is used, and not only where
    /// something is done with it.
    pub(super) strict: bool,
}

impl Template {
    /// Reads the source.
    pub(super) fn new(source: &str) -> Result<Self> {
        if source.len() > MAX_SOURCE {
            let text =
                format!("it has {} bytes; a template has at most {MAX_SOURCE}", source.len());
            return Err(Fault { line: None, text });
        }
        let source = lexer::with_newlines(source);
        Ok(Self { parsed: parser::parse(lexer::tokens(&source)?)?, strict: false })
    }

    /// Whether it reads a variable or function of this name somewhere.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.parsed.names.contains(name)
    }

    /// Names that it reads, those of its own variables among them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parsed.names.iter().map(String::as_str)
    }

    /// The text for these variables. `now` writes the time in a format of C's `strftime`.
    pub(super) fn render(
        &self,
        variables: impl IntoIterator<Item = (String, Value)>,
        now: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<String> {
        machine::Machine::new(self.strict, now).run(&self.parsed.statements, variables)
    }
}
