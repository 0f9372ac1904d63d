//! The run folder, and the trainer's thread.

use super::load::Loaded;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, ModelSource};
use crate::files::lock::FolderLock;
use crate::machine;
use crate::model::{BACKWARD_STACK, LanguageModel};
use crate::run::{
    Event, EventKind, Manifest, RecordedState, ReplacedInput, RunDir, RunHandle, RunInfo,
    RunSnapshot, TrainerState,
};
use crate::tasks::Task;
use crate::trainer::orders::{self, Orders};
use crate::trainer::past::Past;
use crate::trainer::resume::{NO_LOCKS, Resumed, Settled};
use crate::trainer::run::Run;
use crate::trainer::thread::{Trained, train};
use candle_core::Device;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

impl Loaded {
    /// Makes the run folder, or takes that of a run that continues back to its checkpoint, and
    /// starts the thread.
    pub(super) fn spawn(mut self, runs: &Path) -> Result<Run> {
        let step = self.state.step;
        let place = match self.resumed.take() {
            Some((resumed, settled)) => {
                Place::again(resumed, settled, &self.replaced, &mut self.state)?
            }
            None => Place::new(runs, &self.experiment)?,
        };
        let Place { directory, lock, mut events, earlier, began } = place;
        if !lock.is_kept() {
            self.warnings.push(NO_LOCKS.to_string());
        }
        events.extend(self.warnings.into_iter().map(|text| Event::warning(step, text)));

        let path = directory.path();
        let info =
            run_info(&self.experiment, began, self.task.as_ref(), &self.model, &self.device, path);
        let mut manifest = manifest_of(&info, earlier, step);
        self.inputs.record(&mut manifest);
        manifest.replaced.extend(self.replaced);
        manifest.reread.extend(self.reread);
        record_beginning(&directory, &events, &manifest, &info)?;

        let past = Past::read(&directory, step)?;
        let (handle, commands) = RunHandle::new(RunSnapshot::starting(info));
        past.show(&handle);
        let orders = Orders::new(commands);
        let patience =
            orders::patience(orders.clone(), handle.snapshots.clone(), handle.attendance.clone());
        let directory =
            directory.with_patience(patience).with_checkpoints_of(self.checkpoint_bytes);
        let trained = Trained {
            experiment: self.experiment,
            task: self.task,
            suites: self.suites,
            model: self.model,
            frozen: self.frozen,
            optimizer: self.optimizer,
            state: self.state,
            directory,
            manifest,
            past,
            brought: self.brought,
        };
        let snapshots = handle.snapshots.clone();
        let thread = std::thread::Builder::new()
            .name("trainer".to_string())
            .stack_size(BACKWARD_STACK)
            .spawn(move || train(trained, lock, &snapshots, &orders))
            .map_err(|e| Error::failed(format!("cannot start the trainer's thread: {e}")))?;
        Ok(Run::new(handle, thread))
    }
}

/// Writes what happened before the first step, and what the run is.
fn record_beginning(
    directory: &RunDir,
    events: &[Event],
    manifest: &Manifest,
    info: &RunInfo,
) -> Result<()> {
    for event in events {
        directory.append_event(event)?;
        directory.log(&format!("{} {}", event.kind.name(), event.text))?;
    }
    directory.write_manifest(manifest)?;
    let (name, method, device, step) = (info.name(), info.method(), &info.device, manifest.step);
    directory.log(&format!("run of {name} with {method} on {device}, from step {step}"))
}

/// Where a run is written to, and what there is to say of its beginning.
struct Place {
    directory: RunDir,
    lock: FolderLock,
    /// What happened before the first step.
    events: Vec<Event>,
    /// The manifest of a run that continues.
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

    /// The folder of a run that continues, taken back to its checkpoint; changed settings take
    /// effect on what that carries over.
    fn again(
        resumed: Resumed,
        settled: Settled,
        replaced: &[ReplacedInput],
        state: &mut TrainerState,
    ) -> Result<Self> {
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

/// What a run says of itself while it trains, but for what it reads. A resumed run began when it
/// was first started.
fn manifest_of(info: &RunInfo, earlier: Option<Manifest>, step: u64) -> Manifest {
    let (started, replaced, reread) = match earlier {
        Some(earlier) => (earlier.started, earlier.replaced, earlier.reread),
        None => (format!("{:.0}", jiff::Timestamp::now()), Vec::new(), Vec::new()),
    };
    Manifest {
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: env!("ORTHANT_COMMIT").to_string(),
        device: info.device.clone(),
        model: info.model.clone(),
        task: Some(info.task.clone()),
        model_hash: String::new(),
        data_hash: String::new(),
        shape: None,
        inputs: BTreeMap::new(),
        replaced,
        reread,
        started,
        state: RecordedState::Training,
        step,
        is_of_older_version: false,
    }
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
    let count = if parameters >= 1e9 {
        format!("{:.1}B", parameters / 1e9)
    } else {
        format!("{:.2}M", parameters / 1e6)
    };
    RunInfo {
        experiment: Arc::new(experiment.clone()),
        began: Arc::new(began),
        task: task.name().to_string(),
        model: format!("{name}, {count} parameters"),
        device: machine::device_name(device),
        directory: directory.to_path_buf(),
    }
}
