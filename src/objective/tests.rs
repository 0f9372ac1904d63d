//! What holds of every loss: gradients by finite differences, and invariances.

use super::*;
use crate::error::Result;
use candle_core::{Device, Tensor, Var};
use proptest::prelude::*;

pub(super) const ALL: [Loss; 12] = [
    Loss::Grpo,
    Loss::DrGrpo,
    Loss::Dapo,
    Loss::Bnpo,
    Loss::Gspo,
    Loss::Cispo,
    Loss::Sapo,
    Loss::DppoTv,
    Loss::DppoKl,
    Loss::Vespo,
    Loss::Gmpo,
    Loss::Luspo,
];

/// The step of central differences in `f64`.
const STEP: f64 = 1e-6;

/// Compares candle's gradient of a weighted sum of `function`'s output with central differences, in
/// `f64`.
pub(super) fn check_gradient(point: &[f64], function: impl Fn(&Tensor) -> Result<Tensor>) {
    let weights: Vec<f64> = (0..point.len()).map(|i| 1.0 + 0.3 * i as f64).collect();
    let weights = Tensor::new(weights, &Device::Cpu).unwrap();
    let value = |point: &[f64]| -> (Var, Tensor) {
        let variable = Var::new(point, &Device::Cpu).unwrap();
        let sum = (function(&variable).unwrap() * &weights).unwrap().sum_all().unwrap();
        (variable, sum)
    };
    let (variable, sum) = value(point);
    let gradient =
        sum.backward().unwrap().get(&variable).expect("a gradient").to_vec1::<f64>().unwrap();
    for i in 0..point.len() {
        let shifted = |by: f64| {
            let mut point = point.to_vec();
            point[i] += by;
            value(&point).1.to_scalar::<f64>().unwrap()
        };
        assert_near(
            gradient[i],
            (shifted(STEP) - shifted(-STEP)) / (2.0 * STEP),
            1e-7,
            &format!("component {i}"),
        );
    }
}

fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(error < tolerance, "{what}: found {found}, expected {expected}");
}

/// A response that is trained on.
#[derive(Clone, Debug)]
struct Example {
    advantage: f32,
    tokens: Vec<TokenValues>,
}

#[derive(Clone, Copy, Debug)]
struct TokenValues {
    logprob: f64,
    old: f64,
    reference: f64,
    entropy: f64,
}

/// Value and gradients of a loss, in `f64`.
struct Outcome {
    loss: f64,
    clipped: usize,
    /// By log-probability: (responses, tokens of the response).
    logprobs: Vec<Vec<f64>>,
    /// By entropy.
    entropies: Vec<Vec<f64>>,
}

pub(super) fn plain(loss: Loss) -> Objective {
    Objective {
        loss,
        ratio: loss.ratio(),
        clip_low: 0.2,
        clip_high: 0.28,
        kl: KlEstimator::K3,
        kl_coefficient: 0.0,
        entropy_coefficient: 0.0,
    }
}

fn complete(loss: Loss, kl: KlEstimator) -> Objective {
    Objective { kl, kl_coefficient: 0.04, entropy_coefficient: 0.01, ..plain(loss) }
}

/// Totals of a mini-batch with one more response, which is masked, out of twice as many tokens and
/// five more.
fn totals(examples: &[Example]) -> BatchTotals {
    let tokens = examples.iter().map(|example| example.tokens.len()).sum::<usize>();
    let mean_tokens = (2 * tokens + 5) as f64 / 2.0;
    BatchTotals { responses: examples.len() + 1, tokens, mean_tokens, response_limit: 8 }
}

fn evaluate(objective: &Objective, examples: &[Example], totals: &BatchTotals) -> Outcome {
    let column = |of: fn(&TokenValues) -> f64| -> Vec<f64> {
        examples.iter().flat_map(|example| example.tokens.iter().map(of)).collect()
    };
    let tensor = |values: Vec<f64>| Tensor::new(values, &Device::Cpu).unwrap();
    let logprobs = Var::new(column(|t| t.logprob), &Device::Cpu).unwrap();
    let entropies = Var::new(column(|t| t.entropy), &Device::Cpu).unwrap();
    let (old, reference) = (tensor(column(|t| t.old)), tensor(column(|t| t.reference)));
    let lengths: Vec<usize> = examples.iter().map(|example| example.tokens.len()).collect();
    let advantages: Vec<f32> = examples.iter().map(|example| example.advantage).collect();
    let batch = MicroBatch {
        logprobs: &logprobs,
        entropies: &entropies,
        old_logprobs: &old,
        reference: Some(&reference),
        advantages: &advantages,
        lengths: &lengths,
    };
    let MicroLoss { loss, clipped, .. } = objective.loss(&batch, totals).unwrap();
    let gradients = loss.backward().unwrap();
    let split = |variable: &Var| -> Vec<Vec<f64>> {
        let flat =
            gradients.get(variable).map_or(vec![0.0; old.elem_count()], |g| g.to_vec1().unwrap());
        let mut rest = flat.as_slice();
        let mut cut = |length: &usize| {
            let (own, after) = rest.split_at(*length);
            rest = after;
            own.to_vec()
        };
        lengths.iter().map(&mut cut).collect()
    };
    let loss = loss.to_scalar().unwrap();
    let clipped = clipped.into_iter().filter(|&clipped| clipped).count();
    Outcome { loss, clipped, logprobs: split(&logprobs), entropies: split(&entropies) }
}

fn assert_gradients_near(found: &[Vec<f64>], expected: &[Vec<f64>], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_near(*found, *expected, 1e-12, what);
    }
}

#[test]
fn gradients_of_every_loss_agree_with_finite_differences() {
    let example = |advantage, values: &[(f64, f64)]| Example {
        advantage,
        tokens: values
            .iter()
            .map(|&(logprob, old)| TokenValues {
                logprob,
                old,
                reference: old + 0.3,
                entropy: -logprob / 2.0,
            })
            .collect(),
    };
    // Ratios about 1.05, 1.65, 0.61, 0.9 | 1.65, 0.61, 1.1 | 0.74: some clipped, none next to a
    // bound.
    let examples = [
        example(0.7, &[(-0.95, -1.0), (-0.5, -1.0), (-2.5, -2.0), (-1.1, -1.0)]),
        example(-1.3, &[(-0.5, -1.0), (-1.5, -1.0), (-0.4, -0.5)]),
        example(0.4, &[(-2.3, -2.0)]),
    ];
    let totals = totals(&examples);
    for loss in ALL {
        for kl in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
            let objective = complete(loss, kl);
            let found = evaluate(&objective, &examples, &totals);
            for (response, tokens) in examples.iter().map(|example| &example.tokens).enumerate() {
                for token in 0..tokens.len() {
                    let difference = |change: &dyn Fn(&mut TokenValues, f64)| {
                        let value = |by: f64| {
                            let mut shifted = examples.clone();
                            change(&mut shifted[response].tokens[token], by);
                            evaluate(&objective, &shifted, &totals).loss
                        };
                        (value(STEP) - value(-STEP)) / (2.0 * STEP)
                    };
                    let by_logprob = difference(&|values, by| {
                        values.logprob += by;
                        // The ratio is a constant there: what moves with the log-probability leaves
                        // it alone.
                        if matches!(loss, Loss::Cispo | Loss::DppoTv | Loss::DppoKl | Loss::Vespo) {
                            values.old += by;
                        }
                    });
                    let what = format!("{loss:?} {kl:?}, response {response}, token {token}");
                    assert_near(found.logprobs[response][token], by_logprob, 1e-8, &what);
                    let by_entropy = difference(&|values, by| values.entropy += by);
                    assert_near(found.entropies[response][token], by_entropy, 1e-8, &what);
                }
            }
        }
    }
}

#[test]
fn the_entropy_bonus_is_a_mean_over_the_tokens_of_the_mini_batch_whatever_the_loss() {
    let token = |entropy| TokenValues { logprob: -1.0, old: -1.0, reference: -1.0, entropy };
    let examples = [
        Example { advantage: 0.0, tokens: vec![token(0.5), token(1.0), token(1.5)] },
        Example { advantage: 0.0, tokens: vec![token(2.0)] },
    ];
    for loss in ALL {
        let found = evaluate(&complete(loss, KlEstimator::K3), &examples, &totals(&examples));
        assert_near(found.loss, -0.01 * 5.0 / 4.0, 1e-12, &format!("{loss:?}"));
    }
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let values = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap();
    let totals = BatchTotals { responses: 2, tokens: 3, mean_tokens: 3.0, response_limit: 8 };
    for (advantages, lengths) in [(vec![1.0, 1.0], vec![2, 2]), (vec![1.0], vec![1, 2])] {
        let batch = MicroBatch {
            logprobs: &values,
            entropies: &values,
            old_logprobs: &values,
            reference: None,
            advantages: &advantages,
            lengths: &lengths,
        };
        assert!(plain(Loss::Grpo).loss(&batch, &totals).is_err());
    }
}

/// Mini-batches of one to six responses of one to six tokens, with ratios from 0.5 to 2.
fn examples() -> impl Strategy<Value = Vec<Example>> {
    let token = (-3.0f64..-0.01, -0.7f64..0.7, -0.7f64..0.7, 0.0f64..3.0).prop_map(
        |(logprob, moved, apart, entropy)| TokenValues {
            logprob,
            old: logprob - moved,
            reference: logprob + apart,
            entropy,
        },
    );
    let example = (-2.0f32..2.0, prop::collection::vec(token, 1..7))
        .prop_map(|(advantage, tokens)| Example { advantage, tokens });
    prop::collection::vec(example, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn zero_advantages_have_no_gradient(mut examples in examples()) {
        for example in &mut examples {
            example.advantage = 0.0;
        }
        for loss in ALL {
            let found = evaluate(&plain(loss), &examples, &totals(&examples));
            prop_assert!(found.logprobs.iter().flatten().all(|gradient| *gradient == 0.0), "{:?}", loss);
            prop_assert_eq!(found.clipped, 0);
        }
    }

    #[test]
    fn on_policy_every_loss_has_the_gradient_weight_times_advantage(mut examples in examples()) {
        for token in examples.iter_mut().flat_map(|example| &mut example.tokens) {
            token.old = token.logprob;
        }
        let totals = totals(&examples);
        for loss in ALL {
            let found = evaluate(&plain(loss), &examples, &totals);
            let expected: Vec<Vec<f64>> = examples
                .iter()
                .map(|example| {
                    let length = example.tokens.len();
                    vec![-loss.token_weight(length, &totals) * f64::from(example.advantage); length]
                })
                .collect();
            assert_gradients_near(&found.logprobs, &expected, &format!("{loss:?}"));
            prop_assert_eq!(found.clipped, 0);
        }
    }

    #[test]
    fn every_response_twice_leaves_the_loss_and_halves_each_gradient(examples in examples()) {
        let once = totals(&examples);
        let twice = BatchTotals {
            responses: 2 * once.responses,
            tokens: 2 * once.tokens,
            mean_tokens: 2.0 * once.mean_tokens,
            ..once
        };
        for loss in ALL {
            let objective = complete(loss, KlEstimator::K3);
            let single = evaluate(&objective, &examples, &once);
            let double = evaluate(&objective, &[examples.clone(), examples.clone()].concat(), &twice);
            assert_near(double.loss, single.loss, 1e-12, "loss");
            for (found, whole) in [(&double.logprobs, &single.logprobs), (&double.entropies, &single.entropies)] {
                let half: Vec<Vec<f64>> = whole.iter().map(|row| row.iter().map(|g| g / 2.0).collect()).collect();
                assert_gradients_near(found, &[half.clone(), half].concat(), &format!("{loss:?}"));
            }
        }
    }

    #[test]
    fn a_permutation_of_responses_permutes_gradients(examples in examples(), turn in 0usize..6) {
        let turn = turn % examples.len();
        let mut turned = examples.clone();
        turned.rotate_left(turn);
        let totals = totals(&examples);
        for loss in ALL {
            let objective = complete(loss, KlEstimator::K2);
            let (mut whole, other) = (evaluate(&objective, &examples, &totals), evaluate(&objective, &turned, &totals));
            assert_near(other.loss, whole.loss, 1e-12, "loss");
            whole.logprobs.rotate_left(turn);
            whole.entropies.rotate_left(turn);
            assert_gradients_near(&other.logprobs, &whole.logprobs, &format!("{loss:?}"));
            assert_gradients_near(&other.entropies, &whole.entropies, &format!("{loss:?}"));
        }
    }

    #[test]
    fn micro_batches_sum_to_the_whole(examples in examples(), cut in 0usize..6) {
        let (first, second) = examples.split_at(cut % examples.len());
        let totals = totals(&examples);
        for loss in ALL {
            let objective = complete(loss, KlEstimator::K3);
            let whole = evaluate(&objective, &examples, &totals);
            let parts: Vec<Outcome> = [first, second]
                .iter()
                .filter(|part| !part.is_empty())
                .map(|part| evaluate(&objective, part, &totals))
                .collect();
            assert_near(parts.iter().map(|part| part.loss).sum(), whole.loss, 1e-12, "loss");
            prop_assert_eq!(parts.iter().map(|part| part.clipped).sum::<usize>(), whole.clipped);
            let join = |of: fn(&Outcome) -> &Vec<Vec<f64>>| parts.iter().flat_map(of).cloned().collect::<Vec<_>>();
            assert_gradients_near(&join(|part| &part.logprobs), &whole.logprobs, &format!("{loss:?}"));
            assert_gradients_near(&join(|part| &part.entropies), &whole.entropies, &format!("{loss:?}"));
        }
    }
}
