//! The language-model head reduced to what training needs of it: per token the log-probability of the chosen token and the
//! entropy of the distribution, without ever keeping the logits (tokens, vocabulary) of a batch.
//!
//! With z = W h / T and p = softmax(z): log p(y) = z\[y\] - log sum exp z, H = -sum p log p. Backward recomputes p by slices of
//! tokens: d log p(y) / dz = onehot(y) - p, dH / dz = -p (log p + H). The sensitivity feature of G2RL (arXiv 2512.15687,
//! eqs. 4-6) is phi = W^T (onehot(y) - p) = T d log p(y) / dh: a gather and one product.

use super::matmul::{View, matmul};
use super::storage::{fused, slice, with_slices};
use super::{cuda, simd};
use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor, bail};
use multiversion::multiversion;
use rayon::prelude::*;
use std::sync::Arc;

/// Largest number of logits that are held at a time.
const SLICE_LOGITS: usize = 1 << 21;

/// Log-probability (column 0) and entropy (column 1), nats, of each token: `hidden` (n, d), `head` (V, d), `targets` (n).
/// Returns (n, 2) in `f32`.
pub fn token_logprob_entropy(hidden: &Tensor, head: &Tensor, targets: &Arc<[u32]>, temperature: f64) -> Result<Tensor> {
    check(hidden, head, targets)?;
    if fused(&[hidden, head]) {
        hidden
            .contiguous()?
            .apply_op2(head, TokenHead { targets: targets.clone(), inverse_temperature: (1.0 / temperature) as f32 })
    } else if cuda::applies(&[hidden, head]) {
        cuda::token_logprob_entropy(hidden, head, targets, temperature)
    } else {
        token_logprob_entropy_reference(hidden, head, targets, temperature)
    }
}

/// [`token_logprob_entropy`] from plain candle operations.
pub fn token_logprob_entropy_reference(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    temperature: f64,
) -> Result<Tensor> {
    check(hidden, head, targets)?;
    let logprobs = log_softmax(&(hidden.matmul(&head.t()?)?.to_dtype(DType::F32)? * (1.0 / temperature))?)?;
    let index = Tensor::from_vec(targets.to_vec(), (targets.len(), 1), hidden.device())?;
    let chosen = logprobs.gather(&index, 1)?;
    let entropy = (logprobs.exp()? * &logprobs)?.sum_keepdim(1)?.neg()?;
    Tensor::cat(&[chosen, entropy], 1)
}

/// Logarithm of the softmax over the last dimension.
pub(super) fn log_softmax(z: &Tensor) -> Result<Tensor> {
    let shifted = z.broadcast_sub(&z.max_keepdim(D::Minus1)?.detach())?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

fn check(hidden: &Tensor, head: &Tensor, targets: &[u32]) -> Result<()> {
    let ((n, d), (vocabulary, head_d)) = (hidden.dims2()?, head.dims2()?);
    if n != targets.len() || d != head_d {
        bail!("token head of hidden {:?}, weight {:?} and {} targets", hidden.shape(), head.shape(), targets.len());
    }
    match targets.iter().max() {
        Some(&last) if last as usize >= vocabulary => bail!("token {last} is beyond the vocabulary of {vocabulary}"),
        _ => Ok(()),
    }
}

/// What one forward pass says of given tokens, without gradients.
#[derive(Clone, Debug)]
pub struct TokenStatistics {
    /// log p(y), nats, per token.
    pub logprobs: Vec<f32>,
    /// Entropy of the distribution, nats, per token.
    pub entropies: Vec<f32>,
    /// Sensitivity features phi (n, d), row-major.
    pub phi: Vec<f32>,
}

/// Log-probabilities, entropies and sensitivity features of given tokens: `hidden` (n, d), `head` (V, d), `targets` (n).
pub fn token_statistics(hidden: &Tensor, head: &Tensor, targets: &[u32], temperature: f64) -> Result<TokenStatistics> {
    check(hidden, head, targets)?;
    let cpu = candle_core::Device::Cpu;
    let widen = |t: &Tensor| t.detach().to_device(&cpu)?.to_dtype(DType::F32)?.contiguous();
    let (hidden, head) = (widen(hidden)?, widen(head)?);
    let (n, d) = hidden.dims2()?;
    let vocabulary = head.dim(0)?;
    let mut statistics = TokenStatistics { logprobs: vec![0.0; n], entropies: vec![0.0; n], phi: vec![0.0; n * d] };
    with_slices([&hidden, &head], |[h, w]| {
        let rows = rows_per_slice(vocabulary);
        let mut probabilities = vec![0.0; rows.min(n) * vocabulary];
        for (slice, targets) in targets.chunks(rows).enumerate() {
            let at = slice * rows;
            let p = &mut probabilities[..targets.len() * vocabulary];
            matmul(p, View::new(&h[at * d..(at + targets.len()) * d], d), View::new(w, d).t(), false);
            let out: Vec<(f32, f32)> = p
                .par_chunks_mut(vocabulary)
                .zip(targets)
                .map(|(row, &target)| softmax_row(row, target, (1.0 / temperature) as f32))
                .collect();
            for (i, (logprob, entropy)) in out.into_iter().enumerate() {
                statistics.logprobs[at + i] = logprob;
                statistics.entropies[at + i] = entropy;
            }
            let phi = &mut statistics.phi[at * d..(at + targets.len()) * d];
            matmul(phi, View::new(p, vocabulary), View::new(w, d), false);
            phi.par_chunks_mut(d).zip(targets).for_each(|(phi, &target)| {
                let embedding = &w[target as usize * d..(target as usize + 1) * d];
                for (phi, w) in phi.iter_mut().zip(embedding) {
                    *phi = w - *phi;
                }
            });
        }
        Ok(())
    })?;
    Ok(statistics)
}

fn rows_per_slice(vocabulary: usize) -> usize {
    (SLICE_LOGITS / vocabulary.max(1)).clamp(1, 4096)
}

/// Turns one row of logits into probabilities at the given temperature, in place; returns the entropy in nats.
pub(crate) fn softmax_entropy(row: &mut [f32], inverse_temperature: f32) -> f32 {
    softmax_row(row, 0, inverse_temperature).1
}

/// Turns one row of logits into probabilities at the given temperature; returns (log p(target), entropy).
#[multiversion(targets = "simd")]
fn softmax_row(row: &mut [f32], target: u32, inverse_temperature: f32) -> (f32, f32) {
    let top = simd::max(row);
    let chosen = (row[target as usize] - top) * inverse_temperature;
    // H = log sum - sum z' e^z' / sum, with z' = (z - top) / T
    let mut weighted = [0f32; 16];
    let mut total = [0f32; 16];
    let (blocks, rest) = row.as_chunks_mut::<16>();
    for block in blocks {
        for i in 0..16 {
            let z = (block[i] - top) * inverse_temperature;
            block[i] = simd::exp(z);
            total[i] += block[i];
            weighted[i] += block[i] * z;
        }
    }
    let (mut sum, mut moment) = (simd::sum(&total), simd::sum(&weighted));
    for value in rest {
        let z = (*value - top) * inverse_temperature;
        *value = simd::exp(z);
        sum += *value;
        moment += *value * z;
    }
    let scale = 1.0 / sum;
    for value in row.iter_mut() {
        *value *= scale;
    }
    let log_sum = sum.ln();
    (chosen - log_sum, log_sum - moment * scale)
}

/// Turns one row of probabilities into the gradient with respect to the logits (before the temperature).
#[multiversion(targets = "simd")]
fn gradient_row(row: &mut [f32], target: u32, entropy: f32, grad: [f32; 2], inverse_temperature: f32) {
    let [grad_logprob, grad_entropy] = grad;
    if grad_entropy == 0.0 {
        for p in row.iter_mut() {
            *p *= -grad_logprob * inverse_temperature;
        }
    } else {
        for p in row.iter_mut() {
            // A probability that has underflowed contributes nothing: p log p -> 0.
            let logprob = if *p > 0.0 { p.ln() } else { 0.0 };
            *p *= -(grad_logprob + grad_entropy * (logprob + entropy)) * inverse_temperature;
        }
    }
    row[target as usize] += grad_logprob * inverse_temperature;
}

struct TokenHead {
    targets: Arc<[u32]>,
    inverse_temperature: f32,
}

impl CustomOp2 for TokenHead {
    fn name(&self) -> &'static str {
        "token-head"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (h, w) = (slice(s1, l1)?, slice(s2, l2)?);
        let (n, d) = l1.shape().dims2()?;
        let vocabulary = l2.shape().dims2()?.0;
        let rows = rows_per_slice(vocabulary);
        let mut out = vec![0.0; n * 2];
        let mut logits = vec![0.0; rows.min(n) * vocabulary];
        for ((out, h), targets) in out.chunks_mut(rows * 2).zip(h.chunks(rows * d)).zip(self.targets.chunks(rows)) {
            let logits = &mut logits[..targets.len() * vocabulary];
            matmul(logits, View::new(h, d), View::new(w, d).t(), false);
            out.par_chunks_mut(2).zip(logits.par_chunks_mut(vocabulary)).zip(targets).for_each(
                |((out, row), &target)| {
                    (out[0], out[1]) = softmax_row(row, target, self.inverse_temperature);
                },
            );
        }
        Ok((CpuStorage::F32(out), (n, 2).into()))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, d) = hidden.dims2()?;
        let vocabulary = head.dim(0)?;
        let rows = rows_per_slice(vocabulary);
        with_slices([hidden, head, grad], |[h, w, g]| {
            let mut dh = vec![0.0; n * d];
            let mut dw = vec![0.0; vocabulary * d];
            let mut logits = vec![0.0; rows.min(n) * vocabulary];
            let slices =
                dh.chunks_mut(rows * d).zip(h.chunks(rows * d)).zip(g.chunks(rows * 2)).zip(self.targets.chunks(rows));
            for (((dh, h), g), targets) in slices {
                let logits = &mut logits[..targets.len() * vocabulary];
                matmul(logits, View::new(h, d), View::new(w, d).t(), false);
                logits.par_chunks_mut(vocabulary).zip(g.par_chunks(2)).zip(targets).for_each(|((row, g), &target)| {
                    let (_, entropy) = softmax_row(row, target, self.inverse_temperature);
                    gradient_row(row, target, entropy, [g[0], g[1]], self.inverse_temperature);
                });
                matmul(dh, View::new(logits, vocabulary), View::new(w, d), false);
                if head.track_op() {
                    matmul(&mut dw, View::new(logits, vocabulary).t(), View::new(h, d), true);
                }
            }
            let dw = if head.track_op() { Some(Tensor::from_vec(dw, (vocabulary, d), head.device())?) } else { None };
            Ok((Some(Tensor::from_vec(dh, (n, d), hidden.device())?), dw))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, difference, random, values};
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn fused_token_head_agrees_with_the_reference_forward_and_backward() {
        let targets: Arc<[u32]> = [3, 0, 18, 7, 7].into();
        for temperature in [0.7, 1.0] {
            agree(
                &[random(&[5, 6], 1), random(&[19, 6], 2)],
                |t| token_logprob_entropy(&t[0], &t[1], &targets, temperature),
                |t| token_logprob_entropy_reference(&t[0], &t[1], &targets, temperature),
                2e-5,
            );
        }
    }

    #[test]
    fn slices_of_tokens_make_no_difference() {
        let n = rows_per_slice(600) + 37;
        let targets: Arc<[u32]> = (0..n as u32).map(|i| i * 7 % 600).collect();
        let (h, w) = (random(&[n, 4], 1), random(&[600, 4], 2));
        let whole = token_logprob_entropy(&h, &w, &targets, 1.0).unwrap();
        let tail = token_logprob_entropy(&h.narrow(0, n - 3, 3).unwrap(), &w, &targets[n - 3..].into(), 1.0).unwrap();
        assert!(difference(&whole.narrow(0, n - 3, 3).unwrap(), &tail) < 1e-5);
    }

    #[test]
    fn phi_is_the_temperature_times_the_gradient_of_the_log_probability() {
        let targets: Arc<[u32]> = [3, 0, 18, 7].into();
        for temperature in [0.7, 1.3] {
            let h = Var::from_tensor(&random(&[4, 6], 1)).unwrap();
            let w = random(&[19, 6], 2);
            let out = token_logprob_entropy_reference(h.as_tensor(), &w, &targets, temperature).unwrap();
            let logprobs = out.narrow(1, 0, 1).unwrap();
            let grads = logprobs.sum_all().unwrap().backward().unwrap();
            let expected = (grads.get(&h).unwrap() * temperature).unwrap();
            let statistics = token_statistics(&h, &w, &targets, temperature).unwrap();
            let phi = Tensor::from_vec(statistics.phi, (4, 6), &Device::Cpu).unwrap();
            assert!(difference(&phi, &expected) < 1e-5);
            for (ours, theirs) in statistics.logprobs.iter().zip(values(&logprobs)) {
                assert!((ours - theirs).abs() < 1e-5);
            }
            for (ours, theirs) in statistics.entropies.iter().zip(values(&out.narrow(1, 1, 1).unwrap())) {
                assert!((ours - theirs).abs() < 1e-5);
            }
        }
    }
}
