//! Access to the memory behind CPU tensors.

use super::buffers::OfThread;
use candle_core::{
    CpuStorage, DType, InplaceOp1, Layout, Result, Storage, Tensor, WithDType, bail,
};
use std::ops::{Deref, Range};
use std::sync::{Mutex, PoisonError};

/// Whether the fused `f32` CPU versions apply to all of `tensors`.
pub fn fused(tensors: &[&Tensor]) -> bool {
    tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// The elements of a contiguous CPU storage.
pub fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("a fused operation needs contiguous input, got {layout:?}"),
    }
}

/// The elements of a contiguous `f32` CPU storage, to be changed in place.
pub fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((start, end))) => Ok(&mut data[start..end]),
        _ => bail!("an operation in place needs contiguous f32, got {layout:?}"),
    }
}

/// The elements of an `f32` CPU tensor that nobody else needs any more, without a copy; none of any
/// other tensor, or of one that is a part of another. What shares its memory has no elements then.
pub fn into_elements(tensor: Tensor) -> Option<Vec<f32>> {
    struct Take(Mutex<Vec<f32>>);

    impl InplaceOp1 for Take {
        fn name(&self) -> &'static str {
            "take-elements"
        }

        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            if let CpuStorage::F32(data) = storage
                && layout.contiguous_offsets() == Some((0, data.len()))
            {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = std::mem::take(data);
            }
            Ok(())
        }
    }

    if !fused(&[&tensor]) {
        return None;
    }
    let taken = Take(Mutex::default());
    tensor.inplace_op1(&taken).ok()?;
    let elements = taken.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    (elements.len() == tensor.elem_count()).then_some(elements)
}

/// Calls `f` with the elements of contiguous `f32` CPU tensors; non-contiguous ones are copied
/// first.
pub fn with_slices<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let mut contiguous = Vec::with_capacity(N);
    for tensor in tensors {
        contiguous.push(tensor.contiguous()?);
    }
    let guards: Vec<_> = contiguous.iter().map(|tensor| tensor.storage_and_layout()).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (out, (storage, layout)) in slices.iter_mut().zip(&guards) {
        match &**storage {
            Storage::Cpu(cpu) => *out = slice(cpu, layout)?,
            _ => bail!("a fused operation needs tensors on the CPU"),
        }
    }
    f(slices)
}

/// Elements in `f32` on the CPU, readable as long as this lives.
pub struct Elements<'a>(Source<'a>);

enum Source<'a> {
    /// Those of a contiguous tensor.
    Tensor { storage: Box<dyn Deref<Target = Storage> + Sync + 'a>, range: Range<usize> },
    /// Those that were made of some.
    Own(Vec<f32>),
    /// The same, in memory of this thread.
    OfThread(OfThread),
}

impl From<OfThread> for Elements<'_> {
    fn from(elements: OfThread) -> Self {
        Self(Source::OfThread(elements))
    }
}

impl From<Vec<f32>> for Elements<'_> {
    fn from(elements: Vec<f32>) -> Self {
        Self(Source::Own(elements))
    }
}

impl<'a> Elements<'a> {
    /// The elements of a tensor, which must be contiguous.
    pub fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => {
                Ok(Self(Source::Tensor { storage: Box::new(storage), range: start..end }))
            }
            _ => bail!("expected contiguous f32 on the CPU, got {tensor:?}"),
        }
    }
}

impl Deref for Elements<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Source::Own(elements) => elements,
            Source::OfThread(elements) => elements,
            Source::Tensor { storage, range } => match &***storage {
                Storage::Cpu(CpuStorage::F32(elements)) => &elements[range.clone()],
                _ => &[], // refused by `of`
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn elements_are_taken_of_whole_f32_tensors_without_a_copy() {
        let whole = Tensor::from_vec(vec![1f32, 2.0, 3.0, 4.0], (2, 2), &Device::Cpu).unwrap();
        let place = with_slices([&whole], |[data]| Ok(data.as_ptr())).unwrap();
        let elements = into_elements(whole).unwrap();
        assert_eq!((elements.as_ptr(), elements), (place, vec![1.0, 2.0, 3.0, 4.0]));
        let other = Tensor::from_vec(vec![1f32, 2.0, 3.0, 4.0], (2, 2), &Device::Cpu).unwrap();
        for part in [
            other.narrow(0, 1, 1).unwrap(),
            other.t().unwrap(),
            other.to_dtype(DType::F64).unwrap(),
        ] {
            assert_eq!(into_elements(part), None);
        }
        assert_eq!(other.to_vec2::<f32>().unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
    }
}
