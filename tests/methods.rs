//! Methods that shape rewards by the vectors of a group: their numbers, and whole runs with each
//! kind of vector.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{Finished, GROUP, PROMPTS, Workplace, assert_near, f32_values, number, tiny_model};
use orthant::experiment::MethodConfig;
use orthant::geometry::{CosineMatrix, cluster_sizes, unit_features};
use orthant::methods::{Darling, Dqo, Dra, Features, Mmr, RepExp, ShapedGroup, ShapesGroups};
use orthant::prelude::*;
use orthant::rng::{Domain, stream};
use serde_json::Value;
use std::path::Path;

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn shaped_rewards_are_those_of_the_formulas() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shaping.json");
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let name = &case["name"];
        let rewards: Vec<f32> = floats(&case["rewards"]).iter().map(|&r| r as f32).collect();
        let correct: Vec<bool> = rewards.iter().map(|&reward| reward > 0.0).collect();
        let features: Vec<f32> = floats(&case["features"]).iter().map(|&x| x as f32).collect();
        let dim = case["dim"].as_u64().unwrap() as usize;
        let cosines = &CosineMatrix::from_features(&features, dim).unwrap();
        let rows: Vec<f64> =
            unit_features(&features, dim).unwrap().into_iter().map(f64::from).collect();
        let group = ShapedGroup { rewards: &rewards, correct: &correct, cosines, rows: &rows, dim };
        let shaped = |method: &dyn Fn(&ShapedGroup) -> Vec<f64>| method(&group);
        let draws = || stream(0, Domain::Tests, [0; 3]);
        let rep_exp = |leave_out| {
            let method = RepExp { beta: 0.5, dimensions: None, leave_out, ..RepExp::default() };
            shaped(&|group| method.shape(group, draws()))
        };
        let mmr = |weight| shaped(&|group| Mmr { weight, ..Mmr::default() }.shape(group, draws()));
        for (key, found) in [
            ("rep_exp", rep_exp(false)),
            ("rep_exp_leave_out", rep_exp(true)),
            ("dqo", shaped(&|group| Dqo::default().shape(group, draws()))),
            ("mmr", mmr(None)),
            ("mmr_weight", mmr(Some(0.7))),
            ("dra", shaped(&|group| Dra::default().shape(group, draws()))),
            ("darling", shaped(&|group| Darling::default().shape(group, draws()))),
        ] {
            let expected = floats(&case[key]);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                // Vectors of unit length are in f32, and left out a response is measured by a
                // covariance that is nearly singular.
                let tolerance = if key == "rep_exp_leave_out" { 2e-5 } else { 2e-6 };
                let tolerance = tolerance * expected.abs().max(1.0);
                assert_near(*found, expected, tolerance, &format!("{name}, {key}"));
            }
        }
        let sizes: Vec<f64> = cluster_sizes(cosines, 0.5).into_iter().map(|n| n as f64).collect();
        assert_eq!(sizes, floats(&case["clusters"]), "{name}");
    }
}

#[test]
fn a_projection_is_drawn_anew_in_each_step() {
    let rewards = [1.0, -1.0, -1.0];
    let rows: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.7).sin() / 7.0).collect();
    let features: Vec<f32> = rows.iter().map(|&x| x as f32).collect();
    let cosines = &CosineMatrix::from_features(&features, 100).unwrap();
    let correct = &[true, false, false];
    let group = ShapedGroup { rewards: &rewards, correct, cosines, rows: &rows, dim: 100 };
    let method = RepExp { dimensions: Some(4), ..RepExp::default() };
    let shape = |step: u64| method.shape(&group, stream(1, Domain::Projections, [step, 0, 0]));
    assert_eq!(shape(1), shape(1));
    assert_ne!(shape(1), shape(2));
    let none = ShapedGroup { correct: &[false; 3], ..group };
    assert_eq!(method.shape(&none, stream(1, Domain::Tests, [0; 3])), [1.0, -1.0, -1.0]);
}

/// A run with its groups: rewards, shaped rewards, advantages and the cosines of that kind.
fn groups(run: &Finished, kind: &str) -> Vec<([Vec<f32>; 3], CosineMatrix)> {
    let rollouts = run.rollouts(1);
    let geometry = run.geometry(1);
    assert_eq!(rollouts.len(), PROMPTS * GROUP);
    let column = |lines: &[Value], name: &str| -> Vec<f32> {
        lines.iter().map(|line| number(&line[name]) as f32).collect()
    };
    rollouts
        .chunks(GROUP)
        .enumerate()
        .map(|(group, lines)| {
            let cosines = f32_values(&geometry[&format!("{kind}.{group}")]);
            let columns = ["reward", "shaped_reward", "advantage"].map(|name| column(lines, name));
            (columns, CosineMatrix::from_values(cosines, GROUP).unwrap())
        })
        .collect()
}

/// The run's shaped rewards are what the method makes of the recorded cosines.
fn agree<M: ShapesGroups>(run: &Finished, kind: &str, method: &M) {
    let mut moved = false;
    for ([rewards, shaped, _], cosines) in &groups(run, kind) {
        let correct: Vec<bool> = rewards.iter().map(|&reward| reward > 0.0).collect();
        let group = ShapedGroup { rewards, correct: &correct, cosines, rows: &[], dim: 0 };
        let expected = method.shape(&group, stream(0, Domain::Tests, [0; 3]));
        for (shaped, expected) in shaped.iter().zip(&expected) {
            assert_near(f64::from(*shaped), *expected, 1e-5, M::NAME);
        }
        moved |= rewards != shaped;
    }
    assert!(moved, "{} shapes nothing by {kind}", M::NAME);
}

#[test]
fn runs_shape_rewards_by_each_kind_of_vector() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    for (kind, features) in [
        ("cosine", Features::Gradient),
        ("hidden", Features::Hidden),
        ("semantic", Features::Semantic),
    ] {
        let run = |method: MethodConfig| {
            let mut experiment = place.parity_experiment(1, "");
            experiment.method = method;
            place.run_parity(&experiment)
        };
        let (dqo, dra) = (Dqo { features, ..Dqo::default() }, Dra { features });
        let (mmr, darling) =
            (Mmr { features, ..Mmr::default() }, Darling { features, threshold: 0.05 });
        agree(&run(dqo.clone().into()), kind, &dqo);
        agree(&run(dra.clone().into()), kind, &dra);
        agree(&run(mmr.clone().into()), kind, &mmr);
        agree(&run(darling.clone().into()), kind, &darling);

        let plain = run(orthant::methods::Grpo.into());
        let rep_exp = run(RepExp { features, beta: 0.7, ..RepExp::default() }.into());
        let rare = run(orthant::methods::Rare { features, threshold: 0.05, alpha: 0.5 }.into());
        let (mut boosted, mut lowered) = (0, 0);
        let of_plain = plain.rollouts(1);
        let runs = groups(&rep_exp, kind).into_iter().zip(groups(&rare, kind));
        for (group, (of_rep_exp, ([rewards, shaped, advantages], cosines))) in runs.enumerate() {
            let [base, bonus, _] = of_rep_exp.0;
            let has_correct = base.contains(&1.0);
            for (base, shaped) in base.iter().zip(&bonus) {
                let bonus = shaped - base;
                assert!((0.0..0.7).contains(&bonus) && (has_correct || bonus == 0.0), "{bonus}");
                boosted += usize::from(bonus > 0.01);
            }
            assert_eq!(rewards, shaped);
            let sizes = cluster_sizes(&cosines, 0.05);
            for ((index, advantage), size) in advantages.iter().enumerate().zip(sizes) {
                let plain = number(&of_plain[group * GROUP + index]["advantage"]);
                let expected = plain / (size as f64).sqrt();
                assert_near(f64::from(*advantage), expected, 1e-6, "advantage");
                lowered += usize::from(size > 1 && plain != 0.0);
            }
        }
        assert!(boosted > 0 && lowered > 0, "{kind}: {boosted}, {lowered}");
    }
}

/// The control moves rewards by the scores of the group, each once, but not by a response's own.
#[test]
fn shuffled_scores_are_those_of_the_group() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    let run = place.run_parity(&place.parity_experiment(2, "method: G2rl(shuffle: true)"));
    let mut moved = 0;
    for lines in [run.rollouts(1), run.rollouts(2)].concat().chunks(GROUP) {
        let column = |name: &str| lines.iter().map(|line| number(&line[name])).collect::<Vec<_>>();
        let [rewards, shaped, scores] =
            ["reward", "shaped_reward", "novelty_normalized"].map(column);
        // r (1 + lambda r nu), with lambda 0.5 and r of plus or minus 1.
        let dealt = rewards.iter().zip(&shaped).map(|(r, shaped)| 2.0 * (shaped / r - 1.0) / r);
        let dealt: Vec<f64> = dealt.collect();
        moved += dealt.iter().zip(&scores).filter(|(a, b)| (**a - **b).abs() > 1e-3).count();
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        };
        for (dealt, score) in sorted(&dealt).iter().zip(sorted(&scores)) {
            assert_near(*dealt, score, 1e-5, "a score of the group");
        }
    }
    assert!(moved > PROMPTS * GROUP, "{moved} responses have another's score");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let place = Workplace::new();
    for (method, field) in [
        ("RepExp(beta: -1.0)", "method.beta"),
        ("RepExp(ridge: 0.0)", "method.ridge"),
        ("RepExp(dimensions: 0)", "method.dimensions"),
        ("Dqo(alpha: -0.1)", "method.alpha"),
        ("Mmr(weight: 1.5)", "method.weight"),
        ("Darling(threshold: 2.0)", "method.threshold"),
        ("Rare(alpha: 11.0)", "method.alpha"),
        ("Rare(threshold: -1.5)", "method.threshold"),
    ] {
        let experiment = place.experiment(1, &format!("method: {method}"));
        let error = experiment.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{method}: {error}");
    }
    for method in ["RepExp(features: Phi)", "Dra(lambda: 1.0)"] {
        let text = format!(
            "Experiment(name: \"x\", model: Bundled(\"countdown\"), task: Countdown(), method: {method})"
        );
        assert!(from_text::<Experiment>(&text, "test").is_err(), "{method}");
    }
}

/// Where a method compares embeddings and no encoder is named, it is the base model itself, and the
/// run folder says so.
#[test]
fn the_encoder_that_nobody_named_stands_in_the_run_folder() {
    let place = Workplace::new();
    tiny_model().write(&place.model()).unwrap();
    let written = |method: &str| {
        let run = place.run_parity(&place.parity_experiment(1, &format!("method: {method}")));
        std::fs::read_to_string(run.folder.join("experiment.ron")).unwrap()
    };
    assert!(written("Dqo()").contains("encoder: Policy"));
    assert!(written("Dqo(features: Hidden)").contains("encoder: None"));
}
