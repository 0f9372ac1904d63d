//! Rows of a matrix by index.

use super::custom_gradient::with_gradient;
use super::{cuda, half};
use candle_core::{DType, Result, Tensor};
use std::collections::HashMap;

/// The rows `index` (n) of x (m, d), for indices below m: (n, d). Backward sums the gradients of
/// rows that were taken repeatedly.
pub fn gather_rows(x: &Tensor, index: &[u32]) -> Result<Tensor> {
    if cuda::applies(&[x]) {
        return cuda::gather_rows(x, index);
    }
    select(x, &Tensor::from_slice(index, index.len(), x.device())?)
}

/// The entries `index` (n) of x along its first dimension. Backward sums in `f32`: in `bf16` a sum
/// of a few hundred gradients of one size takes in no more. Only entries that were taken have such
/// sums, which are few beside a vocabulary.
pub(super) fn select(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    if !half::applies(&[x]) {
        return x.index_select(index, 0);
    }
    let value = x.detach().index_select(index, 0)?;
    let index = index.clone();
    with_gradient(x, value, move |x, grad| {
        let (taken, places) = distinct(&index)?;
        let mut shape = x.dims().to_vec();
        shape[0] = taken.elem_count();
        let sums = Tensor::zeros(shape, DType::F32, x.device())?;
        let sums = sums.index_add(&places, &grad.to_dtype(DType::F32)?.contiguous()?, 0)?;
        // Each entry is added to once, so sums are rounded once.
        x.zeros_like()?.index_add(&taken, &sums.to_dtype(x.dtype())?, 0)
    })
}

/// The different values of `index` (n) in the order of their first appearance, and the place of
/// each of the n among them.
fn distinct(index: &Tensor) -> Result<(Tensor, Tensor)> {
    let mut taken: Vec<u32> = Vec::new();
    let mut known: HashMap<u32, u32> = HashMap::new();
    let places: Vec<u32> = index
        .to_dtype(DType::U32)?
        .to_vec1()?
        .into_iter()
        .map(|entry| {
            *known.entry(entry).or_insert_with(|| {
                taken.push(entry);
                taken.len() as u32 - 1
            })
        })
        .collect();
    let device = index.device();
    Ok((
        Tensor::from_vec(taken, known.len(), device)?,
        Tensor::from_vec(places, index.elem_count(), device)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, agree_in_bf16, random};
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn rows_and_their_gradients_are_those_that_candle_gives() {
        let index = [3u32, 0, 3, 3, 1];
        let reference =
            |t: &[Tensor]| t[0].index_select(&Tensor::from_slice(&index, 5, &Device::Cpu)?, 0);
        agree(&[random(&[4, 6], 1)], |t| gather_rows(&t[0], &index), reference, 1e-6);
        agree_in_bf16(&[random(&[4, 6], 1)], |t| gather_rows(&t[0], &index), reference);
    }

    #[test]
    fn a_row_that_is_taken_often_has_all_of_its_gradient_in_bf16() {
        let x = Var::zeros((2, 3), DType::BF16, &Device::Cpu).unwrap();
        let taken = gather_rows(&x, &[1; 2000]).unwrap();
        let store = taken.to_dtype(DType::F32).unwrap().sum_all().unwrap().backward().unwrap();
        let gradient =
            store.get(&x).unwrap().to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(gradient, [[0.0; 3], [2000.0; 3]]);
    }
}
