//! Sentence encoders of the BERT type, such as all-MiniLM-L6-v2: the mean of the last hidden states over a text's tokens.
//!
//! The network is candle's own; here are its folder, its batches and its errors. Texts are cut at the model's maximum number of
//! positions. Weights and compute are `f32` whatever the policy's precision is.

use super::encoder::BATCH_TOKENS;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, HiddenAct, PositionEmbeddingType};
use serde::Deserialize;
use std::path::Path;
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationParams};

/// The files of an encoder's folder.
pub(crate) const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// A loaded encoder.
pub struct BertEncoder {
    network: BertModel,
    tokenizer: Tokenizer,
    /// Fills up the rows of a batch; never looked at.
    padding: u32,
    device: Device,
}

/// What is read of `config.json`.
#[derive(Deserialize)]
struct Shape {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    #[serde(default)]
    pad_token_id: Option<u32>,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

impl BertEncoder {
    /// Reads a Hugging Face folder with `config.json`, `tokenizer.json` and `model.safetensors`.
    ///
    /// Whatever is wrong with it is an input error that names the folder or file.
    pub fn read(folder: &Path, device: &Device) -> Result<Self> {
        if let Some(missing) = FILES.into_iter().find(|file| !folder.join(file).is_file()) {
            return Err(Error::input(format!(
                "the sentence encoder has no {missing}; give the folder of a BERT-type encoder with {} ({})",
                FILES.join(", "),
                folder.display()
            )));
        }
        let [config, tokenizer, weights] = FILES.map(|file| folder.join(file));
        let at = |path: &Path, what: String| Error::input(format!("{what} ({})", path.display()));
        let shape = Shape::read(&config).map_err(|what| at(&config, what))?;
        let codec = codec(&tokenizer, &shape).map_err(|what| at(&tokenizer, what))?;
        let network = network(&weights, &shape, device).map_err(|what| at(&weights, what))?;
        Ok(Self { network, tokenizer: codec, padding: shape.pad_token_id.unwrap_or(0), device: device.clone() })
    }

    /// The mean last hidden state of each text (texts, hidden), not yet of unit length.
    pub(super) fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let encodings = self
            .tokenizer
            .encode_batch(texts.to_vec(), true)
            .map_err(|e| Error::failed(format!("the sentence encoder cannot tokenise a response: {e}")))?;
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

/// How many of the next texts, of ascending `lengths`, make a batch: as many as keep to the limit when padded, at least one.
fn batch_rows(lengths: &[usize]) -> usize {
    let fits = lengths.iter().enumerate().take_while(|(rows, length)| **length * (rows + 1) <= BATCH_TOKENS);
    fits.count().max(1)
}

impl Shape {
    fn read(path: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|e| format!("cannot read the sentence encoder's shape: {e}"))?;
        let shape: Self = serde_json::from_str(&text)
            .map_err(|e| format!("the sentence encoder's shape is not valid, or not that of a BERT: {e}"))?;
        let refused = |what: &str, found: &str, possible: &str| {
            Err(format!("the sentence encoder's {what} is {found:?}; this program knows {possible}"))
        };
        if shape.model_type != "bert" {
            return refused("model_type", &shape.model_type, "\"bert\" (such as all-MiniLM-L6-v2)");
        }
        match shape.position_embedding_type.as_deref() {
            None | Some("absolute") => {}
            Some(other) => return refused("position_embedding_type", other, "\"absolute\""),
        }
        if shape.activation().is_none() {
            return refused(
                "hidden_act",
                &shape.hidden_act,
                "\"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\" and \"relu\"",
            );
        }
        if shape.num_attention_heads == 0 || !shape.hidden_size.is_multiple_of(shape.num_attention_heads) {
            let (hidden, heads) = (shape.hidden_size, shape.num_attention_heads);
            return Err(format!(
                "the sentence encoder's hidden_size {hidden} is no multiple of its {heads} attention heads"
            ));
        }
        Ok(shape)
    }

    /// Transformers' names of the exact GELU, of its approximation by tanh, and of the rectifier.
    fn activation(&self) -> Option<HiddenAct> {
        match self.hidden_act.as_str() {
            "gelu" => Some(HiddenAct::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(HiddenAct::GeluApproximate),
            "relu" => Some(HiddenAct::Relu),
            _ => None,
        }
    }
}

/// The tokenizer, cutting texts at the model's positions.
fn codec(path: &Path, shape: &Shape) -> Result<Tokenizer, String> {
    let mut codec =
        Tokenizer::from_file(path).map_err(|e| format!("the sentence encoder's tokenizer is not valid: {e}"))?;
    let needed = codec.get_vocab(true).into_values().max().map_or(0, |last| last as usize + 1);
    if needed > shape.vocab_size {
        return Err(format!(
            "the sentence encoder's tokenizer needs {needed} tokens, but its config.json has vocab_size {}; they do not belong together",
            shape.vocab_size
        ));
    }
    let special = codec.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
    let positions = shape.max_position_embeddings;
    if positions <= special {
        return Err(format!("the sentence encoder has {positions} positions, of which special tokens take {special}"));
    }
    // A folder's own settings of these are for other uses: all-MiniLM-L6-v2 cuts at 128 tokens and pads to them.
    codec
        .with_truncation(Some(TruncationParams { max_length: positions, ..TruncationParams::default() }))
        .map_err(|e| format!("the sentence encoder's tokenizer cannot cut texts: {e}"))?
        .with_padding(None);
    Ok(codec)
}

fn network(path: &Path, shape: &Shape, device: &Device) -> Result<BertModel, String> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)
        .map_err(|e| format!("cannot read the sentence encoder's weights: {e}"))?;
    let config = Config {
        vocab_size: shape.vocab_size,
        hidden_size: shape.hidden_size,
        num_hidden_layers: shape.num_hidden_layers,
        num_attention_heads: shape.num_attention_heads,
        intermediate_size: shape.intermediate_size,
        hidden_act: shape.activation().unwrap_or(HiddenAct::Gelu),
        max_position_embeddings: shape.max_position_embeddings,
        type_vocab_size: shape.type_vocab_size,
        layer_norm_eps: shape.layer_norm_eps,
        position_embedding_type: PositionEmbeddingType::Absolute,
        ..Config::default()
    };
    BertModel::load(VarBuilder::from_tensors(tensors, DType::F32, device), &config)
        .map_err(|e| format!("the sentence encoder's weights do not fit its config.json: {e}"))
}
