//! The scrubber: which step every panel shows, and how to move to another.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::{LINE_WIDTH, Theme};
use crate::dashboard::panel::PanelContext;
use crate::dashboard::state::run::State;
use crate::run::EventKind;
use egui::{
    Align, Button, Color32, Label, Layout, Pos2, Rect, Response, RichText, Sense, Shape, Stroke,
    Ui, Vec2,
};
use egui::{WidgetInfo, pos2, vec2};
use std::time::Duration;

/// Seconds for which "Follow live" lights up when a step passes by unseen.
const BLINK_S: f64 = 0.4;
/// A button's size, points.
const BUTTON: Vec2 = vec2(28.0, 22.0);
/// Half the height of a drawn sign, points.
const SIGN: f32 = 4.5;
/// A mark is not drawn nearer than this to the one before, points.
const MARK_GAP: f32 = 3.0;

/// Draws the line.
pub(crate) fn show(ui: &mut Ui, cx: &PanelContext<'_>, state: &mut State) {
    let theme = cx.theme;
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let (at, newest) = (state.cursor.at(), state.cursor.newest());
        if button(ui, "First step", "The first step (Home)", at > 1, first) {
            state.cursor.move_to(1);
        }
        if button(ui, "Previous step", "One step back (,)", at > 1, previous) {
            state.cursor.step_by(-1);
        }
        let (label, hint, sign): (_, _, Sign) = if state.cursor.is_playing() {
            ("Stop playing", "Stay at this step (space)", hold)
        } else {
            ("Play", "Play the steps, ten a second (space)", play)
        };
        if button(ui, label, hint, newest > 1, sign) {
            state.cursor.toggle_playing();
        }
        if button(ui, "Next step", "One step on (.)", at < newest, next) {
            state.cursor.step_by(1);
        }
        if button(ui, "Newest step", "The newest step, from now on (End)", at < newest, last) {
            state.cursor.set_follow(true);
        }
        ui.add_space(4.0);
        if !state.snapshot.state.is_over() {
            follow_button(ui, theme, state);
            ui.add_space(4.0);
        }
        let readout = match newest {
            0 => "No step yet".to_owned(),
            _ => format!(
                "Step {} of {}",
                format::thousands(at as f64),
                format::thousands(newest as f64)
            ),
        };
        // Wide enough for the largest number, so that the slider stays where it is.
        let width = 15.0f32.mul_add(format::thousands(newest as f64).len() as f32, 64.0);
        ui.allocate_ui_with_layout(
            vec2(width, BUTTON.y),
            Layout::left_to_right(Align::Center),
            |ui| {
                ui.set_min_width(width);
                ui.add(Label::new(RichText::new(readout).color(theme.text_strong)).truncate());
            },
        );
        track(ui, theme, state);
    });
}

fn follow_button(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let mut button = Button::new("Follow live").selected(state.cursor.follows());
    if let Some(missed) = state.cursor.missed_step_at {
        let age = ui.input(|input| input.time) - missed;
        if age < BLINK_S {
            button = button.stroke(Stroke::new(1.5, theme.running));
            ui.ctx().request_repaint_after(Duration::from_secs_f64(BLINK_S));
        }
    }
    let hint = if state.cursor.follows() {
        "Every panel shows the newest step. Click to hold this step while the run continues (L)."
    } else {
        "This step is held while the run continues. Click to show the newest step again (L)."
    };
    if ui.add_enabled(state.cursor.newest() > 0, button).on_hover_text(hint).clicked() {
        state.cursor.set_follow(!state.cursor.follows());
    }
}

/// Draws a sign around a place.
type Sign = fn(Pos2, Color32) -> Vec<Shape>;

fn button(ui: &mut Ui, label: &str, hint: &str, enabled: bool, sign: Sign) -> bool {
    let response = ui.add_enabled(enabled, Button::new("").min_size(BUTTON)).accessible_name(label);
    let color = ui.style().interact(&response).fg_stroke.color.gamma_multiply(if enabled {
        1.0
    } else {
        0.4
    });
    ui.painter().extend(sign(response.rect.center(), color));
    response.on_hover_text(hint).on_disabled_hover_text(hint).clicked()
}

/// An angle that points to the right (1) or left (-1).
fn angle(at: Pos2, direction: f32, color: Color32) -> Shape {
    let points = [vec2(-0.4, -1.0), vec2(0.5, 0.0), vec2(-0.4, 1.0)];
    let points = points.map(|point| at + vec2(direction * point.x, point.y) * SIGN);
    Shape::line(points.to_vec(), Stroke::new(LINE_WIDTH, color))
}

fn bar(at: Pos2, color: Color32) -> Shape {
    Shape::line_segment(
        [at - vec2(0.0, SIGN), at + vec2(0.0, SIGN)],
        Stroke::new(LINE_WIDTH, color),
    )
}

fn first(at: Pos2, color: Color32) -> Vec<Shape> {
    vec![bar(at - vec2(3.5, 0.0), color), angle(at + vec2(1.5, 0.0), -1.0, color)]
}

fn previous(at: Pos2, color: Color32) -> Vec<Shape> {
    vec![angle(at, -1.0, color)]
}

fn next(at: Pos2, color: Color32) -> Vec<Shape> {
    vec![angle(at, 1.0, color)]
}

fn last(at: Pos2, color: Color32) -> Vec<Shape> {
    vec![angle(at - vec2(1.5, 0.0), 1.0, color), bar(at + vec2(3.5, 0.0), color)]
}

fn play(at: Pos2, color: Color32) -> Vec<Shape> {
    let points = [vec2(-0.7, -1.0), vec2(-0.7, 1.0), vec2(1.0, 0.0)].map(|point| at + point * SIGN);
    vec![Shape::convex_polygon(points.to_vec(), color, Stroke::NONE)]
}

/// Holding: a square, so that nobody takes it for the pause of the training.
fn hold(at: Pos2, color: Color32) -> Vec<Shape> {
    vec![Shape::rect_filled(Rect::from_center_size(at, Vec2::splat(1.7 * SIGN)), 0.0, color)]
}

/// Where steps are along a line.
#[derive(Clone, Copy)]
struct Scale {
    line: Rect,
    newest: u64,
}

impl Scale {
    fn x(self, step: u64) -> f32 {
        let steps = self.newest.saturating_sub(1).max(1) as f32;
        let share = if self.newest > 1 { step.saturating_sub(1) as f32 / steps } else { 1.0 };
        self.line.width().mul_add(share.clamp(0.0, 1.0), self.line.left())
    }

    fn step(self, x: f32) -> u64 {
        let share = f64::from((x - self.line.left()) / self.line.width().max(1.0)).clamp(0.0, 1.0);
        1 + (share * self.newest.saturating_sub(1) as f64).round() as u64
    }
}

/// The slider with its marks: checkpoints (triangles) and evaluations (dots) below the line;
/// warnings (lines), changed settings (diamonds) and pauses (bars) above it.
fn track(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let (rect, response) = ui.allocate_exact_size(
        vec2(ui.available_width().max(40.0), BUTTON.y),
        Sense::click_and_drag(),
    );
    let (at, newest) = (state.cursor.at(), state.cursor.newest());
    response.widget_info(|| WidgetInfo::slider(newest > 0, at as f64, "Step shown"));
    let scale = Scale { line: rect.shrink2(vec2(8.0, 0.0)), newest };
    let middle = rect.center().y;
    let groove =
        |to: f32| Rect::from_min_max(pos2(scale.line.left(), middle - 1.5), pos2(to, middle + 1.5));
    let painter = ui.painter();
    painter.rect_filled(groove(scale.line.right()), 1.5, theme.missing);
    if newest == 0 {
        return;
    }
    if let Some(pointer) = response.interact_pointer_pos()
        && (response.dragged() || response.clicked())
    {
        let step = scale.step(pointer.x);
        // A click on a mark means what is marked.
        let near = |at: &u64| (scale.x(*at) - pointer.x).abs() <= MARK_GAP;
        let marked = state.event_steps().into_iter().find(near).filter(|_| response.clicked());
        state.cursor.move_to(marked.unwrap_or(step));
    }
    let knob = pos2(scale.x(state.cursor.at()), middle);
    painter.rect_filled(groove(knob.x), 1.5, theme.focus);
    for x in apart(state.snapshot.checkpoints.iter().map(|&step| scale.x(step))) {
        let points =
            [vec2(0.0, 4.0), vec2(3.5, 9.5), vec2(-3.5, 9.5)].map(|point| pos2(x, middle) + point);
        painter.add(Shape::convex_polygon(points.to_vec(), theme.text_weak, Stroke::NONE));
    }
    for x in apart(state.snapshot.warnings.iter().map(|(step, _)| scale.x(*step))) {
        painter.line_segment(
            [pos2(x, middle - 10.0), pos2(x, middle - 4.0)],
            Stroke::new(2.0, theme.warning),
        );
    }
    for (x, is_edit) in events(state).map(|(step, is_edit)| (scale.x(step), is_edit)) {
        let at = pos2(x, middle - 7.0);
        if is_edit {
            let points = [vec2(0.0, -3.5), vec2(3.5, 0.0), vec2(0.0, 3.5), vec2(-3.5, 0.0)]
                .map(|point| at + point);
            painter.add(Shape::convex_polygon(points.to_vec(), theme.running, Stroke::NONE));
        } else {
            for x in [-1.5, 1.5] {
                let bar = Rect::from_center_size(at + vec2(x, 0.0), vec2(1.5, 6.0));
                painter.rect_filled(bar, 0.0, theme.paused);
            }
        }
    }
    for x in
        apart(state.snapshot.evaluations.iter().filter(|e| e.step > 0).map(|e| scale.x(e.step)))
    {
        painter.circle_filled(pos2(x, middle + 7.0), 1.5, theme.text_weak);
    }
    let fill =
        if response.hovered() || response.dragged() { theme.text_strong } else { theme.text };
    painter.circle(knob, 6.0, fill, Stroke::new(1.5, theme.panel));
    explain(state, theme, scale, response);
}

/// Changed settings and pauses, by step; `true` is a changed setting.
fn events(state: &State) -> impl Iterator<Item = (u64, bool)> + '_ {
    let events = state.snapshot.events.iter();
    events.filter_map(|event| match event.kind {
        EventKind::Edit(_) => Some((event.step, true)),
        EventKind::Paused => Some((event.step, false)),
        _ => None,
    })
}

/// Places in ascending order, without those that would lie on one another.
fn apart(places: impl Iterator<Item = f32>) -> impl Iterator<Item = f32> {
    let mut end = f32::NEG_INFINITY;
    places.filter(move |&x| {
        let is_apart = x - end >= MARK_GAP;
        if is_apart {
            end = x;
        }
        is_apart
    })
}

/// Says which step the pointer is at, and what happened near it.
fn explain(state: &State, theme: &Theme, scale: Scale, response: Response) {
    let Some(pointer) = response.hover_pos() else { return };
    let step = scale.step(pointer.x);
    let is_near = |at: u64| (scale.x(at) - pointer.x).abs() <= MARK_GAP;
    response.on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(340.0);
        ui.label(
            RichText::new(format!("Step {}", format::thousands(step as f64)))
                .color(theme.text_strong),
        );
        for at in state.snapshot.checkpoints.iter().filter(|&&at| is_near(at)) {
            ui.label(format!("Checkpoint at step {at}"));
        }
        for event in state.snapshot.events.iter().filter(|event| is_near(event.step)) {
            if matches!(event.kind, EventKind::Edit(_) | EventKind::Paused) {
                ui.label(format!("Step {}: {}", event.step, format::one_line(&event.text, 160)));
            }
        }
        for evaluation in
            state.snapshot.evaluations.iter().filter(|evaluation| is_near(evaluation.step))
        {
            if let Some((k, pass)) = evaluation.pass_at.first() {
                let pass = format::percent(pass.value);
                ui.label(format!(
                    "Evaluation at step {}: {} pass@{k} {pass}",
                    evaluation.step, evaluation.suite
                ));
            }
        }
        for (at, text) in state.snapshot.warnings.iter().filter(|(at, _)| is_near(*at)).take(3) {
            ui.label(
                RichText::new(format!("Step {at}: {}", format::one_line(text, 160)))
                    .color(theme.warning),
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_place_that_leads_back_to_it() {
        let line = Rect::from_min_max(pos2(10.0, 0.0), pos2(810.0, 10.0));
        for newest in [1, 2, 200] {
            let scale = Scale { line, newest };
            assert!((1..=newest).all(|step| scale.step(scale.x(step)) == step));
            assert_eq!((scale.step(-50.0), scale.step(5000.0)), (1, newest));
        }
        assert!(Scale { line, newest: 0 }.x(0).is_finite());
    }

    #[test]
    fn marks_that_would_lie_on_one_another_are_drawn_once() {
        let drawn: Vec<f32> = apart([1.0, 1.5, 3.9, 4.0, 20.0].into_iter()).collect();
        assert_eq!(drawn, [1.0, 4.0, 20.0]);
    }
}
