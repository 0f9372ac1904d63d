//! What is found in runs that are sound, and in runs that are not.

use super::{Check, Finding, Level, WrongValues, finding::LEARNING_RATE};
use crate::dashboard::tests::testing;
use crate::metrics::{History, Metric, MetricRow};
use crate::run::{Estimate, EvaluationRecord, Event, RunInfo, RunSnapshot, SettingEdit};
use crate::stages::metrics;
use std::sync::Arc;

fn run(values: impl Fn(u64) -> Vec<(&'static Metric, f64)>, steps: u64) -> RunSnapshot {
    let mut snapshot = RunSnapshot::starting(RunInfo::small());
    let mut history = History::default();
    (1..=steps)
        .for_each(|step| history.push(MetricRow { step, wall_s: 0.0, values: values(step) }));
    snapshot.history = history;
    snapshot.step = steps;
    snapshot
}

/// What is watched at `step`, by somebody who has seen the run from its first step on.
fn checks(snapshot: &RunSnapshot, step: u64) -> Vec<Check> {
    let mut wrong = WrongValues::default();
    wrong.look(&snapshot.history, step);
    super::checks(snapshot, step, &wrong)
}

fn titles(snapshot: &RunSnapshot, step: u64) -> Vec<&'static str> {
    findings(snapshot, step).iter().map(|finding| finding.title).collect()
}

fn findings(snapshot: &RunSnapshot, step: u64) -> Vec<Finding> {
    checks(snapshot, step).into_iter().filter_map(|check| check.finding).collect()
}

#[test]
fn a_healthy_run_has_no_findings() {
    let healthy = run(
        |step| {
            vec![
                (&metrics::COMPLETION_TRUNCATED_RATIO, 0.02),
                (&metrics::COMPLETION_NO_ANSWER_RATIO, 0.1),
                (&metrics::GROUP_UNIFORM_RATIO, 0.3),
                (&metrics::POLICY_ENTROPY, 0.5 - 0.001 * step as f64),
                (&metrics::POLICY_KL, 0.001 * step as f64),
                (&metrics::POLICY_SAMPLER_LOGPROB_GAP, 1e-6),
                (&metrics::POLICY_GRAD_NORM, 1.0),
                (&metrics::GEOMETRY_EFFECTIVE_RANK, 6.0),
            ]
        },
        100,
    );
    assert!((1..=100).all(|step| findings(&healthy, step).is_empty()));
    let said: Vec<_> =
        checks(&healthy, 100).into_iter().map(|check| (check.name, check.value)).collect();
    assert!(said.contains(&("Responses cut off", Some("2 %".to_owned()))), "{said:?}");
    assert!(said.contains(&("Proxy fidelity", None)), "it was not measured");
    assert!(findings(&RunSnapshot::starting(RunInfo::small()), 0).is_empty());
}

#[test]
fn entropy_and_kl_are_compared_with_what_they_were() {
    let run = run(
        |step| {
            let late = step > 60;
            vec![
                (&metrics::POLICY_ENTROPY, if late { 0.1 } else { 0.5 }),
                (&metrics::POLICY_KL, if late { 0.3 } else { 0.01 }),
            ]
        },
        90,
    );
    assert!(titles(&run, 60).is_empty());
    assert_eq!(
        titles(&run, 75),
        ["Entropy is collapsing", "The policy runs away from the reference"]
    );
}

#[test]
fn uniform_groups_get_advice_that_fits_their_accuracy() {
    let advice = |accuracy: f64| {
        let run = run(
            move |_| {
                vec![(&metrics::GROUP_UNIFORM_RATIO, 0.9), (&metrics::REWARD_ACCURACY, accuracy)]
            },
            5,
        );
        findings(&run, 5)[0].advice.clone()
    };
    assert!(advice(0.95).contains("too easy"));
    assert!(advice(0.02).contains("too hard"));
}

#[test]
fn a_fall_of_accuracy_is_found_with_the_learning_rate_as_its_cause() {
    let mut run = run(
        |step| {
            let late = step > 40;
            vec![
                (&metrics::REWARD_ACCURACY, if late { 0.2 } else { 0.4 }),
                (&metrics::POLICY_LEARNING_RATE, if late { 1e-3 } else { 1e-4 }),
            ]
        },
        60,
    );
    let edit = SettingEdit { path: LEARNING_RATE.into(), from: 1e-4.into(), to: 1e-3.into() };
    run.events = Arc::new(vec![Event::edited(40, edit)]);
    assert!(titles(&run, 40).is_empty());
    let found = findings(&run, 60);
    assert_eq!(found[0].title, "Training accuracy falls");
    assert!(
        found[0]
            .advice
            .contains("optimizer.learning_rate (0.0010 now, raised from 1.0e\u{2212}4 at step 40)"),
        "{}",
        found[0].advice
    );
    let mut harder = run.clone();
    harder.history = History::default();
    for row in run.history.iter() {
        let mut row = row.clone();
        row.values.push((&metrics::CURRICULUM_SOLVE_RATE, 0.5));
        harder.history.push(row);
    }
    assert!(titles(&harder, 60).is_empty(), "a curriculum makes problems harder");
}

#[test]
fn a_fall_of_pass_at_k_beyond_its_interval_is_found() {
    let mut run = run(|_| Vec::new(), 60);
    let with = |values: [f64; 3]| {
        let of = |(place, value): (usize, f64)| {
            let estimate = |value: f64| Estimate { value, low: value - 0.03, high: value + 0.03 };
            let pass_at = vec![(1, estimate(0.3)), (16, estimate(value))];
            EvaluationRecord { step: 20 * place as u64, pass_at, ..testing::evaluation(0) }
        };
        Arc::new(values.into_iter().enumerate().map(of).collect::<Vec<_>>())
    };
    run.evaluations = with([0.78, 0.77, 0.74]);
    assert!(titles(&run, 60).is_empty(), "the intervals touch");
    run.evaluations = with([0.78, 0.77, 0.70]);
    assert_eq!(titles(&run, 60), ["Held-out pass@k falls"]);
    assert!(findings(&run, 60)[0].detail.contains("pass@16") && titles(&run, 30).is_empty());
}

#[test]
fn what_is_not_measured_in_a_step_is_no_finding() {
    let run = run(
        |_| {
            vec![
                (&metrics::COMPLETION_TRUNCATED_RATIO, f64::NAN),
                (&metrics::FIDELITY_PEARSON, f64::NAN),
            ]
        },
        5,
    );
    assert!(findings(&run, 5).is_empty());
}

#[test]
fn values_that_cannot_be_are_errors_that_name_metric_and_step() {
    let said = |metric: &'static Metric, value: f64| {
        let run = run(move |step| vec![(metric, if step == 3 { value } else { 0.5 })], 5);
        let checks = checks(&run, 5);
        let check = &checks[0];
        let finding = check
            .finding
            .clone()
            .unwrap_or_else(|| panic!("{} = {value} is not found", metric.name));
        assert_eq!((finding.level, check.metric.name), (Level::Error, metric.name));
        assert_eq!(findings(&run, 5).len(), 1, "{:?}", findings(&run, 5));
        assert!(findings(&run, 2).is_empty(), "the steps before are sound");
        finding.detail
    };
    let (loss, entropy) = (&metrics::POLICY_LOSS, &metrics::POLICY_ENTROPY);
    assert_eq!(
        said(loss, 1e308),
        "policy/loss is 1.0e308 at step 3; it is far larger than it can be."
    );
    assert_eq!(
        said(loss, f64::NAN),
        "policy/loss is not a number at step 3; it is a number in every sound step."
    );
    assert_eq!(said(loss, f64::INFINITY), said(loss, f64::NAN));
    assert_eq!(
        said(entropy, -0.3),
        "policy/entropy is \u{2212}0.300 at step 3; it is never below 0."
    );
    let accuracy = said(&metrics::REWARD_ACCURACY, 1.5);
    assert_eq!(accuracy, "reward/accuracy is 1.50 at step 3; it lies between 0 and 1.");
    assert_eq!(
        said(&metrics::GEOMETRY_COSINE_MEAN, -1.2),
        "geometry/cosine_mean is \u{2212}1.20 at step 3; it lies between \u{2212}1 and 1."
    );
    said(&metrics::GROUP_SHAPING_ONLY_RATIO, -0.5);
    said(&metrics::POLICY_GRAD_NORM, -1.0);
    said(&metrics::TIME_STEP_S, -1.0);
}

#[test]
fn a_metric_of_a_plugin_is_judged_by_the_range_that_it_declares() {
    static SHARE: Metric = Metric::new("plugin/share", "A test's own.").range(0.25, 0.75);
    static DEPTH: Metric = Metric::new("plugin/depth", "A test's own.").at_most(0.0).finite();
    static PLAIN: Metric = Metric::new("plugin/plain_ratio", "A test's own.").unit("s");
    static NEAR: Metric = Metric::new("plugin/near", "A test's own.").at_least(1.0).rounding(0.1);
    let said = |metric: &'static Metric, value: f64| -> Option<String> {
        let found = findings(&run(|_| vec![(metric, value)], 1), 1);
        found.first().map(|finding| finding.detail.clone())
    };
    let share = "plugin/share is 0.800 at step 1; it lies between 0.250 and 0.750.";
    assert_eq!(said(&SHARE, 0.8).as_deref(), Some(share));
    assert_eq!((said(&SHARE, 0.75), said(&SHARE, f64::NAN)), (None, None));
    assert_eq!(
        said(&DEPTH, 0.5).as_deref(),
        Some("plugin/depth is 0.500 at step 1; it is never above 0.")
    );
    assert!(said(&DEPTH, f64::NAN).is_some_and(|said| said.contains("is not a number")));
    assert_eq!(said(&DEPTH, -1e6), None);
    // What nobody declares is not guessed by name or unit.
    assert_eq!(said(&PLAIN, -2.0), None);
    assert!(said(&PLAIN, 1e31).is_some_and(|said| said.contains("far larger")));
    assert_eq!(said(&NEAR, 0.95), None);
    assert!(said(&NEAR, 0.85).is_some_and(|said| said.contains("never below 1")));
}

#[test]
fn a_value_that_cannot_be_stays_listed_with_the_step_that_it_came_in() {
    let loss = &metrics::POLICY_LOSS;
    let run = run(|step| vec![(loss, if step == 3 || step == 5 { f64::NAN } else { 0.5 })], 60);
    let found = findings(&run, 60);
    assert_eq!(
        found[0].detail,
        "policy/loss is not a number at step 3; it is a number in every sound step. 1 more such \
         step since."
    );
    // What has been looked at once is not looked at again.
    let mut wrong = WrongValues::default();
    (1..=60).for_each(|step| wrong.look(&run.history, step));
    assert_eq!((wrong.rows, wrong.values[0].count), (60, 2));
}

#[test]
fn what_is_said_names_the_steps_that_it_is_about() {
    let cut_off = |steps: u64| {
        let run = run(|_| vec![(&metrics::COMPLETION_TRUNCATED_RATIO, 0.5)], steps);
        findings(&run, steps)[0].detail.clone()
    };
    assert!(cut_off(1).starts_with("In the first step 50 %"), "{}", cut_off(1));
    assert!(cut_off(4).starts_with("In the first 4 steps 50 %"), "{}", cut_off(4));
    assert!(cut_off(40).starts_with("In the last 10 steps 50 %"), "{}", cut_off(40));
}

#[test]
fn a_run_without_faults_has_no_value_that_cannot_be() {
    let snapshot = testing::snapshot(60, 1, 2);
    assert!((1..=60).all(|step| {
        findings(&snapshot, step).iter().all(|finding| finding.level < Level::Error)
    }));
    // Rounding is none.
    let rounded = run(
        |_| vec![(&metrics::GEOMETRY_COSINE_Q95, 1.000_000_1), (&metrics::POLICY_ENTROPY, -1e-9)],
        5,
    );
    assert!(findings(&rounded, 5).is_empty());
}
