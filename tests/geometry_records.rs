//! What a run records of its geometry: statistics by kind of pair, real parameter gradients beside
//! features, and tokens.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::Device;
use common::{Finished, GROUP, PROMPTS, Workplace, f32_values, lines};
use orthant::experiment::Every;
use orthant::geometry::{pearson, spearman};
use orthant::model::{GradientForm, ParameterBlock};
use orthant::prelude::*;
use orthant::run::CosineKind;
use serde_json::Value;
use std::collections::HashMap;

fn ids(line: &Value) -> Vec<u32> {
    line["response_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The cosine matrices of a step, and whether each rollout is correct, by group.
fn by_group(run: &Finished, step: u64) -> Vec<(Vec<f32>, Vec<bool>)> {
    let geometry = run.geometry(step);
    let rollouts = run.rollouts(step);
    (0..PROMPTS)
        .map(|group| {
            let correct = rollouts[group * GROUP..][..GROUP]
                .iter()
                .map(|line| line["verdict"] == "correct")
                .collect();
            (f32_values(&geometry[&format!("cosine.{group}")]), correct)
        })
        .collect()
}

#[test]
fn statistics_tell_kinds_of_pairs_apart_in_every_group_and_over_the_step() {
    let place = Workplace::new();
    let run = place.run_parity(&place.parity_experiment(2, "method: G2rl()"));
    for step in 1..=2 {
        let groups = by_group(&run, step);
        let recorded = lines(&run.folder.join(format!("geometry/step_{step:06}.jsonl")));
        assert_eq!(recorded.len(), PROMPTS);
        let mut pooled: HashMap<&str, Vec<f64>> = HashMap::new();
        for (group, ((cosines, correct), line)) in groups.iter().zip(&recorded).enumerate() {
            assert_eq!(line["group"], group);
            let mut own: HashMap<&str, Vec<f64>> = HashMap::new();
            for i in 0..GROUP {
                for j in i + 1..GROUP {
                    let kind = match (correct[i], correct[j]) {
                        (true, true) => "correct",
                        (false, false) => "incorrect",
                        _ => "mixed",
                    };
                    for name in [kind, "all"] {
                        own.entry(name).or_default().push(f64::from(cosines[i * GROUP + j]));
                        pooled.entry(name).or_default().push(f64::from(cosines[i * GROUP + j]));
                    }
                }
            }
            for kind in ["all", "correct", "mixed", "incorrect"] {
                let own = own.remove(kind).unwrap_or_default();
                let line = &line[kind];
                assert_eq!(line["pairs"], own.len());
                let counted: u64 =
                    line["histogram"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
                assert_eq!(counted as usize, own.len());
                if own.is_empty() {
                    assert!(line["mean"].is_null());
                } else {
                    let mean = own.iter().sum::<f64>() / own.len() as f64;
                    assert!((line["mean"].as_f64().unwrap() - mean).abs() < 1e-9);
                }
            }
            let spectrum: f64 = line["spectrum"]
                .as_array()
                .unwrap()
                .iter()
                .map(|share| share.as_f64().unwrap())
                .sum();
            assert!((spectrum - 1.0).abs() < 1e-9);
        }
        let metrics = &lines(&run.folder.join("metrics.jsonl"))[step as usize - 1];
        for (kind, name) in [
            ("all", "geometry/cosine_mean"),
            ("correct", "geometry/correct_cosine_mean"),
            ("mixed", "geometry/mixed_cosine_mean"),
            ("incorrect", "geometry/incorrect_cosine_mean"),
        ] {
            let all = pooled.remove(kind).unwrap_or_default();
            match metrics[name].as_f64() {
                Some(found) => assert!(
                    (found - all.iter().sum::<f64>() / all.len() as f64).abs() < 1e-9,
                    "{name}"
                ),
                None => assert!(all.is_empty(), "{name}"),
            }
        }
        for name in [
            "geometry/cosine_q05",
            "geometry/cosine_median",
            "geometry/cosine_q95",
            "geometry/feature_norm_mean",
        ] {
            assert!(metrics[name].is_number(), "{name}");
        }
    }
}

#[test]
fn fidelity_compares_features_with_the_gradients_of_the_policy_that_sampled() {
    let place = Workplace::new();
    let settings = "fidelity: (every: 2, groups: 2), objective: (kl: (coefficient: 0.0))";
    let run = place.run_parity(&place.parity_experiment(3, settings));
    let records = lines(&run.folder.join("fidelity.jsonl"));
    assert_eq!(
        records.iter().map(|record| record["step"].as_u64().unwrap()).collect::<Vec<_>>(),
        [2]
    );
    assert_eq!(
        (&records[0]["groups"], &records[0]["pairs"]),
        (&2.into(), &(GROUP * (GROUP - 1)).into())
    );
    let blocks: Vec<&str> = records[0]["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["block"].as_str().unwrap())
        .collect();
    assert_eq!(blocks, ["all", "embeddings", "attention", "mlp", "norms", "layer 0", "layer 1"]);

    // A run of one step ends with the weights that the second step of the other one sampled with.
    let mut first = place.parity_experiment(1, settings);
    first.fidelity = None;
    let first = place.run_parity(&first);
    assert_eq!(first.rollouts(1), run.rollouts(1));
    let policy = common::checkpoint(&first.folder, 1);
    let (mut features, mut gradients) = (Vec::new(), Vec::new());
    let geometry = run.geometry(2);
    for group in 0..2 {
        let rollouts = &run.rollouts(2)[group * GROUP..][..GROUP];
        let prompt = policy.tokenizer.encode(rollouts[0]["prompt"].as_str().unwrap()).unwrap();
        let responses: Vec<Vec<u32>> = rollouts.iter().map(ids).collect();
        let pairs: Vec<(&[u32], &[u32])> =
            responses.iter().map(|ids| (prompt.as_slice(), ids.as_slice())).collect();
        let form = GradientForm::Exact { memory_bytes: 1 << 30 };
        let expected = policy.gradient_products(&pairs, 1.0, form, || ()).unwrap();
        let expected = expected.cosines(ParameterBlock::All).unwrap();
        let recorded = f32_values(&geometry[&format!("gradient.{group}")]);
        for (found, expected) in recorded.iter().zip(expected.values()) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let cosines = f32_values(&geometry[&format!("cosine.{group}")]);
        for i in 0..GROUP {
            for j in i + 1..GROUP {
                features.push(f64::from(cosines[i * GROUP + j]));
                gradients.push(f64::from(recorded[i * GROUP + j]));
            }
        }
    }
    assert!(!geometry.contains_key("gradient.2"));
    let all = &records[0]["blocks"][0];
    for (name, expected) in
        [("pearson", pearson(&features, &gradients)), ("spearman", spearman(&features, &gradients))]
    {
        let found = all[name].as_f64().unwrap();
        assert!((found - expected.unwrap()).abs() < 1e-9, "{name}: {found}");
        let metrics = lines(&run.folder.join("metrics.jsonl"));
        assert_eq!(metrics[1][&format!("fidelity/{name}")].as_f64(), Some(found));
        assert!(metrics[0][&format!("fidelity/{name}")].is_null());
    }
    let view = run.snapshot.latest.unwrap();
    assert!(
        view.step == 3
            && view.groups.iter().all(|group| group.cosines[CosineKind::Parameter].is_empty())
    );
    assert_eq!(run.snapshot.fidelity.len(), 1);
}

#[test]
fn what_tokens_add_is_recorded_and_sums_to_the_recorded_cosines() {
    check_tokens("method: G2rl()");
}

#[test]
fn what_tokens_weighed_by_entropy_add_sums_to_the_recorded_cosines_too() {
    check_tokens("method: G2rl(alpha: Entropy)");
}

fn check_tokens(method: &str) {
    let place = Workplace::new();
    let mut experiment = place.parity_experiment(2, method);
    experiment.record.tokens_every = Every(2);
    experiment.rollout.temperature = 0.8;
    let run = place.run_parity(&experiment);
    assert!(!run.folder.join("tokens/step_000001.safetensors").exists());
    let path = run.folder.join("tokens/step_000002.safetensors");
    let tokens = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    assert_eq!(tokens.len(), 8 * PROMPTS);
    let rollouts = run.rollouts(2);
    let view = orthant::run::RunDir::at(&run.folder).read_step(2).unwrap().unwrap();
    assert_eq!(Some(&view), run.snapshot.latest.as_deref());
    let mut largest = 0.0f32;
    for (group, (cosines, _)) in by_group(&run, 2).iter().enumerate() {
        let tensor = |name: &str| &tokens[&format!("{name}.{group}")];
        let offsets: Vec<i64> = tensor("offsets").to_vec1().unwrap();
        let shares: Vec<Vec<f32>> = tensor("share").to_vec2().unwrap();
        let (logprobs, norms, ratios) = (
            f32_values(tensor("logprob")),
            f32_values(tensor("norm")),
            f32_values(tensor("ratio")),
        );
        assert_eq!(offsets.len(), GROUP + 1);
        for (i, range) in
            offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize).enumerate()
        {
            let line = &rollouts[group * GROUP + i];
            assert_eq!(range.len(), ids(line).len());
            let logprob: f32 = logprobs[range.clone()].iter().sum();
            assert!((f64::from(logprob) - line["logprob"].as_f64().unwrap()).abs() < 1e-4);
            assert!(norms[range.clone()].iter().all(|norm| *norm >= 0.0));
            // One pass over the rollouts: the update saw the policy that sampled.
            assert!(ratios[range.clone()].iter().all(|ratio| (ratio - 1.0).abs() < 1e-3));
            let shown = &view.groups[group];
            let own = shown.tokens.as_ref().unwrap();
            assert_eq!(own.range(i), range);
            assert_eq!(
                own.pieces(i, &shown.rollouts[i].completion).concat(),
                shown.rollouts[i].completion
            );
            for j in 0..GROUP {
                let sum: f32 = shares[range.clone()].iter().map(|shares| shares[j]).sum();
                largest = largest.max((sum - cosines[i * GROUP + j]).abs());
            }
        }
    }
    eprintln!("sums of tokens against cosines: {largest:.1e}");
    assert!(largest < 1e-4, "{largest}");
}

#[test]
fn bad_settings_of_the_fidelity_are_refused_by_name() {
    let place = Workplace::new();
    for (settings, words) in [
        ("fidelity: (every: 0)", ["fidelity.every", "at least 1"]),
        (
            "fidelity: (groups: 4)",
            ["fidelity.groups", "between 1 and 3 (`rollout.prompts_per_step`)"],
        ),
        ("fidelity: (groups: 1, projection: 2)", ["fidelity.projection", "between 16"]),
    ] {
        let error = RunBuilder::new(place.experiment(1, settings))
            .start(&place.runs())
            .err()
            .unwrap()
            .to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn what_a_run_recorded_reads_back_as_the_step_that_it_showed() {
    let place = Workplace::new();
    let settings =
        "method: G2rl(), record: (rollouts_every: 2, geometry_every: 1, encoder: Policy)";
    let run = place.run_parity(&place.parity_experiment(4, settings));
    let folder = orthant::run::RunDir::at(&run.folder);
    assert_eq!(folder.recorded_steps().unwrap(), [2, 4]);
    assert!(folder.read_step(3).unwrap().is_none());
    let shown = run.snapshot.latest.as_ref().unwrap();
    assert!(shown.groups.iter().all(|group| {
        [CosineKind::Feature, CosineKind::Semantic]
            .iter()
            .all(|&kind| !group.cosines[kind].is_empty())
    }));
    assert_eq!(folder.read_step(4).unwrap().as_ref(), Some(shown.as_ref()));
    let watched = orthant::run::WatchedRun::open(&run.folder).unwrap();
    let seen = watched.snapshots.load();
    assert_eq!((seen.state, seen.step), (run.snapshot.state.clone(), 4));
    assert_eq!(seen.checkpoints, run.snapshot.checkpoints);
    let times = |history: &orthant::metrics::History| -> Vec<(u64, u64)> {
        history.iter().map(|row| (row.step, row.wall_s.to_bits())).collect()
    };
    assert_eq!(times(&seen.history), times(&run.snapshot.history));
}
