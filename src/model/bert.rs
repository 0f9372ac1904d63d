//! Sentence encoders of the BERT type, such as all-MiniLM-L6-v2: the mean of the last hidden states
//! over a text's tokens.
//!
//! The network is candle's own; here are its folder, its batches and its errors. Texts are cut at
//! the model's maximum number of positions, or at the `max_seq_length` of its
//! `sentence_bert_config.json`. Weights and compute are `f32` whatever the policy's precision is.

use super::bert_shape::Shape;
use super::codec::Codec;
use super::pooling::{self, Limits};
use crate::error::{Error, Result};
use crate::files::{TOKENIZER_BYTES, folder};
use crate::weights::TensorFiles;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, PositionEmbeddingType};
use rayon::prelude::*;
use std::path::Path;
use tokenizers::Encoding;

/// The files of an encoder's folder.
pub(crate) const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Most tokens, prompts and padding included, of one forward pass of an encoder. Decides memory, not results.
pub(super) const BATCH_TOKENS: usize = 4096;

/// A loaded encoder.
pub struct BertEncoder {
    network: BertModel,
    tokenizer: Codec,
    /// Fills up the rows of a batch; never looked at.
    padding: u32,
    device: Device,
}

impl BertEncoder {
    /// Reads a Hugging Face folder with `config.json`, `tokenizer.json` and `model.safetensors`.
    ///
    /// Whatever is wrong with it is an input error that names the folder or file.
    pub fn read(folder: &Path, device: &Device) -> Result<Self> {
        for file in FILES {
            if folder::member(folder, file)?.is_none() {
                return Err(Error::input(format!(
                    "the sentence encoder has no {file}; give the folder of a BERT-type encoder \
                     with {} ({})",
                    FILES.join(", "),
                    folder.display()
                )));
            }
        }
        let limits = pooling::read(folder)?;
        let [config, tokenizer, weights] = FILES.map(|file| folder.join(file));
        let at = |path: &Path, what: String| Error::input(format!("{what} ({})", path.display()));
        let text = folder::text(folder, FILES[0])?.unwrap_or_default();
        let shape = Shape::parse(&text).map_err(|error| at(&config, error.to_string()))?;
        let bytes = folder::bytes(folder, FILES[1], TOKENIZER_BYTES)?.unwrap_or_default();
        let codec = codec(bytes, &shape, &limits).map_err(|what| at(&tokenizer, what))?;
        let network = network(&weights, &shape, device)?;
        Ok(Self { network, tokenizer: codec, padding: shape.pad_token_id, device: device.clone() })
    }

    /// The mean last hidden state of each text (texts, hidden), not yet of unit length.
    pub(super) fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let encode = |text: &&str| {
            let failed = |why| {
                Error::failed(format!("the sentence encoder cannot tokenise a response: {why}"))
            };
            self.tokenizer.encode(text, true).map_err(failed)
        };
        let encodings = texts.par_iter().map(encode).collect::<Result<Vec<_>>>()?;
        // Texts of like length share a batch, so that there is little padding.
        let mut order: Vec<usize> = (0..encodings.len()).collect();
        order.sort_by_key(|&text| encodings[text].len());
        let lengths: Vec<usize> = order.iter().map(|&text| encodings[text].len()).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut done = 0;
        while done < order.len() {
            let batch = &order[done..done + batch_rows(&lengths[done..])];
            let rows: Vec<&Encoding> = batch.iter().map(|&text| &encodings[text]).collect();
            for (&text, vector) in batch.iter().zip(self.forward(&rows)?) {
                vectors[text] = vector;
            }
            done += batch.len();
        }
        Ok(vectors)
    }

    /// One batch, padded to its longest row.
    fn forward(&self, batch: &[&Encoding]) -> Result<Vec<Vec<f32>>> {
        let shape = (batch.len(), batch.iter().map(|encoding| encoding.len()).max().unwrap_or(0));
        let matrix = |values: fn(&Encoding) -> &[u32], fill: u32| {
            let padded = |encoding: &&Encoding| {
                let values = values(encoding).to_vec();
                let missing = shape.1 - values.len();
                values.into_iter().chain(std::iter::repeat_n(fill, missing))
            };
            Tensor::from_vec(batch.iter().flat_map(padded).collect(), shape, &self.device)
        };
        let ids = matrix(Encoding::get_ids, self.padding)?;
        let types = matrix(Encoding::get_type_ids, 0)?;
        let mask = matrix(Encoding::get_attention_mask, 0)?; // (rows, length)
        let hidden = self.network.forward(&ids, &types, Some(&mask))?; // (rows, length, hidden)
        let mask = mask.to_dtype(DType::F32)?;
        let sums = hidden.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?; // (rows, hidden)
        Ok(sums.broadcast_div(&mask.sum_keepdim(1)?)?.to_vec2()?)
    }
}

/// How many of the next texts, of ascending `lengths`, make a batch: as many as keep to the limit
/// when padded, at least one.
fn batch_rows(lengths: &[usize]) -> usize {
    let fits = lengths
        .iter()
        .enumerate()
        .take_while(|(rows, length)| **length * (rows + 1) <= BATCH_TOKENS);
    fits.count().max(1)
}

/// The tokenizer, cutting texts at the model's positions, or before.
fn codec(bytes: Vec<u8>, shape: &Shape, limits: &Limits) -> Result<Codec, String> {
    let invalid = |why: String| format!("the sentence encoder's tokenizer is not valid: {why}");
    let (codec, _) = Codec::parse(bytes).map_err(invalid)?;
    let needed = codec.vocabulary();
    if needed > shape.vocab_size {
        return Err(format!(
            "the sentence encoder's tokenizer needs {needed} tokens, but its config.json has \
             vocab_size {}; they do not belong together",
            shape.vocab_size
        ));
    }
    if limits.lowers && !codec.counterparts().lowers {
        return Err(
            "the sentence encoder's sentence_bert_config.json has do_lower_case true, but no \
             normalizer of its tokenizer makes capital letters small; give the tokenizer one"
                .to_string(),
        );
    }
    let positions = shape.max_position_embeddings;
    codec.cut_at(limits.tokens.map_or(positions, |tokens| tokens.min(positions))).map_err(invalid)
}

fn network(path: &Path, shape: &Shape, device: &Device) -> Result<BertModel> {
    let tensors = TensorFiles::open_file(path.to_path_buf())?.read_all(device)?;
    let config = Config {
        vocab_size: shape.vocab_size,
        hidden_size: shape.hidden_size,
        num_hidden_layers: shape.num_hidden_layers,
        num_attention_heads: shape.num_attention_heads,
        intermediate_size: shape.intermediate_size,
        hidden_act: shape.activation,
        max_position_embeddings: shape.max_position_embeddings,
        type_vocab_size: shape.type_vocab_size,
        layer_norm_eps: shape.layer_norm_eps,
        position_embedding_type: PositionEmbeddingType::Absolute,
        ..Config::default()
    };
    BertModel::load(VarBuilder::from_tensors(tensors, DType::F32, device), &config).map_err(
        |error| {
            let what = "the sentence encoder's weights do not fit its config.json";
            Error::input(format!("{what}: {error} ({})", path.display()))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_the_limit_of_the_folder() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert_tiny");
        let folder = tempfile::tempdir().unwrap();
        for file in FILES {
            std::fs::copy(fixture.join(file), folder.path().join(file)).unwrap();
        }
        let read = |limits: &str| {
            std::fs::write(folder.path().join("sentence_bert_config.json"), limits).unwrap();
            BertEncoder::read(folder.path(), &Device::Cpu)
        };
        let tokens = |limits: &str| {
            read(limits).unwrap().tokenizer.encode(&"a b ".repeat(400), true).unwrap().len()
        };
        let positions = tokens("{}");
        assert_eq!((tokens(r#"{"max_seq_length": 5}"#), positions > 5), (5, true));
        assert_eq!(tokens(r#"{"max_seq_length": 100000}"#), positions);
        assert!(
            read(r#"{"max_seq_length": 0}"#).err().unwrap().to_string().contains("of 0 positions")
        );
    }
}
