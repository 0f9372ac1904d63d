//! The same seed on the same device gives the same run: for any number of threads byte for byte,
//! for any size of micro-batches as far as the order of floating-point sums allows.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use common::{Finished, Workplace, lines};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Trains the bundled model for two steps with that many threads; returns what a clock does not
/// decide.
fn run(threads: &str, place: &Path) -> Vec<Vec<u8>> {
    let file = place.join("experiment.ron");
    std::fs::write(
        &file,
        r#"Experiment(
            name: "threads",
            model: Bundled("countdown"),
            device: Cpu,
            task: Countdown(),
            rollout: (prompts_per_step: 6, group_size: 8, max_new_tokens: 48),
            method: G2rl(),
            objective: (epochs: 2, minibatches: 2, micro_batch_tokens: 1024),
            optimizer: AdamW(learning_rate: 1e-3, warmup_steps: 0),
            evaluations: [(suite: HeldOut(problems: 8), samples: 4, k: [1, 4])],
            record: (features: true),
            stop: (steps: 2),
        )"#,
    )
    .unwrap();
    let out = place.join(threads);
    let status = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["run", "--headless", "--out"])
        .args([&out, &file])
        .env("RAYON_NUM_THREADS", threads)
        .env("CANDLE_NUM_THREADS", threads)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let folder = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let timeless = |name: &str| {
        let mut rows = lines(&folder.join(name));
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|key, _| {
                !["time", "throughput/", "memory/", "wall_s", "seconds"]
                    .iter()
                    .any(|start| key.starts_with(start))
            });
        }
        rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n").into_bytes()
    };
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    vec![
        timeless("metrics.jsonl"),
        timeless("evals.jsonl"),
        bytes("rollouts/step_000001.jsonl"),
        bytes("rollouts/step_000002.jsonl"),
        bytes("geometry/step_000002.safetensors"),
        bytes("checkpoints/step_000002/model.safetensors"),
        bytes("checkpoints/step_000002/trainer.safetensors"),
    ]
}

#[test]
fn a_run_is_the_same_byte_for_byte_with_any_number_of_threads() {
    let place = tempfile::tempdir().unwrap();
    let one = run("1", place.path());
    for threads in ["2", "3"] {
        for (index, (one, more)) in one.iter().zip(run(threads, place.path())).enumerate() {
            assert!(*one == more, "{threads} threads change file {index} of the list in `run`");
        }
    }
}

/// Metrics of the first step that come before the first sum over micro-batches, or do not depend on
/// its order.
fn is_exact(name: &str) -> bool {
    !["policy/loss", "policy/grad_norm", "policy/kl"].contains(&name)
}

/// Each micro-batch's gradient is a sum over its tokens, and these sums are added up: another size
/// is another order of additions, so gradients agree to rounding and not to the bit. What is
/// sampled and measured before the first optimizer step is equal.
#[test]
fn micro_batches_change_nothing_before_the_first_update_and_rounding_after_it() {
    let place = Workplace::new();
    let run = |tokens: usize| {
        let mut experiment =
            place.parity_experiment(2, "method: G2rl(), objective: (kl: (coefficient: 0.1))");
        experiment.objective.micro_batch_tokens = Some(tokens);
        place.run_parity(&experiment)
    };
    let whole = run(4096);
    for tokens in [1, 60, 200] {
        let split: Finished = run(tokens);
        assert_eq!(whole.rollouts(1), split.rollouts(1));
        let (expected, found) = (whole.repeatable_metrics(), split.repeatable_metrics());
        for (name, expected) in expected[0].as_object().unwrap() {
            let found = &found[0][name];
            if is_exact(name) {
                assert_eq!(found, expected, "{name} with micro-batches of {tokens} tokens");
            } else {
                let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
                let bound = 1e-5 * expected.abs() + 1e-7;
                assert!(
                    (found - expected).abs() < bound,
                    "{name}: {found} {expected} ({tokens} tokens)"
                );
            }
        }
    }
}
