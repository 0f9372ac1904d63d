//! The run bar: where the run stands, its pace, the buttons that steer it, and the stage strip.

use crate::dashboard::kit::format;
use crate::dashboard::kit::stages;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::trailing::Trailing;
use crate::dashboard::kit::widgets::quantity;
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::dashboard::kit::widgets::{marks, stage_strip};
use crate::dashboard::panel::PanelContext;
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::pending::Request;
use crate::dashboard::state::run::State;
use crate::dashboard::state::standing::{NO_CHECKPOINT, Resumption};
use crate::dashboard::window::theme_button::theme_button;
use crate::metrics::{Better, Metric};
use crate::run::{RunState, TrainerCommand};
use crate::stages::metrics;
use egui::{Button, Label, RichText, Sense, Ui, vec2};
use std::time::Duration;

/// Height of a line, points.
const LINE: f32 = 24.0;
/// A name is not cut off to less than this, points.
const NAME: f32 = 36.0;

/// Draws the line, or two of them where the facts and the buttons do not stand beside each other,
/// and the stages.
pub(crate) fn show(ui: &mut Ui, cx: &PanelContext<'_>, state: &mut State) {
    let end = Trailing::of(ui, "buttons");
    let id = ui.scope_id().with("width of the facts");
    let needed = ui.data(|data| data.get_temp(id)).unwrap_or(0.0);
    let is_narrow = end.room(ui) < needed;
    let now = ui.horizontal(|ui| {
        ui.set_height(LINE);
        let needed = ui.scope(|ui| {
            ui.set_max_width(if is_narrow { ui.available_width() } else { end.room(ui) });
            facts(ui, cx.theme, state)
        });
        if !is_narrow {
            end.show(ui, |ui| buttons(ui, state));
        }
        needed.inner
    });
    if is_narrow {
        end.show_below(ui, |ui| buttons(ui, state));
    }
    if (now.inner - needed).abs() > 0.5 {
        ui.data_mut(|data| data.insert_temp(id, now.inner));
        ui.ctx().request_discard("the facts have another width");
    }
    let snapshot = &state.snapshot;
    let is_live = !state.is_watched() && state.cursor.at() == state.cursor.newest();
    let recorded = if is_live {
        None
    } else {
        Some(state.metrics().map(stages::recorded).unwrap_or_default())
    };
    let times = recorded.as_ref().unwrap_or(&snapshot.stage_times);
    stage_strip::show(ui, cx.theme, snapshot.progress, times, recorded.is_some(), &snapshot.state);
}

fn buttons(ui: &mut Ui, state: &mut State) {
    ui.spacing_mut().item_spacing.x = 4.0;
    if let Some(resumption) = state.resumption() {
        resume_button(ui, state, &resumption);
        ui.add_space(8.0);
    } else if !state.is_watched() && !state.snapshot.state.is_over() {
        run_buttons(ui, state);
        ui.add_space(8.0);
    }
    theme_button(ui);
    if ui.add(Button::new("?")).on_hover_text("Keys").clicked() {
        state.toggle_keys();
    }
}

/// Where the run stands; for a run that another process writes, when it was last heard of.
fn run_state(ui: &mut Ui, theme: &Theme, state: &State) {
    let snapshot = &state.snapshot;
    let Some(age) = state.unwritten_s() else {
        marks::run_state(ui, theme, &snapshot.state);
        return;
    };
    let is_silent = state.is_silent();
    marks::watching(ui, theme, snapshot.state == RunState::Paused, is_silent).on_hover_text(
        "The run belongs to another process and is read from its folder. A run that was killed \
         says no more.",
    );
    let color = if is_silent { theme.warning } else { theme.text_weak };
    ui.label(RichText::new(format!("last written {}", format::ago(age))).color(color));
    ui.ctx().request_repaint_after(Duration::from_secs(if age < 60.0 { 1 } else { 15 }));
}

/// What is to be known of the run, as far as there is room. Returns the width of what must be
/// there, points.
fn facts(ui: &mut Ui, theme: &Theme, state: &State) -> f32 {
    ui.spacing_mut().item_spacing.x = 14.0;
    let snapshot = &state.snapshot;
    let info = &snapshot.info;
    run_state(ui, theme, state);
    let state_width = ui.min_rect().width();
    let meaning =
        |name, help, place| Meaning { name, help, unit: "", better: Better::Neither, place };

    let name = |ui: &mut Ui, width: f32| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (dot, response) = ui.allocate_exact_size(vec2(8.0, 8.0), Sense::hover());
        ui.painter().circle_filled(dot.center(), 4.0, theme.method(info.method()));
        let about = |ui: &mut Ui| {
            ui.label(RichText::new(info.name()).color(theme.text_strong));
            ui.label(format!("Method {}", info.method()));
            ui.label(format!("Task {}", info.task));
            ui.label(format!("Model {}", info.model));
            ui.label(format!("Sampling temperature {}", info.experiment.rollout.temperature));
        };
        response.on_hover_ui(about);
        if width >= NAME {
            ui.scope(|ui| {
                ui.set_max_width(width);
                ui.add(Label::new(RichText::new(info.name()).color(theme.text_strong)).truncate())
                    .on_hover_ui(about);
            });
        }
    };
    let steps = format!(
        "{} / {}",
        format::thousands(snapshot.step as f64),
        format::thousands(info.last_step() as f64)
    );
    let help = "Finished optimizer steps, and how many will be run.";
    let row = state.metrics();
    let at_cursor = |metric: &Metric| row.and_then(|row| row.get(metric));
    let left = snapshot.eta_s.map_or_else(|| "–".to_owned(), format::clock);
    // A run that waits does not arrive.
    let eta = match snapshot.state {
        RunState::Paused => Some(("left", left)),
        _ if snapshot.state.is_over() || state.is_silent() => None,
        _ => Some(("ETA", left)),
    };
    // Where the bar is narrow, the name gives way to what is needed at a glance.
    let gap = ui.spacing().item_spacing.x;
    let eta_width =
        eta.as_ref().map_or(0.0, |(short, value)| quantity::width(ui, short, value) + gap);
    let needed = quantity::width(ui, "step", &steps) + gap + eta_width + 14.0;
    let width = ui.available_width() - needed;
    ui.scope(|ui| name(ui, width.min(260.0)));
    quantity::phrase(
        ui,
        theme,
        meaning("Steps", help, "manifest.json, and experiment.ron as stop.steps"),
        "step",
        &steps,
    );
    if let Some((short, value)) = eta {
        let help = "Time to the last step at the recent pace, in minutes and seconds; of a paused \
                    run, once it continues.";
        quantity::phrase(ui, theme, meaning("Time left", help, ""), short, &value);
    }

    // The rest in order of need, as far as there is room.
    let rate = at_cursor(&metrics::THROUGHPUT_TOKENS_PER_S)
        .map(|rate| format!("{} tok/s", format::thousands(rate)));
    let memory = at_cursor(&metrics::MEMORY_PEAK_MIB)
        .map(|memory| format!("{} MiB", format::thousands(memory)));
    let seed_help = "The seed from which every random number of the run is derived.";
    let rest = [
        (meaning("Seed", seed_help, "experiment.ron"), "seed", Some(info.seed().to_string())),
        (Meaning::of("Throughput", &metrics::THROUGHPUT_TOKENS_PER_S), "", rate),
        (Meaning::of("Memory", &metrics::MEMORY_PEAK_MIB), "", memory),
        (
            meaning("Device", "Where the tensors live.", "manifest.json"),
            "",
            Some(info.device.clone()),
        ),
    ];
    for (meaning, short, value) in rest {
        let Some(value) = value else { continue };
        if ui.available_width() < quantity::width(ui, short, &value) {
            break;
        }
        quantity::phrase(ui, theme, meaning, short, &value);
    }
    state_width + gap + needed
}

fn run_buttons(ui: &mut Ui, state: &mut State) {
    let is_live = !state.snapshot.state.is_over();
    let waits = |state: &State, command| is_live && state.pending.awaits(command);
    if state.snapshot.state == RunState::Paused {
        button(ui, state, "Resume", "Continue training (Ctrl+Space)", TrainerCommand::Resume);
    } else {
        let text = if waits(state, TrainerCommand::Pause) { "Pausing…" } else { "Pause" };
        button(ui, state, text, "Wait after the current step (Ctrl+Space)", TrainerCommand::Pause);
    }
    let text = if waits(state, TrainerCommand::StepOnce) { "Stepping…" } else { "One step" };
    button(ui, state, text, "While paused: run one step and pause again", TrainerCommand::StepOnce);
    let text = if waits(state, TrainerCommand::Checkpoint) { "Saving…" } else { "Checkpoint" };
    button(
        ui,
        state,
        text,
        "Write a checkpoint after the current step",
        TrainerCommand::Checkpoint,
    );

    let text = if waits(state, TrainerCommand::Stop) { "Stopping…" } else { "Stop" };
    let hint = "Finish the current step, write a checkpoint and end the run; asks before it does";
    let can_stop = state.allows(TrainerCommand::Stop);
    if ui
        .add_enabled(can_stop, Button::new(text))
        .on_hover_text(hint)
        .on_disabled_hover_text(hint)
        .clicked()
    {
        state.overlay = Overlay::Stop;
    }
}

/// For a run that has ended before its last step; where it cannot be continued, the button says
/// why.
fn resume_button(ui: &mut Ui, state: &mut State, resumption: &Resumption) {
    let (text, hint) = match resumption {
        _ if state.pending.is_resuming => {
            ("Resuming…", "The run is being taken up again".to_owned())
        }
        Resumption::From(step) => {
            ("Resume", format!("Continue training here from the checkpoint of step {step}"))
        }
        Resumption::Never => ("Resume", NO_CHECKPOINT.to_owned()),
    };
    let is_enabled = !state.pending.is_resuming && matches!(resumption, Resumption::From(_));
    if ui
        .add_enabled(is_enabled, Button::new(text))
        .on_hover_text(&hint)
        .on_disabled_hover_text(&hint)
        .clicked()
    {
        state.pending.request(Request::Resume);
    }
}

fn button(ui: &mut Ui, state: &mut State, text: &str, hint: &str, command: TrainerCommand) {
    let is_enabled = state.allows(command);
    let response = ui
        .add_enabled(is_enabled, Button::new(text))
        .on_hover_text(hint)
        .on_disabled_hover_text(hint);
    if response.clicked() {
        state.pending.ask(command);
    }
}
