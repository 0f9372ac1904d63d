//! The smallest window at the largest text: 900 by 600 pixels at 130 %.

use crate::dashboard::panels;
use crate::dashboard::tests::testing;
use crate::dashboard::tests::testing::Window;
use crate::run::{RunSnapshot, RunState};
use crate::stages::metrics;
use egui::{Event, Modifiers, MouseWheelSource, MouseWheelUnit, Rect, TouchPhase, Vec2, vec2};
use egui_kittest::kittest::Queryable;

/// The room in points.
const SMALL: Vec2 = vec2(692.0, 461.0);

fn open(snapshot: RunSnapshot) -> Window {
    Window::open_sized(snapshot, SMALL)
}

fn rect(window: &Window, label: &str) -> Rect {
    let nodes = window.harness.query_all_by_label_contains(label);
    nodes.map(|node| node.rect()).next().unwrap_or_else(|| panic!("`{label}` is not there"))
}

fn scroll(window: &mut Window, at: egui::Pos2, points: f32) {
    window.harness.hover_at(at);
    window.settle();
    window.harness.event(Event::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, -points),
        phase: TouchPhase::Move,
        source: MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    window.harness.run_steps(12);
}

#[test]
fn both_cards_of_the_pair_can_be_reached_and_its_cosine_is_whole() {
    let mut window = open(testing::snapshot(40, 8, 16));
    let below = rect(&window, "Curves").top();
    let name = |window: &Window| {
        let (_, pair) = window.matrix();
        let (i, rest) = pair.trim_start_matches("i ").split_once(", j ").unwrap();
        (format!("i = {i}"), format!("j = {}", rest.split(',').next().unwrap()))
    };
    let (i, j) = name(&window);
    assert!(rect(&window, &i).bottom() <= below);
    let cosine = rect(&window, "cos ");
    assert!(cosine.width() > 40.0 && cosine.right() <= SMALL.x, "{cosine:?}");
    for _ in 0..6 {
        let at = rect(&window, &i).center().max(egui::pos2(0.0, 150.0));
        scroll(&mut window, at, 200.0);
    }
    let card = rect(&window, &j);
    assert!(card.top() > 100.0 && card.bottom() + 40.0 <= below, "{card:?} above {below}");
}

#[test]
fn the_time_left_stays_in_the_run_bar() {
    let mut window = open(testing::snapshot(137, 2, 4));
    let left = |window: &Window, word: &str| {
        let (time, button) = (rect(window, word), rect(window, "One step"));
        assert!(time.right() <= button.left(), "{time:?} lies over {button:?}");
        assert!(rect(window, "137 / 200").right() <= time.left());
    };
    left(&window, "ETA");
    window.update(|snapshot| snapshot.state = RunState::Paused);
    left(&window, "left1:3");
}

#[test]
fn what_can_be_scrolled_has_a_bar_that_is_seen() {
    let window = open(testing::snapshot(40, 1, 4));
    let scroll = window.harness.ctx.global_style().spacing.scroll;
    assert!(scroll.dormant_handle_opacity > 0.3 && scroll.floating_width >= 3.0);
}

#[test]
fn no_panel_draws_over_the_edge_of_the_window() {
    for panel in panels::all().iter().map(|panel| panel.key()) {
        let mut window = open(testing::snapshot(40, 8, 16));
        window.harness.state_mut().bring_up(panel);
        window.settle();
        for label in ["Follow live", "Copy path", "?"] {
            let rect = window.harness.get_by_label(label).rect();
            assert!(
                rect.max.x <= SMALL.x && rect.max.y <= SMALL.y,
                "{label} with panel {panel}: {rect:?}"
            );
        }
    }
}

#[test]
fn the_top_bar_does_not_overlap_itself_in_a_very_small_window() {
    for size in [vec2(500.0, 400.0), vec2(640.0, 400.0), SMALL] {
        let mut window = Window::open_sized(testing::snapshot(137, 2, 4), size);
        for state in [RunState::Training, RunState::Paused, RunState::Stopped] {
            window.update(|snapshot| snapshot.state = state.clone());
            let below = rect(&window, "Stage Record").bottom();
            let texts: Vec<(String, Rect)> = window
                .texts()
                .into_iter()
                .filter(|(text, rect)| !text.is_empty() && rect.top() < below)
                .collect();
            assert!(
                texts.iter().any(|(text, _)| text == "137 / 200" || text.contains("137 / 200")),
                "{texts:?}"
            );
            for (place, (text, rect)) in texts.iter().enumerate() {
                assert!(rect.right() <= size.x, "{text} leaves the window of {size:?}");
                let over = texts[place + 1..]
                    .iter()
                    .find(|(_, other)| rect.shrink(1.0).intersects(other.shrink(1.0)));
                assert!(
                    over.is_none(),
                    "{size:?}, {state:?}: {text:?} at {rect:?} lies over {over:?}"
                );
            }
        }
    }
}

#[test]
fn values_that_are_too_large_for_a_plot_are_called_that() {
    let shown = |value: f64| {
        let snapshot =
            testing::with_metric(testing::snapshot(20, 2, 4), &metrics::POLICY_KL, |_| value);
        Window::open(snapshot).texts()
    };
    let says = |texts: &[(String, Rect)], words: &str| texts.iter().any(|(text, _)| text == words);
    let large = shown(1e308);
    assert!(
        says(&large, "values over 1e300 are not drawn") && !says(&large, "no value is a number")
    );
    assert!(says(&shown(f64::NAN), "no value is a number"));
}
