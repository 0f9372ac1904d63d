//! A run is put together: everything is loaded and checked, then the trainer's thread begins.

use super::inputs::Inputs;
use super::orders::{self, Orders};
use super::past::Past;
use super::policy::{FrozenBase, state_of};
use super::resume::{NO_LOCKS, Resumed, Resumption, Settled, goes_on};
use super::sources::{Source, settle_sources};
use super::thread::{Loaded, panicked, train};
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::{Experiment, MethodConfig, ModelSource, TaskConfig};
use crate::files::{lock::FolderLock, space};
use crate::machine;
use crate::memory::Plan;
use crate::model::{LanguageModel, ModelFiles, TextTokenizer, data_type, open_device};
use crate::run::{
    Event, EventKind, Manifest, RecordedState, ReplacedInput, RunDir, RunHandle, RunInfo, RunSnapshot, TrainerState,
};
use crate::stages::metrics;
use crate::tasks::{self, Room, Task};
use bevy_app::{App, Plugin, PluginGroupBuilder};
use candle_core::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Backward passes recurse over the graph, whose depth grows with the number of layers.
const STACK_BYTES: usize = 256 << 20;

/// Changes the app before it starts.
pub(super) type Extension = Box<dyn FnOnce(&mut App) + Send>;

/// Changes the group of stages before it is added.
pub(super) type StageChange = Box<dyn FnOnce(PluginGroupBuilder) -> PluginGroupBuilder + Send>;

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
        directory.check_kinds(Path::symlink_metadata)?;
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
        metrics::declare_built_in();
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
        check_method(&experiment, extensions.is_empty())?;
        let device = open_device(experiment.device)?;
        let dtype = data_type(experiment.precision);
        let source = match model {
            Some(model) => Source::Loaded(Box::new(model)),
            None => Source::Files(Box::new(ModelFiles::open(&experiment.model)?)),
        };
        let (shape, tokenizer) = source.parts();
        let room = tasks::room(experiment.rollout.max_new_tokens, shape.max_position_embeddings)?;
        let task = task_of(&experiment, task, tokenizer, room)?;
        check_curriculum(&experiment, task.as_ref())?;
        let prompt = tasks::check_length(task.as_ref(), experiment.seed, tokenizer, room)?;
        let plan = Plan::new(&experiment, shape, prompt, device.is_cpu(), machine::available(&device));
        plan.check(&experiment, &machine::device_name(&device))?;
        plan.settle(&mut experiment);
        let settled = resumed.as_ref().map(|resumed| resumed.settle(&experiment)).transpose()?;
        let place = resumed.as_ref().map_or(runs, |resumed| resumed.directory.path());
        let checkpoint_bytes = plan.workload.checkpoint_bytes();
        let room = check_room(&experiment, checkpoint_bytes, step, place)?;
        let hash_before = hash_before(&experiment, resumed.as_ref(), &source, &device)?;
        let base = source.load(dtype, &device)?;
        let notes_of_model = base.notes().to_vec();
        let suites = suites_of(&experiment, &task, &base)?;
        let inputs =
            Inputs::new(&experiment, &base, task.as_ref(), &suites, resumed.as_ref().map(|resumed| &resumed.held))?
                .with_model_before(hash_before);
        let replaced = resumed.as_ref().map_or(Ok(Vec::new()), |resumed| inputs.check(resumed))?;
        let unknown = resumed.as_ref().and_then(|resumed| inputs.unknown(resumed.manifest.as_ref()?));
        let frozen = FrozenBase::new(&experiment, &base, resumed.is_none(), &device)?;
        let (model, optimizer, mut state) = state_of(&experiment, base, resumed.as_ref(), dtype, &device)?;
        let place = match resumed.zip(settled) {
            Some((resumed, settled)) => Place::again(resumed, settled, &replaced, &mut state)?,
            None => Place::new(runs, &experiment)?,
        };
        let Place { directory, lock, mut events, earlier, began } = place;
        events.extend(notes(&notes_of_model, &suites, task.as_ref(), step));
        events.extend(unknown.into_iter().chain(room).map(|text| Event::warning(step, text)));
        if !lock.is_kept() {
            events.push(Event::warning(step, NO_LOCKS));
        }
        let info = run_info(&experiment, began, task.as_ref(), &model, &device, directory.path());
        let mut manifest = manifest_of(&info, earlier, step);
        inputs.record(&mut manifest);
        manifest.replaced.extend(replaced);
        record_beginning(&directory, &events, &manifest, &info)?;
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

/// Refuses a method that is not part of this program where nobody brings one.
fn check_method(experiment: &Experiment, is_alone: bool) -> Result<()> {
    match &experiment.method {
        MethodConfig::Custom(name) if is_alone => Err(Error::input(format!(
            "the method `{name}` is not part of this program; method: Custom(..) is for programs that add their own"
        ))),
        _ => Ok(()),
    }
}

/// Refuses a curriculum over problems that are all of one level.
fn check_curriculum(experiment: &Experiment, task: &dyn Task) -> Result<()> {
    if experiment.rollout.curriculum.is_none() || task.levels() > 1 {
        return Ok(());
    }
    let problem = format!("needs levels of difficulty, and the task `{}` has none; leave it out", task.name());
    Err(Error::field("rollout.curriculum", problem))
}

/// Writes what happened before the first step, and what the run is.
fn record_beginning(directory: &RunDir, events: &[Event], manifest: &Manifest, info: &RunInfo) -> Result<()> {
    for event in events {
        directory.append_event(event)?;
        directory.log(&format!("{} {}", event.kind.name(), event.text))?;
    }
    directory.write_manifest(manifest)?;
    let (name, method, device, step) = (info.name(), info.method(), &info.device, manifest.step);
    directory.log(&format!("run of {name} with {method} on {device}, from step {step}"))
}

/// Refuses to resume a run that has nothing more to do.
fn check_end(resumed: Option<&Resumed>, last: u64) -> Result<()> {
    let Some(resumed) = resumed else { return Ok(()) };
    let step = resumed.state.step;
    let is_finished = resumed.manifest.as_ref().is_some_and(|manifest| manifest.state == RecordedState::Finished);
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
        let events = vec![Event::now(0, EventKind::Started, "")];
        Ok(Self { directory, lock, events, earlier: None, began: experiment.clone() })
    }

    /// The folder of a run that goes on, taken back to its checkpoint; changed settings take effect on what that carries over.
    fn again(resumed: Resumed, settled: Settled, replaced: &[ReplacedInput], state: &mut TrainerState) -> Result<Self> {
        let rewound = resumed.directory.rewind(state.step)?;
        resumed.directory.make_folders()?;
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
        state: RecordedState::Training,
        step,
        is_of_older_version: false,
    }
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
    notes.chain(overlaps).map(|text| Event::warning(step, text)).collect()
}

fn run_info(
    experiment: &Experiment,
    began: Experiment,
    task: &dyn Task,
    model: &LanguageModel,
    device: &Device,
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
        experiment: Arc::new(experiment.clone()),
        began: Arc::new(began),
        task: task.name().to_string(),
        model: format!("{name}, {count} parameters"),
        device: machine::device_name(device),
        directory: directory.to_path_buf(),
    }
}
