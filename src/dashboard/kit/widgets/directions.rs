//! The directions of a group as arrows from the origin, in the plane in which they spread most.

use crate::dashboard::kit::format;
use crate::dashboard::kit::geometry::Pair;
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::marks;
use crate::geometry::Projection;
use crate::run::GroupView;
use egui::{Align2, Pos2, Rect, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, vec2};

/// An arrow is found by the pointer up to this far from its tip, points.
const REACH: f32 = 12.0;

/// Draws the arrows into a square of side `side`; returns the rollout under the pointer and the one
/// that was clicked.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    group: &GroupView,
    projection: &Projection,
    pair: Option<Pair>,
    side: f32,
) -> (Option<usize>, Option<usize>) {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::click());
    let m = projection.coordinates.len();
    response.widget_info(|| {
        WidgetInfo::labeled(Role::GraphicsObject, true, format!("Directions of {m} completions"))
    });
    let center = rect.center();
    let radius = side / 2.0 - 10.0;
    let tip = |[x, y]: [f64; 2]| center + vec2(x as f32, -(y as f32)) * radius;
    let painter = ui.painter_at(rect);
    painter.circle(center, radius, theme.sunken, Stroke::new(1.0, theme.grid));
    painter.hline(center.x - radius..=center.x + radius, center.y, Stroke::new(1.0, theme.grid));
    painter.vline(center.x, center.y - radius..=center.y + radius, Stroke::new(1.0, theme.grid));
    // In the corners, where no arrow comes.
    for (axis, share) in projection.shares.iter().enumerate() {
        let (name, at, anchor) = match axis {
            0 => ("x", rect.right_bottom(), Align2::RIGHT_BOTTOM),
            _ => ("y", rect.left_top(), Align2::LEFT_TOP),
        };
        painter.text(
            at,
            anchor,
            format!("{name} {}", format::percent(*share)),
            small_font(),
            theme.text_weak,
        );
    }
    let is_chosen = |index: usize| pair.is_some_and(|pair| pair.i == index || pair.j == index);
    // What is chosen lies on top.
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by_key(|&index| is_chosen(index));
    for index in order {
        let Some(rollout) = group.rollouts.get(index) else { continue };
        let color = theme.verdict(rollout.verdict);
        let end = tip(projection.coordinates[index]);
        let chosen = is_chosen(index);
        let faint = if chosen || pair.is_none() { 1.0 } else { 0.55 };
        painter.line_segment(
            [center, end],
            Stroke::new(if chosen { 2.0 } else { 1.0 }, color.gamma_multiply(faint)),
        );
        // The size says how novel the direction is.
        let novelty =
            if rollout.novelty.is_finite() { rollout.novelty.clamp(0.0, 1.0) } else { 0.0 };
        let size = 4.0f32.mul_add(novelty, 2.5);
        if rollout.verdict.is_correct() {
            painter.circle_filled(end, size, color.gamma_multiply(faint));
        } else {
            painter.circle(end, size, theme.sunken, Stroke::new(1.5, color.gamma_multiply(faint)));
        }
        if chosen {
            painter.circle_stroke(end, size + 2.5, Stroke::new(1.5, theme.focus));
            let name = match pair {
                Some(pair) if pair.i == pair.j => "i, j",
                Some(pair) if pair.i == index => "i",
                _ => "j",
            };
            let outward = (end - center).normalized() * (size + 9.0);
            painter.text(
                end + outward,
                Align2::CENTER_CENTER,
                name,
                small_font(),
                theme.text_strong,
            );
        }
    }
    let found = |at: Pos2| {
        let nearest = (0..m).min_by(|&a, &b| {
            let distance = |index: usize| tip(projection.coordinates[index]).distance(at);
            distance(a).total_cmp(&distance(b))
        })?;
        (tip(projection.coordinates[nearest]).distance(at) <= REACH).then_some(nearest)
    };
    let hovered = response.hover_pos().and_then(found);
    let clicked =
        if response.clicked() { response.interact_pointer_pos().and_then(found) } else { None };
    response.on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(340.0);
        match hovered.and_then(|index| Some((index, group.rollouts.get(index)?))) {
            Some((index, rollout)) => {
                ui.label(format!(
                    "Completion {index}, {}, novelty {}, advantage {}",
                    marks::verdict_word(rollout.verdict),
                    format::number(f64::from(rollout.novelty), 2),
                    format::signed(f64::from(rollout.advantage), 2)
                ));
                ui.label(
                    egui::RichText::new(format::one_line(&rollout.completion, 90)).monospace(),
                );
            }
            None => {
                ui.label(
                    "The unit directions on their two principal axes (without centring); a \
                     percentage says how much of their squared length lies along the axis. A short \
                     arrow points out of the plane. Filled: correct; larger: more novel.",
                );
            }
        }
    });
    (hovered, clicked)
}

/// The smallest side at which arrows can be told apart, points.
pub(crate) fn fits(rect: Rect) -> bool {
    rect.width() >= 140.0 && rect.height() >= 140.0
}
