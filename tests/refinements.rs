//! The refinements of training that an experiment may ask for, in whole runs on a tiny random
//! model: dynamic sampling, the penalty for length, the adaptive KL coefficient, the curriculum,
//! and several passes over the rollouts.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use candle_core::Tensor;
use common::{
    Finished, GROUP, NEW_TOKENS, PROMPTS, Parity, Workplace, assert_near, finish, json,
    largest_difference, number, tiny_model,
};
use orthant::experiment::{AdamWConfig, CurriculumConfig, DynamicSampling, OptimizerConfig};
use orthant::model::{LanguageModel, ResponseBatch};
use orthant::objective::Loss;
use orthant::prelude::*;
use orthant::stages::{Curriculum, VerifyPlugin};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The task of the tests, except that every third problem is unsolvable; counts what it judges.
#[derive(Clone, Default)]
struct SomeHopeless {
    judged: Arc<AtomicUsize>,
    correct: Arc<AtomicUsize>,
}

impl Task for SomeHopeless {
    fn name(&self) -> &'static str {
        "parity"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        Parity.problem(split, seed, index)
    }

    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        let mut verification = Parity.verify(problem, completion);
        if index_of(&problem.id).is_multiple_of(3) {
            verification.verdict = Verdict::Incorrect;
        }
        self.judged.fetch_add(1, Ordering::SeqCst);
        self.correct.fetch_add(usize::from(verification.verdict.is_correct()), Ordering::SeqCst);
        verification
    }
}

/// The number of a problem of the parity task in its split.
fn index_of(id: &str) -> usize {
    id.trim_end_matches(':').rsplit(' ').next().unwrap().parse().unwrap()
}

/// A kept group: its problem's number, whether its base rewards differ, and its lines.
struct Kept {
    problem: usize,
    signal: bool,
    lines: Vec<Value>,
}

fn kept(run: &Finished, step: u64) -> Vec<Kept> {
    let lines = run.rollouts(step);
    assert_eq!(lines.len(), PROMPTS * GROUP);
    let group = |(number, lines): (usize, &[Value])| {
        assert!(
            lines
                .iter()
                .all(|line| line["group"] == number && line["problem"] == lines[0]["problem"])
        );
        Kept {
            problem: index_of(lines[0]["problem"].as_str().unwrap()),
            signal: lines.iter().any(|line| line["reward"] != lines[0]["reward"]),
            lines: lines.to_vec(),
        }
    };
    lines.chunks(GROUP).enumerate().map(group).collect()
}

/// Steps of the test of dynamic sampling.
const STEPS: u64 = 6;

#[test]
fn dynamic_sampling_replaces_uniform_groups_by_further_problems() {
    let place = Workplace::new();
    let run = |rounds: Option<usize>, steps: u64| {
        let mut experiment = place.parity_experiment(steps, "record: (checkpoint_every: 1)");
        experiment.rollout.dynamic = rounds.map(|rounds| DynamicSampling { rounds });
        let task = SomeHopeless::default();
        (finish(RunBuilder::new(experiment).task(task.clone()).start(&place.runs()).unwrap()), task)
    };
    let (plain, _) = run(None, 1);
    let (dynamic, task) = run(Some(1), STEPS);
    let (mut dealt, mut seen, mut full) = (0, BTreeSet::new(), 0);
    for (step, row) in (1..=STEPS).zip(dynamic.repeatable_metrics()) {
        let groups = kept(&dynamic, step);
        let now =
            PROMPTS + (number(&row["group/resampled_ratio"]) * PROMPTS as f64).round() as usize;
        for group in &groups {
            assert!(
                (dealt..dealt + now).contains(&group.problem),
                "problem {} in step {step}",
                group.problem
            );
            assert!(seen.insert(group.problem), "problem {} was taken twice", group.problem);
        }
        // With a signal first, both kinds in the order of their problems.
        let order: Vec<(bool, usize)> =
            groups.iter().map(|group| (!group.signal, group.problem)).collect();
        assert!(order.is_sorted(), "{order:?}");
        // What is short of signals used up its rounds; uniform groups are then the first ones that
        // were dealt.
        let uniform: Vec<usize> =
            groups.iter().filter(|group| !group.signal).map(|group| group.problem).collect();
        full += u64::from(uniform.is_empty());
        let signal: BTreeSet<usize> =
            groups.iter().filter(|group| group.signal).map(|group| group.problem).collect();
        let first = (dealt..).filter(|problem| !signal.contains(problem)).take(uniform.len());
        assert_eq!(uniform, first.collect::<Vec<_>>());
        assert_near(
            number(&row["group/uniform_ratio"]),
            uniform.len() as f64 / PROMPTS as f64,
            1e-12,
            "uniform",
        );
        dealt += now;
        let state = json(&dynamic.folder.join(format!("checkpoints/step_{step:06}/trainer.json")));
        assert_eq!(state["problems"], dealt);
    }
    assert!(full > 0 && full < STEPS, "in {full} of {STEPS} steps every group has a signal");
    // Every completion was judged once, kept or not.
    assert_eq!(task.judged.load(Ordering::SeqCst), dealt * GROUP);

    // The first round is what the run without the option does.
    let first: BTreeMap<usize, Kept> =
        kept(&plain, 1).into_iter().map(|group| (group.problem, group)).collect();
    for group in kept(&dynamic, 1).iter().filter(|group| group.problem < PROMPTS) {
        for (line, plain) in group.lines.iter().zip(&first[&group.problem].lines) {
            assert_eq!(line["response_ids"], plain["response_ids"]);
        }
    }
    assert!(plain.repeatable_metrics()[0]["group/resampled_ratio"].is_null());
}

#[test]
fn accuracy_with_dynamic_sampling_is_that_of_all_completions() {
    let place = Workplace::new();
    let experiment = place.parity_experiment(1, "");
    let run = |rounds| {
        let mut experiment = experiment.clone();
        experiment.rollout.dynamic = Some(DynamicSampling { rounds });
        let task = SomeHopeless::default();
        let run =
            finish(RunBuilder::new(experiment).task(task.clone()).start(&place.runs()).unwrap());
        (run.repeatable_metrics().remove(0), kept(&run, 1), task)
    };
    let (row, kept, task) = run(3);
    let (correct, judged) =
        (task.correct.load(Ordering::SeqCst), task.judged.load(Ordering::SeqCst));
    assert!(judged > PROMPTS * GROUP && correct > 0);
    assert_near(number(&row["reward/accuracy"]), correct as f64 / judged as f64, 1e-12, "accuracy");
    assert_near(
        number(&row["reward/mean"]),
        2.0 * correct as f64 / judged as f64 - 1.0,
        1e-12,
        "mean reward",
    );
    let of_kept =
        kept.iter().flat_map(|group| &group.lines).map(|line| number(&line["reward"])).sum::<f64>();
    assert_near(
        number(&row["reward/shaped_mean"]),
        of_kept / (PROMPTS * GROUP) as f64,
        1e-6,
        "mean of those kept",
    );
}

#[test]
fn where_no_problem_has_a_signal_dynamic_sampling_ends_at_its_bound_with_the_first_groups() {
    let place = Workplace::new();
    let run = |settings: &str, method: &str| {
        let mut experiment =
            place.experiment(2, &format!("method: {method}, record: (checkpoint_every: 1)"));
        experiment.rollout = orthant::experiment::RolloutConfig {
            dynamic: from_text(settings, "test").unwrap(),
            ..experiment.rollout
        };
        place.run(&experiment)
    };
    for method in ["Grpo", "G2rl()"] {
        let plain = run("None", method);
        let dynamic = run("(rounds: 2)", method);
        assert_eq!(plain.rollouts(1), dynamic.rollouts(1));
        assert_eq!(plain.weights(1).hash().unwrap(), dynamic.weights(1).hash().unwrap());
        assert_near(
            number(&dynamic.repeatable_metrics()[0]["group/resampled_ratio"]),
            2.0,
            0.0,
            "rounds",
        );
        // The second step continues behind all that were tried.
        assert_ne!(plain.rollouts(2)[0]["problem"], dynamic.rollouts(2)[0]["problem"]);
        let state = json(&dynamic.folder.join("checkpoints/step_000002/trainer.json"));
        assert_eq!(state["problems"], 2 * 3 * PROMPTS);
    }
}

/// Takes the place of [`VerifyPlugin`]: nothing is right.
struct NothingIsRight {
    further_rounds: bool,
}

impl Plugin for NothingIsRight {
    fn build(&self, app: &mut App) {
        app.add_systems(TrainStep, refuse_all.in_set(StageSystems::Verify));
        if self.further_rounds {
            app.add_systems(SampleRound, refuse_all.in_set(StageSystems::Verify));
        }
    }
}

fn refuse_all(mut commands: Commands, rollouts: Query<Entity, (With<Response>, Without<Judged>)>) {
    for rollout in rollouts {
        let judged = Judged(Verification { verdict: Verdict::Incorrect, extracted: None });
        commands.entity(rollout).insert((judged, Reward(-1.0)));
    }
}

#[test]
fn another_verifier_takes_part_in_dynamic_sampling_where_it_is_in_both_schedules() {
    let place = Workplace::new();
    let start = |further_rounds| {
        let experiment = place.parity_experiment(1, "");
        let experiment =
            orthant::experiment::set(&experiment, "rollout.dynamic=(rounds: 1)").unwrap();
        let builder = RunBuilder::new(experiment).task(Parity);
        let builder = builder.stages(move |stages| {
            stages.disable::<VerifyPlugin>().add(NothingIsRight { further_rounds })
        });
        builder.start(&place.runs()).unwrap()
    };
    let row = finish(start(true)).repeatable_metrics().remove(0);
    assert_near(number(&row["group/resampled_ratio"]), 1.0, 0.0, "rounds");
    let error = start(false).join().unwrap_err().to_string();
    assert!(error.contains("SampleRound") && error.contains("rollout.dynamic"), "{error}");
}

#[test]
fn the_soft_penalty_lowers_the_rewards_that_advantages_are_made_of_and_no_other() {
    let place = Workplace::new();
    let run = |method: &str, truncated: &str| {
        let settings = format!(
            "method: {method}, objective: (truncated: {truncated}, advantage_scale: Unscaled)"
        );
        place.run_parity(&place.parity_experiment(1, &settings))
    };
    for method in ["Grpo", "G2rl()", "EvolRl()"] {
        let plain = run(method, "Keep");
        let penalized = run(method, "SoftPenalty(buffer: 16, strength: 0.5)");
        let (before, after) = (plain.rollouts(1), penalized.rollouts(1));
        let mut penalties = Vec::new();
        for (before, after) in before.iter().zip(&after) {
            for field in ["response_ids", "reward", "verdict", "novelty"] {
                assert_eq!(before[field], after[field], "{field}");
            }
            let beyond = number(&after["length"]) - (NEW_TOKENS - 16) as f64;
            let expected = -0.5 * (beyond / 16.0).clamp(0.0, 1.0);
            let change = number(&after["shaped_reward"]) - number(&before["shaped_reward"]);
            assert_near(change, expected, 1e-6, "penalty");
            penalties.push(expected);
        }
        for lines in after.chunks(GROUP) {
            let center =
                lines.iter().map(|line| number(&line["shaped_reward"])).sum::<f64>() / GROUP as f64;
            for line in lines {
                assert_near(
                    number(&line["advantage"]),
                    number(&line["shaped_reward"]) - center,
                    1e-6,
                    "advantage",
                );
            }
        }
        let partial =
            penalties.iter().filter(|penalty| **penalty > -0.5 && **penalty < 0.0).count();
        assert!(partial > 0 && penalties.contains(&-0.5), "the slope is untested: {penalties:?}");
        let [before, after] = [&plain, &penalized].map(|run| run.repeatable_metrics().remove(0));
        for metric in ["reward/accuracy", "reward/mean", "group/uniform_ratio"] {
            assert_eq!(before[metric], after[metric], "{metric}");
        }
        let mean = penalties.iter().sum::<f64>() / penalties.len() as f64;
        assert_near(number(&after["reward/length_penalty_mean"]), mean, 1e-9, "mean penalty");
        assert!(before["reward/length_penalty_mean"].is_null());
        let shift = number(&after["reward/shaped_mean"]) - number(&before["reward/shaped_mean"]);
        assert_near(shift, mean, 1e-6, "shaped mean");
        assert_ne!(plain.weights(1).hash().unwrap(), penalized.weights(1).hash().unwrap());
    }
}

#[test]
fn the_kl_coefficient_follows_the_controller_and_enters_the_loss() {
    let place = Workplace::new();
    let run = |kl: &str| {
        place.run_parity(&place.parity_experiment(4, &format!("objective: (kl: ({kl}))")))
    };
    let fixed = run("coefficient: 0.5");
    for row in fixed.repeatable_metrics() {
        assert_near(number(&row["policy/kl_coefficient"]), 0.5, 0.0, "fixed coefficient");
    }
    let target = 0.01;
    let adaptive = run(&format!("coefficient: 0.5, target: {target}, horizon: 4"));
    let rows = adaptive.repeatable_metrics();
    let mut expected = 0.5;
    let mut kls = Vec::new();
    for row in &rows {
        assert_near(number(&row["policy/kl_coefficient"]), expected, 0.0, "adaptive coefficient");
        let kl = number(&row["policy/kl"]);
        expected *= 1.0 + ((kl - target) / target).clamp(-0.2, 0.2) / 4.0;
        kls.push(kl);
    }
    assert!(
        kls.iter().any(|kl| *kl > target) && kls.iter().any(|kl| *kl < target),
        "one side is untested: {kls:?}"
    );
    let state = json(&adaptive.folder.join("checkpoints/step_000004/trainer.json"));
    assert_near(number(&state["kl_coefficient"]), expected, 0.0, "coefficient of the checkpoint");
    // The first coefficient is the same and acts on a KL of 0; the second one moves the weights.
    assert_eq!(fixed.repeatable_metrics()[0], rows[0]);
    assert_ne!(fixed.weights(4).hash().unwrap(), adaptive.weights(4).hash().unwrap());
    assert!(run("coefficient: 0.0").repeatable_metrics()[0]["policy/kl_coefficient"].is_null());
}

/// Levels by the number of the problem: the first is always solved, the second now and then, the
/// third never.
struct ThreeLevels;

impl Task for ThreeLevels {
    fn name(&self) -> &'static str {
        "parity"
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        Parity.problem(split, seed, index)
    }

    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        let verdict = match self.level(problem) {
            0 => Verdict::Correct,
            1 => Parity.verify(problem, completion).verdict,
            _ => Verdict::Incorrect,
        };
        Verification { verdict, extracted: None }
    }

    fn levels(&self) -> usize {
        3
    }

    fn level(&self, problem: &Problem) -> usize {
        index_of(&problem.id) % 3
    }
}

#[test]
fn the_curriculum_draws_by_the_solve_rates_that_it_measured() {
    let place = Workplace::new();
    let config = CurriculumConfig { floor: 0.05, rate: 0.2 };
    let mut experiment = place.parity_experiment(40, "record: (geometry_every: 0)");
    experiment.rollout.curriculum = Some(config);
    let run =
        finish(RunBuilder::new(experiment.clone()).task(ThreeLevels).start(&place.runs()).unwrap());
    let (mut rates, mut next, mut drawn) = (vec![0.5; 3], 0, Vec::new());
    // By draw: how likely the level in the middle was.
    let mut likely = Vec::new();
    for (step, row) in (1..=40).zip(run.repeatable_metrics()) {
        let curriculum = Curriculum::new(config, 3).resumed(Some(rates.clone()));
        let groups = kept(&run, step);
        for group in &groups {
            let taken = (next..next + 100_000)
                .find(|&number| curriculum.takes(experiment.seed, number as u64, number % 3))
                .unwrap();
            assert_eq!(group.problem, taken, "step {step}");
            // Problems are passed over one after another until one is taken.
            let (mut middle, mut passed) = (0.0, 1.0);
            for level in (next..next + 3000).map(|number| number % 3) {
                let takes = passed * curriculum.weight(level);
                middle += if level == 1 { takes } else { 0.0 };
                passed -= takes;
            }
            likely.push(middle);
            next = taken + 1;
        }
        let expected =
            groups.iter().map(|group| rates[group.problem % 3]).sum::<f64>() / PROMPTS as f64;
        assert_near(number(&row["curriculum/solve_rate"]), expected, 1e-12, "expected solve rate");
        for group in &groups {
            let correct = group.lines.iter().filter(|line| line["verdict"] == "correct").count();
            let rate = &mut rates[group.problem % 3];
            *rate += config.rate * (correct as f64 / GROUP as f64 - *rate);
            drawn.push(group.problem % 3);
        }
    }
    let state = json(&run.folder.join("checkpoints/step_000040/trainer.json"));
    assert_eq!(state["solve_rates"], serde_json::json!(rates));
    assert_eq!(state["problems"], next);
    assert!(rates[0] > 0.9 && rates[2] < 0.1, "{rates:?}");
    let share = |drawn: &[usize]| {
        drawn.iter().filter(|level| **level == 1).count() as f64 / drawn.len() as f64
    };
    let (first, last) = drawn.split_at(drawn.len() / 4);
    let later = &likely[first.len()..];
    let expected = later.iter().sum::<f64>() / later.len() as f64;
    let deviation = (expected * (1.0 - expected) / last.len() as f64).sqrt();
    eprintln!(
        "share of the level in the middle: {} in the first quarter, {} later, {expected} expected",
        share(first),
        share(last)
    );
    // Without a curriculum it would be a third.
    assert!(
        expected > 0.5
            && (share(last) - expected).abs() < 2.0 * deviation
            && share(last) > share(first)
    );

    // A task without levels has nothing to choose from.
    let error = RunBuilder::new(experiment).task(Parity).start(&place.runs()).err().unwrap();
    assert!(
        error.exit_status() == 2 && error.to_string().contains("`rollout.curriculum`"),
        "{error}"
    );
}

/// AdamW by the paper's equations, from zero moments.
struct ByHand {
    settings: AdamWConfig,
    moments: BTreeMap<String, (Tensor, Tensor)>,
    steps: i32,
}

impl ByHand {
    fn step(&mut self, model: &LanguageModel, loss: &Tensor) {
        let AdamWConfig { learning_rate, beta1, beta2, eps, max_grad_norm, .. } = self.settings;
        let gradients = loss.backward().unwrap();
        let gradient = |variable: &Tensor| gradients.get(variable).unwrap().clone();
        let square =
            |tensor: &Tensor| tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        let norm = model
            .weights
            .variables()
            .map(|(_, v)| f64::from(square(&gradient(v))))
            .sum::<f64>()
            .sqrt();
        let scale = (max_grad_norm / norm).min(1.0);
        self.steps += 1;
        for (name, variable) in model.weights.variables() {
            let gradient = (gradient(variable) * scale).unwrap();
            let zero = || gradient.zeros_like().unwrap();
            let (first, second) =
                self.moments.entry(name.to_string()).or_insert_with(|| (zero(), zero()));
            *first = ((&*first * beta1).unwrap() + (&gradient * (1.0 - beta1)).unwrap()).unwrap();
            *second = ((&*second * beta2).unwrap()
                + (gradient.sqr().unwrap() * (1.0 - beta2)).unwrap())
            .unwrap();
            let root = (&*second / (1.0 - beta2.powi(self.steps))).unwrap().sqrt().unwrap();
            let direction = ((&*first / (1.0 - beta1.powi(self.steps))).unwrap()
                / (root + eps).unwrap())
            .unwrap();
            variable
                .set(&(variable.as_tensor() - (direction * learning_rate).unwrap()).unwrap())
                .unwrap();
        }
    }
}

fn logprobs(model: &LanguageModel, (prompt, response): (&[u32], &[u32])) -> Tensor {
    let statistics = model
        .trainable
        .response_logprobs(&ResponseBatch::new(&[(prompt, response)]).unwrap(), 1.0)
        .unwrap();
    statistics.narrow(1, 0, 1).unwrap().squeeze(1).unwrap()
}

const BETA: f64 = 0.05;
const CLIP: f64 = 0.05;

/// Surrogate of a response's tokens (L) as the papers have it, and how many of them are clipped
/// with effect.
fn surrogate(loss: Loss, now: &Tensor, old: &Tensor, advantage: f64) -> (Tensor, usize) {
    let mut log_ratio = (now - old).unwrap();
    if loss == Loss::Gspo {
        log_ratio = log_ratio.mean_all().unwrap().broadcast_as(now.shape()).unwrap();
    }
    let ratio = log_ratio.exp().unwrap();
    let ratios: Vec<f32> = ratio.to_vec1().unwrap();
    let (low, high) = (1.0 - CLIP, 1.0 + CLIP);
    let beyond = |ratio: f64| match loss {
        Loss::Cispo => ratio > high && advantage != 0.0,
        _ => (advantage > 0.0 && ratio > high) || (advantage < 0.0 && ratio < low),
    };
    let clipped = ratios.iter().filter(|ratio| beyond(f64::from(**ratio))).count();
    let terms = if loss == Loss::Cispo {
        ((ratio.detach().minimum(high).unwrap() * advantage).unwrap() * now).unwrap()
    } else {
        let bounded = (ratio.clamp(low, high).unwrap() * advantage).unwrap();
        (ratio * advantage).unwrap().minimum(&bounded).unwrap()
    };
    (terms, clipped)
}

/// Two passes of two mini-batches: four optimizer steps, each of a fresh forward pass, all with the
/// log-probabilities of the policy that sampled. One response at a time, without packing and
/// micro-batches. Measured: weights agree to 6e-7.
#[test]
fn two_epochs_of_two_mini_batches_are_what_a_step_by_step_computation_gives() {
    let place = Workplace::new();
    // With a large eps the step is nearly proportional to the gradient, and rounding stays
    // rounding.
    let adamw = AdamWConfig {
        learning_rate: 0.02,
        warmup_steps: 0,
        eps: 1e-2,
        max_grad_norm: 100.0,
        ..AdamWConfig::default()
    };
    for loss in [Loss::Grpo, Loss::DrGrpo, Loss::Dapo, Loss::Bnpo, Loss::Gspo, Loss::Cispo] {
        let mut experiment = place.parity_experiment(1, "objective: (epochs: 2, minibatches: 2)");
        experiment.objective.loss = loss;
        (experiment.objective.clip_low, experiment.objective.clip_high) = (CLIP, CLIP);
        experiment.objective.kl.coefficient = BETA;
        experiment.objective.micro_batch_tokens = Some(100);
        experiment.optimizer = OptimizerConfig::AdamW(adamw.clone());
        let run = place.run_parity(&experiment);
        let lines = run.rollouts(1);

        let (model, reference) = (tiny_model(), tiny_model());
        let ids = |line: &Value| -> Vec<u32> {
            line["response_ids"].as_array().unwrap().iter().map(|id| number(id) as u32).collect()
        };
        let prompts: Vec<Vec<u32>> = lines
            .iter()
            .map(|line| model.tokenizer.encode(line["prompt"].as_str().unwrap()).unwrap())
            .collect();
        let responses: Vec<Vec<u32>> = lines.iter().map(ids).collect();
        let old: Vec<Tensor> = prompts
            .iter()
            .zip(&responses)
            .map(|(p, r)| logprobs(&model, (p, r)).detach())
            .collect();
        let all_tokens = responses.iter().map(Vec::len).sum::<usize>();
        let mut optimizer = ByHand { settings: adamw.clone(), moments: BTreeMap::new(), steps: 0 };
        let (mut kl_sum, mut clipped, mut losses) = (0.0, 0, Vec::new());
        for epoch in 0..2 {
            let mut order: Vec<usize> = (0..lines.len()).collect();
            rng::shuffle(
                &mut rng::stream(experiment.seed, rng::Domain::Minibatches, [1, epoch, 0]),
                &mut order,
            );
            for part in order.chunks(lines.len() / 2) {
                let tokens = part.iter().map(|&i| responses[i].len()).sum::<usize>() as f64;
                let mut sum =
                    Tensor::zeros((), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
                for &i in part {
                    let sequence = (prompts[i].as_slice(), responses[i].as_slice());
                    let now = logprobs(&model, sequence);
                    let (terms, cut) =
                        surrogate(loss, &now, &old[i], number(&lines[i]["advantage"]));
                    let apart = (logprobs(&reference, sequence).detach() - &now).unwrap();
                    let kl = ((apart.exp().unwrap() - &apart).unwrap() - 1.0).unwrap();
                    let weight = match loss {
                        Loss::Grpo | Loss::Gspo => 1.0 / (part.len() * responses[i].len()) as f64,
                        Loss::DrGrpo => 1.0 / (part.len() * NEW_TOKENS) as f64,
                        Loss::Dapo | Loss::Cispo => 2.0 / all_tokens as f64,
                        Loss::Bnpo => 1.0 / tokens,
                        other => panic!("{other:?} is not computed by hand here"),
                    };
                    kl_sum += f64::from(kl.sum_all().unwrap().to_scalar::<f32>().unwrap());
                    clipped += cut;
                    let gain = (terms - (kl * BETA).unwrap()).unwrap().sum_all().unwrap();
                    sum = (sum - (gain * weight).unwrap()).unwrap();
                }
                losses.push(f64::from(sum.to_scalar::<f32>().unwrap()));
                optimizer.step(&model, &sum);
            }
        }
        let row = run.repeatable_metrics().remove(0);
        let passes = 2.0 * all_tokens as f64;
        eprintln!("{loss:?}: {:e}", largest_difference(&run.weights(1), &model.weights));
        assert!(largest_difference(&run.weights(1), &tiny_model().weights) > 1e-2);
        assert!(largest_difference(&run.weights(1), &model.weights) < 1e-5, "{loss:?}");
        assert!(clipped > 0, "{loss:?} is not clipped anywhere");
        assert_near(
            number(&row["policy/clip_ratio"]),
            clipped as f64 / passes,
            1e-12,
            "clip ratio",
        );
        // Far from the reference K3 is nearly e^(log ratio), so a difference of log-probabilities
        // is a relative one of the KL.
        assert_near(
            number(&row["policy/kl"]),
            kl_sum / passes,
            1e-5 * (kl_sum / passes).max(0.1),
            "KL",
        );
        assert_near(number(&row["policy/loss"]), losses.iter().sum::<f64>() / 4.0, 1e-6, "loss");
    }
}
