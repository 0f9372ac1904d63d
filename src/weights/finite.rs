//! Finds tensors with values that are not finite.

use crate::error::Result;
use crate::kernels;
use candle_core::{DType, Tensor};

/// The name of the first tensor with a NaN or an infinity in it.
///
/// Reads every value once and waits for the device once. Where there is no kernel for it, it looks
/// at sums, which no NaN or infinity leaves finite; a sum that overflows counts as well, because
/// weights of that size are lost anyway.
pub fn first_not_finite<'name, 'tensor>(
    tensors: impl IntoIterator<Item = (&'name str, &'tensor Tensor)>,
) -> Result<Option<&'name str>> {
    let (names, tensors): (Vec<&str>, Vec<&Tensor>) = tensors.into_iter().unzip();
    if tensors.is_empty() {
        return Ok(None);
    }
    if kernels::on_gpu(&tensors) {
        return Ok(kernels::first_not_finite_on_gpu(&tensors)?.map(|place| names[place]));
    }
    let sums = tensors.into_iter().map(|tensor| tensor.sum_all()?.to_dtype(DType::F32));
    let sums = sums.collect::<candle_core::Result<Vec<_>>>()?;
    let sums = Tensor::stack(&sums, 0)?.to_vec1::<f32>()?;
    Ok(names.into_iter().zip(sums).find(|(_, sum)| !sum.is_finite()).map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_first_tensor_with_a_value_that_is_not_finite_is_named() {
        let tensor = |values: [f32; 3], dtype| {
            Tensor::new(&values, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        for dtype in [DType::F32, DType::BF16] {
            let good = tensor([1.0, -2.0, 3e38], dtype);
            assert_eq!(first_not_finite([("a", &good), ("b", &good)]).unwrap(), None);
            for bad in [[0.0, f32::NAN, 0.0], [f32::INFINITY, f32::NEG_INFINITY, 1.0]] {
                let bad = tensor(bad, dtype);
                assert_eq!(
                    first_not_finite([("a", &good), ("b", &bad), ("c", &bad)]).unwrap(),
                    Some("b")
                );
            }
        }
        assert_eq!(first_not_finite([]).unwrap(), None);
    }
}
