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
///
/// Keys and values are read once, in the order of memory, for all heads that share them: more of
/// them are on their way then than where each head has its own pass.
#[multiversion(targets = "simd")]
pub fn paged_attention(out: &mut [f32], q: &[f32], pages: &[Page], dims: Heads, scale: f32) {
    const FMA: bool = target_cfg_f!(target_feature = "fma");
    let Heads { heads, kv_heads, head_dim } = dims;
    let (group, slots, chunk) = (heads / kv_heads, pages.len() * PAGE, head_dim * PAGE);
    let mut scores = vec![0.0; heads * slots]; // (heads, slots)
    for (index, (page, seen)) in pages.iter().enumerate() {
        let keys = page.chunks_exact(chunk);
        for ((q, scores), keys) in
            q.chunks_exact(group * head_dim).zip(scores.chunks_exact_mut(group * slots)).zip(keys)
        {
            let (keys, at) = (keys.as_chunks::<PAGE>().0, index * PAGE);
            for (q, scores) in
                q.chunks(TOGETHER * head_dim).zip(scores.chunks_mut(TOGETHER * slots))
            {
                match q.len() / head_dim {
                    1 => add_scores::<FMA, 1>(scores, slots, at, q, keys, scale),
                    2 => add_scores::<FMA, 2>(scores, slots, at, q, keys, scale),
                    3 => add_scores::<FMA, 3>(scores, slots, at, q, keys, scale),
                    _ => add_scores::<FMA, TOGETHER>(scores, slots, at, q, keys, scale),
                }
            }
        }
        for scores in scores.chunks_exact_mut(slots) {
            let scores = &mut scores[index * PAGE..][..PAGE];
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
        let values = page[dims.page_len() / 2..].chunks_exact(chunk);
        for ((out, scores), values) in out
            .chunks_exact_mut(group * head_dim)
            .zip(scores.chunks_exact(group * slots))
            .zip(values)
        {
            let at = index * PAGE;
            for (out, scores) in
                out.chunks_mut(TOGETHER * head_dim).zip(scores.chunks(TOGETHER * slots))
            {
                match out.len() / head_dim {
                    1 => add_values::<FMA, 1>(out, scores, slots, at, values),
                    2 => add_values::<FMA, 2>(out, scores, slots, at, values),
                    3 => add_values::<FMA, 3>(out, scores, slots, at, values),
                    _ => add_values::<FMA, TOGETHER>(out, scores, slots, at, values),
                }
            }
        }
    }
    for (out, scale) in out.chunks_exact_mut(head_dim).zip(scales) {
        for x in out {
            *x *= scale;
        }
    }
}

/// Heads that read keys and values together: as many as there are registers for their sums.
const TOGETHER: usize = 4;

/// Of each of G heads the scores of a page's slots: q (G, d) keys (d, [`PAGE`]), at `at` in scores
/// (G, slots).
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn add_scores<const FMA: bool, const G: usize>(
    scores: &mut [f32],
    slots: usize,
    at: usize,
    q: &[f32],
    keys: &[[f32; PAGE]],
    scale: f32,
) {
    let d = keys.len();
    let q: [&[f32]; G] = std::array::from_fn(|g| &q[g * d..][..d]);
    let mut sums = [[[0f32; PAGE]; G]; 2]; // two sums of each head, which do not wait for each other
    let (pairs, last) = keys.as_chunks::<2>();
    for (i, keys) in pairs.iter().enumerate() {
        for j in 0..2 {
            for g in 0..G {
                let q = q[g][2 * i + j];
                for slot in 0..PAGE {
                    sums[j][g][slot] = multiply_add::<FMA>(q, keys[j][slot], sums[j][g][slot]);
                }
            }
        }
    }
    for keys in last {
        for g in 0..G {
            for slot in 0..PAGE {
                sums[0][g][slot] = multiply_add::<FMA>(q[g][d - 1], keys[slot], sums[0][g][slot]);
            }
        }
    }
    for g in 0..G {
        let scores = &mut scores[g * slots + at..][..PAGE];
        for slot in 0..PAGE {
            scores[slot] = (sums[0][g][slot] + sums[1][g][slot]) * scale;
        }
    }
}

/// Of each of G heads: out (G, d) += p ([`PAGE`]) values ([`PAGE`], d), with p at `at` in scores (G,
/// slots).
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn add_values<const FMA: bool, const G: usize>(
    out: &mut [f32],
    scores: &[f32],
    slots: usize,
    at: usize,
    values: &[f32],
) {
    let d = values.len() / PAGE;
    let p: [&[f32; PAGE]; G] =
        std::array::from_fn(|g| scores[g * slots + at..].first_chunk().unwrap_or(&[0.0; PAGE]));
    let mut first = 0;
    while d - first >= 4 * LANES {
        add_columns::<FMA, G, 4>(out, d, first, p, values);
        first += 4 * LANES;
    }
    while d - first >= 2 * LANES {
        add_columns::<FMA, G, 2>(out, d, first, p, values);
        first += 2 * LANES;
    }
    while d - first >= LANES {
        add_columns::<FMA, G, 1>(out, d, first, p, values);
        first += LANES;
    }
    for (g, p) in p.iter().enumerate() {
        for (p, value) in p.iter().zip(values.chunks_exact(d)) {
            simd::add_scaled(&mut out[g * d + first..][..d - first], *p, &value[first..]);
        }
    }
}

/// [`add_values`] in N vectors of columns from `first` on.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn add_columns<const FMA: bool, const G: usize, const N: usize>(
    out: &mut [f32],
    d: usize,
    first: usize,
    p: [&[f32; PAGE]; G],
    values: &[f32],
) {
    let mut sums = [[[0f32; LANES]; N]; G];
    for (slot, value) in values.chunks_exact(d).enumerate() {
        let value = &value[first..][..N * LANES];
        for n in 0..N {
            for g in 0..G {
                for i in 0..LANES {
                    sums[g][n][i] =
                        multiply_add::<FMA>(p[g][slot], value[n * LANES + i], sums[g][n][i]);
                }
            }
        }
    }
    for g in 0..G {
        let out = &mut out[g * d + first..][..N * LANES];
        for n in 0..N {
            for i in 0..LANES {
                out[n * LANES + i] += sums[g][n][i];
            }
        }
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
            (3, 1, 64, [16, 16, 3], None),
            (14, 2, 128, [16, 16, 3], None),
            (4, 1, 112, [7, 2, 16], None),
            (5, 1, 17, [16, 9, 0], None),
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
