//! The completions of the step: a table beside a scatter plot and the chosen completion in full; or
//! problems over time.

mod controls;
mod detail;
mod plane;
mod problem_reader;
mod problems;
mod rows;
mod scatter;
mod table;

use crate::dashboard::kit::cached::{Cached, Same};
use crate::dashboard::kit::{completions, format};
use crate::dashboard::panel::{Needs, Panel, PanelContext, Table};
use crate::dashboard::state::run::State;
use crate::run::StepView;
use egui::{Rect, Sense, Ui, UiBuilder, pos2};
use problems::Problems;
use rows::{RolloutChoices, Rows};
use std::sync::Arc;

/// Width of the completion in full, points.
const DETAIL: f32 = 340.0;
/// The scatter plot is not drawn narrower than this, points.
const SCATTER: f32 = 170.0;
/// Gap between the parts, points.
const GAP: f32 = 10.0;

/// The panel, with what is chosen in it.
#[derive(Default)]
pub(super) struct RolloutsPanel {
    choices: RolloutChoices,
    rows: Cached<(Same<StepView>, usize, RolloutChoices), Arc<Rows>>,
}

/// Whether a run was the shown one in the last frame.
#[derive(Clone, Copy, Default)]
struct WasShown(bool);

impl Panel for RolloutsPanel {
    fn key(&self) -> &'static str {
        "rollouts"
    }

    fn title(&self) -> &'static str {
        "Rollouts"
    }

    fn needs(&self) -> Needs {
        if self.choices.shows_problems { Needs::Run } else { Needs::Step }
    }

    fn prepare(&mut self, run: &mut State, others: &mut [&mut State]) {
        // A brush lies over the values of one run, and goes where another is shown.
        if !run.notes.get::<WasShown>().0 {
            self.choices.brush = None;
        }
        run.notes.set(WasShown(true));
        for other in others.iter_mut() {
            other.notes.set(WasShown(false));
        }
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        let rows = self.rows(run);
        controls::show(ui, cx.theme, &mut self.choices, &rows);
        if self.choices.shows_problems {
            return problems::show(ui, cx.theme, run, &self.choices.text);
        }
        if let Some(view) = run.cursor.shown.clone() {
            self.parts(ui, cx, run, &view);
        }
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        if self.choices.shows_problems {
            let text = problem_reader::csv(&run.notes.get::<Problems>().table);
            let what = format::count(text.lines().count().saturating_sub(1), "problem", "problems");
            return Table { text, what };
        }
        let rows = self.rows(run);
        let Some(view) = &run.cursor.shown else { return Table::default() };
        let listed = rows.listed.iter().map(|place| (&view.groups[place.group], place.index));
        let [count, step] = [rows.listed.len() as f64, view.step as f64].map(format::thousands);
        Table {
            text: completions::csv(view.step, listed),
            what: format!("{count} completions of step {step}"),
        }
    }
}

impl RolloutsPanel {
    /// The completions that are listed.
    fn rows(&mut self, run: &State) -> Arc<Rows> {
        let Some(view) = &run.cursor.shown else { return Arc::default() };
        let key = (Same(Arc::clone(view)), run.selection.group, self.choices.clone());
        self.rows.get(key, || Arc::new(Rows::new(view, run.selection.group, &self.choices)))
    }

    /// Table, scatter plot and completion beside each other, as far as there is room.
    fn parts(&mut self, ui: &mut Ui, cx: &PanelContext<'_>, run: &mut State, view: &StepView) {
        let theme = cx.theme;
        let all = ui.available_rect_before_wrap();
        let detail = if all.width() >= 900.0 { (0.3 * all.width()).max(DETAIL) } else { 0.0 };
        let left = all.width() - detail - if detail > 0.0 { GAP } else { 0.0 };
        let plot = if left >= 480.0 {
            (0.32 * left).clamp(SCATTER, (all.height() * 1.6).max(SCATTER))
        } else {
            0.0
        };
        let table = left - plot - if plot > 0.0 { GAP } else { 0.0 };
        let part = |from: f32, width: f32| {
            Rect::from_min_max(
                pos2(all.left() + from, all.top()),
                pos2(all.left() + from + width, all.bottom()),
            )
        };
        let inside = |ui: &mut Ui, name: &str, rect: Rect| {
            let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(name));
            child.set_clip_rect(rect.intersect(ui.clip_rect()));
            child
        };

        let shown = run.shown_rollout();
        let rows = self.rows(run);
        let choices = &mut self.choices;
        table::show(
            &mut inside(ui, "table", part(0.0, table)),
            theme,
            run,
            (view, &rows),
            choices,
            shown,
        );
        if plot > 0.0 {
            let rows = self.rows(run);
            let ui = &mut inside(ui, "scatter", part(table + GAP, plot));
            plane::show(ui, theme, run, (view, &rows), &mut self.choices, shown);
        }
        if detail > 0.0 {
            let ui = &mut inside(ui, "detail", part(left + GAP, detail));
            detail::show(ui, theme, run, view, &mut self.choices.shading, shown);
        }
        ui.allocate_rect(all, Sense::hover());
    }
}
