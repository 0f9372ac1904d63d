//! What the window says for a while.

use crate::dashboard::kit::export::ExportResult;
use std::sync::PoisonError;

/// For how long something is said, seconds.
const MESSAGE_S: f64 = 8.0;
/// For how long a problem is.
const PROBLEM_S: f64 = 30.0;

/// Something that is said.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The words.
    pub(crate) text: String,
    /// Whether something did not go as it was asked for.
    pub(crate) is_problem: bool,
    /// When it has been said, seconds of egui's clock.
    until: f64,
}

/// What is being said; the newest message takes the place of the one before.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// What became of the last export.
    pub(crate) export: ExportResult,
    now: f64,
    message: Option<Message>,
}

impl Messages {
    /// Says something.
    pub(crate) fn tell(&mut self, text: String) {
        self.message = Some(Message { text, is_problem: false, until: self.now + MESSAGE_S });
    }

    /// Says that something did not go as it was asked for.
    pub(crate) fn tell_problem(&mut self, text: String) {
        self.message = Some(Message { text, is_problem: true, until: self.now + PROBLEM_S });
    }

    /// Takes a problem back.
    pub(super) fn forget_problem(&mut self) {
        self.message.take_if(|message| message.is_problem);
    }

    /// What is being said, and for how many seconds still.
    pub(crate) fn current(&self) -> Option<(&Message, f64)> {
        let message = self.message.as_ref()?;
        Some((message, message.until - self.now)).filter(|(_, rest)| *rest > 0.0)
    }

    /// Notes the time, seconds of egui's clock.
    pub(super) fn note_time(&mut self, now: f64) {
        self.now = now;
    }

    /// Takes in what became of the last export; `now` is of egui's clock, seconds.
    pub(crate) fn listen(&mut self, now: f64) {
        self.now = now;
        let exported = self.export.lock().unwrap_or_else(PoisonError::into_inner).take();
        match exported {
            Some(Ok(text)) => self.tell(text),
            Some(Err(text)) => self.tell_problem(text),
            None => {}
        }
    }
}
