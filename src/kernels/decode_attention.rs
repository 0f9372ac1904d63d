//! Attention of one new token per row over that row's cached keys and values. Forward only.

use super::attention::softmax;
use super::storage::{fused, slice};
use super::{cuda, simd};
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor};
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Attends from q (rows, heads, `head_dim`) to the slots `starts[row]..end` of the caches (rows, `kv_heads`, slots,
/// `head_dim`); returns (rows, heads * `head_dim`). Slots before a row's start are left padding.
pub fn decode_attention(q: &Tensor, keys: &Tensor, values: &Tensor, starts: &Arc<[u32]>, end: usize) -> Result<Tensor> {
    if fused(&[q, keys, values]) {
        return q.contiguous()?.apply_op3_no_bwd(keys, values, &DecodeAttention { starts: starts.clone(), end });
    }
    if cuda::applies(&[q, keys, values])
        && let Some(out) = cuda::decode_attention(q, keys, values, starts, end)?
    {
        return Ok(out);
    }
    reference(q, keys, values, starts, end)
}

fn reference(q: &Tensor, keys: &Tensor, values: &Tensor, starts: &[u32], end: usize) -> Result<Tensor> {
    let (rows, heads, head_dim) = q.dims3()?;
    let kv_heads = keys.dim(1)?;
    let q = q.reshape((rows, kv_heads, heads / kv_heads, head_dim))?;
    let keys = keys.narrow(2, 0, end)?;
    let values = values.narrow(2, 0, end)?.contiguous()?;
    let scores =
        (q.matmul(&keys.transpose(2, 3)?.contiguous()?)? * (1.0 / (head_dim as f64).sqrt()))?.to_dtype(DType::F32)?;
    let mask: Vec<f32> = starts
        .iter()
        .flat_map(|&start| (0..end).map(move |slot| if slot >= start as usize { 0.0 } else { f32::NEG_INFINITY }))
        .collect();
    let scores = scores.broadcast_add(&Tensor::from_vec(mask, (rows, 1, 1, end), q.device())?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let probabilities = shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?.to_dtype(values.dtype())?;
    probabilities.matmul(&values)?.reshape((rows, heads * head_dim))
}

struct DecodeAttention {
    starts: Arc<[u32]>,
    end: usize,
}

/// One row: `out` and `q` (heads, `head_dim`), `keys` and `values` (`kv_heads`, slots, `head_dim`).
#[multiversion(targets = "simd")]
fn attend(
    out: &mut [f32],
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    kv_heads: usize,
    head_dim: usize,
    span: Range<usize>,
) {
    let heads_per_kv = q.len() / head_dim / kv_heads;
    let cache_width = keys.len() / kv_heads;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let mut p = vec![0.0; span.len()];
    for (head, (out, q)) in out.chunks_exact_mut(head_dim).zip(q.chunks_exact(head_dim)).enumerate() {
        let base = head / heads_per_kv * cache_width;
        let cached = base + span.start * head_dim..base + span.end * head_dim;
        for (p, key) in p.iter_mut().zip(keys[cached.clone()].chunks_exact(head_dim)) {
            *p = simd::dot(q, key) * scale;
        }
        softmax(&mut p);
        for (p, value) in p.iter().zip(values[cached].chunks_exact(head_dim)) {
            simd::add_scaled(out, *p, value);
        }
    }
}

impl CustomOp3 for DecodeAttention {
    fn name(&self) -> &'static str {
        "decode-attention"
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
        let (rows, heads, head_dim) = l1.shape().dims3()?;
        let (_, kv_heads, slots, _) = l2.shape().dims4()?;
        let (q, keys, values) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let (width, cache_width) = (heads * head_dim, kv_heads * slots * head_dim);
        let mut out = vec![0.0; q.len()];
        out.par_chunks_mut(width)
            .zip(q.par_chunks(width))
            .zip(keys.par_chunks(cache_width))
            .zip(values.par_chunks(cache_width))
            .zip(self.starts.par_iter())
            .with_min_len(4)
            .for_each(|((((out, q), keys), values), &start)| {
                attend(out, q, keys, values, kv_heads, head_dim, start as usize..self.end);
            });
        Ok((CpuStorage::F32(out), (rows, width).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random};
    use super::*;

    #[test]
    fn fused_decode_attention_agrees_with_the_reference() {
        let q = random(&[3, 4, 6], 1);
        let (keys, values) = (random(&[3, 2, 10, 6], 2), random(&[3, 2, 10, 6], 3));
        let starts: Arc<[u32]> = [0, 3, 6].into();
        let fused = decode_attention(&q, &keys, &values, &starts, 8).unwrap();
        let expected = reference(&q, &keys, &values, &starts, 8).unwrap();
        assert!(difference(&fused, &expected) < 1e-5);
    }
}
