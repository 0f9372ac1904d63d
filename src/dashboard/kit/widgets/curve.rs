//! A small plot over training steps, with its x axis and cursor linked to all others.

use crate::dashboard::kit::format;
use crate::dashboard::kit::lines::{DASHES, STYLES, Trace};
use crate::dashboard::kit::series::{Axis, PassCurves};
use crate::dashboard::kit::theme::{LINE_WIDTH, SMALL_SIZE, Theme, small_font};
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::metrics::{Better, Metric};
use crate::run::Estimate;
use egui::{Color32, Id, Rect, Response, RichText, Stroke, Ui, UiBuilder, Vec2b, pos2, vec2};
use egui_plot::{
    AxisHints, FilledArea, GridMark, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoint,
    PlotPoints, PlotResponse, PlotUi, Points, Text, VLine,
};
use std::ops::RangeInclusive;

/// Height of the line with title and value, points.
pub(crate) const TITLE: f32 = 18.0;
/// Room for the plot's menu at the end of that line, points.
pub(crate) const MENU: f32 = 20.0;

/// How lines are broken.
const LINE_STYLES: [LineStyle; STYLES] = [
    LineStyle::Solid,
    LineStyle::Dashed { length: DASHES[0] },
    LineStyle::Dotted { spacing: 4.0 },
    LineStyle::Dashed { length: DASHES[1] },
];

/// What all curves share.
#[derive(Clone, Copy)]
pub(crate) struct CurveContext<'a> {
    /// Colours.
    pub(crate) theme: &'a Theme,
    /// The shown run's colour.
    pub(crate) color: Color32,
    /// The newest finished step.
    pub(crate) newest: u64,
    /// Where the x axis ends.
    pub(crate) x_end: f64,
    /// What the x axis shows.
    pub(crate) axis: Axis,
    /// The step that is shown, where it is not the newest, and its place on the x axis.
    pub(crate) cursor: Option<(u64, f64)>,
    /// Places of pinned steps.
    pub(crate) pins: &'a [(u64, f64)],
    /// Places of changed settings, and what was changed.
    pub(crate) edits: &'a [(f64, String)],
}

/// One plot of metrics over the x axis.
pub(crate) struct MetricPlot<'a> {
    /// Its title.
    pub(crate) title: &'a str,
    /// The metric that the tooltip explains.
    pub(crate) metric: &'static Metric,
    /// The value of the shown run at the cursor.
    pub(crate) value: String,
    /// Values of the shown run at the pinned steps.
    pub(crate) pinned: Vec<f64>,
    /// Whether the y axis is logarithmic.
    pub(crate) is_log: bool,
    /// The lines.
    pub(crate) traces: Vec<Trace>,
}

/// What was done to a plot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CurveClicks {
    /// The place on the x axis that was clicked, and whether Shift was held.
    pub(crate) clicked: Option<(f64, bool)>,
    /// The part of the x axis that the person chose to see; all of it where nobody did.
    pub(crate) bounds: Option<(f64, f64)>,
}

/// Draws the band of a trace, if it has one.
fn band(plot_ui: &mut PlotUi<'_>, trace: &Trace, height: impl Fn(f64) -> f64) {
    if trace.band.is_empty() {
        return;
    }
    let xs: Vec<f64> = trace.band.iter().map(|(x, ..)| *x).collect();
    let lows: Vec<f64> = trace.band.iter().map(|(_, low, _)| height(*low)).collect();
    let highs: Vec<f64> = trace.band.iter().map(|(.., high)| height(*high)).collect();
    if lows.iter().all(|low| low.is_finite()) {
        let area = FilledArea::new("", &xs, &lows, &highs).allow_hover(false);
        plot_ui.add(area.fill_color(trace.color.gamma_multiply(0.18)).stroke(Stroke::NONE));
    }
}

/// Draws one plot into `rect`; the last 20 points of the title line are left free.
pub(crate) fn metric(
    ui: &mut Ui,
    context: CurveContext<'_>,
    curve: MetricPlot<'_>,
    rect: Rect,
) -> CurveClicks {
    let theme = context.theme;
    let title = title_line(ui, context, rect, curve.title, &curve.value);
    Meaning::of(curve.title, curve.metric).on(title, theme);
    let empty = curve.traces.iter().all(|trace| trace.pieces.is_empty() && trace.shadow.is_empty());
    let gaps: Vec<(f64, f64)> =
        curve.traces.first().map(|trace| trace.gaps.clone()).unwrap_or_default();
    let name = format!("{} {}", curve.title, curve.metric.name);
    let is_log = curve.is_log;
    let height = move |y: f64| if is_log { y.log10() } else { y };
    let response = plot(ui, context, rect, &name, empty, is_log, |plot_ui| {
        let lift = |points: &[PlotPoint]| -> Vec<PlotPoint> {
            let points = points.iter().map(|point| PlotPoint::new(point.x, height(point.y)));
            points.filter(|point| point.y.is_finite()).collect()
        };
        if let Some(level) = constant(&curve.traces).map(height).filter(|level| level.is_finite()) {
            // A flat line has no height of its own.
            let room = 0.1f64.mul_add(level.abs(), 1e-3);
            for y in [level - room, level + room] {
                let corner = PlotPoints::Owned(vec![PlotPoint::new(context.x_end, y)]);
                plot_ui.points(
                    Points::new("", corner)
                        .color(Color32::TRANSPARENT)
                        .radius(0.0)
                        .allow_hover(false),
                );
            }
        }
        // The shown run comes first and lies on top.
        for trace in curve.traces.iter().rev() {
            band(plot_ui, trace, height);
            // The shadows of many runs would hide their averages.
            let faint = if curve.traces.len() > 2 { 0.15 } else { 0.3 };
            let style = LINE_STYLES[trace.style % STYLES];
            for points in &trace.shadow {
                line(
                    plot_ui,
                    String::new(),
                    lift(points),
                    trace.color.gamma_multiply(faint),
                    style,
                    true,
                );
            }
            for points in &trace.pieces {
                line(plot_ui, trace.name.clone(), lift(points), trace.color, style, false);
            }
        }
        for ((_, x), value) in context.pins.iter().zip(&curve.pinned) {
            if height(*value).is_finite() {
                let at = PlotPoint::new(*x, height(*value));
                plot_ui.points(
                    Points::new("", PlotPoints::Owned(vec![at]))
                        .color(theme.focus)
                        .radius(2.5)
                        .allow_hover(false),
                );
                let text = RichText::new(format::compact(*value))
                    .size(SMALL_SIZE)
                    .color(theme.text_strong);
                plot_ui.text(
                    Text::new("", at, text).anchor(egui::Align2::LEFT_BOTTOM).allow_hover(false),
                );
            }
        }
    });
    paint_gaps(ui, theme, &response, &gaps);
    let not_drawn = curve.traces.first().and_then(|trace| trace.not_drawn.reason());
    let is_above_zero = |point: &PlotPoint| point.y > 0.0;
    let lines =
        || curve.traces.iter().flat_map(|trace| trace.pieces.iter().chain(&trace.shadow).flatten());
    if empty {
        let text = if context.newest == 0 {
            "no step yet"
        } else {
            not_drawn.unwrap_or("not recorded by this run")
        };
        placeholder(ui, theme, &response, text);
    } else if is_log && !lines().any(is_above_zero) {
        placeholder(ui, theme, &response, "no value is above 0");
    }
    let place = |at: egui::Pos2| response.transform.value_from_position(at).x;
    let is_shift = ui.input(|input| input.modifiers.shift);
    let bounds = response.transform.bounds();
    // Where nobody has zoomed or moved it, the axis grows with the run.
    let bounds = if response.inner {
        (f64::NEG_INFINITY, f64::INFINITY)
    } else {
        (bounds.min()[0], bounds.max()[0])
    };
    CurveClicks {
        clicked: response
            .response
            .clicked()
            .then(|| response.response.interact_pointer_pos().map(|at| (place(at), is_shift)))
            .flatten(),
        bounds: Some(bounds),
    }
}

/// Hatches the steps of the shown run whose values are not numbers, or none that can be drawn.
fn paint_gaps(ui: &Ui, theme: &Theme, response: &PlotResponse<bool>, gaps: &[(f64, f64)]) {
    let frame = *response.transform.frame();
    let x = |at: f64| response.transform.position_from_point_x(at);
    let mut end = f32::NEG_INFINITY;
    for (from, to) in gaps {
        // Many gaps within one pixel are one.
        let (from, to) = (x(*from).max(frame.left()).max(end), x(*to).min(frame.right()));
        if to - from >= 1.0 {
            let stretch = Rect::from_x_y_ranges(from..=to, frame.y_range());
            marks::paint_hatching(
                &ui.painter_at(frame),
                stretch,
                5.0,
                Stroke::new(1.0, theme.missing),
            );
            end = to;
        }
    }
}

/// The value of lines that have no other; bands are never without height where values differ.
fn constant(traces: &[Trace]) -> Option<f64> {
    let mut values = traces
        .iter()
        .flat_map(|trace| trace.pieces.iter().chain(&trace.shadow).flatten().map(|point| point.y))
        .chain(
            traces.iter().flat_map(|trace| &trace.band).flat_map(|(_, low, high)| [*low, *high]),
        );
    let first = values.next()?;
    values.all(|value| value.to_bits() == first.to_bits()).then_some(first)
}

/// A line; a dot where it is a single point. Averages are what the pointer snaps to, if there are
/// any.
fn line(
    plot_ui: &mut PlotUi<'_>,
    name: String,
    points: Vec<PlotPoint>,
    color: Color32,
    style: LineStyle,
    is_background: bool,
) {
    if points.len() == 1 {
        let points = Points::new(name, PlotPoints::Owned(points));
        plot_ui.points(points.color(color).radius(2.0).allow_hover(!is_background));
    } else {
        let line =
            Line::new(name, PlotPoints::Owned(points)).color(color).width(LINE_WIDTH).style(style);
        plot_ui.line(line.allow_hover(!is_background));
    }
}

/// pass@k of a run.
pub(crate) struct RunPass<'a> {
    /// What the run is called; empty where it is the only one.
    pub(crate) name: &'a str,
    /// Its colour.
    pub(crate) color: Color32,
    /// How its lines are broken, of [`STYLES`].
    pub(crate) style: usize,
    /// Its estimates.
    pub(crate) curves: &'a PassCurves,
    /// Where its steps lie on the x axis.
    pub(crate) place: &'a dyn Fn(u64) -> f64,
}

impl RunPass<'_> {
    fn line_name(&self, k: usize) -> String {
        if self.name.is_empty() { format!("pass@{k}") } else { format!("{}, pass@{k}", self.name) }
    }
}

/// Draws pass@1 and pass@k of one suite into `rect`, with 95 % intervals as whiskers.
pub(crate) fn pass(
    ui: &mut Ui,
    context: CurveContext<'_>,
    own: &RunPass<'_>,
    others: &[RunPass<'_>],
    rect: Rect,
) {
    let theme = context.theme;
    let (curves, place) = (own.curves, own.place);
    if curves.by_k.is_empty() {
        title_line(ui, context, rect, "Held-out pass@1", format::NOT_AVAILABLE);
        let response = plot(ui, context, rect, "no suite", true, false, |_| {});
        placeholder(ui, theme, &response, "no evaluation yet");
        return;
    }
    let names: Vec<String> = curves.by_k.iter().map(|(k, _)| format!("pass@{k}")).collect();
    let title = names.join(", ");
    let step = context.cursor.map_or(context.newest, |(step, _)| step);
    let at = |points: &[(u64, Estimate)]| {
        points.iter().rev().find(|(at, _)| *at <= step).map(|(_, estimate)| estimate.value)
    };
    let values: Vec<String> = curves
        .by_k
        .iter()
        .map(|(_, points)| at(points).map_or(format::NOT_AVAILABLE.to_owned(), format::compact))
        .collect();
    let response = title_line(ui, context, rect, &title, &values.join(", "));
    let help = format!(
        "Held-out evaluation on {}: {} problems, {} samples each. pass@k is the unbiased estimate \
         of the chance that one of k samples is correct; whiskers are 95 % intervals.",
        curves.suite, curves.problems, curves.samples
    );
    Meaning { name: &title, help: &help, unit: "", better: Better::Higher, place: "evals.jsonl" }
        .on(response, theme);
    let lines: Vec<Vec<PlotPoint>> =
        curves.by_k.iter().map(|(_, points)| points_of(points, place)).collect();
    let is_empty = others.is_empty() && lines.iter().all(Vec::is_empty);
    plot(ui, context, rect, &curves.suite, is_empty, false, |plot_ui| {
        // Runs differ in their lines, the k of a run in its dots: those of the largest are hollow.
        let draw =
            |plot_ui: &mut PlotUi<'_>, run: &RunPass<'_>, k: usize, points: Vec<PlotPoint>| {
                let line =
                    Line::new(run.line_name(k), PlotPoints::Owned(points.clone())).color(run.color);
                plot_ui.line(line.width(LINE_WIDTH).style(LINE_STYLES[run.style % STYLES]));
                let dots = Points::new(run.line_name(k), PlotPoints::Owned(points))
                    .color(run.color)
                    .radius(2.0);
                plot_ui.points(dots.shape(MarkerShape::Circle).filled(k == 1).allow_hover(false));
            };
        for other in others {
            for (k, points) in
                other.curves.by_k.iter().filter(|(k, _)| curves.by_k.iter().any(|(of, _)| of == k))
            {
                draw(plot_ui, other, *k, points_of(points, other.place));
            }
        }
        for ((k, points), values) in curves.by_k.iter().zip(lines) {
            draw(plot_ui, own, *k, values);
            for (step, Estimate { low, high, .. }) in points {
                let ends = [*low, *high].map(|end| PlotPoint::new(place(*step), end));
                let whisker = PlotPoints::Owned(ends.to_vec());
                plot_ui.line(
                    Line::new(format!("{k} {step}"), whisker)
                        .color(context.color)
                        .width(1.0)
                        .allow_hover(false),
                );
            }
        }
    });
}

fn points_of(points: &[(u64, Estimate)], place: impl Fn(u64) -> f64) -> Vec<PlotPoint> {
    points.iter().map(|(step, estimate)| PlotPoint::new(place(*step), estimate.value)).collect()
}

/// Title at the left, the value at the cursor at the right. Neither leaves the line.
fn title_line(
    ui: &mut Ui,
    context: CurveContext<'_>,
    rect: Rect,
    title: &str,
    value: &str,
) -> Response {
    let line = Rect::from_min_size(rect.min, vec2(rect.width() - MENU, TITLE));
    let mut ui = ui.new_child(
        UiBuilder::new().max_rect(line).layout(egui::Layout::right_to_left(egui::Align::Center)),
    );
    ui.set_clip_rect(line.intersect(ui.clip_rect()));
    let value = ui.add(
        egui::Label::new(RichText::new(value.trim()).color(context.theme.text_strong)).truncate(),
    );
    ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
        ui.add(egui::Label::new(RichText::new(title).color(context.theme.text)).truncate())
    })
    .inner
        | value
}

fn placeholder(ui: &Ui, theme: &Theme, response: &PlotResponse<bool>, text: &str) {
    ui.painter().text(
        response.response.rect.center(),
        egui::Align2::CENTER_CENTER,
        text,
        small_font(),
        theme.text_weak,
    );
}

/// Draws the plot; its inner value says whether the x axis follows what is drawn.
fn plot<'a>(
    ui: &mut Ui,
    context: CurveContext<'a>,
    rect: Rect,
    name: &'a str,
    is_empty: bool,
    is_log: bool,
    draw: impl FnOnce(&mut PlotUi<'a>) + 'a,
) -> PlotResponse<bool> {
    let theme = context.theme;
    let body = Rect::from_min_max(pos2(rect.left(), rect.top() + TITLE), rect.max);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(body).id_salt(("curve", name)));
    let group = Id::unique("curves over steps");
    let hints = |axis: AxisHints<'static>| {
        axis.tick_label_color(theme.text_weak).tick_label_font(small_font())
    };
    let x_axis =
        hints(AxisHints::new_x()).min_thickness(SMALL_SIZE + 2.0).label_spacing(8.0..=10.0);
    let axis = context.axis;
    let x_axis = x_axis.formatter(move |mark, range| match axis {
        Axis::Step => step_number(mark.value, mark.step_size, range),
        Axis::Time | Axis::Clock => format::clock(mark.value.max(0.0)),
    });
    let y_axis = hints(AxisHints::new_y()).min_thickness(34.0).label_spacing(8.0..=10.0).formatter(
        move |mark, range| {
            // A number at the very top would touch the title.
            let room = (range.end() - mark.value) / (range.end() - range.start());
            match (room < 0.06, is_log) {
                (true, _) => String::new(),
                (false, true) => power_number(mark.value, mark.step_size, range),
                (false, false) => axis_number(mark.value, mark.step_size, range),
            }
        },
    );
    let rows = f64::from((body.height() - SMALL_SIZE) / 15.0).clamp(2.0, 6.0);
    Plot::new(name)
        .min_size(vec2(32.0, 32.0))
        .width(body.width())
        .height(body.height())
        .link_axis(group, Vec2b::new(true, false))
        .link_cursor(group, Vec2b::new(true, false))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis])
        .show_axes(Vec2b::new(!is_empty, !is_empty))
        .show_grid(Vec2b::new(false, !is_empty))
        .grid_color(theme.grid)
        .grid_fade(0.0)
        .grid_spacing(1.0..=60.0)
        .x_grid_spacer(|input| ticks(input.bounds, 5.0))
        .y_grid_spacer(move |input| ticks(input.bounds, rows))
        .show_y(false)
        .cursor_color(theme.text_weak)
        .allow_scroll(false)
        .allow_drag(Vec2b::new(true, false))
        .allow_zoom(Vec2b::new(true, false))
        .allow_axis_zoom_drag(false)
        .set_margin_fraction(vec2(0.02, 0.12))
        .include_x(0.0)
        .include_x(context.x_end)
        .label_formatter(move |position| label(position, axis, is_log))
        .show(&mut ui, move |plot_ui| {
            for (x, text) in context.edits {
                let edit = VLine::new(text.clone(), *x).style(LineStyle::Dotted { spacing: 4.0 });
                plot_ui.vline(edit.stroke(Stroke::new(1.0, theme.warning)));
            }
            for (_, x) in context.pins {
                let pin = VLine::new("pinned step", *x).allow_hover(false);
                plot_ui.vline(pin.stroke(Stroke::new(1.0, theme.text_weak)));
            }
            if let Some((_, x)) = context.cursor {
                let cursor = VLine::new("shown step", x).allow_hover(false);
                plot_ui.vline(cursor.stroke(Stroke::new(1.0, theme.focus.gamma_multiply(0.7))));
            }
            draw(plot_ui);
            plot_ui.auto_bounds().x
        })
}

fn label(position: &HoverPosition<'_>, axis: Axis, is_log: bool) -> Option<String> {
    match position {
        HoverPosition::NearDataPoint { position, plot_name, .. } => {
            let x = match axis {
                Axis::Step => format!("step {:.0}", position.x),
                Axis::Time | Axis::Clock => format::clock(position.x.max(0.0)),
            };
            let y = if is_log { 10f64.powf(position.y) } else { position.y };
            let name = if plot_name.is_empty() { String::new() } else { format!("{plot_name}\n") };
            Some(format!("{name}{x}\n{}", format::compact(y)))
        }
        HoverPosition::Elsewhere { .. } => None,
    }
}

/// Round places within `bounds`, about `count` of them.
fn ticks((low, high): (f64, f64), count: f64) -> Vec<GridMark> {
    let rough = (high - low) / count;
    if !rough.is_finite() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step_size =
        power * [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    let first = (low / step_size).ceil() as i64;
    let last = (high / step_size).floor() as i64;
    (first..=last).map(|place| GridMark { value: place as f64 * step_size, step_size }).collect()
}

/// A step at a tick: thousands as k, so that long runs have room for their numbers.
fn step_number(value: f64, spacing: f64, range: &RangeInclusive<f64>) -> String {
    if spacing >= 1000.0 && value > 0.0 {
        format!(
            "{}k",
            axis_number(
                value / 1000.0,
                spacing / 1000.0,
                &(range.start() / 1000.0..=range.end() / 1000.0)
            )
        )
    } else {
        axis_number(value, spacing, range)
    }
}

/// A tick's number with as many digits as the spacing needs, all of one axis written alike;
/// enormous and tiny ones in scientific notation.
fn axis_number(value: f64, spacing: f64, range: &RangeInclusive<f64>) -> String {
    let largest = range.start().abs().max(range.end().abs()).max(spacing);
    if largest >= 1e6 || (largest > 0.0 && spacing < 1e-4) {
        if value.abs() < 0.5 * spacing {
            return "0".to_owned();
        }
        let digits = (largest.log10().floor() - spacing.log10().floor()).clamp(0.0, 4.0) as usize;
        return format::scientific(value, digits);
    }
    let decimals =
        if spacing > 0.0 { (-spacing.log10()).ceil().clamp(0.0, 6.0) as usize } else { 2 };
    format::number(value, decimals)
}

/// The number at a tick of a logarithmic axis, with the same rule for all of them: plain where none
/// is far from 1.
fn power_number(exponent: f64, spacing: f64, range: &RangeInclusive<f64>) -> String {
    let value = 10f64.powf(exponent);
    let digits = usize::from(spacing < 0.999);
    if *range.start() < -3.0 || *range.end() > 5.0 {
        return format::scientific(value, digits);
    }
    let decimals = (digits as f64 - range.start().floor()).clamp(0.0, 4.0) as usize;
    format::number(value, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let values = |bounds| ticks(bounds, 3.0).iter().map(|mark| mark.value).collect::<Vec<_>>();
        assert_eq!(values((0.0, 137.0)), [0.0, 50.0, 100.0]);
        assert_eq!(values((-0.6, 0.4)), [-0.5, 0.0]);
        assert!(values((1.0, 1.0)).is_empty());
        assert!(values((f64::NAN, 1.0)).is_empty());
    }

    #[test]
    fn tick_numbers_have_the_decimals_of_their_spacing() {
        let axis = |values: &[f64], spacing: f64| -> Vec<String> {
            let ends = values
                .iter()
                .copied()
                .fold((0.0, 0.0), |(low, high): (f64, f64), v| (low.min(v), high.max(v)));
            values.iter().map(|value| axis_number(*value, spacing, &(ends.0..=ends.1))).collect()
        };
        assert_eq!(axis(&[0.3], 0.1), ["0.3"]);
        assert_eq!(axis(&[0.25], 0.05), ["0.25"]);
        assert_eq!(axis(&[50.0], 50.0), ["50"]);
        assert_eq!(axis(&[0.02], 0.02), ["0.02"]);
        assert_eq!(axis(&[3e15, 3.5e15], 5e14), ["3.0e15", "3.5e15"]);
        assert_eq!(axis(&[0.0, -1e308], 1e308), ["0", "\u{2212}1e308"]);
        assert_eq!(axis(&[0.0, 2e-6, 4e-6], 2e-6), ["0", "2e\u{2212}6", "4e\u{2212}6"]);
        // One axis is written in one way, though only some of its numbers are enormous.
        assert_eq!(axis(&[0.0, 5e5, 1e6, 1.5e6], 5e5), ["0", "5.0e5", "1.0e6", "1.5e6"]);
        let step = |value, spacing| step_number(value, spacing, &(0.0..=2e4));
        assert_eq!(
            [step(0.0, 20_000.0), step(20_000.0, 20_000.0), step(1500.0, 500.0)],
            ["0", "20k", "1500"]
        );
        let power = |exponent: f64, range| power_number(exponent, 1.0, &range);
        assert_eq!([-2.0, -1.0, 0.0].map(|at| power(at, -2.0..=0.0)), ["0.01", "0.10", "1.00"]);
        assert_eq!([-6.0, 0.0].map(|at| power(at, -6.0..=0.0)), ["1e\u{2212}6", "1e0"]);
    }
}
