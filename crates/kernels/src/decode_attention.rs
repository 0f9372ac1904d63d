//! Attention of one new token per row over that row's cached keys and values. Forward only.
//!
//! The fused version keeps keys and values in pages of 16 slots. Within a page the keys of a head
//! are (`head_dim`, slots), so that the slots are the SIMD lanes of the scores, and the values
//! (slots, `head_dim`). A page is read in order and once, and may belong to many rows: the pages of
//! a prompt serve all rows of its group.

use super::cuda;
use super::scope::Scope;
use super::simd::{self, LANES, multiply_add};
use candle_core::{D, DType, Result, Tensor, bail};
use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use std::ops::Range;
use std::sync::Arc;

/// Slots of a page.
pub const PAGE: usize = LANES;

/// Numbers of heads, and elements of each.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; they divide the query heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

impl Heads {
    /// Elements of a layer's part of a page: keys (`kv_heads`, `head_dim`, slots), then values
    /// (`kv_heads`, slots, `head_dim`).
    pub fn page_len(self) -> usize {
        2 * self.kv_heads * self.head_dim * PAGE
    }

    /// Writes a token's keys and values, each (`kv_heads`, `head_dim`), into a slot of a layer's
    /// page.
    pub fn write(self, page: &mut [f32], slot: usize, keys: &[f32], values: &[f32]) {
        let (page_keys, page_values) = page.split_at_mut(self.page_len() / 2);
        for (kept, key) in page_keys[slot..].iter_mut().step_by(PAGE).zip(keys) {
            *kept = *key;
        }
        let pages = page_values.chunks_exact_mut(PAGE * self.head_dim);
        for (page, value) in pages.zip(values.chunks_exact(self.head_dim)) {
            page[slot * self.head_dim..][..self.head_dim].copy_from_slice(value);
        }
    }
}

/// A layer's part of a page, and which of its slots are attended to.
pub type Page<'a> = (&'a [f32], Range<usize>);

/// Attends from one row's q (heads, `head_dim`) to `pages`, with scores times `scale`; writes
/// (heads, `head_dim`) to `out`. There must be a slot that is attended to.
#[multiversion(targets = "simd")]
pub fn paged_attention(out: &mut [f32], q: &[f32], pages: &[Page], dims: Heads, scale: f32) {
    const FMA: bool = target_cfg_f!(target_feature = "fma");
    let Heads { heads, kv_heads, head_dim } = dims;
    let (group, slots) = (heads / kv_heads, pages.len() * PAGE);
    let mut scores = vec![0.0; heads * slots]; // (heads, slots)
    for (index, (page, seen)) in pages.iter().enumerate() {
        for (head, q) in q.chunks_exact(head_dim).enumerate() {
            let keys =
                page[head / group * head_dim * PAGE..][..head_dim * PAGE].as_chunks::<PAGE>().0;
            let mut sums = [[0f32; PAGE]; 4]; // four sums that do not wait for each other
            let ((q, q_rest), (keys, keys_rest)) = (q.as_chunks::<4>(), keys.as_chunks::<4>());
            for (q, keys) in q.iter().zip(keys) {
                for j in 0..4 {
                    for i in 0..PAGE {
                        sums[j][i] = multiply_add::<FMA>(q[j], keys[j][i], sums[j][i]);
                    }
                }
            }
            for (q, keys) in q_rest.iter().zip(keys_rest) {
                for i in 0..PAGE {
                    sums[0][i] = multiply_add::<FMA>(*q, keys[i], sums[0][i]);
                }
            }
            let scores = &mut scores[head * slots + index * PAGE..][..PAGE];
            for i in 0..PAGE {
                scores[i] = ((sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i])) * scale;
            }
            scores[..seen.start].fill(f32::NEG_INFINITY);
            scores[seen.end..].fill(f32::NEG_INFINITY);
        }
    }
    out.fill(0.0);
    let mut scales = vec![0.0; heads];
    for (scores, scale) in scores.chunks_exact_mut(slots).zip(&mut scales) {
        let top = simd::max(scores);
        for s in scores.iter_mut() {
            *s = simd::exp(*s - top);
        }
        *scale = 1.0 / simd::sum(scores);
    }
    for (index, (page, _)) in pages.iter().enumerate() {
        let values = &page[dims.page_len() / 2..];
        for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
            let p = &scores[head * slots + index * PAGE..][..PAGE];
            add_weighted::<FMA>(
                out,
                p,
                &values[head / group * head_dim * PAGE..][..head_dim * PAGE],
            );
        }
    }
    for (out, scale) in out.chunks_exact_mut(head_dim).zip(scales) {
        for x in out {
            *x *= scale;
        }
    }
}

/// out (d) += p (slots) values (slots, d).
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn add_weighted<const FMA: bool>(out: &mut [f32], p: &[f32], values: &[f32]) {
    let d = out.len();
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut sums = [[0f32; LANES]; 4];
        for (p, values) in p.as_chunks::<4>().0.iter().zip(values.chunks_exact(4 * d)) {
            for j in 0..4 {
                let value = &values[j * d + block * LANES..][..LANES];
                for i in 0..LANES {
                    sums[j][i] = multiply_add::<FMA>(p[j], value[i], sums[j][i]);
                }
            }
        }
        for i in 0..LANES {
            out[i] += (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]);
        }
    }
    let first = d - rest.len();
    for (p, value) in p.iter().zip(values.chunks_exact(d)) {
        simd::add_scaled(rest, *p, &value[first..]);
    }
}

/// Attends from q (rows, heads, `head_dim`) to the slots `starts[row]..end` of the caches (rows,
/// `kv_heads`, slots, `head_dim`), as far as `scope` reaches back from the last one; returns (rows,
/// heads * `head_dim`). Slots before a row's start are left padding.
pub fn padded_attention(
    q: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    starts: &Arc<[u32]>,
    end: usize,
    scope: Scope,
) -> Result<Tensor> {
    if end == 0 || scope.window == Some(0) {
        bail!("attention to {end} slots with {scope:?}");
    }
    if cuda::applies(&[q, keys, values])
        && let Some(out) = cuda::decode_attention(q, keys, values, starts, end, scope)?
    {
        return Ok(out);
    }
    padded_attention_reference(q, keys, values, starts, end, scope)
}

/// [`padded_attention`] from plain candle operations.
pub(super) fn padded_attention_reference(
    q: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    starts: &[u32],
    end: usize,
    scope: Scope,
) -> Result<Tensor> {
    let (rows, heads, head_dim) = q.dims3()?;
    let kv_heads = keys.dim(1)?;
    let q = q.reshape((rows, kv_heads, heads / kv_heads, head_dim))?;
    let keys = keys.narrow(2, 0, end)?;
    let values = values.narrow(2, 0, end)?.contiguous()?;
    let scores = (q.matmul(&keys.transpose(2, 3)?.contiguous()?)? * scope.wide_scale())?
        .to_dtype(DType::F32)?;
    let mask: Vec<f32> = starts
        .iter()
        .flat_map(|&start| {
            let first = scope.first(end - 1).max(start as usize);
            (0..end).map(move |slot| if slot >= first { 0.0 } else { f32::NEG_INFINITY })
        })
        .collect();
    let scores = scores.broadcast_add(&Tensor::from_vec(mask, (rows, 1, 1, end), q.device())?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let probabilities =
        shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?.to_dtype(values.dtype())?;
    probabilities.matmul(&values)?.reshape((rows, heads * head_dim))
}

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random, values};
    use super::*;
    use candle_core::Device;

    #[test]
    fn attention_over_pages_agrees_with_the_reference() {
        for (heads, kv_heads, head_dim, filled, window) in [
            (4, 2, 6, [1, 0, 0], None),
            (4, 4, 32, [16, 16, 3], None),
            (6, 2, 40, [5, 16, 1], None),
            (4, 4, 32, [16, 16, 3], Some(24)),
            (6, 2, 40, [5, 16, 1], Some(1)),
        ] {
            let scope = Scope { window, ..Scope::full(head_dim) };
            let dims = Heads { heads, kv_heads, head_dim };
            let slots: usize = filled.iter().sum();
            let q = random(&[1, heads, head_dim], 1);
            let keys = random(&[1, kv_heads, slots, head_dim], 2);
            let cached = random(&[1, kv_heads, slots, head_dim], 3);
            let expected = padded_attention(&q, &keys, &cached, &[0].into(), slots, scope).unwrap();

            let token = |t: &Tensor, slot: usize| values(&t.narrow(2, slot, 1).unwrap());
            let (mut pages, mut slot) = (Vec::new(), 0);
            for filled in filled.into_iter().filter(|filled| *filled > 0) {
                let mut page = vec![0.0; dims.page_len()];
                let seen = scope.first(slots - 1).saturating_sub(slot).min(filled)..filled;
                for place in 0..filled {
                    dims.write(&mut page, place, &token(&keys, slot), &token(&cached, slot));
                    slot += 1;
                }
                pages.push((page, seen));
            }
            let pages: Vec<Page> =
                pages.iter().map(|(page, seen)| (page.as_slice(), seen.clone())).collect();
            let mut out = vec![f32::NAN; heads * head_dim];
            paged_attention(&mut out, &values(&q), &pages, dims, scope.scale());
            let found = Tensor::from_vec(out, (1, heads * head_dim), &Device::Cpu).unwrap();
            assert!(difference(&found, &expected) < 1e-5);
        }
    }

    #[test]
    fn slots_before_a_rows_start_are_not_seen() {
        let q = random(&[2, 4, 6], 1);
        let (keys, cached) = (random(&[2, 2, 10, 6], 2), random(&[2, 2, 10, 6], 3));
        let (full, starts) = (Scope::full(6), Arc::from([0, 5]));
        let both = padded_attention(&q, &keys, &cached, &starts, 8, full).unwrap();
        let of = |row: usize, slot: usize| {
            let part = |t: &Tensor| t.narrow(0, row, 1).unwrap().narrow(2, slot, 8 - slot).unwrap();
            let (q, end) = (q.narrow(0, row, 1).unwrap(), 8 - slot);
            padded_attention(&q, &part(&keys), &part(&cached), &[0].into(), end, full).unwrap()
        };
        assert!(difference(&both.narrow(0, 1, 1).unwrap(), &of(1, 5)) < 1e-5);

        // Nor are those before its window.
        for (window, firsts) in [(2, [6, 6]), (4, [4, 5])] {
            let scope = Scope { window: Some(window), ..full };
            let both = padded_attention(&q, &keys, &cached, &starts, 8, scope).unwrap();
            for (row, first) in firsts.into_iter().enumerate() {
                assert!(difference(&both.narrow(0, row, 1).unwrap(), &of(row, first)) < 1e-5);
            }
        }
    }
}
