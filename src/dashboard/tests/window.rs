//! Behaviour of the window, driven through its accessibility tree.

use crate::dashboard::app::Dashboard;
use crate::dashboard::options::Screenshot;
use crate::dashboard::runs::open_run::RunSource;
use crate::dashboard::state::run::State;
use crate::dashboard::tests::testing::{
    self, Opening, Window, name_completions, with_metric, with_step,
};
use crate::run::{CosineKind, RunHandle, RunSnapshot, RunState, TrainerCommand};
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::sync::Arc;

/// The completion of rollout `index` in the first group of `snapshot`, by its first line.
fn first_line(snapshot: &RunSnapshot, index: usize) -> String {
    let view = snapshot.latest.as_ref().unwrap();
    view.groups[0].rollouts[index].completion.clone()
}

fn live(path: &str) -> crate::run::LiveSetting {
    crate::run::LiveSetting::at(path, &testing::info().experiment).unwrap()
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
fn a_pinned_pair_stays_while_the_run_continues_and_end_follows_again() {
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
    assert!(window.has("group 0 of 3"));
    window.press(Modifiers::NONE, Key::CloseBracket);
    assert!(window.has("group 1 of 3"));
    window.press(Modifiers::NONE, Key::OpenBracket);
    assert!(window.has("group 0 of 3"));
    window.harness.get_by_label_contains("Group 2, ").click();
    window.settle();
    assert!(window.has("group 2 of 3"));
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
    assert!(window.has("Group 1, "));
    assert!(!window.has("Group 0, "));
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
fn a_run_that_had_to_wait_again_at_once_can_be_resumed_again() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.update(|snapshot| (snapshot.state, snapshot.waits) = (RunState::Paused, 1));
    for waits in 2..4 {
        window.click("Resume");
        assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Resume));
        // The disk is full still: no frame has seen the run train.
        window.update(|snapshot| snapshot.waits = waits);
        assert!(window.is_enabled("Resume"));
    }
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
    window.click("Stop the run");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Stop));
    assert!(!window.is_enabled("Stopping…"));
    window.update(|snapshot| snapshot.state = RunState::Stopped);
    for button in ["Pause", "One step", "Checkpoint", "Stop"] {
        assert!(
            window.harness.query_by_role_and_label(Role::Button, button).is_none(),
            "{button} of a stopped run"
        );
    }
    assert!(window.is_enabled("Resume"));
}

#[test]
fn a_key_alone_does_not_stop_a_run() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.harness.get_by_role_and_label(Role::Button, "Stop").focus();
    window.settle();
    window.press(Modifiers::NONE, Key::Space);
    assert!(window.has("Stop the run") && window.commands.is_empty());
    // Held, the key answers that training continues.
    window.press(Modifiers::NONE, Key::Space);
    assert!(!window.has("Stop the run") && window.commands.is_empty());
    window.click("Stop");
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.has("Stop the run") && window.commands.is_empty());
}

#[test]
fn a_run_that_ended_early_is_resumed_from_the_run_bar() {
    let mut window = Window::open(testing::snapshot(60, 2, 4));
    assert!(window.harness.query_by_role_and_label(Role::Button, "Resume").is_none());
    window.update(|snapshot| snapshot.state = RunState::Stopped);
    window.click("Resume");
    let started = std::time::Instant::now();
    while !window.has("is not a run folder") {
        assert!(started.elapsed().as_secs() < 20, "nobody says why it cannot be resumed");
        window.settle();
    }
    assert!(window.is_enabled("Resume"));
    window.update(|snapshot| snapshot.checkpoints = Arc::default());
    assert!(!window.is_enabled("Resume"));
    window.harness.get_by_label("Resume").hover();
    window.harness.run_steps(20);
    assert!(window.has("The run has no checkpoint to continue from"), "the button says why");
}

#[test]
fn a_run_that_was_killed_after_its_last_step_can_be_finished() {
    let ended = |state: RunState| {
        let snapshot = testing::snapshot(200, 1, 2);
        assert_eq!(snapshot.checkpoints.last(), Some(&snapshot.info.last_step()));
        Window::open(RunSnapshot { state, ..snapshot })
    };
    assert!(ended(RunState::Interrupted).is_enabled("Resume"));
    let finished = ended(RunState::Finished);
    assert!(finished.harness.query_by_role_and_label(Role::Button, "Resume").is_none());
}

#[test]
fn a_window_that_only_takes_a_picture_is_nobody_who_could_be_asked() {
    let picture = Screenshot { path: "unused.png".into(), after_step: Some(50) };
    for (screenshot, is_there) in [(None, true), (Some(picture), false)] {
        let (handle, _commands) = RunHandle::new(testing::snapshot(5, 1, 2));
        let runs = vec![RunSource::Trainer(handle.clone())];
        let opening = Opening { screenshot, ..Opening::on(runs) };
        let window =
            Harness::builder().build_eframe(move |creation| opening.dashboard(&creation.egui_ctx));
        assert_eq!(handle.attendance.is_given(), is_there);
        drop(window);
        assert!(!handle.attendance.is_given());
    }
}

#[test]
fn a_paused_run_has_time_left_but_does_not_arrive() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    assert!(window.has("ETA4:30"));
    window.update(|snapshot| snapshot.state = RunState::Paused);
    assert!(window.has("left4:30") && !window.has("ETA"));
}

#[test]
fn escape_closes_what_lies_over_the_panels_and_leaves_the_pair() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let cell = window.cell(1, 3, 4);
    window.click_at(cell);
    let is_pinned = |window: &Window| window.matrix().1.contains("pinned");
    window.press(Modifiers::COMMAND, Key::K);
    assert!(window.has("Show timeline"));
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.has("Show timeline") && is_pinned(&window));
    let list = "How the texts are written";
    window.harness.get_by_role_and_label(Role::ComboBox, list).click();
    window.settle();
    assert!(window.has("plain"));
    window.press(Modifiers::NONE, Key::ArrowDown);
    assert!(window.matrix().1.contains("i 1, j 3"), "arrows do not walk the matrix behind a list");
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.has("plain") && is_pinned(&window));
    window.harness.get_by_label("Search prompts").focus();
    window.settle();
    window.harness.get_by_label("Search prompts").type_text("no such prompt");
    window.settle();
    assert!(window.has("No prompt of this step contains that."));
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.has("No prompt of this step contains that.") && is_pinned(&window));
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!is_pinned(&window));
}

#[test]
fn a_click_means_what_was_seen_when_the_pointer_was_pressed() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let cell = window.cell(1, 3, 4);
    let side = window.matrix().0.width() / 4.0;
    let edge = cell + egui::vec2(0.0, side / 2.0 - 1.0);
    window.harness.hover_at(edge);
    window.settle();
    // A press of more than 0.8 seconds is no click, and a frame of this test takes a quarter of
    // one.
    window.button_at(edge, true);
    window.harness.step();
    window.handle.snapshots.update(|snapshot| *snapshot = testing::snapshot(21, 2, 4));
    window.harness.step();
    assert!(window.has("Step 20 of 20"), "nothing moves under the pressed pointer");
    // It slips into the next cell.
    window.harness.hover_at(edge + egui::vec2(0.0, 3.0));
    window.button_at(edge + egui::vec2(0.0, 3.0), false);
    window.settle();
    assert!(
        window.matrix().1.contains("i 1, j 3") && window.matrix().1.contains("pinned"),
        "{}",
        window.matrix().1
    );
    assert!(window.has("Step 20 of 21"));
}

#[test]
fn closing_the_window_stops_a_run_that_is_not_over() {
    let close = |window: &mut Window| {
        let viewport =
            window.harness.input_mut().viewports.get_mut(&egui::ViewportId::ROOT).unwrap();
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
    window.update(|snapshot| snapshot.warnings = Arc::new(vec![(1, "odd".to_owned())]));
    window.click("Pause");
    assert!(window.has("did not take the command to pause") && window.has("1 warning"));
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
    assert!(
        window.is_enabled("Resume")
            && window.harness.query_by_role_and_label(Role::Button, "Pause").is_none()
    );
    let cell = window.cell(2, 3, 4);
    window.click_at(cell);
    assert!(window.matrix().1.contains("i 2, j 3"));
}

#[test]
fn a_run_that_fails_before_its_first_step_shows_its_error() {
    let mut window = Window::open(testing::snapshot(0, 0, 0));
    window.update(|snapshot| {
        snapshot.state = RunState::Failed { message: "model.safetensors: no tensor".to_owned() }
    });
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
    assert!(window.has("Group 1, "));
    assert!(window.has("Stage Sample 612 ms, running"));
}

#[test]
fn groups_of_every_size_and_without_cosines_are_drawn() {
    for m in [0, 1, 2, 3, 64] {
        let window = Window::open(testing::snapshot(3, 2, m));
        assert!(window.has("Group 0, "), "m = {m}");
    }
    let window = Window::open(with_step(testing::snapshot(3, 2, 4), |view| {
        view.groups[0].cosines[CosineKind::Feature].clear();
    }));
    assert!(window.has("This step has no cosines for the group."));
    let window = Window::open(with_step(testing::snapshot(3, 2, 4), |view| view.groups.clear()));
    assert!(window.has("The shown step has no groups."));
}

#[test]
fn a_step_with_parameter_gradients_offers_true_cosines_and_fidelity_stands_part_by_part() {
    let mut window = Window::open(with_step(testing::snapshot(3, 1, 3), |view| {
        view.groups[0].cosines[CosineKind::Parameter] =
            vec![1.0, 0.25, -0.5, 0.25, 1.0, 0.0, -0.5, 0.0, 1.0];
    }));
    assert!(!window.has("Proxy fidelity, "));
    window.update(|snapshot| {
        let block = |block: &str, pearson| crate::run::BlockFidelity {
            block: block.to_string(),
            pearson,
            spearman: pearson,
            cosine_mean: Some(0.01),
        };
        let blocks =
            vec![block("all", Some(0.78)), block("layer 0", Some(-0.12)), block("norms", None)];
        let record = crate::run::FidelityRecord { step: 2, groups: 1, pairs: 3, blocks };
        snapshot.fidelity = std::sync::Arc::new(vec![record]);
    });
    assert!(window.has("Proxy fidelity, step 2, 3 pairs"));
    for text in ["Fidelity of all: +0.78", "Fidelity of layer 0: −0.12", "Fidelity of norms: n/a"]
    {
        assert!(window.has(text), "{text}");
    }
    window.click("parameter");
    assert!(window.matrix().1.contains("cosine −0.50"), "{}", window.matrix().1);
    // A step without them shows directions; fidelity measured later than the shown step is not
    // shown.
    window.update(|snapshot| *snapshot = testing::snapshot(4, 1, 3));
    assert!(window.has("Cosines between features") && !window.has("Proxy fidelity, "));
}

#[test]
fn beside_the_matrix_stand_numbers_arrows_or_the_run_over_time() {
    let mut window = Window::open(testing::snapshot(40, 1, 4));
    assert!(window.has("Histogram of 6 pairwise cosines"));
    window.click("directions");
    assert!(window.has("Directions of 4 completions") && !window.has("Histogram of "));
    window.click("over time");
    assert!(window.has("Median cosine, 5 to 95 %"));
    let median = testing::snapshot(40, 1, 2)
        .history
        .at(40)
        .unwrap()
        .get(&crate::stages::metrics::GEOMETRY_COSINE_MEDIAN)
        .unwrap();
    assert!(window.has(&crate::dashboard::kit::format::compact(median)), "the value at the cursor");
    window.click("numbers");
    assert!(window.has("Histogram of 6 pairwise cosines"));
}

#[test]
fn health_lists_everything_that_is_watched_and_warns_of_what_is_listed() {
    let mut window = Window::open(testing::snapshot(40, 1, 4));
    window.press(Modifiers::NONE, Key::Num7);
    assert!(window.has("Nothing to look after at step 40."));
    assert!(window.has("Proxy fidelity") && window.has("not measured"));
    window.update(|snapshot| {
        let mut history = crate::metrics::History::default();
        for step in 1..=41 {
            let mut row = testing::metric_row(step);
            row.values.push((&crate::stages::metrics::COMPLETION_TRUNCATED_RATIO, 0.4));
            history.push(row);
        }
        (snapshot.history, snapshot.step) = (history, 41);
    });
    assert!(window.has("One thing to look after at step 41") && window.has("Health 1"));
    assert!(window.has("Many responses are cut off") && window.has("Raise rollout.max_new_tokens"));
    assert!(window.has("1 thing to look after") && !window.has("No warnings"), "one truth");
    window.press(Modifiers::NONE, Key::Home);
    assert!(
        window.has("Step 1 of 41") && window.has("Health 1") && window.has("1 thing to look after")
    );
}

#[test]
fn enormous_values_are_short_and_stay_in_their_plots() {
    for value in [3.21e15, 1e308] {
        let of = |step: u64| if step.is_multiple_of(2) { value } else { -value };
        let snapshot =
            with_metric(testing::snapshot(20, 1, 4), &crate::stages::metrics::POLICY_ENTROPY, of);
        let mut window = Window::open(snapshot);
        window.harness.render().unwrap();
        let text = format!("{} nats", crate::dashboard::kit::format::compact(value));
        let titles = window.harness.query_all_by_label(&text).map(|node| node.rect());
        let widths: Vec<f32> = titles.map(|rect| rect.width()).collect();
        assert!(
            !widths.is_empty() && widths.iter().all(|width| *width < 120.0),
            "{text}: {widths:?}"
        );
    }
}

#[test]
fn live_settings_are_edited_in_place_and_sent_with_enter() {
    let mut snapshot = testing::snapshot(20, 1, 2);
    let text = "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
                method: G2rl(lambda: 0.5))";
    snapshot.info = Arc::new(crate::run::RunInfo::of(text));
    let mut window = Window::open(snapshot);
    window.press(Modifiers::NONE, Key::Num8);
    let field = |window: &Window| {
        let node = window.harness.get_by_role_and_label(Role::TextInput, "Lambda");
        (node.accesskit_node().value().unwrap_or_default(), node.rect().width())
    };
    assert_eq!(field(&window).0, "0.5");
    assert!(field(&window).1 >= 100.0, "the field has room for a number");
    let type_in = |window: &mut Window, text: &str| {
        window.harness.get_by_role_and_label(Role::TextInput, "Lambda").focus();
        window.settle();
        window.press(Modifiers::COMMAND, Key::A);
        window.harness.get_by_role_and_label(Role::TextInput, "Lambda").type_text(text);
        window.settle();
        window.press(Modifiers::NONE, Key::Enter);
    };
    type_in(&mut window, "much");
    assert!(window.commands.is_empty(), "what is not a number is not sent");
    assert!(window.has("Lambda: `much` is not a number") && field(&window).0 == "much");
    type_in(&mut window, "-1");
    assert!(window.commands.is_empty() && field(&window).0 == "-1");
    assert!(
        window.has("Lambda: ") && window.has("lambda"),
        "what the experiment would refuse is refused at once"
    );
    type_in(&mut window, "1.25");
    assert!(!window.has("Lambda: "));
    let sent = TrainerCommand::Set(live("method.lambda"), 1.25);
    assert_eq!(window.commands.try_recv(), Ok(sent));
    assert!(window.has("after this step"));
    // What the trainer refuses keeps its place too.
    let refuse = |setting, reason: &str| crate::run::Refusal { setting, reason: reason.to_owned() };
    let of_another = refuse(live("rollout.temperature"), "too hot");
    window.update(|snapshot| snapshot.refusals = Arc::new(vec![of_another.clone()]));
    assert!(!window.has("too hot") && window.has("after this step"));
    let refused = refuse(live("method.lambda"), "too late");
    window.update(|snapshot| snapshot.refusals = Arc::new(vec![of_another, refused]));
    assert!(window.has("Lambda: too late") && field(&window).0 == "1.25");
    window.harness.get_by_role_and_label(Role::TextInput, "Lambda").focus();
    window.settle();
    window.press(Modifiers::NONE, Key::Escape);
    assert!(!window.has("Lambda: ") && field(&window).0 == "0.5", "Escape takes it back");
}

crate::register_live_setting!(crate::run::LiveSettingKind::whole(
    "rollout.dynamic.rounds",
    "Rounds",
    "A test's own: most further rounds of a step.",
    |experiment| Some(experiment.rollout.dynamic?.rounds as u64),
));

#[test]
fn a_setting_of_whole_numbers_takes_no_other() {
    let mut snapshot = testing::snapshot(20, 1, 2);
    let text = "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
                rollout: (dynamic: (rounds: 3)))";
    snapshot.info = Arc::new(crate::run::RunInfo::of(text));
    let rounds =
        crate::run::LiveSetting::at("rollout.dynamic.rounds", &snapshot.info.experiment).unwrap();
    let mut window = Window::open(snapshot);
    window.press(Modifiers::NONE, Key::Num8);
    let type_in = |window: &mut Window, text: &str| {
        let field = window.harness.get_by_role_and_label(Role::TextInput, "Rounds");
        field.focus();
        window.settle();
        window.press(Modifiers::COMMAND, Key::A);
        window.harness.get_by_role_and_label(Role::TextInput, "Rounds").type_text(text);
        window.settle();
        window.press(Modifiers::NONE, Key::Enter);
    };
    for (typed, said) in [
        ("few", "Rounds: `few` is not a number; write one such as 8"),
        ("2.5", "`rollout.dynamic.rounds` is 2.5; it must be a whole number, 0 or more"),
        ("-1", "is -1; it must be a whole number, 0 or more"),
        ("101", "is 101; it must be between 1 and 100"),
    ] {
        type_in(&mut window, typed);
        assert!(window.commands.is_empty() && window.has(said), "{typed}");
    }
    type_in(&mut window, "4");
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Set(rounds, 4.0)));
    let edit = crate::run::SettingEdit {
        path: "rollout.dynamic.rounds".into(),
        from: 3.into(),
        to: 4.into(),
    };
    window.update(|snapshot| snapshot.take_in(crate::run::Event::edited(20, edit)));
    let field = window.harness.get_by_role_and_label(Role::TextInput, "Rounds");
    assert_eq!(field.accesskit_node().value().as_deref(), Some("4"));
    assert!(window.has("was 3"));
}

#[test]
fn what_is_typed_for_a_setting_stays_until_it_is_entered() {
    let mut snapshot = testing::snapshot(20, 1, 2);
    let text = "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
                method: G2rl(lambda: 0.5))";
    snapshot.info = Arc::new(crate::run::RunInfo::of(text));
    let mut window = Window::open(snapshot);
    window.press(Modifiers::NONE, Key::Num8);
    window.harness.get_by_role_and_label(Role::TextInput, "Lambda").focus();
    window.settle();
    window.press(Modifiers::COMMAND, Key::A);
    window.harness.get_by_role_and_label(Role::TextInput, "Lambda").type_text("0.75");
    window.settle();
    window.press(Modifiers::NONE, Key::Tab);
    let typed = |window: &Window| {
        let node = window.harness.get_by_role_and_label(Role::TextInput, "Lambda");
        node.accesskit_node().value().unwrap_or_default()
    };
    assert!(window.has("Enter applies") && typed(&window) == "0.75" && window.commands.is_empty());
    window.update(|snapshot| {
        let edit = crate::run::SettingEdit {
            path: "method.lambda".into(),
            from: 0.5.into(),
            to: 1.0.into(),
        };
        snapshot.events = Arc::new(vec![crate::run::Event::edited(20, edit)]);
    });
    assert_eq!(typed(&window), "0.75");
}

#[test]
fn the_palette_finds_and_does_what_is_typed() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.press(Modifiers::COMMAND, Key::K);
    window.harness.get_by_label("Command").type_text("pause tr");
    window.settle();
    assert!(window.has("Pause training") && !window.has("Show timeline"));
    window.press(Modifiers::NONE, Key::Enter);
    assert_eq!(window.commands.try_recv(), Ok(TrainerCommand::Pause));
    assert!(!window.has("Pause training"), "the palette closes");
}

#[test]
fn the_palette_copies_saves_and_pins() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let offers = |window: &mut Window, words: &str, name: &str, then: Key| {
        window.press(Modifiers::COMMAND, Key::K);
        window.harness.get_by_label("Command").type_text(words);
        window.settle();
        assert!(window.has(name), "{name}");
        window.press(Modifiers::NONE, then);
    };
    offers(&mut window, "save geometry", "Save a picture of geometry", Key::Escape);
    offers(&mut window, "pin", "Pin the pair that is shown", Key::Enter);
    offers(&mut window, "pin", "Let go of the pinned pair", Key::Enter);
    offers(&mut window, "pin", "Pin the pair that is shown", Key::Escape);
    offers(&mut window, "copy experiment", "Copy experiment as RON", Key::Enter);
}

#[test]
fn the_palette_is_as_high_again_once_everything_is_found_again() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.press(Modifiers::COMMAND, Key::K);
    let height = |window: &Window| {
        egui::AreaState::load(&window.harness.ctx, egui::Id::unique("palette"))
            .and_then(|area| area.size)
            .unwrap()
            .y
    };
    let before = height(&window);
    assert!(before > 300.0, "{before}");
    window.harness.get_by_label("Command").type_text("pause tr");
    window.settle();
    assert!(height(&window) < 100.0, "{}", height(&window));
    window.press(Modifiers::COMMAND, Key::A);
    window.press(Modifiers::NONE, Key::Backspace);
    assert!((height(&window) - before).abs() < 1.0, "{} after {before}", height(&window));
}

#[test]
fn a_step_with_embeddings_offers_their_cosines_and_a_step_without_does_not() {
    let plain = Window::open(testing::snapshot(3, 1, 3));
    assert!(!plain.has("semantic"));
    let mut window = Window::open(with_step(testing::snapshot(3, 1, 3), |view| {
        view.groups[0].cosines[CosineKind::Semantic] =
            vec![1.0, 0.875, 0.75, 0.875, 1.0, 0.5, 0.75, 0.5, 1.0];
    }));
    window.click("semantic");
    assert!(window.matrix().1.contains("cosine +0.50"), "{}", window.matrix().1);
    assert!(window.has("+0.708"), "the mean of the three pairs");
    // A step without embeddings shows its gradient cosines; the choice stays for the next that has
    // them.
    window.update(|snapshot| *snapshot = testing::snapshot(4, 1, 3));
    assert!(window.has("Cosines between features") && !window.has("semantic"));
}

#[test]
fn values_that_do_not_exist_are_said_so() {
    let snapshot = with_step(testing::snapshot(3, 1, 2), |view| {
        view.groups[0].cosines[CosineKind::Feature] = vec![f32::NAN; 4];
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
        snapshot.warnings =
            Arc::new(vec![(1, "first".to_owned()), (2, "entropy collapsed".to_owned())]);
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
        let rate = history
            .at(step)
            .unwrap()
            .get(&crate::stages::metrics::THROUGHPUT_TOKENS_PER_S)
            .unwrap();
        format!("{} tok/s", crate::dashboard::kit::format::thousands(rate))
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

#[test]
fn matrix_and_pair_agree_in_every_frame_while_steps_come_in() {
    let mut window = Window::open(with_step(testing::snapshot(20, 2, 4), name_completions));
    let cell = window.cell(1, 3, 4);
    let agree = |window: &Window, when: &str| {
        let (_, matrix) = window.matrix();
        let (i, rest) = matrix.trim_start_matches("i ").split_once(", j ").unwrap();
        let j = rest.split(',').next().unwrap();
        assert!(window.has(&format!("Pair {i}, {j}")), "{when}: the matrix shows {matrix}");
        for index in [i, j] {
            assert!(
                window.has(&format!("completion {index} of group 0")),
                "{when}: the matrix shows {matrix}"
            );
        }
        matrix
    };
    agree(&window, "at first");
    window.harness.hover_at(cell);
    window.harness.step();
    assert!(agree(&window, "hovered").starts_with("i 1, j 3"));
    for step in 21..25 {
        window.handle.snapshots.update(|snapshot| {
            *snapshot = with_step(testing::snapshot(step, 2, 4), name_completions);
        });
        for _ in 0..3 {
            window.harness.step();
            assert!(
                agree(&window, "as the next step came").starts_with("i 1, j 3"),
                "the pointer has not moved"
            );
        }
        assert!(window.has(&format!("Step {step} of {step}")));
    }
    window.press(Modifiers::NONE, Key::CloseBracket);
    window.press(Modifiers::NONE, Key::OpenBracket);
    agree(&window, "another group and back");
}

#[test]
fn a_slow_click_is_a_click() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let cell = window.cell(1, 3, 4);
    window.harness.hover_at(cell);
    window.settle();
    window.button_at(cell, true);
    // Two seconds and a half.
    window.harness.run_steps(10);
    window.button_at(cell, false);
    window.settle();
    assert!(
        window.matrix().1.contains("i 1, j 3") && window.matrix().1.contains("pinned"),
        "{}",
        window.matrix().1
    );
}

#[test]
fn a_run_that_was_taken_back_shows_its_new_steps() {
    let mut window = Window::open(with_step(testing::snapshot(20, 1, 4), |view| {
        view.groups[0].prompt = "old".to_owned();
    }));
    assert!(window.has("old"));
    let shown = |value: f64| format!("{} nats", crate::dashboard::kit::format::compact(value));
    window.update(|snapshot| {
        let again =
            with_step(testing::snapshot(20, 1, 4), |view| view.groups[0].prompt = "new".to_owned());
        *snapshot = with_metric(again, &crate::stages::metrics::POLICY_ENTROPY, |_| 7.125);
        // It has come as far as before.
        snapshot.generation = 1;
    });
    assert!(window.has("new") && !window.has("old"));
    assert!(window.has(&shown(7.125)));
}

#[test]
fn the_experiment_is_written_out_once_until_another_one_holds() {
    let snapshot = testing::snapshot(20, 1, 4);
    let mut state = State::new(snapshot.clone());
    let place = state.experiment_text.as_ptr();
    state.take_in(snapshot.clone(), 1.0);
    assert_eq!(state.experiment_text.as_ptr(), place);
    let info = Arc::new(testing::info_with("another", 7));
    state.take_in(RunSnapshot { info, ..snapshot }, 2.0);
    assert!(state.experiment_text.contains("another"));
}

#[test]
fn the_palette_offers_what_can_be_done_now() {
    let offers = |window: &mut Window, word: &str| -> bool {
        window.press(Modifiers::COMMAND, Key::K);
        let found = window.has(word);
        window.press(Modifiers::NONE, Key::Escape);
        found
    };
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    assert!(offers(&mut window, "Pause training") && !offers(&mut window, "Resume training"));
    window.click("Pause");
    assert!(!offers(&mut window, "Pause training"), "it has been asked for");
    window.update(|snapshot| snapshot.state = RunState::Paused);
    assert!(!offers(&mut window, "Pause training") && offers(&mut window, "Resume training"));
    window.update(|snapshot| snapshot.state = RunState::Starting);
    assert!(!offers(&mut window, "Pause training") && !offers(&mut window, "Write a checkpoint"));
}

#[test]
fn the_question_whether_to_stop_fits_a_run_that_waits() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    window.update(|snapshot| snapshot.state = RunState::Paused);
    window.click("Stop");
    assert!(!window.has("Continue training") && !window.has("The current step"));
    window.click("Stay paused");
    assert!(!window.has("Stop the run") && window.commands.is_empty());
}

/// Whether the window has asked to be closed.
fn closes(harness: &Harness<'_, Dashboard>) -> bool {
    let viewports = harness.output().viewport_output.values();
    viewports
        .flat_map(|viewport| &viewport.commands)
        .any(|command| matches!(command, egui::ViewportCommand::Close))
}

#[test]
fn an_interrupted_program_closes_its_window_once_the_run_is_over() {
    let (handle, _commands) = RunHandle::new(testing::snapshot(5, 1, 2));
    let interrupted = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (runs, flag) = (vec![RunSource::Trainer(handle.clone())], Arc::clone(&interrupted));
    let mut harness = Harness::builder()
        .build_eframe(move |creation| Opening::on(runs).dashboard(&creation.egui_ctx).until(flag));
    harness.step();
    assert!(!closes(&harness));
    interrupted.store(true, std::sync::atomic::Ordering::SeqCst);
    harness.step();
    assert!(!closes(&harness), "the step is finished first");
    handle.snapshots.update(|snapshot| snapshot.state = RunState::Stopped);
    harness.step();
    assert!(closes(&harness));
}

#[test]
fn the_keyboard_goes_through_the_run_bar_as_one_reads_it() {
    let mut window = Window::open(testing::snapshot(20, 2, 4));
    let mut visited = Vec::new();
    for _ in 0..8 {
        window.press(Modifiers::NONE, Key::Tab);
        let focused = window
            .harness
            .ctx
            .memory(egui::Memory::focused)
            .and_then(|id| window.harness.ctx.read_response(id));
        visited.extend(focused.map(|response| response.rect.center()));
    }
    let bar: Vec<f32> = visited.iter().filter(|at| at.y < 40.0).map(|at| at.x).collect();
    assert!(bar.len() >= 5 && bar.is_sorted(), "Pause, Checkpoint, Stop, theme, keys: {visited:?}");
    assert!(
        visited.iter().all(|at| at.y < 700.0),
        "the lines at the bottom come last: {visited:?}"
    );
}

#[test]
fn the_legend_has_the_line_of_every_run() {
    let sources: Vec<RunSource> = (0..4)
        .map(|seed| {
            let mut snapshot = testing::snapshot(20, 1, 4);
            let directory = format!("runs/s{seed}").into();
            snapshot.info = Arc::new(crate::run::RunInfo {
                directory,
                ..testing::info_with("countdown-g2rl", seed)
            });
            RunSource::Trainer(RunHandle::new(snapshot).0)
        })
        .collect();
    let size = egui::vec2(984.0, 615.0);
    let mut harness = Harness::builder()
        .with_size(size)
        .build_eframe(move |creation| Opening::on(sources).dashboard(&creation.egui_ctx));
    harness.run_steps(4);
    let mut places = Vec::new();
    for seed in 0..4 {
        let name = format!("Line of countdown-g2rl s{seed}");
        places.push(harness.get_by_label(&name).rect());
    }
    for label in ["Join seeds", "Add plot", "Export"] {
        places.push(harness.get_by_label(label).rect());
    }
    for (place, rect) in places.iter().enumerate() {
        assert!(rect.max.x <= size.x, "{rect:?} leaves the window");
        assert!(
            places[..place].iter().all(|other| !other.intersects(*rect)),
            "{rect:?} lies over another"
        );
    }
}
