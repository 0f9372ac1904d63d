//! Curves over training steps as small multiples with a common x axis: of the shown run, and of the other open ones.

use super::{Tools, caption};
use crate::dashboard::export::{self, Exported};
use crate::dashboard::format;
use crate::dashboard::series::{Axis, CurvePanel, CurveSettings, Curves, title_of};
use crate::dashboard::state::State;
use crate::dashboard::widgets::curve::{self, CurveContext, MENU, MetricPlot, TITLE, Trace};
use crate::metrics::{self, Metric};
use egui::emath::NumExt as _;
use egui::{
    Align, Button, Color32, Layout, Rect, RichText, ScrollArea, Sense, TextEdit, Ui, UiBuilder, Vec2, pos2, vec2,
};
use egui_plot::{LineStyle, PlotPoint};
use std::sync::PoisonError;

/// A curve is not drawn narrower than this, points.
const MIN_WIDTH: f32 = 190.0;
/// Nor lower; the panel scrolls instead.
const MIN_HEIGHT: f32 = 72.0;
/// The preferred ratio of a curve's width to its height, title included.
const ASPECT: f32 = 2.2;
/// Places at which the mean over seeds is taken.
const MEAN_POINTS: usize = 160;

/// One run's curves, and where they lie on the x axis.
#[derive(Clone, Copy)]
struct Source<'a> {
    state: &'a State,
    curves: &'a Curves,
    color: Color32,
    axis: Axis,
    /// Seconds between the earliest run's start and this run's.
    offset: f64,
}

impl Source<'_> {
    fn x(&self, step: f64) -> f64 {
        match self.axis {
            Axis::Step => step,
            Axis::Time => self.curves.time_of(step),
            Axis::Clock => self.offset + self.curves.time_of(step),
        }
    }

    fn step(&self, x: f64) -> f64 {
        match self.axis {
            Axis::Step => x,
            Axis::Time => self.curves.step_at(x),
            Axis::Clock => self.curves.step_at(x - self.offset),
        }
    }

    fn name(&self) -> String {
        format!("{} s{}", self.state.snapshot.info.name, self.state.snapshot.info.seed)
    }

    fn pieces(&self, pieces: Vec<Vec<PlotPoint>>) -> Vec<Vec<PlotPoint>> {
        let place = |points: Vec<PlotPoint>| points.into_iter().map(|at| PlotPoint::new(self.x(at.x), at.y)).collect();
        pieces.into_iter().map(place).collect()
    }

    /// The line of one metric.
    fn trace(
        &self,
        metric: &Metric,
        style: LineStyle,
        name: String,
        span: u32,
        bounds: (f64, f64),
        most: usize,
    ) -> Trace {
        let empty = Trace { name, color: self.color, style, pieces: Vec::new(), shadow: Vec::new(), band: Vec::new() };
        let Some(series) = self.curves.of(metric) else { return empty };
        let (from, to) = (self.step(bounds.0), self.step(bounds.1) + 1.0);
        let raw = || self.pieces(series.raw.visible(from, to, most));
        if span > 0 && series.is_long() {
            Trace { pieces: self.pieces(series.smooth.visible(from, to, most)), shadow: raw(), ..empty }
        } else {
            Trace { pieces: raw(), ..empty }
        }
    }
}

/// When a run began, seconds since 1970, where its events say.
fn started_s(state: &State) -> Option<f64> {
    let event = state.snapshot.events.first()?;
    let time: jiff::Timestamp = event.time.parse().ok()?;
    Some(time.as_second() as f64)
}

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    header(ui, tools, state);
    let mut settings = state.curve_settings.clone();
    let others: Vec<&State> = tools
        .others
        .iter()
        .copied()
        .filter(|other| !settings.hidden.contains(&other.snapshot.info.directory))
        .collect();
    let begin =
        std::iter::once(&*state).chain(others.iter().copied()).filter_map(started_s).fold(f64::INFINITY, f64::min);
    let source = |of: &'_ State| -> (Color32, f64) {
        (theme.method(&of.snapshot.info.method), started_s(of).map_or(0.0, |started| started - begin))
    };
    let (color, offset) = source(state);
    let own = Source { state, curves: &state.curves, color, axis: settings.axis, offset };
    let sources: Vec<Source<'_>> = std::iter::once(own)
        .chain(others.iter().map(|&other| {
            let (color, offset) = source(other);
            Source { state: other, curves: &other.curves, color, axis: settings.axis, offset }
        }))
        .collect();
    let newest = state.newest_step();
    let ends = sources.iter().map(|source| source.x(source.state.newest_step() as f64));
    let least = if settings.axis == Axis::Step { 10.0 } else { 1.0 };
    let cursor = Some(state.cursor_step()).filter(|&step| step != newest).map(|step| (step, own.x(step as f64)));
    let pins: Vec<(u64, f64)> = settings.pins.iter().map(|&step| (step, own.x(step as f64))).collect();
    let edits: Vec<(f64, String)> = state
        .snapshot
        .events
        .iter()
        .filter(|event| event.edit.is_some())
        .map(|event| (own.x(event.step as f64), event.text.clone()))
        .collect();
    let context = CurveContext {
        theme,
        color,
        newest,
        x_end: ends.fold(least, f64::max),
        axis: settings.axis,
        cursor,
        pins: &pins,
        edits: &edits,
    };
    let passes = &state.curves.passes;
    let shown: Vec<usize> = (0..settings.panels.len())
        .filter(|&place| sources.iter().any(|source| source.curves.has_place(&settings.panels[place])))
        .collect();
    let count = passes.len() + shown.len();
    let free = ui.available_size();
    let gap = vec2(16.0, 6.0);
    let (columns, rows) = arrange(count, free, gap);
    let cells = vec2(columns as f32, rows as f32);
    let size = ((free + gap) / cells - gap).at_least(vec2(0.0, MIN_HEIGHT));
    let bounds = ui.data(|data| data.get_temp::<(f64, f64)>(bounds_id())).unwrap_or((0.0, f64::INFINITY));
    let mut changed = None;
    let mut clicks = curve::CurveClicks::default();
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let (all, _) = ui.allocate_exact_size((size + gap) * cells - gap, Sense::hover());
        let place = |index: usize| {
            let at = vec2((index % columns) as f32, (index / columns) as f32) * (size + gap);
            Rect::from_min_size(all.min + at, size)
        };
        for (index, pass) in passes.iter().enumerate() {
            let places: Vec<_> = sources.iter().map(|source| move |step: u64| source.x(step as f64)).collect();
            let same = |source: &Source<'_>| source.curves.passes.iter().position(|other| other.suite == pass.suite);
            let others: Vec<_> = sources
                .iter()
                .zip(&places)
                .skip(1)
                .filter_map(|(source, place)| {
                    let curves = &source.curves.passes[same(source)?];
                    Some((source.color, curves, place as &dyn Fn(u64) -> f64))
                })
                .collect();
            curve::pass(ui, context, pass, &others, |step| own.x(step as f64), place(index));
        }
        for (index, &panel) in shown.iter().enumerate() {
            let rect = place(passes.len() + index);
            if !ui.is_rect_visible(rect) {
                continue;
            }
            let plot = metric_plot(&settings, &settings.panels[panel], &sources, bounds, rect.width());
            let done = curve::metric(ui, context, plot, rect);
            clicks.clicked = done.clicked.or(clicks.clicked);
            clicks.bounds = done.bounds.or(clicks.bounds);
            let corner = Rect::from_min_size(pos2(rect.right() - MENU, rect.top()), vec2(MENU, TITLE));
            if let Some(new) = menu(ui, corner, &settings.panels[panel]) {
                changed = Some((panel, new));
            }
        }
    });
    if let Some(bounds) = clicks.bounds {
        ui.data_mut(|data| data.insert_temp(bounds_id(), bounds));
    }
    let clicked = clicks.clicked.map(|(x, shift)| (own.step(x).round().max(1.0) as u64, shift));
    match changed {
        Some((panel, Some(new))) => settings.panels[panel] = new,
        Some((panel, None)) => {
            settings.panels.remove(panel);
        }
        None => {}
    }
    match clicked {
        Some((step, true)) => {
            let step = step.min(newest);
            let before = settings.pins.len();
            settings.pins.retain(|pin| pin.abs_diff(step) > newest / 200);
            if settings.pins.len() == before {
                settings.pins.push(step);
            }
        }
        Some((step, false)) => state.move_to(step),
        None => {}
    }
    if settings != state.curve_settings {
        state.curve_settings = settings;
        ui.ctx().request_repaint();
    }
}

fn bounds_id() -> egui::Id {
    egui::Id::unique("shown range of the curves")
}

/// What one plot draws.
fn metric_plot<'a>(
    settings: &CurveSettings,
    panel: &'a CurvePanel,
    sources: &[Source<'_>],
    bounds: (f64, f64),
    width: f32,
) -> MetricPlot<'a> {
    const STYLES: [LineStyle; 3] =
        [LineStyle::Solid, LineStyle::Dashed { length: 6.0 }, LineStyle::Dotted { spacing: 4.0 }];
    let own = &sources[0];
    let first = panel.metrics[0];
    let step = own.state.cursor_step();
    let at = |metric: &Metric, step: u64| own.curves.of(metric).and_then(|series| series.at(step));
    let values: Vec<String> = panel
        .metrics
        .iter()
        .map(|metric| at(metric, step).map_or_else(|| format::NOT_AVAILABLE.to_owned(), format::compact))
        .collect();
    let mut traces = Vec::new();
    let most = (width as usize).max(64);
    for (metric, style) in panel.metrics.iter().zip(STYLES.into_iter().cycle()) {
        let name = |run: String| match (sources.len() > 1, panel.metrics.len() > 1) {
            (false, false) => String::new(),
            (true, false) => run,
            (false, true) => metric.name.to_owned(),
            (true, true) => format!("{run}, {}", metric.name),
        };
        for family in families(sources, settings.joins_seeds) {
            if let [only] = family.as_slice() {
                traces.push(only.trace(metric, style, name(only.name()), settings.span, bounds, most));
            } else {
                let label = format!("{}, mean of {} seeds", family[0].state.snapshot.info.name, family.len());
                traces.push(mean_trace(&family, metric, style, name(label), settings.span));
            }
        }
    }
    let unit = if panel.metrics.len() == 1 { format!(" {}", first.unit) } else { String::new() };
    MetricPlot {
        title: title_of(first),
        metric: first,
        value: format!("{}{unit}", values.join(", ")),
        pinned: settings.pins.iter().map(|&step| at(first, step).unwrap_or(f64::NAN)).collect(),
        is_log: panel.is_log,
        traces,
    }
}

/// Runs that differ in their seed only stand together where that is asked for.
fn families<'a, 'b>(sources: &'b [Source<'a>], joins_seeds: bool) -> Vec<Vec<&'b Source<'a>>> {
    let mut families: Vec<Vec<&Source<'_>>> = Vec::new();
    for source in sources {
        let key = |source: &Source<'_>| {
            let info = &source.state.snapshot.info;
            (info.name.clone(), info.method.clone(), info.task.clone(), info.model.clone())
        };
        match families.iter_mut().find(|family| joins_seeds && key(family[0]) == key(source)) {
            Some(family) => family.push(source),
            None => families.push(vec![source]),
        }
    }
    families
}

/// The mean over seeds with the range from the lowest to the highest, as far as all of them have come.
fn mean_trace(family: &[&Source<'_>], metric: &Metric, style: LineStyle, name: String, span: u32) -> Trace {
    let mut trace =
        Trace { name, color: family[0].color, style, pieces: Vec::new(), shadow: Vec::new(), band: Vec::new() };
    let all: Option<Vec<_>> = family.iter().map(|source| source.curves.of(metric)).collect();
    let Some(all) = all else { return trace };
    let last = family.iter().map(|source| source.state.newest_step()).min().unwrap_or(0);
    let count = (last as usize).min(MEAN_POINTS);
    let mut points = Vec::new();
    for place in 1..=count {
        let step = (place as u64 * last).div_ceil(count as u64);
        let of = |series: &&crate::dashboard::series::Series| {
            if span > 0 && series.is_long() { series.smooth.at(step) } else { series.at(step) }
        };
        let Some(values) = all.iter().map(of).collect::<Option<Vec<f64>>>() else { continue };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let x = family[0].x(step as f64);
        points.push(PlotPoint::new(x, mean));
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        trace.band.push((x, low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
    }
    if !points.is_empty() {
        trace.pieces.push(points);
    }
    trace
}

/// The menu of one plot: `Some(None)` takes the plot away, `Some(Some(..))` changes it.
fn menu(ui: &mut Ui, corner: Rect, panel: &CurvePanel) -> Option<Option<CurvePanel>> {
    let mut changed = None;
    let mut ui = ui.new_child(UiBuilder::new().max_rect(corner).id_salt(("plot menu", panel.metrics[0].name)));
    let button = Button::new("…").frame(false);
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(&mut ui, |ui| {
        ui.set_min_width(230.0);
        let mut is_log = panel.is_log;
        if ui.checkbox(&mut is_log, "Logarithmic").changed() {
            changed = Some(Some(CurvePanel { is_log, ..panel.clone() }));
        }
        if panel.metrics.len() > 1 {
            for metric in &panel.metrics {
                if ui.button(format!("Without {}", metric.name)).clicked() {
                    let metrics = panel.metrics.iter().copied().filter(|other| other.name != metric.name).collect();
                    changed = Some(Some(CurvePanel { metrics, ..panel.clone() }));
                }
            }
        }
        ui.menu_button("Add a metric", |ui| {
            if let Some(metric) = choose_metric(ui, &panel.metrics) {
                let mut new = panel.clone();
                new.metrics.push(metric);
                changed = Some(Some(new));
                ui.close();
            }
        });
        if ui.button("Remove this plot").clicked() {
            changed = Some(None);
        }
    });
    response.on_hover_text(format!("What the plot of {} shows", title_of(panel.metrics[0])));
    changed
}

/// A searchable list of all metrics but those.
fn choose_metric(ui: &mut Ui, without: &[&'static Metric]) -> Option<&'static Metric> {
    let id = ui.scope_id().with("search");
    let mut search = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_default();
    let field = TextEdit::singleline(&mut search).hint_text("Search metrics").desired_width(220.0);
    if ui.add(field).accessible_name("Search metrics").changed() {
        ui.data_mut(|data| data.insert_temp(id, search.clone()));
    }
    let words = search.to_lowercase();
    let mut chosen = None;
    ScrollArea::vertical().max_height(260.0).show(ui, |ui| {
        for &metric in metrics::ALL {
            let is_there = without.iter().any(|other| other.name == metric.name);
            if !is_there && metric.name.contains(&words) && ui.button(metric.name).on_hover_text(metric.help).clicked()
            {
                chosen = Some(metric);
            }
        }
    });
    chosen
}

fn header(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    ui.horizontal(|ui| {
        if tools.others.is_empty() {
            let hint = "A click shows that step, Shift+click pins it; drag and Ctrl+scroll move and zoom";
            ui.scope(|ui| {
                ui.set_max_width((ui.available_width() - 420.0).max(40.0));
                ui.add(egui::Label::new(RichText::new(hint).small().color(theme.text_weak)).truncate());
            });
        }
        for other in tools.others {
            let info = &other.snapshot.info;
            let hidden = &mut state.curve_settings.hidden;
            let mut is_shown = !hidden.contains(&info.directory);
            let text = RichText::new(format!("{} s{}", info.name, info.seed)).color(theme.method(&info.method));
            if ui.checkbox(&mut is_shown, text).on_hover_text(info.directory.display().to_string()).changed() {
                hidden.retain(|folder| *folder != info.directory);
                if !is_shown {
                    hidden.push(info.directory.clone());
                }
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let exported = state.export.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let hint = match &exported {
                Some(Ok(text)) => text.clone(),
                Some(Err(text)) => format!("The last export failed: {text}"),
                None => "Write curves.csv, curves.svg and curves.png into the run folder's figures".to_owned(),
            };
            if ui.button("Export").on_hover_text(hint).clicked() {
                export_curves(ui.ctx(), tools, state);
            }
            if let Some(told) = exported {
                let (text, color) = if told.is_ok() { ("exported", theme.text_weak) } else { ("export failed", theme.error) };
                ui.label(RichText::new(text).small().color(color));
            }
            let settings = &mut state.curve_settings;
            ui.menu_button("Add plot", |ui| {
                if let Some(metric) = choose_metric(ui, &[]) {
                    settings.panels.push(CurvePanel { metrics: vec![metric], is_log: false, is_optional: false });
                    ui.close();
                }
            });
            if *settings != CurveSettings::default()
                && ui.button("Reset").on_hover_text("The first plots and settings again").clicked()
            {
                *settings = CurveSettings::default();
            }
            for (axis, name, hint) in [
                (Axis::Clock, "clock", "Time since the earliest of the open runs began"),
                (Axis::Time, "time", "Time since the run began"),
                (Axis::Step, "step", "Training steps"),
            ] {
                ui.selectable_value(&mut settings.axis, axis, name).on_hover_text(hint);
            }
            if !tools.others.is_empty() {
                let hint = "Draw runs that differ in their seed only as their mean, with a band from the lowest to the highest";
                ui.checkbox(&mut settings.joins_seeds, "Join seeds").on_hover_text(hint);
            }
            let help = "Steps of the exponential average (bias-corrected); 0 shows the recorded values";
            let field = egui::DragValue::new(&mut settings.span).range(0..=1000).speed(0.25);
            ui.add(field).on_hover_text(help);
            caption(ui, theme, "average").on_hover_text(help);
        });
    });
}

/// The runs whose curves are shown.
fn exported<'a>(tools: &Tools<'a>, state: &'a State) -> Vec<Exported<'a>> {
    let shown =
        tools.others.iter().filter(|other| !state.curve_settings.hidden.contains(&other.snapshot.info.directory));
    std::iter::once(state)
        .chain(shown.copied())
        .map(|run| {
            let info = &run.snapshot.info;
            let color = tools.light.method(&info.method);
            Exported { name: format!("{} s{}", info.name, info.seed), color, curves: &run.curves }
        })
        .collect()
}

/// The shown curves as CSV.
pub(crate) fn csv(tools: &Tools<'_>, state: &State) -> String {
    export::csv(&exported(tools, state), &state.curve_settings)
}

fn export_curves(ctx: &egui::Context, tools: &Tools<'_>, state: &State) {
    let runs = exported(tools, state);
    let folder = state.snapshot.info.directory.join("figures");
    let csv = export::csv(&runs, &state.curve_settings);
    export::write(folder, csv, export::figure(&runs, &state.curve_settings), &state.export, ctx.clone());
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
