//! The folder of an evaluation: `settings.json`, `samples.jsonl`, `eval.json`.
//!
//! `samples.jsonl` gets the lines of a problem when all its samples are judged. An evaluation that was cut off goes on after the last
//! problem that is there whole; since a problem's samples depend on nothing else, the files end up the same.

use super::{ProblemOutcome, SampledAnswer, Suite};
use crate::error::{Error, Result};
use crate::files::{self, SETTINGS_BYTES, lock::FolderLock};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An evaluation's folder, open for writing.
pub struct EvaluationFolder {
    path: PathBuf,
    samples: File,
    _lock: FolderLock,
}

/// The file of everything that decides the samples.
const SETTINGS: &str = "settings.json";

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
        let lock = FolderLock::take(path, &format!("the evaluation in {}", path.display()))?;
        let settings_path = path.join(SETTINGS);
        let samples_path = path.join("samples.jsonl");
        let text = format!("{settings:#}\n");
        let earlier_samples = match fs::read(&samples_path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("reading the samples", &samples_path)(error)),
        };
        match files::read_text(&settings_path, SETTINGS_BYTES) {
            Ok(earlier) if earlier == text => {}
            // Nothing has been sampled yet: whoever began may have been stopped while writing the settings.
            Ok(earlier) if earlier_samples.is_empty() && (text.starts_with(&earlier) || are_settings(&earlier)) => {
                write(&settings_path, &text)?;
            }
            Err(_) if is_free(path) => write(&settings_path, &text)?,
            earlier => return Err(refused(path, earlier.ok().as_deref(), settings)),
        }
        // The last line may end within a character.
        let valid = earlier_samples.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let (outcomes, whole) = outcomes(valid, suite, samples);
        let file = files::open_own(&samples_path, File::options().create(true).append(true))
            .and_then(|file| file.set_len(whole as u64).map(|()| file))
            .map_err(Error::io("opening the samples", &samples_path))?;
        Ok((Self { path: path.to_path_buf(), samples: file, _lock: lock }, outcomes))
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
        self.samples.sync_all().map_err(Error::io("syncing samples to disk", &self.path))?;
        write(&self.path.join("eval.json"), &format!("{result:#}\n"))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    files::write_whole(path, text.as_bytes()).map_err(Error::io("writing a file of the evaluation", path))
}

/// Whether no file is in the folder that an evaluation would write.
fn is_free(folder: &Path) -> bool {
    [SETTINGS, "samples.jsonl", "eval.json"].iter().all(|name| !folder.join(name).exists())
}

/// Whether a text is what an evaluation writes of its settings.
fn are_settings(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|settings| settings.get("suite_hash").is_some())
}

/// What is wrong with a folder that holds something else than the beginning of this evaluation.
fn refused(path: &Path, earlier: Option<&str>, settings: &Value) -> Error {
    let earlier = earlier.filter(|text| are_settings(text)).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(earlier) = earlier else {
        return Error::input(format!(
            "there are files that `orthant eval` did not write, and nothing is overwritten; choose another --out ({})",
            path.display()
        ));
    };
    let names: BTreeSet<&String> =
        [&earlier, settings].into_iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys).collect();
    let of = |settings: &Value, name: &str| settings.get(name).unwrap_or(&Value::Null).clone();
    let differences: Vec<String> = names
        .into_iter()
        .map(|name| (name, of(&earlier, name), of(settings, name)))
        .filter(|(_, before, now)| before != now)
        .map(|(name, before, now)| format!("{name} was {before} and is {now}"))
        .collect();
    Error::input(format!(
        "the folder holds an evaluation with other settings: {}; choose another --out ({})",
        differences.join(", "),
        path.join(SETTINGS).display()
    ))
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
