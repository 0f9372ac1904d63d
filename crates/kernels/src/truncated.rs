//! Draws from the likeliest tokens only: greedy, top-k (Fan et al., arXiv 1805.04833) and top-p
//! (Holtzman et al., arXiv 1904.09751). Training uses none of them; evaluations do.

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

/// Turns a row of logits into the probabilities of the tokens that may be drawn, in place, those of
/// all others 0; returns their entropy in nats. Where a logit is not a number, all is NaN.
pub fn truncated_probabilities(row: &mut [f32], truncation: &Truncation) -> f32 {
    if truncation.temperature == 0.0 {
        let best =
            row.iter().enumerate().fold(0, |best, (i, &z)| if z > row[best] { i } else { best });
        row.fill(0.0);
        row[best] = 1.0;
        return 0.0;
    }
    let entropy = softmax_entropy(row, (1.0 / truncation.temperature) as f32);
    if entropy.is_nan() || (truncation.top_k.is_none() && truncation.top_p.is_none()) {
        return entropy;
    }
    let floor = truncation.floor(row.len());
    let mut order: Vec<usize> =
        (0..row.len()).filter(|&token| f64::from(row[token]) >= floor).collect();
    let likelier = |a: &usize, b: &usize| row[*b].total_cmp(&row[*a]).then(a.cmp(b));
    if let Some(k) = truncation.top_k.map(|k| k.max(1)).filter(|&k| k < order.len()) {
        order.select_nth_unstable_by(k, likelier);
        order.truncate(k);
    }
    order.sort_unstable_by(likelier);
    if let Some(top_p) = truncation.top_p {
        let mut mass = 0.0;
        let needed = order.iter().take_while(|&&token| {
            let more = mass < top_p;
            mass += f64::from(row[token]);
            more
        });
        order.truncate(needed.count().max(1));
    }
    let kept: Vec<f32> = order.iter().map(|&token| row[token]).collect();
    let scale = 1.0 / kept.iter().sum::<f32>();
    row.fill(0.0);
    for (token, p) in order.into_iter().zip(kept) {
        row[token] = p;
    }
    let mut entropy = 0.0;
    for p in row.iter_mut().filter(|p| **p > 0.0) {
        *p *= scale;
        entropy -= *p * p.ln();
    }
    entropy
}

#[cfg(test)]
mod tests {
    use super::super::check::{random, values};
    use super::*;

    const FULL: Truncation = Truncation { temperature: 1.0, top_k: None, top_p: None };

    #[test]
    fn top_k_and_top_p_keep_the_likeliest_tokens_and_renormalise() {
        let logits: Vec<f32> = [0.1f32, 0.5, 0.25, 0.15].iter().map(|p| p.ln()).collect();
        let mut row = logits.clone();
        truncated_probabilities(&mut row, &Truncation { top_k: Some(2), ..FULL });
        assert!(
            (row[1] - 2.0 / 3.0).abs() < 1e-6
                && (row[2] - 1.0 / 3.0).abs() < 1e-6
                && row[0] == 0.0
                && row[3] == 0.0
        );
        let mut row = logits.clone();
        truncated_probabilities(&mut row, &Truncation { top_p: Some(0.76), ..FULL });
        assert!(row[0] == 0.0 && row[3] > 0.0);
        let mut row = logits.clone();
        truncated_probabilities(&mut row, &Truncation { temperature: 0.0, ..FULL });
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
        ]
        .into_iter()
        .enumerate()
        {
            let logits: Vec<f32> =
                values(&random(&[300], seed as u64 + 1)).into_iter().map(|z| 2.0 * z).collect();
            let mut p = logits.clone();
            softmax_entropy(&mut p, 1.0);
            let mut sorted: Vec<usize> = (0..300).collect();
            sorted.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
            let mut mass = 0.0;
            sorted.truncate(top_k.unwrap_or(300));
            sorted.retain(|&token| {
                let before = mass;
                mass += f64::from(p[token]);
                before < top_p.unwrap_or(2.0)
            });
            sorted.sort_unstable();
            let mut row = logits;
            truncated_probabilities(&mut row, &Truncation { top_k, top_p, ..FULL });
            let kept: Vec<usize> = (0..300).filter(|&token| row[token] > 0.0).collect();
            assert_eq!(kept, sorted, "top_k {top_k:?}, top_p {top_p:?}");
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
