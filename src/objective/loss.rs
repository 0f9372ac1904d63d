//! The loss of a micro-batch, put together.

use super::kl::KlEstimator;
use super::weights::{BatchTotals, Loss, RatioLevel, per_token};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};

/// The settings of the loss; the [module](super) has the formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Surrogate and weights.
    pub loss: Loss,
    /// What the ratio is taken over.
    pub ratio: RatioLevel,
    /// How far below 1 the ratio still counts, in [0, 1].
    pub clip_low: f64,
    /// How far above 1 the ratio still counts, at least 0.
    pub clip_high: f64,
    /// Estimator of the KL divergence from the reference.
    pub kl: KlEstimator,
    /// beta, the weight of the KL term.
    pub kl_coefficient: f64,
    /// c, the weight of the mean token entropy.
    pub entropy_coefficient: f64,
}

/// Responses that are trained on, as many of a mini-batch as fit into memory at a time.
pub struct MicroBatch<'a> {
    /// Log-probabilities under the policy, nats: (tokens), differentiable.
    pub logprobs: &'a Tensor,
    /// Entropies of the policy, nats: (tokens), differentiable.
    pub entropies: &'a Tensor,
    /// Log-probabilities under the policy that sampled, nats: (tokens).
    pub old_logprobs: &'a Tensor,
    /// Log-probabilities under the reference policy, nats: (tokens). Without them there is no KL
    /// term.
    pub reference: Option<&'a Tensor>,
    /// Advantages: (responses).
    pub advantages: &'a [f32],
    /// Tokens of each response: (responses), summing to the tokens.
    pub lengths: &'a [usize],
}

/// What a micro-batch adds to its mini-batch.
pub struct MicroLoss {
    /// Its share of the loss, a scalar, to be minimised. Differentiable.
    pub loss: Tensor,
    /// Sum over tokens of the KL estimate, nats.
    pub kl: f64,
    /// Whether the ratio was clipped with effect: (tokens).
    pub clipped: Vec<bool>,
}

impl Objective {
    /// The share of a micro-batch in the loss of the mini-batch with these totals. The shares of
    /// the micro-batches of a mini-batch sum to its loss, and so do their gradients.
    ///
    /// Works in the type of the log-probabilities. Fails where lengths, advantages and tokens do
    /// not fit together.
    pub fn loss(&self, batch: &MicroBatch, totals: &BatchTotals) -> Result<MicroLoss> {
        let MicroBatch { logprobs, lengths, .. } = *batch;
        let tokens = logprobs.dims1()?;
        if lengths.iter().sum::<usize>() != tokens || batch.advantages.len() != lengths.len() {
            return Err(Error::failed(format!(
                "{} advantages, responses of {lengths:?} tokens and {tokens} log-probabilities do \
                 not fit together",
                batch.advantages.len()
            )));
        }
        let constant = |values: Vec<f64>| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, tokens, logprobs.device())?.to_dtype(logprobs.dtype())?)
        };
        let advantages =
            constant(per_token(batch.advantages.iter().copied().map(f64::from), lengths))?; // (tokens)
        let weights = lengths.iter().map(|&length| self.loss.token_weight(length, totals));
        let weights = constant(per_token(weights, lengths))?; // (tokens)

        let surrogate = self.surrogate(logprobs, batch.old_logprobs, &advantages, lengths)?;
        let mut terms = surrogate.terms; // (tokens), to be maximised
        let mut kl_sum = 0.0;
        if let Some(reference) = batch.reference {
            let kl = self.kl.per_token(logprobs, reference)?;
            kl_sum = kl.sum_all()?.to_dtype(DType::F64)?.to_scalar()?;
            terms = (terms - (kl * self.kl_coefficient)?)?;
        }
        let mut loss = (terms * weights)?.sum_all()?.neg()?;
        // Left out at 0, so that a method without the bonus does the very same arithmetic.
        if self.entropy_coefficient != 0.0 {
            let bonus = (batch.entropies.sum_all()?
                * (self.entropy_coefficient / totals.tokens.max(1) as f64))?;
            loss = (loss - bonus)?;
        }
        let clipped =
            surrogate.clipped.to_vec1::<u8>()?.into_iter().map(|clipped| clipped != 0).collect();
        Ok(MicroLoss { loss, kl: kl_sum, clipped })
    }
}
