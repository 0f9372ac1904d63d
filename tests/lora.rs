//! LoRA: an adapter is trained and nothing else, and Python's PEFT reads it.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{
    FAMILIES, Workplace, checkpoint, f32_values, json, largest_deviation, largest_difference,
    largest_magnitude, tiny_model, tiny_model_of,
};
use orthant::experiment::{LoraConfig, LoraTarget, ModelSource};
use orthant::kernels::Buffers;
use orthant::model::{GradientSum, LanguageModel, LoraAdapter, ResponseBatch, TextTokenizer};
use serde_json::json;
use std::path::{Path, PathBuf};

const SETTINGS: &str =
    "adapter: Lora(rank: 4, alpha: 8.0), method: G2rl(), record: (checkpoint_every: 2)";

/// A tiny model of a family with an adapter whose B is not zero any more.
fn adapted(family: &str, targets: &[LoraTarget]) -> LanguageModel {
    let base = tiny_model_of(family, true);
    let config = LoraConfig { rank: 3, alpha: 6.0, targets: targets.to_vec() };
    let source = ModelSource::Local(PathBuf::from("base"));
    let adapter =
        LoraAdapter::new(&config, source, &base.config, 7, DType::F32, &Device::Cpu).unwrap();
    for (name, variable) in
        adapter.weights().variables().filter(|(name, _)| name.contains("lora_B"))
    {
        let shift = name.len() as f64;
        let values: Vec<f32> =
            (0..variable.elem_count()).map(|i| (0.05 * (i as f64 + shift).sin()) as f32).collect();
        variable.set(&Tensor::from_vec(values, variable.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    base.with_adapter(adapter).unwrap()
}

/// The mean log-probability of a text under the network with gradients.
fn objective(model: &LanguageModel) -> Tensor {
    let ids = model.tokenizer.encode("Use 1 2 12 to make 36\n12*(2+1)=36").unwrap();
    let batch = ResponseBatch::new(&[(&ids[..4], &ids[4..])]).unwrap();
    model
        .trainable
        .response_logprobs(&batch, 0.8)
        .unwrap()
        .narrow(1, 0, 1)
        .unwrap()
        .mean_all()
        .unwrap()
}

#[test]
fn gradients_of_an_adapter_are_right_and_its_base_has_none() {
    for family in FAMILIES {
        gradients_are_right(&adapted(family, &LoraTarget::ALL));
    }
}

fn gradients_are_right(model: &LanguageModel) {
    let store = objective(model).backward().unwrap();
    for (name, variable) in model.weights.variables() {
        assert!(store.get(variable).is_none(), "{name} is frozen");
    }
    for (name, variable) in model.adapter.as_ref().unwrap().weights().variables() {
        let gradient = f32_values(store.get(variable).unwrap());
        let start = f32_values(variable);
        // The entry with the largest gradient, against central differences.
        let entry = (0..gradient.len())
            .max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()))
            .unwrap();
        let nudged = |by: f32| {
            let mut values = start.clone();
            values[entry] += by;
            variable
                .set(&Tensor::from_vec(values, variable.dims(), &Device::Cpu).unwrap())
                .unwrap();
            f64::from(objective(model).to_scalar::<f32>().unwrap())
        };
        let step = 4e-3;
        let slope = (nudged(step) - nudged(-step)) / f64::from(2.0 * step);
        nudged(0.0);
        let found = f64::from(gradient[entry]);
        assert!(
            (slope - found).abs() < 0.03 * slope.abs().max(0.02),
            "{name}: slope {slope}, gradient {found}"
        );
    }
}

/// As training computes them on the CPU, against candle's graph of single operations.
#[test]
fn gradients_layer_by_layer_are_those_of_the_graph() {
    for family in FAMILIES {
        for targets in [
            &LoraTarget::ALL[..],
            &[LoraTarget::Q, LoraTarget::Down],
            &[LoraTarget::K, LoraTarget::O, LoraTarget::Up],
        ] {
            layers_agree_with_the_graph(&adapted(family, targets), family);
        }
    }
}

fn layers_agree_with_the_graph(model: &LanguageModel, family: &str) {
    let weights = model.adapter.as_ref().unwrap().weights();
    let ids = model.tokenizer.encode("Use 1 2 12 to make 36\n12*(2+1)=36").unwrap();
    let batch = || {
        let (prompt, text) = ids.split_at(4);
        ResponseBatch::new(&[(prompt, &text[..9]), (prompt, &text[5..]), (text, prompt)]).unwrap()
    };
    // Every statistic of every token has a weight of its own.
    let loss = |statistics: &Tensor| {
        let weight = |i: usize| 0.3 * (1.0 + i as f32).sin();
        let weights: Vec<f32> = (0..statistics.elem_count()).map(weight).collect();
        let weights = Tensor::from_vec(weights, statistics.dims(), &Device::Cpu).unwrap();
        (statistics * weights).unwrap().sum_all().unwrap()
    };
    // Relative to the largest of what is expected.
    let apart = |found: &Tensor, expected: &Tensor, times: f32| {
        let expected: Vec<f32> = f32_values(expected).iter().map(|x| x * times).collect();
        largest_deviation(&f32_values(found), &expected) / largest_magnitude(&expected)
    };

    let statistics = model.trainable.response_logprobs(&batch(), 0.8).unwrap();
    let expected = loss(&statistics).backward().unwrap();
    for (passes, recompute) in [(1, false), (3, true)] {
        let mut buffers = Buffers::default();
        let mut sum = GradientSum::new(&model.trainable, weights, recompute, &mut buffers).unwrap();
        for _ in 0..passes {
            let pass = sum.forward(batch(), 0.8).unwrap();
            let error = apart(pass.statistics(), &statistics, 1.0);
            assert!(error < 1e-5, "{family}: statistics {error:e}");
            let loss = loss(pass.statistics());
            sum.backward(pass, &loss).unwrap();
        }
        let sum = sum.finish().unwrap();
        for (name, variable) in weights.variables() {
            let expected = expected.get(variable).unwrap();
            let error = apart(sum.get(name).unwrap(), expected, passes as f32);
            assert!(error < 2e-5, "{family}, {name}: {error:e}");
        }
    }
}

#[test]
fn a_new_adapter_changes_nothing_and_a_merged_one_says_the_same() {
    FAMILIES.into_iter().for_each(a_new_adapter_changes_nothing_of);
}

fn a_new_adapter_changes_nothing_of(family: &str) {
    let base = tiny_model_of(family, true);
    let plain = objective(&base).to_scalar::<f32>().unwrap();
    let source = ModelSource::Local(PathBuf::from("base"));
    let config = LoraConfig::default();
    let adapter =
        LoraAdapter::new(&config, source, &base.config, 0, DType::F32, &Device::Cpu).unwrap();
    let adapted_base = objective(&base.with_adapter(adapter).unwrap()).to_scalar::<f32>().unwrap();
    assert_eq!(adapted_base.to_bits(), plain.to_bits());

    let model = adapted(family, &[LoraTarget::Q, LoraTarget::V, LoraTarget::Down]);
    let before = objective(&model).to_scalar::<f32>().unwrap();
    assert!((before - plain).abs() > 1e-2);
    let merged = model.merged().unwrap();
    assert!(merged.adapter.is_none());
    assert!((objective(&merged).to_scalar::<f32>().unwrap() - before).abs() < 1e-4);
}

#[test]
fn a_run_trains_the_adapter_only_and_its_checkpoint_is_a_peft_folder() {
    let place = Workplace::new();
    let run = place.run_parity(&place.parity_experiment(2, SETTINGS));
    let folder = run.folder.join("checkpoints/step_000002");
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let expected =
        ["SHA256SUMS", "adapter_config.json", "adapter_model.safetensors", "experiment.ron"];
    let trainer =
        ["tokenizer.json", "tokenizer_config.json", "trainer.json", "trainer.safetensors"];
    assert_eq!(files, [expected.as_slice(), &trainer].concat());
    let config = json(&folder.join("adapter_config.json"));
    for (field, value) in [
        ("peft_type", json!("LORA")),
        ("r", json!(4)),
        ("lora_alpha", json!(8.0)),
        ("base_model_name_or_path", json!(place.model().canonicalize().unwrap())),
    ] {
        assert_eq!(config[field], value, "{field}");
    }
    let load =
        |file: &str| candle_core::safetensors::load(folder.join(file), &Device::Cpu).unwrap();
    let (weights, state) = (load("adapter_model.safetensors"), load("trainer.safetensors"));
    // Two layers, seven linear layers in each, A and B.
    assert_eq!((weights.len(), state.len()), (28, 3 * 28));
    let name = "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight";
    assert_eq!(weights[name].dims(), [32, 4]);
    assert!(
        weights.values().all(|tensor| tensor
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
            > 0.0)
    );

    // The checkpoint loads with its base model, which has not changed.
    let model = checkpoint(&run.folder, 2);
    assert!(largest_difference(&model.weights, &tiny_model().weights) == 0.0);
    assert!(
        (objective(&model).to_scalar::<f32>().unwrap()
            - objective(&tiny_model()).to_scalar::<f32>().unwrap())
        .abs()
            > 1e-4
    );
    // The reference is the base model: no distance before the first update, some after it.
    let kl = |row: usize| run.repeatable_metrics()[row]["policy/kl"].as_f64().unwrap();
    assert!(kl(0).abs() < 1e-9 && kl(1) > 1e-6, "{} {}", kl(0), kl(1));
}

#[test]
fn two_steps_and_two_more_are_four_steps_byte_for_byte() {
    let place = Workplace::new();
    let straight = place.run_parity(&place.parity_experiment(4, SETTINGS));
    let half = place.run_parity(&place.parity_experiment(2, SETTINGS));
    let resumed =
        orthant::prelude::RunBuilder::resume(&half.folder, &["stop.steps=4".to_string()]).unwrap();
    let resumed = common::finish(resumed.task(common::Parity).start(&place.runs()).unwrap());
    assert_eq!(straight.repeatable_metrics(), resumed.repeatable_metrics());
    for name in ["adapter_model.safetensors", "trainer.safetensors"] {
        let read = |run: &common::Finished| {
            std::fs::read(run.folder.join("checkpoints/step_000004").join(name)).unwrap()
        };
        assert!(read(&straight) == read(&resumed), "{name}");
    }
}

#[test]
fn adapters_that_cannot_be_used_are_refused_by_the_field() {
    let place = Workplace::new();
    let run = place.run_parity(&place.parity_experiment(1, SETTINGS));
    let folder = run.folder.join("checkpoints/step_000001");
    // The changes are meant.
    std::fs::remove_file(folder.join("SHA256SUMS")).unwrap();
    let path = folder.join("adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let base = place.model().canonicalize().unwrap();
    for (from, to, word) in [
        ("\"LORA\"", "\"IA3\"", "`IA3`"),
        ("\"use_dora\": false", "\"use_dora\": true", "use_dora"),
        ("\"q_proj\"", "\"w_pack\"", "w_pack"),
        ("\"r\": 4", "\"r\": 5", "lora_A.weight"),
        (base.to_str().unwrap(), "/nowhere/at/all", "base_model_name_or_path"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = LanguageModel::read(&folder, DType::F32, &Device::Cpu).map(|_| ()).unwrap_err();
        assert!(error.exit_status() == 2 && error.to_string().contains(word), "{error}");
    }
}

/// The model of the fixture `qwen3_tied`, as a folder that can be loaded, and its PEFT folders.
struct PeftForms {
    place: tempfile::TempDir,
    expected: serde_json::Value,
}

impl PeftForms {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("base");
        std::fs::create_dir(&base).unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(Self::fixtures().join("qwen3_tied").join(file), base.join(file)).unwrap();
        }
        std::fs::write(base.join("generation_config.json"), "{\"eos_token_id\": 63}").unwrap();
        TextTokenizer::numbers(64).unwrap().write(&base).unwrap();
        let expected = json(&Self::fixtures().join("lora/expected.json"));
        Self { place, expected }
    }

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
    }

    fn load(&self, adapter: &Path) -> orthant::error::Result<LanguageModel> {
        let base = ModelSource::Local(self.place.path().join("base"));
        LanguageModel::load_on(
            &ModelSource::Local(adapter.to_path_buf()),
            Some(&base),
            DType::F32,
            &Device::Cpu,
        )
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.expected[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap() as f32)
            .collect()
    }

    /// How far a model's log-probabilities are from those that PEFT gives for that form.
    fn off(&self, model: &LanguageModel, name: &str) -> f32 {
        let ids: Vec<u32> = self.numbers("ids").into_iter().map(|id| id as u32).collect();
        let batch = ResponseBatch::new(&[(&ids[..1], &ids[1..])]).unwrap();
        let found = model.frozen.response_logprobs(&batch, 1.0).unwrap().narrow(1, 0, 1).unwrap();
        largest_deviation(&f32_values(&found), &self.numbers(name))
    }
}

#[test]
fn adapters_say_what_they_say_in_peft_in_all_forms_in_which_it_writes_them() {
    let forms = PeftForms::new();
    let names = [
        "names",
        "whole_names",
        "prefixed",
        "expression",
        "all_linear",
        "layers",
        "exclude",
        "patterns",
        "adapter_name",
        "gaussian",
        "eva",
        "orthogonal",
    ];
    for name in names {
        let model = forms.load(&PeftForms::fixtures().join("lora").join(name)).unwrap();
        let off = forms.off(&model, name);
        assert!(forms.off(&model, "base") > 1e-2, "{name} changes nothing");
        // Written and read again, it is the same; its settings stay as they were, but for the base.
        let written = forms.place.path().join(name);
        std::fs::create_dir(&written).unwrap();
        model.write(&written).unwrap();
        let again = LanguageModel::read(&written, DType::F32, &Device::Cpu).unwrap();
        let settings = json(&written.join("adapter_config.json"));
        assert_eq!(
            settings["target_modules"],
            json(&PeftForms::fixtures().join(format!("lora/{name}/adapter_config.json")))["target_modules"]
        );
        let merged = forms.off(&model.merged().unwrap(), name);
        eprintln!("{name}: {off:.1e}, merged {merged:.1e}");
        assert!(
            off < 1e-4 && merged < 1e-4 && forms.off(&again, name) < 1e-4,
            "{name}: {off} {merged}"
        );
    }
}

#[test]
fn settings_that_this_program_does_not_have_are_refused_by_name() {
    let forms = PeftForms::new();
    for (name, words) in [
        ("pissa", ["init_lora_weights is \"pissa\"", "path_initial_model_for_weight_conversion"]),
        ("olora", ["init_lora_weights is \"olora\"", "base model"]),
        ("dora", ["use_dora is true", "adapter_config.json"]),
    ] {
        let error =
            forms.load(&PeftForms::fixtures().join("lora").join(name)).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(error.exit_status() == 2 && words.iter().all(|word| text.contains(word)), "{text}");
    }
    let plain = PeftForms::fixtures().join("lora/names");
    let folder = forms.place.path().join("edited");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(
        plain.join("adapter_model.safetensors"),
        folder.join("adapter_model.safetensors"),
    )
    .unwrap();
    for (field, value) in [
        ("peft_type", json!("ADALORA")),
        ("task_type", json!("SEQ_CLS")),
        ("init_lora_weights", json!("loftq")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("bias", json!("lora_only")),
        ("fan_in_fan_out", json!(true)),
        ("lora_bias", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("layer_replication", json!([[0, 1], [0, 2]])),
        ("alora_invocation_tokens", json!([1, 2])),
        ("trainable_token_indices", json!([3])),
        ("target_parameters", json!(["mlp.up_proj.weight"])),
        ("megatron_config", json!({"a": 1})),
        ("use_qalora", json!(true)),
        ("corda_config", json!({"corda_method": "ipm"})),
        ("arrow_config", json!({"top_k": 3})),
        ("a_field_of_tomorrow", json!(1)),
        ("rank_pattern", json!({"(": 3})),
        ("target_modules", json!(["k_proj", "v_proj"])),
        ("exclude_modules", json!(".*1.*")),
        ("layers_to_transform", json!([0])),
        ("r", json!(3)),
        ("rank_pattern", json!({"q_proj": 5})),
        ("rank_pattern", json!({"q_proj": 0})),
        ("alpha_pattern", json!({"q_proj": "much"})),
    ] {
        let mut settings = json(&plain.join("adapter_config.json"));
        settings[field] = value.clone();
        std::fs::write(folder.join("adapter_config.json"), settings.to_string()).unwrap();
        let error = forms.load(&folder).map(|_| ()).unwrap_err();
        let text = error.to_string();
        let word = match value.get("q_proj") {
            Some(rank) if rank == 5 => "lora_A.weight".to_string(),
            Some(wrong) => {
                assert!(text.contains(folder.to_str().unwrap()), "{text}");
                format!(
                    "{field}.q_proj is {wrong}, for the module `model.layers.0.self_attn.q_proj`; "
                )
            }
            None if field == "r" => "lora_A.weight".to_string(),
            None => field.to_string(),
        };
        assert!(error.exit_status() == 2 && text.contains(&word), "{field} {value}: {text}");
    }
}

#[test]
fn without_target_modules_an_adapter_has_those_of_peft() {
    let forms = PeftForms::new();
    let folder = forms.place.path().join("silent");
    std::fs::create_dir(&folder).unwrap();
    let silent = |from: &str| {
        let from = PeftForms::fixtures().join("lora").join(from);
        std::fs::copy(
            from.join("adapter_model.safetensors"),
            folder.join("adapter_model.safetensors"),
        )
        .unwrap();
        let mut settings = json(&from.join("adapter_config.json"));
        settings.as_object_mut().unwrap().remove("target_modules");
        std::fs::write(folder.join("adapter_config.json"), settings.to_string()).unwrap();
        forms.load(&folder).map(|model| forms.off(&model, "names"))
    };
    assert!(silent("names").unwrap() < 1e-4);
    let text = silent("all_linear").unwrap_err().to_string();
    assert!(text.contains("target_modules missing, which stands for q_proj and v_proj"), "{text}");
}

#[test]
fn the_base_of_an_adapter_can_be_given_and_only_of_an_adapter() {
    let forms = PeftForms::new();
    let (base, adapter) =
        (forms.place.path().join("base"), PeftForms::fixtures().join("lora/names"));
    let orthant = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_orthant"))
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let [base, adapter] = [&base, &adapter].map(|path| path.to_str().unwrap());
    let out = forms.place.path().join("out");
    let export = ["export", "--dtype", "f32", "--out", out.to_str().unwrap(), "--model"];
    let (status, text) = orthant(&[export.as_slice(), &[adapter]].concat());
    assert!(
        status == Some(2) && text.contains("base_model_name_or_path") && text.contains("--base"),
        "{text}"
    );
    let (status, text) = orthant(&[export.as_slice(), &[base, "--base", base]].concat());
    assert!(status == Some(2) && text.contains("leave --base out"), "{text}");
    let (status, text) = orthant(&[export.as_slice(), &[adapter, "--base", base]].concat());
    assert_eq!(status, Some(0), "{text}");
    let exported = LanguageModel::read(&out, DType::F32, &Device::Cpu).unwrap();
    assert!(forms.off(&exported, "names") < 1e-4);

    // An adapter that names itself as its base.
    let own = forms.place.path().join("own");
    std::fs::create_dir(&own).unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(PeftForms::fixtures().join("lora/names").join(file), own.join(file)).unwrap();
    }
    let settings = std::fs::read_to_string(own.join("adapter_config.json")).unwrap();
    std::fs::write(
        own.join("adapter_config.json"),
        settings.replace("../qwen3_tied", own.to_str().unwrap()),
    )
    .unwrap();
    let error =
        LanguageModel::read(&own, DType::F32, &Device::Cpu).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("is an adapter itself"), "{error}");
}

/// What Transformers, with PEFT where there is an adapter, says of the text; nothing where Python
/// lacks them.
fn ask_python(base: &Path, adapter: Option<&Path>, text: &str) -> Option<Vec<f32>> {
    use std::process::{Command, Stdio};
    let python = std::env::var("ORTHANT_PYTHON").unwrap_or_else(|_| "python3".into());
    let questions = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(questions.path(), json!([text]).to_string()).unwrap();
    let mut command = Command::new(&python);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/load_folder.py"))
        .arg(base)
        .args(adapter);
    let output = command
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::from(questions.reopen().unwrap()))
        .output()
        .ok()?;
    if output.status.code() == Some(3) {
        return None;
    }
    assert!(
        output.status.success(),
        "load_folder.py failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    Some(
        answers[0]["logprobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap() as f32)
            .collect(),
    )
}

#[test]
fn peft_reads_an_adapter_and_transformers_its_export_and_both_say_the_same() {
    FAMILIES.into_iter().for_each(peft_and_transformers_say_the_same_of);
}

fn peft_and_transformers_say_the_same_of(family: &str) {
    let text = "Use 1 2 12 to make 36\n12*(2+1)=36\n\\boxed{12*(2+1)}";
    let place = Workplace::new();
    tiny_model_of(family, true).write(&place.model()).unwrap();
    let run = place.run_parity(&place.parity_experiment(2, SETTINGS));
    let folder = run.folder.join("checkpoints/step_000002");
    let out = place.path().join("merged");
    let export = std::process::Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["export", "--dtype", "f32", "--json", "--model"])
        .arg(&folder)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    let model = checkpoint(&run.folder, 2);
    let ids = model.tokenizer.encode(text).unwrap();
    let batch = ResponseBatch::new(&[(&ids[..1], &ids[1..])]).unwrap();
    let logprobs = |model: &LanguageModel| -> Vec<f32> {
        let found = model.frozen.response_logprobs(&batch, 1.0).unwrap().narrow(1, 0, 1).unwrap();
        f32_values(&found)
    };
    let ours = logprobs(&model);
    let close = |theirs: &[f32], what: &str| {
        let off = largest_deviation(&ours, theirs);
        assert!(off < 1e-3, "{what}: {off}");
        eprintln!("{what}: {off:.1e}");
    };
    let exported = LanguageModel::read(&out, DType::F32, &Device::Cpu).unwrap();
    assert!(
        exported.adapter.is_none()
            && exported.trained().variables().all(|(_, v)| v.dtype() == DType::F32)
    );
    close(&logprobs(&exported), "the export");
    let Some(peft) = ask_python(&place.model(), Some(&folder), text) else {
        eprintln!("skipped: no Python with Transformers and PEFT; ORTHANT_PYTHON names one");
        return;
    };
    close(&peft, "PEFT");
    close(&ask_python(&out, None, text).unwrap(), "Transformers");
    let base = ask_python(&place.model(), None, text).unwrap();
    assert!(base.iter().zip(&ours).any(|(base, ours)| (base - ours).abs() > 1e-3));
}
