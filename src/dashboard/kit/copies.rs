//! The clipboard: whatever goes there, the window says what it was.

use crate::dashboard::kit::format;
use egui::{Context, FullOutput, OutputCommand};

/// A text for the clipboard.
pub(crate) struct Copy {
    /// The text.
    pub(crate) text: String,
    /// What it is, such as `16 x 16 cosines of group 3 as CSV`.
    pub(crate) what: String,
}

impl Copy {
    /// Puts it on the clipboard and says so; where there is nothing, it says that.
    pub(crate) fn put(self, ctx: &Context) {
        let plugin = ctx.plugin_or_default::<Copies>();
        if self.text.is_empty() {
            plugin.lock().said = Some(format!("nothing to copy: {}", self.what));
            ctx.request_repaint();
        } else {
            plugin.lock().described = Some(self.what);
            ctx.copy_text(self.text);
        }
    }
}

/// What was copied and has not been said yet.
pub(crate) fn take_said(ctx: &Context) -> Option<String> {
    ctx.plugin_or_default::<Copies>().lock().said.take()
}

/// Looks at everything that goes to the clipboard, what a person selected and copied by a key
/// included.
#[derive(Default)]
struct Copies {
    described: Option<String>,
    said: Option<String>,
}

impl egui::Plugin for Copies {
    fn debug_name(&self) -> &'static str {
        "copies"
    }

    fn output_hook(&mut self, ctx: &Context, output: &mut FullOutput) {
        for command in &output.platform_output.commands {
            if let OutputCommand::CopyText(text) = command {
                let length =
                    || format!("{} characters", format::thousands(text.chars().count() as f64));
                self.said =
                    Some(format!("copied: {}", self.described.take().unwrap_or_else(length)));
                ctx.request_repaint();
            }
        }
    }
}
