//! What stands above the panels when a run has failed, and in place of them where a step has nothing to show.

use crate::dashboard::kit::copies::Copy;
use crate::dashboard::kit::text::{caption, title};
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::panels::Tools;
use crate::dashboard::state::loader::Absence;
use crate::dashboard::state::run::State;
use crate::run::{RunState, Stage};
use egui::{Frame, Margin, RichText, ScrollArea, Stroke, Ui};

/// The error of a failed run in full, and what to try.
pub(crate) fn failure(ui: &mut Ui, tools: &Tools<'_>, state: &State, message: &str) {
    let theme = tools.theme;
    let frame = Frame::new()
        .fill(theme.error_surface)
        .stroke(Stroke::new(1.0, theme.error))
        .corner_radius(3.0)
        .inner_margin(Margin::symmetric(12, 8));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            let step = state.snapshot.step;
            let heading = if step == 0 {
                "The run failed before its first step".to_owned()
            } else {
                format!("The run failed in step {}", step + 1)
            };
            ui.label(RichText::new(heading).color(theme.error));
            Trailing::of(ui, "copy").show(ui, |ui| {
                if ui.button("Copy error").clicked() {
                    Copy { text: message.to_owned(), what: "the error".to_owned() }.put(ui.ctx());
                }
            });
        });
        ScrollArea::vertical().id_salt("error").max_height(120.0).auto_shrink([false, true]).show(ui, |ui| {
            ui.add(egui::Label::new(RichText::new(message).monospace().color(theme.text_strong)).wrap());
        });
        ui.add_space(2.0);
        for advice in advice(state, message) {
            // A command is written so that it can be typed again.
            match advice.split_once("  ") {
                Some((words, command)) => {
                    ui.horizontal(|ui| {
                        ui.label(RichText::new(words).color(theme.text));
                        ui.label(RichText::new(command).monospace().color(theme.text_strong));
                    });
                }
                None => {
                    ui.label(RichText::new(advice).color(theme.text));
                }
            }
        }
    });
}

/// What to try after a failure, from what the error says and what there is to go on from.
fn advice(state: &State, message: &str) -> Vec<String> {
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let mut advice = Vec::new();
    if says(&["out of memory", "out_of_memory", "alloc"]) {
        advice.push(
            "Try fewer prompts or rollouts per step, shorter completions, or a smaller batch for the update."
                .to_owned(),
        );
    }
    if says(&["nan", "not finite", "non-finite", "infinite"]) {
        advice.push("Try a lower learning rate, a longer warm-up or stronger gradient clipping.".to_owned());
    }
    if says(&["no space", "permission denied", "read-only"]) {
        advice.push("Make room or get write access for the run folder, then resume.".to_owned());
    }
    let directory = state.snapshot.info.directory.display().to_string();
    match state.snapshot.checkpoints.last() {
        Some(step) => advice.push(format!("Go on from step {step} with  orthant run --resume {directory}")),
        None => {
            advice.push("There is no checkpoint yet: start the experiment again once the cause is mended.".to_owned());
        }
    }
    advice
}

/// Stands in the middle of the window until the first step is finished.
pub(crate) fn before_first_step(ui: &mut Ui, tools: &Tools<'_>, state: &State) {
    let theme = tools.theme;
    let info = &state.snapshot.info;
    let stage = state.snapshot.progress.stage;
    let (heading, text) = match &state.snapshot.state {
        run if state.is_watched() && !run.is_over() => {
            ("No step yet", "The run folder has no metrics so far. Steps appear here as the run writes them.")
        }
        RunState::Starting if stage == Some(Stage::Evaluate) => (
            "Evaluating the base model",
            "The model is measured on the held-out problems before training, so that there is something to compare with.",
        ),
        RunState::Starting => (
            "Starting",
            "The model is being loaded. If evaluations are due, the base model is measured next; then the first step runs.",
        ),
        RunState::Training => ("First step running", "The strip above shows which stage is at work."),
        RunState::Paused => ("Paused before the first step", "Resume or run one step to begin."),
        RunState::Finished | RunState::Stopped | RunState::Interrupted => {
            ("No steps", "The run ended before its first step.")
        }
        RunState::Failed { .. } => ("No steps", "The run failed before its first step; the error stands above."),
    };
    ui.add_space((ui.available_height() * 0.28).max(12.0));
    ui.vertical_centered(|ui| {
        ui.set_max_width(460.0);
        title(ui, theme, heading);
        ui.label(text);
        ui.add_space(12.0);
        let facts =
            [("Model", info.model.as_str()), ("Task", &info.task), ("Method", info.method()), ("Device", &info.device)];
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
pub(crate) fn no_record(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let step = state.cursor_step();
    let Some(absence) = state.absence().cloned() else { return };
    ui.add_space((ui.available_height() * 0.28).max(12.0));
    ui.vertical_centered(|ui| {
        ui.set_max_width(520.0);
        match absence {
            Absence::NotRecorded { before, after } => {
                title(ui, theme, &format!("Step {step} was not recorded"));
                ui.label(
                    "Its completions and cosines are not in the run folder; its metrics stand in the curves below.",
                );
                ui.add_space(4.0);
                let every = state.snapshot.info.experiment.record.rollouts_every;
                caption(ui, theme, format!("record.rollouts_every: {every}"));
                ui.add_space(12.0);
                // Centred by hand: rows are laid out from the left.
                let buttons: Vec<u64> = before.into_iter().chain(after).collect();
                ui.horizontal(|ui| {
                    let width = 132.0 * buttons.len() as f32 - 12.0;
                    ui.spacing_mut().item_spacing.x = 12.0;
                    ui.add_space((ui.available_width() - width) / 2.0);
                    for step in buttons {
                        let button = egui::Button::new(format!("Show step {step}")).min_size(egui::vec2(120.0, 24.0));
                        if ui.add(button).on_hover_text("The nearest step with a record").clicked() {
                            state.move_to(step);
                        }
                    }
                });
            }
            Absence::Unreadable(error) => {
                title(ui, theme, &format!("The record of step {step} cannot be read"));
                ui.label(RichText::new(error).monospace().color(theme.error));
                ui.label("The file is damaged or was changed; other steps and the metrics are not affected.");
            }
        }
    });
}
