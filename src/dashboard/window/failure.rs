//! What stands above the panels when a run has failed.

use crate::dashboard::kit::copies::Copy;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::panel::PanelContext;
use crate::dashboard::state::run::State;
use egui::{Frame, Margin, RichText, ScrollArea, Stroke, Ui};

/// The error of a failed run in full, and what to try.
pub(crate) fn show(ui: &mut Ui, cx: &PanelContext<'_>, state: &State, message: &str) {
    let theme = cx.theme;
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
        ScrollArea::vertical().id_salt("error").max_height(120.0).auto_shrink([false, true]).show(
            ui,
            |ui| {
                ui.add(
                    egui::Label::new(RichText::new(message).monospace().color(theme.text_strong))
                        .wrap(),
                );
            },
        );
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

/// What to try after a failure, from what the error says and what there is to continue from.
fn advice(state: &State, message: &str) -> Vec<String> {
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let mut advice = Vec::new();
    if says(&["out of memory", "out_of_memory", "alloc"]) {
        advice.push(
            "Try fewer prompts or rollouts per step, shorter completions, or a smaller batch for \
             the update."
                .to_owned(),
        );
    }
    if says(&["nan", "not finite", "non-finite", "infinite"]) {
        advice.push(
            "Try a lower learning rate, a longer warm-up or stronger gradient clipping.".to_owned(),
        );
    }
    if says(&["no space", "permission denied", "read-only"]) {
        advice.push("Make room or get write access for the run folder, then resume.".to_owned());
    }
    let directory = state.snapshot.info.directory.display().to_string();
    match state.snapshot.checkpoints.last() {
        Some(step) => {
            advice
                .push(format!("Continue from step {step} with  orthant run --resume {directory}"));
        }
        None => {
            advice.push(
                "There is no checkpoint yet: start the experiment again once the cause is mended."
                    .to_owned(),
            );
        }
    }
    advice
}
