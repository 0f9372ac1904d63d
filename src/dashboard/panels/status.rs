//! The status line: warnings at the left, the run folder at the right.

use super::{Tools, caption};
use crate::dashboard::format;
use crate::dashboard::state::State;
use egui::{Align, Label, Layout, RichText, ScrollArea, Ui};
use std::sync::PoisonError;

/// Draws the line.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &State) {
    let theme = tools.theme;
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let folder = state.snapshot.info.directory.display().to_string();
            if !folder.is_empty() {
                let copy = ui.small_button("Copy path").on_hover_text("Copy the run folder's path");
                if copy.clicked() {
                    ui.ctx().copy_text(folder.clone());
                }
                ui.scope(|ui| {
                    ui.set_max_width((0.45 * ui.available_width()).max(120.0));
                    let text = RichText::new(folder).small().color(theme.text_weak);
                    ui.add(Label::new(text).truncate());
                });
            }
            if let Some(step) = state.snapshot.checkpoints.last() {
                caption(ui, theme, format!("last checkpoint at step {step}"));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| warnings(ui, tools, state));
        });
    });
}

fn warnings(ui: &mut Ui, tools: &Tools<'_>, state: &State) {
    let theme = tools.theme;
    if let Some(refused) = &state.refused {
        ui.add(Label::new(RichText::new(refused).color(theme.warning)).truncate());
        return;
    }
    if let Some(told) = state.export.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        let (text, color) = match told {
            Ok(text) => (text, theme.text),
            Err(text) => (text, theme.error),
        };
        ui.add(Label::new(RichText::new(text).color(color)).truncate());
        return;
    }
    let warnings = &state.snapshot.warnings;
    let Some((step, text)) = warnings.last() else {
        caption(ui, theme, "No warnings");
        return;
    };
    let count = if warnings.len() == 1 { "1 warning".to_owned() } else { format!("{} warnings", warnings.len()) };
    ui.menu_button(RichText::new(count).color(theme.warning), |ui| {
        ui.set_min_width(420.0);
        ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
            for (step, text) in warnings.iter().rev() {
                ui.label(RichText::new(format!("Step {step}")).small().color(theme.text_weak));
                ui.label(text);
            }
        });
    });
    let line = format!("step {step}: {}", format::one_line(text, 240));
    ui.add(Label::new(RichText::new(line).color(theme.text)).truncate());
}
