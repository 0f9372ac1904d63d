//! Matrices in four bits that are not trained, and products with them.
//!
//! They are decoded where they are used: a matrix at a time, in forward and in backward, so what a
//! graph keeps of them are their codes.

use super::buffers::OfThread;
use super::cuda;
use super::custom_gradient::with_gradient;
use super::linear::{input_gradient, linear};
use super::matmul::{View, matmul};
use super::nf4_blocks::{BLOCK, LEVELS, decode, encode};
use super::storage::{Elements, fused, slice, with_slices};
use candle_core::{
    CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};

/// A matrix (out, in) in NF4, four bits and a half per element: in blocks of 64 along its rows,
/// which may go on from one row to the next.
#[derive(Clone, Debug)]
pub struct Nf4 {
    /// Two elements a byte.
    codes: Tensor,
    /// The largest absolute value of every block, `f32`.
    scales: Tensor,
    shape: (usize, usize),
    /// What it is decoded to.
    dtype: DType,
}

impl Nf4 {
    /// Encodes a matrix (out, in). It then stands for elements of type `dtype` on `device`.
    pub fn quantize(matrix: &Tensor, dtype: DType, device: &Device) -> Result<Self> {
        let shape = matrix.dims2()?;
        let (bytes, blocks) =
            (matrix.elem_count().div_ceil(2), matrix.elem_count().div_ceil(BLOCK));
        let (mut codes, mut scales) = (vec![0; bytes], vec![0.0; blocks]);
        with_slices([&matrix.to_device(&Device::Cpu)?.to_dtype(DType::F32)?], |[values]| {
            encode(&mut codes, &mut scales, values);
            Ok(())
        })?;
        Ok(Self {
            codes: Tensor::from_vec(codes, bytes, device)?,
            scales: Tensor::from_vec(scales, blocks, device)?,
            shape,
            dtype,
        })
    }

    /// Bytes of a matrix of so many elements.
    pub fn bytes(elements: usize) -> usize {
        elements.div_ceil(2) + elements.div_ceil(BLOCK) * size_of::<f32>()
    }

    /// The codes, two in each byte, the first in its upper half.
    pub fn codes(&self) -> &Tensor {
        &self.codes
    }

    /// The largest absolute value of every block.
    pub fn scales(&self) -> &Tensor {
        &self.scales
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// The same where it stands for elements of another type.
    #[must_use]
    pub fn to_dtype(&self, dtype: DType) -> Self {
        Self { dtype, ..self.clone() }
    }

    /// The same on a device.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let (codes, scales) = (self.codes.to_device(device)?, self.scales.to_device(device)?);
        Ok(Self { codes, scales, ..self.clone() })
    }

    /// Whether it stands for `f32` on the CPU.
    pub fn is_fused(&self) -> bool {
        self.dtype == DType::F32 && fused(&[&self.scales])
    }

    /// The matrix (out, in).
    pub fn dequantize(&self) -> Result<Tensor> {
        if fused(&[&self.scales]) {
            let mut elements = vec![0.0; self.shape.0 * self.shape.1];
            self.decode_into(&mut elements)?;
            return Tensor::from_vec(elements, self.shape, &Device::Cpu)?.to_dtype(self.dtype);
        }
        if cuda::applies(&[&self.scales]) && matches!(self.dtype, DType::F32 | DType::BF16) {
            return cuda::nf4_dequantize(&self.codes, &self.scales, self.shape, self.dtype);
        }
        self.dequantize_reference()
    }

    /// [`Self::dequantize`] from plain candle operations.
    pub fn dequantize_reference(&self) -> Result<Tensor> {
        let device = self.codes.device();
        let bytes = self.codes.to_dtype(DType::F32)?;
        let first = (&bytes / 16.0)?.floor()?;
        let second = (bytes - (&first * 16.0)?)?;
        let codes = Tensor::stack(&[first, second], 1)?.flatten_all()?.to_dtype(DType::U32)?;
        let levels = Tensor::new(&LEVELS, device)?.index_select(&codes, 0)?;
        let (blocks, count) = (self.scales.elem_count(), self.shape.0 * self.shape.1);
        let levels = levels.pad_with_zeros(0, 0, blocks * BLOCK - levels.elem_count())?;
        let scales = self.scales.reshape((blocks, 1))?;
        let elements = levels.reshape((blocks, BLOCK))?.broadcast_mul(&scales)?;
        elements.flatten_all()?.narrow(0, 0, count)?.reshape(self.shape)?.to_dtype(self.dtype)
    }

    /// The elements in `f32`, of a matrix on the CPU.
    pub fn elements(&self) -> Result<Elements<'static>> {
        self.decoded().map(Elements::from)
    }

    fn decoded(&self) -> Result<OfThread> {
        let mut elements = OfThread::take(self.shape.0 * self.shape.1);
        self.decode_into(&mut elements)?;
        Ok(elements)
    }

    fn decode_into(&self, elements: &mut [f32]) -> Result<()> {
        let (codes, codes_layout) = self.codes.storage_and_layout();
        let (scales, scales_layout) = self.scales.storage_and_layout();
        let (Storage::Cpu(codes), Storage::Cpu(scales)) = (&*codes, &*scales) else {
            bail!("a matrix in four bits on the CPU was expected");
        };
        decode(elements, slice(codes, codes_layout)?, slice(scales, scales_layout)?);
        Ok(())
    }
}

/// x W^T for x (n, in) of the type that W (out, in) stands for: [`linear`] with a matrix that is
/// not trained. Returns (n, out).
pub fn nf4_linear(x: &Tensor, weight: &Nf4) -> Result<Tensor> {
    if x.dtype() != weight.dtype {
        bail!("a product of {:?} with a matrix of {:?}", x.dtype(), weight.dtype);
    }
    if fused(&[x]) && weight.is_fused() {
        return x.contiguous()?.apply_op1(Linear(weight.clone()));
    }
    let y = linear(&x.detach(), &weight.dequantize()?)?;
    let weight = weight.clone();
    with_gradient(x, y, move |_, grad| input_gradient(grad, &weight.dequantize()?))
}

/// The product on the CPU in `f32`.
struct Linear(Nf4);

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "nf4-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (rows, inner)) = (slice(storage, layout)?, layout.shape().dims2()?);
        let out = self.0.shape.0;
        let mut y = vec![0.0; rows * out];
        let w = self.0.decoded()?;
        matmul(&mut y, View::new(x, inner), View::new(&w, inner).t(), false);
        Ok((CpuStorage::F32(y), (rows, out).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (out, inner) = self.0.shape;
        let mut dx = vec![0.0; x.elem_count()];
        with_slices([grad], |[grad]| {
            let w = self.0.decoded()?;
            matmul(&mut dx, View::new(grad, out), View::new(&w, inner), false);
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, agree_in_bf16, difference, random, values};
    use super::super::linear_reference;
    use super::*;

    fn matrix(shape: (usize, usize), dtype: DType) -> Nf4 {
        Nf4::quantize(&random(&[shape.0, shape.1], 5), dtype, &Device::Cpu).unwrap()
    }

    const SHAPES: [(usize, usize); 4] = [(3, 5), (7, 64), (96, 80), (1, 1)];

    #[test]
    fn what_is_decoded_is_what_plain_operations_make_of_the_codes() {
        for shape in SHAPES {
            for dtype in [DType::F32, DType::BF16] {
                let matrix = matrix(shape, dtype);
                let (found, expected) =
                    (matrix.dequantize().unwrap(), matrix.dequantize_reference().unwrap());
                assert!(found.dtype() == dtype && found.dims() == [shape.0, shape.1]);
                let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
                assert!(difference(&wide(&found), &wide(&expected)) == 0.0, "{shape:?} {dtype:?}");
            }
        }
    }

    #[test]
    fn products_and_gradients_are_those_with_the_decoded_matrix() {
        for shape in SHAPES {
            let inputs = [random(&[6, shape.1], 1)];
            let [single, half] = [DType::F32, DType::BF16].map(|dtype| matrix(shape, dtype));
            let decoded = single.dequantize().unwrap();
            let reference = |t: &[Tensor]| linear_reference(&t[0], &decoded);
            agree(&inputs, |t| nf4_linear(&t[0], &single), reference, 1e-4);
            agree_in_bf16(&inputs, |t| nf4_linear(&t[0], &half), reference);
        }
    }

    /// Not only to rounding: a run with such a base is the run with the decoded one.
    #[test]
    fn in_either_type_nothing_differs_from_a_plain_product() {
        for dtype in [DType::F32, DType::BF16] {
            let matrix = matrix((96, 80), dtype);
            let decoded = matrix.dequantize().unwrap();
            let run = |f: &dyn Fn(&Tensor) -> Result<Tensor>| {
                let x = random(&[33, 80], 3).to_dtype(dtype).unwrap();
                let x = candle_core::Var::from_tensor(&x).unwrap();
                let y = f(x.as_tensor()).unwrap();
                let store = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                [y.detach(), store.get(&x).unwrap().clone()]
                    .map(|t| values(&t.to_dtype(DType::F32).unwrap()))
            };
            assert!(run(&|x| nf4_linear(x, &matrix)) == run(&|x| linear(x, &decoded)), "{dtype:?}");
        }
    }
}
