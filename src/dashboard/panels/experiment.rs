//! The experiment panel: settings that can be changed while the run continues, what happened beside
//! training, and the experiment.

use crate::dashboard::kit::copies::Copy;
use crate::dashboard::kit::format;
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::panel::{Format, Panel, PanelContext, Table};
use crate::dashboard::state::run::State;
use crate::run::{EventKind, LiveSetting};
use egui::{Key, RichText, ScrollArea, TextEdit, Ui, vec2};

/// Width of the settings and events, points.
const SIDE: f32 = 380.0;
/// Width of the settings' names, points.
const NAMES: f32 = 96.0;

/// The panel.
pub(super) struct ExperimentPanel;

impl Panel for ExperimentPanel {
    fn key(&self) -> &'static str {
        "experiment"
    }

    fn title(&self) -> &'static str {
        "Experiment"
    }

    fn format(&self) -> Format {
        Format::Ron
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        show(ui, cx.theme, run);
    }

    fn as_table(&mut self, _cx: &PanelContext<'_>, run: &mut State) -> Table {
        Table { text: run.experiment_text.clone(), what: "the experiment".to_owned() }
    }
}

/// Draws the panel.
fn show(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let free = ui.available_size();
    ui.horizontal_top(|ui| {
        ui.allocate_ui(vec2(SIDE.min(0.5 * free.x), free.y), |ui| {
            ui.vertical(|ui| {
                settings(ui, theme, state);
                ui.add_space(8.0);
                events(ui, theme, state);
            });
        });
        ui.vertical(|ui| {
            ui.horizontal(|ui| {
                caption(ui, theme, "The experiment as it began, with every default written out");
                if ui.button("Copy").on_hover_text("Copy the experiment as RON").clicked() {
                    let text = state.experiment_text.clone();
                    Copy { text, what: "the experiment as RON".to_owned() }.put(ui.ctx());
                }
            });
            ScrollArea::both().id_salt("experiment").auto_shrink([false, false]).show(ui, |ui| {
                let mut text = state.experiment_text.as_str();
                ui.add(
                    TextEdit::multiline(&mut text)
                        .code_editor()
                        .desired_width(f32::INFINITY)
                        .frame(egui::Frame::NONE),
                );
            });
        });
    });
}

fn settings(ui: &mut Ui, theme: &Theme, state: &mut State) {
    let can_edit = !state.is_watched() && !state.snapshot.state.is_over();
    caption(
        ui,
        theme,
        if can_edit {
            "Live settings: Enter applies from the next step on, and events.jsonl notes it"
        } else {
            "Settings that can be changed in the window of a training run, as they are now"
        },
    );
    for setting in LiveSetting::all() {
        let Some(value) = state.live(setting) else { continue };
        let (name, what) = (setting.name(), setting.help());
        ui.horizontal(|ui| {
            let at = ui.cursor().left();
            ui.label(name).on_hover_text(format!("{what}\nField {}", setting.path()));
            ui.add_space((at + NAMES - ui.cursor().left()).max(0.0));
            if can_edit {
                setting_field(ui, theme, state, setting, name, value);
            } else {
                ui.label(RichText::new(setting.text(value)).monospace().color(theme.text_strong));
            }
            let written = setting.of(&state.snapshot.info.began);
            if let Some(written) = written.filter(|written| written.to_bits() != value.to_bits()) {
                caption(ui, theme, format!("was {}", setting.text(written)));
            }
        });
        // Why what was typed does not hold, right below it.
        if let Some(problem) = state.drafts.of(setting).and_then(|draft| draft.problem.as_ref()) {
            let text = RichText::new(format!("{name}: {problem}")).color(theme.error);
            ui.add(egui::Label::new(text).wrap());
        }
    }
}

fn setting_field(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    setting: LiveSetting,
    name: &str,
    value: f64,
) {
    let draft = state.drafts.of(setting).cloned();
    let mut text = draft.as_ref().map_or_else(|| setting.text(value), |draft| draft.text.clone());
    let is_refused = draft.as_ref().is_some_and(|draft| draft.problem.is_some());
    let field =
        TextEdit::singleline(&mut text).min_size(vec2(110.0, 0.0)).font(egui::TextStyle::Monospace);
    let field = if is_refused { field.text_color(theme.error) } else { field };
    let response = ui.add(field.desired_width(110.0)).accessible_name(name);
    if response.changed() {
        state.drafts.write(setting, text);
    }
    if response.lost_focus() {
        let pressed = |key| ui.input(|input| input.key_pressed(key));
        if pressed(Key::Enter) {
            state.send_draft(setting);
        } else if pressed(Key::Escape) {
            state.drafts.forget(setting);
        }
    }
    let note = match state.drafts.of(setting) {
        _ if state.pending.awaits_setting(setting) => "after this step",
        Some(draft) if draft.problem.is_none() => "Enter applies",
        _ => "",
    };
    caption(ui, theme, note);
}

fn events(ui: &mut Ui, theme: &Theme, state: &mut State) {
    caption(ui, theme, "Events, newest first; a click shows the step");
    let mut wanted = None;
    ScrollArea::vertical().id_salt("events").auto_shrink([false, false]).show(ui, |ui| {
        for event in state.snapshot.events.iter().rev().take(500) {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 8.0;
                if ui
                    .link(format!("step {}", format::thousands(event.step as f64)))
                    .on_hover_text(&event.time)
                    .clicked()
                {
                    wanted = Some(event.step);
                }
                let color = match event.kind {
                    EventKind::Warning => theme.warning,
                    EventKind::Error => theme.error,
                    EventKind::Edit(_) => theme.text_strong,
                    _ => theme.text,
                };
                let text = match &event.kind {
                    // The path says no more than the step does.
                    EventKind::Warning
                    | EventKind::Error
                    | EventKind::Edit(_)
                    | EventKind::Other(_) => {
                        format!("{}: {}", event.kind.name(), event.text)
                    }
                    kind => kind.name().to_owned(),
                };
                ui.add(egui::Label::new(RichText::new(text).color(color)).wrap());
            });
        }
    });
    if let Some(step) = wanted.filter(|&step| step > 0) {
        state.cursor.move_to(step);
    }
}
