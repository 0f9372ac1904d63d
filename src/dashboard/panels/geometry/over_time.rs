//! The cosines of all groups over the run, as bands: where most of the pairs lie, and the shares of
//! opposing and of independent ones.

use crate::dashboard::kit::format;
use crate::dashboard::kit::lines::Trace;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::curve;
use crate::dashboard::kit::widgets::curve::MetricPlot;
use crate::dashboard::panel::time_axis::{Marks, bounds, remember_bounds};
use crate::dashboard::panel::traces;
use crate::dashboard::panel::traces::Source;
use crate::dashboard::state::run::State;
use crate::metrics::Metric;
use crate::stages::metrics;
use egui::{Color32, Sense, Ui, vec2};

/// A band is not drawn lower than this, points.
const MIN_HEIGHT: f32 = 60.0;
/// Nor higher.
const MAX_HEIGHT: f32 = 180.0;

/// What is drawn.
const METRICS: [&Metric; 5] = [
    &metrics::GEOMETRY_COSINE_Q05,
    &metrics::GEOMETRY_COSINE_MEDIAN,
    &metrics::GEOMETRY_COSINE_Q95,
    &metrics::GEOMETRY_NEGATIVE_RATIO,
    &metrics::GEOMETRY_ORTHOGONAL_RATIO,
];

/// Draws the bands over the free room; returns the step that was clicked.
pub(super) fn show(ui: &mut Ui, theme: &Theme, state: &mut State) -> Option<u64> {
    state.require_curves(&METRICS);
    let (state, view) = (&*state, &state.choices.curves);
    let sources =
        traces::sources(&[state], view.axis, |method, shade| theme.method_shade(method, shade));
    let own = &sources[0];
    let marks = Marks::of(&sources, view);
    let context = marks.context(theme, &sources, view.axis);
    let bounds = bounds(ui);
    let plots = [
        quantiles(own, theme),
        share(own, &metrics::GEOMETRY_NEGATIVE_RATIO, theme.cosine(-0.7, 1.0)),
        share(own, &metrics::GEOMETRY_ORTHOGONAL_RATIO, Some(theme.text_weak)),
    ];
    let gap = 6.0;
    let height =
        ((ui.available_height() + gap) / plots.len() as f32 - gap).clamp(MIN_HEIGHT, MAX_HEIGHT);
    let mut clicked = None;
    for (title, metric, color, band) in plots {
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
        let step = state.cursor.at();
        let value = own.curves().of(metric).and_then(|series| series.at(step));
        let line =
            traces::traces(&sources, &[metric], view, bounds, (rect.width() as usize).max(64));
        let traces = line.into_iter().map(|trace| Trace { color, band: band.clone(), ..trace });
        let plot = MetricPlot {
            title,
            metric,
            value: value.map_or_else(|| format::NOT_AVAILABLE.to_owned(), format::compact),
            pinned: Vec::new(),
            is_log: false,
            traces: traces.collect(),
        };
        let done = curve::metric(ui, context, plot, rect);
        remember_bounds(ui, done.bounds);
        clicked = clicked.or(done.clicked.map(|(x, _)| own.step(x).round().max(1.0) as u64));
    }
    clicked
}

type Band = (&'static str, &'static Metric, Color32, Vec<(f64, f64, f64)>);

/// The median between the quantiles.
fn quantiles(own: &Source<'_>, theme: &Theme) -> Band {
    let (low, high) = (&metrics::GEOMETRY_COSINE_Q05, &metrics::GEOMETRY_COSINE_Q95);
    let band = own.band(Some(low), high, own.state.choices.curves.span);
    ("Median cosine, 5 to 95 %", &metrics::GEOMETRY_COSINE_MEDIAN, theme.text, band)
}

/// A share, filled from zero.
fn share(own: &Source<'_>, metric: &'static Metric, color: Option<Color32>) -> Band {
    let band = own.band(None, metric, own.state.choices.curves.span);
    (metric.title(), metric, color.unwrap_or(own.color), band)
}
