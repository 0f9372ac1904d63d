//! Gemma 3 without its images: norms before and after attention and MLP, which scale by one plus
//! their weight, GELU in the MLP, scaled embeddings, and sliding layers with rotary positions of
//! their own between those that see everything.

use super::config_fields::Rules;
use super::family::{Family, Network, Silent};
use crate::error::Result;
use crate::kernels::Activation;
use crate::model::decoder::{DecoderSpec, NormPlacement, QkNorm, Rope, Sliding};
use crate::model::fields::Fields;
use serde_json::{Value, json};

/// What Transformers takes where `config.json` is silent.
const WINDOW: usize = 4096;
const PATTERN: usize = 6;
const SCALAR: f64 = 256.0;
const SLIDING_THETA: f64 = 10_000.0;

/// The two kinds of layers.
const SLIDING: &str = "sliding_attention";
const FULL: &str = "full_attention";

pub(super) static FAMILY: Family = Family {
    name: "gemma3_text",
    classes: &["Gemma3ForCausalLM", "Gemma3TextModel", "FSDPGemma3ForCausalLM"],
    gate_field: "hidden_activation",
    has_own_sliding_rope: true,
    network: Network {
        norms: NormPlacement::Both,
        norm_offset: 1.0,
        qk_norm: Some(QkNorm::Head),
        qkv_bias: false,
        activation: Activation::GeluTanh,
        scaled_embeddings: true,
    },
    silent: Silent {
        kv_heads: Some(4),
        head_dim: Some(256),
        positions: 131_072,
        end: Some(1),
        tied: true,
        eps: 1e-6,
        theta: 1_000_000.0,
    },
    rules: Rules {
        read: &[
            "layer_types",
            "query_pre_attn_scalar",
            "rope_local_base_freq",
            "sliding_window",
            "sliding_window_pattern",
        ],
        // The first is a note beside `layer_types`.
        harmless: &["_sliding_window_pattern", "cache_implementation"],
    },
    read: |fields, spec| {
        let scalar = fields.number("query_pre_attn_scalar")?.unwrap_or(SCALAR);
        let sliding = sliding(fields, spec.num_hidden_layers)?;
        Ok(DecoderSpec { query_pre_attn_scalar: Some(scalar), sliding, ..spec })
    },
    write,
};

/// The layers with a window.
fn sliding(fields: &Fields, layers: usize) -> Result<Option<Sliding>> {
    let theta = Rope::read_of_sliding(fields, SLIDING_THETA)?;
    let layers = sliding_layers(fields, layers)?;
    if layers.is_empty() {
        return Ok(None);
    }
    let silent = (!fields.has("sliding_window")).then_some(WINDOW);
    let Some(window) = fields.count("sliding_window")?.or(silent) else {
        let right = "it must be a whole number, because there are sliding layers";
        return Err(fields.wrong("sliding_window", right));
    };
    Ok(Some(Sliding { window, layers, rope_theta: Some(theta) }))
}

/// Which layers slide: those that `layer_types` says, or all but every so many.
fn sliding_layers(fields: &Fields, layers: usize) -> Result<Vec<usize>> {
    let is_sliding = |kind: &Value| match kind.as_str() {
        Some(SLIDING) => Some(true),
        Some(FULL) => Some(false),
        _ => None,
    };
    let right = format!("it must be {SLIDING:?} or {FULL:?} for each of the {layers} layers");
    if let Some(kinds) = fields.list("layer_types", is_sliding, &right)? {
        if kinds.len() != layers {
            return Err(fields.wrong("layer_types", &right));
        }
        return Ok((0..layers).filter(|&layer| kinds[layer]).collect());
    }
    match fields.count("sliding_window_pattern")?.unwrap_or(PATTERN) {
        0 => Err(fields.wrong("sliding_window_pattern", "it must be at least 1")),
        pattern => Ok(of_pattern(pattern, layers)),
    }
}

/// All layers but every `pattern`th.
fn of_pattern(pattern: usize, layers: usize) -> Vec<usize> {
    (0..layers).filter(|layer| !(layer + 1).is_multiple_of(pattern)).collect()
}

fn write(spec: &DecoderSpec) -> Vec<(&'static str, Value)> {
    let layers = spec.num_hidden_layers;
    let sliding: &[usize] = spec.sliding.as_ref().map_or(&[], |sliding| &sliding.layers);
    let kind = |layer: usize| if sliding.contains(&layer) { SLIDING } else { FULL };
    let (window, theta) = spec.sliding.as_ref().map_or((WINDOW, SLIDING_THETA), |sliding| {
        (sliding.window, sliding.rope_theta.unwrap_or(spec.rope_theta))
    });
    let mut fields = vec![
        ("attention_bias", json!(false)),
        // Transformers has its own where it is silent.
        ("bos_token_id", json!(null)),
        ("pad_token_id", json!(null)),
        ("layer_types", json!((0..layers).map(kind).collect::<Vec<_>>())),
        ("query_pre_attn_scalar", scalar(spec.query_pre_attn_scalar.unwrap_or(SCALAR))),
        ("rope_local_base_freq", json!(theta)),
        ("sliding_window", json!(window)),
    ];
    // Older Transformers know a pattern only.
    let pattern = (1..=layers + 1).find(|&pattern| of_pattern(pattern, layers) == sliding);
    fields.extend(pattern.map(|pattern| ("sliding_window_pattern", json!(pattern))));
    fields
}

/// A number, without a point where it is whole: Transformers takes no other.
fn scalar(number: f64) -> Value {
    if number.fract() == 0.0 && number < 1e15 { json!(number as u64) } else { json!(number) }
}
