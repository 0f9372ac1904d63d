//! Behaviour of the window, driven through its accessibility tree.

use super::app::Dashboard;
use super::open_run::RunSource;
use super::testing::{self, Window, dashboard, name_completions, with_step};
use super::theme::Themes;
use crate::trainer::{RunSnapshot, RunState, SnapshotCell, TrainerCommand, WatchedRun};
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The completion of rollout `index` in the first group of `snapshot`, by its first line.
fn first_line(snapshot: &RunSnapshot, index: usize) -> String {
    let view = snapshot.latest.as_ref().unwrap();
    view.groups[0].rollouts[index].completion.clone()
}

#[test]
fn clicking_a_cell_pins_the_pair_and_shows_both_texts() {
    let snapshot = with_step(testing::snapshot(20, 2, 4), name_completions);
    let mut window = Window::open(snapshot.clone());
    let cell = window.cell(1, 3, 4);
    window.click_at(cell);
    assert!(window.matrix().1.contains("i 1, j 3"), "{}", window.matrix().1);
    assert!(window.matrix().1.contains("pinned"));
    for index in [1, 3] {
        assert!(window.has(&first_line(&snapshot, index)), "text {index} is not there");
    }
    assert!(!window.has("completion 0 of group 0"));
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.matrix().1.contains("pinned"));
}

#[test]
fn hovering_over_a_cell_shows_its_pair_until_another_is_hovered() {
    let mut window = Window::open(with_step(testing::snapshot(20, 2, 4), name_completions));
    let cell = window.cell(0, 2, 4);
    window.harness.hover_at(cell);
    window.settle();
    window.harness.remove_cursor();
    window.settle();
    assert!(window.matrix().1.starts_with("i 0, j 2"));
    assert!(window.has("completion 2 of group 0"));
}

#[test]
fn a_pinned_pair_stays_while_the_run_goes_on_and_end_follows_again() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let cell = window.cell(0, 1, 4);
    window.click_at(cell);
    window.update(|snapshot| *snapshot = testing::snapshot(21, 2, 4));
    assert!(window.has("Step 20 of 21") && window.has("21 / 200"));
    assert!(window.matrix().1.contains("pinned"));
    window.press(Modifiers::NONE, Key::Escape);
    assert!(window.has("Step 20 of 21") && !window.matrix().1.contains("pinned"));
    window.press(Modifiers::NONE, Key::End);
    assert!(window.has("Step 21 of 21"));
}

#[test]
fn arrow_keys_walk_the_matrix() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let cell = window.cell(1, 1, 4);
    window.click_at(cell);
    window.press(Modifiers::NONE, Key::ArrowRight);
    window.press(Modifiers::NONE, Key::ArrowDown);
    assert!(window.matrix().1.starts_with("i 2, j 2"), "{}", window.matrix().1);
    window.press(Modifiers::NONE, Key::ArrowLeft);
    window.press(Modifiers::NONE, Key::ArrowLeft);
    window.press(Modifiers::NONE, Key::ArrowLeft);
    assert!(window.matrix().1.starts_with("i 2, j 0"), "{}", window.matrix().1);
}

#[test]
fn brackets_and_clicks_choose_the_group() {
    let mut window = Window::open(with_step(testing::snapshot(20, 3, 4), name_completions));
    assert!(window.has("group 1 of 3"));
    window.press(Modifiers::NONE, Key::CloseBracket);
    assert!(window.has("group 2 of 3"));
    window.press(Modifiers::NONE, Key::OpenBracket);
    assert!(window.has("group 1 of 3"));
    window.harness.get_by_label_contains("Group 3, ").click();
    window.settle();
    assert!(window.has("group 3 of 3"));
    assert!(window.has("of group 2"));
}

#[test]
fn searching_leaves_the_groups_whose_prompt_contains_the_text() {
    let snapshot = with_step(testing::snapshot(20, 3, 4), |view| {
        view.groups[1].prompt = "Solve the maze.".to_owned();
    });
    let mut window = Window::open(snapshot);
    window.harness.get_by_label("Search prompts").focus();
    window.settle();
    window.harness.get_by_label("Search prompts").type_text("MAZE");
    window.settle();
    assert!(window.has("Group 2, "));
    assert!(!window.has("Group 1, "));
    // Keys that steer the window are text here.
    window.harness.get_by_label("Search prompts").type_text("?");
    window.settle();
    assert!(!window.has("walk the matrix"));
}

#[test]
fn pause_button_sends_pause_and_turns_into_resume() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    assert!(!window.is_enabled("One step"));
    window.click("Pause");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Pause));
    assert!(!window.is_enabled("Pausing…"));
    window.update(|snapshot| snapshot.state = RunState::Paused);
    assert!(window.is_enabled("One step"));
    window.click("Resume");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Resume));
    window.update(|snapshot| snapshot.state = RunState::Training);
    assert!(window.is_enabled("Pause"));
    assert!(window.commands.is_empty());
}

#[test]
fn ctrl_space_pauses_and_resumes_training() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.press(Modifiers::CTRL, Key::Space);
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Pause));
    window.press(Modifiers::CTRL, Key::Space);
    assert!(window.commands.is_empty(), "a second press must not send the command again");
    window.update(|snapshot| snapshot.state = RunState::Paused);
    window.press(Modifiers::CTRL, Key::Space);
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Resume));
}

#[test]
fn one_step_checkpoint_and_stop_send_their_commands() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.click("Checkpoint");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Checkpoint));
    window.update(|snapshot| {
        snapshot.state = RunState::Paused;
        snapshot.checkpoints = Arc::new(vec![20]);
    });
    assert!(window.has("last checkpoint at step 20"));
    window.click("One step");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::StepOnce));
    window.click("Stop");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Stop));
    assert!(!window.is_enabled("Stopping…"));
    window.update(|snapshot| snapshot.state = RunState::Stopped);
    for button in ["Pause", "One step", "Checkpoint", "Stop"] {
        assert!(!window.is_enabled(button), "{button} of a stopped run");
    }
}

#[test]
fn closing_the_window_stops_a_run_that_is_not_over() {
    let close = |window: &mut Window| {
        let viewport = window.harness.input_mut().viewports.get_mut(&egui::ViewportId::ROOT).unwrap();
        viewport.events.push(egui::ViewportEvent::Close);
        window.settle();
    };
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    close(&mut window);
    assert_eq!(window.commands.try_iter().collect::<Vec<_>>(), [TrainerCommand::Stop]);

    let mut finished = testing::snapshot(20, 2, 4);
    finished.state = RunState::Finished;
    let mut window = Window::open(finished);
    close(&mut window);
    assert!(window.commands.is_empty());
}

#[test]
fn a_command_that_the_trainer_cannot_take_is_said_so() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    drop(std::mem::replace(&mut window.commands, crossbeam_channel::bounded(1).1));
    window.click("Pause");
    assert!(window.has("did not take the command to pause"));
    assert!(window.is_enabled("Pause"));
}

#[test]
fn follow_live_off_freezes_the_step_while_the_run_goes_on() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.click("Follow live");
    window.update(|snapshot| *snapshot = testing::snapshot(25, 2, 4));
    assert!(window.has("25 / 200") && window.has("Step 20 of 25"));
    window.click("Follow live");
    assert!(window.has("Step 25 of 25"));
}

#[test]
fn a_failed_run_shows_its_error_and_keeps_the_last_step() {
    let mut window = Window::open(testing::snapshot(60, 2, 4));
    let message = "stage `update_policy` failed: the loss is not finite";
    window.update(|snapshot| snapshot.state = RunState::Failed { message: message.to_owned() });
    assert!(window.has(message));
    assert!(window.has("The run failed in step 61"));
    assert!(window.has("lower learning rate"));
    assert!(window.has("orthant run --resume runs/countdown-g2rl-s0"));
    assert!(!window.is_enabled("Pause"));
    let cell = window.cell(2, 3, 4);
    window.click_at(cell);
    assert!(window.matrix().1.contains("i 2, j 3"));
}

#[test]
fn a_run_that_fails_before_its_first_step_shows_its_error() {
    let mut window = Window::open(testing::snapshot(0, 0, 0));
    window.update(|snapshot| snapshot.state = RunState::Failed { message: "model.safetensors: no tensor".to_owned() });
    assert!(window.has("model.safetensors: no tensor"));
    assert!(window.has("The run failed before its first step"));
    assert!(window.has("no checkpoint yet"));
}

#[test]
fn the_window_survives_a_run_without_steps() {
    let mut window = Window::open(testing::snapshot(0, 0, 0));
    assert!(window.has("Starting"));
    assert!(window.has("Groups, cosines and texts appear with the first finished step."));
    for key in [Key::ArrowDown, Key::CloseBracket, Key::Escape, Key::L] {
        window.press(Modifiers::NONE, key);
    }
    window.press(Modifiers::CTRL, Key::Space);
    assert!(window.commands.is_empty());
    window.update(|snapshot| snapshot.state = RunState::Finished);
    assert!(window.has("The run ended before its first step."));
}

#[test]
fn the_first_step_fills_the_panels() {
    let mut window = Window::open(testing::snapshot(0, 0, 0));
    window.update(|snapshot| *snapshot = testing::snapshot(1, 2, 16));
    assert!(window.has("Cosine matrix, 16 by 16"));
    assert!(window.has("Group 2, "));
    assert!(window.has("Stage Sample 612 ms, running"));
}

#[test]
fn groups_of_every_size_and_without_cosines_are_drawn() {
    for m in [0, 1, 2, 3, 64] {
        let window = Window::open(testing::snapshot(3, 2, m));
        assert!(window.has("Group 1, "), "m = {m}");
    }
    let window = Window::open(with_step(testing::snapshot(3, 2, 4), |view| view.groups[0].cosine.clear()));
    assert!(window.has("This step has no cosines for the group."));
    let window = Window::open(with_step(testing::snapshot(3, 2, 4), |view| view.groups.clear()));
    assert!(window.has("The shown step has no groups."));
}

#[test]
fn a_step_with_parameter_gradients_offers_true_cosines_and_fidelity_stands_part_by_part() {
    let mut window = Window::open(with_step(testing::snapshot(3, 1, 3), |view| {
        view.groups[0].gradient = vec![1.0, 0.25, -0.5, 0.25, 1.0, 0.0, -0.5, 0.0, 1.0];
    }));
    assert!(!window.has("Proxy fidelity, "));
    window.update(|snapshot| {
        let block = |block: &str, pearson| crate::experiment::BlockFidelity {
            block: block.to_string(),
            pearson,
            spearman: pearson,
            cosine_mean: Some(0.01),
        };
        let blocks = vec![block("all", Some(0.78)), block("layer 0", Some(-0.12)), block("norms", None)];
        let record = crate::experiment::FidelityRecord { step: 2, groups: 1, pairs: 3, blocks };
        snapshot.fidelity = std::sync::Arc::new(vec![record]);
    });
    assert!(window.has("Proxy fidelity, step 2, 3 pairs"));
    for text in ["Fidelity of all: +0.78", "Fidelity of layer 0: −0.12", "Fidelity of norms: n/a"] {
        assert!(window.has(text), "{text}");
    }
    window.click("true");
    assert!(window.matrix().1.contains("cosine −0.50"), "{}", window.matrix().1);
    // A step without them shows directions; fidelity measured later than the shown step is not shown.
    window.update(|snapshot| *snapshot = testing::snapshot(4, 1, 3));
    assert!(window.has("Cosines between gradient directions") && !window.has("Proxy fidelity, "));
}

#[test]
fn a_step_with_embeddings_offers_their_cosines_and_a_step_without_does_not() {
    let plain = Window::open(testing::snapshot(3, 1, 3));
    assert!(!plain.has("semantic"));
    let mut window = Window::open(with_step(testing::snapshot(3, 1, 3), |view| {
        view.groups[0].semantic = vec![1.0, 0.875, 0.75, 0.875, 1.0, 0.5, 0.75, 0.5, 1.0];
    }));
    window.click("semantic");
    assert!(window.matrix().1.contains("cosine +0.50"), "{}", window.matrix().1);
    assert!(window.has("+0.708"), "the mean of the three pairs");
    // A step without embeddings shows its gradient cosines; the choice stays for the next that has them.
    window.update(|snapshot| *snapshot = testing::snapshot(4, 1, 3));
    assert!(window.has("Cosines between gradient directions") && !window.has("semantic"));
}

#[test]
fn values_that_do_not_exist_are_said_so() {
    let snapshot = with_step(testing::snapshot(3, 1, 2), |view| {
        view.groups[0].cosine = vec![f32::NAN; 4];
        for rollout in &mut view.groups[0].rollouts {
            rollout.novelty = f32::NAN;
            rollout.advantage = f32::NAN;
            rollout.reward = f32::NAN;
        }
    });
    let window = Window::open(snapshot);
    assert!(window.has("cos n/a"));
    assert!(window.has("A n/a") || window.has("An/a"));
    assert!(window.matrix().1.contains("cosine n/a"));
}

#[test]
fn very_long_completions_stay_inside_their_panel() {
    let snapshot = with_step(testing::snapshot(3, 1, 2), |view| {
        for rollout in &mut view.groups[0].rollouts {
            rollout.completion = "and so on ".repeat(1000);
        }
        view.groups[0].prompt = "why ".repeat(500);
    });
    let window = Window::open(snapshot);
    assert!(window.harness.get_by_label("Curves").rect().top() > 400.0);
    assert!(window.has("and so on"));
}

#[test]
fn question_mark_lists_the_keys_and_escape_closes_the_list() {
    let mut window = Window::open(testing::snapshot(3, 1, 2));
    window.harness.event(Event::Text("?".to_owned()));
    window.settle();
    assert!(window.has("walk the matrix and pin the pair"));
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.has("walk the matrix and pin the pair"));
    window.click("?");
    assert!(window.has("walk the matrix and pin the pair"));
}

#[test]
fn the_theme_button_changes_to_the_other_theme() {
    let mut window = Window::open(testing::snapshot(3, 1, 2));
    let dark = window.harness.query_by_label("Light").is_some();
    window.click(if dark { "Light" } else { "Dark" });
    assert!(window.harness.query_by_label(if dark { "Dark" } else { "Light" }).is_some());
}

#[test]
fn warnings_are_counted_and_the_last_one_is_shown() {
    let mut window = Window::open(testing::snapshot(3, 1, 2));
    assert!(window.has("No warnings"));
    window.update(|snapshot| {
        snapshot.warnings = Arc::new(vec![(1, "first".to_owned()), (2, "entropy collapsed".to_owned())]);
    });
    assert!(window.has("2 warnings"));
    assert!(window.has("step 2: entropy collapsed"));
}

#[test]
fn numbers_explain_themselves_on_hovering() {
    let mut window = Window::open(testing::snapshot(20, 1, 4));
    window.harness.get_all_by_label_contains("Training accuracy").next().unwrap().hover();
    window.harness.run_steps(60);
    assert!(window.has("Share of the completions sampled in the step that are correct."));
    assert!(window.has("recorded as reward/accuracy"));
}

#[test]
fn the_smallest_useful_window_shows_matrix_pair_and_curves_at_once() {
    let window = Window::open(testing::snapshot(40, 8, 16));
    let (matrix, _) = window.matrix();
    assert!(matrix.width() >= 256.0, "the matrix has {} points", matrix.width());
    let inside = |label: &str| {
        let rect = window.harness.get_all_by_label_contains(label).next().unwrap().rect();
        rect.min.x >= 0.0 && rect.min.y >= 0.0 && rect.max.x <= 1280.0 && rect.max.y <= 800.0
    };
    for label in [
        "First step",
        "Training",
        "Pair ",
        "Cosine matrix",
        "Training accuracy",
        "Reward",
        "Entropy",
        "KL to reference",
        "Length",
    ] {
        assert!(inside(label), "{label} is outside the window");
    }
}

#[test]
fn the_step_keys_and_buttons_move_the_cursor_and_every_panel_follows() {
    let mut window = Window::open(testing::snapshot(18, 2, 4));
    window.update(|snapshot| *snapshot = testing::snapshot(19, 2, 4));
    window.update(|snapshot| *snapshot = testing::snapshot(20, 2, 4));
    let newest = window.matrix().1;
    window.press(Modifiers::NONE, Key::Comma);
    assert!(window.has("Step 19 of 20"));
    assert_ne!(window.matrix().1, newest, "the matrix is that of step 19");
    let throughput = |step: u64| {
        let history = testing::snapshot(20, 1, 2).history;
        let rate = history.at(step).unwrap().get(&crate::metrics::THROUGHPUT_TOKENS_PER_S).unwrap();
        format!("{} tok/s", super::format::thousands(rate))
    };
    assert!(window.has(&throughput(19)) && !window.has(&throughput(20)));
    window.click("Previous step");
    assert!(window.has("Step 18 of 20"));
    window.press(Modifiers::NONE, Key::Period);
    assert!(window.has("Step 19 of 20"));
    window.click("Next step");
    assert!(window.has("Step 20 of 20") && window.matrix().1 == newest);
    // At the newest step by hand is not following.
    window.update(|snapshot| *snapshot = testing::snapshot(21, 2, 4));
    assert!(window.has("Step 20 of 21"));
    window.click("Newest step");
    window.update(|snapshot| *snapshot = testing::snapshot(22, 2, 4));
    assert!(window.has("Step 22 of 22"));
    window.press(Modifiers::NONE, Key::Home);
    assert!(window.has("Step 1 of 22"));
    assert!(!window.is_enabled("First step") && !window.is_enabled("Previous step"));
    assert!(window.commands.is_empty(), "moving the cursor asks nothing of the trainer");
}

#[test]
fn clicking_into_the_scrubber_moves_to_the_step_there() {
    let mut window = Window::open(testing::snapshot(101, 2, 4));
    let rect = window.harness.get_by_label("Step shown").rect();
    window.click_at(rect.center());
    assert!(window.has("Step 51 of 101"));
    window.click_at(rect.left_center());
    assert!(window.has("Step 1 of 101"));
}

#[test]
fn space_plays_the_view_and_follows_at_the_end_while_training_goes_on() {
    let mut window = Window::open(testing::snapshot(6, 2, 4));
    for step in 1..=6 {
        window.update(|snapshot| *snapshot = testing::snapshot(step, 2, 4));
    }
    window.press(Modifiers::NONE, Key::Home);
    assert!(window.has("Step 1 of 6"));
    window.press(Modifiers::NONE, Key::Space);
    window.harness.run_steps(20);
    assert!(window.has("Step 6 of 6") && window.is_enabled("Play"));
    window.update(|snapshot| *snapshot = testing::snapshot(7, 2, 4));
    assert!(window.has("Step 7 of 7"));
    assert!(window.commands.is_empty());
}

/// A window on a run folder.
struct Watching {
    harness: Harness<'static, Dashboard>,
    snapshots: SnapshotCell,
}

impl Watching {
    fn open(folder: &Path) -> Self {
        let run = WatchedRun::open(folder).unwrap();
        let snapshots = run.snapshots.clone();
        let harness = Harness::builder().with_size(vec2(1280.0, 800.0)).build_eframe(move |creation| {
            let themes = Themes::load().unwrap();
            dashboard(&creation.egui_ctx, themes, vec![RunSource::Folder(run)])
        });
        Self { harness, snapshots }
    }

    fn has(&self, label: &str) -> bool {
        self.harness.query_all_by_label_contains(label).next().is_some()
    }

    /// Draws frames until the text is there.
    fn wait_for(&mut self, label: &str) {
        let started = Instant::now();
        while !self.has(label) {
            assert!(started.elapsed() < Duration::from_secs(20), "waited in vain for `{label}`");
            std::thread::sleep(Duration::from_millis(5));
            self.harness.run_steps(1);
        }
    }

    fn press(&mut self, key: Key) {
        self.harness.key_press_modifiers(Modifiers::NONE, key);
        self.harness.run_steps(2);
    }
}

fn append(folder: &Path, name: &str, text: &str) {
    let mut file = std::fs::File::options().create(true).append(true).open(folder.join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_growing_folder_is_followed_and_a_half_written_line_waits() {
    let folder = testing::run_folder(&[1, 2, 3]);
    let mut window = Watching::open(folder.path());
    window.wait_for("No step yet");
    assert!(window.has("The run folder has no metrics so far"));
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=2));
    window.wait_for("Step 2 of 2");
    window.wait_for("Cosine matrix, 4 by 4");
    assert!(window.has("Watching") && window.has("last written"));
    for button in ["Pause", "One step", "Checkpoint", "Stop"] {
        assert!(window.harness.query_by_role_and_label(Role::Button, button).is_none(), "{button} of another's run");
    }
    let line = testing::metric_lines(3..=3);
    append(folder.path(), "metrics.jsonl", &line[..40]);
    append(folder.path(), "events.jsonl", "{\"step\":2,\"time\":\"\",\"kind\":\"warning\",\"text\":\"odd\"}\n");
    window.wait_for("step 2: odd");
    assert!(window.has("Step 2 of 2"));
    append(folder.path(), "metrics.jsonl", &line[40..]);
    window.wait_for("Step 3 of 3");
    assert!(window.snapshots.load().history.len() == 3);
}

#[test]
fn steps_without_a_record_say_so_and_lead_to_the_nearest_that_have_one() {
    let folder = testing::run_folder(&[10, 20]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=20));
    let mut window = Watching::open(folder.path());
    window.wait_for("Cosine matrix, 4 by 4");
    window.press(Key::Comma);
    window.wait_for("Step 19 was not recorded");
    assert!(window.has("record.rollouts_every: 10"));
    assert!(!window.has("Cosine matrix"));
    let accuracy = testing::snapshot(20, 1, 2).history.at(19).unwrap().get(&crate::metrics::REWARD_ACCURACY).unwrap();
    assert!(window.has(&super::format::compact(accuracy)), "the curves show the step's metrics");
    window.harness.get_by_label("Show step 10").click();
    window.harness.run_steps(2);
    window.wait_for("Step 10 of 20");
    window.wait_for("Cosine matrix, 4 by 4");
    std::fs::write(folder.path().join("rollouts/step_000011.jsonl"), "{\n").unwrap();
    window.press(Key::Period);
    window.wait_for("The record of step 11 cannot be read");
    assert!(window.has("rollouts/step_000011.jsonl, line 1"));
}

#[test]
fn a_run_that_was_killed_says_when_it_was_last_heard_of() {
    let folder = testing::run_folder(&[1]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=1));
    let earlier = SystemTime::now() - Duration::from_secs(190);
    for name in ["metrics.jsonl", "experiment.ron"] {
        std::fs::File::options().append(true).open(folder.path().join(name)).unwrap().set_modified(earlier).unwrap();
    }
    let mut window = Watching::open(folder.path());
    window.wait_for("last written 3 min ago");
}

#[test]
fn a_run_that_is_over_shows_how_it_ended() {
    let folder = testing::run_folder(&[1]);
    append(folder.path(), "metrics.jsonl", &testing::metric_lines(1..=1));
    append(folder.path(), "events.jsonl", "{\"step\":1,\"time\":\"\",\"kind\":\"error\",\"text\":\"disk full\"}\n");
    let manifest = |state: &str| {
        let text = ["version", "commit", "device", "model", "model_hash", "data_hash", "started"]
            .map(|name| format!("\"{name}\": \"\", "))
            .concat();
        std::fs::write(folder.path().join("manifest.json"), format!("{{{text}\"state\": \"{state}\", \"step\": 1}}"))
            .unwrap();
    };
    manifest("finished");
    let mut window = Watching::open(folder.path());
    window.wait_for("Finished");
    assert!(!window.has("last written") && !window.has("Follow live"));
    manifest("failed");
    window.wait_for("disk full");
    assert!(window.has("The run failed in step 2"));
}

#[test]
fn a_run_of_fifty_thousand_steps_opens_at_once() {
    let folder = testing::run_folder(&[]);
    std::fs::write(folder.path().join("metrics.jsonl"), testing::metric_lines(1..=50_000)).unwrap();
    let started = Instant::now();
    let mut window = Watching::open(folder.path());
    let opened = started.elapsed();
    window.wait_for("Step 50,000 of 50,000");
    // A generous bound, for machines that do much else.
    assert!(started.elapsed() < Duration::from_secs(20), "{opened:?}, drawn after {:?}", started.elapsed());
}
