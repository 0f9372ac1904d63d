//! The command line: one file per command.

mod bench;
mod eval;
mod grade;
mod pretrain;
mod run;
mod score;
mod view;

use crate::error::{Error, Result};
use crate::experiment::{DeviceChoice, ModelSource};
use crate::model::bundled_models;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Watch a language model learn to reason.
#[derive(Parser)]
#[command(name = "orthant", version, about, max_term_width = 100)]
#[command(after_help = "Example: orthant run experiments/quickstart.ron")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains the model of an experiment file and opens the dashboard on it.
    Run(run::RunArguments),
    /// Opens the dashboard on a run folder: a finished run, or one that is still going on.
    View(view::ViewArguments),
    /// Trains a small base model from nothing on worked solutions of a procedural task.
    Pretrain(pretrain::PretrainArguments),
    /// Measures pass@k, the majority's and the mean accuracy of a model on a suite of problems.
    Eval(eval::EvalArguments),
    /// Verifies answers: a verdict for every completion of a file.
    Grade(grade::GradeArguments),
    /// Measures log-probabilities, gradient directions, novelty and advantages of any responses, whoever generated them.
    Score(score::ScoreArguments),
    /// Times the stages of training on random weights of a given shape.
    Bench(bench::BenchArguments),
}

/// Runs the program; returns its exit status.
pub fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output with status 0, usage errors to standard error with status 2.
            let help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            if !error.use_stderr() || help {
                return if error.print().is_err() { 1 } else { 2 * u8::from(help) };
            }
            eprintln!("{}", one_paragraph(&error.render().to_string()));
            return 2;
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

/// Clap's message, usage and hint, spread over several paragraphs, as one.
fn one_paragraph(text: &str) -> String {
    let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.trim_end_matches('.').to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

fn run(command: Command) -> Result<u8> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::View(arguments) => view::run(&arguments),
        Command::Pretrain(arguments) => pretrain::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Grade(arguments) => grade::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    }
}

/// The model that `--model` names: a bundled model by its name, anything else is a folder.
fn model_source(text: &str) -> ModelSource {
    if bundled_models().any(|name| name == text) {
        ModelSource::Bundled(text.to_string())
    } else {
        ModelSource::Local(text.into())
    }
}

fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    match text {
        "auto" => Ok(DeviceChoice::Auto),
        "cpu" => Ok(DeviceChoice::Cpu),
        "cuda" => Ok(DeviceChoice::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|ordinal| ordinal.parse().ok())
            .map(DeviceChoice::Cuda)
            .ok_or_else(|| "write auto, cpu, or cuda: and a number, such as cuda:0".to_string()),
    }
}

/// Does `work` on a thread with a large stack, because backward passes recurse over the graph.
fn on_large_stack<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(name.to_string())
            .stack_size(256 << 20)
            .spawn_scoped(scope, work)
            .map_err(|e| Error::failed(format!("cannot start the thread `{name}`: {e}")))?;
        thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}
