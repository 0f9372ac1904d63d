//! What programs built on this crate need most: tasks, methods and stages of their own, and runs of them.

pub use crate::error::{Error, Result};
pub use crate::experiment::{Experiment, from_text, read};
pub use crate::metrics::{Better, Metric, Plot};
pub use crate::rng;
pub use crate::rollout::{
    Advantage, CompletionText, Cosines, Embedding, Feature, GroupProblem, Groups, InGroup, Judged, Novelty,
    PromptGroup, PromptTokens, Response, Reward, Rollouts, SemanticCosines, ShapedReward,
};
pub use crate::run::{LiveSetting, RunHandle, RunSnapshot, RunState, TrainerCommand};
pub use crate::stages::{
    ActiveExperiment, ActiveTask, DeclareMetrics, EntropyCoefficient, FeatureDemand, Policy, SampleRound, SinkSystems,
    StageSystems, StepCounter, StepMetrics, TrainStep, center_group_advantages, compute_features, metrics,
    sample_completions, score_novelty, update_policy, verify_completions,
};
pub use crate::tasks::{Problem, Split, Task};
pub use crate::trainer::{Run, RunBuilder, RunEnd};
pub use crate::verify::{Verdict, Verification, boxed::last_boxed};
