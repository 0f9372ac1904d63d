//! What a layer does to the joined products of new tokens; see [`crate::place_heads`] and
//! [`crate::gated_joined`].

use super::super::{Activation, HeadShaping, Heads, LayerCache};
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::resident::{indices, resident};
use candle_core::{DType, Result, Tensor};
use std::sync::Arc;

pub(super) static PROGRAM: Program = Program {
    name: "decode_layer",
    source: include_str!("decode_layer.cu"),
    kernels: &["place_heads", "swiglu_joined", "geglu_joined"],
};

/// Bytes of each half of a head, or of gates, that a thread works on at a time.
const BYTES: usize = 16;
const THREADS: usize = 128;

/// [`crate::place_heads`] on a GPU, of checked input.
pub(crate) fn place_heads(
    joined: &Tensor,
    dims: Heads,
    shaping: &HeadShaping,
    positions: &Arc<[u32]>,
    cache: &LayerCache,
    slot: usize,
) -> Result<Tensor> {
    let Heads { heads, kv_heads, head_dim } = dims;
    let joined = aligned(joined)?;
    let (rows, half) = (joined.dim(0)?, head_dim / 2);
    let (dtype, device) = (joined.dtype(), joined.device());
    let q = uninitialised((rows, heads, head_dim), dtype, device)?;
    // What is not there is not read.
    let nothing = |dtype| uninitialised(1, dtype, device);
    let weight = |norm: Option<&Tensor>| match norm {
        Some(weight) => Ok((aligned(weight)?, weight.elem_count())),
        None => Ok::<_, candle_core::Error>((nothing(dtype)?, 0)),
    };
    let ((q_norm, q_width), (k_norm, k_width)) = (weight(shaping.q_norm)?, weight(shaping.k_norm)?);
    let (table, table_positions) = match shaping.rotary {
        None => (nothing(DType::F32)?, 0),
        Some(rotary) => {
            let table = rotary.whole(positions.iter().copied().max().unwrap_or(0));
            let count = table.0.len() / half.max(1);
            let table = resident(table, device, |(cos, sin)| {
                Tensor::from_vec([cos.as_slice(), sin].concat(), (2, count, half), device)
            })?;
            (table, count)
        }
    };
    let positions = indices(positions, device)?;
    let [keys, values] = &cache.own;
    let slots = keys.dim(2)?;
    let lanes = half.div_ceil(BYTES / dtype.size_in_bytes()).next_power_of_two().min(32);
    let arguments = arguments![
        &joined,
        &q_norm,
        &k_norm,
        &table,
        &positions,
        &q,
        keys,
        values,
        rows,
        heads,
        kv_heads,
        half,
        lanes,
        q_width,
        k_width,
        shaping.eps as f32,
        shaping.offset,
        table_positions,
        slots,
        slot
    ];
    let blocks = (rows * (heads + 2 * kv_heads) * lanes).div_ceil(THREADS);
    launch(PROGRAM.of(dtype), "place_heads", [blocks, 1], THREADS, arguments)?;
    Ok(q)
}

/// [`crate::gated_joined`] on a GPU.
pub(crate) fn gated_joined(joined: &Tensor, activation: Activation) -> Result<Tensor> {
    let joined = aligned(joined)?;
    let (rows, width) = (joined.dim(0)?, joined.dim(1)? / 2);
    let y = uninitialised((rows, width), joined.dtype(), joined.device())?;
    let kernel = match activation {
        Activation::Silu => "swiglu_joined",
        Activation::GeluTanh => "geglu_joined",
    };
    let blocks = width.div_ceil(BYTES / joined.dtype().size_in_bytes()).div_ceil(THREADS);
    let arguments = arguments![&joined, &y, width];
    launch(PROGRAM.of(joined.dtype()), kernel, [blocks, rows], THREADS, arguments)?;
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{difference, random, rounded, values, within_bf16};
    use super::super::super::{Rotary, gated_joined as on_cpu, place_heads as placed_on_cpu};
    use super::super::emulate;
    use super::*;

    type Cast = fn(&Tensor) -> Tensor;

    /// Heads of even size, also ones whose halves are no whole packs; norms of a head, of all heads
    /// and none; layers that rotate and that do not.
    #[test]
    fn emulated_heads_are_placed_as_on_the_cpu() {
        if !emulate::available() {
            return;
        }
        for (dims, whole, rotates, offset) in [
            (Heads { heads: 4, kv_heads: 2, head_dim: 18 }, Some(false), true, 0.0),
            (Heads { heads: 3, kv_heads: 1, head_dim: 64 }, Some(true), true, 0.0),
            (Heads { heads: 5, kv_heads: 5, head_dim: 128 }, Some(false), true, 1.0),
            (Heads { heads: 2, kv_heads: 1, head_dim: 256 }, Some(false), false, 1.0),
            (Heads { heads: 2, kv_heads: 2, head_dim: 6 }, None, true, 0.0),
            (Heads { heads: 2, kv_heads: 1, head_dim: 600 }, None, false, 0.0),
        ] {
            let Heads { heads, kv_heads, head_dim } = dims;
            let (rows, slots, slot) = (7, 5, 3);
            let joined = random(&[rows, (heads + 2 * kv_heads) * head_dim], 1);
            let norm = |count: usize, seed| {
                whole.map(|whole| random(&[if whole { count } else { 1 } * head_dim], seed))
            };
            let norms = [norm(heads, 2), norm(kv_heads, 3)];
            let rotary = Rotary::new(head_dim, 64, 10_000.0);
            let positions: Arc<[u32]> = (0..rows as u32).map(|row| row * 9 % 60).collect();
            let own = || [4, 5].map(|seed| random(&[rows, kv_heads, slots, head_dim], seed));
            // In f32 and in bf16, and what is expected of the latter's values in f32.
            let same: Cast = Tensor::clone;
            let wide: Cast = |t| rounded(t).to_dtype(DType::F32).unwrap();
            let run = |cast: Cast, emulated: bool| {
                let none = cast(&random(&[1, kv_heads, head_dim], 6));
                let cache =
                    LayerCache { prompts: [none.clone(), none], own: own().map(|t| cast(&t)) };
                let norms = norms.each_ref().map(|norm| norm.as_ref().map(cast));
                let [q_norm, k_norm] = norms.each_ref().map(Option::as_ref);
                let rotary = rotates.then_some(&rotary);
                let shaping = HeadShaping { q_norm, k_norm, eps: 1e-6, offset, rotary };
                let joined = cast(&joined);
                let place = if emulated { place_heads } else { placed_on_cpu };
                let q = place(&joined, dims, &shaping, &positions, &cache, slot).unwrap();
                let [keys, values] = cache.own;
                [q, keys, values]
            };
            for (found, expected) in run(same, true).iter().zip(run(same, false)) {
                assert!(difference(found, &expected) < 1e-5, "{dims:?}");
            }
            for (found, expected) in run(rounded, true).iter().zip(run(wide, false)) {
                within_bf16(found, &expected);
            }
            let kept = |t: &Tensor| values(&t.narrow(2, 0, slot).unwrap().contiguous().unwrap());
            let [_, keys, _] = run(same, true);
            assert_eq!(kept(&keys), kept(&own()[0]), "another slot has changed");
        }
    }

    #[test]
    fn emulated_joined_activations_agree_with_the_cpu() {
        if !emulate::available() {
            return;
        }
        for width in [5, 131, 1096] {
            let joined = random(&[9, 2 * width], 1);
            for activation in [Activation::Silu, Activation::GeluTanh] {
                let found = gated_joined(&joined, activation).unwrap();
                let expected = on_cpu(&joined, activation).unwrap();
                assert!(difference(&found, &expected) < 1e-5);
                let half = rounded(&joined);
                let expected = on_cpu(&half.to_dtype(DType::F32).unwrap(), activation).unwrap();
                within_bf16(&gated_joined(&half, activation).unwrap(), &expected);
            }
        }
    }
}
