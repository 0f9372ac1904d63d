//! A run that is interrupted and resumed is the run that was not interrupted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use orthant::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn experiment(steps: u64) -> Experiment {
    let text = r#"Experiment(
        name: "resume",
        model: Bundled("countdown"),
        task: Countdown(numbers: 3),
        rollout: (prompts_per_step: 3, group_size: 4, max_new_tokens: 40),
        method: G2rl(lambda: 0.5),
        optimizer: AdamW(learning_rate: 1e-3, warmup_steps: 4),
        objective: (epochs: 2, minibatches: 2),
        evaluations: [(suite: HeldOut(problems: 4), every: 2, samples: 2, k: [1, 2])],
        record: (checkpoint_every: 3),
    )"#;
    let mut experiment: Experiment = from_text(text, "resume.rs").unwrap();
    experiment.stop.steps = steps;
    experiment
}

fn finish(builder: RunBuilder, runs: &Path) -> PathBuf {
    let run = builder.start(runs).unwrap();
    let handle = run.handle.clone();
    assert_eq!(run.join().unwrap(), RunEnd::Finished);
    handle.snapshots.load().info.directory.clone()
}

/// The lines of a JSONL file without what depends on the clock.
fn lines(run: &Path, name: &str) -> Vec<serde_json::Value> {
    let timed = |key: &str| {
        key.starts_with("time")
            || key.starts_with("throughput")
            || ["wall_s", "memory/peak_mib", "seconds"].contains(&key)
    };
    fs::read_to_string(run.join(name))
        .unwrap()
        .lines()
        .map(|line| {
            let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            fields.retain(|key, _| !timed(key));
            fields.into()
        })
        .collect()
}

fn weights(run: &Path, step: u64) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step_{step:06}/model.safetensors"))).unwrap()
}

#[test]
fn three_steps_and_three_more_are_six_steps_byte_for_byte() {
    let runs = tempfile::tempdir().unwrap();
    let straight = finish(RunBuilder::new(experiment(6)), runs.path());
    let halves = finish(RunBuilder::new(experiment(3)), runs.path());
    assert_eq!(weights(&straight, 3), weights(&halves, 3));
    // The last step of the first half was evaluated because it was the last; in the long run it is not.
    let resumed = RunBuilder::resume(&halves, &["stop.steps=6".to_string()]).unwrap();
    assert_eq!(finish(resumed, runs.path()), halves);

    assert_eq!(weights(&straight, 6), weights(&halves, 6));
    assert_eq!(
        fs::read(straight.join("checkpoints/step_000006/trainer.safetensors")).unwrap(),
        fs::read(halves.join("checkpoints/step_000006/trainer.safetensors")).unwrap()
    );
    assert_eq!(lines(&straight, "metrics.jsonl"), lines(&halves, "metrics.jsonl"));
    let evaluations = |run: &Path| lines(run, "evals.jsonl").into_iter().filter(|e| e["step"] != 3).collect::<Vec<_>>();
    assert_eq!(evaluations(&straight), evaluations(&halves));
    for step in 1..=6 {
        let name = format!("rollouts/step_{step:06}.jsonl");
        assert_eq!(lines(&straight, &name), lines(&halves, &name));
    }
}

#[test]
fn resuming_drops_what_was_logged_after_the_checkpoint_and_what_a_crash_left_behind() {
    let runs = tempfile::tempdir().unwrap();
    let run = finish(RunBuilder::new(experiment(4)), runs.path());
    let expected = lines(&run, "metrics.jsonl");
    // As after a kill in step 4: the checkpoint of step 4 is not there, the last line is cut, folders are half-written.
    fs::remove_dir_all(run.join("checkpoints/step_000004")).unwrap();
    fs::create_dir(run.join("checkpoints/.step_000004.tmp")).unwrap();
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), &metrics[..metrics.len() - 20]).unwrap();

    finish(RunBuilder::resume(&run, &[]).unwrap(), runs.path());
    assert_eq!(lines(&run, "metrics.jsonl"), expected);
    assert!(!run.join("checkpoints/.step_000004.tmp").exists());
}

#[test]
fn resuming_what_is_no_run_or_is_already_done_is_bad_input() {
    let runs = tempfile::tempdir().unwrap();
    let error = RunBuilder::resume(runs.path(), &[]).err().unwrap();
    assert!(matches!(&error, Error::Input(text) if text.contains("experiment.ron")), "{error}");
    let run = finish(RunBuilder::new(experiment(3)), runs.path());
    let error = RunBuilder::resume(&run, &[]).unwrap().start(runs.path()).err().unwrap();
    assert!(matches!(&error, Error::Input(text) if text.contains("stop.steps")), "{error}");
    fs::remove_dir_all(run.join("checkpoints/step_000003")).unwrap();
    let error = RunBuilder::resume(&run, &[]).unwrap().start(runs.path()).err().unwrap();
    assert!(matches!(&error, Error::Input(text) if text.contains("no checkpoint")), "{error}");
}
