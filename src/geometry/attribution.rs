//! What each token adds to the cosines of its response.

use super::EPSILON;
use crate::error::{Error, Result};

/// The parts of a group's tokens in the directions of their responses.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenAttribution {
    /// `|phi_t|` of every token of the group, response after response: (tokens).
    pub norms: Vec<f32>,
    /// Row-major (tokens, m): what token t of response i adds to the cosine `S_ij`. Over the tokens
    /// of i, column j sums to `S_ij`.
    pub shares: Vec<f32>,
}

/// Attributes the cosines of a group to tokens.
///
/// A cosine is a sum over tokens, since `Phi_i = sum_t alpha_t phi_t / (sum_t alpha_t + eps)`:
///
/// ```text
/// S_ij = sum over t of i of  alpha_t <phi_t, Phi_j> / ((sum alpha + eps) (norm(Phi_i) + eps) (norm(Phi_j) + eps))
/// ```
///
/// `phi` (tokens, dim) and `alpha` (tokens) belong to all responses one after another, `lengths`
/// (m) says how many tokens each has, and `features` (m, dim) are the Phi. Fails where these sizes
/// do not fit together.
pub fn attribute_tokens(
    phi: &[f32],
    alpha: &[f32],
    lengths: &[usize],
    features: &[f32],
    dim: usize,
) -> Result<TokenAttribution> {
    let (tokens, m) = (alpha.len(), lengths.len());
    if phi.len() != tokens * dim
        || lengths.iter().sum::<usize>() != tokens
        || features.len() != m * dim
        || dim == 0
    {
        return Err(Error::input(format!(
            "{} token features of {dim} numbers, {tokens} weights, {m} lengths and {} feature \
             values do not fit together",
            phi.len() / dim.max(1),
            features.len()
        )));
    }
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let features: Vec<&[f32]> = features.chunks_exact(dim).collect();
    let divisors: Vec<f64> =
        features.iter().map(|feature| dot(feature, feature).sqrt() + EPSILON).collect();
    let mut attribution = TokenAttribution {
        norms: Vec::with_capacity(tokens),
        shares: Vec::with_capacity(tokens * m),
    };
    let mut at = 0;
    for (&length, own) in lengths.iter().zip(&divisors) {
        let weights = &alpha[at..at + length];
        let total = weights.iter().copied().map(f64::from).sum::<f64>() + EPSILON;
        for (&weight, phi) in weights.iter().zip(phi[at * dim..].chunks_exact(dim)) {
            attribution.norms.push(dot(phi, phi).sqrt() as f32);
            let scale = f64::from(weight) / (total * own);
            let shares = features
                .iter()
                .zip(&divisors)
                .map(|(other, divisor)| (scale * dot(phi, other) / divisor) as f32);
            attribution.shares.extend(shares);
        }
        at += length;
    }
    Ok(attribution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::CosineMatrix;
    use proptest::prelude::*;

    fn features(phi: &[[f32; 3]], alpha: &[f32], lengths: &[usize]) -> Vec<f32> {
        let mut at = 0;
        let mut features = Vec::new();
        for &length in lengths {
            let total = f64::from(alpha[at..at + length].iter().sum::<f32>()) + EPSILON;
            let mut sum = [0.0; 3];
            for (phi, &alpha) in phi[at..at + length].iter().zip(&alpha[at..]) {
                for (sum, &phi) in sum.iter_mut().zip(phi) {
                    *sum += f64::from(alpha) * f64::from(phi);
                }
            }
            features.extend(sum.map(|sum| (sum / total) as f32));
            at += length;
        }
        features
    }

    proptest! {
        #[test]
        fn what_tokens_add_sums_to_the_cosine(
            tokens in prop::collection::vec((prop::array::uniform3(-2.0f32..2.0), 0.1f32..2.0), 6),
            cut in 1usize..5,
        ) {
            let (phi, alpha): (Vec<[f32; 3]>, Vec<f32>) = tokens.into_iter().unzip();
            let lengths = [cut, 0, 6 - cut];
            let features = features(&phi, &alpha, &lengths);
            let cosines = CosineMatrix::from_features(&features, 3).unwrap();
            let found = attribute_tokens(&phi.concat(), &alpha, &lengths, &features, 3).unwrap();
            let mut at = 0;
            for (i, length) in lengths.into_iter().enumerate() {
                for j in 0..3 {
                    let sum: f32 = (at..at + length).map(|t| found.shares[t * 3 + j]).sum();
                    prop_assert!((sum - cosines.get(i, j)).abs() < 1e-5, "{} {}", sum, cosines.get(i, j));
                }
                at += length;
            }
            for (norm, phi) in found.norms.iter().zip(&phi) {
                prop_assert!((norm - phi.iter().map(|x| x * x).sum::<f32>().sqrt()).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(attribute_tokens(&[1.0; 4], &[1.0; 2], &[1], &[1.0; 2], 2).is_err());
        assert!(attribute_tokens(&[1.0; 3], &[1.0; 2], &[2], &[1.0; 2], 2).is_err());
        assert!(attribute_tokens(&[], &[], &[], &[], 0).is_err());
    }
}
