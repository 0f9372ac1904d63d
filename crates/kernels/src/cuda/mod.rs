//! Kernels for NVIDIA GPUs.
//!
//! Each operation stands in a CUDA source and a Rust file of one name. Sources are compiled when
//! they are first used, by NVRTC, for the tensors' type (`f32` or `bf16`; arithmetic is in `f32`)
//! and where it matters for the size of heads. The Rust side is written in terms of tensors and
//! [`launch`](launch::launch), and a launch does not care where tensors are: in tests they are on
//! the CPU, the sources are compiled as C++ and run by an emulator of blocks and warps, so that
//! kernels, launch geometry and order of arguments are all tested on machines without a GPU.
//!
//! Everything runs on one stream per device, so launches and copies take effect in the order in
//! which they are made.

mod attention;
mod attention_blocks;
mod decode_attention;
mod decode_layer;
mod finite;
mod gated;
#[cfg_attr(
    not(any(feature = "cuda", test)),
    allow(dead_code, unused_variables, reason = "without GPUs nothing is launched")
)]
mod launch;
mod linear;
mod nf4;
mod node;
mod one_pass_head;
mod optimizer;
#[cfg_attr(
    not(any(feature = "cuda", test)),
    allow(dead_code, reason = "without GPUs nothing is launched")
)]
mod program;
mod resident;
mod rms_norm;
mod rotary;
mod rows;
mod token_head;
mod truncated;

#[cfg(all(test, feature = "cuda"))]
mod compile_tests;
#[cfg(feature = "cuda")]
mod device;
#[cfg(not(feature = "cuda"))]
#[path = "no_device.rs"]
mod device;
#[cfg(test)]
mod emulate;

pub(super) use attention::causal_attention;
pub use attention::largest_head as largest_device_head;
pub(super) use decode_attention::grouped_attention;
pub(super) use decode_layer::{gated_joined, place_heads};
pub use device::{open, peak_memory, trim_memory, unused_memory, without_kernels};
pub use finite::first_not_finite;
pub(super) use gated::gated;
pub(super) use linear::linear;
pub(super) use nf4::nf4_dequantize;
pub use one_pass_head::{add_features, one_pass_head};
pub use optimizer::{Parameter, Rule, accumulate, adamw, squared_norms};
pub(super) use rms_norm::rms_norm;
pub(super) use rotary::rotary_embedding;
pub(crate) use rows::gather_rows;
pub(super) use token_head::token_logprob_entropy;
pub use truncated::truncated_draws;

use candle_core::{DType, Tensor};

/// Whether the kernels apply to all of `tensors`: on one GPU of compute capability 8.0 at least,
/// all `f32` or all `bf16`.
pub fn applies(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first() else { return false };
    matches!(first.dtype(), DType::F32 | DType::BF16)
        && tensors
            .iter()
            .all(|t| t.dtype() == first.dtype() && t.device().same_device(first.device()))
        && launch::has_kernels(first.device())
}
