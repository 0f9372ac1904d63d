//! `orthant pretrain EXPERIMENT.ron`: a small base model from nothing.

use super::stack::on_large_stack;
use super::terminal::{note, tell_above};
use crate::error::Result;
use crate::experiment::{self, Pretrain};
use crate::run::EvaluationRecord;
use crate::trainer::{PretrainEvent, pretrain};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example: orthant pretrain experiments/pretrain_countdown.ron")]
pub(super) struct PretrainArguments {
    /// The pretraining experiment (RON).
    experiment: PathBuf,
    /// Overrides a field: path=value, repeatable.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(arguments: &PretrainArguments) -> Result<u8> {
    let mut config: Pretrain = experiment::read(&arguments.experiment)?;
    for assignment in &arguments.set {
        config = experiment::set(&config, assignment)?;
    }
    let locate = |error| experiment::locate(error, &arguments.experiment, &arguments.set);
    config.validate().map_err(locate)?;
    on_large_stack("pretrain", || train(&config)).map(|()| 0).map_err(locate)
}

/// Trains, with a progress bar.
fn train(config: &Pretrain) -> Result<()> {
    let bar = ProgressBar::new(config.steps);
    let template = "{bar:30} step {pos}/{len}  {msg}  {eta_precise} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    pretrain(config, |event| show(&bar, event))?;
    bar.finish_and_clear();
    Ok(())
}

fn show(bar: &ProgressBar, event: PretrainEvent<'_>) {
    match event {
        PretrainEvent::BeginsAnew(text) => note!("{text}"),
        PretrainEvent::Warning(text) => note!("warning: {text}"),
        PretrainEvent::Continues(step) => {
            let text =
                format!("continuing after step {step}, where an earlier try was when it ended");
            bar.set_position(step);
            bar.reset_eta();
            tell_above(bar, &text);
        }
        PretrainEvent::Step { step, loss, tokens_per_s } => {
            bar.set_message(format!("loss {loss:.4} nats/token  {tokens_per_s:.0} tokens/s"));
            bar.set_position(step);
        }
        PretrainEvent::Evaluated { step, loss, record } => {
            tell_above(bar, &format!("step {step}: loss {loss:.4}, {}", describe(record)));
        }
    }
}

fn describe(record: &EvaluationRecord) -> String {
    let mut text = record.suite.clone();
    for (k, estimate) in &record.pass_at {
        // Writing to a string cannot fail.
        let _ignored = write!(
            text,
            ", pass@{k} {:.1} % [{:.1}, {:.1}]",
            100.0 * estimate.value,
            100.0 * estimate.low,
            100.0 * estimate.high
        );
    }
    text
}
