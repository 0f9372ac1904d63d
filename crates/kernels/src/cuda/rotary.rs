//! Rotary position embedding; see [`crate::rotary_embedding`].

use super::super::Rotary;
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::node::node1;
use super::resident::{indices, resident};
use candle_core::{Result, Tensor};
use std::sync::Arc;

pub(super) static PROGRAM: Program =
    Program { name: "rotary", source: include_str!("rotary.cu"), kernels: &["rotary_turn"] };

/// Elements that a thread turns: 16 bytes of each half of a head.
const BYTES: usize = 16;

/// [`crate::rotary_embedding`] on a GPU, of checked input.
pub(crate) fn rotary_embedding(
    x: &Tensor,
    positions: &Arc<[u32]>,
    rotary: &Rotary,
) -> Result<Tensor> {
    let x = aligned(x)?;
    let (rotary_back, positions_back) = (rotary.clone(), positions.clone());
    let y = node1(&x, x.shape(), x.dtype(), move |[x], _, grad| {
        let dx = uninitialised(x.shape(), x.dtype(), x.device())?;
        turn(&aligned(grad)?, &dx, &positions_back, &rotary_back, -1.0)?;
        Ok([Some(dx)])
    })?;
    turn(&x, &y, positions, rotary, 1.0)?;
    Ok(y)
}

fn turn(x: &Tensor, y: &Tensor, positions: &Arc<[u32]>, rotary: &Rotary, sign: f32) -> Result<()> {
    let (tokens, heads, head_dim) = x.dims3()?;
    let (half, device) = (head_dim / 2, x.device());
    let table = rotary.whole(positions.iter().copied().max().unwrap_or(0));
    let rows = table.0.len() / half.max(1);
    let table = resident(table, device, |(cos, sin)| {
        Tensor::from_vec([cos.as_slice(), sin].concat(), (2, rows, half), device)
    })?;
    let positions = indices(positions, device)?;
    let threads = tokens * heads * half.div_ceil(BYTES / x.dtype().size_in_bytes());
    let arguments = arguments![x, &table, &positions, y, tokens, heads, half, rows, sign];
    launch(PROGRAM.of(x.dtype()), "rotary_turn", [threads.div_ceil(256), 1], 256, arguments)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16, random};
    use super::super::super::rotary_embedding_reference;
    use super::super::emulate;
    use super::*;

    #[test]
    fn emulated_rotary_embedding_agrees_with_the_reference_forward_and_backward() {
        if !emulate::available() {
            return;
        }
        for head_dim in [6, 32] {
            let rotary = Rotary::new(head_dim, 32, 10_000.0);
            let positions: Arc<[u32]> = (0..19u32).map(|i| i * 5 % 31).collect();
            let inputs = [random(&[19, 3, head_dim], 1)];
            let reference = |t: &[Tensor]| rotary_embedding_reference(&t[0], &positions, &rotary);
            agree(&inputs, |t| rotary_embedding(&t[0], &positions, &rotary), reference, 1e-5);
            agree_in_bf16(&inputs, |t| rotary_embedding(&t[0], &positions, &rotary), reference);
        }
    }
}
