//! What stands in a checkpoint, byte by byte, and that Transformers reads it.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device};
use common::{Workplace, checkpoint, f32_values, json, largest_deviation, tiny_model_of};
use orthant::model::{LanguageModel, ResponseBatch};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A checkpoint after two steps of training.
fn trained(place: &Workplace, family: &str, tied: bool) -> PathBuf {
    tiny_model_of(family, tied).write(&place.model()).unwrap();
    let run = place.run_parity(&place.parity_experiment(2, "method: G2rl()"));
    run.folder.join("checkpoints/step_000002")
}

/// One tensor of a safetensors file: shape and bytes.
type Stored = (Vec<u64>, Vec<u8>);

/// Reads a safetensors file by its specification: a little-endian u64 with the length of a JSON
/// header, the header, then the tensors' bytes without gaps. Every tensor must be `F32`.
fn read_by_hand(path: &Path) -> (Value, BTreeMap<String, Stored>) {
    let bytes = std::fs::read(path).unwrap();
    let header_length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!((8 + header_length) % 8, 0, "data begins at a multiple of eight bytes");
    let header: serde_json::Map<String, Value> =
        serde_json::from_slice(&bytes[8..8 + header_length]).unwrap();
    let data = &bytes[8 + header_length..];
    let mut tensors = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let list = |field: &str| -> Vec<u64> {
            entry[field].as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect()
        };
        assert_eq!(entry["dtype"], "F32", "{name}");
        let (shape, range) = (list("shape"), list("data_offsets"));
        assert_eq!(range[1] - range[0], 4 * shape.iter().product::<u64>(), "{name}");
        ends.insert(range[0], range[1]);
        tensors.insert(name.clone(), (shape, data[range[0] as usize..range[1] as usize].to_vec()));
    }
    let end = ends.iter().fold(0, |at, (&start, &end)| {
        assert_eq!(at, start, "no gap between tensors");
        end
    });
    assert_eq!(end as usize, data.len(), "nothing after the last tensor");
    (header.get("__metadata__").cloned().unwrap_or(Value::Null), tensors)
}

/// Names and shapes that Transformers' Qwen3 has for the tests' model.
fn expected_shapes(tied: bool) -> BTreeMap<String, Vec<u64>> {
    let (vocabulary, d, mlp, q, kv, head) = (260, 32, 48, 32, 16, 8);
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_string(), vec![vocabulary, d]),
        ("model.norm.weight".to_string(), vec![d]),
    ];
    for layer in 0..2 {
        for (name, shape) in [
            ("input_layernorm", vec![d]),
            ("post_attention_layernorm", vec![d]),
            ("self_attn.q_proj", vec![q, d]),
            ("self_attn.k_proj", vec![kv, d]),
            ("self_attn.v_proj", vec![kv, d]),
            ("self_attn.o_proj", vec![d, q]),
            ("self_attn.q_norm", vec![head]),
            ("self_attn.k_norm", vec![head]),
            ("mlp.gate_proj", vec![mlp, d]),
            ("mlp.up_proj", vec![mlp, d]),
            ("mlp.down_proj", vec![d, mlp]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    if !tied {
        shapes.push(("lm_head.weight".to_string(), vec![vocabulary, d]));
    }
    shapes.into_iter().collect()
}

#[test]
fn a_checkpoint_is_what_it_is_described_as_byte_by_byte() {
    for tied in [true, false] {
        let place = Workplace::new();
        let folder = trained(&place, "qwen3", tied);
        let mut files: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let described = [
            "SHA256SUMS",
            "config.json",
            "experiment.ron",
            "generation_config.json",
            "model.safetensors",
        ];
        let trainer =
            ["tokenizer.json", "tokenizer_config.json", "trainer.json", "trainer.safetensors"];
        assert_eq!(files, [described.as_slice(), &trainer].concat());

        let config = json(&folder.join("config.json"));
        for (field, value) in [
            ("architectures", json!(["Qwen3ForCausalLM"])),
            ("model_type", json!("qwen3")),
            ("hidden_size", json!(32)),
            ("intermediate_size", json!(48)),
            ("num_hidden_layers", json!(2)),
            ("num_attention_heads", json!(4)),
            ("num_key_value_heads", json!(2)),
            ("head_dim", json!(8)),
            ("vocab_size", json!(260)),
            ("max_position_embeddings", json!(128)),
            ("rms_norm_eps", json!(1e-6)),
            ("rope_theta", json!(10_000.0)),
            ("tie_word_embeddings", json!(tied)),
            ("hidden_act", json!("silu")),
            ("attention_bias", json!(false)),
            ("torch_dtype", json!("float32")),
        ] {
            assert_eq!(config[field], value, "{field}");
        }
        let ends: Vec<u32> = std::iter::once(256).chain(100..112).collect();
        assert_eq!(json(&folder.join("generation_config.json"))["eos_token_id"], json!(ends));

        let (metadata, weights) = read_by_hand(&folder.join("model.safetensors"));
        assert_eq!(metadata, json!({ "format": "pt" }));
        let shapes: BTreeMap<String, Vec<u64>> =
            weights.iter().map(|(name, (s, _))| (name.clone(), s.clone())).collect();
        assert_eq!(shapes, expected_shapes(tied));

        let (metadata, state) = read_by_hand(&folder.join("trainer.safetensors"));
        assert_eq!(metadata, json!({ "steps": "2" }));
        assert_eq!(state.len(), 3 * weights.len());
        for (name, stored) in &weights {
            // In f32 the masters are the weights.
            assert_eq!(state[&format!("master.{name}")], *stored, "{name}");
            for moment in ["first", "second"] {
                let (shape, bytes) = &state[&format!("{moment}.{name}")];
                assert_eq!(*shape, stored.0);
                let values =
                    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
                assert!(
                    values.clone().all(|x| x.is_finite() && (moment == "first" || x >= 0.0)),
                    "{moment}.{name}"
                );
                assert!(values.clone().any(|x| x != 0.0), "{moment}.{name} has not moved");
            }
        }
        let trainer = json(&folder.join("trainer.json"));
        assert_eq!(
            (&trainer["step"], &trainer["seed"], &trainer["optimizer_steps"]),
            (&json!(2), &json!(0), &json!(2))
        );
        assert_eq!(trainer["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn files_of_the_tokenizer_that_came_with_a_model_go_with_its_checkpoints() {
    let place = Workplace::new();
    let brought = [
        (
            "tokenizer_config.json",
            "{\"eos_token\": \"<|endoftext|>\", \"chat_template\": \"{{ messages }}\"}",
        ),
        ("special_tokens_map.json", "{\"eos_token\": \"<|endoftext|>\"}"),
        ("chat_template.jinja", "{{ messages }}"),
    ];
    for (name, text) in brought {
        std::fs::write(place.model().join(name), text).unwrap();
    }
    let run = place.run_parity(&place.parity_experiment(1, ""));
    for (name, text) in brought {
        assert_eq!(
            std::fs::read_to_string(run.folder.join("checkpoints/step_000001").join(name)).unwrap(),
            text
        );
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    decoded: String,
}

/// What Transformers says of `texts` with the model in `folder`; nothing where Python or
/// Transformers is missing.
fn ask_transformers(folder: &Path, texts: &[&str]) -> Option<Vec<Answer>> {
    use std::process::{Command, Stdio};
    let python = std::env::var("ORTHANT_PYTHON").unwrap_or_else(|_| "python3".into());
    let questions = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(questions.path(), serde_json::to_string(texts).unwrap()).unwrap();
    let output = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/load_folder.py"))
        .arg(folder)
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::from(questions.reopen().unwrap()))
        .output();
    let output = match output {
        Err(error) => {
            eprintln!(
                "skipped: cannot start {python}: {error}; ORTHANT_PYTHON names an interpreter with \
                 Transformers"
            );
            return None;
        }
        Ok(output) => output,
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        eprintln!(
            "skipped: {python} has no Transformers ({}); ORTHANT_PYTHON names another interpreter",
            errors.trim()
        );
        return None;
    }
    assert!(output.status.success(), "load_folder.py failed:\n{errors}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Folders that Transformers wrote are written again with all that came with them.
#[test]
fn transformers_reads_what_is_made_of_its_folders_and_says_the_same() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = "w3 w14 w15 w9 w2 w6 w5 w3 w58 w0 w11 w12 w13 w1";
    for name in ["qwen2", "llama3", "mistral", "smollm3", "olmo2", "gemma3"] {
        let place = tempfile::tempdir().unwrap();
        let [before, after] = ["before", "after"].map(|name| place.path().join(name));
        for folder in [&before, &after] {
            std::fs::create_dir(folder).unwrap();
        }
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(fixtures.join(name).join(file), before.join(file)).unwrap();
        }
        std::fs::copy(fixtures.join("score/tokenizer.json"), before.join("tokenizer.json"))
            .unwrap();
        let model = LanguageModel::read(&before, DType::F32, &Device::Cpu).unwrap();
        model.write(&after).unwrap();
        let again = LanguageModel::read(&after, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(again.config, model.config, "{name}");
        let Some(answers) = ask_transformers(&after, &[text]) else { return };
        let ids = model.tokenizer.encode(text).unwrap();
        assert_eq!(ids, answers[0].ids, "{name}");
        let batch = ResponseBatch::new(&[(&ids[..1], &ids[1..])]).unwrap();
        let found = model.frozen.response_logprobs(&batch, 1.0).unwrap().narrow(1, 0, 1).unwrap();
        let off = largest_deviation(&f32_values(&found), &answers[0].logprobs);
        eprintln!("{name}, log-probabilities against Transformers: {off:.1e}");
        assert!(off < 1e-3, "{name}: {off}");
    }
}

#[test]
fn transformers_reads_a_checkpoint_and_says_the_same() {
    let texts = [
        "Use 1 2 12 to make 36\n12*(2+1)=36\n\\boxed{12*(2+1)}",
        "grüße, 你好 \u{1F600}\t'boxed' .",
        "Use<|endoftext|>x",
    ];
    let kinds =
        common::FAMILIES.into_iter().flat_map(|name| [true, false].map(|tied| (name, tied)));
    for (family, tied) in kinds {
        let place = Workplace::new();
        let folder = trained(&place, family, tied);
        let Some(answers) = ask_transformers(&folder, &texts) else { return };
        assert_eq!(answers.len(), texts.len());
        let model: LanguageModel = checkpoint(&folder.join("../.."), 2);
        let mut largest = 0.0f32;
        for (text, answer) in texts.iter().zip(&answers) {
            let ids = model.tokenizer.encode(text).unwrap();
            assert_eq!(ids, answer.ids, "{text:?}");
            assert_eq!(&answer.decoded, text);
            let batch = ResponseBatch::new(&[(&ids[..1], &ids[1..])]).unwrap();
            let found =
                model.frozen.response_logprobs(&batch, 1.0).unwrap().narrow(1, 0, 1).unwrap();
            let found = f32_values(&found);
            assert_eq!(found.len(), answer.logprobs.len());
            for (found, expected) in found.iter().zip(&answer.logprobs) {
                largest = largest.max((found - expected).abs());
                assert!((found - expected).abs() < 1e-3, "{text:?}: {found} {expected}");
            }
        }
        eprintln!("{family}, tied: {tied}, log-probabilities against Transformers: {largest:.1e}");
    }
}
