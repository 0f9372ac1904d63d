//! Attention of one new token per row over cached keys and values; see
//! [`crate::padded_attention`].

use super::super::Scope;
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::resident::indices;
use candle_core::{DType, Result, Tensor, bail};
use std::sync::Arc;

pub(super) static PROGRAM: Program = Program {
    name: "decode_attention",
    source: include_str!("decode_attention.cu"),
    kernels: &["decode_attention", "decode_attention_merge"],
};

/// Blocks that keep a large GPU busy, and the fewest slots that are worth a block.
const ENOUGH_BLOCKS: usize = 512;
const FEWEST_SLOTS: usize = 128;

/// Most query heads of a key/value head whose sums fit into registers.
const LARGEST_GROUP: usize = 8;
const LARGEST_HEAD: usize = 256;

/// [`crate::padded_attention`] on a GPU; nothing for shapes that the kernel is not made for.
pub(crate) fn decode_attention(
    q: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    starts: &Arc<[u32]>,
    end: usize,
    scope: Scope,
) -> Result<Option<Tensor>> {
    let (rows, heads, head_dim) = q.dims3()?;
    let (cached, kv_heads, slots, width) = keys.dims4()?;
    if cached != rows
        || width != head_dim
        || values.dims() != keys.dims()
        || starts.len() != rows
        || end > slots
    {
        bail!(
            "attention of {:?} to {end} slots of {:?} and {:?}",
            q.shape(),
            keys.shape(),
            values.shape()
        );
    }
    let group = heads / kv_heads;
    if !head_dim.is_multiple_of(16 / q.dtype().size_in_bytes())
        || head_dim > LARGEST_HEAD
        || group > LARGEST_GROUP
    {
        return Ok(None);
    }
    let seen = end - scope.first(end - 1);
    let splits =
        ENOUGH_BLOCKS.div_ceil((rows * kv_heads).max(1)).min(seen.div_ceil(FEWEST_SLOTS)).max(1);
    attend(q, keys, values, starts, end, scope, splits).map(Some)
}

fn attend(
    q: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    starts: &Arc<[u32]>,
    end: usize,
    scope: Scope,
    splits: usize,
) -> Result<Tensor> {
    let (rows, heads, head_dim) = q.dims3()?;
    let (_, kv_heads, slots, _) = keys.dims4()?;
    let q = aligned(q)?;
    let (dtype, device) = (q.dtype(), q.device());
    let program = PROGRAM.of(dtype).heads(head_dim, heads / kv_heads);
    let out = uninitialised((rows, heads * head_dim), dtype, device)?;
    let parts = if splits > 1 { rows * heads * splits * (head_dim + 2) } else { 1 };
    let partial = uninitialised(parts, DType::F32, device)?;
    let starts = indices(starts, device)?;
    let (scale, window) = (scope.scale(), scope.window_or_largest());
    let arguments =
        arguments![&q, keys, values, &starts, &out, &partial, kv_heads, slots, end, scale, window];
    launch(program, "decode_attention", [rows * kv_heads, splits], 128, arguments)?;
    if splits > 1 {
        let arguments = arguments![&partial, &out, splits];
        launch(program, "decode_attention_merge", [rows * heads, 1], 128, arguments)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{difference, random, rounded, within_bf16};
    use super::super::super::decode_attention::padded_attention_reference as on_cpu;
    use super::super::emulate;
    use super::*;

    #[test]
    fn emulated_decode_attention_agrees_with_the_cpu() {
        if !emulate::available() {
            return;
        }
        for (heads, kv_heads, head_dim, slots, end, window) in [
            (4, 2, 8, 10, 8, None),
            (3, 1, 40, 70, 70, None),
            (2, 2, 128, 40, 33, None),
            (3, 1, 40, 70, 70, Some(19)),
            (2, 2, 16, 40, 33, Some(1)),
            (2, 1, 256, 40, 33, Some(9)),
        ] {
            let scope = Scope { window, ..Scope::full(head_dim) };
            let q = random(&[3, heads, head_dim], 1);
            let keys = random(&[3, kv_heads, slots, head_dim], 2);
            let values = random(&[3, kv_heads, slots, head_dim], 3);
            let starts: Arc<[u32]> = [0, 3, end as u32 - 1].into();
            let expected = on_cpu(&q, &keys, &values, &starts, end, scope).unwrap();
            for splits in [1, 3] {
                let found = attend(&q, &keys, &values, &starts, end, scope, splits).unwrap();
                assert!(difference(&found, &expected) < 1e-5, "{splits} splits");
                let [q, keys, values] = [&q, &keys, &values].map(rounded);
                let found = attend(&q, &keys, &values, &starts, end, scope, splits).unwrap();
                let [q, keys, values] = [q, keys, values].map(|t| t.to_dtype(DType::F32).unwrap());
                within_bf16(&found, &on_cpu(&q, &keys, &values, &starts, end, scope).unwrap());
            }
        }
    }
}
