//! The examples do what they say, and stay short enough to read in one go.

use orthant::prelude::*;
use orthant::run::RolloutView;

#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../examples/custom_method.rs"]
mod custom_method;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../examples/custom_metric.rs"]
mod custom_metric;
#[allow(unreachable_pub, reason = "an example is a program of its own")]
#[path = "../examples/custom_task.rs"]
mod custom_task;

const MOST_LINES: usize = 100;

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
        let numbers =
            group.prompt.strip_prefix("Use ").expect("a prompt of the task").split_whitespace();
        let even = numbers
            .filter(|number| number.parse::<u32>().is_ok_and(|number| number % 2 == 0))
            .count();
        assert_eq!(group.answer, even.to_string(), "{}", group.prompt);
        for rollout in &group.rollouts {
            assert_eq!(
                rollout.verdict.is_correct(),
                rollout.extracted.as_ref() == Some(&group.answer)
            );
        }
    }
}

/// What a completion earns is a number of the task's own, and its parts are recorded by their
/// names.
#[test]
fn a_reward_of_ones_own_has_parts_with_curves() {
    let snapshot = assert_two_steps(custom_task::train);
    let step = snapshot.latest.expect("a finished step");
    let rollouts: Vec<_> = step.groups.iter().flat_map(|group| &group.rollouts).collect();
    for rollout in &rollouts {
        let right = if rollout.verdict.is_correct() { 1.0 } else { -1.0 };
        let boxed = if rollout.extracted.is_some() { 0.1 } else { 0.0 };
        let parts = [("boxed".to_string(), boxed), ("right".to_string(), right)];
        assert_eq!(rollout.reward_parts, parts.into());
        assert!((rollout.reward - right - boxed).abs() < 1e-6);
    }
    assert!(rollouts.iter().any(|rollout| rollout.reward_parts["boxed"] > 0.0));

    let mean = |of: &dyn Fn(&&RolloutView) -> f32| {
        rollouts.iter().map(|rollout| f64::from(of(rollout))).sum::<f64>() / rollouts.len() as f64
    };
    let row = snapshot.history.last().expect("a row");
    let near = |name: &str, expected: f64| {
        let value = row.value(name).expect("a value");
        assert!((value - expected).abs() < 1e-6, "{name}: {value} {expected}");
    };
    near("reward/boxed_mean", mean(&|rollout| rollout.reward_parts["boxed"]));
    near("reward/right_mean", mean(&|rollout| rollout.reward_parts["right"]));
    near("reward/mean", mean(&|rollout| rollout.reward));
}

#[test]
fn a_method_of_ones_own_shapes_rewards() {
    let snapshot = assert_two_steps(custom_method::train);
    assert_eq!(snapshot.info.method(), "Brevity");
    let step = snapshot.latest.expect("a finished step");
    for group in &step.groups {
        for rollout in &group.rollouts {
            let longer =
                group.rollouts.iter().filter(|other| other.length > rollout.length).count();
            let bonus = 0.8 * longer as f32 / group.rollouts.len() as f32;
            let expected = if rollout.verdict.is_correct() { 1.0 + bonus } else { -1.0 };
            assert!((rollout.shaped_reward - expected).abs() < 1e-6, "{rollout:?}");
        }
    }
}

/// Settings of a method from outside are settings like any other: typed, completed, checked, and
/// changed by their path, in the file, on resume and live.
#[test]
fn settings_of_a_method_of_ones_own_are_settings_like_any_other() {
    use custom_method::Brevity;
    use orthant::experiment::{differences, set, to_text};
    let read = |method: &str| {
        let text = format!(
            "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
             method: {method})"
        );
        from_text::<Experiment>(&text, "a.ron")
    };
    let message = |method: &str| read(method).unwrap_err().to_string();

    let default = read("Custom(\"brevity\")").unwrap();
    assert_eq!(default.method.get(), Some(&Brevity { strength: 0.0 }));
    let written = to_text(&default).unwrap();
    assert!(written.contains("Custom(\"brevity\", "), "{written}");
    assert!(written.contains("strength: 0.0"), "{written}");
    assert_eq!(from_text::<Experiment>(&written, "again").unwrap(), default);

    let changed = set(&default, "method.strength=2").unwrap();
    assert_eq!(changed.method.get(), Some(&Brevity { strength: 2.0 }));
    let found = differences(&default, &changed).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), "method.strength from 0.0 to 2.0");
    let other = read("Custom(\"other\", (strength: 0.5))").unwrap();
    assert_eq!(differences(&default, &other).unwrap()[0].path, "method");

    let unknown = message("Custom(\"brevity\", (strenght: 1))");
    assert!(
        unknown.contains("unknown field `strenght`") && unknown.contains("`strength`"),
        "{unknown}"
    );
    let wrong = set(&default, "method.strength=-1").unwrap().validate().unwrap_err().to_string();
    assert!(wrong.contains("`method.strength` is -1"), "{wrong}");

    let live = LiveSetting::at("method.strength", &changed).unwrap();
    assert_eq!((live.of(&changed), live.of(&other)), (Some(2.0), None));
}

/// A program that does not have the method reads its run folders, and says why it cannot run it.
#[test]
fn a_method_of_another_program_is_read_and_not_run() {
    use orthant::experiment::{set, to_text};
    let text = r#"Experiment(
        name: "a", model: Bundled("countdown"), task: Countdown(),
        method: Custom("other", (
            depth: 3 /* deep */,
            kind: Wide(by: [1, 2], of: "a  \" // b"),
        )),
    )"#;
    let experiment: Experiment = from_text(text, "a.ron").unwrap();
    experiment.validate().unwrap();
    let again: Experiment = from_text(&to_text(&experiment).unwrap(), "again").unwrap();
    assert_eq!(again, experiment);
    assert_eq!(experiment.method.label(), "other");
    let deeper = set(&set(&experiment, "method.depth=4").unwrap(), "method.kind.by.1=5").unwrap();
    assert!(
        to_text(&deeper)
            .unwrap()
            .contains(r#"( depth: 4 , kind: Wide(by: [1, 5], of: "a  \" // b"), )"#),
        "{deeper:?}"
    );
    let found = orthant::experiment::differences(&experiment, &deeper).unwrap();
    let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
    assert_eq!(paths, ["method.depth", "method.kind.by.1"]);
    let runs = tempfile::tempdir().unwrap();
    let error = RunBuilder::new(experiment).start(runs.path()).err().unwrap().to_string();
    let foreign = "the method `other` is not part of this program; method: Custom(..) is for";
    assert!(error.contains(foreign), "{error}");
}

#[test]
fn a_misspelt_method_is_refused_with_the_name_that_was_meant() {
    let runs = tempfile::tempdir().unwrap();
    let foreign = |written: &str, meant: &str| {
        format!("the method `{written}` is not part of this program; did you mean {meant}")
    };
    for (written, told) in [
        ("brevty", foreign("brevty", "`brevity`? method: Custom(..) is for")),
        ("g2rl", foreign("g2rl", "`G2rl`, without Custom(..)?")),
        ("G2rl", "`G2rl` is a method of this program; write it without Custom(..)".to_owned()),
    ] {
        let text = format!(
            "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
             method: Custom(\"{written}\", (strength: 0.5)))"
        );
        let experiment = from_text(&text, "a.ron").unwrap();
        let error = RunBuilder::new(experiment).start(runs.path()).err().unwrap().to_string();
        assert!(error.contains(&told), "{error}");
    }
}

#[test]
fn a_metric_of_ones_own_is_recorded_with_its_declaration_and_reaches_the_sinks() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let (snapshot, lines) = custom_metric::train(runs.path()).expect("a run without errors");
    let step = snapshot.latest.expect("a finished step");
    let texts = step.groups.iter().flat_map(|group| {
        group.rollouts.iter().map(move |rollout| (group.group, &rollout.completion))
    });
    let (count, different) =
        (texts.clone().count(), texts.collect::<std::collections::HashSet<_>>().len());
    let expected = different as f64 / count as f64;
    let row = snapshot.history.last().expect("a row");
    assert_eq!(row.value("completion/variety"), Some(expected));
    assert!(
        lines.len() == 2 && lines[1].contains(&format!("completion/variety {expected:.3}")),
        "{lines:?}"
    );

    let folder = snapshot.info.directory.clone();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of the run");
    let declared: Vec<serde_json::Value> =
        serde_json::from_str(&read("metrics.json")).expect("a list");
    let own = declared
        .iter()
        .find(|metric| metric["name"] == "completion/variety")
        .expect("its declaration");
    assert_eq!((&own["title"], &own["better"]), (&"Variety".into(), &"higher".into()));
    assert_eq!((&own["low"], &own["high"]), (&0.0.into(), &1.0.into()));
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
