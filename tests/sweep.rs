//! `orthant sweep`: all runs of a grid, resumable, with failures that stop nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{Workplace, json, lines};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn orthant(place: &Workplace, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orthant"));
    program.args(arguments).current_dir(place.path());
    program.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("RAYON_NUM_THREADS");
    program
}

fn sweep(place: &Workplace, arguments: &[&str]) -> Output {
    orthant(place, &[&["sweep", "sweep.ron"], arguments].concat()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A sweep of two methods and two seeds, with these further fields.
fn write(place: &Workplace, steps: u64, more: &str) {
    let experiment = r#"Experiment(name: "tiny", model: Local("model"), device: Cpu, task: Countdown(numbers: 3),
        rollout: (prompts_per_step: 2, group_size: 3, max_new_tokens: 12), record: (checkpoint_every: 1))"#;
    std::fs::write(place.path().join("base.ron"), experiment).unwrap();
    let sweep = format!(
        r#"Sweep(name: "study", experiment: "base.ron", seeds: [5, 6], set: ["stop.steps={steps}"],
            variants: [(name: "grpo"), (name: "g2rl", set: ["method=G2rl(lambda: 0.7)"]){more}])"#
    );
    std::fs::write(place.path().join("sweep.ron"), sweep).unwrap();
}

fn record(place: &Workplace) -> Value {
    json(&place.runs().join("study/sweep.json"))
}

/// The steps of a run's metrics.
fn steps(place: &Workplace, run: &Value) -> Vec<u64> {
    let folder = place.runs().join("study").join(run["folder"].as_str().unwrap());
    let lines = lines(&folder.join("metrics.jsonl"));
    lines.iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

fn time_of(path: &Path) -> std::time::SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

#[test]
fn a_sweep_runs_what_is_missing_and_a_failure_stops_nothing() {
    let place = Workplace::new();
    write(&place, 2, r#", (name: "broken", set: ["model=Local(\"nowhere\")"])"#);
    let output = sweep(&place, &["--jobs", "2", "--json"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["runs"], &last["finished"], &last["failed"]),
        (&6.into(), &4.into(), &2.into())
    );
    assert!(stderr.contains("broken-s5: failed: ") && stderr.contains("nowhere"), "{stderr}");

    let found = record(&place);
    let runs = found["runs"].as_array().unwrap();
    let keys: Vec<&str> = runs.iter().map(|run| run["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["grpo-s5", "grpo-s6", "g2rl-s5", "g2rl-s6", "broken-s5", "broken-s6"]);
    for run in &runs[..4] {
        assert_eq!((&run["state"], &run["step"]), (&"finished".into(), &2.into()));
        assert_eq!(steps(&place, run), [1, 2]);
    }
    assert_eq!(runs[4]["state"], "failed");
    let folder = place.runs().join("study").join(runs[2]["folder"].as_str().unwrap());
    let manifest = folder.join("manifest.json");
    let experiment = std::fs::read_to_string(folder.join("experiment.ron")).unwrap();
    assert!(experiment.contains("lambda: 0.7") && experiment.contains("seed: 5"), "{experiment}");
    assert!(experiment.contains("name: \"g2rl\""), "{experiment}");

    // What is finished stays as it is; more steps continue it.
    let before = time_of(&manifest);
    write(&place, 2, "");
    let output = sweep(&place, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("4 of 4 runs are finished"));
    assert_eq!(time_of(&manifest), before);
    write(&place, 3, "");
    assert_eq!(sweep(&place, &["--jobs", "1"]).status.code(), Some(0));
    for run in record(&place)["runs"].as_array().unwrap() {
        assert_eq!(steps(&place, run), [1, 2, 3]);
    }

    // Other settings under the same name are refused, with nothing lost.
    let text_of = std::fs::read_to_string(place.path().join("sweep.ron")).unwrap();
    std::fs::write(place.path().join("sweep.ron"), text_of.replace("0.7", "0.9")).unwrap();
    let output = sweep(&place, &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("g2rl-s5") && stderr.contains("0.7") && stderr.contains("0.9"),
        "{stderr}"
    );
}

#[test]
fn the_same_runs_come_out_of_the_commands_that_it_lists() {
    let place = Workplace::new();
    write(&place, 1, "");
    let output = sweep(&place, &["--list"]);
    let commands = text(&output.stdout);
    assert_eq!((output.status.code(), commands.lines().count()), (Some(0), 4), "{commands}");
    assert!(!place.runs().exists(), "nothing is run");
    let program = env!("CARGO_BIN_EXE_orthant");
    for command in commands.lines() {
        let line = command.replacen("orthant", program, 1);
        let done =
            Command::new("sh").args(["-c", &line]).current_dir(place.path()).output().unwrap();
        assert!(done.status.success(), "{command}: {}", text(&done.stderr));
    }
    // Nothing is left to do.
    let output = sweep(&place, &[]);
    assert!(text(&output.stdout).contains("4 of 4 runs are finished"), "{}", text(&output.stderr));
    let own = Workplace::new();
    write(&own, 1, "");
    assert_eq!(sweep(&own, &["--jobs", "2"]).status.code(), Some(0));
    let weights = |place: &Workplace, run: &Value| {
        let folder = place.runs().join("study").join(run["folder"].as_str().unwrap());
        common::checkpoint(&folder, 1).weights.hash().unwrap()
    };
    let (listed, run) = (record(&place), record(&own));
    for (a, b) in listed["runs"].as_array().unwrap().iter().zip(run["runs"].as_array().unwrap()) {
        assert_eq!(weights(&place, a), weights(&own, b), "{}", a["key"]);
    }
}

#[cfg(unix)]
#[test]
fn a_sweep_that_was_interrupted_or_killed_goes_on_where_it_was() {
    let place = Workplace::new();
    write(&place, 400, "");
    let begun = || -> PathBuf {
        let started = Instant::now();
        loop {
            let mut folders = std::fs::read_dir(place.runs().join("study/grpo-s5"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path().join("metrics.jsonl"));
            match folders.find(|path| path.is_file() && lines(path).len() > 3) {
                Some(path) => return path,
                None => assert!(started.elapsed() < Duration::from_mins(1), "no step was made"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let start = || {
        let mut command = orthant(&place, &["sweep", "sweep.ron", "--jobs", "2"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let signal = |name: &str, id: u32| {
        let done = Command::new("kill").args([name, &id.to_string()]).status().unwrap();
        assert!(done.success());
    };
    // Interrupted: the runs save what they have.
    let mut child = start();
    let metrics = begun();
    signal("-INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let found = record(&place);
    let first = &found["runs"][0];
    assert_eq!(first["state"], "waiting");
    let done = lines(&metrics).len();
    assert!(done < 400);
    let checkpoints = metrics.parent().unwrap().join("checkpoints");
    assert!(checkpoints.join(format!("step_{done:06}")).is_dir(), "the last step is saved");

    // Killed: whoever comes next finds its runs at work, or continues them.
    let mut child = start();
    let started = Instant::now();
    while lines(&metrics).len() < done + 3 {
        assert!(started.elapsed() < Duration::from_mins(1), "it does not continue");
        std::thread::sleep(Duration::from_millis(50));
    }
    signal("-KILL", child.id());
    child.wait().unwrap();
    write(&place, 400, "");
    let output = sweep(&place, &["--jobs", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for run in record(&place)["runs"].as_array().unwrap() {
        assert_eq!(run["state"], "finished");
        assert_eq!(steps(&place, run), (1..=400).collect::<Vec<u64>>());
    }
}

#[test]
fn mistakes_end_a_sweep_before_it_begins() {
    let place = Workplace::new();
    write(&place, 2, r#", (name: "odd", set: ["method.lambda=1"])"#);
    let output = sweep(&place, &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("in the variant `odd`") && stderr.contains("sweep.ron"), "{stderr}");
    assert!(!place.runs().exists());
    for (arguments, words) in [
        (vec!["sweep", "nowhere.ron"], "nowhere.ron"),
        (vec!["sweep", "sweep.ron", "--jobs", "0"], "--jobs"),
        (vec!["sweep", "base.ron"], "base.ron"),
    ] {
        let output = orthant(&place, &arguments).output().unwrap();
        let stderr = text(&output.stderr);
        assert!(
            output.status.code() == Some(2) && stderr.contains(words),
            "{arguments:?}: {stderr}"
        );
    }
}
