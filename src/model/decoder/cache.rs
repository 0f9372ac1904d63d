//! Cached decoding: prompts are prefilled once per group, rows grow in lock step, finished rows
//! leave the batch.
//!
//! On the CPU in `f32` that is [`super::paged`]. What stands here beside it is
//! made of the layers of [`super::layer`] and plain candle operations, for every device and type.
//! Every row's prompt is right-aligned in the padded cache, so that all rows write their next token
//! into the same slot; a row begins at its own start slot and has its own positions. Nothing keeps
//! a graph.

use super::network::Decoder;
use super::packed::PackedTokens;
use super::paged::PagedCache;
use crate::error::Result;
use crate::kernels::padded_attention;
use candle_core::Tensor;
use std::sync::Arc;

/// Keys and values of a batch of growing sequences.
pub(in crate::model) struct Cache(Kind);

enum Kind {
    Paged(PagedCache),
    Padded(PaddedCache),
}

/// Batch rows are compacted when the share of unfinished ones falls below this.
const COMPACT_BELOW: f64 = 0.8;

impl Cache {
    /// Whether it pays to [`Self::retain`] so many of the rows.
    pub(in crate::model) fn worth_retaining(&self, rows: usize) -> bool {
        match &self.0 {
            // Nothing is copied.
            Kind::Paged(cache) => rows < cache.rows(),
            Kind::Padded(cache) => (rows as f64) < COMPACT_BELOW * cache.starts.len() as f64,
        }
    }

    /// Keeps the given rows only, which are in order.
    pub(in crate::model) fn retain(&mut self, rows: &[u32]) -> Result<()> {
        match &mut self.0 {
            Kind::Paged(cache) => cache.retain(rows),
            Kind::Padded(cache) => cache.retain(rows)?,
        }
        Ok(())
    }
}

/// The cache of the plain operations.
pub(super) struct PaddedCache {
    /// Per layer: keys and values (rows, `kv_heads`, slots, `head_dim`).
    layers: Vec<(Tensor, Tensor)>,
    /// First slot of each row's prompt.
    starts: Arc<[u32]>,
    /// Slots filled so far.
    filled: usize,
}

impl PaddedCache {
    /// Keeps the given rows only.
    pub(super) fn retain(&mut self, rows: &[u32]) -> Result<()> {
        if let Some((keys, _)) = self.layers.first() {
            let index = Tensor::from_slice(rows, rows.len(), keys.device())?;
            for (keys, values) in &mut self.layers {
                *keys = keys.index_select(&index, 0)?;
                *values = values.index_select(&index, 0)?;
            }
        }
        self.starts = rows.iter().map(|&row| self.starts[row as usize]).collect();
        Ok(())
    }
}

impl Decoder {
    /// Runs each prompt once and makes a cache of `copies` rows per prompt with room for
    /// `new_tokens` more. Returns the final hidden state of each row's last prompt token (rows,
    /// hidden), and the cache; row r belongs to prompt r / copies.
    pub(in crate::model) fn prefill(
        &self,
        prompts: &[&[u32]],
        copies: usize,
        new_tokens: usize,
    ) -> Result<(Tensor, Cache)> {
        Ok(if self.fused_layers(|_| true).is_some() {
            let (hidden, cache) = self.prefill_paged(prompts, copies)?;
            (hidden, Cache(Kind::Paged(cache)))
        } else {
            let (hidden, cache) = self.prefill_padded(prompts, copies, new_tokens)?;
            (hidden, Cache(Kind::Padded(cache)))
        })
    }

    /// Appends one token to every row; returns the final hidden states (rows, hidden).
    pub(in crate::model) fn decode(&self, tokens: &[u32], cache: &mut Cache) -> Result<Tensor> {
        match &mut cache.0 {
            Kind::Paged(cache) => self.decode_paged(tokens, cache),
            Kind::Padded(cache) => self.decode_padded(tokens, cache),
        }
    }

    /// [`Self::prefill`] into a padded cache.
    pub(super) fn prefill_padded(
        &self,
        prompts: &[&[u32]],
        copies: usize,
        new_tokens: usize,
    ) -> Result<(Tensor, PaddedCache)> {
        let packed = PackedTokens::new(prompts.iter().copied());
        let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
        let slots = longest + new_tokens;
        let device = self.device();
        // Slot s of a row holds prompt token s - start; the padding before it repeats the first
        // token and is never looked at.
        let mut gather = Vec::with_capacity(prompts.len() * copies * longest);
        for range in packed.segments.ranges() {
            let start = longest - range.len();
            for _ in 0..copies {
                gather.extend(
                    (0..longest).map(|slot| (range.start + slot.saturating_sub(start)) as u32),
                );
            }
        }
        let rows = prompts.len() * copies;
        let gather = Tensor::from_vec(gather, rows * longest, device)?;
        let mut layers = Vec::with_capacity(self.layers.len());
        let mut failure = None;
        let hidden = self.forward_with(&packed, |(keys, values)| {
            let spread = |x: Tensor| -> candle_core::Result<Tensor> {
                let (_, kv_heads, head_dim) = x.dims3()?;
                let cache = Tensor::zeros((rows, kv_heads, slots, head_dim), x.dtype(), device)?;
                let prompt = x
                    .contiguous()?
                    .index_select(&gather, 0)?
                    .reshape((rows, longest, kv_heads, head_dim))?;
                cache.slice_set(&prompt.transpose(1, 2)?.contiguous()?, 2, 0)?;
                Ok(cache)
            };
            match (spread(keys), spread(values)) {
                (Ok(keys), Ok(values)) => layers.push((keys, values)),
                (Err(e), _) | (_, Err(e)) => failure = Some(e),
            }
        })?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let hidden = self.last_hidden(&hidden, &packed, copies)?;
        let starts = prompts
            .iter()
            .flat_map(|p| std::iter::repeat_n((longest - p.len()) as u32, copies))
            .collect();
        Ok((hidden, PaddedCache { layers, starts, filled: longest }))
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

    /// [`Self::decode`] with a padded cache.
    pub(super) fn decode_padded(&self, tokens: &[u32], cache: &mut PaddedCache) -> Result<Tensor> {
        let rows = tokens.len();
        let slot = cache.filled;
        let positions: Arc<[u32]> = cache.starts.iter().map(|&start| slot as u32 - start).collect();
        self.shape.check_positions(&positions)?;
        let mut x = self.embed(tokens)?;
        for (layer, (keys, values)) in self.layers.iter().zip(&cache.layers) {
            x = layer.forward(&x, &positions, &self.shape, |q, (k, v), scope| {
                let (_, kv_heads, head_dim) = k.dims3()?;
                let new = (rows, kv_heads, 1, head_dim);
                keys.slice_set(&k.contiguous()?.reshape(new)?, 2, slot)?;
                values.slice_set(&v.contiguous()?.reshape(new)?, 2, slot)?;
                padded_attention(q, keys, values, &cache.starts, slot + 1, scope)
            })?;
        }
        cache.filled += 1;
        self.finish(&x)
    }
}
