//! Curves over training steps as small multiples with a common x axis: of the shown run, and of the
//! other open ones.

mod export;
mod header;
mod menu;
mod plots;

use crate::dashboard::kit::format;
use crate::dashboard::kit::series::{CurveView, PassCurves};
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::curve::{
    self, CurveClicks, CurveContext, MENU, MetricPlot, RunPass, TITLE,
};
use crate::dashboard::panel::time_axis::{Marks, bounds, remember_bounds};
use crate::dashboard::panel::traces::{self, Source};
use crate::dashboard::panel::{Panel, PanelContext, Table};
use crate::dashboard::state::run::State;
use crate::metrics::Metric;
use egui::emath::NumExt as _;
use egui::{Rect, ScrollArea, Sense, Ui, Vec2, pos2, vec2};
use menu::Change;
use plots::{CurvePlot, Plots};
use std::borrow::Cow;

/// A curve is not drawn narrower than this, points.
const MIN_WIDTH: f32 = 190.0;
/// Nor lower; the panel scrolls instead.
const MIN_HEIGHT: f32 = 72.0;
/// The preferred ratio of a curve's width to its height, title included.
const ASPECT: f32 = 2.2;
/// Between plots, points.
const GAP: Vec2 = vec2(16.0, 6.0);

/// The panel, with the plots that it has.
#[derive(Default)]
pub(super) struct CurvesPanel {
    plots: Plots,
}

impl Panel for CurvesPanel {
    fn key(&self) -> &'static str {
        "curves"
    }

    fn title(&self) -> &'static str {
        "Curves"
    }

    fn prepare(&mut self, run: &mut State, others: &mut [&mut State]) {
        self.plots.offer_declared();
        let metrics = self.plots.metrics();
        run.require_curves(&metrics);
        // Curves of all runs are laid over each other, so they follow one setting.
        for other in others {
            other.choices.curves.clone_from(&run.choices.curves);
            other.require_curves(&metrics);
        }
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        if header::show(ui, cx, run, &mut self.plots) {
            write_files(ui.ctx(), cx, run, &self.plots);
        }
        let runs = sources(cx, run, &self.plots, cx.theme);
        let asked = self.grid(ui, cx.theme, &runs, &run.choices.curves);
        self.act(ui, run, asked);
    }

    fn as_table(&mut self, cx: &PanelContext<'_>, run: &mut State) -> Table {
        let text = export::csv(&sources(cx, run, &self.plots, cx.light), &self.plots);
        let steps = format::count(text.lines().count().saturating_sub(1), "step", "steps");
        Table { text, what: format!("the curves, {steps},") }
    }

    fn files(&self) -> Option<&'static str> {
        Some("the curves as CSV, SVG and PNG")
    }

    fn write_files(&mut self, ctx: &egui::Context, cx: &PanelContext<'_>, run: &mut State) {
        write_files(ctx, cx, run, &self.plots);
    }
}

/// What the person did to the plots.
#[derive(Default)]
struct Asked {
    /// The change of a plot, by its place in the list.
    change: Option<(usize, Change)>,
    /// The step that was clicked, and whether Shift was held.
    step: Option<(u64, bool)>,
}

impl CurvesPanel {
    /// Draws the plots.
    fn grid(&self, ui: &mut Ui, theme: &Theme, runs: &[Source<'_>], view: &CurveView) -> Asked {
        let marks = Marks::of(runs, view);
        let context = marks.context(theme, runs, view.axis);
        let passes = suites(runs);
        let has_place = |plot: &CurvePlot| runs.iter().any(|run| plot.has_place(run.curves()));
        let shown: Vec<usize> =
            (0..self.plots.list.len()).filter(|&at| has_place(&self.plots.list[at])).collect();
        let free = ui.available_size();
        let (columns, rows) = arrange(passes.len() + shown.len(), free, GAP);
        let cells = vec2(columns as f32, rows as f32);
        let size = ((free + GAP) / cells - GAP).at_least(vec2(0.0, MIN_HEIGHT));
        let bounds = bounds(ui);
        let mut asked = Asked::default();
        let mut clicks = CurveClicks::default();

        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            let (all, _) = ui.allocate_exact_size((size + GAP) * cells - GAP, Sense::hover());
            let cell = |index: usize| {
                let at = vec2((index % columns) as f32, (index / columns) as f32) * (size + GAP);
                Rect::from_min_size(all.min + at, size)
            };
            for (index, pass) in passes.iter().enumerate() {
                draw_pass(ui, context, runs, pass, cell(index));
            }
            for (index, &place) in shown.iter().enumerate() {
                let rect = cell(passes.len() + index);
                if !ui.is_rect_visible(rect) {
                    continue;
                }
                let plot = &self.plots.list[place];
                let done = curve::metric(
                    ui,
                    context,
                    metric_plot(plot, view, runs, bounds, rect.width()),
                    rect,
                );
                clicks.clicked = done.clicked.or(clicks.clicked);
                clicks.bounds = done.bounds.or(clicks.bounds);
                let corner =
                    Rect::from_min_size(pos2(rect.right() - MENU, rect.top()), vec2(MENU, TITLE));
                if let Some(change) = menu::show(ui, corner, plot) {
                    asked.change = Some((place, change));
                }
            }
        });

        remember_bounds(ui, clicks.bounds);
        asked.step =
            clicks.clicked.map(|(x, shift)| (runs[0].step(x).round().max(1.0) as u64, shift));
        asked
    }

    /// Does what the person asked for.
    fn act(&mut self, ui: &Ui, run: &mut State, asked: Asked) {
        let is_change = asked.change.is_some() || matches!(asked.step, Some((_, true)));
        match asked.change {
            Some((place, Change::To(new))) => self.plots.list[place] = new,
            Some((place, Change::Removal)) => {
                self.plots.list.remove(place);
            }
            None => {}
        }
        match asked.step {
            Some((step, true)) => {
                toggle_pin(&mut run.choices.curves.pins, step, run.cursor.newest());
            }
            Some((step, false)) => run.cursor.move_to(step),
            None => {}
        }
        if is_change {
            ui.ctx().request_repaint();
        }
    }
}

/// Pins a step, or lets go of those near it.
fn toggle_pin(pins: &mut Vec<u64>, step: u64, newest: u64) {
    let (step, before) = (step.min(newest), pins.len());
    pins.retain(|pin| pin.abs_diff(step) > newest / 200);
    if pins.len() == before {
        pins.push(step);
    }
}

/// Draws pass@k of a suite, of all runs that have it.
fn draw_pass(
    ui: &mut Ui,
    context: CurveContext<'_>,
    runs: &[Source<'_>],
    pass: &PassCurves,
    rect: Rect,
) {
    let places: Vec<_> = runs.iter().map(|run| move |step: u64| run.x(step as f64)).collect();
    let same =
        |run: &Source<'_>| run.curves().passes.iter().position(|other| other.suite == pass.suite);
    let mut drawn = runs.iter().zip(&places).enumerate().filter_map(|(index, (run, place))| {
        let curves = if index == 0 { pass } else { &run.curves().passes[same(run)?] };
        let name = if runs.len() > 1 { run.name() } else { "" };
        let place = place as &dyn Fn(u64) -> f64;
        Some(RunPass { name, color: run.color, style: run.style, curves, place })
    });
    // The shown run comes first.
    if let Some(own) = drawn.next() {
        curve::pass(ui, context, &own, &drawn.collect::<Vec<_>>(), rect);
    }
}

/// The curves of every suite of the shown run; those of suites that only others have are without
/// points.
fn suites<'a>(sources: &[Source<'a>]) -> Vec<Cow<'a, PassCurves>> {
    let own = &sources[0].curves().passes;
    let mut suites: Vec<Cow<'a, PassCurves>> = own.iter().map(Cow::Borrowed).collect();
    for other in sources[1..].iter().flat_map(|source| &source.curves().passes) {
        if !other.by_k.is_empty() && !suites.iter().any(|suite| suite.suite == other.suite) {
            let by_k = other.by_k.iter().map(|(k, _)| (*k, Vec::new())).collect();
            suites.push(Cow::Owned(PassCurves { by_k, ..other.clone() }));
        }
    }
    // The place that is kept for the first evaluation is not needed any more.
    if suites.len() > 1 {
        suites.retain(|suite| !suite.by_k.is_empty());
    }
    suites
}

/// What one plot draws.
fn metric_plot<'a>(
    plot: &'a CurvePlot,
    view: &CurveView,
    sources: &[Source<'_>],
    bounds: (f64, f64),
    width: f32,
) -> MetricPlot<'a> {
    let own = &sources[0];
    let first = plot.metrics[0];
    let step = own.state.cursor.at();
    // As recorded, however large.
    let at = |metric: &Metric, step: u64| {
        own.state.snapshot.history.at(step).and_then(|row| row.get(metric))
    };
    let say = |metric: &&'static Metric| {
        at(metric, step).map_or(format::NOT_AVAILABLE.to_owned(), format::compact)
    };
    let values: Vec<String> = plot.metrics.iter().map(say).collect();
    let unit = if plot.metrics.len() == 1 { format!(" {}", first.unit) } else { String::new() };
    MetricPlot {
        title: first.title(),
        metric: first,
        value: format!("{}{unit}", values.join(", ")),
        pinned: view.pins.iter().map(|&step| at(first, step).unwrap_or(f64::NAN)).collect(),
        is_log: plot.is_log,
        traces: traces::traces(sources, &plot.metrics, view, bounds, (width as usize).max(64)),
    }
}

/// The runs whose curves are shown, in the colours of `theme`; the shown one comes first.
fn sources<'a>(
    cx: &PanelContext<'a>,
    run: &'a State,
    plots: &Plots,
    theme: &Theme,
) -> Vec<Source<'a>> {
    let is_drawn = |other: &&State| !plots.hidden.contains(&other.snapshot.info.directory);
    let others = cx.others.iter().copied().filter(is_drawn);
    let states: Vec<&State> = std::iter::once(run).chain(others).collect();
    traces::sources(&states, run.choices.curves.axis, |method, shade| {
        theme.method_shade(method, shade)
    })
}

/// Writes the curves into the run folder's figures.
fn write_files(ctx: &egui::Context, cx: &PanelContext<'_>, run: &State, plots: &Plots) {
    let runs = sources(cx, run, plots, cx.light);
    let folder = run.snapshot.info.directory.join("figures");
    let (csv, figure) =
        (export::csv(&runs, plots), export::figure(&runs, plots, &run.choices.curves));
    export::write(folder, csv, figure, &run.messages.export, ctx.clone());
}

/// Columns and rows for `count` curves within `free`, so that their shape comes near to [`ASPECT`].
fn arrange(count: usize, free: Vec2, gap: Vec2) -> (usize, usize) {
    let most = ((free.x + gap.x) / (MIN_WIDTH + gap.x)).floor().max(1.0) as usize;
    let fewest_rows = count.div_ceil(most.min(count.max(1)));
    let distance = |columns: usize, rows: usize| {
        let size =
            ((free + gap) / vec2(columns as f32, rows as f32) - gap).at_least(vec2(1.0, 1.0));
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
