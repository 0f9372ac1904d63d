//! Model folders as they come: shards, types of weights, and whatever can be wrong with them; runs
//! in bf16.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{
    FAMILIES, Workplace, difference_of, f32_values, json, largest_difference, tiny_model,
    tiny_model_of, tiny_model_with_head,
};
use orthant::experiment::Precision;
use orthant::model::{LanguageModel, ResponseBatch};
use orthant::prelude::*;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;

/// Writes a model's folder with its weights in `dtype`, in one file or in three shards.
fn write_folder(folder: &Path, model: &LanguageModel, dtype: DType, sharded: bool) {
    model.write(folder).unwrap();
    let tensors: Vec<(String, Tensor)> = model
        .weights
        .variables()
        .map(|(name, variable)| {
            (name.to_string(), variable.as_detached_tensor().to_dtype(dtype).unwrap())
        })
        .collect();
    let shards = if sharded { 3 } else { 1 };
    let mut map = serde_json::Map::new();
    for shard in 0..shards {
        let name = if sharded {
            format!("model-{shard}.safetensors")
        } else {
            "model.safetensors".to_string()
        };
        let part: HashMap<&str, Tensor> = tensors
            .iter()
            .skip(shard)
            .step_by(shards)
            .map(|(name, tensor)| (name.as_str(), tensor.clone()))
            .collect();
        map.extend(part.keys().map(|tensor| ((*tensor).to_string(), name.clone().into())));
        candle_core::safetensors::save(&part, folder.join(&name)).unwrap();
    }
    if sharded {
        std::fs::remove_file(folder.join("model.safetensors")).unwrap();
        let index = json!({ "metadata": {}, "weight_map": map });
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    }
}

#[test]
fn shards_and_types_of_weights_make_no_difference() {
    for (family, tied) in FAMILIES.into_iter().flat_map(|name| [(name, true), (name, false)]) {
        let model = tiny_model_of(family, tied);
        for stored in [DType::F32, DType::F16, DType::BF16] {
            let folders = [false, true].map(|sharded| {
                let folder = tempfile::tempdir().unwrap();
                write_folder(folder.path(), &model, stored, sharded);
                folder
            });
            for dtype in [DType::F32, DType::BF16] {
                let [whole, sharded] = folders
                    .each_ref()
                    .map(|folder| LanguageModel::read(folder.path(), dtype, &Device::Cpu).unwrap());
                assert_eq!(whole.weights.hash().unwrap(), sharded.weights.hash().unwrap());
                for (name, variable) in whole.weights.variables() {
                    assert_eq!(variable.dtype(), dtype, "{name}");
                    let expected = model.weights.get(name).unwrap();
                    let expected = expected.to_dtype(stored).unwrap().to_dtype(DType::F32).unwrap();
                    let expected = expected.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
                    let found = variable.to_dtype(DType::F32).unwrap();
                    let off = difference_of(&found, &expected);
                    assert!(off == 0.0, "{family}, {name} {stored:?} {dtype:?}");
                }
            }
        }
    }
}

/// Refuses a model before there is a run folder, with status 2 and all of `words`.
fn refused(place: &Workplace, words: &[&str]) {
    let error =
        RunBuilder::new(place.experiment(1, "")).start(&place.runs()).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_status(), 2, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(!place.runs().exists());
}

#[test]
fn what_is_wrong_with_a_folder_is_said_before_training_starts() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let place = Workplace::new();
    let path = |file: &str| place.model().join(file);
    let sharded = || write_folder(&place.model(), &tiny_model(), DType::BF16, true);

    sharded();
    std::fs::remove_file(path("model-1.safetensors")).unwrap();
    refused(&place, &["shard model-1.safetensors", "missing"]);

    sharded();
    let mut bytes = std::fs::read(path("model-2.safetensors")).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(path("model-2.safetensors"), &bytes).unwrap();
    refused(&place, &["model-2.safetensors", "truncated"]);
    bytes.truncate(5);
    std::fs::write(path("model-2.safetensors"), &bytes).unwrap();
    refused(&place, &["model-2.safetensors", "header"]);

    sharded();
    let index = std::fs::read_to_string(path("model.safetensors.index.json")).unwrap();
    std::fs::write(path("model.safetensors.index.json"), index.replace(name, "something.else"))
        .unwrap();
    refused(&place, &[name, "has the tensor", "model.safetensors.index.json does not list"]);
    let listed = |edit: &dyn Fn(&mut serde_json::Map<String, serde_json::Value>)| {
        let mut index: serde_json::Value = serde_json::from_str(&index).unwrap();
        edit(index["weight_map"].as_object_mut().unwrap());
        std::fs::write(path("model.safetensors.index.json"), index.to_string()).unwrap();
    };
    listed(&|map| {
        let other = if map[name] == "model-0.safetensors" {
            "model-1.safetensors"
        } else {
            "model-0.safetensors"
        };
        map.insert(name.to_string(), json!(other));
    });
    refused(&place, &[name, "has the tensor", "model.safetensors.index.json lists in \"model-"]);
    listed(&|map| drop(map.insert("score.weight".to_string(), json!("model-0.safetensors"))));
    refused(&place, &["`score.weight`", "belongs to nothing"]);
    listed(&|map| map.retain(|_, file| file != "model-0.safetensors"));
    refused(&place, &["missing", "model.safetensors.index.json"]);
    std::fs::write(path("model.safetensors.index.json"), index.replace("model-1", "../model-1"))
        .unwrap();
    refused(&place, &["outside its folder"]);
    std::fs::remove_file(path("model.safetensors.index.json")).unwrap();
    refused(&place, &["no model.safetensors", "\"model-0.safetensors\"; rename it"]);
    let shard = "model-00001-of-00003.safetensors";
    std::fs::rename(path("model-0.safetensors"), path(shard)).unwrap();
    std::fs::remove_file(path("model-1.safetensors")).unwrap();
    std::fs::remove_file(path("model-2.safetensors")).unwrap();
    refused(&place, &[shard, "copy the model.safetensors.index.json beside them"]);

    // One tensor of another shape, one of another type, and none at all.
    for (tensor, words) in [
        (
            Some(Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap()),
            [name, "[3, 5]", "[48, 32]"],
        ),
        (
            Some(Tensor::zeros((48, 32), DType::U8, &Device::Cpu).unwrap()),
            [name, "U8", "quantised"],
        ),
        (
            Some(Tensor::zeros((48, 32), DType::F64, &Device::Cpu).unwrap()),
            [name, "F64", "F32, F16 and BF16"],
        ),
        (
            Some(Tensor::zeros((48, 32), DType::F8E4M3, &Device::Cpu).unwrap()),
            [name, "F8_E4M3", "quantised"],
        ),
        (None, [name, "missing", "model.safetensors"]),
    ] {
        tiny_model().write(&place.model()).unwrap();
        let mut tensors =
            candle_core::safetensors::load(path("model.safetensors"), &Device::Cpu).unwrap();
        match tensor {
            Some(tensor) => tensors.insert(name.to_string(), tensor),
            None => tensors.remove(name),
        };
        candle_core::safetensors::save(&tensors, path("model.safetensors")).unwrap();
        refused(&place, &words);
        refused(&place, &[path("model.safetensors").to_str().unwrap()]);
    }

    let config = std::fs::read_to_string(path("config.json")).unwrap();
    std::fs::write(
        path("config.json"),
        config.replace("qwen3", "gpt2").replace("Qwen3For", "GPT2For"),
    )
    .unwrap();
    refused(&place, &["\"gpt2\"", "\"qwen3\", \"qwen2\", \"llama\"", "config.json"]);
    edit(&path("config.json"), "model_type", json!("gemma3"));
    refused(&place, &["\"gemma3\"", "the Gemma 3 models without images", "\"gemma3_text\""]);
}

/// Changes one field of a JSON file; the file may have a byte order mark from then on.
fn edit(path: &Path, field: &str, value: serde_json::Value) {
    let mut fields = json(path);
    fields[field] = value;
    std::fs::write(path, fields.to_string()).unwrap();
}

fn read(folder: &Path) -> LanguageModel {
    LanguageModel::read(folder, DType::F32, &Device::Cpu).unwrap()
}

fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap()
}

#[test]
fn a_head_of_its_own_is_read_whatever_the_settings_call_it() {
    let place = Workplace::new();
    let model = tiny_model_with_head(false);
    model.write(&place.model()).unwrap();
    let (untied, tied) = (logprobs(&model), logprobs(&tiny_model()));
    edit(&place.model().join("config.json"), "tie_word_embeddings", true.into());
    let found = read(&place.model());
    assert!(!found.config.tie_word_embeddings);
    assert_eq!(logprobs(&found), untied);
    assert_ne!(untied, tied);
    let out = place.path().join("out");
    std::fs::create_dir(&out).unwrap();
    found.write(&out).unwrap();
    assert_eq!(json(&out.join("config.json"))["tie_word_embeddings"], false);
    assert_eq!(logprobs(&read(&out)), untied);

    // A head that is a copy of the embeddings is tied, and so is one without embeddings beside it.
    tiny_model().write(&place.model()).unwrap();
    let mut all = tensors(&place.model());
    let embeddings = all["model.embed_tokens.weight"].clone();
    for keeps_embeddings in [true, false] {
        all.insert("lm_head.weight".to_string(), embeddings.clone());
        if !keeps_embeddings {
            all.remove("model.embed_tokens.weight");
        }
        candle_core::safetensors::save(&all, place.model().join("model.safetensors")).unwrap();
        let found = read(&place.model());
        assert!(found.config.tie_word_embeddings && found.weights.get("lm_head.weight").is_err());
        assert_eq!(logprobs(&found), tied);
    }
}

#[test]
fn what_the_program_does_not_change_of_a_models_settings_stays() {
    let place = Workplace::new();
    let (config, generation) =
        (place.model().join("config.json"), place.model().join("generation_config.json"));
    let ends = json(&generation)["eos_token_id"].clone();
    let settings = json!({"bos_token_id": 0, "do_sample": true, "eos_token_id": ends, "pad_token_id": 0, "temperature": 0.6, "top_k": 20,
        "top_p": 0.95, "transformers_version": "4.51.0"});
    std::fs::write(&generation, settings.to_string()).unwrap();
    edit(&config, "pad_token_id", 0.into());
    edit(&config, "bos_token_id", serde_json::Value::Null);
    edit(&config, "layer_types", json!(["full_attention", "full_attention"]));
    edit(
        &config,
        "rope_scaling",
        json!({"type": "yarn", "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64}),
    );
    let run = place.run_parity(&place.parity_experiment(1, ""));
    let checkpoint = run.folder.join("checkpoints/step_000001");
    let out = place.path().join("out");
    std::fs::create_dir(&out).unwrap();
    read(&place.model()).converted(DType::BF16).unwrap().write(&out).unwrap();
    for folder in [&checkpoint, &out] {
        assert_eq!(json(&folder.join("generation_config.json")), settings);
        let mut expected = json(&config);
        let mut found = json(&folder.join("config.json"));
        for field in ["rope_theta", "torch_dtype"] {
            expected.as_object_mut().unwrap().remove(field);
            found.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(found, expected);
    }
    assert_eq!(json(&out.join("config.json"))["torch_dtype"], "bfloat16");
    assert_eq!(read(&checkpoint).config, read(&place.model()).config);
}

#[test]
fn ends_of_a_response_that_differ_are_a_warning_and_impossible_ones_are_refused() {
    let place = Workplace::new();
    assert!(read(&place.model()).notes().is_empty());
    std::fs::write(
        place.model().join("tokenizer_config.json"),
        r#"{"eos_token": {"content": "Use"}}"#,
    )
    .unwrap();
    let run = place.run_parity(&place.parity_experiment(1, ""));
    let words =
        ["\"Use\" (257)", "config.json and generation_config.json end a response only at 256, 100"];
    let events =
        std::fs::read_to_string(run.folder.join("events.jsonl")).unwrap().replace("\\\"", "\"");
    assert!(
        events.contains("\"warning\"") && words.iter().all(|word| events.contains(word)),
        "{events}"
    );
    assert!(run.snapshot.warnings.iter().any(|(step, text)| *step == 0 && text.contains(words[0])));

    let config = std::fs::read_to_string(place.model().join("config.json")).unwrap();
    let place = Workplace::new();
    std::fs::write(
        place.model().join("config.json"),
        config.replace("\"eos_token_id\": 256", "\"eos_token_id\": 7"),
    )
    .unwrap();
    assert!(
        read(&place.model()).notes()[0]
            .contains("config.json ends a response at 7, generation_config.json at 256")
    );
    for (file, value) in [
        ("config.json", json!(-1)),
        ("config.json", json!(260)),
        ("generation_config.json", json!([256, 151_645])),
    ] {
        let place = Workplace::new();
        edit(&place.model().join(file), "eos_token_id", value.clone());
        refused(&place, &[&format!("{file}'s eos_token_id is {value}"), "from 0 to 259"]);
    }
}

#[test]
fn fields_of_the_configuration_that_say_what_the_program_does_not_do_are_refused() {
    for (field, value, words) in [
        ("new_trick", json!(3), ["config.json's new_trick is 3", "not known here"]),
        ("attn_output_gate", json!(true), ["attn_output_gate is true", "only false"]),
        ("is_causal", json!(false), ["is_causal is false", "only true"]),
        (
            "architectures",
            json!(["Qwen3ForSequenceClassification"]),
            ["Qwen3ForSequenceClassification", "Qwen3ForCausalLM"],
        ),
        (
            "quantization_config",
            json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
            ["bitsandbytes", "F32, F16 and BF16"],
        ),
    ] {
        let place = Workplace::new();
        edit(&place.model().join("config.json"), field, value);
        refused(&place, &words);
        refused(&place, &[place.model().join("config.json").to_str().unwrap()]);
    }
    // What says no more than its absence stays, unseen.
    let place = Workplace::new();
    edit(&place.model().join("config.json"), "new_trick", false.into());
    assert!(read(&place.model()).notes().is_empty());
}

#[test]
fn what_else_a_tokenizers_and_a_generations_settings_say_is_refused_or_told() {
    let place = Workplace::new();
    let tokenizer = place.model().join("tokenizer_config.json");
    for (field, value, words) in [
        (
            "add_prefix_space",
            json!(true),
            ["add_prefix_space is true", "it is false in tokenizer.json"],
        ),
        ("split_special_tokens", json!(true), ["split_special_tokens is true", "only false"]),
        (
            "do_lower_case",
            json!(true),
            ["do_lower_case is true", "no normalizer of tokenizer.json"],
        ),
        (
            "added_tokens_decoder",
            json!({"256": {"content": "<|other|>", "special": true}}),
            ["<|other|>", "there it is \"<|endoftext|>\""],
        ),
    ] {
        let before = std::fs::read_to_string(&tokenizer).unwrap();
        edit(&tokenizer, field, value);
        refused(&place, &words);
        refused(&place, &[tokenizer.to_str().unwrap()]);
        std::fs::write(&tokenizer, before).unwrap();
    }
    let numbered = place.model().join("added_tokens.json");
    std::fs::write(&numbered, json!({"plus": 299}).to_string()).unwrap();
    refused(
        &place,
        &[
            "added_tokens.json and tokenizer.json do not agree",
            "\"plus\"",
            numbered.to_str().unwrap(),
        ],
    );
    std::fs::remove_file(numbered).unwrap();
    let map = place.model().join("special_tokens_map.json");
    for (file, value, words) in [
        (&map, json!({"eos_token": "nope"}), ["special_tokens_map.json's eos_token", "\"nope\""]),
        (&map, json!({"eos_token": {"content": "nope"}}), ["eos_token", "\"nope\""]),
        (&map, json!({"bos_token": "nope"}), ["special_tokens_map.json's bos_token", "\"nope\""]),
        (&map, json!({"eos_token": 5}), ["special_tokens_map.json's eos_token is 5", "a token"]),
        (&tokenizer, json!({"eos_token": "nope"}), ["tokenizer_config.json's eos_token", "nope"]),
        (&tokenizer, json!({"pad_token": []}), ["tokenizer_config.json's pad_token", "a token"]),
    ] {
        let before = std::fs::read(file).ok();
        std::fs::write(file, value.to_string()).unwrap();
        refused(&place, &words);
        refused(&place, &[file.to_str().unwrap()]);
        match before {
            Some(before) => std::fs::write(file, before).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
    }
    edit(
        &tokenizer,
        "added_tokens_decoder",
        json!({"256": {"content": "<|endoftext|>", "special": true}}),
    );
    assert!(read(&place.model()).notes().is_empty());
    edit(&tokenizer, "add_bos_token", true.into());
    edit(&tokenizer, "clean_up_tokenization_spaces", true.into());
    edit(&tokenizer, "eos_token", "Use".into());
    let generation = place.model().join("generation_config.json");
    edit(&generation, "repetition_penalty", 1.05.into());
    edit(&generation, "no_repeat_ngram_size", 0.into());
    edit(&generation, "temperature", 0.6.into());
    edit(&generation, "suppress_tokens", json!(vec![7; 1000]));
    let model = read(&place.model());
    let expected = [
        "generation_config.json asks for repetition_penalty 1.05, suppress_tokens [7, 7, 7, 7, 7, \
         7, 7, 7 and 992 more], which is not done",
        "tokenizer_config.json ends a turn with \"Use\"",
        "prompts here have only what their template writes",
        "clean_up_tokenization_spaces true",
    ];
    assert_eq!(model.notes().len(), expected.len(), "{:?}", model.notes());
    for (note, expected) in model.notes().iter().zip(expected) {
        assert!(note.contains(expected), "{note}");
    }
}

#[test]
fn long_lists_of_a_file_are_cut_in_messages() {
    let place = Workplace::new();
    let ids: Vec<usize> = (0..200_000).map(|id| id % 256).collect();
    for file in ["config.json", "generation_config.json"] {
        edit(&place.model().join(file), "eos_token_id", json!(ids));
    }
    std::fs::write(place.model().join("tokenizer_config.json"), r#"{"eos_token": "Use"}"#).unwrap();
    edit(&place.model().join("generation_config.json"), "eos_token_id", json!([100]));
    let model = read(&place.model());
    assert!(
        !model.notes().is_empty() && model.notes().iter().all(|note| note.len() < 600),
        "{:?}",
        model.notes()
    );
    assert!(
        model.notes()[0].contains("0, 1, 2, 3, 4, 5, 6, 7 and 248 more"),
        "{}",
        model.notes()[0]
    );
    edit(&place.model().join("config.json"), "eos_token_id", json!(vec![300; 200_000]));
    let text = LanguageModel::read(&place.model(), DType::F32, &Device::Cpu)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        text.len() < 600
            && text.contains("[300, 300, 300, 300, 300, 300, 300, 300 and 199992 more]"),
        "{text}"
    );
    // Long values are cut too, be they names, texts, or quoted by a library.
    let long = "x".repeat(100_000);
    let place = Workplace::new();
    edit(&place.model().join("tokenizer_config.json"), "eos_token", json!(long));
    let text = LanguageModel::read(&place.model(), DType::F32, &Device::Cpu)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(text.len() < 900 && text.contains("eos_token"), "{}", &text[..200]);
    for (field, value) in
        [("model_type", json!(long)), (long.as_str(), json!(1)), ("architectures", json!([long]))]
    {
        let place = Workplace::new();
        edit(&place.model().join("config.json"), field, value);
        let text = LanguageModel::read(&place.model(), DType::F32, &Device::Cpu)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(text.len() < 900 && text.contains("xxx"), "{}", &text[..200]);
    }
}

#[test]
fn names_with_a_prefix_are_read_and_tensors_that_belong_nowhere_are_refused() {
    let expected = tiny_model().weights.hash().unwrap();
    for prefix in ["_orig_mod.", "module.", ""] {
        let place = Workplace::new();
        let path = place.model().join("model.safetensors");
        let rename = |name: String| {
            format!(
                "{prefix}{}",
                if prefix.is_empty() { name.replacen("model.", "", 1) } else { name }
            )
        };
        let renamed: HashMap<String, Tensor> = tensors(&place.model())
            .into_iter()
            .map(|(name, tensor)| (rename(name), tensor))
            .collect();
        candle_core::safetensors::save(&renamed, &path).unwrap();
        assert_eq!(read(&place.model()).weights.hash().unwrap(), expected, "{prefix}");
    }
    let place = Workplace::new();
    let path = place.model().join("model.safetensors");
    let whole = tensors(&place.model());
    let zeros = Tensor::zeros(8, DType::F32, &Device::Cpu).unwrap();
    for (name, is_refused) in [
        ("model.layers.0.self_attn.q_proj.bias", true),
        ("model.layers.2.mlp.up_proj.weight", true),
        ("score.weight", true),
        ("model.rotary_emb.inv_freq", false),
    ] {
        let mut all = whole.clone();
        all.insert(name.to_string(), zeros.clone());
        candle_core::safetensors::save(&all, &path).unwrap();
        if is_refused {
            refused(&place, &[name, "belongs to nothing that config.json describes"]);
        } else {
            assert_eq!(read(&place.model()).weights.hash().unwrap(), expected);
        }
    }
    candle_core::safetensors::save(&whole, &path).unwrap();
    let layers =
        |count: u64| edit(&place.model().join("config.json"), "num_hidden_layers", count.into());
    layers(1 << 31);
    refused(&place, &["num_hidden_layers is 2147483648", "at most"]);
    layers(1000);
    refused(
        &place,
        &[
            "model.layers.2.input_layernorm.weight",
            "missing",
            "asks for 1000 layers of type \"qwen3\"",
        ],
    );
    layers(2);
    edit(&place.model().join("config.json"), "max_position_embeddings", (1u64 << 24).into());
    assert_eq!(read(&place.model()).weights.hash().unwrap(), expected);
    let mut all = whole;
    let norm = all.remove("model.norm.weight").unwrap();
    all.insert("other.model.norm.weight".to_string(), norm);
    candle_core::safetensors::save(&all, &path).unwrap();
    refused(&place, &["`model.norm.weight`", "missing", "there is `other.model.norm.weight`"]);
}

#[test]
fn what_is_there_in_place_of_the_weights_is_said() {
    let place = Workplace::new();
    let path = |name: &str| place.model().join(name);
    // A list of shards that somebody left beside the whole file.
    let index = json!({ "metadata": {}, "weight_map": { "lm_head.weight": "model-00001-of-00003.safetensors" } });
    std::fs::write(path("model.safetensors.index.json"), index.to_string()).unwrap();
    assert_eq!(read(&place.model()).weights.hash().unwrap(), tiny_model().weights.hash().unwrap());
    std::fs::remove_file(path("model.safetensors.index.json")).unwrap();
    std::fs::rename(path("model.safetensors"), path("pytorch_model.bin")).unwrap();
    refused(&place, &["pytorch_model.bin", "save_pretrained"]);

    let place = Workplace::new();
    edit(&place.model().join("config.json"), "tie_word_embeddings", false.into());
    refused(&place, &["`lm_head.weight`", "missing", "\"tie_word_embeddings\": true"]);
}

#[test]
fn files_that_git_lfs_has_not_fetched_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 34\n";
    for name in ["model.safetensors", "tokenizer.json", "config.json"] {
        let place = Workplace::new();
        std::fs::write(place.model().join(name), pointer).unwrap();
        refused(&place, &[name, "git-lfs", "git lfs pull"]);
    }
}

#[test]
fn byte_order_marks_are_skipped_in_every_file_of_settings() {
    let place = Workplace::new();
    let expected = read(&place.model());
    for name in ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]
    {
        let text = std::fs::read_to_string(place.model().join(name)).unwrap();
        std::fs::write(place.model().join(name), format!("\u{feff}{text}")).unwrap();
    }
    let marked = read(&place.model());
    assert_eq!(marked.config, expected.config);
    assert_eq!(logprobs(&marked), logprobs(&expected));
    assert!(marked.notes().is_empty());
    std::fs::write(place.model().join("config.json"), b"\xff\xfe{\0}\0").unwrap();
    refused(&place, &["config.json", "UTF-16"]);
}

#[cfg(unix)]
#[test]
fn files_that_lead_out_of_the_folder_or_have_no_end_are_refused() {
    use std::os::unix::fs::symlink;
    for name in [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "merges.txt",
        "chat_template.jinja",
        "model.safetensors",
    ] {
        for target in ["/dev/zero", "../secret", "/etc/hostname"] {
            let place = Workplace::new();
            std::fs::write(place.path().join("secret"), "secret").unwrap();
            drop(std::fs::remove_file(place.model().join(name)));
            symlink(target, place.model().join(name)).unwrap();
            refused(&place, &[name]);
        }
    }
}

#[test]
fn a_run_for_which_there_is_no_memory_does_not_start() {
    let place = Workplace::new();
    let config = std::fs::read_to_string(place.model().join("config.json")).unwrap();
    let long =
        config.replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 2000000");
    std::fs::write(place.model().join("config.json"), long).unwrap();
    let mut experiment = place.experiment(1, "");
    experiment.rollout.max_new_tokens = 1 << 20;
    experiment.rollout.group_size = 1024;
    let error = RunBuilder::new(experiment).start(&place.runs()).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_status(), 2, "{text}");
    let words = ["the run needs about", "cpu has", "rollout.max_new_tokens="];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(!place.runs().exists());
}

/// Log-probabilities of a text under the frozen network.
fn logprobs(model: &LanguageModel) -> Vec<f32> {
    let ids =
        model.tokenizer.encode("Use 1 2 12 to make 36\n12*(2+1)=36\n\\boxed{12*(2+1)}").unwrap();
    let batch = ResponseBatch::new(&[(&ids[..1], &ids[1..])]).unwrap();
    let found = model.frozen.response_logprobs(&batch, 1.0).unwrap().narrow(1, 0, 1).unwrap();
    f32_values(&found)
}

#[test]
fn bf16_says_what_f32_says_to_the_precision_of_bf16() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &tiny_model(), DType::BF16, false);
    let [wide, narrow] = [DType::F32, DType::BF16]
        .map(|dtype| logprobs(&LanguageModel::read(folder.path(), dtype, &Device::Cpu).unwrap()));
    let off: Vec<f32> =
        wide.iter().zip(&narrow).map(|(wide, narrow)| (wide - narrow).abs()).collect();
    let (mean, largest) =
        (off.iter().sum::<f32>() / off.len() as f32, off.iter().copied().fold(0.0, f32::max));
    eprintln!("log-probabilities in bf16 against f32: mean {mean:.1e}, largest {largest:.1e} nats");
    // The model's log-probabilities are of the order of 5 nats; a bf16 number has 8 significant
    // bits.
    assert!(mean > 0.0 && mean < 0.02 && largest < 0.2, "{mean} {largest}");
}

#[test]
fn a_run_in_bf16_learns_as_one_in_f32_and_its_checkpoints_are_bf16() {
    let place = Workplace::new();
    let mut runs = Vec::new();
    for precision in [Precision::F32, Precision::Bf16] {
        let mut experiment = place.parity_experiment(2, "method: G2rl()");
        experiment.precision = precision;
        runs.push(place.run_parity(&experiment));
    }
    let folder = runs[1].folder.join("checkpoints/step_000002");
    assert_eq!(json(&folder.join("config.json"))["torch_dtype"], "bfloat16");
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.iter().all(|(_, tensor)| tensor.dtype() == safetensors::Dtype::BF16));
    // Masters and moments are f32, and the weights are the masters, rounded.
    let state =
        candle_core::safetensors::load(folder.join("trainer.safetensors"), &Device::Cpu).unwrap();
    assert!(state.values().all(|tensor| tensor.dtype() == DType::F32));
    let weights = runs[1].weights(2);
    let mut is_finer = false;
    for (name, variable) in weights.variables() {
        let master = &state[&format!("master.{name}")];
        let rounded = master.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        assert!(difference_of(&rounded, variable) == 0.0, "{name}");
        is_finer |= difference_of(master, variable) > 0.0;
    }
    assert!(is_finer);
    // Two steps of at most 1e-2 each, from weights that bf16 rounds by up to 2^-9 of their size.
    let moved = largest_difference(&weights, &tiny_model().weights);
    assert!(moved > 5e-3 && moved < 3e-2, "{moved}");
    let (f32_kl, bf16_kl) = (metric(&runs[0], "policy/kl"), metric(&runs[1], "policy/kl"));
    assert!(
        f32_kl > 0.0 && bf16_kl > 0.1 * f32_kl && bf16_kl < 10.0 * f32_kl,
        "{f32_kl} {bf16_kl}"
    );
}

fn metric(run: &common::Finished, name: &str) -> f64 {
    run.repeatable_metrics().last().unwrap()[name].as_f64().unwrap()
}

#[test]
fn a_bf16_run_that_is_resumed_is_the_one_that_was_not_interrupted() {
    for adapter in ["Full", "Lora(rank: 4)"] {
        let place = Workplace::new();
        let settings = format!(
            "precision: Bf16, adapter: {adapter}, method: G2rl(), record: (checkpoint_every: 2)"
        );
        let straight = place.run_parity(&place.parity_experiment(4, &settings));
        let half = place.run_parity(&place.parity_experiment(2, &settings));
        let resumed = RunBuilder::resume(&half.folder, &["stop.steps=4".to_string()])
            .unwrap()
            .task(common::Parity);
        let resumed = common::finish(resumed.start(&place.runs()).unwrap());
        assert_eq!(straight.repeatable_metrics(), resumed.repeatable_metrics());
        for file in std::fs::read_dir(straight.folder.join("checkpoints/step_000004")).unwrap() {
            let name = file.unwrap().file_name();
            let read = |run: &common::Finished| {
                std::fs::read(run.folder.join("checkpoints/step_000004").join(&name)).unwrap()
            };
            assert!(read(&straight) == read(&resumed), "{adapter}: {name:?}");
        }
    }
}
