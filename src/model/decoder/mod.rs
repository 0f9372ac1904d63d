//! A decoder: what it is made of ([`DecoderSpec`]), and the network, which trains and decodes.
//!
//! | File | What |
//! |---|---|
//! | `spec` | sizes, and what distinguishes one family of decoders from another |
//! | `parts` | the parameters by name, shape and role: one list |
//! | `weight` | a parameter with what an adapter adds to it |
//! | `layer`, `network` | the forward pass from single operations, differentiable, on every device |
//! | `joined` | products of one input as one |
//! | `fused`, `recompute` | the same without a graph on the CPU, and with one graph a layer |
//! | `cache`, `paged` | cached decoding from single operations, and in blocks of rows on the CPU |
//! | `memory` | what sampling works in, step after step |
//! | `trace` | what decoding keeps for a backward pass without another forward pass |

mod cache;
mod fused;
mod joined;
mod layer;
mod memory;
mod network;
mod packed;
mod paged;
mod parts;
mod recompute;
mod rope;
mod spec;
mod trace;
mod weight;

pub(super) use fused::{FusedBackward, LayerSums};
pub use memory::SamplingMemory;
pub use network::Decoder;
pub use packed::PackedTokens;
pub(super) use parts::{EMBEDDINGS, HEAD, LAYERS, Part, Role};
pub use recompute::LayerInputs;
pub(super) use rope::Rope;
pub use rope::RopeScaling;
pub use spec::{DecoderSpec, NormPlacement, QkNorm, Sliding};
pub use trace::Trace;
pub(super) use trace::{Drawn, TraceRecords, Tracing};
pub(super) use weight::LowRank;
