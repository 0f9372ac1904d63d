//! Whole runs with a sentence encoder: EVOL-RL, and semantic cosines beside the gradient cosines of
//! other methods.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{
    Finished, GROUP, PROMPTS, Parity, Workplace, finish, json, lines, number, tiny_model,
};
use orthant::error::Error;
use orthant::experiment::{EncoderSource, TaskConfig};
use orthant::methods::{EvolRl, Labels};
use orthant::model::PackedTokens;
use orthant::prelude::{Experiment, Result, *};
use orthant::run::CosineKind;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn bert_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert_tiny")
}

fn matrix(tensor: &Tensor) -> Vec<Vec<f64>> {
    tensor.to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

/// A task whose answers fall into few classes, so that majorities exist and groups have all kinds
/// of members: a completion whose length in characters is a multiple of 4 has no answer; else the
/// answer is the length modulo 3, and 0 is right.
struct Lengths;

impl Task for Lengths {
    fn name(&self) -> &'static str {
        "lengths"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        Parity.problem(split, seed, index)
    }

    fn verify(&self, _: &Problem, completion: &str) -> Verification {
        let length = completion.chars().count();
        let verdict = match (length % 4, length % 3) {
            (0, _) => Verdict::NoAnswer,
            (_, 0) => Verdict::Correct,
            _ => Verdict::Incorrect,
        };
        let extracted = if verdict == Verdict::NoAnswer { None } else { Some(format!("{length}")) };
        Verification { verdict, extracted }
    }

    fn same_answer(&self, _: &Problem, one: &str, other: &str) -> bool {
        let class = |answer: &str| answer.parse::<usize>().unwrap() % 3;
        class(one) == class(other)
    }
}

fn run_lengths(place: &Workplace, steps: u64, settings: &str) -> Finished {
    let mut experiment = place.experiment(steps, settings);
    experiment.task = TaskConfig::Custom("lengths".to_string());
    finish(RunBuilder::new(experiment).task(Lengths).start(&place.runs()).unwrap())
}

/// Rewards of a group by the method's description, from its recorded cosines; `classes` are `None`
/// without an answer.
fn rewards(cosines: &[Vec<f64>], classes: &[Option<bool>]) -> Vec<f64> {
    let m = classes.len();
    let similarity = |i: usize, j: usize| cosines[i][j].clamp(0.0, 1.0);
    let others = |i: usize| (0..m).filter(move |&j| j != i && classes[j].is_some());
    let novelty: Vec<f64> = (0..m)
        .map(|i| {
            let mut same: Vec<usize> = others(i).filter(|&j| classes[j] == classes[i]).collect();
            if same.is_empty() {
                same = others(i).collect();
            }
            let mean =
                same.iter().map(|&j| similarity(i, j)).sum::<f64>() / same.len().max(1) as f64;
            let largest = others(i).map(|j| similarity(i, j)).fold(0.0, f64::max);
            1.0 - (0.5 * mean + 0.5 * largest)
        })
        .collect();
    let reward = |i: usize| {
        let Some(correct) = classes[i] else { return -1.0 };
        let class: Vec<f64> =
            (0..m).filter(|&j| classes[j] == classes[i]).map(|j| novelty[j]).collect();
        let low = class.iter().copied().fold(f64::INFINITY, f64::min);
        let high = class.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match (class.len(), correct) {
            (1, true) => 1.0,
            (1, false) => -0.5,
            (_, true) if high - low <= 1e-5 => 0.75,
            (_, false) if high - low <= 1e-5 => -0.75,
            (_, true) => 0.5 + 0.5 * (novelty[i] - low) / (high - low),
            (_, false) => -1.0 + 0.5 * (novelty[i] - low) / (high - low),
        }
    };
    (0..m).map(reward).collect()
}

/// The most frequent remainder of the extracted answers; of equally frequent ones the first.
fn winner(answers: &[Option<u64>]) -> Option<u64> {
    let count = |answer: &u64| answers.iter().flatten().filter(|other| *other == answer).count();
    let most = answers.iter().flatten().map(count).max()?;
    answers.iter().flatten().find(|answer| count(answer) == most).copied()
}

#[test]
fn evol_rl_gives_the_rewards_of_its_description_for_both_kinds_of_labels() {
    let place = Workplace::new();
    for labels in ["Verifier", "Majority"] {
        let run = run_lengths(&place, 3, &format!("method: EvolRl(labels: {labels})"));
        let mut seen = HashMap::new();
        for step in 1..=3 {
            let geometry = run.geometry(step);
            let rollouts = run.rollouts(step);
            for (group, members) in rollouts.chunks(GROUP).enumerate() {
                let answers: Vec<Option<u64>> = members
                    .iter()
                    .map(|line| Some(line["extracted"].as_str()?.parse::<u64>().unwrap() % 3))
                    .collect();
                let right = if labels == "Majority" { winner(&answers) } else { Some(0) };
                let classes: Vec<Option<bool>> =
                    answers.iter().map(|answer| answer.map(|a| Some(a) == right)).collect();
                let expected = rewards(&matrix(&geometry[&format!("semantic.{group}")]), &classes);
                for ((line, expected), class) in members.iter().zip(expected).zip(classes) {
                    let found = number(&line["shaped_reward"]);
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{labels}, step {step}: {found} is not {expected}"
                    );
                    // The base reward stays the verifier's.
                    assert_eq!(
                        line["reward"],
                        if line["verdict"] == "correct" { 1.0 } else { -1.0 }
                    );
                    *seen.entry(class).or_insert(0) += 1;
                }
            }
        }
        assert!(
            [Some(true), Some(false), None].iter().all(|class| seen.contains_key(class)),
            "{labels}: {seen:?}"
        );
    }
}

#[test]
fn the_entropy_term_of_evol_rl_is_that_of_the_entropy_bonus() {
    let place = Workplace::new();
    let weights = |coefficient: f64| {
        let method = format!("method: EvolRl(entropy_coefficient: {coefficient:?})");
        run_lengths(&place, 1, &method).weights(1).hash().unwrap()
    };
    assert_ne!(weights(0.0), weights(0.1));
}

/// The policy has moved by the second step; the encoder has not.
#[test]
fn semantic_cosines_are_those_of_the_base_models_mean_hidden_states() {
    let place = Workplace::new();
    let run = place.run_parity(&place.parity_experiment(2, "record: (encoder: Policy)"));
    let model = tiny_model();
    let mut means = Vec::new();
    for step in 1..=2 {
        let (rollouts, geometry) = (run.rollouts(step), run.geometry(step));
        let (mut sum, mut pairs) = (0.0, 0);
        for (group, members) in rollouts.chunks(GROUP).enumerate() {
            let embeddings: Vec<Vec<f64>> = members
                .iter()
                .map(|line| {
                    let mut ids = model.tokenizer.encode(line["prompt"].as_str().unwrap()).unwrap();
                    let prompt = ids.len();
                    ids.extend(
                        line["response_ids"].as_array().unwrap().iter().map(|id| number(id) as u32),
                    );
                    let hidden =
                        model.frozen.forward(&PackedTokens::new([ids.as_slice()])).unwrap();
                    let rows = &matrix(&hidden)[prompt..];
                    let mean: Vec<f64> =
                        (0..rows[0].len()).map(|d| rows.iter().map(|row| row[d]).sum()).collect();
                    let norm = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
                    mean.into_iter().map(|x| x / norm).collect()
                })
                .collect();
            let recorded = matrix(&geometry[&format!("semantic.{group}")]);
            for i in 0..GROUP {
                for j in 0..GROUP {
                    let cosine: f64 =
                        embeddings[i].iter().zip(&embeddings[j]).map(|(a, b)| a * b).sum();
                    assert!((recorded[i][j] - cosine).abs() < 2e-6, "{} {cosine}", recorded[i][j]);
                    if i < j {
                        sum += recorded[i][j];
                        pairs += 1;
                    }
                }
            }
        }
        assert_eq!(pairs, PROMPTS * GROUP * (GROUP - 1) / 2);
        means.push(sum / f64::from(pairs as u32));
    }
    for (row, mean) in lines(&run.folder.join("metrics.jsonl")).iter().zip(means) {
        assert!((number(&row["semantic/cosine_mean"]) - mean).abs() < 1e-9, "{row}");
    }
    let view = run.snapshot.latest.unwrap();
    assert!(
        view.groups.iter().all(|group| group.cosines[CosineKind::Semantic].len() == GROUP * GROUP)
    );
}

#[test]
fn measuring_semantics_changes_nothing_else_and_is_left_out_where_nobody_asked() {
    let place = Workplace::new();
    let folder = bert_folder();
    let run = |settings: &str| place.run_parity(&place.parity_experiment(2, settings));
    let plain = run("method: G2rl()");
    assert!(
        lines(&plain.folder.join("metrics.jsonl"))
            .iter()
            .all(|row| row.get("semantic/cosine_mean").is_none())
    );
    assert!(plain.geometry(1).keys().all(|name| !name.starts_with("semantic")));
    assert!(
        plain
            .snapshot
            .latest
            .as_ref()
            .unwrap()
            .groups
            .iter()
            .all(|group| group.cosines[CosineKind::Semantic].is_empty())
    );
    for encoder in ["Policy".to_string(), format!("Local({folder:?})")] {
        let measured = run(&format!("method: G2rl(), record: (encoder: {encoder})"));
        assert_eq!(measured.weights(2).hash().unwrap(), plain.weights(2).hash().unwrap());
        assert!(
            (0..PROMPTS)
                .all(|group| measured.geometry(2).contains_key(&format!("semantic.{group}")))
        );
        let resolved = std::fs::read_to_string(measured.folder.join("experiment.ron")).unwrap();
        assert!(from_text::<Experiment>(&resolved, "run").unwrap().record.encoder.is_some());
    }
}

#[test]
fn two_different_encoders_and_a_missing_one_are_bad_input_before_the_run() {
    let place = Workplace::new();
    let start = |settings: &str| -> Result<Run> {
        RunBuilder::new(place.experiment(1, settings)).start(&place.runs())
    };
    let error = start("method: EvolRl(encoder: Policy), record: (encoder: Local(\"minilm\"))")
        .err()
        .unwrap();
    assert!(matches!(&error, Error::Field { field, .. } if field == "record.encoder"), "{error}");
    assert!(
        error.to_string().contains("leave this field out") && error.exit_status() == 2,
        "{error}"
    );

    for settings in [
        "method: EvolRl(encoder: Local(\"no/such/folder\"))",
        "record: (encoder: Local(\"no/such/folder\"))",
    ] {
        let error = start(settings).err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("no/such/folder")
                && text.contains("config.json")
                && error.exit_status() == 2,
            "{text}"
        );
    }
    assert!(!place.runs().exists(), "a run folder was made all the same");

    let mut experiment = place.experiment(1, "");
    let same = || EncoderSource::Local(bert_folder());
    experiment.method =
        EvolRl { encoder: same(), labels: Labels::Verifier, entropy_coefficient: 0.0 }.into();
    experiment.record.encoder = Some(same());
    place.run(&experiment);
}

#[test]
fn an_encoder_that_fails_ends_the_step_before_the_optimizer() {
    let place = Workplace::new();
    let folder = place.path().join("broken");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(bert_folder().join(file), folder.join(file)).unwrap();
    }
    let mut tensors =
        candle_core::safetensors::load(bert_folder().join("model.safetensors"), &Device::Cpu)
            .unwrap();
    let bias = tensors.get_mut("encoder.layer.1.output.LayerNorm.bias").unwrap();
    // Finite, so that it can be loaded, and too large to be summed over tokens.
    *bias = bias.affine(0.0, 3e38).unwrap();
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();

    let experiment = place.experiment(2, &format!("method: EvolRl(encoder: Local({folder:?}))"));
    let run = RunBuilder::new(experiment).start(&place.runs()).unwrap();
    let handle = run.handle.clone();
    let text = run.join().unwrap_err().to_string();
    assert!(
        ["embed_responses", "group 0", "response 0"].iter().all(|word| text.contains(word)),
        "{text}"
    );
    let folder = handle.snapshots.load().info.directory.clone();
    assert_eq!(json(&folder.join("manifest.json"))["state"], "failed");
    assert!(!folder.join("metrics.jsonl").exists(), "the step was recorded all the same");
    assert_eq!(std::fs::read_dir(folder.join("checkpoints")).unwrap().count(), 0);
}
