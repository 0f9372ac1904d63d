//! The metrics of the built-in stages, each declared where it is measured.

pub use super::advantage::{
    GROUP_SHAPING_ONLY_RATIO, GROUP_STRATEGIES_MEAN, GROUP_UNIFORM_RATIO,
    REWARD_LENGTH_PENALTY_MEAN, REWARD_SHAPED_MEAN,
};
pub(crate) use super::clock::STAGE_TIMES;
pub use super::clock::{
    TIME_ADVANTAGE_S, TIME_EVALUATE_S, TIME_FEATURE_S, TIME_NOVELTY_S, TIME_SAMPLE_S, TIME_STEP_S,
    TIME_UPDATE_S, TIME_VERIFY_S,
};
pub use super::curriculum::CURRICULUM_SOLVE_RATE;
pub use super::dynamic::GROUP_RESAMPLED_RATIO;
pub use super::fidelity::{
    FIDELITY_ATTENTION_PEARSON, FIDELITY_EMBEDDINGS_PEARSON, FIDELITY_MLP_PEARSON,
    FIDELITY_NORMS_PEARSON, FIDELITY_PEARSON, FIDELITY_SPEARMAN,
};
pub use super::geometry::{
    GEOMETRY_CORRECT_COSINE_MEAN, GEOMETRY_CORRECT_NOVELTY_MEAN, GEOMETRY_COSINE_MEAN,
    GEOMETRY_COSINE_MEDIAN, GEOMETRY_COSINE_Q05, GEOMETRY_COSINE_Q95, GEOMETRY_EFFECTIVE_RANK,
    GEOMETRY_FEATURE_NORM_MEAN, GEOMETRY_INCORRECT_COSINE_MEAN, GEOMETRY_INCORRECT_NOVELTY_MEAN,
    GEOMETRY_MIXED_COSINE_MEAN, GEOMETRY_NEGATIVE_RATIO, GEOMETRY_ORTHOGONAL_RATIO,
};
pub use super::novelty::GEOMETRY_NOVELTY_MEAN;
pub use super::record::{
    GPU_BUSY_RATIO, MEMORY_GPU_PEAK_MIB, MEMORY_PEAK_MIB, MEMORY_RESIDENT_MIB,
    THROUGHPUT_TOKENS_PER_S, TIME_CPU_S,
};
pub use super::sample::{COMPLETION_LENGTH_MEAN, COMPLETION_TRUNCATED_RATIO, POLICY_ENTROPY};
pub use super::semantic::SEMANTIC_COSINE_MEAN;
pub use super::step_metrics::{DeclareMetrics, DeclaredMetrics};
pub use super::update::{
    POLICY_CLIP_RATIO, POLICY_GRAD_NORM, POLICY_KL, POLICY_KL_COEFFICIENT, POLICY_LEARNING_RATE,
    POLICY_LOSS, POLICY_SAMPLER_LOGPROB_GAP, POLICY_SAMPLER_LOGPROB_GAP_MEAN,
};
pub use super::verify::{COMPLETION_NO_ANSWER_RATIO, REWARD_ACCURACY, REWARD_MEAN};

use crate::metrics::{self, Metric};
use std::sync::Once;

/// The metrics of the stages of this program, stage after stage.
const BUILT_IN: [&[&Metric]; 12] = [
    super::clock::METRICS,
    super::sample::METRICS,
    super::verify::METRICS,
    super::dynamic::METRICS,
    super::curriculum::METRICS,
    super::geometry::METRICS,
    super::novelty::METRICS,
    super::fidelity::METRICS,
    super::semantic::METRICS,
    super::advantage::METRICS,
    super::update::METRICS,
    super::record::METRICS,
];

/// The metrics of the stages of this program.
pub fn built_in() -> impl Iterator<Item = &'static Metric> {
    BUILT_IN.into_iter().flatten().copied()
}

/// Makes the metrics of this program known, for whoever reads run folders without running a stage.
pub fn declare_built_in() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| BUILT_IN.into_iter().for_each(metrics::declare));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_unique_and_have_an_area() {
        let all: Vec<&Metric> = built_in().collect();
        for (i, metric) in all.iter().enumerate() {
            assert!(metric.name.split_once('/').is_some(), "{}", metric.name);
            assert!(
                all[..i].iter().all(|other| other.name != metric.name),
                "{} is declared twice",
                metric.name
            );
        }
    }
}
