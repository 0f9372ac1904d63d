//! Memory: settings that decide it change no result, and what `orthant doctor` foretells is what a
//! run takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device};
use common::{Workplace, largest_difference, tiny_model, tiny_model_with_head};
use orthant::model::{DecoderSpec, Family, LanguageModel, TextTokenizer};
use orthant::weights::Weights;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn layers_that_are_computed_again_give_the_same_weights() {
    for tied in [true, false] {
        for adapter in ["Full", "Lora(rank: 4)"] {
            let place = Workplace::new();
            tiny_model_with_head(tied).write(&place.model()).unwrap();
            let run = |recompute: bool| {
                let settings = format!(
                    "adapter: {adapter}, method: EntropyBonus(coefficient: 0.01),
                     objective: (recompute_layers: {recompute}, micro_batch_tokens: 200,
                         traced_groups: 0)"
                );
                let run = place.run_parity(&place.parity_experiment(2, &settings));
                let model = common::checkpoint(&run.folder, 2);
                (model.merged().unwrap().weights, run.repeatable_metrics())
            };
            let ((kept, kept_metrics), (again, again_metrics)) = (run(false), run(true));
            let off = largest_difference(&kept, &again);
            assert!(off < 2e-5, "tied: {tied}, {adapter}: {off}");
            assert!(largest_difference(&kept, &tiny_model_with_head(tied).weights) > 1e-3);
            assert_eq!(kept_metrics.len(), again_metrics.len());
        }
    }
}

#[test]
fn an_offloaded_reference_is_asked_the_same() {
    let place = Workplace::new();
    for method in ["G2rl()", "EvolRl(encoder: Policy)"] {
        let run = |offload: bool| {
            let settings = format!(
                "method: {method}, objective: (offload_reference: {offload}, kl: (coefficient: \
                 0.1), epochs: 2, minibatches: 2)"
            );
            let run = place.run_parity(&place.parity_experiment(3, &settings));
            (run.weights(3).hash().unwrap(), run.repeatable_metrics())
        };
        let (resident, offloaded) = (run(false), run(true));
        assert_eq!(resident.0, offloaded.0, "{method}");
        assert_eq!(resident.1, offloaded.1, "{method}");
        assert!(
            resident.1[2]["policy/kl"].as_f64().unwrap() > 0.0,
            "the policy has left its reference"
        );
    }
}

#[test]
fn groups_sampled_one_after_another_are_those_sampled_together() {
    let place = Workplace::new();
    let run = |groups: usize| {
        let mut experiment = place.parity_experiment(2, "method: G2rl()");
        experiment.rollout.groups_at_a_time = Some(groups);
        let run = place.run_parity(&experiment);
        (run.rollouts(1), run.weights(2).hash().unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn what_was_chosen_stands_in_the_run_folder() {
    let place = Workplace::new();
    let run = place.run_parity(&place.parity_experiment(1, ""));
    let text = std::fs::read_to_string(run.folder.join("experiment.ron")).unwrap();
    for line in [
        "groups_at_a_time: 3",
        "micro_batch_tokens: 2048",
        "recompute_layers: false",
        "offload_reference: false",
        "traced_groups: 3",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

/// Writes a random model that is large enough for what a run needs to stand out from the program
/// itself.
fn write_model(folder: &Path, family: &str, dtype: DType) {
    let tokenizer = TextTokenizer::bytes_and_words(&["Use", " to make ", "\\boxed{"]).unwrap();
    let config = DecoderSpec {
        vocab_size: 8192,
        hidden_size: 512,
        intermediate_size: 1536,
        num_hidden_layers: 4,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        head_dim: 64,
        max_position_embeddings: 512,
        tie_word_embeddings: true,
        eos_token_ids: vec![8191],
        ..Family::named(family).unwrap().blank()
    };
    let config = common::with_layers_of_its_family(config);
    let weights = Weights::random(&config, 0.02, 1, dtype, &Device::Cpu).unwrap();
    LanguageModel::new(config, tokenizer, weights).unwrap().write(folder).unwrap();
}

fn orthant(place: &Workplace, command: &str, settings: &[String]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orthant"));
    program
        .args([command, "experiment.ron", "--json"])
        .args(settings.iter().flat_map(|setting| ["--set", setting]));
    if command == "run" {
        program.args(["--headless", "--out", "runs"]);
    }
    program.current_dir(place.path()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    // What is freed is given back at once. By default the allocator keeps it for a while, and how
    // much of it depends on the clock.
    program.env("MIMALLOC_PURGE_DELAY", "0").output().unwrap()
}

/// The machine-readable line at the end.
fn answer(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// Two steps: buffers that stay from the first are there while the second samples.
fn experiment_file(place: &Workplace) {
    let text = r#"Experiment(name: "memory", model: Local("model"), device: Cpu, task: Countdown(numbers: 3),
        rollout: (prompts_per_step: 2, group_size: 4, max_new_tokens: 100),
        method: G2rl(), stop: (steps: 2), record: (checkpoint_every: 0))"#;
    std::fs::write(place.path().join("experiment.ron"), text).unwrap();
}

#[test]
fn the_estimate_is_within_15_per_cent_of_the_measured_peak() {
    let place = Workplace::new();
    experiment_file(&place);
    let mut report = Vec::new();
    for precision in ["F32", "Bf16"] {
        write_model(&place.model(), "qwen3", data_type(precision));
        for (adapter, bits) in
            [("Full", "None"), ("Lora(rank: 16)", "None"), ("Lora(rank: 16)", "Nf4")]
        {
            for recompute in [false, true] {
                let settings = [
                    format!("precision={precision}"),
                    format!("adapter={adapter}"),
                    format!("quantize_base={bits}"),
                    format!("objective.recompute_layers={recompute}"),
                    // A group of responses fills a micro-batch.
                    "objective.micro_batch_tokens=420".to_string(),
                ];
                report.push(compared(&place, "qwen3", &settings));
            }
        }
    }
    assert!(report.iter().all(|(ratio, _)| (0.85..=1.15).contains(ratio)), "{report:#?}");
}

fn data_type(precision: &str) -> DType {
    if precision == "F32" { DType::F32 } else { DType::BF16 }
}

/// The estimated peak by the measured one, and both in words.
fn compared(place: &Workplace, family: &str, settings: &[String]) -> (f64, String) {
    let estimated = answer(&orthant(place, "doctor", settings));
    let run = answer(&orthant(place, "run", settings));
    let folder = place.path().join(run["run"].as_str().unwrap());
    let row = common::lines(&folder.join("metrics.jsonl")).pop().unwrap();
    let measured = row["memory/peak_mib"].as_f64().unwrap();
    let peak = estimated["peak"].as_f64().unwrap() / f64::from(1 << 20);
    std::fs::remove_dir_all(folder).unwrap();
    let (ratio, settings) = (peak / measured, settings.join(" "));
    let text = format!("{family} {settings}: {peak:.0} MiB estimated, {measured:.0} measured");
    eprintln!("{ratio:.3}  {text}");
    (ratio, text)
}

/// Norms after attention and MLP, other activations, layers that are not rotated.
#[test]
fn the_estimate_holds_for_every_family() {
    let place = Workplace::new();
    experiment_file(&place);
    let mut report = Vec::new();
    for family in common::FAMILIES.into_iter().filter(|name| *name != "qwen3") {
        for (precision, adapter) in [("F32", "Full"), ("F32", "Lora(rank: 16)"), ("Bf16", "Full")] {
            write_model(&place.model(), family, data_type(precision));
            let settings = [
                format!("precision={precision}"),
                format!("adapter={adapter}"),
                "objective.recompute_layers=false".to_string(),
                "objective.micro_batch_tokens=420".to_string(),
            ];
            report.push(compared(&place, family, &settings));
        }
    }
    assert!(report.iter().all(|(ratio, _)| (0.85..=1.15).contains(ratio)), "{report:#?}");
}

#[test]
fn doctor_says_what_is_missing_and_what_to_change() {
    let place = Workplace::new();
    experiment_file(&place);
    let good = orthant(&place, "doctor", &[]);
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert_eq!(good.status.code(), Some(0), "{text}");
    for word in [
        "cpu",
        "weights",
        "optimizer",
        "keys and values",
        "activations",
        "while sampling",
        "disk",
        "1 checkpoints",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let estimate = answer(&good);
    let parameters = tiny_model().parameter_count() as u64;
    assert_eq!(estimate["estimate"]["weights"].as_u64(), Some(4 * parameters));
    assert_eq!(estimate["estimate"]["optimizer"].as_u64(), Some(8 * parameters));
    assert_eq!(estimate["disk"].as_u64(), Some(16 * parameters));
    // 8 completions of 100 tokens after a prompt, two layers, two heads of 8 for keys and for
    // values.
    let prompt = estimate["estimate"]["kv_cache"].as_u64().unwrap() / (8 * 2 * 2 * 2 * 8 * 4) - 100;
    assert!((10..30).contains(&prompt), "{prompt}");

    // A GPU of 2 GiB for long completions: too little, and what would help.
    let long = ["rollout.max_new_tokens=20000", "rollout.group_size=1000"].map(ToString::to_string);
    let config = std::fs::read_to_string(place.model().join("config.json")).unwrap();
    let many =
        config.replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 40000");
    std::fs::write(place.model().join("config.json"), many).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(["doctor", "experiment.ron", "--memory", "2", "--json"])
        .args(long.iter().flat_map(|s| ["--set", s]));
    let output = command.current_dir(place.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let (found, errors) = (answer(&output), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(found["fits"], false);
    assert!(
        errors.contains("a GPU with 2 GiB") && errors.contains("rollout.max_new_tokens="),
        "{errors}"
    );
    // What is recommended helps.
    let mut remedies =
        found["remedies"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    let remedy = remedies.rfind(|text| text.starts_with("rollout.max_new_tokens")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(["doctor", "experiment.ron", "--memory", "2", "--json"])
        .args(long.iter().flat_map(|s| ["--set", s]));
    let output = command.args(["--set", remedy]).current_dir(place.path()).output().unwrap();
    assert_eq!((output.status.code(), &answer(&output)["fits"]), (Some(0), &Value::Bool(true)));

    // A place in which no run folder can be made.
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(["doctor", "experiment.ron", "--out", "experiment.ron/runs"])
        .current_dir(place.path());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && errors.contains("no run folder can be made"),
        "{errors}"
    );
    assert!(errors.contains("give another place with --out (experiment.ron/runs)"), "{errors}");

    // Data that is not there.
    let task = "task=Dataset(source: Local(\"nowhere.jsonl\"))".to_string();
    let output = orthant(&place, "doctor", &[task]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && errors.contains("nowhere.jsonl does not exist"),
        "{errors}"
    );
    let output = orthant(&place, "doctor", &["model=Local(\"nowhere\")".to_string()]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && errors.contains("nowhere does not exist"),
        "{errors}"
    );
}

#[test]
fn doctor_without_an_experiment_looks_at_the_machine() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_orthant")).args(["doctor", "--json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("threads") && text.contains("countdown"),
        "{text}"
    );
    assert_eq!(answer(&output)["devices"][0], "cpu");
}

#[test]
fn a_step_leaves_next_to_nothing_in_memory() {
    let place = Workplace::new();
    let text = r#"Experiment(name: "long", model: Local("model"), device: Cpu, task: Countdown(numbers: 3),
        rollout: (prompts_per_step: 2, group_size: 4, max_new_tokens: 16),
        method: G2rl(), objective: (kl: (coefficient: 0.001)), stop: (steps: 1000), record: (checkpoint_every: 250))"#;
    std::fs::write(place.path().join("experiment.ron"), text).unwrap();
    let run = answer(&orthant(&place, "run", &[]));
    let rows =
        common::lines(&place.path().join(run["run"].as_str().unwrap()).join("metrics.jsonl"));
    let peak = |step: usize| rows[step - 1]["memory/peak_mib"].as_f64().unwrap();
    let per_step = (peak(1000) - peak(100)) * 1024.0 / 900.0;
    eprintln!(
        "peak memory after 100 steps {:.2} MiB, after 1,000 {:.2} MiB: {per_step:.1} KiB a step",
        peak(100),
        peak(1000)
    );
    // A row of metrics stays, for the dashboard's curves.
    assert!(per_step < 10.0, "{per_step} KiB of each step stay in memory");
}
