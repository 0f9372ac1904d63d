//! `orthant score` held against Transformers and autograd in float64 (`fixtures/generate.py`,
//! section `score`), and its behaviour on input of every kind.
//!
//! `cargo test --test score -- --nocapture` shows the largest differences.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{Device, Tensor};
use common::{f32_values, json, lines};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A temporary folder with the fixture's model in `model/` and the lines to score in `input.jsonl`.
fn workplace(model: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixtures().join(format!("qwen3_{model}")).join(file), folder.join(file))
            .unwrap();
    }
    std::fs::copy(fixtures().join("score/tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    std::fs::write(folder.join("generation_config.json"), r#"{"eos_token_id": 60}"#).unwrap();
    std::fs::copy(fixtures().join("score/input.jsonl"), place.path().join("input.jsonl")).unwrap();
    place
}

/// Runs `orthant score` on the workplace's model and input; returns status, standard output and
/// standard error.
fn score(place: &Path, options: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["score", "--model", "model", "--input", "input.jsonl", "--out", "out"])
        .args(options)
        .current_dir(place)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What `score` wrote.
struct Written {
    lines: Vec<Value>,
    tensors: HashMap<String, Tensor>,
}

impl Written {
    fn of(place: &Path, options: &[&str]) -> Self {
        let (status, _, stderr) = score(place, options);
        assert_eq!(status, 0, "{stderr}");
        Self {
            lines: lines(&place.join("out/scores.jsonl")),
            tensors: candle_core::safetensors::load(
                place.join("out/scores.safetensors"),
                &Device::Cpu,
            )
            .unwrap(),
        }
    }

    fn column(&self, name: &str) -> Vec<f64> {
        self.lines.iter().map(|line| line[name].as_f64().unwrap_or(f64::NAN)).collect()
    }

    fn tensor(&self, name: &str) -> Vec<f64> {
        f32_values(&self.tensors[name]).into_iter().map(f64::from).collect()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

/// The largest absolute difference of each quantity met.
#[derive(Default)]
struct Differences(std::collections::BTreeMap<String, f64>);

impl Differences {
    /// NaN agrees with NaN only.
    #[track_caller]
    fn check(&mut self, what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(
                found.is_nan(),
                expected.is_nan(),
                "{what}: found {found}, expected {expected}"
            );
            let difference = if found.is_nan() { 0.0 } else { (found - expected).abs() };
            assert!(
                difference <= tolerance,
                "{what} differs by {difference:e}: found {found}, expected {expected}"
            );
            let largest = self.0.entry(what.to_string()).or_default();
            *largest = largest.max(difference);
        }
    }

    fn print(&self) {
        for (what, difference) in &self.0 {
            eprintln!("{what}: {difference:.1e}");
        }
    }
}

#[test]
fn every_number_agrees_with_transformers_and_autograd() {
    let mut differences = Differences::default();
    for model in ["tied", "untied"] {
        let place = workplace(model);
        let expected = json(&fixtures().join(format!("score/{model}.json")));
        let logprobs: Vec<Vec<f64>> =
            expected["logprobs"].as_array().unwrap().iter().map(numbers).collect();
        for case in expected["temperatures"].as_array().unwrap() {
            let temperature = case["temperature"].to_string();
            for (index, option) in case["options"].as_array().unwrap().iter().enumerate() {
                let text = |name: &str| option[name].to_string().trim_matches('"').to_string();
                let [lambda, clip, form, sign] =
                    ["lambda", "clip", "novelty", "incorrect"].map(text);
                let mut options =
                    vec!["--temperature", &temperature, "--lambda", &lambda, "--clip", &clip];
                options.extend(["--novelty", &form, "--incorrect", &sign]);
                if option["uniform"] == false {
                    options.push("--keep-uniform-groups");
                }
                if index == 0 {
                    options.push("--exact-gradients");
                }
                let written = Written::of(place.path(), &options);
                for (name, expected) in option["scores"].as_object().unwrap() {
                    differences.check(name, &written.column(name), &numbers(expected), 1e-3);
                }
                if index > 0 {
                    continue;
                }
                differences.check(
                    "entropy",
                    &written.column("entropy"),
                    &numbers(&expected["entropy"]),
                    1e-3,
                );
                let sums: Vec<f64> = logprobs.iter().map(|tokens| tokens.iter().sum()).collect();
                differences.check(
                    "log-probability of a response",
                    &written.column("logprob"),
                    &sums,
                    1e-3,
                );
                differences.check(
                    "log-probability of a token",
                    &written.tensor("logprobs"),
                    &logprobs.concat(),
                    1e-3,
                );
                differences.check(
                    "feature",
                    &written.tensor("features"),
                    &numbers(&case["features"]),
                    1e-3,
                );
                let weighted = Written::of(
                    place.path(),
                    &["--temperature", &temperature, "--alpha", "entropy"],
                );
                let expected_features = numbers(&case["features_by_entropy"]);
                differences.check(
                    "feature by entropy",
                    &weighted.tensor("features"),
                    &expected_features,
                    1e-3,
                );
                for name in ["cosine", "gradient_cosine"] {
                    for (group, expected) in case[name].as_array().unwrap().iter().enumerate() {
                        differences.check(
                            name,
                            &written.tensor(&format!("{name}.{group}")),
                            &numbers(expected),
                            1e-4,
                        );
                    }
                }
            }
        }
    }
    differences.print();
}

#[test]
fn files_have_the_promised_fields_in_the_order_of_the_input() {
    let place = workplace("tied");
    let written = Written::of(place.path(), &[]);
    let input = lines(&place.path().join("input.jsonl"));
    assert_eq!(written.lines.len(), input.len());
    let mut offset = 0;
    let offsets: Vec<i64> = written.tensors["offsets"].to_vec1().unwrap();
    for ((score, line), offsets) in written.lines.iter().zip(&input).zip(offsets.windows(2)) {
        let fields: Vec<&String> = score.as_object().unwrap().keys().collect();
        let promised =
            ["group", "reward", "length", "logprob", "entropy", "novelty", "novelty_normalized"];
        assert_eq!(fields, [promised.as_slice(), &["shaped_reward", "advantage"]].concat());
        assert_eq!(score["group"], line["group"]);
        assert_eq!(score["reward"].as_f64(), line["reward"].as_f64());
        assert_eq!(offsets[0], offset);
        offset += score["length"].as_i64().unwrap();
        assert_eq!(offsets[1], offset);
    }
    let mut names: Vec<&String> = written.tensors.keys().collect();
    names.sort();
    assert_eq!(
        names,
        ["cosine.0", "cosine.1", "cosine.2", "cosine.3", "features", "logprobs", "offsets"]
    );
    assert_eq!(written.tensors["features"].dims(), [input.len(), 24]);
}

#[test]
fn groups_whose_numbers_are_large_stay_apart() {
    let place = workplace("tied");
    let ids = ["12345678901234567890123", "12345678901234567890124", "\"12345678901234567890123\""];
    let line = |id: &str, response: &str| {
        format!(
            "{{\"group\": {id}, \"prompt\": \"w1\", \"response\": \"{response}\", \"reward\": 1}}\n"
        )
    };
    let input: String = ids.iter().flat_map(|id| [line(id, "w2"), line(id, "w3 w4")]).collect();
    std::fs::write(place.path().join("input.jsonl"), input).unwrap();
    let (status, _, stderr) = score(place.path(), &[]);
    assert_eq!(status, 0, "{stderr}");
    let text = std::fs::read_to_string(place.path().join("out/scores.jsonl")).unwrap();
    let groups: Vec<&str> = text
        .lines()
        .map(|line| line["{\"group\":".len()..].split(",\"reward\"").next().unwrap())
        .collect();
    assert_eq!(groups, [ids[0], ids[0], ids[1], ids[1], ids[2], ids[2]]);
}

#[test]
fn numbers_do_not_depend_on_the_size_of_micro_batches() {
    let place = workplace("untied");
    let whole = Written::of(place.path(), &["--temperature", "0.7"]);
    let alone = Written::of(place.path(), &["--temperature", "0.7", "--micro-batch-tokens", "1"]);
    let mut differences = Differences::default();
    for name in ["features", "logprobs", "cosine.0"] {
        differences.check(name, &alone.tensor(name), &whole.tensor(name), 1e-5);
    }
}

#[test]
fn projected_gradients_keep_to_their_stated_error_and_depend_on_the_seed_only() {
    let place = workplace("tied");
    let exact = Written::of(place.path(), &["--exact-gradients"]);
    let options = |seed| ["--exact-gradients", "--projection", "256", "--seed", seed];
    let sketches: Vec<Written> =
        ["1", "1", "2"].map(|seed| Written::of(place.path(), &options(seed))).into();
    let name = "gradient_cosine.0";
    assert_eq!(sketches[0].tensor(name), sketches[1].tensor(name));
    assert_ne!(sketches[0].tensor(name), sketches[2].tensor(name));
    // Three standard errors, as the program states them.
    let mut differences = Differences::default();
    for group in 0..4 {
        let name = format!("gradient_cosine.{group}");
        differences.check(
            &name,
            &sketches[0].tensor(&name),
            &exact.tensor(&name),
            3.0 * (2f64 / 256.0).sqrt(),
        );
    }
    differences.print();
    let (_, stdout, _) = score(place.path(), &options("1"));
    assert!(stdout.contains("standard error at most 0.088"), "{stdout}");
}

#[test]
fn gold_answers_stand_in_for_rewards_and_the_last_line_is_json_on_request() {
    let place = common::Workplace::new();
    let line = |response: &str| {
        format!(r#"{{"group": 1, "prompt": "Use", "response": "{response}", "gold": "6"}}"#)
    };
    let text =
        [line(r"\\boxed{6}"), line(r"\\boxed{2*3}"), line(r"\\boxed{7}"), line("6")].join("\n");
    std::fs::write(place.path().join("input.jsonl"), text).unwrap();
    let (status, stdout, stderr) = score(place.path(), &["--json"]);
    assert_eq!(status, 0, "{stderr}");
    let rewards: Vec<Value> = lines(&place.path().join("out/scores.jsonl"))
        .into_iter()
        .map(|l| l["reward"].clone())
        .collect();
    assert_eq!(rewards, [1.0, 1.0, -1.0, -1.0]);
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!((last["responses"].as_u64(), last["groups"].as_u64()), (Some(4), Some(1)));
}

#[test]
fn a_recorded_step_of_a_run_scores_as_it_was_recorded() {
    let place = common::Workplace::new();
    let run = place.run_parity(
        &place
            .parity_experiment(1, "method: G2rl(lambda: 0.7), objective: (kl: (coefficient: 0.0))"),
    );
    std::fs::copy(run.folder.join("rollouts/step_000001.jsonl"), place.path().join("input.jsonl"))
        .unwrap();
    let written = Written::of(place.path(), &["--lambda", "0.7"]);
    let mut differences = Differences::default();
    let recorded = run.rollouts(1);
    for name in ["logprob", "entropy", "novelty", "shaped_reward", "advantage"] {
        let recorded: Vec<f64> = recorded.iter().map(|line| line[name].as_f64().unwrap()).collect();
        differences.check(name, &written.column(name), &recorded, 1e-3);
    }
    differences.print();
}

#[test]
fn a_mark_is_skipped_and_a_slip_in_a_name_is_a_warning() {
    let place = workplace("tied");
    let line = r#"{"group": "g", "prompt": "w1", "response": "w2", "reward": 1, "n": 3"#;
    let text = format!("\u{feff}{line}}}\n{line}, \"prompt_id\": [3]}}\n{line}, \"golds\": 3}}\n");
    std::fs::write(place.path().join("input.jsonl"), text).unwrap();
    let (status, _, stderr) = score(place.path(), &[]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(stderr.matches("warning").count(), 1, "{stderr}");
    for word in ["line 2", "`prompt_id`", "did you mean `prompt_ids`", "input.jsonl"] {
        assert!(stderr.contains(word), "{stderr}");
    }
}

#[test]
fn bad_input_is_refused_before_any_work_with_line_and_remedy() {
    let place = workplace("tied");
    let good = r#"{"group": "g", "prompt": "w1", "response": "w2", "reward": 1}"#;
    for (bad, words) in [
        ("{\"group\": ", &["line 2", "column", "JSON object such as"] as &[&str]),
        ("[1]", &["line 2"]),
        (r#"{"prompt": "w1", "response": "w2", "reward": 1}"#, &["line 2", "`group`"]),
        (
            r#"{"group": [], "prompt": "w1", "response": "w2", "reward": 1}"#,
            &["`group`", "a text or a number"],
        ),
        (
            r#"{"group": "g", "response": "w2", "reward": 1}"#,
            &["`prompt` is missing", "`prompt_ids`"],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "reward": 1}"#,
            &["`response` is missing", "`response_ids`"],
        ),
        (r#"{"group": "g", "prompt": "w1", "response": "w2"}"#, &["`reward`", "`gold`"]),
        (
            r#"{"group": "g", "prompt": "", "response": "w2", "reward": 1}"#,
            &["prompt has no token"],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "response": "", "reward": 1}"#,
            &["response has no token", "leave the line out"],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "response_ids": [], "reward": 1}"#,
            &["response has no token"],
        ),
        (
            r#"{"group": "g", "prompt_ids": [64], "response": "w2", "reward": 1}"#,
            &["token id 64", "vocabulary of 64"],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "response": "w2", "reward": 1, "gold": "3"}"#,
            &["line 2", "`reward`", "`gold`", "both"],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "response": "w2", "gold": " "}"#,
            &["line 2", "`gold` is \" \""],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "response": "w2", "gold": "proof"}"#,
            &["line 2", "`gold` is \"proof\""],
        ),
        (
            r#"{"group": "g", "prompt_ids": [-1], "response": "w2", "reward": 1}"#,
            &["line 2", "column"],
        ),
        (
            r#"{"group": "g", "prompt": "w1", "response": "w2", "reward": 1e60}"#,
            &["line 2", "too large", "-1 and 1"],
        ),
    ] {
        std::fs::write(place.path().join("input.jsonl"), format!("{good}\n{bad}\n")).unwrap();
        let (status, stdout, stderr) = score(place.path(), &[]);
        assert_eq!((status, stdout.as_str()), (2, ""), "{bad}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.trim_end().lines().count() == 1,
            "{stderr}"
        );
        for word in words {
            assert!(stderr.contains(word), "{bad}: {word:?} is not in: {stderr}");
        }
    }
    let long = vec!["w1"; 129].join(" ");
    std::fs::write(
        place.path().join("input.jsonl"),
        format!(r#"{{"group": 1, "prompt": "{long}", "response": "w1", "reward": 1}}"#),
    )
    .unwrap();
    let (status, _, stderr) = score(place.path(), &[]);
    assert!(
        status == 2 && stderr.contains("130 tokens") && stderr.contains("128 positions"),
        "{stderr}"
    );
    std::fs::write(place.path().join("input.jsonl"), "\n\n").unwrap();
    let (status, _, stderr) = score(place.path(), &[]);
    assert!(status == 2 && stderr.contains("no response to score"), "{stderr}");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let place = workplace("tied");
    let line = r#"{"group": "g", "prompt": "w1", "response": "w2", "reward": 1}"#;
    std::fs::write(place.path().join("input.jsonl"), line).unwrap();
    for [option, value, word] in [
        ["--temperature", "0", "between 0.01 and 100"],
        ["--temperature", "101", "between 0.01 and 100"],
        ["--lambda", "-1", "between 0 and 2"],
        ["--lambda", "5", "between 0 and 2"],
        ["--lambda", "-0.5", "between 0 and 2"],
        ["--lambda", "nan", "between 0 and 2"],
        ["--clip", "-3", "greater than 0"],
        ["--clip", "1e-60", "greater than 0"],
        ["--projection", "64", "--exact-gradients"],
        ["--projection", "-64", "16.."],
        ["--seed", "-1", "between 0 and"],
        ["--micro-batch-tokens", "0", "1.."],
        ["--micro-batch-tokens", "-4", "1.."],
        ["--device", "cuda:x", "cuda:0"],
        ["--device", "-1", "cuda:0"],
    ] {
        let (status, _, stderr) = score(place.path(), &[option, value]);
        assert!(
            status == 2 && stderr.contains(option) && stderr.contains(word),
            "{option} {value}: {stderr}"
        );
        assert!(!stderr.contains("unexpected argument"), "{option} {value}: {stderr}");
    }
}
