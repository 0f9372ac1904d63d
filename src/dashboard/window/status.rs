//! The status line: what to look after and what has just happened at the left, the run folder at
//! the right.

use crate::dashboard::kit::copies::Copy;
use crate::dashboard::kit::format;
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::panel::PanelContext;
use crate::dashboard::state::pending::{HEALTH, Request};
use crate::dashboard::state::run::State;
use egui::{Label, RichText, ScrollArea, Ui};
use std::time::Duration;

/// Warnings that are listed, at most.
const LISTED: usize = 200;

/// Draws the line.
pub(crate) fn show(ui: &mut Ui, cx: &PanelContext<'_>, state: &mut State) {
    let theme = cx.theme;
    ui.horizontal_centered(|ui| {
        let end = Trailing::of(ui, "folder");
        ui.scope(|ui| {
            ui.set_max_width(end.room(ui));
            concerns(ui, cx, state);
            news(ui, cx, state);
        });
        let most = (0.35 * ui.ctx().content_rect().width()).max(120.0);
        end.show(ui, |ui| {
            if let Some(step) = state.snapshot.checkpoints.last() {
                caption(ui, theme, format!("last checkpoint at step {step}"));
            }
            let folder = state.snapshot.info.directory.display().to_string();
            if folder.is_empty() {
                return;
            }
            let text = RichText::new(&folder).small().color(theme.text_weak);
            ui.scope(|ui| {
                ui.set_max_width(most);
                ui.add(Label::new(text).truncate());
            });
            if ui.small_button("Copy path").on_hover_text("Copy the run folder's path").clicked() {
                Copy { text: folder, what: "the run folder's path".to_owned() }.put(ui.ctx());
            }
        });
    });
}

/// How much there is to look after: what the newest steps show, and what the run warned of.
fn concerns(ui: &mut Ui, cx: &PanelContext<'_>, state: &mut State) {
    let theme = cx.theme;
    let findings = state.findings().count();
    let warnings = &state.snapshot.warnings;
    if findings == 0 && warnings.is_empty() {
        caption(ui, theme, "No warnings");
    }
    if findings > 0 {
        let color = state.urgency().map_or(theme.warning, |level| level.color(theme));
        let text =
            RichText::new(format::count(findings, "thing to look after", "things to look after"))
                .color(color);
        if ui.button(text).on_hover_text("Show health").clicked() {
            state.pending.request(Request::ShowPanel(HEALTH));
        }
    }
    if !warnings.is_empty() {
        let text = RichText::new(format::count(warnings.len(), "warning", "warnings"))
            .color(theme.warning);
        ui.menu_button(text, |ui| {
            ui.set_min_width(420.0);
            ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
                for (step, text) in warnings.iter().rev().take(LISTED) {
                    ui.label(RichText::new(format!("Step {step}")).small().color(theme.text_weak));
                    ui.label(text);
                }
            });
        });
    }
}

/// What has just happened; else the newest warning.
fn news(ui: &mut Ui, cx: &PanelContext<'_>, state: &State) {
    let theme = cx.theme;
    if let Some((told, rest)) = state.messages.current() {
        let color = if told.is_problem { theme.warning } else { theme.text_strong };
        ui.add(Label::new(RichText::new(&told.text).color(color)).truncate());
        ui.ctx().request_repaint_after(Duration::from_secs_f64(rest.max(0.1)));
    } else if let Some((step, text)) = state.snapshot.warnings.last() {
        let line = format!("step {step}: {}", format::one_line(text, 240));
        ui.add(Label::new(RichText::new(line).color(theme.text)).truncate());
    }
}
