//! Whether a run that says that it is training still has a process that trains it.

use super::{Manifest, RecordedState, RunDir};
use crate::files::lock::{self, Holder};
use std::path::Path;

/// Where a run stands, as its folder tells.
pub(crate) struct Standing {
    /// What it says of itself; `None` where it was killed before it said anything, or has not come
    /// to that yet.
    pub(crate) manifest: Option<Manifest>,
    /// Whether its process is gone without having said how the run ended.
    pub(crate) is_interrupted: bool,
}

impl RunDir {
    /// Where the run stands.
    pub(crate) fn standing(&self) -> Standing {
        self.standing_by(lock::holder)
    }

    /// The lock is looked at first: whoever gives it back has written the manifest before.
    fn standing_by(&self, holder: impl FnOnce(&Path) -> Holder) -> Standing {
        let is_alone = holder(self.path()) == Holder::Nobody;
        let manifest = self.read_manifest();
        let has_ended =
            manifest.as_ref().is_some_and(|manifest| manifest.state != RecordedState::Training);
        Standing { manifest, is_interrupted: is_alone && !has_ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment;

    fn run(parent: &Path) -> RunDir {
        let text = r#"Experiment(name: "t", model: Bundled("countdown"), task: Countdown())"#;
        RunDir::create(parent, &experiment::from_text(text, "test").unwrap()).unwrap()
    }

    fn write(run: &RunDir, state: &str) {
        let text = r#"{"version": "", "commit": "", "device": "", "model": "", "model_hash": "", "data_hash": "", "started": "",
            "state": "STATE", "step": 1}"#;
        std::fs::write(run.path().join("manifest.json"), text.replace("STATE", state)).unwrap();
    }

    #[test]
    fn a_run_that_was_killed_before_it_said_anything_is_interrupted() {
        let parent = tempfile::tempdir().unwrap();
        let run = run(parent.path());
        // Nobody has taken its lock so far: somebody may be about to.
        assert!(!run.standing().is_interrupted);
        let lock = run.lock().unwrap();
        assert!(!run.standing().is_interrupted);
        drop(lock);
        let standing = run.standing();
        assert!(standing.is_interrupted && standing.manifest.is_none());
        write(&run, "training");
        assert!(run.standing().is_interrupted);
        write(&run, "finished");
        assert!(!run.standing().is_interrupted);
    }

    #[test]
    fn a_run_that_ends_while_it_is_looked_at_is_not_interrupted() {
        let parent = tempfile::tempdir().unwrap();
        let run = run(parent.path());
        write(&run, "training");
        let ends = |_: &Path| {
            write(&run, "finished");
            Holder::Nobody
        };
        let standing = run.standing_by(ends);
        assert!(
            !standing.is_interrupted && standing.manifest.unwrap().state == RecordedState::Finished
        );
    }
}
