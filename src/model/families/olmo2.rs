//! `OLMo` 2: norms after attention and MLP in place of before them, and norms of all queries and of all
//! keys of a token together.

use super::config_fields::Rules;
use super::family::{Family, Network, Silent};
use crate::model::decoder::{NormPlacement, QkNorm};
use serde_json::json;

pub(super) static FAMILY: Family = Family {
    name: "olmo2",
    classes: &["Olmo2ForCausalLM", "Olmo2Model", "FSDPOlmo2ForCausalLM"],
    gate_field: "hidden_act",
    has_own_sliding_rope: false,
    network: Network {
        norms: NormPlacement::After,
        qk_norm: Some(QkNorm::Whole),
        ..Network::LLAMA
    },
    silent: Silent { end: Some(50_279), eps: 1e-5, ..Silent::USUAL },
    rules: Rules { read: &[], harmless: &[] },
    read: |_, spec| Ok(spec),
    // Transformers pads with a token of its own where `pad_token_id` is silent.
    write: |_| vec![("attention_bias", json!(false)), ("pad_token_id", json!(null))],
};
