//! A run as it is seen from outside: what is shown of it, what may be asked of it, and its folder.
//!
//! Everybody may read this module; it knows none of those who make a run. A trainer of this process
//! and a folder that another process writes to give the same [`RunSnapshot`]s.

mod command;
mod evaluation;
mod event;
mod folder;
mod handle;
mod info;
mod snapshot;
mod stage;
mod standing;
mod state;
mod tokens;
mod view;
mod watch;

pub use command::{LiveSetting, LiveSettingKind, Refusal, TrainerCommand};
pub use evaluation::{Estimate, EvaluationRecord};
pub use event::{Event, EventKind, SettingEdit};
pub use folder::{
    BlockFidelity, FidelityRecord, Manifest, RecordedState, ReplacedInput, Rewound, RolloutRecord,
    RunDir, Tail, TrainerState,
};
pub(crate) use folder::{ENCODER, TEMPLATE};
pub use handle::{Attendance, RunHandle};
pub use info::RunInfo;
pub use snapshot::{Change, RunSnapshot, SnapshotCell};
pub use stage::{Stage, StageProgress, StageTimes};
pub(crate) use standing::Standing;
pub use state::RunState;
pub use tokens::GroupTokens;
pub use view::{CosineKind, GroupCosines, GroupView, RolloutView, StepView};
pub use watch::WatchedRun;
