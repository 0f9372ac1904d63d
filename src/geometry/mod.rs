//! Geometry of a group of responses: cosines, novelty, reward shaping, statistics; of gradient
//! directions and of embeddings.
//!
//! Every response i of a group of m has a feature `Phi_i` in R^d, the mean (weighted by
//! [`TokenWeights`]) over its tokens of `phi_t = W[y_t] - sum_v p_t[v] W[v]`: up to 1/T the
//! gradient of `log p(y_t)` with respect to the last hidden state. From there on, with eps =
//! [`EPSILON`]:
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
//! | the plane in which directions spread most | eigenvectors of the cosine matrix | [`project`] |
//! | an order in which like directions stand together | average linkage of the cosines | [`cluster_order`] |
//! | how well one geometry predicts another | Pearson's and Spearman's correlation | [`pearson`], [`spearman`] |
//!
//! Source: G2RL, arXiv 2512.15687v1, equations 7 to 13. The same for sentence embeddings, after
//! EVOL-RL (arXiv 2509.15194):
//!
//! | Step | Formula | Here |
//! |---|---|---|
//! | cosines | `<e_i, e_j>` of unit embeddings | [`CosineMatrix`] |
//! | novelty | `n_i = 1 - (mean of s_ij over i's class + max of s_ij over all others) / 2`, `s_ij = clip(cos_ij, 0, 1)` | [`semantic_novelty`] |
//! | normalised novelty | min-max within the class; 1 for a class of one, 1/2 for all where max = min | [`normalize_within_classes`] |
//! | reward | correct: `1/2 + n_bar / 2`; incorrect: `-1 + n_bar / 2`; no answer: -1 | [`banded_reward`] |
//!
//! For methods that shape rewards by the diversity of the group, by any vectors (RepExp, DQO, MMR,
//! DRA, DARLING, Rare; each method's file has its source):
//!
//! | Quantity | Formula | Here |
//! |---|---|---|
//! | leverage | `z_i^T (l I + sum_j z_j z_j^T)^-1 z_i` of centred vectors z | [`leverage`], [`sparse_projection`] |
//! | gain of log-volume | `log(det(S + I) / det(S_without_i + I))` | [`determinant_gains`] |
//! | marginal relevance | `l r_i - (1 - l) max over those picked of S_ij`, greedily | [`marginal_relevance`] |
//! | density | `sum_j clip(S_ij, 0, 1)` | [`density`] |
//! | clusters | connected by `S_ij > threshold` | [`cluster_sizes`] |
//!
//! All functions are pure. They take `f32` and compute in `f64`.

mod attribution;
mod cluster;
mod correlation;
mod cosine;
mod diversity;
mod novelty;
mod projection;
mod semantic;
mod statistics;
mod token_weights;

pub use attribution::{TokenAttribution, attribute_tokens};
pub use cluster::cluster_order;
pub use correlation::{pearson, spearman};
pub use cosine::{CosineMatrix, unit_features};
pub use diversity::{
    cluster_sizes, density, determinant_gains, leverage, marginal_relevance, sparse_projection,
};
pub use novelty::{
    IncorrectSign, LambdaSchedule, NoveltyForm, Shaping, normalize_novelty, novelty, shape_group,
    shaped_reward,
};
pub use projection::{Projection, project};
pub use semantic::{AnswerClass, banded_reward, normalize_within_classes, semantic_novelty};
pub use statistics::{
    GroupGeometry, HISTOGRAM_BINS, NEAR_ORTHOGONAL, PairKind, PairStatistics, QUANTILE_LEVELS,
    effective_rank, spectrum,
};
pub use token_weights::TokenWeights;

/// The eps of the formulas: keeps norms and weights from dividing by zero.
pub const EPSILON: f64 = 1e-6;
