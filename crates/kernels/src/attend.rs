//! The fused CPU version of causal attention: one unit of work per segment and key/value head, in
//! tiles of a few queries.
//!
//! A unit copies its keys and values into order once: transposed where they meet queries, so that
//! the lanes are keys. It keeps no score longer than its tile needs it; backward computes them
//! again.

use super::buffers::{Buffers, with_thread_buffers};
use super::scope::Scope;
use super::segments::{Segment, Segments};
use super::simd::{self, LANES};
use super::tiles::{Matrix, MatrixMut, ROWS, add_transposed_product, product};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

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
    /// What a query sees.
    pub(super) scope: Scope,
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

    /// Elements of a head, padded to whole vectors.
    fn padded_size(self) -> usize {
        self.size.next_multiple_of(LANES)
    }

    fn scale(self) -> f32 {
        self.scope.scale()
    }

    /// The first key that the query at `place` of its sequence sees, and where the vector begins
    /// that holds it.
    fn first_seen(self, place: usize) -> (usize, usize) {
        let first = self.scope.first(place);
        (first, first / LANES * LANES)
    }
}

/// Tokens that a segment sees, padded to whole vectors.
fn padded_tokens(segment: &Segment) -> usize {
    (segment.prefix.len() + segment.tokens.len()).next_multiple_of(LANES)
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
pub(super) fn forward(out: &mut [f32], inputs: Inputs, segments: &Segments, buffers: &mut Buffers) {
    let heads = inputs.heads;
    let units =
        Units::new(segments, heads, |segment| segment.tokens.len() * heads.group() * heads.size);
    let mut results = buffers.take(units.len());
    units.each(&mut results, |out, segment, head| {
        with_thread_buffers(|buffers| {
            Arch::new().dispatch(ForwardUnit { out, inputs, segment, head, buffers });
        });
    });
    gather(out, segments, heads, |segment, head| units.of(&results, segment, head));
    buffers.give([results]);
}

/// The gradients with respect to what every unit reads.
pub(super) struct Gradients<'a> {
    /// Of a unit: with respect to its queries (tokens, group, size), to the keys that it sees
    /// (padded tokens, padded size), and to their values.
    results: Vec<f32>,
    units: Units<'a>,
}

/// The backward pass; `grad` (tokens, query heads * size).
pub(super) fn backward<'a>(
    grad: &[f32],
    inputs: Inputs,
    segments: &'a Segments,
    buffers: &mut Buffers,
) -> Gradients<'a> {
    let heads = inputs.heads;
    let units = Units::new(segments, heads, |segment| {
        segment.tokens.len() * heads.group() * heads.size
            + 2 * padded_tokens(segment) * heads.padded_size()
    });
    let mut results = buffers.take(units.len());
    units.each(&mut results, |out, segment, head| {
        with_thread_buffers(|buffers| {
            Arch::new().dispatch(BackwardUnit { out, grad, inputs, segment, head, buffers });
        });
    });
    Gradients { results, units }
}

impl Gradients<'_> {
    /// Writes the gradients with respect to the queries to `out` (tokens, query heads * size).
    pub(super) fn d_queries(&self, out: &mut [f32]) {
        gather(out, self.units.segments, self.units.heads, |segment, head| {
            self.units.of(&self.results, segment, head)
        });
    }

    /// Writes the gradients with respect to the keys to `out` (tokens, key/value heads * size).
    pub(super) fn d_keys(&self, out: &mut [f32]) {
        self.gather_seen(out, 0);
    }

    /// As [`Self::d_keys`], with respect to the values.
    pub(super) fn d_values(&self, out: &mut [f32]) {
        self.gather_seen(out, 1);
    }

    /// Gives the memory back.
    pub(super) fn free(self, buffers: &mut Buffers) {
        buffers.give([self.results]);
    }

    /// A unit's gradient by a token that it sees: by its key (0) or value (1).
    fn seen(&self, number: usize, head: usize, which: usize, token: usize) -> &[f32] {
        let heads = self.units.heads;
        let segment = &self.units.segments.parts()[number];
        let queries = segment.tokens.len() * heads.group() * heads.size;
        let row = which * padded_tokens(segment) + token;
        &self.units.of(&self.results, number, head)[queries + row * heads.padded_size()..]
            [..heads.size]
    }

    /// A token's gradient is the sum of those of its own segment and of the segment's branches, in
    /// order.
    fn gather_seen(&self, out: &mut [f32], which: usize) {
        let Heads { keys, size, .. } = self.units.heads;
        let (segments, width) = (self.units.segments, keys * size);
        let branches = segments.branches();
        segments.split(out, width).into_par_iter().enumerate().for_each(|(number, out)| {
            let before = segments.parts()[number].prefix.len();
            for (token, row) in out.chunks_exact_mut(width).enumerate() {
                for (head, sum) in row.chunks_exact_mut(size).enumerate() {
                    sum.copy_from_slice(self.seen(number, head, which, before + token));
                    for &branch in &branches[number] {
                        let part = self.seen(branch, head, which, token);
                        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                    }
                }
            }
        });
    }
}

/// The units of work, one per segment and key/value head, and where their results are in one
/// buffer.
struct Units<'a> {
    segments: &'a Segments,
    heads: Heads,
    /// Where the results of each segment's first head begin, and the end of all.
    starts: Vec<usize>,
}

impl<'a> Units<'a> {
    /// `size` is that of one head's results.
    fn new(segments: &'a Segments, heads: Heads, size: impl Fn(&Segment) -> usize) -> Self {
        let mut starts = vec![0];
        let mut end = 0;
        for segment in segments.parts() {
            end += heads.keys * size(segment);
            starts.push(end);
        }
        Self { segments, heads, starts }
    }

    /// Elements of all results.
    fn len(&self) -> usize {
        self.starts[self.segments.len()]
    }

    /// The results of a unit.
    fn of<'b>(&self, results: &'b [f32], segment: usize, head: usize) -> &'b [f32] {
        let (start, end) = (self.starts[segment], self.starts[segment + 1]);
        let size = (end - start) / self.heads.keys;
        &results[start + head * size..][..size]
    }

    /// Has `work` write the results of every unit.
    fn each(&self, mut results: &mut [f32], work: impl Fn(&mut [f32], &Segment, usize) + Sync) {
        let mut parts = Vec::with_capacity(self.segments.len() * self.heads.keys);
        for (segment, ends) in self.segments.parts().iter().zip(self.starts.windows(2)) {
            for head in 0..self.heads.keys {
                let (part, rest) = results.split_at_mut((ends[1] - ends[0]) / self.heads.keys);
                parts.push((part, segment, head));
                results = rest;
            }
        }
        parts
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(part, segment, head)| work(part, segment, head));
    }
}

/// Puts units' rows (tokens, group, size) together to `out` (tokens, query heads * size).
fn gather<'a>(
    out: &mut [f32],
    segments: &Segments,
    heads: Heads,
    unit: impl Fn(usize, usize) -> &'a [f32] + Sync,
) {
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

/// The keys or values of one head that a segment sees, padded to whole vectors of tokens (and of
/// elements) with zeros.
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
    fn plain(&self, buffers: &mut Buffers) -> Vec<f32> {
        let width = self.heads.padded_size();
        let mut out = buffers.zeros(padded_tokens(self.segment) * width);
        for (out, row) in out.chunks_exact_mut(width).zip(self.rows()) {
            out[..row.len()].copy_from_slice(row);
        }
        out
    }

    /// (elements, tokens)
    fn transposed(&self, buffers: &mut Buffers) -> Vec<f32> {
        let tokens = padded_tokens(self.segment);
        let mut out = buffers.zeros(self.heads.size * tokens);
        for (token, row) in self.rows().enumerate() {
            for (element, value) in row.iter().enumerate() {
                out[element * tokens + token] = *value;
            }
        }
        out
    }
}

/// Copies one head's elements of some tokens into rows of `width`, times `scale`; rows that are
/// left become zero.
fn copy_rows<'a>(out: &mut [f32], width: usize, rows: impl Iterator<Item = &'a [f32]>, scale: f32) {
    out.fill(0.0);
    for (out, row) in out.chunks_exact_mut(width).zip(rows) {
        for (out, value) in out.iter_mut().zip(row) {
            *out = value * scale;
        }
    }
}

/// Turns those of a query's scores that it sees, by number, into e^(score - largest) and the rest
/// into zeros; returns 1 / their sum.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn exponentials(scores: &mut [f32], seen: Range<usize>) -> f32 {
    // Whole vectors only: lanes beyond the ends must not count as the largest.
    scores[..seen.start].fill(f32::NEG_INFINITY);
    scores[seen.end..].fill(f32::NEG_INFINITY);
    let top = simd::max(scores);
    for score in scores.iter_mut() {
        *score = simd::exp(*score - top);
    }
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
    1.0 / simd::sum(scores)
}

/// Turns a query's scores, of which it sees some, into their probabilities, and the gradients with
/// respect to these into those with respect to the scores.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn score_gradients(p: &mut [f32], ds: &mut [f32], seen: Range<usize>) {
    let scale = exponentials(p, seen);
    for p in p.iter_mut() {
        *p *= scale;
    }
    let mean = simd::dot(p, ds);
    for (ds, p) in ds.iter_mut().zip(p) {
        *ds = *p * (*ds - mean);
    }
}

/// out (tokens, group, size)
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn forward_unit<S: Simd>(simd: S, unit: ForwardUnit) {
    let ForwardUnit { out, inputs: Inputs { q, k, v, heads }, segment, head, buffers } = unit;
    let (before, own) = (segment.prefix.len(), segment.tokens.len());
    let (columns, width, stride) =
        (heads.group() * heads.size, heads.padded_size(), padded_tokens(segment));
    let keys = Seen { columns: k, segment, heads, head }.transposed(buffers);
    let values = Seen { columns: v, segment, heads, head }.plain(buffers);
    let mut queries = buffers.take(ROWS * heads.size);
    let mut scores = buffers.take(ROWS * stride);
    let mut sums = buffers.take(ROWS * width);
    for member in 0..heads.group() {
        let of = heads.of(head * heads.group() + member);
        for first in (0..own).step_by(ROWS) {
            let tokens = segment.tokens.clone().skip(first).take(ROWS);
            copy_rows(
                &mut queries,
                heads.size,
                tokens.map(|token| &q.row(token)[of.clone()]),
                heads.scale(),
            );
            let seen = (before + first + ROWS).min(before + own);
            let n = seen.next_multiple_of(LANES);
            let (_, begin) = heads.first_seen(before + first);
            product(
                simd,
                MatrixMut { data: &mut scores, stride },
                Matrix { data: &queries, stride: heads.size },
                Matrix { data: &keys, stride },
                heads.size,
                begin..n,
            );
            let mut scales = [0.0; ROWS];
            for (r, (scores, scale)) in scores.chunks_exact_mut(stride).zip(&mut scales).enumerate()
            {
                // Rows beyond the last query see what that one sees.
                let end = (before + first + r + 1).min(seen);
                let (start, _) = heads.first_seen(end - 1);
                *scale = exponentials(&mut scores[begin..n], start - begin..end - begin);
            }
            product(
                simd,
                MatrixMut { data: &mut sums, stride: width },
                Matrix { data: &scores[begin..], stride },
                Matrix { data: &values[begin * width..], stride: width },
                seen - begin,
                0..width,
            );
            let rows = out.chunks_exact_mut(columns).skip(first);
            for ((out, sums), scale) in rows.zip(sums.chunks_exact(width)).zip(scales) {
                for (out, sum) in out[heads.of(member)].iter_mut().zip(sums) {
                    *out = sum * scale;
                }
            }
        }
    }
    buffers.give([keys, values, queries, scores, sums]);
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn backward_unit<S: Simd>(simd: S, unit: BackwardUnit) {
    let BackwardUnit { out, grad, inputs: Inputs { q, k, v, heads }, segment, head, buffers } =
        unit;
    let grad = Columns { data: grad, width: heads.queries * heads.size };
    let (before, own) = (segment.prefix.len(), segment.tokens.len());
    let (columns, width, stride) =
        (heads.group() * heads.size, heads.padded_size(), padded_tokens(segment));
    let (keys, values) =
        (Seen { columns: k, segment, heads, head }, Seen { columns: v, segment, heads, head });
    let (keys, keys_t, values_t) =
        (keys.plain(buffers), keys.transposed(buffers), values.transposed(buffers));
    let (mut queries, mut grads) = (buffers.take(BLOCK * width), buffers.take(BLOCK * width));
    // Probabilities and the gradients by scores of a block.
    let (mut p, mut ds) = (buffers.take(BLOCK * stride), buffers.take(BLOCK * stride));
    let mut dq_rows = buffers.take(ROWS * width);
    let (dq, d_seen) = out.split_at_mut(own * columns);
    d_seen.fill(0.0);
    let (dk, dv) = d_seen.split_at_mut(stride * width);
    for member in 0..heads.group() {
        let of = heads.of(head * heads.group() + member);
        for block in (0..own).step_by(BLOCK) {
            let rows = BLOCK.min((own - block).next_multiple_of(ROWS));
            let tokens = || segment.tokens.clone().skip(block).take(BLOCK);
            copy_rows(
                &mut queries,
                width,
                tokens().map(|token| &q.row(token)[of.clone()]),
                heads.scale(),
            );
            copy_rows(&mut grads, width, tokens().map(|token| &grad.row(token)[of.clone()]), 1.0);
            let block_n = (before + (block + rows).min(own)).next_multiple_of(LANES);
            let (_, block_begin) = heads.first_seen(before + block);
            for first in (0..rows).step_by(ROWS) {
                let seen = before + (block + first + ROWS).min(own);
                let n = seen.next_multiple_of(LANES);
                let (_, begin) = heads.first_seen(before + block + first);
                let (p, ds) = (
                    &mut p[first * stride..][..ROWS * stride],
                    &mut ds[first * stride..][..ROWS * stride],
                );
                product(
                    simd,
                    MatrixMut { data: p, stride },
                    Matrix { data: &queries[first * width..], stride: width },
                    Matrix { data: &keys_t, stride },
                    heads.size,
                    begin..n,
                );
                product(
                    simd,
                    MatrixMut { data: ds, stride },
                    Matrix { data: &grads[first * width..], stride: width },
                    Matrix { data: &values_t, stride },
                    heads.size,
                    begin..n,
                );
                for (r, (p, ds)) in
                    p.chunks_exact_mut(stride).zip(ds.chunks_exact_mut(stride)).enumerate()
                {
                    let end = (before + block + first + r + 1).min(seen);
                    let (start, _) = heads.first_seen(end - 1);
                    let seen = start - begin..end - begin;
                    score_gradients(&mut p[begin..n], &mut ds[begin..n], seen);
                    for beside in [block_begin..begin, n..block_n] {
                        p[beside.clone()].fill(0.0);
                        ds[beside].fill(0.0);
                    }
                }
                product(
                    simd,
                    MatrixMut { data: &mut dq_rows, stride: width },
                    Matrix { data: &ds[begin..], stride },
                    Matrix { data: &keys[begin * width..], stride: width },
                    seen - begin,
                    0..width,
                );
                let out = dq.chunks_exact_mut(columns).skip(block + first);
                for (out, row) in out.zip(dq_rows.chunks_exact(width)) {
                    for (out, value) in out[heads.of(member)].iter_mut().zip(row) {
                        *out = value * heads.scale();
                    }
                }
            }
            // The scale of the scores is in `queries` already.
            for (sum, left, right) in [(&mut *dk, &ds, &queries), (&mut *dv, &p, &grads)] {
                add_transposed_product(
                    simd,
                    MatrixMut { data: &mut sum[block_begin * width..], stride: width },
                    Matrix { data: &left[block_begin..rows * stride], stride },
                    Matrix { data: right, stride: width },
                    rows,
                    block_n - block_begin,
                    width,
                );
            }
        }
    }
    buffers.give([keys, keys_t, values_t, queries, grads, p, ds, dq_rows]);
}

/// Writes (tokens, group, size).
///
/// Buffers come with the unit: what is in a closure below `with_simd` is not compiled for the
/// vectors of this machine.
struct ForwardUnit<'a> {
    out: &'a mut [f32],
    inputs: Inputs<'a>,
    segment: &'a Segment,
    head: usize,
    buffers: &'a mut Buffers,
}

impl WithSimd for ForwardUnit<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
    fn with_simd<S: Simd>(self, simd: S) {
        forward_unit(simd, self);
    }
}

/// Writes what [`Gradients`] says of a unit.
struct BackwardUnit<'a> {
    out: &'a mut [f32],
    grad: &'a [f32],
    inputs: Inputs<'a>,
    segment: &'a Segment,
    head: usize,
    buffers: &'a mut Buffers,
}

impl WithSimd for BackwardUnit<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
    fn with_simd<S: Simd>(self, simd: S) {
        backward_unit(simd, self);
    }
}
