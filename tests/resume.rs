//! A run that is interrupted and resumed is the run that was not interrupted.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use orthant::experiment::Every;
use orthant::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn experiment(steps: u64) -> Experiment {
    experiment_with("G2rl(lambda: 0.5)", steps)
}

fn experiment_with(method: &str, steps: u64) -> Experiment {
    let text = r#"Experiment(
        name: "resume",
        model: Bundled("countdown"),
        task: Countdown(numbers: 3),
        rollout: (prompts_per_step: 3, group_size: 4, max_new_tokens: 40),
        method: METHOD,
        optimizer: AdamW(learning_rate: 1e-3, warmup_steps: 4),
        objective: (epochs: 2, minibatches: 2),
        evaluations: [(suite: HeldOut(problems: 4), every: 2, samples: 2, k: [1, 2])],
        record: (checkpoint_every: 3),
    )"#;
    let mut experiment: Experiment =
        from_text(&text.replace("METHOD", method), "resume.rs").unwrap();
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
    let measured = |key: &str| {
        ["time", "throughput/", "memory/", "wall_s", "seconds"]
            .iter()
            .any(|start| key.starts_with(start))
    };
    fs::read_to_string(run.join(name))
        .unwrap()
        .lines()
        .map(|line| {
            let mut fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).unwrap();
            fields.retain(|key, _| !measured(key));
            fields.into()
        })
        .collect()
}

fn weights(run: &Path, step: u64) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step_{step:06}/model.safetensors"))).unwrap()
}

orthant::register_live_setting!(LiveSettingKind::whole(
    "objective.epochs",
    "Epochs",
    "Passes over the responses of a step.",
    |experiment| Some(experiment.objective.epochs as u64),
));

fn live(path: &str) -> LiveSetting {
    let text =
        r#"Experiment(name: "a", model: Bundled("countdown"), task: Countdown(), method: G2rl())"#;
    let experiment: Experiment = orthant::experiment::from_text(text, "live").unwrap();
    LiveSetting::at(path, &experiment).unwrap()
}

#[test]
fn three_steps_and_three_more_are_six_steps_byte_for_byte() {
    let method =
        "G2rl(lambda: 0.5, alpha: Entropy, lambda_schedule: Linear(to: 0.0, over_steps: 6))";
    check_halves(|steps| experiment_with(method, steps));
}

/// The encoder is the base model, not the policy of the checkpoint.
#[test]
fn three_steps_and_three_more_are_six_steps_with_a_sentence_encoder_too() {
    check_halves(|steps| experiment_with("EvolRl(labels: Majority)", steps));
}

/// What a step takes over from earlier ones, the number of the next problem, solve rates and the KL
/// coefficient, comes from the checkpoint.
#[test]
fn three_steps_and_three_more_are_six_steps_with_every_refinement() {
    let metrics = check_halves(|steps| {
        let mut experiment = experiment_with("G2rl(lambda: 0.5)", steps);
        for assignment in [
            "task=Countdown()",
            "rollout.dynamic=(rounds: 2)",
            "rollout.curriculum=(rate: 0.2)",
            "objective.truncated=SoftPenalty(buffer: 16, strength: 0.5)",
            "objective.kl.target=0.005",
            "objective.kl.horizon=3",
        ] {
            experiment = orthant::experiment::set(&experiment, assignment).unwrap();
        }
        experiment
    });
    let differs = |name: &str| metrics.iter().any(|row| row[name] != metrics[0][name]);
    for name in [
        "group/resampled_ratio",
        "curriculum/solve_rate",
        "reward/length_penalty_mean",
        "policy/kl_coefficient",
    ] {
        assert!(differs(name), "{name} is the same in every step: {metrics:?}");
    }
}

/// Settings that were changed while the run continued hold after it is resumed, and so does the
/// order in which they came.
#[test]
fn a_run_whose_settings_were_changed_goes_on_with_them() {
    let runs = tempfile::tempdir().unwrap();
    // Pauses after step 2, changes settings there, and continues until `last` is finished.
    let changed_after_step_2 = |last: u64| {
        let run = RunBuilder::new(experiment(6)).start(runs.path()).unwrap();
        let handle = run.handle.clone();
        let wait = |what: &str, holds: &dyn Fn(&RunSnapshot) -> bool| {
            let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
            while !holds(&handle.snapshots.load()) {
                assert!(std::time::Instant::now() < deadline, "waiting for {what}");
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        };
        let step_to = |step: u64| {
            while handle.snapshots.load().step < step {
                let before = handle.snapshots.load().step;
                assert!(handle.send(TrainerCommand::StepOnce));
                wait("a step", &|now| now.step > before);
            }
        };
        assert!(handle.send(TrainerCommand::Pause));
        wait("the pause", &|now| now.state == RunState::Paused);
        assert!(handle.snapshots.load().step <= 2);
        step_to(2);
        for (setting, value) in [
            (live("optimizer.learning_rate"), 2e-3),
            (live("method.lambda"), 0.9),
            (live("rollout.temperature"), 0.7),
            (live("objective.kl.coefficient"), 0.05),
            (live("objective.epochs"), 1.0),
            (live("optimizer.learning_rate"), 5e-4),
        ] {
            assert!(handle.send(TrainerCommand::Set(setting, value)));
            wait("the setting", &|now| now.value_of(setting) == Some(value));
        }
        step_to(last);
        let end = if last == 6 { TrainerCommand::Resume } else { TrainerCommand::Stop };
        assert!(handle.send(end));
        run.join().unwrap();
        handle.snapshots.load().info.directory.clone()
    };
    let straight = changed_after_step_2(6);
    let halves = changed_after_step_2(4);
    assert_eq!(finish(RunBuilder::resume(&halves, &[]).unwrap(), runs.path()), halves);
    assert_eq!(weights(&straight, 6), weights(&halves, 6));
    assert_eq!(lines(&straight, "metrics.jsonl"), lines(&halves, "metrics.jsonl"));
    let rates: Vec<f64> = lines(&halves, "metrics.jsonl")
        .iter()
        .map(|row| row["policy/learning_rate"].as_f64().unwrap())
        .collect();
    assert!(
        rates[1] > rates[2] && rates[5] < 6e-4,
        "the last rate holds from step 3 on: {rates:?}"
    );
    let edited = |run: &Path| -> Vec<serde_json::Value> {
        lines(run, "events.jsonl")
            .into_iter()
            .filter(|event| event["kind"] == "edit")
            .map(|e| e["text"].clone())
            .collect()
    };
    assert_eq!(edited(&halves).len(), 6);
    let epochs = serde_json::json!({"path": "objective.epochs", "from": 2, "to": 1});
    let events = lines(&halves, "events.jsonl");
    assert!(events.iter().any(|event| event["edit"] == epochs), "{events:?}");
    assert_eq!(edited(&straight), edited(&halves));
    // What is set when resuming wins over what was changed before.
    let other = changed_after_step_2(4);
    finish(
        RunBuilder::resume(&other, &["optimizer.learning_rate=1e-5".to_string()]).unwrap(),
        runs.path(),
    );
    let last = lines(&other, "metrics.jsonl")[5]["policy/learning_rate"].as_f64().unwrap();
    assert!(last < 1.1e-5, "{last}");
}

#[test]
fn a_setting_that_cannot_be_changed_is_refused_with_its_reason() {
    let runs = tempfile::tempdir().unwrap();
    let run = RunBuilder::new(experiment(2)).start(runs.path()).unwrap();
    let handle = run.handle.clone();
    assert!(handle.send(TrainerCommand::Set(live("method.lambda"), -1.0)));
    run.join().unwrap();
    let end = handle.snapshots.load();
    let [refusal] = end.refusals.as_slice() else { panic!("{:?}", end.refusals) };
    assert_eq!(refusal.setting, live("method.lambda"));
    assert!(refusal.reason.contains("lambda"), "{}", refusal.reason);
    assert!(end.warnings.iter().any(|(_, text)| *text == refusal.to_string()));
    assert_eq!(end.value_of(live("method.lambda")), None);
}

#[test]
fn a_setting_of_whole_numbers_takes_no_other() {
    let runs = tempfile::tempdir().unwrap();
    let run = RunBuilder::new(experiment(2)).start(runs.path()).unwrap();
    let (handle, epochs) = (run.handle.clone(), live("objective.epochs"));
    assert!(epochs.is_whole() && !live("method.lambda").is_whole());
    assert_eq!((epochs.text(3.0), live("method.lambda").text(3.0)), ("3".into(), "3.0".into()));
    for value in [1.5, -1.0, 1e300, f64::NAN, 0.0] {
        assert!(handle.send(TrainerCommand::Set(epochs, value)));
    }
    run.join().unwrap();
    let end = handle.snapshots.load();
    let reasons: Vec<&str> = end.refusals.iter().map(|refusal| refusal.reason.as_str()).collect();
    let whole = "it must be a whole number, 0 or more";
    let expected = ["is 1.5", "is -1", "is 1e300", "is NaN"];
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    for (reason, value) in reasons.iter().zip(expected) {
        assert_eq!(*reason, format!("the field `objective.epochs` {value}; {whole}"));
    }
    assert!(reasons[4].contains("is 0; it must be between 1"), "what is out of range: {reasons:?}");
    assert_eq!(end.value_of(epochs), None);
}

/// Returns the metrics of the run.
fn check_halves(experiment: impl Fn(u64) -> Experiment) -> Vec<serde_json::Value> {
    let runs = tempfile::tempdir().unwrap();
    let straight = finish(RunBuilder::new(experiment(6)), runs.path());
    let halves = finish(RunBuilder::new(experiment(3)), runs.path());
    assert_eq!(weights(&straight, 3), weights(&halves, 3));
    // The last step of the first half was evaluated because it was the last; in the long run it is
    // not.
    let resumed = RunBuilder::resume(&halves, &["stop.steps=6".to_string()]).unwrap();
    assert_eq!(finish(resumed, runs.path()), halves);

    assert_eq!(weights(&straight, 6), weights(&halves, 6));
    for name in
        ["checkpoints/step_000006/trainer.safetensors", "checkpoints/step_000006/trainer.json"]
    {
        assert_eq!(
            fs::read(straight.join(name)).unwrap(),
            fs::read(halves.join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(lines(&straight, "metrics.jsonl"), lines(&halves, "metrics.jsonl"));
    let evaluations = |run: &Path| {
        lines(run, "evals.jsonl").into_iter().filter(|e| e["step"] != 3).collect::<Vec<_>>()
    };
    assert_eq!(evaluations(&straight), evaluations(&halves));
    for step in 1..=6 {
        let name = format!("rollouts/step_{step:06}.jsonl");
        assert_eq!(lines(&straight, &name), lines(&halves, &name));
        let name = format!("geometry/step_{step:06}.safetensors");
        assert_eq!(fs::read(straight.join(&name)).unwrap(), fs::read(halves.join(&name)).unwrap());
    }
    lines(&straight, "metrics.jsonl")
}

#[test]
fn resuming_drops_what_was_logged_after_the_checkpoint_and_what_a_crash_left_behind() {
    let runs = tempfile::tempdir().unwrap();
    let run = finish(RunBuilder::new(experiment(4)), runs.path());
    let expected = lines(&run, "metrics.jsonl");
    // As after a kill in step 4: the checkpoint of step 4 is not there, the last line is cut,
    // folders are half-written.
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

/// Steps of the lines of `metrics.jsonl`.
fn steps(run: &Path) -> Vec<u64> {
    lines(run, "metrics.jsonl").iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

#[test]
fn killing_a_run_at_any_moment_leaves_a_folder_that_goes_on_from_its_newest_checkpoint() {
    let runs = tempfile::tempdir().unwrap();
    let file = runs.path().join("experiment.ron");
    let mut endless = experiment(100_000);
    endless.record.checkpoint_every = Every(1);
    fs::write(&file, orthant::experiment::to_text(&endless).unwrap()).unwrap();
    for delay_ms in [300, 433, 571, 700] {
        let parent = runs.path().join(delay_ms.to_string());
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_orthant"))
            .args(["run", "--headless", "--out"])
            .args([&parent, &file])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The delay counts from the first checkpoint, so that there is something to continue from
        // on any machine.
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let run = loop {
            assert!(std::time::Instant::now() < deadline, "no checkpoint within a minute");
            let found = fs::read_dir(&parent)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .next();
            match found {
                Some(run) if run.join("checkpoints/step_000001").exists() => break run,
                _ => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        };
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        child.kill().unwrap(); // SIGKILL on Unix: nothing of the program runs any more
        child.wait().unwrap();

        let newest = fs::read_dir(run.join("checkpoints"))
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().to_str()?.strip_prefix("step_")?.parse::<u64>().ok()
            })
            .max()
            .unwrap();
        let last = steps_before_a_cut(&run).max(newest);
        assert!(
            last <= newest + 1,
            "steps after the newest checkpoint are at most the one that was running"
        );
        let resumed = RunBuilder::resume(&run, &[format!("stop.steps={}", newest + 2)]).unwrap();
        finish(resumed, runs.path());
        assert_eq!(steps(&run), (1..=newest + 2).collect::<Vec<_>>());
        let leftovers = fs::read_dir(run.join("checkpoints"))
            .unwrap()
            .flatten()
            .filter(|e| e.path().to_string_lossy().ends_with(".tmp"));
        assert_eq!(leftovers.count(), 0);
    }
}

/// The newest step with a whole line in `metrics.jsonl`.
fn steps_before_a_cut(run: &Path) -> u64 {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64();
    text.lines().filter_map(whole).max().unwrap_or(0)
}
