//! Experiments: the file format, its validation and overrides.

mod config;
mod every;
mod parse;

pub use config::{
    AdamWConfig, Adapter, AnswerFormat, ArithmeticConfig, CountdownConfig, CurriculumConfig, DataSource, DatasetConfig,
    DeviceChoice, DynamicSampling, EncoderSource, EntropyBonusConfig, EvaluationConfig, EvolRlConfig, Experiment,
    FidelityConfig, FileSuite, G2rlConfig, HeldOutConfig, HeldOutSource, HubDataset, HubRepository, KlConfig, Labels,
    LoraConfig, LoraTarget, MICRO_BATCH_TOKENS, MethodConfig, ModelSource, NamedSuite, ObjectiveConfig,
    OptimizerConfig, Precision, Pretrain, RecordConfig, RolloutConfig, ShapeConfig, StopConfig, SuiteConfig,
    TaskConfig, TemplateValue, TemplateVariables,
};
pub use every::Every;
pub use parse::{Difference, differences, from_text, locate, read, set, to_text};
