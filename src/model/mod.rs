//! Language models: Qwen3, trainable and with cached decoding, its weights and its tokenizer; sentence encoders.

mod bert;
mod bundled;
mod config;
mod decoder;
mod device;
mod encoder;
mod finite;
mod gradient_products;
mod gradient_sum;
pub mod hub;
mod language_model;
mod qwen3;
mod responses;
mod sampler;
mod tokenizer;
mod weights;

pub use bert::BertEncoder;
pub(crate) use bert::FILES as ENCODER_FILES;
pub use bundled::names as bundled_models;
pub use config::Qwen3Config;
pub use decoder::Cache;
pub use device::{data_type, open_device};
pub use encoder::{Passage, PolicyEncoder, SentenceEncoder};
pub use finite::first_not_finite;
pub use gradient_products::{GRADIENT_MEMORY, GradientForm, GradientProducts, ParameterBlock};
pub use gradient_sum::{ForwardPass, GradientSum};
pub use language_model::LanguageModel;
pub use qwen3::{PackedTokens, Qwen3};
pub use responses::{ResponseBatch, micro_batches, response_micro_batches};
pub use sampler::{Completion, PromptRequest, Sampling, StreamKey};
pub use tokenizer::{END_OF_TEXT, TextTokenizer};
pub use weights::Weights;
pub(crate) use weights::hexadecimal;
