//! What a person may ask of a trainer, and the settings that may change during a run.

use crate::error::{Error, Result};
use crate::escape::number;
use crate::experiment::{self, Experiment};
use bevy_ecs::world::World;
use serde_json::Value;
use std::fmt;
use std::hash::{Hash, Hasher};

/// What is declared of a setting that may be changed while the run continues, by whoever reads it.
pub struct LiveSettingKind {
    path: &'static str,
    name: &'static str,
    help: &'static str,
    of: Read,
    is_offered: fn(&Experiment) -> bool,
    apply: Option<fn(&mut World, f64)>,
}

/// How the value of a setting is read from an experiment.
#[derive(Clone, Copy)]
enum Read {
    Decimal(fn(&Experiment) -> Option<f64>),
    Whole(fn(&Experiment) -> Option<u64>),
}

/// Up to here every whole number is an `f64`.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

inventory::collect!(LiveSettingKind);

impl LiveSettingKind {
    /// A setting that systems read from the experiment in force, in every step: its `path` in the
    /// experiment, such as `method.lambda`, its `name` in the window, what it is in a sentence, and
    /// its value, which is `None` where an experiment has no such setting. The field must be one of
    /// decimals; [`LiveSettingKind::whole`] is for one of whole numbers.
    pub const fn new(
        path: &'static str,
        name: &'static str,
        help: &'static str,
        of: fn(&Experiment) -> Option<f64>,
    ) -> Self {
        Self { path, name, help, of: Read::Decimal(of), is_offered: |_| true, apply: None }
    }

    /// The same for a field of whole numbers, 0 or more: no other number is taken.
    pub const fn whole(
        path: &'static str,
        name: &'static str,
        help: &'static str,
        of: fn(&Experiment) -> Option<u64>,
    ) -> Self {
        Self { path, name, help, of: Read::Whole(of), is_offered: |_| true, apply: None }
    }

    /// The same for one that can only be changed in some runs that have it: says by the experiment
    /// with which the process began whether it can.
    #[must_use]
    pub const fn offered_if(self, is_offered: fn(&Experiment) -> bool) -> Self {
        Self { is_offered, ..self }
    }

    /// The same for one that systems read elsewhere: what else has to be changed.
    #[must_use]
    pub const fn apply(self, apply: fn(&mut World, f64)) -> Self {
        Self { apply: Some(apply), ..self }
    }
}

/// Registers a setting that may be changed while the run continues: takes a
/// [`LiveSettingKind`].
#[macro_export]
macro_rules! register_live_setting {
    ($kind:expr) => {
        $crate::__inventory::submit! { $kind }
    };
}

/// A setting that may be changed while the run continues.
#[derive(Clone, Copy)]
pub struct LiveSetting(&'static LiveSettingKind);

impl LiveSetting {
    /// All of them, in the order of their paths.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = inventory::iter::<LiveSettingKind>.into_iter().map(Self).collect();
        all.sort_unstable_by_key(|setting| setting.path());
        all
    }

    /// The one with this path, if it is registered and `experiment` has it.
    pub fn at(path: &str, experiment: &Experiment) -> Option<Self> {
        let all = inventory::iter::<LiveSettingKind>.into_iter().map(Self);
        all.filter(|setting| setting.path() == path).find(|it| it.of(experiment).is_some())
    }

    /// Whether it can be changed in a run that began, or was continued, with this experiment.
    pub fn is_offered(self, experiment: &Experiment) -> bool {
        self.of(experiment).is_some() && (self.0.is_offered)(experiment)
    }

    /// Its path in the experiment.
    pub fn path(self) -> &'static str {
        self.0.path
    }

    /// Its name in the window.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// What it is, in a sentence.
    pub fn help(self) -> &'static str {
        self.0.help
    }

    /// The experiment's value; `None` where it has no such setting.
    pub fn of(self, experiment: &Experiment) -> Option<f64> {
        match self.0.of {
            Read::Decimal(of) => of(experiment),
            Read::Whole(of) => of(experiment).map(|value| value as f64),
        }
    }

    /// Whether its values are whole numbers.
    pub fn is_whole(self) -> bool {
        matches!(self.0.of, Read::Whole(_))
    }

    /// A value of it as an experiment has it.
    pub fn text(self, value: f64) -> String {
        if self.is_whole() { format!("{:.0}", value + 0.0) } else { format!("{value:?}") }
    }

    /// A value of it as an event has it.
    pub(crate) fn json(self, value: f64) -> Value {
        if self.is_whole() { Value::from(value as u64) } else { Value::from(value) }
    }

    /// The experiment with another value of it, checked as the file is.
    pub(crate) fn changed(self, experiment: &Experiment, value: f64) -> Result<Experiment> {
        let is_whole = value.fract() == 0.0 && (0.0..=LARGEST_WHOLE).contains(&value);
        if self.is_whole() && !is_whole {
            let problem = format!("is {}; it must be a whole number, 0 or more", number(value));
            return Err(Error::field(self.path(), problem));
        }
        let assignment = format!("{}={}", self.path(), self.text(value));
        let changed = experiment::set(experiment, &assignment)?;
        changed.validate()?;
        Ok(changed)
    }

    /// Changes what has to be changed beside the experiment in force.
    pub(crate) fn apply(self, world: &mut World, value: f64) {
        if let Some(apply) = self.0.apply {
            apply(world, value);
        }
    }
}

impl PartialEq for LiveSetting {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for LiveSetting {}

impl Hash for LiveSetting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self.0).hash(state);
    }
}

impl fmt::Debug for LiveSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// A change of a setting that was asked for and cannot be.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The setting, which stays as it is.
    pub setting: LiveSetting,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stays as it is: {}", self.setting.path(), self.reason)
    }
}

/// What a person may ask of the trainer. Carried out between steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainerCommand {
    /// Wait after the current step.
    Pause,
    /// Continue.
    Resume,
    /// While paused: run one step and pause again.
    StepOnce,
    /// Write a checkpoint after the current step.
    Checkpoint,
    /// Change a setting from the next step on.
    Set(LiveSetting, f64),
    /// Finish the current step, write a checkpoint, end.
    Stop,
    /// Note that the window is gone without having been closed. A running trainer continues; a
    /// paused one, whom nobody could tell to continue, stops.
    WindowLost,
}
