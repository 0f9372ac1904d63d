//! The two kinds of words that panels write beside their own.

use crate::dashboard::kit::theme::Theme;
use egui::{Response, RichText, Ui};

/// A panel's title.
pub(crate) fn title(ui: &mut Ui, theme: &Theme, text: &str) -> Response {
    ui.label(RichText::new(text).heading().color(theme.text_strong))
}

/// A caption in small weak text.
pub(crate) fn caption(ui: &mut Ui, theme: &Theme, text: impl Into<String>) -> Response {
    ui.label(RichText::new(text).small().color(theme.text_weak))
}
