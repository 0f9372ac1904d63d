//! What a `config.json` may say, for all families.

use super::*;
use crate::model::{NormPlacement, QkNorm, RopeScaling, Sliding};

const SHAPE: &str = r#""vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16"#;

fn parse(rest: &str) -> Result<DecoderSpec> {
    DecoderSpec::parse(&format!("{{{SHAPE}, {rest}}}"))
}

#[test]
fn the_rotary_base_is_read_where_older_and_newer_transformers_write_it() {
    let old = parse(r#""model_type": "qwen3", "rope_theta": 50000.0"#).unwrap();
    let new =
        parse(r#""model_type": "qwen3", "rope_parameters": {"rope_theta": 50000.0, "rope_type": "default"}"#).unwrap();
    assert_eq!(old, new);
    assert!((old.rope_theta - 50000.0).abs() < 1e-9);
}

#[test]
fn impossible_values_are_refused_by_name() {
    for (json, words) in [
        (
            r#""model_type": "qwen3", "layer_types": ["full_attention", "sliding_attention"]"#,
            ["layer_types", "sliding"],
        ),
        (
            r#""model_type": "qwen3", "layer_types": ["full_attention"]"#,
            ["layer_types", "2 layers"],
        ),
        (r#""model_type": "qwen3", "eos_token_id": -1"#, ["eos_token_id is -1", "0 to 63"]),
        (
            r#""model_type": "qwen3", "eos_token_id": [3, 64]"#,
            ["eos_token_id is [3,64]", "0 to 63"],
        ),
        (r#""model_type": "qwen3", "rope_theta": "big""#, ["rope_theta", "big"]),
        (r#""model_type": "qwen3", "rope_theta": 1e300"#, ["rope_theta is 1e300", "32 bits"]),
        (r#""model_type": "qwen3", "rms_norm_eps": 1e300"#, ["rms_norm_eps is 1e300", "32 bits"]),
        (r#""model_type": "qwen3", "rms_norm_eps": -1"#, ["rms_norm_eps is -1", "negative"]),
        (
            r#""model_type": "qwen3", "num_hidden_layers": 2147483648"#,
            ["num_hidden_layers", "2147483648"],
        ),
        (
            r#""model_type": "qwen3", "max_position_embeddings": 9223372036854775807"#,
            ["max_position_embeddings", "at most"],
        ),
        (r#""model_type": "qwen3", "hidden_size": 1.5"#, ["hidden_size is 1.5", "whole number"]),
    ] {
        let message = parse(json).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let harmless = r#""model_type": "qwen3", "sliding_window": 4096, "layer_types": ["full_attention", "attention"], "new_trick": false"#;
    assert_eq!(parse(harmless).unwrap(), parse(r#""model_type": "qwen3""#).unwrap());
}

#[test]
fn yarn_reaches_as_far_as_its_factor_says() {
    let yarn = r#"{"rope_type": "yarn", "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}"#;
    let config = parse(&format!(
        r#""model_type": "qwen3", "max_position_embeddings": 40960, "rope_scaling": {yarn}"#
    ))
    .unwrap();
    assert_eq!(config.max_position_embeddings, 131_072);
    assert_eq!(DecoderSpec::parse(&config.to_json(DType::F32).to_string()).unwrap(), config);
}

#[test]
fn written_configurations_read_back_equal() {
    let config = parse(r#""model_type": "qwen3", "eos_token_id": [3]"#).unwrap();
    assert_eq!(DecoderSpec::parse(&config.to_json(DType::F32).to_string()).unwrap(), config);
}

/// Looks at the fields alone, without the sizes.
fn check_fields(text: &str) -> Result<()> {
    let fields = Fields::parse("config.json", text)?;
    let family = family(&fields)?;
    family.rules.check(&fields, family.network.fixed())
}

#[test]
fn biases_that_a_family_always_has_can_be_said_or_denied() {
    for value in [true, false] {
        let text = format!(r#"{{"model_type": "qwen2", "attention_bias": {value}}}"#);
        check_fields(&text).unwrap();
    }
    let error = check_fields(r#"{"model_type": "llama", "attention_bias": true}"#).unwrap_err();
    assert!(error.to_string().contains("only false"), "{error}");
    let error = check_fields(r#"{"model_type": "llama", "num_experts": 8}"#).unwrap_err();
    assert!(error.to_string().contains("num_experts is 8; that is not supported, only 0"));
    assert!(!error.to_string().contains("0.0"), "{error}");
}

fn checked(text: &str) -> Result<()> {
    check_fields(&format!(r#"{{"model_type": "qwen3", {text}}}"#))
}

#[test]
fn what_would_change_the_network_is_refused_by_name() {
    for (text, words) in [
        (r#""attn_output_gate": true"#, ["attn_output_gate is true", "only false"]),
        (r#""rope_interleave": true"#, ["rope_interleave is true", "only false"]),
        (r#""attn_scale": 0.1"#, ["attn_scale is 0.1", "not known"]),
        (
            r#""attention_multiplier": 0.0078125"#,
            ["attention_multiplier is 0.0078125", "not known"],
        ),
        (r#""is_causal": false"#, ["is_causal is false", "only true"]),
        (r#""use_qk_norm": false"#, ["use_qk_norm is false", "only true"]),
        (r#""scale_attn_weights": false"#, ["scale_attn_weights is false", "only true"]),
        (
            r#""use_bidirectional_attention": true"#,
            ["use_bidirectional_attention is true", "only false"],
        ),
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
        (
            r#""quantization_config": {"quant_method": "bitsandbytes"}"#,
            ["bitsandbytes", "quantised"],
        ),
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
    for (text, word) in [("{}", "neither model_type"), (r#"{"model_type": "gpt2"}"#, "\"gpt2\"")] {
        let message = check_fields(text).unwrap_err().to_string();
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
    check_fields(classes).unwrap();
}

/// Every family, with a width of which the heads are a part.
fn of(kind: &str, rest: &str) -> Result<DecoderSpec> {
    DecoderSpec::parse(&format!(r#"{{{SHAPE}, "model_type": "{kind}"{rest}}}"#))
}

#[test]
fn what_every_family_writes_reads_back_equal_and_says_what_it_is() {
    for family in FAMILIES {
        for tie in [true, false] {
            let spec = of(family.name, r#", "eos_token_id": [3]"#).unwrap();
            let spec = DecoderSpec { tie_word_embeddings: tie, ..spec };
            let written = spec.to_json(DType::BF16);
            assert_eq!(DecoderSpec::parse(&written.to_string()).unwrap(), spec);
            assert_eq!(written["model_type"], family.name);
            assert_eq!(written["architectures"][0], family.classes[0]);
            assert_eq!(written["torch_dtype"], "bfloat16");
        }
        // Without a type the class says it.
        let class = format!(r#"{{{SHAPE}, "architectures": ["{}"]}}"#, family.classes[0]);
        assert_eq!(DecoderSpec::parse(&class).unwrap().family, family);
    }
}

#[test]
fn families_have_their_own_parts_and_defaults() {
    for (kind, qk_norm, qkv_bias, kv_heads, head_dim, positions, ends) in [
        ("qwen3", Some(QkNorm::Head), false, 32, 128, 32_768, vec![]),
        ("qwen2", None, true, 32, 8, 32_768, vec![]),
        ("llama", None, false, 64, 8, 2048, vec![2]),
        ("mistral", None, false, 8, 8, 131_072, vec![2]),
        ("smollm3", None, false, 4, 8, 32_768, vec![]),
        ("olmo2", Some(QkNorm::Whole), false, 64, 8, 2048, vec![]),
        ("gemma3_text", Some(QkNorm::Head), false, 4, 256, 131_072, vec![1]),
    ] {
        let sizes = r#""vocab_size": 64, "hidden_size": 512, "intermediate_size": 48,
            "num_hidden_layers": 1, "num_attention_heads": 64"#;
        let spec = DecoderSpec::parse(&format!(r#"{{{sizes}, "model_type": "{kind}"}}"#)).unwrap();
        let found = (spec.qk_norm, spec.qkv_bias, spec.num_key_value_heads);
        assert_eq!(found, (qk_norm, qkv_bias, kv_heads), "{kind}");
        assert_eq!(
            (spec.max_position_embeddings, &spec.eos_token_ids),
            (positions, &ends),
            "{kind}"
        );
        assert_eq!(spec.head_dim, head_dim, "{kind}");
        let names: Vec<String> = spec.parameters().into_iter().map(|(name, _)| name).collect();
        let has = |ending: &str| names.iter().any(|name| name.ends_with(ending));
        let normed = qk_norm.is_some();
        assert_eq!((has("q_norm.weight"), has("k_norm.weight")), (normed, normed), "{kind}");
        let biases = ["q_proj.bias", "k_proj.bias", "v_proj.bias"].map(has);
        assert_eq!(biases, [qkv_bias; 3], "{kind}");
        assert!(!has("o_proj.bias"));
    }
}

/// The fields that published files have beyond sizes.
#[test]
fn published_files_are_read() {
    let llama = of(
        "llama",
        r#", "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 1, "eos_token_id": [2, 3], "hidden_act": "silu", "initializer_range": 0.02,
        "max_position_embeddings": 131072, "mlp_bias": false, "pretraining_tp": 1, "rope_theta": 500000.0,
        "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers_version": "4.45.0", "use_cache": true"#,
    )
    .unwrap();
    assert_eq!((llama.max_position_embeddings, llama.eos_token_ids), (131_072, vec![2, 3]));
    assert!(llama.rope_scaling.is_some() && llama.tie_word_embeddings);
    of(
        "llama",
        r#", "is_llama_config": true, "rope_interleaved": false, "rope_scaling": null,
        "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}}"#,
    )
    .unwrap();
    let mistral = of(
        "mistral",
        r#", "architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "initializer_range": 0.02,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
        "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "transformers_version": "4.42.0.dev0", "use_cache": true"#,
    )
    .unwrap();
    assert!(mistral.sliding.is_none());
    let every = Sliding { window: 4096, layers: vec![0, 1], rope_theta: None };
    assert_eq!(of("mistral", "").unwrap().sliding, Some(every));
    let smollm = of(
        "smollm3",
        r#", "architectures": ["SmolLM3ForCausalLM"], "attention_bias": false, "eos_token_id": 12,
        "layer_types": ["full_attention", "full_attention"], "max_window_layers": 28,
        "mlp_bias": false, "no_rope_layer_interval": 4, "no_rope_layers": [1, 0], "pretraining_tp": 2,
        "rope_scaling": null, "sliding_window": null, "use_sliding_window": false"#,
    )
    .unwrap();
    assert_eq!((smollm.unrotated, smollm.rope_theta), (vec![1], 2e6));
    assert!(smollm.tie_word_embeddings);
    let every_second = of("smollm3", r#", "no_rope_layer_interval": 1"#).unwrap();
    assert_eq!(every_second.unrotated, [0, 1]);
    let olmo = of(
        "olmo2",
        r#", "architectures": ["Olmo2ForCausalLM"], "attention_bias": false, "pad_token_id": 10,
        "rope_scaling": null, "rope_theta": 500000, "tie_word_embeddings": false"#,
    )
    .unwrap();
    assert!((olmo.rms_norm_eps - 1e-5).abs() < 1e-12 && olmo.norms == NormPlacement::After);
    of(
        "qwen2",
        r#", "max_window_layers": 28, "sliding_window": 131072, "use_sliding_window": false,
        "use_mrope": false, "rope_theta": 1000000.0"#,
    )
    .unwrap();
}

/// Gemma's file as it was published, and as newer and older Transformers write it.
#[test]
fn layers_of_gemma_are_read_from_all_places() {
    let rest = r#""attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid",
        "eos_token_id": [1, 60], "final_logit_softcapping": null, "sliding_window": 512,
        "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256"#;
    let eight = |more: &str| {
        let sizes = SHAPE.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 8");
        DecoderSpec::parse(&format!(r#"{{{sizes}, "model_type": "gemma3_text", {rest}, {more}}}"#))
            .unwrap()
    };
    let published = eight(
        r#""rope_local_base_freq": 10000, "rope_theta": 1000000, "sliding_window_pattern": 6,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}"#,
    );
    let layers = vec![0, 1, 2, 3, 4, 6, 7];
    let sliding = Sliding { window: 512, layers, rope_theta: Some(10_000.0) };
    assert_eq!(published.sliding, Some(sliding));
    assert_eq!(published.rope_scaling, Some(RopeScaling::Linear { factor: 8.0 }));
    assert!(published.tie_word_embeddings && (published.rope_theta - 1e6).abs() < 1e-6);
    let written = published.to_json(DType::F32);
    assert_eq!(written["sliding_window_pattern"], 6);
    assert_eq!(written["query_pre_attn_scalar"].to_string(), "256");

    let s = r#""sliding_attention""#;
    let kinds = format!(r#"[{s}, {s}, {s}, {s}, {s}, "full_attention", {s}, {s}]"#);
    let newer = eight(&format!(
        r#""layer_types": {kinds}, "_sliding_window_pattern": 6, "rope_parameters": {{
        "full_attention": {{"factor": 8.0, "rope_theta": 1000000.0, "rope_type": "linear"}},
        "sliding_attention": {{"rope_theta": 10000.0, "rope_type": "default"}}}}"#
    ));
    assert_eq!(newer, published);
    let silent = eight(r#""rope_scaling": {"factor": 8.0, "rope_type": "linear"}"#);
    assert_eq!(silent, published);

    // Without sliding layers there is no window, and an irregular order has no pattern.
    assert_eq!(eight(r#""sliding_window_pattern": 1"#).sliding, None);
    let odd = Sliding { window: 512, layers: vec![1, 6], rope_theta: Some(10_000.0) };
    let odd = DecoderSpec { sliding: Some(odd), eos_token_ids: vec![1], ..published };
    let written = odd.to_json(DType::F32);
    assert!(written.get("sliding_window_pattern").is_none());
    assert_eq!(DecoderSpec::parse(&written.to_string()).unwrap(), odd);
}

#[test]
fn what_another_family_has_is_refused_by_name() {
    for (kind, field, words) in [
        ("llama", r#""attention_bias": true"#, "attention_bias is true; that is not supported"),
        ("llama", r#""mlp_bias": true"#, "mlp_bias is true; that is not supported"),
        (
            "llama",
            r#""sliding_window": 4096"#,
            "sliding_window is 4096; what that changes is not known",
        ),
        ("mistral", r#""use_sliding_window": true"#, "use_sliding_window is true"),
        ("mistral", r#""sliding_window": 0"#, "sliding_window is 0; it must be at least 1"),
        ("mistral", r#""sliding_window": 1.5"#, "sliding_window is 1.5; it must be a whole number"),
        (
            "mistral",
            r#""layer_types": ["full_attention", "sliding_attention"]"#,
            "what that changes is not known",
        ),
        ("smollm3", r#""no_rope_layers": [1]"#, "no_rope_layers is [1]; it must be a list of 0"),
        ("smollm3", r#""no_rope_layers": [1, 2]"#, "no_rope_layers is [1,2]"),
        ("smollm3", r#""no_rope_layer_interval": 0"#, "no_rope_layer_interval is 0"),
        ("smollm3", r#""layer_types": ["full_attention", "sliding_attention"]"#, "layer_types is"),
        ("olmo2", r#""attention_bias": true"#, "attention_bias is true"),
        ("olmo2", r#""sliding_window": 4096"#, "sliding_window is 4096"),
        ("gemma3_text", r#""hidden_activation": "silu""#, "only \"gelu_pytorch_tanh\""),
        ("gemma3_text", r#""attn_logit_softcapping": 50.0"#, "attn_logit_softcapping is 50.0"),
        ("gemma3_text", r#""final_logit_softcapping": 30.0"#, "final_logit_softcapping is 30.0"),
        ("gemma3_text", r#""use_bidirectional_attention": true"#, "is true"),
        ("gemma3_text", r#""query_pre_attn_scalar": 0"#, "query_pre_attn_scalar is 0"),
        ("gemma3_text", r#""sliding_window": null"#, "sliding_window is null; it must be"),
        ("gemma3_text", r#""sliding_window_pattern": 0"#, "sliding_window_pattern is 0"),
        ("gemma3_text", r#""layer_types": ["full_attention"]"#, "each of the 2 layers"),
        ("gemma3_text", r#""layer_types": ["full_attention", "linear"]"#, "each of the 2 layers"),
        ("gemma3_text", r#""rope_local_base_freq": 1"#, "must be greater than 1"),
        (
            "gemma3_text",
            r#""rope_parameters": {"rope_theta": 5.0}"#,
            "only full_attention and sliding_attention",
        ),
        (
            "gemma3_text",
            r#""rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}"#,
            "rope_type is \"linear\"; that is not supported",
        ),
        (
            "gemma3_text",
            r#""rope_local_base_freq": 5.0, "rope_parameters": {"sliding_attention": {"rope_theta": 6.0}}"#,
            "rope_local_base_freq is another",
        ),
        (
            "gemma3_text",
            r#""rope_theta": 5.0, "rope_parameters": {"full_attention": {"rope_theta": 6.0}}"#,
            "but it has another value elsewhere",
        ),
        ("llama", r#""pretraining_tp": 1, "no_rope_layers": [1, 0]"#, "no_rope_layers is [1,0]"),
        ("qwen2", r#""use_sliding_window": true"#, "use_sliding_window is true"),
        ("qwen2", r#""layer_types": ["full_attention", "sliding_attention"]"#, "layer_types is"),
        ("qwen2", r#""qkv_bias": false"#, "qkv_bias is false; that is not supported, only true"),
        (
            "qwen2",
            r#""use_qk_norm": true"#,
            "use_qk_norm is true; that is not supported, only false",
        ),
        ("qwen2", r#""is_llama_config": true"#, "is_llama_config is true"),
        ("qwen2", r#""architectures": ["LlamaForCausalLM"]"#, "Qwen2ForCausalLM"),
    ] {
        let message = of(kind, &format!(", {field}")).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let odd = r#"{"model_type": "llama", "vocab_size": 64, "hidden_size": 33, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4}"#;
    let message = DecoderSpec::parse(odd).unwrap_err().to_string();
    assert!(message.contains("hidden_size is 33; without head_dim"), "{message}");
}
