//! Log-probability and entropy of given tokens; see [`crate::token_logprob_entropy`].
//!
//! Logits exist for a slice of tokens at a time, in `f32` whatever the type of the weights.
//! Backward computes them again, turns them into their gradient in the type of the weights, and
//! multiplies on.

use super::launch::{Program, aligned, arguments, launch, multiply, uninitialised};
use super::node::node2;
use super::resident::indices;
use candle_core::{DType, Result, Tensor};
use std::sync::Arc;

pub(super) static PROGRAM: Program = Program {
    name: "token_head",
    source: include_str!("token_head.cu"),
    kernels: &["token_head_forward", "token_head_backward"],
};

/// Most logits that exist at a time: 256 MiB, and half of that for their gradient in `bf16`.
const SLICE_LOGITS: usize = 1 << 26;

const THREADS: usize = 256;

/// [`crate::token_logprob_entropy`] on a GPU, of checked input.
pub(crate) fn token_logprob_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Arc<[u32]>,
    temperature: f64,
) -> Result<Tensor> {
    sliced(hidden, head, targets, temperature, (SLICE_LOGITS / head.dim(0)?.max(1)).clamp(1, 8192))
}

fn sliced(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Arc<[u32]>,
    temperature: f64,
    rows: usize,
) -> Result<Tensor> {
    let inverse_temperature = (1.0 / temperature) as f32;
    let (hidden, head) = (aligned(hidden)?, aligned(head)?);
    let targets = indices(targets, hidden.device())?;
    let slices = Slices { targets, inverse_temperature, rows };
    let back = slices.clone();
    let shape = (hidden.dim(0)?, 2);
    let out = node2([&hidden, &head], shape, DType::F32, move |inputs, out, grad| {
        back.backward(inputs, out, grad)
    })?;
    slices.forward(&hidden.detach(), &head.detach(), &out.detach())?;
    Ok(out)
}

#[derive(Clone)]
struct Slices {
    targets: Tensor,
    inverse_temperature: f32,
    /// Tokens of a slice.
    rows: usize,
}

impl Slices {
    /// Calls `f` with the hidden states, the logits and the targets of each slice, and the slice's
    /// first token.
    fn each(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        mut f: impl FnMut(&Tensor, &Tensor, &Tensor, usize) -> Result<()>,
    ) -> Result<()> {
        let (n, vocabulary) = (hidden.dim(0)?, head.dim(0)?);
        let logits = uninitialised((self.rows.min(n), vocabulary), DType::F32, hidden.device())?;
        for first in (0..n).step_by(self.rows) {
            let count = self.rows.min(n - first);
            let (hidden, logits) = (hidden.narrow(0, first, count)?, logits.narrow(0, 0, count)?);
            multiply(&logits, &hidden, &head.t()?, false)?;
            f(&hidden, &logits, &self.targets.narrow(0, first, count)?, first)?;
        }
        Ok(())
    }

    fn forward(&self, hidden: &Tensor, head: &Tensor, out: &Tensor) -> Result<()> {
        self.each(hidden, head, |hidden, logits, targets, first| {
            let (count, vocabulary) = logits.dims2()?;
            let out = out.narrow(0, first, count)?;
            let arguments = arguments![logits, targets, &out, vocabulary, self.inverse_temperature];
            launch(PROGRAM.of(hidden.dtype()), "token_head_forward", [count, 1], THREADS, arguments)
        })
    }

    fn backward(
        &self,
        [hidden, head]: [&Tensor; 2],
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 2]> {
        let wants_head = head.track_op();
        let (hidden, head, out, grad) =
            (hidden.detach(), head.detach(), out.detach(), grad.contiguous()?);
        let (dtype, device) = (hidden.dtype(), hidden.device());
        let mut parts = Vec::new();
        let dw =
            if wants_head { Some(uninitialised(head.shape(), DType::F32, device)?) } else { None };
        let d_logits = uninitialised((self.rows.min(hidden.dim(0)?), head.dim(0)?), dtype, device)?;
        self.each(&hidden, &head, |hidden, logits, targets, first| {
            let (count, vocabulary) = logits.dims2()?;
            let (out, grad) = (out.narrow(0, first, count)?, grad.narrow(0, first, count)?);
            let d_logits = d_logits.narrow(0, 0, count)?;
            let arguments = arguments![
                logits,
                targets,
                &out,
                &grad,
                &d_logits,
                vocabulary,
                self.inverse_temperature
            ];
            launch(PROGRAM.of(dtype), "token_head_backward", [count, 1], THREADS, arguments)?;
            parts.push(d_logits.matmul(&head)?);
            if let Some(dw) = &dw {
                multiply(dw, &d_logits.t()?, hidden, first > 0)?;
            }
            Ok(())
        })?;
        let dw = match dw {
            // Without any token, nothing was written.
            Some(dw) if parts.is_empty() => Some(dw.zeros_like()?.to_dtype(dtype)?),
            Some(dw) => Some(dw.to_dtype(dtype)?),
            None => None,
        };
        let dh = if parts.is_empty() { hidden.zeros_like()? } else { Tensor::cat(&parts, 0)? };
        Ok([Some(dh), dw])
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{agree, agree_in_bf16, random};
    use super::super::super::token_logprob_entropy_reference;
    use super::super::emulate;
    use super::*;

    #[test]
    fn emulated_token_head_agrees_with_the_reference_forward_and_backward() {
        if !emulate::available() {
            return;
        }
        let targets: Arc<[u32]> = [3, 0, 18, 7, 7].into();
        for (vocabulary, temperature) in [(19, 0.7), (300, 1.0)] {
            // Slices of two tokens, the last with one.
            let inputs = [random(&[5, 6], 1), random(&[vocabulary, 6], 2)];
            let emulated = |t: &[Tensor]| sliced(&t[0], &t[1], &targets, temperature, 2);
            let reference =
                |t: &[Tensor]| token_logprob_entropy_reference(&t[0], &t[1], &targets, temperature);
            agree(&inputs, emulated, reference, 2e-5);
            agree_in_bf16(&inputs, emulated, reference);
        }
    }
}
