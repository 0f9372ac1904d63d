//! How often each problem was solved over the run: a table with the solve rate at every step that
//! met it.

use crate::dashboard::kit::format;
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::{LINE_WIDTH, Theme};
use crate::dashboard::panels::rollouts::problem_reader::{
    ProblemHistory, ProblemReader, ProblemTable,
};
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::Place;
use egui::{Align, Context, Label, Layout, RichText, Sense, Stroke, Ui, pos2, vec2};
use egui_extras::{Column, TableBuilder};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What has been read shares frames with the run's snapshots, so that drawing leaves the processor
/// to training.
const READING_DELAY: Duration = Duration::from_millis(40);
/// Height of a row, points.
const ROW: f32 = 20.0;
/// Width of the solve rates over steps, points.
const COURSE: f32 = 180.0;

/// What is kept of a run.
#[derive(Clone, Default)]
pub(super) struct Problems {
    /// How often each problem was solved, as far as it has been read.
    pub(super) table: Arc<ProblemTable>,
    /// Who reads it, and the generation of the run's steps that it is about.
    reader: Option<(u64, Rc<RefCell<ProblemReader>>)>,
}

/// How often each problem of `run` was solved. It is read from the first time on that somebody
/// wants to see it.
fn read(ctx: &Context, run: &mut State) -> Arc<ProblemTable> {
    let mut problems: Problems = run.notes.get();
    let generation = run.snapshot.generation;
    if problems.reader.as_ref().is_none_or(|(of, _)| *of != generation) {
        let wake = ctx.clone();
        let reader = ProblemReader::start(&run.snapshot.info.directory, move || {
            wake.request_repaint_after(READING_DELAY);
        });
        problems = Problems {
            reader: reader.ok().map(|reader| (generation, Rc::new(RefCell::new(reader)))),
            ..Problems::default()
        };
    }
    if let Some((_, reader)) = &problems.reader {
        problems.table = reader.borrow_mut().get(run.cursor.newest());
    }
    let table = Arc::clone(&problems.table);
    run.notes.set(problems);
    table
}

/// Draws the table of those that `search` lets through.
pub(super) fn show(ui: &mut Ui, theme: &Theme, state: &mut State, search: &str) {
    let table = read(ui.ctx(), state);
    let wanted = search.trim().to_lowercase();
    let finds = |problem: &&ProblemHistory| {
        wanted.is_empty()
            || problem.id.to_lowercase().contains(&wanted)
            || problem.prompt.to_lowercase().contains(&wanted)
    };
    let rows: Vec<&ProblemHistory> = table.problems.iter().filter(finds).collect();
    ui.horizontal(|ui| {
        let known = format!(
            "{} of {} problems, {} recorded steps read{}",
            format::thousands(rows.len() as f64),
            format::thousands(table.problems.len() as f64),
            format::thousands(table.steps as f64),
            if table.is_reading { ", reading on" } else { "" }
        );
        caption(ui, theme, known);
        if let Some(error) = &table.error {
            ui.label(RichText::new(format::one_line(error, 120)).small().color(theme.error));
        }
    });
    if rows.is_empty() {
        if !table.is_reading && table.steps == 0 {
            caption(
                ui,
                theme,
                "Problems appear here once a step's rollouts are recorded (record.rollouts_every).",
            );
        }
        return;
    }
    let newest = state.cursor.newest().max(1);
    let mut go = None;
    let text = |ui: &mut Ui, text: String| {
        ui.add(Label::new(RichText::new(text).color(theme.text_strong)).selectable(false));
    };
    TableBuilder::new(ui)
        .id_salt("problems")
        .striped(true)
        .sense(Sense::click())
        .auto_shrink(false)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::exact(44.0))
        .column(Column::exact(56.0))
        .column(Column::exact(56.0))
        .column(Column::exact(COURSE + 12.0))
        .column(Column::remainder().clip(true))
        .header(ROW, |mut header| {
            for (name, help) in [
                ("met", "Groups of this problem in the recorded steps"),
                ("solved", "Share of correct completions over all of them"),
                ("gain", "Solve rate when it was met last, less that when it was met first"),
                ("solve rate over steps", "From the first to the newest step, 0 below and 1 above"),
                ("problem", "Its prompt. Click to go to the step that met it last"),
            ] {
                header.col(|ui| {
                    ui.label(RichText::new(name).small().color(theme.text_weak))
                        .on_hover_text(help);
                });
            }
        })
        .body(|body| {
            body.rows(ROW, rows.len(), |mut row| {
                let problem = rows[row.index()];
                row.col(|ui| text(ui, format::thousands(problem.attempts.len() as f64)));
                row.col(|ui| text(ui, format::percent(problem.rate())));
                row.col(|ui| {
                    let gain = 100.0 * problem.gain();
                    text(
                        ui,
                        if problem.attempts.len() > 1 {
                            format::signed(gain, 0)
                        } else {
                            String::new()
                        },
                    );
                });
                row.col(|ui| course(ui, theme, problem, newest));
                row.col(|ui| {
                    let prompt = RichText::new(&problem.prompt).monospace().color(theme.text);
                    ui.add(Label::new(prompt).truncate().selectable(false));
                });
                let response = row.response();
                let name = format!("Problem {}", problem.id);
                response
                    .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Row, true, name.clone()));
                if response.clicked() {
                    go = problem.attempts.last().copied();
                }
            });
        });
    if let Some(attempt) = go {
        state.cursor.move_to(attempt.step);
        state.choose_when_shown(attempt.step, Place { group: attempt.group as usize, index: 0 });
    }
}

/// The solve rates of a problem as dots over the steps.
fn course(ui: &mut Ui, theme: &Theme, problem: &ProblemHistory, newest: u64) {
    let (rect, _) = ui.allocate_exact_size(vec2(COURSE, ROW - 4.0), Sense::hover());
    let painter = ui.painter_at(rect.expand(2.0));
    painter.hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, theme.grid));
    let at = |step: u64, rate: f64| {
        let x = (step.saturating_sub(1)) as f32 / (newest.saturating_sub(1)).max(1) as f32;
        pos2(x.mul_add(rect.width(), rect.left()), rect.bottom() - rate as f32 * rect.height())
    };
    let points: Vec<_> =
        problem.attempts.iter().map(|attempt| at(attempt.step, attempt.rate())).collect();
    painter.line(points.clone(), Stroke::new(LINE_WIDTH, theme.text_weak));
    for (point, attempt) in points.into_iter().zip(&problem.attempts).take(200) {
        let color = if attempt.correct > 0 { theme.correct } else { theme.wrong };
        painter.circle_filled(point, 2.0, color);
    }
}
