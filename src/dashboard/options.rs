//! How a window is opened, and how it ended.

use crate::error::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The window's size at its first start, points.
pub(super) const WINDOW_SIZE: [f32; 2] = [1280.0, 800.0];
/// The window cannot be made smaller than this, points.
pub(super) const MIN_WINDOW_SIZE: [f32; 2] = [900.0, 600.0];

/// What to do with the window beyond showing it.
#[derive(Clone, Debug, Default)]
pub struct DashboardOptions {
    /// Save a picture and close.
    pub screenshot: Option<Screenshot>,
    /// The window's size, points.
    pub size: Option<[f32; 2]>,
    /// Dark or light; otherwise as the system or the last window had it.
    pub theme: Option<egui::Theme>,
    /// The panel to bring to the front, by its key.
    pub panel: Option<&'static str>,
    /// Once this is set and the runs of this process are over, the window closes.
    pub interrupted: Arc<AtomicBool>,
}

impl DashboardOptions {
    /// Whether the window opens where and as large as the last one was: not where a size is given,
    /// nor for a picture.
    pub(super) fn remembers_window(&self) -> bool {
        self.screenshot.is_none() && self.size.is_none()
    }
}

/// Save the window as PNG once `after_step` steps are finished, then close the window.
#[derive(Clone, Debug)]
pub struct Screenshot {
    /// The PNG file to write.
    pub path: PathBuf,
    /// How many steps must be finished; a run that ends earlier is pictured at its end, and that is
    /// an error. Of a run that is read from its folder, this step is shown. `None` is the first
    /// step, or what there is in a folder.
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

#[cfg(test)]
mod tests {
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
