//! The dashboard: one window on one run, of this process or read from its folder.
//!
//! The window lives on the main thread and the trainer on its own. Immutable
//! [`RunSnapshot`](crate::run::RunSnapshot)s come one way,
//! [`TrainerCommand`](crate::run::TrainerCommand)s go the other, and a frame waits for neither the
//! trainer nor the disk.
//!
//! Its modules stand on floors; each knows those below it and none above. From the top down:
//!
//! * `app`: the frame loop. Takes in snapshots, draws, sends commands. `display`: what comes after
//!   the window.
//! * `window`: what stands around the panels, and the dock that they are in.
//! * `runs`: the open runs, how more are opened, and which there are.
//! * `panels`: one per file, and their list. They do not know each other.
//! * `panel`: what a panel is, and what several of them are made of.
//! * `state`: what is shown of a run and what is chosen; older steps, read on a thread of their
//!   own; what to look after.
//! * `kit`: colours, numbers, widgets, curves, geometry: what everybody draws with.

mod app;
mod display;
mod kit;
mod options;
mod panel;
mod panels;
mod runs;
mod state;
#[cfg(test)]
mod tests;
mod window;

use crate::error::Error;
use crate::guard;
use crate::run::{RunHandle, WatchedRun};
use app::{Dashboard, ScreenshotResult};
use kit::theme::Themes;
use options::{MIN_WINDOW_SIZE, WINDOW_SIZE};
use runs::open_run::RunSource;
use runs::opener::Opener;
use runs::start::Start;
use std::sync::PoisonError;
use window::dock::Dock;

pub use options::{DashboardOptions, Screenshot, WindowEnd};
pub use runs::found::Places;
pub use runs::start::StartedRuns;

/// Opens the window on a run of this process; does `afterwards` when it has ended and returns what
/// that returns, an exit status. Must be called on the main thread. Runs that are started in the
/// window are put into `started`, for `afterwards` to wait for.
///
/// Closing the window asks a run that is not over to stop: it finishes its step and writes a
/// checkpoint. Where the display goes away, `afterwards` may be called from within, and the program
/// ends with its status.
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
    let name =
        runs.first().map(|run| run.snapshots().load().info.name().to_owned()).unwrap_or_default();
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
        persistence_path: takes_picture
            .then(|| std::env::temp_dir().join(format!("orthant-{}", std::process::id()))),
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
            let mut dock = Dock::new(panels::all(), creation.storage)?;
            if let Some(panel) = options.panel {
                dock.bring_up(panel);
            }
            let dashboard =
                Dashboard::new(ctx, runs, start, opener, dock, themes, options.screenshot, shared)?;
            Ok(Box::new(dashboard.until(options.interrupted)))
        }),
    );
    if let Err(error) = shown {
        // Some of the window's libraries say where in their source they failed.
        let text = error.to_string();
        let reason = text
            .rsplit_once(".rs:")
            .and_then(|(_, rest)| rest.split_once(": "))
            .map_or(text.as_str(), |(_, why)| why);
        return WindowEnd::Lost(Error::failed(format!("the window failed: {reason}")));
    }
    let saved = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    match saved {
        Some(Err(error)) => WindowEnd::NoPicture(error),
        None if takes_picture => WindowEnd::NoPicture(Error::failed(
            "the window was closed before the screenshot was taken",
        )),
        Some(Ok(())) | None => WindowEnd::Closed,
    }
}

/// Whether a display is there to open a window on.
pub fn display_available() -> bool {
    if cfg!(target_os = "linux") {
        ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    } else {
        true
    }
}

/// The panels' titles, in reading order.
pub fn panel_titles() -> Vec<&'static str> {
    panels::all().iter().map(|panel| panel.title()).collect()
}

/// The key of the panel of that title, in lower or upper case.
pub fn panel_named(title: &str) -> Option<&'static str> {
    panel::named(&panels::all(), title)
}
