//! Behaviour of the start screen: experiments are looked at, edited, saved and started; runs are
//! opened, compared and continued.

use crate::dashboard::app::Dashboard;
use crate::dashboard::runs::found::Places;
use crate::dashboard::tests::testing::{self, Opening};
use egui::accesskit::Role;
use egui::{Key, Modifiers, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const EXPERIMENT: &str = "Experiment(name: \"mine\", description: \"What it is for.\", \
                          model: Bundled(\"countdown\"), task: Countdown(), method: Grpo, \
                          stop: (steps: 7))";

struct Screen {
    harness: Harness<'static, Dashboard>,
    folder: TempDir,
}

impl Screen {
    /// A start screen on an experiment and these runs: name and state.
    fn open(runs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            experiments: folder.path().join("experiments"),
            runs: folder.path().join("runs"),
        };
        std::fs::create_dir(&places.experiments).unwrap();
        std::fs::create_dir(&places.runs).unwrap();
        std::fs::write(places.experiments.join("mine.ron"), EXPERIMENT).unwrap();
        for (name, state) in runs {
            run_folder(&places.runs.join(name), name, state);
        }
        let mut screen = Self::on(folder, places);
        screen.wait_for("mine.ron");
        screen
    }

    fn on(folder: TempDir, places: Places) -> Self {
        let opening = Opening { places: Some(places), ..Opening::default() };
        let harness = Harness::builder()
            .with_size(vec2(1280.0, 800.0))
            .build_eframe(move |creation| opening.dashboard(&creation.egui_ctx));
        Self { harness, folder }
    }

    fn has(&self, label: &str) -> bool {
        testing::has(&self.harness, label)
    }

    fn wait_for(&mut self, label: &str) {
        testing::wait_for(&mut self.harness, label);
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run_steps(4);
    }

    fn is_enabled(&self, label: &str) -> bool {
        !self.harness.get_by_role_and_label(Role::Button, label).accesskit_node().is_disabled()
    }

    /// Replaces what a field holds.
    fn type_into(&mut self, field: &str, text: &str) {
        self.harness.get_by_label(field).focus();
        self.harness.run_steps(2);
        self.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        self.harness.run_steps(2);
        self.harness.get_by_label(field).type_text(text);
        self.harness.run_steps(4);
    }
}

/// A run after 5 of 7 steps, with a checkpoint.
fn run_folder(folder: &Path, name: &str, state: &str) {
    std::fs::create_dir_all(folder.join("checkpoints/step_000005")).unwrap();
    std::fs::write(folder.join("experiment.ron"), EXPERIMENT.replace("mine", name)).unwrap();
    std::fs::write(folder.join("metrics.jsonl"), testing::metric_lines(1..=5)).unwrap();
    let manifest = ["version", "commit", "device", "model", "model_hash", "data_hash"]
        .map(|name| format!("\"{name}\": \"\", "))
        .concat();
    let started = "\"started\": \"2026-01-01T12:00:00Z\"";
    let manifest = format!("{{{manifest}{started}, \"state\": \"{state}\", \"step\": 5}}");
    std::fs::write(folder.join("manifest.json"), manifest).unwrap();
    let event = |kind: &str, text: &str| {
        format!("{{\"step\":5,\"time\":\"\",\"kind\":\"{kind}\",\"text\":\"{text}\"}}\n")
    };
    std::fs::write(folder.join("events.jsonl"), event("error", "disk full")).unwrap();
}

#[test]
fn an_experiment_is_edited_with_validation_and_saved_as_a_new_file() {
    let mut screen = Screen::open(&[]);
    assert!(screen.has("What it is for.") && screen.has("No runs yet."));
    screen.click("Experiment mine.ron");
    assert!(screen.has("Differs from the defaults in") && screen.has("stop.steps=7"));
    assert!(screen.is_enabled("Start run") && !screen.is_enabled("Save"));
    screen.type_into("Experiment text", &EXPERIMENT.replace("steps: 7", "steps: 0"));
    assert!(screen.has("stop.steps") && !screen.is_enabled("Start run"));
    screen.type_into("Experiment text", &EXPERIMENT.replace("steps: 7", "steps: 9"));
    assert!(screen.has("stop.steps=9") && screen.is_enabled("Start run"));
    screen.type_into("File name", "other.ron");
    screen.click("Save as new");
    screen.wait_for("Experiment other.ron");
    let read = |name: &str| {
        std::fs::read_to_string(screen.folder.path().join("experiments").join(name)).unwrap()
    };
    assert!(read("other.ron").contains("steps: 9") && read("mine.ron").contains("steps: 7"));
}

#[test]
fn runs_stand_with_state_step_and_accuracy_and_ticked_ones_open_together() {
    let mut screen = Screen::open(&[("first", "stopped"), ("second", "failed")]);
    screen.wait_for("first s0");
    assert!(screen.has("step 5 / 7") && screen.has("disk full"));
    let accuracy = testing::snapshot(5, 1, 2)
        .history
        .at(5)
        .unwrap()
        .get(&crate::stages::metrics::REWARD_ACCURACY)
        .unwrap();
    assert!(screen.has(&format!("accuracy {}", crate::dashboard::kit::format::percent(accuracy))));
    assert_eq!(screen.harness.query_all_by_role_and_label(Role::Button, "Resume").count(), 2);
    screen.click("Tick first s0");
    screen.click("Tick second s0");
    screen.click("Open 2 together");
    screen.wait_for("Step 5 of 5");
    let started = Instant::now();
    while screen.harness.query_all_by_role_and_label(Role::Button, "second s0").next().is_none()
        || screen.harness.query_all_by_role_and_label(Role::Button, "first s0").next().is_none()
    {
        assert!(started.elapsed() < Duration::from_secs(20), "not both runs are open");
        std::thread::sleep(Duration::from_millis(5));
        screen.harness.run_steps(1);
    }
    assert!(screen.has("Join seeds"), "the curves of both lie over each other");
    screen.click("Start");
    assert!(screen.has("Experiment mine.ron"));
}

#[test]
fn an_empty_folder_is_offered_the_quickstart() {
    let folder = tempfile::tempdir().unwrap();
    let places =
        Places { experiments: folder.path().join("experiments"), runs: folder.path().join("runs") };
    let mut screen = Screen::on(folder, places);
    screen.wait_for("Write the quickstart here");
    screen.click("Write the quickstart here");
    screen.wait_for("Experiment quickstart.ron");
    assert!(screen.is_enabled("Start run"));
    let text =
        std::fs::read_to_string(screen.folder.path().join("experiments/quickstart.ron")).unwrap();
    assert!(
        crate::experiment::from_text::<crate::experiment::Experiment>(&text, "quickstart").is_ok()
    );
}

#[test]
fn the_folders_are_read_again_without_being_asked() {
    let mut screen = Screen::open(&[]);
    let experiments = screen.folder.path().join("experiments");
    std::fs::write(experiments.join("later.ron"), EXPERIMENT).unwrap();
    run_folder(&screen.folder.path().join("runs/third"), "third", "finished");
    screen.wait_for("Experiment later.ron");
    screen.wait_for("third s0");
    // A file that is looked at and was not edited here follows what others make of it.
    screen.click("Experiment mine.ron");
    std::fs::write(experiments.join("mine.ron"), EXPERIMENT.replace("steps: 7", "steps: 8"))
        .unwrap();
    screen.wait_for("stop.steps=8");
}

#[test]
fn edits_that_are_not_saved_are_kept_and_overwrite_nobody_else() {
    let mut screen = Screen::open(&[]);
    let experiments = screen.folder.path().join("experiments");
    std::fs::write(experiments.join("other.ron"), EXPERIMENT).unwrap();
    screen.click("Experiment mine.ron");
    screen.type_into("Experiment text", &EXPERIMENT.replace("steps: 7", "steps: 9"));
    screen.wait_for("Experiment other.ron");
    assert!(screen.has("not saved"));
    screen.click("Experiment other.ron");
    assert!(screen.has("stop.steps=7") && screen.has("not saved"));
    screen.click("Experiment mine.ron");
    assert!(screen.has("stop.steps=9"));
    screen.click("Close");
    screen.click("Experiment mine.ron");
    assert!(screen.has("stop.steps=9"));
    std::fs::write(experiments.join("mine.ron"), EXPERIMENT.replace("steps: 7", "steps: 8"))
        .unwrap();
    screen.click("Save");
    assert!(screen.has("has been changed by another program"));
    assert!(std::fs::read_to_string(experiments.join("mine.ron")).unwrap().contains("steps: 8"));
}

#[test]
fn a_run_that_nobody_writes_to_any_more_is_silent_and_can_be_resumed() {
    let mut screen = Screen::open(&[("dead", "training"), ("alive", "training")]);
    let dead = screen.folder.path().join("runs/dead");
    let earlier = std::time::SystemTime::now() - Duration::from_secs(190);
    for name in ["metrics.jsonl", "events.jsonl", "experiment.ron", "manifest.json"] {
        std::fs::File::options()
            .append(true)
            .open(dead.join(name))
            .unwrap()
            .set_modified(earlier)
            .unwrap();
    }
    screen.wait_for("silent");
    assert_eq!(screen.harness.query_all_by_label("silent").count(), 1);
    assert_eq!(screen.harness.query_all_by_label("training").count(), 1);
    assert_eq!(screen.harness.query_all_by_role_and_label(Role::Button, "Resume").count(), 1);
}

#[test]
fn edits_can_be_taken_back() {
    let mut screen = Screen::open(&[]);
    screen.click("Experiment mine.ron");
    assert!(!screen.is_enabled("Revert"));
    screen.type_into("Experiment text", "nothing of worth");
    screen.wait_for("not saved");
    screen.click("Revert");
    assert!(screen.has("stop.steps=7") && !screen.has("not saved") && !screen.is_enabled("Revert"));
}

#[test]
fn runs_of_one_name_are_told_apart_by_what_differs() {
    let mut screen = Screen::open(&[("a", "stopped"), ("b", "stopped"), ("c", "stopped")]);
    screen.wait_for("a s0");
    let with = |folder: &str, more: &str| {
        let text = EXPERIMENT.replace("method: Grpo, stop: (steps: 7)", more);
        std::fs::write(screen.folder.path().join("runs").join(folder).join("experiment.ron"), text)
            .unwrap();
    };
    with("a", "method: G2rl(lambda: 0.5), stop: (steps: 7)");
    with("b", "method: G2rl(lambda: 1.0), stop: (steps: 7)");
    with("c", "method: G2rl(lambda: 1.0), stop: (steps: 9)");
    screen.wait_for("mine s0, lambda 0.5");
    // Where a run ends is no difference. One file may be read before the other was written.
    testing::wait_until(&mut screen.harness, "both with lambda 1.0", |harness| {
        harness.query_all_by_label("mine s0, lambda 1.0").count() == 2
    });
}

#[test]
fn the_start_screen_changes_the_theme_and_is_walked_as_it_is_read() {
    let mut screen = Screen::open(&[("first", "stopped")]);
    screen.wait_for("first s0");
    let dark = screen.harness.query_by_label("Light").is_some();
    screen.click(if dark { "Light" } else { "Dark" });
    assert!(screen.harness.query_by_label(if dark { "Dark" } else { "Light" }).is_some());
    screen.harness.get_by_label("Tick first s0").focus();
    screen.harness.run_steps(2);
    for button in ["Resume", "Open"] {
        screen.harness.key_press_modifiers(Modifiers::NONE, Key::Tab);
        screen.harness.run_steps(2);
        let node = screen.harness.get_by_role_and_label(Role::Button, button);
        assert!(node.accesskit_node().is_focused(), "{button} comes next");
    }
}

#[test]
fn runs_with_a_checkpoint_and_more_to_do_can_be_resumed() {
    let mut screen = Screen::open(&[
        ("none", "stopped"),
        ("half", "stopped"),
        ("last", "failed"),
        ("whole", "finished"),
    ]);
    screen.wait_for("whole s0");
    let checkpoints = |run: &str| screen.folder.path().join("runs").join(run).join("checkpoints");
    for run in ["last", "whole"] {
        std::fs::create_dir(checkpoints(run).join("step_000007")).unwrap();
    }
    std::fs::remove_dir_all(checkpoints("none")).unwrap();
    for run in ["none", "last", "whole"] {
        // The screen looks again at what was written to.
        std::fs::write(checkpoints(run).with_file_name("log.txt"), "").unwrap();
    }
    let resumes = |screen: &Screen| -> Vec<f32> {
        let buttons = screen.harness.query_all_by_role_and_label(Role::Button, "Resume");
        let buttons = buttons.filter(|button| !button.accesskit_node().is_disabled());
        buttons.map(|button| button.rect().center().y).collect()
    };
    let started = Instant::now();
    while resumes(&screen).len() != 2 {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{} runs can be resumed",
            resumes(&screen).len()
        );
        std::thread::sleep(Duration::from_millis(5));
        screen.harness.run_steps(1);
    }
    for run in ["half s0", "last s0"] {
        let row = screen.harness.get_by_label(run).rect().y_range();
        assert!(resumes(&screen).iter().any(|y| row.contains(*y)), "{run}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let mut screen = Screen::open(&[]);
    std::fs::write(screen.folder.path().join("experiments/odd.ron"), [0xff, 0xfe, 1]).unwrap();
    screen.wait_for("Experiment odd.ron");
    assert!(screen.has("UTF-16"));
}
