//! The run bar: where the run stands, its pace, the buttons that steer it, and the stage strip.

use super::Tools;
use crate::dashboard::format;
use crate::dashboard::state::{Over, State, Wish};
use crate::dashboard::theme::Theme;
use crate::dashboard::widgets::quantity::{self, Meaning};
use crate::dashboard::widgets::{marks, stage_strip};
use crate::metrics::{self, Better, Metric, MetricRow};
use crate::trainer::{RunState, Stage, StageTimes, TrainerCommand};
use egui::{Align, Button, Label, Layout, RichText, Sense, Ui, vec2};
use std::time::Duration;

/// Draws both lines.
pub(crate) fn show(ui: &mut Ui, tools: &Tools<'_>, state: &mut State) {
    ui.horizontal(|ui| {
        ui.set_height(24.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            window_buttons(ui, state);
            ui.add_space(8.0);
            let can_resume = state.can_resume();
            if can_resume {
                resume_button(ui, state);
                ui.add_space(8.0);
            } else if !state.is_watched() {
                run_buttons(ui, state);
                ui.add_space(8.0);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| facts(ui, tools.theme, state));
        });
    });
    let snapshot = &state.snapshot;
    let is_live = !state.is_watched() && state.cursor_step() == state.newest_step();
    let recorded = if is_live { None } else { Some(state.metrics().map(recorded_times).unwrap_or_default()) };
    let times = recorded.as_ref().unwrap_or(&snapshot.stage_times);
    stage_strip::show(ui, tools.theme, snapshot.progress, times, recorded.is_some(), &snapshot.state);
}

/// The stage times that `metrics.jsonl` holds; NaN where it does not tell stages apart.
fn recorded_times(row: &MetricRow) -> StageTimes {
    let mut times = [f64::NAN; Stage::ALL.len()];
    for (stage, metric) in [
        (Stage::Sample, &metrics::TIME_SAMPLE_S),
        (Stage::Verify, &metrics::TIME_VERIFY_S),
        (Stage::Features, &metrics::TIME_FEATURE_S),
        (Stage::Update, &metrics::TIME_UPDATE_S),
    ] {
        times[stage as usize] = row.get(metric).unwrap_or(f64::NAN);
    }
    times
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
        "The run belongs to another process and is read from its folder. A run that was killed says no more.",
    );
    let color = if is_silent { theme.warning } else { theme.text_weak };
    ui.label(RichText::new(format!("last written {}", format::ago(age))).color(color));
    ui.ctx().request_repaint_after(Duration::from_secs(if age < 60.0 { 1 } else { 15 }));
}

fn facts(ui: &mut Ui, theme: &Theme, state: &State) {
    ui.spacing_mut().item_spacing.x = 14.0;
    let snapshot = &state.snapshot;
    let info = &snapshot.info;
    run_state(ui, theme, state);
    let meaning = |name, help, place| Meaning { name, help, unit: "", better: Better::Neither, place };

    // The name gives way where the bar is narrow; what is needed at a glance does not.
    let name_width = (ui.available_width() - 470.0).clamp(90.0, 260.0);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        let (dot, response) = ui.allocate_exact_size(vec2(8.0, 8.0), Sense::hover());
        ui.painter().circle_filled(dot.center(), 4.0, theme.method(&info.method));
        response.on_hover_text(format!("Method {}", info.method));
        ui.scope(|ui| {
            ui.set_max_width(name_width);
            ui.add(Label::new(RichText::new(&info.name).color(theme.text_strong)).truncate()).on_hover_ui(|ui| {
                ui.label(RichText::new(&info.name).color(theme.text_strong));
                ui.label(format!("Method {}", info.method));
                ui.label(format!("Task {}", info.task));
                ui.label(format!("Model {}", info.model));
                ui.label(format!("Sampling temperature {}", info.temperature));
            });
        });
    });
    let steps = format!("{} / {}", format::thousands(snapshot.step as f64), format::thousands(info.stop_step as f64));
    let help = "Finished optimizer steps, and how many will be run.";
    quantity::phrase(
        ui,
        theme,
        meaning("Steps", help, "manifest.json, and experiment.ron as stop.steps"),
        "step",
        &steps,
    );

    // The rest in order of need, as far as there is room.
    let row = state.metrics();
    let at_cursor = |metric: &Metric| row.and_then(|row| row.get(metric));
    let left = snapshot.eta_s.map_or_else(|| "–".to_owned(), format::clock);
    // A run that waits does not arrive.
    let eta = match snapshot.state {
        RunState::Paused => ("left", Some(left)),
        _ if snapshot.state.is_over() || state.is_silent() => ("", None),
        _ => ("ETA", Some(left)),
    };
    let rate = at_cursor(&metrics::THROUGHPUT_TOKENS_PER_S).map(|rate| format!("{} tok/s", format::thousands(rate)));
    let memory = at_cursor(&metrics::MEMORY_PEAK_MIB).map(|memory| format!("{} MiB", format::thousands(memory)));
    let seed_help = "The seed from which every random number of the run is derived.";
    let eta_help =
        "Time to the last step at the recent pace, in minutes and seconds; of a paused run, once it goes on.";
    let rest = [
        (meaning("Time left", eta_help, ""), eta.0, eta.1),
        (meaning("Seed", seed_help, "experiment.ron"), "seed", Some(info.seed.to_string())),
        (Meaning::of("Throughput", &metrics::THROUGHPUT_TOKENS_PER_S), "", rate),
        (Meaning::of("Memory", &metrics::MEMORY_PEAK_MIB), "", memory),
        (meaning("Device", "Where the tensors live.", "manifest.json"), "", Some(info.device.clone())),
    ];
    for (meaning, short, value) in rest {
        let Some(value) = value else { continue };
        if ui.available_width() < 8.0 * (short.len() + value.len() + 1) as f32 {
            break;
        }
        quantity::phrase(ui, theme, meaning, short, &value);
    }
}

/// In reverse order: the bar is laid out from the right.
fn run_buttons(ui: &mut Ui, state: &mut State) {
    let run = state.snapshot.state.clone();
    let stopping = state.is_pending(TrainerCommand::Stop);
    let live = !run.is_over() && !stopping;
    let stop = if stopping && !run.is_over() { "Stopping…" } else { "Stop" };
    let hint = "Finish the current step, write a checkpoint and end the run; asks before it does";
    if ui.add_enabled(live, Button::new(stop)).on_hover_text(hint).on_disabled_hover_text(hint).clicked() {
        state.over = Over::Stop;
    }

    let saving = state.is_pending(TrainerCommand::Checkpoint) && live;
    let text = if saving { "Saving…" } else { "Checkpoint" };
    let can_save = live && !saving && run != RunState::Starting;
    button(ui, state, can_save, text, "Write a checkpoint after the current step", TrainerCommand::Checkpoint);

    let stepping = state.is_pending(TrainerCommand::StepOnce) && live;
    let text = if stepping { "Stepping…" } else { "One step" };
    let can_step = live && run == RunState::Paused && !stepping;
    button(ui, state, can_step, text, "While paused: run one step and pause again", TrainerCommand::StepOnce);

    if run == RunState::Paused {
        let resuming = state.is_pending(TrainerCommand::Resume);
        button(ui, state, live && !resuming, "Resume", "Go on training (Ctrl+Space)", TrainerCommand::Resume);
    } else {
        let pausing = state.is_pending(TrainerCommand::Pause) && live;
        let text = if pausing { "Pausing…" } else { "Pause" };
        let can_pause = live && run == RunState::Training && !pausing;
        button(ui, state, can_pause, text, "Wait after the current step (Ctrl+Space)", TrainerCommand::Pause);
    }
}

/// For a run that has ended before its last step.
fn resume_button(ui: &mut Ui, state: &mut State) {
    let step = state.snapshot.checkpoints.last().copied().unwrap_or(0);
    let text = if state.is_resuming { "Resuming…" } else { "Resume" };
    let hint = format!("Go on training here from the checkpoint of step {step}");
    if ui.add_enabled(!state.is_resuming, Button::new(text)).on_hover_text(hint).clicked() {
        state.wishes.push(Wish::Resume);
    }
}

fn button(ui: &mut Ui, state: &mut State, enabled: bool, text: &str, hint: &str, command: TrainerCommand) {
    let response = ui.add_enabled(enabled, Button::new(text)).on_hover_text(hint).on_disabled_hover_text(hint);
    if response.clicked() {
        state.ask(command);
    }
}

fn window_buttons(ui: &mut Ui, state: &mut State) {
    if ui.add(Button::new("?")).on_hover_text("Keys").clicked() {
        state.toggle_keys();
    }
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
