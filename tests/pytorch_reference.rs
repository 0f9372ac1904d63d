//! Geometry agrees with PyTorch's float64 results, advantages and losses with those of TRL's and
//! verl's own code. `fixtures/generate.py` says how they were made.
//!
//! Largest absolute differences measured: cosines, unit features and statistics 9e-8, novelty 5e-8,
//! shaped rewards and advantages 4e-7; centred rewards 5e-8; losses 2e-9 in `f64` and 5e-8 in
//! `f32`, their gradients 2e-9 and 3e-8, KL 9e-10 and 2e-8. The fixtures have nine digits.

use candle_core::{DType, Device, Tensor, Var};
use orthant::geometry::{
    CosineMatrix, GroupGeometry, IncorrectSign, NoveltyForm, normalize_novelty, novelty,
    shaped_reward, unit_features,
};
use orthant::objective::{
    AdvantageEstimator, AdvantageScale, BatchTotals, KlEstimator, Loss, MicroBatch, Objective,
    Truncated, group_advantages,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    d: usize,
    lambda: f32,
    clip: f32,
    rewards: Vec<f32>,
    feature: Vec<f32>,
    unit: Vec<f64>,
    cosine: Vec<f64>,
    cosine_mean: f64,
    negative_ratio: f64,
    orthogonal_ratio: f64,
    effective_rank: f64,
    residual: Scores,
    squared: Scores,
}

#[derive(Deserialize)]
struct Scores {
    novelty: Vec<f64>,
    normalized: Vec<f64>,
    as_equation: Shaped,
    as_prose: Shaped,
}

#[derive(Deserialize)]
struct Shaped {
    shaped: Vec<f64>,
    advantages: Vec<f64>,
}

#[derive(Deserialize)]
struct Trl {
    response_limit: usize,
    batches: Vec<RolloutBatch>,
    cases: Vec<TrlLoss>,
    scales: Vec<TrlAdvantages>,
    estimators: Vec<VerlAdvantages>,
}

#[derive(Deserialize)]
struct RolloutBatch {
    name: String,
    group: usize,
    lengths: Vec<usize>,
    truncated: Vec<bool>,
    rewards: Vec<f32>,
    logprobs: Vec<f64>,
    old: Vec<f64>,
    reference: Vec<f64>,
    entropies: Vec<f64>,
}

#[derive(Deserialize)]
struct TrlLoss {
    loss: Loss,
    batch: String,
    clip_low: f64,
    clip_high: f64,
    beta: f64,
    entropy: f64,
    mask: bool,
    advantages: Vec<f32>,
    values: Vec<f64>,
    clip_ratio: Vec<f64>,
    kl: Vec<f64>,
    logprob_gradient: Vec<f64>,
    entropy_gradient: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct TrlAdvantages {
    scale: AdvantageScale,
    batch: String,
    advantages: Vec<f64>,
}

#[derive(Deserialize)]
struct VerlAdvantages {
    estimator: AdvantageEstimator,
    batch: String,
    advantages: Vec<f64>,
}

fn cases<T: for<'a> Deserialize<'a>>(json: &str) -> Vec<T> {
    serde_json::from_str::<Fixture<T>>(json).expect("a fixture of this shape").cases
}

fn trl() -> Trl {
    serde_json::from_str(include_str!("fixtures/trl.json")).expect("a fixture of this shape")
}

impl Trl {
    fn batch(&self, name: &str) -> &RolloutBatch {
        self.batches.iter().find(|batch| batch.name == name).expect("a batch of that name")
    }
}

fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences.inspect(|d| assert!(!d.is_nan(), "{what}")).fold(0.0, f64::max);
    // Shown by `cargo test -- --nocapture`: where the numbers at the top of this file come from.
    eprintln!("{what}: {largest:.1e}");
    assert!(
        largest <= tolerance,
        "{what} differs by {largest:e}\nfound {found:?}\nexpected {expected:?}"
    );
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn geometry_agrees_from_features_to_advantages() {
    for group in cases::<Group>(include_str!("fixtures/g2rl.json")) {
        let name = &group.name;
        let cosines = CosineMatrix::from_features(&group.feature, group.d).unwrap();
        assert_near(&format!("{name}, cosines"), &wide(cosines.values()), &group.cosine, 3e-7);
        let unit = unit_features(&group.feature, group.d).unwrap();
        assert_near(&format!("{name}, unit features"), &wide(&unit), &group.unit, 3e-7);

        let statistics = GroupGeometry::new(&cosines, &vec![true; cosines.size()]);
        assert_near(
            &format!("{name}, statistics"),
            &[
                statistics.all.mean,
                statistics.all.negative_ratio,
                statistics.all.orthogonal_ratio,
                statistics.effective_rank,
            ],
            &[
                group.cosine_mean,
                group.negative_ratio,
                group.orthogonal_ratio,
                group.effective_rank,
            ],
            1e-6,
        );

        for (form, scores) in
            [(NoveltyForm::Residual, &group.residual), (NoveltyForm::Squared, &group.squared)]
        {
            let nu = novelty(&cosines, &group.rewards, form).unwrap();
            assert_near(&format!("{name}, {form:?} novelty"), &wide(&nu), &scores.novelty, 1e-6);
            let normalized = normalize_novelty(&nu, form);
            assert_near(
                &format!("{name}, {form:?} normalized"),
                &wide(&normalized),
                &scores.normalized,
                1e-6,
            );
            for (sign, expected) in [
                (IncorrectSign::AsEquation, &scores.as_equation),
                (IncorrectSign::AsProse, &scores.as_prose),
            ] {
                let shaped: Vec<f32> = group
                    .rewards
                    .iter()
                    .zip(&normalized)
                    .map(|(&reward, &nu)| shaped_reward(reward, nu, group.lambda, group.clip, sign))
                    .collect();
                let what = format!("{name}, {form:?} {sign:?}");
                assert_near(&format!("{what} shaped"), &wide(&shaped), &expected.shaped, 1e-6);
                let advantages = group_advantages(&shaped);
                assert_near(
                    &format!("{what} advantages"),
                    &wide(&advantages),
                    &expected.advantages,
                    3e-6,
                );
            }
        }
    }
}

/// What one mini-batch gives.
struct Found {
    value: f64,
    clip_ratio: f64,
    kl: f64,
    /// By log-probability and by entropy, for all tokens of the mini-batch.
    gradients: [Vec<f64>; 2],
}

/// The loss of the responses `range` of a batch, one of `minibatches`, as the update computes it:
/// masked responses are left out, but count as responses.
fn evaluate(
    case: &TrlLoss,
    batch: &RolloutBatch,
    limit: usize,
    range: std::ops::Range<usize>,
    dtype: DType,
) -> Found {
    let truncated = if case.mask { Truncated::Mask } else { Truncated::Keep };
    let trained = |response: &usize| truncated.trains(batch.truncated[*response]);
    let tokens_of =
        |responses: &[usize]| responses.iter().map(|&i| batch.lengths[i]).sum::<usize>();
    let all: Vec<usize> = (0..batch.lengths.len()).filter(trained).collect();
    let own: Vec<usize> = range.clone().filter(trained).collect();
    let totals = BatchTotals {
        responses: range.len(),
        tokens: tokens_of(&own),
        mean_tokens: tokens_of(&all) as f64 / case.values.len() as f64,
        response_limit: limit,
    };
    let start = |response: usize| batch.lengths[..response].iter().sum::<usize>();
    let places: Vec<usize> = own.iter().flat_map(|&i| start(i)..start(i + 1)).collect();
    let tensor = |values: &[f64]| {
        let values: Vec<f64> = places.iter().map(|&place| values[place]).collect();
        Tensor::new(values, &Device::Cpu).and_then(|t| t.to_dtype(dtype)).expect("a tensor")
    };
    let logprobs = Var::from_tensor(&tensor(&batch.logprobs)).expect("a variable");
    let entropies = Var::from_tensor(&tensor(&batch.entropies)).expect("a variable");
    let reference = tensor(&batch.reference);
    let micro_batch = MicroBatch {
        logprobs: &logprobs,
        entropies: &entropies,
        old_logprobs: &tensor(&batch.old),
        reference: (case.beta > 0.0).then_some(&reference),
        advantages: &own.iter().map(|&i| case.advantages[i]).collect::<Vec<_>>(),
        lengths: &own.iter().map(|&i| batch.lengths[i]).collect::<Vec<_>>(),
    };
    let objective = Objective {
        loss: case.loss,
        ratio: case.loss.ratio(),
        clip_low: case.clip_low,
        clip_high: case.clip_high,
        kl: KlEstimator::K3,
        kl_coefficient: case.beta,
        entropy_coefficient: case.entropy,
    };
    let loss = objective.loss(&micro_batch, &totals).expect("a loss");
    let store = loss.loss.backward().expect("gradients");
    let gradient = |variable: &Var| {
        let mut dense = vec![0.0; start(range.end) - start(range.start)];
        if let Some(gradient) = store.get(variable) {
            let gradient =
                gradient.to_dtype(DType::F64).and_then(|g| g.to_vec1::<f64>()).expect("a vector");
            places
                .iter()
                .zip(gradient)
                .for_each(|(&place, g)| dense[place - start(range.start)] = g);
        }
        dense
    };
    let tokens = totals.tokens as f64;
    Found {
        value: loss.loss.to_dtype(DType::F64).and_then(|t| t.to_scalar()).expect("a number"),
        clip_ratio: loss.clipped.iter().filter(|&&clipped| clipped).count() as f64 / tokens,
        kl: loss.kl / tokens,
        gradients: [gradient(&logprobs), gradient(&entropies)],
    }
}

#[test]
fn losses_and_their_gradients_are_those_of_trl_and_verl() {
    let trl = trl();
    for case in &trl.cases {
        let batch = trl.batch(&case.batch);
        let responses = batch.lengths.len();
        let minibatches = case.values.len();
        for (dtype, tolerance) in [(DType::F64, 1e-8), (DType::F32, 1e-6)] {
            let found: Vec<Found> = (0..minibatches)
                .map(|i| i * responses / minibatches..(i + 1) * responses / minibatches)
                .map(|range| evaluate(case, batch, trl.response_limit, range, dtype))
                .collect();
            let settings =
                (case.clip_low, case.clip_high, case.beta, case.entropy, case.mask, minibatches);
            let what = format!("{:?} of {}, {settings:?}, {dtype:?}", case.loss, batch.name);
            let each = |of: fn(&Found) -> f64| found.iter().map(of).collect::<Vec<_>>();
            assert_near(&format!("{what} values"), &each(|f| f.value), &case.values, tolerance);
            if !case.clip_ratio.is_empty() {
                // TRL computes this share in f32.
                assert_near(
                    &format!("{what} clip ratio"),
                    &each(|f| f.clip_ratio),
                    &case.clip_ratio,
                    1e-7,
                );
            }
            if !case.kl.is_empty() {
                assert_near(&format!("{what} KL"), &each(|f| f.kl), &case.kl, tolerance);
            }
            let gradient = |index: usize| {
                found.iter().flat_map(|f| f.gradients[index].clone()).collect::<Vec<_>>()
            };
            assert_near(
                &format!("{what} gradient"),
                &gradient(0),
                &case.logprob_gradient,
                tolerance,
            );
            let none = vec![0.0; case.logprob_gradient.len()];
            let expected = case.entropy_gradient.as_ref().unwrap_or(&none);
            assert_near(&format!("{what} gradient by entropy"), &gradient(1), expected, tolerance);
        }
    }
}

#[test]
fn estimators_are_those_of_verl() {
    let trl = trl();
    assert_eq!(trl.estimators.len(), 6);
    for case in &trl.estimators {
        let batch = trl.batch(&case.batch);
        let rewards: Vec<Vec<f32>> =
            batch.rewards.chunks(batch.group).map(<[f32]>::to_vec).collect();
        let lengths: Vec<Vec<usize>> =
            batch.lengths.chunks(batch.group).map(<[usize]>::to_vec).collect();
        let found = case.estimator.advantages(AdvantageScale::Unscaled, &rewards, &lengths);
        let what = format!("{:?} of {}", case.estimator, batch.name);
        assert_near(&what, &wide(&found.concat()), &case.advantages, 3e-7);
    }
}

#[test]
fn advantages_are_those_of_trl_but_for_the_divisor() {
    let trl = trl();
    for case in &trl.scales {
        let batch = trl.batch(&case.batch);
        let groups: Vec<Vec<f32>> =
            batch.rewards.chunks(batch.group).map(<[f32]>::to_vec).collect();
        let lengths: Vec<Vec<usize>> =
            batch.lengths.chunks(batch.group).map(<[usize]>::to_vec).collect();
        let found = AdvantageEstimator::Grpo.advantages(case.scale, &groups, &lengths);
        // TRL divides by the sample deviation + 1e-4, we by the root of the population variance +
        // 1e-6.
        let divisors = |rewards: &[f32]| -> [f64; 2] {
            let count = rewards.len() as f64;
            let mean = wide(rewards).iter().sum::<f64>() / count;
            let squares: f64 = wide(rewards).iter().map(|reward| (reward - mean).powi(2)).sum();
            [(squares / count + 1e-6).sqrt(), (squares / (count - 1.0)).sqrt() + 1e-4]
        };
        for ((group, found), expected) in
            groups.iter().zip(&found).zip(case.advantages.chunks(batch.group))
        {
            let [ours, trls] = match case.scale {
                AdvantageScale::Group => divisors(group),
                AdvantageScale::Batch => divisors(&batch.rewards),
                AdvantageScale::Unscaled => [1.0; 2],
            };
            let found: Vec<f64> = wide(found).iter().map(|advantage| advantage * ours).collect();
            let expected: Vec<f64> = expected.iter().map(|advantage| advantage * trls).collect();
            assert_near(
                &format!("{:?} advantages of {}", case.scale, batch.name),
                &found,
                &expected,
                2e-7,
            );
        }
    }
}
