//! Mistral: the network of Llama, in whose first version every layer sees a window of the last tokens.

use super::config_fields::Rules;
use super::family::{Family, Network, Silent};
use crate::model::decoder::{DecoderSpec, Sliding};
use serde_json::json;

/// The window where `config.json` is silent. One that is null is none.
const WINDOW: usize = 4096;

pub(super) static FAMILY: Family = Family {
    name: "mistral",
    classes: &["MistralForCausalLM", "MistralModel", "FSDPMistralForCausalLM"],
    gate_field: "hidden_act",
    has_own_sliding_rope: false,
    network: Network::LLAMA,
    silent: Silent { kv_heads: Some(8), positions: 131_072, end: Some(2), ..Silent::USUAL },
    rules: Rules { read: &["sliding_window"], harmless: &[] },
    read: |fields, spec| {
        let silent = (!fields.has("sliding_window")).then_some(WINDOW);
        let window = fields.count("sliding_window")?.or(silent);
        let layers = (0..spec.num_hidden_layers).collect();
        let sliding = window.map(|window| Sliding { window, layers, rope_theta: None });
        Ok(DecoderSpec { sliding, ..spec })
    },
    write: |spec| {
        vec![("sliding_window", json!(spec.sliding.as_ref().map(|sliding| sliding.window)))]
    },
};
