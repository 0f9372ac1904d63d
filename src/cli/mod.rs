//! The command line: one file per command, and files for what several of them need.

#![warn(clippy::print_stderr, reason = "messages pass through `terminal`")]

mod arguments;
mod bench;
mod doctor;
mod ends;
mod eval;
mod export;
mod grade;
mod interrupt;
mod models;
mod pretrain;
mod run;
mod score;
#[cfg(all(target_os = "linux", not(feature = "cuda")))]
mod sibling;
mod stack;
mod start;
mod sweep;
mod terminal;
mod view;

use crate::error::{Error, Result};
use crate::guard;
use crate::kernels::flush_subnormals;
use crate::stages::metrics::declare_built_in;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::io::ErrorKind;
use terminal::{note, status};

/// Watch a language model learn to reason.
#[derive(Parser)]
#[command(name = "orthant", version, about, max_term_width = 100)]
#[command(
    after_help = "Without a command the desktop opens: experiments to start, runs to look at.\n\n\
    Example: orthant run experiments/quickstart.ron"
)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: start::StartArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Trains the model of an experiment file and opens the dashboard on it.
    Run(run::RunArguments),
    /// Runs an experiment with several methods, seeds and values of any field, and goes on where it
    /// was when it is started again.
    Sweep(sweep::SweepArguments),
    /// Opens the dashboard on run folders: finished runs, or runs that are still under way, several
    /// side by side.
    View(view::ViewArguments),
    /// Trains a small base model from nothing on worked solutions of a procedural task.
    Pretrain(pretrain::PretrainArguments),
    /// Measures pass@k, the majority's and the mean accuracy of a model on a suite of problems.
    Eval(eval::EvalArguments),
    /// Verifies answers: a verdict for every completion of a file.
    Grade(grade::GradeArguments),
    /// Measures log-probabilities, gradient directions, novelty and advantages of any responses,
    /// whoever generated them.
    Score(score::ScoreArguments),
    /// Writes a model as a Hugging Face folder: an adapter merged into its base model, or a model
    /// in another type.
    Export(export::ExportArguments),
    /// Times the stages of training on random weights of a given shape.
    Bench(bench::BenchArguments),
    /// Says what an experiment needs of memory and disk, whether its files are there, and what this
    /// machine has.
    Doctor(doctor::DoctorArguments),
}

/// Runs the program; returns its exit status.
pub fn main() -> u8 {
    tell_of_panics();
    let parsed = Arguments::command()
        .try_get_matches_from(with_numbers_joined(std::env::args_os()))
        .and_then(|mut matches| Arguments::from_arg_matches_mut(&mut matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output with status 0, usage errors to standard error
            // with status 2.
            if !error.use_stderr() {
                return match error.print() {
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                        status(Err(Error::io("writing help", "standard output")(error)))
                    }
                    _ => 0,
                };
            }
            note!("{}", one_paragraph(&error.render().to_string()));
            return 2;
        }
    };
    #[cfg(all(target_os = "linux", not(feature = "cuda")))]
    sibling::start();
    // Threads that are made from here on have this from their maker.
    flush_subnormals();
    let done = guard::unwound(|| {
        status(match arguments.command {
            Some(command) => run(command),
            None => start::run(arguments.start),
        })
    });
    done.unwrap_or(1)
}

/// Tells of a fault of the program itself as of any other error. `RUST_BACKTRACE` has it told in
/// Rust's own way.
fn tell_of_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or(String::new(), |place| format!(" ({}:{})", place.file(), place.line()));
        let text = panic.payload_as_str().unwrap_or("no message");
        note!("error: this is a fault of orthant itself, please report it: {text}{place}");
    }));
}

/// Makes one of `--lambda -.5`, so that the refusal speaks of `--lambda` and what it may be, not of
/// an unknown option `-.`. No option begins like a negative number.
fn with_numbers_joined(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let is_number = |text: &OsString| {
        let mut bytes = text.as_encoded_bytes().iter();
        bytes.next() == Some(&b'-')
            && bytes.next().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let is_option = |text: &OsString| {
        let bytes = text.as_encoded_bytes();
        bytes.len() > 2 && bytes.starts_with(b"--") && !bytes.contains(&b'=')
    };
    let (mut joined, mut are_options) = (Vec::<OsString>::new(), true);
    for argument in arguments {
        // What follows `--` are not options.
        are_options &= argument != "--";
        match joined
            .last_mut()
            .filter(|last| are_options && is_option(last) && is_number(&argument))
        {
            Some(last) => {
                last.push("=");
                last.push(argument);
            }
            None => joined.push(argument),
        }
    }
    joined
}

/// Clap's message, usage and hint, spread over several paragraphs, as one.
fn one_paragraph(text: &str) -> String {
    let parts =
        text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.trim_end_matches('.').to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

fn run(command: Command) -> Result<u8> {
    declare_built_in();
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::View(arguments) => view::run(&arguments),
        Command::Pretrain(arguments) => pretrain::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Grade(arguments) => grade::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    }
}
