//! Behaviour of the panels that show completions: the rollouts panel, the token view, problems over
//! time, the scrubber's events.

use crate::dashboard::tests::testing;
use crate::dashboard::tests::testing::{Window, name_completions, with_step};
use crate::run::{CosineKind, Event, EventKind, RunInfo, RunSnapshot, SettingEdit};
use crate::verify::Verdict;
use egui::accesskit::Role;
use egui::{Key, Modifiers, PointerButton, Pos2, vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use std::sync::Arc;

/// A window with the rollouts panel in front.
fn open(snapshot: RunSnapshot) -> Window {
    let mut window = Window::open(snapshot);
    window.press(Modifiers::NONE, Key::Num5);
    window
}

/// The rows of the table that are on screen, from the top.
fn rows(window: &Window) -> Vec<String> {
    let mut rows: Vec<(f32, String)> = window
        .harness
        .query_all_by_role(Role::Row)
        .map(|node| (node.rect().top(), node.accesskit_node().label().unwrap_or_default()))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().map(|(_, name)| name).collect()
}

fn choose(window: &mut Window, list: &str, entry: &str) {
    window.harness.get_by_role_and_label(Role::ComboBox, list).click();
    window.settle();
    window.click(entry);
}

fn drag(window: &mut Window, from: Pos2, to: Pos2) {
    window.harness.hover_at(from);
    window.settle();
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    window.harness.event(button(from, true));
    window.harness.run_steps(2);
    for share in [0.5, 1.0] {
        window.harness.hover_at(from + (to - from) * share);
        window.harness.run_steps(2);
    }
    window.harness.event(button(to, false));
    window.settle();
    window.harness.remove_cursor();
    window.settle();
}

#[test]
fn the_table_lists_the_completions_of_all_groups_or_of_the_chosen_one() {
    let mut window = open(testing::snapshot(20, 2, 4));
    assert!(window.has("8 completions"));
    window.click("this group");
    assert!(window.has("4 completions"));
    assert!(rows(&window).iter().all(|name| name.ends_with("of group 0")), "{:?}", rows(&window));
    window.press(Modifiers::NONE, Key::CloseBracket);
    assert!(rows(&window).iter().all(|name| name.ends_with("of group 1")), "{:?}", rows(&window));
}

#[test]
fn a_click_on_a_row_chooses_its_group_and_shows_the_completion_in_full() {
    let mut window = open(with_step(testing::snapshot(20, 2, 4), |view| {
        name_completions(view);
        view.groups[1].rollouts[2].completion.push_str("\nand its second line");
    }));
    window.press(Modifiers::NONE, Key::OpenBracket);
    window.click("Sort by group and number");
    let name = "Completion 2 of group 1";
    assert_eq!(
        rows(&window).first().map(String::as_str),
        Some("Completion 3 of group 1"),
        "turned around"
    );
    window.harness.get_by_role_and_label(Role::Row, name).click();
    window.settle();
    assert!(window.has("and its second line") && window.has("group 1 of 2"));
}

#[test]
fn a_column_head_sorts_from_the_largest_and_then_turns_around() {
    let snapshot = testing::snapshot(20, 1, 4);
    let group = &snapshot.latest.as_ref().unwrap().groups[0];
    let mut order: Vec<usize> = (0..4).collect();
    order.sort_by(|&a, &b| group.rollouts[b].novelty.total_cmp(&group.rollouts[a].novelty));
    let named = |order: &[usize]| -> Vec<String> {
        order.iter().map(|index| format!("Completion {index} of group 0")).collect()
    };
    let mut window = open(snapshot.clone());
    window.click("Sort by novelty");
    assert_eq!(rows(&window), named(&order));
    window.click("Sort by novelty");
    order.reverse();
    assert_eq!(rows(&window), named(&order));
}

#[test]
fn text_and_verdict_filter_the_table_and_all_again_takes_the_filters_away() {
    let snapshot = with_step(testing::snapshot(20, 2, 4), |view| {
        name_completions(view);
        view.groups
            .iter_mut()
            .flat_map(|group| &mut group.rollouts)
            .for_each(|r| r.verdict = Verdict::Incorrect);
        view.groups[0].rollouts[1].verdict = Verdict::Correct;
    });
    let mut window = open(snapshot);
    window.harness.get_by_label("Search completions").focus();
    window.settle();
    window.harness.get_by_label("Search completions").type_text("OF GROUP 0");
    window.settle();
    assert!(window.has("4 of 8") && rows(&window).len() == 4);
    choose(&mut window, "Verdict", "correct");
    assert_eq!(rows(&window), ["Completion 1 of group 0"]);
    choose(&mut window, "Verdict", "timed out");
    assert!(window.has("No completion passes the filters."));
    window.click("All again");
    assert!(window.has("8 completions"));
}

#[test]
fn brushing_the_scatter_plot_lists_what_lies_inside_and_a_click_beside_lists_all() {
    let snapshot = with_step(testing::snapshot(20, 1, 4), |view| {
        for (index, rollout) in view.groups[0].rollouts.iter_mut().enumerate() {
            (rollout.logprob, rollout.novelty) = (-10.0 * index as f32, 0.25 * index as f32);
        }
    });
    let mut window = open(snapshot);
    let plot = window.harness.get_by_label("novelty over log-probability, 4 completions").rect();
    // From the upper left corner, where the last completion is, to the middle.
    drag(&mut window, plot.left_top() + vec2(50.0, 6.0), plot.center() + vec2(10.0, 0.0));
    let listed = rows(&window);
    assert!(listed.contains(&"Completion 3 of group 0".to_owned()), "{listed:?}");
    assert!(!listed.contains(&"Completion 0 of group 0".to_owned()), "{listed:?}");
    assert!(window.has(&format!("{} of 4", listed.len())));
    window.click_at(plot.left_bottom() + vec2(60.0, -30.0));
    assert_eq!(rows(&window).len(), 4);
}

#[test]
fn a_click_on_a_point_of_the_scatter_plot_chooses_its_completion() {
    let snapshot = with_step(testing::snapshot(20, 1, 3), |view| {
        name_completions(view);
        for (index, rollout) in view.groups[0].rollouts.iter_mut().enumerate() {
            (rollout.logprob, rollout.novelty) = (-10.0 * index as f32, 0.5);
            rollout.completion.push_str("\nsecond line");
        }
    });
    let mut window = open(snapshot);
    let plot = window.harness.get_by_label("novelty over log-probability, 3 completions").rect();
    // The axes lie at the left and below; 6 % are left free at either side.
    let area = egui::Rect::from_min_max(plot.min + vec2(46.0, 4.0), plot.max - vec2(4.0, 18.0));
    let margin = 0.06 / 1.12 * area.width();
    window.click_at(area.left_center() + vec2(margin, 0.0));
    let selected = |name: &str| {
        let row = window.harness.get_by_role_and_label(Role::Row, name);
        row.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
    };
    assert!(selected("Completion 2 of group 0") && !selected("Completion 0 of group 0"));
}

#[test]
fn tokens_are_shaded_where_they_are_recorded_and_say_what_they_are() {
    let mut window = open(testing::snapshot(20, 1, 2));
    assert!(window.has("Tokens are recorded every 25 steps (record.tokens_every)."));
    let snapshot = with_step(testing::snapshot(21, 1, 2), testing::add_tokens);
    window.update(|now| *now = snapshot.clone());
    assert!(!window.has("Tokens are recorded every"));
    let tokens =
        snapshot.latest.as_ref().unwrap().groups[0].tokens.as_ref().unwrap().range(0).len();
    for (button, label) in
        [("|φ|", "|φ|"), ("log p", "log p"), ("entropy", "entropy"), ("ratio", "ratio")]
    {
        let nodes: Vec<_> =
            window.harness.query_all_by_role_and_label(Role::Button, button).collect();
        nodes.last().unwrap().click();
        window.settle();
        let chart = format!("{label} of ");
        assert!(window.has(&chart), "{chart}");
    }
    let geometry = window.harness.query_all_by_label_contains(" tokens").count();
    assert!(geometry > 0 && tokens > 1);
    let chart = window.harness.get_by_label_contains("ratio of ").rect();
    window.harness.hover_at(chart.left_center() + vec2(50.0, 0.0));
    window.settle();
    assert!(window.has("Token 1 of "), "the first token explains itself");
}

#[test]
fn the_pair_panel_writes_tokens_where_asked_and_differences_where_there_are_none() {
    let mut window = Window::open(with_step(testing::snapshot(20, 1, 2), |view| {
        testing::add_tokens(view);
        for rollout in &mut view.groups[0].rollouts {
            rollout.completion = "x".repeat(rollout.completion.len());
        }
    }));
    let list = "How the texts are written";
    let written = |window: &Window| {
        window
            .harness
            .get_by_role_and_label(Role::ComboBox, list)
            .accesskit_node()
            .value()
            .unwrap_or_default()
    };
    assert_eq!(written(&window), "differences");
    choose(&mut window, list, "tokens by part in the cosine");
    assert_eq!(written(&window), "part in the cosine");
    assert!(window.has("[end]"), "the end of the sequence is a token without text");
    window.update(|snapshot| *snapshot = testing::snapshot(21, 1, 2));
    assert_eq!(written(&window), "differences", "step 21 has no tokens");
    assert!(!window.has("[end]"));
    window
        .update(|snapshot| *snapshot = with_step(testing::snapshot(22, 1, 2), testing::add_tokens));
    assert_eq!(written(&window), "part in the cosine", "the choice stays");
}

#[test]
fn problems_are_listed_with_their_solve_rates_and_lead_to_the_step_that_met_them_last() {
    let folder = testing::run_folder(&[2, 5]);
    let mut snapshot = testing::snapshot(6, 2, 4);
    snapshot.info = Arc::new(RunInfo { directory: folder.path().to_path_buf(), ..testing::info() });
    let mut window = open(snapshot);
    window.click("problems");
    let started = std::time::Instant::now();
    while !window.has("2 recorded steps read") {
        assert!(started.elapsed().as_secs() < 20, "the problems do not come");
        window.settle();
    }
    let group = testing::group(1, 4, 2);
    let name = format!("Problem {}", group.problem_id);
    window.harness.get_by_label("Search problems").focus();
    window.settle();
    window.harness.get_by_label("Search problems").type_text(&group.problem_id);
    window.settle();
    assert_eq!(rows(&window), std::slice::from_ref(&name));
    assert!(window.has(&crate::dashboard::kit::format::percent(group.correct() as f64 / 4.0)));
    window.harness.get_by_role_and_label(Role::Row, &name).click();
    window.settle();
    let started = std::time::Instant::now();
    while !window.has("group 1 of 2") {
        assert!(started.elapsed().as_secs() < 20, "step 2 does not come");
        window.settle();
    }
    assert!(window.has("Step 2 of 6"));
}

#[test]
fn shifted_comma_and_period_jump_from_event_to_event() {
    let mut snapshot = testing::snapshot(60, 1, 2);
    let edit = SettingEdit { path: "rollout.temperature".into(), from: 1.0.into(), to: 0.8.into() };
    snapshot.events =
        Arc::new(vec![Event::now(7, EventKind::Paused, "paused"), Event::edited(33, edit)]);
    snapshot.warnings = Arc::new(vec![(45, "truncated".to_owned())]);
    let mut window = Window::open(snapshot);
    // Evaluations are at 20, 40 and 60, a checkpoint at 50.
    for step in [50, 45, 40, 33, 20, 7, 7] {
        window.press(Modifiers::SHIFT, Key::Comma);
        assert!(window.has(&format!("Step {step} of 60")), "step {step}");
    }
    window.press(Modifiers::SHIFT, Key::Period);
    assert!(window.has("Step 20 of 60"));
}

#[test]
fn what_panels_show_is_copied_as_tables() {
    let snapshot = with_step(testing::snapshot(20, 2, 4), name_completions);
    let group = snapshot.latest.as_ref().unwrap().groups[0].clone();
    let mut window = Window::open(snapshot);
    window.click("index");
    let text = window.copied("geometry", "Copy as CSV");
    window.settle();
    assert!(window.has("copied: 4 x 4 cosines of group 0 as CSV"));
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(cells.len(), 5);
    assert_eq!(
        cells[2][4].parse::<f64>().unwrap().to_bits(),
        f64::from(group.cosines[CosineKind::Feature][4 + 3]).to_bits()
    );
    assert_eq!(window.copied("groups", "Copy as CSV").lines().count(), 3);
    let pair = window.copied("pair", "Copy as CSV");
    assert!(pair.lines().count() == 3 && pair.contains("of group 0"), "{pair}");
    for (key, panel, lines) in [
        (Key::Num4, "curves", 21),
        (Key::Num5, "rollouts", 9),
        (Key::Num6, "timeline", 21),
        (Key::Num7, "health", 0),
    ] {
        window.press(Modifiers::NONE, key);
        let text = window.copied(panel, "Copy as CSV");
        assert!(text.lines().next().is_some_and(|head| head.contains("step")), "{panel}: {text}");
        assert!(lines == 0 || text.lines().count() == lines, "{panel}: {text}");
    }
    // What was selected and copied by a key has no other name than its length.
    window.harness.ctx.copy_text("abc".to_owned());
    window.settle();
    assert!(window.has("copied: 3 characters") && !window.has("copied: 4 x 4"));
}

#[test]
fn nothing_to_copy_is_said_too() {
    let mut window = Window::open(testing::snapshot(0, 0, 0));
    window.harness.get_by_label("More about groups").click();
    window.settle();
    window.click("Copy as CSV");
    assert!(window.has("nothing to copy: groups as CSV"));
}

#[test]
fn every_number_of_a_completion_has_a_column_in_every_window() {
    let heads = [
        "reward",
        "shaped reward",
        "novelty",
        "advantage",
        "length",
        "log-probability",
        "entropy",
        "answer",
    ];
    // The last is the smallest window at 130 %.
    for (size, all_seen) in
        [(vec2(1280.0, 800.0), true), (vec2(900.0, 600.0), false), (vec2(692.0, 461.0), false)]
    {
        let mut window = Window::open_sized(testing::snapshot(20, 2, 4), size);
        window.press(Modifiers::NONE, Key::Num5);
        for head in heads {
            let rect = window.harness.get_by_label(&format!("Sort by {head}")).rect();
            let plot = window.harness.query_by_label_contains("novelty over log-probability");
            let end = plot.map_or(size.x, |plot| plot.rect().left());
            assert!(!all_seen || rect.right() <= end, "{head} ends at {} of {end}", rect.right());
        }
    }
}

#[test]
fn the_cards_of_a_pair_keep_rewards_novelty_and_advantage_where_there_is_little_room() {
    for size in [vec2(1280.0, 800.0), vec2(900.0, 600.0), vec2(692.0, 461.0)] {
        let window = Window::open_sized(testing::snapshot(20, 2, 4), size);
        for start in ["reward", "novelty0.", "A"] {
            let nodes = window.harness.query_all_by_label_contains(start);
            let said: Vec<String> =
                nodes.filter_map(|node| node.accesskit_node().value()).collect();
            let count =
                said.iter().filter(|text| text.starts_with(start) && text.contains('.')).count();
            assert!(count >= 2, "{start} stands {count} times at {size}: {said:?}");
        }
        assert!(window.has(", shaped "), "{size}");
    }
}
