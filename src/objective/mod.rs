//! What is maximised: advantages, the policy's surrogate, the KL penalty, the entropy bonus, and
//! how tokens are weighed.
//!
//! With `l`, `l_old`, `l_ref` the log-probabilities (nats, at the sampling temperature) of a
//! response token under the policy, the policy that sampled it and the reference policy, `A` its
//! response's advantage and `H` the policy's entropy at it, the loss of a mini-batch (the responses
//! of one optimizer step) is
//!
//! ```text
//! loss = - sum over tokens of weight * (S - beta * KL)  -  c * mean over tokens of H
//! ```
//!
//! `objective.loss` of an experiment chooses the surrogate `S` and the weight. With
//! `rho = exp(l - l_old)`, `L` the tokens of the token's response, and [`clip_low`,
//! `clip_high`](Objective::clip_low):
//!
//! | `loss` | Ratio `r` | Surrogate `S` | Weight of a token | Source |
//! |---|---|---|---|---|
//! | `Grpo` | `rho`, or as `Gspo` where `ratio` is `Sequence` | `min(r A, clip(r, 1 - clip_low, 1 + clip_high) A)` | `1 / (responses * L)`: mean over responses of token means | GRPO, arXiv 2402.03300 |
//! | `Gspo` | `exp(mean over the response of (l - l_old))` | the same | as `Grpo` | GSPO, arXiv 2507.18071 |
//! | `DrGrpo` | `rho` | the same | `1 / (responses * response limit)`: no length bias | Dr. GRPO, arXiv 2503.20783 |
//! | `Dapo` | `rho` | the same | `minibatches / tokens of all rollouts`: every token of the step counts alike | DAPO, arXiv 2503.14476 |
//! | `Bnpo` | `rho` | the same | `1 / tokens of the mini-batch` | TRL's `bnpo` |
//! | `Cispo` | `rho` | `min(r, 1 + clip_high) A l`, the minimum a constant | as `Dapo` | CISPO, MiniMax-M1, arXiv 2506.13585 |
//!
//! | `Sapo` | `rho` | `(4 / tau) sigmoid(tau (r - 1)) A`, tau 1 where A > 0, and else 1.05 | as `Grpo` | SAPO, arXiv 2511.20347 |
//! | `DppoTv` | `rho` | `min(r, 20) A l`, the minimum a constant; none where `p - p_old > clip_high` and A > 0, or `p - p_old < -clip_low` and A < 0 | as `Dapo` | DPPO, arXiv 2602.04879 |
//! | `DppoKl` | `rho` | the same; none where the KL divergence of "this token or another one" is above `clip_high` and p has risen and A > 0, or above `clip_low` and p has fallen and A < 0 | as `Dapo` | the same |
//! | `Vespo` | `w = exp(sum over the response of (l - l_old))` | `phi(w) A l`, phi a constant: `exp(lambda) w^k exp(-lambda w)`; k 2, lambda 3 where A >= 0, and else k 3, lambda 2 | as `Dapo` | VESPO, arXiv 2602.10693 |
//! | `Gmpo` | `rho` | `A exp(mean over the response of clip(l - l_old))`, clipped above `clip_high` where A > 0 and below `-clip_low` where A < 0 | as `Grpo` | GMPO, arXiv 2507.20673 |
//! | `Luspo` | as `Gspo` | as `Gspo` | `1 / responses` | LUSPO, arXiv 2602.05261 |
//!
//! `Grpo` to `Cispo`, `Sapo`, `Vespo` and `Luspo` are losses of TRL 1.16 (`loss_type`), the others of
//! verl 0.9 (`loss_mode`), and `tests/pytorch_reference.rs` compares values
//! and gradients with their own code. What differs in name or meaning:
//!
//! * TRL writes GSPO as `grpo` with `importance_sampling_level="sequence"`; `Grpo` with
//!   `ratio: Sequence` is understood too. Useful clip ranges of GSPO are narrow, about 3e-4.
//! * TRL's `epsilon_high` of CISPO bounds the ratio itself: it is our `1 + clip_high` (its 5.0 is
//!   `clip_high: 4.0`). `clip_low` has no effect on CISPO.
//! * TRL's `bnpo` divides by the tokens of what one device holds at a time. Here micro-batches are
//!   a matter of memory and decide no result, so it divides by those of the mini-batch.
//! * `minibatches` counts the optimizer steps of one pass over the rollouts; TRL's `dapo` and
//!   `cispo` have the same divisor,
//!   `num_items_in_batch * gradient_accumulation_steps / steps_per_generation`.
//!
//! Responses that [`Truncated::Mask`] leaves out give no tokens to any of these sums; among the
//! `responses` they count, as in TRL. [`Truncated::SoftPenalty`] changes rewards, not sums. KL has
//! the weights of the loss. The entropy bonus is a mean over the mini-batch's tokens whatever the
//! loss.
//!
//! | Part | Here |
//! |---|---|
//! | `A`: by default `(r - mean) / deviation` | [`AdvantageEstimator`], [`AdvantageScale`], [`group_advantages`] |
//! | weight and ratio | [`Loss`], [`RatioLevel`], [`BatchTotals`], [`Truncated`] |
//! | what a long response loses | [`Truncated::penalty`] |
//! | `KL` from `l` and `l_ref` | [`KlEstimator`] |
//! | `beta` of the next step, where it is adaptive | [`adapted_kl_coefficient`] |
//! | all of it | [`Objective::loss`] |
//!
//! Tensors are flat, `(tokens)`: the response tokens of all responses of a micro-batch behind each
//! other, no padding. The operations used here all have a backward pass in candle; the tests prove
//! it by finite differences and against PyTorch.

mod advantage;
mod kl;
mod loss;
mod surrogate;
#[cfg(test)]
mod tests;
mod weights;

pub use advantage::{AdvantageEstimator, AdvantageScale, group_advantages, is_uniform};
pub(crate) use kl::MAX_KL_COEFFICIENT;
pub use kl::{KlEstimator, adapted_kl_coefficient};
pub use loss::{MicroBatch, MicroLoss, Objective};
pub use weights::{BatchTotals, Loss, RatioLevel, Truncated};

/// Largest difference of log-probabilities that enters `exp`. `exp(60)` is 1e26: far beyond any
/// probability ratio that still means something, and small enough that products with it stay finite
/// in `f32`.
const MAX_LOG_RATIO: f64 = 60.0;
