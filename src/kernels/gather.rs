//! Rows of a matrix by index.

use super::given::given;
use super::{cuda, half};
use candle_core::{DType, Result, Tensor};

/// The rows `index` (n) of x (m, d), for indices below m: (n, d). Backward sums the gradients of rows that were taken repeatedly.
pub fn gather_rows(x: &Tensor, index: &[u32]) -> Result<Tensor> {
    if cuda::applies(&[x]) {
        return cuda::gather_rows(x, index);
    }
    select(x, &Tensor::from_slice(index, index.len(), x.device())?)
}

/// The entries `index` (n) of x along its first dimension. Backward sums in `f32`: in `bf16` a sum of a few hundred gradients of one
/// size takes in no more.
pub(super) fn select(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    if !half::applies(&[x]) {
        return x.index_select(index, 0);
    }
    let value = x.detach().index_select(index, 0)?;
    let index = index.clone();
    given(x, value, move |x, grad| {
        let sum = Tensor::zeros(x.shape(), DType::F32, x.device())?;
        sum.index_add(&index, &grad.to_dtype(DType::F32)?.contiguous()?, 0)?.to_dtype(x.dtype())
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, agree_in_bf16, random};
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn rows_and_their_gradients_are_those_that_candle_gives() {
        let index = [3u32, 0, 3, 3, 1];
        let reference = |t: &[Tensor]| t[0].index_select(&Tensor::from_slice(&index, 5, &Device::Cpu)?, 0);
        agree(&[random(&[4, 6], 1)], |t| gather_rows(&t[0], &index), reference, 1e-6);
        agree_in_bf16(&[random(&[4, 6], 1)], |t| gather_rows(&t[0], &index), reference);
    }

    #[test]
    fn a_row_that_is_taken_often_has_all_of_its_gradient_in_bf16() {
        let x = Var::zeros((2, 3), DType::BF16, &Device::Cpu).unwrap();
        let taken = gather_rows(&x, &[1; 2000]).unwrap();
        let store = taken.to_dtype(DType::F32).unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = store.get(&x).unwrap().to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(gradient, [[0.0; 3], [2000.0; 3]]);
    }
}
