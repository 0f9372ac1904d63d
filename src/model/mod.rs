//! Language models: Qwen3, trainable and with cached decoding, its weights and its tokenizer.

mod config;
mod decoder;
mod qwen3;
mod sampler;
mod tokenizer;
mod weights;

pub use config::Qwen3Config;
pub use decoder::Cache;
pub use qwen3::{PackedTokens, Qwen3};
pub use sampler::{Completion, PromptRequest, Sampling, StreamKey};
pub use tokenizer::{END_OF_TEXT, TextTokenizer};
pub use weights::Weights;
