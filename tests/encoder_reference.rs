//! Sentence embeddings agree with Transformers, and EVOL-RL's rewards with an independent
//! implementation in Python. `fixtures/generate.py` says how the numbers were made.
//!
//! Largest absolute differences measured: embeddings 8e-8; novelty 5e-10, which is the fixture's
//! nine digits; rewards 3e-8. With all-MiniLM-L6-v2 and nine texts of 0 to 4,920 characters:
//! embeddings 3e-7.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use candle_core::Device;
use orthant::error::Error;
use orthant::geometry::{
    AnswerClass, CosineMatrix, banded_reward, normalize_within_classes, semantic_novelty,
};
use orthant::model::{BertEncoder, Passage, SentenceEncoder};
use serde::Deserialize;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of the tiny encoder's folder that a test may damage.
fn copied_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture("bert_tiny")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Replaces text in one file of a folder.
fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{from} is not in {file}");
    std::fs::write(folder.join(file), text.replace(from, to)).unwrap();
}

fn embed(folder: &Path, texts: &[String]) -> Vec<Vec<f32>> {
    let encoder = SentenceEncoder::Bert(BertEncoder::read(folder, &Device::Cpu).unwrap());
    let passages: Vec<Passage> = texts
        .iter()
        .map(|text| Passage { prompt: &[1], response: &[1], text: text.as_str() })
        .collect();
    encoder.embed(&passages).unwrap()
}

fn largest_difference(found: &[Vec<f32>], expected: &[Vec<f64>]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    let differences = pairs.map(|(&found, expected)| (f64::from(found) - expected).abs());
    differences.inspect(|difference| assert!(!difference.is_nan())).fold(0.0, f64::max)
}

#[derive(Deserialize)]
struct Embeddings {
    texts: Vec<String>,
    gelu: Vec<Vec<f64>>,
    gelu_new: Vec<Vec<f64>>,
}

/// The reference embeds one text at a time; here they are padded to one batch. One text is longer
/// than the model's positions, one is empty, and the folder's tokenizer has settings for cutting
/// and padding that must not be used.
#[test]
fn embeddings_agree_with_transformers_for_both_gelus_padded_and_cut() {
    let expected: Embeddings =
        serde_json::from_slice(&std::fs::read(fixture("bert_tiny/expected.json")).unwrap())
            .unwrap();
    let folder = copied_folder();
    let exact = largest_difference(&embed(folder.path(), &expected.texts), &expected.gelu);
    edit(folder.path(), "config.json", r#""hidden_act": "gelu""#, r#""hidden_act": "gelu_new""#);
    let approximate =
        largest_difference(&embed(folder.path(), &expected.texts), &expected.gelu_new);
    eprintln!(
        "embeddings: {exact:.1e} with the exact GELU, {approximate:.1e} with its approximation"
    );
    assert!(exact < 1e-6 && approximate < 1e-6);
    edit(folder.path(), "config.json", r#""hidden_act": "gelu_new""#, r#""hidden_act": "relu""#);
    assert!(largest_difference(&embed(folder.path(), &expected.texts), &expected.gelu) > 1e-3);
}

/// Enough texts for several batches, so that rows are padded to different lengths.
#[test]
fn an_embedding_does_not_depend_on_its_batch_and_thinking_is_left_out() {
    let expected: Embeddings =
        serde_json::from_slice(&std::fs::read(fixture("bert_tiny/expected.json")).unwrap())
            .unwrap();
    let many: Vec<String> = (0..600)
        .map(|i| format!("the box {i}</think> {}", expected.texts[i % expected.texts.len()]))
        .collect();
    let found = embed(&fixture("bert_tiny"), &many);
    let repeated: Vec<Vec<f64>> =
        (0..600).map(|i| expected.gelu[i % expected.texts.len()].clone()).collect();
    assert!(largest_difference(&found, &repeated) < 1e-6);
}

#[test]
fn a_folder_that_is_no_sentence_encoder_is_bad_input_that_names_file_and_remedy() {
    let missing = copied_folder();
    std::fs::remove_file(missing.path().join("model.safetensors")).unwrap();
    let other = copied_folder();
    edit(other.path(), "config.json", r#""model_type": "bert""#, r#""model_type": "roberta""#);
    let activation = copied_folder();
    edit(activation.path(), "config.json", r#""hidden_act": "gelu""#, r#""hidden_act": "mish""#);
    let narrow = copied_folder();
    edit(narrow.path(), "config.json", r#""hidden_size": 8"#, r#""hidden_size": 10"#);
    let deep = copied_folder();
    edit(deep.path(), "config.json", r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 3"#);
    let heads = copied_folder();
    edit(heads.path(), "config.json", r#""num_attention_heads": 2"#, r#""num_attention_heads": 3"#);
    let vocabulary = copied_folder();
    edit(vocabulary.path(), "config.json", r#""vocab_size": 56"#, r#""vocab_size": 50"#);
    let short = copied_folder();
    edit(
        short.path(),
        "config.json",
        r#""max_position_embeddings": 16"#,
        r#""max_position_embeddings": 2"#,
    );
    let text = copied_folder();
    std::fs::write(text.path().join("tokenizer.json"), "{}").unwrap();
    let bytes = copied_folder();
    std::fs::write(bytes.path().join("model.safetensors"), "no tensors").unwrap();
    for (folder, words) in [
        (&missing, ["model.safetensors", "config.json"]),
        (&other, ["config.json", "roberta"]),
        (&activation, ["config.json", "mish"]),
        (&narrow, ["model.safetensors", "embeddings"]),
        (&deep, ["model.safetensors", "layer.2"]),
        (&heads, ["config.json", "heads"]),
        (&vocabulary, ["tokenizer.json", "vocab_size"]),
        (&short, ["tokenizer.json", "positions"]),
        (&text, ["tokenizer.json", "tokenizer is not valid"]),
        (&bytes, ["model.safetensors", "cannot read"]),
    ] {
        let error = BertEncoder::read(folder.path(), &Device::Cpu).err().unwrap();
        let message = error.to_string();
        assert!(
            matches!(error, Error::Input(_)) && words.iter().all(|word| message.contains(word)),
            "{message}"
        );
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
    }
}

#[derive(Deserialize)]
struct Groups {
    cases: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    classes: Vec<Option<String>>,
    cosines: Vec<f32>,
    novelty: Vec<Option<f64>>,
    rewards: Vec<f64>,
}

#[test]
fn semantic_novelty_and_banded_rewards_agree_with_an_independent_implementation() {
    let groups: Groups =
        serde_json::from_slice(&std::fs::read(fixture("evol_rl.json")).unwrap()).unwrap();
    let mut largest = [0.0f64; 2];
    for group in &groups.cases {
        let classes: Vec<AnswerClass> = group
            .classes
            .iter()
            .map(|class| match class.as_deref() {
                Some("correct") => AnswerClass::Correct,
                Some("incorrect") => AnswerClass::Incorrect,
                _ => AnswerClass::Invalid,
            })
            .collect();
        let cosines = CosineMatrix::from_values(group.cosines.clone(), classes.len()).unwrap();
        let novelty = semantic_novelty(&cosines, &classes).unwrap();
        let normalized = normalize_within_classes(&novelty, &classes);
        for i in 0..classes.len() {
            assert_eq!(novelty[i].is_some(), group.novelty[i].is_some(), "{}", group.name);
            let difference = novelty[i]
                .zip(group.novelty[i])
                .map_or(0.0, |(found, expected)| (found - expected).abs());
            let reward = f64::from(banded_reward(classes[i], normalized[i]));
            largest[0] = largest[0].max(difference);
            largest[1] = largest[1].max((reward - group.rewards[i]).abs());
        }
    }
    eprintln!("novelty: {:.1e}, rewards: {:.1e}", largest[0], largest[1]);
    assert!(groups.cases.len() >= 10 && largest[0] < 1e-8 && largest[1] < 2e-7);
}
