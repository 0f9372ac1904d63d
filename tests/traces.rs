//! The forward pass of sampling in the place of the update's own: gradients, runs and memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use candle_core::{DType, Device, Tensor};
use common::{
    FAMILIES, Finished, GROUP, PROMPTS, Parity, Workplace, assert_near, f32_values, finish,
    largest_deviation, largest_difference, largest_magnitude, number, tiny_model, tiny_model_of,
};
use orthant::experiment::{LoraConfig, ModelSource, Quantisation};
use orthant::kernels::Buffers;
use orthant::model::{
    Completion, GradientSum, LanguageModel, LoraAdapter, PromptRequest, Recording, ResponseBatch,
    Sampling, SamplingMemory, StreamKey, Trace,
};
use orthant::optim::Gradients;
use orthant::prelude::*;
use orthant::rollout::{ForwardTrace, Response};

const TEMPERATURE: f64 = 0.8;

/// With an adapter whose B is not zero, on the model as it is or in four bits.
fn adapted(family: &str, quantise: Option<Quantisation>) -> LanguageModel {
    let base = tiny_model_of(family, true).quantised(quantise).unwrap();
    let config = LoraConfig { rank: 3, alpha: 6.0, ..LoraConfig::default() };
    let source = ModelSource::Local("base".into());
    let adapter =
        LoraAdapter::new(&config, source, &base.config, 7, DType::F32, &Device::Cpu).unwrap();
    for (name, variable) in adapter.weights().variables() {
        let value = |i: usize| (0.05 * (i as f64 + name.len() as f64).sin()) as f32;
        let values: Vec<f32> = (0..variable.elem_count()).map(value).collect();
        variable.set(&Tensor::from_vec(values, variable.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    base.with_adapter(adapter).unwrap()
}

/// Three prompts of different lengths with five completions each, of which some end early; the
/// first two prompts are traced.
fn sampled(
    model: &LanguageModel,
    memory: &SamplingMemory,
) -> Vec<(Vec<u32>, Completion, Option<Trace>)> {
    let texts = ["U", "Use 1 2 12 to make 36, and all of them", "12*(2+1)"];
    let prompts: Vec<Vec<u32>> =
        texts.iter().map(|text| model.tokenizer.encode(text).unwrap()).collect();
    let requests: Vec<PromptRequest> = prompts
        .iter()
        .zip(0..)
        .map(|(ids, prompt)| PromptRequest {
            ids: ids.clone(),
            key: StreamKey { seed: 3, step: 1, prompt },
        })
        .collect();
    let sampling =
        Sampling { temperature: TEMPERATURE, top_k: None, top_p: None, max_new_tokens: 21 };
    let recording = Recording { features: None, hidden: false, traced: 2, memory };
    let sampled =
        model.frozen.sample_recorded(&requests, 5, &sampling, &recording, |_| {}).unwrap();
    let lengths = |sampled: &[(Completion, Option<Trace>)]| {
        let mut lengths: Vec<usize> = sampled.iter().map(|(c, _)| c.ids.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths.len()
    };
    assert!(lengths(&sampled) > 2, "completions of one length show little");
    // Draws do not depend on what is traced.
    let plain = model.frozen.sample(&requests, 5, &sampling, None, |_| {}).unwrap();
    assert!(sampled.iter().map(|(completion, _)| completion).eq(&plain));
    sampled
        .into_iter()
        .enumerate()
        .map(|(index, (completion, trace))| (prompts[index / 5].clone(), completion, trace))
        .collect()
}

/// Every statistic of every token has a weight of its own.
fn loss(statistics: &Tensor) -> Tensor {
    let weight = |i: usize| 0.3 * (1.0 + i as f32).sin();
    let weights: Vec<f32> = (0..statistics.elem_count()).map(weight).collect();
    let weights = Tensor::from_vec(weights, statistics.dims(), &Device::Cpu).unwrap();
    (statistics * weights).unwrap().sum_all().unwrap()
}

fn agree(model: &LanguageModel, what: &str) {
    let memory = SamplingMemory::default();
    let sampled = sampled(model, &memory);
    assert!(
        sampled.iter().enumerate().all(|(index, (_, _, trace))| trace.is_some() == (index < 10))
    );
    // In an order in which responses to one prompt are beside each other and apart.
    let chosen: Vec<_> = [0, 1, 2, 4, 7, 8, 3, 9, 5].map(|index| &sampled[index]).into();
    let pairs: Vec<(&[u32], &[u32])> =
        chosen.iter().map(|(prompt, completion, _)| (&prompt[..], &completion.ids[..])).collect();
    let traces: Vec<&Trace> = chosen.iter().map(|(_, _, trace)| trace.as_ref().unwrap()).collect();
    for ((prompt, response), trace) in pairs.iter().zip(&traces) {
        assert!(trace.is_of(prompt, response));
    }
    let column = |of: fn(&Completion) -> &[f32]| {
        let values: Vec<f32> =
            chosen.iter().flat_map(|(_, completion, _)| of(completion)).copied().collect();
        Tensor::from_slice(&values, values.len(), &Device::Cpu).unwrap()
    };
    let recorded = [column(|c| &c.logprobs), column(|c| &c.entropies)];
    let recorded = Tensor::stack(&recorded, 1).unwrap();

    let weights = model.trained();
    let gradients = |with_traces: bool| -> (Tensor, Gradients) {
        let mut buffers = Buffers::default();
        let mut sum = GradientSum::new(&model.trainable, weights, false, &mut buffers).unwrap();
        let batch = ResponseBatch::new(&pairs).unwrap();
        let pass = if with_traces {
            sum.resume(batch, &traces, TEMPERATURE).unwrap()
        } else {
            sum.forward(batch, TEMPERATURE).unwrap()
        };
        let (statistics, loss) = (pass.statistics().clone(), loss(pass.statistics()));
        sum.backward(pass, &loss).unwrap();
        (statistics, sum.finish().unwrap())
    };
    let ((statistics, expected), (resumed, found)) = (gradients(false), gradients(true));
    let apart = |found: &Tensor, expected: &Tensor| {
        let expected = f32_values(expected);
        largest_deviation(&f32_values(found), &expected) / largest_magnitude(&expected)
    };
    assert!(apart(&resumed, &statistics) < 1e-5, "{what}");
    assert_eq!(f32_values(&resumed), f32_values(&recorded));
    for (name, _) in weights.variables() {
        let error = apart(found.get(name).unwrap(), expected.get(name).unwrap());
        assert!(error < 2e-5, "{what}, {name}: {error:e}");
    }
}

#[test]
fn backward_from_a_trace_is_backward_after_a_forward_pass() {
    for family in FAMILIES {
        agree(&tiny_model_of(family, true), family);
        agree(&tiny_model_of(family, false), family);
        agree(&adapted(family, None), family);
        agree(&adapted(family, Some(Quantisation::Nf4)), family);
    }
}

#[test]
fn a_trace_is_one_of_its_own_tokens_only() {
    let (model, memory) = (tiny_model(), SamplingMemory::default());
    let sampled = sampled(&model, &memory);
    let (prompt, Completion { ids, .. }, trace) =
        sampled.iter().find(|(_, completion, _)| completion.ids.len() > 3).unwrap();
    let trace = trace.as_ref().unwrap();
    assert!(trace.is_of(prompt, ids));
    for place in [0, 1, ids.len() - 1] {
        let mut other = ids.clone();
        other[place] ^= 1;
        assert!(!trace.is_of(prompt, &other), "token {place}");
    }
    assert!(!trace.is_of(prompt, &ids[1..]) && !trace.is_of(prompt, &ids[..ids.len() - 1]));
    assert!(!trace.is_of(&prompt[1..], ids) && !trace.is_of(prompt, &[]));
}

/// Two steps with so many traced groups.
fn run(place: &Workplace, groups: Option<usize>, settings: &str) -> Finished {
    let mut experiment = place.parity_experiment(2, settings);
    experiment.objective.traced_groups = groups;
    place.run_parity(&experiment)
}

#[test]
fn traces_move_no_more_than_the_last_bits() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    for settings in ["method: G2rl()", "method: G2rl(), adapter: Lora(rank: 4)"] {
        let model = |run: &Finished| common::checkpoint(&run.folder, 2).merged().unwrap().weights;
        let runs =
            [Some(0), Some(1), Some(PROMPTS), None].map(|groups| run(&place, groups, settings));
        let [without, with_one, with_all, planned] = runs.each_ref().map(model);
        assert!(largest_difference(&without, &tiny_model().weights) > 1e-3);
        for some in [&with_one, &with_all] {
            let off = largest_difference(&without, some);
            assert!(off > 0.0 && off < 2e-5, "{settings}: {off}");
        }
        assert_eq!(with_all.hash().unwrap(), planned.hash().unwrap());

        let gap = |run: &Finished| {
            run.repeatable_metrics()
                .iter()
                .map(|row| number(&row["policy/sampler_logprob_gap"]))
                .fold(0.0, f64::max)
        };
        // Where all are traced one of them is run forward.
        for gap in runs.each_ref().map(gap) {
            assert!(gap > 0.0 && gap < 1e-4, "{gap}");
        }
    }
}

/// While the policy is its reference the KL term has no gradient, not even one of rounding, which
/// AdamW would make whole steps of.
#[test]
fn a_policy_that_learns_nothing_stays_where_it_is() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    // Nothing right can be said in one token.
    let settings = "method: Grpo, objective: (kl: (coefficient: 0.1), traced_groups: 3)";
    let mut experiment = place.parity_experiment(3, settings);
    experiment.rollout.max_new_tokens = 1;
    let run = place.run_parity(&experiment);
    for row in run.repeatable_metrics() {
        // The accuracy is why there is no signal.
        for name in ["reward/accuracy", "policy/grad_norm", "policy/kl"] {
            let found = number(&row[name]);
            assert!(found == 0.0, "{name}: {found}");
        }
    }
    assert_eq!(run.weights(3).hash().unwrap(), tiny_model().weights.hash().unwrap());
}

/// Once the first optimizer step is made, the weights are no longer those of the sampler.
#[test]
fn several_optimizer_steps_make_their_own_forward_passes() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    for passes in ["epochs: 2", "minibatches: 2"] {
        let settings = format!("method: G2rl(), objective: ({passes})");
        let hash = |groups| run(&place, groups, &settings).weights(2).hash().unwrap();
        assert_eq!(hash(Some(0)), hash(Some(PROMPTS)), "{passes}");
    }
}

/// Each wave of groups traces those of its own that are among the first.
#[test]
fn waves_of_groups_are_traced_as_far_as_they_belong_to_the_first() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    let weights = |groups, at_a_time| {
        let mut experiment = place.parity_experiment(1, "method: G2rl()");
        experiment.objective.traced_groups = Some(groups);
        experiment.rollout.groups_at_a_time = Some(at_a_time);
        let traced = Stage::that(groups * GROUP, |_| {});
        finish(
            RunBuilder::new(experiment).task(Parity).plugin(traced).start(&place.runs()).unwrap(),
        )
        .weights(1)
    };
    let without = weights(0, PROMPTS);
    for groups in 1..=PROMPTS {
        let together = weights(groups, PROMPTS);
        let off = largest_difference(&without, &together);
        assert!(off > 0.0 && off < 2e-5, "{groups} groups: {off}");
        for at_a_time in 1..PROMPTS {
            assert_eq!(weights(groups, at_a_time).hash().unwrap(), together.hash().unwrap());
        }
    }
}

/// A stage of somebody else, after sampling.
struct Stage {
    /// Rollouts with a trace there are to be.
    traced: usize,
    change: fn(&mut Completion),
}

impl Stage {
    fn that(traced: usize, change: fn(&mut Completion)) -> Self {
        Self { traced, change }
    }
}

impl Plugin for Stage {
    fn build(&self, app: &mut App) {
        let Self { traced: expected, change } = *self;
        let rewrite = move |mut responses: Query<(&mut Response, Option<&ForwardTrace>)>| {
            let mut traced = 0;
            for (mut response, trace) in &mut responses {
                traced += usize::from(trace.is_some());
                change(&mut response.0);
            }
            assert_eq!(traced, expected);
        };
        app.add_systems(
            TrainStep,
            rewrite.after(StageSystems::Sample).before(StageSystems::Verify),
        );
    }
}

fn another(id: &mut u32) {
    *id = if *id == 40 { 41 } else { 40 };
}

/// The trace of what was sampled says nothing of another response, whichever of its tokens is
/// another one; and what a trace says of a token is the policy's own, whatever the response says.
#[test]
fn responses_that_have_changed_are_run_forward() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    let changes: [fn(&mut Completion); 3] = [
        |completion| completion.ids.first_mut().into_iter().for_each(another),
        |completion| completion.ids.last_mut().into_iter().for_each(another),
        |completion| completion.logprobs.iter_mut().for_each(|logprob| *logprob -= 0.125),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let run = |groups| {
            let mut experiment = place.parity_experiment(1, "method: Grpo");
            experiment.objective.traced_groups = Some(groups);
            let stage = Stage::that(groups * GROUP, change);
            let run = RunBuilder::new(experiment).task(Parity).plugin(stage);
            let run = finish(run.start(&place.runs()).unwrap());
            let row = run.repeatable_metrics().remove(0);
            ["policy/sampler_logprob_gap", "policy/loss", "policy/grad_norm"]
                .map(|metric| number(&row[metric]))
        };
        let ([gap, loss, norm], [gap_of_one, loss_with, norm_with]) = (run(0), run(PROMPTS));
        assert_near(loss_with, loss, 1e-6, "loss");
        assert_near(norm_with, norm, 1e-5 * norm, "norm of the gradient");
        assert!(gap > 0.1 && gap_of_one > 0.1, "change {index} is not seen: {gap}, {gap_of_one}");
    }
}
