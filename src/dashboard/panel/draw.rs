//! A panel as the dock shows it: itself, or what it lacks.

use crate::dashboard::kit::copies::Copy;
use crate::dashboard::panel::{Needs, Panel, PanelContext, Table, placeholder};
use crate::dashboard::state::run::State;
use egui::Ui;

/// Draws `panel`, or says what it lacks.
pub(crate) fn show(panel: &mut dyn Panel, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
    let needs = panel.needs();
    // What is older than the cursor is drawn fainter while the step at the cursor is being read.
    if matches!(needs, Needs::Step | Needs::Group) && run.cursor.loading().is_some() {
        ui.set_opacity(0.6);
    }
    match placeholder::lack(needs, run) {
        Some(lack) => placeholder::show(ui, cx.theme, run, &lack, panel.explains_absence()),
        None => panel.ui(ui, cx, run),
    }
}

/// What `panel` shows, for the clipboard.
pub(crate) fn copy(panel: &mut dyn Panel, cx: &PanelContext<'_>, run: &mut State) -> Copy {
    let Table { text, what } = match placeholder::lack(panel.needs(), run) {
        Some(_) => Table { text: String::new(), what: panel.title().to_lowercase() },
        None => panel.as_table(cx, run),
    };
    Copy { what: format!("{what} as {}", panel.format().name()), text }
}
