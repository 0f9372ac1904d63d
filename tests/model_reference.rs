//! The language model held against PyTorch, Transformers and candle's own Decoder, against finite
//! differences, and against itself: cached against uncached, batched against alone, written against
//! read.
//!
//! `cargo test --test model_reference -- --nocapture` shows the largest differences.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test, in helpers too")]
#![allow(clippy::float_cmp, reason = "some results must be equal bit for bit")]

mod common;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use common::{largest_deviation, largest_magnitude, values, with_layers_of_its_family};
use orthant::error::{Error, Result};
use orthant::geometry::TokenWeights;
use orthant::kernels::{Buffers, linear, token_statistics};
use orthant::model::{
    Completion, Decoder, DecoderSpec, END_OF_TEXT, Family, GradientSum, LanguageModel,
    PackedTokens, PromptRequest, Recording, ResponseBatch, RopeScaling, Sampling, SamplingMemory,
    StreamKey, TextTokenizer,
};
use orthant::objective::{BatchTotals, KlEstimator, Loss, MicroBatch, Objective, RatioLevel};
use orthant::optim::Gradients;
use orthant::weights::Weights;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

const CPU: Device = Device::Cpu;

/// The fixtures of `fixtures/generate.py`.
const FIXTURES: [&str; 9] = [
    "qwen3_tied",
    "qwen3_untied",
    "qwen3_yarn",
    "qwen2",
    "llama3",
    "mistral",
    "smollm3",
    "olmo2",
    "gemma3",
];

/// Temperature of log-probabilities, entropies and features in the fixtures.
const TEMPERATURE: f64 = 0.7;

/// One fixture: a model and what Transformers says of it.
struct Fixture {
    config: DecoderSpec,
    weights: Weights,
    rows: Vec<Vec<u32>>,
    expected: HashMap<String, Tensor>,
}

impl Fixture {
    fn read(name: &str, dtype: DType) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let config = DecoderSpec::read(&folder).unwrap();
        let weights = Weights::read(&config, &folder, dtype, &CPU).unwrap();
        let expected =
            candle_core::safetensors::load(folder.join("expected.safetensors"), &CPU).unwrap();
        let rows = expected["input_ids"].to_dtype(DType::U32).unwrap().to_vec2().unwrap();
        Self { config, weights, rows, expected }
    }

    fn slices(&self) -> Vec<&[u32]> {
        self.rows.iter().map(Vec::as_slice).collect()
    }

    /// Log-probability of each row's tokens after the first, given those before: (33).
    fn logprobs(&self) -> Tensor {
        let pairs: Vec<(&[u32], &[u32])> = self.rows.iter().map(|row| row.split_at(1)).collect();
        let network = Decoder::trainable(&self.config, &self.weights).unwrap();
        let batch = ResponseBatch::new(&pairs).unwrap();
        let out = network.response_logprobs(&batch, 1.0).unwrap(); // (33, 2)
        out.narrow(1, 0, 1).unwrap()
    }

    /// Log-probabilities and entropies (33 each) of the same tokens at [`TEMPERATURE`], and the sum
    /// of each row's features (3, hidden).
    fn statistics(&self) -> [Vec<f32>; 3] {
        let pairs: Vec<(&[u32], &[u32])> = self.rows.iter().map(|row| row.split_at(1)).collect();
        let batch = ResponseBatch::new(&pairs).unwrap();
        let network = Decoder::frozen(&self.config, &self.weights).unwrap();
        let hidden = network.response_hidden(&batch).unwrap();
        let (head, targets) = (network.head(), batch.targets());
        let phi = token_statistics(&hidden, head, targets, TEMPERATURE).unwrap().phi;
        let (d, length) = (self.config.hidden_size, self.rows[0].len() - 1);
        let features = phi.chunks_exact(length * d).flat_map(|row| {
            (0..d).map(|i| row.iter().skip(i).step_by(d).sum::<f32>()).collect::<Vec<_>>()
        });
        let both = network.response_logprobs(&batch, TEMPERATURE).unwrap();
        let column = |index| values(&both.narrow(1, index, 1).unwrap());
        [column(0), column(1), features.collect()]
    }

    /// The likeliest text after the rows, and that of Transformers.
    fn greedy(&self) -> Option<[Vec<Vec<u32>>; 2]> {
        let expected = self.expected.get("greedy")?.to_dtype(DType::U32).unwrap();
        let expected: Vec<Vec<u32>> = expected.to_vec2().unwrap();
        let length = self.rows[0].len();
        // So that no text ends.
        let spec = DecoderSpec { eos_token_ids: Vec::new(), ..self.config.clone() };
        let network = Decoder::frozen(&spec, &self.weights).unwrap();
        let key = StreamKey { seed: 1, step: 0, prompt: 0 };
        let prompt = |ids: &Vec<u32>| PromptRequest { ids: ids.clone(), key };
        let prompts: Vec<PromptRequest> = self.rows.iter().map(prompt).collect();
        let settings = sampling(0.0, expected[0].len() - length);
        let found = sample(&network, &prompts, 1, &settings);
        let found = found.into_iter().map(|completion| completion.ids).collect();
        Some([found, expected.into_iter().map(|ids| ids[length..].to_vec()).collect()])
    }

    /// The gradients of the sum of [`Self::logprobs`] as training computes them.
    fn summed_gradients(&self) -> Gradients {
        let pairs: Vec<(&[u32], &[u32])> = self.rows.iter().map(|row| row.split_at(1)).collect();
        let network = Decoder::trainable(&self.config, &self.weights).unwrap();
        let mut buffers = Buffers::default();
        let mut sum = GradientSum::new(&network, &self.weights, false, &mut buffers).unwrap();
        let pass = sum.forward(ResponseBatch::new(&pairs).unwrap(), 1.0).unwrap();
        let loss = pass.statistics().narrow(1, 0, 1).unwrap().sum_all().unwrap();
        sum.backward(pass, &loss).unwrap();
        sum.finish().unwrap()
    }
}

#[track_caller]
fn assert_near(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    let largest = largest_deviation(found, expected);
    eprintln!("{what}: {largest:.1e}");
    assert!(largest <= tolerance, "{what} differ by {largest:e}, more than {tolerance:e}");
}

/// A family, and whether the head is the embeddings.
type Kind = (&'static str, bool);

/// Of every family one at least.
const KINDS: [Kind; 8] = [
    ("qwen3", true),
    ("qwen3", false),
    ("qwen2", false),
    ("llama", true),
    ("mistral", false),
    ("smollm3", true),
    ("olmo2", false),
    ("gemma3_text", false),
];

/// A small random model, sharper than a freshly initialised one, so that its choices depend on the
/// context.
fn random_model((family, tied): Kind, eos: &[u32]) -> (DecoderSpec, Weights) {
    let spec = DecoderSpec {
        vocab_size: 48,
        hidden_size: 32,
        intermediate_size: 56,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        max_position_embeddings: 96,
        tie_word_embeddings: tied,
        eos_token_ids: eos.to_vec(),
        ..Family::named(family).unwrap().blank()
    };
    let spec = with_layers_of_its_family(spec);
    let weights = random_weights(&spec, 11, DType::F32);
    (spec, weights)
}

/// Random weights, biases among them.
fn random_weights(spec: &DecoderSpec, seed: u64, dtype: DType) -> Weights {
    let weights = Weights::random(spec, 0.3, seed, dtype, &CPU).unwrap();
    for (name, variable) in weights
        .variables()
        .filter(|(name, _)| name.rsplit_once('.').is_some_and(|(_, last)| last == "bias"))
    {
        let value = |i: usize| ((i * 37 + name.len() * 11) % 19) as f32 / 19.0 - 0.5;
        let values: Vec<f32> = (0..variable.elem_count()).map(value).collect();
        let values = Tensor::from_vec(values, variable.shape(), &CPU).unwrap();
        variable.set(&values.to_dtype(dtype).unwrap()).unwrap();
    }
    weights
}

fn sampling(temperature: f64, max_new_tokens: usize) -> Sampling {
    Sampling { temperature, top_k: None, top_p: None, max_new_tokens }
}

/// Prompts of different lengths, each with a stream of its own.
fn requests() -> Vec<PromptRequest> {
    [1usize, 7, 3, 12, 5]
        .iter()
        .enumerate()
        .map(|(index, &length)| PromptRequest {
            ids: (0..length).map(|i| ((i * 7 + index * 13) % 48) as u32).collect(),
            key: StreamKey { seed: 5, step: 2, prompt: index as u64 },
        })
        .collect()
}

fn sample(
    network: &Decoder,
    prompts: &[PromptRequest],
    samples: usize,
    settings: &Sampling,
) -> Vec<Completion> {
    let features = Some(TokenWeights::Uniform);
    let memory = &SamplingMemory::default();
    let recording = Recording { features, hidden: true, traced: 0, memory };
    let sampled = network.sample_recorded(prompts, samples, settings, &recording, |_| ()).unwrap();
    sampled.into_iter().map(|(completion, _)| completion).collect()
}

// --- Transformers and candle ---------------------------------------------------------------------

/// Tolerance for the values of an element type. `F64` weights take the path of plain candle
/// operations that GPUs take; its softmax and norms are in `f32`. Measured: 3e-6 for hidden states
/// and 6e-6 for logits in both.
const TYPES: [(DType, f32); 2] = [(DType::F32, 1e-4), (DType::F64, 1e-4)];

#[test]
fn logits_and_hidden_states_agree_with_transformers_packed_and_alone() {
    for (name, (dtype, tolerance)) in FIXTURES.into_iter().flat_map(|name| TYPES.map(|t| (name, t)))
    {
        let fixture = Fixture::read(name, dtype);
        let network = Decoder::frozen(&fixture.config, &fixture.weights).unwrap();
        let (hidden, logits) = (&fixture.expected["hidden"], &fixture.expected["logits"]);
        let compare = |what: &str, rows: &[&[u32]], hidden: &Tensor, logits: &Tensor| {
            let found = network.forward(&PackedTokens::new(rows.iter().copied())).unwrap();
            assert_near(
                &format!("{name} {dtype:?}, hidden states {what}"),
                &values(&found),
                &values(hidden),
                tolerance,
            );
            let found = linear(&found, network.head()).unwrap();
            assert_near(
                &format!("{name} {dtype:?}, logits {what}"),
                &values(&found),
                &values(logits),
                tolerance,
            );
        };
        compare("packed", &fixture.slices(), hidden, logits);
        for (index, row) in fixture.slices().into_iter().enumerate() {
            compare("alone", &[row], &hidden.get(index).unwrap(), &logits.get(index).unwrap());
        }
    }
}

#[test]
fn loss_and_all_gradients_agree_with_transformers() {
    // Two programs that sum f32 numbers in different orders differ by some units in the last place
    // of the largest terms. One unit is 1.5e-5 for a loss beyond -128, and 1e-7 of a parameter's
    // largest gradient, to which a dozen operations add theirs. Measured: 1.5e-5 for the loss, 2e-6
    // of the largest entry for gradients.
    for (name, (dtype, _)) in FIXTURES.into_iter().flat_map(|name| TYPES.map(|t| (name, t))) {
        let fixture = Fixture::read(name, dtype);
        let loss = fixture.logprobs().sum_all().unwrap();
        let what = format!("{name} {dtype:?}");
        assert_near(
            &format!("{what}, loss"),
            &values(&loss),
            &values(&fixture.expected["loss"]),
            2e-4,
        );
        let gradients = loss.backward().unwrap();
        let layer_by_layer = fixture.summed_gradients();
        let mut worst = 0f32;
        for (parameter, variable) in fixture.weights.variables() {
            let expected = values(&fixture.expected[&format!("grad.{parameter}")]);
            let scale = largest_magnitude(&expected);
            for found in [gradients.get(variable), layer_by_layer.get(parameter)] {
                let error = largest_deviation(&values(found.unwrap()), &expected) / scale;
                assert!(
                    error <= 2e-5,
                    "{what}: the gradient of {parameter} differs by {error:e} of its largest entry \
                     {scale}"
                );
                worst = worst.max(error);
            }
        }
        let gradients = fixture.expected.keys().filter(|name| name.starts_with("grad.")).count();
        assert_eq!(gradients, fixture.config.parameters().len(), "the fixture has other gradients");
        eprintln!("{what}, gradients, relative to the largest entry: {worst:.1e}");
    }
}

#[test]
fn greedy_text_is_that_of_transformers() {
    let mut families = BTreeSet::new();
    for (name, (dtype, _)) in FIXTURES.into_iter().flat_map(|name| TYPES.map(|t| (name, t))) {
        let fixture = Fixture::read(name, dtype);
        let Some([found, expected]) = fixture.greedy() else { continue };
        assert!(expected.iter().all(|ids| ids.len() == 200));
        assert_eq!(found, expected, "{name} {dtype:?}");
        families.insert(fixture.config.family.name());
    }
    assert_eq!(families.len(), common::FAMILIES.len(), "{families:?}");
}

/// All that is measured of a text, against Transformers with weights and products in `f64`.
#[test]
fn every_family_says_what_transformers_says() {
    eprintln!("{:12} hidden   logprob  entropy  feature  gradient greedy", "");
    for name in FIXTURES {
        let fixture = Fixture::read(name, DType::F32);
        let Some(expected) = fixture.expected.get("logprobs") else { continue };
        let network = Decoder::frozen(&fixture.config, &fixture.weights).unwrap();
        let hidden = network.forward(&PackedTokens::new(fixture.slices())).unwrap();
        let mut errors =
            vec![largest_deviation(&values(&hidden), &values(&fixture.expected["hidden"]))];
        let [logprobs, entropies, features] = fixture.statistics();
        errors.push(largest_deviation(&logprobs, &values(expected)));
        for (found, what) in [(entropies, "entropies"), (features, "features")] {
            errors.push(largest_deviation(&found, &values(&fixture.expected[what])));
        }
        let gradients = fixture.summed_gradients();
        let relative = fixture.weights.variables().map(|(parameter, _)| {
            let expected = values(&fixture.expected[&format!("grad.{parameter}")]);
            let scale = largest_magnitude(&expected);
            largest_deviation(&values(gradients.get(parameter).unwrap()), &expected) / scale
        });
        let gradient = relative.fold(0f32, f32::max);
        let [found, expected] = fixture.greedy().unwrap();
        let same = found.iter().flatten().zip(expected.iter().flatten()).filter(|(a, b)| a == b);
        let listed: Vec<String> = errors.iter().map(|error| format!("{error:.1e}  ")).collect();
        let (same, all) = (same.count(), expected.iter().flatten().count());
        eprintln!("{name:12} {}{gradient:.1e}  {same} of {all}", listed.concat());
        assert!(errors.iter().all(|error| *error <= 1e-4), "{name}: {errors:?}");
        assert!(gradient <= 2e-5 && same == all, "{name}: {gradient:e}, {same} of {all}");
    }
}

#[test]
fn logits_agree_with_candles_own_qwen3_at_every_position() {
    use candle_transformers::models::qwen3::{Config, ModelForCausalLM};
    // It knows no scaling of rotary angles.
    for name in ["qwen3_tied", "qwen3_untied"] {
        let fixture = Fixture::read(name, DType::F32);
        let c = &fixture.config;
        let config = Config {
            vocab_size: c.vocab_size,
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            num_hidden_layers: c.num_hidden_layers,
            num_attention_heads: c.num_attention_heads,
            head_dim: c.head_dim,
            attention_bias: false,
            num_key_value_heads: c.num_key_value_heads,
            max_position_embeddings: c.max_position_embeddings,
            sliding_window: None,
            max_window_layers: c.num_hidden_layers,
            tie_word_embeddings: c.tie_word_embeddings,
            rope_theta: c.rope_theta,
            rms_norm_eps: c.rms_norm_eps,
            use_sliding_window: false,
            hidden_act: candle_nn::Activation::Silu,
        };
        let tensors = fixture
            .weights
            .variables()
            .map(|(name, v)| (name.to_string(), v.as_tensor().clone()))
            .collect();
        let builder = candle_nn::VarBuilder::from_tensors(tensors, DType::F32, &CPU);
        let mut theirs = ModelForCausalLM::new(&config, builder).unwrap();
        let ours = Decoder::frozen(&fixture.config, &fixture.weights).unwrap();
        let mut worst = 0f32;
        for row in fixture.slices() {
            let hidden = ours.forward(&PackedTokens::new([row])).unwrap();
            let logits = linear(&hidden, ours.head()).unwrap();
            for length in 1..=row.len() {
                theirs.clear_kv_cache();
                let prefix = Tensor::from_slice(&row[..length], (1, length), &CPU).unwrap();
                let last = theirs.forward(&prefix, 0).unwrap(); // (1, 1, vocabulary)
                worst = worst.max(largest_deviation(
                    &values(&logits.get(length - 1).unwrap()),
                    &values(&last),
                ));
            }
        }
        eprintln!("{name}, logits against candle: {worst:.1e}");
        assert!(worst <= 1e-4, "{name}: logits differ from candle's by {worst:e}");
    }
}

#[test]
fn scaled_rotary_angles_are_the_same_in_every_way_of_decoding() {
    let (config, weights) = random_model(KINDS[0], &[47]);
    let scaling = RopeScaling::Yarn {
        factor: 4.0,
        original_max_position_embeddings: 24,
        attention_factor: 1.14,
        beta_fast: 32.0,
        beta_slow: 1.0,
        truncate: true,
    };
    let scaled = DecoderSpec { rope_scaling: Some(scaling), ..config.clone() };
    let prompts = requests();
    for dtype in [DType::F32, DType::F64] {
        // With weights in `f64` decoding takes the path of plain operations, which is that of GPUs
        // and adapters.
        let folder = tempfile::tempdir().unwrap();
        let tensors = weights
            .variables()
            .map(|(name, variable)| (name.to_string(), variable.as_tensor().clone()));
        write_tensors(&folder.path().join("model.safetensors"), &tensors.collect());
        let weights = Weights::read(&scaled, folder.path(), dtype, &CPU).unwrap();
        let network = Decoder::frozen(&scaled, &weights).unwrap();
        let plain = Decoder::frozen(&config, &weights).unwrap();
        let completions = sample(&network, &prompts, 1, &sampling(0.9, 30));
        let mut is_other = false;
        for (prompt, completion) in prompts.iter().zip(&completions) {
            let batch = ResponseBatch::new(&[(&prompt.ids, &completion.ids)]).unwrap();
            let again = |network: &Decoder| {
                values(&network.response_logprobs(&batch, 0.9).unwrap().narrow(1, 0, 1).unwrap())
            };
            assert_near(
                &format!("{dtype:?}, sampled against whole"),
                &completion.logprobs,
                &again(&network),
                2e-4,
            );
            is_other |= largest_deviation(&completion.logprobs, &again(&plain)) > 1e-2;
        }
        assert!(is_other, "the scaling changes nothing");
    }
}

// --- Gradients -----------------------------------------------------------------------------------

/// Weighted sum of log-probabilities and entropies, the form of every training loss here, at
/// temperature 0.7.
fn training_loss(network: &Decoder, batch: &ResponseBatch) -> Tensor {
    let out = network.response_logprobs(batch, 0.7).unwrap(); // (tokens, 2)
    (out * loss_weights(batch)).unwrap().sum_all().unwrap()
}

fn loss_weights(batch: &ResponseBatch) -> Tensor {
    let weights = (0..batch.response_tokens())
        .flat_map(|i| [0.3 - 0.05 * (i % 11) as f32, 0.1 + 0.02 * (i % 7) as f32]);
    Tensor::from_vec(weights.collect::<Vec<_>>(), (batch.response_tokens(), 2), &CPU).unwrap()
}

/// [`training_loss`] without its graph, added up in `f64`.
fn training_loss_value(network: &Decoder, batch: &ResponseBatch) -> f64 {
    let out = values(&network.response_logprobs(batch, 0.7).unwrap());
    out.iter().zip(values(&loss_weights(batch))).map(|(x, w)| f64::from(*x) * f64::from(w)).sum()
}

/// Prompts and responses that between them use tokens 0..48, some of them both as input and as
/// target.
fn training_batch() -> ResponseBatch {
    let text: Vec<u32> = (0..60u32).map(|i| (i * i * 5 + i * 3 + 1) % 48).collect();
    ResponseBatch::new(&[
        (&text[..3], &text[3..14]),
        (&text[..3], &text[20..29]),
        (&text[14..15], &text[15..35]),
        (&text[35..47], &text[47..60]),
    ])
    .unwrap()
}

/// The gradients of [`training_loss`] as training computes them, over `passes` passes.
fn summed_gradients(
    network: &Decoder,
    weights: &Weights,
    passes: usize,
    recompute: bool,
) -> Gradients {
    let mut buffers = Buffers::default();
    let mut sum = GradientSum::new(network, weights, recompute, &mut buffers).unwrap();
    for _ in 0..passes {
        let pass = sum.forward(training_batch(), 0.7).unwrap();
        let loss =
            (pass.statistics() * loss_weights(&training_batch())).unwrap().sum_all().unwrap();
        sum.backward(pass, &loss).unwrap();
    }
    sum.finish().unwrap()
}

#[test]
fn gradients_layer_by_layer_are_those_of_the_graph() {
    let of = |dtype| KINDS.map(|kind| (kind, dtype));
    for (kind, dtype) in of(DType::F32).into_iter().chain(of(DType::BF16)) {
        let (config, _) = random_model(kind, &[2]);
        let weights = random_weights(&config, 11, dtype);
        let network = Decoder::trainable(&config, &weights).unwrap();
        let expected = training_loss(&network, &training_batch()).backward().unwrap();
        for (passes, recompute) in [(1, false), (3, false), (2, true)] {
            let found = summed_gradients(&network, &weights, passes, recompute);
            for (name, variable) in weights.variables() {
                let expected: Vec<f32> = values(expected.get(variable).unwrap())
                    .iter()
                    .map(|x| x * passes as f32)
                    .collect();
                let scale = largest_magnitude(&expected);
                let error = largest_deviation(&values(found.get(name).unwrap()), &expected) / scale;
                // The graph adds parts of a gradient in the type of the weights: one unit in the
                // last place of bf16 is 2^-7.
                let bound = if dtype == DType::F32 { 2e-5 } else { 1.0 / 128.0 };
                assert!(
                    error <= bound,
                    "{name}, {kind:?}, {dtype:?}: {error:e} of the largest entry {scale}"
                );
            }
        }
    }
}

/// Log-probabilities, and the gradients of the Dapo loss with K3 and a coefficient of 0.1 against
/// `reference`, at the policy that sampled.
fn dapo_gradients(
    network: &Decoder,
    weights: &Weights,
    old: &[f32],
    reference: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let lengths = [11, 9, 20, 13];
    let tokens: usize = lengths.iter().sum();
    let mut buffers = Buffers::default();
    let mut sum = GradientSum::new(network, weights, false, &mut buffers).unwrap();
    let pass = sum.forward(training_batch(), 1.0).unwrap();
    let column = |index| pass.statistics().narrow(1, index, 1).unwrap().squeeze(1).unwrap();
    let (logprobs, entropies) = (column(0), column(1));
    let tensor = |values: &[f32]| Tensor::from_slice(values, values.len(), &CPU).unwrap();
    let batch = MicroBatch {
        logprobs: &logprobs,
        entropies: &entropies,
        old_logprobs: &tensor(old),
        reference: Some(&tensor(reference)),
        advantages: &[0.6, -1.2, 0.9, -0.3],
        lengths: &lengths,
    };
    let objective = Objective {
        loss: Loss::Dapo,
        ratio: RatioLevel::Token,
        clip_low: 0.2,
        clip_high: 0.2,
        kl: KlEstimator::K3,
        kl_coefficient: 0.1,
        entropy_coefficient: 0.0,
    };
    let totals =
        BatchTotals { responses: 4, tokens, mean_tokens: tokens as f64, response_limit: 20 };
    let loss = objective.loss(&batch, &totals).unwrap().loss;
    let now = values(&logprobs);
    sum.backward(pass, &loss).unwrap();
    let gradients = sum.finish().unwrap();
    (now, weights.variables().flat_map(|(name, _)| values(gradients.get(name).unwrap())).collect())
}

/// Where the policy has left the reference by several nats at one token, K3's gradient grows with
/// exp(d) and that token is all of it. Rounding in bf16 moves d, so the norm of such a step differs
/// from that in f32 by exp of that difference: by that, and by nothing else, and not in its
/// direction.
#[test]
fn in_bf16_a_token_that_dominates_has_the_gradient_of_its_own_difference() {
    let (config, full) = random_model(KINDS[0], &[2]);
    let half = Weights::random(&config, 0.3, 11, DType::BF16, &CPU).unwrap();
    for (_, variable) in full.variables() {
        variable
            .set(&variable.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap())
            .unwrap();
    }
    let networks = [&full, &half].map(|weights| Decoder::trainable(&config, weights).unwrap());
    let statistics = values(&networks[0].response_logprobs(&training_batch(), 1.0).unwrap());
    let old: Vec<f32> = statistics.iter().step_by(2).copied().collect();
    let (mut norms_apart, mut cosines) = (0f64, 1f64);
    for (token, apart) in [(3, 0.0), (3, 4.0), (14, 7.0), (27, 9.0), (45, 6.0)] {
        let mut reference = old.clone();
        reference[token] += apart;
        let [(exact, expected), (rounded, found)] = [(&networks[0], &full), (&networks[1], &half)]
            .map(|(network, weights)| dapo_gradients(network, weights, &old, &reference));
        let dot = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        let norm = |a: &[f32]| dot(a, a).sqrt();
        let grown = f64::from(if apart > 0.0 { exact[token] - rounded[token] } else { 0.0 }).exp();
        let ratio = norm(&found) / norm(&expected) / grown;
        let cosine = dot(&found, &expected) / norm(&found) / norm(&expected);
        eprintln!(
            "token {token}, {apart} nats: norm {:.3} for {:.3}, of which {grown:.3} by its \
             difference, cosine {cosine:.4}",
            norm(&found),
            norm(&expected)
        );
        norms_apart = norms_apart.max((ratio - 1.0).abs());
        cosines = cosines.min(cosine);
    }
    assert!(norms_apart < 0.05 && cosines > 0.995, "{norms_apart} {cosines}");
}

#[test]
fn a_frozen_network_says_what_the_graph_says() {
    for kind in KINDS {
        let (config, weights) = random_model(kind, &[2]);
        let [graph, plain] = [Decoder::trainable, Decoder::frozen].map(|make| {
            let network = make(&config, &weights).unwrap();
            values(&network.response_logprobs(&training_batch(), 0.7).unwrap())
        });
        assert_near(&format!("statistics, {kind:?}"), &plain, &graph, 1e-5);
    }
}

#[test]
fn every_parameter_receives_a_gradient_that_is_not_zero() {
    for (kind, dtype) in
        KINDS.into_iter().flat_map(|kind| [DType::F32, DType::BF16].map(|d| (kind, d)))
    {
        let (config, _) = random_model(kind, &[2]);
        let weights = random_weights(&config, 11, dtype);
        let network = Decoder::trainable(&config, &weights).unwrap();
        let gradients: GradStore = training_loss(&network, &training_batch()).backward().unwrap();
        let without: Vec<&str> = weights
            .variables()
            .filter(|(_, v)| {
                gradients
                    .get(v)
                    .is_none_or(|g| !values(g).iter().any(|x| x.is_finite() && *x != 0.0))
            })
            .map(|(name, _)| name)
            .collect();
        assert!(
            without.is_empty(),
            "{kind:?}, {dtype:?}: no gradient reaches {}",
            without.join(", ")
        );
        let infinite: Vec<&str> = weights
            .variables()
            .filter(|(_, v)| {
                gradients.get(v).is_some_and(|g| values(g).iter().any(|x| !x.is_finite()))
            })
            .map(|(name, _)| name)
            .collect();
        assert!(
            infinite.is_empty(),
            "{kind:?}, {dtype:?}: gradients are not finite in {}",
            infinite.join(", ")
        );
    }
}

#[test]
fn finite_differences_confirm_the_gradient_of_every_parameter() {
    // In f32 the loss is known to about 1e-6, so a step of 0.01 against weights of standard
    // deviation 0.3 gives slopes to about 1e-4; the difference of fourth order leaves little to the
    // step itself. Errors are relative to the parameter's largest gradient where that exceeds 1.
    // Measured: 5e-4.
    const STEP: f64 = 0.01;
    for kind in KINDS {
        let (config, weights) = random_model(kind, &[2]);
        let network = Decoder::trainable(&config, &weights).unwrap();
        let frozen = Decoder::frozen(&config, &weights).unwrap();
        let batch = training_batch();
        let gradients = training_loss(&network, &batch).backward().unwrap();
        let mut worst = 0f64;
        for (name, variable) in weights.variables() {
            let gradient = values(gradients.get(variable).unwrap());
            let scale = largest_magnitude(&gradient);
            let steepest = (0..gradient.len())
                .max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()))
                .unwrap();
            let start = values(variable);
            for entry in [steepest, 0, gradient.len() / 3, gradient.len() - 1] {
                let at = |steps: f64| {
                    let mut moved = start.clone();
                    moved[entry] += (steps * STEP) as f32;
                    let taken = f64::from(moved[entry]) - f64::from(start[entry]);
                    variable
                        .set(&Tensor::from_vec(moved, variable.shape(), &CPU).unwrap())
                        .unwrap();
                    (training_loss_value(&frozen, &batch), taken)
                };
                let slope = |steps: f64| {
                    let ((above, up), (below, down)) = (at(steps), at(-steps));
                    (above - below) / (up - down)
                };
                let estimate = (4.0 * slope(1.0) - slope(2.0)) / 3.0;
                variable
                    .set(&Tensor::from_vec(start.clone(), variable.shape(), &CPU).unwrap())
                    .unwrap();
                let error =
                    (estimate - f64::from(gradient[entry])).abs() / f64::from(scale).max(1.0);
                assert!(
                    error < 2e-3,
                    "{kind:?}, {name}[{entry}]: {estimate} by differences, {} by backward, largest \
                     {scale}",
                    gradient[entry]
                );
                worst = worst.max(error);
            }
        }
        eprintln!("{kind:?}, finite differences: {worst:.1e}");
    }
}

// --- Sampling ------------------------------------------------------------------------------------

#[test]
fn sampling_records_what_an_uncached_forward_pass_says() {
    for (kind, temperature) in KINDS.into_iter().flat_map(|kind| [0.7, 1.0, 1.5].map(|t| (kind, t)))
    {
        let (config, weights) = random_model(kind, &[3, 11]);
        let network = Decoder::frozen(&config, &weights).unwrap();
        let prompts = requests();
        let completions = sample(&network, &prompts, 6, &sampling(temperature, 40));

        let mut lengths: Vec<usize> = completions.iter().map(|c| c.ids.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        assert!(
            lengths.len() > 5,
            "rows should finish at different times, not only at {lengths:?}"
        );
        assert!(
            completions.iter().any(|c| c.truncated) && completions.iter().any(|c| !c.truncated)
        );
        for completion in &completions {
            let (last, before) = completion.ids.split_last().unwrap();
            assert_eq!(completion.truncated, !config.eos_token_ids.contains(last));
            assert!(
                !before.iter().any(|id| config.eos_token_ids.contains(id)),
                "tokens follow the end of sequence"
            );
            assert_eq!(completion.logprobs.len(), completion.ids.len());
            assert_eq!(completion.entropies.len(), completion.ids.len());
        }

        let pairs: Vec<(&[u32], &[u32])> = completions
            .iter()
            .enumerate()
            .map(|(i, c)| (prompts[i / 6].ids.as_slice(), c.ids.as_slice()))
            .collect();
        let batch = ResponseBatch::new(&pairs).unwrap();
        let out = network.response_logprobs(&batch, temperature).unwrap();
        let what = format!("{kind:?}, temperature {temperature}, cached against uncached");
        let logprobs: Vec<f32> =
            completions.iter().flat_map(|c| c.logprobs.iter().copied()).collect();
        assert_near(
            &format!("{what}, log-probabilities"),
            &logprobs,
            &values(&out.narrow(1, 0, 1).unwrap()),
            1e-4,
        );
        let entropies: Vec<f32> =
            completions.iter().flat_map(|c| c.entropies.iter().copied()).collect();
        assert_near(
            &format!("{what}, entropies"),
            &entropies,
            &values(&out.narrow(1, 1, 1).unwrap()),
            1e-4,
        );

        let mean = entropies.iter().sum::<f32>() / entropies.len() as f32;
        assert!((0.3..3.5).contains(&mean), "a mean entropy of {mean} makes a weak test");

        let hidden = network.response_hidden(&batch).unwrap();
        let phi =
            token_statistics(&hidden, network.head(), batch.targets(), temperature).unwrap().phi;
        for (name, values, of) in [
            ("feature", phi, (|c| &c.feature_sum) as fn(&Completion) -> &[f32]),
            ("hidden", values(&hidden), |c| &c.hidden_sum),
        ] {
            let mut tokens = values.chunks_exact(config.hidden_size);
            let mut worst = 0f32;
            for completion in &completions {
                let mut sum = vec![0f32; config.hidden_size];
                for token in tokens.by_ref().take(completion.ids.len()) {
                    sum.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
                }
                assert!(sum.iter().any(|x| x.abs() > 1e-2), "{name} sums are zero");
                worst = worst.max(largest_deviation(of(completion), &sum));
            }
            eprintln!("{what}, {name} sums: {worst:.1e}");
            assert!(worst <= 1e-4, "{what}: {name} sums differ by {worst:e}");
            assert!(tokens.next().is_none());
        }
    }
}

#[test]
fn samples_do_not_depend_on_batching() {
    let (config, weights) = random_model(KINDS[0], &[2]);
    let network = Decoder::frozen(&config, &weights).unwrap();
    let prompts = requests();
    for settings in
        [sampling(1.0, 40), Sampling { top_k: Some(20), top_p: Some(0.9), ..sampling(0.8, 40) }]
    {
        let together = sample(&network, &prompts, 4, &settings);
        assert!(
            together.chunks(4).any(|group| group[0].ids != group[1].ids),
            "samples of a group are all the same"
        );
        let same = |what: &str, found: &Completion, prompt: usize, index: usize| {
            let expected = &together[prompt * 4 + index];
            assert_eq!(found.ids, expected.ids, "{what} changes sample {index} of prompt {prompt}");
            assert_eq!(found.truncated, expected.truncated);
            // On the CPU and for models of this size not even the last bits change, so that no
            // token ever does.
            assert!(found.logprobs == expected.logprobs, "{what} changes log-probabilities");
            assert!(found.entropies == expected.entropies, "{what} changes entropies");
            let difference = largest_deviation(&found.feature_sum, &expected.feature_sum);
            let tolerance = if settings.top_k.is_some() { 1e-5 } else { 0.0 };
            assert!(difference <= tolerance, "{what}: feature sums differ by {difference:e}");
        };
        for (p, prompt) in prompts.iter().enumerate() {
            for (i, found) in
                sample(&network, std::slice::from_ref(prompt), 4, &settings).iter().enumerate()
            {
                same("sampling a prompt alone", found, p, i);
            }
            for (i, found) in
                sample(&network, std::slice::from_ref(prompt), 1, &settings).iter().enumerate()
            {
                same("a group of one", found, p, i);
            }
        }
        let reversed: Vec<PromptRequest> = prompts.iter().rev().cloned().collect();
        for (i, found) in sample(&network, &reversed, 4, &settings).iter().enumerate() {
            same("another order of the prompts", found, prompts.len() - 1 - i / 4, i % 4);
        }
        for (i, found) in
            sample(&network, &prompts, 9, &settings).iter().enumerate().filter(|(i, _)| i % 9 < 4)
        {
            same("a larger group", found, i / 9, i % 9);
        }
    }
}

#[test]
fn samples_and_gradients_do_not_depend_on_the_number_of_threads() {
    // Kernels, sampler and matrix products ask rayon for the pool that they run in.
    let (config, weights) = random_model(KINDS[1], &[2]);
    let network = Decoder::trainable(&config, &weights).unwrap();
    let frozen = Decoder::frozen(&config, &weights).unwrap();
    let batch = training_batch();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let completions = sample(&frozen, &requests(), 8, &sampling(1.0, 40));
            let graph = training_loss(&network, &batch).backward().unwrap();
            let summed = summed_gradients(&network, &weights, 2, false);
            let gradients: Vec<f32> = weights
                .variables()
                .flat_map(|(name, v)| {
                    [values(graph.get(v).unwrap()), values(summed.get(name).unwrap())].concat()
                })
                .collect();
            (completions, gradients)
        })
    };
    let (completions, gradients) = run(1);
    for threads in [2, 3] {
        let (again, gradients_again) = run(threads);
        assert!(
            again == completions,
            "{threads} threads change samples, or the last digits of what is recorded of them"
        );
        let difference = largest_deviation(&gradients_again, &gradients);
        assert!(difference == 0.0, "{threads} threads change gradients by {difference:e}");
    }
}

#[test]
fn greedy_decoding_is_deterministic_and_takes_the_likeliest_token() {
    for kind in KINDS {
        let (config, weights) = random_model(kind, &[2]);
        let network = Decoder::frozen(&config, &weights).unwrap();
        let prompts = requests();
        let completions = sample(&network, &prompts, 2, &sampling(0.0, 30));
        let mut other_keys = prompts.clone();
        for request in &mut other_keys {
            request.key.seed += 1;
        }
        assert_eq!(completions, sample(&network, &other_keys, 2, &sampling(0.0, 30)));
        for (index, completion) in completions.iter().enumerate() {
            let prompt = &prompts[index / 2].ids;
            let whole = [prompt.as_slice(), &completion.ids].concat();
            let hidden = network.forward(&PackedTokens::new([whole.as_slice()])).unwrap();
            let logits: Vec<Vec<f32>> = linear(&hidden, network.head()).unwrap().to_vec2().unwrap();
            for (token, logits) in completion.ids.iter().zip(&logits[prompt.len() - 1..]) {
                let likeliest =
                    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
                assert_eq!(*token as usize, likeliest);
            }
            assert!(completion.logprobs.iter().chain(&completion.entropies).all(|x| *x == 0.0));
        }
    }
}

// --- Folders -------------------------------------------------------------------------------------

/// A model with a tokenizer of its own.
fn language_model(kind: Kind) -> LanguageModel {
    let tokenizer = TextTokenizer::bytes_and_words(&["Use", " to make ", "\\boxed{"]).unwrap();
    let end = tokenizer.token_id(END_OF_TEXT).unwrap();
    let (mut config, _) = random_model(kind, &[end, 10]);
    config.vocab_size = tokenizer.vocabulary() + 4;
    let weights = random_weights(&config, 3, DType::F32);
    LanguageModel::new(config, tokenizer, weights).unwrap()
}

/// A folder with a written model.
fn written(kind: Kind) -> (tempfile::TempDir, LanguageModel) {
    let folder = tempfile::tempdir().unwrap();
    let model = language_model(kind);
    model.write(folder.path()).unwrap();
    (folder, model)
}

fn read(folder: &Path) -> Result<LanguageModel> {
    LanguageModel::read(folder, DType::F32, &CPU)
}

/// Writes `tensors` as a safetensors file.
fn write_tensors(path: &Path, tensors: &HashMap<String, Tensor>) {
    candle_core::safetensors::save(tensors, path).unwrap();
}

fn read_tensors(folder: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder.join("model.safetensors"), &CPU).unwrap()
}

/// Asserts that the folder is refused as bad input, in words that contain all of `words`.
#[track_caller]
fn assert_refused(folder: &Path, words: &[&str]) {
    match read(folder) {
        Ok(_) => panic!("the folder was accepted; expected an error that names {words:?}"),
        Err(Error::Input(message)) => {
            eprintln!("{message}");
            for word in words {
                assert!(message.contains(word), "{message:?} does not name {word:?}");
            }
        }
        Err(other) => panic!("not an input error: {other}"),
    }
}

#[test]
fn a_written_folder_reads_back_equal() {
    for kind in KINDS {
        let (folder, model) = written(kind);
        let again = read(folder.path()).unwrap();
        assert_eq!(again.config, model.config);
        assert_eq!(again.weights.hash().unwrap(), model.weights.hash().unwrap());
        for ((name, ours), (other_name, theirs)) in
            model.weights.variables().zip(again.weights.variables())
        {
            assert_eq!(name, other_name);
            let bits = |v: &Tensor| values(v).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(ours), bits(theirs), "{name}");
        }
        let text = "Use 1 2 to make 3\n\\boxed{1+2}";
        assert_eq!(again.tokenizer.encode(text).unwrap(), model.tokenizer.encode(text).unwrap());
    }
}

#[test]
fn copied_weights_keep_their_values_and_networks_see_changes() {
    let (config, weights) = random_model(KINDS[0], &[2]);
    let network = Decoder::frozen(&config, &weights).unwrap();
    let copy = weights.copy(&CPU).unwrap();
    let before = weights.hash().unwrap();
    let tokens = PackedTokens::new([[1u32, 2, 3].as_slice()]);
    let hidden = values(&network.forward(&tokens).unwrap());
    for (_, variable) in weights.variables() {
        variable.set(&(variable.as_tensor() * 1.1).unwrap()).unwrap();
    }
    assert_eq!(copy.hash().unwrap(), before);
    assert_ne!(weights.hash().unwrap(), before);
    assert!(largest_deviation(&values(&network.forward(&tokens).unwrap()), &hidden) > 1e-3);
}

#[test]
fn sharded_folders_are_read_and_faults_in_the_list_of_shards_are_named() {
    let (folder, model) = written(KINDS[1]);
    let mut names: Vec<(String, Tensor)> = read_tensors(folder.path()).into_iter().collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    let shard = |index: usize| format!("model-{index:05}-of-00002.safetensors");
    let half = names.len() / 2;
    let mut places: serde_json::Map<String, serde_json::Value> = names
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (name.clone(), shard(1 + usize::from(i >= half)).into()))
        .collect();
    write_tensors(&folder.path().join(shard(1)), &names[..half].iter().cloned().collect());
    write_tensors(&folder.path().join(shard(2)), &names[half..].iter().cloned().collect());
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let list = folder.path().join("model.safetensors.index.json");
    let write_list = |places: &serde_json::Map<String, serde_json::Value>| {
        let index = serde_json::json!({ "metadata": { "total_size": 0 }, "weight_map": places });
        std::fs::write(&list, index.to_string()).unwrap();
    };
    write_list(&places);
    assert_eq!(read(folder.path()).unwrap().weights.hash().unwrap(), model.weights.hash().unwrap());

    // Listed in the wrong shard, not listed at all, shard missing, list not valid.
    let q_proj = "model.layers.1.self_attn.q_proj.weight";
    let place = places.insert(q_proj.into(), shard(1).into()).unwrap();
    write_list(&places);
    assert_refused(folder.path(), &[q_proj, &shard(1)]);
    places.remove(q_proj);
    write_list(&places);
    assert_refused(folder.path(), &[q_proj, "model.safetensors.index.json"]);
    places.insert(q_proj.into(), place);
    write_list(&places);
    std::fs::remove_file(folder.path().join(shard(2))).unwrap();
    assert_refused(folder.path(), &[&shard(2)]);
    std::fs::write(&list, "{}").unwrap();
    assert_refused(folder.path(), &["model.safetensors.index.json", "weight_map"]);
}

#[test]
fn missing_and_misshapen_tensors_are_named_with_their_file() {
    let (folder, _) = written(KINDS[0]);
    let file = folder.path().join("model.safetensors");
    let name = "model.layers.0.mlp.up_proj.weight";
    let whole = read_tensors(folder.path());

    let mut tensors = whole.clone();
    tensors.remove(name);
    write_tensors(&file, &tensors);
    assert_refused(folder.path(), &[name, "missing", "model.safetensors", "[56, 32]"]);

    tensors.insert(name.into(), Tensor::zeros((56, 31), DType::F32, &CPU).unwrap());
    write_tensors(&file, &tensors);
    assert_refused(folder.path(), &[name, "model.safetensors", "[56, 31]", "[56, 32]"]);

    // The file holds a tied model, the configuration asks for a head.
    write_tensors(&file, &whole);
    let path = folder.path().join("config.json");
    let untied = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    std::fs::write(&path, untied).unwrap();
    assert_refused(folder.path(), &["lm_head.weight", "missing", "model.safetensors"]);
}

#[test]
fn damaged_and_missing_files_are_named() {
    let (folder, _) = written(KINDS[0]);
    let path = |name: &str| folder.path().join(name);

    let bytes = std::fs::read(path("model.safetensors")).unwrap();
    for length in [0, 5, 100, bytes.len() - 1] {
        std::fs::write(path("model.safetensors"), &bytes[..length]).unwrap();
        assert_refused(folder.path(), &[&path("model.safetensors").display().to_string()]);
    }
    std::fs::remove_file(path("model.safetensors")).unwrap();
    assert_refused(folder.path(), &[&path("model.safetensors").display().to_string()]);
    std::fs::write(path("model.safetensors"), &bytes).unwrap();

    for name in ["tokenizer.json", "config.json"] {
        let whole = std::fs::read(path(name)).unwrap();
        std::fs::write(path(name), &whole[..whole.len() / 2]).unwrap();
        assert_refused(folder.path(), &[&path(name).display().to_string()]);
        std::fs::remove_file(path(name)).unwrap();
        assert_refused(folder.path(), &[&path(name).display().to_string()]);
        std::fs::write(path(name), &whole).unwrap();
    }
    std::fs::write(path("generation_config.json"), "[").unwrap();
    assert_refused(folder.path(), &[&path("generation_config.json").display().to_string()]);
    std::fs::remove_file(path("generation_config.json")).unwrap();
    read(folder.path()).unwrap();

    assert_refused(&path("nowhere"), &[&path("nowhere").display().to_string(), "does not exist"]);
}

#[test]
fn other_architectures_and_tokenizers_that_do_not_fit_are_refused() {
    let (folder, model) = written(KINDS[0]);
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replace("\"qwen3\"", "\"gpt2\"").replace("Qwen3ForCausalLM", "GPT2LMHeadModel"),
    )
    .unwrap();
    let mut words = vec!["gpt2".to_string(), path.display().to_string()];
    words.extend(common::FAMILIES.map(|family| format!("{family:?}")));
    assert_refused(folder.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
    std::fs::write(&path, &text).unwrap();

    let words: Vec<String> = (0..9).map(|i| format!("word {i}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    TextTokenizer::bytes_and_words(&words).unwrap().write(folder.path()).unwrap();
    let vocabulary = model.config.vocab_size.to_string();
    assert_refused(
        folder.path(),
        &["tokenizer", "266", &vocabulary, &folder.path().display().to_string()],
    );

    // Few tokens, but one of a high number.
    model.tokenizer.write(folder.path()).unwrap();
    let path = folder.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(": 255", ": 9000")).unwrap();
    assert_refused(folder.path(), &["tokenizer", "9001", &vocabulary]);
}
