//! The change between dark and light.

use egui::{Button, Ui};

/// The button that changes between dark and light.
pub(crate) fn theme_button(ui: &mut Ui) {
    let text = if ui.ctx().theme() == egui::Theme::Dark { "Light" } else { "Dark" };
    if ui.add(Button::new(text)).on_hover_text("Change between dark and light").clicked() {
        change_theme(ui.ctx());
    }
}

/// Changes between dark and light.
pub(crate) fn change_theme(ctx: &egui::Context) {
    ctx.set_theme(match ctx.theme() {
        egui::Theme::Dark => egui::Theme::Light,
        egui::Theme::Light => egui::Theme::Dark,
    });
}
