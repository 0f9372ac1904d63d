//! The examples do what they say, and stay short enough to read in one go.

use orthant::prelude::*;

#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../examples/custom_method.rs"]
mod custom_method;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../examples/custom_metric.rs"]
mod custom_metric;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../examples/custom_task.rs"]
mod custom_task;

const MOST_LINES: usize = 80;

fn assert_two_steps(train: fn(&std::path::Path) -> Result<RunSnapshot>) -> RunSnapshot {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let snapshot = train(runs.path()).expect("a run without errors");
    assert_eq!((snapshot.state.clone(), snapshot.step), (RunState::Finished, 2));
    assert!(snapshot.info.directory.join("checkpoints/step_000002/model.safetensors").is_file());
    snapshot
}

#[test]
fn a_task_of_ones_own_is_trained_on() {
    let snapshot = assert_two_steps(custom_task::train);
    assert_eq!(snapshot.info.task, "count-even");
    let step = snapshot.latest.expect("a finished step");
    for group in &step.groups {
        let numbers = group.prompt.strip_prefix("Use ").expect("a prompt of the task").split_whitespace();
        let even = numbers.filter(|number| number.parse::<u32>().is_ok_and(|number| number % 2 == 0)).count();
        assert_eq!(group.answer, even.to_string(), "{}", group.prompt);
        for rollout in &group.rollouts {
            assert_eq!(rollout.verdict.is_correct(), rollout.extracted.as_ref() == Some(&group.answer));
        }
    }
}

#[test]
fn a_method_of_ones_own_shapes_rewards() {
    let snapshot = assert_two_steps(custom_method::train);
    assert_eq!(snapshot.info.method(), "brevity");
    let step = snapshot.latest.expect("a finished step");
    for group in &step.groups {
        for rollout in &group.rollouts {
            let longer = group.rollouts.iter().filter(|other| other.length > rollout.length).count();
            let bonus = 0.5 * longer as f32 / group.rollouts.len() as f32;
            let expected = if rollout.verdict.is_correct() { 1.0 + bonus } else { -1.0 };
            assert!((rollout.shaped_reward - expected).abs() < 1e-6, "{rollout:?}");
        }
    }
}

#[test]
fn a_metric_of_ones_own_is_recorded_with_its_declaration_and_reaches_the_sinks() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let (snapshot, lines) = custom_metric::train(runs.path()).expect("a run without errors");
    let step = snapshot.latest.expect("a finished step");
    let texts = step
        .groups
        .iter()
        .flat_map(|group| group.rollouts.iter().map(move |rollout| (group.group, &rollout.completion)));
    let (count, different) = (texts.clone().count(), texts.collect::<std::collections::HashSet<_>>().len());
    let expected = different as f64 / count as f64;
    let row = snapshot.history.last().expect("a row");
    assert_eq!(row.value("completion/variety"), Some(expected));
    assert!(lines.len() == 2 && lines[1].contains(&format!("completion/variety {expected:.3}")), "{lines:?}");

    let folder = snapshot.info.directory.clone();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of the run");
    let declared: Vec<serde_json::Value> = serde_json::from_str(&read("metrics.json")).expect("a list");
    let own = declared.iter().find(|metric| metric["name"] == "completion/variety").expect("its declaration");
    assert_eq!((&own["title"], &own["better"]), (&"Variety".into(), &"higher".into()));
    assert!(declared.iter().any(|metric| metric["name"] == "reward/mean"));
    assert!(read("metrics.jsonl").lines().all(|line| line.contains("\"completion/variety\":")));
}

#[test]
fn examples_are_short() {
    for (name, text) in [
        ("custom_method.rs", include_str!("../examples/custom_method.rs")),
        ("custom_metric.rs", include_str!("../examples/custom_metric.rs")),
        ("custom_task.rs", include_str!("../examples/custom_task.rs")),
    ] {
        let count = text.lines().count();
        assert!(count < MOST_LINES, "{name} has {count} lines");
    }
}
