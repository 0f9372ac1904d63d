//! Differentiable operations that candle lacks or cuts gradients in.
//!
//! Each file holds one operation twice: a `reference` version made of plain candle operations,
//! which works on every device and type and is differentiated by candle itself, and a fused CPU
//! version for `f32` with its own backward pass, run over rows by rayon and vectorised by the
//! compiler for the processor at hand ([`multiversion`]). A third version, for NVIDIA GPUs, stands
//! in `cuda`. The public function picks the version that applies. Tests hold all against each
//! other, forward and backward.
//!
//! Sequences are *packed*: the tokens of all sequences stand one after another along the first
//! dimension, without padding, and [`Segments`] says where each begins, and which continue another.

#[cfg(test)]
mod agreement;
mod attend;
mod attention;
mod bias;
mod buffers;
#[doc(hidden)]
pub mod check;
mod cuda;
mod custom_gradient;
mod decode_attention;
mod decoder_layer;
mod gated;
mod gather;
mod grouped_attention;
mod half;
mod joined;
pub mod lanes;
mod layer_parts;
mod layer_record;
mod layer_weight;
mod linear;
mod linear_parts;
mod matmul;
mod nf4;
mod nf4_blocks;
mod one_pass_head;
mod rms_norm;
mod rotary;
mod scope;
mod segments;
mod simd;
mod squares;
mod storage;
mod subnormals;
mod tiles;
mod token_head;
mod truncated;

pub use attention::{causal_attention, causal_attention_reference};
pub use bias::{add_bias, add_bias_reference};
pub use buffers::{Buffers, zeros};
pub use cuda::{
    Parameter, Rule, accumulate, adamw, add_features, applies as on_gpu,
    first_not_finite as first_not_finite_on_gpu, largest_device_head,
    one_pass_head as one_pass_head_on_gpu, open as open_cuda, peak_memory as peak_gpu_memory,
    squared_norms, trim_memory as trim_gpu_memory, truncated_draws as truncated_draws_on_gpu,
    unused_memory as unused_gpu_memory, without_kernels,
};
pub use decode_attention::{Heads, PAGE, Page, paged_attention};
pub use decoder_layer::{LayerShape, Saved};
pub use gated::{Activation, gated, gated_reference};
pub use gather::gather_rows;
pub use grouped_attention::{LayerCache, PromptGroups, grouped_attention};
pub use joined::{HeadShaping, gated_joined, place_heads};
pub use lanes::thin_linear;
pub use layer_parts::LayerParts;
pub use layer_record::{RecordLayout, RecordPart};
pub use layer_weight::{LayerWeight, LowRank, WeightSums, scale_elements};
pub use linear::{linear, linear_reference};
pub use linear_parts::linear_parts;
pub use nf4::{Nf4, nf4_linear};
pub use one_pass_head::{HeadDraws, TILE, Uniforms, one_pass_head, one_pass_head_reference, place};
pub use rms_norm::{
    add_norm_backward, norm, offset_rms_norm, rms_norm, rms_norm_reference, shifted,
};
pub use rotary::{Rotary, rotary_embedding, rotary_embedding_reference};
pub use scope::Scope;
pub use segments::{Segment, Segments};
pub use squares::squared_norm;
pub use storage::{Elements, fused, into_elements, slice, slice_mut, with_slices};
pub use subnormals::flush_subnormals;
pub use token_head::{
    TokenHead, TokenStatistics, rows_per_device_slice, rows_per_slice, softmax_entropy,
    token_logprob_entropy, token_logprob_entropy_reference, token_statistics,
};
pub use truncated::{Candidates, Truncation, candidates};
