//! Experiments: the file format, its validation and overrides.

mod config;
mod every;
mod method;
mod parse;

pub(crate) use config::Bounds;
pub use config::{
    AdamWConfig, Adapter, ArithmeticConfig, CountdownConfig, CurriculumConfig, DataSource,
    DatasetConfig, DeviceChoice, DynamicSampling, EncoderSource, EvaluationConfig, Experiment,
    FidelityConfig, FileSuite, HeldOutConfig, HeldOutSource, HubDataset, HubRepository, KlConfig,
    LoraConfig, LoraTarget, MICRO_BATCH_TOKENS, ModelSource, NamedSuite, ObjectiveConfig,
    OptimizerConfig, Precision, Pretrain, Quantisation, RecordConfig, RolloutConfig, ShapeConfig,
    StopConfig, SuiteConfig, TaskConfig, TemplateValue, TemplateVariables, count, within,
};
pub use every::Every;
pub use method::{Method, MethodColor, MethodConfig, MethodKind};
pub use parse::{Difference, differences, from_text, locate, read, set, to_text};
