//! What the person asked for and has not seen yet: of the window, and of the trainer.

use crate::run::{LiveSetting, RunSnapshot, RunState, TrainerCommand};

/// The key of the panel that says what to look after, for whoever asks the window to show it.
pub(crate) const HEALTH: &str = "health";

/// What the person asked of the window, rather than of the trainer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Request {
    /// Bring the panel of that key to the front.
    ShowPanel(&'static str),
    /// Bring back the first layout.
    ResetLayout,
    /// Save a picture of the panel of that key, which is there.
    SavePicture(&'static str, egui::Rect),
    /// Continue the run from its newest checkpoint.
    Resume,
}

/// A command that was sent and has not shown its effect yet.
#[derive(Clone, Copy, Debug)]
struct Sent {
    command: TrainerCommand,
    /// The number of finished steps when it was sent.
    step: u64,
    checkpoints: usize,
    /// How often the run had waited for room then.
    waits: u64,
}

impl Sent {
    /// Whether `run` shows its effect, or will not any more.
    fn is_settled(&self, run: &RunSnapshot) -> bool {
        let is_done = match self.command {
            TrainerCommand::Pause => run.state == RunState::Paused,
            // It may have been paused again at once, by a disk that is full still.
            TrainerCommand::Resume => run.state == RunState::Training || run.waits > self.waits,
            TrainerCommand::StepOnce => run.step > self.step,
            TrainerCommand::Checkpoint => run.checkpoints.len() > self.checkpoints,
            TrainerCommand::Set(setting, value) => run.value_of(setting) == Some(value),
            TrainerCommand::Stop | TrainerCommand::WindowLost => false,
        };
        // Commands are carried out between steps: after two more steps something else must have
        // happened.
        let is_overtaken = self.command != TrainerCommand::Stop && run.step > self.step + 2;
        is_done || is_overtaken || run.state.is_over()
    }
}

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// What the person asked the window for in this frame.
    pub(crate) requests: Vec<Request>,
    /// What the person asked the trainer for in this frame.
    pub(crate) commands: Vec<TrainerCommand>,
    /// Whether the run is being taken up again.
    pub(crate) is_resuming: bool,
    sent: Option<Sent>,
}

impl Pending {
    /// Lets go of a command whose effect `run` shows.
    pub(super) fn settle(&mut self, run: &RunSnapshot) {
        self.sent.take_if(|sent| sent.is_settled(run));
    }

    /// Asks the trainer for something.
    pub(crate) fn ask(&mut self, command: TrainerCommand) {
        self.commands.push(command);
    }

    /// Asks the window for something.
    pub(crate) fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// Notes that the trainer took `command` while the run stood at `run`.
    pub(super) fn sent(&mut self, command: TrainerCommand, run: &RunSnapshot) {
        // Stop is final: what comes after it changes nothing.
        if !self.awaits(TrainerCommand::Stop) {
            let checkpoints = run.checkpoints.len();
            self.sent = Some(Sent { command, step: run.step, checkpoints, waits: run.waits });
        }
    }

    /// Whether `command` was sent and has not shown its effect yet.
    pub(crate) fn awaits(&self, command: TrainerCommand) -> bool {
        self.sent.is_some_and(|sent| sent.command == command)
    }

    /// Whether a new value of `setting` was sent and does not hold yet.
    pub(crate) fn awaits_setting(&self, setting: LiveSetting) -> bool {
        self.sent
            .is_some_and(|sent| matches!(sent.command, TrainerCommand::Set(of, _) if of == setting))
    }
}

/// What a command does, for a message.
pub(super) fn verb(command: TrainerCommand) -> &'static str {
    match command {
        TrainerCommand::Pause => "pause",
        TrainerCommand::Resume => "resume",
        TrainerCommand::StepOnce => "run one step",
        TrainerCommand::Checkpoint => "write a checkpoint",
        TrainerCommand::Set(..) => "change a setting",
        TrainerCommand::Stop => "stop",
        TrainerCommand::WindowLost => "continue without a window",
    }
}
