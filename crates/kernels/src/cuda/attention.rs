//! Causal attention over packed sequences; see [`crate::causal_attention`].

use super::super::{Scope, Segments, causal_attention_reference};
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::node::node3;
use super::resident::resident;
use super::rows::gather_rows;
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "attention",
    source: include_str!("attention.cu"),
    kernels: &[
        "attention_forward",
        "attention_delta",
        "attention_backward_queries",
        "attention_backward_keys",
    ],
};

/// Threads of a block, and the queries or keys that it owns.
const THREADS: usize = 128;
const BLOCK: usize = 64;

/// Largest size of heads that the kernels are for. In `bf16` a thread's registers hold the fragments
/// of 128 elements, and few of 256 are kept elsewhere. In `f32`, which needs twice as many, those of
/// 256 take the compiler many minutes.
pub fn largest_head(dtype: DType) -> usize {
    if dtype == DType::BF16 { 256 } else { 128 }
}

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Blocks of the longest sequence.
    tiles: usize,
    sequences: usize,
    scope: Scope,
}

impl Sizes {
    /// `BLOCK` tokens of a sequence by one of `heads` heads.
    fn blocks(self, heads: usize) -> [usize; 2] {
        [self.sequences * self.tiles, heads]
    }
}

/// [`crate::causal_attention`] on a GPU, of checked input.
pub(crate) fn causal_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    scope: Scope,
) -> Result<Tensor> {
    let (tokens, heads, head_dim) = q.dims3()?;
    if head_dim > largest_head(q.dtype()) || !head_dim.is_multiple_of(2) {
        return causal_attention_reference(q, k, v, segments, scope);
    }
    if segments.parts().iter().any(|segment| segment.parent.is_some()) {
        return branching_attention(q, k, v, segments, scope);
    }
    let longest = segments.ranges().map(|range| range.len()).max().unwrap_or(0);
    let tiles = longest.div_ceil(BLOCK).max(1);
    let (kv_heads, sequences) = (k.dim(1)?, segments.len());
    let sizes = Sizes { heads, kv_heads, head_dim, tiles, sequences, scope };
    let (q, k, v) = (aligned(q)?, aligned(k)?, aligned(v)?);
    let offsets = resident(segments.shared_parts(), q.device(), |parts| {
        let offsets =
            std::iter::once(0).chain(parts.iter().map(|segment| segment.tokens.end as u32));
        Tensor::from_vec(offsets.collect::<Vec<_>>(), sizes.sequences + 1, q.device())
    })?;
    let lse = uninitialised((tokens, heads), DType::F32, q.device())?;
    let (lse_back, offsets_back) = (lse.clone(), offsets.clone());
    let out =
        node3([&q, &k, &v], (tokens, heads * head_dim), q.dtype(), move |inputs, out, grad| {
            backward(inputs, out, grad, &lse_back, &offsets_back, sizes)
        })?;
    let window = scope.window_or_largest();
    let arguments =
        arguments![&q, &k, &v, &offsets, &out, &lse, tiles, heads, kv_heads, scope.scale(), window];
    launch(
        PROGRAM.of(q.dtype()).heads(head_dim, 0),
        "attention_forward",
        sizes.blocks(heads),
        THREADS,
        arguments,
    )?;
    Ok(out)
}

/// Segments that continue others, as whole sequences: each branch is given its prefix's rows, and
/// keeps its own of the result.
fn branching_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    scope: Scope,
) -> Result<Tensor> {
    let (mut rows, mut own, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for segment in segments.parts() {
        rows.extend(segment.prefix.clone().chain(segment.tokens.clone()).map(|token| token as u32));
        own.extend((rows.len() - segment.tokens.len()..rows.len()).map(|row| row as u32));
        lengths.push(segment.prefix.len() + segment.tokens.len());
    }
    let whole = |x: &Tensor| -> Result<Tensor> {
        let (_, heads, head_dim) = x.dims3()?;
        gather_rows(&x.flatten_from(1)?, &rows)?.reshape((rows.len(), heads, head_dim))
    };
    let sequences = Segments::from_lengths(lengths);
    let out = causal_attention(&whole(q)?, &whole(k)?, &whole(v)?, &sequences, scope)?;
    gather_rows(&out, &own)
}

fn backward(
    [q, k, v]: [&Tensor; 3],
    out: &Tensor,
    grad: &Tensor,
    lse: &Tensor,
    offsets: &Tensor,
    sizes: Sizes,
) -> Result<[Option<Tensor>; 3]> {
    let Sizes { heads, kv_heads, head_dim, tiles, scope, .. } = sizes;
    let program = PROGRAM.of(q.dtype()).heads(head_dim, 0);
    let grad = aligned(grad)?;
    let delta = uninitialised(lse.shape(), DType::F32, q.device())?;
    let [dq, dk, dv] = [q, k, v].map(|x| uninitialised(x.shape(), x.dtype(), x.device()));
    let (dq, dk, dv) = (dq?, dk?, dv?);
    let rows = lse.elem_count();
    launch(
        program,
        "attention_delta",
        [rows.div_ceil(4), 1],
        128,
        arguments![out, &grad, &delta, rows],
    )?;
    let (scale, window) = (scope.scale(), scope.window_or_largest());
    let arguments = arguments![
        q, k, v, &grad, lse, &delta, offsets, &dq, tiles, heads, kv_heads, scale, window
    ];
    launch(program, "attention_backward_queries", sizes.blocks(heads), THREADS, arguments)?;
    let arguments = arguments![
        q, k, v, &grad, lse, &delta, offsets, &dk, &dv, tiles, heads, kv_heads, scale, window
    ];
    launch(program, "attention_backward_keys", sizes.blocks(kv_heads), THREADS, arguments)?;
    Ok([Some(dq), Some(dk), Some(dv)])
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16, agree_without_differences, random};
    use super::super::emulate;
    use super::*;

    fn inputs(tokens: usize, heads: usize, kv_heads: usize, head_dim: usize) -> [Tensor; 3] {
        [
            random(&[tokens, heads, head_dim], 1),
            random(&[tokens, kv_heads, head_dim], 2),
            random(&[tokens, kv_heads, head_dim], 3),
        ]
    }

    #[test]
    fn emulated_attention_agrees_with_the_reference_forward_and_backward() {
        if !emulate::available() {
            return;
        }
        let segments = Segments::from_lengths([5, 1, 9, 3]);
        for scope in [Scope::full(6), Scope { scalar: 11.0, window: Some(4) }] {
            agree(
                &inputs(18, 4, 2, 6),
                |t| causal_attention(&t[0], &t[1], &t[2], &segments, scope),
                |t| causal_attention_reference(&t[0], &t[1], &t[2], &segments, scope),
                2e-5,
            );
        }
    }

    #[test]
    fn branches_see_their_prefix() {
        if !emulate::available() {
            return;
        }
        let parts = [(5, None), (3, Some(0)), (0, Some(0)), (2, None), (4, Some(3)), (1, Some(0))];
        let segments = Segments::branching(parts).unwrap();
        for window in [None, Some(4)] {
            let scope = Scope { window, ..Scope::full(6) };
            agree(
                &inputs(15, 4, 2, 6),
                |t| causal_attention(&t[0], &t[1], &t[2], &segments, scope),
                |t| causal_attention_reference(&t[0], &t[1], &t[2], &segments, scope),
                2e-5,
            );
        }
    }

    #[test]
    fn sequences_longer_than_tiles_agree_in_both_types() {
        if !emulate::available() {
            return;
        }
        // Lengths around the sizes of fragments, tiles and blocks, an empty sequence, groups of one
        // and of three heads, and windows shorter than a fragment and longer than a block.
        for (lengths, heads, kv_heads, head_dim, window) in [
            (&[65usize, 0, 16, 33][..], 3, 1, 16, None),
            (&[130, 64], 1, 1, 64, None),
            (&[1, 47, 3], 2, 1, 128, None),
            (&[65, 0, 16, 33], 3, 1, 16, Some(7)),
            (&[200], 1, 1, 16, Some(2)),
            (&[200, 3], 1, 1, 16, Some(70)),
            (&[140], 1, 1, 64, Some(33)),
            (&[50, 3], 2, 1, 256, None),
            (&[50], 2, 1, 256, Some(20)),
        ] {
            let scope = Scope { window, ..Scope::full(head_dim) };
            let segments = Segments::from_lengths(lengths.iter().copied());
            let inputs = inputs(segments.tokens(), heads, kv_heads, head_dim);
            let emulated = |t: &[Tensor]| causal_attention(&t[0], &t[1], &t[2], &segments, scope);
            let reference =
                |t: &[Tensor]| causal_attention_reference(&t[0], &t[1], &t[2], &segments, scope);
            if head_dim < 128 {
                agree_without_differences(&inputs, emulated, reference, 2e-5);
            }
            agree_in_bf16(&inputs, emulated, reference);
        }
    }
}
