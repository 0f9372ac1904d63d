//! An experiment file that is edited on the start screen.

use crate::dashboard::runs::found::ExperimentFile;
use crate::error::{Error, Result};
use crate::experiment::{self, Experiment};
use crate::files::{self, SETTINGS_BYTES};
use std::path::{Path, PathBuf};

/// An experiment that is being edited, and what is wrong with it.
pub(crate) struct Editor {
    /// The file that it came from.
    pub(crate) path: PathBuf,
    /// The text as edited.
    pub(crate) text: String,
    /// The text as last saved.
    saved: String,
    /// The file to save it as.
    pub(crate) name: String,
    /// The experiment, or what is wrong.
    pub(crate) parsed: Result<Experiment, String>,
    /// Fields that differ from the defaults, as `--set` takes them.
    pub(crate) differences: Vec<String>,
}

impl Editor {
    /// Looks at an experiment file.
    pub(crate) fn new(file: &ExperimentFile) -> Self {
        let name = file_name(&file.path);
        let mut editor = Self {
            path: file.path.clone(),
            text: file.text.clone(),
            saved: file.text.clone(),
            name,
            parsed: Err(String::new()),
            differences: Vec::new(),
        };
        editor.check();
        editor
    }

    /// Whether the text is not the file's.
    pub(crate) fn is_changed(&self) -> bool {
        self.text != self.saved
    }

    /// Takes the text of the file again, and its name; what was edited here is gone.
    pub(crate) fn revert(&mut self) -> Result<()> {
        let there = files::read_text(&self.path, SETTINGS_BYTES);
        (self.text, self.name) = (
            there.map_err(Error::io("reading the experiment", &self.path))?,
            file_name(&self.path),
        );
        self.saved.clone_from(&self.text);
        self.check();
        Ok(())
    }

    /// Whether there is anything to take back.
    pub(crate) fn can_revert(&self, files: &[ExperimentFile]) -> bool {
        let is_other = files.iter().any(|file| file.path == self.path && file.text != self.saved);
        self.is_changed() || is_other || self.name != file_name(&self.path)
    }

    /// Takes over what another program has made of the file, unless the text has been edited here.
    pub(super) fn follow(&mut self, files: &[ExperimentFile]) {
        let file = files.iter().find(|file| file.path == self.path);
        if let Some(file) = file.filter(|file| file.text != self.saved && !self.is_changed()) {
            (self.text, self.saved) = (file.text.clone(), file.text.clone());
            self.check();
        }
    }

    /// Parses and validates the text as it is now.
    pub(crate) fn check(&mut self) {
        let parsed = experiment::from_text::<Experiment>(&self.text, &self.name)
            .and_then(|experiment| experiment.validate().map(|()| experiment));
        self.parsed = parsed.map_err(|error| error.to_string());
        if let Ok(experiment) = &self.parsed {
            self.differences = differences(experiment).unwrap_or_default();
        }
    }

    /// Writes the text to the file `name` beside the one that it came from. Another existing file
    /// is not overwritten.
    pub(crate) fn save(&mut self) -> Result<()> {
        let name = self.name.trim();
        if name.is_empty()
            || name.contains(['/', '\\'])
            || Path::new(name).extension().is_none_or(|extension| extension != "ron")
        {
            return Err(Error::input(format!(
                "`{name}` is not a name for an experiment file; write one such as mine.ron"
            )));
        }
        let path = self.path.with_file_name(name);
        if path != self.path && path.exists() {
            return Err(Error::input(format!(
                "{} is there already; choose another name",
                path.display()
            )));
        }
        let there = || {
            files::read_text(&path, SETTINGS_BYTES)
                .map_err(Error::io("reading the experiment", &path))
        };
        if path == self.path && path.exists() && there()? != self.saved {
            return Err(Error::input(format!(
                "{} has been changed by another program since it was opened; save the text under \
                 another name",
                path.display()
            )));
        }
        files::write_whole(&path, self.text.as_bytes())
            .map_err(Error::io("saving the experiment", &path))?;
        self.path = path;
        self.saved.clone_from(&self.text);
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The fields in which the experiment differs from one of its model and task with all defaults, as
/// `--set` takes them.
fn differences(experiment: &Experiment) -> Result<Vec<String>> {
    let least = format!(
        "Experiment(name: {:?}, model: {}, task: {})",
        experiment.name,
        experiment::to_text(&experiment.model)?,
        experiment::to_text(&experiment.task)?
    );
    let defaults = experiment::from_text::<Experiment>(&least, "defaults")?;
    let changed = experiment::differences(&defaults, experiment)?
        .into_iter()
        .filter(|of| of.path != "description");
    Ok(changed.map(|of| format!("{}={}", of.path, of.to)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor(text: &str, folder: &Path) -> Editor {
        Editor::new(&ExperimentFile {
            path: folder.join("a.ron"),
            text: text.to_owned(),
            experiment: Err(String::new()),
        })
    }

    const SMALL: &str = "Experiment(name: \"a\", model: Bundled(\"countdown\"), task: Countdown(), \
                         stop: (steps: 7), method: Grpo)";

    #[test]
    fn an_experiment_is_validated_as_it_is_typed_and_named_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(SMALL, folder.path());
        assert!(editor.parsed.is_ok());
        assert!(
            editor.differences.iter().any(|line| line == "stop.steps=7"),
            "{:?}",
            editor.differences
        );
        assert!(!editor.differences.iter().any(|line| line.contains("learning_rate")));
        // Each can be written after --set, with the same effect.
        let mut again: Experiment =
            experiment::from_text(&SMALL.replace("steps: 7", "steps: 8"), "again").unwrap();
        for difference in &editor.differences {
            again = experiment::set(&again, difference).unwrap();
        }
        assert_eq!(
            experiment::to_text(&again).unwrap(),
            experiment::to_text(editor.parsed.as_ref().unwrap()).unwrap()
        );
        editor.text = SMALL.replace("steps: 7", "stepz: 7");
        editor.check();
        assert!(editor.parsed.as_ref().unwrap_err().contains("steps"), "{:?}", editor.parsed);
        editor.text = SMALL.replace("steps: 7", "steps: 0");
        editor.check();
        assert!(editor.parsed.as_ref().unwrap_err().contains("stop.steps"), "{:?}", editor.parsed);
    }

    #[test]
    fn edits_are_taken_back_with_the_text_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(SMALL, folder.path());
        assert!(!editor.can_revert(&[]));
        std::fs::write(folder.path().join("a.ron"), SMALL.replace("steps: 7", "steps: 8")).unwrap();
        let file = ExperimentFile::read(&folder.path().join("a.ron"));
        assert!(editor.can_revert(&[file]), "another program has changed it");
        editor.text = "what nobody wants".to_owned();
        editor.check();
        assert!(editor.can_revert(&[]) && editor.parsed.is_err());
        editor.revert().unwrap();
        assert!(
            editor.text.contains("steps: 8") && editor.parsed.is_ok() && !editor.can_revert(&[])
        );
        editor.save().unwrap();
        std::fs::remove_file(folder.path().join("a.ron")).unwrap();
        assert!(editor.revert().unwrap_err().to_string().contains("a.ron"));
        assert!(editor.text.contains("steps: 8"), "nothing is lost");
    }

    #[test]
    fn saving_as_another_file_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.ron"), "mine").unwrap();
        let mut editor = editor(SMALL, folder.path());
        for name in ["b.ron", "../c.ron", "c", ""] {
            editor.name = name.to_owned();
            assert!(editor.save().is_err(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("b.ron")).unwrap(), "mine");
        editor.name = "c.ron".to_owned();
        editor.text.push('\n');
        assert!(editor.is_changed());
        editor.save().unwrap();
        assert!(!editor.is_changed());
        assert_eq!(std::fs::read_to_string(folder.path().join("c.ron")).unwrap(), editor.text);
    }
}
