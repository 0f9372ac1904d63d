//! Cached decoding on the CPU in `f32`: blocks of rows go through all layers on their own, without
//! waiting for each other.
//!
//! A block is transposed, each row in a SIMD lane ([`lanes`]), and reads every weight once. Only
//! where weights are kept in four bits do blocks wait for each other: a layer is decoded once, for
//! all of them. A layer is the one of [`super::layer`], step by step, in memory of which most is
//! allocated once per token. Keys and values are in pages of all layers; the pages of a prompt
//! exist once and serve all rows of its group. Every row's numbers are the same to the last bit
//! whatever other rows are decoded beside it, and on any number of threads. What a backward pass
//! needs of traced rows ([`super::trace`]) is kept on the way.

use super::fused::{FusedLayers, elements};
use super::layer::Layer;
use super::memory::{Kept, SamplingMemory};
use super::network::Decoder;
use super::packed::PackedTokens;
use super::trace::{TraceRecords, Tracing};
use super::weight::WeightElements;
use crate::error::{Error, Result};
use crate::kernels::{
    Buffers, Elements, Heads, LayerParts, LayerWeight, PAGE, Page, RecordLayout, RecordPart, Scope,
    lanes, paged_attention, scale_elements,
};
use candle_core::Tensor;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Keys and values of a batch of growing sequences.
pub(super) struct PagedCache {
    rows: Vec<Row>,
    memory: SamplingMemory,
    /// Of rows that have left, by number.
    recorded: Vec<(usize, Recorded)>,
}

/// The records of a row's tokens, those of its prompt first.
pub(in crate::model) type Recorded = [TraceRecords; 2];

/// A row's pages, each (layers, [`Heads::page_len`]).
struct Row {
    /// Among those that the cache began with.
    number: usize,
    prompt: Arc<Pages>,
    completion: Pages,
    records: Option<RowRecords>,
}

/// The growing records of a row that is traced.
struct RowRecords {
    prompt: TraceRecords,
    /// One for each token; the last one is in the making during a step.
    completion: Vec<Kept>,
}

impl RowRecords {
    /// A part of the token that is in the making.
    fn place(&mut self, range: Range<usize>) -> Option<&mut [f32]> {
        self.completion.last_mut().map(|record| &mut record[range])
    }
}

#[derive(Default)]
struct Pages {
    pages: Vec<Kept>,
    tokens: usize,
}

impl Pages {
    /// Makes room for one more token.
    fn reserve(&mut self, page_len: usize, memory: &SamplingMemory) {
        if self.tokens == self.pages.len() * PAGE {
            self.pages.push(memory.zeros(page_len));
        }
    }

    /// A layer's part of every page that has a token from `first` on, with the slots of these when
    /// there are `tokens` tokens.
    fn layer(
        &self,
        layer: usize,
        part: usize,
        first: usize,
        tokens: usize,
    ) -> impl Iterator<Item = Page<'_>> {
        let seen = move |index: usize| {
            first.saturating_sub(index * PAGE)..(tokens - index * PAGE).min(PAGE)
        };
        self.pages
            .iter()
            .enumerate()
            .skip(first / PAGE)
            .map(move |(index, page)| (&page[layer * part..][..part], seen(index)))
            .filter(|(_, seen)| !seen.is_empty())
    }
}

/// What attention of a layer needs to know.
struct OfLayer {
    layer: usize,
    heads: Heads,
    scope: Scope,
    scale: f32,
    /// Where a traced row keeps the result.
    kept: Option<Range<usize>>,
}

impl Row {
    fn into_recorded(self) -> Option<(usize, Recorded)> {
        let RowRecords { prompt, completion } = self.records?;
        Some((self.number, [prompt, Arc::new(completion)]))
    }

    fn position(&self) -> u32 {
        (self.prompt.tokens + self.completion.tokens) as u32
    }

    /// Keeps the new token's keys and values of a layer and attends to all tokens that it sees:
    /// `qkv` is the layer's q (heads, `head_dim`), k and v (`kv_heads`, `head_dim`) one after
    /// another, `out` (heads, `head_dim`).
    fn attend(&mut self, out: &mut [f32], qkv: &[f32], of: &OfLayer) {
        let OfLayer { layer, heads, scope, scale, .. } = *of;
        let first = scope.first(self.position() as usize);
        let (q, kv) = qkv.split_at(heads.heads * heads.head_dim);
        let (k, v) = kv.split_at(kv.len() / 2);
        let part = heads.page_len();
        let Pages { pages, tokens } = &mut self.completion;
        let page = &mut pages[*tokens / PAGE][layer * part..][..part];
        heads.write(page, *tokens % PAGE, k, v);
        let (prompt, completion) = (&self.prompt, &self.completion);
        let own = first.saturating_sub(prompt.tokens);
        let pages: Vec<Page> = prompt
            .layer(layer, part, first, prompt.tokens)
            .chain(completion.layer(layer, part, own, completion.tokens + 1))
            .collect();
        paged_attention(out, q, &pages, heads, scale);
        if let (Some(records), Some(range)) = (&mut self.records, &of.kept)
            && let Some(place) = records.place(range.clone())
        {
            place.copy_from_slice(out);
        }
    }
}

impl PagedCache {
    /// Keeps the given rows only, in the given order, which rises.
    pub(super) fn retain(&mut self, rows: &[u32]) {
        for (index, row) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if rows.binary_search(&(index as u32)).is_ok() {
                self.rows.push(row);
            } else {
                self.recorded.extend(row.into_recorded());
            }
        }
    }

    /// The records of the rows that are traced, with the rows' numbers.
    pub(super) fn into_recorded(self) -> impl Iterator<Item = (usize, Recorded)> {
        self.recorded.into_iter().chain(self.rows.into_iter().filter_map(Row::into_recorded))
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// What all blocks of a step have in common.
struct Step<'a> {
    network: &'a Decoder,
    memory: &'a SamplingMemory,
    heads: Heads,
    embeddings: Elements<'a>,
    norm: WeightElements<'a>,
    /// Parts of a block's work that may run at the same time.
    splits: usize,
    /// Of a token in a layer, where some rows are traced.
    layout: Option<RecordLayout>,
}

impl Decoder {
    /// [`Decoder::prefill`] into pages, with the layers' weights.
    pub(super) fn prefill_paged(
        &self,
        weights: &FusedLayers,
        prompts: &[&[u32]],
        copies: usize,
        tracing: Tracing,
    ) -> Result<(Tensor, PagedCache)> {
        let packed = PackedTokens::new(prompts.iter().copied());
        let (heads, layers) = (self.shape.sizes(), self.layers.len());
        let (part, width) = (heads.page_len(), heads.kv_heads * heads.head_dim);
        let (spec, memory) = (self.spec(), tracing.memory);
        let pages = |prompt: &&[u32]| {
            let page = |_| memory.zeros(layers * part);
            let pages = (0..prompt.len().div_ceil(PAGE)).map(page).collect();
            Pages { pages, tokens: prompt.len() }
        };
        let mut caches: Vec<Pages> = prompts.iter().map(pages).collect();
        let record = |_: &u32| memory.take(spec.record_len());
        let mut records: Vec<Vec<Kept>> = prompts
            .iter()
            .take(tracing.prompts)
            .map(|ids| ids.iter().map(record).collect())
            .collect();

        let mut layer = 0;
        let mut buffers = Buffers::default();
        let x =
            self.run_layers(weights, &packed, &mut buffers, |saved, shape, weights, buffers| {
                let (keys, values) = (shape.keys(&saved, weights, buffers), saved.values());
                for (cache, range) in caches.iter_mut().zip(packed.segments.ranges()) {
                    for (place, token) in range.enumerate() {
                        let page = &mut cache.pages[place / PAGE][layer * part..][..part];
                        let token = token * width..(token + 1) * width;
                        heads.write(page, place % PAGE, &keys[token.clone()], &values[token]);
                    }
                }
                let mut places: Vec<&mut [f32]> = records
                    .iter_mut()
                    .flatten()
                    .map(|record| &mut record[spec.layer_in_record(layer)])
                    .collect();
                spec.record_layout().scatter(&mut places, &saved);
                buffers.give([keys]);
                saved.free(buffers);
                layer += 1;
            })?;
        for (record, x) in records.iter_mut().flatten().zip(x.chunks_exact(spec.hidden_size)) {
            record[spec.last_in_record()].copy_from_slice(x);
        }

        let mut rows = Vec::with_capacity(prompts.len() * copies);
        let mut records = records.into_iter().map(Arc::new);
        for pages in caches {
            let (pages, records) = (Arc::new(pages), records.next());
            rows.extend((rows.len()..rows.len() + copies).map(|number| Row {
                number,
                prompt: pages.clone(),
                completion: Pages::default(),
                records:
                    records.clone().map(|prompt| RowRecords { prompt, completion: Vec::new() }),
            }));
        }
        let cache = PagedCache { rows, memory: memory.clone(), recorded: Vec::new() };
        Ok((self.last_hidden(&self.fused_finish(&x)?, &packed, copies)?, cache))
    }

    /// [`Decoder::decode`] with pages.
    pub(super) fn decode_paged(&self, tokens: &[u32], cache: &mut PagedCache) -> Result<Tensor> {
        self.check_ids(tokens)?;
        let positions = self.spec().max_position_embeddings;
        if cache.rows.iter().any(|row| row.position() as usize >= positions) {
            return Err(Error::failed(format!(
                "a sequence grows beyond the model's {positions} positions"
            )));
        }
        let (rows, hidden) = (tokens.len(), self.spec().hidden_size);
        let (size, splits) = cut(rows, rayon::current_num_threads());
        let PagedCache { rows: of_rows, memory, .. } = cache;
        let step = Step {
            network: self,
            memory,
            heads: self.shape.sizes(),
            embeddings: Elements::of(&self.embeddings)?,
            norm: self.norm.elements()?,
            splits,
            layout: of_rows
                .iter()
                .any(|row| row.records.is_some())
                .then(|| self.spec().record_layout()),
        };
        let layers: FusedLayers = self.layers.iter().map(Layer::weights).collect();
        let mut out = vec![0.0; rows * hidden];
        let blocks = out
            .par_chunks_mut(size * hidden)
            .zip(of_rows.par_chunks_mut(size))
            .zip(tokens.par_chunks(size))
            .map(|((out, rows), tokens)| Block::new(&step, out, rows, tokens));
        if self.layers.iter().any(Layer::is_decoded) {
            let mut blocks: Vec<Block> = blocks.collect();
            for (index, layer) in layers.iter().enumerate() {
                let layer = elements(layer)?;
                let layer = layer.as_ref().map(WeightElements::borrow);
                blocks.par_iter_mut().for_each(|block| block.layer(index, &layer));
            }
            blocks.into_par_iter().for_each(Block::finish);
        } else {
            let layers = layers.iter().map(elements).collect::<candle_core::Result<Vec<_>>>()?;
            let layers: Vec<LayerParts<LayerWeight>> =
                layers.iter().map(|layer| layer.as_ref().map(WeightElements::borrow)).collect();
            blocks.for_each(|mut block| {
                for (index, layer) in layers.iter().enumerate() {
                    block.layer(index, layer);
                }
                block.finish();
            });
        }
        Ok(Tensor::from_vec(out, (rows, hidden), self.device())?)
    }
}

/// The number of rows of a block, and the number of parts of its work that may run at the same
/// time. As many blocks as keep all threads busy, but no smaller than two vectors of lanes, since
/// each reads all weights.
fn cut(rows: usize, threads: usize) -> (usize, usize) {
    let blocks = rows.div_ceil(lanes::BLOCK).next_multiple_of(threads);
    let size = rows
        .div_ceil(blocks)
        .next_multiple_of(lanes::BLOCK / 4)
        .clamp(lanes::BLOCK / 2, lanes::BLOCK);
    (size, threads.div_ceil(rows.div_ceil(size).max(1)))
}

/// Some rows on their way through the layers, with one token each. What has no other comment is
/// (features, lanes).
struct Block<'a> {
    step: &'a Step<'a>,
    /// Where the final hidden states (rows, hidden) go.
    out: &'a mut [f32],
    rows: &'a mut [Row],
    lanes: usize,
    /// Cosines and sines of every table of rotary positions.
    turns: Vec<(Vec<f32>, Vec<f32>)>,
    /// What the layers add to.
    x: Vec<f32>,
    // Memory for results within a layer.
    normed: Vec<f32>,
    qkv: Vec<f32>,
    /// (rows, features)
    qkv_rows: Vec<f32>,
    /// (rows, features)
    attended_rows: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    branch: Branch,
}

impl<'a> Block<'a> {
    fn new(step: &'a Step<'a>, out: &'a mut [f32], rows: &'a mut [Row], tokens: &[u32]) -> Self {
        let (config, shape) = (step.network.spec(), &step.network.shape);
        let (hidden, mlp, count) = (config.hidden_size, config.intermediate_size, rows.len());
        let lanes = count.next_multiple_of(lanes::BLOCK / 4);
        let q_width = shape.heads * shape.head_dim;
        let width = q_width + 2 * shape.kv_heads * shape.head_dim;
        let positions: Vec<u32> = rows.iter().map(Row::position).collect();
        let rotations = |rotary| lanes::rotations(rotary, &positions, lanes);
        let embedding = |&token: &u32| &step.embeddings[token as usize * hidden..][..hidden];
        let mut x = lanes::transpose(tokens.iter().map(embedding), hidden, lanes);
        if let Some(scale) = config.embedding_scale() {
            scale_elements(&mut x, scale);
        }
        let page_len = step.network.layers.len() * step.heads.page_len();
        for row in rows.iter_mut() {
            row.completion.reserve(page_len, step.memory);
            if let Some(RowRecords { completion, .. }) = &mut row.records {
                completion.push(step.memory.take(config.record_len()));
            }
        }
        let (eps, splits) = (shape.eps as f32, step.splits);
        Self {
            lanes,
            turns: shape.rotaries.iter().map(rotations).collect(),
            x,
            normed: vec![0.0; hidden * lanes],
            qkv: vec![0.0; width * lanes],
            qkv_rows: vec![0.0; width * count],
            attended_rows: vec![0.0; q_width * count],
            gate: vec![0.0; mlp * lanes],
            up: vec![0.0; mlp * lanes],
            branch: Branch { result: Vec::new(), eps, lanes, splits },
            step,
            out,
            rows,
        }
    }

    /// Goes through the layer of that number.
    fn layer(&mut self, index: usize, layer: &LayerParts<LayerWeight>) {
        let Self { step, rows, lanes, turns, x, qkv, branch, .. } = self;
        let (lanes, Step { network, heads, splits, .. }) = (*lanes, *step);
        let (shape, splits, sight) = (&network.shape, *splits, &network.layers[index].sight);
        let (q_width, kv_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let width = q_width + 2 * kv_width;
        let place = |part: RecordPart| {
            let start = network.spec().layer_in_record(index).start;
            let range = step.layout?.range(part);
            Some(start + range.start..start + range.end)
        };
        let keep = |rows: &mut [Row], part: RecordPart, values: &[f32]| {
            if let Some(range) = place(part) {
                keep(rows, range, values, lanes);
            }
        };

        keep(rows, RecordPart::X, x);
        let input = branch.input(&mut self.normed, x, layer.attention_norm);
        let (q, kv) = qkv.split_at_mut(q_width * lanes);
        let (k, v) = kv.split_at_mut(kv_width * lanes);
        let outputs = [(&mut *q, layer.q_proj), (&mut *k, layer.k_proj), (&mut *v, layer.v_proj)];
        lanes::linear(outputs, input, lanes, false, splits);
        for (y, bias) in [(q, layer.q_bias), (k, layer.k_bias), (v, layer.v_bias)] {
            if let Some(bias) = bias {
                lanes::add_bias(y, bias.elements, lanes);
            }
        }
        keep(rows, RecordPart::Qkv, qkv);
        let (q, kv) = qkv.split_at_mut(q_width * lanes);
        let k = &mut kv[..kv_width * lanes];
        for (x, norm) in [(q, layer.q_norm), (k, layer.k_norm)] {
            if let Some(weight) = norm {
                lanes::rms_norm(x, weight.elements, branch.eps, lanes);
            }
            if let Some((cos, sin)) = sight.rotary.map(|index| &turns[index]) {
                lanes::rotate(x, cos, sin);
            }
        }

        // Each row has keys and values of its own, so attention goes row by row.
        lanes::untranspose(self.qkv_rows.chunks_exact_mut(width).enumerate(), qkv, lanes);
        let (scope, kept) = (sight.scope, place(RecordPart::Attention));
        let of = OfLayer { layer: index, heads: *heads, scope, scale: scope.scale(), kept };
        let together = rows.len().div_ceil(splits);
        rows.par_iter_mut()
            .zip(self.attended_rows.par_chunks_mut(q_width))
            .zip(self.qkv_rows.par_chunks(width))
            .with_min_len(together)
            .for_each(|((row, out), qkv)| row.attend(out, qkv, &of));
        let attended = lanes::transpose(self.attended_rows.chunks_exact(q_width), q_width, lanes);
        branch.add(x, layer.o_proj, &attended, layer.attention_out_norm, |result| {
            keep(rows, RecordPart::AttentionOut, result);
        });

        keep(rows, RecordPart::X1, x);
        let input = branch.input(&mut self.normed, x, layer.mlp_norm);
        let outputs = [(&mut self.gate[..], layer.gate_proj), (&mut self.up[..], layer.up_proj)];
        lanes::linear(outputs, input, lanes, false, splits);
        keep(rows, RecordPart::Gate, &self.gate);
        keep(rows, RecordPart::Up, &self.up);
        lanes::gated(&mut self.gate, &self.up, shape.activation);
        branch.add(x, layer.down_proj, &self.gate, layer.mlp_out_norm, |result| {
            keep(rows, RecordPart::MlpOut, result);
        });
    }

    /// Writes the final hidden states, and counts the token.
    fn finish(mut self) {
        if self.step.layout.is_some() {
            keep(self.rows, self.step.network.spec().last_in_record(), &self.x, self.lanes);
        }
        lanes::rms_norm(&mut self.x, self.step.norm.borrow().elements, self.branch.eps, self.lanes);
        let hidden = self.step.network.spec().hidden_size;
        lanes::untranspose(self.out.chunks_exact_mut(hidden).enumerate(), &self.x, self.lanes);
        for row in self.rows {
            row.completion.tokens += 1;
        }
    }
}

/// Writes values (features, lanes) into that part of the traced rows' records.
fn keep(rows: &mut [Row], range: Range<usize>, values: &[f32], lanes: usize) {
    let places = rows.iter_mut().enumerate().filter_map(|(lane, row)| {
        let place = row.records.as_mut()?.place(range.clone())?;
        Some((lane, place))
    });
    lanes::untranspose(places, values, lanes);
}

/// What the two branches of a layer begin and end with, in lanes.
struct Branch {
    /// Memory for a result before its norm.
    result: Vec<f32>,
    eps: f32,
    lanes: usize,
    splits: usize,
}

impl Branch {
    /// The norm of x where there is one, in `normed`, and x itself where there is none.
    fn input<'a>(
        &self,
        normed: &'a mut [f32],
        x: &'a [f32],
        weight: Option<LayerWeight>,
    ) -> &'a [f32] {
        let Some(weight) = weight else { return x };
        normed.copy_from_slice(x);
        lanes::rms_norm(normed, weight.elements, self.eps, self.lanes);
        normed
    }

    /// x += W y, or the norm of W y where there is one; the norm's input is given to `keep`.
    fn add(
        &mut self,
        x: &mut [f32],
        w: LayerWeight,
        y: &[f32],
        norm: Option<LayerWeight>,
        keep: impl FnOnce(&[f32]),
    ) {
        let Some(weight) = norm else {
            return lanes::linear([(x, w)], y, self.lanes, true, self.splits);
        };
        self.result.resize(x.len(), 0.0);
        lanes::linear([(&mut self.result, w)], y, self.lanes, false, self.splits);
        keep(&self.result);
        lanes::rms_norm(&mut self.result, weight.elements, self.eps, self.lanes);
        lanes::add(x, &self.result);
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::DecoderSpec;
    use super::*;
    use crate::experiment::{LoraConfig, ModelSource};
    use crate::kernels::check::{difference, random};
    use crate::model::LoraAdapter;
    use crate::weights::Weights;
    use candle_core::{DType, Device};

    /// A network of a family with random weights, those of norms among them.
    fn network(family: &str, layers: &str) -> Decoder {
        let (config, weights) = random_weights(family, layers);
        Decoder::frozen(&config, &weights).unwrap()
    }

    /// The same with an adapter on all of its linear layers.
    fn adapted(family: &str, layers: &str) -> Decoder {
        let (config, weights) = random_weights(family, layers);
        let lora = LoraConfig { rank: 3, alpha: 6.0, ..LoraConfig::default() };
        let source = ModelSource::Local("base".into());
        let adapter =
            LoraAdapter::new(&lora, source, &config, 5, DType::F32, &Device::Cpu).unwrap();
        for (index, (_, variable)) in adapter.weights().variables().enumerate() {
            variable.set(&(random(variable.dims(), index as u64) * 0.3).unwrap()).unwrap();
        }
        Decoder::adapted(&config, &weights, &adapter, false).unwrap()
    }

    fn fused(network: &Decoder) -> FusedLayers<'_> {
        network.fused_layers(|_| true).unwrap()
    }

    fn random_weights(family: &str, layers: &str) -> (DecoderSpec, Weights) {
        let config = DecoderSpec::parse(&format!(
            r#"{{"model_type": "{family}", "vocab_size": 48, "hidden_size": 36,
            "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 18, "max_position_embeddings": 96,
            "tie_word_embeddings": true, "eos_token_id": 2{layers}}}"#
        ))
        .unwrap();
        let weights = Weights::random(&config, 0.3, 11, DType::F32, &Device::Cpu).unwrap();
        for (index, (_, variable)) in weights.variables().enumerate() {
            if variable.rank() == 1 {
                let noise = (random(variable.dims(), index as u64) * 0.3).unwrap();
                variable.set(&(variable.as_tensor() + noise).unwrap()).unwrap();
            }
        }
        (config, weights)
    }

    #[test]
    fn pages_and_caches_of_plain_operations_agree_while_rows_grow_and_leave() {
        let s = r#""sliding_attention""#;
        let gemma = format!(
            r#", "layer_types": [{s}, "full_attention", {s}], "sliding_window": 20,
            "query_pre_attn_scalar": 11"#
        );
        for (family, layers) in [
            ("qwen3", ""),
            ("qwen2", ""),
            ("llama", ""),
            ("mistral", r#", "sliding_window": 1"#),
            ("mistral", r#", "sliding_window": 16"#),
            ("mistral", r#", "sliding_window": 37"#),
            ("smollm3", r#", "no_rope_layers": [1, 0, 1]"#),
            ("olmo2", ""),
            ("gemma3_text", &gemma),
        ] {
            agree_while_rows_grow_and_leave(&network(family, layers), family);
            agree_while_rows_grow_and_leave(&adapted(family, layers), family);
        }
    }

    fn agree_while_rows_grow_and_leave(network: &Decoder, family: &str) {
        let text: Vec<u32> = (0..40).map(|i| (i * 7 + i / 5) % 48).collect();
        let prompts: [&[u32]; 4] = [&text[..1], &text[1..18], &text[18..34], &text[34..]];
        let tracing = Tracing { prompts: 0, memory: &SamplingMemory::default() };
        let (mut found, mut paged) =
            network.prefill_paged(&fused(network), &prompts, 9, tracing).unwrap();
        let (mut expected, mut grouped) = network.prefill_grouped(&prompts, 9, 40).unwrap();
        let mut worst = 0f32;
        for step in 0..40usize {
            worst = worst.max(difference(&found, &expected));
            if step % 9 == 8 {
                let kept: Vec<u32> = (0..paged.rows() as u32).filter(|row| row % 3 != 1).collect();
                paged.retain(&kept);
                grouped.retain(&kept).unwrap();
            }
            let tokens: Vec<u32> =
                (0..paged.rows()).map(|row| ((row * row + 5 * step) % 48) as u32).collect();
            found = network.decode_paged(&tokens, &mut paged).unwrap();
            expected = network.decode_grouped(&tokens, &mut grouped).unwrap();
        }
        eprintln!("{family}, paged against grouped: {worst:.1e}");
        assert!(worst < 1e-4, "{family}: {worst:e}");
    }

    #[test]
    fn rows_are_cut_into_blocks_for_all_threads() {
        for (rows, threads, expected) in [
            (128, 2, (64, 1)),
            (192, 2, (48, 1)),
            (128, 1, (64, 1)),
            (64, 2, (32, 1)),
            (1, 2, (32, 2)),
            (128, 16, (32, 4)),
            (1000, 3, (64, 1)),
        ] {
            assert_eq!(cut(rows, threads), expected, "{rows} rows on {threads} threads");
        }
    }

    #[test]
    fn a_sequence_does_not_grow_beyond_the_positions() {
        let network = network("qwen3", "");
        let prompt = vec![3; 95];
        let tracing = Tracing { prompts: 0, memory: &SamplingMemory::default() };
        let (_, mut cache) =
            network.prefill_paged(&fused(&network), &[&prompt], 1, tracing).unwrap();
        assert!(network.decode_paged(&[1], &mut cache).is_ok());
        assert!(
            network
                .decode_paged(&[1], &mut cache)
                .unwrap_err()
                .to_string()
                .contains("96 positions")
        );
        assert!(
            network.decode_paged(&[48], &mut cache).unwrap_err().to_string().contains("vocabulary")
        );
    }
}
