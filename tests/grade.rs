//! `orthant grade` as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// Runs `orthant grade` on a file with these bytes; returns status, lines of standard output, and
/// standard error.
fn grade(bytes: &[u8], options: &[&str]) -> (i32, Vec<Value>, String) {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("completions.jsonl"), bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["grade", "completions.jsonl"])
        .args(options)
        .current_dir(place.path())
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

#[test]
fn every_line_gets_its_verdict_in_the_order_of_the_input() {
    let cases = [
        (json!(1), "1/2", r"so \boxed{0.5}", None, "correct", json!("0.5")),
        (json!("b"), "1/2", r"so \boxed{0.6}", Some("math"), "incorrect", json!("0.6")),
        (json!({"run": 3}), "1/2", "so 0.5", None, "no_answer", Value::Null),
        (json!(null), "12", r"\boxed{9^{9^{9^9}}}", None, "timed_out", json!("9^{9^{9^9}}")),
        (json!(5), "B", "The answer is (B).", Some("choice"), "correct", json!("B")),
        (json!(6), "B", r"\boxed{\text{C}}", Some("choice"), "incorrect", json!(r"\text{C}")),
        (json!(7), "B", "The answer is a number.", Some("choice"), "no_answer", Value::Null),
        (json!(8), "x>2", r"\boxed{(2,\infty)}", None, "correct", json!(r"(2,\infty)")),
        (json!(9), r"(2,\infty)", r"\boxed{x>2}", None, "incorrect", json!("x>2")),
    ];
    let mut input = String::new();
    for (id, gold, completion, format, ..) in &cases {
        let mut object =
            json!({"id": id, "gold": gold, "completion": completion, "model": "ignored"});
        if let Some(format) = format {
            object["format"] = json!(format);
        }
        input.push_str(&line(&object));
        input.push('\n');
    }
    let (status, lines, stderr) = grade(input.as_bytes(), &["--json"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(lines.len(), cases.len() + 1);
    for ((id, _, completion, _, verdict, extracted), line) in cases.iter().zip(&lines) {
        assert_eq!(
            *line,
            json!({"id": id, "verdict": verdict, "extracted": extracted}),
            "{completion}"
        );
    }
    assert_eq!(
        lines[cases.len()],
        json!({"lines": 9, "correct": 3, "incorrect": 3, "no_answer": 2, "timed_out": 1})
    );
    assert!(stderr.starts_with("9 lines: 3 correct"), "{stderr}");
}

#[test]
fn numbers_keep_all_their_digits() {
    let input = r#"{"id": 12345678901234567890123, "gold": 1180591620717411303424, "completion": "\\boxed{1180591620717411303424}"}
{"id": 2, "gold": 1180591620717411303424, "completion": "\\boxed{1180591620717411303425}"}
{"id": 3, "gold": 0.50, "completion": "\\boxed{\\frac{1}{2}}"}
"#;
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("a.jsonl"), input).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    let output = command.args(["grade", "a.jsonl"]).current_dir(place.path()).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.starts_with(r#"{"id":12345678901234567890123,"verdict":"correct""#), "{lines}");
    let verdicts: Vec<bool> =
        lines.lines().map(|line| line.contains(r#""verdict":"correct""#)).collect();
    assert_eq!(verdicts, [true, false, true]);
}

#[test]
fn the_file_of_completions_is_graded_as_it_says() {
    let text = include_str!("fixtures/completions.jsonl");
    let (status, lines, stderr) = grade(text.as_bytes(), &[]);
    assert_eq!(status, 0, "{stderr}");
    let expected: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), expected.len());
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (expected, graded) in expected.iter().zip(&lines) {
        assert_eq!(graded["verdict"], expected["verdict"], "{expected}");
        *kinds.entry(expected["id"].as_str().unwrap()).or_default() += 1;
    }
    eprintln!("{} completions: {kinds:?}", expected.len());
}

#[test]
fn more_lines_than_one_chunk_holds_keep_their_order() {
    let input: String = (0..10_000)
        .map(|id| {
            line(&json!({"id": id, "gold": "7", "completion": format!(r"\boxed{{{}}}", id % 10)}))
        })
        .collect();
    let (status, lines, _) = grade(input.as_bytes(), &[]);
    assert_eq!((status, lines.len()), (0, 10_000));
    for (id, line) in lines.iter().enumerate() {
        let verdict = if id % 10 == 7 { "correct" } else { "incorrect" };
        assert_eq!(
            *line,
            json!({"id": id, "verdict": verdict, "extracted": (id % 10).to_string()})
        );
    }
}

#[test]
fn bad_lines_are_refused_by_number_before_any_verdict() {
    let good = line(&json!({"id": 1, "gold": "1", "completion": r"\boxed{1}"}));
    for (bad, words) in [
        ("{", &["EOF"] as &[&str]),
        ("no json", &["column"]),
        ("[1]", &["a line is a JSON object"]),
        (r#"{"gold": "1", "completion": "1"}"#, &["`id`"]),
        (r#"{"id": 1, "completion": "1"}"#, &["`gold`"]),
        (r#"{"id": 1, "gold": "1"}"#, &["`completion`"]),
        (r#"{"id": 1, "gold": [1], "completion": "1"}"#, &["a text or a number"]),
        (
            r#"{"id": 1, "gold": "1", "completion": "1", "format": "essay"}"#,
            &["`essay`", "`math`", "`choice`"],
        ),
        (
            r#"{"id": 1, "gold": "Z", "completion": "1", "format": "choice"}"#,
            &["`gold` is \"Z\"", "A to J"],
        ),
    ] {
        let input = format!("{}\n{bad}\n{good}", good.repeat(4999));
        let (status, lines, stderr) = grade(input.as_bytes(), &["--json"]);
        assert_eq!((status, lines.len()), (2, 0), "{bad}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
        for word in [&["line 5001", "completions.jsonl"], words].concat() {
            assert!(stderr.contains(word), "{word} is not in: {stderr}");
        }
    }
    for empty in ["", "\n \n"] {
        let (status, _, stderr) = grade(empty.as_bytes(), &[]);
        assert!(status == 2 && stderr.contains("nothing to grade"), "{stderr}");
    }
}

#[test]
fn a_mark_is_skipped_and_a_slip_in_a_name_is_a_warning() {
    let plain = line(&json!({"id": 1, "gold": "1", "completion": r"\boxed{1}", "model": "m"}));
    let (status, lines, stderr) = grade(format!("\u{feff}{plain}").as_bytes(), &[]);
    assert_eq!((status, lines.len()), (0, 1), "{stderr}");
    assert!(lines[0]["verdict"] == "correct" && !stderr.contains("warning"), "{stderr}");
    let (status, _, stderr) = grade(format!("{plain}\u{feff}{plain}").as_bytes(), &[]);
    assert!(status == 2 && stderr.contains("line 2"), "{stderr}");
    let slip = line(&json!({"id": 1, "gold": "B", "completion": "B", "formt": "choice"}));
    let (status, lines, stderr) = grade([plain, slip.clone(), slip].concat().as_bytes(), &[]);
    assert_eq!((status, lines.len()), (0, 3), "{stderr}");
    assert_eq!(stderr.matches("warning").count(), 1, "{stderr}");
    for word in ["line 2", "`formt`", "did you mean `format`", "completions.jsonl"] {
        assert!(stderr.contains(word), "{stderr}");
    }
}

#[test]
fn a_missing_file_and_a_folder_are_refused() {
    for path in ["missing.jsonl", "."] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_orthant")).args(["grade", path]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && stderr.contains(path), "{stderr}");
    }
}

#[test]
fn a_megabyte_in_a_box_is_graded() {
    let input: String = [r"9^{", "(", "1,", r"\frac", "x"]
        .iter()
        .map(|piece| line(&json!({"id": piece, "gold": "12", "completion": format!(r"\boxed{{{}}}", piece.repeat((1 << 20) / piece.len()))})))
        .collect();
    let (status, lines, stderr) = grade(input.as_bytes(), &[]);
    assert_eq!((status, lines.len()), (0, 5), "{stderr}");
    assert!(lines.iter().all(|line| line["verdict"] != "correct"), "{lines:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn odd_bytes_are_graded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in r#"(\\\\|"|\PC|\{|\}){0,60}"#) {
        let (status, _, stderr) = grade(&bytes, &[]);
        prop_assert!(status == 2, "{} {}", status, stderr);
        let (status, lines, stderr) = grade(line(&json!({"id": 1, "gold": text, "completion": format!(r"\boxed{{{text}}}")})).as_bytes(), &[]);
        prop_assert!(status == 0 && lines.len() == 1, "{} {}", status, stderr);
    }
}
