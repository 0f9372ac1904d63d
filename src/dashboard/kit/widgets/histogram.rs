//! The histogram of a group's pairwise cosines, standing on the colour map as its axis.

use crate::dashboard::kit::format;
use crate::dashboard::kit::geometry::{BINS, ColorScale, Histogram};
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::geometry::NEAR_ORTHOGONAL;
use egui::{Align2, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

/// Height of the colour map and the numbers under it, points.
const AXIS: f32 = 26.0;

/// Draws the histogram with a mark at `marked`, over the available width.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    histogram: &Histogram,
    marked: Option<f32>,
    scale: ColorScale,
    height: f32,
) -> Response {
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let total = histogram.total;
    response.widget_info(|| {
        WidgetInfo::labeled(
            Role::GraphicsObject,
            true,
            format!("Histogram of {total} pairwise cosines"),
        )
    });
    // Room for the mark's tip at both ends.
    let plot = Rect::from_min_max(
        rect.min + vec2(8.0, 0.0),
        pos2(rect.right() - 8.0, rect.bottom() - AXIS),
    );
    let x = |cosine: f32| (cosine + 1.0).mul_add(plot.width() / 2.0, plot.left());
    let painter = ui.painter();
    painter.rect_filled(plot, 0.0, theme.sunken);
    let near = Rect::from_x_y_ranges(x(-NEAR_ORTHOGONAL)..=x(NEAR_ORTHOGONAL), plot.y_range());
    painter.rect_filled(near, 0.0, theme.raised);

    let highest = histogram.highest().max(1) as f32;
    let width = plot.width() / BINS as f32;
    let kinds = [theme.correct, theme.text_weak, theme.wrong];
    for (bin, counts) in histogram.counts.iter().enumerate() {
        let (low, high) = Histogram::edges(bin);
        let color = theme.cosine_on(scale, f32::midpoint(low, high)).unwrap_or(theme.missing);
        let swatch = Rect::from_min_size(pos2(x(low), plot.bottom() + 2.0), vec2(width + 0.5, 6.0));
        painter.rect_filled(swatch, 0.0, color);
        let mut bottom = plot.bottom();
        for (&count, color) in counts.iter().zip(kinds).filter(|(count, _)| **count > 0) {
            let top = bottom - (plot.height() - 2.0) * count as f32 / highest;
            let bar = Rect::from_min_max(pos2(x(low) + 0.5, top), pos2(x(high) - 0.5, bottom));
            painter.rect_filled(bar, 0.0, color);
            bottom = top;
        }
    }
    for tick in [-1.0f32, -0.5, 0.0, 0.5, 1.0] {
        let text = format::signed(f64::from(tick), 1);
        painter.text(
            pos2(x(tick), plot.bottom() + 10.0),
            Align2::CENTER_TOP,
            text,
            small_font(),
            theme.text_weak,
        );
    }
    if let Some(marked) = marked.filter(|cosine| cosine.is_finite()) {
        let tip = pos2(x(marked), plot.bottom() + 1.0);
        painter.vline(tip.x, plot.y_range(), Stroke::new(1.0, theme.focus));
        let triangle = vec![tip, tip + vec2(-4.0, 7.0), tip + vec2(4.0, 7.0)];
        painter.add(Shape::convex_polygon(triangle, theme.focus, Stroke::new(1.0, theme.panel)));
    }
    if histogram.missing > 0 {
        let text = format!("{} n/a", histogram.missing);
        painter.text(
            plot.right_top() + vec2(-4.0, 2.0),
            Align2::RIGHT_TOP,
            text,
            small_font(),
            theme.text_weak,
        );
    }
    let bin = response.hover_pos().filter(|at| plot.x_range().contains(at.x)).map(|at| {
        let bin = ((at.x - plot.left()) / width) as usize;
        bin.min(BINS - 1)
    });
    response.on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(340.0);
        ui.label("Pairs of this group by their cosine. Shaded: near-orthogonal pairs.");
        for (name, color) in ["two correct", "one correct", "none correct"].into_iter().zip(kinds) {
            ui.colored_label(color, name);
        }
        if let Some(bin) = bin {
            let (low, high) = Histogram::edges(bin);
            let span = format!(
                "{} to {}",
                format::signed(f64::from(low), 2),
                format::signed(f64::from(high), 2)
            );
            let [both, one, none] = histogram.counts[bin];
            ui.label(format!(
                "{} of {total} pairs from {span}: {both}, {one}, {none}",
                both + one + none
            ));
        }
    })
}
