//! Geometry and objective agree with PyTorch's float64 results. `fixtures/generate.py` says how those were made.
//!
//! Largest absolute differences measured: cosines, unit features and statistics 9e-8, novelty 5e-8, shaped rewards and advantages
//! 4e-7; KL terms and surrogates in `f32` 9e-8, their gradients 2e-8; in `f64` 1e-8, which is the fixture's nine digits.

use candle_core::{DType, Device, Tensor, Var};
use orthant::error::Result;
use orthant::geometry::{
    CosineMatrix, GroupGeometry, IncorrectSign, NoveltyForm, normalize_novelty, novelty, shaped_reward, unit_features,
};
use orthant::objective::{
    BatchTotals, ClippedObjective, KlEstimator, RatioLevel, Reduction, expand_to_tokens, group_advantages,
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
struct MicroBatch {
    name: String,
    lengths: Vec<usize>,
    clip_low: f64,
    clip_high: f64,
    logprobs: Vec<f64>,
    old: Vec<f64>,
    reference: Vec<f64>,
    response_advantages: Vec<f32>,
    grpo_weights: Vec<f64>,
    k1: Term,
    k2: Term,
    k3: Term,
    token: Term,
    sequence: Term,
}

#[derive(Deserialize)]
struct Term {
    values: Vec<f64>,
    gradient: Vec<f64>,
}

fn cases<T: for<'a> Deserialize<'a>>(json: &str) -> Vec<T> {
    serde_json::from_str::<Fixture<T>>(json).expect("a fixture of this shape").cases
}

fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Shown by `cargo test -- --nocapture`: where the numbers at the top of this file come from.
    eprintln!("{what}: {largest:.1e}");
    assert!(largest <= tolerance, "{what} differs by {largest:e}\nfound {found:?}\nexpected {expected:?}");
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
            &[group.cosine_mean, group.negative_ratio, group.orthogonal_ratio, group.effective_rank],
            1e-6,
        );

        for (form, scores) in [(NoveltyForm::Residual, &group.residual), (NoveltyForm::Squared, &group.squared)] {
            let nu = novelty(&cosines, &group.rewards, form).unwrap();
            assert_near(&format!("{name}, {form:?} novelty"), &wide(&nu), &scores.novelty, 1e-6);
            let normalized = normalize_novelty(&nu, form);
            assert_near(&format!("{name}, {form:?} normalized"), &wide(&normalized), &scores.normalized, 1e-6);
            for (sign, expected) in
                [(IncorrectSign::AsEquation, &scores.as_equation), (IncorrectSign::AsProse, &scores.as_prose)]
            {
                let shaped: Vec<f32> = group
                    .rewards
                    .iter()
                    .zip(&normalized)
                    .map(|(&reward, &nu)| shaped_reward(reward, nu, group.lambda, group.clip, sign))
                    .collect();
                let what = format!("{name}, {form:?} {sign:?}");
                assert_near(&format!("{what} shaped"), &wide(&shaped), &expected.shaped, 1e-6);
                let advantages = group_advantages(&shaped);
                assert_near(&format!("{what} advantages"), &wide(&advantages), &expected.advantages, 3e-6);
            }
        }
    }
}

/// Checks `function`'s values and the gradient of their weighted sum, in `dtype`.
fn check_term(
    what: &str,
    batch: &MicroBatch,
    dtype: DType,
    tolerance: f64,
    expected: &Term,
    function: impl Fn(&Tensor) -> Result<Tensor>,
) {
    let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).and_then(|t| t.to_dtype(dtype)).expect("a tensor");
    let numbers = |t: &Tensor| t.to_dtype(DType::F64).and_then(|t| t.to_vec1::<f64>()).expect("a vector");
    let logprobs = Var::from_tensor(&tensor(&batch.logprobs)).expect("a variable");
    let values = function(&logprobs).expect("values");
    let loss = (&values * tensor(&batch.grpo_weights)).and_then(|t| t.sum_all()).expect("a sum");
    let gradients = loss.backward().expect("gradients");
    let gradient = gradients.get(&logprobs).expect("a gradient of the log-probabilities");
    let what = format!("{}, {what} {dtype:?}", batch.name);
    assert_near(&format!("{what} values"), &numbers(&values), &expected.values, tolerance);
    assert_near(&format!("{what} gradient"), &numbers(gradient), &expected.gradient, tolerance);
}

#[test]
fn objectives_and_their_gradients_agree() {
    for batch in cases::<MicroBatch>(include_str!("fixtures/objective.json")) {
        let tokens = batch.logprobs.len();
        let totals = BatchTotals { responses: batch.lengths.len(), tokens, response_limit: 8 };
        let weights = Reduction::Grpo.token_weights(&batch.lengths, &totals);
        assert_near(&format!("{}, weights", batch.name), &wide(&weights), &batch.grpo_weights, 1e-7);
        let advantages = expand_to_tokens(&batch.response_advantages, &batch.lengths).unwrap();

        for (dtype, tolerance) in [(DType::F64, 5e-8), (DType::F32, 2e-6)] {
            let tensor =
                |values: &[f64]| Tensor::new(values, &Device::Cpu).and_then(|t| t.to_dtype(dtype)).expect("a tensor");
            let (old, reference) = (tensor(&batch.old), tensor(&batch.reference));
            let advantages = tensor(&wide(&advantages));
            for (kl, expected) in
                [(KlEstimator::K1, &batch.k1), (KlEstimator::K2, &batch.k2), (KlEstimator::K3, &batch.k3)]
            {
                check_term(&format!("{kl:?}"), &batch, dtype, tolerance, expected, |logprobs| {
                    kl.per_token(logprobs, &reference)
                });
            }
            for (ratio, expected) in [(RatioLevel::Token, &batch.token), (RatioLevel::Sequence, &batch.sequence)] {
                let clip = ClippedObjective { clip_low: batch.clip_low, clip_high: batch.clip_high, ratio };
                check_term(&format!("{ratio:?} surrogate"), &batch, dtype, tolerance, expected, |logprobs| {
                    Ok(clip.per_token(logprobs, &old, &advantages, &batch.lengths)?.objective)
                });
            }
        }
    }
}
