//! The window's frame loop: takes in the newest snapshot and the step that is shown, lays out the panels, passes commands on.

use super::Screenshot;
use super::loader::StepLoader;
use super::panels::{self, Tools};
use super::state::State;
use super::textures::Textures;
use super::theme::Themes;
use crate::error::{Error, Result};
use crate::trainer::{RunHandle, RunState, SnapshotCell, TrainerCommand};
use egui::{CentralPanel, Color32, ColorImage, Frame, Margin, Panel, Ui, ViewportCommand};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What became of the screenshot, shared with the callback that receives it and with whoever opened the window.
pub(super) type ScreenshotResult = Arc<Mutex<Option<Result<()>>>>;

/// Frames that are drawn after the last change before the screenshot is taken, so that layouts and animations settle.
const SETTLING_FRAMES: u32 = 6;

/// Snapshots that come faster than this share a frame, so that drawing leaves the processor to training.
const SNAPSHOT_DELAY: Duration = Duration::from_millis(40);

/// Time between frames while the view moves by itself or waits for a step.
const FRAME: Duration = Duration::from_millis(33);

/// The dashboard as an application.
pub(super) struct Dashboard {
    snapshots: SnapshotCell,
    /// The trainer, where the run is of this process.
    trainer: Option<RunHandle>,
    loader: StepLoader,
    themes: Themes,
    textures: Textures,
    state: State,
    screenshot: Option<Screenshot>,
    screenshot_result: ScreenshotResult,
    settled_frames: u32,
    /// Whether closing the window stops the run.
    stop_sent: bool,
}

impl Dashboard {
    /// A dashboard on the run of `snapshots`, drawing with `ctx`.
    pub(super) fn new(
        ctx: &egui::Context,
        snapshots: SnapshotCell,
        trainer: Option<RunHandle>,
        themes: Themes,
        screenshot: Option<Screenshot>,
        screenshot_result: ScreenshotResult,
    ) -> Result<Self> {
        themes.install(ctx);
        let wake = ctx.clone();
        snapshots.on_change(move || wake.request_repaint_after(SNAPSHOT_DELAY));
        let state = State::new(snapshots.load());
        let wake = ctx.clone();
        let loader = StepLoader::start(&state.snapshot.info.directory, move || wake.request_repaint())?;
        Ok(Self {
            snapshots,
            trainer,
            loader,
            themes,
            textures: Textures::default(),
            state,
            screenshot,
            screenshot_result,
            settled_frames: 0,
            stop_sent: false,
        })
    }

    /// Brings the state up to date: the newest snapshot, and the step at the cursor where that is at hand.
    fn take_in(&mut self, ctx: &egui::Context) {
        self.state.take_in(self.snapshots.load(), ctx.input(|input| input.time));
        if let Some(latest) = &self.state.snapshot.latest {
            self.loader.keep(latest);
        }
        if let Some(screenshot) = self.screenshot.as_ref().filter(|_| self.state.is_watched()) {
            self.state.move_to(screenshot.after_step);
        }
        self.state.play();
        while let Some(step) = self.state.wanted() {
            let Some(data) = self.loader.get(step) else { break };
            self.state.take_step(step, data);
        }
        if self.state.is_playing() || self.state.wanted().is_some() {
            ctx.request_repaint_after(FRAME);
        }
    }

    fn draw(&mut self, ui: &mut Ui) {
        let theme = self.themes.of(ui.ctx().theme());
        let state = &mut self.state;
        let mut tools = Tools { theme, textures: &mut self.textures };
        panels::keys::handle(ui, state);

        let frame = |x: i8, y: i8| Frame::new().fill(theme.panel).inner_margin(Margin::symmetric(x, y));
        Panel::top("run bar").frame(frame(10, 6)).show(ui, |ui| panels::run_bar::show(ui, &tools, state));
        Panel::bottom("status")
            .frame(frame(10, 2))
            .exact_size(24.0)
            .show(ui, |ui| panels::status::show(ui, &tools, state));
        Panel::bottom("scrubber")
            .frame(frame(10, 2))
            .exact_size(30.0)
            .show(ui, |ui| panels::scrubber::show(ui, &tools, state));
        if let RunState::Failed { message } = &state.snapshot.state {
            let message = message.clone();
            Panel::top("failure")
                .frame(frame(10, 6))
                .show(ui, |ui| panels::notice::failure(ui, &tools, state, &message));
        }
        // Panel sizes are remembered per size of the window, so that a small window's do not crowd a large one.
        let size_class = |size: f32| (size / 400.0) as u32;
        let height = ui.available_height();
        Panel::bottom(("curves", size_class(height)))
            .frame(frame(10, 6))
            .resizable(true)
            .default_size((0.34 * height).clamp(180.0, 400.0))
            .size_range(110.0..=(0.7 * height).max(120.0))
            .show(ui, |ui| panels::curves::show(ui, &tools, state));
        if state.newest_step() == 0 {
            CentralPanel::no_frame()
                .frame(frame(10, 6))
                .show(ui, |ui| panels::notice::before_first_step(ui, &tools, state));
        } else if state.absence().is_some() {
            CentralPanel::no_frame().frame(frame(10, 6)).show(ui, |ui| panels::notice::no_record(ui, &tools, state));
        } else {
            let width = ui.available_width();
            Panel::left(("groups", size_class(width)))
                .frame(frame(10, 6))
                .resizable(true)
                .default_size((0.16 * width).clamp(168.0, 320.0))
                .size_range(92.0..=(0.4 * width).max(100.0))
                .show(ui, |ui| {
                    fade(ui, state);
                    panels::groups::show(ui, &mut tools, state);
                });
            Panel::right(("pair", size_class(width)))
                .frame(frame(10, 6))
                .resizable(true)
                .default_size((0.31 * width).clamp(340.0, 760.0))
                .size_range(220.0..=(0.6 * width).max(230.0))
                .show(ui, |ui| {
                    fade(ui, state);
                    panels::pair::show(ui, &tools, state);
                });
            CentralPanel::no_frame().frame(frame(10, 6)).show(ui, |ui| {
                fade(ui, state);
                panels::geometry::show(ui, &mut tools, state);
            });
        }
        panels::keys::show(ui, &tools, state);
    }

    fn send_commands(&mut self) {
        for command in std::mem::take(&mut self.state.commands) {
            let taken = self.trainer.as_ref().is_some_and(|trainer| trainer.send(command));
            self.state.sent(command, taken);
            self.stop_sent |= taken && command == TrainerCommand::Stop;
        }
    }

    /// Takes the screenshot once its step is finished and the picture has settled.
    fn take_screenshot(&mut self, ctx: &egui::Context) {
        let Some(screenshot) = &self.screenshot else { return };
        let snapshot = &self.state.snapshot;
        let is_reached = snapshot.step >= screenshot.after_step || snapshot.state.is_over();
        if !is_reached || self.state.wanted().is_some() {
            return;
        }
        self.settled_frames += 1;
        if self.settled_frames < SETTLING_FRAMES {
            ctx.request_repaint();
            return;
        }
        let Some(Screenshot { path, .. }) = self.screenshot.take() else { return };
        let result = Arc::clone(&self.screenshot_result);
        let window = ctx.clone();
        ctx.request_screenshot(move |image| {
            let saved = save_png(&image, &path);
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
            window.send_viewport_cmd(ViewportCommand::Close);
            window.request_repaint();
        });
        ctx.request_repaint();
    }
}

impl eframe::App for Dashboard {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.take_in(ui.ctx());
        if let Some(trainer) = &self.trainer
            && ui.input(|input| input.viewport().close_requested())
            && !self.stop_sent
            && !self.state.snapshot.state.is_over()
        {
            // The window closes at once; the trainer finishes its step and writes a checkpoint.
            self.stop_sent = trainer.send(TrainerCommand::Stop);
        }
        let drawn = self.state.cursor_step();
        self.draw(ui);
        if self.state.cursor_step() != drawn {
            ui.ctx().request_repaint();
        }
        self.send_commands();
        self.take_screenshot(ui.ctx());
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        // The run may outlive the window.
        self.snapshots.on_change(|| {});
    }

    fn persist_egui_memory(&self) -> bool {
        // A window that only takes a picture leaves no trace in the next one.
        self.screenshot.is_none() && self.settled_frames == 0
    }
}

/// What is older than the cursor is drawn fainter while the step at the cursor is being read.
fn fade(ui: &mut Ui, state: &State) {
    if state.loading().is_some() {
        ui.set_opacity(0.6);
    }
}

fn save_png(image: &ColorImage, path: &Path) -> Result<()> {
    let [width, height] = image.size;
    let bytes: Vec<u8> = image.pixels.iter().flat_map(Color32::to_srgba_unmultiplied).collect();
    image::save_buffer(path, &bytes, width as u32, height as u32, image::ExtendedColorType::Rgba8)
        .map_err(|error| Error::failed(format!("saving the screenshot failed: {error} ({})", path.display())))
}
