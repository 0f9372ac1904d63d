//! What a run will need: bytes by what they are for, of each phase of a step. Pure: a function of
//! shapes and settings.
//!
//! A step has phases, and the largest decides. While sampling there are keys and values of all
//! completions in flight. An offloaded base model is on the device while it is asked, and no
//! gradient then. While gradients are computed there is the graph of a micro-batch: every layer's
//! activations, or, where layers are computed again in backward, every layer's input and one
//! layer's activations. Backward goes through the head, the layers and the embeddings, and the most
//! demanding of them counts. The optimizer works in place. What the model keeps per token is
//! counted from its operations in `crates/kernels`: fused ones (on a GPU, and in `f32` on the CPU)
//! keep their inputs and outputs, the others what candle's graph keeps of each small operation.
//! candle's backward also makes gradients of tensors that need none, and keeps these until the pass
//! is over.

use crate::experiment::{Adapter, Experiment, Precision, Quantisation};
use crate::kernels::{
    Activation, PAGE, largest_device_head, rows_per_device_slice, rows_per_slice,
};
use crate::model::{DecoderSpec, adapter_parameters, data_type};

/// Where the frozen base model is that the KL term or an encoder asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Nothing asks one.
    Absent,
    /// On the device, beside the policy.
    Resident,
    /// In the machine's memory, and on the device while it is asked.
    Offloaded,
}

/// What decides how much memory a run needs.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The network.
    pub shape: DecoderSpec,
    /// Type of weights and compute.
    pub precision: Precision,
    /// Which parameters are trained.
    pub adapter: Adapter,
    /// In how many bits the linear layers of the base model are kept; left out, in those of
    /// `precision`.
    pub quantised: Option<Quantisation>,
    /// Whether tensors are in the machine's own memory.
    pub on_cpu: bool,
    /// The frozen base model, which for an adapter is the policy's own.
    pub reference: Reference,
    /// Groups of completions of a step.
    pub prompts: usize,
    /// Groups of completions sampled at a time.
    pub groups: usize,
    /// Completions of a group.
    pub group_size: usize,
    /// Tokens of the longest prompt.
    pub prompt: usize,
    /// Most tokens of a completion.
    pub new_tokens: usize,
    /// Most tokens of a forward and backward pass.
    pub micro_batch_tokens: usize,
    /// Whether layers are computed again in backward.
    pub recompute: bool,
    /// Groups whose forward pass is kept from sampling.
    pub traced_groups: usize,
    /// Whether more groups than `prompts` may be sampled in a step.
    pub samples_again: bool,
}

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Estimate {
    /// The program itself, with what does not depend on the run.
    pub program: u64,
    /// The policy's weights, an adapter's among them.
    pub weights: u64,
    /// One layer's weights in the run's precision, where they are kept in few bits.
    pub decoded: u64,
    /// The frozen base model, where it has memory of its own and is not offloaded.
    pub reference: u64,
    /// The frozen base model where it is offloaded, with its forward pass.
    pub asked: u64,
    /// Master weights and moments.
    pub optimizer: u64,
    /// Keys and values of the completions in flight.
    pub kv_cache: u64,
    /// Logits and what else one step of sampling holds of all tokens of the vocabulary.
    pub logits: u64,
    /// Gradients, summed over micro-batches.
    pub gradients: u64,
    /// What the graph of a micro-batch keeps from forward to backward.
    pub activations: u64,
    /// What backward through the head needs besides: logits of a slice of tokens, and the gradient
    /// of its matrix in the making.
    pub head: u64,
    /// What backward through one layer needs besides: the layer's graph where it is computed again,
    /// gradients within it, and those of the micro-batch so far, stray ones among them.
    pub layer: u64,
    /// What backward through the embeddings needs besides: their gradient in the making, and all
    /// others of the micro-batch.
    pub embeddings: u64,
    /// What gradients are computed in that stays there for the next step: their sums, activations,
    /// and all of a layer's backward or the head's, where layers run without a graph.
    pub kept: u64,
    /// Memory of keys and values that stays for the next step, where layers run without a graph.
    pub kept_cache: u64,
    /// What sampling keeps of its forward pass for backward.
    pub traces: u64,
}

impl Estimate {
    /// Memory while sampling.
    pub fn sampling(&self) -> u64 {
        self.resident() + self.kept + self.kv_cache + self.logits
    }

    /// Memory while an offloaded base model is on the device.
    pub fn asking(&self) -> u64 {
        self.resident() + self.kept + self.kept_cache + self.asked
    }

    /// Memory while gradients are computed.
    pub fn update(&self) -> u64 {
        self.resident()
            + self.kept_cache
            + self.gradients
            + self.activations
            + self.head.max(self.layer).max(self.embeddings)
    }

    /// Memory while the optimizer works.
    pub fn step(&self) -> u64 {
        self.resident() + self.kept_cache + self.kept.max(self.gradients)
    }

    /// The most memory at any time.
    pub fn peak(&self) -> u64 {
        self.sampling().max(self.asking()).max(self.update()).max(self.step())
    }

    /// What is there in every phase.
    fn resident(&self) -> u64 {
        self.program + self.weights + self.decoded + self.reference + self.optimizer + self.traces
    }
}

/// The program, its tokenizer, its threads and its libraries, bytes; on a GPU, its context and the
/// libraries' workspaces.
const PROGRAM: [u64; 2] = [64 << 20, 900 << 20];

/// Logits of a slice of tokens on a GPU and their gradients, bytes.
const DEVICE_LOGITS: usize = 8 << 26;

/// What one step of sampling holds where the operations are fused on the CPU, bytes.
const DRAWN_LOGITS: usize = 8 << 20;

/// Tensors in `f32` of the size of the logits that the operations of candle hold at a time.
const UNFUSED_LOGITS: usize = 5;

impl Workload {
    /// What the experiment asks for, with prompts of at most `prompt` tokens.
    pub fn new(experiment: &Experiment, shape: &DecoderSpec, prompt: usize, on_cpu: bool) -> Self {
        let has_policy_encoder =
            experiment.encoder() == Some(&crate::experiment::EncoderSource::Policy);
        let rollout = &experiment.rollout;
        let mut workload = Self {
            shape: shape.clone(),
            precision: experiment.precision,
            adapter: experiment.adapter.clone(),
            quantised: experiment.quantize_base,
            on_cpu,
            reference: match experiment.objective.offload_reference {
                _ if experiment.objective.kl.coefficient == 0.0 && !has_policy_encoder => {
                    Reference::Absent
                }
                Some(true) => Reference::Offloaded,
                _ => Reference::Resident,
            },
            prompts: rollout.prompts_per_step,
            groups: rollout
                .groups_at_a_time
                .unwrap_or(rollout.prompts_per_step)
                .min(rollout.prompts_per_step),
            group_size: rollout.group_size,
            prompt,
            new_tokens: rollout.max_new_tokens,
            micro_batch_tokens: experiment.objective.micro_batch_tokens(),
            recompute: experiment.objective.recompute_layers.unwrap_or(false),
            traced_groups: experiment.traced_groups(),
            samples_again: rollout.dynamic.is_some(),
        };
        if !workload.is_layerwise() {
            workload.traced_groups = 0;
        }
        workload
    }

    fn element(&self) -> usize {
        data_type(self.precision).size_in_bytes()
    }

    /// Whether the fused operations apply: on a GPU, and in `f32` on the CPU.
    fn is_fused(&self) -> bool {
        !self.on_cpu || self.precision == Precision::F32
    }

    /// Whether layers run forward and backward without a graph.
    pub(super) fn is_layerwise(&self) -> bool {
        self.on_cpu && self.precision == Precision::F32
    }

    /// Where the frozen base model is, if it has weights of its own.
    pub fn own_reference(&self) -> Reference {
        if self.adapter == Adapter::Full { self.reference } else { Reference::Absent }
    }

    /// Number of parameters that are trained.
    pub fn trained(&self) -> usize {
        match &self.adapter {
            Adapter::Full => self.shape.parameter_count(),
            Adapter::Lora(config) => adapter_parameters(config, &self.shape)
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum(),
        }
    }

    /// Outputs of the products with one of an adapter's matrices, A or B, in one decoder layer.
    fn adapter_outputs(&self, matrix: &str) -> usize {
        let Adapter::Lora(config) = &self.adapter else { return 0 };
        let (parameters, end) =
            (adapter_parameters(config, &self.shape), format!("lora_{matrix}.weight"));
        let outputs =
            parameters.iter().filter(|(name, _)| name.ends_with(&end)).map(|(_, shape)| shape[0]);
        outputs.sum::<usize>() / self.shape.num_hidden_layers
    }

    /// The part of a width that belongs to layers that rotate, spread over all.
    fn of_rotated(&self, width: usize) -> usize {
        let layers = self.shape.num_hidden_layers;
        width * (layers - self.shape.unrotated.len().min(layers)) / layers.max(1)
    }

    /// Tokens of the largest micro-batch: a sequence that is longer than the limit is one by
    /// itself. Where attention pads, what counts is how many responses there are, and these have
    /// all their tokens.
    fn batch_tokens(&self) -> usize {
        if self.pads() {
            return self.padded_batch().0;
        }
        self.micro_batch_tokens.max(self.prompt + self.new_tokens).min(self.step_tokens())
    }

    /// Whether attention is done by plain operations, which give every response its prompt again
    /// and pad all to one length.
    fn pads(&self) -> bool {
        let is_too_large =
            !self.on_cpu && self.shape.head_dim > largest_device_head(data_type(self.precision));
        !self.is_fused() || is_too_large
    }

    /// Tokens of the largest micro-batch of responses that have all their tokens: as they are
    /// packed, and as they are padded. Short ones beside a long one are padded more; how many there
    /// are of these is not known before.
    fn padded_batch(&self) -> (usize, usize) {
        // The last token is predicted, and not read.
        let new_tokens = self.new_tokens.saturating_sub(1).max(1);
        let longest = self.prompt + new_tokens;
        let (mut largest, mut packed, mut sequences) = ((0, 0), 0, 0);
        // Later ones are cut as these are.
        for response in 0..(self.prompts * self.group_size).min(1 << 14) {
            let is_first_of_group = response % self.group_size == 0;
            let more = new_tokens + if is_first_of_group { self.prompt } else { 0 };
            if packed > 0 && packed + more > self.micro_batch_tokens {
                (packed, sequences) = (0, 0);
            }
            let brings_prompt = packed == 0 || is_first_of_group;
            packed += new_tokens + if brings_prompt { self.prompt } else { 0 };
            sequences += 1 + usize::from(brings_prompt);
            largest = (packed.max(largest.0), (sequences * longest).max(largest.1));
        }
        largest
    }

    /// Tokens of all responses of a step, which share their groups' prompts.
    fn step_tokens(&self) -> usize {
        self.prompts * (self.prompt + self.group_size * self.new_tokens)
    }

    /// Bytes that the graph of one layer keeps of the largest micro-batch.
    fn layer_of_batch(&self) -> usize {
        let padded = if self.pads() { self.padded_batch().1 } else { 0 };
        self.batch_tokens() * self.layer_bytes() + padded * self.padded_bytes()
    }

    /// Bytes of the gradients that candle makes of tensors that need none, in backward through one
    /// layer with the largest micro-batch. Nothing takes them out of its store.
    fn stray_of_batch(&self) -> usize {
        if self.is_fused() {
            return 0;
        }
        let (shape, (tokens, padded)) = (&self.shape, self.padded_batch());
        let (heads, kv_heads) = (shape.num_attention_heads, shape.num_key_value_heads);
        // Cosines and sines twice each, for queries and keys, as wide as half a head; the mask and
        // the largest scores, both broadcast to all scores, in `f32`.
        let turned = 2 * self.of_rotated((heads + kv_heads) * shape.head_dim);
        let scores = 2 * heads * (self.prompt + self.new_tokens);
        tokens * self.element() * turned + padded * 4 * scores
    }

    /// Bytes that attention by plain operations keeps per padded token.
    fn padded_bytes(&self) -> usize {
        let shape = &self.shape;
        let (heads, longest) = (shape.num_attention_heads, self.prompt + self.new_tokens);
        let (q, kv) = (heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim);
        // Queries twice, keys three times, values and the result twice, as wide as the queries but
        // for what keys and values are before they are repeated; of scores in elements of two
        // bytes, most being in `f32`.
        self.element() * (7 * q + 4 * kv) + 2 * 13 * heads * longest
    }

    /// Bytes that the graph of one layer keeps per token, but for what is padded.
    fn layer_bytes(&self) -> usize {
        let shape = &self.shape;
        let (d, mlp) = (shape.hidden_size, shape.intermediate_size);
        let (q, kv) = (
            shape.num_attention_heads * shape.head_dim,
            shape.num_key_value_heads * shape.head_dim,
        );
        let (before, after) = (shape.norms.has_before(), shape.norms.has_after());
        if self.is_layerwise() {
            return self.element() * shape.record_layout().len();
        }
        // An adapter adds its product and the sum to each output.
        let added = 2 * self.adapter_outputs("B");
        let biases = usize::from(shape.qkv_bias);
        let projected = (1 + biases) * (q + 2 * kv);
        let norms = 2 * (usize::from(before) + usize::from(after)) * d
            + usize::from(shape.qk_norm.is_some()) * (q + kv);
        let rotated = self.of_rotated(q + kv);
        if self.is_fused() {
            // Outputs of: norms; two sums with their projections (d); projections to q, k, v and
            // their biases; rotary (q, kv) and attention (q); gate, up, product (mlp).
            let layer = norms + projected + rotated + q + 4 * d + 3 * mlp;
            return self.element() * (layer + added);
        }
        let projections = projected + 2 * d + 2 * mlp;
        let rest = match shape.activation {
            Activation::Silu => 2 * mlp + 2 * d,
            Activation::GeluTanh => mlp + 2 * d,
        };
        // Tables of cosines and sines, for queries and for keys.
        let tables = self.of_rotated(2 * shape.head_dim);
        // An adapter's product with A, and the same scaled.
        let inner = 2 * self.adapter_outputs("A");
        self.element() * (norms + 4 * rotated + tables + projections + rest + q + added + inner)
    }

    /// Bytes that backward through one layer holds per token beside the graph.
    fn backward_bytes(&self) -> usize {
        let shape = &self.shape;
        let (d, mlp) = (shape.hidden_size, shape.intermediate_size);
        if self.is_layerwise() {
            let (q, kv) = (
                shape.num_attention_heads * shape.head_dim,
                shape.num_key_value_heads * shape.head_dim,
            );
            // Two norms and the gradient (d); queries and keys after their norms, their gradients
            // and what these are put together from (q, kv); the activation (mlp). The head's inputs
            // and their gradients before that (d). The gradient before a norm that comes after
            // attention or MLP (d).
            let after = usize::from(shape.norms.has_after()) * d;
            return 4 * (mlp + 3 * d + after + 3 * q + 5 * kv).max(4 * d);
        }
        if !self.is_fused() && shape.activation == Activation::GeluTanh {
            // Gate, up and their gradients with that of the product, in `f32` and in the type of
            // the run.
            return (5 * 4 + self.element()) * mlp + 4 * 2 * d;
        }
        self.element().max(if self.on_cpu { 4 } else { 2 }) * (3 * mlp + 2 * d)
    }

    /// Bytes that backward through one layer with the largest micro-batch holds beside the graph
    /// and stray gradients.
    fn backward_of_batch(&self) -> usize {
        let rows = self.batch_tokens() * self.backward_bytes();
        if self.is_fused() {
            return rows;
        }
        // Where scores are divided by their sums, six tensors of their size in `f32` are there:
        // four, and those whose place this layer's stray gradients take later.
        let scores = self.shape.num_attention_heads * (self.prompt + self.new_tokens);
        rows.max(self.padded_batch().1 * 4 * 4 * scores)
    }

    /// Bytes by what they are for.
    pub fn estimate(&self) -> Estimate {
        let shape = &self.shape;
        let (element, trained) = (self.element(), self.trained());
        let all = shape.parameter_count();
        let is_lora = matches!(self.adapter, Adapter::Lora(_));
        let largest = if is_lora { 0 } else { shape.vocab_size * shape.hidden_size };
        let tokens = self.batch_tokens();
        let layer = self.layer_of_batch();
        let (layers, d) = (shape.num_hidden_layers, shape.hidden_size);
        let inputs = tokens * d * element * (layers + 1);
        // Embeddings before they are scaled.
        let unscaled = if shape.scaled_embeddings && !self.is_layerwise() { tokens * d } else { 0 };
        let stray = self.stray_of_batch();
        let (activations, again, stray) = if self.recompute {
            (inputs, layer, stray)
        } else if self.traced_groups >= self.prompts && !self.samples_again {
            // What traces have of one layer is put together for it.
            (inputs / (layers + 1), layer, stray)
        } else {
            (layers * layer + inputs / (layers + 1), 0, layers * stray)
        };
        // Gradients that backward has made of parameters before they are added to the sums.
        let in_work = if self.is_layerwise() {
            0
        } else if self.recompute && !is_lora {
            let tables = if shape.tie_word_embeddings { 1 } else { 2 };
            (all - tables * largest) / layers * element
        } else {
            trained * element
        };
        // Without gradients one layer's outputs are there at a time, its input and its output, and
        // logits of a slice.
        let forward = layer + 2 * tokens * d * element + self.slice_bytes(tokens);
        // A prompt's keys and values are there once for each group.
        let page = if self.is_layerwise() { PAGE } else { 1 };
        let slots = self.prompt.next_multiple_of(page)
            + self.group_size * self.new_tokens.next_multiple_of(page);
        let kv_cache =
            self.groups * slots * 2 * layers * shape.num_key_value_heads * shape.head_dim * element;
        // That of the embeddings is added to the head's: by candle's operation into a copy, by the
        // kernel in a tensor of its own first. All others are still there where backward is one
        // graph.
        let copies = if self.on_cpu { 1 } else { 2 };
        let embeddings = if self.is_layerwise() || is_lora {
            0
        } else if self.recompute {
            (copies + 1) * element * largest
        } else {
            in_work + stray + copies * element * largest
        };
        let bytes = |count: usize| count as u64;
        let backward = again + stray + self.backward_of_batch() + in_work;
        // Nothing is computed of a completion's last token.
        let seen = self.prompt + self.group_size * self.new_tokens.saturating_sub(1);
        Estimate {
            program: PROGRAM[usize::from(!self.on_cpu)],
            weights: bytes(
                shape.weight_bytes(element, self.quantised)
                    + if is_lora { trained * element } else { 0 },
            ),
            decoded: bytes(self.quantised.map_or(0, |_| shape.layer_elements() * element)),
            reference: if self.own_reference() == Reference::Resident {
                bytes(all * element)
            } else {
                0
            },
            asked: if self.own_reference() == Reference::Offloaded {
                bytes(all * element + forward)
            } else {
                0
            },
            optimizer: bytes(trained * (8 + if element == 4 { 0 } else { 4 })),
            kv_cache: bytes(kv_cache),
            logits: bytes(if self.is_layerwise() {
                DRAWN_LOGITS
            } else {
                self.slice_bytes(self.groups * self.group_size)
            }),
            gradients: bytes(trained * 4),
            activations: bytes(activations + unscaled * element),
            head: bytes(self.head_bytes(tokens, largest)),
            layer: bytes(backward),
            embeddings: bytes(embeddings),
            kept: if self.is_layerwise() {
                bytes(trained * 4 + activations + backward.max(self.head_bytes(tokens, largest)))
            } else {
                0
            },
            kept_cache: bytes(if self.is_layerwise() { kv_cache } else { 0 }),
            traces: bytes(self.traced_groups * seen * shape.record_len() * element),
        }
    }

    /// Bytes of the logits of some tokens, and of what is made of them.
    fn slice_bytes(&self, tokens: usize) -> usize {
        if !self.on_cpu {
            DEVICE_LOGITS
        } else if self.is_fused() {
            4 * tokens.min(rows_per_slice(self.shape.vocab_size)) * self.shape.vocab_size
        } else {
            4 * UNFUSED_LOGITS * tokens * self.shape.vocab_size
        }
    }

    /// Bytes that backward through the head holds at a time, with a matrix of `matrix` elements.
    fn head_bytes(&self, tokens: usize, matrix: usize) -> usize {
        let (slice, responses) =
            (rows_per_device_slice(self.shape.vocab_size), tokens.saturating_sub(self.prompt));
        if self.is_layerwise() {
            return self.slice_bytes(responses);
        }
        let logits = self.slice_bytes(slice.min(responses));
        // The matrix's gradient is summed over slices in f32. In the first slice of candle's
        // operations there is no sum before the gradient of the logits is done.
        let beside = if responses <= slice && !self.is_fused() {
            2 * logits / UNFUSED_LOGITS
        } else {
            logits
        };
        // Then it is rounded, and candle adds it to zeros into a third tensor.
        logits.max(4 * matrix + beside).max(3 * self.element() * matrix)
    }

    /// Bytes of a checkpoint on disk.
    pub fn checkpoint_bytes(&self) -> u64 {
        let policy = if matches!(self.adapter, Adapter::Full) {
            self.shape.parameter_count()
        } else {
            self.trained()
        };
        (policy * self.element() + 12 * self.trained()) as u64
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::experiment::LoraConfig;
    use crate::model::{NormPlacement, QkNorm};

    /// The shape of Qwen3-1.7B.
    pub(in crate::memory) fn qwen3_1_7b() -> DecoderSpec {
        DecoderSpec {
            vocab_size: 151_936,
            hidden_size: 2048,
            intermediate_size: 6144,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: 8,
            head_dim: 128,
            max_position_embeddings: 32_768,
            rope_theta: 1e6,
            tie_word_embeddings: true,
            eos_token_ids: vec![0],
            ..DecoderSpec::default()
        }
    }

    fn workload(precision: Precision, on_cpu: bool) -> Workload {
        Workload {
            shape: qwen3_1_7b(),
            precision,
            adapter: Adapter::Full,
            quantised: None,
            on_cpu,
            reference: Reference::Resident,
            prompts: 16,
            groups: 16,
            group_size: 16,
            prompt: 200,
            new_tokens: 1000,
            micro_batch_tokens: 4096,
            recompute: true,
            traced_groups: 0,
            samples_again: false,
        }
    }

    /// The optimizer works in place, so a step has what is always there and the sums of gradients:
    /// 20 bytes per parameter, of the weight, the reference, the master, two moments and the sum.
    #[test]
    fn the_optimizer_needs_no_room_of_its_own() {
        for (precision, bytes) in
            [(Precision::Bf16, 2 + 2 + 12 + 4), (Precision::F32, 4 + 4 + 8 + 4)]
        {
            for on_cpu in [false, true] {
                let workload = workload(precision, on_cpu);
                let estimate = workload.estimate();
                let passes = estimate.kept.saturating_sub(estimate.gradients) + estimate.kept_cache;
                assert_eq!(
                    estimate.step() - estimate.program - passes,
                    bytes * workload.shape.parameter_count() as u64
                );
                assert!(estimate.step() <= estimate.update());
            }
        }
    }

    /// A norm of queries and keys is an output each, and so are a bias and a norm after attention
    /// or MLP. What is not rotated has no output.
    #[test]
    fn a_graph_keeps_what_the_layers_of_the_family_have() {
        let plain = workload(Precision::Bf16, false);
        let plain_shape = DecoderSpec { qk_norm: None, ..plain.shape.clone() };
        let bytes =
            |shape: &DecoderSpec| Workload { shape: shape.clone(), ..plain.clone() }.layer_bytes();
        let more = |shape: DecoderSpec| bytes(&shape) - bytes(&plain_shape);
        let (d, q, kv) = (2048, 16 * 128, 8 * 128);
        for kind in [QkNorm::Head, QkNorm::Whole] {
            let shape = DecoderSpec { qk_norm: Some(kind), ..plain_shape.clone() };
            assert_eq!(more(shape), 2 * (q + kv));
        }
        let biased = DecoderSpec { qkv_bias: true, ..plain_shape.clone() };
        assert_eq!(more(biased), 2 * (q + 2 * kv));
        let of = |norms| DecoderSpec { norms, ..plain_shape.clone() };
        assert_eq!(more(of(NormPlacement::After)), 0);
        assert_eq!(more(of(NormPlacement::Both)), 2 * 2 * d);
        let unrotated =
            DecoderSpec { unrotated: (0..28).step_by(4).collect(), ..of(NormPlacement::Before) };
        assert_eq!(bytes(&plain_shape) - bytes(&unrotated), 2 * (q + kv) / 4);
    }

    /// Kernels of attention keep one number for each query and head, the plain operations those of
    /// all tokens before it.
    #[test]
    fn heads_that_no_kernel_is_made_for_need_room_for_their_scores() {
        let of = |precision, head_dim| {
            let plain = workload(precision, false);
            let heads = 2048 / head_dim;
            let shape = DecoderSpec { head_dim, num_attention_heads: heads, ..plain.shape.clone() };
            Workload { shape, ..plain }.layer_of_batch()
        };
        let scores = 2 * 13 * 8 * 1200 * 1200;
        assert!(of(Precision::F32, 256) > of(Precision::F32, 128) + scores);
        assert!(of(Precision::Bf16, 256) < of(Precision::Bf16, 128) + scores);
    }

    /// Without a graph the head holds the logits of 256 tokens however large the vocabulary is, in
    /// memory that stays.
    #[test]
    fn logits_of_a_slice_stay_for_the_next_step() {
        for vocab_size in [151_936, 262_144] {
            let plain = workload(Precision::F32, true);
            let shape = DecoderSpec { vocab_size, ..plain.shape.clone() };
            let estimate = Workload { shape, ..plain }.estimate();
            assert_eq!(estimate.head, 4 * 256 * vocab_size as u64);
            let passes = estimate.activations + estimate.layer.max(estimate.head);
            assert_eq!(estimate.kept, estimate.gradients + passes);
            let kept = estimate.kept + estimate.kept_cache;
            assert_eq!(estimate.update(), kept + estimate.resident());
        }
    }

    /// Of the tables that turn queries and keys, and of what scores are compared with.
    #[test]
    fn candle_keeps_gradients_of_tensors_that_need_none() {
        let of = |precision, on_cpu| Workload {
            prompts: 1,
            group_size: 3,
            recompute: false,
            ..workload(precision, on_cpu)
        };
        let graph = of(Precision::Bf16, true);
        // The last token of each response is not read.
        let (tokens, padded) = (200 + 3 * 999, 4 * 1199);
        let scores = 2 * 4 * 16 * 1200 * padded;
        let turned = 2 * 2 * (16 + 8) * 128 * tokens;
        assert_eq!(graph.stray_of_batch(), scores + turned);
        let shape = DecoderSpec { unrotated: (0..28).collect(), ..graph.shape.clone() };
        assert_eq!(Workload { shape, ..graph.clone() }.stray_of_batch(), scores);
        // Those of all layers are there at the end, or those of the one that is computed again.
        let more = |recompute| {
            let workload = Workload { recompute, ..graph.clone() };
            let again = if recompute { workload.layer_of_batch() } else { 0 };
            workload.estimate().layer - (workload.backward_of_batch() + again) as u64
        };
        let all = (28 * (scores + turned)) as u64;
        assert!(more(false) > all && more(true) < all / 4);
        for (precision, on_cpu) in
            [(Precision::F32, true), (Precision::F32, false), (Precision::Bf16, false)]
        {
            assert_eq!(of(precision, on_cpu).stray_of_batch(), 0);
        }
    }

    /// In `bf16` on the CPU a graph has the product with A and the same scaled, besides what a GPU
    /// keeps too.
    #[test]
    fn a_graph_keeps_the_inner_products_of_an_adapter() {
        let more = |on_cpu| {
            let full = workload(Precision::Bf16, on_cpu);
            let adapter = Adapter::Lora(LoraConfig { rank: 24, ..LoraConfig::default() });
            Workload { adapter, ..full.clone() }.layer_bytes() - full.layer_bytes()
        };
        // Seven linear layers.
        assert_eq!(more(true), more(false) + 2 * 2 * 7 * 24);
    }

    #[test]
    fn an_offloaded_reference_leaves_its_room_to_gradients() {
        let resident = workload(Precision::Bf16, false);
        let offloaded = Workload { reference: Reference::Offloaded, ..resident.clone() };
        let (resident, offloaded) = (resident.estimate(), offloaded.estimate());
        assert_eq!(resident.update() - offloaded.update(), resident.reference);
        assert_eq!(resident.sampling() - offloaded.sampling(), resident.reference);
        assert!(offloaded.asked > resident.reference && offloaded.asking() < offloaded.update());
        assert!(offloaded.peak() < resident.peak());
    }

    /// Two groups of 16 completions, of which the last token of 1000 is not read, and their prompts;
    /// with all groups, one layer's activations are there at a time.
    #[test]
    fn a_trace_is_all_that_backward_needs_of_the_layers() {
        let plain = Workload { recompute: false, ..workload(Precision::F32, true) };
        let of = |traced_groups| Workload { traced_groups, ..plain.clone() }.estimate();
        let token = 28 * (2 * 2048 + 2 * 16 * 128 + 2 * 8 * 128 + 2 * 6144) + 2048;
        assert_eq!(of(2).traces, 4 * 2 * (200 + 16 * 999) * token);
        assert_eq!(of(2).activations, of(0).activations);
        let one_layer = (of(0).activations - of(16).activations) / 28;
        assert_eq!(of(16).layer, of(0).layer + one_layer);
        let dynamic = Workload { traced_groups: 16, samples_again: true, ..plain.clone() };
        assert_eq!(dynamic.estimate().activations, of(0).activations);
        let more = |estimate: Estimate| estimate.sampling() - of(0).sampling();
        assert_eq!(more(of(2)), of(2).traces);
    }

    /// 16 groups of 16 completions of 1000 tokens, and 16 prompts of 200; on the CPU in pages of 16
    /// tokens, whose memory stays.
    #[test]
    fn prompts_are_cached_once_for_each_group() {
        let token = 2 * 28 * 8 * 128;
        for (precision, on_cpu, slots) in [
            (Precision::Bf16, false, 200 + 16 * 1000),
            (Precision::F32, false, 200 + 16 * 1000),
            (Precision::Bf16, true, 200 + 16 * 1000),
            (Precision::F32, true, 208 + 16 * 1008),
        ] {
            let estimate = workload(precision, on_cpu).estimate();
            let element = data_type(precision).size_in_bytes();
            let cache = (16 * slots * token * element) as u64;
            let stays = on_cpu && precision == Precision::F32;
            let kept = if stays { cache } else { 0 };
            assert_eq!((estimate.kv_cache, estimate.kept_cache), (cache, kept));
        }
    }

    #[test]
    fn an_adapter_has_no_gradient_of_the_vocabulary() {
        for on_cpu in [false, true] {
            let full = workload(Precision::Bf16, on_cpu);
            let adapter = Adapter::Lora(LoraConfig::default());
            let (adapted, full) =
                (Workload { adapter, ..full.clone() }.estimate(), full.estimate());
            assert!(adapted.embeddings == 0 && adapted.reference == 0);
            assert!(adapted.head < full.head && 20 * adapted.gradients < full.gradients);
            assert_eq!(adapted.logits, full.logits);
        }
    }
}
