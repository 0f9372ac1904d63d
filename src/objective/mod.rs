//! What is maximised: advantages, the clipped surrogate, the KL penalty, and how tokens are weighed.
//!
//! With `l`, `l_old`, `l_ref` the log-probabilities (nats, at the sampling temperature) of a response token under the policy,
//! the policy that sampled it and the reference policy, and `A` its response's advantage, the objective of a mini-batch is
//!
//! ```text
//! sum over tokens of weight * ( min(ratio * A, clip(ratio, 1 - low, 1 + high) * A)  -  beta * KL )
//! ```
//!
//! | Part | Here |
//! |---|---|
//! | `A = (r - mean) / sqrt(variance + eps)` within the group | [`group_advantages`] |
//! | `ratio = exp(l - l_old)` by token, or by response, and its clipping | [`ClippedObjective`] |
//! | `KL` from `l` and `l_ref` | [`KlEstimator`] |
//! | `weight` | [`Reduction`] |
//!
//! Tensors are flat, `(tokens)`: the response tokens of all responses of a micro-batch behind each other, no padding. The
//! operations used here all have a backward pass in candle; the tests prove it by finite differences and against PyTorch.

mod advantage;
mod kl;
mod reduction;
mod surrogate;

pub use advantage::group_advantages;
pub use kl::KlEstimator;
pub use reduction::{BatchTotals, Reduction, expand_to_tokens};
pub use surrogate::{ClippedObjective, RatioLevel, Surrogate};

/// Largest difference of log-probabilities that enters `exp`. `exp(60)` is 1e26: far beyond any probability ratio that still
/// means something, and small enough that products with it stay finite in `f32`.
const MAX_LOG_RATIO: f64 = 60.0;
