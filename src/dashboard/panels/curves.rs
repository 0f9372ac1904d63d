//! Curves over training steps as small multiples with a common x axis.

use super::{Tools, caption, title};
use crate::dashboard::state::State;
use crate::dashboard::widgets::curve::{self, CurveContext};
use egui::emath::NumExt as _;
use egui::{Align, Layout, Rect, ScrollArea, Sense, Ui, vec2};

/// A curve is not drawn narrower than this, points.
const MIN_WIDTH: f32 = 200.0;
/// Nor lower; the panel scrolls instead.
const MIN_HEIGHT: f32 = 72.0;

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
        newest: state.snapshot.step,
        cursor: if state.shows_newest() { None } else { state.shown_step() },
        smooth: state.smooth,
    };
    let curves = &state.curves;
    let count = curves.passes.len() + curves.series.len();
    let free = ui.available_size();
    let gap = vec2(16.0, 6.0);
    let fits = ((free.x + gap.x) / (MIN_WIDTH + gap.x)).floor().max(1.0) as usize;
    let rows = count.div_ceil(fits.min(count));
    let columns = count.div_ceil(rows);
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
        for (index, series) in curves.series.iter().enumerate() {
            curve::metric(ui, context, series, place(curves.passes.len() + index));
        }
    });
}
