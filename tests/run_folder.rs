//! What a run folder says can be relied on: one writer, the inputs that it names, the settings that it names, and checkpoints that are
//! what they were when they were written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Workplace, json, lines, tiny_model, wait_for, wait_until};
use orthant::prelude::*;
use orthant::trainer::WatchedRun;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs the program; returns exit status and standard error.
fn orthant(place: &Workplace, arguments: &[&str]) -> (i32, String) {
    let output = command(place, arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn command(place: &Workplace, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command.args(arguments).current_dir(place.path()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// Goes on with the run; returns exit status and standard error.
fn resume(place: &Workplace, run: &Path, more: &[&str]) -> (i32, String) {
    orthant(place, &[&["run", "--headless", "--resume", run.to_str().unwrap()], more].concat())
}

/// Must succeed.
fn resume_well(place: &Workplace, run: &Path, more: &[&str]) -> String {
    let (status, stderr) = resume(place, run, more);
    assert_eq!(status, 0, "{more:?}: {stderr}");
    stderr
}

/// Must be refused with status 2 and these words, in one paragraph, and change nothing.
#[track_caller]
fn resume_is_refused(place: &Workplace, run: &Path, more: &[&str], words: &[&str]) {
    let before = (fs::read(run.join("manifest.json")).unwrap(), fs::read(run.join("metrics.jsonl")).unwrap());
    let (status, stderr) = resume(place, run, more);
    assert!(status == 2 && stderr.trim_end().lines().count() == 1, "{more:?}: {status} {stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{words:?} in {stderr}");
    let after = (fs::read(run.join("manifest.json")).unwrap(), fs::read(run.join("metrics.jsonl")).unwrap());
    assert_eq!(before, after);
}

/// A run of four steps with checkpoints after two and four.
fn four_steps(place: &Workplace, settings: &str) -> PathBuf {
    place.run(&place.experiment(4, &format!("record: (checkpoint_every: 2), {settings}"))).folder
}

fn steps(run: &Path) -> Vec<u64> {
    lines(&run.join("metrics.jsonl")).iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

fn events(run: &Path, kind: &str) -> Vec<Value> {
    lines(&run.join("events.jsonl")).into_iter().filter(|event| event["kind"] == kind).collect()
}

fn flip(path: &Path, back: usize) {
    let mut bytes = fs::read(path).unwrap();
    let place = bytes.len() - back;
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A run without end in a process of its own, after its first checkpoint.
fn endless(place: &Workplace) -> (Child, PathBuf) {
    let mut experiment = place.experiment(1_000_000, "");
    experiment.record.checkpoint_every = 1;
    fs::write(place.path().join("endless.ron"), orthant::experiment::to_text(&experiment).unwrap()).unwrap();
    let child = command(place, &["run", "endless.ron", "--headless", "--out", "endless"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = PathBuf::new();
    wait_until("the first checkpoint", || {
        let found = fs::read_dir(place.path().join("endless")).into_iter().flatten().flatten().next();
        run = found.map(|entry| entry.path()).unwrap_or_default();
        run.join("checkpoints/step_000001").exists()
    });
    (child, run)
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
    assert_eq!(watched.snapshots.load().info.stop_step, last);
}

#[test]
fn a_run_that_is_going_on_in_this_process_cannot_be_resumed_and_one_that_has_ended_can() {
    let place = Workplace::new();
    let run = RunBuilder::new(place.experiment(4, "")).start(&place.runs()).unwrap();
    assert!(run.handle.send(TrainerCommand::Pause));
    wait_for(&run.handle, "the pause", |now| now.state == RunState::Paused);
    let folder = run.handle.snapshots.load().info.directory.clone();
    let refused = RunBuilder::resume(&folder, &[]).err().unwrap();
    assert!(refused.exit_status() == 2 && refused.to_string().contains("is being written"), "{refused}");
    assert!(run.handle.send(TrainerCommand::Resume));
    run.join().unwrap();
    let more = RunBuilder::resume(&folder, &["stop.steps=5".to_string()]).unwrap().start(&place.runs()).unwrap();
    assert_eq!(more.join().unwrap(), RunEnd::Finished);
    assert_eq!(steps(&folder), [1, 2, 3, 4, 5]);
}

/// Problems with answers beyond `from`.
fn write_data(path: &Path, from: u64) {
    let row = |n: u64| json!({ "problem": format!("{n} and {n}?"), "answer": n.to_string() }).to_string() + "\n";
    fs::write(path, (from..from + 12).map(row).collect::<String>()).unwrap();
}

#[test]
fn a_run_goes_on_with_what_it_began_with_or_says_what_it_goes_on_with() {
    let place = Workplace::new();
    let path = |name: &str| place.path().join(name);
    write_data(&path("data.jsonl"), 0);
    write_data(&path("suite.jsonl"), 50);
    fs::write(path("own.jinja"), "{{ problem }}").unwrap();
    let mut experiment = place.experiment(2, "");
    let absolute = |name: &str| format!("{:?}", path(name).display().to_string());
    let data = format!("task=Dataset(source: Local({}), template: {})", absolute("data.jsonl"), absolute("own.jinja"));
    let suite = format!("evaluations=[(suite: File(path: {}), samples: 2, k: [1])]", absolute("suite.jsonl"));
    for assignment in [&data, &suite] {
        experiment = orthant::experiment::set(&experiment, assignment).unwrap();
    }
    let run = place.run(&experiment).folder;
    let more = ["--set", "stop.steps=3"];

    let restore = |name: &str, bytes: &[u8]| fs::write(path(name), bytes).unwrap();
    let original = |name: &str| fs::read(path(name)).unwrap();
    let weights = original("model/model.safetensors");
    let tokenizer = original("model/tokenizer.json");
    for (file, words) in [
        ("data.jsonl", "SHA-256 of the training data was "),
        ("suite.jsonl", "SHA-256 of the suite suite was "),
        ("own.jinja", "SHA-256 of the prompt template was "),
        ("model/model.safetensors", "SHA-256 of the base model's weights was "),
        ("model/tokenizer.json", "SHA-256 of the base model's tokenizer was "),
    ] {
        let before = original(file);
        match file {
            "own.jinja" => restore(file, b"{{ problem }}\n"),
            "model/model.safetensors" => flip(&path(file), 2),
            "model/tokenizer.json" => {
                let mut tokenizer: Value = serde_json::from_slice(&tokenizer).unwrap();
                let token = &mut tokenizer["added_tokens"][0];
                token["lstrip"] = (!token["lstrip"].as_bool().unwrap()).into();
                restore(file, tokenizer.to_string().as_bytes());
            }
            _ => write_data(&path(file), 100),
        }
        resume_is_refused(&place, &run, &more, &[words, " and is ", "--accept-changes", "manifest.json"]);
        restore(file, &before);
    }
    // Other warnings are of the little model, which answers nothing.
    let of_replaced = |run: &Path| -> Vec<String> {
        let texts = events(run, "warning").into_iter().map(|event| event["text"].as_str().unwrap().to_string());
        texts.filter(|text| text.contains("was replaced")).collect()
    };
    assert!(of_replaced(&run).is_empty());
    // Another shape fits nothing that the run has; no option changes that.
    let config = original("model/config.json");
    let other = tiny_model_with(&place, "intermediate_size", 40);
    fs::rename(path("model"), path("model-before")).unwrap();
    fs::rename(other, path("model")).unwrap();
    let shape = ["config.json is not the one", "intermediate_size was 48 and is 40"];
    resume_is_refused(&place, &run, &[&more[..], &["--accept-changes"]].concat(), &shape);
    fs::rename(path("model"), path("model-other")).unwrap();
    fs::rename(path("model-before"), path("model")).unwrap();
    assert!(original("model/model.safetensors") == weights && original("model/config.json") == config);
    // The same weights with other rotary angles are another model.
    let mut turned: Value = serde_json::from_slice(&config).unwrap();
    turned["rope_theta"] = 777.0.into();
    restore("model/config.json", turned.to_string().as_bytes());
    let words = ["config.json is not the one", "rope_theta was", "is 777"];
    resume_is_refused(&place, &run, &[&more[..], &["--accept-changes"]].concat(), &words);
    restore("model/config.json", &config);

    write_data(&path("data.jsonl"), 100);
    let before = json(&run.join("manifest.json"));
    resume_well(&place, &run, &[&more[..], &["--accept-changes"]].concat());
    let after = json(&run.join("manifest.json"));
    assert_ne!(before["data_hash"], after["data_hash"]);
    let replaced =
        json!([{ "step": 2, "input": "the training data", "from": before["data_hash"], "to": after["data_hash"] }]);
    assert_eq!(after["replaced"], replaced);
    let warnings = of_replaced(&run);
    let has_both =
        |text: &String| [&before, &after].iter().all(|manifest| text.contains(manifest["data_hash"].as_str().unwrap()));
    assert!(warnings.len() == 1 && has_both(&warnings[0]), "{warnings:?}");
    // From there on that is what the run reads.
    resume_well(&place, &run, &["--set", "stop.steps=4"]);
}

/// A folder with a random model whose configuration has another value.
fn tiny_model_with(place: &Workplace, field: &str, value: usize) -> PathBuf {
    use candle_core::{DType, Device};
    use orthant::model::{LanguageModel, Weights};
    let model = tiny_model();
    let mut config = model.config.clone();
    assert_eq!(field, "intermediate_size");
    config.intermediate_size = value;
    let weights = Weights::random(&config, 0.3, 1, DType::F32, &Device::Cpu).unwrap();
    let folder = place.path().join("other-shape");
    fs::create_dir(&folder).unwrap();
    LanguageModel::new(config, model.tokenizer, weights).unwrap().write(&folder).unwrap();
    folder
}

#[test]
fn settings_that_are_changed_on_resume_are_recorded_and_others_are_refused() {
    let place = Workplace::new();
    let run = four_steps(&place, "method: G2rl()");
    let began = fs::read_to_string(run.join("experiment.ron")).unwrap();
    for (set, words) in [
        ("seed=9", "seed from 0 to 9"),
        ("method=Grpo", "method from G2rl("),
        ("task=Arithmetic()", "task from Countdown("),
        ("task.numbers=4", "task.numbers from 3 to 4"),
        ("precision=Bf16", "precision from F32 to Bf16"),
        ("name=\"other\"", "name from \"tiny\" to \"other\""),
    ] {
        let arguments = ["--set", "stop.steps=6", "--set", set];
        resume_is_refused(&place, &run, &arguments, &["another run", words, "--accept-changes", "experiment.ron"]);
    }
    let changes = ["rollout.group_size=6", "optimizer.learning_rate=1e-3", "method.novelty=Squared"];
    let set: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
    let told = resume_well(
        &place,
        &run,
        &[&["--set", "stop.steps=6", "--set", "record.checkpoint_every=1"], &set[..]].concat(),
    );
    assert!(told.contains("from step 4; stop.steps from 4 to 6; record.checkpoint_every from 2 to 1"), "{told}");
    let edits: Vec<Value> = events(&run, "edit").into_iter().map(|event| event["edit"].clone()).collect();
    let expected = [
        json!({ "path": "rollout.group_size", "from": 4, "to": 6 }),
        json!({ "path": "method.novelty", "from": "Residual", "to": "Squared" }),
        json!({ "path": "optimizer.learning_rate", "from": 0.01, "to": 0.001 }),
    ];
    assert_eq!(edits, expected);
    let texts: Vec<Value> = events(&run, "edit").into_iter().map(|event| event["text"].clone()).collect();
    assert_eq!(texts[0], "rollout.group_size from 4 to 6");
    // The experiment says what the run began with, and where it ends now.
    let expected = began.replace("steps: 4", "steps: 6").replace("checkpoint_every: 2", "checkpoint_every: 1");
    assert_eq!(fs::read_to_string(run.join("experiment.ron")).unwrap(), expected);
    let rollouts = |step: u64| lines(&run.join(format!("rollouts/step_{step:06}.jsonl"))).len();
    assert_eq!((rollouts(4), rollouts(5)), (12, 18));

    // What was changed goes on to hold, also from a checkpoint after which nothing was saved.
    fs::remove_dir_all(run.join("checkpoints/step_000005")).unwrap();
    fs::remove_dir_all(run.join("checkpoints/step_000006")).unwrap();
    resume_well(&place, &run, &[]);
    assert_eq!((steps(&run), rollouts(6)), ((1..=6).collect(), 18));
    let rates: Vec<f64> =
        lines(&run.join("metrics.jsonl")).iter().map(|line| line["policy/learning_rate"].as_f64().unwrap()).collect();
    assert_eq!(rates, [0.01, 0.01, 0.01, 0.01, 0.001, 0.001]);
    assert_eq!(events(&run, "edit").len(), 3);

    // The person insists.
    resume_well(&place, &run, &["--set", "stop.steps=7", "--set", "seed=9", "--accept-changes"]);
    assert_eq!(events(&run, "edit")[3]["edit"], json!({ "path": "seed", "from": 0, "to": 9 }));
    resume_well(&place, &run, &["--set", "stop.steps=8"]);
}

#[test]
fn an_experiment_that_was_edited_in_the_run_folder_is_treated_alike() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    let file = run.join("experiment.ron");
    let began = fs::read_to_string(&file).unwrap();
    fs::write(&file, began.replace("seed: 0", "seed: 7")).unwrap();
    resume_is_refused(&place, &run, &["--set", "stop.steps=5"], &["seed from 0 to 7", "--accept-changes"]);
    let edited = began.replace("learning_rate: 0.01", "learning_rate: 0.002").replace("steps: 4", "steps: 5");
    assert_ne!(edited, began.replace("steps: 4", "steps: 5"));
    fs::write(&file, edited).unwrap();
    resume_well(&place, &run, &[]);
    assert_eq!(events(&run, "edit")[0]["text"], "optimizer.learning_rate from 0.01 to 0.002");
    assert_eq!(fs::read_to_string(&file).unwrap(), began.replace("steps: 4", "steps: 5"));
    assert_eq!(lines(&run.join("metrics.jsonl"))[4]["policy/learning_rate"], 0.002);
}

/// Damages the file at a path.
type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn a_damaged_checkpoint_is_refused_by_name_with_a_way_on() {
    let place = Workplace::new();
    let whole = four_steps(&place, "");
    let weights = fs::read(whole.join("checkpoints/step_000004/model.safetensors")).unwrap();
    let run = place.path().join("run");
    let faults: [(&str, &str, Damage); 8] = [
        ("model.safetensors", "model.safetensors is damaged", &|path| flip(path, 100)),
        ("trainer.safetensors", "trainer.safetensors is damaged", &|path| flip(path, 100)),
        ("trainer.safetensors", "trainer.safetensors is damaged", &|path| {
            fs::copy(path.with_file_name("../step_000002/trainer.safetensors"), path).unwrap();
        }),
        ("model.safetensors", "model.safetensors is damaged", &|path| fs::write(path, [0; 1000]).unwrap()),
        ("trainer.json", "cannot read trainer.json", &|path| fs::remove_file(path).unwrap()),
        ("trainer.json", "trainer.json is damaged", &|path| fs::write(path, "").unwrap()),
        ("config.json", "config.json is damaged", &|path| fs::write(path, "{}").unwrap()),
        ("SHA256SUMS", "line 1 of the checksums is damaged", &|path| fs::write(path, "a").unwrap()),
    ];
    for (name, words, damage) in faults {
        copy(&whole, &run);
        damage(&run.join("checkpoints/step_000004").join(name));
        let way_on = format!("`orthant run --resume {} --from-step 2`", run.display());
        let more = ["--set", "stop.steps=6"];
        resume_is_refused(&place, &run, &more, &[words, "step 4 cannot be used", "step 2 is whole", &way_on]);
        assert!(run.join("checkpoints/step_000004/model.safetensors").exists());
        fs::remove_dir_all(&run).unwrap();
    }
    // The way on: two steps again, to the same weights, and the damaged checkpoint is not lost either.
    copy(&whole, &run);
    flip(&run.join("checkpoints/step_000004/model.safetensors"), 100);
    resume_is_refused(&place, &run, &["--from-step", "3"], &["--from-step 3", "there are 2, 4"]);
    let told = resume_well(&place, &run, &["--from-step", "2"]);
    assert!(told.contains("2 lines of metrics.jsonl") && told.contains("step_000004.aside"), "{told}");
    assert_eq!(steps(&run), [1, 2, 3, 4]);
    assert!(fs::read(run.join("checkpoints/step_000004/model.safetensors")).unwrap() == weights);
    assert!(run.join("checkpoints/step_000004.aside/model.safetensors").exists());
    // Whoever only reads the model is told as well.
    flip(&run.join("checkpoints/step_000004/model.safetensors"), 100);
    let model = run.join("checkpoints/step_000004").display().to_string();
    let (status, stderr) = orthant(&place, &["eval", "--model", &model, "--suite", "countdown", "--out", "eval"]);
    assert!(status == 2 && stderr.contains("model.safetensors is damaged or was changed"), "{stderr}");
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
    resume_well(&place, &run, &more);
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
    let metrics_before = damaged("metrics.jsonl", b"nonsense\n{\"step\": 3}\n");
    let watched = WatchedRun::open(&run).unwrap().snapshots.load();
    let told: Vec<&str> = watched.warnings.iter().map(|(_, text)| text.as_str()).collect();
    let named =
        |text: &&str| text.starts_with("events.jsonl, line ") && text.contains(" cannot be read and is left out: ");
    assert!(told.iter().any(named), "{told:?}");
    let stderr = resume_well(&place, &run, &["--set", "stop.steps=5"]);
    assert!(stderr.contains("warning: events.jsonl has 1 damaged line"), "{stderr}");
    assert_eq!(steps(&run), [1, 2, 3, 4, 5]);
    let texts: Vec<String> =
        events(&run, "warning").iter().map(|event| event["text"].as_str().unwrap().to_string()).collect();
    let words = "metrics.jsonl has 1 damaged line, and 1 line for what stands there already; the file as it was is kept as metrics.jsonl.damaged";
    assert!(texts.iter().any(|text| text == words), "{texts:?}");
    assert!(fs::read(run.join("events.jsonl.damaged")).unwrap() == events_before);
    assert!(fs::read(run.join("metrics.jsonl.damaged")).unwrap() == metrics_before);

    // What is lost stays lost; there is nothing to keep a second time.
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("{\"step\":2,")).collect();
    fs::write(run.join("metrics.jsonl"), rest.join("\n") + "\n").unwrap();
    for last in ["stop.steps=6", "stop.steps=7"] {
        let stderr = resume_well(&place, &run, &["--set", last]);
        assert!(stderr.contains("metrics.jsonl has no line for step 2"), "{stderr}");
    }
    assert_eq!(steps(&run), [1, 3, 4, 5, 6, 7]);
    assert!(!run.join("metrics.jsonl.damaged-2").exists());
}

#[test]
fn evaluations_may_be_others_on_resume() {
    let place = Workplace::new();
    let run = four_steps(&place, "evaluations: [(suite: HeldOut(problems: 4), every: 2, samples: 1, k: [1])]");
    for (last, evaluations) in [
        (5, "[]"),
        (6, "[(suite: HeldOut(problems: 3), every: 2, samples: 1, k: [1])]"),
        (7, "[(suite: HeldOut(problems: 3), samples: 1, k: [1]), (suite: HeldOut(problems: 2), samples: 1, k: [1])]"),
    ] {
        let (steps, evaluations) = (format!("stop.steps={last}"), format!("evaluations={evaluations}"));
        resume_well(&place, &run, &["--set", &steps, "--set", &evaluations]);
    }
    assert!(!events(&run, "warning").iter().any(|event| event["text"].as_str().unwrap().contains("was replaced")));
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
    assert!(stderr.contains("2 lines of metrics.jsonl, which stand in metrics.jsonl.aside"), "{stderr}");
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
    let waits = |now: &RunSnapshot| now.warnings.iter().any(|(_, text)| text.contains("press Resume"));
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
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" run --headless --resume \"$1\" --set stop.steps=8";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_orthant"), run.to_str().unwrap()])
        .env_remove("DISPLAY")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("go on from the checkpoint of step 4 with `orthant run --resume"), "{stderr}");
    let names: Vec<_> =
        fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    resume_well(&place, &run, &[]);
    assert_eq!(steps(&run), (1..=8).collect::<Vec<_>>());
}
