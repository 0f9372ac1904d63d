//! The line of open runs above everything else: one tab per run, and the way back to the start
//! screen.

use crate::dashboard::kit::lines::look;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::state::run::State;
use egui::{Button, Color32, RichText, Sense, Ui};

/// What was asked for by a click.
pub(crate) enum RunTabs {
    /// Show the run at this place.
    Show(usize),
    /// Close the run at this place.
    Close(usize),
    /// Show the start screen.
    Start,
}

/// Draws the line. `shown` is the place of the run that is shown, if one is.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    runs: &[&State],
    shown: Option<usize>,
    has_start: bool,
) -> Option<RunTabs> {
    let mut asked = None;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        if has_start {
            let button =
                Button::new("Start").selected(shown.is_none()).fill(fill(theme, shown.is_none()));
            if ui.add(button).on_hover_text("Experiments to start and runs to look at").clicked() {
                asked = Some(RunTabs::Start);
            }
        }
        for (place, run) in runs.iter().enumerate() {
            ui.add_space(6.0);
            let info = &run.snapshot.info;
            let (sample, _) = ui.allocate_exact_size(marks::SAMPLE, Sense::hover());
            let (shade, style) = look(run.label.variant);
            marks::paint_line(
                ui.painter(),
                sample,
                theme.method_shade(info.method(), shade),
                style,
            );
            let is_shown = shown == Some(place);
            let color = if is_shown { theme.text_strong } else { theme.text_weak };
            let text = RichText::new(&run.label.name).color(color);
            let button = Button::new(text).selected(is_shown).fill(fill(theme, is_shown));
            let hint = format!("{}, {}", info.method(), info.directory.display());
            if ui.add(button).on_hover_text(hint).clicked() {
                asked = Some(RunTabs::Show(place));
            }
            // A run that trains stays: closing its tab would hide it, not end it.
            let can_close = runs.len() > 1 && (run.is_watched() || run.snapshot.state.is_over());
            if can_close
                && ui
                    .add(Button::new(RichText::new("×").color(theme.text_weak)).frame(false))
                    .accessible_name(format!("Close {}", run.label.name))
                    .on_hover_text("Close this run; its folder stays")
                    .clicked()
            {
                asked = Some(RunTabs::Close(place));
            }
        }
    });
    asked
}

fn fill(theme: &Theme, is_shown: bool) -> Color32 {
    if is_shown { theme.hovered } else { Color32::TRANSPARENT }
}
