//! The command line: one file per command.

mod pretrain;
mod run;

use crate::error::Result;
use clap::{Parser, Subcommand};

/// Watch a language model learn to reason.
#[derive(Parser)]
#[command(name = "orthant", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains the model of an experiment file and opens the dashboard on it.
    Run(run::RunArguments),
    /// Trains a small base model from nothing on worked solutions of a procedural task.
    Pretrain(pretrain::PretrainArguments),
}

/// Runs the program; returns its exit status.
pub fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output with status 0, usage errors to standard error with status 2.
            let status = if error.use_stderr() { 2 } else { 0 };
            return if error.print().is_ok() { status } else { 1 };
        }
    };
    match run(arguments.command) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_status()
        }
    }
}

fn run(command: Command) -> Result<u8> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Pretrain(arguments) => pretrain::run(&arguments),
    }
}
