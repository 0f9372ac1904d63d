//! The language-model head reduced to what training needs of it: per token the log-probability of
//! the chosen token and the entropy of the distribution, without ever keeping the logits (tokens,
//! vocabulary) of a batch.
//!
//! With z = W h / T and p = softmax(z): log p(y) = z\[y\] - log sum exp z, H = -sum p log p.
//! Backward recomputes p by slices of tokens: d log p(y) / dz = onehot(y) - p,
//! dH / dz = -p (log p + H). The sensitivity feature of G2RL (arXiv 2512.15687, eqs. 4-6) is
//! phi = W^T (onehot(y) - p) = T d log p(y) / dh: a gather and one product.

use super::buffers::Buffers;
use super::custom_gradient::with_gradients;
use super::linear::{logits, times};
use super::matmul::{View, matmul};
use super::storage::{fused, slice, slice_mut, with_slices};
use super::{cuda, simd};
use candle_core::{
    CpuStorage, CustomOp2, D, DType, InplaceOp3, Layout, Result, Shape, Tensor, bail,
};
use multiversion::multiversion;
use rayon::prelude::*;
use std::sync::Arc;

/// Largest number of logits that are held at a time, where the vocabulary is small.
const SLICE_LOGITS: usize = 1 << 21;

/// Fewest tokens whose logits are held at a time: products of fewer spend much of their time on
/// reading the head's matrix and on putting it into order.
const SLICE_TOKENS: usize = 256;

/// Log-probability (column 0) and entropy (column 1), nats, of each token: `hidden` (n, d), `head`
/// (V, d), `targets` (n). Returns (n, 2) in `f32`.
pub fn token_logprob_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Arc<[u32]>,
    temperature: f64,
) -> Result<Tensor> {
    check(hidden, head, targets)?;
    if fused(&[hidden, head]) {
        hidden.contiguous()?.apply_op2(head, TokenHead::new(targets, head.dim(0)?, temperature)?)
    } else if cuda::applies(&[hidden, head]) {
        cuda::token_logprob_entropy(hidden, head, targets, temperature)
    } else {
        sliced(hidden, head, targets, temperature)
    }
}

/// [`token_logprob_entropy`] for other devices and types: from candle operations on slices of
/// tokens, which backward computes again.
fn sliced(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Arc<[u32]>,
    temperature: f64,
) -> Result<Tensor> {
    let rows = rows_per_device_slice(head.dim(0)?);
    let mut parts = Vec::new();
    for (slice, targets) in targets.chunks(rows).enumerate() {
        let h = hidden.detach().narrow(0, slice * rows, targets.len())?;
        let logprobs = slice_logprobs(&h, &head.detach(), temperature)?; // (rows, V)
        parts.push(Tensor::cat(&[chosen(&logprobs, targets)?, entropy(&logprobs)?], 1)?);
    }
    let value = if parts.is_empty() {
        Tensor::zeros((0, 2), DType::F32, head.device())?
    } else {
        Tensor::cat(&parts, 0)?
    };
    let targets = targets.clone();
    with_gradients(hidden, head, value, move |hidden, head, grad| {
        let (hidden, w) = (hidden.detach(), head.detach());
        let mut dh = Vec::new();
        // Sums in f32.
        let mut dw = if head.track_op() {
            Some(Tensor::zeros(w.shape(), DType::F32, w.device())?)
        } else {
            None
        };
        for (slice, targets) in targets.chunks(rows).enumerate() {
            let at = slice * rows;
            let h = hidden.narrow(0, at, targets.len())?;
            let grad = grad.narrow(0, at, targets.len())?;
            let (g, g_entropy) = (grad.narrow(1, 0, 1)?, grad.narrow(1, 1, 1)?); // (rows, 1) each
            let logprobs = slice_logprobs(&h, &w, temperature)?;
            let p = logprobs.exp()?;
            // d loss / dz = g (onehot - p) - g_entropy p (log p + H)
            let pull = logprobs
                .broadcast_add(&entropy(&logprobs)?)?
                .broadcast_mul(&g_entropy)?
                .broadcast_add(&g)?;
            let index = Tensor::from_slice(targets, (targets.len(), 1), w.device())?;
            let dz = ((p * pull)?.neg()?.scatter_add(&index, &g.contiguous()?, 1)?
                * (1.0 / temperature))?;
            dh.push(times(&dz, &w)?);
            if let Some(sum) = &mut dw {
                add_outer(sum, &dz, &h)?;
            }
        }
        let dh = if dh.is_empty() { hidden.zeros_like()? } else { Tensor::cat(&dh, 0)? };
        Ok((Some(dh), dw.map(|dw: Tensor| dw.to_dtype(head.dtype())).transpose()?))
    })
}

/// sum (V, d) += dz^T h, with dz (rows, V) and sum in `f32`. On a GPU the products are of the type
/// of h.
fn add_outer(sum: &mut Tensor, dz: &Tensor, h: &Tensor) -> Result<()> {
    if sum.device().is_cpu() {
        // In place: a sum of this size is not to be held twice.
        return sum.inplace_op3(
            &dz.contiguous()?,
            &h.to_dtype(DType::F32)?.contiguous()?,
            &AddOuter,
        );
    }
    *sum = (&*sum + dz.to_dtype(h.dtype())?.t()?.matmul(h)?.to_dtype(DType::F32)?)?;
    Ok(())
}

struct AddOuter;

impl InplaceOp3 for AddOuter {
    fn name(&self) -> &'static str {
        "add-outer"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let ((_, vocabulary), (_, d)) = (l2.shape().dims2()?, l3.shape().dims2()?);
        let (dz, h) = (View::new(slice(s2, l2)?, vocabulary), View::new(slice(s3, l3)?, d));
        matmul(slice_mut(s1, l1)?, dz.t(), h, true);
        Ok(())
    }
}

/// Log-probabilities (rows, V) in `f32` of a few rows of hidden states.
fn slice_logprobs(hidden: &Tensor, head: &Tensor, temperature: f64) -> Result<Tensor> {
    log_softmax(&(logits(hidden, head)? * (1.0 / temperature))?)
}

/// The log-probabilities of the targets: (rows, 1).
fn chosen(logprobs: &Tensor, targets: &[u32]) -> Result<Tensor> {
    logprobs.gather(&Tensor::from_slice(targets, (targets.len(), 1), logprobs.device())?, 1)
}

/// The entropies of distributions: (rows, 1).
fn entropy(logprobs: &Tensor) -> Result<Tensor> {
    (logprobs.exp()? * logprobs)?.sum_keepdim(1)?.neg()
}

/// Tokens whose logits are held at a time where they are made by candle operations, which hold a
/// few tensors of that size.
pub fn rows_per_device_slice(vocabulary: usize) -> usize {
    const LOGITS: usize = 1 << 25;
    (LOGITS / vocabulary.max(1)).clamp(16, 4096)
}

/// [`token_logprob_entropy`] from plain candle operations.
pub fn token_logprob_entropy_reference(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    temperature: f64,
) -> Result<Tensor> {
    check(hidden, head, targets)?;
    let logprobs =
        log_softmax(&(hidden.matmul(&head.t()?)?.to_dtype(DType::F32)? * (1.0 / temperature))?)?;
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
        bail!(
            "token head of hidden {:?}, weight {:?} and {} targets",
            hidden.shape(),
            head.shape(),
            targets.len()
        );
    }
    check_targets(targets, vocabulary)
}

fn check_targets(targets: &[u32], vocabulary: usize) -> Result<()> {
    match targets.iter().max() {
        Some(&last) if last as usize >= vocabulary => {
            bail!("token {last} is beyond the vocabulary of {vocabulary}")
        }
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

/// Log-probabilities, entropies and sensitivity features of given tokens: `hidden` (n, d), `head`
/// (V, d), `targets` (n).
pub fn token_statistics(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    temperature: f64,
) -> Result<TokenStatistics> {
    check(hidden, head, targets)?;
    let (hidden, head) = (hidden.detach().contiguous()?, head.detach());
    if !fused(&[&hidden, &head]) {
        return sliced_statistics(&hidden, &head, targets, temperature);
    }
    let (n, d) = hidden.dims2()?;
    let vocabulary = head.dim(0)?;
    let mut statistics =
        TokenStatistics { logprobs: vec![0.0; n], entropies: vec![0.0; n], phi: vec![0.0; n * d] };
    with_slices([&hidden, &head], |[h, w]| {
        let rows = rows_per_slice(vocabulary);
        let mut probabilities = vec![0.0; rows.min(n) * vocabulary];
        for (slice, targets) in targets.chunks(rows).enumerate() {
            let at = slice * rows;
            let p = &mut probabilities[..targets.len() * vocabulary];
            matmul(
                p,
                View::new(&h[at * d..(at + targets.len()) * d], d),
                View::new(w, d).t(),
                false,
            );
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

/// [`token_statistics`] for other devices and types.
fn sliced_statistics(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    temperature: f64,
) -> Result<TokenStatistics> {
    let rows = rows_per_device_slice(head.dim(0)?);
    let mut statistics =
        TokenStatistics { logprobs: Vec::new(), entropies: Vec::new(), phi: Vec::new() };
    let values = |t: &Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    for (slice, targets) in targets.chunks(rows).enumerate() {
        let logprobs =
            slice_logprobs(&hidden.narrow(0, slice * rows, targets.len())?, head, temperature)?;
        statistics.logprobs.extend(values(&chosen(&logprobs, targets)?)?);
        statistics.entropies.extend(values(&entropy(&logprobs)?)?);
        let embeddings =
            head.index_select(&Tensor::from_slice(targets, targets.len(), head.device())?, 0)?;
        let expected = times(&logprobs.exp()?, head)?;
        let wide = |t: Tensor| t.to_dtype(DType::F32);
        statistics.phi.extend(values(&(wide(embeddings)? - wide(expected)?)?)?);
    }
    Ok(statistics)
}

/// Tokens whose logits the fused version holds at a time.
pub fn rows_per_slice(vocabulary: usize) -> usize {
    (SLICE_LOGITS / vocabulary.max(1)).clamp(SLICE_TOKENS, 4096)
}

/// Turns one row of logits into probabilities at the given temperature, in place; returns the
/// entropy in nats.
pub fn softmax_entropy(row: &mut [f32], inverse_temperature: f32) -> f32 {
    softmax_row(row, 0, inverse_temperature).1
}

/// Turns one row of logits into probabilities at the given temperature; returns (log p(target),
/// entropy).
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

/// Turns one row of probabilities into the gradient with respect to the logits (before the
/// temperature).
#[multiversion(targets = "simd")]
fn gradient_row(
    row: &mut [f32],
    target: u32,
    entropy: f32,
    grad: [f32; 2],
    inverse_temperature: f32,
) {
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

/// The fused version for given tokens.
pub struct TokenHead {
    targets: Arc<[u32]>,
    inverse_temperature: f32,
}

impl TokenHead {
    /// Fails where a target is not in the vocabulary.
    pub fn new(targets: &Arc<[u32]>, vocabulary: usize, temperature: f64) -> Result<Self> {
        check_targets(targets, vocabulary)?;
        Ok(Self { targets: targets.clone(), inverse_temperature: (1.0 / temperature) as f32 })
    }

    /// out (n, 2) from h (n, d) and w (V, d).
    pub fn forward(&self, out: &mut [f32], h: &[f32], w: &[f32], d: usize, buffers: &mut Buffers) {
        let vocabulary = w.len() / d;
        let rows = rows_per_slice(vocabulary);
        let mut all_logits = buffers.take(rows.min(self.targets.len()) * vocabulary);
        for ((out, h), targets) in
            out.chunks_mut(rows * 2).zip(h.chunks(rows * d)).zip(self.targets.chunks(rows))
        {
            let logits = &mut all_logits[..targets.len() * vocabulary];
            matmul(logits, View::new(h, d), View::new(w, d).t(), false);
            out.par_chunks_mut(2).zip(logits.par_chunks_mut(vocabulary)).zip(targets).for_each(
                |((out, row), &target)| {
                    (out[0], out[1]) = softmax_row(row, target, self.inverse_temperature);
                },
            );
        }
        buffers.give([all_logits]);
    }

    /// Writes the gradient by h to `dh` (n, d) and adds that by w to `dw` (V, d), given that by the
    /// output, `grad` (n, 2).
    pub fn backward(
        &self,
        dh: &mut [f32],
        mut dw: Option<&mut [f32]>,
        h: &[f32],
        w: &[f32],
        grad: &[f32],
        d: usize,
        buffers: &mut Buffers,
    ) {
        let vocabulary = w.len() / d;
        let rows = rows_per_slice(vocabulary);
        let mut all_logits = buffers.take(rows.min(self.targets.len()) * vocabulary);
        let slices = dh
            .chunks_mut(rows * d)
            .zip(h.chunks(rows * d))
            .zip(grad.chunks(rows * 2))
            .zip(self.targets.chunks(rows));
        for (((dh, h), grad), targets) in slices {
            let logits = &mut all_logits[..targets.len() * vocabulary];
            matmul(logits, View::new(h, d), View::new(w, d).t(), false);
            logits.par_chunks_mut(vocabulary).zip(grad.par_chunks(2)).zip(targets).for_each(
                |((row, grad), &target)| {
                    let (_, entropy) = softmax_row(row, target, self.inverse_temperature);
                    gradient_row(
                        row,
                        target,
                        entropy,
                        [grad[0], grad[1]],
                        self.inverse_temperature,
                    );
                },
            );
            matmul(dh, View::new(logits, vocabulary), View::new(w, d), false);
            if let Some(dw) = &mut dw {
                matmul(dw, View::new(logits, vocabulary).t(), View::new(h, d), true);
            }
        }
        buffers.give([all_logits]);
    }
}

impl CustomOp2 for TokenHead {
    fn name(&self) -> &'static str {
        "token-head"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, d) = l1.shape().dims2()?;
        let mut out = vec![0.0; n * 2];
        self.forward(&mut out, slice(s1, l1)?, slice(s2, l2)?, d, &mut Buffers::default());
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
        with_slices([hidden, head, grad], |[h, w, g]| {
            let mut dh = vec![0.0; n * d];
            let mut dw = if head.track_op() { Some(vec![0.0; w.len()]) } else { None };
            self.backward(&mut dh, dw.as_deref_mut(), h, w, g, d, &mut Buffers::default());
            let dw = dw.map(|dw| Tensor::from_vec(dw, head.shape(), head.device())).transpose()?;
            Ok((Some(Tensor::from_vec(dh, (n, d), hidden.device())?), dw))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, agree_without_differences, difference, random, values};
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

    /// The version for other devices and types, over several slices, tracked and frozen.
    #[test]
    fn slices_from_candle_operations_agree_with_the_reference_forward_and_backward() {
        let vocabulary = (1 << 25) / 16 + 5; // 16 rows a slice
        let n = 35;
        let targets: Arc<[u32]> = (0..n as u32).map(|i| i * 70_001 % vocabulary as u32).collect();
        let (h, w) = (random(&[n, 2], 1), random(&[vocabulary, 2], 2));
        agree_without_differences(
            &[h.clone(), w.clone()],
            |t| sliced(&t[0], &t[1], &targets, 0.7),
            |t| token_logprob_entropy(&t[0], &t[1], &targets, 0.7),
            2e-4,
        );
        let frozen = w.clone();
        agree_without_differences(
            std::slice::from_ref(&h),
            |t| sliced(&t[0], &frozen, &targets, 0.7),
            |t| token_logprob_entropy(&t[0], &frozen, &targets, 0.7),
            2e-4,
        );
        let [found, expected] =
            [sliced_statistics(&h, &w, &targets, 0.7), token_statistics(&h, &w, &targets, 0.7)]
                .map(|statistics| Tensor::new(statistics.unwrap().phi, &Device::Cpu).unwrap());
        assert!(difference(&found, &expected) < 1e-4);
    }

    #[test]
    fn slices_of_tokens_make_no_difference() {
        let n = rows_per_slice(600) + 37;
        let targets: Arc<[u32]> = (0..n as u32).map(|i| i * 7 % 600).collect();
        let (h, w) = (random(&[n, 4], 1), random(&[600, 4], 2));
        let whole = token_logprob_entropy(&h, &w, &targets, 1.0).unwrap();
        let tail = token_logprob_entropy(
            &h.narrow(0, n - 3, 3).unwrap(),
            &w,
            &targets[n - 3..].into(),
            1.0,
        )
        .unwrap();
        assert!(difference(&whole.narrow(0, n - 3, 3).unwrap(), &tail) < 1e-5);
    }

    #[test]
    fn slices_of_tokens_make_no_difference_to_gradients() {
        let (n, vocabulary) = (2 * SLICE_TOKENS + 37, 9000);
        assert_eq!(rows_per_slice(vocabulary), SLICE_TOKENS);
        let targets: Arc<[u32]> = (0..n as u32).map(|i| i * 71 % vocabulary as u32).collect();
        agree_without_differences(
            &[random(&[n, 4], 1), random(&[vocabulary, 4], 2)],
            |t| token_logprob_entropy(&t[0], &t[1], &targets, 0.7),
            |t| token_logprob_entropy_reference(&t[0], &t[1], &targets, 0.7),
            2e-4,
        );
    }

    #[test]
    fn phi_is_the_temperature_times_the_gradient_of_the_log_probability() {
        let targets: Arc<[u32]> = [3, 0, 18, 7].into();
        for temperature in [0.7, 1.3] {
            let h = Var::from_tensor(&random(&[4, 6], 1)).unwrap();
            let w = random(&[19, 6], 2);
            let out =
                token_logprob_entropy_reference(h.as_tensor(), &w, &targets, temperature).unwrap();
            let logprobs = out.narrow(1, 0, 1).unwrap();
            let grads = logprobs.sum_all().unwrap().backward().unwrap();
            let expected = (grads.get(&h).unwrap() * temperature).unwrap();
            let statistics = token_statistics(&h, &w, &targets, temperature).unwrap();
            let phi = Tensor::from_vec(statistics.phi, (4, 6), &Device::Cpu).unwrap();
            assert!(difference(&phi, &expected) < 1e-5);
            for (ours, theirs) in statistics.logprobs.iter().zip(values(&logprobs)) {
                assert!((ours - theirs).abs() < 1e-5);
            }
            for (ours, theirs) in
                statistics.entropies.iter().zip(values(&out.narrow(1, 1, 1).unwrap()))
            {
                assert!((ours - theirs).abs() < 1e-5);
            }
        }
    }
}
