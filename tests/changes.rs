//! A run continues with what it began with, or says what it continues with: settings and inputs are
//! compared when it is resumed.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{
    Workplace, events, flip, four_steps, json, lines, resume, resume_is_refused, resume_well,
    steps, tiny_model,
};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Problems with answers beyond `from`.
fn write_data(path: &Path, from: u64) {
    let row = |n: u64| {
        json!({ "problem": format!("{n} and {n}?"), "answer": n.to_string() }).to_string() + "\n"
    };
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
    let data = format!(
        "task=Dataset(source: Local({}), template: {})",
        absolute("data.jsonl"),
        absolute("own.jinja")
    );
    let suite = format!(
        "evaluations=[(suite: File(path: {}), samples: 2, k: [1])]",
        absolute("suite.jsonl")
    );
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
        resume_is_refused(
            &place,
            &run,
            &more,
            &[words, " and is ", "--accept-changes", "manifest.json"],
        );
        restore(file, &before);
    }
    // Other warnings are of the little model, which answers nothing.
    let of_replaced = |run: &Path| -> Vec<String> {
        let texts = events(run, "warning")
            .into_iter()
            .map(|event| event["text"].as_str().unwrap().to_string());
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
    assert!(
        original("model/model.safetensors") == weights && original("model/config.json") == config
    );
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
    let [from, to] =
        [&before, &after].map(|manifest| manifest["inputs"]["the training data"].as_str().unwrap());
    assert_eq!(
        after["replaced"],
        json!([{ "step": 2, "input": "the training data", "from": from, "to": to }])
    );
    let warnings = of_replaced(&run);
    let has_both = |text: &String| [from, to].iter().all(|hash| text.contains(hash));
    assert!(warnings.len() == 1 && has_both(&warnings[0]), "{warnings:?}");
    // From there on that is what the run reads.
    resume_well(&place, &run, &["--set", "stop.steps=4"]);
}

/// A folder with a random model whose configuration has another value.
fn tiny_model_with(place: &Workplace, field: &str, value: usize) -> PathBuf {
    use candle_core::{DType, Device};
    use orthant::model::LanguageModel;
    use orthant::weights::Weights;
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
        resume_is_refused(
            &place,
            &run,
            &arguments,
            &["another run", words, "--accept-changes", "experiment.ron"],
        );
    }
    let changes =
        ["rollout.group_size=6", "optimizer.learning_rate=1e-3", "method.novelty=Squared"];
    let set: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
    let told = resume_well(
        &place,
        &run,
        &[&["--set", "stop.steps=6", "--set", "record.checkpoint_every=1"], &set[..]].concat(),
    );
    assert!(
        told.contains("from step 4; stop.steps from 4 to 6; record.checkpoint_every from 2 to 1"),
        "{told}"
    );
    let edits: Vec<Value> =
        events(&run, "edit").into_iter().map(|event| event["edit"].clone()).collect();
    let expected = [
        json!({ "path": "rollout.group_size", "from": 4, "to": 6 }),
        json!({ "path": "method.novelty", "from": "Residual", "to": "Squared" }),
        json!({ "path": "optimizer.learning_rate", "from": 0.01, "to": 0.001 }),
    ];
    assert_eq!(edits, expected);
    let texts: Vec<Value> =
        events(&run, "edit").into_iter().map(|event| event["text"].clone()).collect();
    assert_eq!(texts[0], "rollout.group_size from 4 to 6");
    // The experiment says what the run began with, and where it ends now.
    let expected =
        began.replace("steps: 4", "steps: 6").replace("checkpoint_every: 2", "checkpoint_every: 1");
    assert_eq!(fs::read_to_string(run.join("experiment.ron")).unwrap(), expected);
    let rollouts = |step: u64| lines(&run.join(format!("rollouts/step_{step:06}.jsonl"))).len();
    assert_eq!((rollouts(4), rollouts(5)), (12, 18));

    // What was changed still holds, also from a checkpoint after which nothing was saved.
    fs::remove_dir_all(run.join("checkpoints/step_000005")).unwrap();
    fs::remove_dir_all(run.join("checkpoints/step_000006")).unwrap();
    resume_well(&place, &run, &[]);
    assert_eq!((steps(&run), rollouts(6)), ((1..=6).collect(), 18));
    let rates: Vec<f64> = lines(&run.join("metrics.jsonl"))
        .iter()
        .map(|line| line["policy/learning_rate"].as_f64().unwrap())
        .collect();
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
    resume_is_refused(
        &place,
        &run,
        &["--set", "stop.steps=5"],
        &["seed from 0 to 7", "--accept-changes"],
    );
    let edited = began
        .replace("learning_rate: 0.01", "learning_rate: 0.002")
        .replace("steps: 4", "steps: 5");
    assert_ne!(edited, began.replace("steps: 4", "steps: 5"));
    fs::write(&file, edited).unwrap();
    resume_well(&place, &run, &[]);
    assert_eq!(events(&run, "edit")[0]["text"], "optimizer.learning_rate from 0.01 to 0.002");
    assert_eq!(fs::read_to_string(&file).unwrap(), began.replace("steps: 4", "steps: 5"));
    assert_eq!(lines(&run.join("metrics.jsonl"))[4]["policy/learning_rate"], 0.002);
}

#[test]
fn evaluations_may_be_others_on_resume() {
    let place = Workplace::new();
    let run = four_steps(
        &place,
        "evaluations: [(suite: HeldOut(problems: 4), every: 2, samples: 1, k: [1])]",
    );
    for (last, evaluations) in [
        (5, "[]"),
        (6, "[(suite: HeldOut(problems: 3), every: 2, samples: 1, k: [1])]"),
        (
            7,
            "[(suite: HeldOut(problems: 3), samples: 1, k: [1]), (suite: HeldOut(problems: 2), \
             samples: 1, k: [1])]",
        ),
    ] {
        let (steps, evaluations) =
            (format!("stop.steps={last}"), format!("evaluations={evaluations}"));
        resume_well(&place, &run, &["--set", &steps, "--set", &evaluations]);
    }
    assert!(
        !events(&run, "warning")
            .iter()
            .any(|event| event["text"].as_str().unwrap().contains("was replaced"))
    );
}

/// Whoever goes back to an earlier step has what was read then, whatever was read since.
#[test]
fn a_run_goes_back_past_a_change_of_what_it_reads() {
    let place = Workplace::new();
    let suites = "evaluations: [(suite: HeldOut(problems: 4), every: 2, samples: 1, k: [1])]";
    let run = four_steps(&place, suites);
    let before = json(&run.join("manifest.json"));
    let other = "evaluations=[(suite: HeldOut(problems: 3), samples: 1, k: [1])]";
    let mut more = vec!["--set", "stop.steps=6", "--set", other];
    more.extend(["--set", "precision=Bf16", "--accept-changes"]);
    resume_well(&place, &run, &more);
    let changed = json(&run.join("manifest.json"));
    assert!(changed["reread"].as_array().unwrap().iter().all(|entry| entry["step"] == 4));
    assert_ne!(before["model_hash"], changed["model_hash"]);
    assert_ne!(before["inputs"], changed["inputs"]);

    resume_well(&place, &run, &["--from-step", "2", "--set", "stop.steps=3"]);
    let after = json(&run.join("manifest.json"));
    for field in ["model_hash", "inputs"] {
        assert_eq!(before[field], after[field]);
    }
    assert_eq!(after.get("reread"), None);
    // What was read then is compared with what is there now.
    flip(&place.model().join("model.safetensors"), 1);
    let more = ["--from-step", "2", "--set", "stop.steps=4"];
    resume_is_refused(&place, &run, &more, &["the base model's weights was "]);
}

/// Warnings of the newest start: those after the newest event `resumed`.
fn newest_warnings(run: &Path) -> Vec<String> {
    let all = lines(&run.join("events.jsonl"));
    let start = all.iter().rposition(|event| event["kind"] == "resumed").unwrap();
    let warnings = all[start..].iter().filter(|event| event["kind"] == "warning");
    warnings.map(|event| event["text"].as_str().unwrap().to_string()).collect()
}

fn absolute(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

#[test]
fn what_is_another_is_called_by_its_name_and_by_no_other() {
    let place = Workplace::new();
    let path = |name: &str| place.path().join(name);
    write_data(&path("data.jsonl"), 0);
    write_data(&path("other.jsonl"), 50);
    write_data(&path("suite.jsonl"), 80);
    fs::write(path("own.jinja"), "{{ problem }}").unwrap();
    let mut experiment = place.experiment(2, "");
    let [data, other, suite, own] =
        ["data.jsonl", "other.jsonl", "suite.jsonl", "own.jinja"].map(|name| absolute(&path(name)));
    for assignment in [
        format!(
            "task=Dataset(source: Local({data}), template: {own}, held_out: Other(Local({other})))"
        ),
        format!("evaluations=[(suite: File(path: {suite}, template: {own}), samples: 1, k: [1])]"),
    ] {
        experiment = orthant::experiment::set(&experiment, &assignment).unwrap();
    }
    let run = place.run(&experiment).folder;
    let more = ["--set", "stop.steps=3"];
    let names = [
        "the training data",
        "the held-out data",
        "the prompt template",
        "the suite suite was",
        "the template of the suite suite",
    ];
    let files = [
        "config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ];
    let names: Vec<String> = names
        .into_iter()
        .map(str::to_string)
        .chain(files.map(|name| format!("the base model's {name}")))
        .collect();
    for (file, text, named) in [
        ("other.jsonl", None, &["the held-out data"] as &[&str]),
        ("data.jsonl", None, &["the training data"]),
        ("suite.jsonl", None, &["the suite suite was"]),
        (
            "own.jinja",
            Some("{{ problem }}!"),
            &["the prompt template", "the template of the suite suite"],
        ),
        (
            "model/generation_config.json",
            Some("{\"eos_token_id\": [256, 100, 65]}"),
            &["the base model's generation_config.json"],
        ),
        (
            "model/tokenizer_config.json",
            Some("{\"eos_token\": \"Use\"}"),
            &["the base model's tokenizer_config.json"],
        ),
        (
            "model/special_tokens_map.json",
            Some("{\"pad_token\": \"Use\"}"),
            &["the base model's special_tokens_map.json"],
        ),
    ] {
        let before = fs::read(path(file)).ok();
        match text {
            Some(text) => fs::write(path(file), text).unwrap(),
            None => write_data(&path(file), 200),
        }
        let words: Vec<String> = named.iter().map(|name| format!("SHA-256 of {name}")).collect();
        let words: Vec<&str> =
            words.iter().map(String::as_str).chain(["--accept-changes"]).collect();
        resume_is_refused(&place, &run, &more, &words);
        let (_, stderr) = resume(&place, &run, &more);
        for other in names.iter().filter(|name| !named.contains(&name.as_str())) {
            assert!(
                !stderr.contains(&format!("SHA-256 of {other}")),
                "{file}: {other} in {stderr}"
            );
        }
        match before {
            Some(before) => fs::write(path(file), before).unwrap(),
            None => fs::remove_file(path(file)).unwrap(),
        }
    }
    // What is accepted holds from there on, also where the weights come from a checkpoint.
    let ends = "{\"eos_token_id\": [256, 100, 65]}";
    fs::write(path("model/generation_config.json"), ends).unwrap();
    resume_well(&place, &run, &[&more[..], &["--accept-changes"]].concat());
    assert!(
        newest_warnings(&run)
            .iter()
            .any(|text| text.starts_with("the base model's generation_config.json was replaced"))
    );
    let written = json(&run.join("checkpoints/step_000003/generation_config.json"));
    assert_eq!(written["eos_token_id"], json!([256, 100, 65]));
    resume_well(&place, &run, &["--set", "stop.steps=4"]);
}

#[test]
fn another_precision_is_no_other_model() {
    let place = Workplace::new();
    let run = four_steps(&place, "");
    for (last, precision, edit) in [
        (
            "stop.steps=5",
            "precision=Bf16",
            json!({ "path": "precision", "from": "F32", "to": "Bf16" }),
        ),
        (
            "stop.steps=7",
            "precision=F32",
            json!({ "path": "precision", "from": "Bf16", "to": "F32" }),
        ),
    ] {
        resume_is_refused(
            &place,
            &run,
            &["--set", last, "--set", precision],
            &["precision from", "--accept-changes"],
        );
        resume_well(&place, &run, &["--set", last, "--set", precision, "--accept-changes"]);
        assert_eq!(events(&run, "edit").last().unwrap()["edit"], edit);
        assert!(
            newest_warnings(&run).iter().all(|text| !text.contains("was replaced")),
            "{:?}",
            newest_warnings(&run)
        );
        assert_eq!(json(&run.join("manifest.json")).get("replaced"), None);
        // From there on the same is the same.
        resume_well(
            &place,
            &run,
            &["--set", if precision.ends_with("Bf16") { "stop.steps=6" } else { "stop.steps=8" }],
        );
    }
    // Other weights are found in either precision.
    flip(&place.model().join("model.safetensors"), 1);
    let more = ["--set", "stop.steps=9", "--set", "precision=Bf16", "--accept-changes"];
    resume_well(&place, &run, &more);
    assert!(
        newest_warnings(&run)
            .iter()
            .any(|text| text.starts_with("the base model's weights was replaced"))
    );
}

#[test]
fn no_adapter_goes_on_from_the_weights_of_another() {
    let place = Workplace::new();
    let full = four_steps(&place, "");
    let adapted = four_steps(&place, "adapter: Lora(rank: 2)");
    for (run, set, words) in [
        (&full, "adapter=Lora(rank: 2)", "adapter from Full to Lora("),
        (&adapted, "adapter=Full", "to Full"),
        (&adapted, "adapter.rank=4", "adapter.rank from 2 to 4"),
        (&adapted, "adapter.targets=[q_proj]", "adapter.targets"),
    ] {
        let more = ["--set", "stop.steps=5", "--set", set, "--accept-changes"];
        resume_is_refused(
            &place,
            run,
            &more,
            &["another adapter cannot continue", words, "`orthant run`"],
        );
    }
    resume_well(
        &place,
        &adapted,
        &["--set", "stop.steps=5", "--set", "adapter.alpha=8.0", "--accept-changes"],
    );
}

#[test]
fn a_run_that_goes_on_says_again_what_there_is_to_warn_of() {
    let place = Workplace::new();
    let generation = place.model().join("generation_config.json");
    let mut fields = json(&generation);
    fields["repetition_penalty"] = json!(1.5);
    fs::write(&generation, fields.to_string()).unwrap();
    let run = four_steps(&place, "");
    let told = resume_well(&place, &run, &["--set", "stop.steps=5"]);
    let words = "generation_config.json asks for repetition_penalty 1.5, which is not done here";
    assert!(told.contains(words), "{told}");
    let warnings = events(&run, "warning");
    let steps: Vec<u64> = warnings
        .iter()
        .filter(|event| event["text"].as_str().unwrap().contains(words))
        .map(|event| event["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [0, 4]);
}
