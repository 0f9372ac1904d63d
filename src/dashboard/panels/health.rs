//! The health panel: what a person should look after at the step of the cursor, and what the run warned of.

use super::{Tools, caption};
use crate::dashboard::health::{Finding, Level};
use crate::dashboard::state::State;
use crate::dashboard::theme::Theme;
use crate::dashboard::widgets::quantity::Meaning;
use crate::dashboard::{export, format};
use egui::{Frame, Margin, RichText, ScrollArea, Ui, vec2};

/// The least width of a column, points.
const COLUMN: f32 = 420.0;

/// Whether the panel has anything that training suffers from.
pub(crate) fn is_warning(state: &State) -> bool {
    state.findings().iter().any(|finding| finding.level == Level::Warning)
}

/// What there is to look after, as CSV.
pub(crate) fn csv(state: &State) -> String {
    let mut text = String::from("step,finding,detail,advice,metric\n");
    for finding in state.findings() {
        let fields = [finding.title, &finding.detail, finding.advice, finding.metric.name].map(export::field);
        text.push_str(&format!("{},{}\n", state.cursor_step(), fields.join(",")));
    }
    text
}

/// Draws the panel.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    let theme = tools.theme;
    let step = state.cursor_step();
    let findings = state.findings();
    caption(
        ui,
        theme,
        match (step, findings.len()) {
            (0, _) => "The run's health is judged from its first step on.".to_owned(),
            (_, 0) => format!("Nothing to look after at step {}.", format::thousands(step as f64)),
            (_, 1) => format!("One thing to look after at step {}", format::thousands(step as f64)),
            (_, count) => format!("{count} things to look after at step {}", format::thousands(step as f64)),
        },
    );
    let mut wanted = None;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let columns = ((ui.available_width() / COLUMN) as usize).clamp(1, 3);
        ui.columns(columns, |columns| {
            for (place, finding) in findings.iter().enumerate() {
                card(&mut columns[place % columns.len()], theme, finding);
            }
        });
        let warnings = &state.snapshot.warnings;
        if warnings.is_empty() {
            return;
        }
        ui.add_space(8.0);
        caption(ui, theme, "Warnings of the run, newest first; a click shows the step");
        for (at, text) in warnings.iter().rev().take(200) {
            ui.horizontal_top(|ui| {
                let link = ui.link(format!("step {}", format::thousands(*at as f64)));
                if link.clicked() {
                    wanted = Some(*at);
                }
                ui.add(egui::Label::new(text).wrap());
            });
        }
    });
    if let Some(step) = wanted.filter(|&step| step > 0) {
        state.move_to(step);
    }
}

fn card(ui: &mut Ui, theme: &Theme, finding: &Finding) {
    let color = match finding.level {
        Level::Warning => theme.warning,
        Level::Note => theme.text_weak,
    };
    let frame = Frame::new().fill(theme.raised).corner_radius(3.0).inner_margin(Margin::symmetric(10, 8));
    let response = frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing = vec2(8.0, 3.0);
            ui.label(RichText::new(finding.title).color(color));
            ui.label(&finding.detail);
            ui.label(RichText::new(finding.advice).color(theme.text_strong));
        })
        .response;
    Meaning::of(finding.metric.name, finding.metric).on(response, theme);
}
