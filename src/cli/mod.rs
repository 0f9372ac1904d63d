//! The command line: one file per command.

#![warn(clippy::print_stderr, reason = "messages pass through `terminal`")]

mod bench;
mod doctor;
mod eval;
mod export;
mod grade;
mod pretrain;
mod run;
mod score;
mod start;
mod terminal;
mod view;

use crate::dashboard::{self, DashboardOptions, Screenshot};
use crate::error::{Error, Result};
use crate::escape::one_line;
use crate::experiment::{Bounds, DeviceChoice, ModelSource};
use crate::guard;
use crate::kernels::flush_subnormals;
use crate::model::{BACKWARD_STACK, LanguageModel, ModelFiles, bundled_models};
use crate::stages::metrics::declare_built_in;
use candle_core::{DType, Device};
use clap::builder::RangedI64ValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use terminal::note;

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

/// The exit status of what was done; an error is told first.
fn status(done: Result<u8>) -> u8 {
    done.unwrap_or_else(|error| {
        let text = error.to_string();
        // Bad input is told in one paragraph, whatever it holds.
        let text = if error.exit_status() == 2 { one_line(&text) } else { text.as_str().into() };
        note!("error: {text}");
        error.exit_status()
    })
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

/// How the window opens.
#[derive(Args)]
struct WindowArguments {
    /// Saves a picture of the window and closes it, which ends a run of this program.
    #[arg(long, value_name = "FILE.png")]
    screenshot: Option<PathBuf>,
    /// The step that the picture shows; a run that is under way is waited for. Left out: the first
    /// step of a run that begins, or what a run folder has by now. A run that ends earlier is
    /// pictured at its end, with exit status 1.
    #[arg(long, value_name = "N", requires = "screenshot")]
    after_step: Option<u64>,
    /// The window's size in points, such as 1280x800.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    window_size: Option<[f32; 2]>,
    /// Dark or light; otherwise as the window was last.
    #[arg(long, value_name = "THEME")]
    theme: Option<ThemeChoice>,
    #[arg(long, value_name = "PANEL", value_parser = parse_panel, help = panel_help())]
    panel: Option<&'static str>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ThemeChoice {
    Dark,
    Light,
}

impl WindowArguments {
    /// Refuses what is for a window where none is wanted, and a picture where there is no display
    /// to open one on.
    fn check(&self, is_headless: bool, has_display: bool) -> Result<()> {
        let given = [
            ("--screenshot", self.screenshot.is_some()),
            ("--window-size", self.window_size.is_some()),
            ("--theme", self.theme.is_some()),
            ("--panel", self.panel.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if is_headless => Err(Error::input(format!(
                "{option} is for the window, and --headless opens none; leave one of them out"
            ))),
            Some(("--screenshot", _)) if !has_display => Err(Error::input(
                "no display found to open a window on, of which --screenshot is a picture; put \
                 `xvfb-run` in front of the command, or leave it out",
            )),
            _ => Ok(()),
        }
    }

    /// The same for the dashboard, whose window closes once `interrupted` is set and its runs are
    /// over.
    fn options(&self, interrupted: &Arc<AtomicBool>) -> DashboardOptions {
        DashboardOptions {
            screenshot: self
                .screenshot
                .clone()
                .map(|path| Screenshot { path, after_step: self.after_step }),
            size: self.window_size,
            theme: self.theme.map(|theme| match theme {
                ThemeChoice::Dark => egui::Theme::Dark,
                ThemeChoice::Light => egui::Theme::Light,
            }),
            panel: self.panel,
            interrupted: Arc::clone(interrupted),
        }
    }
}

/// A whole number of a range, which the refusal of any other names.
fn whole<T: TryFrom<i64> + Clone + Send + Sync>(low: i64, high: i64) -> RangedI64ValueParser<T> {
    RangedI64ValueParser::new().range(low..=high)
}

/// A number within bounds, which the refusal of any other names.
fn number(bounds: Bounds) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.parse() {
        Ok(value) if bounds.contains(value) => Ok(value),
        _ => Err(format!("give a number {bounds}")),
    }
}

fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("give a whole number between 0 and {}", u64::MAX))
}

fn parse_size(text: &str) -> Result<[f32; 2], String> {
    let parsed = text
        .split_once('x')
        .and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    parsed
        .filter(|size| size.iter().all(|points| (200.0..=16384.0).contains(points)))
        .ok_or_else(|| "write width and height in points, such as 1280x800".to_string())
}

/// What `--panel` takes.
fn panel_help() -> String {
    let titles: Vec<String> =
        dashboard::panel_titles().iter().map(|title| title.to_lowercase()).collect();
    let (last, others) =
        titles.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    format!("The panel to bring to the front: {} or {last}", others.join(", "))
}

fn parse_panel(text: &str) -> Result<&'static str, String> {
    let titles = || dashboard::panel_titles().join(", ");
    dashboard::panel_named(text)
        .ok_or_else(|| format!("there is no such panel; there are {}", titles()))
}

/// Type of weights and compute.
#[derive(Clone, Copy, ValueEnum)]
enum DtypeChoice {
    F32,
    Bf16,
}

impl DtypeChoice {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
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

/// Finds the model that `--model` and `--base` name.
fn model_files(model: &str, base: Option<&String>) -> Result<ModelFiles> {
    let base = base.map(|base| model_source(base));
    ModelFiles::open_on(&model_source(model), base.as_ref())
}

/// Loads a model as one without an adapter, and says on standard error what about it is worth a
/// warning.
fn load(files: ModelFiles, dtype: DType, device: &Device) -> Result<LanguageModel> {
    let model = files.load(dtype, device)?;
    model.notes().iter().for_each(|note| note!("warning: {note}"));
    model.merged()
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

/// Does `work` on a thread with a stack for backward passes.
fn on_large_stack<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(name.to_string())
            .stack_size(BACKWARD_STACK)
            .spawn_scoped(scope, || {
                flush_subnormals();
                work()
            })
            .map_err(|e| Error::failed(format!("cannot start the thread `{name}`: {e}")))?;
        thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}
