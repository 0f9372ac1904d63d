//! Live settings that are being edited: what was typed, why it was refused, what was sent.

use crate::run::{LiveSetting, RunSnapshot};

/// A live setting that is being edited.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The setting.
    pub(crate) setting: LiveSetting,
    /// What was typed.
    pub(crate) text: String,
    /// Why it was refused.
    pub(crate) problem: Option<String>,
    /// The value that was sent, and how many changes the run had refused then.
    sent: Option<(f64, usize)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Drafts(Vec<Draft>);

impl Drafts {
    /// What was typed for `setting`, where that does not hold yet.
    pub(crate) fn of(&self, setting: LiveSetting) -> Option<&Draft> {
        self.0.iter().find(|draft| draft.setting == setting)
    }

    /// Keeps what is being typed for `setting`.
    pub(crate) fn write(&mut self, setting: LiveSetting, text: String) {
        self.forget(setting);
        self.0.push(Draft { setting, text, problem: None, sent: None });
    }

    /// Forgets what was typed for `setting`.
    pub(crate) fn forget(&mut self, setting: LiveSetting) {
        self.0.retain(|draft| draft.setting != setting);
    }

    /// The value that is to be sent for `setting` to `run`, where what was typed is one and does
    /// not hold already.
    pub(super) fn send(&mut self, setting: LiveSetting, run: &RunSnapshot) -> Option<f64> {
        let place = self.0.iter().position(|draft| draft.setting == setting)?;
        let draft = &mut self.0[place];
        match checked(run, setting, &draft.text) {
            Ok(value) if live(run, setting).is_some_and(|now| now.to_bits() == value.to_bits()) => {
                self.0.remove(place);
                None
            }
            Ok(value) => {
                (draft.problem, draft.sent) = (None, Some((value, run.refusals.len())));
                Some(value)
            }
            Err(problem) => {
                draft.problem = Some(problem);
                None
            }
        }
    }

    /// Notes that the trainer did not take the value of `setting`.
    pub(super) fn not_taken(&mut self, setting: LiveSetting) {
        self.0
            .iter_mut()
            .filter(|draft| draft.setting == setting)
            .for_each(|draft| draft.sent = None);
    }

    /// Lets go of what holds in `run` by now, and says why something does not.
    pub(super) fn settle(&mut self, run: &RunSnapshot) {
        self.0.retain(|draft| {
            draft.sent.is_none_or(|(value, _)| run.value_of(draft.setting) != Some(value))
        });
        for draft in &mut self.0 {
            let Some((_, known)) = draft.sent else { continue };
            let refused =
                run.refusals.iter().skip(known).find(|refusal| refusal.setting == draft.setting);
            if let Some(refusal) = refused {
                (draft.problem, draft.sent) = (Some(refusal.reason.clone()), None);
            }
        }
    }
}

/// The value of a setting now: as last changed, or as the experiment has it; `None` where it cannot
/// be changed.
pub(super) fn live(run: &RunSnapshot, setting: LiveSetting) -> Option<f64> {
    let started = run.info.experiment.as_ref();
    let written = setting.of(started).filter(|_| setting.is_offered(started))?;
    Some(run.value_of(setting).unwrap_or(written))
}

/// The value that was typed, checked as the trainer will.
fn checked(run: &RunSnapshot, setting: LiveSetting, text: &str) -> Result<f64, String> {
    let text = text.trim();
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    let such = if setting.is_whole() { "8" } else { "0.5 or 1e-5" };
    let value =
        value.ok_or_else(|| format!("`{text}` is not a number; write one such as {such}"))?;
    let changed = setting.changed(run.info.experiment.as_ref(), value);
    changed.map(|_| value).map_err(|error| error.to_string())
}
