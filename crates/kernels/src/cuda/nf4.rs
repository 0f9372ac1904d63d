//! Matrices in four bits; see [`crate::Nf4`].

use super::launch::{Program, arguments, launch, uninitialised};
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program =
    Program { name: "nf4", source: include_str!("nf4.cu"), kernels: &["nf4_decode"] };

/// Bytes that a thread writes.
const BYTES: usize = 16;

const THREADS: usize = 256;

/// The matrix of `shape`, in `f32` or `bf16`, that codes and scales stand for.
pub(crate) fn nf4_dequantize(
    codes: &Tensor,
    scales: &Tensor,
    shape: (usize, usize),
    dtype: DType,
) -> Result<Tensor> {
    let elements = uninitialised(shape, dtype, codes.device())?;
    let count = elements.elem_count();
    let blocks = count.div_ceil(BYTES / dtype.size_in_bytes()).div_ceil(THREADS);
    let arguments = arguments![codes, scales, &elements, count as u64];
    launch(PROGRAM.of(dtype), "nf4_decode", [blocks, 1], THREADS, arguments)?;
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::super::super::Nf4;
    use super::super::super::check::{difference, random};
    use super::super::emulate;
    use super::*;
    use candle_core::Device;

    #[test]
    fn emulated_decoding_is_that_of_the_cpu() {
        if !emulate::available() {
            return;
        }
        for (shape, dtype) in [(1, 1), (3, 5), (7, 64), (9, 131), (40, 96)]
            .into_iter()
            .flat_map(|shape| [(shape, DType::F32), (shape, DType::BF16)])
        {
            let elements = random(&[shape.0, shape.1], 1);
            let matrix = Nf4::quantize(&elements, dtype, &Device::Cpu).unwrap();
            let found = nf4_dequantize(matrix.codes(), matrix.scales(), shape, dtype).unwrap();
            let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
            let off = difference(&wide(&found), &wide(&matrix.dequantize().unwrap()));
            assert!(off == 0.0, "{shape:?} {dtype:?}: {off:e}");
        }
    }
}
