//! Curves over training steps as small multiples with a common x axis: of the shown run, and of the other open ones.

use crate::dashboard::kit::lines::look;
use crate::dashboard::kit::series::{Axis, CurvePanel, CurveSettings, PassCurves};
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::kit::widgets::curve;
use crate::dashboard::kit::widgets::curve::{CurveContext, MENU, MetricPlot, RunPass, TITLE};
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::kit::{export, format};
use crate::dashboard::panel::traces;
use crate::dashboard::panel::traces::Source;
use crate::dashboard::panels::Tools;
use crate::dashboard::state::run::State;
use crate::metrics::{self, Metric};
use egui::emath::NumExt as _;
use egui::{Button, Rect, RichText, ScrollArea, Sense, TextEdit, Ui, UiBuilder, Vec2, pos2, vec2};
use std::borrow::Cow;

/// A curve is not drawn narrower than this, points.
const MIN_WIDTH: f32 = 190.0;
/// Nor lower; the panel scrolls instead.
const MIN_HEIGHT: f32 = 72.0;
/// The preferred ratio of a curve's width to its height, title included.
const ASPECT: f32 = 2.2;

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    header(ui, tools, state);
    let mut settings = state.curve_settings.clone();
    let sources = sources(tools, state, theme);
    let own = sources[0];
    let marks = Marks::of(&sources, &settings);
    let context = marks.context(theme, &sources, settings.axis);
    let newest = state.newest_step();
    let passes = suites(&sources);
    let shown: Vec<usize> = (0..settings.panels.len())
        .filter(|&place| sources.iter().any(|source| source.curves().has_place(&settings.panels[place])))
        .collect();
    let count = passes.len() + shown.len();
    let free = ui.available_size();
    let gap = vec2(16.0, 6.0);
    let (columns, rows) = arrange(count, free, gap);
    let cells = vec2(columns as f32, rows as f32);
    let size = ((free + gap) / cells - gap).at_least(vec2(0.0, MIN_HEIGHT));
    let bounds = bounds(ui);
    let mut changed = None;
    let mut clicks = curve::CurveClicks::default();
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let (all, _) = ui.allocate_exact_size((size + gap) * cells - gap, Sense::hover());
        let place = |index: usize| {
            let at = vec2((index % columns) as f32, (index / columns) as f32) * (size + gap);
            Rect::from_min_size(all.min + at, size)
        };
        for (index, pass) in passes.iter().enumerate() {
            let pass: &PassCurves = pass;
            let places: Vec<_> = sources.iter().map(|source| move |step: u64| source.x(step as f64)).collect();
            let same = |source: &Source<'_>| source.curves().passes.iter().position(|other| other.suite == pass.suite);
            let mut runs = sources.iter().zip(&places).filter_map(|(source, place)| {
                let is_own = std::ptr::eq(source.state, own.state);
                let curves = if is_own { pass } else { &source.curves().passes[same(source)?] };
                let name = if sources.len() > 1 { source.name() } else { "" };
                let place = place as &dyn Fn(u64) -> f64;
                Some(RunPass { name, color: source.color, style: source.style, curves, place })
            });
            // The shown run comes first.
            if let Some(own) = runs.next() {
                curve::pass(ui, context, &own, &runs.collect::<Vec<_>>(), place(index));
            }
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
    remember_bounds(ui, clicks.bounds);
    let clicked = clicks.clicked.map(|(x, shift)| (own.step(x).round().max(1.0) as u64, shift));
    match changed {
        Some((panel, Change::To(new))) => settings.panels[panel] = new,
        Some((panel, Change::Removal)) => {
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

/// The curves of every suite of the shown run; those of suites that only others have are without points.
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

/// What is marked on the x axis of the shown run.
pub(crate) struct Marks {
    cursor: Option<(u64, f64)>,
    pins: Vec<(u64, f64)>,
    edits: Vec<(f64, String)>,
}

impl Marks {
    /// The marks of the first of `sources`.
    pub(crate) fn of(sources: &[Source<'_>], settings: &CurveSettings) -> Self {
        let own = &sources[0];
        let (step, newest) = (own.state.cursor_step(), own.state.newest_step());
        let events = own.state.snapshot.events.iter().filter(|event| event.edit().is_some());
        Self {
            cursor: (step != newest).then(|| (step, own.x(step as f64))),
            pins: settings.pins.iter().map(|&step| (step, own.x(step as f64))).collect(),
            edits: events.map(|event| (own.x(event.step as f64), event.text.clone())).collect(),
        }
    }

    /// What the plots share.
    pub(crate) fn context<'a>(&'a self, theme: &'a Theme, sources: &[Source<'_>], axis: Axis) -> CurveContext<'a> {
        let ends = sources.iter().map(|source| source.x(source.state.newest_step() as f64));
        let least = if axis == Axis::Step { 10.0 } else { 1.0 };
        CurveContext {
            theme,
            color: sources[0].color,
            newest: sources[0].state.newest_step(),
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

/// Keeps the part of the x axis that the person chose in a plot, for all of them from the next frame on.
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

/// What one plot draws.
fn metric_plot<'a>(
    settings: &CurveSettings,
    panel: &'a CurvePanel,
    sources: &[Source<'_>],
    bounds: (f64, f64),
    width: f32,
) -> MetricPlot<'a> {
    let own = &sources[0];
    let first = panel.metrics[0];
    let step = own.state.cursor_step();
    // As recorded, however large.
    let at = |metric: &Metric, step: u64| own.state.snapshot.history.at(step).and_then(|row| row.get(metric));
    let values: Vec<String> = panel
        .metrics
        .iter()
        .map(|metric| at(metric, step).map_or_else(|| format::NOT_AVAILABLE.to_owned(), format::compact))
        .collect();
    let traces = traces::traces(sources, &panel.metrics, settings, bounds, (width as usize).max(64));
    let unit = if panel.metrics.len() == 1 { format!(" {}", first.unit) } else { String::new() };
    MetricPlot {
        title: first.title(),
        metric: first,
        value: format!("{}{unit}", values.join(", ")),
        pinned: settings.pins.iter().map(|&step| at(first, step).unwrap_or(f64::NAN)).collect(),
        is_log: panel.is_log,
        traces,
    }
}

/// What the menu of a plot does to it.
enum Change {
    /// Shows something else.
    To(CurvePanel),
    /// Takes it away.
    Removal,
}

/// The menu of one plot.
fn menu(ui: &mut Ui, corner: Rect, panel: &CurvePanel) -> Option<Change> {
    let mut changed = None;
    let mut ui = ui.new_child(UiBuilder::new().max_rect(corner).id_salt(("plot menu", panel.metrics[0].name)));
    let button = Button::new("").frame(false).min_size(corner.size());
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(&mut ui, |ui| {
        ui.set_min_width(230.0);
        let mut is_log = panel.is_log;
        if ui.checkbox(&mut is_log, "Logarithmic").changed() {
            changed = Some(Change::To(CurvePanel { is_log, ..panel.clone() }));
        }
        if panel.metrics.len() > 1 {
            for metric in &panel.metrics {
                if ui.button(format!("Without {}", metric.name)).clicked() {
                    let metrics = panel.metrics.iter().copied().filter(|other| other.name != metric.name).collect();
                    changed = Some(Change::To(CurvePanel { metrics, ..panel.clone() }));
                }
            }
        }
        ui.menu_button("Add a metric", |ui| {
            if let Some(metric) = choose_metric(ui, &panel.metrics) {
                let mut new = panel.clone();
                new.metrics.push(metric);
                changed = Some(Change::To(new));
                ui.close();
            }
        });
        if ui.button("Remove this plot").clicked() {
            changed = Some(Change::Removal);
        }
    });
    marks::paint_more(&ui, &response);
    let name = format!("What the plot of {} shows", panel.metrics[0].title());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name.clone()));
    response.on_hover_text(name);
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
        for metric in metrics::known() {
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
        let end = Trailing::of(ui, "curve settings");
        let hint = "A click shows that step, Shift+click pins it; drag and Ctrl+scroll move and zoom";
        ui.scope(|ui| {
            ui.set_max_width(end.room(ui));
            ui.add(egui::Label::new(RichText::new(hint).small().color(theme.text_weak)).truncate());
        });
        end.show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            curve_settings(ui, tools, state);
        });
    });
    if !tools.others.is_empty() {
        legend(ui, tools, state);
    }
}

/// How the curves are drawn, and what becomes of them.
fn curve_settings(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let settings = &mut state.curve_settings;
    let help = "Steps of the exponential average (bias-corrected); 0 shows the recorded values";
    caption(ui, tools.theme, "average").on_hover_text(help);
    ui.add(egui::DragValue::new(&mut settings.span).range(0..=1000).speed(0.25)).on_hover_text(help);
    if !tools.others.is_empty() {
        let hint = "Draw runs that differ in their seed only as their mean, with a band from the lowest to the highest";
        ui.checkbox(&mut settings.joins_seeds, "Join seeds").on_hover_text(hint);
    }
    for (axis, name, hint) in [
        (Axis::Step, "step", "Training steps"),
        (Axis::Time, "time", "Time since the run began"),
        (Axis::Clock, "clock", "Time since the earliest of the open runs began"),
    ] {
        ui.selectable_value(&mut settings.axis, axis, name).on_hover_text(hint);
    }
    if *settings != CurveSettings::default()
        && ui.button("Reset").on_hover_text("The first plots and settings again").clicked()
    {
        *settings = CurveSettings::default();
    }
    ui.menu_button("Add plot", |ui| {
        if let Some(metric) = choose_metric(ui, &[]) {
            settings.panels.push(CurvePanel { metrics: vec![metric], is_log: false, is_optional: false });
            ui.close();
        }
    });
    let hint = "Write curves.csv, curves.svg and curves.png into the run folder's figures";
    if ui.button("Export").on_hover_text(hint).clicked() {
        export_curves(ui.ctx(), tools, state);
    }
}

/// The lines of all open runs with their names; those of the others can be hidden.
fn legend(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 2.0);
        let sample = |ui: &mut Ui, run: &State| {
            let font = egui::TextStyle::Body.resolve(ui.style());
            let name = ui.painter().layout_no_wrap(run.label.name.clone(), font, theme.text).size().x;
            // A line and its name stay together.
            if ui.available_size_before_wrap().x < marks::SAMPLE.x + name + 40.0 {
                ui.end_row();
            }
            let (rect, response) = ui.allocate_exact_size(marks::SAMPLE, Sense::hover());
            let (shade, style) = look(run.label.variant);
            marks::paint_line(ui.painter(), rect, theme.method_shade(run.snapshot.info.method(), shade), style);
            let name = format!("Line of {}", run.label.name);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name.clone()));
        };
        sample(ui, state);
        let folder = state.snapshot.info.directory.display().to_string();
        ui.label(RichText::new(&state.label.name).color(theme.text_strong)).on_hover_text(folder);
        for other in tools.others {
            ui.add_space(8.0);
            sample(ui, other);
            let directory = &other.snapshot.info.directory;
            let hidden = &mut state.curve_settings.hidden;
            let mut is_shown = !hidden.contains(directory);
            let text = RichText::new(&other.label.name).color(if is_shown { theme.text } else { theme.text_weak });
            if ui.checkbox(&mut is_shown, text).on_hover_text(directory.display().to_string()).changed() {
                hidden.retain(|folder| folder != directory);
                if !is_shown {
                    hidden.push(directory.clone());
                }
            }
        }
    });
}

/// The runs whose curves are shown, in the colours of `theme`; the shown one comes first.
fn sources<'a>(tools: &Tools<'a>, state: &'a State, theme: &Theme) -> Vec<Source<'a>> {
    let settings = &state.curve_settings;
    let others = tools.others.iter().copied().filter(|other| !settings.hidden.contains(&other.snapshot.info.directory));
    let states: Vec<&State> = std::iter::once(state).chain(others).collect();
    traces::sources(&states, settings.axis, |method, shade| theme.method_shade(method, shade))
}

/// The shown curves as CSV.
pub(crate) fn csv(tools: &Tools<'_>, state: &State) -> String {
    export::csv(&sources(tools, state, tools.light), &state.curve_settings)
}

/// Writes them into the run folder's figures.
pub(crate) fn export_curves(ctx: &egui::Context, tools: &Tools<'_>, state: &State) {
    let runs = sources(tools, state, tools.light);
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
