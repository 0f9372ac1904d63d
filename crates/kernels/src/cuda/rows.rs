//! Rows of a matrix by index, with a backward pass that sums in a fixed order and in parallel.

use super::launch::{Program, aligned, arguments, launch};
use super::node::node1;
use candle_core::{Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "rows",
    source: include_str!("rows.cu"),
    kernels: &["rows_gather", "rows_sum"],
};

/// The rows `index` (n) of x (m, d): (n, d). Indices are below m.
pub(crate) fn gather_rows(x: &Tensor, index: &[u32]) -> Result<Tensor> {
    let d = x.dim(1)?;
    let x = aligned(x)?;
    let device = x.device();
    let on_device = Tensor::from_slice(index, index.len(), device)?;
    let back = index.to_vec();
    let y = node1(&x, (index.len(), d), x.dtype(), move |[x], _, grad| {
        Ok([Some(scatter(x, grad, &back)?)])
    })?;
    let threads = threads(&x)?;
    let arguments = arguments![&x, &on_device, &y, d];
    launch(PROGRAM.of(x.dtype()), "rows_gather", [index.len(), 1], threads, arguments)?;
    Ok(y)
}

fn threads(x: &Tensor) -> Result<usize> {
    let packs = x.dim(1)?.div_ceil(16 / x.dtype().size_in_bytes());
    Ok(packs.next_multiple_of(32).clamp(32, 256))
}

/// Sums the rows of `grad` that have the same index.
fn scatter(x: &Tensor, grad: &Tensor, index: &[u32]) -> Result<Tensor> {
    let dx = x.zeros_like()?;
    let mut places: Vec<u32> = (0..index.len() as u32).collect();
    places.sort_by_key(|&place| index[place as usize]);
    let (mut wanted, mut offsets) = (Vec::new(), Vec::new());
    for (at, &place) in places.iter().enumerate() {
        let row = index[place as usize];
        if wanted.last() != Some(&row) {
            wanted.push(row);
            offsets.push(at as u32);
        }
    }
    offsets.push(places.len() as u32);
    let upload = |values: &[u32]| Tensor::from_slice(values, values.len(), x.device());
    let count = wanted.len();
    let (grad, wanted, offsets, places) =
        (aligned(grad)?, upload(&wanted)?, upload(&offsets)?, upload(&places)?);
    let arguments = arguments![&grad, &wanted, &offsets, &places, &dx, x.dim(1)?];
    launch(PROGRAM.of(x.dtype()), "rows_sum", [count, 1], threads(x)?, arguments)?;
    Ok(dx)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16, random};
    use super::super::emulate;
    use super::*;

    #[test]
    fn emulated_rows_agree_with_candle_forward_and_backward() {
        if !emulate::available() {
            return;
        }
        let index = [3u32, 0, 3, 5, 3, 0];
        for d in [5, 72] {
            let reference =
                |t: &[Tensor]| t[0].index_select(&Tensor::new(&index, t[0].device())?, 0);
            agree(&[random(&[7, d], 1)], |t| gather_rows(&t[0], &index), reference, 1e-5);
            agree_in_bf16(&[random(&[7, d], 1)], |t| gather_rows(&t[0], &index), reference);
        }
    }
}
