//! The two forms in which a network has a parameter.

use crate::error::Result;
use crate::kernels::{Elements, Nf4, fused};
use candle_core::{Device, Tensor, bail};

/// A parameter as a network has it.
pub(crate) enum Stored {
    /// Its elements.
    Plain(Tensor),
    /// A matrix in four bits, which is not trained.
    Nf4(Nf4),
}

impl Stored {
    /// The same without gradients.
    pub(crate) fn detach(self) -> Self {
        match self {
            Self::Plain(tensor) => Self::Plain(tensor.detach()),
            quantised @ Self::Nf4(_) => quantised,
        }
    }

    /// The same on a device.
    #[allow(clippy::wrong_self_convention, reason = "a tensor that is there already stays")]
    pub(crate) fn to_device(self, device: &Device) -> Result<Self> {
        Ok(match self {
            Self::Plain(tensor) => Self::Plain(tensor.to_device(device)?),
            Self::Nf4(matrix) => Self::Nf4(matrix.to_device(device)?),
        })
    }

    /// The tensor of a parameter that is never kept in four bits.
    pub(crate) fn plain(&self) -> candle_core::Result<&Tensor> {
        match self {
            Self::Plain(tensor) => Ok(tensor),
            Self::Nf4(_) => bail!("only linear layers can be kept in four bits"),
        }
    }

    /// The tensor that says whether gradients follow the parameter.
    pub(crate) fn followed(&self) -> &Tensor {
        match self {
            Self::Plain(tensor) => tensor,
            Self::Nf4(matrix) => matrix.scales(),
        }
    }

    /// The elements, of a parameter in `f32` on the CPU.
    pub(crate) fn elements(&self) -> candle_core::Result<Elements<'_>> {
        match self {
            Self::Plain(tensor) => Elements::of(tensor),
            Self::Nf4(matrix) => matrix.elements(),
        }
    }

    /// Whether it stands for `f32` on the CPU.
    pub(crate) fn is_fused(&self) -> bool {
        match self {
            Self::Plain(tensor) => fused(&[tensor]),
            Self::Nf4(matrix) => matrix.is_fused(),
        }
    }
}
