//! The stages of a step: what each took last time, which one runs now and how far it is.

use crate::dashboard::kit::format;
use crate::dashboard::kit::stages;
use crate::dashboard::kit::theme::{Theme, small_font};
use crate::run::{RunState, Stage, StageProgress, StageTimes};
use egui::text::{LayoutJob, TextWrapping};
use egui::{Rect, Role, Sense, TextStyle, Ui, WidgetInfo, pos2, vec2};
use std::time::Duration;

/// Height of the strip, points.
pub(crate) const HEIGHT: f32 = 28.0;

/// How often a stage of unknown progress moves: seldom, for it is drawn on the processor that
/// trains.
const TICK: Duration = Duration::from_millis(250);

/// Draws the strip over the whole width. Times that were recorded, not measured in this process,
/// are NaN for some stages, and those of Features count Novelty and Advantage too.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    progress: StageProgress,
    times: &StageTimes,
    is_recorded: bool,
    state: &RunState,
) {
    let total: f64 = times.iter().filter(|time| time.is_finite()).sum();
    let width = ui.available_width();
    let (strip, _) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::hover());
    let segment = width / Stage::ALL.len() as f32;
    for (place, (stage, &time)) in Stage::ALL.into_iter().zip(times).enumerate() {
        let left = segment.mul_add(place as f32, strip.left());
        let rect =
            Rect::from_min_max(pos2(left, strip.top()), pos2(left + segment, strip.bottom()))
                .shrink2(vec2(1.0, 0.0));
        let runs = progress.stage == Some(stage) && !state.is_over();
        let is_known = total > 0.0 && time.is_finite();
        let took = match (is_known, total > 0.0) {
            (true, _) => format::duration(time),
            // Of a stage that the record does not tell apart.
            (false, true) => "–".to_owned(),
            (false, false) => String::new(),
        };
        let share = if is_known { time / total } else { 0.0 };
        let response = ui.interact(rect, ui.scope_id().with(("stage", place)), Sense::hover());
        paint_stage(ui, theme, rect, stage, &took, share as f32, runs);
        if runs {
            paint_progress(ui, theme, rect, progress.done);
        }
        let state = if runs { ", running" } else { "" };
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Label, true, format!("Stage {} {took}{state}", stage.name()))
        });
        response.on_hover_ui(|ui| {
            ui.set_max_width(340.0);
            ui.label(egui::RichText::new(stage.name()).color(theme.text_strong));
            ui.label(stages::help(stage));
            if is_known {
                let step = if is_recorded { "the shown step" } else { "the last finished step" };
                ui.label(format!("{took} in {step}, {} of it", format::percent(share)));
            }
            if let Some(metric) = stages::time_metric(stage) {
                let text = format!("recorded as {} in metrics.jsonl", metric.name);
                ui.label(egui::RichText::new(text).small().color(theme.text_weak));
            }
            match stage {
                Stage::Features => {
                    ui.small("In the file with the times of Novelty and Advantage.");
                }
                Stage::Record if is_recorded => {
                    ui.label(
                        "The file is written before this stage is over, so it does not have its \
                         time.",
                    );
                }
                _ => {}
            }
            if let Some(done) = progress.done.filter(|_| runs) {
                ui.label(format!("{} done in the running step", format::percent(f64::from(done))));
            }
        });
    }
    if *state == RunState::Starting && progress.stage.is_none() {
        // No stage is at work while the model loads: the whole strip shows that something is.
        paint_progress(ui, theme, strip, None);
    }
}

fn paint_stage(
    ui: &Ui,
    theme: &Theme,
    rect: Rect,
    stage: Stage,
    took: &str,
    share: f32,
    runs: bool,
) {
    let painter = ui.painter();
    painter.rect_filled(rect, 2.0, if runs { theme.hovered } else { theme.raised });
    let name_color = if runs { theme.text_strong } else { theme.text };
    let font = TextStyle::Body.resolve(ui.style());
    // Names stay within their stages in narrow windows.
    let mut name = LayoutJob::simple_singleline(stage.name().to_owned(), font, name_color);
    name.wrap = TextWrapping::truncate_at_width((rect.width() - 10.0).max(0.0));
    let name = painter.layout_job(name);
    let time = painter.layout_no_wrap(took.to_owned(), small_font(), theme.text_weak);
    let middle = rect.center().y - 1.5;
    let name_end = rect.left() + 8.0 + name.size().x;
    painter.galley(pos2(rect.left() + 8.0, middle - name.size().y / 2.0), name, name_color);
    let time_start = rect.right() - 8.0 - time.size().x;
    if time_start > name_end + 4.0 {
        painter.galley(pos2(time_start, middle - time.size().y / 2.0), time, theme.text_weak);
    }
    // The stage's share of the last step, as a line along the lower edge.
    let line = Rect::from_min_max(pos2(rect.left(), rect.bottom() - 3.0), rect.right_bottom());
    let filled =
        Rect::from_min_size(line.min, vec2(line.width() * share.clamp(0.0, 1.0), line.height()));
    painter.rect_filled(filled, 0.0, theme.missing);
}

fn paint_progress(ui: &Ui, theme: &Theme, rect: Rect, done: Option<f32>) {
    let line = Rect::from_min_max(pos2(rect.left(), rect.bottom() - 3.0), rect.right_bottom());
    let (start, length) = match done {
        Some(done) if done.is_finite() => (0.0, done.clamp(0.0, 1.0)),
        _ => {
            // Unknown progress: a short piece that wanders, slowly enough to cost little.
            ui.ctx().request_repaint_after(TICK);
            let phase = ui.input(|input| input.time / 2.4).fract() as f32;
            (0.75 * (1.0 - (2.0 * phase - 1.0).abs()), 0.25)
        }
    };
    let min = pos2(line.width().mul_add(start, line.left()), line.top());
    ui.painter().rect_filled(
        Rect::from_min_size(min, vec2(line.width() * length, line.height())),
        0.0,
        theme.running,
    );
}
