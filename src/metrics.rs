//! The fixed vocabulary of metrics: each declared once, with its unit, what it means, and which direction is good.

use std::sync::Arc;

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Larger values are better.
    Higher,
    /// Smaller values are better.
    Lower,
    /// It depends; the help text says on what.
    Neither,
}

/// The declaration of one metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// `area/name`, the key in `metrics.jsonl`.
    pub name: &'static str,
    /// The unit, empty for plain numbers.
    pub unit: &'static str,
    /// Which direction is good.
    pub better: Better,
    /// One or two sentences with the formula, for tooltips.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident, $name:literal, $unit:literal, $better:ident, $help:literal;)*) => {
        $(#[doc = $help] pub static $id: Metric = Metric { name: $name, unit: $unit, better: Better::$better, help: $help };)*
        /// Every metric that the built-in stages record, in the order of `metrics.jsonl`.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    REWARD_MEAN, "reward/mean", "", Higher, "Mean base reward of the completions sampled in the step: +1 for a correct answer, -1 otherwise.";
    REWARD_SHAPED_MEAN, "reward/shaped_mean", "", Neither, "Mean of the rewards that advantages are made of: base rewards after the method's shaping and the penalty for length.";
    REWARD_ACCURACY, "reward/accuracy", "", Higher, "Share of the completions sampled in the step that are correct.";
    REWARD_LENGTH_PENALTY_MEAN, "reward/length_penalty_mean", "", Higher, "Mean of what responses near the token limit lose of their reward, 0 or less (objective.truncated).";
    GROUP_UNIFORM_RATIO, "group/uniform_ratio", "", Lower, "Share of the groups trained on whose base rewards are all equal. GRPO learns nothing from them.";
    GROUP_SHAPING_ONLY_RATIO, "group/shaping_only_ratio", "", Neither, "Share of groups whose signal comes from shaping or the penalty for length alone: equal base rewards, unequal shaped rewards.";
    GROUP_RESAMPLED_RATIO, "group/resampled_ratio", "", Lower, "Groups sampled in further rounds of dynamic sampling, per prompt of the step: 0 where the first round had a signal everywhere.";
    CURRICULUM_SOLVE_RATE, "curriculum/solve_rate", "", Neither, "Mean solve rate, as measured before the step, of the levels of the problems drawn: near one half where the curriculum finds what it looks for.";
    COMPLETION_LENGTH_MEAN, "completion/length_mean", "tokens", Neither, "Mean response length, the end-of-sequence token included.";
    COMPLETION_TRUNCATED_RATIO, "completion/truncated_ratio", "", Lower, "Share of responses cut off at the token limit.";
    COMPLETION_NO_ANSWER_RATIO, "completion/no_answer_ratio", "", Lower, "Share of responses without a final answer.";
    POLICY_ENTROPY, "policy/entropy", "nats", Neither, "Mean entropy per response token of the sampling distribution. A fast fall means that diversity collapses.";
    POLICY_KL, "policy/kl", "nats", Lower, "Mean KL divergence from the reference policy per token trained on, by the estimator of the objective.";
    POLICY_KL_COEFFICIENT, "policy/kl_coefficient", "", Neither, "Weight of the KL term in the step; moves where objective.kl has a target.";
    POLICY_CLIP_RATIO, "policy/clip_ratio", "", Neither, "Share of the tokens trained on whose probability ratio was clipped with effect.";
    POLICY_LOSS, "policy/loss", "", Neither, "The objective that was minimised, KL term and entropy bonus included.";
    POLICY_GRAD_NORM, "policy/grad_norm", "", Neither, "Global L2 norm of the gradient before clipping.";
    POLICY_LEARNING_RATE, "policy/learning_rate", "", Neither, "Learning rate of the step, after warm-up.";
    POLICY_SAMPLER_LOGPROB_GAP, "policy/sampler_logprob_gap", "nats", Lower, "Largest |difference| between a log-probability recorded while sampling and the one recomputed in the update.";
    GEOMETRY_COSINE_MEAN, "geometry/cosine_mean", "", Neither, "Mean cosine between the gradient directions (Phi) of two responses of a group, over all pairs.";
    GEOMETRY_COSINE_Q05, "geometry/cosine_q05", "", Neither, "The cosine that 5 % of the pairs within groups lie below.";
    GEOMETRY_COSINE_MEDIAN, "geometry/cosine_median", "", Neither, "Median cosine over all pairs within groups.";
    GEOMETRY_COSINE_Q95, "geometry/cosine_q95", "", Neither, "The cosine that 95 % of the pairs within groups lie below.";
    GEOMETRY_CORRECT_COSINE_MEAN, "geometry/correct_cosine_mean", "", Neither, "Mean cosine over pairs of correct responses: high where correct answers all push the policy the same way.";
    GEOMETRY_MIXED_COSINE_MEAN, "geometry/mixed_cosine_mean", "", Lower, "Mean cosine over pairs of a correct and an incorrect response: where it is high, reinforcing one reinforces the other.";
    GEOMETRY_INCORRECT_COSINE_MEAN, "geometry/incorrect_cosine_mean", "", Neither, "Mean cosine over pairs of incorrect responses.";
    GEOMETRY_NEGATIVE_RATIO, "geometry/negative_ratio", "", Higher, "Share of pairs within groups with a negative cosine: responses that pull the policy in opposing directions.";
    GEOMETRY_ORTHOGONAL_RATIO, "geometry/orthogonal_ratio", "", Higher, "Share of pairs within groups with |cosine| < 0.1: responses that teach independent things.";
    GEOMETRY_EFFECTIVE_RANK, "geometry/effective_rank", "", Higher, "Mean over groups of exp(entropy of the normalised eigenvalues of the cosine matrix): how many directions a group spans.";
    GEOMETRY_NOVELTY_MEAN, "geometry/novelty_mean", "", Neither, "Mean exploration score nu: the part of a direction that high-reward peers do not explain.";
    GEOMETRY_CORRECT_NOVELTY_MEAN, "geometry/correct_novelty_mean", "", Neither, "Mean exploration score nu of correct responses.";
    GEOMETRY_INCORRECT_NOVELTY_MEAN, "geometry/incorrect_novelty_mean", "", Neither, "Mean exploration score nu of incorrect responses.";
    GEOMETRY_FEATURE_NORM_MEAN, "geometry/feature_norm_mean", "", Neither, "Mean L2 norm of the sequence features Phi: how hard a response pulls at the last layer, per token.";
    FIDELITY_PEARSON, "fidelity/pearson", "", Higher, "Pearson correlation, over pairs within groups, of the cosines of features with the cosines of gradients over all parameters: 1 means that the cheap proxy tells the truth.";
    FIDELITY_SPEARMAN, "fidelity/spearman", "", Higher, "The same as fidelity/pearson for ranks: whether the proxy puts pairs in the right order.";
    FIDELITY_EMBEDDINGS_PEARSON, "fidelity/embeddings_pearson", "", Higher, "fidelity/pearson for the gradients of the embeddings, which are the head too where they are tied.";
    FIDELITY_ATTENTION_PEARSON, "fidelity/attention_pearson", "", Higher, "fidelity/pearson for the gradients of the attention's projections.";
    FIDELITY_MLP_PEARSON, "fidelity/mlp_pearson", "", Higher, "fidelity/pearson for the gradients of the MLPs.";
    FIDELITY_NORMS_PEARSON, "fidelity/norms_pearson", "", Higher, "fidelity/pearson for the gradients of the norms' weights.";
    SEMANTIC_COSINE_MEAN, "semantic/cosine_mean", "", Neither, "Mean cosine between the sentence embeddings of two responses of a group.";
    TIME_SAMPLE_S, "time/sample_s", "s", Lower, "Time of the sampling stage.";
    TIME_VERIFY_S, "time/verify_s", "s", Lower, "Time of the verification stage.";
    TIME_FEATURE_S, "time/feature_s", "s", Lower, "Time of the stages between verification and update: features, cosines, novelty, advantages.";
    TIME_NOVELTY_S, "time/novelty_s", "s", Lower, "Time of the novelty stage, which is part of time/feature_s.";
    TIME_ADVANTAGE_S, "time/advantage_s", "s", Lower, "Time of the advantage stage, which is part of time/feature_s.";
    TIME_UPDATE_S, "time/update_s", "s", Lower, "Time of the update stage: forward, loss, backward and optimizer.";
    TIME_EVALUATE_S, "time/evaluate_s", "s", Lower, "Time of held-out evaluations in the step; not part of the step's time.";
    TIME_CPU_S, "time/cpu_s", "s", Neither, "Processor time of the whole process since the step before, all cores together.";
    TIME_STEP_S, "time/step_s", "s", Lower, "Time of the whole step without evaluations.";
    THROUGHPUT_TOKENS_PER_S, "throughput/tokens_per_s", "tokens/s", Higher, "Response tokens sampled in the step divided by the time of the step.";
    MEMORY_PEAK_MIB, "memory/peak_mib", "MiB", Lower, "Largest resident memory of the process so far.";
    MEMORY_GPU_PEAK_MIB, "memory/gpu_peak_mib", "MiB", Lower, "Most memory that tensors on the GPU took at one time in the step.";
    GPU_BUSY_RATIO, "gpu/busy_ratio", "", Higher, "Share of the step's time in which the GPU computed, by the driver's samples; what is missing waits for the processor.";
    MEMORY_RESIDENT_MIB, "memory/resident_mib", "MiB", Lower, "Resident memory of the process at the end of the step.";
}

/// The metric of that name, if the built-in stages declare one.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| metric.name == name)
}

/// The values of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricRow {
    /// The step, counted from 1.
    pub step: u64,
    /// Seconds since the run started or was resumed.
    pub wall_s: f64,
    /// The values that apply, in the order in which they were set.
    pub values: Vec<(&'static Metric, f64)>,
}

impl MetricRow {
    /// Reads a line of `metrics.jsonl`; `None` where it is not one, as without any metric. What is null is not a number, nor what other programs write as
    /// `NaN` or `Infinity`. Metrics that no built-in stage declares are left out.
    pub fn from_json(line: &str) -> Option<Self> {
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).or_else(|_| serde_json::from_str(&with_nulls(line))).ok()?;
        fields.keys().find(|name| name.contains('/'))?;
        let number = |value: &serde_json::Value| if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
        let values = fields.iter().filter_map(|(name, value)| Some((find(name)?, number(value)?))).collect();
        let wall_s = fields.get("wall_s").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        Some(Self { step: fields.get("step")?.as_u64()?, wall_s, values })
    }

    /// The value of `metric` at this step, if it applies.
    pub fn get(&self, metric: &Metric) -> Option<f64> {
        self.values.iter().find(|(m, _)| m.name == metric.name).map(|(_, value)| *value)
    }
}

/// `line` with null in place of the words for what is no number, which JSON does not have.
fn with_nulls(line: &str) -> String {
    let mut text = line.to_owned();
    for word in ["-Infinity", "Infinity", "NaN"] {
        // Only as a value: names of metrics are not touched.
        for before in [":", ": "] {
            text = text.replace(&format!("\"{before}{word}"), &format!("\"{before}null"));
        }
    }
    text
}

/// Rows per shared chunk of a [`History`].
const CHUNK: usize = 256;

/// All rows so far: append-only, and cheap to clone because full chunks are shared.
#[derive(Clone, Debug, Default)]
pub struct History {
    full: Arc<Vec<Arc<Vec<MetricRow>>>>,
    tail: Arc<Vec<MetricRow>>,
}

impl History {
    /// Appends the row of the next step.
    pub fn push(&mut self, row: MetricRow) {
        let tail = Arc::make_mut(&mut self.tail);
        tail.push(row);
        if tail.len() == CHUNK {
            let chunk = std::mem::take(tail);
            Arc::make_mut(&mut self.full).push(Arc::new(chunk));
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.full.len() * CHUNK + self.tail.len()
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &MetricRow> {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(self.tail.iter())
    }

    /// The row of `step`, if there is one. Rows stand in the order of their steps.
    pub fn at(&self, step: u64) -> Option<&MetricRow> {
        let chunk = self.full.partition_point(|chunk| chunk.last().is_some_and(|row| row.step < step));
        let rows = self.full.get(chunk).unwrap_or(&self.tail);
        rows.get(rows.partition_point(|row| row.step < step)).filter(|row| row.step == step)
    }

    /// The newest row.
    pub fn last(&self) -> Option<&MetricRow> {
        self.tail.last().or_else(|| self.full.last().and_then(|chunk| chunk.last()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keeps_order_across_chunks_and_clones_do_not_change() {
        let mut history = History::default();
        for step in 1..=600 {
            history.push(MetricRow { step, ..MetricRow::default() });
        }
        let before = history.clone();
        history.push(MetricRow { step: 601, ..MetricRow::default() });
        assert_eq!(before.len(), 600);
        assert_eq!(history.iter().map(|row| row.step).collect::<Vec<_>>(), (1..=601).collect::<Vec<_>>());
        assert_eq!(before.last().map(|row| row.step), Some(600));
        assert!((1..=601).all(|step| history.at(step).is_some_and(|row| row.step == step)));
        assert!(before.at(0).is_none() && before.at(601).is_none());
    }

    #[test]
    fn null_is_not_a_number_and_what_is_absent_is_not_there() {
        let row = MetricRow::from_json(r#"{"step":3,"wall_s":1.5,"policy/kl":null,"policy/entropy":0.5}"#).unwrap();
        assert!(row.get(&POLICY_KL).is_some_and(f64::is_nan));
        assert_eq!((row.get(&POLICY_ENTROPY), row.get(&REWARD_MEAN)), (Some(0.5), None));
        for line in ["", "{}", "[]", r#"{"step":3}"#, r#"{"step":3,"wall_s":1.5}"#, r#"{"policy/kl":0.1}"#] {
            assert_eq!(MetricRow::from_json(line), None, "{line}");
        }
    }

    #[test]
    fn words_for_what_is_no_number_are_read_as_such() {
        let line = r#"{"step": 2, "policy/loss": NaN, "policy/kl":-Infinity,"policy/entropy":Infinity, "wall_s": 3.0}"#;
        let row = MetricRow::from_json(line).unwrap();
        assert_eq!((row.step, row.wall_s), (2, 3.0));
        for metric in [&POLICY_LOSS, &POLICY_KL, &POLICY_ENTROPY] {
            assert!(row.get(metric).is_some_and(f64::is_nan), "{}", metric.name);
        }
        assert_eq!(MetricRow::from_json(r#"{"step": 2, "policy/loss": NaNa}"#), None);
    }

    #[test]
    fn metric_names_are_unique_and_have_an_area() {
        for (i, metric) in ALL.iter().enumerate() {
            assert!(metric.name.split_once('/').is_some(), "{}", metric.name);
            assert!(ALL[..i].iter().all(|other| other.name != metric.name), "{} is declared twice", metric.name);
        }
    }
}
