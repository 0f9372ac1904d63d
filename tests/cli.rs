//! The program as a person or a script meets it: help, errors, exit statuses, and what stands where
//! after a run.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device};
use common::{TINY_BENCH, Workplace, checkpoint, json, lines, wait_until};
use orthant::experiment::ModelSource;
use orthant::model::{LanguageModel, TextTokenizer};
use orthant::tasks::{Task, countdown::Countdown};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a finished command left behind.
struct Output {
    status: i32,
    stdout: String,
    stderr: String,
}

/// The program, to be run in `place` without a display.
fn program(place: &Workplace, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orthant"));
    command
        .args(arguments)
        .current_dir(place.path())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command
}

fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    Output {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn orthant(place: &Workplace, arguments: &[&str]) -> Output {
    output(&mut program(place, arguments))
}

/// An experiment file on the tiny model.
fn experiment(steps: u64) -> String {
    format!(
        "// A comment with (brackets and \"quotes\".
Experiment(
    name: \"cli\",
    model: Local(\"model\"),
    task: Countdown(numbers: 3),
    rollout: (prompts_per_step: 2, group_size: 2, max_new_tokens: 8),
    evaluations: [(suite: HeldOut(problems: 2), every: 1000000, samples: 2, k: [1, 2])],
    stop: (steps: {steps}),
)
"
    )
}

fn write(place: &Workplace, text: &str) {
    std::fs::write(place.path().join("experiment.ron"), text).unwrap();
}

/// The only run folder of `place`.
fn run_folder(place: &Workplace) -> Option<PathBuf> {
    let mut folders: Vec<_> =
        std::fs::read_dir(place.runs()).ok()?.map(|entry| entry.unwrap().path()).collect();
    assert!(folders.len() <= 1, "{folders:?}");
    folders.pop()
}

#[test]
fn help_of_the_program_and_of_every_command_has_an_example() {
    let place = Workplace::new();
    let top = orthant(&place, &["--help"]);
    assert!(
        top.status == 0 && top.stderr.is_empty() && top.stdout.contains("Example: orthant "),
        "{}",
        top.stdout
    );
    let listed =
        top.stdout.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let commands: Vec<_> = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|command| *command != "help")
        .collect();
    assert!(
        ["run", "pretrain", "bench"].iter().all(|command| commands.contains(command)),
        "{commands:?}"
    );
    for command in commands {
        let help = orthant(&place, &[command, "--help"]);
        assert!(help.status == 0 && help.stderr.is_empty(), "{command}: {}", help.stderr);
        assert!(
            help.stdout.contains(&format!("Example: orthant {command} ")),
            "{command}: {}",
            help.stdout
        );
    }
    let version = orthant(&place, &["--version"]);
    assert_eq!(
        (version.status, version.stdout.trim()),
        (0, concat!("orthant ", env!("CARGO_PKG_VERSION")))
    );
}

/// What is for a run that continues, or for a window, is not passed over where there is none.
#[test]
fn options_that_could_do_nothing_are_refused() {
    let place = Workplace::new();
    write(&place, &experiment(2));
    for (option, words) in [
        (&["--from-step", "2"][..], ["--from-step", "--resume RUN_DIR"]),
        (&["--accept-changes"], ["--accept-changes", "--resume RUN_DIR"]),
        (&["--screenshot", "a.png"], ["--screenshot", "--headless opens none"]),
        (&["--panel", "Health"], ["--panel", "--headless opens none"]),
        (&["--theme", "dark"], ["--theme", "--headless opens none"]),
    ] {
        assert_refused(
            &place,
            &[&["run", "experiment.ron", "--headless"], option].concat(),
            &words,
        );
    }
    let picture = ["run", "experiment.ron", "--screenshot", "a.png"];
    assert_refused(&place, &picture, &["no display found", "xvfb-run"]);
    let name = format!("name=\"{}\"", "a".repeat(201));
    let long = ["run", "experiment.ron", "--headless", "--set", &name];
    assert_refused(&place, &long, &["`name` has 201 characters", "at most 200"]);
    let by_place = ["run", "experiment.ron", "--headless", "--set", "rollout.0=3"];
    assert_refused(&place, &by_place, &["`rollout` has no field `0`", "prompts_per_step"]);
}

/// A program says beforehand that it cannot run what another one brings.
#[test]
fn doctor_names_a_method_and_a_task_of_another_program() {
    let place = Workplace::new();
    write(&place, &experiment(2));
    for (setting, words) in [
        ("method=Custom(\"brevity\", (strength: 1))", "the method `brevity` is not part of"),
        ("task=Custom(\"count-even\")", "the task `count-even` is not part of"),
    ] {
        let output = orthant(&place, &["doctor", "experiment.ron", "--set", setting]);
        let told = output.stdout + &output.stderr;
        assert!(output.status == 2 && told.contains(words), "{}: {told}", output.status);
    }
}

#[test]
fn without_a_command_and_a_display_the_program_says_what_to_do() {
    let place = Workplace::new();
    assert_refused(&place, &[], &["display", "orthant run"]);
}

/// Asserts that the arguments are refused before any work, in one paragraph that holds all of
/// `words`.
fn assert_refused(place: &Workplace, arguments: &[&str], words: &[&str]) {
    let output = orthant(place, arguments);
    let text = output.stderr.trim_end();
    assert_eq!(output.status, 2, "{arguments:?}: {text}");
    assert!(text.starts_with("error: ") && text.lines().count() == 1, "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: {word:?} is not in: {text}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", output.stdout);
    assert!(run_folder(place).is_none(), "{arguments:?} made a run folder");
}

#[test]
fn faults_in_an_experiment_file_are_refused_with_place_and_remedy() {
    let place = Workplace::new();
    for (right, wrong, words) in [
        (
            "group_size: 2",
            "group_sise: 2",
            &["`group_sise`", "did you mean `group_size`", "line 6"] as &[&str],
        ),
        ("stop:", "stopp:", &["`stopp`", "did you mean `stop`", "line 8, column"]),
        ("Countdown(", "Countdwn(", &["`Countdwn`", "did you mean `Countdown`", "line 5"]),
        ("max_new_tokens: 8", "max_new_tokens: \"8\"", &["line 6, column"]),
        ("    name: \"cli\",\n", "", &["`name`", "missing"]),
        (
            "group_size: 2",
            "group_size: 1",
            &["`rollout.group_size` is 1", "between 2 and", "line 6, column 48"],
        ),
        (
            "k: [1, 2]",
            "k: [1, 3]",
            &["`evaluations.0.k.1` is 3", "between 1 and 2 (`evaluations.0.samples`)", "line 7"],
        ),
        ("steps: 2", "steps: 0", &["`stop.steps` is 0", "at least 1", "line 8, column 19"]),
        ("name: \"cli\"", "name: \"a/b\"", &["`name`", "letters, digits", "line 3, column 11"]),
        (
            "numbers: 3",
            "numbers: 9",
            &["`task.numbers` is 9", "between 2 and 6", "line 5, column 30"],
        ),
        (
            "Local(\"model\")",
            "Bundled(\"countdwn\")",
            &["`countdwn`", "did you mean `countdown`", "line 4, column 12"],
        ),
        (
            "max_new_tokens: 8",
            "max_new_tokens: 128",
            &["`rollout.max_new_tokens` is 128", "positions", "line 6, column 67"],
        ),
        ("Local(\"model\")", "Local(\"no/such\")", &["no/such", "does not exist", "config.json"]),
        (
            "Countdown(numbers: 3)",
            "Dataset(source: Local(\"a.json\"), max_prompt_tokens: 0)",
            &["`task.max_prompt_tokens` is 0", "between 1 and", "experiment.ron, line 5"],
        ),
        ("Countdown(numbers: 3)", "Custom(\"mine\")", &["`mine`", "programs"]),
    ] {
        let text = experiment(2);
        assert!(text.contains(right), "{right}");
        write(&place, &text.replace(right, wrong));
        let file =
            if right.starts_with("Local") || right.ends_with("3)") { "" } else { "experiment.ron" };
        assert_refused(
            &place,
            &["run", "experiment.ron", "--headless"],
            &[words, &[file]].concat(),
        );
    }
}

#[test]
fn the_longest_prompt_that_a_task_can_make_decides() {
    let place = Workplace::new();
    let tokenizer = TextTokenizer::read(&place.model()).unwrap();
    let longest = Countdown::new(3, (1, 99), 13).unwrap().longest_prompt(0, &tokenizer).unwrap();
    let with = |new: usize| {
        write(
            &place,
            &experiment(2).replace("max_new_tokens: 8", &format!("max_new_tokens: {new}")),
        );
        let room = format!("can have a prompt of {longest} tokens");
        (room, format!("lower it to {}", 128 - longest))
    };
    let (room, remedy) = with(129 - longest);
    assert_refused(
        &place,
        &["run", "experiment.ron", "--headless"],
        &["`rollout.max_new_tokens`", &room, &remedy],
    );
    let output = orthant(&place, &["doctor", "experiment.ron"]);
    assert!(output.status == 2 && output.stderr.contains(&room), "{}", output.stderr);
    with(128 - longest);
    assert_eq!(orthant(&place, &["doctor", "experiment.ron"]).status, 0);
}

#[test]
fn faults_in_arguments_are_refused_with_a_remedy() {
    let place = Workplace::new();
    write(&place, &experiment(2));
    let run = |more: &[&'static str]| [&["run", "experiment.ron", "--headless"], more].concat();
    assert_refused(
        &place,
        &["run", "missing.ron", "--headless"],
        &["missing.ron", "cannot read", "such as"],
    );
    assert_refused(
        &place,
        &run(&["--set", "stop.step=3"]),
        &["--set stop.step=3", "`step`", "did you mean `steps`"],
    );
    assert_refused(&place, &run(&["--set", "stopp.steps=3"]), &["`stopp`", "did you mean `stop`"]);
    assert_refused(
        &place,
        &run(&["--set", "stop.steps=many"]),
        &["--set stop.steps=many", "not a value"],
    );
    assert_refused(&place, &run(&["--set", "stop.steps=0"]), &["--set stop.steps=0", "at least 1"]);
    assert_refused(&place, &run(&["--set", "stop.steps"]), &["path=value"]);
    assert_refused(&place, &run(&["--set", "evaluations.4.every=1"]), &["no field `4`"]);
    assert_refused(
        &place,
        &run(&["--device", "gpu"]),
        &["'gpu'", "--device", "auto, cpu, or cuda:"],
    );
    assert_refused(&place, &run(&["--seed", "-1"]), &["--seed", "between 0 and"]);
    assert_refused(&place, &run(&["--device", "-1"]), &["'-1'", "--device"]);
    let score = |more: &[&'static str]| {
        [&["score", "--model", "model", "--input", "a", "--out", "b"], more].concat()
    };
    for number in ["-1", "-.5", "-.", "-1e-3", "-0.5x"] {
        assert_refused(
            &place,
            &score(&["--lambda", number]),
            &["--lambda", number, "a number between 0 and 2"],
        );
    }
    let eval = ["eval", "--model", "model", "--suite", "countdown", "--temperature", "-.5"];
    assert_refused(&place, &eval, &["'-.5'", "--temperature", "between 0 and 100"]);
    // A flag takes no value, and what follows `--` is a file's name.
    assert_refused(&place, &score(&["--json", "-.5"]), &["'-.5'", "--json"]);
    assert_refused(&place, &["grade", "--", "--json", "-.5"], &["-.5"]);
    let picture = ["--screenshot", "a.png", "--after-step", "-1"];
    assert_refused(&place, &run(&picture), &["'-1'", "--after-step"]);
    assert_refused(&place, &["doctor", "--memory", "-1"], &["--memory", "-1"]);
    let minibatches = run(&["--set", "objective.minibatches=1000"]);
    assert_refused(
        &place,
        &minibatches,
        &["`objective.minibatches` is 1000", "`rollout.group_size`"],
    );
    assert_refused(&place, &run(&["--hedless"]), &["'--hedless'", "'--headless'"]);
    assert_refused(&place, &["rum", "experiment.ron"], &["'rum'", "'run'"]);
    assert_refused(&place, &["run"], &["EXPERIMENT"]);
    assert_refused(
        &place,
        &["pretrain", "experiment.ron"],
        &["`Pretrain`", "experiment.ron", "line 2"],
    );
}

#[test]
fn faults_in_a_methods_settings_are_refused_with_the_field_and_a_remedy() {
    let place = Workplace::new();
    write(&place, &experiment(2));
    for (method, words) in [
        (
            "G2rl(lambda_schedule: Linear(to: 3.0, over_steps: 5))",
            ["`method.lambda_schedule.to` is 3", "between 0 and 2"],
        ),
        (
            "G2rl(lambda_schedule: Linear(to: 0.0, over_steps: 0))",
            ["`method.lambda_schedule.over_steps` is 0", "at least 1"],
        ),
        (
            "G2rl(lambda_schedule: Linear(to: 0.0, steps: 5))",
            ["`steps`", "did you mean `over_steps`"],
        ),
        ("G2rl(alpha: Entrpy)", ["`Entrpy`", "did you mean `Entropy`"]),
        ("EvolRl(lables: Majority)", ["`lables`", "did you mean `labels`"]),
        ("EvolRl(encoder: Polcy)", ["`Polcy`", "did you mean `Policy`"]),
        (
            "EvolRl(entropy_coefficient: -1.0)",
            ["`method.entropy_coefficient` is -1", "between 0 and 10"],
        ),
        (
            "EvolRl(encoder: Hub(repo: \"a/b\", revison: \"v1\"))",
            ["`revison`", "did you mean `revision`"],
        ),
    ] {
        assert_refused(
            &place,
            &["run", "experiment.ron", "--headless", "--set", &format!("method={method}")],
            &words,
        );
    }
}

#[test]
fn a_headless_run_prints_its_evaluations_and_where_everything_is() {
    let place = Workplace::new();
    write(&place, &experiment(2));
    let output =
        orthant(&place, &["run", "experiment.ron", "--json", "--seed", "3", "--device", "cpu"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(output.stderr.contains("no display"), "{}", output.stderr);
    let folder = run_folder(&place).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("cli-s3-"), "{name}");
    for words in [
        "step 0: countdown held-out 2, pass@1 ",
        "step 2: countdown held-out 2, pass@1 ",
        name,
        "step_000002",
    ] {
        assert!(output.stdout.contains(words), "{words:?} is not in: {}", output.stdout);
    }
    let last: Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["step"]), (&"finished".into(), &2.into()));
    assert_eq!(place.path().join(last["run"].as_str().unwrap()), folder);
    assert!(last["evaluation"]["pass@2"]["value"].is_number(), "{last}");

    let again = folder.join("experiment.ron");
    let runs = place.path().join("elsewhere");
    let arguments = ["run", again.to_str().unwrap(), "--headless", "--out", runs.to_str().unwrap()];
    assert_eq!(orthant(&place, &arguments).status, 0, "a resolved experiment runs again as it is");
}

#[test]
fn viewing_needs_a_run_folder_and_a_display_and_says_so() {
    let place = Workplace::new();
    assert_refused(&place, &["view"], &["<RUN_DIR>"]);
    assert_refused(&place, &["view", "nowhere"], &["nowhere is not a run folder", "`orthant run`"]);
    write(&place, &experiment(1));
    assert_eq!(orthant(&place, &["run", "experiment.ron", "--headless"]).status, 0);
    let folder = run_folder(&place).unwrap();
    let refused = orthant(&place, &["view", folder.to_str().unwrap()]);
    assert_eq!((refused.status, refused.stdout.as_str()), (2, ""));
    assert!(
        refused.stderr.contains("no display") && refused.stderr.contains("xvfb-run"),
        "{}",
        refused.stderr
    );
}

#[test]
fn an_interrupt_saves_a_checkpoint_and_exits_with_130() {
    let place = Workplace::new();
    write(&place, &experiment(1_000_000));
    let mut command = program(&place, &["run", "experiment.ron", "--headless", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first step", || {
        run_folder(&place).is_some_and(|folder| {
            std::fs::read_to_string(folder.join("metrics.jsonl"))
                .is_ok_and(|text| text.contains('\n'))
        })
    });
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("saving a checkpoint"), "{stderr}");

    let folder = run_folder(&place).unwrap();
    let manifest = json(&folder.join("manifest.json"));
    assert_eq!(manifest["state"], "stopped");
    let step = manifest["step"].as_u64().unwrap();
    checkpoint(&folder, step);
    assert_eq!(lines(&folder.join("metrics.jsonl")).len() as u64, step);
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["state"], &last["step"]), (&"stopped".into(), &step.into()));
}

/// Pretraining of a tiny model into `base/`.
const PRETRAIN: &str = "Pretrain(
    name: \"tiny\",
    model: (hidden_size: 16, layers: 1, heads: 2, kv_heads: 1, head_dim: 8, intermediate_size: 24, positions: 128),
    task: Countdown(numbers: 3),
    words: [\"Use\", \" to make \", \"\\\\boxed{\"],
    batch: 4,
    steps: 2,
    evaluations: [(suite: HeldOut(problems: 2), samples: 2, k: [1, 2])],
    out: \"base\",
)
";

fn load(folder: &Path) -> LanguageModel {
    LanguageModel::load(&ModelSource::Local(folder.to_path_buf()), DType::F32, &Device::Cpu)
        .unwrap()
}

#[test]
fn pretraining_writes_a_model_with_its_card() {
    let place = Workplace::new();
    write(&place, PRETRAIN);
    let output = orthant(&place, &["pretrain", "experiment.ron"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    let folder = place.path().join("base");
    let model = load(&folder);
    assert_eq!(model.config.hidden_size, 16);
    let card = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for words in ["# tiny", "pass@1", "pass@2", "2 steps of 4", &model.weights.hash().unwrap()] {
        assert!(card.contains(words), "{words:?} is not in: {card}");
    }
    let twice = orthant(&place, &["pretrain", "experiment.ron", "--set", "out=\"again\""]);
    assert_eq!(twice.status, 0, "{}", twice.stderr);
    assert_eq!(
        load(&place.path().join("again")).weights.hash().unwrap(),
        model.weights.hash().unwrap()
    );
}

#[test]
fn faults_in_a_pretraining_file_are_refused_with_place_and_remedy() {
    let place = Workplace::new();
    for (right, wrong, words) in [
        (
            "batch: 4",
            "batch: 0",
            &["`batch` is 0", "line 6, column 12", "experiment.ron"] as &[&str],
        ),
        ("samples: 2", "samples: 0", &["`evaluations.0.samples` is 0", "line 8"]),
        ("samples: 2", "samples: 2, every: 0", &["`evaluations.0.every` is 0", "line 8"]),
        ("numbers: 3", "numbers: 1", &["`task.numbers` is 1", "line 4"]),
        ("heads: 2", "heads: 0", &["num_attention_heads is 0"]),
        ("layers: 1", "layer: 1", &["`layer`", "did you mean `layers`", "line 3"]),
        (
            "positions: 128",
            "positions: 3",
            &["`model.positions` is 3", "a worked solution of", "raise it", "line 3"],
        ),
        (
            "positions: 128",
            "positions: 20",
            &["`model.positions` is 20", "a worked solution of", "raise it"],
        ),
    ] {
        assert!(PRETRAIN.contains(right), "{right}");
        write(&place, &PRETRAIN.replace(right, wrong));
        assert_refused(&place, &["pretrain", "experiment.ron"], words);
        assert!(!place.path().join("base").exists(), "{wrong} made a model folder");
    }
}

#[test]
fn the_benchmark_reports_medians_of_whole_steps() {
    let place = Workplace::new();
    for dtype in ["f32", "bf16"] {
        let timed = orthant(
            &place,
            &[&TINY_BENCH[..], &["--repeat", "2", "--dtype", dtype, "--json"]].concat(),
        );
        assert_eq!(timed.status, 0, "{dtype}: {}", timed.stderr);
        let report: Value = serde_json::from_str(timed.stdout.lines().last().unwrap()).unwrap();
        let number =
            |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name} in {report}"));
        // Embeddings; two norms, four projections with two norms, three matrices; the last norm.
        let attention = 16 * 16 + 2 * 16 * 8 + 16 * 16 + 2 * 8;
        assert_eq!(report["params"], 600 * 16 + 2 * 16 + attention + 3 * 16 * 24 + 16);
        assert!(
            (number("sample_tok_s") * number("sample_s") / 20.0 - 1.0).abs() < 1e-9,
            "4 responses of 5 tokens"
        );
        assert!(
            (number("update_tok_s") * number("update_s") / 32.0 - 1.0).abs() < 1e-9,
            "4 sequences of 8 tokens"
        );
        for step in ["step_grpo_s", "step_g2rl_s"] {
            assert!(number(step) > 0.0 && number(step) < 60.0, "{report}");
        }
        assert!(number("step_grpo_s") > number("sample_s").min(number("update_s")));
        assert!(number("peak_memory_mib") > 1.0);
    }
    let table = orthant(&place, &[&TINY_BENCH[..], &["--repeat", "1"]].concat());
    assert_eq!(table.status, 0, "{}", table.stderr);
    for words in
        ["sample ", "update ", "step, GRPO", "step, G2RL", "2 prompts of 3 tokens", "medians of 1"]
    {
        assert!(table.stdout.contains(words), "{words:?} is not in: {}", table.stdout);
    }
    assert!(run_folder(&place).is_none(), "the benchmark leaves nothing behind");
}

#[test]
fn shapes_that_cannot_be_are_refused_with_a_remedy() {
    let place = Workplace::new();
    let bench = |more: &[&'static str]| [&["bench"], more].concat();
    assert_refused(
        &place,
        &bench(&["--heads", "6", "--kv-heads", "4"]),
        &["--heads 6", "--kv-heads 4", "multiple"],
    );
    assert_refused(&place, &bench(&["--head-dim", "7"]), &["--head-dim 7", "even"]);
    assert_refused(&place, &bench(&["--layers", "0"]), &["--layers", "1..=1024"]);
    assert_refused(&place, &bench(&["--group", "1"]), &["--group", "2..=1024"]);
    assert_refused(&place, &bench(&["--dtype", "f16"]), &["'f16'", "f32 or bf16"]);
    for option in [
        "--hidden",
        "--kv-heads",
        "--vocab",
        "--prompts",
        "--prompt-len",
        "--new-tokens",
        "--repeat",
    ] {
        assert_refused(&place, &bench(&[option, "-1"]), &[option, "'-1'", "..="]);
    }
    let huge = ["--hidden", "65536", "--intermediate", "1048576", "--layers", "1000"];
    assert_refused(&place, &bench(&huge), &["GiB", "--hidden"]);
}

#[cfg(all(target_os = "linux", not(feature = "cuda")))]
fn make_executable(path: &Path, yes: bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if yes { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder with this program, a script in place of the program for GPUs, and any library under the
/// name of the driver's.
#[cfg(all(target_os = "linux", not(feature = "cuda")))]
fn with_sibling(place: &Workplace) -> PathBuf {
    let folder = place.path().join("bin");
    std::fs::create_dir_all(folder.join("driver")).unwrap();
    let program = folder.join("orthant");
    if std::fs::hard_link(env!("CARGO_BIN_EXE_orthant"), &program).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_orthant"), &program).unwrap();
    }
    let sibling = folder.join("orthant-cuda");
    std::fs::write(&sibling, "#!/bin/sh\necho \"for GPUs: $*\"\nexit 7\n").unwrap();
    make_executable(&sibling, true);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let library = library.into_iter().find(|path| path.contains("/libm.so")).unwrap();
    std::fs::copy(library, folder.join("driver/libcuda.so.1")).unwrap();
    folder
}

#[cfg(all(target_os = "linux", not(feature = "cuda")))]
#[test]
fn the_program_for_gpus_takes_over_where_there_is_a_driver() {
    let place = Workplace::new();
    let folder = with_sibling(&place);
    let run = |arguments: &[&str], driver: bool, switch: Option<&str>| {
        let mut command = Command::new(folder.join("orthant"));
        command.args(arguments).env_remove("ORTHANT_CUDA").env_remove("LD_LIBRARY_PATH");
        if driver {
            command.env("LD_LIBRARY_PATH", folder.join("driver"));
        }
        if let Some(value) = switch {
            command.env("ORTHANT_CUDA", value);
        }
        output(&mut command)
    };
    let bench = &TINY_BENCH[..];
    let found = run(bench, true, None);
    assert_eq!((found.status, found.stderr.as_str()), (7, ""));
    assert_eq!(found.stdout, format!("for GPUs: {}\n", bench.join(" ")));

    // The CPU is asked for, the switch is off, there is nothing to do, or there is no driver (on a
    // machine that has one the last is not tried).
    let on_cpu = [bench, &["--device", "cpu"]].concat();
    assert_eq!(run(&on_cpu, true, None).status, 0);
    assert_eq!(run(bench, true, Some("0")).status, 0);
    assert_eq!(run(&["--version"], true, None).status, 0);
    let doctor = run(&["doctor"], false, None);
    if doctor.status == 7 {
        eprintln!("skipped: this machine has a driver");
    } else {
        assert_eq!(doctor.status, 0, "{}", doctor.stderr);
    }

    // One that cannot be started is told of, and the CPU computes.
    make_executable(&folder.join("orthant-cuda"), false);
    let found = run(bench, true, None);
    assert_eq!(found.status, 0);
    assert!(found.stderr.contains("orthant-cuda cannot be started"), "{}", found.stderr);
}
