//! Finds tensors with values that are not finite.
//!
//! candle's reductions of a whole tensor have one thread block, which takes a large GPU a hundred
//! times as long as reading the tensor does.

use super::launch::{Program, aligned, arguments, launch};
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program =
    Program { name: "finite", source: include_str!("finite.cu"), kernels: &["find_not_finite"] };

const THREADS: usize = 256;

/// Most blocks of a tensor, and the fewest elements that are worth one.
const MOST_BLOCKS: usize = 1024;
const SHARE: usize = 32 * THREADS;

/// The place of the first of `tensors` with a NaN or an infinity in it; each is on one GPU, in `f32`
/// or `bf16`. Every value is read once, and the device is waited for once.
pub fn first_not_finite(tensors: &[&Tensor]) -> Result<Option<usize>> {
    let Some(first) = tensors.first() else { return Ok(None) };
    let flags = Tensor::zeros(tensors.len(), DType::U32, first.device())?;
    for (i, tensor) in tensors.iter().enumerate() {
        let (tensor, flag) = (aligned(&tensor.detach())?, flags.narrow(0, i, 1)?);
        let n = tensor.elem_count();
        let blocks = n.div_ceil(SHARE).min(MOST_BLOCKS);
        let arguments = arguments![&tensor, &flag, n as u64];
        launch(PROGRAM.of(tensor.dtype()), "find_not_finite", [blocks, 1], THREADS, arguments)?;
    }
    Ok(flags.to_vec1::<u32>()?.into_iter().position(|flag| flag != 0))
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{random, values};
    use super::super::emulate;
    use super::*;
    use candle_core::Device;

    #[test]
    fn emulated_search_finds_every_place_and_nothing_else() {
        if !emulate::available() {
            return;
        }
        // Fewer elements than a thread reads, several blocks, and one element more.
        for n in [1, 7, 1000, 2 * SHARE + 1] {
            for dtype in [DType::F32, DType::BF16] {
                let with = |place: Option<(usize, f32)>| {
                    let mut x = values(&random(&[n], 1));
                    x[0] = 3e38;
                    if let Some((place, value)) = place {
                        x[place] = value;
                    }
                    Tensor::from_vec(x, n, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
                };
                let good = with(None);
                assert_eq!(first_not_finite(&[&good, &good]).unwrap(), None, "{n} {dtype:?}");
                for place in [0, n / 2, n - 1] {
                    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let bad = with(Some((place, value)));
                        let found = first_not_finite(&[&good, &bad, &bad]).unwrap();
                        assert_eq!(found, Some(1), "{value} at {place} of {n} {dtype:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn parts_of_tensors_are_looked_at_alone() {
        if !emulate::available() {
            return;
        }
        let mut x = vec![0f32; 40];
        (x[4], x[25]) = (f32::NAN, f32::NAN);
        let x = Tensor::from_vec(x, 40, &Device::Cpu).unwrap();
        assert_eq!(first_not_finite(&[&x.narrow(0, 5, 20).unwrap()]).unwrap(), None);
        assert_eq!(first_not_finite(&[&x.narrow(0, 5, 21).unwrap()]).unwrap(), Some(0));
        assert_eq!(first_not_finite(&[]).unwrap(), None);
    }
}
