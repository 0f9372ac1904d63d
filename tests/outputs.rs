//! What commands write: whole or not at all, by one process at a time, and never over what is not
//! theirs.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{Workplace, json, lines, wait_until};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn command(place: &Workplace, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command.args(arguments).current_dir(place.path());
    command
}

fn orthant(place: &Workplace, arguments: &[&str]) -> (i32, String) {
    let output = command(place, arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn well(place: &Workplace, arguments: &[&str]) -> String {
    let (status, stderr) = orthant(place, arguments);
    assert_eq!(status, 0, "{arguments:?}: {stderr}");
    stderr
}

/// Refused with status 2 and these words, in one paragraph.
#[track_caller]
fn refused(place: &Workplace, arguments: &[&str], words: &[&str]) {
    let (status, stderr) = orthant(place, arguments);
    assert!(
        status == 2 && stderr.trim_end().lines().count() == 1,
        "{arguments:?}: {status} {stderr}"
    );
    assert!(words.iter().all(|word| stderr.contains(word)), "{words:?} in {stderr}");
}

fn start(place: &Workplace, arguments: &[&str]) -> Child {
    command(place, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut child: Child) {
    child.kill().ok();
    child.wait().unwrap();
}

/// Names and content of the files in a folder, without the lock's, which a kill at the very end may
/// leave.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with(".orthant.lock"))
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn write_input(place: &Workplace, name: &str, count: usize) {
    let line = |n: usize| json!({ "group": n % 3, "prompt": "Use 1", "response": format!("1+{n}"), "reward": 1.0 });
    let text: String = (0..count).map(|n| line(n).to_string() + "\n").collect();
    fs::write(place.path().join(name), text).unwrap();
}

/// Records and curves go by the names of suites, so that two of one name get names of their own,
/// and resuming loses no line of either.
#[test]
fn two_suites_of_one_name_are_told_apart() {
    let place = Workplace::new();
    let suite = "(suite: HeldOut(problems: 4), every: 2, samples: 1, k: [1]";
    let evaluations = format!("evaluations: [{suite}), {suite}, temperature: 0)]");
    let run = common::four_steps(&place, &evaluations);
    let names = |run: &std::path::Path| {
        let lines = common::lines(&run.join("evals.jsonl"));
        let name = |line: &serde_json::Value| line["suite"].as_str().unwrap().to_string();
        let step = |line: &serde_json::Value| line["step"].as_u64().unwrap();
        lines.iter().map(|line| (step(line), name(line))).collect::<Vec<_>>()
    };
    let own = names(&run)[0].1.clone();
    let both = [own.clone(), format!("{own} (2)")];
    let expected = |steps: &[u64]| {
        let of = |&step: &u64| both.clone().map(|name| (step, name));
        steps.iter().flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(names(&run), expected(&[0, 2, 4]));
    let stderr = common::resume_well(&place, &run, &["--set", "stop.steps=6"]);
    assert!(!stderr.contains("stands there already"), "{stderr}");
    assert_eq!(names(&run), expected(&[0, 2, 4, 6]));
}

#[test]
fn scores_replace_scores_only_and_lines_and_tensors_belong_together_after_any_kill() {
    let place = Workplace::new();
    write_input(&place, "few.jsonl", 6);
    write_input(&place, "many.jsonl", 9);
    let score =
        |input: &'static str| ["score", "--model", "model", "--out", "out", "--input", input];
    well(&place, &score("few.jsonl"));
    let out = place.path().join("out");
    let scored = || {
        let tensors = candle_core::safetensors::load(
            out.join("scores.safetensors"),
            &candle_core::Device::Cpu,
        )
        .unwrap();
        (lines(&out.join("scores.jsonl")).len(), tensors["features"].dims()[0])
    };
    assert_eq!(scored(), (6, 6));
    let mut inputs = ["many.jsonl", "few.jsonl"].into_iter().cycle();
    for delay in 0..12 {
        let child = start(&place, &score(inputs.next().unwrap()));
        let tensors = out.join("scores.safetensors");
        let before = fs::metadata(&tensors).unwrap().modified().unwrap();
        wait_until("the tensors", || {
            out.join("scores.safetensors.tmp").exists()
                || fs::metadata(&tensors).unwrap().modified().unwrap() != before
        });
        std::thread::sleep(Duration::from_micros(delay * 200));
        kill(child);
        if out.join("scores.jsonl").exists() {
            let (lines, tensors) = scored();
            assert_eq!(lines, tensors, "after {delay}");
        }
    }
    well(&place, &score("many.jsonl"));
    assert_eq!(scored(), (9, 9));

    // Neither its own input nor files of somebody else.
    fs::create_dir(place.path().join("mine")).unwrap();
    for (name, text) in [("scores.jsonl", "{\"a\": 1}\n"), ("scores.safetensors", "mine")] {
        let path = place.path().join("mine").join(name);
        fs::write(&path, text).unwrap();
        let words = ["`orthant score` did not write", name, "--out"];
        refused(
            &place,
            &["score", "--model", "model", "--input", "few.jsonl", "--out", "mine"],
            &words,
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(path).unwrap();
    }
    write_input(&place, "mine/scores.jsonl", 2);
    let own = ["score", "--model", "model", "--input", "mine/scores.jsonl", "--out", "mine"];
    refused(&place, &own, &["over their input", "--out"]);
    assert_eq!(lines(&place.path().join("mine/scores.jsonl")).len(), 2);
}

#[test]
fn one_evaluation_writes_to_a_folder_and_files_of_others_are_not_touched() {
    let place = Workplace::new();
    let long = [
        "eval",
        "--model",
        "countdown",
        "--suite",
        "countdown",
        "--limit",
        "5000",
        "--samples",
        "8",
        "--out",
        "out",
    ];
    let child = start(&place, &long);
    wait_until("the settings", || place.path().join("out/settings.json").exists());
    refused(&place, &long, &[&format!("is being written by process {}", child.id())]);
    kill(child);
    let other = ["--limit", "3", "--samples", "2", "--max-new-tokens", "8"];
    let arguments = [&long[..5], &other, &["--out", "out"]].concat();
    let samples = place.path().join("out/samples.jsonl");
    if fs::metadata(&samples).unwrap().len() > 0 {
        refused(
            &place,
            &arguments,
            &["other settings: suite was ", "samples was 8 and is 2", "--out"],
        );
    }
    for name in ["settings.json", "samples.jsonl", "eval.json"] {
        let folder = place.path().join(name.replace('.', "-"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(name), "{\"mine\": 1}\n").unwrap();
        let arguments = [&long[..5], &other, &["--out", folder.to_str().unwrap()]].concat();
        let named = format!(
            "({})",
            if name == "settings.json" { folder.join(name) } else { folder.clone() }.display()
        );
        refused(&place, &arguments, &["`orthant eval` did not write", "--out", &named]);
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "{\"mine\": 1}\n");
    }
}

#[test]
fn an_export_that_was_killed_leaves_nothing_in_the_way() {
    let place = Workplace::new();
    let export =
        |out: &'static str| ["export", "--model", "countdown", "--dtype", "f32", "--out", out];
    well(&place, &export("whole"));
    let whole = content(&place.path().join("whole"));
    assert!(whole.iter().any(|(name, _)| name == "model.safetensors"));
    let hidden = place.path().join(".out.orthant-tmp");
    for delay in [0, 2, 5, 10, 20, 40, 11, 13, 15, 17, 19, 21, 23, 25, 27] {
        let child = start(&place, &export("out"));
        wait_until("the export", || hidden.exists() || place.path().join("out").exists());
        std::thread::sleep(Duration::from_millis(delay));
        kill(child);
        // Whole or not there.
        if place.path().join("out").exists() {
            assert!(content(&place.path().join("out")) == whole);
            fs::remove_dir_all(place.path().join("out")).unwrap();
        }
        well(&place, &export("out"));
        assert!(content(&place.path().join("out")) == whole && !hidden.exists());
        assert!(!place.path().join("out/.orthant.lock").exists());
        fs::remove_dir_all(place.path().join("out")).unwrap();
    }
    refused(&place, &export("whole"), &["is not empty", "nothing is overwritten"]);
    fs::create_dir(place.path().join("empty")).unwrap();
    well(&place, &export("empty"));
    assert!(content(&place.path().join("empty")) == whole);
}

/// Files cannot grow beyond a size, as on a disk that is full.
#[cfg(unix)]
#[test]
fn what_fails_half_way_leaves_nothing_but_what_the_next_try_goes_on_from() {
    let place = Workplace::new();
    fs::write(place.path().join("p.ron"), PRETRAIN.replace("steps: 1500", "steps: 4")).unwrap();
    let limited = |blocks: u32, arguments: &[&str]| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_orthant")])
            .args(arguments)
            .current_dir(place.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let names = || -> Vec<String> {
        let entries = fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            entries.filter(|name| name.contains("out") || name.contains("base")).collect();
        names.sort();
        names
    };
    for blocks in [8, 40] {
        limited(blocks, &["export", "--model", "countdown", "--out", "out"]);
        let told = limited(blocks, &["pretrain", "p.ron"]);
        assert!(told.contains("the same command begins again"), "{told}");
        assert!(names().is_empty(), "{:?}", names());
    }
    well(&place, &["export", "--model", "countdown", "--out", "out"]);
    well(&place, &["pretrain", "p.ron"]);
    assert_eq!(names(), ["base", "out"]);
}

#[test]
fn damage_to_what_pretraining_saved_is_told_of() {
    let place = Workplace::new();
    fs::write(place.path().join("p.ron"), PRETRAIN).unwrap();
    let child = start(&place, &["pretrain", "p.ron"]);
    let progress = place.path().join(".base.orthant-tmp/progress");
    wait_until("progress", || progress.exists());
    kill(child);
    let few = ["pretrain", "p.ron", "--set", "steps=2"];
    fs::write(progress.join("pretrain.json"), "{}").unwrap();
    let told = well(&place, &few);
    let words = ["warning: what an earlier try saved cannot be used", "pretrain.json is damaged"];
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

/// An evaluation of twelve samples into `out/`, and its files.
fn evaluate(place: &Workplace) -> (Vec<&'static str>, String, String) {
    let row = |n: usize| {
        json!({ "id": format!("p{n}"), "problem": format!("{n} and {n}?"), "answer": "1" })
            .to_string()
            + "\n"
    };
    fs::write(place.path().join("suite.jsonl"), (0..6).map(row).collect::<String>()).unwrap();
    fs::write(place.path().join("own.jinja"), "{{ problem }}").unwrap();
    let arguments = vec![
        "eval",
        "--model",
        "model",
        "--suite",
        "suite.jsonl",
        "--template",
        "own.jinja",
        "--samples",
        "2",
        "--max-new-tokens",
        "6",
        "--out",
        "out",
    ];
    well(place, &arguments);
    let read = |name: &str| fs::read_to_string(place.path().join("out").join(name)).unwrap();
    (arguments, read("samples.jsonl"), read("eval.json"))
}

#[test]
fn an_evaluation_with_damaged_samples_goes_on_with_the_whole_ones_and_says_so() {
    let place = Workplace::new();
    let (arguments, samples, result) = evaluate(&place);
    let path = |name: &str| place.path().join("out").join(name);
    let lines: Vec<&str> = samples.lines().collect();
    let with = |number: usize, line: &str| {
        let lines = lines.iter().enumerate().map(|(n, text)| if n == number { line } else { text });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    let swapped = [&lines[4..6], &lines[..4], &lines[6..]].concat().join("\n") + "\n";
    for (text, words, whole) in [
        (with(2, "nonsense"), "line 3 is damaged", 5),
        (with(2, "{}"), "line 3 is damaged", 5),
        (with(3, lines[2]), "line 4 is damaged", 5),
        (with(3, &lines[3].replace("\"p1\"", "\"p9\"")), "line 4 is damaged", 5),
        (with(3, ""), "samples are missing", 5),
        (samples.clone() + "\u{0}\u{0}", "line 13 is damaged", 6),
        (format!("x\n{samples}y\n"), "lines 1, 14 are damaged", 6),
        // Another order is no damage: where one continues after damage it arises.
        (swapped, "", 6),
    ] {
        fs::remove_file(path("eval.json")).unwrap();
        fs::write(path("samples.jsonl"), &text).unwrap();
        let output = command(&place, &arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success()
                && stdout.contains(&format!("({whole} problems were there already)")),
            "{stdout}"
        );
        if words.is_empty() {
            assert!(!stderr.contains("warning: samples.jsonl"), "{stderr}");
        } else {
            let told = format!(
                "warning: samples.jsonl: {words}; the file as it was is kept as \
                 samples.jsonl.damaged"
            );
            assert!(stderr.contains(&told), "{told:?} in {stderr}");
            assert_eq!(fs::read_to_string(path("samples.jsonl.damaged")).unwrap(), text);
            fs::remove_file(path("samples.jsonl.damaged")).unwrap();
        }
        assert_eq!(fs::read_to_string(path("samples.jsonl")).unwrap(), samples, "{words}");
        assert_eq!(fs::read_to_string(path("eval.json")).unwrap(), result, "{words}");
    }
    fs::remove_file(path("samples.jsonl")).unwrap();
    fs::create_dir(path("samples.jsonl")).unwrap();
    refused(&place, &arguments, &["samples.jsonl", "not a regular file", "--out"]);
}

#[test]
fn an_evaluation_goes_on_with_what_it_was_begun_with_or_records_the_change() {
    let place = Workplace::new();
    let (arguments, samples, _) = evaluate(&place);
    let path = |name: &str| place.path().join(name);
    let cut: String = samples.split_inclusive('\n').take(6).collect();
    let begin_again = || fs::write(path("out/samples.jsonl"), &cut).unwrap();
    let ends = fs::read(path("model/generation_config.json")).unwrap();
    let suite = fs::read_to_string(path("suite.jsonl")).unwrap();
    let mut tokenizer = json(&path("model/tokenizer.json"));
    let strips = &mut tokenizer["added_tokens"][0]["lstrip"];
    *strips = (!strips.as_bool().unwrap()).into();
    for (file, text, words) in [
        ("own.jinja", "{{ problem }}{# the same #}", "SHA-256 of the template was "),
        ("model/tokenizer.json", &tokenizer.to_string(), "SHA-256 of the model's tokenizer was "),
        (
            "model/generation_config.json",
            "{\"eos_token_id\": [256, 65]}",
            "SHA-256 of the model's generation_config.json was ",
        ),
        (
            "suite.jsonl",
            &suite.replace("5 and 5", "7 and 7"),
            "SHA-256 of the problems of the suite was ",
        ),
    ] {
        let before = fs::read(path(file)).unwrap();
        fs::write(path(file), text).unwrap();
        begin_again();
        refused(&place, &arguments, &[words, " and is ", "--accept-changes", "settings.json"]);
        assert_eq!(fs::read_to_string(path("out/samples.jsonl")).unwrap(), cut);
        fs::write(path(file), before).unwrap();
    }
    // Settings are on the command line: whoever asks for others wants another evaluation.
    let with = |more: &[&'static str]| [&arguments[..], more].concat();
    refused(
        &place,
        &with(&["--dtype", "bf16", "--accept-changes"]),
        &["other settings: dtype was \"f32\" and is \"bf16\";"],
    );
    refused(
        &place,
        &with(&["--verifier", "math-anywhere"]),
        &["other settings: verifier was null and is \"math-anywhere\""],
    );
    fs::write(path("model/generation_config.json"), "{\"eos_token_id\": [256, 65]}").unwrap();
    let told = well(&place, &with(&["--accept-changes"]));
    let words = "warning: the model's generation_config.json was replaced after 3 problems: its \
                 SHA-256 was ";
    assert!(told.contains(words), "{told}");
    assert!(fs::read_to_string(path("out/samples.jsonl")).unwrap().starts_with(&cut));
    let replaced = &json(&path("out/eval.json"))["replaced"];
    assert_eq!(
        (&replaced[0]["after"], &replaced[0]["input"]),
        (&json!(3), &json!("the model's generation_config.json"))
    );
    assert_eq!(json(&path("out/settings.json"))["replaced"], *replaced);
    // From there on that is what it reads; the way back is a change too.
    begin_again();
    assert!(!well(&place, &arguments).contains("was replaced"));
    assert_eq!(json(&path("out/eval.json"))["replaced"], *replaced);
    fs::write(path("model/generation_config.json"), ends).unwrap();
    refused(&place, &arguments, &["generation_config.json", "--accept-changes"]);
}

#[cfg(unix)]
#[test]
fn a_stream_of_responses_is_scored_and_one_without_an_end_is_given_up() {
    let place = Workplace::new();
    write_input(&place, "few.jsonl", 3);
    let score =
        |input: &'static str| ["score", "--model", "model", "--out", "out", "--input", input];
    refused(&place, &score("/dev/zero"), &["line 1", "more than 64 MiB", "/dev/zero"]);
    let mut child = command(&place, &score("/dev/stdin"));
    let output =
        child.stdin(fs::File::open(place.path().join("few.jsonl")).unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::File::create(place.path().join("hole.jsonl")).unwrap().set_len(1 << 37).unwrap();
    refused(
        &place,
        &["grade", "hole.jsonl"],
        &["line 1 cannot be read", "more than 64 MiB", "hole.jsonl"],
    );
}

/// Pretraining of a tiny model into `base/`.
const PRETRAIN: &str = "Pretrain(
    name: \"tiny\",
    model: (hidden_size: 16, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, intermediate_size: 24, positions: 128),
    task: Countdown(numbers: 3),
    batch: 4,
    steps: 1500,
    evaluations: [(suite: HeldOut(problems: 2), every: 50, samples: 2, k: [1, 2])],
    out: \"base\",
)
";

#[test]
fn pretraining_writes_over_no_model_and_goes_on_where_it_was_killed() {
    let place = Workplace::new();
    fs::write(place.path().join("p.ron"), PRETRAIN).unwrap();
    let model = content(&place.model());
    refused(
        &place,
        &["pretrain", "p.ron", "--set", "out=\"model\""],
        &["model is not empty", "give a new folder"],
    );
    assert!(content(&place.model()) == model);

    well(&place, &["pretrain", "p.ron", "--set", "out=\"straight\""]);
    let mut told = String::new();
    for _ in 0..3 {
        let progress = place.path().join(".base.orthant-tmp/progress");
        let step = || {
            progress
                .join("pretrain.json")
                .exists()
                .then(|| json(&progress.join("pretrain.json"))["step"].clone())
        };
        let before = step();
        let child = start(&place, &["pretrain", "p.ron"]);
        let lock = place.path().join(".base.orthant-tmp/.orthant.lock");
        let holder = format!("process {} on ", child.id());
        wait_until("the lock", || {
            fs::read_to_string(&lock).is_ok_and(|text| text.starts_with(&holder))
        });
        refused(&place, &["pretrain", "p.ron"], &["base is being written by", &holder]);
        wait_until("progress", || progress.exists() && step() != before);
        kill(child);
        assert!(!place.path().join("base").exists());
        // As a kill while the progress was being replaced would leave it.
        let moved = progress.with_file_name(".progress.before");
        if !moved.exists() {
            fs::rename(&progress, moved).unwrap();
        }
    }
    told += &well(&place, &["pretrain", "p.ron"]);
    assert!(told.contains("continuing after step "), "{told}");
    assert!(content(&place.path().join("base")) == content(&place.path().join("straight")));
    assert!(!place.path().join(".base.orthant-tmp").exists());
    // With other settings it begins again.
    let child = start(&place, &["pretrain", "p.ron", "--set", "out=\"other\""]);
    wait_until("progress", || place.path().join(".other.orthant-tmp/progress").exists());
    kill(child);
    let told = well(
        &place,
        &["pretrain", "p.ron", "--set", "out=\"other\"", "--set", "seed=3", "--set", "steps=2"],
    );
    assert!(!told.contains("continuing after"), "{told}");
}
