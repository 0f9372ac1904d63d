//! Language models: decoders of several families, trainable and with cached decoding, their weights
//! and tokenizers; sentence encoders.

mod adapter;
mod adapter_files;
mod adapter_targets;
mod bert;
mod bert_shape;
mod bundled;
mod codec;
mod decoder;
mod device;
mod encoder;
mod families;
mod fields;
mod files;
mod frozen_network;
mod gradient_products;
mod gradient_sum;
pub mod hub;
mod initial;
mod language_model;
mod pooling;
mod quantised;
mod responses;
mod sampler;
mod settings;
mod tokenizer;
mod tokenizer_growth;
mod tokenizer_settings;

pub use adapter::LoraAdapter;
pub(crate) use adapter::parameters as adapter_parameters;
pub use bert::BertEncoder;
pub(crate) use bert::FILES as ENCODER_FILES;
pub use bundled::names as bundled_models;
pub use decoder::{
    Decoder, DecoderSpec, LayerInputs, NormPlacement, PackedTokens, QkNorm, RopeScaling,
    SamplingMemory, Sliding, Trace,
};
pub use device::{data_type, open_device};
pub use encoder::{Embed, Passage, PolicyEncoder, SentenceEncoder};
pub use families::Family;
pub use files::ModelFiles;
pub use frozen_network::FrozenNetwork;
pub use gradient_products::{GRADIENT_MEMORY, GradientForm, GradientProducts, ParameterBlock};
pub(crate) use gradient_sum::BACKWARD_STACK;
pub use gradient_sum::{ForwardPass, GradientSum};
pub use language_model::LanguageModel;
pub(crate) use pooling::LIMITS as ENCODER_LIMITS;
pub use responses::{ResponseBatch, micro_batches, response_micro_batches};
pub use sampler::{Completion, PromptRequest, Recording, Sampling, StreamKey};
pub use tokenizer::{END_OF_TEXT, TextTokenizer};
