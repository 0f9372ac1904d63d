//! Draws from the likeliest tokens only: greedy, top-k (Fan et al., arXiv 1805.04833) and top-p
//! (Holtzman et al., arXiv 1904.09751). Training uses none of them; evaluations are
//! greedy where they are asked for temperature 0, and programs may sample in all three ways.

use super::simd;
use super::token_head::softmax_entropy;

/// Which tokens may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    /// Divides the logits; 0 takes the likeliest token, the first of several.
    pub temperature: f64,
    /// The k likeliest tokens only, where given; of equal ones the first.
    pub top_k: Option<usize>,
    /// The smallest set of likeliest tokens whose probabilities, before any is left out, sum to at
    /// least this, where given.
    pub top_p: Option<f64>,
}

impl Truncation {
    /// A probability below which no token of a vocabulary of this size is needed: all of them
    /// together have less than 1 - `top_p`.
    pub(crate) fn floor(&self, vocabulary: usize) -> f64 {
        self.top_p.map_or(0.0, |top_p| (1.0 - top_p) / vocabulary as f64)
    }
}

/// The tokens of a row that may be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// Their numbers, rising.
    pub tokens: Vec<u32>,
    /// Their probabilities, which sum to 1.
    pub probabilities: Vec<f32>,
    /// The entropy of these, nats.
    pub entropy: f32,
}

impl Candidates {
    fn only(token: usize, probability: f32, entropy: f32) -> Self {
        Self { tokens: vec![token as u32], probabilities: vec![probability], entropy }
    }

    /// Writes the probabilities of all tokens: 0 for those that may not be drawn.
    pub fn spread(&self, row: &mut [f32]) {
        row.fill(0.0);
        for (&token, &p) in self.tokens.iter().zip(&self.probabilities) {
            row[token as usize] = p;
        }
    }
}

/// The tokens that may be drawn from a row of logits, which are overwritten. Where a logit is not a
/// number, so are probability and entropy.
pub fn candidates(row: &mut [f32], truncation: &Truncation) -> Candidates {
    if truncation.temperature == 0.0 {
        let top = simd::max(row);
        // Compared one after another, nothing is larger than a first one that is not a number.
        let is_top = |(token, z): (usize, &f32)| *z >= top || token == 0 && z.is_nan();
        return Candidates::only(row.iter().enumerate().position(is_top).unwrap_or(0), 1.0, 0.0);
    }
    let entropy = softmax_entropy(row, (1.0 / truncation.temperature) as f32);
    if entropy.is_nan() {
        return Candidates::only(0, f32::NAN, entropy);
    }
    let Least { bits, mut equal } = Least::of(row, truncation);
    let (mut tokens, mut probabilities) = (Vec::new(), Vec::new());
    for (token, &p) in row.iter().enumerate().filter(|(_, p)| p.to_bits() >= bits) {
        if p.to_bits() == bits {
            if equal == 0 {
                continue;
            }
            equal -= 1;
        }
        tokens.push(token as u32);
        probabilities.push(p);
    }
    let scale = (1.0 / probabilities.iter().map(|&p| f64::from(p)).sum::<f64>()) as f32;
    let mut entropy = 0.0;
    for p in &mut probabilities {
        *p *= scale;
        if *p > 0.0 {
            entropy -= *p * p.ln();
        }
    }
    Candidates { tokens, probabilities, entropy }
}

/// The least likely token that may be drawn.
struct Least {
    /// Its probability. Those of larger ones are larger numbers.
    bits: u32,
    /// Of the tokens with this probability the first so many may be drawn.
    equal: usize,
}

/// Bits of a probability that are looked at together, from the highest on.
const DIGITS: [u32; 3] = [11, 11, 10];

impl Least {
    /// Finds it digit by digit: the row is never sorted.
    fn of(row: &[f32], truncation: &Truncation) -> Self {
        let most = truncation.top_k.map_or(usize::MAX, |k| k.max(1));
        let enough = truncation.top_p.unwrap_or(f64::INFINITY);
        // Of the tokens that are likelier than all whose probability begins with the digits so far.
        let (mut count, mut mass) = (0, 0.0);
        let (mut bits, mut shift, mut equal) = (0u32, 32, row.len());
        for width in DIGITS {
            let upper = bits.checked_shr(shift).unwrap_or(0);
            shift -= width;
            let mut by_digit = vec![(0usize, 0.0f64); 1 << width];
            for &p in row {
                let bits = p.to_bits() >> shift;
                if bits >> width == upper {
                    let (count, mass) = &mut by_digit[(bits & ((1 << width) - 1)) as usize];
                    *count += 1;
                    *mass += f64::from(p);
                }
            }
            let mut digits =
                by_digit.iter().enumerate().rev().filter(|(_, (c, _))| *c > 0).peekable();
            while let Some((digit, &(c, m))) = digits.next() {
                let is_last = digits.peek().is_none();
                if is_last || count + c >= most || mass + m >= enough {
                    (bits, equal) = (bits | (digit as u32) << shift, c);
                    break;
                }
                count += c;
                mass += m;
            }
        }
        let p = f64::from(f32::from_bits(bits));
        let mut kept = 0;
        while kept < equal && count + kept < most && (mass < enough || count + kept == 0) {
            kept += 1;
            mass += p;
        }
        Self { bits, equal: kept }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{random, values};
    use super::*;

    const FULL: Truncation = Truncation { temperature: 1.0, top_k: None, top_p: None };

    #[test]
    fn top_k_and_top_p_keep_the_likeliest_tokens_and_renormalise() {
        let logits: Vec<f32> = [0.1f32, 0.5, 0.25, 0.15].iter().map(|p| p.ln()).collect();
        let probabilities = |truncation| {
            let mut row = logits.clone();
            candidates(&mut row, &truncation).spread(&mut row);
            row
        };
        let row = probabilities(Truncation { top_k: Some(2), ..FULL });
        assert!(
            (row[1] - 2.0 / 3.0).abs() < 1e-6
                && (row[2] - 1.0 / 3.0).abs() < 1e-6
                && row[0] == 0.0
                && row[3] == 0.0
        );
        let row = probabilities(Truncation { top_p: Some(0.76), ..FULL });
        assert!(row[0] == 0.0 && row[3] > 0.0);
        let row = probabilities(Truncation { temperature: 0.0, ..FULL });
        assert_eq!(row, [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn the_tokens_kept_are_the_first_of_all_sorted() {
        for (seed, (top_k, top_p)) in [
            (Some(7), None),
            (None, Some(0.6)),
            (Some(40), Some(0.99)),
            (Some(500), None),
            (None, Some(1.0)),
            (None, Some(1e-9)),
            (Some(3), Some(0.2)),
            (Some(1), None),
            (Some(11), None),
            (None, Some(0.5)),
        ]
        .into_iter()
        .enumerate()
        {
            // Those of the second half are a few numbers many times.
            let logit = |z: f32| if seed < 5 { 2.0 * z } else { z.round() };
            let logits: Vec<f32> =
                values(&random(&[300], seed as u64 + 1)).into_iter().map(logit).collect();
            let mut p = logits.clone();
            softmax_entropy(&mut p, 1.0);
            let mut sorted: Vec<usize> = (0..300).collect();
            sorted.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
            let mut mass = 0.0;
            sorted.truncate(top_k.unwrap_or(300));
            let likeliest = sorted[0];
            sorted.retain(|&token| {
                let before = mass;
                mass += f64::from(p[token]);
                before < top_p.unwrap_or(2.0) || token == likeliest
            });
            sorted.sort_unstable();
            let mut row = logits;
            let found = candidates(&mut row, &Truncation { top_k, top_p, ..FULL });
            let kept: Vec<usize> = found.tokens.iter().map(|&token| token as usize).collect();
            assert_eq!(kept, sorted, "top_k {top_k:?}, top_p {top_p:?}");
            assert!((found.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
