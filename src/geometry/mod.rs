//! Geometry of gradient directions within a group: cosines, novelty, reward shaping, statistics.
//!
//! Every response i of a group of m has a feature `Phi_i` in R^d, the mean over its tokens of
//! `phi_t = W[y_t] - sum_v p_t[v] W[v]`: up to 1/T the gradient of `log p(y_t)` with respect to the last hidden state. From
//! there on, with eps = [`EPSILON`]:
//!
//! | Step | Formula | Here |
//! |---|---|---|
//! | unit features | `Phi_hat = Phi / (norm(Phi) + eps)` | [`unit_features`] |
//! | cosines | `S_ij = <Phi_hat_i, Phi_hat_j>` | [`CosineMatrix`] |
//! | weights of the others | `w_ij = exp(r_j) [j != i] / (sum_{k != i} exp(r_k) + eps)` | [`novelty`] |
//! | novelty | `nu_i = sqrt(max(1 - sum_j w_ij S_ij^2, 0))` | [`novelty`] |
//! | normalised novelty | `(nu_i - min nu) / (max nu - min nu)`, 0 for all when max = min | [`normalize_novelty`] |
//! | shaped reward | `r (1 + lambda r nu_bar)`, clipped to [-c, c] | [`shaped_reward`], [`shape_group`] |
//! | what a group looks like | distribution of cosines by kind of pair, spectrum, effective rank | [`GroupGeometry`] |
//! | what a token adds to a cosine | `alpha_t <phi_t, Phi_j>` over the norms | [`attribute_tokens`] |
//! | how well one geometry predicts another | Pearson's and Spearman's correlation | [`pearson`], [`spearman`] |
//!
//! Source: G2RL, arXiv 2512.15687v1, equations 7 to 13. All functions are pure; they take and return `f32` and compute in `f64`.

mod attribution;
mod correlation;
mod cosine;
mod novelty;
mod statistics;

pub use attribution::{TokenAttribution, attribute_tokens};
pub use correlation::{pearson, spearman};
pub use cosine::{CosineMatrix, unit_features};
pub use novelty::{IncorrectSign, NoveltyForm, Shaping, normalize_novelty, novelty, shape_group, shaped_reward};
pub use statistics::{
    GroupGeometry, HISTOGRAM_BINS, NEAR_ORTHOGONAL, PairKind, PairStatistics, QUANTILE_LEVELS, effective_rank, spectrum,
};

/// The eps of the formulas: keeps norms and weights from dividing by zero.
pub const EPSILON: f64 = 1e-6;
