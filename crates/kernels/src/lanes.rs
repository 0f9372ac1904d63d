//! Operations on a transposed block of rows: (features, lanes), each row in a SIMD lane of its own,
//! lanes without a row being zero. They are what decoding is made of: few rows, much weight.
//!
//! A product takes W as it is stored, row by row, each element being multiplied with a vector of
//! rows: nothing is packed and no lane is ever summed over. Every element of a result is summed
//! over the features in order, so a row's values are the same to the last bit whatever other rows
//! there are and however the work is split.
//!
//! The plain references are those of the operations on rows, [`super::linear_reference`] and its
//! like.

use super::gated::{Activation, gelu};
use super::layer_weight::{LayerWeight, LowRank, scale_elements};
use super::linear::linear_reference;
use super::rotary::Rotary;
use super::simd::{self, LANES, multiply_add};
use super::storage::{fused, with_slices};
use candle_core::{Result, Tensor};
use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use rayon::prelude::*;

/// Most rows of a block: four vectors of lanes, so that each element of W is used for four
/// multiplications.
pub const BLOCK: usize = 4 * LANES;

/// Rows of W that a product takes together: whole tiles of any height.
const TOGETHER: usize = 24;

/// y (out, lanes) = W (out, in) x (in, lanes), or y += W x where `accumulate`, with the rows of W
/// cut into `splits` parts that may run at the same time.
///
/// # Panics
/// Where the sizes do not fit together.
pub fn product(y: &mut [f32], w: &[f32], x: &[f32], lanes: usize, accumulate: bool, splits: usize) {
    run(cut(y, w, (x, lanes), accumulate, splits).collect());
}

/// [`product`] of x (in, lanes) with the weights (out, in) of linear layers, each into the y beside
/// it, and what adapters add to it.
///
/// # Panics
/// As [`product`].
pub fn linear<const N: usize>(
    mut outputs: [(&mut [f32], LayerWeight); N],
    x: &[f32],
    lanes: usize,
    accumulate: bool,
    splits: usize,
) {
    let inner = x.len() / lanes;
    let mut reduced = outputs.each_ref().map(|(_, weight)| {
        weight.low_rank.map_or(Vec::new(), |LowRank { a, .. }| vec![0.0; a.len() / inner * lanes])
    });
    let mut parts = Vec::new();
    for ((y, weight), reduced) in outputs.iter_mut().zip(&mut reduced) {
        parts.extend(cut(y, weight.elements, (x, lanes), accumulate, splits));
        if let Some(LowRank { a, .. }) = weight.low_rank {
            parts.extend(cut(reduced, a, (x, lanes), false, splits));
        }
    }
    run(parts);

    let mut parts = Vec::new();
    for ((y, weight), reduced) in outputs.iter_mut().zip(&mut reduced) {
        if let Some(LowRank { b, scale, .. }) = weight.low_rank {
            scale_elements(reduced, scale);
            parts.extend(cut(y, b, (reduced, lanes), true, splits));
        }
    }
    run(parts);
}

/// Some rows of a product.
struct Part<'a> {
    /// Among those of its product.
    number: usize,
    y: &'a mut [f32],
    w: &'a [f32],
    x: &'a [f32],
    inner: usize,
    accumulate: bool,
}

/// The parts of a [`product`].
fn cut<'a>(
    y: &'a mut [f32],
    w: &'a [f32],
    (x, lanes): (&'a [f32], usize),
    accumulate: bool,
    splits: usize,
) -> impl Iterator<Item = Part<'a>> {
    let (out, inner) = (y.len() / lanes, x.len() / lanes);
    assert!(
        lanes.is_multiple_of(LANES)
            && y.len() == out * lanes
            && x.len() == inner * lanes
            && w.len() == out * inner,
        "sizes of a product"
    );
    // Small parts are equal rather than whole tiles of any height.
    let rows = out.div_ceil(splits);
    let rows = rows.next_multiple_of(if rows < 4 * TOGETHER { 8 } else { TOGETHER });
    let y = y.chunks_mut((rows * lanes).max(1));
    let parts = y.zip(w.chunks((rows * inner).max(1))).enumerate();
    parts.map(move |(number, (y, w))| Part { number, y, w, x, inner, accumulate })
}

fn run(mut parts: Vec<Part<'_>>) {
    // Of several products, so that their first parts are together and so are their last: threads
    // begin with halves of the list.
    parts.sort_by_key(|part| part.number);
    parts.into_par_iter().for_each(|Part { y, w, x, inner, accumulate, .. }| {
        multiply_rows(y, w, x, inner, accumulate);
    });
}

/// x W^T for few rows x (n, in) and W (out, in), without a gradient: [`super::linear`] by way of
/// [`product`].
pub fn thin_linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if !fused(&[x, weight]) {
        return linear_reference(x, weight);
    }
    let ((rows, inner), out) = (x.dims2()?, weight.dim(0)?);
    let mut y = vec![0.0; rows * out];
    with_slices([x, weight], |[x, w]| {
        for (y, x) in y.chunks_mut(BLOCK * out).zip(x.chunks(BLOCK * inner)) {
            let lanes = (x.len() / inner).next_multiple_of(LANES);
            let mut transposed = vec![0.0; out * lanes];
            let x = transpose(x.chunks_exact(inner), inner, lanes);
            product(&mut transposed, w, &x, lanes, false, rayon::current_num_threads());
            untranspose(y.chunks_exact_mut(out).enumerate(), &transposed, lanes);
        }
        Ok(())
    })?;
    Tensor::from_vec(y, (rows, out), x.device())
}

/// Goes through W a few rows at a time, which stay in the nearest cache until all lanes are done. A
/// tile of the result has as many rows and vectors of lanes as keep the processor's multipliers
/// busy and find room for their sums in its registers.
#[multiversion(targets = "simd")]
fn multiply_rows(y: &mut [f32], w: &[f32], x: &[f32], inner: usize, accumulate: bool) {
    const FMA: bool = target_cfg_f!(target_feature = "fma");
    const WIDE: bool = target_cfg_f!(target_feature = "avx512f");
    let lanes = x.len() / inner;
    for (y, w) in y.chunks_mut(TOGETHER * lanes).zip(w.chunks(TOGETHER * inner)) {
        if !accumulate {
            y.fill(0.0);
        }
        let mut first = 0;
        while first < lanes {
            let vectors = if WIDE { ((lanes - first) / LANES).min(4) } else { 1 };
            match vectors {
                4 => multiply_tiles::<FMA, 6, 4>(y, w, x, lanes, first),
                3 => multiply_tiles::<FMA, 8, 3>(y, w, x, lanes, first),
                2 => multiply_tiles::<FMA, 8, 2>(y, w, x, lanes, first),
                _ if WIDE => multiply_tiles::<FMA, 8, 1>(y, w, x, lanes, first),
                _ => multiply_tiles::<FMA, 6, 1>(y, w, x, lanes, first),
            }
            first += vectors * LANES;
        }
    }
}

/// The `B` vectors of lanes from `first` on of y += W x, `R` rows of W at a time. What is left of
/// them goes by four, then one by one.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn multiply_tiles<const FMA: bool, const R: usize, const B: usize>(
    y: &mut [f32],
    w: &[f32],
    x: &[f32],
    lanes: usize,
    first: usize,
) {
    let inner = x.len() / lanes;
    let rows = w.len() / inner;
    let (by_four, single) = (rows - rows % R, rows - rows % R % 4);
    let (y, y_four) = y.split_at_mut(by_four * lanes);
    let (w, w_four) = w.split_at(by_four * inner);
    let (y_four, y_single) = y_four.split_at_mut((single - by_four) * lanes);
    let (w_four, w_single) = w_four.split_at((single - by_four) * inner);
    multiply_whole_tiles::<FMA, R, B>(y, w, x, lanes, first);
    multiply_whole_tiles::<FMA, 4, B>(y_four, w_four, x, lanes, first);
    multiply_whole_tiles::<FMA, 1, B>(y_single, w_single, x, lanes, first);
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn multiply_whole_tiles<const FMA: bool, const R: usize, const B: usize>(
    y: &mut [f32],
    w: &[f32],
    x: &[f32],
    lanes: usize,
    first: usize,
) {
    let inner = x.len() / lanes;
    for (y, w) in y.chunks_exact_mut(R * lanes).zip(w.chunks_exact(R * inner)) {
        let w: [&[f32]; R] = std::array::from_fn(|row| &w[row * inner..][..inner]);
        multiply::<FMA, R, B>(&mut y[first..], lanes, |row, k| w[row][k], (x, lanes), first);
    }
}

/// Cuts `0..n` into ranges of `WIDE` vectors, then of one, then the rest.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn columns<const WIDE: usize>(n: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let length = [WIDE * LANES, LANES]
            .into_iter()
            .find(|length| start + length <= n)
            .unwrap_or(n - start);
        start += length;
        (length > 0).then(|| start - length..start)
    })
}

/// c += a b for the `B` vectors of columns of b from `first` on: c (`R`, ...) with a row every
/// `stride` elements, a (`R`, inner) by row and column, b (inner, columns). Every element is summed
/// over the inner dimension in order.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn multiply<const FMA: bool, const R: usize, const B: usize>(
    c: &mut [f32],
    stride: usize,
    a: impl Fn(usize, usize) -> f32,
    (b, columns): (&[f32], usize),
    first: usize,
) {
    let mut sums = [[[0f32; LANES]; B]; R];
    for (r, sums) in sums.iter_mut().enumerate() {
        for (j, sum) in sums.iter_mut().enumerate() {
            sum.copy_from_slice(&c[r * stride + j * LANES..][..LANES]);
        }
    }
    for (k, b) in b.chunks_exact(columns).enumerate() {
        let b = b[first..first + B * LANES].as_chunks::<LANES>().0;
        for (r, sums) in sums.iter_mut().enumerate() {
            let a = a(r, k);
            for (sums, b) in sums.iter_mut().zip(b) {
                for i in 0..LANES {
                    sums[i] = multiply_add::<FMA>(a, b[i], sums[i]);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            c[r * stride + j * LANES..][..LANES].copy_from_slice(sum);
        }
    }
}

/// Root-mean-square normalisation of x (n * d, lanes) in place, each d features on their own: see
/// [`super::rms_norm`].
#[multiversion(targets = "simd")]
pub fn rms_norm(x: &mut [f32], weight: &[f32], eps: f32, lanes: usize) {
    let d = weight.len();
    for x in x.chunks_exact_mut(d * lanes) {
        for first in (0..lanes).step_by(LANES) {
            let mut squares = [0f32; LANES];
            for x in x.chunks_exact(lanes) {
                for (sum, x) in squares.iter_mut().zip(&x[first..first + LANES]) {
                    *sum += x * x;
                }
            }
            let scales = squares.map(|sum| 1.0 / (sum / d as f32 + eps).sqrt());
            for (x, w) in x.chunks_exact_mut(lanes).zip(weight) {
                for (x, scale) in x[first..first + LANES].iter_mut().zip(scales) {
                    *x = *x * scale * w;
                }
            }
        }
    }
}

/// Adds a bias to every feature of x (features, lanes).
pub fn add_bias(x: &mut [f32], bias: &[f32], lanes: usize) {
    for (x, bias) in x.chunks_exact_mut(lanes).zip(bias) {
        for x in x {
            *x += bias;
        }
    }
}

/// y += x.
#[multiversion(targets = "simd")]
pub fn add(y: &mut [f32], x: &[f32]) {
    simd::add_scaled(y, 1.0, x);
}

/// Cosines, then sines (`head_dim` / 2, lanes) of the positions of a block's rows.
pub fn rotations(rotary: &Rotary, positions: &[u32], lanes: usize) -> (Vec<f32>, Vec<f32>) {
    let rows: Vec<(&[f32], &[f32])> =
        positions.iter().map(|&position| rotary.rows(position)).collect();
    let half = rows.first().map_or(0, |(cos, _)| cos.len());
    let (mut cos, mut sin) = (vec![0.0; half * lanes], vec![0.0; half * lanes]);
    for (lane, (row_cos, row_sin)) in rows.into_iter().enumerate() {
        for i in 0..half {
            cos[i * lanes + lane] = row_cos[i];
            sin[i * lanes + lane] = row_sin[i];
        }
    }
    (cos, sin)
}

/// Rotates the heads of x (heads * `head_dim`, lanes) in place by cos and sin (`head_dim` / 2,
/// lanes): see [`super::rotary_embedding`].
#[multiversion(targets = "simd")]
pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    for head in x.chunks_exact_mut(2 * cos.len()) {
        let (first, second) = head.split_at_mut(cos.len());
        for (((x, y), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            (*x, *y) = (*x * c - *y * s, *y * c + *x * s);
        }
    }
}

/// gate = f(gate) * up: see [`super::gated`].
pub fn gated(gate: &mut [f32], up: &[f32], activation: Activation) {
    match activation {
        Activation::Silu => swiglu(gate, up),
        Activation::GeluTanh => geglu(gate, up),
    }
}

#[multiversion(targets = "simd")]
fn geglu(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = gelu(*g) * u;
    }
}

#[multiversion(targets = "simd")]
fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = *g / (1.0 + simd::exp(-*g)) * u;
    }
}

/// The transpose (d, lanes) of rows (at most `lanes`, d), zero beyond the rows.
pub fn transpose<'a>(rows: impl Iterator<Item = &'a [f32]>, d: usize, lanes: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = rows.collect();
    let mut transposed = vec![0.0; d * lanes];
    // A few features of all rows at a time, so that what is written stays in the nearest cache.
    for (first, features) in transposed.chunks_mut(LANES * lanes).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            for (x, value) in features[lane..].iter_mut().step_by(lanes).zip(&row[first * LANES..])
            {
                *x = *value;
            }
        }
    }
    transposed
}

/// Writes the rows of a transposed block (d, lanes) that are asked for, each with its lane.
pub fn untranspose<'a>(
    rows: impl Iterator<Item = (usize, &'a mut [f32])>,
    transposed: &[f32],
    lanes: usize,
) {
    let mut rows: Vec<(usize, &mut [f32])> = rows.collect();
    // A few features of all rows at a time, so that what is read stays in the nearest cache.
    for (first, features) in transposed.chunks(LANES * lanes).enumerate() {
        for (lane, row) in &mut rows {
            let features = features[*lane..].iter().step_by(lanes);
            for (value, x) in row[first * LANES..].iter_mut().zip(features) {
                *value = *x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random, values};
    use super::super::{gated_reference, rms_norm_reference, rotary_embedding_reference};
    use super::*;
    use candle_core::Device;

    /// The block of a tensor (rows, d), and its number of lanes.
    fn block(rows: &Tensor) -> (Vec<f32>, usize) {
        let (count, d) = rows.dims2().unwrap();
        let lanes = count.next_multiple_of(LANES);
        (transpose(values(rows).chunks(d), d, lanes), lanes)
    }

    fn rows(transposed: &[f32], lanes: usize, count: usize) -> Tensor {
        let d = transposed.len() / lanes;
        let mut rows = vec![0.0; count * d];
        untranspose(rows.chunks_exact_mut(d).enumerate(), transposed, lanes);
        Tensor::from_vec(rows, (count, d), &Device::Cpu).unwrap()
    }

    #[test]
    fn products_agree_with_the_reference_for_every_number_of_rows_and_splits() {
        for (count, inner, out) in
            [(1, 6, 19), (16, 8, 4), (20, 33, 131), (33, 40, 70), (64, 33, 131), (80, 9, 30)]
        {
            let (x, w, y) =
                (random(&[count, inner], 1), random(&[out, inner], 2), random(&[count, out], 3));
            let expected = linear_reference(&x, &w).unwrap();
            let (x, lanes) = block(&x);
            for splits in [1, 2, 7, 200] {
                let mut found = vec![f32::NAN; out * lanes];
                product(&mut found, &values(&w), &x, lanes, false, splits);
                assert!(difference(&rows(&found, lanes, count), &expected) < 1e-4);
                let (mut found, _) = block(&y);
                product(&mut found, &values(&w), &x, lanes, true, splits);
                assert!(difference(&rows(&found, lanes, count), &(&expected + &y).unwrap()) < 1e-4);
            }
        }
    }

    #[test]
    fn linear_of_few_rows_agrees_with_the_reference() {
        for count in [1, 16, 70] {
            let (x, w) = (random(&[count, 33], 1), random(&[300, 33], 2));
            assert!(
                difference(&thin_linear(&x, &w).unwrap(), &linear_reference(&x, &w).unwrap())
                    < 1e-4
            );
        }
    }

    #[test]
    fn a_row_of_a_product_is_the_same_to_the_last_bit_whatever_stands_beside_it() {
        let (inner, out) = (700, 90);
        let (x, w) = (random(&[64, inner], 1), random(&[out, inner], 2));
        let run = |first: usize, count: usize, splits: usize| {
            let (x, lanes) = block(&x.narrow(0, first, count).unwrap());
            let mut y = vec![0.0; out * lanes];
            product(&mut y, &values(&w), &x, lanes, false, splits);
            values(&rows(&y, lanes, count))
        };
        let whole = run(0, 64, 1);
        for (first, count, splits) in
            [(0, 1, 1), (63, 1, 3), (17, 16, 2), (3, 20, 1), (5, 40, 1), (0, 64, 5)]
        {
            let range = first * out..(first + count) * out;
            assert!(
                run(first, count, splits) == whole[range],
                "{count} rows from {first} in {splits} parts"
            );
        }
    }

    /// What processors with short vectors do.
    #[test]
    fn one_vector_at_a_time_agrees_with_the_reference() {
        let (count, inner, out) = (40, 33, 131);
        let (x, w) = (random(&[count, inner], 1), random(&[out, inner], 2));
        let expected = linear_reference(&x, &w).unwrap();
        let (x, lanes) = block(&x);
        let mut y = vec![0.0; out * lanes];
        for first in (0..lanes).step_by(LANES) {
            multiply_tiles::<false, 6, 1>(&mut y, &values(&w), &x, lanes, first);
        }
        assert!(difference(&rows(&y, lanes, count), &expected) < 1e-4);
    }

    #[test]
    fn several_linear_layers_at_once_are_each_by_itself_to_the_last_bit() {
        let (inner, rank) = (70, 5);
        let (x, lanes) = block(&random(&[20, inner], 1));
        let matrix = |rows: usize, columns: usize, seed| values(&random(&[rows, columns], seed));
        let outs = [100, 33, 7];
        let weights = [matrix(100, inner, 2), matrix(33, inner, 3), matrix(7, inner, 4)];
        let (a, b) = (matrix(rank, inner, 5), matrix(33, rank, 6));
        let adapters = [None, Some(LowRank { a: &a, b: &b, scale: 0.5 }), None];
        let expected: Vec<Vec<f32>> = (0..3)
            .map(|index| {
                let mut y = vec![f32::NAN; outs[index] * lanes];
                product(&mut y, &weights[index], &x, lanes, false, 1);
                if let Some(LowRank { a, b, scale }) = adapters[index] {
                    let mut reduced = vec![0.0; rank * lanes];
                    product(&mut reduced, a, &x, lanes, false, 1);
                    scale_elements(&mut reduced, scale);
                    product(&mut y, b, &reduced, lanes, true, 1);
                }
                y
            })
            .collect();
        for splits in [1, 2, 3, 50] {
            let mut found = outs.map(|out| vec![f32::NAN; out * lanes]);
            let [first, second, third] = &mut found;
            let weight =
                |index: usize| LayerWeight { elements: &weights[index], low_rank: adapters[index] };
            let outputs =
                [(&mut first[..], weight(0)), (&mut second[..], weight(1)), (third, weight(2))];
            linear(outputs, &x, lanes, false, splits);
            assert!(found.as_slice() == expected, "{splits} parts");
        }
    }

    #[test]
    fn transposed_operations_agree_with_the_references_on_rows() {
        let (count, heads, head_dim) = (21, 3, 10);
        let d = heads * head_dim;
        let (x, up) = (random(&[count, d], 1), random(&[count, d], 2));
        let weight = random(&[head_dim], 3);
        let by_head = x.reshape((count, heads, head_dim)).unwrap();

        let (mut found, lanes) = block(&x);
        rms_norm(&mut found, &values(&weight), 1e-6, lanes);
        let expected =
            rms_norm_reference(&by_head, &weight, 1e-6, 0.0).unwrap().reshape((count, d)).unwrap();
        assert!(difference(&rows(&found, lanes, count), &expected) < 2e-5);

        let rotary = Rotary::new(head_dim, 64, 10_000.0);
        let positions: Vec<u32> = (0..count as u32).map(|i| i * 7 % 64).collect();
        let (mut found, _) = block(&x);
        let (cos, sin) = rotations(&rotary, &positions, lanes);
        rotate(&mut found, &cos, &sin);
        let expected = rotary_embedding_reference(&by_head, &positions, &rotary)
            .unwrap()
            .reshape((count, d))
            .unwrap();
        assert!(difference(&rows(&found, lanes, count), &expected) < 1e-5);

        for activation in [Activation::Silu, Activation::GeluTanh] {
            let (mut found, _) = block(&x);
            gated(&mut found, &block(&up).0, activation);
            let expected = gated_reference(&x, &up, activation).unwrap();
            assert!(difference(&rows(&found, lanes, count), &expected) < 1e-5);
        }
    }
}
