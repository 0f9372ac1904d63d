//! `config.json` of a BERT.

use super::families::{HARMLESS, QUANTISED};
use super::fields::Fields;
use crate::error::Result;
use candle_transformers::models::bert::HiddenAct;
use serde_json::json;

/// The largest size that an encoder may have.
const LARGEST: usize = 1 << 24;

/// Fields that are read; those of training, which an encoder is not; and those of parts that a mean
/// of hidden states does not use.
const READ: [&str; 22] = [
    "architectures",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "directionality",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "tie_word_embeddings",
    "type_vocab_size",
    "vocab_size",
];

/// Classes whose body is a plain BERT.
const ARCHITECTURES: [&str; 3] = ["BertModel", "BertForMaskedLM", "BertForPreTraining"];

/// What is read of `config.json`.
pub(super) struct Shape {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) activation: HiddenAct,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) pad_token_id: u32,
}

impl Shape {
    /// Parses the text of a `config.json`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let fields = Fields::parse("the sentence encoder's config.json", text)?;
        let kind = fields.text("model_type")?.ok_or_else(|| fields.missing("model_type"))?;
        if kind != "bert" {
            return Err(fields
                .wrong("model_type", "this program knows \"bert\" (such as all-MiniLM-L6-v2)"));
        }
        check_fields(&fields)?;
        let count = |name: &str| match fields.count(name)? {
            None => Err(fields.missing(name)),
            Some(count) if !(1..=LARGEST).contains(&count) => {
                Err(fields.wrong(name, &format!("it must be from 1 to {LARGEST}")))
            }
            Some(count) => Ok(count),
        };
        let vocab_size = count("vocab_size")?;
        let pad_token_id = fields.count("pad_token_id")?.unwrap_or(0);
        if pad_token_id >= vocab_size {
            return Err(
                fields.wrong("pad_token_id", &format!("it must be below vocab_size, {vocab_size}"))
            );
        }
        let layer_norm_eps =
            fields.number("layer_norm_eps")?.ok_or_else(|| fields.missing("layer_norm_eps"))?;
        if layer_norm_eps < 0.0 || !(layer_norm_eps as f32).is_finite() {
            return Err(fields
                .wrong("layer_norm_eps", "it must not be negative, and be a number of 32 bits"));
        }
        let shape = Self {
            vocab_size,
            hidden_size: count("hidden_size")?,
            num_hidden_layers: count("num_hidden_layers")?,
            num_attention_heads: count("num_attention_heads")?,
            intermediate_size: count("intermediate_size")?,
            activation: activation(&fields)?,
            max_position_embeddings: count("max_position_embeddings")?,
            type_vocab_size: count("type_vocab_size")?,
            layer_norm_eps,
            pad_token_id: pad_token_id as u32,
        };
        if !shape.hidden_size.is_multiple_of(shape.num_attention_heads) {
            let heads = shape.num_attention_heads;
            return Err(fields.wrong(
                "hidden_size",
                &format!("that is not a multiple of the {heads} attention heads"),
            ));
        }
        Ok(shape)
    }
}

/// The function of that name in Transformers: the exact GELU, its approximation by tanh, or the
/// rectifier.
fn activation(fields: &Fields) -> Result<HiddenAct> {
    match fields.text("hidden_act")? {
        None | Some("gelu") => Ok(HiddenAct::Gelu),
        Some("gelu_new" | "gelu_pytorch_tanh") => Ok(HiddenAct::GeluApproximate),
        Some("relu") => Ok(HiddenAct::Relu),
        Some(_) => {
            let known = r#"this program knows "gelu", "gelu_new", "gelu_pytorch_tanh" and "relu""#;
            Err(fields.wrong("hidden_act", known))
        }
    }
}

/// Refuses what this program does not do, as [`super::families`] does for language models.
fn check_fields(fields: &Fields) -> Result<()> {
    if fields.get("quantization_config").is_some() {
        return Err(fields.wrong("quantization_config", QUANTISED));
    }
    let classes = fields.list(
        "architectures",
        |name| name.as_str().map(str::to_string),
        "it must be a list of names",
    )?;
    if classes.unwrap_or_default().iter().any(|name| !ARCHITECTURES.contains(&name.as_str())) {
        return Err(fields.wrong(
            "architectures",
            "of BERT's classes BertModel, BertForMaskedLM and BertForPreTraining are known",
        ));
    }
    let defaults = [
        ("position_embedding_type", json!("absolute")),
        ("is_decoder", json!(false)),
        ("add_cross_attention", json!(false)),
        ("is_encoder_decoder", json!(false)),
    ];
    let right = "what that changes is not known here, so the encoder is refused; take the field \
                 out if it changes nothing";
    fields.only(&defaults, READ.into_iter().chain(HARMLESS.split_whitespace()), right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let config = |name: &str, value: serde_json::Value| {
            let mut fields = json!({"model_type": "bert", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1,
                "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": 2,
                "layer_norm_eps": 1e-12, "pad_token_id": 7});
            fields[name] = value;
            fields.to_string()
        };
        assert_eq!(Shape::parse(&config("hidden_act", json!("relu"))).unwrap().pad_token_id, 7);
        for (name, value, words) in [
            (
                "pad_token_id",
                json!(4_294_967_296_u64),
                "pad_token_id is 4294967296; it must be below vocab_size, 8",
            ),
            ("pad_token_id", json!(8), "pad_token_id is 8; it must be below vocab_size, 8"),
            ("layer_norm_eps", json!(-1e-12), "layer_norm_eps is -1e-12; it must not be negative"),
            ("layer_norm_eps", json!(1e300), "it must not be negative, and be a number of 32 bits"),
        ] {
            let error = Shape::parse(&config(name, value)).err().unwrap();
            assert!(error.exit_status() == 2 && error.to_string().contains(words), "{error}");
        }
    }
}
