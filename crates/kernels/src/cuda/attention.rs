//! Causal attention over packed sequences; see [`crate::causal_attention`].

use super::super::{Scope, Segments, causal_attention_reference};
use super::attention_blocks::{BLOCK, Blocks};
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::node::node3;
use super::resident::resident;
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "attention",
    source: include_str!("attention.cu"),
    kernels: &[
        "attention_forward",
        "attention_delta",
        "attention_backward_queries",
        "attention_backward_keys",
        "attention_sum",
    ],
};

/// Threads of a block, which owns [`BLOCK`] queries or keys.
const THREADS: usize = 128;

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
    scope: Scope,
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
    if tokens == 0 {
        return q.reshape((0, heads * head_dim));
    }
    let kv_heads = k.dim(1)?;
    let sizes = Sizes { heads, kv_heads, head_dim, scope };
    let (q, k, v) = (aligned(q)?, aligned(k)?, aligned(v)?);
    let device = q.device();
    let blocks = resident(segments.shared_parts(), device, |parts| Blocks::new(parts, device))?;
    let lse = uninitialised((tokens, heads), DType::F32, device)?;
    let (lse_back, blocks_back) = (lse.clone(), blocks.clone());
    let out =
        node3([&q, &k, &v], (tokens, heads * head_dim), q.dtype(), move |inputs, out, grad| {
            backward(inputs, out, grad, &lse_back, &blocks_back, sizes)
        })?;
    let window = scope.window_or_largest();
    let arguments =
        arguments![&q, &k, &v, &blocks.queries, &out, &lse, heads, kv_heads, scope.scale(), window];
    launch(
        PROGRAM.of(q.dtype()).heads(head_dim, 0),
        "attention_forward",
        [heads, blocks.queries.dim(0)?],
        THREADS,
        arguments,
    )?;
    Ok(out)
}

fn backward(
    [q, k, v]: [&Tensor; 3],
    out: &Tensor,
    grad: &Tensor,
    lse: &Tensor,
    blocks: &Blocks,
    sizes: Sizes,
) -> Result<[Option<Tensor>; 3]> {
    let Sizes { heads, kv_heads, head_dim, scope } = sizes;
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
    let Blocks { queries, keys, runs, sums, slots } = blocks;
    let arguments =
        arguments![q, k, v, &grad, lse, &delta, queries, &dq, heads, kv_heads, scale, window];
    let grid = [heads, queries.dim(0)?];
    launch(program, "attention_backward_queries", grid, THREADS, arguments)?;
    // Memory for no numbers is none to point to.
    let partials = (slots * 2 * BLOCK * kv_heads * head_dim).max(1);
    let partials = uninitialised(partials, DType::F32, q.device())?;
    let arguments = arguments![
        q, k, v, &grad, lse, &delta, keys, runs, &dk, &dv, &partials, heads, kv_heads, scale,
        window
    ];
    let grid = [kv_heads, keys.dim(0)?];
    launch(program, "attention_backward_keys", grid, THREADS, arguments)?;
    if let Some(sums) = sums {
        let arguments = arguments![&partials, sums, &dk, &dv, kv_heads];
        launch(program, "attention_sum", [BLOCK, sums.dim(0)?], 256, arguments)?;
    }
    Ok([Some(dq), Some(dk), Some(dv)])
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16_of, agree_without_differences, random};
    use super::super::emulate;
    use super::*;

    /// The gradient by a query is P (dP - delta) K / sqrt(d), and delta is made of results that are
    /// rounded: each is off by 0.6 2^-9, so delta by that times sqrt(d). What is left of queries that
    /// see few keys is off by 0.002 then, for inputs of size 1, whatever its own size is, and one
    /// element of many by three times that.
    const CANCELLED: f32 = 0.3;

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
    fn branches_see_their_parent() {
        if !emulate::available() {
            return;
        }
        let parts = [(5, None), (3, Some(0)), (0, Some(0)), (2, None), (4, Some(3)), (1, Some(0))];
        let segments = Segments::branching(parts).unwrap();
        for window in [None, Some(1), Some(4)] {
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
    fn branches_agree_in_both_types_whatever_their_lengths() {
        if !emulate::available() {
            return;
        }
        // Parents within a tile, of a tile, and longer than a block; branches around the sizes of
        // fragments and blocks, apart from their parent, and so many that sums are in parts; an
        // empty parent.
        let short = [(13, None), (65, Some(0)), (0, Some(0)), (16, Some(0)), (1, Some(0))];
        let mixed = [(64, None), (3, None), (70, Some(0)), (5, Some(1)), (33, Some(0)), (0, None)];
        let long = [(131, None), (7, Some(0)), (66, Some(0)), (0, None), (9, Some(3))];
        let mut many = vec![(70, None)];
        many.extend((0..64).map(|i| (i % 5 * 17, Some(0))));
        for (parts, heads, kv_heads, head_dim, window) in [
            (&short[..], 3, 1, 16, None),
            (&short, 2, 1, 16, Some(20)),
            (&mixed, 2, 2, 64, None),
            (&mixed, 2, 1, 40, Some(68)),
            (&long, 2, 1, 128, None),
            (&long, 1, 1, 128, Some(100)),
            (&long, 2, 1, 256, Some(133)),
            (&many, 2, 1, 16, None),
            (&many, 1, 1, 16, Some(30)),
        ] {
            let scope = Scope { window, ..Scope::full(head_dim) };
            let segments = Segments::branching(parts.iter().copied()).unwrap();
            let inputs = inputs(segments.tokens(), heads, kv_heads, head_dim);
            let emulated = |t: &[Tensor]| causal_attention(&t[0], &t[1], &t[2], &segments, scope);
            let reference =
                |t: &[Tensor]| causal_attention_reference(&t[0], &t[1], &t[2], &segments, scope);
            if head_dim <= largest_head(DType::F32) {
                agree_without_differences(&inputs, emulated, reference, 2e-5);
            }
            agree_in_bf16_of(&inputs, emulated, reference, CANCELLED);
        }
    }

    #[test]
    fn the_queries_of_a_long_branch_are_in_several_parts() {
        if !emulate::available() {
            return;
        }
        let segments = Segments::branching([(30, None), (1100, Some(0)), (2, None)]).unwrap();
        let blocks = Blocks::new(segments.parts(), &candle_core::Device::Cpu).unwrap();
        assert_eq!(blocks.slots, 2);
        for window in [None, Some(1010)] {
            let scope = Scope { window, ..Scope::full(8) };
            agree_without_differences(
                &inputs(segments.tokens(), 1, 1, 8),
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
            agree_in_bf16_of(&inputs, emulated, reference, CANCELLED);
        }
    }
}
