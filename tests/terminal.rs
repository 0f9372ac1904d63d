//! What reaches the terminal, and terminals, pipes, disks and paths that are not as one would like
//! them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{TINY_BENCH, Workplace, json, lines};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Sets the title of a terminal, clears it, turns the reading direction.
const HOSTILE: &str = "\u{1b}]0;TITLE\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}";

fn program<S: AsRef<OsStr>>(place: &Workplace, arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(arguments)
        .current_dir(place.path())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A place with input for every command.
fn prepared() -> Workplace {
    let place = Workplace::new();
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    write(
        "experiment.ron",
        "Experiment(name: \"cli\", model: Local(\"model\"), task: Countdown(numbers: 3), stop: (steps: 2), device: Cpu,
            rollout: (prompts_per_step: 2, group_size: 2, max_new_tokens: 8),
            evaluations: [(suite: HeldOut(problems: 2), every: 1, samples: 2, k: [1])])",
    );
    write(
        "pretrain.ron",
        "Pretrain(name: \"small\", out: \"small\", task: Countdown(numbers: 3), steps: 1, batch: 2, words: [],
            model: (hidden_size: 16, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, intermediate_size: 16, positions: 128),
            evaluations: [(suite: HeldOut(problems: 1), every: 1, samples: 1, k: [1])])",
    );
    let verdict = json!({ "id": 1, "gold": "1", "completion": "\\boxed{1}" });
    write("completions.jsonl", &format!("{verdict}\n").repeat(5000));
    let response =
        json!({ "group": "g", "prompt": "What?", "response": "Nothing.", "reward": 1.0 });
    write("responses.jsonl", &format!("{response}\n{response}\n"));
    place
}

/// Every command that prints results, in a form that takes a moment.
const COMMANDS: [&[&str]; 10] = [
    &["--help"],
    &["run", "--help"],
    &["run", "experiment.ron", "--headless", "--json"],
    &[
        "eval",
        "--model",
        "model",
        "--suite",
        "countdown",
        "--limit",
        "2",
        "--samples",
        "2",
        "--max-new-tokens",
        "4",
        "--json",
    ],
    &["grade", "completions.jsonl", "--json"],
    &["score", "--model", "model", "--input", "responses.jsonl", "--out", "scores", "--json"],
    &["export", "--model", "model", "--out", "exported", "--json"],
    &["doctor", "experiment.ron", "--json"],
    &TINY_BENCH,
    &["pretrain", "pretrain.ron"],
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The only run folder of `place`.
fn run_folder(place: &Workplace) -> PathBuf {
    std::fs::read_dir(place.runs())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("metrics.jsonl").exists())
        .unwrap()
}

fn assert_whole_run(place: &Workplace) {
    let folder = run_folder(place);
    assert_eq!(lines(&folder.join("metrics.jsonl")).len(), 2);
    assert_eq!(json(&folder.join("manifest.json"))["state"], "finished");
    assert!(folder.join("checkpoints/step_000002/trainer.json").exists());
}

#[test]
fn a_reader_that_has_gone_ends_nothing() {
    let place = prepared();
    for command in COMMANDS {
        let mut child: Child = program(&place, command).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = text(&output.stderr);
        assert!(
            output.status.code() == Some(0) && !stderr.contains("error"),
            "{command:?}: {:?} {stderr}",
            output.status
        );
        if command.contains(&"--headless") {
            assert_whole_run(&place);
        }
    }
}

#[test]
fn a_disk_that_is_full_is_told_after_the_work() {
    let place = prepared();
    for command in COMMANDS {
        let full = || File::create("/dev/full").unwrap();
        let output = program(&place, command).stdout(full()).output().unwrap();
        let stderr = text(&output.stderr);
        // Pretraining has nothing to print.
        let expected = i32::from(command[0] != "pretrain");
        assert_eq!(output.status.code(), Some(expected), "{command:?}: {stderr}");
        assert!(expected == 0 || stderr.contains("error: writing "), "{command:?}: {stderr}");
        if command.contains(&"--headless") {
            assert_whole_run(&place);
            std::fs::remove_dir_all(place.runs()).unwrap();
        }
        // A terminal that is gone changes nothing.
        std::fs::remove_dir_all(place.path().join("exported")).ok();
        std::fs::remove_dir_all(place.path().join("small")).ok();
        let output = program(&place, command).stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
    }
    let refused = program(&place, &["eval", "--model", "none", "--suite", "countdown"])
        .stderr(File::create("/dev/full").unwrap())
        .output();
    assert_eq!(refused.unwrap().status.code(), Some(2));
}

#[test]
fn names_that_are_not_unicode_are_shown_as_far_as_they_can_be() {
    let place = prepared();
    let odd = OsStr::from_bytes(b"odd\xff -name");
    let mut folder = OsString::from("--out=");
    folder.push(odd);
    let run = ["run", "experiment.ron", "--headless", "--json"];
    let eval = [
        "eval",
        "--model",
        "model",
        "--suite",
        "countdown",
        "--limit",
        "1",
        "--samples",
        "1",
        "--max-new-tokens",
        "2",
        "--json",
    ];
    let score = ["score", "--model", "model", "--input", "responses.jsonl", "--json"];
    let export = ["export", "--model", "model", "--json"];
    for command in [&run as &[&str], &eval, &score, &export] {
        let arguments: Vec<&OsStr> =
            command.iter().map(OsStr::new).chain([folder.as_os_str()]).collect();
        let output = program(&place, &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {}", text(&output.stderr));
        let stdout = String::from_utf8(output.stdout).unwrap();
        let line: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        let path = line.get("out").or_else(|| line.get("run")).unwrap().as_str().unwrap();
        assert!(path.contains("odd\u{fffd} -name"), "{path}");
        std::fs::remove_dir_all(place.path().join(odd)).unwrap();
    }
    // Names of input are told of, whatever they are.
    for arguments in [
        [OsStr::new("doctor"), OsStr::from_bytes(b"none\xff.ron")],
        [OsStr::new("grade"), OsStr::from_bytes(b"none\xff.jsonl")],
        [OsStr::new("view"), OsStr::from_bytes(b"none\xff")],
        [OsStr::new("grade"), OsStr::new("two\nlines\u{1b}[2J")],
        [OsStr::new("grade"), OsStr::new(&"long".repeat(2000))],
        [OsStr::new("grade"), OsStr::new(" ")],
    ] {
        let output = program(&place, &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert_quiet(&output, "input");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
    }
    // A run holds its paths as text.
    let folder = place.path().join(odd);
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(place.model(), folder.join("model")).unwrap();
    let file = place.path().join("experiment.ron");
    let output = program(&place, &[OsStr::new("run"), file.as_os_str(), OsStr::new("--headless")])
        .current_dir(&folder)
        .output();
    let output = output.unwrap();
    assert!(
        output.status.code() == Some(2) && text(&output.stderr).contains("is not Unicode"),
        "{}",
        text(&output.stderr)
    );
    assert!(!folder.join("runs").exists());
}

/// Asserts that nothing in the output is obeyed by a terminal.
fn assert_quiet(output: &Output, what: &str) {
    for stream in [&output.stdout, &output.stderr] {
        let shown = text(stream);
        let obeyed =
            shown.chars().find(|&c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}');
        assert!(obeyed.is_none(), "{what}: {obeyed:?} in {shown:?}");
    }
}

#[test]
fn what_data_says_is_shown_and_not_obeyed() {
    let place = prepared();
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    let eval = |model: &str, suite: &str, more: &[&str]| {
        std::fs::remove_dir_all(place.path().join("out")).ok();
        let arguments = [
            "eval",
            "--model",
            model,
            "--suite",
            suite,
            "--samples",
            "1",
            "--max-new-tokens",
            "2",
            "--out",
            "out",
            "--json",
        ];
        program(&place, &[&arguments, more].concat()).output().unwrap()
    };
    let check = |output: &Output, what: &str, status: i32| {
        assert_eq!(output.status.code(), Some(status), "{what}: {}", text(&output.stderr));
        assert_quiet(output, what);
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(
            shown.contains("\\u001b]0;TITLE") || shown.contains("\\u{1b}]0;TITLE"),
            "{what}: {shown}"
        );
    };
    let subject =
        json!({ "problem": "q", "answer": "1", "subject": HOSTILE, "level": HOSTILE }).to_string();
    write("subject.jsonl", &format!("{subject}\n"));
    let output = eval("model", "subject.jsonl", &[]);
    check(&output, "subject", 0);
    let line: Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    assert!(line["subjects"].get(HOSTILE).is_some(), "{line}");
    write("columns.jsonl", &json!({ format!("x{HOSTILE}"): "q", "y": 1 }).to_string());
    check(&eval("model", "columns.jsonl", &[]), "columns", 2);
    let named = format!("name{HOSTILE}.jsonl");
    write(&named, &format!("{subject}\n"));
    check(&eval("model", &named, &[]), "name of a file", 0);
    check(&eval(HOSTILE, "countdown", &[]), "name of a model", 2);
    check(&eval("model", HOSTILE, &[]), "name of a suite", 2);

    write(
        "format.jsonl",
        &json!({ "id": 1, "gold": "1", "completion": "x", "format": HOSTILE }).to_string(),
    );
    check(&program(&place, &["grade", "format.jsonl"]).output().unwrap(), "format", 2);
    write(
        "id.jsonl",
        &json!({ "id": HOSTILE, "gold": "1", "completion": format!("\\boxed{{1{HOSTILE}}}") })
            .to_string(),
    );
    check(&program(&place, &["grade", "id.jsonl"]).output().unwrap(), "id", 0);

    for (field, text) in [("Bundled(\"NAME\")", "model"), ("Local(\"NAME\")", "model")] {
        let model = field.replace("NAME", HOSTILE);
        write(
            "hostile.ron",
            &format!("Experiment(name: \"a\", {text}: {model}, task: Countdown())"),
        );
        check(&program(&place, &["run", "hostile.ron", "--headless"]).output().unwrap(), field, 2);
    }
    write(
        "hostile.ron",
        &format!(
            "Experiment(na{HOSTILE}me: \"a\", model: Bundled(\"countdown\"), task: Countdown())"
        ),
    );
    let output = program(&place, &["run", "hostile.ron", "--headless"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_quiet(&output, "field");

    let model = |name: &str, file: &str, content: &str| {
        let folder = place.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(place.model()).unwrap().flatten() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        std::fs::write(folder.join(file), content).unwrap();
    };
    model(
        "raises",
        "chat_template.jinja",
        &format!("{{{{ raise_exception({:?}) }}}}", "TITLE").replace("TITLE", HOSTILE),
    );
    check(&eval("raises", "subject.jsonl", &["--template", "chat"]), "raise_exception", 2);
    model(
        "adapter",
        "adapter_config.json",
        &json!({ "peft_type": HOSTILE, "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"] })
            .to_string(),
    );
    check(&eval("adapter", "countdown", &[]), "peft_type", 2);
    model(
        "shards",
        "model.safetensors.index.json",
        &json!({ "weight_map": { "model.norm.weight": format!("x{HOSTILE}") } }).to_string(),
    );
    std::fs::remove_file(place.path().join("shards/model.safetensors")).unwrap();
    check(&eval("shards", "countdown", &[]), "shard", 2);
}

#[test]
fn the_log_of_a_run_holds_no_sequences() {
    let place = prepared();
    std::fs::write(
        place.path().join("suite.jsonl"),
        json!({ "problem": "q", "answer": "1" }).to_string(),
    )
    .unwrap();
    let named = format!("s{HOSTILE}.jsonl");
    std::fs::rename(place.path().join("suite.jsonl"), place.path().join(&named)).unwrap();
    let suite =
        format!("evaluations=[(suite: File(path: {named:?}), every: 1, samples: 1, k: [1])]");
    let output = program(&place, &["run", "experiment.ron", "--headless", "--set", &suite])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_quiet(&output, "run");
    let log = std::fs::read_to_string(run_folder(&place).join("log.txt")).unwrap();
    assert!(log.contains("\\u001b]0;TITLE") && !log.contains('\u{1b}'), "{log}");
}

#[test]
fn an_environment_that_lacks_things_is_told_of() {
    let place = prepared();
    // No display answers.
    let run = ["run", "experiment.ron"];
    let output = program(&place, &run)
        .env("DISPLAY", ":4097")
        .env("XDG_RUNTIME_DIR", place.path())
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("the window failed") && stderr.contains("continues, and is followed here"),
        "{stderr}"
    );
    assert_whole_run(&place);
    let events = lines(&run_folder(&place).join("events.jsonl"));
    assert!(
        events
            .iter()
            .any(|event| event["text"].as_str().unwrap_or_default().contains("without a window")),
        "{events:?}"
    );
    let arguments: [&str; 0] = [];
    let output = program(&place, &arguments)
        .env("DISPLAY", ":4097")
        .env("XDG_RUNTIME_DIR", place.path())
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert!(
        output.status.code() == Some(1) && stderr.starts_with("error: the window failed"),
        "{stderr}"
    );

    // Nothing but the program itself.
    let output = program(&place, &["doctor", "experiment.ron"])
        .env_clear()
        .env("TERM", "dumb")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // A folder in which nothing can be made.
    let model = place.model();
    let model = model.to_str().unwrap();
    for arguments in [
        &["run", "EXPERIMENT", "--headless"] as &[&str],
        &["export", "--model", model, "--out", "new"],
        &["score", "--model", model, "--input", "RESPONSES", "--out", "new"],
        &[
            "eval",
            "--model",
            model,
            "--suite",
            "countdown",
            "--limit",
            "1",
            "--samples",
            "1",
            "--max-new-tokens",
            "2",
        ],
        &["pretrain", "PRETRAIN"],
    ] {
        let of = |name: &str| place.path().join(name).display().to_string();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| match *argument {
                "EXPERIMENT" => of("absolute.ron"),
                "RESPONSES" => of("responses.jsonl"),
                "PRETRAIN" => of("pretrain.ron"),
                other => other.to_string(),
            })
            .collect();
        let experiment = std::fs::read_to_string(place.path().join("experiment.ron")).unwrap();
        std::fs::write(
            of("absolute.ron"),
            experiment.replace("Local(\"model\")", &format!("Local({model:?})")),
        )
        .unwrap();
        let output =
            program(&place, &arguments).current_dir(Path::new("/proc/self")).output().unwrap();
        let stderr = text(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{arguments:?}: {:?} {stderr}",
            output.status
        );
        assert!(
            stderr.starts_with("error: ") && stderr.trim_end().lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
    }
}
