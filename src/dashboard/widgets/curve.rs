//! A small plot over training steps, with its x axis and cursor linked to all others.

use super::quantity::Meaning;
use crate::dashboard::format;
use crate::dashboard::series::{PassCurves, Series};
use crate::dashboard::theme::{LINE_WIDTH, SMALL_SIZE, Theme, small_font};
use crate::metrics::Better;
use crate::trainer::Estimate;
use egui::{Color32, Id, Rect, Response, RichText, Stroke, Ui, UiBuilder, Vec2b, pos2, vec2};
use egui_plot::{
    AxisHints, GridMark, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoint, PlotPoints, PlotResponse,
    PlotUi, Points, VLine,
};

/// Height of the line with title and value, points.
const TITLE: f32 = 18.0;

/// What all curves share.
#[derive(Clone, Copy)]
pub(crate) struct CurveContext<'a> {
    /// Colours.
    pub(crate) theme: &'a Theme,
    /// The method's colour.
    pub(crate) color: Color32,
    /// The newest finished step.
    pub(crate) newest: u64,
    /// The step that is shown, where it is not the newest.
    pub(crate) cursor: Option<u64>,
    /// Whether to draw averages over the raw values.
    pub(crate) smooth: bool,
}

/// Draws one metric into `rect`.
pub(crate) fn metric(ui: &mut Ui, context: CurveContext<'_>, series: &Series, rect: Rect) {
    let theme = context.theme;
    let step = context.cursor.unwrap_or(context.newest);
    let value = series.at(step).map_or_else(
        || format::NOT_AVAILABLE.to_owned(),
        |value| format!("{} {}", format::compact(value), series.metric.unit),
    );
    let title = title_line(ui, context, rect, series.title, &value);
    Meaning::of(series.title, series.metric).on(title, theme);
    let empty = series.is_empty();
    let response = plot(ui, context, rect, series.title, empty, |plot_ui| {
        let smoothed = context.smooth && series.raw.iter().map(Vec::len).sum::<usize>() > 20;
        for (part, points) in series.raw.iter().enumerate() {
            let color = if smoothed { context.color.gamma_multiply(0.3) } else { context.color };
            line(plot_ui, format!("raw {part}"), points, color, smoothed);
        }
        if smoothed {
            for (part, points) in series.smooth.iter().enumerate() {
                line(plot_ui, format!("average {part}"), points, context.color, false);
            }
        }
    });
    if empty {
        placeholder(ui, theme, &response, if context.newest == 0 { "no step yet" } else { "not recorded by this run" });
    }
}

/// A line; a dot where it is a single point. Averages are what the pointer snaps to, if there are any.
fn line<'a>(plot_ui: &mut PlotUi<'a>, name: String, points: &'a [PlotPoint], color: Color32, is_background: bool) {
    if points.len() == 1 {
        plot_ui.points(Points::new(name, points).color(color).radius(2.0).allow_hover(!is_background));
    } else {
        plot_ui.line(Line::new(name, points).color(color).width(LINE_WIDTH).allow_hover(!is_background));
    }
}

/// Draws pass@1 and pass@k of one suite into `rect`, with 95 % intervals as whiskers.
pub(crate) fn pass(ui: &mut Ui, context: CurveContext<'_>, curves: &PassCurves, rect: Rect) {
    let theme = context.theme;
    if curves.by_k.is_empty() {
        title_line(ui, context, rect, "Held-out pass@1", format::NOT_AVAILABLE);
        let response = plot(ui, context, rect, "no suite", true, |_| {});
        placeholder(ui, theme, &response, "no evaluation yet");
        return;
    }
    let names: Vec<String> = curves.by_k.iter().map(|(k, _)| format!("pass@{k}")).collect();
    let title = names.join(", ");
    let step = context.cursor.unwrap_or(context.newest);
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
        "Held-out evaluation on {}: {} problems, {} samples each. pass@k is the unbiased estimate of the chance that one of k \
         samples is correct; whiskers are 95 % intervals.",
        curves.suite, curves.problems, curves.samples
    );
    Meaning { name: &title, help: &help, unit: "", better: Better::Higher, place: "evals.jsonl" }.on(response, theme);
    let lines: Vec<Vec<PlotPoint>> = curves.by_k.iter().map(|(_, points)| points_of(points)).collect();
    plot(ui, context, rect, &curves.suite, lines.iter().all(Vec::is_empty), |plot_ui| {
        for ((k, points), values) in curves.by_k.iter().zip(&lines) {
            let name = format!("pass@{k}");
            // The same hue twice: the largest k is dashed and hollow.
            let style = if *k == 1 { LineStyle::Solid } else { LineStyle::Dashed { length: 5.0 } };
            plot_ui.line(
                Line::new(name.clone(), PlotPoints::Owned(values.clone()))
                    .color(context.color)
                    .width(LINE_WIDTH)
                    .style(style),
            );
            let dots = Points::new(name, PlotPoints::Owned(values.clone())).color(context.color).radius(2.0);
            plot_ui.points(dots.shape(MarkerShape::Circle).filled(*k == 1).allow_hover(false));
            for (step, Estimate { low, high, .. }) in points {
                let ends = [*low, *high].map(|end| PlotPoint::new(*step as f64, end));
                let whisker = PlotPoints::Owned(ends.to_vec());
                plot_ui
                    .line(Line::new(format!("{k} {step}"), whisker).color(context.color).width(1.0).allow_hover(false));
            }
        }
    });
}

fn points_of(points: &[(u64, Estimate)]) -> Vec<PlotPoint> {
    points.iter().map(|(step, estimate)| PlotPoint::new(*step as f64, estimate.value)).collect()
}

/// Title at the left, the value at the cursor at the right.
fn title_line(ui: &mut Ui, context: CurveContext<'_>, rect: Rect, title: &str, value: &str) -> Response {
    let line = Rect::from_min_size(rect.min, vec2(rect.width(), TITLE));
    let mut ui = ui.new_child(UiBuilder::new().max_rect(line).layout(egui::Layout::right_to_left(egui::Align::Center)));
    let value = ui.label(RichText::new(value.trim()).color(context.theme.text_strong));
    ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
        ui.add(egui::Label::new(RichText::new(title).color(context.theme.text)).truncate())
    })
    .inner
        | value
}

fn placeholder(ui: &Ui, theme: &Theme, response: &PlotResponse<()>, text: &str) {
    ui.painter().text(
        response.response.rect.center(),
        egui::Align2::CENTER_CENTER,
        text,
        small_font(),
        theme.text_weak,
    );
}

fn plot<'a>(
    ui: &mut Ui,
    context: CurveContext<'a>,
    rect: Rect,
    name: &'a str,
    is_empty: bool,
    draw: impl FnOnce(&mut PlotUi<'a>) + 'a,
) -> PlotResponse<()> {
    let theme = context.theme;
    let body = Rect::from_min_max(pos2(rect.left(), rect.top() + TITLE), rect.max);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(body).id_salt(("curve", name)));
    let group = Id::unique("curves over steps");
    let hints = |axis: AxisHints<'static>| axis.tick_label_color(theme.text_weak).tick_label_font(small_font());
    let x_axis = hints(AxisHints::new_x()).min_thickness(SMALL_SIZE + 2.0).label_spacing(8.0..=10.0);
    let y_axis = hints(AxisHints::new_y()).min_thickness(34.0).label_spacing(8.0..=10.0).formatter(|mark, range| {
        // A number at the very top would touch the title.
        let room = (range.end() - mark.value) / (range.end() - range.start());
        if room < 0.06 { String::new() } else { axis_number(mark.value, mark.step_size) }
    });
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
        .include_x(context.newest.max(10) as f64)
        .label_formatter(label)
        .show(&mut ui, move |plot_ui| {
            if let Some(step) = context.cursor {
                let cursor = VLine::new("shown step", step as f64).allow_hover(false);
                plot_ui.vline(cursor.stroke(Stroke::new(1.0, theme.focus.gamma_multiply(0.7))));
            }
            draw(plot_ui);
        })
}

fn label(position: &HoverPosition<'_>) -> Option<String> {
    match position {
        HoverPosition::NearDataPoint { position, plot_name, .. } => {
            let average = if plot_name.starts_with("average") { " (average)" } else { "" };
            Some(format!("step {:.0}\n{}{average}", position.x, format::compact(position.y)))
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
    let step_size = power * [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    let first = (low / step_size).ceil() as i64;
    let last = (high / step_size).floor() as i64;
    (first..=last).map(|place| GridMark { value: place as f64 * step_size, step_size }).collect()
}

/// A tick's number with as many decimals as its spacing needs.
fn axis_number(value: f64, spacing: f64) -> String {
    let decimals = if spacing > 0.0 { (-spacing.log10()).ceil().clamp(0.0, 6.0) as usize } else { 2 };
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
        assert_eq!(axis_number(0.3, 0.1), "0.3");
        assert_eq!(axis_number(0.25, 0.05), "0.25");
        assert_eq!(axis_number(50.0, 50.0), "50");
        assert_eq!(axis_number(0.02, 0.02), "0.02");
    }
}
