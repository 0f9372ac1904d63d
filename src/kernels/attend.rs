//! The fused CPU version of causal attention: one unit of work per segment and key/value head, in tiles of a few queries.
//!
//! A unit copies its keys and values into order once: transposed where they meet queries, so that the lanes are keys. It keeps
//! no score longer than its tile needs it; backward computes them again.

use super::segments::{Segment, Segments};
use super::simd::{self, LANES};
use super::tiles::{Matrix, MatrixMut, ROWS, add_transposed_product, product};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Queries of a block of the backward pass.
const BLOCK: usize = 4 * ROWS;

/// Numbers and size of heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    /// Query heads.
    pub(super) queries: usize,
    /// Key/value heads.
    pub(super) keys: usize,
    /// Elements of a head.
    pub(super) size: usize,
}

impl Heads {
    /// Query heads per key/value head.
    fn group(self) -> usize {
        self.queries / self.keys
    }

    /// The elements of head `head` in a row of them.
    fn of(self, head: usize) -> std::ops::Range<usize> {
        head * self.size..(head + 1) * self.size
    }

    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }
}

/// A row-major matrix with a row for each token.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) data: &'a [f32],
    pub(super) width: usize,
}

impl<'a> Columns<'a> {
    fn row(self, token: usize) -> &'a [f32] {
        &self.data[token * self.width..(token + 1) * self.width]
    }
}

/// Queries, keys and values of all tokens.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) q: Columns<'a>,
    pub(super) k: Columns<'a>,
    pub(super) v: Columns<'a>,
    pub(super) heads: Heads,
}

/// Attention of all tokens: out (tokens, query heads * size).
pub(super) fn forward(out: &mut [f32], inputs: Inputs, segments: &Segments) {
    let units =
        units(segments, inputs.heads, |segment, head| Arch::new().dispatch(ForwardUnit { inputs, segment, head }));
    gather(out, segments, inputs.heads, |segment, head| &units[segment * inputs.heads.keys + head]);
}

/// Gradients of what one unit reads.
pub(super) struct UnitGradients {
    /// By its queries: (tokens, group, size).
    q: Vec<f32>,
    /// By the keys that it sees: (prefix and own tokens, size); then by the values.
    k: Vec<f32>,
    v: Vec<f32>,
}

/// The gradients of all units, given that of the output: `grad` (tokens, query heads * size).
pub(super) struct Gradients<'a> {
    units: Vec<UnitGradients>,
    segments: &'a Segments,
    heads: Heads,
}

/// The backward pass.
pub(super) fn backward<'a>(grad: &[f32], inputs: Inputs, segments: &'a Segments) -> Gradients<'a> {
    let units = units(segments, inputs.heads, |segment, head| {
        Arch::new().dispatch(BackwardUnit { grad, inputs, segment, head })
    });
    Gradients { units, segments, heads: inputs.heads }
}

impl Gradients<'_> {
    /// Writes the gradients by the queries to `out` (tokens, query heads * size).
    pub(super) fn by_queries(&self, out: &mut [f32]) {
        gather(out, self.segments, self.heads, |segment, head| &self.unit(segment, head).q);
    }

    /// Writes the gradients by the keys to `out` (tokens, key/value heads * size).
    pub(super) fn by_keys(&self, out: &mut [f32]) {
        self.gather_seen(out, |unit| &unit.k);
    }

    /// As [`Self::by_keys`], by the values.
    pub(super) fn by_values(&self, out: &mut [f32]) {
        self.gather_seen(out, |unit| &unit.v);
    }

    fn unit(&self, segment: usize, head: usize) -> &UnitGradients {
        &self.units[segment * self.heads.keys + head]
    }

    /// A token's gradient is the sum of those of its own segment and of the segment's branches, in order.
    fn gather_seen(&self, out: &mut [f32], of: impl Fn(&UnitGradients) -> &[f32] + Sync) {
        let Heads { keys, size, .. } = self.heads;
        let width = keys * size;
        let branches = self.segments.branches();
        self.segments.split(out, width).into_par_iter().enumerate().for_each(|(number, out)| {
            let before = self.segments.parts()[number].prefix.len();
            for (token, row) in out.chunks_exact_mut(width).enumerate() {
                for (head, sum) in row.chunks_exact_mut(size).enumerate() {
                    sum.copy_from_slice(&of(self.unit(number, head))[(before + token) * size..][..size]);
                    for &branch in &branches[number] {
                        let part = &of(self.unit(branch, head))[token * size..][..size];
                        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                    }
                }
            }
        });
    }
}

/// What `work` makes of every segment and key/value head.
fn units<T: Send>(segments: &Segments, heads: Heads, work: impl Fn(&Segment, usize) -> T + Sync) -> Vec<T> {
    (0..segments.len() * heads.keys)
        .into_par_iter()
        .with_max_len(1)
        .map(|unit| work(&segments.parts()[unit / heads.keys], unit % heads.keys))
        .collect()
}

/// Puts units' rows (tokens, group, size) together to `out` (tokens, query heads * size).
fn gather<'a>(out: &mut [f32], segments: &Segments, heads: Heads, unit: impl Fn(usize, usize) -> &'a Vec<f32> + Sync) {
    let columns = heads.group() * heads.size;
    let width = heads.keys * columns;
    segments.split(out, width).into_par_iter().enumerate().for_each(|(number, out)| {
        for (token, row) in out.chunks_exact_mut(width).enumerate() {
            for (head, part) in row.chunks_exact_mut(columns).enumerate() {
                part.copy_from_slice(&unit(number, head)[token * columns..][..columns]);
            }
        }
    });
}

/// The keys or values of one head that a segment sees, padded to whole vectors of tokens (and of elements) with zeros.
struct Seen<'a> {
    columns: Columns<'a>,
    segment: &'a Segment,
    heads: Heads,
    head: usize,
}

impl Seen<'_> {
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        let tokens = self.segment.prefix.clone().chain(self.segment.tokens.clone());
        tokens.map(|token| &self.columns.row(token)[self.heads.of(self.head)])
    }

    /// (tokens, elements)
    fn plain(&self, tokens: usize) -> Vec<f32> {
        let width = self.heads.size.next_multiple_of(LANES);
        let mut out = vec![0.0; tokens * width];
        for (out, row) in out.chunks_exact_mut(width).zip(self.rows()) {
            out[..row.len()].copy_from_slice(row);
        }
        out
    }

    /// (elements, tokens)
    fn transposed(&self, tokens: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.heads.size * tokens];
        for (token, row) in self.rows().enumerate() {
            for (element, value) in row.iter().enumerate() {
                out[element * tokens + token] = *value;
            }
        }
        out
    }
}

/// Copies one head's elements of some tokens into rows of `width`, times `scale`; rows that are left become zero.
fn copy_rows<'a>(out: &mut [f32], width: usize, rows: impl Iterator<Item = &'a [f32]>, scale: f32) {
    out.fill(0.0);
    for (out, row) in out.chunks_exact_mut(width).zip(rows) {
        for (out, value) in out.iter_mut().zip(row) {
            *out = value * scale;
        }
    }
}

/// Turns the first `seen` of a query's scores into e^(score - largest) and the rest into zeros; returns 1 / their sum.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn exponentials(scores: &mut [f32], seen: usize) -> f32 {
    // Whole vectors only: lanes beyond the end must not count as the largest.
    scores[seen..].fill(f32::NEG_INFINITY);
    let top = simd::max(scores);
    for score in scores.iter_mut() {
        *score = simd::exp(*score - top);
    }
    scores[seen..].fill(0.0);
    1.0 / simd::sum(scores)
}

/// out (tokens, group, size)
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn forward_unit<S: Simd>(simd: S, out: &mut [f32], inputs: Inputs, segment: &Segment, head: usize) {
    let Inputs { q, k, v, heads } = inputs;
    let (before, own) = (segment.prefix.len(), segment.tokens.len());
    let (columns, width) = (heads.group() * heads.size, heads.size.next_multiple_of(LANES));
    let stride = (before + own).next_multiple_of(LANES);
    let keys = Seen { columns: k, segment, heads, head }.transposed(stride);
    let values = Seen { columns: v, segment, heads, head }.plain(stride);
    let mut queries = vec![0.0; ROWS * heads.size];
    let mut scores = vec![0.0; ROWS * stride];
    let mut sums = vec![0.0; ROWS * width];
    for member in 0..heads.group() {
        let of = heads.of(head * heads.group() + member);
        for first in (0..own).step_by(ROWS) {
            let tokens = segment.tokens.clone().skip(first).take(ROWS);
            copy_rows(&mut queries, heads.size, tokens.map(|token| &q.row(token)[of.clone()]), heads.scale());
            let seen = (before + first + ROWS).min(before + own);
            let n = seen.next_multiple_of(LANES);
            product(
                simd,
                MatrixMut { data: &mut scores, stride },
                Matrix { data: &queries, stride: heads.size },
                Matrix { data: &keys, stride },
                heads.size,
                n,
            );
            let mut scales = [0.0; ROWS];
            for (r, (scores, scale)) in scores.chunks_exact_mut(stride).zip(&mut scales).enumerate() {
                *scale = exponentials(&mut scores[..n], (before + first + r + 1).min(seen));
            }
            product(
                simd,
                MatrixMut { data: &mut sums, stride: width },
                Matrix { data: &scores, stride },
                Matrix { data: &values, stride: width },
                seen,
                width,
            );
            let rows = out.chunks_exact_mut(columns).skip(first);
            for ((out, sums), scale) in rows.zip(sums.chunks_exact(width)).zip(scales) {
                for (out, sum) in out[heads.of(member)].iter_mut().zip(sums) {
                    *out = sum * scale;
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn backward_unit<S: Simd>(simd: S, grad: &[f32], inputs: Inputs, segment: &Segment, head: usize) -> UnitGradients {
    let Inputs { q, k, v, heads } = inputs;
    let grad = Columns { data: grad, width: heads.queries * heads.size };
    let (before, own) = (segment.prefix.len(), segment.tokens.len());
    let (columns, width) = (heads.group() * heads.size, heads.size.next_multiple_of(LANES));
    let stride = (before + own).next_multiple_of(LANES);
    let (keys, values) = (Seen { columns: k, segment, heads, head }, Seen { columns: v, segment, heads, head });
    let (keys, keys_t, values_t) = (keys.plain(stride), keys.transposed(stride), values.transposed(stride));
    let (mut queries, mut grads) = (vec![0.0; BLOCK * width], vec![0.0; BLOCK * width]);
    // Probabilities and the gradients by scores of a block.
    let (mut p, mut ds) = (vec![0.0; BLOCK * stride], vec![0.0; BLOCK * stride]);
    let mut dq_rows = vec![0.0; ROWS * width];
    let (mut dq, mut dk, mut dv) = (vec![0.0; own * columns], vec![0.0; stride * width], vec![0.0; stride * width]);
    for member in 0..heads.group() {
        let of = heads.of(head * heads.group() + member);
        for block in (0..own).step_by(BLOCK) {
            let rows = BLOCK.min((own - block).next_multiple_of(ROWS));
            let tokens = || segment.tokens.clone().skip(block).take(BLOCK);
            copy_rows(&mut queries, width, tokens().map(|token| &q.row(token)[of.clone()]), heads.scale());
            copy_rows(&mut grads, width, tokens().map(|token| &grad.row(token)[of.clone()]), 1.0);
            let block_n = (before + (block + rows).min(own)).next_multiple_of(LANES);
            for first in (0..rows).step_by(ROWS) {
                let seen = before + (block + first + ROWS).min(own);
                let n = seen.next_multiple_of(LANES);
                let (p, ds) = (&mut p[first * stride..][..ROWS * stride], &mut ds[first * stride..][..ROWS * stride]);
                product(
                    simd,
                    MatrixMut { data: p, stride },
                    Matrix { data: &queries[first * width..], stride: width },
                    Matrix { data: &keys_t, stride },
                    heads.size,
                    n,
                );
                product(
                    simd,
                    MatrixMut { data: ds, stride },
                    Matrix { data: &grads[first * width..], stride: width },
                    Matrix { data: &values_t, stride },
                    heads.size,
                    n,
                );
                for (r, (p, ds)) in p.chunks_exact_mut(stride).zip(ds.chunks_exact_mut(stride)).enumerate() {
                    let scale = exponentials(&mut p[..n], (before + block + first + r + 1).min(seen));
                    for p in &mut p[..n] {
                        *p *= scale;
                    }
                    let mean = simd::dot(&p[..n], &ds[..n]);
                    for (ds, p) in ds[..n].iter_mut().zip(&p[..n]) {
                        *ds = p * (*ds - mean);
                    }
                    p[n..block_n].fill(0.0);
                    ds[n..block_n].fill(0.0);
                }
                product(
                    simd,
                    MatrixMut { data: &mut dq_rows, stride: width },
                    Matrix { data: ds, stride },
                    Matrix { data: &keys, stride: width },
                    seen,
                    width,
                );
                let out = dq.chunks_exact_mut(columns).skip(block + first);
                for (out, row) in out.zip(dq_rows.chunks_exact(width)) {
                    for (out, value) in out[heads.of(member)].iter_mut().zip(row) {
                        *out = value * heads.scale();
                    }
                }
            }
            // The scale of the scores is in `queries` already.
            for (sum, left, right) in [(&mut dk, &ds, &queries), (&mut dv, &p, &grads)] {
                add_transposed_product(
                    simd,
                    MatrixMut { data: sum, stride: width },
                    Matrix { data: &left[..rows * stride], stride },
                    Matrix { data: right, stride: width },
                    rows,
                    block_n,
                    width,
                );
            }
        }
    }
    let unpad = |padded: Vec<f32>| {
        if width == heads.size {
            return padded;
        }
        padded.chunks_exact(width).flat_map(|row| row[..heads.size].iter().copied()).collect()
    };
    UnitGradients { q: dq, k: unpad(dk), v: unpad(dv) }
}

struct ForwardUnit<'a> {
    inputs: Inputs<'a>,
    segment: &'a Segment,
    head: usize,
}

impl WithSimd for ForwardUnit<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let mut out = vec![0.0; self.segment.tokens.len() * self.inputs.heads.group() * self.inputs.heads.size];
        forward_unit(simd, &mut out, self.inputs, self.segment, self.head);
        out
    }
}

struct BackwardUnit<'a> {
    grad: &'a [f32],
    inputs: Inputs<'a>,
    segment: &'a Segment,
    head: usize,
}

impl WithSimd for BackwardUnit<'_> {
    type Output = UnitGradients;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
    fn with_simd<S: Simd>(self, simd: S) -> UnitGradients {
        backward_unit(simd, self.grad, self.inputs, self.segment, self.head)
    }
}
