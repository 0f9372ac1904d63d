//! Sums of squares.

use super::simd;
use multiversion::multiversion;
use rayon::prelude::*;

/// Elements of a parallel task.
const ELEMENTS: usize = 16_384;

/// The sum of the squares of x, in one order for any number of threads.
pub fn squared_norm(x: &[f32]) -> f64 {
    let parts: Vec<f32> = x.par_chunks(ELEMENTS).map(squares).collect();
    parts.into_iter().map(f64::from).sum()
}

#[multiversion(targets = "simd")]
fn squares(x: &[f32]) -> f32 {
    simd::dot(x, x)
}

#[cfg(test)]
mod tests {
    use super::super::check::{random, values};
    use super::*;

    #[test]
    fn it_is_the_sum_in_f64() {
        for n in [0, 1, 15, 16, 17, ELEMENTS, 3 * ELEMENTS + 5] {
            let x = values(&random(&[n], 1));
            let expected: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            assert!((squared_norm(&x) - expected).abs() <= 1e-6 * expected, "{n}");
        }
        assert!(squared_norm(&[1.0, f32::NAN]).is_nan());
        assert!(squared_norm(&[1.0, f32::INFINITY]).is_infinite());
    }
}
