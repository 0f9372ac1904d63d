//! A metric of one's own, and a sink that sends a step's numbers elsewhere.
//!
//! Run it with `cargo run --release --example custom_metric`. A plugin declares a metric beside the
//! system that measures it; the run folder keeps the declaration, so the window draws the curve,
//! live and later, without knowing the plugin. A sink is a system in [`SinkSystems`], after
//! everything has been recorded.

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use orthant::prelude::{Result, *};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Counts how many different texts the step's completions are.
pub struct VarietyPlugin;

/// Drawn in the runs that measure it, under this title.
static VARIETY: Metric =
    Metric::new("completion/variety", "Different completions of a group, per completion.")
        .better(Better::Higher)
        .range(0.0, 1.0)
        .plot(Plot::WhereMeasured("Variety"));

impl Plugin for VarietyPlugin {
    fn build(&self, app: &mut App) {
        app.declare_metrics(&[&VARIETY]).add_systems(
            TrainStep,
            measure_variety.after(verify_completions).in_set(StageSystems::Verify),
        );
    }
}

fn measure_variety(
    completions: Query<(&InGroup, &CompletionText)>,
    mut metrics: ResMut<StepMetrics>,
) {
    let texts = completions.iter().map(|(group, text)| (group.0, text.0.as_str()));
    let (count, different) = (texts.clone().count(), texts.collect::<HashSet<_>>().len());
    metrics.set(&VARIETY, different as f64 / count.max(1) as f64);
}

/// Hands every step's numbers to whoever holds the other end; a real sink would write to a tracker.
#[derive(Resource, Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>);

impl Plugin for Sink {
    fn build(&self, app: &mut App) {
        app.insert_resource(self.clone()).add_systems(TrainStep, send.in_set(SinkSystems));
    }
}

fn send(metrics: Res<StepMetrics>, sink: Res<Sink>) {
    let numbers =
        metrics.0.values.iter().map(|(metric, value)| format!("{} {value:.3}", metric.name));
    if let Ok(mut lines) = sink.0.lock() {
        lines.push(format!("step {}: {}", metrics.0.step, numbers.collect::<Vec<_>>().join(", ")));
    }
}

/// Two short steps; returns the run's last snapshot and what the sink got.
pub fn train(runs: &std::path::Path) -> Result<(RunSnapshot, Vec<String>)> {
    let experiment: Experiment = from_text(
        r#"Experiment(
            name: "variety",
            model: Bundled("countdown"),
            task: Countdown(numbers: 3),
            rollout: (prompts_per_step: 4, group_size: 4, max_new_tokens: 48),
            method: Grpo,
            stop: (steps: 2),
        )"#,
        "custom_metric.rs",
    )?;
    let sink = Sink::default();
    let run = RunBuilder::new(experiment).plugin(VarietyPlugin).plugin(sink.clone()).start(runs)?;
    let handle = run.handle.clone();
    run.join()?;
    let lines = sink.0.lock().map(|lines| lines.clone()).unwrap_or_default();
    Ok((handle.snapshots.load(), lines))
}

#[allow(dead_code, reason = "the tests include this file as a module and call `train`")]
#[allow(clippy::print_stdout, reason = "a program's result")]
fn main() -> Result<()> {
    let (snapshot, lines) = train(std::path::Path::new("runs"))?;
    println!("{}", lines.join("\n"));
    println!("{} steps in {}", snapshot.step, snapshot.info.directory.display());
    Ok(())
}
