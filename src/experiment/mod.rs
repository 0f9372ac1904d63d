//! Experiments: the file format, its validation and overrides, and the run folder.

mod config;
mod parse;
mod run_dir;

pub use config::{
    AdamWConfig, Adapter, ArithmeticConfig, CountdownConfig, DeviceChoice, DynamicSampling, EncoderSource,
    EntropyBonusConfig, EvaluationConfig, EvolRlConfig, Experiment, FidelityConfig, G2rlConfig, HeldOutConfig,
    HubRepository, KlConfig, Labels, MethodConfig, ModelSource, ObjectiveConfig, OptimizerConfig, Precision, Pretrain,
    RecordConfig, RolloutConfig, ShapeConfig, StopConfig, SuiteConfig, TaskConfig,
};
pub use parse::{from_text, locate, read, set, to_text};
pub use run_dir::{BlockFidelity, Event, FidelityRecord, GroupTokens, Manifest, RolloutRecord, RunDir, Tail};
