//! Asks before a run is stopped: a stopped run has to be taken up again, and a key is soon pressed.

use crate::dashboard::panel::PanelContext;
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::run::State;
use crate::run::{RunState, TrainerCommand};
use egui::{Button, Id, Modal, RichText, Ui};

/// Draws the question where somebody wants to stop the run.
pub(crate) fn show(ui: &Ui, cx: &PanelContext<'_>, state: &mut State) {
    if state.overlay != Overlay::Stop {
        return;
    }
    let theme = cx.theme;
    let is_paused = state.snapshot.state == RunState::Paused;
    let modal = Modal::new(Id::unique("stop")).show(ui.ctx(), |ui| {
        ui.set_width(320.0);
        ui.label(RichText::new(format!("Stop {}?", state.label.name)).color(theme.text_strong));
        ui.label(if is_paused {
            "A checkpoint is written; the run can be resumed from it."
        } else {
            "The current step is finished and a checkpoint written; the run can be resumed from it."
        });
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            let keep = ui.button(if is_paused { "Stay paused" } else { "Continue training" });
            // The key that opened the question must not answer it.
            if ui.memory(|memory| memory.focused().is_none()) {
                keep.request_focus();
            }
            let stop = ui.add(Button::new(RichText::new("Stop the run").color(theme.error)));
            (keep.clicked(), stop.clicked())
        })
        .inner
    });
    let (keep, stop) = modal.inner;
    if stop {
        state.pending.ask(TrainerCommand::Stop);
    }
    if keep || stop || modal.should_close() || state.snapshot.state.is_over() {
        state.overlay = Overlay::Nothing;
    }
}
