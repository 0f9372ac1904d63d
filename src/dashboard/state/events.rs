//! Steps at which something happened beside training, and how a person moves from one to the next.

use crate::dashboard::state::run::State;
use crate::run::{Event, EventKind};

impl State {
    /// Those steps in order: checkpoints, evaluations, warnings, pauses, changed settings.
    pub(crate) fn event_steps(&self) -> Vec<u64> {
        let snapshot = &self.snapshot;
        let is_marked =
            |event: &&Event| matches!(event.kind, EventKind::Edit(_) | EventKind::Paused);
        let mut steps: Vec<u64> =
            (snapshot.events.iter().filter(is_marked).map(|event| event.step))
                .chain(snapshot.checkpoints.iter().copied())
                .chain(snapshot.evaluations.iter().map(|evaluation| evaluation.step))
                .chain(snapshot.warnings.iter().map(|(step, _)| *step))
                .filter(|step| (1..=self.cursor.newest()).contains(step))
                .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Moves the cursor to the next event (+1) or the one before (-1), where there is one.
    pub(crate) fn jump_to_event(&mut self, by: i64) {
        let (steps, at) = (self.event_steps(), self.cursor.at());
        let found = match by {
            1.. => steps.iter().find(|&&step| step > at),
            _ => steps.iter().rev().find(|&&step| step < at),
        };
        if let Some(&step) = found {
            self.cursor.move_to(step);
        }
    }
}
