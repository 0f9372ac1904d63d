//! The folder of an evaluation: `settings.json`, `samples.jsonl`, `eval.json`.
//!
//! `samples.jsonl` gets the lines of a problem when all its samples are judged. An evaluation that was cut off goes on after the last
//! problem that is there whole; since a problem's samples depend on nothing else, the files end up the same.

use super::{ProblemOutcome, SampledAnswer, Suite};
use crate::error::{Error, Result};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An evaluation's folder, open for writing.
pub struct EvaluationFolder {
    path: PathBuf,
    samples: File,
}

impl EvaluationFolder {
    /// Opens the folder at `path`, made where it is not there, and returns it with the outcomes of the problems that it holds
    /// already, the first ones of the suite. `settings` says everything that decides the samples, `samples` how many a problem has.
    ///
    /// A folder with samples of other settings is bad input.
    pub fn open(path: &Path, settings: &Value, suite: &Suite, samples: usize) -> Result<(Self, Vec<ProblemOutcome>)> {
        fs::create_dir_all(path).map_err(|e| {
            let place = path.display();
            Error::input(format!("the folder for the results cannot be made: {e}; choose another --out ({place})"))
        })?;
        let settings_path = path.join("settings.json");
        let samples_path = path.join("samples.jsonl");
        let text = format!("{settings:#}\n");
        let earlier_samples = fs::read(&samples_path).unwrap_or_default();
        match fs::read_to_string(&settings_path) {
            Ok(earlier) if earlier == text => {}
            // Nothing has been sampled yet: whoever began may have been stopped while writing the settings.
            _ if earlier_samples.is_empty() => {
                fs::write(&settings_path, text).map_err(Error::io("writing the settings", &settings_path))?;
            }
            _ => {
                let place = path.display();
                return Err(Error::input(format!(
                    "the folder holds an evaluation with other settings (settings.json); choose another --out ({place})"
                )));
            }
        }
        // The last line may end within a character.
        let valid = earlier_samples.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let (outcomes, whole) = outcomes(valid, suite, samples);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&samples_path)
            .and_then(|file| file.set_len(whole as u64).map(|()| file))
            .map_err(Error::io("opening the samples", &samples_path))?;
        Ok((Self { path: path.to_path_buf(), samples: file }, outcomes))
    }

    /// Appends the samples of the next problem.
    pub fn append(&mut self, samples: &[SampledAnswer]) -> Result<()> {
        let mut text = String::new();
        for sample in samples {
            let line =
                serde_json::to_string(sample).map_err(|e| Error::failed(format!("cannot write a sample: {e}")))?;
            text.push_str(&line);
            text.push('\n');
        }
        self.samples.write_all(text.as_bytes()).map_err(Error::io("writing samples", self.path.join("samples.jsonl")))
    }

    /// Writes `eval.json`, whole or not at all.
    pub fn finish(self, result: &Value) -> Result<()> {
        let path = self.path.join("eval.json");
        let temporary = path.with_added_extension("tmp");
        fs::write(&temporary, format!("{result:#}\n")).map_err(Error::io("writing the result", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::io("putting the result in place", &path))
    }
}

/// The outcomes of the problems whose samples are all there, in the order of the suite, and the length of their text in bytes.
fn outcomes(text: &str, suite: &Suite, samples: usize) -> (Vec<ProblemOutcome>, usize) {
    let (mut outcomes, mut whole, mut at) = (Vec::new(), 0, 0);
    let mut group: Vec<SampledAnswer> = Vec::new();
    for line in text.split_inclusive('\n') {
        at += line.len();
        let Some(item) = suite.problems.get(outcomes.len()) else { break };
        let Ok(sample) = serde_json::from_str::<SampledAnswer>(line) else { break };
        if !line.ends_with('\n') || sample.problem != item.problem.id || sample.sample != group.len() {
            break;
        }
        group.push(sample);
        if group.len() == samples {
            outcomes.push(ProblemOutcome::of(&group));
            group.clear();
            whole = at;
        }
    }
    (outcomes, whole)
}
