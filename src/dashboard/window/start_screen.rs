//! The start screen: experiments to start at the left, past runs to look at or continue at the
//! right.

use crate::dashboard::kit::format;
use crate::dashboard::kit::text::{caption, title};
use crate::dashboard::kit::theme::{SMALL_SIZE, Theme};
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::runs::editor::Editor;
use crate::dashboard::runs::opener::Opener;
use crate::dashboard::runs::past_run::{PastRun, PastState};
use crate::dashboard::runs::start::Start;
use crate::dashboard::state::standing::{NO_CHECKPOINT, Resumption};
use crate::dashboard::window::theme_button::theme_button;
use crate::run::RecordedState;
use crate::trainer::RunBuilder;
use egui::{Button, Frame, Label, Margin, RichText, ScrollArea, Sense, TextEdit, Ui, vec2};
use std::sync::Arc;

/// Draws the screen.
pub(crate) fn show(ui: &mut Ui, theme: &Theme, start: &mut Start, opener: &mut Opener) {
    start.keep_reading();
    ui.horizontal(|ui| {
        title(ui, theme, "Orthant");
        caption(ui, theme, "watch a language model learn to reason");
        Trailing::of(ui, "window").show(ui, |ui| {
            if opener.is_opening() {
                ui.spinner();
                ui.label("Loading…");
            }
            if ui
                .button("Read again")
                .on_hover_text("Look for experiments and runs again")
                .clicked()
            {
                start.read_again();
            }
            theme_button(ui);
        });
    });
    if let Some(error) = start.error.clone() {
        let frame = Frame::new()
            .fill(theme.error_surface)
            .corner_radius(3.0)
            .inner_margin(Margin::symmetric(10, 6));
        frame.show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.set_width(ui.available_width());
                let end = Trailing::of(ui, "dismiss");
                ui.scope(|ui| {
                    ui.set_max_width(end.room(ui));
                    ui.add(Label::new(RichText::new(error).color(theme.text_strong)).wrap());
                });
                if end.show(ui, |ui| ui.button("Dismiss").clicked()) {
                    start.error = None;
                }
            });
        });
    }
    ui.add_space(8.0);
    let free = ui.available_size();
    let gap = 16.0;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        let half = (free.x - gap) / 2.0;
        ui.allocate_ui(vec2(half, free.y), |ui| {
            ui.vertical(|ui| {
                ui.set_width(half);
                experiments(ui, theme, start, opener);
            });
        });
        ui.vertical(|ui| {
            ui.set_width(half);
            runs(ui, theme, start, opener);
        });
    });
}

fn experiments(ui: &mut Ui, theme: &Theme, start: &mut Start, opener: &mut Opener) {
    ui.horizontal(|ui| {
        title(ui, theme, "Experiments");
        caption(ui, theme, start.places().experiments.display().to_string());
    });
    if start.found.experiments.is_empty() && start.editor.is_none() {
        if !start.is_reading() {
            no_experiments(ui, theme, start);
        }
        return;
    }
    let list_height =
        if start.editor.is_some() { 0.36 * ui.available_height() } else { ui.available_height() };
    let found = Arc::clone(&start.found);
    let mut chosen = None;
    ScrollArea::vertical()
        .id_salt("experiments")
        .max_height(list_height)
        .auto_shrink([false, false])
        .show(ui, |ui| {
            for file in &found.experiments {
                let name = file
                    .path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let is_chosen =
                    start.editor.as_ref().is_some_and(|editor| editor.path == file.path);
                let (line, color) = match &file.experiment {
                    Ok(experiment) => {
                        (experiment.description.as_str(), theme.method(experiment.method.label()))
                    }
                    Err(error) => (error.as_str(), theme.error),
                };
                let is_unsaved = start.is_unsaved(&file.path);
                if entry(ui, theme, &name, line, color, is_chosen, is_unsaved) {
                    chosen = Some(file);
                }
            }
        });
    if let Some(file) =
        chosen.filter(|file| start.editor.as_ref().is_none_or(|editor| editor.path != file.path))
    {
        start.edit(file);
    }
    let Some(mut editor) = start.editor.take() else { return };
    let keep = edit(ui, theme, start, opener, &mut editor);
    start.editor = Some(editor);
    if !keep {
        start.close_editor();
    }
}

/// What a folder without experiments is offered.
fn no_experiments(ui: &mut Ui, theme: &Theme, start: &mut Start) {
    ui.label("No experiment files here.");
    ui.add(
        Label::new(
            RichText::new(
                "The quickstart trains a small bundled model on the processor, in some minutes.",
            )
            .small()
            .color(theme.text_weak),
        )
        .wrap(),
    );
    ui.add_space(4.0);
    let hint = "Write quickstart.ron into this folder and look at it";
    if ui.button("Write the quickstart here").on_hover_text(hint).clicked() {
        start.write_quickstart();
    }
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        caption(ui, theme, "Or start Orthant in a folder that has experiments, or with");
        // As it is typed: other fonts make one sign of two dashes.
        ui.label(
            RichText::new("--experiments DIR").monospace().size(SMALL_SIZE).color(theme.text_weak),
        );
    });
}

/// A line of the list; says whether it was clicked.
fn entry(
    ui: &mut Ui,
    theme: &Theme,
    name: &str,
    line: &str,
    color: egui::Color32,
    is_chosen: bool,
    is_unsaved: bool,
) -> bool {
    let frame = Frame::new()
        .fill(if is_chosen { theme.hovered } else { theme.raised })
        .corner_radius(3.0)
        .inner_margin(Margin::symmetric(10, 5));
    let response = frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.horizontal(|ui| {
                let (dot, _) = ui.allocate_exact_size(vec2(8.0, 8.0), Sense::hover());
                ui.painter().circle_filled(dot.center(), 4.0, color);
                ui.add(Label::new(RichText::new(name).color(theme.text_strong)).selectable(false));
                if is_unsaved {
                    let text = RichText::new("not saved").small().color(theme.warning);
                    ui.add(Label::new(text).selectable(false));
                }
            });
            if !line.is_empty() {
                ui.add(
                    Label::new(RichText::new(line).color(theme.text_weak))
                        .truncate()
                        .selectable(false),
                );
            }
        })
        .response
        .interact(Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::selected(
            egui::Role::Button,
            true,
            is_chosen,
            format!("Experiment {name}"),
        )
    });
    response.clicked()
}

/// The experiment that is looked at. Says whether it stays open.
fn edit(
    ui: &mut Ui,
    theme: &Theme,
    start: &mut Start,
    opener: &mut Opener,
    editor: &mut Editor,
) -> bool {
    let mut keep = true;
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        let can_start = editor.parsed.is_ok() && !opener.is_opening();
        if ui
            .add_enabled(can_start, Button::new("Start run"))
            .on_hover_text("Train with the text below")
            .clicked()
            && let Ok(experiment) = &editor.parsed
        {
            let experiment = experiment.clone();
            opener.start(&start.places().runs, move || Ok(RunBuilder::new(experiment)));
        }
        let is_there = editor
            .path
            .file_name()
            .is_some_and(|name| name.to_string_lossy() == editor.name.trim());
        let save = if is_there { "Save" } else { "Save as new" };
        let can_save = editor.is_changed() || !is_there;
        if ui.add_enabled(can_save, Button::new(save)).clicked() {
            match editor.save() {
                Ok(()) => start.read_again(),
                Err(error) => start.fail(error.to_string()),
            }
        }
        let end = Trailing::of(ui, "close");
        let can_revert = editor.can_revert(&start.found.experiments);
        let hint = "Take the text of the file again; what was edited here is gone";
        let name_width = (end.room(ui) - 72.0).clamp(60.0, 200.0);
        ui.add(TextEdit::singleline(&mut editor.name).desired_width(name_width))
            .accessible_name("File name");
        let revert = ui.add_enabled(can_revert, Button::new("Revert"));
        if revert
            .on_hover_text(hint)
            .on_disabled_hover_text("The text is that of the file")
            .clicked()
            && let Err(error) = editor.revert()
        {
            start.fail(error.to_string());
        }
        end.show(ui, |ui| {
            if ui
                .button("Close")
                .on_hover_text("What is not saved is kept while the window is open")
                .clicked()
            {
                keep = false;
            }
        });
    });
    match &editor.parsed {
        Ok(_) if editor.differences.is_empty() => {
            caption(ui, theme, "All settings are the defaults");
        }
        Ok(_) => {
            let list = RichText::new(editor.differences.join("   "))
                .monospace()
                .size(SMALL_SIZE)
                .color(theme.text_weak);
            caption(ui, theme, "Differs from the defaults in");
            ui.add(Label::new(list).wrap());
        }
        Err(error) => {
            ui.add(Label::new(RichText::new(error).color(theme.error)).wrap());
        }
    }
    ScrollArea::both().id_salt("experiment text").auto_shrink([false, false]).show(ui, |ui| {
        let field =
            TextEdit::multiline(&mut editor.text).code_editor().desired_width(f32::INFINITY);
        if ui.add(field).accessible_name("Experiment text").changed() {
            editor.check();
        }
    });
    keep
}

fn runs(ui: &mut Ui, theme: &Theme, start: &mut Start, opener: &mut Opener) {
    ui.horizontal(|ui| {
        title(ui, theme, "Runs");
        caption(ui, theme, start.places().runs.display().to_string());
        Trailing::of(ui, "together").show(ui, |ui| {
            let ticked = start.ticked.len();
            let text = if ticked > 1 {
                format!("Open {ticked} together")
            } else {
                "Open together".to_owned()
            };
            let hint = "Tick runs to open them in one window and lay their curves over each other";
            if ui
                .add_enabled(ticked > 0, Button::new(text))
                .on_hover_text(hint)
                .on_disabled_hover_text(hint)
                .clicked()
            {
                let folders = std::mem::take(&mut start.ticked);
                opener.open(&folders);
            }
        });
    });
    if start.found.runs.is_empty() && !start.is_reading() {
        ui.label("No runs yet.");
        caption(
            ui,
            theme,
            "Choose an experiment at the left and start it; quickstart.ron is the one to begin \
             with.",
        );
        return;
    }
    let found = Arc::clone(&start.found);
    ScrollArea::vertical().id_salt("runs").auto_shrink([false, false]).show(ui, |ui| {
        for run in &found.runs {
            run_entry(ui, theme, start, opener, run);
        }
    });
}

fn run_entry(ui: &mut Ui, theme: &Theme, start: &mut Start, opener: &mut Opener, run: &PastRun) {
    let frame =
        Frame::new().fill(theme.raised).corner_radius(3.0).inner_margin(Margin::symmetric(10, 5));
    let card = |ui: &mut Ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.horizontal(|ui| {
            let mut is_ticked = start.ticked.contains(&run.path);
            let name = [vec![format!("{} s{}", run.name, run.seed)], run.differences.clone()]
                .concat()
                .join(", ");
            let tick = ui.scope(|ui| {
                // On a card the box needs an outline that is seen.
                ui.visuals_mut().widgets.inactive.bg_stroke.color = theme.text_weak;
                ui.checkbox(&mut is_ticked, "").accessible_name(format!("Tick {name}"))
            });
            if tick.inner.changed() {
                start.ticked.retain(|path| *path != run.path);
                if is_ticked {
                    start.ticked.push(run.path.clone());
                }
            }
            let (dot, _) = ui.allocate_exact_size(vec2(8.0, 8.0), Sense::hover());
            ui.painter().circle_filled(dot.center(), 4.0, theme.method(&run.method));
            let end = Trailing::of(ui, "open");
            ui.scope(|ui| {
                ui.set_max_width(end.room(ui));
                ui.add(Label::new(RichText::new(&name).color(theme.text_strong)).truncate());
            });
            end.show(ui, |ui| {
                if let Some(resumption) = run.resumption {
                    let can_resume = resumption != Resumption::Never;
                    let hint = if can_resume {
                        "Continue from the newest checkpoint"
                    } else {
                        NO_CHECKPOINT
                    };
                    let button =
                        ui.add_enabled(can_resume && !opener.is_opening(), Button::new("Resume"));
                    if button.on_hover_text(hint).on_disabled_hover_text(hint).clicked() {
                        opener.resume(&run.path);
                    }
                }
                if ui.button("Open").clicked() {
                    opener.open(std::slice::from_ref(&run.path));
                }
            });
        });
        ui.horizontal(|ui| {
            let color = match run.state {
                PastState::Recorded(RecordedState::Failed) => theme.error,
                PastState::Recorded(RecordedState::Training) => theme.running,
                PastState::Interrupted | PastState::Silent => theme.warning,
                PastState::Recorded(_) => theme.text_weak,
            };
            ui.label(RichText::new(run.state.name()).color(color));
            let mut facts = vec![
                run.method.clone(),
                format!(
                    "step {} / {}",
                    format::thousands(run.steps.0 as f64),
                    format::thousands(run.steps.1 as f64)
                ),
            ];
            facts.extend(
                run.accuracy.map(|accuracy| format!("accuracy {}", format::percent(accuracy))),
            );
            facts.extend(run.pass_at_1.map(|pass| format!("pass@1 {}", format::percent(pass))));
            facts.push(run.started.replace('T', " ").trim_end_matches('Z').to_owned());
            ui.add(Label::new(RichText::new(facts.join("   ")).color(theme.text_weak)).truncate());
        });
        if let Some(error) = &run.error {
            ui.add(
                Label::new(RichText::new(format::one_line(error, 200)).small().color(theme.error))
                    .truncate(),
            );
        }
    };
    ui.push_id(&run.path, |ui| frame.show(ui, card));
}
