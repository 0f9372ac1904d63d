//! The directions of a group as arrows from the origin, in the plane in which they spread most.

use crate::dashboard::kit::format;
use crate::dashboard::kit::geometry::Pair;
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::marks;
use crate::geometry::Projection;
use crate::run::{GroupView, RolloutView};
use egui::{Align2, Painter, Pos2, Rect, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, vec2};

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
    let disc = Disc { center: rect.center(), radius: side / 2.0 - 10.0 };
    let painter = ui.painter_at(rect);
    disc.paint_ground(&painter, theme);
    name_axes(&painter, theme, rect, projection);
    // What is chosen lies on top.
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by_key(|&index| name_in(pair, index).is_some());
    for index in order {
        let Some(rollout) = group.rollouts.get(index) else { continue };
        let (end, name) = (disc.tip(projection.coordinates[index]), name_in(pair, index));
        let faint = if name.is_some() || pair.is_none() { 1.0 } else { 0.55 };
        disc.paint_arrow(&painter, theme, rollout, end, name, faint);
    }
    let found = |at: Pos2| disc.nearest(projection, at);
    let hovered = response.hover_pos().and_then(found);
    let clicked =
        if response.clicked() { response.interact_pointer_pos().and_then(found) } else { None };
    response.on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(340.0);
        explain(ui, hovered.and_then(|index| Some((index, group.rollouts.get(index)?))));
    });
    (hovered, clicked)
}

/// The disc that unit directions reach the edge of.
struct Disc {
    center: Pos2,
    radius: f32,
}

impl Disc {
    /// Where an arrow ends.
    fn tip(&self, [x, y]: [f64; 2]) -> Pos2 {
        self.center + vec2(x as f32, -(y as f32)) * self.radius
    }

    /// The rollout whose arrow ends next to a place, if it is near enough.
    fn nearest(&self, projection: &Projection, at: Pos2) -> Option<usize> {
        let distance = |index: usize| self.tip(projection.coordinates[index]).distance(at);
        let nearest = (0..projection.coordinates.len())
            .min_by(|&a, &b| distance(a).total_cmp(&distance(b)))?;
        (distance(nearest) <= REACH).then_some(nearest)
    }

    fn paint_ground(&self, painter: &Painter, theme: &Theme) {
        let (&Self { center, radius }, line) = (self, Stroke::new(1.0, theme.grid));
        painter.circle(center, radius, theme.sunken, line);
        painter.hline(center.x - radius..=center.x + radius, center.y, line);
        painter.vline(center.x, center.y - radius..=center.y + radius, line);
    }

    /// Paints an arrow to `end`; `name` is what it is in the chosen pair.
    fn paint_arrow(
        &self,
        painter: &Painter,
        theme: &Theme,
        rollout: &RolloutView,
        end: Pos2,
        name: Option<&str>,
        faint: f32,
    ) {
        let color = theme.verdict(rollout.verdict).gamma_multiply(faint);
        let width = if name.is_some() { 2.0 } else { 1.0 };
        painter.line_segment([self.center, end], Stroke::new(width, color));
        // The size says how novel the direction is.
        let novelty =
            if rollout.novelty.is_finite() { rollout.novelty.clamp(0.0, 1.0) } else { 0.0 };
        let size = 4.0f32.mul_add(novelty, 2.5);
        if rollout.verdict.is_correct() {
            painter.circle_filled(end, size, color);
        } else {
            painter.circle(end, size, theme.sunken, Stroke::new(1.5, color));
        }
        let Some(name) = name else { return };
        painter.circle_stroke(end, size + 2.5, Stroke::new(1.5, theme.focus));
        let at = end + (end - self.center).normalized() * (size + 9.0);
        painter.text(at, Align2::CENTER_CENTER, name, small_font(), theme.text_strong);
    }
}

/// Names the axes in the corners, where no arrow comes.
fn name_axes(painter: &Painter, theme: &Theme, rect: Rect, projection: &Projection) {
    for (axis, share) in projection.shares.iter().enumerate() {
        let (name, at, anchor) = match axis {
            0 => ("x", rect.right_bottom(), Align2::RIGHT_BOTTOM),
            _ => ("y", rect.left_top(), Align2::LEFT_TOP),
        };
        let text = format!("{name} {}", format::percent(*share));
        painter.text(at, anchor, text, small_font(), theme.text_weak);
    }
}

/// What a rollout is called in the chosen pair.
fn name_in(pair: Option<Pair>, index: usize) -> Option<&'static str> {
    match pair? {
        Pair { i, j } if i == index && j == index => Some("i, j"),
        Pair { i, .. } if i == index => Some("i"),
        Pair { j, .. } if j == index => Some("j"),
        _ => None,
    }
}

/// What is said of the rollout under the pointer; elsewhere, what the picture shows.
fn explain(ui: &mut Ui, hovered: Option<(usize, &RolloutView)>) {
    let Some((index, rollout)) = hovered else {
        ui.label(
            "The unit directions on their two principal axes (without centring); a percentage says \
             how much of their squared length lies along the axis. A short arrow points out of the \
             plane. Filled: correct; larger: more novel.",
        );
        return;
    };
    ui.label(format!(
        "Completion {index}, {}, novelty {}, advantage {}",
        marks::verdict_word(rollout.verdict),
        format::number(f64::from(rollout.novelty), 2),
        format::signed(f64::from(rollout.advantage), 2)
    ));
    ui.label(egui::RichText::new(format::one_line(&rollout.completion, 90)).monospace());
}

/// The smallest side at which arrows can be told apart, points.
pub(crate) fn fits(rect: Rect) -> bool {
    rect.width() >= 140.0 && rect.height() >= 140.0
}
