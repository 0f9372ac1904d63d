//! What `config.json` says in the same words in all families: sizes, rotary positions, tokens.

use super::config_fields::activation_name;
use super::family::Family;
use crate::error::Result;
use crate::model::decoder::{DecoderSpec, Rope, RopeScaling};
use crate::model::fields::Fields;
use candle_core::DType;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Names of attention without a window; the second is an older one.
const FULL: [&str; 2] = ["full_attention", "attention"];

/// Reads what all families have.
pub(super) fn read(fields: &Fields, family: &'static Family) -> Result<DecoderSpec> {
    let silent = &family.silent;
    let count = |name: &str| fields.count(name)?.ok_or_else(|| fields.missing(name));
    let (hidden_size, num_attention_heads) = (count("hidden_size")?, count("num_attention_heads")?);
    let num_key_value_heads = match fields.count("num_key_value_heads")? {
        Some(heads) => heads,
        // To Transformers a field that is left out is not one that is null.
        None if fields.has("num_key_value_heads") => num_attention_heads,
        None => silent.kv_heads.unwrap_or(num_attention_heads),
    };
    let head_dim = match fields.count("head_dim")?.or(silent.head_dim) {
        Some(size) => size,
        None if hidden_size.checked_rem(num_attention_heads) == Some(0) => {
            hidden_size / num_attention_heads
        }
        None => {
            let right = "without head_dim it must be divisible by num_attention_heads";
            return Err(fields.wrong("hidden_size", right));
        }
    };
    let vocab_size = count("vocab_size")?;
    let positions = fields.count("max_position_embeddings")?.unwrap_or(silent.positions);
    let read = if family.has_own_sliding_rope { Rope::read_of_full } else { Rope::read };
    let Rope { theta, scaling } = read(fields, positions, silent.theta)?;
    let scaled = scaling.as_ref().and_then(RopeScaling::positions).unwrap_or(0);
    let mut eos_token_ids = token_ids(fields, "eos_token_id", vocab_size)?;
    if !fields.has("eos_token_id") {
        eos_token_ids.extend(silent.end.filter(|end| (*end as usize) < vocab_size));
    }

    Ok(DecoderSpec {
        vocab_size,
        hidden_size,
        intermediate_size: count("intermediate_size")?,
        num_hidden_layers: count("num_hidden_layers")?,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        max_position_embeddings: positions.max(scaled),
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(silent.eps),
        rope_theta: theta,
        rope_scaling: scaling,
        tie_word_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(silent.tied),
        eos_token_ids,
        ..family.blank()
    })
}

/// Refuses layers with windows.
pub(super) fn check_full_attention(fields: &Fields, layers: usize) -> Result<()> {
    let name = |kind: &Value| kind.as_str().map(str::to_string);
    let kinds = fields.list("layer_types", name, "it must be a list of names")?;
    let is_full = |kinds: &Vec<String>| {
        kinds.len() == layers && kinds.iter().all(|kind| FULL.contains(&kind.as_str()))
    };
    match kinds {
        Some(kinds) if !is_full(&kinds) => {
            let right =
                format!("only \"full_attention\" in each of the {layers} layers is supported");
            Err(fields.wrong("layer_types", &right))
        }
        _ => Ok(()),
    }
}

/// The numbers of tokens that a field holds, one or a list of them, each once.
pub(in crate::model) fn token_ids(
    fields: &Fields,
    name: &str,
    vocabulary: usize,
) -> Result<Vec<u32>> {
    let id =
        |value: &Value| value.as_u64().filter(|id| *id < vocabulary as u64).map(|id| id as u32);
    let most = vocabulary.saturating_sub(1);
    let right = format!("each must be the number of a token, from 0 to {most}");
    let mut seen = BTreeSet::new();
    let ids = fields.list(name, id, &right)?.unwrap_or_default();
    Ok(ids.into_iter().filter(|id| seen.insert(*id)).collect())
}

/// The fields of all families, and `own` ones: kind and class first, then by name.
pub(super) fn write(
    spec: &DecoderSpec,
    dtype: DType,
    own: Vec<(&'static str, Value)>,
) -> Map<String, Value> {
    let dtype = match dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    };
    let mut fields = vec![
        ("attention_dropout", json!(0.0)),
        ("eos_token_id", json!(spec.eos_token_ids.first())),
        ("head_dim", json!(spec.head_dim)),
        (spec.family.gate_field, json!(activation_name(spec.activation))),
        ("hidden_size", json!(spec.hidden_size)),
        ("initializer_range", json!(0.02)),
        ("intermediate_size", json!(spec.intermediate_size)),
        ("max_position_embeddings", json!(spec.max_position_embeddings)),
        ("num_attention_heads", json!(spec.num_attention_heads)),
        ("num_hidden_layers", json!(spec.num_hidden_layers)),
        ("num_key_value_heads", json!(spec.num_key_value_heads)),
        ("rms_norm_eps", json!(spec.rms_norm_eps)),
        ("rope_scaling", RopeScaling::to_json(spec.rope_scaling.as_ref())),
        ("rope_theta", json!(spec.rope_theta)),
        ("tie_word_embeddings", json!(spec.tie_word_embeddings)),
        ("torch_dtype", json!(dtype)),
        ("use_cache", json!(true)),
        ("vocab_size", json!(spec.vocab_size)),
    ];
    fields.extend(own);
    fields.sort_by_key(|(name, _)| *name);
    let kind = [
        ("architectures", json!([spec.family.classes[0]])),
        ("model_type", json!(spec.family.name)),
    ];
    kind.into_iter().chain(fields).map(|(name, value)| (name.to_string(), value)).collect()
}
