//! The language-model head of a decode step in one pass: the sampled token, its log-probability,
//! the entropy of the distribution and the sensitivity feature, without ever storing the logits
//! (rows, vocabulary).
//!
//! With z = W h and x = z / T, the feature phi = W\[y\] - sum over v of p\[v\] W\[v\] (arXiv
//! 2512.15687, eqs. 4-6) subtracts attention over the vocabulary: the query is h, keys and values
//! are both W. So it is computed as attention is, from tiles of W, each used for both products
//! while it is in the cache. The softmax is online (Milakov and Gimelshein, arXiv 1805.02867):
//! every row keeps its running maximum m of z and, over the tokens so far,
//!
//! ```text
//! S = sum e^(x - m/T)      M = sum (x - m/T) e^(x - m/T)      E = sum e^(x - m/T) W[v]
//! ```
//!
//! When the maximum rises by a T, the sums become e^-a S, e^-a (M - a S) and e^-a E. Partial sums
//! of parts of the vocabulary are merged by the same rule, as in flash decoding. In the end
//!
//! ```text
//! log p(y) = x[y] - m/T - log S      H = log S - M / S      phi = W[y] - E / S
//! ```
//!
//! **Sampling** is exact and needs two uniform numbers per row. In every tile a candidate is drawn
//! in proportion to e^x, by inverse transform with the first number; in the end the second number
//! picks a tile in proportion to the tiles' sums, and its candidate is the token. P(tile) P(token |
//! tile) = p(token), as in Gumbel-max over tiles, with less randomness.
//!
//! **Order.** The rows are the SIMD lanes, and every lane sums over tokens and dimensions in the
//! same order; tiles and spans are cut by the vocabulary alone and merged from first to last. So a
//! row's result is the same to the last bit whatever other rows there are and however many threads.
//!
//! Cost: 2 V d multiplications and additions per row for z, as any head, and 2 V d more for E where
//! features are asked for. Each block of at most 64 rows reads W once.

use super::cuda;
use super::lanes::{self, BLOCK, columns, multiply};
use super::linear::{logits, times};
use super::simd::{self, LANES, multiply_add};
use super::storage::{fused, with_slices};
use super::token_head::log_softmax;
use candle_core::{D, DType, Device, Result, Tensor, bail};
use multiversion::multiversion;
use multiversion::target::target_cfg_f;
use rayon::prelude::*;

/// Tokens whose logits are held at a time; the sampler's tiles.
pub const TILE: usize = 512;

/// Tokens that are gone through one after another; different spans may run at the same time.
const SPAN: usize = 16 * TILE;

/// Tokens of a subtotal within a tile.
const SUBTOTAL: usize = 32;

/// Two numbers in `[0, 1)`, uniform and independent, that decide one row's token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uniforms {
    /// Decides the token within each tile of 512 tokens.
    pub token: f64,
    /// Decides the tile; of no effect where there is only one.
    pub tile: f64,
}

/// What the head says of each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadDraws {
    /// The sampled tokens y.
    pub tokens: Vec<u32>,
    /// log p(y), nats.
    pub logprobs: Vec<f32>,
    /// Entropy of the distribution, nats.
    pub entropies: Vec<f32>,
    /// Sensitivity features phi (rows, d), row-major; empty where they were not asked for.
    pub phi: Vec<f32>,
}

/// Draws a token per row from softmax(W h / T): `hidden` (rows, d), `head` (V, d), `uniforms`
/// (rows), `temperature` > 0. `features` asks for [`HeadDraws::phi`]. A row with logits that are
/// not finite gets NaN for its log-probability.
pub fn one_pass_head(
    hidden: &Tensor,
    head: &Tensor,
    temperature: f64,
    uniforms: &[Uniforms],
    features: bool,
) -> Result<HeadDraws> {
    if cuda::applies(&[hidden, head]) {
        check(hidden, head, uniforms)?;
        let (mut draws, phi) = cuda::one_pass_head(hidden, head, temperature, uniforms, features)?;
        if let Some(phi) = phi {
            draws.phi = phi.flatten_all()?.to_vec1()?;
        }
        return Ok(draws);
    }
    if !fused(&[hidden, head]) {
        return one_pass_head_reference(hidden, head, temperature, uniforms, features);
    }
    let (d, vocabulary) = check(hidden, head, uniforms)?;
    let pass = Pass { d, inverse_temperature: (1.0 / temperature) as f32, features };
    with_slices([hidden, head], |[h, w]| {
        // As many blocks as keep all threads busy together with the spans, and no more: each block
        // reads all of W.
        let blocks = rayon::current_num_threads().div_ceil(vocabulary.div_ceil(SPAN));
        let rows = uniforms.len().div_ceil(blocks).next_multiple_of(LANES).clamp(LANES, BLOCK);
        let parts: Vec<HeadDraws> = h
            .par_chunks(rows * d)
            .zip(uniforms.par_chunks(rows))
            .map(|(h, uniforms)| pass.draw(h, w, uniforms))
            .collect();
        let mut draws = HeadDraws::default();
        for part in parts {
            draws.tokens.extend(part.tokens);
            draws.logprobs.extend(part.logprobs);
            draws.entropies.extend(part.entropies);
            draws.phi.extend(part.phi);
        }
        Ok(draws)
    })
}

/// [`one_pass_head`] from plain candle operations. It stores the logits on the device, but only one
/// tile of each row, and the sums of the others, leave it.
pub fn one_pass_head_reference(
    hidden: &Tensor,
    head: &Tensor,
    temperature: f64,
    uniforms: &[Uniforms],
    features: bool,
) -> Result<HeadDraws> {
    let (_, vocabulary) = check(hidden, head, uniforms)?;
    let (rows, tiles, device) = (uniforms.len(), vocabulary.div_ceil(TILE), head.device());
    let logprobs = log_softmax(&(logits(hidden, head)? * (1.0 / temperature))?)?; // (rows, V)
    let p = logprobs.exp()?;
    let entropies = (&p * &logprobs)?.sum(1)?.neg()?.to_vec1()?;

    let by_tile =
        p.pad_with_zeros(1, 0, tiles * TILE - vocabulary)?.reshape((rows, tiles, TILE))?;
    let sums: Vec<Vec<f32>> = by_tile.sum(D::Minus1)?.to_vec2()?;
    let widen =
        |weights: &[f32]| weights.iter().map(|&weight| f64::from(weight)).collect::<Vec<_>>();
    let chosen: Vec<usize> =
        sums.iter().zip(uniforms).map(|(sums, u)| place(&widen(sums), u.tile)).collect();
    let index: Vec<u32> =
        chosen.iter().enumerate().map(|(row, tile)| (row * tiles + tile) as u32).collect();
    let index = Tensor::from_vec(index, rows, device)?;
    let weights: Vec<Vec<f32>> =
        by_tile.reshape((rows * tiles, TILE))?.index_select(&index, 0)?.to_vec2()?;
    let within = weights.iter().zip(uniforms).map(|(weights, u)| place(&widen(weights), u.token));
    let tokens: Vec<u32> =
        within.zip(&chosen).map(|(token, tile)| (tile * TILE + token) as u32).collect();

    let index = Tensor::from_slice(&tokens, rows, device)?;
    let phi = if features {
        let expected = times(&p, head)?;
        let phi = (head.index_select(&index, 0)? - expected)?;
        phi.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?
    } else {
        Vec::new()
    };
    let logprobs = logprobs.gather(&index.unsqueeze(1)?, 1)?.flatten_all()?.to_vec1()?;
    Ok(HeadDraws { tokens, logprobs, entropies, phi })
}

/// The width d and the size of the vocabulary.
fn check(hidden: &Tensor, head: &Tensor, uniforms: &[Uniforms]) -> Result<(usize, usize)> {
    let ((rows, d), (vocabulary, head_d)) = (hidden.dims2()?, head.dims2()?);
    if rows != uniforms.len() || d != head_d || d == 0 || vocabulary == 0 {
        let (hidden, head, count) = (hidden.shape(), head.shape(), uniforms.len());
        bail!(
            "one-pass head of hidden {hidden:?}, weight {head:?} and {count} pairs of random \
             numbers"
        );
    }
    Ok((d, vocabulary))
}

/// The place at which the cumulated weights pass the share `u` of their sum; places without weight
/// are never taken.
pub fn place<T: Copy + Into<f64>>(weights: &[T], u: f64) -> usize {
    let weights = weights.iter().map(|&weight| weight.into());
    place_of(weights.clone(), u * weights.sum::<f64>()).0
}

/// The place at which the cumulated weights pass `goal`, and their sum before it; the last place
/// with weight where rounding keeps the sum below the goal.
fn place_of(weights: impl Iterator<Item = f64>, goal: f64) -> (usize, f64) {
    let (mut sum, mut found) = (0.0, (0, 0.0));
    for (index, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
        found = (index, sum);
        sum += weight;
        if sum > goal {
            break;
        }
    }
    found
}

/// The values of one lane of (n, lanes).
fn lane(values: &[f32], lanes: usize, lane: usize) -> impl Iterator<Item = f64> {
    values.iter().skip(lane).step_by(lanes).map(|&value| f64::from(value))
}

/// What stays the same during a pass.
struct Pass {
    d: usize,
    inverse_temperature: f32,
    features: bool,
}

/// The token of one tile that its row would take.
struct Candidate {
    token: u32,
    /// e^(x - top/T) of it.
    weight: f64,
    /// The tile's sum of e^(x - top/T).
    mass: f64,
    /// The row's running maximum at that tile.
    top: f32,
}

/// The state of a block's rows after some tokens; vectors are by lane.
struct Partial {
    /// Running maxima m.
    tops: Vec<f32>,
    /// S.
    sums: Vec<f64>,
    /// M.
    moments: Vec<f64>,
    /// E (rows, rounded up to fours, d); empty without features.
    expected: Vec<f32>,
    /// (tiles, rows)
    candidates: Vec<Candidate>,
}

impl Pass {
    /// The draws of one block of rows: `h` (rows, d), `w` (V, d).
    fn draw(&self, h: &[f32], w: &[f32], uniforms: &[Uniforms]) -> HeadDraws {
        let (d, rows) = (self.d, uniforms.len());
        let lanes = rows.next_multiple_of(LANES);
        let mut transposed = vec![0.0; d * lanes]; // (d, lanes), zero beyond the rows
        for (row, h) in h.chunks_exact(d).enumerate() {
            for (column, value) in h.iter().enumerate() {
                transposed[column * lanes + row] = *value;
            }
        }
        let spans: Vec<Partial> = w
            .par_chunks(SPAN * d)
            .enumerate()
            .map(|(i, w)| self.span(i * SPAN, w, &transposed, uniforms))
            .collect();
        let Some(whole) = spans.into_iter().reduce(|before, after| self.merge(before, after))
        else {
            return HeadDraws::default();
        };
        let mut draws = HeadDraws::default();
        for (row, uniforms) in uniforms.iter().enumerate() {
            let (top, sum) = (whole.tops[row], whole.sums[row]);
            let tiles = whole.candidates.iter().skip(row).step_by(rows);
            let masses: Vec<f64> =
                tiles.map(|tile| tile.mass * self.shift(tile.top, top).exp()).collect();
            let chosen = &whole.candidates[place(&masses, uniforms.tile) * rows + row];
            draws.tokens.push(chosen.token);
            draws
                .logprobs
                .push((chosen.weight.ln() + self.shift(chosen.top, top) - sum.ln()) as f32);
            draws.entropies.push((sum.ln() - whole.moments[row] / sum) as f32);
            if self.features {
                let scale = (1.0 / sum) as f32;
                let embedding = &w[chosen.token as usize * d..][..d];
                let expected = &whole.expected[row * d..][..d];
                draws.phi.extend(embedding.iter().zip(expected).map(|(w, e)| w - e * scale));
            }
        }
        draws
    }

    /// Goes through the tokens from `first` on: `w` (tokens, d), `h` (d, lanes).
    fn span(&self, first: usize, w: &[f32], h: &[f32], uniforms: &[Uniforms]) -> Partial {
        let (d, lanes) = (self.d, h.len() / self.d);
        let mut partial = Partial {
            tops: vec![f32::NEG_INFINITY; lanes],
            sums: vec![0.0; lanes],
            moments: vec![0.0; lanes],
            expected: vec![
                0.0;
                if self.features { uniforms.len().next_multiple_of(4) * d } else { 0 }
            ],
            candidates: Vec::with_capacity(w.len().div_ceil(TILE * d) * uniforms.len()),
        };
        let mut scores = vec![0.0; TILE * lanes]; // (tokens, lanes)
        let mut subtotals = vec![0.0; TILE / SUBTOTAL * lanes];
        let mut moments = vec![0.0; lanes];
        for (tile, w) in w.chunks(TILE * d).enumerate() {
            let tokens = w.len() / d;
            let scores = &mut scores[..tokens * lanes];
            let subtotals = &mut subtotals[..tokens.div_ceil(SUBTOTAL) * lanes];
            lanes::product(scores, w, h, lanes, false, 1);
            let before = partial.tops.clone();
            exponentials(
                scores,
                self.inverse_temperature,
                &mut partial.tops,
                subtotals,
                &mut moments,
            );
            let masses: Vec<f64> =
                (0..lanes).map(|row| lane(subtotals, lanes, row).sum()).collect();
            for row in 0..lanes {
                let (shift, sum) = (self.shift(before[row], partial.tops[row]), partial.sums[row]);
                partial.moments[row] =
                    shift.exp() * (partial.moments[row] + shift * sum) + f64::from(moments[row]);
                partial.sums[row] = shift.exp() * sum + masses[row];
                if shift < 0.0 {
                    let factor = shift.exp() as f32;
                    partial.expected.iter_mut().skip(row * d).take(d).for_each(|e| *e *= factor);
                }
            }
            if self.features {
                expect(&mut partial.expected, scores, lanes, w, d);
            }
            for (row, uniforms) in uniforms.iter().enumerate() {
                let goal = uniforms.token * masses[row];
                let (block, below) = place_of(lane(subtotals, lanes, row), goal);
                let block_scores =
                    lane(&scores[block * SUBTOTAL * lanes..], lanes, row).take(SUBTOTAL);
                let (within, _) = place_of(block_scores, goal - below);
                let token = block * SUBTOTAL + within;
                partial.candidates.push(Candidate {
                    token: (first + tile * TILE + token) as u32,
                    weight: f64::from(scores[token * lanes + row]),
                    mass: masses[row],
                    top: partial.tops[row],
                });
            }
        }
        partial
    }

    /// The state after the tokens of both parts.
    fn merge(&self, mut before: Partial, after: Partial) -> Partial {
        let d = self.d;
        for (row, &top) in after.tops.iter().enumerate() {
            let merged = if top > before.tops[row] { top } else { before.tops[row] };
            let (a, b) = (self.shift(before.tops[row], merged), self.shift(top, merged));
            before.moments[row] = a.exp() * (before.moments[row] + a * before.sums[row])
                + b.exp() * (after.moments[row] + b * after.sums[row]);
            before.sums[row] = a.exp() * before.sums[row] + b.exp() * after.sums[row];
            before.tops[row] = merged;
            let (a, b) = (a.exp() as f32, b.exp() as f32);
            for (e, f) in before.expected.iter_mut().zip(&after.expected).skip(row * d).take(d) {
                *e = *e * a + f * b;
            }
        }
        before.candidates.extend(after.candidates);
        before
    }

    /// What becomes of exponents when their maximum rises from `before` to `after`: a summand that
    /// is not positive.
    fn shift(&self, before: f32, after: f32) -> f64 {
        // Without a maximum nothing has been summed yet.
        if before == f32::NEG_INFINITY {
            0.0
        } else {
            f64::from((before - after) * self.inverse_temperature)
        }
    }
}

/// Turns logits (tokens, lanes) into e^(x - top/T), with `tops` risen to the maxima. Writes their
/// sums over blocks of [`SUBTOTAL`] tokens (blocks, lanes), and per lane the sum of (x - top/T)
/// e^(x - top/T).
#[multiversion(targets = "simd")]
fn exponentials(
    scores: &mut [f32],
    inverse_temperature: f32,
    tops: &mut [f32],
    subtotals: &mut [f32],
    moments: &mut [f32],
) {
    let lanes = tops.len();
    for (group, top) in tops.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        for token in scores.chunks_exact(lanes) {
            let z = &token.as_chunks::<LANES>().0[group];
            for i in 0..LANES {
                top[i] = if z[i] > top[i] { z[i] } else { top[i] };
            }
        }
        let mut moment = [0f32; LANES];
        for (block, subtotal) in
            scores.chunks_mut(SUBTOTAL * lanes).zip(subtotals.chunks_exact_mut(lanes))
        {
            let (mut sum, mut first) = ([0f32; LANES], [0f32; LANES]);
            for token in block.chunks_exact_mut(lanes) {
                let z = &mut token.as_chunks_mut::<LANES>().0[group];
                for i in 0..LANES {
                    let x = (z[i] - top[i]) * inverse_temperature;
                    z[i] = simd::exp(x);
                    sum[i] += z[i];
                    first[i] += z[i] * x;
                }
            }
            subtotal.as_chunks_mut::<LANES>().0[group] = sum;
            for i in 0..LANES {
                moment[i] += first[i];
            }
        }
        moments.as_chunks_mut::<LANES>().0[group] = moment;
    }
}

/// expected (rows, d) += transpose of the first rows of weights (tokens, lanes), times w (tokens,
/// d). Rows come in fours.
#[multiversion(targets = "simd")]
fn expect(expected: &mut [f32], weights: &[f32], lanes: usize, w: &[f32], d: usize) {
    const FMA: bool = target_cfg_f!(target_feature = "fma");
    const WIDE: usize = if target_cfg_f!(target_feature = "avx512f") { 4 } else { 1 };
    for column in columns::<WIDE>(d) {
        for (four, expected) in expected.chunks_exact_mut(4 * d).enumerate() {
            let p = |row: usize, token: usize| weights[token * lanes + 4 * four + row];
            let first = column.start;
            match column.len() {
                LANES => multiply::<FMA, 4, 1>(&mut expected[first..], d, p, (w, d), first),
                n if n > LANES => {
                    multiply::<FMA, 4, WIDE>(&mut expected[first..], d, p, (w, d), first);
                }
                _ => {
                    for (token, w) in w.chunks_exact(d).enumerate() {
                        for (row, expected) in expected.chunks_exact_mut(d).enumerate() {
                            for k in column.clone() {
                                expected[k] = multiply_add::<FMA>(p(row, token), w[k], expected[k]);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random, values};
    use super::super::token_head::token_statistics;
    use super::*;

    fn uniforms(rows: usize, seed: u64) -> Vec<Uniforms> {
        let draws = values(&random(&[2 * rows], seed));
        let unit = |draw: f32| f64::from(draw) / 3.0 + 0.5;
        draws.chunks(2).map(|u| Uniforms { token: unit(u[0]), tile: unit(u[1]) }).collect()
    }

    /// Largest difference; infinite where one is NaN.
    fn apart(a: &[f32], b: &[f32]) -> f32 {
        let tensor =
            |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap();
        difference(&tensor(a), &tensor(b))
    }

    /// Holds the fused version against the reference, and against what the head of a forward pass
    /// says of the same tokens; returns the largest difference.
    fn agreement(hidden: &Tensor, head: &Tensor, temperature: f64, features: bool) -> f32 {
        let uniforms = uniforms(hidden.dim(0).unwrap(), 7);
        let found = one_pass_head(hidden, head, temperature, &uniforms, features).unwrap();
        let expected =
            one_pass_head_reference(hidden, head, temperature, &uniforms, features).unwrap();
        assert_eq!(found.tokens, expected.tokens);
        assert_eq!(found.phi.is_empty(), !features);
        let forward = token_statistics(hidden, head, &found.tokens, temperature).unwrap();
        let phi = if features { forward.phi } else { Vec::new() };
        let both = |found: &[f32], a: &[f32], b: &[f32]| apart(found, a).max(apart(found, b));
        both(&found.logprobs, &expected.logprobs, &forward.logprobs)
            .max(both(&found.entropies, &expected.entropies, &forward.entropies))
            .max(both(&found.phi, &expected.phi, &phi))
    }

    /// What the head says of given tokens, computed without tiles in 64 bits.
    fn in_f64(hidden: &Tensor, head: &Tensor, temperature: f64, tokens: &[u32]) -> HeadDraws {
        let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let x =
            (wide(hidden).matmul(&wide(head).t().unwrap()).unwrap() * (1.0 / temperature)).unwrap();
        let d = hidden.dim(1).unwrap();
        let w: Vec<f64> = wide(head).flatten_all().unwrap().to_vec1().unwrap();
        let mut draws = HeadDraws { tokens: tokens.to_vec(), ..HeadDraws::default() };
        for (x, &token) in x.to_vec2::<f64>().unwrap().iter().zip(tokens) {
            let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = top + x.iter().map(|x| (x - top).exp()).sum::<f64>().ln();
            draws.logprobs.push((x[token as usize] - log_sum) as f32);
            draws
                .entropies
                .push(x.iter().map(|x| -(x - log_sum) * (x - log_sum).exp()).sum::<f64>() as f32);
            draws.phi.extend((0..d).map(|column| {
                let expected: f64 =
                    x.iter().zip(w.chunks(d)).map(|(x, w)| (x - log_sum).exp() * w[column]).sum();
                (w[token as usize * d + column] - expected) as f32
            }));
        }
        draws
    }

    #[test]
    fn the_fused_head_agrees_with_the_reference() {
        // Less than a vector, whole vectors and a rest, more than a block; less than a tile,
        // several tiles, several spans.
        let mut worst = 0f32;
        for (rows, d, vocabulary) in
            [(1, 6, 19), (3, 16, 272), (40, 70, 512), (70, 33, 1300), (5, 24, SPAN + 700)]
        {
            for temperature in [0.7, 1.0, 1.5] {
                let (h, w) = (random(&[rows, d], 1), (random(&[vocabulary, d], 2) * 0.5).unwrap());
                worst = worst.max(agreement(&h, &w, temperature, true));
                worst = worst.max(agreement(&h, &w, temperature, false));
            }
        }
        eprintln!("fused against reference: {worst:.1e}");
        assert!(worst < 1e-5, "{worst:e}");
    }

    #[test]
    fn a_large_vocabulary_with_extreme_logits_gives_finite_and_right_values() {
        // Multiples of 1/64 and 1/4, so that every order of summation gives the same logits, from
        // -2,000 to 2,000.
        let (vocabulary, d) = (151_936, 64);
        let grid = |shape: &[usize], seed, steps: f64, unit: f64| {
            ((random(shape, seed) * steps).unwrap().round().unwrap() * unit).unwrap()
        };
        let w = grid(&[vocabulary, d], 3, 70.0, 1.0 / 64.0);
        let scale = Tensor::new(&[[0.0f32], [1.0], [8.0], [64.0]], &Device::Cpu).unwrap();
        let h = grid(&[4, d], 4, 4.0, 0.25).broadcast_mul(&scale).unwrap();
        let largest = h
            .matmul(&w.t().unwrap())
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!(largest > 1500.0, "logits of {largest} are not extreme");
        let draws = one_pass_head(&h, &w, 0.5, &uniforms(4, 7), true).unwrap();
        let exact = in_f64(&h, &w, 0.5, &draws.tokens);
        let worst = apart(&draws.logprobs, &exact.logprobs)
            .max(apart(&draws.entropies, &exact.entropies))
            .max(apart(&draws.phi, &exact.phi));
        eprintln!("large vocabulary against 64 bits: {worst:.1e}");
        assert!(worst < 1e-5, "{worst:e}");
        // The first row has equal logits, the last almost certainly takes its likeliest token.
        assert!((draws.entropies[0] - (vocabulary as f32).ln()).abs() < 1e-5);
        assert!(draws.entropies[3] < 1e-2 && draws.logprobs[3] > -1e-2);
    }

    #[test]
    fn logits_that_are_not_finite_show_in_the_log_probability() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut h = vec![0.5; 3 * 8];
            h[8] = bad;
            let h = Tensor::from_vec(h, (3, 8), &Device::Cpu).unwrap();
            let draws =
                one_pass_head(&h, &random(&[1100, 8], 2), 1.0, &uniforms(3, 1), true).unwrap();
            let finite: Vec<bool> = draws.logprobs.iter().map(|l| l.is_finite()).collect();
            assert_eq!(finite, [true, false, true], "{bad}");
            assert!(draws.tokens.iter().all(|&token| token < 1100));
        }
    }

    #[test]
    fn neither_threads_nor_other_rows_change_a_bit() {
        let (rows, d, vocabulary) = (150, 40, SPAN + 1000);
        let (h, w, u) = (random(&[rows, d], 1), random(&[vocabulary, d], 2), uniforms(rows, 3));
        let run = |threads: usize, first: usize, count: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let h = h.narrow(0, first, count).unwrap();
            pool.install(|| one_pass_head(&h, &w, 0.9, &u[first..first + count], true).unwrap())
        };
        let whole = run(1, 0, rows);
        for threads in [2, 3, 8] {
            assert!(run(threads, 0, rows) == whole, "{threads} threads");
        }
        for (first, count) in [(0, 1), (149, 1), (3, 2), (17, 16), (60, 65)] {
            let part = run(2, first, count);
            let range = first..first + count;
            assert_eq!(part.tokens, whole.tokens[range.clone()]);
            assert!(
                part.logprobs == whole.logprobs[range.clone()]
                    && part.entropies == whole.entropies[range.clone()]
            );
            assert!(
                part.phi == whole.phi[first * d..range.end * d],
                "rows {range:?} alone have another phi"
            );
        }
    }

    #[test]
    fn sampled_frequencies_follow_the_distribution_and_phi_averages_to_zero() {
        // Every row has the same hidden state, so that one call gives all draws.
        let (rows, d, vocabulary) = (40_000, 8, 3 * TILE + 100);
        let w = random(&[vocabulary, d], 2);
        let h = random(&[1, d], 1).broadcast_as((rows, d)).unwrap().contiguous().unwrap();
        let draws = one_pass_head(&h, &w, 0.8, &uniforms(rows, 5), true).unwrap();

        let z = (random(&[1, d], 1).matmul(&w.t().unwrap()).unwrap() * (1.0 / 0.8)).unwrap();
        let p: Vec<f32> =
            log_softmax(&z).unwrap().exp().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let mut counts = vec![0u32; vocabulary];
        draws.tokens.iter().for_each(|&token| counts[token as usize] += 1);
        // Neighbouring tokens are pooled into cells of at least 20 expected draws; a last one takes
        // the rest.
        let (mut cells, mut expected, mut found) = (0, 0.0, 0);
        let mut chi_square = 0.0;
        for (token, (&p, &count)) in p.iter().zip(&counts).enumerate() {
            expected += f64::from(p) * rows as f64;
            found += count;
            if expected >= 20.0 || token + 1 == vocabulary {
                chi_square += (f64::from(found) - expected).powi(2) / expected;
                (cells, expected, found) = (cells + 1, 0.0, 0);
            }
        }
        // The statistic has mean n and variance 2n, n = cells - 1; five standard deviations are out
        // of chance's reach.
        let n = f64::from(cells - 1);
        let deviations = (chi_square - n) / (2.0 * n).sqrt();
        eprintln!(
            "chi-square {chi_square:.0} for {n} degrees of freedom: {deviations:.2} standard \
             deviations"
        );
        assert!(n > 300.0 && deviations.abs() < 5.0);

        // E phi = 0 under the sampling distribution; the mean of n draws is off by its standard
        // deviation / sqrt(n).
        for column in 0..d {
            let phi = || draws.phi.iter().skip(column).step_by(d).map(|&x| f64::from(x));
            let mean = phi().sum::<f64>() / rows as f64;
            let deviation =
                (phi().map(|x| x * x).sum::<f64>() / rows as f64).sqrt() / (rows as f64).sqrt();
            assert!(
                mean.abs() < 4.5 * deviation,
                "column {column}: mean {mean}, standard error {deviation}"
            );
            assert!(deviation > 1e-3, "features are zero");
        }
    }

    #[test]
    fn places_follow_the_cumulated_weights_and_never_take_one_without_weight() {
        let weights = [0.0, 0.25, 0.75, 0.0];
        assert_eq!([0.0, 0.2499, 0.25, 0.9999, 1.0].map(|u| place(&weights, u)), [1, 1, 2, 2, 2]);
    }
}
