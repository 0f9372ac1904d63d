//! Nothing that is not finite gets into the weights: the run ends, says where it came from, and
//! leaves good checkpoints.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use candle_core::{Device, Tensor};
use common::{Parity, Workplace, checkpoint, f32_values, json, lines};
use orthant::experiment::{AdamWConfig, OptimizerConfig, TaskConfig};
use orthant::prelude::{Experiment, *};
use orthant::weights::first_not_finite;
use std::collections::BTreeMap;

/// A weight that every token depends on.
const WEIGHT: &str = "model.layers.1.self_attn.q_proj.weight";

/// Sets the advantage of rollout 2 of group 1 in the second step.
fn poison_advantage(value: f32) -> impl Plugin {
    move |app: &mut App| {
        let system = move |step: Res<StepCounter>,
                           groups: Query<(&PromptGroup, &Rollouts)>,
                           mut advantages: Query<&mut Advantage>| {
            if step.0 == 2 {
                let (_, rollouts) = groups.iter().find(|(group, _)| group.0 == 1).unwrap();
                advantages.get_mut(rollouts.iter().nth(2).unwrap()).unwrap().0 = value;
            }
        };
        app.add_systems(
            TrainStep,
            system.after(center_group_advantages).in_set(StageSystems::Advantage),
        );
    }
}

/// Breaks a weight after the second step's rollouts were sampled.
fn poison_weight(app: &mut App) {
    let system = |step: Res<StepCounter>, policy: Res<Policy>| {
        if step.0 == 2 {
            let (_, variable) =
                policy.0.weights.variables().find(|(name, _)| *name == WEIGHT).unwrap();
            variable.set(&(variable.as_tensor() * f64::NAN).unwrap()).unwrap();
        }
    };
    app.add_systems(TrainStep, system.before(update_policy).in_set(StageSystems::Update));
}

/// Runs an experiment that has to fail after `good` steps in the update, for a reason with these
/// words. Its checkpoints are those of the good steps, without exception finite.
fn assert_fails(
    place: &Workplace,
    experiment: Experiment,
    plugin: impl Plugin,
    good: u64,
    words: &[&str],
) {
    let is_parity = matches!(experiment.task, TaskConfig::Custom(_));
    let builder = RunBuilder::new(experiment).plugin(plugin);
    let builder = if is_parity { builder.task(Parity) } else { builder };
    let run = builder.start(&place.runs()).unwrap();
    let handle = run.handle.clone();
    let error = run.join().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_status(), 1, "{text}");
    for word in [&["update_policy"], words].concat() {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
    let snapshot = handle.snapshots.load();
    assert_eq!(
        (&snapshot.state, snapshot.step),
        (&RunState::Failed { message: text.clone() }, good)
    );
    let folder = &snapshot.info.directory;
    let event = lines(&folder.join("events.jsonl")).pop().unwrap();
    assert_eq!(
        (&event["kind"], &event["text"], &event["step"]),
        (&"error".into(), &text.into(), &good.into())
    );
    assert_eq!(json(&folder.join("manifest.json"))["state"], "failed");
    assert_eq!(*snapshot.checkpoints, (1..=good).collect::<Vec<_>>());
    for step in 1..=good {
        let saved = checkpoint(folder, step);
        let tensors =
            saved.weights.variables().map(|(name, variable)| (name, variable.as_tensor()));
        assert_eq!(first_not_finite(tensors).unwrap(), None);
    }
    assert_eq!(std::fs::read_dir(folder.join("checkpoints")).unwrap().count() as u64, good);
}

fn experiment(place: &Workplace) -> Experiment {
    place.parity_experiment(3, "record: (checkpoint_every: 1)")
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_names_the_rollout() {
    let place = Workplace::new();
    let words = ["the loss is not finite", "group 1, rollout 2", "its advantage is not finite"];
    assert_fails(&place, experiment(&place), poison_advantage(f32::NAN), 1, &words);
    let mut small = experiment(&place);
    small.objective.micro_batch_tokens = Some(1);
    small.objective.minibatches = 2;
    assert_fails(&place, small, poison_advantage(f32::INFINITY), 1, &words);
}

#[test]
fn a_gradient_that_is_not_finite_ends_the_run_and_names_the_rollout() {
    let place = Workplace::new();
    let words = ["the gradient of `model.", "group 1, rollout 2", "its gradient is not finite"];
    assert_fails(&place, experiment(&place), poison_advantage(1e36), 1, &words);
}

#[test]
fn a_weight_that_is_not_finite_ends_the_run_before_the_update_and_is_named() {
    let place = Workplace::new();
    assert_fails(&place, experiment(&place), poison_weight, 1, &[WEIGHT, "before the update"]);
}

#[test]
fn a_model_that_comes_with_a_broken_weight_is_bad_input() {
    let place = Workplace::new();
    let file = place.model().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    let broken = (&tensors[WEIGHT] * f64::NAN).unwrap();
    tensors.insert(WEIGHT.to_string(), broken);
    candle_core::safetensors::save(&tensors, &file).unwrap();
    let Err(error) = RunBuilder::new(experiment(&place)).task(Parity).start(&place.runs()) else {
        panic!("the run starts");
    };
    let text = error.to_string();
    assert!(
        [WEIGHT, "not finite", "model.safetensors"].iter().all(|word| text.contains(word)),
        "{text}"
    );
    assert_eq!(error.exit_status(), 2);
    assert!(!place.runs().exists());
}

#[test]
fn a_step_of_the_optimizer_that_would_break_a_weight_is_not_taken() {
    let place = Workplace::new();
    // Without rewards that differ, the gradient is 0, and such an eps is 0 in f32: the step would
    // be 0 / 0.
    let mut experiment =
        place.experiment(3, "record: (checkpoint_every: 1), objective: (kl: (coefficient: 0.0))");
    let adamw = AdamWConfig { eps: 1e-300, ..AdamWConfig::default() };
    experiment.optimizer = OptimizerConfig::AdamW(adamw);
    assert_fails(
        &place,
        experiment,
        |_: &mut App| (),
        0,
        &["the optimizer's step", "model.", "not finite"],
    );
}

/// Where a policy is nearly certain, most of what backward computes is below the normal range, on
/// which processors are slow. The optimizer's moments show it: without the mode that flushes such
/// numbers to 0, thousands of them stay there.
#[test]
fn a_policy_that_is_nearly_certain_leaves_no_number_below_the_normal_range() {
    let place = Workplace::new();
    let mut experiment =
        place.parity_experiment(3, "method: G2rl(), objective: (kl: (coefficient: 0.1))");
    experiment.rollout.temperature = 0.05;
    let run = place.run_parity(&experiment);
    let state = run.folder.join("checkpoints/step_000003/trainer.safetensors");
    let (mut below, mut numbers) = (0, 0);
    let tensors: BTreeMap<String, Tensor> =
        candle_core::safetensors::load(state, &Device::Cpu).unwrap().into_iter().collect();
    for tensor in tensors.values() {
        let values = f32_values(tensor);
        below += values.iter().filter(|value| value.is_subnormal()).count();
        numbers += values.iter().filter(|value| **value != 0.0).count();
    }
    assert!(below == 0 && numbers > 10_000, "{below} of {numbers} numbers");
}
