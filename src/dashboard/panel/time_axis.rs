//! The x axis that curves of several panels share: what is marked on it, and which part of it is
//! seen.

use crate::dashboard::kit::series::{Axis, CurveView};
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::curve::CurveContext;
use crate::dashboard::panel::traces::Source;
use egui::Ui;

/// What is marked on the x axis of the shown run.
pub(crate) struct Marks {
    cursor: Option<(u64, f64)>,
    pins: Vec<(u64, f64)>,
    edits: Vec<(f64, String)>,
}

impl Marks {
    /// The marks of the first of `sources`.
    pub(crate) fn of(sources: &[Source<'_>], view: &CurveView) -> Self {
        let own = &sources[0];
        let (step, newest) = (own.state.cursor.at(), own.state.cursor.newest());
        let events = own.state.snapshot.events.iter().filter(|event| event.edit().is_some());
        Self {
            cursor: (step != newest).then(|| (step, own.x(step as f64))),
            pins: view.pins.iter().map(|&step| (step, own.x(step as f64))).collect(),
            edits: events.map(|event| (own.x(event.step as f64), event.text.clone())).collect(),
        }
    }

    /// What the plots share.
    pub(crate) fn context<'a>(
        &'a self,
        theme: &'a Theme,
        sources: &[Source<'_>],
        axis: Axis,
    ) -> CurveContext<'a> {
        let ends = sources.iter().map(|source| source.x(source.state.cursor.newest() as f64));
        let least = if axis == Axis::Step { 10.0 } else { 1.0 };
        CurveContext {
            theme,
            color: sources[0].color,
            newest: sources[0].state.cursor.newest(),
            x_end: ends.fold(least, f64::max),
            axis,
            cursor: self.cursor,
            pins: &self.pins,
            edits: &self.edits,
        }
    }
}

/// The part of the x axis that the person chose to see.
pub(crate) fn bounds(ui: &Ui) -> (f64, f64) {
    ui.data(|data| data.get_temp(bounds_id())).unwrap_or((f64::NEG_INFINITY, f64::INFINITY))
}

/// Keeps the part of the x axis that the person chose in a plot, for all of them from the next
/// frame on.
pub(crate) fn remember_bounds(ui: &Ui, chosen: Option<(f64, f64)>) {
    let Some(chosen) = chosen else { return };
    let (before, now) = (bounds(ui), chosen);
    if [before.0, before.1].map(f64::to_bits) != [now.0, now.1].map(f64::to_bits) {
        ui.data_mut(|data| data.insert_temp(bounds_id(), now));
        ui.ctx().request_repaint();
    }
}

fn bounds_id() -> egui::Id {
    egui::Id::unique("shown range of the curves")
}
