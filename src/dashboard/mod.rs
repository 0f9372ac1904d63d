//! The dashboard: one window on one run, of this process or read from its folder.
//!
//! The window lives on the main thread and the trainer on its own. Immutable [`RunSnapshot`](crate::run::RunSnapshot)s
//! come one way, [`TrainerCommand`](crate::run::TrainerCommand)s go the other, and a frame waits for neither the trainer
//! nor the disk. Reading order:
//!
//! * `app`: the frame loop. Takes in a snapshot, draws the panels, sends commands.
//! * `loader`: older steps, read from the run folder on a thread of its own.
//! * `state`: what is shown and chosen. `derive`, `series` and `traces`: what panels need beyond the snapshot.
//! * `rollouts`, `problems`, `tokens`: completions as rows, problems over time, what tokens and differences look like.
//! * `open_run`: one of the runs that the window has open. `labels`: how they are told apart. `opener`: opens and starts them.
//!   `start`: what the start screen finds. `display`: what comes after the window, also where the display goes away.
//! * `dock`: where panels are. `panels`: one per file. `widgets`: what they are made of. `health`: what to look after.
//! * `copies`: what goes to the clipboard. `theme` and `format`: colours and numbers. `textures`: matrices on the graphics card. `vector`: what was painted, as SVG.

mod app;
mod display;
mod kit;
mod panel;
mod panels;
#[cfg(test)]
mod performance;
#[cfg(test)]
mod picture_tests;
#[cfg(test)]
mod rasterizer;
#[cfg(test)]
mod rollout_tests;
mod runs;
#[cfg(test)]
mod small_tests;
#[cfg(test)]
mod start_tests;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;
mod window;

use crate::error::{Error, Result};
use crate::guard;
use crate::run::{RunHandle, WatchedRun};
use app::{Dashboard, ScreenshotResult};
use kit::theme::Themes;
use runs::open_run::RunSource;
use runs::opener::Opener;
use runs::start::Start;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use window::dock::Dock;

pub use runs::start::{Places, StartedRuns};
pub use window::dock::PanelKind;

/// The window's size at its first start, points.
const WINDOW_SIZE: [f32; 2] = [1280.0, 800.0];
/// The window cannot be made smaller than this, points.
const MIN_WINDOW_SIZE: [f32; 2] = [900.0, 600.0];

/// What to do with the window beyond showing it.
#[derive(Clone, Debug, Default)]
pub struct DashboardOptions {
    /// Save a picture and close.
    pub screenshot: Option<Screenshot>,
    /// The window's size, points.
    pub size: Option<[f32; 2]>,
    /// Dark or light; otherwise as the system or the last window had it.
    pub theme: Option<egui::Theme>,
    /// The panel to bring to the front.
    pub panel: Option<PanelKind>,
    /// Once this is set and the runs of this process are over, the window closes.
    pub interrupted: Arc<AtomicBool>,
}

impl DashboardOptions {
    /// Whether the window opens where and as large as the last one was: not where a size is given, nor for a picture.
    fn remembers_window(&self) -> bool {
        self.screenshot.is_none() && self.size.is_none()
    }
}

/// Save the window as PNG once `after_step` steps are finished, then close the window.
#[derive(Clone, Debug)]
pub struct Screenshot {
    /// The PNG file to write.
    pub path: PathBuf,
    /// How many steps must be finished; a run that ends earlier is pictured at its end, and that is an error. Of a run that is read
    /// from its folder, this step is shown. `None` is the first step, or what there is in a folder.
    pub after_step: Option<u64>,
}

/// How a window ended.
#[derive(Debug)]
pub enum WindowEnd {
    /// It was closed, after the picture if one was asked for.
    Closed,
    /// It was closed, and the picture that was asked for was not saved.
    NoPicture(Error),
    /// It could not be opened, it failed, or its display has gone: nobody has closed it.
    Lost(Error),
}

impl WindowEnd {
    /// For programs that are nothing without their window.
    pub fn into_result(self) -> Result<()> {
        match self {
            Self::Closed => Ok(()),
            Self::NoPicture(error) | Self::Lost(error) => Err(error),
        }
    }
}

/// Opens the window on a run of this process; does `afterwards` when it has ended and returns what that returns, an exit status. Must be
/// called on the main thread. Runs that are started in the window are put into `started`, for `afterwards` to wait for.
///
/// Closing the window asks a run that is not over to stop: it finishes its step and writes a checkpoint. Where the display goes away,
/// `afterwards` may be called from within, and the program ends with its status.
pub fn open(
    handle: RunHandle,
    started: StartedRuns,
    options: DashboardOptions,
    afterwards: impl FnOnce(WindowEnd) -> u8 + Send + 'static,
) -> u8 {
    open_window(vec![RunSource::Trainer(handle)], None, started, options, Box::new(afterwards))
}

/// [`open`] on runs that are read from their folders.
pub fn open_folders(
    runs: Vec<WatchedRun>,
    started: StartedRuns,
    options: DashboardOptions,
    afterwards: impl FnOnce(WindowEnd) -> u8 + Send + 'static,
) -> u8 {
    let runs = runs.into_iter().map(RunSource::Folder).collect();
    open_window(runs, None, started, options, Box::new(afterwards))
}

/// [`open`] on the start screen.
pub fn open_start(
    places: Places,
    started: StartedRuns,
    options: DashboardOptions,
    afterwards: impl FnOnce(WindowEnd) -> u8 + Send + 'static,
) -> u8 {
    open_window(Vec::new(), Some(places), started, options, Box::new(afterwards))
}

fn open_window(
    runs: Vec<RunSource>,
    places: Option<Places>,
    started: StartedRuns,
    options: DashboardOptions,
    afterwards: Box<dyn FnOnce(WindowEnd) -> u8 + Send>,
) -> u8 {
    display::prepare(afterwards);
    // A library of graphics may panic where its display has gone.
    let shown = guard::unwound(|| show_window(runs, places, started, options));
    display::go_on(shown.unwrap_or_else(|_| WindowEnd::Lost(Error::failed("the window failed"))))
}

fn show_window(
    runs: Vec<RunSource>,
    places: Option<Places>,
    started: StartedRuns,
    options: DashboardOptions,
) -> WindowEnd {
    let themes = match Themes::load() {
        Ok(themes) => themes,
        Err(error) => return WindowEnd::Lost(error),
    };
    let name = runs.first().map(|run| run.snapshots().load().info.name().to_owned()).unwrap_or_default();
    let title = if name.is_empty() { "Orthant".to_owned() } else { format!("{name} - Orthant") };
    let takes_picture = options.screenshot.is_some();
    let viewport = egui::ViewportBuilder::default()
        .with_app_id("orthant")
        .with_title(&title)
        .with_icon(themes.of(egui::Theme::Dark).icon())
        .with_inner_size(options.size.unwrap_or(WINDOW_SIZE))
        .with_min_inner_size(MIN_WINDOW_SIZE);
    let native = eframe::NativeOptions {
        viewport,
        persist_window: options.remembers_window(),
        // Pictures do not depend on what an earlier window left behind.
        persistence_path: takes_picture.then(|| std::env::temp_dir().join(format!("orthant-{}", std::process::id()))),
        ..eframe::NativeOptions::default()
    };
    let result = ScreenshotResult::default();
    let shared = ScreenshotResult::clone(&result);
    let shown = eframe::run_native(
        "orthant",
        native,
        Box::new(move |creation| {
            let ctx = &creation.egui_ctx;
            if let Some(theme) = options.theme {
                ctx.set_theme(theme);
            }
            let start = places.map(|places| Start::new(places, ctx.clone()));
            let opener = Opener::new(started, ctx.clone());
            let mut dock = Dock::remembered(creation.storage);
            if let Some(panel) = options.panel {
                dock.bring_up(panel);
            }
            let dashboard = Dashboard::new(ctx, runs, start, opener, dock, themes, options.screenshot, shared)?;
            Ok(Box::new(dashboard.until(options.interrupted)))
        }),
    );
    if let Err(error) = shown {
        // Some of the window's libraries say where in their source they failed.
        let text = error.to_string();
        let reason =
            text.rsplit_once(".rs:").and_then(|(_, rest)| rest.split_once(": ")).map_or(text.as_str(), |(_, why)| why);
        return WindowEnd::Lost(Error::failed(format!("the window failed: {reason}")));
    }
    let saved = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    match saved {
        Some(Err(error)) => WindowEnd::NoPicture(error),
        None if takes_picture => {
            WindowEnd::NoPicture(Error::failed("the window was closed before the screenshot was taken"))
        }
        Some(Ok(())) | None => WindowEnd::Closed,
    }
}

/// Whether a display is there to open a window on.
pub fn display_available() -> bool {
    if cfg!(target_os = "linux") {
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    } else {
        true
    }
}

#[cfg(test)]
mod option_tests {
    use super::*;

    #[test]
    fn a_size_that_is_given_wins_over_that_of_the_last_window() {
        assert!(DashboardOptions::default().remembers_window());
        let sized = DashboardOptions { size: Some([900.0, 600.0]), ..DashboardOptions::default() };
        assert!(!sized.remembers_window());
        let screenshot = Some(Screenshot { path: "a.png".into(), after_step: None });
        assert!(!DashboardOptions { screenshot, ..DashboardOptions::default() }.remembers_window());
    }
}
