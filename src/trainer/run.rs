//! A run from start to end: preparation, the trainer's thread, and what ends it.

use super::inputs::Inputs;
use super::orders::{self, Orders};
use super::resume::{NO_LOCKS, Resumed, Resumption, Settled, goes_on, with_edit};
use super::snapshot::{LiveSetting, Refusal, RunHandle, RunInfo, RunSnapshot, RunState, SnapshotCell, TrainerCommand};
use super::state::TrainerState;
use crate::data::{named, settled_template};
use crate::error::{Error, Result};
use crate::evaluation::{EvaluationRecord, Suite};
use crate::experiment::{
    Adapter, DataSource, EncoderSource, Event, Experiment, FidelityRecord, HeldOutSource, Manifest, MethodConfig,
    ModelSource, OptimizerConfig, ReplacedInput, RunDir, SettingEdit, SuiteConfig, TaskConfig, to_text,
};
use crate::files::lock::FolderLock;
use crate::files::space;
use crate::guard::{self, panic_text};
use crate::kernels::flush_subnormals;
use crate::memory::{self, Plan};
use crate::methods::{G2rlSettings, add_method};
use crate::metrics::MetricRow;
use crate::model::{
    BertEncoder, ENCODER_FILES, FrozenNetwork, LanguageModel, LoraAdapter, ModelFiles, PolicyEncoder, Qwen3Config,
    SentenceEncoder, TextTokenizer, data_type, hub, open_device,
};
use crate::optim::AdamW;
use crate::stages::{
    ActiveExperiment, ActiveTask, CheckpointRequested, Checkpoints, Curriculum, CurriculumPlugin,
    DynamicSamplingPlugin, Encoder, Evaluations, KlCoefficient, LiveEdits, Monitor, Policy, PolicyOptimizer,
    ProblemCursor, Reference, RunRecorder, SampleRound, StagePlugins, StartInfo, StepCounter, Suites, TrainStep,
    record_checkpoint,
};
use crate::tasks::{self, Room, Task};
use bevy_app::{App, Plugin, PluginGroup, PluginGroupBuilder};
use bevy_ecs::error::{BevyError, ErrorContext};
use bevy_ecs::schedule::ScheduleLabel;
use candle_core::{DType, Device};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// Backward passes recurse over the graph, whose depth grows with the number of layers.
const STACK_BYTES: usize = 256 << 20;

/// Changes the app before it starts.
type Extension = Box<dyn FnOnce(&mut App) + Send>;

/// Changes the group of stages before it is added.
type StageChange = Box<dyn FnOnce(PluginGroupBuilder) -> PluginGroupBuilder + Send>;

/// A run that is being put together: an experiment, and what a program adds to it.
pub struct RunBuilder {
    experiment: Experiment,
    resumed: Option<Resumption>,
    task: Option<Arc<dyn Task>>,
    model: Option<LanguageModel>,
    stage_changes: Vec<StageChange>,
    extensions: Vec<Extension>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All steps were done.
    Finished,
    /// It was stopped on request, after saving a checkpoint.
    Stopped,
}

/// A run that is going on in its own thread.
pub struct Run {
    /// Snapshots and commands.
    pub handle: RunHandle,
    thread: JoinHandle<Result<RunEnd>>,
}

impl Run {
    /// Waits for the end. A paused run that no other handle could resume ends where it is, without a checkpoint.
    pub fn join(self) -> Result<RunEnd> {
        drop(self.handle);
        self.thread.join().unwrap_or_else(|payload| Err(Error::failed(panicked(payload.as_ref()))))
    }
}

impl RunBuilder {
    /// A run of this experiment.
    pub fn new(experiment: Experiment) -> Self {
        Self { experiment, resumed: None, task: None, model: None, stage_changes: Vec::new(), extensions: Vec::new() }
    }

    /// Goes on with the run in this folder from its newest checkpoint, with the settings that held then. `overrides` are as for
    /// [`crate::experiment::set`], such as `stop.steps=300`, and win over these. The folder is locked from here on.
    pub fn resume(folder: &Path, overrides: &[String]) -> Result<Self> {
        let directory = RunDir::open(folder)?.0;
        directory.check_kinds(|path| path.symlink_metadata())?;
        let lock = directory.lock()?;
        // Read when nobody else can write it any more.
        let (directory, experiment) = RunDir::open(folder)?;
        let overrides = overrides.to_vec();
        let resumed = Resumption { directory, lock, overrides, from_step: None, accepts_changes: false };
        Ok(Self { resumed: Some(resumed), ..Self::new(experiment) })
    }

    /// Goes on from the checkpoint of this step, where the run is resumed. Later checkpoints are set aside.
    #[must_use]
    pub fn from_step(mut self, step: Option<u64>) -> Self {
        if let Some(resumed) = &mut self.resumed {
            resumed.from_step = step;
        }
        self
    }

    /// Whether the resumed run may go on with another seed, task, method, model or data; what changed is recorded then.
    #[must_use]
    pub fn accept_changes(mut self, accepts: bool) -> Self {
        if let Some(resumed) = &mut self.resumed {
            resumed.accepts_changes = accepts;
        }
        self
    }

    /// Provides the task that the experiment names with `task: Custom(..)`.
    #[must_use]
    pub fn task(mut self, task: impl Task) -> Self {
        self.task = Some(Arc::new(task));
        self
    }

    /// Provides the model to start from, in place of the one that the experiment names.
    #[must_use]
    pub fn model(mut self, model: LanguageModel) -> Self {
        self.model = Some(model);
        self
    }

    /// Replaces stages: `stages(|group| group.disable::<VerifyPlugin>().add(MyVerifyPlugin))`.
    #[must_use]
    pub fn stages(mut self, change: impl FnOnce(PluginGroupBuilder) -> PluginGroupBuilder + Send + 'static) -> Self {
        self.stage_changes.push(Box::new(change));
        self
    }

    /// Adds a plugin: a method, a stage, or anything that reads along.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.extensions.push(Box::new(move |app| {
            app.add_plugins(plugin);
        }));
        self
    }

    /// Loads everything, makes the run folder under `runs`, and starts the trainer's thread. Bad input is found here.
    pub fn start(self, runs: &Path) -> Result<Run> {
        let Self { experiment, resumed, task, model, stage_changes, extensions } = self;
        let (resumed, mut experiment) = match resumed {
            None => (None, experiment),
            Some(resumption) => {
                let (resumed, experiment) = resumption.look(experiment)?;
                (Some(resumed), experiment)
            }
        };
        experiment.validate()?;
        let step = resumed.as_ref().map_or(0, |resumed| resumed.state.step);
        check_end(resumed.as_ref(), experiment.stop.steps)?;
        settle_sources(&mut experiment)?;
        experiment.objective.ratio.get_or_insert(experiment.objective.loss.ratio());
        if let (MethodConfig::Custom(name), true) = (&experiment.method, extensions.is_empty()) {
            return Err(Error::input(format!(
                "the method `{name}` is not part of this program; method: Custom(..) is for programs that add their own"
            )));
        }
        let device = open_device(experiment.device)?;
        let dtype = data_type(experiment.precision);
        let source = match model {
            Some(model) => Source::Loaded(Box::new(model)),
            None => Source::Files(Box::new(ModelFiles::open(&experiment.model)?)),
        };
        let (shape, tokenizer) = source.parts();
        let room = tasks::room(experiment.rollout.max_new_tokens, shape.max_position_embeddings)?;
        let task = task_of(&experiment, task, tokenizer, room)?;
        let prompt = tasks::check_length(task.as_ref(), experiment.seed, tokenizer, room)?;
        let plan = Plan::new(&experiment, shape, prompt, device.is_cpu(), memory::available(&device));
        plan.check(&experiment, &memory::device_name(&device))?;
        plan.settle(&mut experiment);
        let settled = resumed.as_ref().map(|resumed| resumed.settle(&experiment)).transpose()?;
        let place = resumed.as_ref().map_or(runs, |resumed| resumed.directory.path());
        let checkpoint_bytes = plan.workload.checkpoint_bytes();
        let room = check_room(&experiment, checkpoint_bytes, step, place)?;
        let hash_before = hash_before(&experiment, resumed.as_ref(), &source, &device)?;
        let base = source.load(dtype, &device)?;
        let notes_of_model = base.notes().to_vec();
        if experiment.rollout.curriculum.is_some() && task.levels() < 2 {
            let problem = format!("needs levels of difficulty, and the task `{}` has none; leave it out", task.name());
            return Err(Error::field("rollout.curriculum", problem));
        }
        let suites = suites_of(&experiment, &task, &base)?;
        let inputs =
            Inputs::new(&experiment, &base, task.as_ref(), &suites, resumed.as_ref().map(|resumed| &resumed.held))?
                .with_model_before(hash_before);
        let replaced = resumed.as_ref().map_or(Ok(Vec::new()), |resumed| inputs.check(resumed))?;
        let frozen = FrozenBase::new(&experiment, &base, resumed.is_none(), &device)?;
        let (model, optimizer, mut state) = state_of(&experiment, base, resumed.as_ref(), dtype, &device)?;
        let place = match resumed.zip(settled) {
            Some((resumed, settled)) => Place::again(resumed, settled, &replaced, &mut state)?,
            None => Place::new(runs, &experiment)?,
        };
        let Place { directory, lock, mut events, earlier, began } = place;
        events.extend(notes(&notes_of_model, &suites, task.as_ref(), step));
        events.extend(room.map(|text| Event::now(step, "warning", text)));
        if !lock.is_kept() {
            events.push(Event::now(step, "warning", NO_LOCKS));
        }
        let info = run_info(&experiment, to_text(&began)?, task.as_ref(), &model, &device, directory.path());
        let mut manifest = manifest_of(&info, earlier, step);
        inputs.record(&mut manifest);
        manifest.replaced.extend(replaced);
        for event in &events {
            directory.append_event(event)?;
            directory.log(&format!("{} {}", event.kind, event.text))?;
        }
        directory.write_manifest(&manifest)?;
        directory.log(&format!("run of {} with {} on {}, from step {step}", info.name, info.method, info.device))?;
        let past = Past::read(&directory, step)?;
        let (handle, commands) = RunHandle::new(RunSnapshot::starting(info));
        past.show(&handle);
        let orders = Orders::new(commands);
        let patience = orders::patience(orders.clone(), handle.snapshots.clone(), handle.attendance.clone());
        let directory = directory.with_patience(patience).with_checkpoints_of(checkpoint_bytes);
        let loaded = Loaded {
            experiment,
            task,
            suites,
            model,
            frozen,
            optimizer,
            state,
            directory,
            manifest,
            past,
            stage_changes,
            extensions,
        };
        let snapshots = handle.snapshots.clone();
        let thread = std::thread::Builder::new()
            .name("trainer".to_string())
            .stack_size(STACK_BYTES)
            .spawn(move || train(loaded, lock, &snapshots, &orders))
            .map_err(|e| Error::failed(format!("cannot start the trainer's thread: {e}")))?;
        Ok(Run { handle, thread })
    }
}

/// Refuses to resume a run that has nothing more to do.
fn check_end(resumed: Option<&Resumed>, last: u64) -> Result<()> {
    let Some(resumed) = resumed else { return Ok(()) };
    let step = resumed.state.step;
    let is_finished = resumed.manifest.as_ref().is_some_and(|manifest| manifest.state == "finished");
    if goes_on(step, last, is_finished) {
        return Ok(());
    }
    Err(Error::input(format!("the run is already at step {step} of {last}; give it more with --set stop.steps=N")))
}

/// Refuses a run whose disk has no room for a checkpoint; says where it has none for all of them.
fn check_room(experiment: &Experiment, checkpoint: u64, step: u64, place: &Path) -> Result<Option<String>> {
    space::require(place, checkpoint, "a checkpoint", "give another folder with --out")?;
    let checkpoints = experiment.checkpoints_after(step);
    let all = space::check(place, checkpoint.saturating_mul(checkpoints)).err();
    Ok(all.map(|error| {
        format!("there is no room for all {checkpoints} checkpoints: {error}, or raise record.checkpoint_every")
    }))
}

/// The hash of the base model's weights in the precision that held until now, where the run is to go on in another one: weights are
/// rounded when they are read.
fn hash_before(
    experiment: &Experiment,
    resumed: Option<&Resumed>,
    source: &Source,
    device: &Device,
) -> Result<Option<String>> {
    match (resumed, source) {
        (Some(resumed), Source::Files(_)) if resumed.held.precision != experiment.precision => {
            let files = Source::Files(Box::new(ModelFiles::open(&experiment.model)?));
            files.load(data_type(resumed.held.precision), device)?.weights.hash().map(Some)
        }
        _ => Ok(None),
    }
}

/// Where a run is written to, and what there is to say of its beginning.
struct Place {
    directory: RunDir,
    lock: FolderLock,
    /// What happened before the first step.
    events: Vec<Event>,
    /// The manifest of a run that goes on.
    earlier: Option<Manifest>,
    /// What `experiment.ron` says.
    began: Experiment,
}

impl Place {
    fn new(runs: &Path, experiment: &Experiment) -> Result<Self> {
        let directory = RunDir::create(runs, experiment)?;
        let lock = directory.lock()?;
        let events = vec![Event::now(0, "started", "")];
        Ok(Self { directory, lock, events, earlier: None, began: experiment.clone() })
    }

    /// The folder of a run that goes on, taken back to its checkpoint; changed settings take effect on what that carries over.
    fn again(resumed: Resumed, settled: Settled, replaced: &[ReplacedInput], state: &mut TrainerState) -> Result<Self> {
        let rewound = resumed.directory.rewind(state.step)?;
        if !resumed.is_written(&settled) {
            resumed.directory.write_experiment(&settled.began)?;
        }
        let events = resumed.events(&rewound, &settled, replaced);
        state.edits = settled.edits;
        // A weight that is given wins over the adapted one.
        if settled.events.iter().any(|edit| edit.path.starts_with("objective.kl")) {
            state.kl_coefficient = None;
        }
        let Resumed { directory, lock, manifest, .. } = resumed;
        Ok(Self { directory, lock, events, earlier: manifest, began: settled.began })
    }
}

/// What a run says of itself while it trains, but for what it reads. A resumed run began when it was first started.
fn manifest_of(info: &RunInfo, earlier: Option<Manifest>, step: u64) -> Manifest {
    let (started, replaced) = match earlier {
        Some(earlier) => (earlier.started, earlier.replaced),
        None => (format!("{:.0}", jiff::Timestamp::now()), Vec::new()),
    };
    Manifest {
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: env!("ORTHANT_COMMIT").to_string(),
        device: info.device.clone(),
        model: info.model.clone(),
        model_hash: String::new(),
        data_hash: String::new(),
        shape: None,
        inputs: BTreeMap::new(),
        replaced,
        started,
        state: "training".to_string(),
        step,
    }
}

/// The policy as it was in a checkpoint, or as it begins: the base model, or the base model with an adapter.
fn policy_of(
    experiment: &Experiment,
    base: LanguageModel,
    checkpoint: Option<&Path>,
    dtype: DType,
    device: &Device,
) -> Result<LanguageModel> {
    let source = experiment.model.clone();
    match (&experiment.adapter, checkpoint) {
        (Adapter::Full, None) => Ok(base),
        (Adapter::Full, Some(folder)) => base.with_weights_of(folder, dtype, device),
        (Adapter::Lora(config), None) => {
            let adapter = LoraAdapter::new(config, source, &base.config, experiment.seed, dtype, device)?;
            base.with_adapter(adapter)
        }
        (Adapter::Lora(config), Some(folder)) => {
            let adapter = LoraAdapter::read(folder, config, source, &base.config, dtype, device)?;
            base.with_adapter(adapter)
        }
    }
}

/// Policy, optimizer and the rest of a run's state as they were in a checkpoint, or as they begin.
fn state_of(
    experiment: &Experiment,
    base: LanguageModel,
    resumed: Option<&Resumed>,
    dtype: DType,
    device: &Device,
) -> Result<(LanguageModel, AdamW, TrainerState)> {
    let OptimizerConfig::AdamW(settings) = &experiment.optimizer;
    let settings = settings.settings();
    let Some(resumed) = resumed else {
        let model = policy_of(experiment, base, None, dtype, device)?;
        let optimizer = AdamW::new(model.trained(), settings)?;
        return Ok((model, optimizer, TrainerState::default()));
    };
    let read = || {
        let model = policy_of(experiment, base, Some(&resumed.folder), dtype, device)?;
        let optimizer = AdamW::read(model.trained(), settings, &resumed.folder.join("trainer.safetensors"))?;
        Ok((model, optimizer))
    };
    let (model, optimizer) = read().map_err(|error| resumed.way_on(error))?;
    Ok((model, optimizer, resumed.state.clone()))
}

/// The task that the experiment names: the program's own or the one that was `provided`.
fn task_of(
    experiment: &Experiment,
    provided: Option<Arc<dyn Task>>,
    tokenizer: &TextTokenizer,
    room: Room,
) -> Result<Arc<dyn Task>> {
    match (&experiment.task, provided) {
        (TaskConfig::Custom(name), Some(task)) if task.name() == name => Ok(task),
        (TaskConfig::Custom(name), Some(task)) => Err(Error::input(format!(
            "the experiment asks for the task `{name}`, but this program provides `{}`",
            task.name()
        ))),
        (config, _) => tasks::build(config, tokenizer, Some(room)),
    }
}

/// The suites of the experiment's evaluations, in order. Refuses those whose prompts leave too little room.
fn suites_of(experiment: &Experiment, task: &Arc<dyn Task>, model: &LanguageModel) -> Result<Vec<Suite>> {
    let room = tasks::room(experiment.rollout.max_new_tokens, model.config.max_position_embeddings)?;
    let suites = experiment.evaluations.iter().map(|evaluation| {
        let suite = Suite::new(&evaluation.suite, task, &model.tokenizer, Some(room))?;
        suite.check_length(model, experiment.rollout.max_new_tokens)?;
        Ok(suite)
    });
    suites.collect()
}

/// What there is to warn of before a run begins or goes on: what is odd about the model, problems that had to be left out, and suites
/// whose problems are trained on too.
fn notes(of_model: &[String], suites: &[Suite], task: &dyn Task, step: u64) -> Vec<Event> {
    let notes = of_model.iter().chain(task.notes()).chain(suites.iter().flat_map(|suite| &suite.notes)).cloned();
    let overlaps = suites.iter().filter_map(|suite| suite.overlap(task));
    notes.chain(overlaps).map(|text| Event::now(step, "warning", text)).collect()
}

/// The model to start from: one that a program provides, or files.
enum Source {
    Loaded(Box<LanguageModel>),
    Files(Box<ModelFiles>),
}

impl Source {
    fn parts(&self) -> (&Qwen3Config, &TextTokenizer) {
        match self {
            Self::Loaded(model) => (&model.config, &model.tokenizer),
            Self::Files(files) => (&files.config, &files.tokenizer),
        }
    }

    fn load(self, dtype: DType, device: &Device) -> Result<LanguageModel> {
        match self {
            Self::Loaded(model) => model.merged(),
            Self::Files(files) => files.load(dtype, device)?.merged(),
        }
    }
}

/// Settles where model, encoders, data and templates come from, so that the resolved experiment runs again from any folder and with the same
/// weights: folders become absolute, branches of the hub become commits. Downloads what is not there.
fn settle_sources(experiment: &mut Experiment) -> Result<()> {
    let absolute = |folder: &mut PathBuf| {
        if let Ok(found) = folder.canonicalize() {
            *folder = found;
        }
        if folder.to_str().is_some() {
            return Ok(());
        }
        let path = folder.display();
        Err(Error::input(format!("the name of {path} is no Unicode text, as which the run folder holds it; rename it")))
    };
    match &mut experiment.model {
        ModelSource::Bundled(_) => {}
        ModelSource::Local(folder) => absolute(folder)?,
        ModelSource::Hub(source) => source.revision = hub::commit_of(&hub::fetch_model(source)?),
    }
    let settle = |source: &mut DataSource| match source {
        DataSource::Local(file) => absolute(file),
        DataSource::Hub(source) => {
            source.revision = hub::commit_of(&hub::fetch_dataset(source)?);
            Ok::<_, Error>(())
        }
    };
    let settle_template = |template: &mut Option<String>| {
        if let Some(name) = template {
            *name = settled_template(name);
        }
    };
    if let TaskConfig::Dataset(data) = &mut experiment.task {
        settle_template(&mut data.template);
        settle(&mut data.source)?;
        if let HeldOutSource::Other(other) = &mut data.held_out {
            settle(other)?;
        }
    }
    for evaluation in &mut experiment.evaluations {
        match &mut evaluation.suite {
            SuiteConfig::HeldOut(_) => {}
            SuiteConfig::File(suite) => {
                absolute(&mut suite.path)?;
                settle_template(&mut suite.template);
            }
            SuiteConfig::Named(suite) => {
                settle_template(&mut suite.template);
                let source = named(&suite.name)?.source(suite.revision.as_deref());
                suite.revision = Some(hub::commit_of(&hub::fetch_dataset(&source)?));
            }
        }
    }
    for encoder in experiment.encoders_mut() {
        match encoder {
            EncoderSource::Policy => {}
            EncoderSource::Local(folder) => absolute(folder)?,
            EncoderSource::Hub(source) => {
                let folder = hub::fetch(&source.repo, &source.revision, &ENCODER_FILES)?;
                source.revision = hub::commit_of(&folder);
            }
        }
    }
    Ok(())
}

/// What stays as it is during the run: the reference of the KL term and the sentence encoder.
struct FrozenBase {
    reference: Option<FrozenNetwork>,
    encoder: Option<SentenceEncoder>,
}

impl FrozenBase {
    /// Both are views of one set of weights: the base model's own where these are not trained, because an adapter is or because
    /// training goes on from a checkpoint, and a copy where training begins with them, or where they wait in the machine's memory.
    fn new(experiment: &Experiment, base: &LanguageModel, begins: bool, device: &Device) -> Result<Self> {
        let has_kl = experiment.objective.kl.coefficient > 0.0;
        let encoder = experiment.encoder();
        let is_trained = begins && experiment.adapter == Adapter::Full;
        let is_offloaded = experiment.objective.offload_reference == Some(true) && experiment.adapter == Adapter::Full;
        let weights = match has_kl || encoder == Some(&EncoderSource::Policy) {
            false => None,
            true if is_offloaded => Some(base.weights.copy(&Device::Cpu)?),
            true if is_trained => Some(base.weights.copy(device)?),
            true => Some(base.weights.clone()),
        };
        let network = || {
            let network = |weights| {
                if is_offloaded {
                    Ok(FrozenNetwork::offloaded(&base.config, weights, device))
                } else {
                    FrozenNetwork::new(&base.config, weights)
                }
            };
            weights.as_ref().map(network).transpose()
        };
        let encoder = match encoder {
            None => None,
            Some(EncoderSource::Policy) => {
                network()?.map(|network| SentenceEncoder::Policy(PolicyEncoder::new(network, base.tokenizer.clone())))
            }
            Some(EncoderSource::Local(folder)) => Some(SentenceEncoder::Bert(BertEncoder::read(folder, device)?)),
            Some(EncoderSource::Hub(source)) => {
                let folder = hub::fetch(&source.repo, &source.revision, &ENCODER_FILES)?;
                Some(SentenceEncoder::Bert(BertEncoder::read(&folder, device)?))
            }
        };
        Ok(Self { reference: if has_kl { network()? } else { None }, encoder })
    }
}

/// What the trainer's thread takes over.
struct Loaded {
    experiment: Experiment,
    task: Arc<dyn Task>,
    suites: Vec<Suite>,
    model: LanguageModel,
    frozen: FrozenBase,
    optimizer: AdamW,
    state: TrainerState,
    directory: RunDir,
    manifest: Manifest,
    past: Past,
    stage_changes: Vec<StageChange>,
    extensions: Vec<Extension>,
}

/// What a resumed run has behind it; empty for a new one.
struct Past {
    step: u64,
    rows: Vec<MetricRow>,
    evaluations: Arc<Vec<EvaluationRecord>>,
    fidelity: Arc<Vec<FidelityRecord>>,
    checkpoints: Arc<Vec<u64>>,
    events: Arc<Vec<Event>>,
}

impl Past {
    fn read(directory: &RunDir, step: u64) -> Result<Self> {
        Ok(Self {
            step,
            rows: directory.read_metrics()?,
            evaluations: Arc::new(directory.read_evaluations()?),
            fidelity: Arc::new(directory.read_fidelity()?),
            checkpoints: Arc::new(directory.checkpoint_steps()?),
            events: Arc::new(directory.read_events()?),
        })
    }

    fn show(&self, handle: &RunHandle) {
        handle.snapshots.update(|snapshot| {
            snapshot.step = self.step;
            self.rows.iter().for_each(|row| snapshot.history.push(row.clone()));
            snapshot.evaluations = self.evaluations.clone();
            snapshot.fidelity = self.fidelity.clone();
            snapshot.checkpoints = self.checkpoints.clone();
            snapshot.events = self.events.clone();
            let warnings = self.events.iter().filter(|event| event.kind == "warning");
            snapshot.warnings = Arc::new(warnings.map(|event| (event.step, event.text.clone())).collect());
        });
    }
}

fn run_info(
    experiment: &Experiment,
    experiment_ron: String,
    task: &dyn Task,
    model: &LanguageModel,
    device: &candle_core::Device,
    directory: &Path,
) -> RunInfo {
    let name = match &experiment.model {
        ModelSource::Bundled(name) => name.clone(),
        ModelSource::Local(path) => path.display().to_string(),
        ModelSource::Hub(source) => source.to_string(),
    };
    let parameters = model.parameter_count() as f64;
    let count =
        if parameters >= 1e9 { format!("{:.1}B", parameters / 1e9) } else { format!("{:.2}M", parameters / 1e6) };
    RunInfo {
        name: experiment.name.clone(),
        seed: experiment.seed,
        method: experiment.method.label().to_string(),
        task: task.name().to_string(),
        model: format!("{name}, {count} parameters"),
        device: memory::device_name(device),
        temperature: experiment.rollout.temperature,
        stop_step: experiment.stop.steps,
        directory: directory.to_path_buf(),
        experiment_ron,
    }
}

/// The body of the trainer's thread. Whatever happens, the snapshot, the manifest and the events say how it ended.
fn train(loaded: Loaded, lock: FolderLock, snapshots: &SnapshotCell, orders: &Orders) -> Result<RunEnd> {
    flush_subnormals();
    let mut manifest = loaded.manifest.clone();
    let directory = loaded.directory.clone();
    let result = guard::unwound(|| {
        let mut app = build_app(loaded, snapshots);
        check_order(&mut app)?;
        drive(&mut app, snapshots, orders)
    })
    .unwrap_or_else(|payload| {
        Err(match payload.downcast::<StageFailure>() {
            Ok(failure) => Error::Stage { stage: failure.system, message: failure.message },
            Err(payload) => Error::failed(panicked(payload.as_ref())),
        })
    });
    let (state, kind, text) = match &result {
        Ok(RunEnd::Finished) => (RunState::Finished, "finished", String::new()),
        Ok(RunEnd::Stopped) => (RunState::Stopped, "stopped", String::new()),
        Err(error) => (RunState::Failed { message: error.to_string() }, "error", error.to_string()),
    };
    let step = snapshots.load().step;
    manifest.step = step;
    manifest.state = if kind == "error" { "failed".to_string() } else { kind.to_string() };
    let ended = Event::now(step, kind, text.as_str());
    // Each by itself: where one finds no room another may.
    let recorded = [
        directory.append_event(&ended),
        directory.log(&format!("{kind} after step {step} {text}")),
        directory.sync_logs(),
        directory.write_manifest(&manifest),
    ];
    let recorded = recorded.into_iter().collect::<Result<()>>();
    // Whoever sees the end may go on with the run.
    drop(lock);
    snapshots.update(|snapshot| {
        Arc::make_mut(&mut snapshot.events).push(ended);
        snapshot.state = state;
    });
    result.and_then(|end| recorded.map(|()| end))
}

fn build_app(loaded: Loaded, snapshots: &SnapshotCell) -> App {
    let mut app = App::new();
    app.set_error_handler(end_the_step)
        .insert_resource(ActiveTask(loaded.task.clone()))
        .insert_resource(Suites(loaded.suites))
        .insert_resource(Policy(loaded.model))
        .insert_resource(PolicyOptimizer(loaded.optimizer))
        .insert_resource(Monitor(snapshots.clone()))
        .insert_resource(RunRecorder(loaded.directory))
        .insert_resource(StartInfo {
            started: Instant::now(),
            earlier_s: loaded.past.rows.last().map_or(0.0, |row| row.wall_s),
        });
    if let Some(reference) = loaded.frozen.reference {
        app.insert_resource(Reference(reference));
    }
    if let Some(encoder) = loaded.frozen.encoder {
        app.insert_resource(Encoder(encoder));
    }
    app.add_plugins(loaded.stage_changes.into_iter().fold(StagePlugins.build(), |group, change| change(group)))
        .insert_resource(StepCounter(loaded.past.step))
        .insert_resource(Evaluations(loaded.past.evaluations))
        .insert_resource(Checkpoints(loaded.past.checkpoints));
    let kl = &loaded.experiment.objective.kl;
    let adapted = loaded.state.kl_coefficient.filter(|_| kl.target.is_some());
    app.insert_resource(KlCoefficient(adapted.unwrap_or(kl.coefficient)));
    let rollout = &loaded.experiment.rollout;
    // Checkpoints without a cursor are of runs in which every step dealt as many problems as it kept.
    let dealt = loaded.state.problems.unwrap_or(loaded.state.step * rollout.prompts_per_step as u64);
    app.insert_resource(ProblemCursor(dealt));
    app.insert_resource(LiveEdits(loaded.state.edits));
    if rollout.dynamic.is_some() {
        app.add_plugins(DynamicSamplingPlugin);
    }
    if let Some(config) = rollout.curriculum {
        let curriculum = Curriculum::new(config, loaded.task.levels()).resumed(loaded.state.solve_rates);
        app.add_plugins(CurriculumPlugin(curriculum));
    }
    add_method(&mut app, &loaded.experiment.method);
    app.insert_resource(ActiveExperiment(loaded.experiment));
    for extension in loaded.extensions {
        extension(&mut app);
    }
    app.finish();
    app.cleanup();
    app
}

/// Puts the systems of a step in order, before any work: two that touch the same data without an order are an error.
fn check_order(app: &mut App) -> Result<()> {
    for label in [TrainStep.intern(), SampleRound.intern()] {
        app.world_mut().schedule_scope(label, |world, schedule| match schedule.initialize(world) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::failed(format!(
                "the systems of the training step cannot be put in order: {}",
                error.to_string(schedule.graph(), world).trim()
            ))),
        })?;
    }
    Ok(())
}

/// Runs steps until the end, carrying out commands between them.
fn drive(app: &mut App, snapshots: &SnapshotCell, orders: &Orders) -> Result<RunEnd> {
    let last = app.world().resource::<ActiveExperiment>().0.stop.steps;
    let mut paused = false;
    let mut single = false;
    while app.world().resource::<StepCounter>().0 < last {
        // A paused trainer waits for a command; a running one only looks.
        let command = if paused && !single { orders.wait() } else { orders.now() };
        match command {
            Some(TrainerCommand::Pause) => {
                paused = true;
                note(app, snapshots, "paused", RunState::Paused)?;
                continue;
            }
            Some(TrainerCommand::Resume) => {
                paused = false;
                note(app, snapshots, "resumed", RunState::Training)?;
                continue;
            }
            Some(TrainerCommand::StepOnce) => {
                single = true;
                continue;
            }
            Some(TrainerCommand::Checkpoint) if paused => {
                save(app)?;
                continue;
            }
            Some(TrainerCommand::Checkpoint) => {
                app.world_mut().resource_mut::<CheckpointRequested>().0 = true;
                continue;
            }
            Some(TrainerCommand::Set(setting, value)) => {
                set_live(app, snapshots, setting, value)?;
                continue;
            }
            Some(TrainerCommand::Stop) => {
                save(app)?;
                return Ok(RunEnd::Stopped);
            }
            Some(TrainerCommand::WindowLost) => {
                let what = if paused { "saved and stopped, because it was paused" } else { "goes on without a window" };
                warn(app, snapshots, format!("the window is gone; the run {what}"))?;
                if paused {
                    save(app)?;
                    return Ok(RunEnd::Stopped);
                }
                continue;
            }
            None if paused && !single => return Ok(RunEnd::Stopped), // nobody is left who could resume
            None => {}
        }
        single = false;
        app.update();
    }
    Ok(RunEnd::Finished)
}

fn note(app: &mut App, snapshots: &SnapshotCell, kind: &'static str, state: RunState) -> Result<()> {
    let step = app.world().resource::<StepCounter>().0;
    snapshots.update(|snapshot| snapshot.state = state);
    record_event(app, snapshots, Event::now(step, kind, ""))
}

fn warn(app: &App, snapshots: &SnapshotCell, text: String) -> Result<()> {
    let step = app.world().resource::<StepCounter>().0;
    snapshots.update(|snapshot| Arc::make_mut(&mut snapshot.warnings).push((step, text.clone())));
    record_event(app, snapshots, Event::now(step, "warning", text))
}

fn record_event(app: &App, snapshots: &SnapshotCell, event: Event) -> Result<()> {
    app.world().resource::<RunRecorder>().0.append_event(&event)?;
    snapshots.update(|snapshot| Arc::make_mut(&mut snapshot.events).push(event));
    Ok(())
}

/// The experiment with another value of one setting, checked as the file is.
fn changed(experiment: &Experiment, path: &str, value: f64) -> Result<Experiment> {
    let changed = crate::experiment::set(experiment, &format!("{path}={value:?}"))?;
    changed.validate()?;
    Ok(changed)
}

/// Changes a setting from the next step on. What cannot be is a warning, and the run goes on as it was.
fn set_live(app: &mut App, snapshots: &SnapshotCell, setting: LiveSetting, value: f64) -> Result<()> {
    let step = app.world().resource::<StepCounter>().0;
    let experiment = &app.world().resource::<ActiveExperiment>().0;
    let path = setting.path();
    let tried = match setting.of(experiment) {
        Some(from) if from.to_bits() == value.to_bits() => return Ok(()),
        Some(from) => changed(experiment, path, value).map(|experiment| (from, experiment)),
        None => Err(Error::input(format!("this run has no {path} that could be changed"))),
    };
    let (from, experiment) = match tried {
        Ok(tried) => tried,
        Err(error) => {
            let refusal = Refusal { setting, reason: error.to_string() };
            snapshots.update(|snapshot| Arc::make_mut(&mut snapshot.refusals).push(refusal.clone()));
            return warn(app, snapshots, refusal.to_string());
        }
    };
    let world = app.world_mut();
    world.resource_mut::<ActiveExperiment>().0 = experiment;
    match setting {
        LiveSetting::LearningRate | LiveSetting::Temperature => {}
        LiveSetting::Lambda => {
            if let Some(mut settings) = world.get_resource_mut::<G2rlSettings>() {
                settings.0.lambda = value;
            }
        }
        LiveSetting::KlCoefficient => world.resource_mut::<KlCoefficient>().0 = value,
    }
    let edit = SettingEdit { path: path.into(), from: from.into(), to: value.into() };
    let edits = &mut world.resource_mut::<LiveEdits>().0;
    *edits = with_edit(std::mem::take(edits), edit.clone());
    record_event(app, snapshots, Event::edited(step, edit))
}

/// Writes a checkpoint between steps. Before the first step there is nothing to save.
fn save(app: &mut App) -> Result<()> {
    if app.world().resource::<StepCounter>().0 == 0 {
        return Ok(());
    }
    match app.world_mut().run_system_cached::<bevy_ecs::error::Result, _, _>(record_checkpoint) {
        Ok(result) => result.map_err(|error| Error::failed(error.to_string().trim())),
        Err(error) => Err(Error::failed(format!("cannot write a checkpoint: {error}"))),
    }
}

/// A system's error on its way out of the schedule.
struct StageFailure {
    system: String,
    message: String,
}

/// Leaves the schedule at once, so that no later stage runs, least of all the optimizer. Unwinding without a panic keeps the
/// terminal quiet; the error is shown once, by whoever waits for the run.
///
/// Every schedule on the way out calls this again; the first call has named the system.
fn end_the_step(mut error: BevyError, context: ErrorContext) {
    let message = match error.take_payload() {
        Some(payload) if payload.is::<StageFailure>() => resume_unwind(payload),
        Some(payload) => panicked(payload.as_ref()),
        None => error.to_string().trim().to_string(),
    };
    resume_unwind(Box::new(StageFailure { system: context.name().to_string(), message }));
}

fn panicked(payload: &(dyn Any + Send)) -> String {
    format!("panic: {}", panic_text(payload))
}
