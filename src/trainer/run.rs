//! A run as a program puts it together, starts it and waits for it.

use super::end::{RunEnd, panicked};
use super::resume::Resumption;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::model::LanguageModel;
use crate::run::{RunDir, RunHandle};
use crate::tasks::Task;
use bevy_app::{App, Plugin, PluginGroupBuilder};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Changes the app before it starts.
pub(super) type Extension = Box<dyn FnOnce(&mut App) + Send>;

/// Changes the group of stages before it is added.
pub(super) type StageChange = Box<dyn FnOnce(PluginGroupBuilder) -> PluginGroupBuilder + Send>;

/// A run that is being put together: an experiment, and what a program adds to it.
pub struct RunBuilder {
    pub(super) experiment: Experiment,
    pub(super) resumed: Option<Resumption>,
    pub(super) brought: Brought,
}

/// What a program adds to a run.
#[derive(Default)]
pub(super) struct Brought {
    pub(super) task: Option<Arc<dyn Task>>,
    pub(super) model: Option<LanguageModel>,
    pub(super) stage_changes: Vec<StageChange>,
    pub(super) extensions: Vec<Extension>,
}

/// A run that is under way in its own thread.
pub struct Run {
    /// Snapshots and commands.
    pub handle: RunHandle,
    thread: JoinHandle<Result<RunEnd>>,
}

impl Run {
    pub(super) fn new(handle: RunHandle, thread: JoinHandle<Result<RunEnd>>) -> Self {
        Self { handle, thread }
    }

    /// Waits for the end. A paused run that no other handle could resume ends where it is, without
    /// a checkpoint.
    pub fn join(self) -> Result<RunEnd> {
        drop(self.handle);
        self.thread.join().unwrap_or_else(|payload| Err(Error::failed(panicked(payload.as_ref()))))
    }
}

impl RunBuilder {
    /// A run of this experiment.
    pub fn new(experiment: Experiment) -> Self {
        Self { experiment, resumed: None, brought: Brought::default() }
    }

    /// Continues the run in this folder from its newest checkpoint, with the settings that held
    /// then. `overrides` are as for [`crate::experiment::set`], such as `stop.steps=300`, and win
    /// over these. The folder is locked from here on.
    pub fn resume(folder: &Path, overrides: &[String]) -> Result<Self> {
        let directory = RunDir::open(folder)?.0;
        directory.check_kinds(Path::symlink_metadata)?;
        let lock = directory.lock()?;
        // Read when nobody else can write it any more.
        let (directory, experiment) = RunDir::open(folder)?;
        let overrides = overrides.to_vec();
        let resumed =
            Resumption { directory, lock, overrides, from_step: None, accepts_changes: false };
        Ok(Self { resumed: Some(resumed), ..Self::new(experiment) })
    }

    /// Continues from the checkpoint of this step, where the run is resumed. Later checkpoints are
    /// set aside.
    #[must_use]
    pub fn from_step(mut self, step: Option<u64>) -> Self {
        if let Some(resumed) = &mut self.resumed {
            resumed.from_step = step;
        }
        self
    }

    /// Whether the resumed run may continue with another seed, task, method, model or data; what
    /// changed is recorded then.
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
        self.brought.task = Some(Arc::new(task));
        self
    }

    /// Provides the model to start from, in place of the one that the experiment names.
    #[must_use]
    pub fn model(mut self, model: LanguageModel) -> Self {
        self.brought.model = Some(model);
        self
    }

    /// Replaces stages: `stages(|group| group.disable::<VerifyPlugin>().add(MyVerifyPlugin))`.
    #[must_use]
    pub fn stages(
        mut self,
        change: impl FnOnce(PluginGroupBuilder) -> PluginGroupBuilder + Send + 'static,
    ) -> Self {
        self.brought.stage_changes.push(Box::new(change));
        self
    }

    /// Adds a plugin: a stage, a metric, a sink, or anything that reads along.
    #[must_use]
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.brought.extensions.push(Box::new(move |app| {
            app.add_plugins(plugin);
        }));
        self
    }
}
