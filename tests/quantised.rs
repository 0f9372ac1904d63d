//! Base models in four bits: their values are those of bitsandbytes, a run with one is the run with
//! the model that it decodes to, and what that costs of memory is foretold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{
    FAMILIES, Workplace, checkpoint, json, largest_deviation, resume_is_refused, resume_well,
    tiny_model_of, values,
};
use orthant::experiment::{LoraConfig, LoraTarget, ModelSource, Quantisation, to_text};
use orthant::kernels::Nf4;
use orthant::model::{
    Completion, LanguageModel, LoraAdapter, PromptRequest, ResponseBatch, Sampling, StreamKey,
};
use orthant::prelude::*;
use std::path::{Path, PathBuf};

const CPU: Device = Device::Cpu;

#[test]
fn codes_scales_and_values_are_those_of_bitsandbytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nf4.safetensors");
    let tensors = candle_core::safetensors::load(path, &CPU).unwrap();
    let cases = tensors.keys().filter_map(|name| name.strip_suffix(".values"));
    let cases: Vec<&str> = cases.collect();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let get = |what: &str| &tensors[&format!("{case}.{what}")];
        let matrix = Nf4::quantize(get("values"), DType::F32, &CPU).unwrap();
        let bytes = |t: &Tensor| t.to_vec1::<u8>().unwrap();
        assert!(bytes(matrix.codes()) == bytes(get("packed")), "{case}: codes");
        assert!(values(matrix.scales()) == values(get("absmax")), "{case}: scales");
        for (dtype, what) in [(DType::F32, "f32"), (DType::BF16, "bf16")] {
            let found = matrix.to_dtype(dtype).dequantize().unwrap();
            assert!(found.dtype() == dtype && found.dims() == get("values").dims());
            assert!(values(&found) == values(get(what)), "{case}: {what}");
        }
        let size = get("packed").elem_count() + 4 * get("absmax").elem_count();
        assert_eq!(Nf4::bytes(get("values").elem_count()), size);
    }
}

/// Whether a parameter is the weight of a linear layer of a decoder layer.
fn is_linear(name: &str) -> bool {
    name.contains("_proj.weight")
}

/// The same model with every linear layer as it comes out of four bits.
fn decoded(model: LanguageModel) -> LanguageModel {
    for (name, variable) in model.weights.variables().filter(|(name, _)| is_linear(name)) {
        let matrix = Nf4::quantize(variable.as_tensor(), variable.dtype(), &CPU).unwrap();
        let values = matrix.dequantize().unwrap();
        assert!(common::difference_of(&values, variable) > 1e-2, "{name} is as it was");
        variable.set(&values).unwrap();
    }
    model
}

/// A model in four bits, and the same model as it is decoded.
fn pair(family: &str, dtype: DType) -> [LanguageModel; 2] {
    let model = || tiny_model_of(family, true).converted(dtype).unwrap();
    let quantised = model().quantised(Some(Quantisation::Nf4)).unwrap();
    let matrices: Vec<&str> = quantised.weights.quantised().map(|(name, _)| name).collect();
    assert!(matrices.len() == 2 * 7 && matrices.iter().all(|name| is_linear(name)));
    assert!(quantised.weights.variables().all(|(name, _)| !is_linear(name)));
    [quantised, decoded(model())]
}

/// The model with an adapter on some of its linear layers, whose B is not zero any more.
fn adapted(base: LanguageModel, targets: &[LoraTarget]) -> LanguageModel {
    let dtype = base.trainable.head().dtype();
    let config = LoraConfig { rank: 3, alpha: 6.0, targets: targets.to_vec() };
    let source = ModelSource::Local(PathBuf::from("base"));
    let adapter = LoraAdapter::new(&config, source, &base.config, 7, dtype, &CPU).unwrap();
    for (name, variable) in adapter.weights().variables().filter(|(n, _)| n.contains("lora_B")) {
        let value = |i: usize| (0.05 * (i as f64 + name.len() as f64).sin()) as f32;
        let values: Vec<f32> = (0..variable.elem_count()).map(value).collect();
        let values = Tensor::from_vec(values, variable.dims(), &CPU).unwrap();
        variable.set(&values.to_dtype(dtype).unwrap()).unwrap();
    }
    base.with_adapter(adapter).unwrap()
}

fn batch(model: &LanguageModel) -> ResponseBatch {
    let ids = model.tokenizer.encode("Use 1 2 12 to make 36\n12*(2+1)=36").unwrap();
    ResponseBatch::new(&[(&ids[..4], &ids[4..]), (&ids[..9], &ids[9..20])]).unwrap()
}

#[test]
fn log_probabilities_and_gradients_are_those_of_the_decoded_model_to_the_last_bit() {
    for (family, dtype) in
        FAMILIES.into_iter().flat_map(|family| [(family, DType::F32), (family, DType::BF16)])
    {
        for targets in [&LoraTarget::ALL[..], &[LoraTarget::Q, LoraTarget::Down]] {
            let [quantised, plain] = pair(family, dtype).map(|base| adapted(base, targets));
            let [found, expected] = [&quantised, &plain].map(|model| {
                let statistics = model.trainable.response_logprobs(&batch(model), 0.8).unwrap();
                let store = statistics.mean_all().unwrap().backward().unwrap();
                let adapter = model.adapter.as_ref().unwrap().weights();
                let gradients = adapter.variables().map(|(_, v)| values(store.get(v).unwrap()));
                (values(&statistics), gradients.collect::<Vec<_>>())
            });
            assert!(found.0 == expected.0, "{family} {dtype:?}");
            assert!(found.1 == expected.1, "{family} {dtype:?}: gradients");
            assert!(found.1.iter().flatten().any(|g| g.abs() > 1e-4));
        }
    }
}

/// Without an adapter layers are computed without a graph, as those of the reference are.
#[test]
fn a_frozen_network_says_what_the_decoded_one_does_to_the_last_bit() {
    for (family, dtype) in
        FAMILIES.into_iter().flat_map(|family| [(family, DType::F32), (family, DType::BF16)])
    {
        let [found, expected] = pair(family, dtype)
            .map(|model| values(&model.frozen.response_logprobs(&batch(&model), 0.8).unwrap()));
        assert!(found == expected, "{family} {dtype:?}");
    }
}

fn sample(model: &LanguageModel) -> (Vec<PromptRequest>, Vec<Completion>) {
    let prompts: Vec<PromptRequest> = ["Use 1 2 to make", "a", "Use 12"]
        .iter()
        .enumerate()
        .map(|(index, text)| PromptRequest {
            ids: model.tokenizer.encode(text).unwrap(),
            key: StreamKey { seed: 3, step: 1, prompt: index as u64 },
        })
        .collect();
    let sampling = Sampling { temperature: 1.0, top_k: None, top_p: None, max_new_tokens: 30 };
    let completions = model.frozen.sample(&prompts, 13, &sampling, None, |_| {}).unwrap();
    (prompts, completions)
}

#[test]
fn decoding_with_a_cache_says_what_a_forward_pass_says_and_what_the_decoded_model_says() {
    for family in FAMILIES {
        for targets in [&[][..], &LoraTarget::ALL] {
            let models = pair(family, DType::F32).map(|base| match targets {
                [] => base,
                targets => adapted(base, targets),
            });
            let [(prompts, found), (_, expected)] = [sample(&models[0]), sample(&models[1])];
            assert!(found == expected, "{family}, {} targets", targets.len());
            let pairs = found
                .iter()
                .enumerate()
                .map(|(i, completion)| (prompts[i / 13].ids.as_slice(), completion.ids.as_slice()));
            let batch = ResponseBatch::new(&pairs.collect::<Vec<_>>()).unwrap();
            let uncached = models[0].frozen.response_logprobs(&batch, 1.0).unwrap();
            let uncached = values(&uncached.narrow(1, 0, 1).unwrap());
            let cached: Vec<f32> = found.iter().flat_map(|c| c.logprobs.clone()).collect();
            assert!(cached.len() > 100);
            let off = largest_deviation(&cached, &uncached);
            eprintln!("{family}, {} targets: cached against uncached {off:.1e}", targets.len());
            assert!(off < 1e-4, "{family}: {off:e}");
        }
    }
}

const SETTINGS: &str = "adapter: Lora(rank: 4, alpha: 8.0), method: G2rl(), \
                        objective: (kl: (coefficient: 0.05)), record: (checkpoint_every: 1)";

fn with_nf4(settings: &str) -> String {
    format!("{settings}, quantize_base: Nf4")
}

fn adapter_of(run: &common::Finished, step: u64) -> Vec<u8> {
    let folder = run.folder.join(format!("checkpoints/step_{step:06}"));
    std::fs::read(folder.join("adapter_model.safetensors")).unwrap()
}

/// Sampling, the reference, features and the update all have the same base.
#[test]
fn a_run_is_the_run_on_the_decoded_model_byte_for_byte() {
    for precision in ["F32", "Bf16"] {
        let places = [Workplace::new(), Workplace::new()];
        decoded(common::tiny_model()).write(&places[1].model()).unwrap();
        let settings = format!("{SETTINGS}, precision: {precision}");
        let of_each = places.iter().zip([with_nf4(&settings), settings.clone()]);
        let runs = of_each
            .map(|(place, settings)| place.run_parity(&place.parity_experiment(3, &settings)));
        let [quantised, plain] = &*runs.collect::<Vec<_>>() else { panic!() };
        let metrics = quantised.repeatable_metrics();
        assert_eq!(metrics, plain.repeatable_metrics(), "{precision}");
        assert!(metrics[2]["policy/kl"].as_f64().unwrap() > 1e-6);
        assert!(adapter_of(quantised, 3) == adapter_of(plain, 3), "{precision}");
        // Its weights are those that it trains on.
        let hash =
            |run: &common::Finished| json(&run.folder.join("manifest.json"))["model_hash"].clone();
        assert_eq!(hash(quantised), hash(plain), "{precision}");
    }
}

#[test]
fn two_steps_and_one_more_are_three_steps_byte_for_byte() {
    let place = Workplace::new();
    let settings = with_nf4(SETTINGS);
    let straight = place.run_parity(&place.parity_experiment(3, &settings));
    let part = place.run_parity(&place.parity_experiment(2, &settings));
    let resumed = RunBuilder::resume(&part.folder, &["stop.steps=3".to_string()]).unwrap();
    let resumed = common::finish(resumed.task(common::Parity).start(&place.runs()).unwrap());
    assert_eq!(straight.repeatable_metrics(), resumed.repeatable_metrics());
    assert!(adapter_of(&straight, 3) == adapter_of(&resumed, 3));
}

/// The model that an adapter was trained on is the one in four bits, and that is what evaluations
/// and the export make of its checkpoint. The adapter alone is one of the model in its folder.
#[test]
fn a_checkpoint_is_merged_into_what_it_was_trained_on() {
    for (precision, dtype) in [("F32", DType::F32), ("Bf16", DType::BF16)] {
        merged_into_what_it_was_trained_on(&format!("{SETTINGS}, precision: {precision}"), dtype);
    }
}

/// The model with the values that its weights have in a type.
fn rounded(model: LanguageModel, dtype: DType) -> LanguageModel {
    for (_, variable) in model.weights.variables() {
        let values = variable.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
        variable.set(&values.copy().unwrap()).unwrap();
    }
    model
}

fn merged_into_what_it_was_trained_on(settings: &str, dtype: DType) {
    let place = Workplace::new();
    let run = place.run_parity(&place.parity_experiment(2, &with_nf4(settings)));
    let read = checkpoint(&run.folder, 2);
    // Read in another type than the run's, they are decoded at once.
    let matrices = if dtype == DType::F32 { 2 * 7 } else { 0 };
    assert_eq!(read.weights.quantised().count(), matrices);
    let folder = run.folder.join("checkpoints/step_000002");
    let settings = json(&folder.join("adapter_config.json"));
    let base = place.model().canonicalize().unwrap();
    assert_eq!(settings["base_model_name_or_path"], base.to_str().unwrap());

    let merged = |base: LanguageModel| {
        let config = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
        let source = ModelSource::Local(place.model());
        let shape = base.config.clone();
        let adapter =
            LoraAdapter::read(&folder, &config, source, &shape, DType::F32, &CPU).unwrap();
        base.with_adapter(adapter).unwrap().merged().unwrap().weights
    };
    let expected = merged(rounded(decoded(common::tiny_model()), dtype));
    let read = read.merged().unwrap().weights;
    assert!(read.quantised().next().is_none());
    assert!(common::largest_difference(&expected, &read) == 0.0);

    let out = place.path().join("out");
    let arguments = ["export", "--dtype", "f32", "--out", out.to_str().unwrap(), "--model"];
    let (status, text) =
        common::orthant(&place, &[&arguments[..], &[folder.to_str().unwrap()]].concat());
    assert_eq!(status, 0, "{text}");
    let exported = LanguageModel::read(&out, DType::F32, &CPU).unwrap();
    assert!(common::largest_difference(&expected, &exported.weights) == 0.0);

    // As PEFT has it: nothing beside the adapter.
    let alone = place.path().join("alone");
    std::fs::create_dir(&alone).unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(folder.join(file), alone.join(file)).unwrap();
    }
    let alone = LanguageModel::read(&alone, DType::F32, &CPU).unwrap().merged().unwrap().weights;
    assert!(common::largest_difference(&merged(common::tiny_model()), &alone) == 0.0);
}

#[test]
fn what_needs_all_bits_of_the_base_is_refused_by_the_field() {
    let place = Workplace::new();
    let error = place.experiment(1, "quantize_base: Nf4").validate().unwrap_err();
    let text = error.to_string();
    for word in ["`quantize_base` is Nf4", "without an adapter", "adapter: Lora(rank: 16)"] {
        assert!(error.exit_status() == 2 && text.contains(word), "{text}");
    }
    place.experiment(1, "quantize_base: None").validate().unwrap();
    let file = place.path().join("experiment.ron");
    std::fs::write(&file, to_text(&place.experiment(1, SETTINGS)).unwrap()).unwrap();
    let (status, text) =
        common::orthant(&place, &["run", "experiment.ron", "--set", "quantize_base=Nf8"]);
    assert!(status == 2 && text.contains("did you mean `Nf4`"), "{text}");
}

#[test]
fn a_run_does_not_change_the_bits_of_its_base_unasked() {
    let place = Workplace::new();
    let run = place.run(&place.experiment(2, &with_nf4(SETTINGS))).folder;
    let change = ["--set", "stop.steps=3", "--set", "quantize_base=None"];
    resume_is_refused(
        &place,
        &run,
        &change,
        &["another run", "quantize_base from Nf4 to None", "--accept-changes"],
    );
    resume_well(&place, &run, &[&change[..], &["--accept-changes"]].concat());
    let edit = common::events(&run, "edit").pop().unwrap();
    assert_eq!(edit["edit"]["path"], "quantize_base");
    let warnings = common::events(&run, "warning");
    assert!(
        warnings.iter().all(|event| !event["text"].as_str().unwrap().contains("was replaced")),
        "{warnings:?}"
    );
    resume_well(&place, &run, &["--set", "stop.steps=4"]);
}

#[test]
fn doctor_counts_four_and_a_half_bits_and_one_decoded_layer() {
    let place = Workplace::new();
    let file = place.path().join("experiment.ron");
    let settings = SETTINGS.replace("adapter:", "precision: Bf16, adapter:");
    std::fs::write(&file, to_text(&place.experiment(1, &settings)).unwrap()).unwrap();
    let doctor = |set: &[&str]| {
        let output = common::command(&place, &["doctor", "experiment.ron", "--json"])
            .args(set.iter().flat_map(|set| ["--set", set]))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let last = serde_json::from_str::<serde_json::Value>(text.lines().last().unwrap()).unwrap();
        (last["estimate"].clone(), text)
    };
    let bytes = |estimate: &serde_json::Value, name: &str| estimate[name].as_u64().unwrap();
    let ((plain, without), (quantised, with)) = (doctor(&[]), doctor(&["quantize_base=Nf4"]));
    // q and o of 32 by 32, k and v of 16 by 32, three matrices of 48 by 32.
    let layer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32;
    let saved = 2 * (2 * layer) - 2 * (layer / 2 + layer / 64 * 4);
    assert_eq!(bytes(&plain, "weights") - bytes(&quantised, "weights"), saved);
    assert_eq!((bytes(&plain, "decoded"), bytes(&quantised, "decoded")), (0, 2 * layer));
    assert!(with.contains("one layer's weights, decoded"), "{with}");
    assert!(!without.contains("one layer's weights"), "{without}");
}
