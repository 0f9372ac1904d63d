//! Inner products between the parameter gradients of responses: the geometry that sensitivity
//! features stand in for.
//!
//! The gradient of response i is that of its mean token log-likelihood, `g_i = d/dtheta (1/L_i)
//! sum_t log p(y_t)`, over *all* parameters. Products are kept for every parameter tensor, so that
//! cosines can be had of the whole or of any part of the network.
//!
//! The m gradients need not be in memory at once. Where they do not fit, they are computed again as
//! the blocks of the product matrix need them: exact in any memory, for about `m (m + h) / (2 h)`
//! backward passes where h gradients fit. A [`GradientForm::Sketch`] needs m passes and little
//! memory, for an error that it states.

use super::decoder::{EMBEDDINGS, HEAD, LAYERS};
use super::gradient_sum::GradientSum;
use super::language_model::LanguageModel;
use super::responses::ResponseBatch;
use crate::error::{Error, Result};
use crate::geometry::CosineMatrix;
use crate::kernels::Buffers;
use crate::weights::Parameter;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Memory that [`GradientForm::Exact`] gets where nothing else is said, bytes.
pub const GRADIENT_MEMORY: usize = 4 << 30;

/// How gradients are kept until their products are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientForm {
    /// As they are, as many at a time as fit into so much memory, but two at least.
    Exact {
        /// Memory for gradients, bytes.
        memory_bytes: usize,
    },
    /// As a seeded random projection of every parameter tensor to at most `dimension` numbers.
    /// Tensors that are not larger stay as they are.
    ///
    /// Each element is added with a random sign to one of `dimension` buckets (a count sketch:
    /// Charikar, Chen and Farach-Colton 2002; feature hashing: Weinberger et al., arXiv 0902.2206).
    /// Inner products are unbiased, with variance at most `(|a|^2 |b|^2 + <a, b>^2) / dimension`,
    /// so the standard error of a cosine c is at most about `sqrt((1 + c^2) / dimension)`: 0.016 to
    /// 0.022 for 4096. Tensors have sketches of their own, whose errors are independent, so it is
    /// usually much less.
    Sketch {
        /// Buckets of a tensor's sketch.
        dimension: usize,
        /// Decides buckets and signs.
        seed: u64,
    },
}

impl GradientForm {
    /// The largest standard error of a cosine.
    pub fn standard_error(self) -> f64 {
        match self {
            Self::Exact { .. } => 0.0,
            Self::Sketch { dimension, .. } => (2.0 / dimension as f64).sqrt(),
        }
    }
}

/// Inner products between the gradients of m responses, for every parameter tensor.
#[derive(Clone, Debug)]
pub struct GradientProducts {
    size: usize,
    /// (m, m), row-major, symmetric, by parameter name.
    by_parameter: BTreeMap<String, Vec<f64>>,
}

impl GradientProducts {
    /// Cosines between the gradients over the parameters of a part of the network.
    pub fn cosines(&self, block: ParameterBlock) -> Result<CosineMatrix> {
        let mut sum = vec![0.0; self.size * self.size];
        for (_, products) in self.by_parameter.iter().filter(|(name, _)| block.holds(name)) {
            for (sum, product) in sum.iter_mut().zip(products) {
                *sum += product;
            }
        }
        CosineMatrix::from_products(&sum, self.size)
    }
}

/// A part of the network whose gradients are looked at by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterBlock {
    /// All parameters.
    All,
    /// Input embeddings; with tied embeddings the head as well.
    Embeddings,
    /// The head, where it has weights of its own.
    Head,
    /// Projections of the attention, in all layers.
    Attention,
    /// The MLPs of all layers.
    Mlp,
    /// All norms.
    Norms,
    /// Everything in one decoder layer, from 0.
    Layer(usize),
}

impl ParameterBlock {
    /// The parts of a network of so many layers.
    pub fn of_network(layers: usize, tied: bool) -> Vec<Self> {
        let mut blocks = vec![Self::All, Self::Embeddings];
        if !tied {
            blocks.push(Self::Head);
        }
        blocks.extend([Self::Attention, Self::Mlp, Self::Norms]);
        blocks.extend((0..layers).map(Self::Layer));
        blocks
    }

    /// Whether the parameter of that Hugging Face name belongs to this part.
    pub fn holds(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Embeddings => name == EMBEDDINGS,
            Self::Head => name == HEAD,
            Self::Attention => name.contains(".self_attn.") && name.contains("_proj."),
            Self::Mlp => name.contains(".mlp."),
            Self::Norms => name.contains("norm."),
            Self::Layer(index) => {
                name.strip_prefix(LAYERS).and_then(|rest| rest.split('.').next())
                    == Some(&index.to_string())
            }
        }
    }
}

impl std::fmt::Display for ParameterBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Embeddings => f.write_str("embeddings"),
            Self::Head => f.write_str("head"),
            Self::Attention => f.write_str("attention"),
            Self::Mlp => f.write_str("mlp"),
            Self::Norms => f.write_str("norms"),
            Self::Layer(index) => write!(f, "layer {index}"),
        }
    }
}

/// Longest sequence, tokens, whose whole graph is kept for backward; layers of longer ones are
/// computed again.
const GRAPH_TOKENS: usize = 2048;

/// One response's gradient: the elements of every parameter, in the order of the names.
type Gradient = Vec<Vec<f32>>;

impl LanguageModel {
    /// Inner products between the gradients, over all parameters that are trained, of the mean
    /// token log-likelihood at `temperature` of responses, given as (prompt, response) pairs with
    /// at least one prompt token each. An empty response has the gradient 0.
    ///
    /// `progress` is called after every backward pass. Runs deep recursions: call it on a thread
    /// with a large stack.
    pub fn gradient_products(
        &self,
        pairs: &[(&[u32], &[u32])],
        temperature: f64,
        form: GradientForm,
        mut progress: impl FnMut(),
    ) -> Result<GradientProducts> {
        let size = pairs.len();
        let held = match form {
            // One of those that fit is the partner on its way through.
            GradientForm::Exact { memory_bytes } => (memory_bytes
                / (self.trained().count() * size_of::<f32>()))
            .saturating_sub(1)
            .clamp(1, size.max(1)),
            GradientForm::Sketch { .. } => size.max(1),
        };
        let names: Vec<&str> = self.trained().variables().map(|(name, _)| name).collect();
        let mut products = vec![vec![0.0; size * size]; names.len()];
        let mut buffers = Buffers::default();
        for start in (0..size).step_by(held) {
            let mut block: Vec<Gradient> = Vec::with_capacity(held);
            for (j, pair) in pairs.iter().enumerate().skip(start) {
                let gradient = self.gradient(*pair, temperature, form, &mut buffers)?;
                progress();
                let own = j < start + held;
                for (i, other) in block
                    .iter()
                    .chain(own.then_some(&gradient))
                    .enumerate()
                    .map(|(i, g)| (start + i, g))
                {
                    for (products, (a, b)) in products.iter_mut().zip(other.iter().zip(&gradient)) {
                        let product = dot(a, b);
                        products[i * size + j] = product;
                        products[j * size + i] = product;
                    }
                }
                if own {
                    block.push(gradient);
                }
            }
        }
        let by_parameter = names.into_iter().map(str::to_string).zip(products).collect();
        Ok(GradientProducts { size, by_parameter })
    }

    fn gradient(
        &self,
        pair: (&[u32], &[u32]),
        temperature: f64,
        form: GradientForm,
        buffers: &mut Buffers,
    ) -> Result<Gradient> {
        let parameters = self.trained();
        if pair.1.is_empty() {
            return Ok(vec![Vec::new(); parameters.variables().count()]);
        }
        let batch = ResponseBatch::new(&[pair])?;
        let mut sum =
            GradientSum::new(&self.trainable, parameters, batch.len() > GRAPH_TOKENS, buffers)?;
        let pass = sum.forward(batch, temperature)?;
        let mean = pass.statistics().narrow(1, 0, 1)?.mean_all()?; // of (length, 2)
        sum.backward(pass, &mean)?;
        let gradients = sum.finish()?;
        let values = |(index, (name, _)): (usize, (&str, &Parameter))| {
            let gradient = gradients
                .get(name)
                .ok_or_else(|| Error::failed(format!("`{name}` has no gradient")))?;
            let values: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            Ok(match form {
                GradientForm::Sketch { dimension, seed } if dimension < values.len() => {
                    sketch(&values, dimension, seed ^ (index as u64) << 40)
                }
                _ => values,
            })
        };
        let values = parameters.variables().enumerate().map(values).collect();
        gradients.free(buffers);
        values
    }
}

/// Adds every element, with a sign, to a bucket; both are hashes of its place.
fn sketch(values: &[f32], dimension: usize, seed: u64) -> Vec<f32> {
    let mut buckets = vec![0f64; dimension];
    for (place, &value) in values.iter().enumerate() {
        let hash = mix(seed.wrapping_add((place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let bucket = ((u128::from(hash >> 1) * dimension as u128) >> 63) as usize;
        buckets[bucket] += if hash & 1 == 0 { f64::from(value) } else { -f64::from(value) };
    }
    buckets.into_iter().map(|bucket| bucket as f32).collect()
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Inner product in `f64`, the same for any number of threads. An empty gradient is zero.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const CHUNK: usize = 1 << 16;
    let part = |(a, b): (&[f32], &[f32])| -> f64 {
        let mut lanes = [0f64; 8];
        let (a, a_rest) = a.as_chunks::<8>();
        let (b, b_rest) = b.as_chunks::<8>();
        for (a, b) in a.iter().zip(b) {
            for i in 0..8 {
                lanes[i] += f64::from(a[i]) * f64::from(b[i]);
            }
        }
        let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        lanes.iter().sum::<f64>() + rest
    };
    let parts: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(part).collect();
    parts.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DecoderSpec, END_OF_TEXT, TextTokenizer};
    use crate::weights::Weights;
    use candle_core::{DType, Device};

    fn model() -> LanguageModel {
        let tokenizer = TextTokenizer::bytes_and_words(&[]).unwrap();
        let config = DecoderSpec {
            vocab_size: tokenizer.vocabulary(),
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 8,
            max_position_embeddings: 32,
            tie_word_embeddings: true,
            eos_token_ids: vec![tokenizer.token_id(END_OF_TEXT).unwrap()],
            ..DecoderSpec::default()
        };
        let weights = Weights::random(&config, 0.3, 1, DType::F32, &Device::Cpu).unwrap();
        LanguageModel::new(config, tokenizer, weights).unwrap()
    }

    const PAIRS: [(&[u32], &[u32]); 5] = [
        (&[1], &[2, 3, 4]),
        (&[1], &[5]),
        (&[7, 8], &[]),
        (&[1, 2], &[9, 9, 1, 1, 200]),
        (&[4], &[3, 2, 1]),
    ];

    #[test]
    fn products_are_the_same_in_any_memory_and_zero_for_an_empty_response() {
        let model = model();
        let bytes = model.parameter_count() * size_of::<f32>();
        let mut passes = Vec::new();
        let matrices = [0, 3 * bytes, 100 * bytes].map(|memory_bytes| {
            let mut count = 0;
            let form = GradientForm::Exact { memory_bytes };
            let products = model.gradient_products(&PAIRS, 0.7, form, || count += 1).unwrap();
            passes.push(count);
            products.cosines(ParameterBlock::All).unwrap()
        });
        // With one gradient held: 5 + 4 + 3 + 2 + 1 passes; with two: 5 + 3 + 1; with all: 5.
        assert_eq!(passes, [15, 9, 5]);
        assert!(matrices[0] == matrices[1] && matrices[1] == matrices[2]);
        assert!(matrices[0].row(2).iter().all(|&cosine| cosine == 0.0));
        assert!((matrices[0].get(0, 0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn every_parameter_is_in_one_kind_of_block_and_layers_hold_what_is_theirs() {
        let kinds = [
            ParameterBlock::Embeddings,
            ParameterBlock::Head,
            ParameterBlock::Attention,
            ParameterBlock::Mlp,
            ParameterBlock::Norms,
        ];
        let mut config = model().config;
        config.tie_word_embeddings = false;
        config.num_hidden_layers = 12;
        let biased = DecoderSpec { qkv_bias: true, ..config.clone() };
        for (name, _) in config.parameters().into_iter().chain(biased.parameters()) {
            assert_eq!(kinds.iter().filter(|kind| kind.holds(&name)).count(), 1, "{name}");
            let layers = (0..12).filter(|&layer| ParameterBlock::Layer(layer).holds(&name)).count();
            assert_eq!(layers, usize::from(name.contains("layers")), "{name}");
        }
    }

    #[test]
    fn parts_of_the_network_add_up_to_the_whole() {
        let form = GradientForm::Exact { memory_bytes: 1 << 30 };
        let model = model();
        let products = model.gradient_products(&PAIRS, 1.0, form, || ()).unwrap();
        let square = |block: ParameterBlock, i: usize| -> f64 {
            let held = products.by_parameter.iter().filter(|(name, _)| block.holds(name));
            held.map(|(_, p)| p[i * products.size + i]).sum()
        };
        for i in 0..PAIRS.len() {
            let kinds: f64 = ParameterBlock::of_network(0, true)[1..]
                .iter()
                .map(|&block| square(block, i))
                .sum();
            let whole = square(ParameterBlock::All, i);
            assert!((kinds - whole).abs() <= 1e-12 * whole);
        }
        let [all, layer] = [ParameterBlock::All, ParameterBlock::Layer(1)]
            .map(|block| products.cosines(block).unwrap());
        assert_ne!(all, layer);
    }

    #[test]
    fn sketched_products_are_unbiased_with_the_stated_error() {
        let a: Vec<f32> = (0..5000).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 500.0).collect();
        let b: Vec<f32> = a
            .iter()
            .enumerate()
            .map(|(i, a)| a + ((i * 104_729 % 1000) as f32 - 500.0) / 250.0)
            .collect();
        let exact = dot(&a, &b);
        let (dimension, count) = (256, 400);
        let errors: Vec<f64> = (0..count)
            .map(|seed| {
                dot(&sketch(&a, dimension, mix(seed)), &sketch(&b, dimension, mix(seed))) - exact
            })
            .collect();
        let bound = ((dot(&a, &a) * dot(&b, &b) + exact * exact) / dimension as f64).sqrt();
        let mean = errors.iter().sum::<f64>() / count as f64;
        let deviation =
            (errors.iter().map(|error| error * error).sum::<f64>() / count as f64).sqrt();
        assert!(mean.abs() < 3.0 * bound / (count as f64).sqrt(), "{mean} {bound}");
        assert!(deviation < 1.1 * bound && deviation > 0.5 * bound, "{deviation} {bound}");
    }
}
