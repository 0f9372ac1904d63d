//! Whole runs on a tiny random model: the run folder, the numbers in it, commands, failures, and
//! parts added from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use bevy_app::{App, Plugin};
use bevy_ecs::error::Result as SystemResult;
use bevy_ecs::prelude::*;
use candle_core::Tensor;
use common::{
    Finished, GROUP, NEW_TOKENS, PROMPTS, Parity, Workplace, assert_near, checkpoint, finish, json,
    largest_difference, lines, number, tiny_model, wait_for,
};
use orthant::experiment::{self, AdamWConfig, OptimizerConfig};
use orthant::geometry::{IncorrectSign, NoveltyForm};
use orthant::kernels::token_statistics;
use orthant::model::ResponseBatch;
use orthant::objective::{Loss, RatioLevel, Truncated};
use orthant::prelude::{Experiment, Result as OrthantResult, *};
use orthant::stages::{VerifyPlugin, record_checkpoint};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

const EPSILON: f64 = 1e-6;

/// What every line of `metrics.jsonl` has here; `semantic/cosine_mean` needs a sentence encoder.
const STEP_METRICS: [&str; 26] = [
    "reward/mean",
    "reward/shaped_mean",
    "reward/accuracy",
    "group/uniform_ratio",
    "group/shaping_only_ratio",
    "completion/length_mean",
    "completion/truncated_ratio",
    "completion/no_answer_ratio",
    "policy/entropy",
    "policy/kl",
    "policy/clip_ratio",
    "policy/grad_norm",
    "policy/learning_rate",
    "policy/sampler_logprob_gap",
    "geometry/cosine_mean",
    "geometry/negative_ratio",
    "geometry/orthogonal_ratio",
    "geometry/effective_rank",
    "geometry/novelty_mean",
    "time/sample_s",
    "time/verify_s",
    "time/feature_s",
    "time/update_s",
    "time/step_s",
    "throughput/tokens_per_s",
    "memory/peak_mib",
];

fn matrix(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().unwrap()
}

/// Lines of a step by group.
fn groups(rollouts: &[Value]) -> Vec<Vec<&Value>> {
    let mut groups = vec![Vec::new(); PROMPTS];
    for line in rollouts {
        groups[number(&line["group"]) as usize].push(line);
    }
    assert!(groups.iter().all(|group| group.len() == GROUP));
    groups
}

/// Keeps the hash of the policy's weights after the step's update.
fn keep_hash(hash: Arc<Mutex<String>>) -> impl Plugin {
    move |app: &mut App| {
        let hash = hash.clone();
        let system = move |policy: Res<Policy>| -> SystemResult {
            *hash.lock().unwrap() = policy.0.weights.hash()?;
            Ok(())
        };
        app.add_systems(TrainStep, system.in_set(StageSystems::Record));
    }
}

/// Rollouts and geometry of a step are there, whole.
fn assert_step_is_recorded(run: &Finished, step: u64) {
    let rollouts = run.rollouts(step);
    assert_eq!(rollouts.len(), PROMPTS * GROUP);
    for line in &rollouts {
        assert!(
            ["prompt", "completion", "verdict"].iter().all(|field| line[field].is_string()),
            "{line}"
        );
        assert!(
            ["group", "reward", "novelty", "advantage"].iter().all(|field| line[field].is_number()),
            "{line}"
        );
    }
    let geometry = run.geometry(step);
    assert_eq!(geometry.len(), PROMPTS);
    for group in 0..PROMPTS {
        let cosine = matrix(&geometry[&format!("cosine.{group}")]);
        assert_eq!(cosine.len(), GROUP);
        for (i, row) in cosine.iter().enumerate() {
            assert!((f64::from(row[i]) - 1.0).abs() < 1e-4, "{row:?}");
            assert!((0..GROUP).all(|j| row[j].to_bits() == cosine[j][i].to_bits()));
        }
    }
}

#[test]
fn a_run_folder_holds_all_that_was_promised() {
    let place = Workplace::new();
    let evaluation =
        "evaluations: [(suite: HeldOut(problems: 2), every: 2, samples: 2, k: [1, 2])]";
    let experiment = place
        .experiment(3, &format!("description: \"a (\\\"test\\\")\", method: G2rl(), {evaluation}"));
    let hash = Arc::new(Mutex::new(String::new()));
    let run = RunBuilder::new(experiment.clone())
        .plugin(keep_hash(hash.clone()))
        .start(&place.runs())
        .unwrap();
    let Finished { snapshot, folder } = finish(run);
    let run = Finished { snapshot, folder: folder.clone() };

    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("tiny-s0-2"), "{name}");
    // Left open in the experiment, filled in when it starts.
    let mut resolved = experiment.clone();
    resolved.objective.ratio = Some(RatioLevel::Token);
    resolved.objective.micro_batch_tokens = Some(2048);
    resolved.objective.recompute_layers = Some(false);
    resolved.objective.offload_reference = Some(false);
    resolved.objective.traced_groups = Some(resolved.rollout.prompts_per_step);
    resolved.rollout.groups_at_a_time = Some(resolved.rollout.prompts_per_step);
    assert_eq!(experiment::read::<Experiment>(&folder.join("experiment.ron")).unwrap(), resolved);

    let manifest = json(&folder.join("manifest.json"));
    assert_eq!(
        (&manifest["state"], &manifest["step"]),
        (&"finished".into(), &3.into()),
        "{manifest}"
    );
    assert_eq!(manifest["task"], run.snapshot.info.task);
    assert_eq!(manifest["model_hash"], tiny_model().weights.hash().unwrap());
    for field in ["version", "commit", "device", "model", "data_hash", "started"] {
        assert!(
            manifest[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field} in {manifest}"
        );
    }

    let metric_lines = lines(&folder.join("metrics.jsonl"));
    assert_eq!(
        metric_lines.iter().map(|line| number(&line["step"])).collect::<Vec<_>>(),
        [1.0, 2.0, 3.0]
    );
    for line in &metric_lines {
        for name in STEP_METRICS {
            assert!(line[name].is_number(), "{name} in {line}");
        }
        for name in line.as_object().unwrap().keys() {
            assert!(
                ["step", "wall_s"].contains(&name.as_str())
                    || orthant::metrics::find(name).is_some_and(|metric| !metric.help.is_empty()),
                "{name} is not declared"
            );
        }
    }

    let evaluations = lines(&folder.join("evals.jsonl"));
    assert_eq!(
        evaluations.iter().map(|line| number(&line["step"])).collect::<Vec<_>>(),
        [0.0, 2.0, 3.0]
    );
    assert!(evaluations.iter().all(|line| line["pass@2"]["value"].is_number()), "{evaluations:?}");

    let events = lines(&folder.join("events.jsonl"));
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .filter(|k| *k != "warning")
        .collect();
    assert_eq!(kinds, ["started", "checkpoint", "finished"]);
    let log = std::fs::read_to_string(folder.join("log.txt")).unwrap();
    assert!(!log.is_empty() && log.lines().all(|line| !line.ends_with(' ')), "{log}");

    (1..=3).for_each(|step| assert_step_is_recorded(&run, step));

    let saved = checkpoint(&folder, 3);
    assert_eq!(saved.weights.hash().unwrap(), *hash.lock().unwrap());
    assert_ne!(saved.weights.hash().unwrap(), tiny_model().weights.hash().unwrap());
    assert_eq!(saved.config, tiny_model().config);
    for file in [
        "trainer.safetensors",
        "trainer.json",
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    ] {
        assert!(folder.join("checkpoints/step_000003").join(file).is_file(), "{file}");
    }
    assert_eq!(*run.snapshot.checkpoints, [3]);
}

#[test]
fn features_summed_while_sampling_equal_those_of_a_forward_pass_and_give_the_recorded_cosines() {
    check_features("Grpo", |_| 1.0);
}

#[test]
fn features_weighed_by_entropy_equal_those_of_a_forward_pass_too() {
    check_features("G2rl(alpha: Entropy)", f64::from);
}

/// Compares recorded features and cosines with sums of alpha phi from a forward pass; `alpha` is a
/// function of the entropy.
fn check_features(method: &str, alpha: fn(f32) -> f64) {
    let place = Workplace::new();
    let mut experiment =
        place.experiment(1, &format!("method: {method}, record: (features: true)"));
    experiment.rollout.temperature = 0.8;
    let run = place.run(&experiment);
    let (rollouts, geometry) = (run.rollouts(1), run.geometry(1));
    let features = matrix(&geometry["features"]);
    let model = tiny_model();
    assert_eq!((features.len(), features[0].len()), (PROMPTS * GROUP, model.config.hidden_size));

    let mut lengths = Vec::new();
    for (line, feature) in rollouts.iter().zip(&features) {
        let prompt = model.tokenizer.encode(line["prompt"].as_str().unwrap()).unwrap();
        let response: Vec<u32> =
            line["response_ids"].as_array().unwrap().iter().map(|id| number(id) as u32).collect();
        let hidden = model
            .frozen
            .response_hidden(&ResponseBatch::new(&[(&prompt, &response)]).unwrap())
            .unwrap();
        let head = model.weights.get("model.embed_tokens.weight").unwrap();
        let statistics = token_statistics(&hidden, &head, &response, 0.8).unwrap();
        let alphas: Vec<f64> = statistics.entropies.iter().map(|&entropy| alpha(entropy)).collect();
        for (column, &found) in feature.iter().enumerate() {
            let phi = statistics.phi.iter().skip(column).step_by(feature.len());
            let sum: f64 = phi.zip(&alphas).map(|(&phi, alpha)| alpha * f64::from(phi)).sum();
            assert_near(
                f64::from(found),
                sum / (alphas.iter().sum::<f64>() + EPSILON),
                2e-6,
                "feature",
            );
        }
        let logprob: f64 = statistics.logprobs.iter().map(|&l| f64::from(l)).sum();
        assert_near(number(&line["logprob"]), logprob, 1e-3, "log-probability");
        let entropy: f64 =
            statistics.entropies.iter().map(|&h| f64::from(h)).sum::<f64>() / response.len() as f64;
        assert_near(number(&line["entropy"]), entropy, 1e-4, "entropy");
        lengths.push(response.len());
    }
    assert!(
        lengths.iter().any(|length| *length < NEW_TOKENS),
        "no response ended by itself, so their ends are untested"
    );

    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    for (group, features) in features.chunks(GROUP).enumerate() {
        let recorded = matrix(&geometry[&format!("cosine.{group}")]);
        for (i, a) in features.iter().enumerate() {
            for (j, b) in features.iter().enumerate() {
                let norms = (dot(a, a).sqrt() + EPSILON) * (dot(b, b).sqrt() + EPSILON);
                assert_near(f64::from(recorded[i][j]), dot(a, b) / norms, 1e-6, "cosine");
            }
        }
    }
}

/// Novelty, normalised novelty, shaped rewards and advantages of a group as the method's
/// description defines them.
struct Formulas {
    novelty: Vec<f64>,
    normalized: Vec<f64>,
    shaped: Vec<f64>,
    advantage: Vec<f64>,
}

fn formulas(
    cosines: &[Vec<f32>],
    r: &[f64],
    lambda: f64,
    clip: f64,
    form: NoveltyForm,
    sign: IncorrectSign,
) -> Formulas {
    let m = r.len();
    let novelty: Vec<f64> = (0..m)
        .map(|i| {
            let others = (0..m).filter(|j| *j != i);
            let total: f64 = others.clone().map(|k| r[k].exp()).sum::<f64>() + EPSILON;
            let explained: f64 =
                others.map(|j| r[j].exp() / total * f64::from(cosines[i][j]).powi(2)).sum();
            let rest = (1.0 - explained).max(0.0);
            if form == NoveltyForm::Residual { rest.sqrt() } else { rest }
        })
        .collect();
    let low = novelty.iter().copied().fold(f64::INFINITY, f64::min);
    let high = novelty.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let normalized: Vec<f64> = novelty.iter().map(|nu| (nu - low) / (high - low)).collect();
    let shaped: Vec<f64> = r
        .iter()
        .zip(&normalized)
        .map(|(&r, nu)| {
            let shaped = match sign {
                IncorrectSign::AsProse if r < 0.0 => -(1.0 + lambda * (nu - 0.5)),
                _ => r * (1.0 + lambda * r * nu),
            };
            shaped.clamp(-clip, clip)
        })
        .collect();
    let mean = shaped.iter().sum::<f64>() / m as f64;
    let variance = shaped.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / m as f64;
    let advantage = shaped.iter().map(|r| (r - mean) / (variance + EPSILON).sqrt()).collect();
    Formulas { novelty, normalized, shaped, advantage }
}

#[test]
fn novelty_shaped_rewards_and_advantages_obey_the_formulas_of_the_method() {
    let place = Workplace::new();
    // lambda in the first and in the second step.
    for (form, sign, lambdas, clip, more) in [
        (NoveltyForm::Residual, IncorrectSign::AsEquation, [0.5, 0.5], 3.0, ""),
        (NoveltyForm::Residual, IncorrectSign::AsProse, [1.0, 1.0], 1.25, "alpha: Entropy"),
        (
            NoveltyForm::Squared,
            IncorrectSign::AsEquation,
            [2.0, 2.0],
            1.25,
            "lambda_schedule: Constant",
        ),
        (
            NoveltyForm::Squared,
            IncorrectSign::AsProse,
            [0.5, 0.4],
            3.0,
            "lambda_schedule: Linear(to: 0.1, over_steps: 4)",
        ),
    ] {
        let lambda = lambdas[0];
        let method = format!(
            "method: G2rl(lambda: {lambda:?}, clip: {clip:?}, novelty: {form:?}, incorrect: \
             {sign:?}, {more})"
        );
        let run = place.run_parity(&place.parity_experiment(2, &method));
        let mut mixed = 0;
        for (step, lambda) in (1..=2).zip(lambdas) {
            let (rollouts, geometry) = (run.rollouts(step), run.geometry(step));
            for (group, members) in groups(&rollouts).iter().enumerate() {
                let rewards: Vec<f64> =
                    members.iter().map(|line| number(&line["reward"])).collect();
                for (line, reward) in members.iter().zip(&rewards) {
                    let right = line["completion"].as_str().unwrap().chars().count() % 2 == 0;
                    assert_near(*reward, if right { 1.0 } else { -1.0 }, 0.0, "reward");
                }
                mixed += usize::from(rewards.contains(&1.0) && rewards.contains(&-1.0));
                let cosines = matrix(&geometry[&format!("cosine.{group}")]);
                let expected = formulas(&cosines, &rewards, lambda, clip, form, sign);
                for (i, line) in members.iter().enumerate() {
                    assert_near(number(&line["novelty"]), expected.novelty[i], 1e-6, "novelty");
                    assert_near(
                        number(&line["novelty_normalized"]),
                        expected.normalized[i],
                        1e-4,
                        "normalised novelty",
                    );
                    assert_near(
                        number(&line["shaped_reward"]),
                        expected.shaped[i],
                        1e-4,
                        "shaped reward",
                    );
                    assert_near(
                        number(&line["advantage"]),
                        expected.advantage[i],
                        1e-3,
                        "advantage",
                    );
                }
            }
        }
        assert!(mixed > 0, "no group has right and wrong answers");
    }
}

#[test]
fn without_strength_the_methods_are_grpo_bit_for_bit_and_with_strength_they_are_not() {
    let place = Workplace::new();
    let weights = |method: &str| {
        place.run_parity(&place.parity_experiment(2, method)).weights(2).hash().unwrap()
    };
    let grpo = weights("method: Grpo");
    assert_eq!(weights("method: G2rl(lambda: 0.0)"), grpo);
    assert_eq!(
        weights(
            "method: G2rl(lambda: 0.0, alpha: Entropy, lambda_schedule: Linear(to: 0.0, \
             over_steps: 9))"
        ),
        grpo
    );
    assert_eq!(weights("method: EntropyBonus(coefficient: 0.0)"), grpo);
    assert_ne!(weights("method: G2rl(lambda: 0.5)"), grpo);
    assert_ne!(weights("method: EntropyBonus(coefficient: 0.1)"), grpo);
}

/// Whether a line of `metrics.jsonl` has geometry; all of it or nothing.
fn has_geometry(line: &Value) -> bool {
    let names = STEP_METRICS.iter().filter(|name| name.starts_with("geometry/"));
    let present: Vec<bool> = names.map(|name| line[*name].is_number()).collect();
    assert!(present.iter().all(|is| *is == present[0]), "{line}");
    present[0]
}

#[test]
fn features_that_nobody_needs_are_left_out_and_change_nothing_else() {
    let place = Workplace::new();
    let with = place.run_parity(&place.parity_experiment(2, "method: Grpo"));
    let without =
        place.run_parity(&place.parity_experiment(2, "method: Grpo, record: (geometry_every: 0)"));
    assert_eq!(without.weights(2).hash().unwrap(), with.weights(2).hash().unwrap());
    assert!(with.repeatable_metrics().iter().all(has_geometry));
    let mut others = with.repeatable_metrics();
    for line in &mut others {
        line.as_object_mut().unwrap().retain(|name, _| !name.starts_with("geometry/"));
    }
    assert_eq!(without.repeatable_metrics(), others);
    for (line, full) in without.rollouts(2).iter().zip(with.rollouts(2)) {
        assert!(line["novelty"].is_null() && line["novelty_normalized"].is_null(), "{line}");
        assert_eq!(
            (&line["response_ids"], &line["advantage"]),
            (&full["response_ids"], &full["advantage"])
        );
    }
    assert_eq!(std::fs::read_dir(without.folder.join("geometry")).unwrap().count(), 0);
    let view = without.snapshot.latest.unwrap();
    assert!(
        view.groups.iter().all(|group| group.cosines[orthant::run::CosineKind::Feature].is_empty()
            && group.rollouts[0].novelty.is_nan())
    );
}

#[test]
fn features_are_there_in_recorded_steps_and_in_every_step_of_a_method_that_acts_on_them() {
    let place = Workplace::new();
    let steps = |settings: &str| {
        let run = place.run_parity(&place.parity_experiment(3, settings));
        let files = (1..=3).filter(|step| {
            run.folder.join(format!("geometry/step_{step:06}.safetensors")).exists()
        });
        let files: Vec<u64> = files.collect();
        (run.repeatable_metrics().iter().map(has_geometry).collect::<Vec<_>>(), files)
    };
    assert_eq!(
        steps("method: Grpo, record: (geometry_every: 2)"),
        (vec![false, true, false], vec![2])
    );
    assert_eq!(steps("method: G2rl(), record: (geometry_every: 2)"), (vec![true; 3], vec![2]));
    assert_eq!(steps("method: G2rl(), record: (geometry_every: 0)"), (vec![true; 3], vec![]));
}

#[test]
fn a_run_is_repeatable_from_its_folder_and_another_seed_gives_another_run() {
    let place = Workplace::new();
    let evaluation = "evaluations: [(suite: HeldOut(problems: 2), samples: 2, k: [1])]";
    let settings = format!("method: G2rl(), objective: (minibatches: 2, epochs: 2), {evaluation}");
    let first = place.run_parity(&place.parity_experiment(2, &settings));
    let mut again: Experiment = experiment::read(&first.folder.join("experiment.ron")).unwrap();
    let second = place.run_parity(&again);
    assert_eq!(first.repeatable_metrics(), second.repeatable_metrics());
    assert_eq!(first.rollouts(2), second.rollouts(2));
    assert_eq!(first.weights(2).hash().unwrap(), second.weights(2).hash().unwrap());
    again.seed = 1;
    let other = place.run_parity(&again);
    assert_ne!(first.repeatable_metrics(), other.repeatable_metrics());
    assert_ne!(first.weights(2).hash().unwrap(), other.weights(2).hash().unwrap());
}

#[test]
fn the_size_of_micro_batches_changes_results_by_rounding_only() {
    let place = Workplace::new();
    // A large eps makes the step of Adam nearly proportional to the gradient. With a small one it
    // depends on little more than its sign, and where a gradient is rounding alone, so is the step.
    let adamw =
        AdamWConfig { learning_rate: 0.1, warmup_steps: 0, eps: 1e-2, ..AdamWConfig::default() };
    let weights = |tokens| {
        let mut experiment = place.parity_experiment(2, "method: G2rl()");
        experiment.optimizer = OptimizerConfig::AdamW(adamw.clone());
        experiment.objective.micro_batch_tokens = Some(tokens);
        place.run_parity(&experiment).weights(2)
    };
    let (whole, single) = (weights(4096), weights(1));
    assert!(largest_difference(&whole, &tiny_model().weights) > 1e-2);
    let difference = largest_difference(&whole, &single);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn every_loss_trains_and_resolves_its_ratio() {
    let place = Workplace::new();
    let mut hashes = Vec::new();
    for loss in [Loss::Grpo, Loss::DrGrpo, Loss::Dapo, Loss::Bnpo, Loss::Gspo, Loss::Cispo] {
        let settings = format!(
            "objective: (loss: {loss:?}, minibatches: 2, advantage_scale: Unscaled, clip_high: \
             0.28)"
        );
        let run = place.run_parity(&place.parity_experiment(1, &settings));
        let resolved: Experiment = experiment::read(&run.folder.join("experiment.ron")).unwrap();
        let ratio = if loss == Loss::Gspo { RatioLevel::Sequence } else { RatioLevel::Token };
        assert_eq!(resolved.objective.ratio, Some(ratio));
        assert_eq!(lines(&run.folder.join("metrics.jsonl")).len(), 1);
        hashes.push(run.weights(1).hash().unwrap());
    }
    let sequence = "objective: (loss: Grpo, ratio: Sequence, minibatches: 2, advantage_scale: \
                    Unscaled, clip_high: 0.28)";
    let gspo = place.run_parity(&place.parity_experiment(1, sequence)).weights(1).hash().unwrap();
    assert_eq!(gspo, hashes[4], "Grpo with the ratio of sequences is Gspo");
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 6, "two losses did the same");
}

/// Makes nonsense of what was recorded of truncated responses, all of which may be made to be
/// truncated.
fn spoil_truncated(all: bool) -> impl Plugin {
    move |app: &mut App| {
        let system = move |mut responses: Query<&mut Response>| {
            for mut response in &mut responses {
                response.0.truncated |= all;
                if response.0.truncated {
                    response.0.logprobs.fill(-30.0);
                }
            }
        };
        app.add_systems(TrainStep, system.before(update_policy).in_set(StageSystems::Update));
    }
}

#[test]
fn masked_responses_give_neither_gradient_nor_metrics() {
    let place = Workplace::new();
    let run = |truncated, plugin: Option<bool>| {
        let mut experiment = place.parity_experiment(1, "method: EntropyBonus(coefficient: 0.1)");
        experiment.objective.truncated = truncated;
        experiment.objective.minibatches = 2;
        experiment.objective.loss = Loss::Dapo;
        let mut builder = RunBuilder::new(experiment).task(Parity);
        if let Some(all) = plugin {
            builder = builder.plugin(spoil_truncated(all));
        }
        finish(builder.start(&place.runs()).unwrap())
    };
    let clean = run(Truncated::Mask, None);
    let masked = clean.rollouts(1).iter().filter(|line| line["truncated"] == true).count();
    assert!(masked > 0 && masked < PROMPTS * GROUP, "{masked} of {} truncated", PROMPTS * GROUP);
    let spoilt = run(Truncated::Mask, Some(false));
    assert_eq!(spoilt.weights(1).hash().unwrap(), clean.weights(1).hash().unwrap());
    for metric in [
        "policy/kl",
        "policy/clip_ratio",
        "policy/loss",
        "policy/sampler_logprob_gap",
        "policy/grad_norm",
    ] {
        assert_eq!(
            spoilt.repeatable_metrics()[0][metric],
            clean.repeatable_metrics()[0][metric],
            "{metric}"
        );
    }
    let kept = run(Truncated::Keep, None).weights(1).hash().unwrap();
    assert_ne!(kept, clean.weights(1).hash().unwrap());
    assert_ne!(run(Truncated::Keep, Some(false)).weights(1).hash().unwrap(), kept);

    let nothing = run(Truncated::Mask, Some(true));
    assert_eq!(nothing.weights(1).hash().unwrap(), tiny_model().weights.hash().unwrap());
    assert_near(
        number(&nothing.repeatable_metrics()[0]["policy/grad_norm"]),
        0.0,
        0.0,
        "gradient of nothing",
    );
}

#[test]
fn equal_rewards_teach_grpo_nothing_and_g2rl_by_shaping_alone() {
    let place = Workplace::new();
    let run = |method: &str| {
        let run = place.run(&place.experiment(1, method));
        let row = run.snapshot.history.last().unwrap().clone();
        assert_near(row.get(&metrics::GROUP_UNIFORM_RATIO).unwrap(), 1.0, 0.0, "uniform groups");
        let advantages: Vec<f64> =
            run.rollouts(1).iter().map(|line| number(&line["advantage"])).collect();
        (row.get(&metrics::GROUP_SHAPING_ONLY_RATIO).unwrap(), advantages)
    };
    let nothing = (0.0, vec![0.0; PROMPTS * GROUP]);
    assert_eq!(run("method: Grpo"), nothing);
    assert_eq!(run("method: G2rl(shape_uniform_groups: false)"), nothing);
    assert_eq!(run("method: G2rl(shape_uniform_groups: false, incorrect: AsProse)"), nothing);
    let (shaping_only, advantages) = run("method: G2rl()");
    assert_near(shaping_only, 1.0, 0.0, "groups with a signal from shaping alone");
    assert!(
        advantages.chunks(GROUP).all(|group| group.iter().any(|advantage| *advantage != 0.0)),
        "{advantages:?}"
    );
}

fn fail_in_the_second_step(step: Res<StepCounter>) -> SystemResult {
    if step.0 == 2 { Err("the judge is out of reach".into()) } else { Ok(()) }
}

fn panic_in_the_second_step(step: Res<StepCounter>) {
    assert!(step.0 != 2, "the judge fell over");
}

/// A plugin without a type of its own.
type Add = fn(&mut App);

#[test]
fn a_stage_that_fails_or_panics_ends_the_step_before_the_optimizer() {
    let place = Workplace::new();
    let experiment = place.parity_experiment(3, "record: (checkpoint_every: 1)");
    let clean = place.run_parity(&experiment).weights(1).hash().unwrap();
    let failing: Add = |app| {
        app.add_systems(TrainStep, fail_in_the_second_step.in_set(StageSystems::Verify));
    };
    let panicking: Add = |app| {
        app.add_systems(TrainStep, panic_in_the_second_step.in_set(StageSystems::Verify));
    };
    for (plugin, system, message) in [
        (failing, "fail_in_the_second_step", "the judge is out of reach"),
        (panicking, "panic_in_the_second_step", "the judge fell over"),
    ] {
        let updates = Arc::new(AtomicUsize::new(0));
        let count = {
            let updates = updates.clone();
            move |app: &mut App| {
                let updates = updates.clone();
                let system = move || {
                    updates.fetch_add(1, Ordering::SeqCst);
                };
                app.add_systems(TrainStep, system.in_set(StageSystems::Advantage));
            }
        };
        let builder = RunBuilder::new(experiment.clone()).task(Parity).plugin(plugin).plugin(count);
        let run = builder.start(&place.runs()).unwrap();
        let handle = run.handle.clone();
        let error = run.join().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(system) && text.contains(message) && !text.contains('\n'),
            "{text:?}"
        );
        assert_eq!(error.exit_status(), 1);

        let snapshot = handle.snapshots.load();
        assert_eq!(snapshot.state, RunState::Failed { message: text.clone() });
        assert_eq!((snapshot.step, updates.load(Ordering::SeqCst)), (1, 1));
        let folder = &snapshot.info.directory;
        let manifest = json(&folder.join("manifest.json"));
        assert_eq!((&manifest["state"], &manifest["step"]), (&"failed".into(), &1.into()));
        let event = lines(&folder.join("events.jsonl")).pop().unwrap();
        assert_eq!((&event["kind"], &event["text"]), (&"error".into(), &text.into()));
        let checkpoints: Vec<_> = std::fs::read_dir(folder.join("checkpoints")).unwrap().collect();
        assert_eq!(checkpoints.len(), 1);
        assert_eq!(checkpoint(folder, 1).weights.hash().unwrap(), clean);
        assert_eq!(lines(&folder.join("metrics.jsonl")).len(), 1);
    }
}

#[test]
fn a_plugin_that_fails_to_build_fails_the_run() {
    let place = Workplace::new();
    let broken = |_: &mut App| panic!("no such part");
    let run = RunBuilder::new(place.experiment(1, "")).plugin(broken).start(&place.runs()).unwrap();
    let handle = run.handle.clone();
    assert!(run.join().unwrap_err().to_string().contains("no such part"));
    assert!(handle.snapshots.load().state.is_over());
}

fn double_rewards(mut rewards: Query<&mut Reward>) {
    rewards.iter_mut().for_each(|mut reward| reward.0 *= 2.0);
}

fn raise_rewards(mut rewards: Query<&mut Reward>) {
    rewards.iter_mut().for_each(|mut reward| reward.0 += 1.0);
}

#[test]
fn two_systems_that_write_the_same_without_an_order_are_an_error_that_names_both() {
    let place = Workplace::new();
    let plugin = |app: &mut App| {
        app.add_systems(
            TrainStep,
            (double_rewards, raise_rewards).after(verify_completions).in_set(StageSystems::Verify),
        );
    };
    let run = RunBuilder::new(place.experiment(1, "")).plugin(plugin).start(&place.runs()).unwrap();
    let handle = run.handle.clone();
    let text = run.join().unwrap_err().to_string();
    assert!(
        ["double_rewards", "raise_rewards", "Reward"].iter().all(|name| text.contains(name)),
        "{text}"
    );
    let snapshot = handle.snapshots.load();
    assert_eq!((snapshot.state, snapshot.step), (RunState::Failed { message: text }, 0));

    let ordered = |app: &mut App| {
        let systems = (double_rewards, raise_rewards).chain().after(verify_completions);
        app.add_systems(TrainStep, systems.in_set(StageSystems::Verify));
    };
    finish(RunBuilder::new(place.experiment(1, "")).plugin(ordered).start(&place.runs()).unwrap());
}

#[test]
fn groups_and_rollouts_of_earlier_steps_are_gone() {
    let place = Workplace::new();
    let counts = Arc::new(Mutex::new(Vec::new()));
    let count = {
        let counts = counts.clone();
        move |app: &mut App| {
            let counts = counts.clone();
            let system = move |groups: Query<&PromptGroup>,
                               rollouts: Query<&InGroup>,
                               all: Query<Entity>| {
                counts.lock().unwrap().push([
                    groups.iter().count(),
                    rollouts.iter().count(),
                    all.iter().count(),
                ]);
            };
            app.add_systems(TrainStep, system.in_set(StageSystems::Record));
        }
    };
    finish(RunBuilder::new(place.experiment(4, "")).plugin(count).start(&place.runs()).unwrap());
    let counts = counts.lock().unwrap();
    assert_eq!(counts.len(), 4);
    for [groups, rollouts, all] in counts.iter() {
        assert_eq!((*groups, *rollouts), (PROMPTS, PROMPTS * GROUP));
        assert_eq!(*all, counts[0][2], "entities of another kind pile up");
    }
}

/// Holds the first step at its end until the test waits at the barrier too.
fn hold_first_step(barrier: Arc<Barrier>) -> impl Plugin {
    move |app: &mut App| {
        let barrier = barrier.clone();
        let hold = move |step: Res<StepCounter>| {
            if step.0 == 1 {
                barrier.wait();
            }
        };
        app.add_systems(TrainStep, hold.after(record_checkpoint).in_set(StageSystems::Record));
    }
}

/// Starts a run and sends `command` while its first step is under way.
fn command_in_first_step(place: &Workplace, command: TrainerCommand) -> Run {
    let barrier = Arc::new(Barrier::new(2));
    let experiment = place.experiment(4, "record: (checkpoint_every: 0)");
    let run = RunBuilder::new(experiment)
        .plugin(hold_first_step(barrier.clone()))
        .start(&place.runs())
        .unwrap();
    wait_for(&run.handle, "the first step", |snapshot| snapshot.step == 1);
    assert!(run.handle.send(command));
    barrier.wait();
    run
}

#[test]
fn a_run_pauses_steps_once_saves_and_resumes_on_command() {
    let place = Workplace::new();
    let run = command_in_first_step(&place, TrainerCommand::Pause);
    let handle = run.handle.clone();
    wait_for(&handle, "the pause", |snapshot| snapshot.state == RunState::Paused);
    assert_eq!(handle.snapshots.load().step, 1);

    assert!(handle.send(TrainerCommand::StepOnce));
    wait_for(&handle, "one step", |snapshot| snapshot.step == 2);
    std::thread::sleep(Duration::from_millis(200));
    let snapshot = handle.snapshots.load();
    assert_eq!((snapshot.step, snapshot.state), (2, RunState::Paused));

    assert!(handle.send(TrainerCommand::Checkpoint));
    wait_for(&handle, "a checkpoint", |snapshot| *snapshot.checkpoints == [2]);
    checkpoint(&snapshot.info.directory, 2);

    assert!(handle.send(TrainerCommand::Resume));
    let Finished { snapshot, folder } = finish(run);
    assert_eq!((snapshot.step, snapshot.checkpoints.to_vec()), (4, vec![2, 4]));
    let events = lines(&folder.join("events.jsonl"));
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "paused", "checkpoint", "resumed", "checkpoint", "finished"]);
}

#[test]
fn a_run_that_is_paused_before_its_first_step_says_so_after_it() {
    let place = Workplace::new();
    let sent = Arc::new(Barrier::new(2));
    let hold = {
        let sent = sent.clone();
        // The app is put together before the first command is looked at.
        move |_: &mut App| {
            sent.wait();
        }
    };
    let run = RunBuilder::new(place.experiment(2, "")).plugin(hold).start(&place.runs()).unwrap();
    assert!(run.handle.send(TrainerCommand::Pause) && run.handle.send(TrainerCommand::StepOnce));
    sent.wait();
    wait_for(&run.handle, "one step", |snapshot| {
        snapshot.step == 1 && snapshot.progress.stage.is_none()
    });
    assert_eq!(run.handle.snapshots.load().state, RunState::Paused);
    assert!(run.handle.send(TrainerCommand::Resume));
    assert_eq!(run.join().unwrap(), RunEnd::Finished);
}

#[test]
fn a_run_starts_from_the_model_it_is_given_and_ends_when_it_is_paused_and_nobody_is_left_to_resume_it()
 {
    let place = Workplace::new();
    let mut experiment = place.experiment(1000, "");
    experiment.model = orthant::experiment::ModelSource::Local("no/such/folder".into());
    let model = tiny_model();
    let hash = model.weights.hash().unwrap();
    let run = RunBuilder::new(experiment).model(model).start(&place.runs()).unwrap();
    assert!(run.handle.send(TrainerCommand::Pause));
    wait_for(&run.handle, "the pause", |snapshot| snapshot.state == RunState::Paused);
    let folder = run.handle.snapshots.load().info.directory.clone();
    assert_eq!(run.join().unwrap(), RunEnd::Stopped);
    let manifest = json(&folder.join("manifest.json"));
    assert_eq!(
        (&manifest["state"], manifest["model_hash"].as_str()),
        (&"stopped".into(), Some(hash.as_str()))
    );
    assert_eq!(std::fs::read_dir(folder.join("checkpoints")).unwrap().count(), 0);
}

#[test]
fn a_stopped_run_leaves_a_checkpoint_of_its_last_step() {
    let place = Workplace::new();
    let run = command_in_first_step(&place, TrainerCommand::Stop);
    let handle = run.handle.clone();
    assert_eq!(run.join().unwrap(), RunEnd::Stopped);
    let snapshot = handle.snapshots.load();
    assert_eq!(
        (snapshot.state, snapshot.step, snapshot.checkpoints.to_vec()),
        (RunState::Stopped, 1, vec![1])
    );
    let folder = &snapshot.info.directory;
    checkpoint(folder, 1);
    let manifest = json(&folder.join("manifest.json"));
    assert_eq!((&manifest["state"], &manifest["step"]), (&"stopped".into(), &1.into()));
    assert_eq!(lines(&folder.join("metrics.jsonl")).len(), 1);
}

/// Takes the place of [`VerifyPlugin`]: short responses are right.
struct PreferShort;

impl Plugin for PreferShort {
    fn build(&self, app: &mut App) {
        app.add_systems(TrainStep, reward_short_responses.in_set(StageSystems::Verify));
    }
}

fn reward_short_responses(mut commands: Commands, rollouts: Query<(Entity, &Response)>) {
    for (rollout, response) in rollouts {
        let short = !response.0.truncated;
        let verdict = if short { Verdict::Correct } else { Verdict::Incorrect };
        let judged = Judged(Verification { verdict, extracted: None });
        commands.entity(rollout).insert((judged, Reward(if short { 1.0 } else { -1.0 })));
    }
}

#[test]
fn a_stage_can_be_replaced_from_outside() {
    let place = Workplace::new();
    let builder = RunBuilder::new(place.experiment(2, ""))
        .stages(|stages| stages.disable::<VerifyPlugin>().add(PreferShort));
    let run = finish(builder.start(&place.runs()).unwrap());
    let rollouts = run.rollouts(1);
    assert!(rollouts.iter().any(|line| number(&line["reward"]) > 0.0));
    for line in rollouts {
        let short = line["truncated"] == false;
        assert_eq!(
            (&line["verdict"], number(&line["reward"]) > 0.0),
            (&if short { "correct" } else { "incorrect" }.into(), short)
        );
    }
    assert_eq!(run.snapshot.history.last().unwrap().get(&metrics::REWARD_ACCURACY), None);
}

fn reward_length(mut commands: Commands, rollouts: Query<(Entity, &Response)>) {
    for (rollout, response) in rollouts {
        commands
            .entity(rollout)
            .insert(ShapedReward(response.0.ids.len() as f32 / NEW_TOKENS as f32));
    }
}

fn add_length_method(app: &mut App) {
    app.add_systems(TrainStep, reward_length.after(score_novelty).in_set(StageSystems::Novelty));
}

fn add_entropy_bonus(app: &mut App) {
    app.insert_resource(EntropyCoefficient(0.01));
}

#[test]
fn the_order_in_which_plugins_are_added_does_not_matter() -> OrthantResult<()> {
    let place = Workplace::new();
    let experiment = place.parity_experiment(2, "");
    let builder = || RunBuilder::new(experiment.clone()).task(Parity);
    let one =
        finish(builder().plugin(add_length_method).plugin(add_entropy_bonus).start(&place.runs())?);
    let other =
        finish(builder().plugin(add_entropy_bonus).plugin(add_length_method).start(&place.runs())?);
    assert_eq!(one.repeatable_metrics(), other.repeatable_metrics());
    assert_eq!(one.weights(2).hash()?, other.weights(2).hash()?);
    let without = finish(builder().plugin(add_length_method).start(&place.runs())?);
    assert_ne!(one.weights(2).hash()?, without.weights(2).hash()?);
    Ok(())
}
