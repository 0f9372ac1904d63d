//! What the trainer can be asked for, what became of it, and whether the run is still there.

use crate::dashboard::state::drafts;
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::pending::verb;
use crate::dashboard::state::run::State;
use crate::dashboard::state::standing::{Resumption, resumption, silence_s};
use crate::run::{LiveSetting, RunState, TrainerCommand};

impl State {
    /// Whether the run is read from its folder, so that there is no trainer to ask for anything.
    pub(crate) fn is_watched(&self) -> bool {
        self.snapshot.last_written.is_some()
    }

    /// Whether the trainer can be asked for `command` now.
    pub(crate) fn allows(&self, command: TrainerCommand) -> bool {
        let (run, pending) = (&self.snapshot.state, &self.pending);
        if self.is_watched()
            || run.is_over()
            || pending.awaits(TrainerCommand::Stop)
            || pending.awaits(command)
        {
            return false;
        }
        match command {
            TrainerCommand::Pause => *run == RunState::Training,
            TrainerCommand::Resume | TrainerCommand::StepOnce => *run == RunState::Paused,
            TrainerCommand::Checkpoint => *run != RunState::Starting,
            TrainerCommand::Set(..) | TrainerCommand::Stop | TrainerCommand::WindowLost => true,
        }
    }

    /// Pauses a training run and resumes a paused one.
    pub(crate) fn toggle_pause(&mut self) {
        let wanted = [TrainerCommand::Pause, TrainerCommand::Resume];
        if let Some(command) = wanted.into_iter().find(|&command| self.allows(command)) {
            self.pending.ask(command);
        }
    }

    /// Notes whether the trainer took `command`.
    pub(crate) fn sent(&mut self, command: TrainerCommand, is_taken: bool) {
        if is_taken {
            self.messages.forget_problem();
            self.pending.sent(command, &self.snapshot);
            return;
        }
        if let TrainerCommand::Set(setting, _) = command {
            self.drafts.not_taken(setting);
        }
        self.messages.tell_problem(format!(
            "The trainer did not take the command to {}: it has ended or is busy. Try again.",
            verb(command)
        ));
    }

    /// The value of a setting now: as last changed, or as the experiment has it; `None` where it
    /// cannot be changed.
    pub(crate) fn live(&self, setting: LiveSetting) -> Option<f64> {
        drafts::live(&self.snapshot, setting)
    }

    /// Sends what was typed for `setting`, or says why that cannot be.
    pub(crate) fn send_draft(&mut self, setting: LiveSetting) {
        if let Some(value) = self.drafts.send(setting, &self.snapshot) {
            self.pending.ask(TrainerCommand::Set(setting, value));
        }
    }

    /// Opens the list of keys, or closes it.
    pub(crate) fn toggle_keys(&mut self) {
        self.overlay = if self.overlay == Overlay::Keys { Overlay::Nothing } else { Overlay::Keys };
    }

    /// Seconds since a run of another process that is not over was written to; `None` for every
    /// other run.
    pub(crate) fn unwritten_s(&self) -> Option<f64> {
        let written = self.snapshot.last_written.filter(|_| !self.snapshot.state.is_over())?;
        Some(written.elapsed().unwrap_or_default().as_secs_f64())
    }

    /// Whether such a run has not been heard of for so long that it may have been killed.
    pub(crate) fn is_silent(&self) -> bool {
        self.unwritten_s().is_some_and(|age| age > silence_s(self.snapshot.history.last()))
    }

    /// How the run can be continued, where it has ended with more to do.
    pub(crate) fn resumption(&self) -> Option<Resumption> {
        let run = &self.snapshot;
        let is_finished = run.state == RunState::Finished;
        let has_ended = run.state.is_over() || self.is_silent();
        resumption(has_ended, is_finished, run.checkpoints.last().copied(), run.info.last_step())
    }
}
