//! Experiments: the file format, its validation and overrides, and the run folder.

mod checkpoints;
mod config;
mod events;
mod manifest;
mod parse;
mod rewind;
mod run_dir;
mod steps;
mod tail;

pub use config::{
    AdamWConfig, Adapter, AnswerFormat, ArithmeticConfig, CountdownConfig, CurriculumConfig, DataSource, DatasetConfig,
    DeviceChoice, DynamicSampling, EncoderSource, EntropyBonusConfig, EvaluationConfig, EvolRlConfig, Experiment,
    FidelityConfig, FileSuite, G2rlConfig, HeldOutConfig, HeldOutSource, HubDataset, HubRepository, KlConfig, Labels,
    LoraConfig, LoraTarget, MICRO_BATCH_TOKENS, MethodConfig, ModelSource, NamedSuite, ObjectiveConfig,
    OptimizerConfig, Precision, Pretrain, RecordConfig, RolloutConfig, ShapeConfig, StopConfig, SuiteConfig,
    TaskConfig, TemplateValue, TemplateVariables,
};
pub use events::{BlockFidelity, Event, FidelityRecord, SettingEdit};
pub use manifest::{Manifest, ReplacedInput};
pub use parse::{Difference, differences, from_text, locate, read, set, to_text};
pub use rewind::Rewound;
pub use run_dir::RunDir;
pub use steps::RolloutRecord;
pub use tail::Tail;
