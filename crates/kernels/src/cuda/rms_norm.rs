//! Root-mean-square normalisation; see [`crate::offset_rms_norm`].

use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::node::node2;
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "rms_norm",
    source: include_str!("rms_norm.cu"),
    kernels: &[
        "rms_norm_forward",
        "rms_norm_backward_input",
        "rms_norm_backward_weight",
        "rms_norm_sum_chunks",
    ],
};

/// Warps of a block; a warp does one row.
const WARPS: usize = 4;

/// Fewest rows of a partial sum of the weight's gradient, and most partial sums.
const CHUNK: usize = 256;

/// [`crate::offset_rms_norm`] on a GPU.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64, offset: f32) -> Result<Tensor> {
    let (x, eps) = (aligned(x)?, eps as f32);
    let y = node2([&x, weight], x.shape(), x.dtype(), move |[x, weight], _, grad| {
        backward(x, weight, grad, eps, offset)
    })?;
    let d = weight.elem_count();
    let rows = x.elem_count() / d;
    let weight = aligned(weight)?;
    let arguments = arguments![&x, &weight, &y, rows, d, eps, offset];
    launch(
        PROGRAM.of(x.dtype()),
        "rms_norm_forward",
        [rows.div_ceil(WARPS), 1],
        32 * WARPS,
        arguments,
    )?;
    Ok(y)
}

fn backward(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
    eps: f32,
    offset: f32,
) -> Result<[Option<Tensor>; 2]> {
    let (program, device) = (PROGRAM.of(x.dtype()), x.device());
    let (w, grad) = (aligned(weight)?, aligned(grad)?);
    let d = weight.elem_count();
    let rows = x.elem_count() / d;
    let dx = uninitialised(x.shape(), x.dtype(), device)?;
    let scales = uninitialised(rows, DType::F32, device)?;
    let inputs = arguments![x, &w, &grad, &dx, &scales, rows, d, eps, offset];
    launch(program, "rms_norm_backward_input", [rows.div_ceil(WARPS), 1], 32 * WARPS, inputs)?;
    if !weight.track_op() {
        return Ok([Some(dx), None]);
    }
    let chunk = rows.div_ceil(CHUNK).max(CHUNK);
    let chunks = rows.div_ceil(chunk);
    let partial = uninitialised((chunks, d), DType::F32, device)?;
    let dw = uninitialised(d, x.dtype(), device)?;
    let weights = arguments![x, &grad, &scales, &partial, rows, d, chunk];
    launch(program, "rms_norm_backward_weight", [d.div_ceil(32), chunks], 256, weights)?;
    launch(
        program,
        "rms_norm_sum_chunks",
        [d.div_ceil(128), 1],
        128,
        arguments![&partial, &dw, chunks, d],
    )?;
    Ok([Some(dx), Some(dw)])
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16, random};
    use super::super::super::rms_norm_reference;
    use super::super::emulate;
    use super::*;

    #[test]
    fn emulated_rms_norm_agrees_with_the_reference_forward_and_backward() {
        if !emulate::available() {
            return;
        }
        for (rows, d, offset) in [(5, 33, 0.0), (300, 16, 0.0), (1, 264, 0.0), (70, 33, 1.0)] {
            let inputs = [random(&[rows, d], 1), random(&[d], 2)];
            let reference = |t: &[Tensor]| rms_norm_reference(&t[0], &t[1], 1e-6, offset);
            agree(&inputs, |t| rms_norm(&t[0], &t[1], 1e-6, offset), reference, 2e-5);
            agree_in_bf16(&inputs, |t| rms_norm(&t[0], &t[1], 1e-6, offset), reference);
        }
    }
}
