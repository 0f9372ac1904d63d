//! The folder of an evaluation: `settings.json`, `samples.jsonl`, `eval.json`.
//!
//! `samples.jsonl` gets the lines of a problem when all its samples are judged. An evaluation that
//! was cut off continues with the problems that are not there whole; since a problem's samples
//! depend on nothing else, the files end up the same.

use super::continuation::{Continuation, Replaced};
use super::{ProblemOutcome, SampledAnswer, Suite};
use crate::error::{Error, Result};
use crate::files::{self, SETTINGS_BYTES, lines::Lines, lines::numbered, lock::FolderLock};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// An evaluation's folder, open for writing.
pub struct EvaluationFolder {
    path: PathBuf,
    samples: File,
    /// Places of the suite's problems by their ids.
    places: HashMap<String, usize>,
    /// Whether problems stand in another order than the suite's.
    is_mixed: bool,
    _lock: FolderLock,
}

/// What an evaluation's folder holds already.
pub struct EarlierSamples {
    /// The outcomes of the suite's problems whose samples are all there.
    pub outcomes: Vec<Option<ProblemOutcome>>,
    /// What it continued with in place of something else, in this and in earlier tries.
    pub replaced: Vec<Replaced>,
    /// What there is to warn of, such as damaged lines.
    pub notes: Vec<String>,
}

/// The file of everything that decides the samples.
const SETTINGS: &str = "settings.json";
const SAMPLES: &str = "samples.jsonl";

impl EvaluationFolder {
    /// Opens the folder at `path`, made where it is not there, and returns it with what it holds
    /// already. `settings` says everything that decides the samples, and as `inputs` what is read,
    /// by its hashes; `samples` how many a problem has.
    ///
    /// A folder with samples of other settings is bad input, and so is one with samples of other
    /// inputs, unless `accepts_changes`.
    pub fn open(
        path: &Path,
        settings: &Map<String, Value>,
        suite: &Suite,
        samples: usize,
        accepts_changes: bool,
    ) -> Result<(Self, EarlierSamples)> {
        fs::create_dir_all(path).map_err(|e| {
            let place = path.display();
            Error::input(format!(
                "the folder for the results cannot be made: {e}; choose another --out ({place})"
            ))
        })?;
        let lock = FolderLock::take(path, &format!("the evaluation in {}", path.display()))?;
        let (settings_path, samples_path) = (path.join(SETTINGS), path.join(SAMPLES));
        let bytes = read(&samples_path, u64::MAX)?.unwrap_or_default();
        let earlier = read(&settings_path, SETTINGS_BYTES)?
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let found = Found::of(&bytes, suite, samples);
        let mut replaced = Vec::new();
        match earlier.as_deref() {
            None if [SAMPLES, "eval.json"].iter().all(|name| !path.join(name).exists()) => {}
            // Nothing has been sampled yet: whoever began may have been stopped while writing the
            // settings.
            Some(text)
                if bytes.is_empty()
                    && (are_settings(text) || in_text(settings).starts_with(text)) => {}
            None => {
                return Err(Error::input(format!(
                    "there are results that `orthant eval` did not write, or whose {SETTINGS} was \
                     taken away, and nothing is overwritten; choose another --out ({})",
                    path.display()
                )));
            }
            Some(earlier) => {
                let continuation = Continuation::of(earlier, settings, &settings_path)?;
                replaced = continuation.replaced(found.count(), accepts_changes)?;
            }
        }
        let mut notes = replaced
            .iter()
            .filter(|change| change.is_new)
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        notes.extend(found.keep_aside(&samples_path)?);
        let mut recorded = settings.clone();
        if !replaced.is_empty() {
            recorded
                .insert("replaced".to_string(), replaced.iter().map(Replaced::to_json).collect());
        }
        if earlier.as_deref() != Some(&in_text(&recorded)) {
            write(&settings_path, &in_text(&recorded))?;
        }
        if found.text.as_bytes() != bytes {
            write(&samples_path, &found.text)?;
        }
        let file = files::open_own(&samples_path, File::options().create(true).append(true))
            .map_err(Error::io("opening the samples", &samples_path))?;
        let folder = Self {
            path: path.to_path_buf(),
            samples: file,
            places: places(suite),
            is_mixed: found.is_mixed,
            _lock: lock,
        };
        Ok((folder, EarlierSamples { outcomes: found.outcomes, replaced, notes }))
    }

    /// Appends the samples of a problem.
    pub fn append(&mut self, samples: &[SampledAnswer]) -> Result<()> {
        let mut text = String::new();
        for sample in samples {
            let line = serde_json::to_string(sample)
                .map_err(|e| Error::failed(format!("cannot write a sample: {e}")))?;
            text.push_str(&line);
            text.push('\n');
        }
        self.samples
            .write_all(text.as_bytes())
            .map_err(Error::io("writing samples", self.path.join(SAMPLES)))
    }

    /// Writes `eval.json`, whole or not at all, when all samples are on the disk in the suite's
    /// order.
    pub fn finish(self, result: &Value) -> Result<()> {
        let path = self.path.join(SAMPLES);
        if self.is_mixed {
            let bytes =
                files::read(&path, u64::MAX).map_err(Error::io("reading the samples", &path))?;
            let mut lines = Lines::read(&bytes, sample).whole;
            lines.sort_by_key(|(_, sample, _)| (self.places.get(&sample.problem), sample.sample));
            write(&path, &lines.iter().flat_map(|(_, _, text)| [*text, "\n"]).collect::<String>())?;
        } else {
            files::sync(&path).map_err(Error::io("syncing samples to disk", &path))?;
        }
        write(&self.path.join("eval.json"), &format!("{result:#}\n"))
    }
}

fn sample(line: &str) -> Option<SampledAnswer> {
    serde_json::from_str(line).ok()
}

fn in_text(settings: &Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(settings.clone()))
}

fn are_settings(text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|settings: Value| settings["inputs"].is_object())
}

fn places(suite: &Suite) -> HashMap<String, usize> {
    suite
        .problems
        .iter()
        .enumerate()
        .map(|(place, item)| (item.problem.id.clone(), place))
        .collect()
}

/// A file of the folder, where there is one.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    match files::read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::input(format!(
            "the evaluation cannot continue, because a file of it cannot be read: {error}; choose \
             another --out ({})",
            path.display()
        ))),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    files::write_whole(path, text.as_bytes())
        .map_err(Error::io("writing a file of the evaluation", path))
}

/// The samples of a file, sorted out.
struct Found {
    outcomes: Vec<Option<ProblemOutcome>>,
    /// The lines of problems that are whole.
    text: String,
    /// Numbers of lines that cannot be read, or say nothing of this suite.
    damaged: Vec<usize>,
    /// Whether a problem lacks samples that no kill took.
    lacks: bool,
    is_mixed: bool,
}

impl Found {
    fn of(bytes: &[u8], suite: &Suite, samples: usize) -> Self {
        let lines = Lines::read(bytes, sample);
        let places = places(suite);
        let mut damaged = lines.damaged;
        // By problem, in the order in which they begin; of each, its samples by their numbers.
        let mut order: Vec<usize> = Vec::new();
        let mut problems: BTreeMap<usize, BTreeMap<usize, (SampledAnswer, &str)>> = BTreeMap::new();
        for (number, sample, text) in lines.whole {
            let place = places.get(&sample.problem).copied().filter(|_| sample.sample < samples);
            let group = place.map(|place| {
                problems.entry(place).or_insert_with(|| {
                    order.push(place);
                    BTreeMap::new()
                })
            });
            match group.filter(|group| !group.contains_key(&sample.sample)) {
                Some(group) => drop(group.insert(sample.sample, (sample, text))),
                None => damaged.push(number),
            }
        }
        damaged.sort_unstable();
        let last = order.last().copied();
        let mut outcomes = vec![None; suite.problems.len()];
        let (mut text, mut lacks, mut kept) = (String::new(), false, Vec::new());
        for place in order {
            let Some(group) = problems.remove(&place) else { continue };
            if group.len() < samples {
                // A kill takes the end of the last problem.
                lacks |= Some(place) != last;
                continue;
            }
            let (group, lines): (Vec<SampledAnswer>, Vec<&str>) = group.into_values().unzip();
            outcomes[place] = Some(ProblemOutcome::of(&group));
            text.extend(lines.iter().flat_map(|line| [*line, "\n"]));
            kept.push(place);
        }
        let is_mixed = kept.iter().enumerate().any(|(count, place)| count != *place);
        Self { outcomes, text, damaged, lacks, is_mixed }
    }

    /// How many problems are whole.
    fn count(&self) -> usize {
        self.outcomes.iter().flatten().count()
    }

    /// Where the file is damaged keeps it, and says so.
    fn keep_aside(&self, path: &Path) -> Result<Option<String>> {
        let fault = match (self.damaged.len(), self.lacks) {
            (0, false) => return Ok(None),
            (0, true) => "samples are missing".to_string(),
            (1, _) => format!("{} is damaged", numbered("line", &self.damaged)),
            _ => format!("{} are damaged", numbered("line", &self.damaged)),
        };
        let kept = files::copy_aside(path, "damaged")
            .map_err(Error::io("keeping a damaged file", path))?;
        let (kept, count) = (kept.file_name().unwrap_or_default().to_string_lossy(), self.count());
        Ok(Some(format!(
            "{SAMPLES}: {fault}; the file as it was is kept as {kept}, and the evaluation \
             continues with the {count} problems that are whole"
        )))
    }
}
