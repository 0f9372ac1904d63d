//! x + b, whose gradient with respect to b is summed in `f32` whatever the type.

use super::custom_gradient::with_gradients;
use candle_core::{DType, Result, Tensor};

/// x (n, d) with `bias` (d) added to every row.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let y = x.detach().broadcast_add(&bias.detach())?;
    with_gradients(x, bias, y, |_, bias, grad| {
        // candle would sum the rows in the type of the tensor, which in `bf16` loses most of them.
        let sum = || grad.to_dtype(DType::F32)?.sum(0)?.to_dtype(bias.dtype());
        let d_bias = if bias.track_op() { Some(sum()?) } else { None };
        Ok((Some(grad.clone()), d_bias))
    })
}

/// [`add_bias`] from plain candle operations.
pub fn add_bias_reference(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.broadcast_add(bias)
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random};
    use super::*;
    use candle_core::Var;

    #[test]
    fn a_bias_is_added_to_every_row_and_its_gradient_is_the_sum_of_the_rows() {
        agree(
            &[random(&[70, 5], 1), random(&[5], 2)],
            |t| add_bias(&t[0], &t[1]),
            |t| add_bias_reference(&t[0], &t[1]),
            1e-5,
        );
    }

    /// 3000 ones: a sum in `bf16` would stop at 256.
    #[test]
    fn a_gradient_in_bf16_is_summed_in_f32() {
        let ones = random(&[3000, 4], 1).ones_like().unwrap().to_dtype(DType::BF16).unwrap();
        let bias = Var::from_tensor(&random(&[4], 2).to_dtype(DType::BF16).unwrap()).unwrap();
        let x = Var::from_tensor(&ones).unwrap();
        let loss = add_bias(x.as_tensor(), bias.as_tensor()).unwrap().to_dtype(DType::F32).unwrap();
        let store = loss.sum_all().unwrap().backward().unwrap();
        let sums: Vec<f32> =
            store.get(&bias).unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap();
        assert!(sums.iter().all(|sum| (sum - 3000.0).abs() <= 8.0), "{sums:?}");
    }
}
