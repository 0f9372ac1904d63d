//! Numbers for tests of operations, and how far results are apart. The functions panic where a
//! tensor cannot be made or read.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "tests fail by panics")]

#[cfg(test)]
pub(crate) use super::agreement::{
    agree, agree_in_bf16, agree_in_bf16_of, agree_without_differences, rounded, within_bf16,
};
use candle_core::{Device, Tensor};

/// A tensor of repeatable numbers in about [-1.5, 1.5].
pub fn random(shape: &[usize], seed: u64) -> Tensor {
    let n: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let data: Vec<f32> = (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 3.0
        })
        .collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

/// All elements in order.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest absolute difference; infinite where one is NaN.
pub fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    // `f32::max` would pass over NaN.
    let differences = values(a).into_iter().zip(values(b)).map(|(x, y)| (x - y).abs());
    differences.map(|d| if d.is_nan() { f32::INFINITY } else { d }).fold(0.0, f32::max)
}
