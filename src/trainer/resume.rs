//! Continuing a run: from which checkpoint, with which settings, and what of them is not what
//! held until then.

use super::replaced;
use crate::error::{Error, Result};
use crate::experiment::{Adapter, Difference, Experiment, TaskConfig, differences, set};
use crate::files::{checksums, lock::FolderLock};
use crate::model::ModelFiles;
use crate::optim::STEPS;
use crate::run::{
    Event, EventKind, Manifest, ReplacedInput, Rewound, RunDir, SettingEdit, TrainerState,
};
use crate::weights::TensorFiles;
use std::path::{Path, PathBuf};

/// A run that is to continue.
pub(super) struct Resumption {
    pub(super) directory: RunDir,
    pub(super) lock: FolderLock,
    pub(super) overrides: Vec<String>,
    pub(super) from_step: Option<u64>,
    pub(super) accepts_changes: bool,
}

/// The same, after a look at its checkpoint.
pub(super) struct Resumed {
    pub(super) directory: RunDir,
    pub(super) lock: FolderLock,
    pub(super) folder: PathBuf,
    pub(super) state: TrainerState,
    pub(super) manifest: Option<Manifest>,
    pub(super) accepts_changes: bool,
    /// Whether the checkpoint says what its files were when they were written.
    has_checksums: bool,
    /// What `experiment.ron` says.
    file: Experiment,
    /// What held when the run ended.
    pub(super) held: Experiment,
    /// The file with all changes that the run itself recorded: what held, if nobody edited the
    /// file.
    recorded: Experiment,
    /// Settings in force that differ from the file's, the newest value of each.
    edits: Vec<SettingEdit>,
}

/// Whether a run of `last` steps with a checkpoint after `step` has more to do. One that was killed
/// after its last step has to be finished still.
pub(crate) fn continues(step: u64, last: u64, is_finished: bool) -> bool {
    step < last || (step == last && !is_finished)
}

/// What becomes of a setting that is another one on resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It decides no result: where to stop, what is recorded, how memory is used. `experiment.ron`
    /// has what holds.
    Free,
    /// It decides results from here on: an event, as of a live edit.
    Edit,
    /// It makes another run of it: only where the person insists.
    Identity,
    /// It decides what the weights in the checkpoint are: no other can continue from there.
    Fixed,
}

impl Kind {
    fn of(path: &str) -> Self {
        let within = |field: &str| {
            path == field || path.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'))
        };
        let any = |fields: &[&str]| fields.iter().any(|field| within(field));
        // What is read from there is compared itself.
        let read =
            ["model", "task.source", "task.held_out", "task.template", "task.template_variables"];
        if path == "adapter" || any(&["adapter.rank", "adapter.targets"]) {
            Self::Fixed
        } else if any(&read) || within("record.encoder") {
            Self::Edit
        } else if any(&["name", "seed", "precision", "adapter", "quantize_base", "task"])
            || path == "method"
        {
            Self::Identity
        } else if any(&["description", "stop", "record", "rollout.groups_at_a_time"])
            || any(&["objective.recompute_layers", "objective.offload_reference"])
        {
            Self::Free
        } else {
            Self::Edit
        }
    }
}

/// What is done with the settings of a resumed run.
pub(super) struct Settled {
    /// What `experiment.ron` has to say: what the run began with, but for what decides no result.
    pub(super) began: Experiment,
    /// Changes that are recorded as live edits are.
    pub(super) events: Vec<SettingEdit>,
    /// All of them, those before this one too: see [`TrainerState::edits`].
    pub(super) edits: Vec<SettingEdit>,
    /// Changes that decide no result.
    pub(super) free: Vec<Difference>,
}

impl Resumption {
    /// Finds and checks the checkpoint; returns what was found and the experiment to continue with.
    pub(super) fn look(self, file: Experiment) -> Result<(Resumed, Experiment)> {
        let Self { directory, lock, overrides, from_step, accepts_changes } = self;
        directory.restore_checkpoints()?;
        let (step, folder) = match from_step {
            Some(step) => directory.checkpoint(step)?,
            None => directory.newest_checkpoint()?,
        };
        let checked = check(&folder, step).map_err(|error| way_on(&directory, step, error))?;
        let Checked { state, experiment: at_checkpoint, has_checksums } = checked;
        // Changes after the checkpoint was written, but before the next step.
        let events =
            directory.read_events()?.into_iter().filter(|event: &Event| event.step == step);
        let later: Vec<SettingEdit> = events.filter_map(|event| event.edit().cloned()).collect();
        let edits =
            later.iter().fold(state.edits.clone(), |edits, edit| with_edit(edits, edit.clone()));
        let apply = |experiment: Experiment, edits: &[SettingEdit]| {
            edits
                .iter()
                .try_fold(experiment, |experiment, edit| set(&experiment, &edit.assignment()))
        };
        let recorded = apply(file.clone(), &edits)?;
        let held = match at_checkpoint {
            Some(experiment) => apply(experiment, &later)?,
            None => recorded.clone(),
        };
        if state.seed != held.seed {
            let path = folder.join("trainer.json");
            return Err(way_on(
                &directory,
                step,
                Error::input(format!(
                    "the checkpoint is of a run with seed {}, and this run's seed is {} ({})",
                    state.seed,
                    held.seed,
                    path.display()
                )),
            ));
        }
        check_problems(&state, &held, &folder).map_err(|error| way_on(&directory, step, error))?;
        let wanted = overrides
            .iter()
            .try_fold(recorded.clone(), |experiment, text| set(&experiment, text))?;
        let manifest =
            directory.read_manifest().map(|manifest| replaced::taken_back(manifest, step));
        let resumed = Resumed {
            directory,
            lock,
            folder,
            state,
            manifest,
            accepts_changes,
            has_checksums,
            file,
            held,
            recorded,
            edits,
        };
        Ok((resumed, wanted))
    }
}

impl Resumed {
    /// Sorts the settings in which `wanted`, complete and with absolute paths, differs from what
    /// held. Refuses those that make another run of it, unless changes are accepted.
    pub(super) fn settle(&self, wanted: &Experiment) -> Result<Settled> {
        let changes = differences(&self.held, wanted)?;
        let of = |kind: Kind| {
            let changes = changes
                .iter()
                .filter(|change| Kind::of(&change.path) == kind)
                .map(ToString::to_string);
            changes.collect::<Vec<_>>().join("; ")
        };
        let (fixed, identity) = (of(Kind::Fixed), of(Kind::Identity));
        let file = self.directory.path().join("experiment.ron");
        if !fixed.is_empty() {
            return Err(Error::input(format!(
                "another adapter cannot continue from the weights in the checkpoint: {fixed}; \
                 start another run with `orthant run` ({})",
                file.display()
            )));
        }
        if !identity.is_empty() && !self.accepts_changes {
            return Err(Error::input(format!(
                "that would be another run: {identity}; start one with `orthant run`, or continue \
                 with --accept-changes, which records the change ({})",
                file.display()
            )));
        }
        let by_hand = differences(&self.held, &self.recorded)?;
        let mut began = self.file.clone();
        let mut settled = Settled {
            began: began.clone(),
            events: Vec::new(),
            edits: self.edits.clone(),
            free: Vec::new(),
        };
        for change in changes {
            if Kind::of(&change.path) == Kind::Free {
                began = set(&began, &format!("{}={}", change.path, change.to))?;
                settled.free.push(change);
                continue;
            }
            if by_hand.iter().any(|edited| edited.path == change.path) {
                began = set(&began, &format!("{}={}", change.path, change.from))?;
            }
            let edit = SettingEdit::of(&change);
            settled.edits = with_edit(settled.edits, edit.clone());
            settled.events.push(edit);
        }
        settled.began = began;
        Ok(settled)
    }

    /// Whether `experiment.ron` says something else than it is to.
    pub(super) fn is_written(&self, settled: &Settled) -> bool {
        self.file == settled.began
    }

    /// Adds what other checkpoint could be continued from to an error about this one's content.
    /// With checksums it is whole, and what is wrong is something else.
    pub(super) fn way_on(&self, error: Error) -> Error {
        if self.has_checksums {
            return error;
        }
        way_on(&self.directory, self.state.step, error)
    }

    /// What happened on resume, oldest first.
    pub(super) fn events(
        &self,
        rewound: &Rewound,
        settled: &Settled,
        replaced: &[ReplacedInput],
    ) -> Vec<Event> {
        let step = self.state.step;
        let mut told = vec![format!("from step {step}")];
        told.extend(settled.free.iter().map(ToString::to_string));
        if !rewound.removed.is_empty() {
            told.push(format!("removed what came later: {}", rewound.removed.join(", ")));
        }
        let mut events = vec![Event::now(step, EventKind::Resumed, told.join("; "))];
        events.extend(rewound.damaged.iter().map(|text| Event::warning(step, text.as_str())));
        if !self.has_checksums {
            let text = format!(
                "the checkpoint of step {step} has no SHA256SUMS, as those of older versions have \
                 none, so nothing says whether its files are what was written ({})",
                self.folder.display()
            );
            events.push(Event::warning(step, text));
        }
        if self.manifest.is_none() {
            let text = "manifest.json is missing or damaged, so nothing says whether model and \
                        data are those that the run began with";
            events.push(Event::warning(step, text));
        }
        events.extend(replaced.iter().map(replaced::event));
        events.extend(settled.events.iter().map(|edit| Event::edited(step, edit.clone())));
        events
    }
}

/// Said where nothing keeps a second process away.
pub(super) const NO_LOCKS: &str = "the file system of the run folder has no locks, so nothing \
                                   keeps a second process from writing to the run";

/// `edits` and one more; what it makes void is dropped.
pub(super) fn with_edit(mut edits: Vec<SettingEdit>, edit: SettingEdit) -> Vec<SettingEdit> {
    let is_void = |path: &str| {
        path.strip_prefix(&*edit.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    edits.retain(|earlier| !is_void(&earlier.path));
    edits.push(edit);
    edits
}

/// What a checkpoint holds beside tensors.
struct Checked {
    state: TrainerState,
    experiment: Option<Experiment>,
    has_checksums: bool,
}

/// Refuses a checkpoint that is damaged or not what its folder says. Older versions wrote neither
/// checksums nor the experiment into it; where only one of them is missing somebody took it away.
fn check(folder: &Path, step: u64) -> Result<Checked> {
    let has_checksums = !RunDir::is_checkpoint_of_older_version(folder);
    if has_checksums {
        checksums::verify(folder)?;
    }
    let experiment = RunDir::checkpoint_experiment(folder)?;
    let state = TrainerState::read(folder)?;
    if state.step != step {
        let path = folder.join("trainer.json");
        return Err(Error::input(format!(
            "trainer.json says step {}, but its folder is of step {step} ({})",
            state.step,
            path.display()
        )));
    }
    let path = folder.join("trainer.safetensors");
    let trainer = TensorFiles::open_file(path.clone())
        .map_err(|error| Error::input(format!("the optimizer's state cannot be read: {error}")))?;
    if trainer.metadata(STEPS).is_some_and(|steps| steps != state.optimizer_steps.to_string()) {
        return Err(Error::input(format!(
            "trainer.json says {} optimizer steps, but trainer.safetensors is of another number \
             ({})",
            state.optimizer_steps,
            path.display()
        )));
    }
    // An adapter's base model is the run's own.
    let adapter = folder.join("adapter_model.safetensors");
    if experiment
        .as_ref()
        .map_or(adapter.exists(), |experiment| matches!(experiment.adapter, Adapter::Lora(_)))
    {
        TensorFiles::open_file(adapter)?;
    } else {
        ModelFiles::open_folder(folder)?;
    }
    Ok(Checked { state, experiment, has_checksums })
}

/// Refuses a number of dealt problems that the steps cannot have dealt.
fn check_problems(state: &TrainerState, held: &Experiment, folder: &Path) -> Result<()> {
    /// More than dynamic sampling and the curriculum deal per problem of a step.
    const MOST: u64 = 100_000;
    let Some(problems) = state.problems else { return Ok(()) };
    let least = if matches!(held.task, TaskConfig::Custom(_)) { 0 } else { state.step };
    let most = state.step.saturating_mul(held.rollout.prompts_per_step as u64).saturating_mul(MOST);
    if (least..=most).contains(&problems) {
        return Ok(());
    }
    let path = folder.join("trainer.json");
    Err(Error::input(format!(
        "trainer.json says that {problems} problems were dealt, which {} steps cannot have done \
         ({})",
        state.step,
        path.display()
    )))
}

/// An error about the checkpoint of `step`, with what can be done: the newest whole checkpoint
/// before it.
fn way_on(directory: &RunDir, step: u64, error: Error) -> Error {
    let Error::Input(message) = error else { return error };
    let run = directory.path();
    let earlier =
        directory.checkpoint_steps().unwrap_or_default().into_iter().rev().filter(|&at| at < step);
    let whole = earlier
        .into_iter()
        .find(|&at| directory.checkpoint(at).and_then(|(_, folder)| check(&folder, at)).is_ok());
    Error::input(match whole {
        Some(whole) => format!(
            "the checkpoint of step {step} cannot be used: {message}; the checkpoint of step \
             {whole} is whole: continue from it with `orthant run --resume {} --from-step {whole}`",
            run.display()
        ),
        None => format!(
            "the checkpoint of step {step} cannot be used: {message}; there is no whole one before \
             it; start the run again with `orthant run {}`",
            run.join("experiment.ron").display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_sorted_by_what_they_decide() {
        for (path, kind) in [
            ("stop.steps", Kind::Free),
            ("record.checkpoint_every", Kind::Free),
            ("record.encoder", Kind::Edit),
            ("rollout.groups_at_a_time", Kind::Free),
            ("rollout.group_size", Kind::Edit),
            ("method", Kind::Identity),
            ("method.lambda", Kind::Edit),
            ("seed", Kind::Identity),
            ("task", Kind::Identity),
            ("task.numbers", Kind::Identity),
            ("task.source", Kind::Edit),
            ("task.template_variables", Kind::Edit),
            ("task.verifier", Kind::Identity),
            ("model", Kind::Edit),
            ("precision", Kind::Identity),
            ("adapter", Kind::Fixed),
            ("adapter.rank", Kind::Fixed),
            ("adapter.alpha", Kind::Identity),
            ("quantize_base", Kind::Identity),
            ("evaluations", Kind::Edit),
        ] {
            assert_eq!(Kind::of(path), kind, "{path}");
        }
    }

    #[test]
    fn a_whole_section_makes_changes_within_it_void() {
        let edit = |path: &'static str, to: &str| SettingEdit {
            path: path.into(),
            from: 0.into(),
            to: to.into(),
        };
        let edits = ["method.lambda", "methods", "method"].map(|path| edit(path, "x"));
        let edits = edits.into_iter().fold(Vec::new(), with_edit);
        let paths: Vec<&str> = edits.iter().map(|edit| &*edit.path).collect();
        assert_eq!(paths, ["methods", "method"]);
    }
}
