//! Operations of decoding on products that stand beside each other in one tensor: queries, keys and
//! values of a token, or gates and what they gate. Forward only.

use super::cuda;
use super::{Activation, Heads, LayerCache, Rotary, gated, offset_rms_norm, rotary_embedding};
use candle_core::{Result, Tensor, bail};
use std::sync::Arc;

/// What is done to queries and keys before attention.
#[derive(Clone, Copy)]
pub struct HeadShaping<'a> {
    /// The scale of the norm of queries: of each one (`head_dim`), or of all heads' together (heads
    /// * `head_dim`).
    pub q_norm: Option<&'a Tensor>,
    /// The scale of the norm of keys, likewise.
    pub k_norm: Option<&'a Tensor>,
    /// Epsilon of both norms.
    pub eps: f64,
    /// What is added to both scales.
    pub offset: f32,
    /// The tables of the rotary embedding, where there is one.
    pub rotary: Option<&'a Rotary>,
}

/// Takes apart what a layer's projections make of one new token per row, `joined` (rows, (heads + 2
/// `kv_heads`) * `head_dim`): queries, keys, values. Queries and keys are normalised and turned by
/// each row's position. Keys and values are written to `slot` of the rows' own; the queries (rows,
/// heads, `head_dim`) are returned.
pub fn place_heads(
    joined: &Tensor,
    dims: Heads,
    shaping: &HeadShaping,
    positions: &Arc<[u32]>,
    cache: &LayerCache,
    slot: usize,
) -> Result<Tensor> {
    let Heads { heads, kv_heads, head_dim } = dims;
    let (rows, slots) = (joined.dim(0)?, cache.own[0].dim(2)?);
    let of = |norm: Option<&Tensor>, heads: usize| {
        norm.is_none_or(|norm| norm.dims() == [head_dim] || norm.dims() == [heads * head_dim])
    };
    let fits = joined.dims() == [rows, (heads + 2 * kv_heads) * head_dim]
        && cache.own.iter().all(|t| t.dims() == [rows, kv_heads, slots, head_dim])
        && of(shaping.q_norm, heads)
        && of(shaping.k_norm, kv_heads)
        && positions.len() == rows
        && slot < slots;
    if !fits {
        bail!("heads {dims:?} of {:?} for slot {slot} of {slots}", joined.shape());
    }
    if let Some(rotary) = shaping.rotary {
        rotary.check_positions(positions)?;
    }
    if rows > 0 && cuda::applies(&[joined, &cache.own[0], &cache.own[1]]) {
        return cuda::place_heads(joined, dims, shaping, positions, cache, slot);
    }
    let part = |first: usize, heads: usize| {
        let part = joined.narrow(1, first * head_dim, heads * head_dim)?.contiguous()?;
        part.reshape((rows, heads, head_dim))
    };
    let shaped = |x: Tensor, norm: Option<&Tensor>| {
        let x = match norm {
            None => x,
            Some(norm) if norm.dims() == [head_dim] => {
                offset_rms_norm(&x, norm, shaping.eps, shaping.offset)?
            }
            Some(norm) => {
                let all = x.flatten_from(1)?;
                offset_rms_norm(&all, norm, shaping.eps, shaping.offset)?.reshape(x.shape())?
            }
        };
        match shaping.rotary {
            Some(rotary) => rotary_embedding(&x, positions, rotary),
            None => Ok(x),
        }
    };
    let keys = shaped(part(heads, kv_heads)?, shaping.k_norm)?;
    for (cache, new) in cache.own.iter().zip([keys, part(heads + kv_heads, kv_heads)?]) {
        cache.slice_set(&new.reshape((rows, kv_heads, 1, head_dim))?.contiguous()?, 2, slot)?;
    }
    shaped(part(0, heads)?, shaping.q_norm)
}

/// [`gated`] of gates and what they gate, side by side in `joined` (n, 2 width): (n, width).
pub fn gated_joined(joined: &Tensor, activation: Activation) -> Result<Tensor> {
    let (_, both) = joined.dims2()?;
    if !both.is_multiple_of(2) {
        bail!("gates and what they gate have another size in {:?}", joined.shape());
    }
    if cuda::applies(&[joined]) {
        return cuda::gated_joined(joined, activation);
    }
    let half = |first: usize| joined.narrow(1, first, both / 2)?.contiguous();
    gated(&half(0)?, &half(both / 2)?, activation)
}
