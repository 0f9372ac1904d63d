//! What a kernel is, and what it is given.

use candle_core::{DType, Tensor};

/// A CUDA source.
pub(super) struct Program {
    /// Its name, without extension.
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    /// The kernels in it.
    #[cfg_attr(not(test), allow(dead_code, reason = "only the emulator has to list them"))]
    pub(super) kernels: &'static [&'static str],
}

/// What all sources begin with.
pub(super) const COMMON: &str = include_str!("common.cuh");

/// A program for tensors of one type and heads of one size.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) program: &'static Program,
    dtype: DType,
    /// Elements of a head; 0 where it does not matter.
    head_dim: usize,
    /// Query heads of a key/value head; 0 where it does not matter.
    group: usize,
}

impl Program {
    /// The program for tensors of this type.
    pub(super) const fn of(&'static self, dtype: DType) -> Variant {
        Variant { program: self, dtype, head_dim: 0, group: 0 }
    }
}

impl Variant {
    pub(super) const fn heads(self, head_dim: usize, group: usize) -> Self {
        Self { head_dim, group, ..self }
    }

    /// The macros to compile it with.
    pub(super) fn macros(&self) -> Vec<String> {
        let mut macros = Vec::new();
        if self.dtype == DType::BF16 {
            macros.push("-DBF16".to_string());
        }
        if self.head_dim > 0 {
            macros.push(format!("-DHEAD_DIM={}", self.head_dim));
        }
        if self.group > 0 {
            macros.push(format!("-DGROUP={}", self.group));
        }
        macros
    }

    /// What tells variants apart.
    pub(super) fn key(&self) -> Key {
        (self.program.name, self.dtype == DType::BF16, self.head_dim, self.group)
    }
}

/// Name of the program, whether for `bf16`, size of heads, query heads of a key/value head.
pub(super) type Key = (&'static str, bool, usize, usize);

/// One argument of a kernel. Kernels may write to any tensor that they are given.
#[derive(Clone, Copy)]
pub(super) enum Argument<'a> {
    /// The address of its first element; it must be contiguous.
    Tensor(&'a Tensor),
    U32(u32),
    U64(u64),
    F32(f32),
}

impl<'a> From<&'a Tensor> for Argument<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl From<f32> for Argument<'_> {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

impl From<u32> for Argument<'_> {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<usize> for Argument<'_> {
    /// As 32 bits.
    fn from(value: usize) -> Self {
        Self::U32(value as u32)
    }
}

impl From<u64> for Argument<'_> {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

/// Makes a list of arguments.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => { &[$($crate::cuda::program::Argument::from($argument)),*] };
}
pub(super) use arguments;
