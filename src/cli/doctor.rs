//! `orthant doctor`: what this machine has, and whether an experiment will run on it.

use super::arguments::{parse_device, whole};
use super::terminal::{note, say};
use crate::error::Result;
use crate::escape::one_line;
use crate::experiment::{
    self, DataSource, DeviceChoice, EncoderSource, Experiment, HeldOutSource, MethodKind,
    ModelSource, SuiteConfig, TaskConfig,
};
use crate::files::space;
use crate::machine;
use crate::machine::in_gib;
use crate::memory::{Estimate, Plan, Reference};
use crate::model::{ENCODER_FILES, ModelFiles, bundled_models, hub, open_device};
use crate::tasks;
use candle_core::Device;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "Exit status 0 where the experiment can run here, 2 where it cannot.\n\n\
    Example: orthant doctor experiments/qwen3_1_7b_math_g2rl.ron --memory 80")]
pub(super) struct DoctorArguments {
    /// The experiment (RON). Without one, only the machine is looked at.
    experiment: Option<PathBuf>,
    /// Overrides any field: path=value, repeatable.
    #[arg(long, value_name = "PATH=VALUE", requires = "experiment")]
    set: Vec<String>,
    /// Overrides the experiment's device: auto, cpu or cuda:0.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<DeviceChoice>,
    /// Plans for a GPU with so many GiB of memory, whatever this machine has.
    #[arg(long, value_name = "GIB", requires = "experiment", value_parser = whole::<u64>(1, 100_000))]
    memory: Option<u64>,
    /// Plans for so many such runs at a time: each with its part of the free memory.
    #[arg(long, value_name = "N", requires = "experiment", default_value_t = 1, value_parser = whole::<u64>(1, 4096))]
    jobs: u64,
    /// The folder in which run folders are made.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Prints a machine-readable line last.
    #[arg(long)]
    json: bool,
}

/// Tokens of the longest prompt where the data is not at hand.
const ASSUMED_PROMPT: usize = 512;

/// What was found.
#[derive(Default)]
struct Report {
    lines: Vec<(String, String)>,
    /// What keeps the experiment from running.
    problems: Vec<String>,
    json: serde_json::Map<String, serde_json::Value>,
}

impl Report {
    fn line(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.lines.push((name.into(), text.into()));
    }

    fn memory(&mut self, name: &str, bytes: u64) {
        if bytes > 0 {
            self.line(format!("  {name}"), in_gib(bytes));
        }
    }
}

pub(super) fn run(arguments: &DoctorArguments) -> Result<u8> {
    let mut report = Report::default();
    machine(&mut report);
    if let Some(path) = &arguments.experiment {
        let mut experiment: Experiment = experiment::read(path)?;
        for assignment in &arguments.set {
            experiment = experiment::set(&experiment, assignment)?;
        }
        if let Some(device) = arguments.device {
            experiment.device = device;
        }
        let located = |error| experiment::locate(error, path, &arguments.set);
        experiment.validate().map_err(located)?;
        for text in foreign(&experiment) {
            report.problems.push(text);
        }
        examine(&experiment, arguments, &mut report).map_err(located)?;
    }
    print(&report, arguments.json)?;
    Ok(if report.problems.is_empty() { 0 } else { 2 })
}

/// What of an experiment this program cannot do, because another program brings it.
fn foreign(experiment: &Experiment) -> Vec<String> {
    let method = experiment.method.foreign().map(|name| ("method", name, MethodKind::hint(name)));
    let task = match &experiment.task {
        TaskConfig::Custom(name) => Some(("task", name.as_str(), String::new())),
        _ => None,
    };
    let text = |(what, name, hint): (&str, &str, String)| {
        format!(
            "the {what} `{name}` is not part of this program; the program that brings it can run \
             this experiment{hint}"
        )
    };
    method.into_iter().chain(task).map(text).collect()
}

/// Devices and what comes with the program.
fn machine(report: &mut Report) {
    let memory = |device: &Device| match (machine::available(device), machine::total(device)) {
        (Some(free), Some(all)) => format!("{} of {} free", in_gib(free), in_gib(all)),
        _ => "memory unknown".to_string(),
    };
    let threads = rayon::current_num_threads();
    report.line("cpu", format!("{threads} threads, {}", memory(&Device::Cpu)));
    let mut devices = vec!["cpu".to_string()];
    if candle_core::utils::cuda_is_available() {
        for ordinal in 0.. {
            match Device::new_cuda(ordinal) {
                Ok(device) => {
                    report.line(format!("cuda:{ordinal}"), memory(&device));
                    devices.push(format!("cuda:{ordinal}"));
                }
                Err(error) if ordinal == 0 => {
                    report.line("cuda", format!("no device: {error}"));
                    break;
                }
                Err(_) => break,
            }
        }
    } else {
        report.line("cuda", "not in this program; it is built with --features cuda");
    }
    report.line("bundled models", bundled_models().collect::<Vec<_>>().join(", "));
    report.json.insert("devices".to_string(), devices.into());
}

/// Files, memory and disk of an experiment.
fn examine(
    experiment: &Experiment,
    arguments: &DoctorArguments,
    report: &mut Report,
) -> Result<()> {
    let model_is_here = present(report, "model", model_files(&experiment.model)?);
    let mut data_is_here = true;
    for (name, found) in data_files(experiment)? {
        data_is_here &= present(report, &name, found);
    }
    let files = match (&experiment.model, model_is_here) {
        (ModelSource::Hub(source), false) => ModelFiles::shape_only(source)?,
        _ => ModelFiles::open(&experiment.model)?,
    };
    files.notes().iter().for_each(|note| report.line("warning", note));
    let prompt = match &experiment.task {
        TaskConfig::Custom(_) => None,
        _ if !data_is_here => None,
        config => {
            let room = tasks::room(
                experiment.rollout.max_new_tokens,
                files.config.max_position_embeddings,
            )?;
            let task = tasks::build(config, &files.tokenizer, Some(room))?;
            task.notes().iter().for_each(|note| report.line("data", note));
            Some(tasks::check_length(task.as_ref(), experiment.seed, &files.tokenizer, room)?)
        }
    };
    let (device, available, on_cpu) = if let Some(gib) = arguments.memory {
        (format!("a GPU with {gib} GiB"), Some(gib << 30), false)
    } else {
        let device = open_device(experiment.device, |warning| report.line("warning", warning))?;
        (machine::device_name(&device), machine::available(&device), device.is_cpu())
    };
    let available = available.map(|free| free / arguments.jobs);
    let plan =
        Plan::new(experiment, &files.config, prompt.unwrap_or(ASSUMED_PROMPT), on_cpu, available);
    let Plan { workload, estimate, .. } = &plan;
    let is_offloaded = workload.reference == Reference::Offloaded;
    let known = if prompt.is_some() { "" } else { " (assumed: the data is not here)" };
    report.line(
        "tokens",
        format!(
            "prompts up to {}{known}, completions up to {}",
            workload.prompt, workload.new_tokens
        ),
    );
    report.line(
        "parameters",
        format!("{}, {} trained", count(files.config.parameter_count()), count(workload.trained())),
    );
    report.line(
        "chosen",
        format!(
            "rollout.groups_at_a_time={}, objective.micro_batch_tokens={}, \
             objective.recompute_layers={}, objective.offload_reference={}, \
             objective.traced_groups={}",
            workload.groups,
            workload.micro_batch_tokens,
            workload.recompute,
            is_offloaded,
            workload.traced_groups
        ),
    );
    describe(report, estimate);
    let free = available.map_or("unknown".to_string(), in_gib);
    report.line(
        "memory",
        format!("about {} at the peak; {device} has {free}", in_gib(estimate.peak())),
    );
    if let Err(error) = plan.check(experiment, &device) {
        report.problems.push(error.to_string());
    }
    disk(experiment, workload.checkpoint_bytes(), arguments, report);
    let json = serde_json::json!({
        "estimate": estimate,
        "peak": estimate.peak(),
        "available": available,
        "fits": plan.fits(),
        "groups_at_a_time": workload.groups,
        "micro_batch_tokens": workload.micro_batch_tokens,
        "recompute_layers": workload.recompute,
        "offload_reference": is_offloaded,
        "traced_groups": workload.traced_groups,
        "remedies": if plan.fits() { Vec::new() } else { plan.remedies(experiment) },
    });
    if let serde_json::Value::Object(fields) = json {
        report.json.extend(fields);
    }
    Ok(())
}

fn describe(report: &mut Report, estimate: &Estimate) {
    report.line("while sampling", in_gib(estimate.sampling()));
    if estimate.asked > 0 {
        report.line("while the reference is asked", in_gib(estimate.asking()));
    }
    report.line("while computing gradients", in_gib(estimate.update()));
    report.line("while the optimizer works", in_gib(estimate.step()));
    for (name, bytes) in [
        ("program", estimate.program),
        ("weights", estimate.weights),
        ("one layer's weights, decoded", estimate.decoded),
        ("reference model", estimate.reference),
        ("reference model while it is asked", estimate.asked),
        ("optimizer", estimate.optimizer),
        ("keys and values", estimate.kv_cache),
        ("logits", estimate.logits),
        ("gradients", estimate.gradients),
        ("activations", estimate.activations),
        ("the head's backward", estimate.head),
        ("one layer's backward", estimate.layer),
        ("the embeddings' backward", estimate.embeddings),
        ("kept for the next step", estimate.kept),
        ("keys and values, kept for the next step", estimate.kept_cache),
        ("forward passes kept from sampling", estimate.traces),
    ] {
        report.memory(name, bytes);
    }
}

/// Checkpoints against the room on the disk of the run folder.
fn disk(
    experiment: &Experiment,
    checkpoint: u64,
    arguments: &DoctorArguments,
    report: &mut Report,
) {
    let checkpoints = experiment.checkpoints_after(0);
    let needed = checkpoints.saturating_mul(checkpoint);
    let text =
        format!("{} for {checkpoints} checkpoints of {}", in_gib(needed), in_gib(checkpoint));
    let free = space::free(&arguments.out)
        .map_or(String::new(), |free| format!("; {} free", in_gib(free)));
    report.line("disk", format!("{text}{free}"));
    // Another machine has another disk.
    if arguments.memory.is_none()
        && let Err(problem) = place(&arguments.out, needed)
    {
        report.problems.push(problem);
    }
    report.json.insert("disk".to_string(), needed.into());
}

/// Refuses a place for run folders in which none can be made, or with less than `needed` bytes of
/// room.
fn place(out: &Path, needed: u64) -> Result<(), String> {
    space::holds_folders(out).map_err(|error| {
        format!(
            "no run folder can be made there: {error}; give another place with --out ({})",
            out.display()
        )
    })?;
    let remedy = "raise record.checkpoint_every, or give another --out";
    space::require(out, needed, "all checkpoints", remedy).map_err(|error| error.to_string())
}

/// Whether something is there, or what is to be done about it.
enum Found {
    Here(String),
    /// On the hub only.
    ToDownload(String),
    Missing(String),
}

impl Found {
    fn on_hub(what: String, is_cached: bool) -> Self {
        if is_cached { Self::Here(format!("{what}, downloaded")) } else { Self::ToDownload(what) }
    }
}

/// Notes what was found; returns whether it is there.
fn present(report: &mut Report, name: &str, found: Found) -> bool {
    match found {
        Found::Here(what) => report.line(name, what),
        Found::ToDownload(what) => {
            report.line(name, format!("{what}: not here yet, will be downloaded"));
            return false;
        }
        Found::Missing(what) => {
            report.line(name, format!("{what}: missing"));
            report.problems.push(format!("the {name} {what} does not exist"));
            return false;
        }
    }
    true
}

fn model_files(source: &ModelSource) -> Result<Found> {
    Ok(match source {
        ModelSource::Bundled(name) => Found::Here(format!("bundled `{name}`")),
        // Whatever is wrong with a folder is found when it is opened.
        ModelSource::Local(folder) => Found::Here(folder.display().to_string()),
        ModelSource::Hub(source) => {
            Found::on_hub(source.to_string(), hub::is_cached_model(source)?)
        }
    })
}

fn data_files(experiment: &Experiment) -> Result<Vec<(String, Found)>> {
    let found = |source: &DataSource| -> Result<Found> {
        Ok(match source {
            DataSource::Local(file) if file.exists() => Found::Here(file.display().to_string()),
            DataSource::Local(file) => Found::Missing(file.display().to_string()),
            DataSource::Hub(source) => Found::on_hub(
                format!("{} at {}", source.repo, source.revision),
                hub::is_cached_dataset(source)?,
            ),
        })
    };
    let mut all = Vec::new();
    if let TaskConfig::Dataset(data) = &experiment.task {
        all.push(("data".to_string(), found(&data.source)?));
        if let HeldOutSource::Other(other) = &data.held_out {
            all.push(("held-out data".to_string(), found(other)?));
        }
    }
    for evaluation in &experiment.evaluations {
        match &evaluation.suite {
            SuiteConfig::HeldOut(_) => {}
            SuiteConfig::File(suite) => {
                all.push(("suite".to_string(), found(&DataSource::Local(suite.path.clone()))?));
            }
            SuiteConfig::Named(suite) => {
                let source = crate::data::named(&suite.name)?.source(suite.revision.as_deref());
                all.push((format!("suite {}", suite.name), found(&DataSource::Hub(source))?));
            }
        }
    }
    match experiment.encoder() {
        None | Some(EncoderSource::Policy) => {}
        Some(EncoderSource::Local(folder)) => all.push((
            "encoder".to_string(),
            if folder.is_dir() {
                Found::Here(folder.display().to_string())
            } else {
                Found::Missing(folder.display().to_string())
            },
        )),
        Some(EncoderSource::Hub(source)) => all.push((
            "encoder".to_string(),
            Found::on_hub(source.to_string(), hub::is_cached(source, &ENCODER_FILES)?),
        )),
    }
    Ok(all)
}

/// A number of parameters for people.
fn count(parameters: usize) -> String {
    let millions = parameters as f64 / 1e6;
    if millions >= 1000.0 { format!("{:.2}B", millions / 1e3) } else { format!("{millions:.2}M") }
}

fn print(report: &Report, json: bool) -> Result<()> {
    let width = report.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, text) in &report.lines {
        say!("{name:width$}  {}", one_line(text))?;
    }
    for problem in &report.problems {
        note!("error: {problem}");
    }
    if json {
        let mut fields = report.json.clone();
        fields.insert("problems".to_string(), report.problems.clone().into());
        say!("{}", serde_json::Value::Object(fields))?;
    }
    Ok(())
}
