//! A quantity of the tokens of one completion over their positions.

use crate::dashboard::kit::theme::{Theme, small_font};
use crate::dashboard::kit::widgets::token_text::{TokenBody, explain};
use egui::{Align2, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

/// Room for the axis at the left, points.
const AXIS: f32 = 48.0;

/// Draws bars from the neutral value, one per token; returns the token under the pointer.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    text: &str,
    body: TokenBody<'_>,
    height: f32,
) -> Option<usize> {
    let values = body.quantity.values(body.tokens, body.index, body.other);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let label = format!("{} of {} tokens", body.quantity.name(), values.len());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, label.clone()));
    let plot =
        Rect::from_min_max(pos2(rect.left() + AXIS, rect.top() + 2.0), rect.max - vec2(0.0, 2.0));
    let neutral = body.quantity.neutral();
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let high = finite().fold(neutral, f32::max);
    let low = finite().fold(neutral, f32::min);
    let span = (high - low).max(1e-6);
    let painter = ui.painter_at(rect);
    painter.rect_filled(plot, 0.0, theme.sunken);
    let y = |value: f32| plot.bottom() - (value - low) / span * plot.height();
    let width = plot.width() / values.len().max(1) as f32;
    let lit = response.hover_pos().filter(|at| plot.x_range().contains(at.x) && !values.is_empty());
    let lit = lit.map(|at| (((at.x - plot.left()) / width) as usize).min(values.len() - 1));
    for (token, &value) in values.iter().enumerate() {
        let left = (token as f32).mul_add(width, plot.left());
        let gap = if width > 3.0 { 1.0 } else { 0.0 };
        if lit.or(body.lit) == Some(token) {
            let column = Rect::from_x_y_ranges(left..=left + width, plot.y_range());
            painter.rect_filled(column, 0.0, theme.selection);
        }
        let Some(color) = body.quantity.color(theme, value, body.reach) else { continue };
        // Neutral colours would vanish on the ground.
        let color = if color == theme.sunken { theme.missing } else { color };
        let bar = Rect::from_x_y_ranges(
            left..=(left + width - gap).max(left + 0.5),
            y(value.max(neutral))..=y(value.min(neutral)),
        );
        painter.rect_filled(bar.expand2(vec2(0.0, 0.5)), 0.0, color);
    }
    painter.hline(plot.x_range(), y(neutral), Stroke::new(1.0, theme.grid));
    let axis = |at: f32, anchor: Align2, value: f32| {
        let text = body.quantity.format(value);
        painter.text(pos2(plot.left() - 4.0, at), anchor, text, small_font(), theme.text_weak);
    };
    axis(plot.top(), Align2::RIGHT_TOP, high);
    axis(plot.bottom(), Align2::RIGHT_BOTTOM, low);
    if let Some(token) = lit {
        response.on_hover_ui_at_pointer(|ui| explain(ui, theme, text, body, token));
    }
    lit
}
