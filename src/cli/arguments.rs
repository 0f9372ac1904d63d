//! What several commands take, and how it is read.

use crate::dashboard::{self, DashboardOptions, Screenshot};
use crate::error::{Error, Result};
use crate::experiment::{Bounds, DeviceChoice};
use candle_core::DType;
use clap::builder::RangedI64ValueParser;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How the window opens.
#[derive(Args)]
pub(super) struct WindowArguments {
    /// Saves a picture of the window and closes it, which ends a run of this program.
    #[arg(long, value_name = "FILE.png")]
    screenshot: Option<PathBuf>,
    /// The step that the picture shows; a run that is under way is waited for. Left out: the first
    /// step of a run that begins, or what a run folder has by now. A run that ends earlier is
    /// pictured at its end, with exit status 1.
    #[arg(long, value_name = "N", requires = "screenshot")]
    after_step: Option<u64>,
    /// The window's size in points, such as 1280x800.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_size)]
    window_size: Option<[f32; 2]>,
    /// Dark or light; otherwise as the window was last.
    #[arg(long, value_name = "THEME")]
    theme: Option<ThemeChoice>,
    #[arg(long, value_name = "PANEL", value_parser = parse_panel, help = panel_help())]
    panel: Option<&'static str>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ThemeChoice {
    Dark,
    Light,
}

impl WindowArguments {
    /// Refuses what is for a window where none is wanted, and a picture where there is no display
    /// to open one on.
    pub(super) fn check(&self, is_headless: bool, has_display: bool) -> Result<()> {
        let given = [
            ("--screenshot", self.screenshot.is_some()),
            ("--window-size", self.window_size.is_some()),
            ("--theme", self.theme.is_some()),
            ("--panel", self.panel.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if is_headless => Err(Error::input(format!(
                "{option} is for the window, and --headless opens none; leave one of them out"
            ))),
            Some(("--screenshot", _)) if !has_display => Err(Error::input(
                "no display found to open a window on, of which --screenshot is a picture; put \
                 `xvfb-run` in front of the command, or leave it out",
            )),
            _ => Ok(()),
        }
    }

    /// The same for the dashboard, whose window closes once `interrupted` is set and its runs are
    /// over.
    pub(super) fn options(&self, interrupted: &Arc<AtomicBool>) -> DashboardOptions {
        DashboardOptions {
            screenshot: self
                .screenshot
                .clone()
                .map(|path| Screenshot { path, after_step: self.after_step }),
            size: self.window_size,
            theme: self.theme.map(|theme| match theme {
                ThemeChoice::Dark => egui::Theme::Dark,
                ThemeChoice::Light => egui::Theme::Light,
            }),
            panel: self.panel,
            interrupted: Arc::clone(interrupted),
        }
    }
}

/// A whole number of a range, which the refusal of any other names.
pub(super) fn whole<T: TryFrom<i64> + Clone + Send + Sync>(
    low: i64,
    high: i64,
) -> RangedI64ValueParser<T> {
    RangedI64ValueParser::new().range(low..=high)
}

/// A number within bounds, which the refusal of any other names.
pub(super) fn number(bounds: Bounds) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    move |text| match text.parse() {
        Ok(value) if bounds.contains(value) => Ok(value),
        _ => Err(format!("give a number {bounds}")),
    }
}

pub(super) fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("give a whole number between 0 and {}", u64::MAX))
}

fn parse_size(text: &str) -> Result<[f32; 2], String> {
    let parsed = text
        .split_once('x')
        .and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    parsed
        .filter(|size| size.iter().all(|points| (200.0..=16384.0).contains(points)))
        .ok_or_else(|| "write width and height in points, such as 1280x800".to_string())
}

/// What `--panel` takes.
fn panel_help() -> String {
    let titles: Vec<String> =
        dashboard::panel_titles().iter().map(|title| title.to_lowercase()).collect();
    let (last, others) =
        titles.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    format!("The panel to bring to the front: {} or {last}", others.join(", "))
}

fn parse_panel(text: &str) -> Result<&'static str, String> {
    let titles = || dashboard::panel_titles().join(", ");
    dashboard::panel_named(text)
        .ok_or_else(|| format!("there is no such panel; there are {}", titles()))
}

/// Type of weights and compute.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum DtypeChoice {
    F32,
    Bf16,
}

impl DtypeChoice {
    pub(super) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

pub(super) fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    match text {
        "auto" => Ok(DeviceChoice::Auto),
        "cpu" => Ok(DeviceChoice::Cpu),
        "cuda" => Ok(DeviceChoice::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|ordinal| ordinal.parse().ok())
            .map(DeviceChoice::Cuda)
            .ok_or_else(|| "write auto, cpu, or cuda: and a number, such as cuda:0".to_string()),
    }
}
