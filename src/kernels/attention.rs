//! Causal softmax attention over packed sequences with grouped key/value heads.
//!
//! For query head h of the token at place i in its sequence, with key/value head h / (heads / `kv_heads`):
//!
//! ```text
//! p[i, j] = softmax over j <= i of <q[i], k[j]> / sqrt(head_dim)
//! out[i] = sum over j of p[i, j] v[j]
//! ```
//!
//! Backward recomputes p instead of keeping it. With g = d loss / d out and s the scores before the softmax:
//!
//! ```text
//! m[i] = sum over j of p[i, j] <g[i], v[j]>
//! d loss / d s[i, j] = p[i, j] (<g[i], v[j]> - m[i])
//! ```

use super::storage::{fused, slice, with_slices};
use super::{cuda, simd};
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, bail};
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Where each sequence of a packed batch begins: n + 1 offsets into the tokens, the last being their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    pub(super) offsets: Arc<[usize]>,
}

impl Segments {
    /// Segments of the given lengths, one after another.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut offsets = vec![0];
        let mut end = 0;
        for length in lengths {
            end += length;
            offsets.push(end);
        }
        Self { offsets: offsets.into() }
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.offsets[self.len()]
    }

    /// The tokens of each sequence in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// Splits the rows of a packed row-major matrix into one mutable slice per sequence.
    fn split<'a>(&self, mut rows: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.len());
        for range in self.ranges() {
            let (part, rest) = rows.split_at_mut(range.len() * width);
            parts.push(part);
            rows = rest;
        }
        parts
    }
}

/// Causal attention within each sequence: q (tokens, heads, `head_dim`), k and v (tokens, `kv_heads`, `head_dim`); returns
/// (tokens, heads * `head_dim`).
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor, segments: &Segments) -> Result<Tensor> {
    let (tokens, heads, head_dim) = q.dims3()?;
    let kv_heads = k.dim(1)?;
    if tokens != segments.tokens()
        || k.dims() != [tokens, kv_heads, head_dim]
        || v.dims() != k.dims()
        || heads % kv_heads != 0
    {
        bail!("attention of q {:?}, k {:?}, v {:?} over {} tokens", q.shape(), k.shape(), v.shape(), segments.tokens());
    }
    if fused(&[q, k, v]) {
        let op = Attention { segments: segments.clone(), heads, kv_heads, head_dim };
        q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
    } else if cuda::applies(&[q, k, v]) {
        cuda::causal_attention(q, k, v, segments)
    } else {
        causal_attention_reference(q, k, v, segments)
    }
}

/// [`causal_attention`] from plain candle operations: pads the sequences, masks, and packs again.
pub fn causal_attention_reference(q: &Tensor, k: &Tensor, v: &Tensor, segments: &Segments) -> Result<Tensor> {
    let (_, heads, head_dim) = q.dims3()?;
    let kv_heads = k.dim(1)?;
    let device = q.device();
    let (batch, longest) = (segments.len(), segments.ranges().map(|r| r.len()).max().unwrap_or(0));
    // Padding repeats a sequence's last token; no real query sees it, being later.
    let padded: Vec<u32> = segments
        .ranges()
        .flat_map(|r| (0..longest).map(move |i| (r.start + i.min(r.len().max(1) - 1)) as u32))
        .collect();
    let packed: Vec<u32> =
        segments.ranges().enumerate().flat_map(|(b, r)| (0..r.len()).map(move |i| (b * longest + i) as u32)).collect();
    let padded = Tensor::from_vec(padded, batch * longest, device)?;
    let packed = Tensor::from_vec(packed, segments.tokens(), device)?;
    let pad = |x: &Tensor, h: usize| -> Result<Tensor> {
        x.contiguous()?.index_select(&padded, 0)?.reshape((batch, longest, h, head_dim))?.transpose(1, 2)?.contiguous()
    };
    let repeat = |x: Tensor| -> Result<Tensor> {
        let groups = heads / kv_heads;
        x.unsqueeze(2)?
            .broadcast_as((batch, kv_heads, groups, longest, head_dim))?
            .contiguous()?
            .reshape((batch, heads, longest, head_dim))
    };
    let (q, k, v) = (pad(q, heads)?, repeat(pad(k, kv_heads)?)?, repeat(pad(v, kv_heads)?)?);
    let scores =
        (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * (1.0 / (head_dim as f64).sqrt()))?.to_dtype(DType::F32)?;
    let mask: Vec<f32> =
        (0..longest).flat_map(|i| (0..longest).map(move |j| if j <= i { 0.0 } else { f32::NEG_INFINITY })).collect();
    let scores = scores.broadcast_add(&Tensor::from_vec(mask, (longest, longest), device)?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let probabilities = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?.to_dtype(v.dtype())?;
    let out = probabilities.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((batch * longest, heads * head_dim))?;
    out.index_select(&packed, 0)
}

struct Attention {
    segments: Segments,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

/// Sizes of one attention call.
#[derive(Clone, Copy)]
struct Dims {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Dims {
    fn scale(self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// The elements of head `head` of token `token` among `heads` heads.
    fn at(self, token: usize, head: usize, heads: usize) -> Range<usize> {
        let start = (token * heads + head) * self.head_dim;
        start..start + self.head_dim
    }
}

/// Turns scores into probabilities in place.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn softmax(scores: &mut [f32]) {
    let top = simd::max(scores);
    for s in scores.iter_mut() {
        *s = simd::exp(*s - top);
    }
    let scale = 1.0 / simd::sum(scores);
    for s in scores.iter_mut() {
        *s *= scale;
    }
}

#[multiversion(targets = "simd")]
fn forward_sequence(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], dims: Dims) {
    let Dims { heads, kv_heads, .. } = dims;
    let length = out.len() / (heads * dims.head_dim);
    let mut p = vec![0.0; length];
    for head in 0..heads {
        let kv = head / (heads / kv_heads);
        for i in 0..length {
            let p = &mut p[..=i];
            let qi = &q[dims.at(i, head, heads)];
            for (j, p) in p.iter_mut().enumerate() {
                *p = simd::dot(qi, &k[dims.at(j, kv, kv_heads)]) * dims.scale();
            }
            softmax(p);
            let out = &mut out[dims.at(i, head, heads)];
            for (j, &p) in p.iter().enumerate() {
                simd::add_scaled(out, p, &v[dims.at(j, kv, kv_heads)]);
            }
        }
    }
}

/// Gradients of one sequence, added to `dq`, `dk`, `dv`.
#[multiversion(targets = "simd")]
fn backward_sequence(d: [&mut [f32]; 3], q: &[f32], k: &[f32], v: &[f32], grad: &[f32], dims: Dims) {
    let [dq, dk, dv] = d;
    let Dims { heads, kv_heads, .. } = dims;
    let length = q.len() / (heads * dims.head_dim);
    let (mut p, mut dp) = (vec![0.0; length], vec![0.0; length]);
    for head in 0..heads {
        let kv = head / (heads / kv_heads);
        for i in 0..length {
            let (p, dp) = (&mut p[..=i], &mut dp[..=i]);
            let qi = &q[dims.at(i, head, heads)];
            let gi = &grad[dims.at(i, head, heads)];
            for j in 0..=i {
                p[j] = simd::dot(qi, &k[dims.at(j, kv, kv_heads)]) * dims.scale();
                dp[j] = simd::dot(gi, &v[dims.at(j, kv, kv_heads)]);
            }
            softmax(p);
            let mean = simd::dot(p, dp);
            let dqi = &mut dq[dims.at(i, head, heads)];
            for j in 0..=i {
                let at = dims.at(j, kv, kv_heads);
                let ds = p[j] * (dp[j] - mean) * dims.scale();
                simd::add_scaled(dqi, ds, &k[at.clone()]);
                simd::add_scaled(&mut dk[at.clone()], ds, qi);
                simd::add_scaled(&mut dv[at], p[j], gi);
            }
        }
    }
}

impl Attention {
    fn dims(&self) -> Dims {
        Dims { heads: self.heads, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let (q_width, kv_width) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut out = vec![0.0; q.len()];
        let ranges: Vec<_> = self.segments.ranges().collect();
        self.segments.split(&mut out, q_width).into_par_iter().zip(ranges).for_each(|(out, r)| {
            let kv = r.start * kv_width..r.end * kv_width;
            forward_sequence(out, &q[r.start * q_width..r.end * q_width], &k[kv.clone()], &v[kv], self.dims());
        });
        Ok((CpuStorage::F32(out), (self.segments.tokens(), q_width).into()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (q_width, kv_width) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        with_slices([q, k, v, grad], |[q_data, k_data, v_data, g]| {
            let (mut dq, mut dk, mut dv) = (vec![0.0; q_data.len()], vec![0.0; k_data.len()], vec![0.0; v_data.len()]);
            let ranges: Vec<_> = self.segments.ranges().collect();
            self.segments
                .split(&mut dq, q_width)
                .into_par_iter()
                .zip(self.segments.split(&mut dk, kv_width))
                .zip(self.segments.split(&mut dv, kv_width))
                .zip(ranges)
                .for_each(|(((dq, dk), dv), r)| {
                    let wide = r.start * q_width..r.end * q_width;
                    let narrow = r.start * kv_width..r.end * kv_width;
                    backward_sequence(
                        [dq, dk, dv],
                        &q_data[wide.clone()],
                        &k_data[narrow.clone()],
                        &v_data[narrow],
                        &g[wide],
                        self.dims(),
                    );
                });
            let tensor = |data, like: &Tensor| Tensor::from_vec(data, like.shape(), like.device());
            Ok((Some(tensor(dq, q)?), Some(tensor(dk, k)?), Some(tensor(dv, v)?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random, values};
    use super::*;

    #[test]
    fn fused_attention_agrees_with_the_reference_forward_and_backward() {
        let segments = Segments::from_lengths([5, 1, 9, 3]);
        agree(
            &[random(&[18, 4, 6], 1), random(&[18, 2, 6], 2), random(&[18, 2, 6], 3)],
            |t| causal_attention(&t[0], &t[1], &t[2], &segments),
            |t| causal_attention_reference(&t[0], &t[1], &t[2], &segments),
            2e-5,
        );
    }

    #[test]
    fn sequences_do_not_see_each_other() {
        let (q, k, v) = (random(&[8, 2, 4], 1), random(&[8, 2, 4], 2), random(&[8, 2, 4], 3));
        let packed = causal_attention(&q, &k, &v, &Segments::from_lengths([3, 5])).unwrap();
        let part = |t: &Tensor| t.narrow(0, 3, 5).unwrap();
        let alone = causal_attention(&part(&q), &part(&k), &part(&v), &Segments::from_lengths([5])).unwrap();
        assert_eq!(values(&packed.narrow(0, 3, 5).unwrap()), values(&alone));
    }
}
