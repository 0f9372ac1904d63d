//! Completions as points in the plane of two of their quantities, with a brush.

use crate::dashboard::kit::completions::Quantity;
use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panels::rollouts::rows::{Brush, Rows};
use crate::dashboard::state::selection::Place;
use crate::run::{RolloutView, StepView};
use crate::verify::Verdict;
use egui::{
    Align2, Color32, Painter, Pos2, Rect, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};
use std::collections::HashSet;

/// A point is found by the pointer up to this far, points.
const REACH: f32 = 8.0;
/// Room for the axes, points.
const AXES: Vec2 = vec2(46.0, 18.0);

/// Free space between an axis' name and its ends, points.
const NAME_GAP: f32 = 10.0;

/// What the person did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Asked {
    /// Chose a completion.
    Choose(Place),
    /// Brushed a part, or nothing.
    Brush(Option<Brush>),
}

/// The range of `values`, widened so that no point lies on the edge.
fn range(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return [0.0, 1.0];
    }
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 * low.abs().max(1.0) };
    [low - margin, high + margin]
}

/// Draws a completion: its verdict where it is listed, and else a small point.
fn paint_point(painter: &Painter, theme: &Theme, at: Pos2, verdict: Option<Verdict>) {
    match verdict {
        Some(verdict) => marks::paint_verdict(painter, at, 6.0, verdict, theme),
        None => {
            painter.circle_filled(at, 1.5, theme.missing);
        }
    }
}

/// Draws the part of the plot that is chosen.
fn paint_brush(painter: &Painter, theme: &Theme, area: Rect) {
    let fill = theme.selection.gamma_multiply(0.35);
    painter.rect(area, 0.0, fill, Stroke::new(1.0, theme.focus), StrokeKind::Inside);
}

/// Draws the plot into `size`.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    view: &StepView,
    rows: &Rows,
    axes: [Quantity; 2],
    brush: Option<Brush>,
    lit: &[Place],
    size: Vec2,
) -> Option<Asked> {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let rollout =
        |place: Place| -> &RolloutView { &view.groups[place.group].rollouts[place.index] };
    let values = |place: Place| axes.map(|quantity| quantity.of(rollout(place)));
    let drawn: Vec<(Place, [f64; 2])> = rows
        .filtered
        .iter()
        .map(|&place| (place, values(place)))
        .filter(|(_, values)| values.iter().all(|value| value.is_finite()))
        .collect();
    let label = format!("{} over {}, {} completions", axes[1].name(), axes[0].name(), drawn.len());
    response.widget_info(|| WidgetInfo::labeled(Role::GraphicsObject, true, label.clone()));
    let plot = Rect::from_min_max(rect.min + vec2(AXES.x, 4.0), rect.max - vec2(4.0, AXES.y));
    if plot.width() < 20.0 || plot.height() < 20.0 {
        return None;
    }
    let x = range(drawn.iter().map(|(_, values)| values[0]));
    let y = range(drawn.iter().map(|(_, values)| values[1]));
    let at = |values: [f64; 2]| {
        pos2(
            (((values[0] - x[0]) / (x[1] - x[0])) as f32).mul_add(plot.width(), plot.left()),
            plot.bottom() - ((values[1] - y[0]) / (y[1] - y[0])) as f32 * plot.height(),
        )
    };
    let values_at = |at: Pos2| {
        let share = |at: f32, low: f32, length: f32| f64::from((at - low) / length);
        [
            (x[1] - x[0]).mul_add(share(at.x, plot.left(), plot.width()), x[0]),
            (y[1] - y[0]).mul_add(1.0 - share(at.y, plot.top(), plot.height()), y[0]),
        ]
    };
    let painter = ui.painter_at(rect);
    painter.rect_filled(plot, 2.0, theme.sunken);
    paint_axes(&painter, theme, plot, axes, [x, y]);
    if drawn.is_empty() {
        painter.text(
            plot.center(),
            Align2::CENTER_CENTER,
            "no values",
            small_font(),
            theme.text_weak,
        );
        return None;
    }
    let listed: HashSet<Place> = rows.listed.iter().copied().collect();
    for (place, values) in &drawn {
        let verdict = listed.contains(place).then(|| rollout(*place).verdict);
        paint_point(&painter, theme, at(*values), verdict);
    }
    for (_, values) in drawn.iter().filter(|(place, _)| lit.contains(place)) {
        painter.circle_stroke(at(*values), 7.0, Stroke::new(1.5, theme.focus));
    }
    let area = |brush: Brush| {
        Rect::from_two_pos(at([brush.x[0], brush.y[0]]), at([brush.x[1], brush.y[1]]))
    };
    if let Some(brush) = brush {
        paint_brush(&painter, theme, area(brush).intersect(plot));
    }
    let nearest = |pointer: Pos2| {
        drawn
            .iter()
            .map(|(place, values)| (*place, at(*values).distance(pointer)))
            .filter(|(_, distance)| *distance <= REACH)
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(place, _)| place)
    };
    let mut asked = None;
    if response.dragged()
        && let (Some(from), Some(to)) =
            (ui.input(|input| input.pointer.press_origin()), response.interact_pointer_pos())
    {
        let (from, to) = (values_at(plot.clamp(from)), values_at(plot.clamp(to)));
        let sorted = |a: f64, b: f64| [a.min(b), a.max(b)];
        asked = Some(Asked::Brush(Some(Brush {
            x: sorted(from[0], to[0]),
            y: sorted(from[1], to[1]),
        })));
    }
    if response.clicked() {
        asked = Some(match response.interact_pointer_pos().and_then(nearest) {
            Some(place) => Asked::Choose(place),
            None => Asked::Brush(None),
        });
    }
    let hovered = response.hover_pos().filter(|_| !response.dragged()).and_then(nearest);
    response.on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(340.0);
        match hovered {
            Some(place) => {
                explain(ui, view.groups[place.group].group, place.index, rollout(place), axes);
            }
            None => {
                ui.label(
                    "Drag to list a part of the completions only; click beside the points to list \
                     all again.",
                );
            }
        }
    });
    asked
}

/// The name of a quantity as far as there is `room`, points: whole, or as at the head of a column.
pub(crate) fn name_within(painter: &Painter, quantity: Quantity, room: f32) -> &'static str {
    let name = quantity.name();
    if width(painter, name) <= room { name } else { quantity.short() }
}

/// How wide a small text is, points.
fn width(painter: &Painter, text: &str) -> f32 {
    painter.layout_no_wrap(text.to_owned(), small_font(), Color32::PLACEHOLDER).size().x
}

/// The names of the axes and where they begin and end.
fn paint_axes(
    painter: &Painter,
    theme: &Theme,
    plot: Rect,
    axes: [Quantity; 2],
    [x, y]: [[f64; 2]; 2],
) {
    let text = |position: Pos2, anchor: Align2, text: &str| {
        painter.text(position, anchor, text, small_font(), theme.text_weak);
    };
    let ends = x.map(|end| axes[0].format(end));
    text(plot.left_bottom() + vec2(0.0, 3.0), Align2::LEFT_TOP, &ends[0]);
    text(plot.right_bottom() + vec2(0.0, 3.0), Align2::RIGHT_TOP, &ends[1]);
    // The name stands in the middle, so the wider end decides.
    let end = width(painter, &ends[0]).max(width(painter, &ends[1]));
    let name = name_within(painter, axes[0], plot.width() - 2.0 * (end + NAME_GAP));
    text(plot.center_bottom() + vec2(0.0, 3.0), Align2::CENTER_TOP, name);
    text(plot.left_top() - vec2(4.0, 0.0), Align2::RIGHT_TOP, &axes[1].format(y[1]));
    text(plot.left_bottom() - vec2(4.0, 0.0), Align2::RIGHT_BOTTOM, &axes[1].format(y[0]));
    text(plot.left_center() - vec2(4.0, 0.0), Align2::RIGHT_CENTER, axes[1].short());
}

/// The completion under the pointer.
fn explain(ui: &mut Ui, group: u32, index: usize, rollout: &RolloutView, axes: [Quantity; 2]) {
    let values = axes
        .map(|quantity| format!("{} {}", quantity.name(), quantity.format(quantity.of(rollout))));
    ui.label(format!(
        "Completion {index} of group {group}, {}, {}",
        marks::verdict_word(rollout.verdict),
        values.join(", ")
    ));
    ui.label(egui::RichText::new(format::one_line(&rollout.completion, 90)).monospace());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_every_value_and_is_never_empty() {
        for values in [vec![1.0, 3.0, f64::NAN], vec![2.0], vec![0.0, 0.0], vec![]] {
            let [low, high] = range(values.iter().copied());
            assert!(low < high);
            assert!(
                values
                    .iter()
                    .filter(|value| value.is_finite())
                    .all(|value| low < *value && *value < high)
            );
        }
    }
}
