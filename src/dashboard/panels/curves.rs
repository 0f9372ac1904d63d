//! Curves over training steps as small multiples with a common x axis.

use super::{Tools, caption, title};
use crate::dashboard::state::State;
use crate::dashboard::widgets::curve::{self, CurveContext};
use egui::emath::NumExt as _;
use egui::{Align, Layout, Rect, ScrollArea, Sense, Ui, Vec2, vec2};

/// A curve is not drawn narrower than this, points.
const MIN_WIDTH: f32 = 190.0;
/// Nor lower; the panel scrolls instead.
const MIN_HEIGHT: f32 = 72.0;
/// The preferred ratio of a curve's width to its height, title included.
const ASPECT: f32 = 2.2;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    ui.horizontal(|ui| {
        title(ui, theme, "Curves");
        caption(ui, theme, "over training steps; drag and Ctrl+scroll move and zoom, double-click shows all");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let help = "Draws an exponential average over about 10 steps above the recorded values";
            ui.checkbox(&mut state.smooth, "Average").on_hover_text(help);
        });
    });
    let context = CurveContext {
        theme,
        color: theme.method(&state.snapshot.info.method),
        newest: state.newest_step(),
        cursor: Some(state.cursor_step()).filter(|&step| step != state.newest_step()),
        smooth: state.smooth,
    };
    let curves = &state.curves;
    let count = curves.passes.len() + curves.shown().count();
    let free = ui.available_size();
    let gap = vec2(16.0, 6.0);
    let (columns, rows) = arrange(count, free, gap);
    let cells = vec2(columns as f32, rows as f32);
    let size = ((free + gap) / cells - gap).at_least(vec2(0.0, MIN_HEIGHT));
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let (all, _) = ui.allocate_exact_size((size + gap) * cells - gap, Sense::hover());
        let place = |index: usize| {
            let at = vec2((index % columns) as f32, (index / columns) as f32) * (size + gap);
            Rect::from_min_size(all.min + at, size)
        };
        for (index, pass) in curves.passes.iter().enumerate() {
            curve::pass(ui, context, pass, place(index));
        }
        for (index, series) in curves.shown().enumerate() {
            curve::metric(ui, context, series, place(curves.passes.len() + index));
        }
    });
}

/// Columns and rows for `count` curves within `free`, so that their shape comes near to [`ASPECT`].
fn arrange(count: usize, free: Vec2, gap: Vec2) -> (usize, usize) {
    let most = ((free.x + gap.x) / (MIN_WIDTH + gap.x)).floor().max(1.0) as usize;
    let fewest_rows = count.div_ceil(most.min(count.max(1)));
    let distance = |columns: usize, rows: usize| {
        let size = ((free + gap) / vec2(columns as f32, rows as f32) - gap).at_least(vec2(1.0, 1.0));
        // Scrolling is worse than any shape.
        let scrolls = if size.y < MIN_HEIGHT { 100.0 } else { 0.0 };
        (size.x / size.y / ASPECT).ln().abs() + scrolls
    };
    (fewest_rows..=count)
        .map(|rows| (count.div_ceil(rows), rows))
        .min_by(|a, b| distance(a.0, a.1).total_cmp(&distance(b.0, b.1)))
        .unwrap_or((1, count.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_keep_a_readable_shape_in_every_window() {
        let gap = vec2(16.0, 6.0);
        assert_eq!(arrange(10, vec2(1260.0, 210.0), gap), (5, 2));
        assert_eq!(arrange(10, vec2(2540.0, 380.0), gap), (5, 2));
        assert_eq!(arrange(10, vec2(880.0, 140.0), gap), (4, 3));
        assert_eq!(arrange(1, vec2(880.0, 140.0), gap), (1, 1));
    }
}
