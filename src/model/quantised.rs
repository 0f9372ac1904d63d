//! Base models whose linear layers are kept in few bits: how large they are, and how they are made.
//!
//! Embeddings, head, norms and biases stay as they are.

use super::decoder::{DecoderSpec, Part};
use super::language_model::LanguageModel;
use crate::error::Result;
use crate::experiment::Quantisation;
use crate::kernels::Nf4;
use crate::weights::{TensorFiles, Weights};
use candle_core::{DType, Device, Var};

impl Part {
    /// Whether it can be kept in few bits: linear layers can.
    fn is_quantisable(&self) -> bool {
        self.module().is_some()
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl DecoderSpec {
    /// Bytes of all parameters, with `element` bytes for each element that is not in few bits.
    pub(crate) fn weight_bytes(&self, element: usize, quantised: Option<Quantisation>) -> usize {
        let bytes = |part: &Part| match quantised {
            Some(Quantisation::Nf4) if part.is_quantisable() => Nf4::bytes(part.elements()),
            _ => element * part.elements(),
        };
        self.parts().iter().map(bytes).sum()
    }

    /// Elements of the linear layers of a decoder layer.
    pub(crate) fn layer_elements(&self) -> usize {
        let parts = self.layer_parts(0).into_vec().into_iter();
        parts.filter(Part::is_quantisable).map(|part| part.elements()).sum()
    }
}

impl Weights {
    /// Reads the tensors of a model of this shape, one after another, each converted on the way to
    /// `dtype`, with the values that it has as `rounded`. One that is to be in few bits is in
    /// memory as `f32` until it has been encoded, which does without that rounding; it then stands
    /// for elements of type `rounded`.
    pub(super) fn of_files(
        spec: &DecoderSpec,
        files: &TensorFiles,
        dtype: DType,
        device: &Device,
        quantised: Option<Quantisation>,
        rounded: DType,
    ) -> Result<Self> {
        let (mut variables, mut matrices) = (Vec::new(), Vec::new());
        for part in spec.parts() {
            let Part { name, shape, .. } = &part;
            match quantised {
                Some(Quantisation::Nf4) if part.is_quantisable() => {
                    let read = files.read(name, shape, DType::F32, &Device::Cpu)?;
                    matrices.push((part.name, Nf4::quantize(read.as_tensor(), rounded, device)?));
                }
                _ => {
                    let mut read = files.read(name, shape, rounded, device)?;
                    if dtype != rounded {
                        read = Var::from_tensor(&read.as_tensor().to_dtype(dtype)?)?;
                    }
                    variables.push((part.name, read));
                }
            }
        }
        Ok(Self::of(variables).with_quantised(matrices))
    }
}

impl LanguageModel {
    /// The same model, which has no adapter, with its linear layers in few bits.
    pub fn quantised(self, quantised: Option<Quantisation>) -> Result<Self> {
        let Some(Quantisation::Nf4) = quantised else { return Ok(self) };
        let Self { config, tokenizer, mut weights, settings, trainable, frozen, .. } = self;
        let dtype = trainable.head().dtype();
        // They hold the matrices too.
        drop((trainable, frozen));
        for part in config.parts().into_iter().filter(Part::is_quantisable) {
            let variable = weights.variable(&part.name)?;
            let matrix = Nf4::quantize(variable.as_tensor(), dtype, variable.device())?;
            weights = weights.with_quantised([(part.name, matrix)]);
        }
        Ok(Self::new(config, tokenizer, weights)?.with_settings(settings))
    }
}
