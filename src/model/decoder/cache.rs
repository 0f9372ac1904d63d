//! Cached decoding: prompts are prefilled once per group, rows grow in lock step, finished rows
//! leave the batch.
//!
//! On the CPU in `f32` that is [`super::paged`]. What stands here beside it is made of the layers of
//! [`super::layer`], for every device and type. A prompt's keys and values are kept once, as the
//! forward pass over all prompts leaves them, and serve all rows of its group. What the rows have
//! for themselves is kept row by row; all of them write their next token into the same slot, and
//! each has its own position. Nothing keeps a graph.

use super::network::Decoder;
use super::packed::PackedTokens;
use super::paged::{PagedCache, Recorded};
use super::trace::Tracing;
use crate::error::Result;
use crate::kernels::{LayerCache, PromptGroups};
use candle_core::Tensor;

/// Keys and values of a batch of growing sequences.
pub(in crate::model) struct Cache(Kind);

enum Kind {
    Paged(PagedCache),
    Grouped(GroupedCache),
}

/// Batch rows are compacted when the share of unfinished ones falls below this.
const COMPACT_BELOW: f64 = 0.8;

impl Cache {
    /// Whether it pays to [`Self::retain`] so many of the rows.
    pub(in crate::model) fn worth_retaining(&self, rows: usize) -> bool {
        match &self.0 {
            // Nothing is copied.
            Kind::Paged(cache) => rows < cache.rows(),
            Kind::Grouped(cache) => (rows as f64) < COMPACT_BELOW * cache.groups.rows() as f64,
        }
    }

    /// The records of the rows that are traced, with the rows' numbers.
    pub(in crate::model) fn into_recorded(self) -> Vec<(usize, Recorded)> {
        match self.0 {
            Kind::Paged(cache) => cache.into_recorded().collect(),
            Kind::Grouped(_) => Vec::new(),
        }
    }

    /// Keeps the given rows only, which are in order.
    pub(in crate::model) fn retain(&mut self, rows: &[u32]) -> Result<()> {
        match &mut self.0 {
            Kind::Paged(cache) => cache.retain(rows),
            Kind::Grouped(cache) => cache.retain(rows)?,
        }
        Ok(())
    }
}

/// The cache of single operations.
pub(super) struct GroupedCache {
    /// Of each layer.
    layers: Vec<LayerCache>,
    groups: PromptGroups,
    /// Slots of the rows' own that are filled.
    filled: usize,
}

impl GroupedCache {
    /// Keeps the given rows only, which are in order. The prompts stay.
    pub(super) fn retain(&mut self, rows: &[u32]) -> Result<()> {
        if let Some(layer) = self.layers.first() {
            let index = Tensor::from_slice(rows, rows.len(), layer.own[0].device())?;
            for own in self.layers.iter_mut().flat_map(|layer| &mut layer.own) {
                *own = own.index_select(&index, 0)?;
            }
        }
        self.groups = self.groups.retain(rows);
        Ok(())
    }
}

impl Decoder {
    /// Runs each prompt once and makes a cache of `copies` rows per prompt with room for
    /// `new_tokens` more. Returns the final hidden state of each row's last prompt token (rows,
    /// hidden), and the cache; row r belongs to prompt r / copies. Only a cache in pages traces, and works in that memory.
    pub(in crate::model) fn prefill(
        &self,
        prompts: &[&[u32]],
        copies: usize,
        new_tokens: usize,
        tracing: Tracing,
    ) -> Result<(Tensor, Cache)> {
        Ok(if let Some(weights) = self.fused_layers(|_| true) {
            let (hidden, cache) = self.prefill_paged(&weights, prompts, copies, tracing)?;
            (hidden, Cache(Kind::Paged(cache)))
        } else {
            let (hidden, cache) = self.prefill_grouped(prompts, copies, new_tokens)?;
            (hidden, Cache(Kind::Grouped(cache)))
        })
    }

    /// Appends one token to every row; returns the final hidden states (rows, hidden).
    pub(in crate::model) fn decode(&self, tokens: &[u32], cache: &mut Cache) -> Result<Tensor> {
        match &mut cache.0 {
            Kind::Paged(cache) => self.decode_paged(tokens, cache),
            Kind::Grouped(cache) => self.decode_grouped(tokens, cache),
        }
    }

    /// [`Self::prefill`] into a grouped cache.
    pub(super) fn prefill_grouped(
        &self,
        prompts: &[&[u32]],
        copies: usize,
        new_tokens: usize,
    ) -> Result<(Tensor, GroupedCache)> {
        let packed = PackedTokens::new(prompts.iter().copied());
        let rows = prompts.len() * copies;
        let mut layers = Vec::with_capacity(self.layers.len());
        let mut failure = None;
        let hidden = self.forward_with(&packed, |(keys, values)| {
            let kept = || {
                let (_, kv_heads, head_dim) = keys.dims3()?;
                let slots = (rows, kv_heads, new_tokens.max(1), head_dim);
                let own = || Tensor::zeros(slots, keys.dtype(), keys.device());
                Ok::<_, candle_core::Error>(LayerCache {
                    prompts: [keys.detach().contiguous()?, values.detach().contiguous()?],
                    own: [own()?, own()?],
                })
            };
            match kept() {
                Ok(kept) => layers.push(kept),
                Err(error) => failure = Some(error),
            }
        })?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let hidden = self.last_hidden(&hidden, &packed, copies)?;
        let rows = (0..prompts.len()).map(|prompt| prompt * copies..(prompt + 1) * copies);
        let groups = PromptGroups::new(packed.segments.ranges().zip(rows));
        Ok((hidden, GroupedCache { layers, groups, filled: 0 }))
    }

    /// The hidden state of every sequence's last token, `copies` times: (sequences * copies,
    /// hidden).
    pub(super) fn last_hidden(
        &self,
        hidden: &Tensor,
        packed: &PackedTokens,
        copies: usize,
    ) -> Result<Tensor> {
        let last =
            |r: std::ops::Range<usize>| std::iter::repeat_n(r.end.saturating_sub(1) as u32, copies);
        let last: Vec<u32> = packed.segments.ranges().flat_map(last).collect();
        Ok(hidden.index_select(&Tensor::from_slice(&last, last.len(), self.device())?, 0)?)
    }

    /// [`Self::decode`] with a grouped cache.
    pub(super) fn decode_grouped(
        &self,
        tokens: &[u32],
        cache: &mut GroupedCache,
    ) -> Result<Tensor> {
        let GroupedCache { layers, groups, filled } = cache;
        let positions = groups.positions(*filled);
        self.shape.check_positions(&positions)?;
        let mut x = self.embed(tokens)?;
        for (layer, cache) in self.layers.iter().zip(layers) {
            x = layer.decode(&x, &positions, &self.shape, cache, groups, *filled)?;
        }
        *filled += 1;
        self.finish(&x)
    }
}
