//! Several linear layers of one input whose weights stand behind each other: forward each is its
//! own product, backward there is one product for the gradient of the input and one for that of all
//! weights. candle would make a gradient of the size of all weights for each of them, and add them
//! up.

use super::linear::linear;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Error, Layout, Result, Shape, Tensor, bail};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// x W^T for each part W of `weights` (out, in), which has so many rows as `sizes` says, and x (n,
/// in), on every device and in every type that has plain products. All parts must be used: the
/// gradients come with the last of them.
pub fn linear_parts<const N: usize>(
    x: &Tensor,
    weights: &Tensor,
    sizes: [usize; N],
) -> Result<[Tensor; N]> {
    if sizes.iter().sum::<usize>() != weights.dim(0)? {
        bail!("weights {:?} do not have parts of {sizes:?} rows", weights.shape());
    }
    let mut end = 0;
    let ranges = sizes.map(|size| {
        end += size;
        end - size..end
    });
    if !x.track_op() && !weights.track_op() {
        return each(ranges.map(|rows| linear(x, &weights.narrow(0, rows.start, rows.len())?)));
    }
    let x = x.contiguous()?;
    let gathered = Arc::new(Mutex::new(vec![None; N]));
    let mut index = 0;
    each(ranges.map(|rows| {
        let part = Part { index, rows, gathered: gathered.clone() };
        index += 1;
        x.apply_op2(weights, part)
    }))
}

fn each<const N: usize>(results: [Result<Tensor>; N]) -> Result<[Tensor; N]> {
    let all = results.into_iter().collect::<Result<Vec<_>>>()?;
    all.try_into().map_err(|_| Error::msg("there are as many tensors as results"))
}

struct Part {
    index: usize,
    rows: Range<usize>,
    /// The gradients of the parts' results, as far as backward has come to them.
    gathered: Arc<Mutex<Vec<Option<Tensor>>>>,
}

impl Part {
    fn forward<S: BackendStorage>(
        &self,
        x: &S,
        x_layout: &Layout,
        w: &S,
        w_layout: &Layout,
    ) -> Result<(S, Shape)> {
        let (n, inner) = x_layout.shape().dims2()?;
        let out = self.rows.len();
        let w_layout = w_layout.narrow(0, self.rows.start, out)?.transpose(0, 1)?;
        Ok((x.matmul(w, (1, n, out, inner), x_layout, &w_layout)?, (n, out).into()))
    }
}

impl CustomOp2 for Part {
    fn name(&self) -> &'static str {
        "linear-part"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(x, lx, w, lw)
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        w: &CudaStorage,
        lw: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward(x, lx, w, lw)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered[self.index] = Some(grad.contiguous()?);
        if gathered.iter().any(Option::is_none) {
            return Ok((None, None));
        }
        // The next backward pass begins with none.
        let grads: Vec<Tensor> = gathered.iter_mut().filter_map(Option::take).collect();
        let grad = Tensor::cat(&grads, 1)?;
        let dx = if x.track_op() { Some(grad.matmul(&weights.detach())?) } else { None };
        let dw = if weights.track_op() { Some(grad.t()?.matmul(&x.detach())?) } else { None };
        Ok((dx, dw))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, difference, random};
    use super::super::linear_reference;
    use super::*;
    use candle_core::Var;

    const SIZES: [usize; 3] = [4, 2, 3];

    fn joined(t: &[Tensor]) -> Result<Tensor> {
        let parts = linear_parts(&t[0], &t[1], SIZES)?;
        for (part, size) in parts.iter().zip(SIZES) {
            assert_eq!(part.dims(), [7, size]);
        }
        Tensor::cat(&parts, 1)
    }

    #[test]
    fn parts_agree_with_one_product_forward_and_backward() {
        let inputs = [random(&[7, 5], 1), random(&[9, 5], 2)];
        agree(&inputs, joined, |t| linear_reference(&t[0], &t[1]), 1e-5);
    }

    #[test]
    fn a_graph_can_be_gone_through_again_and_what_is_frozen_has_no_gradient() {
        let (x, w) = (
            Var::from_tensor(&random(&[7, 5], 1)).unwrap(),
            Var::from_tensor(&random(&[9, 5], 2)).unwrap(),
        );
        let y = joined(&[x.as_tensor().clone(), w.as_tensor().clone()]).unwrap();
        let loss = y.sqr().unwrap().sum_all().unwrap();
        let (first, second) = (loss.backward().unwrap(), loss.backward().unwrap());
        for variable in [&x, &w] {
            let [a, b] = [&first, &second].map(|store| store.get(variable).unwrap());
            assert!(difference(a, b) == 0.0);
        }
        let frozen = joined(&[x.as_tensor().clone(), w.detach()]).unwrap();
        let store = frozen.sum_all().unwrap().backward().unwrap();
        assert!(store.get(&x).is_some() && store.get(&w).is_none());
        let wrong = linear_parts(&x, &w, [4, 4]);
        assert!(wrong.is_err());
    }
}
