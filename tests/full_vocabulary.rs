//! A stand-in for the real thing: a model of Qwen3-1.7B's shape with two layers and the whole
//! vocabulary of 151,936, in bf16 and in shards, through the program as a person uses it: doctor,
//! two steps of the paper's experiment made short, checkpoint, export. Takes 10 GiB of memory, 7
//! GiB of disk for temporary files and about 90 s on two cores.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use orthant::model::{DecoderSpec, END_OF_TEXT, TextTokenizer};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Command;

fn shape(tokenizer: &TextTokenizer) -> DecoderSpec {
    DecoderSpec {
        vocab_size: 151_936,
        hidden_size: 2048,
        intermediate_size: 6144,
        num_hidden_layers: 2,
        num_attention_heads: 16,
        num_key_value_heads: 8,
        head_dim: 128,
        max_position_embeddings: 32_768,
        rope_theta: 1_000_000.0,
        tie_word_embeddings: true,
        eos_token_ids: vec![tokenizer.token_id(END_OF_TEXT).unwrap()],
        ..DecoderSpec::default()
    }
}

/// Writes one safetensors file of bf16 tensors with random values, norms near one.
fn write_shard(path: &Path, tensors: &[(String, Vec<usize>)]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(
            name.clone(),
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }),
        );
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    // A prime number of values is repeated, so that no two rows of a matrix are equal.
    let mut state = 1u64;
    let mut random = |mean: f32, width: f32| -> Vec<u8> {
        let value = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            half::bf16::from_f32(mean + width * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0))
                .to_le_bytes()
        };
        (0..4_000_037).flat_map(value).collect()
    };
    let (matrix, norm) = (random(0.0, 0.035), random(1.0, 0.1));
    for (_, shape) in tensors {
        let source = if shape.len() == 1 { &norm } else { &matrix };
        let mut left = 2 * shape.iter().product::<usize>();
        while left > 0 {
            let piece = left.min(source.len());
            file.write_all(&source[..piece]).unwrap();
            left -= piece;
        }
    }
    file.flush().unwrap();
}

fn write_model(folder: &Path) {
    let tokenizer = TextTokenizer::bytes_and_words(&["\\boxed{"]).unwrap();
    let shape = shape(&tokenizer);
    tokenizer.write(folder).unwrap();
    std::fs::write(folder.join("config.json"), shape.to_json(candle_core::DType::BF16).to_string())
        .unwrap();
    let parameters = shape.parameters();
    let mut map = serde_json::Map::new();
    for (number, part) in parameters.chunks(9).enumerate() {
        let name = format!("model-{number:05}.safetensors");
        map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), name.clone().into())));
        write_shard(&folder.join(&name), part);
    }
    std::fs::write(
        folder.join("model.safetensors.index.json"),
        json!({ "weight_map": map }).to_string(),
    )
    .unwrap();
}

/// Runs the program; returns its last line.
fn orthant(place: &Path, arguments: &[&str]) -> Value {
    let started = std::time::Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    // What is freed is given back at once, so that the measured peak is that of what is in use.
    command.env("MIMALLOC_PURGE_DELAY", "0");
    let output = command.args(arguments).arg("--json").current_dir(place).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{arguments:?}: {text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    eprintln!("{}: {:.1} s", arguments[0], started.elapsed().as_secs_f64());
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_papers_experiment_runs_on_its_vocabulary() {
    const LIMIT_MIB: f64 = 12.0 * 1024.0;
    const NEEDED: u64 = 12 << 30;
    if let Some(free) =
        orthant::machine::available(&candle_core::Device::Cpu).filter(|&free| free < NEEDED)
    {
        eprintln!("skipped: {} MiB of memory are free, and it takes {}", free >> 20, NEEDED >> 20);
        return;
    }
    // Beside the build, which is on a disk: temporary folders may be in memory.
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let model = place.path().join("model");
    std::fs::create_dir(&model).unwrap();
    write_model(&model);
    let problems: String = (1..40)
        .map(|n| {
            json!({ "problem": format!("What is {n} + {n}?"), "answer": (2 * n).to_string() })
                .to_string()
                + "\n"
        })
        .collect();
    std::fs::write(place.path().join("problems.jsonl"), problems).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/qwen3_1_7b_math_g2rl.ron");
    let file = file.to_str().unwrap();
    let mut settings = Vec::new();
    for setting in [
        "model=Local(\"model\")",
        "device=Cpu",
        "task.source=Local(\"problems.jsonl\")",
        "task.template=\"plain\"",
        "rollout.prompts_per_step=2",
        // Two wrong answers are equally novel, which would leave no gradient.
        "rollout.group_size=3",
        "rollout.max_new_tokens=6",
        "objective.minibatches=1",
        "evaluations=[]",
        "stop.steps=2",
    ] {
        settings.extend(["--set", setting]);
    }
    let doctor = orthant(place.path(), &[&["doctor", file], settings.as_slice()].concat());
    let estimated = doctor["peak"].as_f64().unwrap() / f64::from(1 << 20);
    assert!(doctor["fits"] == true && estimated < LIMIT_MIB, "{doctor}");

    let run = orthant(
        place.path(),
        &[&["run", file, "--headless", "--out", "runs"], settings.as_slice()].concat(),
    );
    assert_eq!((&run["state"], &run["step"]), (&json!("finished"), &json!(2)));
    let folder = place.path().join(run["run"].as_str().unwrap());
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let value = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} {row}"));
        // The distribution of a random model is near uniform: ln 151,936 = 11.93 nats.
        assert!(value("policy/entropy") > 8.0 && value("policy/entropy") < 11.94, "{row}");
        assert!(
            value("policy/grad_norm") > 0.0 && value("policy/sampler_logprob_gap") < 0.5,
            "{row}"
        );
        assert!(value("memory/peak_mib") < LIMIT_MIB, "{row}");
    }
    let measured = rows[1]["memory/peak_mib"].as_f64().unwrap();
    eprintln!("peak memory: {estimated:.0} MiB estimated, {measured:.0} MiB measured");
    assert!((0.85..=1.15).contains(&(estimated / measured)), "{estimated} {measured}");

    let checkpoint = folder.join("checkpoints/step_000002");
    let parameters = shape(&TextTokenizer::bytes_and_words(&[]).unwrap()).parameter_count() as u64;
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert_eq!(size(&checkpoint.join("model.safetensors")) / parameters, 2);
    assert_eq!(size(&checkpoint.join("trainer.safetensors")) / parameters, 12);
    std::fs::remove_file(checkpoint.join("trainer.safetensors")).unwrap();

    let export = orthant(
        place.path(),
        &["export", "--model", checkpoint.to_str().unwrap(), "--out", "exported"],
    );
    assert_eq!(export["params"], parameters);
    let exported = place.path().join("exported/model.safetensors");
    // From bf16 through f32 to bf16 again is the same, byte for byte.
    assert!(
        std::fs::read(exported).unwrap()
            == std::fs::read(checkpoint.join("model.safetensors")).unwrap()
    );
}
