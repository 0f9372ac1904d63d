//! The timeline: the last steps as bands of stages, with what they used of memory, processors and
//! GPU under them.

use crate::dashboard::kit::stages::{BANDS, time_metric};
use crate::dashboard::kit::theme::{LINE_WIDTH, Theme, small_font};
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::dashboard::kit::{export, format};
use crate::dashboard::panel::{Needs, Panel, PanelContext, Table};
use crate::dashboard::state::run::State;
use crate::metrics::{Metric, MetricRow};
use crate::stages::metrics;
use egui::{Align2, Color32, Rect, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

/// A step's band is not drawn narrower than this, points.
const BAND: f32 = 6.0;
/// Steps shown at most.
const STEPS: usize = 240;
/// Height of a line below the bands, with its gap, points.
const LINE: f32 = 44.0;
/// The bands are not drawn lower than this, points; where there is less room, the panel scrolls.
const LOWEST: f32 = 64.0;
/// Free space above the bands and below them, points.
const ABOVE: f32 = 4.0;
const BELOW: f32 = 18.0;
/// Room for the axis at the left, points.
const AXIS: f32 = 64.0;

/// The bands of a step: the stages whose times are recorded, and last what is left of the step.
const PARTS: usize = BANDS.len() + 1;

/// The panel.
pub(super) struct TimelinePanel;

impl Panel for TimelinePanel {
    fn key(&self) -> &'static str {
        "timeline"
    }

    fn title(&self) -> &'static str {
        "Timeline"
    }

    fn needs(&self) -> Needs {
        Needs::Metrics
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        show(ui, cx.theme, run);
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        let steps = format::count(run.snapshot.history.len(), "step", "steps");
        Table { text: csv(run), what: format!("the times of {steps}") }
    }
}

/// What one step cost, seconds: the stages and the rest.
fn parts(row: &MetricRow) -> [f64; PARTS] {
    let mut parts = [0.0; PARTS];
    for (part, stage) in parts.iter_mut().zip(BANDS) {
        let seconds = time_metric(stage).and_then(|metric| row.get(metric));
        *part = seconds.filter(|seconds| seconds.is_finite()).unwrap_or(0.0).max(0.0);
    }
    // The step's own time leaves evaluations out.
    let known: f64 = parts[..BANDS.len() - 1].iter().sum();
    parts[BANDS.len()] = (row.get(&metrics::TIME_STEP_S).unwrap_or(known) - known).max(0.0);
    parts
}

/// What every step cost, as CSV.
fn csv(state: &State) -> String {
    let names: Vec<String> =
        BANDS.iter().map(|stage| format!("{}_s", stage.name().to_lowercase())).collect();
    let mut text =
        format!("step,{},rest_s,resident_mib,cpu_s,gpu_peak_mib,gpu_busy_ratio\n", names.join(","));
    for row in state.snapshot.history.iter() {
        let seconds = parts(row).map(export::number).join(",");
        let of = |metric: &Metric| export::number(row.get(metric).unwrap_or(f64::NAN));
        let used = [
            &metrics::MEMORY_RESIDENT_MIB,
            &metrics::TIME_CPU_S,
            &metrics::MEMORY_GPU_PEAK_MIB,
            &metrics::GPU_BUSY_RATIO,
        ];
        let line = format!("{},{seconds},{}\n", row.step, used.map(of).join(","));
        text.push_str(&line);
    }
    text
}

/// Draws the panel.
fn show(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let newest = state.cursor.newest();
    let free = ui.available_size();
    let count = (((free.x - AXIS) / BAND) as usize).clamp(1, STEPS) as u64;
    // The cursor stays in view.
    let last = state.cursor.at().saturating_add(count / 2).clamp(count.min(newest), newest);
    let first = last.saturating_sub(count - 1).max(1);
    let rows: Vec<&MetricRow> =
        (first..=last).filter_map(|step| state.snapshot.history.at(step)).collect();
    legend(ui, theme, &rows);
    ScrollArea::vertical().id_salt("timeline").auto_shrink([false, false]).show(ui, |ui| {
        chart(ui, theme, state, first, last);
    });
}

/// Draws the steps from `first` to `last`.
fn chart(ui: &mut Ui, theme: &Theme, state: &mut State, first: u64, last: u64) {
    let rows: Vec<&MetricRow> =
        (first..=last).filter_map(|step| state.snapshot.history.at(step)).collect();
    let lines = uses(&rows);
    let below = (lines.len() as f32).mul_add(LINE, BELOW);
    let free = ui.available_size();
    let (rect, response) =
        ui.allocate_exact_size(vec2(free.x, free.y.max(ABOVE + LOWEST + below)), Sense::click());
    response.widget_info(|| {
        WidgetInfo::labeled(
            egui::Role::Image,
            true,
            format!("Time per stage of steps {first} to {last}"),
        )
    });
    let bands = Rect::from_min_max(
        pos2(rect.left() + AXIS, rect.top() + ABOVE),
        pos2(rect.right(), rect.bottom() - below),
    );
    let width = bands.width() / (last - first + 1) as f32;
    let x = |step: u64| width.mul_add((step - first) as f32, bands.left());
    let longest =
        rows.iter().map(|row| parts(row).iter().sum::<f64>()).fold(0.0f64, f64::max).max(1e-9);
    let painter = ui.painter_at(rect);
    let axis_text = |at: egui::Pos2, anchor: Align2, text: String| {
        painter.text(at, anchor, text, small_font(), theme.text_weak);
    };
    axis_text(bands.left_top() - vec2(6.0, 0.0), Align2::RIGHT_TOP, format::duration(longest));
    axis_text(bands.left_bottom() - vec2(6.0, 0.0), Align2::RIGHT_BOTTOM, "0".to_owned());
    painter.hline(bands.x_range(), bands.bottom(), Stroke::new(1.0, theme.grid));
    for row in &rows {
        let mut low = bands.bottom();
        for (part, color) in parts(row).into_iter().zip(colors(theme)) {
            let height = (part / longest) as f32 * bands.height();
            let gap = if width > 4.0 { 1.0 } else { 0.0 };
            let block = Rect::from_min_max(
                pos2(x(row.step), low - height),
                pos2(x(row.step) + width - gap, low),
            );
            painter.rect_filled(block, 0.0, color);
            low -= height;
        }
    }
    let middle = |step: u64| x(step) + width / 2.0;
    for (place, Use { name, top, most, of }) in lines.iter().enumerate() {
        let upper = (place as f32).mul_add(LINE, bands.bottom() + BELOW);
        let line =
            Rect::from_min_max(pos2(bands.left(), upper), pos2(bands.right(), upper + LINE - 10.0));
        let points = rows.iter().map(|row| (middle(row.step), of(row).unwrap_or(f64::NAN) / most));
        trace(&painter, theme, line, name, top.clone(), points);
    }
    let cursor = state.cursor.at();
    if (first..=last).contains(&cursor) {
        painter.vline(middle(cursor), rect.y_range(), Stroke::new(1.0, theme.focus));
    }
    let at = |pointer: egui::Pos2| {
        let step = first + ((pointer.x - bands.left()) / width).max(0.0) as u64;
        step.min(last)
    };
    if response.clicked()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        state.cursor.move_to(at(pointer));
    }
    if let Some(row) =
        response.hover_pos().and_then(|pointer| state.snapshot.history.at(at(pointer)))
    {
        response.on_hover_ui_at_pointer(|ui| explain(ui, theme, row));
    }
}

/// What a step uses of the machine: a line below the bands.
struct Use {
    name: &'static str,
    /// What the upper edge stands for, in words and as a value.
    top: String,
    most: f64,
    of: fn(&MetricRow) -> Option<f64>,
}

/// Processor time over wall time: how many cores were busy.
fn cores_used(row: &MetricRow) -> Option<f64> {
    Some(row.get(&metrics::TIME_CPU_S)? / parts(row).iter().sum::<f64>().max(1e-9))
}

/// The lines: the process's memory and processors, and the GPU's where there is one.
fn uses(rows: &[&MetricRow]) -> Vec<Use> {
    let most = |of: fn(&MetricRow) -> Option<f64>| {
        rows.iter().filter_map(|row| of(row)).fold(0.0f64, f64::max)
    };
    let memory = |name, of: fn(&MetricRow) -> Option<f64>| {
        let most = most(of);
        Use { name, top: format!("{} MiB", format::thousands(most)), most: most.max(1.0), of }
    };
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let cores = most(cores_used).max(cores);
    let mut uses = vec![
        memory("memory", |row| row.get(&metrics::MEMORY_RESIDENT_MIB)),
        Use {
            name: "processor",
            top: format!("{} cores", format::number(cores, 0)),
            most: cores,
            of: cores_used,
        },
    ];
    if rows.iter().any(|row| row.get(&metrics::MEMORY_GPU_PEAK_MIB).is_some()) {
        uses.push(memory("GPU memory", |row| row.get(&metrics::MEMORY_GPU_PEAK_MIB)));
    }
    if rows.iter().any(|row| row.get(&metrics::GPU_BUSY_RATIO).is_some()) {
        let of: fn(&MetricRow) -> Option<f64> = |row| row.get(&metrics::GPU_BUSY_RATIO);
        uses.push(Use { name: "GPU busy", top: "100 %".to_owned(), most: 1.0, of });
    }
    uses
}

fn colors(theme: &Theme) -> [Color32; PARTS] {
    theme.stages()
}

fn legend(ui: &mut Ui, theme: &Theme, rows: &[&MetricRow]) {
    let total: Vec<f64> =
        rows.iter().map(|row| parts(row)).fold(vec![0.0; PARTS], |mut sum, parts| {
            sum.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            sum
        });
    let all: f64 = total.iter().sum::<f64>().max(1e-12);
    ui.horizontal(|ui| {
        let names = BANDS.iter().map(|stage| stage.name()).chain(["Other"]);
        for ((name, color), part) in names.zip(colors(theme)).zip(&total) {
            if *part <= 0.0 {
                continue;
            }
            let (swatch, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
            ui.painter().rect_filled(swatch, 1.0, color);
            let label = ui.label(format!("{name} {}", format::percent(part / all)));
            let metric = BANDS.into_iter().find(|stage| stage.name() == name).and_then(time_metric);
            label.on_hover_ui(|ui| {
                match metric {
                    Some(metric) => Meaning::of(name, metric).show(ui, theme),
                    None => {
                        ui.label("What no stage accounts for: time/step_s less the stages' times.");
                    }
                }
                ui.label(format!("{} in these {} steps", format::duration(*part), rows.len()));
            });
            ui.add_space(4.0);
        }
    });
}

/// A small curve with its name and the value at its upper edge; NaN breaks it.
fn trace(
    painter: &egui::Painter,
    theme: &Theme,
    rect: Rect,
    name: &str,
    top: String,
    points: impl Iterator<Item = (f32, f64)>,
) {
    painter.text(
        rect.left_top() - vec2(6.0, 0.0),
        Align2::RIGHT_TOP,
        top,
        small_font(),
        theme.text_weak,
    );
    painter.text(
        rect.left_bottom() - vec2(6.0, 0.0),
        Align2::RIGHT_BOTTOM,
        name,
        small_font(),
        theme.text_weak,
    );
    painter.hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, theme.grid));
    let mut piece = Vec::new();
    let stroke = Stroke::new(LINE_WIDTH, theme.text);
    let place = |(x, share): (f32, f64)| {
        pos2(x, rect.height().mul_add(-(share.clamp(0.0, 1.0) as f32), rect.bottom()))
    };
    for point in points {
        if point.1.is_finite() {
            piece.push(place(point));
        } else if !piece.is_empty() {
            painter.line(std::mem::take(&mut piece), stroke);
        }
    }
    match piece.as_slice() {
        [] => {}
        [only] => {
            painter.circle_filled(*only, LINE_WIDTH, theme.text);
        }
        _ => {
            painter.line(piece, stroke);
        }
    }
}

fn explain(ui: &mut Ui, theme: &Theme, row: &MetricRow) {
    ui.set_max_width(340.0);
    ui.label(
        egui::RichText::new(format!("Step {}", format::thousands(row.step as f64)))
            .color(theme.text_strong),
    );
    let names = BANDS.iter().map(|stage| stage.name()).chain(["Other"]);
    let all = parts(row);
    let total: f64 = all.iter().sum::<f64>().max(1e-12);
    for (name, part) in names.zip(all).filter(|(_, part)| *part > 0.0) {
        ui.label(format!("{name} {}, {}", format::duration(part), format::percent(part / total)));
    }
    if let Some(memory) = row.get(&metrics::MEMORY_RESIDENT_MIB) {
        ui.label(format!("Resident memory {} MiB", format::thousands(memory)));
    }
    if let Some(used) = cores_used(row) {
        ui.label(format!("{} cores busy on average", format::number(used, 2)));
    }
    if let Some(memory) = row.get(&metrics::MEMORY_GPU_PEAK_MIB) {
        ui.label(format!("At most {} MiB of tensors on the GPU", format::thousands(memory)));
    }
    if let Some(share) = row.get(&metrics::GPU_BUSY_RATIO) {
        ui.label(format!("The GPU computed for {} of the time", format::percent(share)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gpu_has_lines_where_there_is_one() {
        let row = |step: u64, values: Vec<(&'static Metric, f64)>| MetricRow {
            step,
            wall_s: 0.0,
            values,
        };
        let cpu = row(1, vec![(&metrics::TIME_STEP_S, 2.0), (&metrics::TIME_CPU_S, 3.0)]);
        let names =
            |rows: &[&MetricRow]| uses(rows).iter().map(|line| line.name).collect::<Vec<_>>();
        assert_eq!(names(&[&cpu]), ["memory", "processor"]);
        assert!((cores_used(&cpu).unwrap() - 1.5).abs() < 1e-12);
        let gpu =
            row(2, vec![(&metrics::MEMORY_GPU_PEAK_MIB, 2048.0), (&metrics::GPU_BUSY_RATIO, 0.75)]);
        assert_eq!(names(&[&cpu, &gpu]), ["memory", "processor", "GPU memory", "GPU busy"]);
        let lines = uses(&[&cpu, &gpu]);
        assert_eq!(lines[2].top, "2,048 MiB");
        assert!(((lines[3].of)(&gpu).unwrap() / lines[3].most - 0.75).abs() < 1e-12);
    }

    #[test]
    fn what_no_stage_accounts_for_is_other_and_evaluations_are_beside_the_step() {
        let values = vec![
            (&metrics::TIME_SAMPLE_S, 1.0),
            (&metrics::TIME_UPDATE_S, 2.0),
            (&metrics::TIME_EVALUATE_S, 5.0),
            (&metrics::TIME_STEP_S, 3.5),
        ];
        let row = MetricRow { step: 1, wall_s: 0.0, values };
        assert_eq!(
            parts(&row).map(f64::to_bits),
            [1.0f64, 0.0, 0.0, 2.0, 5.0, 0.5].map(f64::to_bits)
        );
        let missing =
            MetricRow { step: 1, wall_s: 0.0, values: vec![(&metrics::TIME_SAMPLE_S, f64::NAN)] };
        assert_eq!(parts(&missing).map(f64::to_bits), [0.0f64; 6].map(f64::to_bits));
    }
}
