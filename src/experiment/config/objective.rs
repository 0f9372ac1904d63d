//! What is maximised.

use super::range::{count, count_up_to, within};
use super::rollout::RolloutConfig;
use crate::error::{Error, Result};
use crate::objective::{
    AdvantageEstimator, AdvantageScale, KlEstimator, Loss, MAX_KL_COEFFICIENT, Objective,
    RatioLevel, Truncated,
};
use serde::{Deserialize, Serialize};

/// The loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Surrogate and weights of tokens: `Grpo`, `DrGrpo`, `Dapo`, `Bnpo`, `Gspo`, `Cispo`, `Sapo`,
    /// `DppoTv`, `DppoKl`, `Vespo`, `Gmpo` or `Luspo`. [`crate::objective`] has the table.
    pub loss: Loss,
    /// The ratio is clipped below 1 - `clip_low`. No effect on `Cispo`, `Sapo` and `Vespo`. For
    /// `Gmpo` the log-ratio is clipped below -`clip_low`, for `DppoTv` and `DppoKl` this is how far
    /// a token's probability may fall.
    pub clip_low: f64,
    /// The same above: 1 + `clip_high`. For `Gspo` and `Luspo` both are usually about 3e-4, for
    /// `Gmpo` 0.4.
    pub clip_high: f64,
    /// Whether the ratio is each token's own or the whole response's. Left out, the one that the
    /// loss is defined with: `Sequence` for `Gspo`, `Token` for the others. `Grpo` with `Sequence`
    /// is `Gspo`.
    pub ratio: Option<RatioLevel>,
    /// What becomes of responses that reach the token limit: `Keep`, `Mask` or
    /// `SoftPenalty(buffer: 32)`, which takes up to `strength` (1 if left out) from the reward over
    /// the last `buffer` tokens before the limit.
    pub truncated: Truncated,
    /// What a reward is compared with to become an advantage: `Grpo`, `Rloo`, `Opo`, `MaxRl` or
    /// `PassAtK`.
    pub advantage: AdvantageEstimator,
    /// What the difference is divided by: the deviation of the `Group` or of the `Batch`, or nothing
    /// (`Unscaled`). Left out, as the estimator is defined: `Group` for `Grpo` and `PassAtK`,
    /// `Unscaled` for the others.
    pub advantage_scale: Option<AdvantageScale>,
    /// The penalty for leaving the reference policy.
    pub kl: KlConfig,
    /// Passes over each batch of rollouts.
    pub epochs: usize,
    /// Optimizer steps per pass.
    pub minibatches: usize,
    /// Most tokens, prompts included, of one forward and backward pass. Decides memory, and the
    /// results no further than the order of sums does. A prompt is computed once for those of its
    /// responses that one pass takes. Left out, up to 4096 on a GPU and 2048 on the CPU as the
    /// memory allows. With memory to spare, 8192 or 16384 on a GPU; on the CPU 4096, 8192 or 16384,
    /// as many as four of the longest prompt take. The number is written into the run folder.
    pub micro_batch_tokens: Option<usize>,
    /// Whether backward computes every layer again instead of keeping what is in it (gradient
    /// checkpointing): a third more work for a fraction of the memory. Left out, where the memory
    /// of the device asks for it.
    pub recompute_layers: Option<bool>,
    /// Whether the frozen base model, which the KL term and EVOL-RL's encoder `Policy` ask, waits
    /// in the machine's memory and is on the device only while they ask, each once a step. An
    /// adapter's base model is the policy's own and stays. Left out, where the memory of the device
    /// asks for it.
    pub offload_reference: Option<bool>,
    /// Of how many groups of a step the forward pass of sampling is kept, so that the update begins
    /// with backward: less work for more memory. Left out, all, a half, a quarter, ... as the memory
    /// allows; the number is written into the run folder. No effect on a GPU, in `Bf16`, and where a
    /// step has more than one optimizer step.
    pub traced_groups: Option<usize>,
}

/// Most tokens of a forward and backward pass where nobody says.
pub const MICRO_BATCH_TOKENS: usize = 4096;

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            clip_low: 0.2,
            clip_high: 0.2,
            ratio: None,
            truncated: Truncated::default(),
            advantage: AdvantageEstimator::default(),
            advantage_scale: None,
            kl: KlConfig::default(),
            epochs: 1,
            minibatches: 1,
            micro_batch_tokens: None,
            recompute_layers: None,
            offload_reference: None,
            traced_groups: None,
        }
    }
}

impl ObjectiveConfig {
    /// The settings of the loss, with the KL coefficient in force and the entropy bonus that a
    /// method asks for.
    pub fn settings(&self, kl_coefficient: f64, entropy_coefficient: f64) -> Objective {
        Objective {
            loss: self.loss,
            ratio: self.ratio.unwrap_or(self.loss.ratio()),
            clip_low: self.clip_low,
            clip_high: self.clip_high,
            kl: self.kl.estimator,
            kl_coefficient,
            entropy_coefficient,
        }
    }

    /// The advantages of a step's groups, from rewards and lengths.
    pub fn advantages(&self, rewards: &[Vec<f32>], lengths: &[Vec<usize>]) -> Vec<Vec<f32>> {
        let scale = self.advantage_scale.unwrap_or(self.advantage.scale());
        self.advantage.advantages(scale, rewards, lengths)
    }

    /// Most tokens of one forward and backward pass.
    pub fn micro_batch_tokens(&self) -> usize {
        self.micro_batch_tokens.unwrap_or(MICRO_BATCH_TOKENS)
    }

    /// Optimizer steps on the rollouts of one step.
    pub fn passes(&self) -> usize {
        self.epochs * self.minibatches
    }

    pub(super) fn validate(&self, rollout: &RolloutConfig) -> Result<()> {
        match (self.loss, self.ratio) {
            (Loss::Gspo | Loss::Luspo, Some(RatioLevel::Token)) => {
                let problem = format!(
                    "is Token, but the loss {:?} is defined by the ratio of a whole response; leave \
                     `ratio` out or set it to Sequence, or choose the loss Grpo",
                    self.loss
                );
                return Err(Error::field("objective.ratio", problem));
            }
            (
                Loss::Sapo | Loss::DppoTv | Loss::DppoKl | Loss::Vespo | Loss::Gmpo,
                Some(RatioLevel::Sequence),
            ) => {
                let problem = format!(
                    "is Sequence, but the loss {:?} is defined by the ratios of single tokens; leave \
                     `ratio` out or set it to Token",
                    self.loss
                );
                return Err(Error::field("objective.ratio", problem));
            }
            (Loss::DrGrpo | Loss::Dapo | Loss::Bnpo | Loss::Cispo, Some(RatioLevel::Sequence)) => {
                let problem = format!(
                    "is Sequence, but the loss {:?} sums over tokens and would count a response's \
                     one ratio once per token; leave `ratio` out or set it to Token, or choose the \
                     loss Gspo",
                    self.loss
                );
                return Err(Error::field("objective.ratio", problem));
            }
            _ => {}
        }
        if let (
            AdvantageEstimator::MaxRl,
            Some(scale @ (AdvantageScale::Group | AdvantageScale::Batch)),
        ) = (self.advantage, self.advantage_scale)
        {
            let problem = format!(
                "is {scale:?}, but the advantage MaxRl is divided by the group's mean; leave \
                 `advantage_scale` out"
            );
            return Err(Error::field("objective.advantage_scale", problem));
        }
        within("objective.clip_low", self.clip_low, 0.0, 1.0)?;
        within("objective.clip_high", self.clip_high, 0.0, 100.0)?;
        self.kl.validate()?;
        if let Truncated::SoftPenalty { buffer, strength } = self.truncated {
            count_up_to(
                "objective.truncated.buffer",
                buffer,
                1,
                ("rollout.max_new_tokens", rollout.max_new_tokens),
            )?;
            within("objective.truncated.strength", strength, f64::MIN_POSITIVE, 100.0)?;
        }
        count("objective.epochs", self.epochs, 1, 100)?;
        let responses = rollout.prompts_per_step * rollout.group_size;
        let bound = "rollout.prompts_per_step` times `rollout.group_size";
        count_up_to("objective.minibatches", self.minibatches, 1, (bound, responses))?;
        count("objective.traced_groups", self.traced_groups.unwrap_or(0), 0, 4096)?;
        count("objective.micro_batch_tokens", self.micro_batch_tokens(), 1, usize::MAX)
    }
}

/// The penalty for leaving the reference policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KlConfig {
    /// Weight of the KL term; 0 leaves it and the reference's forward pass out. With a `target`,
    /// the weight in the first step.
    pub coefficient: f64,
    /// Per-token estimator.
    pub estimator: KlEstimator,
    /// The mean KL per token, nats, that the weight is adapted to from step to step; left out, the
    /// weight stays. [`crate::objective::adapted_kl_coefficient`] has the rule.
    pub target: Option<f64>,
    /// 1 / K of that rule: in so many steps a KL 10 % above its target raises the weight by about
    /// 10 %. The paper's K is 0.1.
    pub horizon: u64,
}

impl KlConfig {
    pub(super) fn validate(&self) -> Result<()> {
        within("objective.kl.coefficient", self.coefficient, 0.0, MAX_KL_COEFFICIENT)?;
        count("objective.kl.horizon", self.horizon as usize, 1, usize::MAX)?;
        let Some(target) = self.target else { return Ok(()) };
        within("objective.kl.target", target, f64::MIN_POSITIVE, f64::MAX)?;
        if self.coefficient == 0.0 {
            let problem = "is 0, which no adaptation changes; with a `target` give the weight to \
                           begin with, such as 0.001";
            return Err(Error::field("objective.kl.coefficient", problem));
        }
        if self.estimator == KlEstimator::K1 {
            let problem = "is K1, whose expected gradient is zero, so that no weight brings the KL \
                           to its `target`; choose K2 or K3, or leave `target` out";
            return Err(Error::field("objective.kl.estimator", problem));
        }
        Ok(())
    }
}

impl Default for KlConfig {
    fn default() -> Self {
        Self { coefficient: 0.001, estimator: KlEstimator::default(), target: None, horizon: 10 }
    }
}
