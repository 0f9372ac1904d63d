//! How urgent it is to look after the run.

use super::health::Level;
use super::run::State;
use crate::dashboard::kit::theme::Theme;
use egui::Color32;

impl State {
    /// The level of what matters most, where it is more than a note.
    pub(crate) fn urgency(&self) -> Option<Level> {
        let most = self.findings().map(|finding| finding.level).max()?;
        (most > Level::Note).then_some(most)
    }
}

impl Level {
    /// The colour in which it is shown.
    pub(crate) fn color(self, theme: &Theme) -> Color32 {
        match self {
            Self::Error => theme.error,
            Self::Warning => theme.warning,
            Self::Note => theme.text_weak,
        }
    }
}
