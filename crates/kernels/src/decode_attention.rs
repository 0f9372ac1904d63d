//! Attention of one row's new token over its cached keys and values, on the CPU in `f32`. Forward
//! only.
//!
//! It keeps keys and values in pages of 16 slots. Within a page the keys of a head
//! are (`head_dim`, slots), so that the slots are the SIMD lanes of the scores, and the values
//! (slots, `head_dim`). A page is read in order and once, and may belong to many rows: the pages of
//! a prompt serve all rows of its group.

use super::simd::{self, LANES, multiply_add};
use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use std::ops::Range;

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

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random, values};
    use super::super::{LayerCache, PromptGroups, Scope, grouped_attention};
    use super::*;
    use candle_core::{Device, Tensor};

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
            let none = Tensor::zeros((0, kv_heads, head_dim), q.dtype(), q.device()).unwrap();
            let cache =
                LayerCache { prompts: [none.clone(), none], own: [keys.clone(), cached.clone()] };
            let groups = PromptGroups::new([(0..0, 0..1)]);
            let expected = grouped_attention(&q, &cache, &groups, slots, scope).unwrap();

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
}
