//! The one way to standard output and standard error.
//!
//! What is printed may hold texts of data and names of files, so characters that a terminal obeys
//! are written out. Nothing here panics: whoever reads the results may stop reading, a disk may be
//! full, a terminal may be gone.

use crate::error::{Error, Result};
use crate::escape::{escaped, one_line};
use indicatif::ProgressBar;
use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints a line of results; takes what `format!` takes.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::terminal::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line for the person at the terminal; takes what `format!` takes.
macro_rules! note {
    ($($text:tt)*) => { $crate::cli::terminal::tell(format_args!($($text)*)) };
}

pub(super) use {note, say};

/// Whether nobody reads standard output any more.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether somebody reads the results. Work that only makes more of them can end where nobody does.
pub(super) fn is_read() -> bool {
    !IS_CLOSED.load(Ordering::Relaxed)
}

/// Writes results to standard output. A pipe whose reader has gone swallows them; anything else
/// that fails is an error.
pub(super) fn print(text: Arguments) -> Result<()> {
    if !is_read() {
        return Ok(());
    }
    let text = text.to_string();
    let mut out = std::io::stdout().lock();
    match out.write_all(escaped(&text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            IS_CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        other => other.map_err(Error::io("writing results", "standard output")),
    }
}

/// Writes a line to standard error. Where that is not possible there is nobody to tell.
pub(super) fn tell(text: Arguments) {
    let line = format!("{text}\n");
    let _ignored = std::io::stderr().lock().write_all(escaped(&line).as_bytes());
}

/// Writes a line to standard error, above a progress bar where there is one.
pub(super) fn tell_above(bar: &ProgressBar, text: &str) {
    bar.suspend(|| tell(format_args!("{text}")));
}

/// The exit status of what was done; an error is told first.
pub(super) fn status(done: Result<u8>) -> u8 {
    done.unwrap_or_else(|error| {
        let text = error.to_string();
        // Bad input is told in one paragraph, whatever it holds.
        let text = if error.exit_status() == 2 { one_line(&text) } else { text.as_str().into() };
        note!("error: {text}");
        error.exit_status()
    })
}
