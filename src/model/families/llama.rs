//! Llama 2 and 3, and what has their network, such as `SmolLM2`: neither biases nor norms of queries
//! and keys.

use super::config_fields::Rules;
use super::family::{Family, Network, Silent};
use serde_json::json;

pub(super) static FAMILY: Family = Family {
    name: "llama",
    classes: &["LlamaForCausalLM", "LlamaModel", "FSDPLlamaForCausalLM"],
    gate_field: "hidden_act",
    has_own_sliding_rope: false,
    network: Network::LLAMA,
    silent: Silent { end: Some(2), ..Silent::USUAL },
    rules: Rules {
        read: &[],
        // Notes of those who made SmolLM2.
        harmless: &["is_llama_config", "transformers.js_config"],
    },
    read: |_, spec| Ok(spec),
    write: |_| vec![("attention_bias", json!(false)), ("mlp_bias", json!(false))],
};
