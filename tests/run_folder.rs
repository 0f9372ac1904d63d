//! What a run folder says can be relied on: one writer, the inputs that it names, the settings that
//! it names, and checkpoints that are what they were when they were written.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{
    Workplace, command, copy, events, flip, four_steps, json, orthant, resume, resume_is_refused,
    resume_well, steps, wait_for, wait_until,
};
use orthant::experiment::Every;
use orthant::prelude::*;
use orthant::run::WatchedRun;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A run without end in a process of its own, after its first checkpoint.
fn endless(place: &Workplace) -> (Child, PathBuf) {
    let mut experiment = place.experiment(1_000_000, "");
    experiment.record.checkpoint_every = Every(1);
    fs::write(place.path().join("endless.ron"), orthant::experiment::to_text(&experiment).unwrap())
        .unwrap();
    let child = command(place, &["run", "endless.ron", "--headless", "--out", "endless"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = PathBuf::new();
    wait_until("the first checkpoint", || {
        let found =
            fs::read_dir(place.path().join("endless")).into_iter().flatten().flatten().next();
        run = found.map(|entry| entry.path()).unwrap_or_default();
        run.join("checkpoints/step_000001").exists()
    });
    (child, run)
}

/// A link in place of a folder of the run leads to files of somebody else, which going back to a
/// checkpoint would remove.
#[cfg(unix)]
/// What a run warns of while it trains is said at the terminal too, and not in its folder alone.
#[test]
fn warnings_of_a_running_run_reach_the_terminal() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    fs::write(run.join("metrics.json"), "[{").unwrap();
    let stderr = resume_well(&place, &run, &["--set", "stop.steps=5"]);
    assert!(stderr.contains("warning: ") && stderr.contains("metrics.json"), "{stderr}");
}

#[test]
fn a_link_in_place_of_a_folder_is_refused_and_what_it_leads_to_stays() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("step_000009.jsonl"), "mine").unwrap();
    fs::remove_dir_all(run.join("rollouts")).unwrap();
    std::os::unix::fs::symlink("../../other", run.join("rollouts")).unwrap();
    let more = ["--set", "stop.steps=7"];
    resume_is_refused(&place, &run, &more, &["rollouts is a link and must be the folder"]);
    assert_eq!(fs::read_to_string(other.join("step_000009.jsonl")).unwrap(), "mine");
}

#[test]
fn one_process_writes_to_a_run_and_one_that_was_killed_is_in_nobodys_way() {
    let place = Workplace::new();
    let (mut child, run) = endless(&place);
    let watched = WatchedRun::open(&run).unwrap();
    assert_eq!(watched.snapshots.load().state, RunState::Training);
    let (status, stderr) = resume(&place, &run, &[]);
    let holder = format!("is being written by process {} on ", child.id());
    assert!(status == 2 && stderr.contains(&holder), "{status} {stderr}");
    let refused = RunBuilder::resume(&run, &[]).err().unwrap();
    assert!(refused.to_string().contains(&holder), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    // The manifest still says that it is training; whoever looks knows better.
    assert_eq!(json(&run.join("manifest.json"))["state"], "training");
    assert_eq!(WatchedRun::open(&run).unwrap().snapshots.load().state, RunState::Interrupted);
    wait_until("the watched run", || watched.snapshots.load().state == RunState::Interrupted);
    let last = fs::read_dir(run.join("checkpoints")).unwrap().count() as u64 + 1;
    resume_well(&place, &run, &["--set", &format!("stop.steps={last}")]);
    assert_eq!(steps(&run), (1..=last).collect::<Vec<_>>());
    wait_until("the watched run", || watched.snapshots.load().state == RunState::Finished);
    assert_eq!(watched.snapshots.load().info.last_step(), last);
}

#[test]
fn a_run_that_is_going_on_in_this_process_cannot_be_resumed_and_one_that_has_ended_can() {
    let place = Workplace::new();
    let run = RunBuilder::new(place.experiment(4, "")).start(&place.runs()).unwrap();
    assert!(run.handle.send(TrainerCommand::Pause));
    wait_for(&run.handle, "the pause", |now| now.state == RunState::Paused);
    let folder = run.handle.snapshots.load().info.directory.clone();
    let refused = RunBuilder::resume(&folder, &[]).err().unwrap();
    assert!(
        refused.exit_status() == 2 && refused.to_string().contains("is being written"),
        "{refused}"
    );
    assert!(run.handle.send(TrainerCommand::Resume));
    run.join().unwrap();
    let more = RunBuilder::resume(&folder, &["stop.steps=5".to_string()])
        .unwrap()
        .start(&place.runs())
        .unwrap();
    assert_eq!(more.join().unwrap(), RunEnd::Finished);
    assert_eq!(steps(&folder), [1, 2, 3, 4, 5]);
}

/// Damages the file at a path.
type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn a_damaged_checkpoint_is_refused_by_name_with_a_way_on() {
    let place = Workplace::new();
    let whole = four_steps(&place, "");
    let weights = fs::read(whole.join("checkpoints/step_000004/model.safetensors")).unwrap();
    let run = place.path().join("run");
    let faults: [(&str, &str, Damage); 9] = [
        ("model.safetensors", "model.safetensors is damaged", &|path| flip(path, 100)),
        ("trainer.safetensors", "trainer.safetensors is damaged", &|path| flip(path, 100)),
        ("trainer.safetensors", "trainer.safetensors is damaged", &|path| {
            fs::copy(path.with_file_name("../step_000002/trainer.safetensors"), path).unwrap();
        }),
        ("model.safetensors", "model.safetensors is damaged", &|path| {
            fs::write(path, [0; 1000]).unwrap();
        }),
        ("trainer.json", "cannot read trainer.json", &|path| fs::remove_file(path).unwrap()),
        ("trainer.json", "trainer.json is damaged", &|path| fs::write(path, "").unwrap()),
        ("config.json", "config.json is damaged", &|path| fs::write(path, "{}").unwrap()),
        ("SHA256SUMS", "line 1 of the checksums is damaged", &|path| fs::write(path, "a").unwrap()),
        ("SHA256SUMS", "the checksums of its files are missing", &|path| {
            fs::remove_file(path).unwrap();
        }),
    ];
    for (name, words, damage) in faults {
        copy(&whole, &run);
        damage(&run.join("checkpoints/step_000004").join(name));
        let way_on = format!("`orthant run --resume {} --from-step 2`", run.display());
        let more = ["--set", "stop.steps=6"];
        resume_is_refused(
            &place,
            &run,
            &more,
            &[words, "step 4 cannot be used", "step 2 is whole", &way_on],
        );
        assert!(run.join("checkpoints/step_000004/model.safetensors").exists());
        fs::remove_dir_all(&run).unwrap();
    }
    // The way on: two steps again, to the same weights, and the damaged checkpoint is not lost
    // either.
    copy(&whole, &run);
    flip(&run.join("checkpoints/step_000004/model.safetensors"), 100);
    resume_is_refused(&place, &run, &["--from-step", "3"], &["--from-step 3", "there are 2, 4"]);
    let told = resume_well(&place, &run, &["--from-step", "2"]);
    assert!(
        told.contains("2 lines of metrics.jsonl") && told.contains("step_000004.aside"),
        "{told}"
    );
    assert_eq!(steps(&run), [1, 2, 3, 4]);
    assert!(fs::read(run.join("checkpoints/step_000004/model.safetensors")).unwrap() == weights);
    assert!(run.join("checkpoints/step_000004.aside/model.safetensors").exists());
    // Whoever only reads the model is told as well.
    flip(&run.join("checkpoints/step_000004/model.safetensors"), 100);
    let model = run.join("checkpoints/step_000004").display().to_string();
    let (status, stderr) =
        orthant(&place, &["eval", "--model", &model, "--suite", "countdown", "--out", "eval"]);
    assert!(
        status == 2 && stderr.contains("model.safetensors is damaged or was changed"),
        "{stderr}"
    );
    let model = run.join("checkpoints/step_000002");
    let mut config = json(&model.join("config.json"));
    config["rope_theta"] = json!(77.0);
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    let model = model.display().to_string();
    let (status, stderr) =
        orthant(&place, &["eval", "--model", &model, "--suite", "countdown", "--out", "eval"]);
    assert!(status == 2 && stderr.contains("config.json is damaged or was changed"), "{stderr}");
}

#[test]
fn folders_of_records_that_were_removed_are_made_again() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    for name in ["rollouts", "figures"] {
        fs::remove_dir_all(run.join(name)).unwrap();
    }
    resume_well(&place, &run, &["--set", "stop.steps=6"]);
    assert!(run.join("rollouts/step_000006.jsonl").exists() && run.join("figures").exists());
}

#[test]
fn a_checkpoint_of_an_older_version_is_read_and_must_be_what_its_folder_says() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let folder = run.join("checkpoints/step_000004");
    for name in ["SHA256SUMS", "experiment.ron"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let state = json(&folder.join("trainer.json"));
    let more = ["--set", "stop.steps=5"];
    for (field, value, words) in [
        ("step", json!(3), "trainer.json says step 3"),
        ("seed", json!(99), "with seed 99, and this run's seed is 0"),
        ("optimizer_steps", json!(0), "trainer.json says 0 optimizer steps"),
        ("problems", json!(0), "0 problems were dealt"),
        ("problems", json!(u64::MAX), "problems were dealt"),
    ] {
        let mut changed = state.clone();
        changed[field] = value;
        fs::write(folder.join("trainer.json"), changed.to_string()).unwrap();
        resume_is_refused(&place, &run, &more, &[words, "--from-step 2"]);
    }
    fs::write(folder.join("trainer.json"), state.to_string()).unwrap();
    let path = folder.join("trainer.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..1000]).unwrap();
    let (_, stderr) = resume(&place, &run, &more);
    assert_eq!(stderr.matches("trainer.safetensors").count(), 1, "{stderr}");
    assert!(stderr.contains("the optimizer's state cannot be read"), "{stderr}");
    fs::write(&path, bytes).unwrap();
    let told = resume_well(&place, &run, &more);
    assert!(told.contains("warning: the checkpoint of step 4 has no SHA256SUMS"), "{told}");
    assert!(!resume_well(&place, &run, &["--set", "stop.steps=6"]).contains("SHA256SUMS"));
}

#[test]
fn a_kill_while_a_checkpoint_is_replaced_loses_none() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let checkpoints = run.join("checkpoints");
    fs::rename(checkpoints.join("step_000004"), checkpoints.join(".step_000004.before")).unwrap();
    copy(&checkpoints.join("step_000002"), &checkpoints.join(".step_000004.tmp"));
    let told = resume_well(&place, &run, &["--set", "stop.steps=5"]);
    assert!(told.contains("from step 4"), "{told}");
    let mut names: Vec<_> = fs::read_dir(&checkpoints)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step_000002", "step_000004", "step_000005"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_in_place_of_a_log_is_bad_input_and_is_not_waited_for() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let make: [(&str, Damage); 3] = [
        ("is a folder", &|path| fs::create_dir(path).unwrap()),
        ("is a pipe", &|path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
        ("is a link", &|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
    ];
    for name in [
        "metrics.jsonl",
        "events.jsonl",
        "evals.jsonl",
        "fidelity.jsonl",
        "log.txt",
        "manifest.json",
        "metrics.json",
    ] {
        for (words, make) in make {
            let path = run.join(name);
            let kept = path.with_extension("kept");
            let is_there = path.exists();
            if is_there {
                fs::rename(&path, &kept).unwrap();
            }
            make(&path);
            let (status, stderr) = resume(&place, &run, &["--set", "stop.steps=5"]);
            assert!(
                status == 2 && stderr.trim_end().lines().count() == 1,
                "{name}: {status} {stderr}"
            );
            assert!(
                [name, words, "must be a file of the run"].iter().all(|word| stderr.contains(word)),
                "{stderr}"
            );
            // Whoever only reads follows links, and reads devices no more than pipes.
            let error = WatchedRun::open(&run).err().unwrap();
            assert!(error.exit_status() == 2 && error.to_string().contains(name), "{error}");
            if path.is_dir() {
                fs::remove_dir(&path).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            if is_there {
                fs::rename(&kept, &path).unwrap();
            }
        }
    }
    fs::rename(run.join("rollouts"), run.join("away")).unwrap();
    fs::write(run.join("rollouts"), "").unwrap();
    resume_is_refused(&place, &run, &["--set", "stop.steps=5"], &["rollouts is not a folder"]);
    fs::remove_file(run.join("rollouts")).unwrap();
    fs::rename(run.join("away"), run.join("rollouts")).unwrap();
    resume_well(&place, &run, &["--set", "stop.steps=5"]);
}

#[test]
fn damaged_logs_do_not_end_a_run_and_are_told_of() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let damaged = |name: &str, bytes: &[u8]| {
        let path = run.join(name);
        fs::write(&path, [&fs::read(&path).unwrap(), bytes].concat()).unwrap();
        fs::read(&path).unwrap()
    };
    let events_before = damaged("events.jsonl", b"\xff\n");
    let metrics_before =
        damaged("metrics.jsonl", b"nonsense\n{\"step\": 4, \"reward/mean\": 0.5}\n");
    let watched = WatchedRun::open(&run).unwrap().snapshots.load();
    let told: Vec<&str> = watched.warnings.iter().map(|(_, text)| text.as_str()).collect();
    let named = |text: &&str| {
        text.starts_with("events.jsonl, line ")
            && text.contains(" cannot be read and is left out: ")
    };
    assert!(told.iter().any(named), "{told:?}");
    let stderr = resume_well(&place, &run, &["--set", "stop.steps=5"]);
    assert!(stderr.contains("warning: events.jsonl: line "), "{stderr}");
    assert_eq!(steps(&run), [1, 2, 3, 4, 5]);
    let texts: Vec<String> = events(&run, "warning")
        .iter()
        .map(|event| event["text"].as_str().unwrap().to_string())
        .collect();
    let words = "metrics.jsonl: line 5 is damaged, and line 6 says what stands there already; the \
                 file as it was is kept as metrics.jsonl.damaged";
    assert!(texts.iter().any(|text| text == words), "{texts:?}");
    assert!(fs::read(run.join("events.jsonl.damaged")).unwrap() == events_before);
    assert!(fs::read(run.join("metrics.jsonl.damaged")).unwrap() == metrics_before);

    // What is lost stays lost; there is nothing to keep a second time.
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("{\"step\":2,")).collect();
    fs::write(run.join("metrics.jsonl"), rest.join("\n") + "\n").unwrap();
    for last in ["stop.steps=6", "stop.steps=7"] {
        let stderr = resume_well(&place, &run, &["--set", last]);
        assert!(stderr.contains("metrics.jsonl: there is no line for step 2"), "{stderr}");
    }
    assert_eq!(steps(&run), [1, 3, 4, 5, 6, 7]);
    assert!(!run.join("metrics.jsonl.damaged-2").exists());
}

#[test]
fn what_came_after_an_earlier_checkpoint_is_set_aside() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let rollouts = fs::read(run.join("rollouts/step_000004.jsonl")).unwrap();
    let stderr = resume_well(&place, &run, &["--from-step", "2", "--set", "stop.steps=3"]);
    assert_eq!(steps(&run), [1, 2, 3]);
    assert_eq!(fs::read(run.join("metrics.jsonl.aside")).unwrap(), before);
    assert_eq!(fs::read(run.join("rollouts/step_000004.jsonl.aside")).unwrap(), rollouts);
    assert!(run.join("checkpoints/step_000004.aside/model.safetensors").exists());
    assert!(
        stderr.contains("2 lines of metrics.jsonl, which stand in metrics.jsonl.aside"),
        "{stderr}"
    );
}

#[test]
fn a_run_that_was_killed_after_its_last_checkpoint_is_finished_by_resuming_it() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let mut manifest = json(&run.join("manifest.json"));
    manifest["state"] = "training".into();
    manifest["step"] = 0.into();
    fs::write(run.join("manifest.json"), manifest.to_string()).unwrap();
    assert_eq!(WatchedRun::open(&run).unwrap().snapshots.load().state, RunState::Interrupted);
    resume_well(&place, &run, &[]);
    let manifest = json(&run.join("manifest.json"));
    assert_eq!((&manifest["state"], &manifest["step"]), (&"finished".into(), &4.into()));
    assert_eq!(steps(&run), [1, 2, 3, 4]);
    resume_is_refused(&place, &run, &[], &["already at step 4 of 4", "stop.steps"]);
    resume_is_refused(&place, &run, &["--set", "stop.steps=3"], &["already at step 4 of 3"]);
}

#[test]
fn a_run_that_cannot_write_fails_alone_and_waits_for_somebody_at_the_window() {
    let place = Workplace::new();
    let paused = |settings: &str| {
        let run = RunBuilder::new(place.experiment(3, settings)).start(&place.runs()).unwrap();
        assert!(run.handle.send(TrainerCommand::Pause));
        wait_for(&run.handle, "the pause", |now| now.state == RunState::Paused);
        let folder = run.handle.snapshots.load().info.directory.clone();
        // As a full disk would: nothing can be written to the folder of records.
        fs::rename(folder.join("rollouts"), folder.join("away")).unwrap();
        (run, folder)
    };
    let (alone, folder) = paused("");
    let handle = alone.handle.clone();
    assert!(handle.send(TrainerCommand::Resume));
    let error = alone.join().unwrap_err();
    assert!(error.exit_status() == 1 && error.to_string().contains("rollouts"), "{error}");
    assert_eq!(json(&folder.join("manifest.json"))["state"], "failed");

    let (run, folder) = paused("");
    run.handle.attendance.set(true);
    assert!(run.handle.send(TrainerCommand::Resume));
    let waits =
        |now: &RunSnapshot| now.warnings.iter().any(|(_, text)| text.contains("press Resume"));
    wait_for(&run.handle, "the run to wait", waits);
    assert_eq!(run.handle.snapshots.load().state, RunState::Paused);
    fs::rename(folder.join("away"), folder.join("rollouts")).unwrap();
    assert!(run.handle.send(TrainerCommand::Resume));
    assert_eq!(run.join().unwrap(), RunEnd::Finished);
    assert_eq!(steps(&folder), [1, 2, 3]);
    assert!((1..=3).all(|step| folder.join(format!("rollouts/step_{step:06}.jsonl")).exists()));
}

/// Files cannot grow beyond a size, as on a disk that is full.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_does_not_fit_ends_a_run_and_what_it_has_stays_whole() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let script = r#"ulimit -f 200; exec "$0" run --headless --resume "$1" --set stop.steps=8"#;
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_orthant"), run.to_str().unwrap()])
        .env_remove("DISPLAY")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("continue from the checkpoint of step 4 with `orthant run --resume"),
        "{stderr}"
    );
    assert_eq!(json(&run.join("manifest.json"))["state"], "failed");
    let names: Vec<_> = fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    resume_well(&place, &run, &[]);
    assert_eq!(steps(&run), (1..=8).collect::<Vec<_>>());
}
