//! `SmolLM3`: the network of Llama, in which queries and keys of every fourth layer are not rotated.

use super::config_fields::Rules;
use super::config_json::check_full_attention;
use super::family::{Family, Network, Silent};
use crate::error::Result;
use crate::model::decoder::DecoderSpec;
use crate::model::fields::Fields;
use serde_json::{Value, json};

pub(super) static FAMILY: Family = Family {
    name: "smollm3",
    classes: &["SmolLM3ForCausalLM", "SmolLM3Model", "FSDPSmolLM3ForCausalLM"],
    gate_field: "hidden_act",
    has_own_sliding_rope: false,
    network: Network::LLAMA,
    silent: Silent {
        kv_heads: Some(4),
        positions: 32_768,
        end: Some(128_001),
        tied: true,
        theta: 2_000_000.0,
        ..Silent::USUAL
    },
    rules: Rules {
        // `sliding_window` is the width of windows, which no layer has where `use_sliding_window`
        // is false.
        read: &["layer_types", "no_rope_layers", "no_rope_layer_interval", "sliding_window"],
        harmless: &[],
    },
    read: |fields, spec| {
        check_full_attention(fields, spec.num_hidden_layers)?;
        let unrotated = unrotated(fields, spec.num_hidden_layers)?;
        Ok(DecoderSpec { unrotated, ..spec })
    },
    write: |spec| {
        let layers = 0..spec.num_hidden_layers;
        let rotated = layers.map(|layer| u8::from(!spec.unrotated.contains(&layer)));
        vec![
            ("attention_bias", json!(false)),
            // Transformers has its own where it is silent.
            ("bos_token_id", json!(null)),
            ("pad_token_id", json!(null)),
            ("mlp_bias", json!(false)),
            ("no_rope_layers", json!(rotated.collect::<Vec<_>>())),
            ("sliding_window", json!(null)),
            ("use_sliding_window", json!(false)),
        ]
    },
};

/// The layers that are not rotated. In `no_rope_layers` they are 0 and the others 1.
fn unrotated(fields: &Fields, layers: usize) -> Result<Vec<usize>> {
    let flag = |value: &Value| match value.as_u64() {
        Some(number @ 0..=1) => Some(number == 1),
        _ => value.as_bool(),
    };
    let right = format!("it must be a list of 0 and 1, one for each of the {layers} layers");
    if let Some(rotated) = fields.list("no_rope_layers", flag, &right)? {
        // Transformers takes no notice of what there is beyond the last layer.
        if rotated.len() < layers {
            return Err(fields.wrong("no_rope_layers", &right));
        }
        return Ok((0..layers).filter(|&layer| !rotated[layer]).collect());
    }
    match fields.count("no_rope_layer_interval")?.unwrap_or(4) {
        0 => Err(fields.wrong("no_rope_layer_interval", "it must be at least 1")),
        interval => Ok((0..layers).filter(|layer| (layer + 1) % interval == 0).collect()),
    }
}
