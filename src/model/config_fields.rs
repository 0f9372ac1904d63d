//! Which fields a `config.json` may have. What a file says and this program does not do is refused by name, unless it is at its default:
//!
//! | A field that | |
//! |---|---|
//! | is read | is in [`READ`] |
//! | changes the network, but not at its default | is in [`defaults`], and refused at any other value |
//! | changes nothing of what this program does | is in [`HARMLESS`], and kept |
//! | asks for a network of another kind | is in [`REFUSED`] |
//! | nobody here knows | is refused, unless its value says no more than its absence: null, false, or empty |
//!
//! A new field at false is taken for a trick that is not used; those flags that are true by default are in [`defaults`]. The
//! names are those of Transformers' configurations, from version 4 to 5, and of the tools that write into them.

use super::fields::Fields;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut, listed};
use serde_json::{Value, json};

/// Fields from which the shape and the tokens that end a response are read.
const READ: [&str; 19] = [
    "architectures",
    "eos_token_id",
    "head_dim",
    "hidden_size",
    "intermediate_size",
    "layer_types",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "vocab_size",
    // Widths of windows, which no layer has where `use_sliding_window` is false.
    "sliding_window",
];

/// Fields that would change the network, each with the only value that this program has.
fn defaults() -> Vec<(&'static str, Value)> {
    let is = |value: Value, names: &[&'static str]| names.iter().map(|name| (*name, value.clone())).collect::<Vec<_>>();
    [
        is(json!("silu"), &["hidden_act", "hidden_activation", "activation_function"]),
        // Whatever has a bias or a window elsewhere, and networks of other kinds.
        is(
            json!(false),
            &[
                "attention_bias",
                "attn_output_gate",
                "mlp_bias",
                "qkv_bias",
                "lm_head_bias",
                "use_bias",
                "use_sliding_window",
                "use_mrope",
                "rope_interleave",
                "rope_interleaved",
                "is_encoder_decoder",
                "add_cross_attention",
                "use_bidirectional_attention",
            ],
        ),
        is(
            json!(true),
            &["is_causal", "use_qk_norm", "qk_norm", "use_rope", "scale_attn_weights", "use_gated_mlp", "gated_mlp"],
        ),
        is(
            json!(0.0),
            &[
                "attention_dropout",
                "attention_probs_dropout_prob",
                "attn_pdrop",
                "dropout",
                "embd_pdrop",
                "hidden_dropout",
                "hidden_dropout_prob",
                "layerdrop",
                "resid_pdrop",
                "num_experts",
                "num_local_experts",
                "num_nextn_predict_layers",
                "mtp_num_hidden_layers",
            ],
        ),
        is(
            json!(1.0),
            &[
                "partial_rotary_factor",
                "rotary_pct",
                "logit_scale",
                "logits_scaling",
                "residual_multiplier",
                "embedding_multiplier",
            ],
        ),
    ]
    .concat()
}

/// Fields that ask for something that this program does not have at all, whatever they hold.
const REFUSED: [(&str, &str); 4] = [
    ("quantization_config", QUANTISED),
    ("compression_config", QUANTISED),
    ("quantization", QUANTISED),
    (
        "auto_map",
        "it names code of its own, which is not run here; take it out if the network is Qwen3 as Transformers has it",
    ),
];

pub(super) const QUANTISED: &str =
    "quantised models cannot be read, only weights of type F32, F16 and BF16; use the model that it was made of";

/// Notes of the programs that wrote the file, settings of how Transformers runs and trains a model, labels of classes, and settings
/// of sampling, which the experiment has its own of.
pub(super) const HARMLESS: &str = "\
    _attn_implementation _attn_implementation_autoset _attn_implementation_internal _commit_hash _experts_implementation \
    _flash_attn_2_enabled _from_model_config _name_or_path attn_implementation bad_words_ids begin_suppress_tokens bos_token_id \
    chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dtype early_stopping \
    encoder_no_repeat_ngram_size experts_implementation exponential_decay_length_penalty finetuning_task forced_bos_token_id \
    forced_eos_token_id gradient_checkpointing id2label initializer_factor initializer_range is_decoder label2id length_penalty \
    loss_type mask_token_id max_length max_new_tokens max_window_layers min_length model_name name_or_path no_repeat_ngram_size \
    num_beam_groups num_beams num_labels num_return_sequences output_attentions output_hidden_states output_scores pad_token_id \
    pretraining_tp problem_type remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id \
    suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_last_hidden_states tokenizer_class \
    top_k top_p torch_dtype torchscript transformers_version typical_p unsloth_fixed unsloth_version use_bfloat16 use_cache \
    use_flash_attention use_flash_attention_2 use_flash_attn";

/// Names of the class that this program does, as the file's maker may write it: whole, without the head, or sharded.
const ARCHITECTURES: [&str; 3] = ["Qwen3ForCausalLM", "Qwen3Model", "FSDPQwen3ForCausalLM"];

/// Refuses a configuration of another kind of model, and one with a field that says what this program does not do.
pub(super) fn check(fields: &Fields) -> Result<()> {
    check_kind(fields)?;
    for (name, why) in REFUSED {
        if fields.get(name).is_some() {
            return Err(fields.wrong(name, why));
        }
    }
    let known = READ.into_iter().chain(HARMLESS.split_whitespace());
    let right =
        "what that changes is not known here, so the model is refused; take the field out if it changes nothing";
    fields.only(&defaults(), known, right)
}

/// Type and class of the model. Without a type the class says it.
fn check_kind(fields: &Fields) -> Result<()> {
    let names = fields.list("architectures", |name| name.as_str().map(str::to_string), "it must be a list of names")?;
    let names = names.unwrap_or_default();
    match fields.text("model_type")? {
        None if names.is_empty() => Err(Error::input(
            "config.json says neither model_type nor architectures; only models of type \"qwen3\" are supported",
        )),
        Some(kind) if kind != "qwen3" => Err(Error::input(format!(
            "config.json describes a model of type {:?}, but only \"qwen3\" is supported",
            cut(kind, MOST_SHOWN)
        ))),
        _ if names.iter().any(|name| !ARCHITECTURES.contains(&name.as_str())) => {
            let known = listed(ARCHITECTURES, ARCHITECTURES.len());
            Err(fields.wrong("architectures", &format!("of the classes of type \"qwen3\" this program has {known}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<()> {
        check(&Fields::parse("config.json", &format!(r#"{{"model_type": "qwen3", {text}}}"#))?)
    }

    #[test]
    fn what_would_change_the_network_is_refused_by_name() {
        for (text, words) in [
            (r#""attn_output_gate": true"#, ["attn_output_gate is true", "only false"]),
            (r#""rope_interleave": true"#, ["rope_interleave is true", "only false"]),
            (r#""attn_scale": 0.1"#, ["attn_scale is 0.1", "not known"]),
            (r#""attention_multiplier": 0.0078125"#, ["attention_multiplier is 0.0078125", "not known"]),
            (r#""is_causal": false"#, ["is_causal is false", "only true"]),
            (r#""use_qk_norm": false"#, ["use_qk_norm is false", "only true"]),
            (r#""scale_attn_weights": false"#, ["scale_attn_weights is false", "only true"]),
            (r#""use_bidirectional_attention": true"#, ["use_bidirectional_attention is true", "only false"]),
            (r#""attention_bias": true"#, ["attention_bias is true", "only false"]),
            (r#""attention_dropout": 0.1"#, ["attention_dropout is 0.1", "only 0.0"]),
            (r#""hidden_act": "gelu""#, ["hidden_act is \"gelu\"", "only \"silu\""]),
            (r#""use_sliding_window": true"#, ["use_sliding_window is true", "only false"]),
            (r#""partial_rotary_factor": 0.5"#, ["partial_rotary_factor is 0.5", "only 1.0"]),
            (r#""final_logit_softcapping": 30.0"#, ["final_logit_softcapping is 30.0", "not known"]),
            (r#""no_rope_layers": [1, 0]"#, ["no_rope_layers is [1,0]", "not known"]),
            (r#""per_layer_config": {"0": {"head_dim": 8}}"#, ["per_layer_config is {", "not known"]),
            (r#""prefix": "Q: ""#, ["prefix is \"Q: \"", "not known"]),
            (r#""num_experts": 8"#, ["num_experts is 8", "only 0"]),
            (r#""new_trick": 0"#, ["new_trick is 0", "not known"]),
            (r#""new_trick": true"#, ["new_trick is true", "take the field out"]),
            (r#""b_trick": 3, "a_trick": "on""#, ["b_trick is 3", "the same goes for a_trick"]),
            (r#""auto_map": {"AutoModelForCausalLM": "x.Y"}"#, ["auto_map is {", "code of its own"]),
            (r#""quantization_config": {"quant_method": "bitsandbytes"}"#, ["bitsandbytes", "quantised"]),
            (
                r#""architectures": ["Qwen3ForSequenceClassification"]"#,
                ["Qwen3ForSequenceClassification", "Qwen3ForCausalLM"],
            ),
            (r#""architectures": ["LlamaForCausalLM"]"#, ["LlamaForCausalLM", "Qwen3ForCausalLM"]),
            (r#""architectures": [3]"#, ["architectures is [3]", "list of names"]),
        ] {
            let message = checked(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        for (text, word) in [("{}", "neither model_type"), (r#"{"model_type": "llama"}"#, "\"llama\"")] {
            let message = check(&Fields::parse("config.json", text).unwrap()).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("qwen3"), "{message}");
        }
    }

    #[test]
    fn defaults_and_what_changes_nothing_pass() {
        for text in [
            r#""attention_bias": false, "attention_dropout": 0, "hidden_act": "silu", "partial_rotary_factor": 1, "num_experts": 0"#,
            r#""sliding_window": 4096, "max_window_layers": 28, "use_sliding_window": false"#,
            r#""pad_token_id": -1, "bos_token_id": 151643, "use_cache": true, "torch_dtype": "bfloat16", "dtype": "bfloat16""#,
            r#""_name_or_path": "x", "transformers_version": "4.51.0", "unsloth_fixed": true, "initializer_range": 0.02"#,
            r#""temperature": 0.6, "top_k": 20, "do_sample": true, "repetition_penalty": 1.05"#,
            r#""is_causal": true, "attn_output_gate": false, "new_trick": false, "none": null, "empty": [], "no": {}, "text": """#,
            r#""architectures": ["Qwen3ForCausalLM"], "quantization_config": null, "auto_map": null, "pruned_heads": {}"#,
            r#""architectures": ["Qwen3Model"], "id2label": {"0": "LABEL_0"}, "problem_type": null"#,
        ] {
            checked(text).unwrap();
        }
        let classes = r#"{"architectures": ["FSDPQwen3ForCausalLM"]}"#;
        check(&Fields::parse("config.json", classes).unwrap()).unwrap();
    }
}
