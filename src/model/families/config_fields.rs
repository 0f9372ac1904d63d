//! Which fields a `config.json` may have. What a file says and this program does not do is refused
//! by name, unless it is at its default:
//!
//! | A field that | |
//! |---|---|
//! | is read | is in [`READ`] or in the family's [`Rules`] |
//! | changes the network, but not at its default | is in [`defaults`], and refused at any other value |
//! | changes nothing of what this program does | is in [`HARMLESS`] or in the family's [`Rules`], and kept |
//! | asks for a network of another kind | is in [`REFUSED`] |
//! | nobody here knows | is refused, unless its value says no more than its absence: null, false, or empty |
//!
//! A new field at false is taken for a trick that is not used; those flags that are true by default
//! are in [`defaults`]. The names are those of Transformers' configurations, from version 4 to 5,
//! and of the tools that write into them.

use crate::error::Result;
use crate::kernels::Activation;
use crate::model::fields::Fields;
use serde_json::{Value, json};

/// Fields from which the shape and the tokens that end a response are read.
const READ: [&str; 17] = [
    "architectures",
    "eos_token_id",
    "head_dim",
    "hidden_size",
    "intermediate_size",
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
];

/// What every network of a family has, and `config.json` may say.
#[derive(Clone, Copy)]
pub(super) struct Fixed {
    pub(super) activation: Activation,
    /// Whether queries, keys and values have biases.
    pub(super) qkv_bias: bool,
    /// Whether queries and keys have norms.
    pub(super) qk_norm: bool,
}

/// Fields that would change the network, each with the only value that this program has.
fn defaults(network: Fixed) -> Vec<(&'static str, Value)> {
    let is = |value: Value, names: &[&'static str]| {
        names.iter().map(|name| (*name, value.clone())).collect::<Vec<_>>()
    };
    [
        is(
            json!(activation_name(network.activation)),
            &["hidden_act", "hidden_activation", "activation_function"],
        ),
        is(json!(network.qk_norm), &["use_qk_norm", "qk_norm"]),
        is(json!(network.qkv_bias), &["qkv_bias"]),
        // Whatever has a bias or a window elsewhere, and networks of other kinds.
        is(
            json!(false),
            &[
                "attention_bias",
                "attn_output_gate",
                "mlp_bias",
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
            &["is_causal", "use_rope", "scale_attn_weights", "use_gated_mlp", "gated_mlp"],
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
            ],
        ),
        is(
            json!(0),
            &[
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

/// What the function of the gate is called.
pub(super) fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Silu => "silu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
    }
}

/// Fields that ask for something that this program does not have at all, whatever they hold.
const REFUSED: [(&str, &str); 4] = [
    ("quantization_config", QUANTISED),
    ("compression_config", QUANTISED),
    ("quantization", QUANTISED),
    (
        "auto_map",
        "it names code of its own, which is not run here; take it out if the network is as \
         Transformers has it",
    ),
];

pub(in crate::model) const QUANTISED: &str = "\
    quantised models cannot be read, only weights of type F32, F16 and BF16; use the model that it \
    was made of";

/// Notes of the programs that wrote the file, settings of how Transformers runs and trains a model,
/// labels of classes, and settings of sampling, which the experiment has its own of.
pub(in crate::model) const HARMLESS: &str = "\
    _attn_implementation _attn_implementation_autoset _attn_implementation_internal _commit_hash \
    _experts_implementation _flash_attn_2_enabled _from_model_config _model_name_or_path \
    _name_or_path attn_implementation bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward \
    cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dtype \
    early_stopping encoder_no_repeat_ngram_size experts_implementation \
    exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id \
    gradient_checkpointing id2label initializer_factor initializer_range is_decoder label2id \
    length_penalty loss_type mask_token_id max_length max_new_tokens max_window_layers min_length \
    model_name name_or_path no_repeat_ngram_size num_beam_groups num_beams num_labels \
    num_return_sequences output_attentions output_hidden_states output_scores pad_token_id \
    pretraining_tp problem_type remove_invalid_values repetition_penalty return_dict \
    return_dict_in_generate sep_token_id suppress_tokens task_specific_params temperature \
    tf_legacy_loss tie_encoder_decoder tie_last_hidden_states tokenizer_class top_k top_p \
    torch_dtype torchscript transformers_version typical_p unk_token_id unsloth_fixed unsloth_version \
    use_bfloat16 use_cache use_flash_attention use_flash_attention_2 use_flash_attn";

/// What a family's `config.json` may have beyond what is the same in all families.
#[derive(Debug)]
pub(super) struct Rules {
    /// Fields that are read.
    pub(super) read: &'static [&'static str],
    /// Fields that change nothing.
    pub(super) harmless: &'static [&'static str],
}

impl Rules {
    /// Refuses a configuration with a field that says what this program does not do.
    pub(super) fn check(&self, fields: &Fields, network: Fixed) -> Result<()> {
        for (name, why) in REFUSED {
            if fields.get(name).is_some() {
                return Err(fields.wrong(name, why));
            }
        }
        let mut defaults = defaults(network);
        defaults.retain(|(name, _)| !self.harmless.contains(name));
        let own = self.read.iter().chain(self.harmless).copied();
        let known = READ.into_iter().chain(HARMLESS.split_whitespace()).chain(own);
        let right = "what that changes is not known here, so the model is refused; take the field \
                     out if it changes nothing";
        fields.only(&defaults, known, right)
    }
}
