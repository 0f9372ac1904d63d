//! Jinja as Transformers runs it for chat templates: the same text, byte for byte, or a fault that
//! says what is not known.
//!
//! ```text
//! source --lexer--> tokens --parser--> statements --machine--> text
//! ```
//!
//! What Transformers sets is set here: blocks are trimmed, `break` and `continue` are there,
//! nothing is escaped but what is added to a text that `safe` has marked, values cannot be changed.
//! Values print, compare and calculate as Python's do. A template may come from anybody, so
//! everything that it does is paid from one budget, in time and memory alike, and nesting is
//! bounded where it is read and where it runs.

mod arguments;
mod budget;
mod fault;
mod filters;
mod lexer;
mod loops;
mod machine;
mod methods;
mod parser;
mod python;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub(super) use fault::Fault;
pub(super) use value::Value;

use fault::Result;

/// Most bytes of a template's source. Those of models have up to 30 KiB.
const MAX_SOURCE: usize = 1 << 20;

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
