//! What programs built on this crate need most: tasks, methods and stages of their own, and runs of
//! them.

pub use crate::error::{Error, Result};
pub use crate::experiment::{
    EncoderSource, Experiment, Method, MethodColor, count, from_text, read, within,
};
pub use crate::metrics::{Better, Metric, Plot};
pub use crate::rng;
pub use crate::rollout::{
    Advantage, CompletionText, Cosines, Embedding, Feature, GroupProblem, Groups, InGroup, Judged,
    Novelty, PromptGroup, PromptTokens, Response, Reward, RewardParts, Rollouts, SemanticCosines,
    ShapedReward,
};
pub use crate::run::{
    LiveSetting, LiveSettingKind, RunHandle, RunSnapshot, RunState, TrainerCommand,
};
pub use crate::stages::{
    ActiveExperiment, ActiveTask, DeclareMetrics, EntropyCoefficient, FeatureDemand,
    FeatureWeights, NoveltySettings, Policy, SampleRound, Settings, SinkSystems, StageSystems,
    StepCounter, StepMetrics, TrainStep, VerifyPlugin, center_group_advantages, compute_features,
    metrics, sample_completions, score_novelty, update_policy, verify_completions,
};
pub use crate::tasks::{Problem, RewardPart, Split, Task, TaskReward};
pub use crate::trainer::{Run, RunBuilder, RunEnd};
pub use crate::verify::{Verdict, Verification, boxed::last_boxed};
pub use crate::{register_live_setting, register_method};
