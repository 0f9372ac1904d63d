//! What the tests of whole runs share: a tiny random model, experiments on it, and readers of run
//! folders.

#![allow(dead_code, reason = "each test program uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use candle_core::{DType, Device, Tensor};
use orthant::experiment::{ModelSource, TaskConfig};
use orthant::model::{
    DecoderSpec, END_OF_TEXT, Family, LanguageModel, RopeScaling, Sliding, TextTokenizer,
};
use orthant::prelude::*;
use orthant::weights::Weights;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Prompts of a step in [`Workplace::experiment`].
pub(crate) const PROMPTS: usize = 3;

/// Rollouts of a prompt.
pub(crate) const GROUP: usize = 4;

/// Most tokens of a completion.
pub(crate) const NEW_TOKENS: usize = 24;

/// A temporary folder with a model in `model/` and room for runs in `runs/`.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// Makes the folder and writes the model.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        std::fs::create_dir(&model).unwrap();
        tiny_model().write(&model).unwrap();
        Self { folder }
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The model's folder.
    pub(crate) fn model(&self) -> PathBuf {
        self.path().join("model")
    }

    /// The folder of runs.
    pub(crate) fn runs(&self) -> PathBuf {
        self.path().join("runs")
    }

    /// GRPO on Countdown with steps large enough to move the weights: 3 prompts, 4 rollouts each,
    /// 24 new tokens. Settings that a test adds, such as `method: G2rl(), stop: (steps: 2)`, are
    /// RON fields.
    pub(crate) fn experiment(&self, steps: u64, settings: &str) -> Experiment {
        let mut experiment: Experiment = from_text(
            &format!(
                "Experiment(name: \"tiny\", model: Local(\"\"), device: Cpu, task: Countdown(numbers: 3),
                 rollout: (prompts_per_step: {PROMPTS}, group_size: {GROUP}, max_new_tokens: {NEW_TOKENS}),
                 optimizer: AdamW(learning_rate: 1e-2, warmup_steps: 0), stop: (steps: {steps}), {settings})"
            ),
            "test",
        )
        .unwrap();
        experiment.model = ModelSource::Local(self.model());
        experiment
    }

    /// The same with the task of the tests, which knows right and wrong answers.
    pub(crate) fn parity_experiment(&self, steps: u64, settings: &str) -> Experiment {
        let mut experiment = self.experiment(steps, settings);
        experiment.task = TaskConfig::Custom(Parity.name().to_string());
        experiment
    }

    /// Runs an experiment of [`Workplace::experiment`] to its end.
    pub(crate) fn run(&self, experiment: &Experiment) -> Finished {
        finish(RunBuilder::new(experiment.clone()).start(&self.runs()).unwrap())
    }

    /// Runs an experiment of [`Workplace::parity_experiment`] to its end.
    pub(crate) fn run_parity(&self, experiment: &Experiment) -> Finished {
        finish(RunBuilder::new(experiment.clone()).task(Parity).start(&self.runs()).unwrap())
    }
}

/// A model with two layers and random weights. They are large enough for distributions far from
/// uniform. Besides the end-of-text token some bytes end a response too, so that responses differ
/// in length.
pub(crate) fn tiny_model() -> LanguageModel {
    tiny_model_with_head(true)
}

/// [`tiny_model`] with a head that is tied to the embeddings, or one of its own.
pub(crate) fn tiny_model_with_head(tied: bool) -> LanguageModel {
    tiny_model_of("qwen3", tied)
}

/// Every family that can be loaded, by the name of its type.
pub(crate) const FAMILIES: [&str; 7] =
    ["qwen3", "qwen2", "llama", "mistral", "smollm3", "olmo2", "gemma3_text"];

/// The spec with layers of all kinds that its family has, and windows shorter than most texts of
/// the tests. The first layer is the one that differs.
pub(crate) fn with_layers_of_its_family(spec: DecoderSpec) -> DecoderSpec {
    let sliding = |layers: Vec<usize>, rope_theta| Some(Sliding { window: 6, layers, rope_theta });
    match spec.family.name() {
        "mistral" => {
            let layers = (0..spec.num_hidden_layers).collect();
            DecoderSpec { sliding: sliding(layers, None), ..spec }
        }
        "smollm3" => DecoderSpec { unrotated: vec![0], ..spec },
        "gemma3_text" => DecoderSpec {
            sliding: sliding(vec![0], Some(500.0)),
            query_pre_attn_scalar: Some(11.0),
            rope_scaling: Some(RopeScaling::Linear { factor: 2.0 }),
            ..spec
        },
        _ => spec,
    }
}

/// [`tiny_model_with_head`] of a family, with biases that are not zero where it has some.
pub(crate) fn tiny_model_of(family: &str, tied: bool) -> LanguageModel {
    let tokenizer = TextTokenizer::bytes_and_words(&["Use", " to make ", "\\boxed{"]).unwrap();
    let mut ends = vec![tokenizer.token_id(END_OF_TEXT).unwrap()];
    ends.extend(100..112);
    let config = DecoderSpec {
        vocab_size: tokenizer.vocabulary(),
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 128,
        tie_word_embeddings: tied,
        eos_token_ids: ends,
        ..Family::named(family).unwrap().blank()
    };
    let config = with_layers_of_its_family(config);
    let weights = Weights::random(&config, 0.3, 1, DType::F32, &Device::Cpu).unwrap();
    let is_bias = |name: &str| name.rsplit_once('.').is_some_and(|(_, last)| last == "bias");
    for (name, variable) in weights.variables().filter(|(name, _)| is_bias(name)) {
        let value = |i: usize| ((i * 37 + name.len() * 11) % 19) as f32 / 19.0 - 0.5;
        let values: Vec<f32> = (0..variable.elem_count()).map(value).collect();
        variable.set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu).unwrap()).unwrap();
    }
    LanguageModel::new(config, tokenizer, weights).unwrap()
}

/// A task in which a completion is right where its length in characters is even, so that a random
/// model is right about half the time.
pub(crate) struct Parity;

impl Task for Parity {
    fn name(&self) -> &'static str {
        "parity"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        let prompt = format!("{split:?} {seed} {index}:");
        Problem { id: format!("parity/{prompt}"), prompt, answer: "even".to_string() }
    }

    fn verify(&self, _: &Problem, completion: &str) -> Verification {
        let even = completion.chars().count().is_multiple_of(2);
        let verdict = if even { Verdict::Correct } else { Verdict::Incorrect };
        Verification { verdict, extracted: Some(completion.to_string()) }
    }
}

/// A run that is over, without an error.
pub(crate) struct Finished {
    /// Its last snapshot.
    pub(crate) snapshot: RunSnapshot,
    /// Its folder.
    pub(crate) folder: PathBuf,
}

/// Waits for the end of a run that has to succeed.
pub(crate) fn finish(run: Run) -> Finished {
    let handle = run.handle.clone();
    assert_eq!(run.join().unwrap(), RunEnd::Finished);
    let snapshot = handle.snapshots.load();
    Finished { folder: snapshot.info.directory.clone(), snapshot }
}

impl Finished {
    /// The lines of `rollouts/step_NNNNNN.jsonl`.
    pub(crate) fn rollouts(&self, step: u64) -> Vec<Value> {
        lines(&self.folder.join(format!("rollouts/step_{step:06}.jsonl")))
    }

    /// The tensors of `geometry/step_NNNNNN.safetensors`.
    pub(crate) fn geometry(&self, step: u64) -> HashMap<String, Tensor> {
        let path = self.folder.join(format!("geometry/step_{step:06}.safetensors"));
        candle_core::safetensors::load(path, &Device::Cpu).unwrap()
    }

    /// The weights of the checkpoint after `step`.
    pub(crate) fn weights(&self, step: u64) -> Weights {
        checkpoint(&self.folder, step).weights
    }

    /// The lines of `metrics.jsonl` without what a clock or the memory decides.
    pub(crate) fn repeatable_metrics(&self) -> Vec<Value> {
        let mut rows = lines(&self.folder.join("metrics.jsonl"));
        for row in &mut rows {
            let fields = row.as_object_mut().unwrap();
            fields.retain(|name, _| {
                name != "wall_s"
                    && !["time/", "throughput/", "memory/"]
                        .iter()
                        .any(|area| name.starts_with(area))
            });
        }
        rows
    }
}

/// Loads the checkpoint after `step` of the run in `folder`.
pub(crate) fn checkpoint(folder: &Path, step: u64) -> LanguageModel {
    let path = folder.join(format!("checkpoints/step_{step:06}"));
    LanguageModel::load(&ModelSource::Local(path), DType::F32, &Device::Cpu).unwrap()
}

/// The values of a file with one JSON value a line.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The largest absolute difference between two models' weights.
pub(crate) fn largest_difference(a: &Weights, b: &Weights) -> f32 {
    let difference =
        |(name, a): (&str, &orthant::weights::Parameter)| difference_of(a, &b.get(name).unwrap());
    let differences = a.variables().map(difference);
    differences.inspect(|difference| assert!(difference.is_finite())).fold(0.0, f32::max)
}

/// The largest absolute difference between two tensors of one shape; infinite where one is NaN.
#[track_caller]
pub(crate) fn difference_of(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    largest_deviation(&values(a), &values(b))
}

/// The largest absolute difference between two lists of one length; infinite where one is NaN.
#[track_caller]
pub(crate) fn largest_deviation(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let difference =
        |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
    found.iter().zip(expected).map(difference).fold(0.0, f32::max)
}

/// The largest absolute value of a list. NaN does not count.
pub(crate) fn largest_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0f32, |top, x| top.max(x.abs()))
}

/// The elements of a tensor of any type, on any device.
#[track_caller]
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    f32_values(&tensor.to_device(&Device::Cpu).unwrap().to_dtype(DType::F32).unwrap())
}

/// The elements of a tensor whose type has to be `f32`.
#[track_caller]
pub(crate) fn f32_values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A number of a JSON file.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Fails where a number is off by more than the tolerance, or is NaN.
#[track_caller]
pub(crate) fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: found {found}, expected {expected}");
}

/// Runs the program; returns exit status and standard error.
pub(crate) fn orthant(place: &Workplace, arguments: &[&str]) -> (i32, String) {
    let output = command(place, arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) fn command(place: &Workplace, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(arguments)
        .current_dir(place.path())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command
}

/// Continues the run; returns exit status and standard error.
pub(crate) fn resume(place: &Workplace, run: &Path, more: &[&str]) -> (i32, String) {
    orthant(place, &[&["run", "--headless", "--resume", run.to_str().unwrap()], more].concat())
}

/// Continues the run, which must succeed; returns standard error.
pub(crate) fn resume_well(place: &Workplace, run: &Path, more: &[&str]) -> String {
    let (status, stderr) = resume(place, run, more);
    assert_eq!(status, 0, "{more:?}: {stderr}");
    stderr
}

/// Must be refused with status 2 and these words, in one paragraph, and change nothing.
#[track_caller]
pub(crate) fn resume_is_refused(place: &Workplace, run: &Path, more: &[&str], words: &[&str]) {
    let before = (
        std::fs::read(run.join("manifest.json")).unwrap(),
        std::fs::read(run.join("metrics.jsonl")).unwrap(),
    );
    let (status, stderr) = resume(place, run, more);
    assert!(status == 2 && stderr.trim_end().lines().count() == 1, "{more:?}: {status} {stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{words:?} in {stderr}");
    let after = (
        std::fs::read(run.join("manifest.json")).unwrap(),
        std::fs::read(run.join("metrics.jsonl")).unwrap(),
    );
    assert_eq!(before, after);
}

/// A run of four steps with checkpoints after two and four.
pub(crate) fn four_steps(place: &Workplace, settings: &str) -> PathBuf {
    place.run(&place.experiment(4, &format!("record: (checkpoint_every: 2), {settings}"))).folder
}

pub(crate) fn steps(run: &Path) -> Vec<u64> {
    lines(&run.join("metrics.jsonl")).iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

pub(crate) fn events(run: &Path, kind: &str) -> Vec<Value> {
    lines(&run.join("events.jsonl")).into_iter().filter(|event| event["kind"] == kind).collect()
}

pub(crate) fn flip(path: &Path, back: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = bytes.len() - back;
    bytes[place] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// Waits until a snapshot fulfils `condition`; fails after a minute.
pub(crate) fn wait_for(handle: &RunHandle, what: &str, condition: impl Fn(&RunSnapshot) -> bool) {
    wait_until(what, || condition(&handle.snapshots.load()));
}

/// Waits until `condition` holds; fails after a minute.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `orthant bench` with a shape that takes no time.
pub(crate) const TINY_BENCH: [&str; 23] = [
    "bench",
    "--hidden",
    "16",
    "--layers",
    "1",
    "--heads",
    "2",
    "--kv-heads",
    "1",
    "--head-dim",
    "8",
    "--intermediate",
    "24",
    "--vocab",
    "600",
    "--prompts",
    "2",
    "--group",
    "2",
    "--prompt-len",
    "3",
    "--new-tokens",
    "5",
];
