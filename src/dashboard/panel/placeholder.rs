//! What stands in a panel that lacks what it needs: before the first step, while a step is being
//! read, where it was not recorded.

use crate::dashboard::kit::format;
use crate::dashboard::kit::text::{caption, title};
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::panel::Needs;
use crate::dashboard::state::loader::Absence;
use crate::dashboard::state::run::State;
use crate::run::{RunState, Stage};
use egui::{RichText, Ui};

/// What a panel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The first step is not finished.
    FirstStep,
    /// Nor are its metrics there.
    Metrics,
    /// The step at the cursor has metrics only.
    Record(Absence),
    /// The step at the cursor is being read, and none was before.
    Loading(u64),
    /// The shown step has no groups.
    Group,
}

/// What of `needs` is not there.
pub(super) fn lack(needs: Needs, run: &mut State) -> Option<Lack> {
    let has_step = run.cursor.newest() > 0;
    match needs {
        Needs::Run => return None,
        Needs::Metrics => return (!has_step).then_some(Lack::Metrics),
        Needs::Step | Needs::Group if !has_step => return Some(Lack::FirstStep),
        Needs::Step | Needs::Group => {}
    }
    if let Some(absence) = run.cursor.absence() {
        return Some(Lack::Record(absence.clone()));
    }
    if run.cursor.shown.is_none() {
        return Some(Lack::Loading(run.cursor.at()));
    }
    (needs == Needs::Group && run.geometry().is_none()).then_some(Lack::Group)
}

/// Says what is not there; at length where the panel is the one that explains it.
pub(super) fn show(ui: &mut Ui, theme: &Theme, run: &mut State, lack: &Lack, explains: bool) {
    match lack {
        Lack::FirstStep if explains => before_first_step(ui, theme, run),
        Lack::Record(absence) if explains => no_record(ui, theme, run, absence),
        Lack::FirstStep | Lack::Record(_) => {
            caption(ui, theme, "Nothing to show yet");
        }
        Lack::Metrics => {
            caption(ui, theme, "The first finished step appears here.");
        }
        Lack::Loading(step) => {
            fill(ui, theme, format!("loading step {}", format::thousands(*step as f64)));
        }
        Lack::Group => fill(ui, theme, "The shown step has no groups.".to_owned()),
    }
}

/// Words in a panel that they fill: it would shrink to them and stay so.
fn fill(ui: &mut Ui, theme: &Theme, text: String) {
    caption(ui, theme, text);
    ui.allocate_space(ui.available_size());
}

/// Stands in the middle of the window until the first step is finished.
fn before_first_step(ui: &mut Ui, theme: &Theme, state: &State) {
    let info = &state.snapshot.info;
    let stage = state.snapshot.progress.stage;
    let (heading, text) = match &state.snapshot.state {
        run if state.is_watched() && !run.is_over() => (
            "No step yet",
            "The run folder has no metrics so far. Steps appear here as the run writes them.",
        ),
        RunState::Starting if stage == Some(Stage::Evaluate) => (
            "Evaluating the base model",
            "The model is measured on the held-out problems before training, so that there is \
             something to compare with.",
        ),
        RunState::Starting => (
            "Starting",
            "The model is being loaded. If evaluations are due, the base model is measured next; \
             then the first step runs.",
        ),
        RunState::Training => {
            ("First step running", "The strip above shows which stage is at work.")
        }
        RunState::Paused => ("Paused before the first step", "Resume or run one step to begin."),
        RunState::Finished | RunState::Stopped | RunState::Interrupted => {
            ("No steps", "The run ended before its first step.")
        }
        RunState::Failed { .. } => {
            ("No steps", "The run failed before its first step; the error stands above.")
        }
    };
    ui.add_space((ui.available_height() * 0.28).max(12.0));
    ui.vertical_centered(|ui| {
        ui.set_max_width(460.0);
        title(ui, theme, heading);
        ui.label(text);
        ui.add_space(12.0);
        let facts = [
            ("Model", info.model.as_str()),
            ("Task", &info.task),
            ("Method", info.method()),
            ("Device", &info.device),
        ];
        for (name, value) in facts {
            if !value.is_empty() {
                caption(ui, theme, format!("{name} {value}"));
            }
        }
        ui.add_space(12.0);
        if !state.snapshot.state.is_over() {
            caption(ui, theme, "Groups, cosines and texts appear with the first finished step.");
        }
    });
}

/// Stands in the middle of the window where the step at the cursor has metrics only.
fn no_record(ui: &mut Ui, theme: &Theme, state: &mut State, absence: &Absence) {
    let step = state.cursor.at();
    ui.add_space((ui.available_height() * 0.28).max(12.0));
    ui.vertical_centered(|ui| {
        ui.set_max_width(520.0);
        match absence {
            Absence::NotRecorded { before, after } => {
                title(ui, theme, &format!("Step {step} was not recorded"));
                ui.label(
                    "Its completions and cosines are not in the run folder; its metrics stand in \
                     the curves below.",
                );
                ui.add_space(4.0);
                let every = state.snapshot.info.experiment.record.rollouts_every;
                caption(ui, theme, format!("record.rollouts_every: {every}"));
                ui.add_space(12.0);
                // Centred by hand: rows are laid out from the left.
                let buttons: Vec<u64> = before.iter().chain(after).copied().collect();
                ui.horizontal(|ui| {
                    let width = 132.0 * buttons.len() as f32 - 12.0;
                    ui.spacing_mut().item_spacing.x = 12.0;
                    ui.add_space((ui.available_width() - width) / 2.0);
                    for step in buttons {
                        let button = egui::Button::new(format!("Show step {step}"))
                            .min_size(egui::vec2(120.0, 24.0));
                        if ui.add(button).on_hover_text("The nearest step with a record").clicked()
                        {
                            state.cursor.move_to(step);
                        }
                    }
                });
            }
            Absence::Unreadable(error) => {
                title(ui, theme, &format!("The record of step {step} cannot be read"));
                ui.label(RichText::new(error).monospace().color(theme.error));
                ui.label(
                    "The file is damaged or was changed; other steps and the metrics are not \
                     affected.",
                );
            }
        }
    });
}
