//! `orthant eval`, and training on data sets, with a tiny random model and the bundled one.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{Workplace, json, lines};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Runs the program in `place`; returns exit status, standard output and standard error.
fn orthant(place: &Workplace, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(arguments)
        .current_dir(place.path())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Evaluates with these arguments, which must succeed; returns standard output.
fn eval(place: &Workplace, arguments: &[&str]) -> String {
    let (status, stdout, stderr) =
        orthant(place, &[&["eval", "--device", "cpu"], arguments].concat());
    assert_eq!(status, 0, "{stderr}");
    stdout
}

/// The arguments of an evaluation of the tiny model on a suite, and more.
fn on<'a>(suite: &'a str, samples: &'a str, new_tokens: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let model = ["--model", "model", "--suite", suite];
    let much = ["--samples", samples, "--max-new-tokens", new_tokens];
    [&model[..], &much, more].concat()
}

fn read(place: &Workplace, file: &str) -> String {
    std::fs::read_to_string(place.path().join(file)).unwrap()
}

/// Twelve little problems with subjects and levels.
fn write_suite(place: &Workplace, name: &str) {
    let rows: Vec<String> = (0..12)
        .map(|n| {
            let subject = if n % 3 == 0 { "sums" } else { "products" };
            json!({ "id": format!("p{n}"), "problem": format!("{n} and {n}?"), "answer": n.to_string(), "subject": subject, "level": n % 2 + 1 })
            .to_string()
        })
        .collect();
    std::fs::write(place.path().join(name), rows.join("\n")).unwrap();
}

#[test]
fn an_evaluation_says_what_its_samples_say() {
    let place = Workplace::new();
    let arguments =
        ["--model", "countdown", "--suite", "countdown", "--samples", "6", "--limit", "10"];
    let more = ["--max-new-tokens", "64", "--k", "1,2", "--seed", "3", "--out", "out", "--json"];
    let stdout = eval(&place, &[&arguments[..], &more].concat());
    let result = json(&place.path().join("out/eval.json"));
    let samples = lines(&place.path().join("out/samples.jsonl"));
    assert_eq!(
        (result["problems"].clone(), result["samples"].clone(), samples.len()),
        (json!(10), json!(6), 60)
    );

    let mut problems: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (number, line) in samples.iter().enumerate() {
        assert_eq!(line["sample"], number % 6);
        assert_eq!(line["answer_class"].is_null(), line["extracted"].is_null());
        assert_eq!(line["extracted"].is_null(), line["verdict"] == "no_answer");
        problems.entry(line["problem"].as_str().unwrap()).or_default().push(line);
    }
    assert_eq!(problems.len(), 10);
    let correct =
        |lines: &[&Value]| lines.iter().filter(|line| line["verdict"] == "correct").count() as f64;
    let mean = |of: &dyn Fn(&[&Value]) -> f64| {
        problems.values().map(|lines| of(lines)).sum::<f64>() / 10.0
    };
    let accuracy = mean(&|lines| correct(lines) / 6.0);
    assert!(accuracy > 0.0 && accuracy < 1.0, "the test needs right and wrong answers");
    // Of all pairs of samples, those in which one is right.
    let pass_at_2 = mean(&|lines| {
        let pairs: Vec<f64> = (0..6)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| correct(&[lines[i], lines[j]]).min(1.0))
            .collect();
        pairs.iter().sum::<f64>() / pairs.len() as f64
    });
    let majority = mean(&|lines| {
        let mut votes: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
        for line in lines.iter().filter(|line| !line["answer_class"].is_null()) {
            votes.entry(line["answer_class"].as_u64().unwrap()).or_default().push(line);
        }
        let most = votes.values().map(Vec::len).max().unwrap_or(0);
        let tied: Vec<f64> = votes
            .values()
            .filter(|lines| lines.len() == most)
            .map(|lines| correct(&lines[..1]))
            .collect();
        tied.iter().sum::<f64>() / tied.len().max(1) as f64
    });
    for (name, expected) in
        [("pass@1", accuracy), ("pass@2", pass_at_2), ("maj@6", majority), ("mean@6", accuracy)]
    {
        let estimate = |part: &str| result[name][part].as_f64().unwrap();
        assert!((estimate("value") - expected).abs() < 1e-12, "{name}: {result}");
        assert!(
            estimate("low") <= estimate("value") && estimate("value") <= estimate("high"),
            "{name}: {result}"
        );
    }
    let length = samples.iter().map(|line| line["length"].as_f64().unwrap()).sum::<f64>() / 60.0;
    assert!((result["length_mean"].as_f64().unwrap() - length).abs() < 1e-9);
    // The last line of standard output says the same, and the table before it is for people.
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["maj@6"], result["maj@6"]);
    assert!(last["tokens_per_s"].as_f64().unwrap() > 0.0);
    let table = format!(
        "{:.1} [{:.1}, ",
        100.0 * accuracy,
        100.0 * result["pass@1"]["low"].as_f64().unwrap()
    );
    assert!(stdout.contains("pass@2") && stdout.contains(&table), "{stdout}");
}

#[test]
fn neither_batches_nor_a_kill_change_a_byte() {
    let place = Workplace::new();
    write_suite(&place, "suite.jsonl");
    let run = |out: &str, rows: &str| {
        let more = ["--temperature", "1.2", "--rows", rows, "--out", out];
        eval(&place, &on("suite.jsonl", "3", "20", &more))
    };
    run("whole", "512");
    run("single", "1");
    for file in ["samples.jsonl", "eval.json"] {
        assert_eq!(
            read(&place, &format!("whole/{file}")),
            read(&place, &format!("single/{file}")),
            "{file}"
        );
    }
    let samples = read(&place, "whole/samples.jsonl");
    let ends: Vec<usize> = samples.match_indices('\n').map(|(at, _)| at + 1).collect();
    // Killed within a line, within a problem, between problems, before the first and after the
    // last.
    for (number, cut) in [ends[7] + 9, ends[10], ends[5], 0, samples.len()].into_iter().enumerate()
    {
        let out = format!("killed{number}");
        let folder = place.path().join(&out);
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(place.path().join("whole/settings.json"), folder.join("settings.json"))
            .unwrap();
        std::fs::write(folder.join("samples.jsonl"), &samples[..cut]).unwrap();
        let stdout = run(&out, "5");
        let there = ends.iter().filter(|end| **end <= cut).count() / 3;
        assert_eq!(
            stdout.contains(&format!("({there} problems were there already)")),
            there > 0,
            "{stdout}"
        );
        for file in ["samples.jsonl", "eval.json"] {
            assert_eq!(
                read(&place, &format!("whole/{file}")),
                read(&place, &format!("{out}/{file}")),
                "{cut} {file}"
            );
        }
    }
    let other = on("suite.jsonl", "3", "20", &["--out", "whole", "--seed", "1"]);
    let (status, _, stderr) = orthant(&place, &[&["eval"], &other[..]].concat());
    assert!(
        status == 2 && stderr.contains("other settings") && stderr.contains("--out"),
        "{stderr}"
    );
}

#[test]
fn an_evaluation_that_is_killed_goes_on_to_the_same_bytes() {
    let place = Workplace::new();
    write_suite(&place, "suite.jsonl");
    let arguments = on("suite.jsonl", "3", "100", &["--rows", "1"]);
    eval(&place, &[&arguments[..], &["--out", "whole"]].concat());
    let mut child = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["eval", "--device", "cpu", "--out", "killed"])
        .args(&arguments)
        .current_dir(place.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let samples = place.path().join("killed/samples.jsonl");
    while !std::fs::metadata(&samples).is_ok_and(|metadata| metadata.len() > 0)
        && child.try_wait().unwrap().is_none()
    {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().ok();
    child.wait().unwrap();
    eval(&place, &[&arguments[..], &["--out", "killed"]].concat());

    // Stopped while the settings were written, and within a character of a sample.
    std::fs::create_dir(place.path().join("early")).unwrap();
    std::fs::write(place.path().join("early/settings.json"), "{\n  \"sui").unwrap();
    eval(&place, &[&arguments[..], &["--out", "early"]].concat());
    std::fs::create_dir(place.path().join("character")).unwrap();
    std::fs::copy(
        place.path().join("whole/settings.json"),
        place.path().join("character/settings.json"),
    )
    .unwrap();
    let text = read(&place, "whole/samples.jsonl");
    let six: usize = text.split_inclusive('\n').take(6).map(str::len).sum();
    let cut = [&text.as_bytes()[..six], b"{\"problem\":\"p2\",\"completion\":\"\xc3"].concat();
    std::fs::write(place.path().join("character/samples.jsonl"), cut).unwrap();
    let stdout = eval(&place, &[&arguments[..], &["--out", "character"]].concat());
    assert!(stdout.contains("(2 problems were there already)"), "{stdout}");
    for out in ["killed", "early", "character"] {
        for file in ["settings.json", "samples.jsonl", "eval.json"] {
            assert_eq!(
                read(&place, &format!("whole/{file}")),
                read(&place, &format!("{out}/{file}")),
                "{out} {file}"
            );
        }
    }
}

#[test]
fn results_stand_by_subject_and_level_too() {
    let place = Workplace::new();
    write_suite(&place, "suite.jsonl");
    let stdout = eval(&place, &on("suite.jsonl", "2", "8", &["--out", "out"]));
    let result = json(&place.path().join("out/eval.json"));
    assert_eq!(result["suite"], "suite");
    assert_eq!(result["subjects"]["sums"]["problems"], 4);
    assert_eq!(result["subjects"]["products"]["problems"], 8);
    assert_eq!(result["levels"]["2"]["problems"], 6);
    assert!(result["levels"]["1"]["maj@2"]["value"].is_number());
    assert!(stdout.contains("products") && stdout.contains("level 2"), "{stdout}");
}

#[test]
fn the_prompt_is_the_problem_or_what_the_chat_template_makes_of_it() {
    let place = Workplace::new();
    write_suite(&place, "suite.jsonl");
    let run = |out: &str, template: &[&str]| {
        let more = [&["--limit", "3", "--out", out], template].concat();
        eval(&place, &on("suite.jsonl", "2", "8", &more));
        read(&place, &format!("{out}/samples.jsonl"))
    };
    let plain = run("plain", &[]);
    // White space belongs to a prompt: a newline at its end is a token like any other.
    let suite = read(&place, "suite.jsonl");
    std::fs::write(
        place.path().join("suite.jsonl"),
        suite.replace("?\"", "?\\n\"").replace("problem", "prompt"),
    )
    .unwrap();
    assert_ne!(run("newline", &[]), plain);
    std::fs::write(place.path().join("newline.jinja"), "{{ problem }}\n\n").unwrap();
    std::fs::write(place.path().join("suite.jsonl"), &suite).unwrap();
    assert_eq!(
        run("template", &["--template", "newline.jinja"]),
        read(&place, "newline/samples.jsonl")
    );
    std::fs::write(place.path().join("same.jinja"), "{{ problem }}").unwrap();
    assert_eq!(run("file", &["--template", "same.jinja"]), plain);
    std::fs::write(
        place.model().join("chat_template.jinja"),
        "{% for m in messages[1:] %}<{{ m.content }}>{% endfor %}",
    )
    .unwrap();
    let chat = run("chat", &[]);
    assert_ne!(chat, plain);
    std::fs::write(place.path().join("same.jinja"), "<{{ problem }}>").unwrap();
    assert_eq!(run("file2", &["--template", "same.jinja"]), chat);
    assert_eq!(run("plain2", &["--template", "plain"]), plain);
}

#[test]
fn bad_input_is_refused_before_any_work() {
    let place = Workplace::new();
    write_suite(&place, "suite.jsonl");
    std::fs::write(
        place.path().join("bad.jsonl"),
        "{\"problem\": \"p\", \"answer\": \"1\"}\n{\"problem\": ",
    )
    .unwrap();
    std::fs::write(place.path().join("bad.csv"), "text,label\nx,1\n").unwrap();
    for (name, content) in [
        ("bad.jinja", "a\n{% if %}"),
        ("empty.jinja", ""),
        (
            "endless.jinja",
            "\n{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        ),
        ("flag.jinja", "{{ problem }}{{ flag }}"),
    ] {
        std::fs::write(place.path().join(name), content).unwrap();
    }
    for (arguments, words) in [
        (
            &["--suite", "math50"] as &[&str],
            &["`math50`", "did you mean `MATH500`", "countdown"] as &[&str],
        ),
        (&["--suite", "bad.jsonl"], &["line 2", "bad.jsonl"]),
        (&["--suite", "bad.csv"], &["among text, label", "bad.csv"]),
        (&["--suite", "suite.jsonl", "--template", "bad.jinja"], &["bad.jinja, line 2"]),
        (&["--suite", "suite.jsonl", "--template", "chat"], &["has none"]),
        (&["--suite", "suite.jsonl", "--k", "1,17"], &["--k 17", "--samples 16"]),
        (&["--suite", "suite.jsonl", "--k", "0"], &["--k", "1..=4096"]),
        (&["--suite", "suite.jsonl", "--k", "-1"], &["--k", "1..=4096"]),
        (&["--suite", "suite.jsonl", "--samples", "0"], &["--samples"]),
        (&["--suite", "suite.jsonl", "--samples", "-4"], &["--samples", "1..=4096"]),
        (
            &["--suite", "suite.jsonl", "--temperature", "-1"],
            &["--temperature", "between 0 and 100"],
        ),
        (&["--suite", "suite.jsonl", "--max-new-tokens", "-1"], &["--max-new-tokens", "1..="]),
        (&["--suite", "suite.jsonl", "--limit", "-1"], &["--limit", "1..="]),
        (&["--suite", "suite.jsonl", "--rows", "-1"], &["--rows", "1..="]),
        (&["--suite", "suite.jsonl", "--seed", "-1"], &["--seed", "between 0 and"]),
        (&["--suite", "suite.jsonl", "--device", "-1"], &["--device", "cuda:0"]),
        (
            &["--suite", "suite.jsonl", "--max-new-tokens", "1000"],
            &["128 positions", "--max-new-tokens 1000"],
        ),
        (
            &["--suite", "suite.jsonl", "--max-new-tokens", "127"],
            &["12 of the 12 problems of suite are left out", "suite.jsonl"],
        ),
        (
            &["--suite", "suite.jsonl", "--template", "empty.jinja"],
            &["the prompt of the problem", "has no text", "empty.jinja"],
        ),
        (
            &["--suite", "suite.jsonl", "--template", "endless.jinja"],
            &["too many steps", "endless.jinja, line 2"],
        ),
        (
            &["--suite", "suite.jsonl", "--template", "flag.jinja", "--template-variable", "flg=1"],
            &["`flg`, which the template flag.jinja does not read; did you mean `flag`?"],
        ),
        (&["--suite", "suite.jsonl", "--template-variable", "flag"], &["NAME=VALUE"]),
        (&["--suite", "countdown", "--template-variable", "flag=1"], &["--template-variable"]),
        (&["--suite", "countdown", "--template", "plain"], &["--template"]),
    ] {
        let all = [&["eval", "--model", "model", "--out", "out"], arguments].concat();
        let (status, stdout, stderr) = orthant(&place, &all);
        assert!(
            status == 2 && stdout.is_empty() && stderr.trim_end().lines().count() == 1,
            "{arguments:?}: {stderr}"
        );
        assert!(words.iter().all(|word| stderr.contains(word)), "{arguments:?}: {stderr}");
        assert!(!place.path().join("out/samples.jsonl").exists());
    }
}

#[test]
fn data_that_cannot_be_used_is_refused_and_says_why() {
    let place = Workplace::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
    let parquet = std::fs::read(fixture).unwrap();
    let cases: [(&str, &[u8], &[&str]); 11] = [
        ("columns.csv", b"text,label\nx,1\n", &["no column for a problem", "among text, label"]),
        (
            "columns.jsonl",
            b"{\"problem\": \"p\", \"result\": 1}",
            &["no column for an answer", "among problem, result"],
        ),
        (
            "null.jsonl",
            b"{\"problem\": \"p\", \"answer\": null}",
            &["1 of the 1 problems of null are left out because they have no answer"],
        ),
        ("cut.parquet", &parquet[..parquet.len() / 2], &["not a Parquet file that can be read"]),
        ("quote.csv", b"problem,answer\n\"p,1\nq,2\n", &["a quotation mark has no partner"]),
        (
            "fields.csv",
            b"problem,answer\np,1,2\n",
            &["line 2: not valid CSV: 3 fields where the first line has 2"],
        ),
        ("empty.jsonl", b"", &["the data set has no row"]),
        ("empty.json", b"", &["not valid JSON"]),
        ("empty.csv", b"", &["the data set has no row"]),
        ("empty.parquet", b"", &["not a Parquet file that can be read"]),
        ("bytes.jsonl", b"{\"problem\": \"\xff\", \"answer\": \"1\"}", &["UTF-8"]),
    ];
    for (name, content, words) in cases {
        std::fs::write(place.path().join(name), content).unwrap();
        let source = format!("task=Dataset(source: Local({name:?}))");
        std::fs::write(
            place.path().join("experiment.ron"),
            "Experiment(name: \"data\", model: Local(\"model\"), device: Cpu, \
             task: Countdown(numbers: 3), stop: (steps: 1))",
        )
        .unwrap();
        for arguments in [
            &["eval", "--model", "model", "--out", "out", "--suite", name] as &[&str],
            &["run", "experiment.ron", "--headless", "--set", &source],
        ] {
            let (status, stdout, stderr) = orthant(&place, arguments);
            assert!(
                status == 2 && stdout.is_empty() && stderr.trim_end().lines().count() == 1,
                "{name}: {stderr}"
            );
            assert!(
                stderr.contains(name) && words.iter().all(|word| stderr.contains(word)),
                "{name}: {stderr}"
            );
        }
    }
    let source = "task=Dataset(source: Local(\"missing.jsonl\"))";
    let (status, _, stderr) =
        orthant(&place, &["run", "experiment.ron", "--headless", "--set", source]);
    assert!(
        status == 2 && stderr.contains("cannot be read") && stderr.contains("missing.jsonl"),
        "{stderr}"
    );
    // What other programs write is read: a byte order mark, carriage returns, empty lines.
    let same: [(&str, &[u8]); 4] = [
        ("plain.csv", b"problem,answer\n1 and 1?,2\n"),
        ("marked.csv", b"\xef\xbb\xbfProblem,Answer\r\n1 and 1?,2\r\n\r\n"),
        ("marked.jsonl", b"\xef\xbb\xbf{\"problem\": \"1 and 1?\", \"answer\": 2}\r\n\r\n"),
        ("marked.json", b"\xef\xbb\xbf[{\"prompt\": \"1 and 1?\", \"answer\": \"2\"}]\r\n"),
    ];
    for (name, content) in same {
        std::fs::write(place.path().join(name), content).unwrap();
        let out = format!("out-{name}");
        eval(&place, &on(name, "2", "8", &["--out", &out]));
        assert_eq!(
            read(&place, &format!("{out}/samples.jsonl")),
            read(&place, "out-plain.csv/samples.jsonl"),
            "{name}"
        );
    }
}

#[test]
fn a_suite_of_choices_leaves_out_answers_that_are_not_letters() {
    let place = Workplace::new();
    let suite = |answers: &[&str]| {
        let row = |answer: &&str| json!({"problem": "Which one?", "answer": answer}).to_string();
        let rows: Vec<String> = answers.iter().map(row).collect();
        std::fs::write(place.path().join("s.jsonl"), rows.join("\n")).unwrap();
        let more = ["--verifier", "choice", "--device", "cpu", "--out", "out"];
        orthant(&place, &[&["eval"], &on("s.jsonl", "1", "4", &more)[..]].concat())
    };
    let (status, _, stderr) = suite(&["2", "3", "4"]);
    assert_eq!((status, stderr.trim_end().lines().count()), (2, 1), "{stderr}");
    for word in ["3 of the 3 problems", "`verifier` is Choice", "such as 0: 2", "s.jsonl"] {
        assert!(stderr.contains(word), "{stderr}");
    }
    let (status, _, stderr) = suite(&["B", "7"]);
    assert_eq!(status, 0, "{stderr}");
    assert!(stderr.contains("1 of the 2 problems") && stderr.contains("such as 1: 7"), "{stderr}");
    assert_eq!(json(&place.path().join("out/eval.json"))["problems"], 1);
}

#[test]
fn variables_reach_the_template_and_are_recorded() {
    let place = Workplace::new();
    write_suite(&place, "suite.jsonl");
    std::fs::write(
        place.path().join("t.jinja"),
        "{{ problem }}{% if flag is false %} off{% endif %}{{ words|join }}",
    )
    .unwrap();
    let common = on("suite.jsonl", "1", "4", &["--limit", "2"]);
    let with = [
        "--template",
        "t.jinja",
        "--template-variable",
        "flag=false",
        "--template-variable",
        "words=[\"a\", 1]",
    ];
    eval(&place, &[&common[..], &with, &["--out", "out"]].concat());
    for name in ["eval.json", "settings.json"] {
        let written = json(&place.path().join("out").join(name));
        assert_eq!(
            written["template_variables"],
            json!({"flag": false, "words": ["a", 1]}),
            "{name}"
        );
    }
    // Another value is another evaluation.
    let other = [
        "--template",
        "t.jinja",
        "--template-variable",
        "flag=true",
        "--template-variable",
        "words=[]",
    ];
    let (status, _, stderr) =
        orthant(&place, &[&["eval"], &common[..], &other, &["--out", "out"]].concat());
    assert!(status == 2 && stderr.contains("other settings"), "{stderr}");
    let none = ["--template", "plain", "--out", "out"];
    let (status, _, stderr) = orthant(&place, &[&["eval"], &common[..], &none].concat());
    assert!(
        status == 2 && stderr.contains("template_variables was {") && stderr.contains("is {}"),
        "{stderr}"
    );
    // A template with other words that gives the same prompts is another one, as is a tokenizer
    // with other settings.
    let path = |name: &str| place.path().join(name);
    let inputs = |out: &str| {
        eval(&place, &[&common[..], &with, &["--out", out]].concat());
        json(&path(out).join("settings.json"))["inputs"].as_object().unwrap().clone()
    };
    let differ = |from: &Map<String, Value>, to: &Map<String, Value>| -> Vec<String> {
        assert!(from.keys().eq(to.keys()));
        from.keys().filter(|name| from[*name] != to[*name]).cloned().collect()
    };
    let first = inputs("first");
    std::fs::write(path("t.jinja"), read(&place, "t.jinja") + "{# the same #}").unwrap();
    let template = inputs("template");
    assert_eq!(differ(&first, &template), ["the template"]);
    assert_eq!(read(&place, "template/samples.jsonl"), read(&place, "first/samples.jsonl"));
    let mut tokenizer = json(&path("model/tokenizer.json"));
    let token = &mut tokenizer["added_tokens"][0]["lstrip"];
    *token = (!token.as_bool().unwrap()).into();
    std::fs::write(path("model/tokenizer.json"), tokenizer.to_string()).unwrap();
    assert_eq!(differ(&template, &inputs("tokenizer")), ["the model's tokenizer"]);
}

#[test]
fn a_long_problem_is_left_out_and_a_long_subject_cut() {
    let place = Workplace::new();
    let long = "and ".repeat(200);
    let subject = "s".repeat(70_000);
    let lines = [
        json!({"problem": long, "answer": "1", "id": "long", "subject": "x\u{1b}[2J"}),
        json!({"problem": "1 and 1?", "answer": "2", "subject": subject, "level": "\u{1b}[2J"}),
        json!({"problem": "2 and 2?", "answer": "4", "subject": "short"}),
    ];
    let text = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    std::fs::write(place.path().join("suite.jsonl"), text).unwrap();
    let arguments = on("suite.jsonl", "1", "4", &["--out", "out"]);
    let (status, stdout, stderr) = orthant(&place, &[&["eval"], &arguments[..]].concat());
    assert_eq!(status, 0, "{stderr}");
    assert!(stderr.contains(
        "warning: 1 of the 3 problems of suite are left out because their prompts have more than \
         124 tokens"
    ));
    assert!(stderr.contains("such as long with"), "{stderr}");
    assert!(
        stdout.lines().all(|line| line.chars().count() < 200) && !stdout.contains('\u{1b}'),
        "{stdout}"
    );
    let result = json(&place.path().join("out/eval.json"));
    assert_eq!(
        (&result["problems"], result["subjects"].as_object().unwrap().len()),
        (&json!(2), 2)
    );
    assert!(result["subjects"].get(&subject).is_some(), "the file has the whole name");
}

/// A run folder's path, from the last line of `orthant run --json`.
fn run_folder(stdout: &str) -> String {
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    last["run"].as_str().unwrap().to_string()
}

#[test]
fn a_model_trains_on_a_file_of_problems_and_is_measured_on_another() {
    let place = Workplace::new();
    write_suite(&place, "train.jsonl");
    std::fs::write(place.path().join("test.csv"), "question,answer\n100 and 100?,25\n9 and 9?,9\n")
        .unwrap();
    std::fs::write(place.path().join("t.jinja"), "{{ problem }}").unwrap();
    std::fs::write(
        place.path().join("experiment.ron"),
        "Experiment(name: \"data\", model: Local(\"model\"), device: Cpu,
            task: Dataset(source: Local(\"train.jsonl\"), template: \"t.jinja\", held_out: Share(0.25)),
            rollout: (prompts_per_step: 2, group_size: 2, max_new_tokens: 8),
            evaluations: [(suite: HeldOut(problems: 3), samples: 2, k: [1, 2]), (suite: File(path: \"test.csv\", template: \"t.jinja\"), samples: 2, k: [1])],
            stop: (steps: 3), record: (checkpoint_every: 2))",
    )
    .unwrap();
    let (status, stdout, stderr) =
        orthant(&place, &["run", "experiment.ron", "--headless", "--json"]);
    assert_eq!(status, 0, "{stderr}");
    let folder = run_folder(&stdout);
    let folder = place.path().join(folder);
    let evaluations = lines(&folder.join("evals.jsonl"));
    assert_eq!(evaluations.len(), 4, "two suites, before and after");
    assert_eq!(
        (&evaluations[1]["suite"], &evaluations[1]["problems"]),
        (&json!("test"), &json!(2))
    );
    assert!(evaluations.iter().all(|record| record["maj@2"]["value"].is_number()));
    // 9 and 9? is trained on; of the twelve problems the share of a quarter happens to keep out
    // six.
    let warnings: Vec<_> = lines(&folder.join("events.jsonl"))
        .into_iter()
        .filter(|event| event["kind"] == "warning")
        .collect();
    let text = warnings
        .iter()
        .map(|event| event["text"].as_str().unwrap())
        .find(|text| text.contains("overlap"))
        .unwrap();
    assert!(
        text.contains("1 of the 2 problems of test (50.0 %)") && text.contains("9 and 9?"),
        "{text}"
    );
    // What is trained on is not what is held out, and no problem comes twice before all have come.
    let trained: Vec<String> = (1..=3)
        .flat_map(|step| lines(&folder.join(format!("rollouts/step_{step:06}.jsonl"))))
        .filter(|line| line["sample"] == 0)
        .map(|line| line["problem"].as_str().unwrap().to_string())
        .collect();
    let mut distinct = trained.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((trained.len(), distinct.len()), (6, 6), "{trained:?}");
    let resolved = std::fs::read_to_string(folder.join("experiment.ron")).unwrap();
    let absolute = place.path().canonicalize().unwrap().join("train.jsonl").display().to_string();
    assert!(resolved.contains(&absolute), "{resolved}");
    let absolute = place.path().canonicalize().unwrap().join("t.jinja").display().to_string();
    assert_eq!(resolved.matches(&absolute).count(), 2, "{resolved}");

    let (status, stdout, stderr) = orthant(
        &place,
        &[
            "run",
            "--resume",
            folder.to_str().unwrap(),
            "--headless",
            "--json",
            "--set",
            "stop.steps=4",
        ],
    );
    assert_eq!(status, 0, "{stderr}");
    assert!(stdout.lines().last().unwrap().contains("\"step\":4"), "{stdout}");
}

#[test]
fn the_smoke_experiment_trains_on_the_real_problems() {
    let Some(data) = std::env::var_os("ORTHANT_DATA") else {
        eprintln!("skipped: ORTHANT_DATA is not set");
        return;
    };
    let data = Path::new(&data).canonicalize().unwrap();
    let place = Workplace::new();
    // Every byte is a token of the tiny model, so problems are long.
    let config = place.model().join("config.json");
    let mut shape = json(&config);
    shape["max_position_embeddings"] = 16384.into();
    std::fs::write(&config, shape.to_string()).unwrap();
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/math_smoke.ron");
    let source =
        format!("task.source=Local({:?})", data.join("math_train.parquet").display().to_string());
    let arguments = [
        "run",
        experiment.to_str().unwrap(),
        "--headless",
        "--json",
        "--set",
        "model=Local(\"model\")",
        "--set",
        &source,
    ];
    let smaller =
        ["--set", "stop.steps=2", "--set", "rollout.max_new_tokens=16", "--device", "cpu"];
    let suite = format!(
        "evaluations=[(suite: File(path: {:?}, problems: 4), samples: 2, k: [1])]",
        data.join("math500.json").display().to_string()
    );
    let (status, stdout, stderr) =
        orthant(&place, &[&arguments[..], &smaller, &["--set", &suite]].concat());
    assert_eq!(status, 0, "{stderr}");
    let folder = place.path().join(run_folder(&stdout));
    let prompt = lines(&folder.join("rollouts/step_000001.jsonl"))[0]["prompt"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(
        prompt.starts_with("<|im_start|>system\nPlease reason step by step")
            && prompt.ends_with("<|im_start|>assistant\n")
    );
    assert_eq!(lines(&folder.join("evals.jsonl")).last().unwrap()["suite"], "math500");
}
