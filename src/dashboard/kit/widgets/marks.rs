//! Small drawn signs: verdicts and run states. Drawn, so that they never depend on a font.

use crate::dashboard::kit::lines::DASHES;
use crate::dashboard::kit::theme::{LINE_WIDTH, Theme};
use crate::run::RunState;
use crate::verify::Verdict;
use egui::{
    Color32, Painter, Pos2, Rect, Response, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, pos2, vec2,
};

/// A verdict in a word or two.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Correct => "correct",
        Verdict::Incorrect => "wrong",
        Verdict::NoAnswer => "no answer",
        Verdict::TimedOut => "timed out",
    }
}

/// Draws a verdict: check, cross, dash, or clock hands.
pub(crate) fn paint_verdict(
    painter: &Painter,
    center: Pos2,
    size: f32,
    verdict: Verdict,
    theme: &Theme,
) {
    let stroke = Stroke::new(if size < 8.0 { 1.2 } else { LINE_WIDTH }, theme.verdict(verdict));
    let at = |x: f32, y: f32| center + vec2(x, y) * (size / 2.0);
    match verdict {
        Verdict::Correct => {
            painter.line(vec![at(-0.8, 0.05), at(-0.25, 0.65), at(0.8, -0.65)], stroke);
        }
        Verdict::Incorrect => {
            paint_cross(painter, center, size, stroke.color);
        }
        Verdict::NoAnswer => {
            painter.line_segment([at(-0.7, 0.0), at(0.7, 0.0)], stroke);
        }
        Verdict::TimedOut => {
            painter.circle_stroke(center, 0.75 * size / 2.0, stroke);
            painter.line(vec![at(0.0, -0.45), at(0.0, 0.0), at(0.35, 0.0)], stroke);
        }
    }
}

/// Two crossed lines.
pub(crate) fn paint_cross(painter: &Painter, center: Pos2, size: f32, color: Color32) {
    let stroke = Stroke::new(if size < 8.0 { 1.2 } else { LINE_WIDTH }, color);
    let at = |x: f32, y: f32| center + vec2(x, y) * (size / 2.0);
    painter.line_segment([at(-0.65, -0.65), at(0.65, 0.65)], stroke);
    painter.line_segment([at(-0.65, 0.65), at(0.65, -0.65)], stroke);
}

/// A verdict as a widget.
pub(crate) fn verdict(ui: &mut Ui, theme: &Theme, verdict: Verdict) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(12.0), Sense::hover());
    paint_verdict(ui.painter(), rect.center(), 11.0, verdict, theme);
    response
}

/// The run's state as a mark and the word beside it.
pub(crate) fn run_state(ui: &mut Ui, theme: &Theme, state: &RunState) -> Response {
    let (word, color) = match state {
        RunState::Starting => ("Starting", theme.running),
        RunState::Training => ("Training", theme.running),
        RunState::Paused => ("Paused", theme.paused),
        RunState::Finished => ("Finished", theme.correct),
        RunState::Stopped => ("Stopped", theme.text_weak),
        RunState::Failed { .. } => ("Failed", theme.error),
        RunState::Interrupted => ("Interrupted", theme.warning),
    };
    let stroke = Stroke::new(LINE_WIDTH, color);
    let square = |center: Pos2, size: f32| Rect::from_center_size(center, Vec2::splat(size));
    marked_word(ui, word, color, |painter, center| match state {
        RunState::Starting => {
            painter.circle_stroke(center, 4.0, stroke);
        }
        RunState::Training => {
            painter.circle_filled(center, 4.5, color);
        }
        RunState::Paused => paint_pause(painter, center, color),
        RunState::Finished => paint_verdict(painter, center, 11.0, Verdict::Correct, theme),
        RunState::Stopped | RunState::Interrupted => {
            painter.rect_filled(square(center, 8.0), 0.0, color);
        }
        RunState::Failed { .. } => {
            painter.line_segment(
                [square(center, 8.0).left_top(), square(center, 8.0).right_bottom()],
                stroke,
            );
            painter.line_segment(
                [square(center, 8.0).left_bottom(), square(center, 8.0).right_top()],
                stroke,
            );
        }
    })
}

/// The state of a run that another process writes: a ring, for it is only looked at; faint where
/// nothing comes any more.
pub(crate) fn watching(ui: &mut Ui, theme: &Theme, is_paused: bool, is_silent: bool) -> Response {
    let color = match (is_silent, is_paused) {
        (true, _) => theme.text_weak,
        (false, true) => theme.paused,
        (false, false) => theme.running,
    };
    let word = if is_paused { "Watching, paused" } else { "Watching" };
    marked_word(ui, word, color, |painter, center| {
        if is_paused {
            paint_pause(painter, center, color);
        } else {
            painter.circle_stroke(center, 4.5, Stroke::new(LINE_WIDTH, color));
            if !is_silent {
                painter.circle_filled(center, 2.0, color);
            }
        }
    })
}

fn paint_pause(painter: &Painter, center: Pos2, color: Color32) {
    for x in [-2.5, 2.5] {
        painter.rect_filled(
            Rect::from_center_size(center + vec2(x, 0.0), vec2(2.5, 9.0)),
            0.0,
            color,
        );
    }
}

fn marked_word(
    ui: &mut Ui,
    word: &str,
    color: Color32,
    paint: impl FnOnce(&Painter, Pos2),
) -> Response {
    let galley = ui.painter().layout_no_wrap(
        word.to_owned(),
        egui::TextStyle::Body.resolve(ui.style()),
        color,
    );
    let (rect, response) =
        ui.allocate_exact_size(vec2(18.0 + galley.size().x, 20.0), Sense::hover());
    let painter = ui.painter();
    paint(painter, pos2(rect.left() + 6.0, rect.center().y));
    painter.galley(
        pos2(rect.left() + 16.0, rect.center().y - galley.size().y / 2.0),
        galley,
        color,
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Status, true, word));
    response
}

/// How large a sample of a line is, points: two long dashes.
pub(crate) const SAMPLE: Vec2 = vec2(34.0, 8.0);

/// A sample of a run's line, broken as its curves are: not at all, dashed or dotted.
pub(crate) fn paint_line(painter: &Painter, rect: Rect, color: Color32, style: usize) {
    let ends = [rect.left_center(), rect.right_center()];
    let stroke = Stroke::new(2.0, color);
    let dashed = |length: f32| {
        egui::Shape::dashed_line(&ends, stroke, length, length / std::f32::consts::GOLDEN_RATIO)
    };
    match style {
        0 => painter.extend([egui::Shape::line_segment(ends, stroke)]),
        1 => painter.extend(dashed(DASHES[0])),
        2 => painter.extend(egui::Shape::dotted_line(&ends, color, 4.0, 1.25)),
        _ => painter.extend(dashed(DASHES[1])),
    }
}

/// The sign of a menu with more: three dots above each other, which nobody takes for the end of a
/// text that was cut off.
pub(crate) fn paint_more(ui: &Ui, response: &Response) {
    let color = ui.style().interact(response).fg_stroke.color;
    for y in [-4.5, 0.0, 4.5] {
        ui.painter().circle_filled(response.rect.center() + vec2(0.0, y), 1.3, color);
    }
}

/// Diagonal lines over a place that has no value.
pub(crate) fn paint_hatching(painter: &Painter, rect: Rect, spacing: f32, stroke: Stroke) {
    let painter = painter.with_clip_rect(painter.clip_rect().intersect(rect));
    let mut x = rect.left() - rect.height();
    while x < rect.right() {
        painter.line_segment([pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())], stroke);
        x += spacing;
    }
}
