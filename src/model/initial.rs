//! The weights that a model begins with: random ones, or those of a folder.

use super::decoder::{DecoderSpec, Part, Role};
use crate::error::Result;
use crate::rng::{self, Domain};
use crate::weights::{TensorFiles, Weights};
use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;
use std::path::Path;

/// Numbers that a thread draws one after another.
const DRAWN: usize = 1 << 14;

impl Weights {
    /// Random weights in the manner of Transformers: normal with standard deviation `std` for
    /// matrices (output projections of the residual branches scaled down by sqrt(2 layers)), zeros
    /// for biases, and norms that scale by one.
    pub fn random(
        spec: &DecoderSpec,
        std: f64,
        seed: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let residual = std / (2.0 * spec.num_hidden_layers as f64).sqrt();
        let mut variables = Vec::new();
        for (index, Part { name, shape, role }) in spec.parts().into_iter().enumerate() {
            let count = shape.iter().product();
            let stream = rng::stream(seed, Domain::Weights, [0, index as u64, 0]);
            let normal = |std: f64| {
                let mut values = vec![0.0; count];
                values.par_chunks_mut(DRAWN).enumerate().for_each(|(chunk, values)| {
                    let mut stream = stream.clone();
                    stream.set_word_pos((chunk * DRAWN) as u128 * rng::WORDS_OF_NORMAL);
                    values.fill_with(|| (rng::normal(&mut stream) * std) as f32);
                });
                values
            };
            let values = match role {
                Role::Norm => vec![1.0 - spec.norm_offset; count],
                Role::Bias => vec![0.0; count],
                Role::Table | Role::Projection => normal(std),
                Role::Output => normal(residual),
            };
            let tensor = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            variables.push((name, Var::from_tensor(&tensor)?));
        }
        Ok(Self::of(variables))
    }

    /// Reads the weights of a model of this shape from a Hugging Face folder, whole or in shards.
    pub fn read(spec: &DecoderSpec, folder: &Path, dtype: DType, device: &Device) -> Result<Self> {
        Self::of_files(spec, &TensorFiles::open(folder)?, dtype, device, None, dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed means the same model whatever draws it.
    #[test]
    fn numbers_are_those_of_one_stream_whoever_draws_them() {
        let (vocab_size, hidden_size) = (700, 50);
        assert!(vocab_size * hidden_size > 2 * DRAWN);
        let spec = DecoderSpec { vocab_size, hidden_size, ..DecoderSpec::default() };
        let weights = Weights::random(&spec, 0.02, 7, DType::F32, &Device::Cpu).unwrap();
        let table = weights.get("model.embed_tokens.weight").unwrap();
        let found: Vec<f32> = table.flatten_all().unwrap().to_vec1().unwrap();
        let index = spec.parts().iter().position(|part| part.role == Role::Table).unwrap();
        let mut stream = rng::stream(7, Domain::Weights, [0, index as u64, 0]);
        let mut expected = || ((rng::normal(&mut stream) * 0.02) as f32).to_bits();
        assert!(found.iter().all(|value| value.to_bits() == expected()));
    }

    #[test]
    fn bytes_are_those_of_all_weights_that_are_there() {
        let spec = DecoderSpec::default();
        let weights = Weights::random(&spec, 0.02, 1, DType::BF16, &Device::Cpu).unwrap();
        assert_eq!(weights.bytes_on(&Device::Cpu), 2 * spec.parameter_count());
    }
}
