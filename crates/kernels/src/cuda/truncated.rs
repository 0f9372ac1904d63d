//! Draws from the likeliest tokens only; see [`crate::candidates`].
//!
//! All logits of a decode step are made at once, in `f32`, and stay on the device. A block finds the
//! least likely token that may be drawn of its row by going through the row ten times: the row is
//! never sorted. Tokens, log-probabilities and entropies come back to the host.

use super::super::{HeadDraws, Truncation};
use super::launch::{Program, aligned, arguments, launch, multiply, uninitialised};
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "truncated",
    source: include_str!("truncated.cu"),
    kernels: &["likeliest", "truncated_draw"],
};

const THREADS: usize = 512;

/// The mass of probability 1: probabilities are added up as whole numbers.
const ONE: f64 = (1u64 << 62) as f64;

/// Draws a token per row of hidden states (rows, d) from what [`crate::candidates`]
/// makes of their logits under the head (vocabulary, d), at the place that a uniform number per row
/// says. With `features` also phi = W\[y\] - sum over v of p\[v\] W\[v\] of each (rows, d) in `f32`,
/// which stays on the device and is not in the draws.
pub fn truncated_draws(
    hidden: &Tensor,
    head: &Tensor,
    truncation: &Truncation,
    uniforms: &[f64],
    features: bool,
) -> Result<(HeadDraws, Option<Tensor>)> {
    let (hidden, head) = (aligned(&hidden.detach())?, aligned(&head.detach())?);
    let ((rows, d), vocabulary) = (hidden.dims2()?, head.dim(0)?);
    let logits = uninitialised((rows, vocabulary), DType::F32, hidden.device())?;
    multiply(&logits, &hidden, &head.t()?, false)?;
    let (results, weights) = draw(&logits, hidden.dtype(), truncation, uniforms, features)?;
    let phi = match weights {
        Some(weights) => Some(features_of(&results, &weights, &head)?),
        // All of the probability is the token's.
        None if features => Some(Tensor::zeros((rows, d), DType::F32, hidden.device())?),
        None => None,
    };
    let mut draws = HeadDraws::default();
    for result in results.to_vec2::<u32>()? {
        draws.tokens.push(result[0]);
        draws.logprobs.push(f32::from_bits(result[1]));
        draws.entropies.push(f32::from_bits(result[2]));
    }
    Ok((draws, phi))
}

/// From logits (rows, vocabulary), which are overwritten, to the rows' results (rows, 3): token,
/// log-probability and entropy, the latter two as the bits of floats. Beside a temperature also the
/// probabilities in `dtype`, where they are wanted.
fn draw(
    logits: &Tensor,
    dtype: DType,
    truncation: &Truncation,
    uniforms: &[f64],
    wants_weights: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let ((rows, vocabulary), device) = (logits.dims2()?, logits.device());
    let results = uninitialised((rows, 3), DType::U32, device)?;
    if truncation.temperature == 0.0 {
        let arguments = arguments![logits, &results, vocabulary];
        launch(PROGRAM.of(dtype), "likeliest", [rows, 1], THREADS, arguments)?;
        return Ok((results, None));
    }
    let width = if wants_weights { vocabulary } else { 1 };
    let weights = uninitialised((rows, width), dtype, device)?;
    let uniforms = Tensor::from_slice(uniforms, rows, device)?;
    let most = truncation.top_k.map_or(u32::MAX, |k| k.clamp(1, u32::MAX as usize) as u32);
    let enough = truncation.top_p.map_or(u64::MAX, |top_p| (top_p * ONE) as u64);
    let floor = truncation.floor(vocabulary);
    // The first float that is not below the floor.
    let least = floor as f32;
    let least = if f64::from(least) < floor { least.next_up() } else { least };
    let inverse_temperature = (1.0 / truncation.temperature) as f32;
    let arguments = arguments![
        logits,
        &weights,
        &uniforms,
        &results,
        vocabulary,
        most,
        enough,
        least,
        inverse_temperature,
        u32::from(wants_weights)
    ];
    launch(PROGRAM.of(dtype), "truncated_draw", [rows, 1], THREADS, arguments)?;
    Ok((results, wants_weights.then_some(weights)))
}

/// W\[y\] - p W (rows, d) in `f32`, of the tokens in the first column of `results`.
fn features_of(results: &Tensor, weights: &Tensor, head: &Tensor) -> Result<Tensor> {
    let (rows, d) = (weights.dim(0)?, head.dim(1)?);
    let expected = uninitialised((rows, d), DType::F32, head.device())?;
    multiply(&expected, weights, head, false)?;
    let tokens = results.narrow(1, 0, 1)?.contiguous()?.flatten_all()?;
    head.index_select(&tokens, 0)?.to_dtype(DType::F32)? - expected
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{difference, random, rounded, values, within_bf16};
    use super::super::super::{candidates, place};
    use super::super::emulate;
    use super::*;
    use candle_core::Device;

    /// What the CPU draws from rows of logits: token, log-probability and entropy of each, and the
    /// probabilities.
    fn on_cpu(
        logits: &Tensor,
        truncation: &Truncation,
        uniforms: &[f64],
    ) -> (Vec<(u32, f32, f32)>, Tensor) {
        let mut rows: Vec<Vec<f32>> = logits.to_vec2().unwrap();
        let draws = rows.iter_mut().zip(uniforms).map(|(row, &u)| {
            let found = candidates(row, truncation);
            found.spread(row);
            let index = place(&found.probabilities, u);
            (found.tokens[index], found.probabilities[index].ln(), found.entropy)
        });
        let draws = draws.collect();
        (draws, Tensor::new(rows, &Device::Cpu).unwrap())
    }

    fn uniforms(rows: usize) -> Vec<f64> {
        values(&random(&[rows], 9)).into_iter().map(|x| f64::from(x) / 3.0 + 0.5).collect()
    }

    const TRUNCATIONS: [(f64, Option<usize>, Option<f64>); 10] = [
        (0.0, None, None),
        (1.0, Some(1), None),
        (0.7, Some(20), None),
        (1.3, Some(5000), None),
        (1.0, None, Some(0.05)),
        (0.6, None, Some(0.95)),
        (1.0, None, Some(0.999)),
        (1.0, None, Some(1.0)),
        (0.8, Some(7), Some(0.9)),
        (0.8, Some(900), Some(0.3)),
    ];

    #[test]
    fn emulated_draws_are_those_of_the_cpu() {
        if !emulate::available() {
            return;
        }
        // Less than a warp, warps without tokens, and more tokens than threads.
        for (rows, d, vocabulary) in [(3, 6, 19), (2, 16, 300), (2, 24, 1301)] {
            let (h, w) = (random(&[rows, d], 1), (random(&[vocabulary, d], 2) * 0.8).unwrap());
            let u = uniforms(rows);
            for (temperature, top_k, top_p) in TRUNCATIONS {
                let truncation = Truncation { temperature, top_k, top_p };
                for dtype in [DType::F32, DType::BF16] {
                    let of_type =
                        |t: &Tensor| if dtype == DType::F32 { t.clone() } else { rounded(t) };
                    let (h, w) = (of_type(&h), of_type(&w));
                    let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
                    let logits = wide(&h).matmul(&wide(&w).t().unwrap()).unwrap();
                    let (expected, p) = on_cpu(&logits, &truncation, &u);
                    let (found, phi) = truncated_draws(&h, &w, &truncation, &u, true).unwrap();
                    for (row, (token, logprob, entropy)) in expected.into_iter().enumerate() {
                        let at = format!("row {row} of {vocabulary}, {truncation:?}, {dtype:?}");
                        assert_eq!(found.tokens[row], token, "{at}");
                        assert!((found.logprobs[row] - logprob).abs() < 1e-5, "{at}");
                        assert!((found.entropies[row] - entropy).abs() < 2e-5, "{at}");
                    }
                    let chosen = Tensor::new(found.tokens.as_slice(), &Device::Cpu).unwrap();
                    let chosen = wide(&w).index_select(&chosen, 0).unwrap();
                    let expected = p.matmul(&wide(&w)).unwrap();
                    let mean = (chosen - phi.unwrap()).unwrap();
                    if dtype == DType::F32 {
                        assert!(difference(&mean, &expected) < 1e-5);
                    } else {
                        within_bf16(&mean, &expected);
                    }
                }
            }
        }
    }

    #[test]
    fn features_are_made_where_they_are_asked_for() {
        if !emulate::available() {
            return;
        }
        let (h, w, u) = (random(&[2, 6], 1), random(&[40, 6], 2), uniforms(2));
        for (temperature, top_k, top_p) in [(0.0, None, None), (1.0, Some(5), None)] {
            let truncation = Truncation { temperature, top_k, top_p };
            let (with, phi) = truncated_draws(&h, &w, &truncation, &u, true).unwrap();
            let (without, none) = truncated_draws(&h, &w, &truncation, &u, false).unwrap();
            assert_eq!((with.tokens, with.logprobs), (without.tokens, without.logprobs));
            assert_eq!((phi.unwrap().dims(), none.is_none()), (&[2, 6][..], true));
        }
    }

    /// What is drawn from rows of logits themselves: token, log-probability and entropy of each.
    fn draws_of(logits: &[Vec<f32>], truncation: &Truncation, u: &[f64]) -> Vec<(u32, f32, f32)> {
        let logits = Tensor::new(logits.to_vec(), &Device::Cpu).unwrap();
        let (results, _) = draw(&logits, DType::F32, truncation, u, false).unwrap();
        let results = results.to_vec2::<u32>().unwrap();
        let bits = f32::from_bits;
        results.into_iter().map(|r| (r[0], bits(r[1]), bits(r[2]))).collect()
    }

    fn tokens(draws: &[(u32, f32, f32)]) -> Vec<u32> {
        draws.iter().map(|draw| draw.0).collect()
    }

    #[test]
    fn of_equal_tokens_the_first_stay() {
        if !emulate::available() {
            return;
        }
        // 50 likely tokens among 1200, the same for all; then all alike.
        let some: Vec<f32> = (0..1200).map(|v| if v % 24 == 5 { 3.0 } else { -3.0 }).collect();
        let logits = [some, vec![0.5; 1200]];
        for (top_k, top_p, last) in [
            (Some(7), None, [5 + 24 * 6, 6]),
            (Some(50), None, [5 + 24 * 49, 49]),
            (Some(51), None, [5 + 24 * 49, 50]),
            // Each of the 50 has 0.0189, each of the 1200 has 0.00083.
            (None, Some(0.1001), [5 + 24 * 5, 120]),
            (Some(3), Some(0.1001), [5 + 24 * 2, 2]),
        ] {
            let truncation = Truncation { temperature: 1.0, top_k, top_p };
            let rows = Tensor::new(logits.to_vec(), &Device::Cpu).unwrap();
            // The last token that may be drawn is drawn where the number is nearly one.
            let u = [1.0 - 1e-9; 2];
            let (expected, _) = on_cpu(&rows, &truncation, &u);
            let found = draws_of(&logits, &truncation, &u);
            assert_eq!(tokens(&found), tokens(&expected), "{truncation:?}");
            // The 51st of the first row is unlikely, and is before the last of the 50.
            assert_eq!(tokens(&found), last, "{truncation:?}");
        }
        let greedy = Truncation { temperature: 0.0, top_k: None, top_p: None };
        assert_eq!(tokens(&draws_of(&logits, &greedy, &[0.5; 2])), [5, 0]);
    }

    #[test]
    fn logits_that_are_not_finite_are_as_on_the_cpu() {
        if !emulate::available() {
            return;
        }
        let mut logits = vec![vec![0.1f32; 700]; 4];
        logits[0][0] = f32::NAN;
        logits[1][300] = f32::NAN;
        logits[1][400] = 2.0;
        logits[2] = vec![-1e30; 700];
        logits[2][650] = 1e30;
        logits[3][699] = 1e4;
        for (temperature, top_k, top_p) in TRUNCATIONS {
            let truncation = Truncation { temperature, top_k, top_p };
            let rows = Tensor::new(logits.clone(), &Device::Cpu).unwrap();
            let (expected, _) = on_cpu(&rows, &truncation, &[0.5; 4]);
            let found = draws_of(&logits, &truncation, &[0.5; 4]);
            assert_eq!(tokens(&found), tokens(&expected), "{truncation:?}");
            for (found, expected) in found.into_iter().zip(expected) {
                for (x, y) in [(found.1, expected.1), (found.2, expected.2)] {
                    assert!(x.is_nan() && y.is_nan() || (x - y).abs() < 1e-5, "{truncation:?}");
                }
            }
        }
    }
}
