//! The logs of a run, which grow by lines: metrics, evaluations, events, fidelity, and `log.txt`.

use super::RunDir;
use super::names::{DECLARATIONS, LOGS};
use super::tail::Tail;
use crate::error::{Error, Result};
use crate::escape::{MOST_LISTED, MOST_SHOWN, cut, escaped, listed};
use crate::files::{self, SETTINGS_BYTES};
use crate::metrics::{Declaration, Metric, MetricRow};
use crate::run::{evaluation::EvaluationRecord, event::Event};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

/// A line of `fidelity.jsonl`: how well features stood in for parameter gradients in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FidelityRecord {
    /// The step.
    pub step: u64,
    /// Groups compared.
    pub groups: usize,
    /// Pairs of responses compared.
    pub pairs: usize,
    /// The whole network first, then its parts.
    pub blocks: Vec<BlockFidelity>,
}

/// Fidelity for one part of the network. Numbers are null where they do not exist, such as
/// correlations of constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockFidelity {
    /// `all`, `embeddings`, `head`, `attention`, `mlp`, `norms`, or `layer N`.
    pub block: String,
    /// Pearson's correlation of feature cosines with the cosines of these gradients.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation of the same.
    pub spearman: Option<f64>,
    /// Mean cosine between these gradients.
    pub cosine_mean: Option<f64>,
}

impl RunDir {
    /// The metrics recorded so far.
    pub fn read_metrics(&self) -> Result<Vec<MetricRow>> {
        self.read_log("metrics.jsonl", MetricRow::from_json)
    }

    /// What the metrics of the run are, as its plugins declared them, and what is wrong with that,
    /// if anything is. Nothing in runs of older versions.
    pub fn read_declarations(&self) -> (Vec<Declaration>, Option<String>) {
        let path = self.path.join(DECLARATIONS);
        let fault = |why: String| {
            Some(format!("{DECLARATIONS}: {} ({})", cut(&why, MOST_SHOWN), path.display()))
        };
        let entries: Vec<Value> = match files::read_text(&path, SETTINGS_BYTES) {
            Ok(text) => match serde_json::from_str(&text) {
                Ok(entries) => entries,
                Err(error) => {
                    return (Vec::new(), fault(format!("it is not a list of metrics: {error}")));
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return (Vec::new(), None);
            }
            Err(error) => return (Vec::new(), fault(format!("it cannot be read: {error}"))),
        };
        let (mut known, mut faults) = (Vec::new(), Vec::new());
        for (entry, number) in entries.into_iter().zip(1..) {
            match serde_json::from_value(entry) {
                Ok(declaration) => known.push(declaration),
                Err(error) => faults.push(format!("entry {number} is left out: {error}")),
            }
        }
        let fault = if faults.is_empty() { None } else { fault(listed(faults, MOST_LISTED)) };
        (known, fault)
    }

    /// Writes `metrics.json`: what these metrics are, and those that the run had declared before.
    /// Where that file is damaged it is kept under another name; returns a warning then.
    pub fn keep_declarations(&self, metrics: &[&Metric]) -> Result<Option<String>> {
        let mut declarations: Vec<Declaration> =
            metrics.iter().map(|&metric| metric.into()).collect();
        let (earlier, fault) = self.read_declarations();
        let keep = |fault: String| {
            let path = self.path.join(DECLARATIONS);
            let kept = files::copy_aside(&path, "damaged")
                .map_err(Error::io("keeping a damaged file", &path))?;
            let kept = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok::<_, Error>(format!("{fault}; the file as it was is kept as {kept}"))
        };
        let warning = fault.map(keep).transpose()?;
        declarations.extend(
            earlier
                .into_iter()
                .filter(|earlier| metrics.iter().all(|metric| metric.name != earlier.name)),
        );
        let text = serde_json::to_string_pretty(&declarations)
            .map_err(|e| Error::failed(format!("cannot write the declarations of metrics: {e}")))?;
        self.write_whole(DECLARATIONS, format!("{text}\n").as_bytes())?;
        Ok(warning)
    }

    /// The evaluations recorded so far.
    pub fn read_evaluations(&self) -> Result<Vec<EvaluationRecord>> {
        self.read_log("evals.jsonl", |line| serde_json::from_str(line).ok())
    }

    /// The proxy fidelity measured so far.
    pub fn read_fidelity(&self) -> Result<Vec<FidelityRecord>> {
        self.read_log("fidelity.jsonl", |line| serde_json::from_str(line).ok())
    }

    /// What happened beside training so far.
    pub fn read_events(&self) -> Result<Vec<Event>> {
        self.read_log("events.jsonl", |line| serde_json::from_str(line).ok())
    }

    /// Reads `metrics.jsonl` as it grows.
    pub fn tail_metrics(&self) -> Tail {
        self.tail("metrics.jsonl")
    }

    /// Reads `evals.jsonl` as it grows.
    pub fn tail_evaluations(&self) -> Tail {
        self.tail("evals.jsonl")
    }

    /// Reads `events.jsonl` as it grows.
    pub fn tail_events(&self) -> Tail {
        self.tail("events.jsonl")
    }

    /// Reads `fidelity.jsonl` as it grows.
    pub fn tail_fidelity(&self) -> Tail {
        self.tail("fidelity.jsonl")
    }

    fn tail(&self, name: &str) -> Tail {
        Tail::of(self.path.join(name))
    }

    /// When the run was last heard of: the newest time of its logs and its manifest.
    pub fn last_written(&self) -> Option<SystemTime> {
        let time =
            |name: &str| fs::metadata(self.path.join(name)).and_then(|file| file.modified()).ok();
        LOGS.into_iter()
            .chain(["experiment.ron", "manifest.json", "log.txt"])
            .filter_map(time)
            .max()
    }

    /// The newest line of `metrics.jsonl`, without reading the whole file.
    pub fn last_metrics(&self) -> Result<Option<MetricRow>> {
        /// More than any line has.
        const END_BYTES: u64 = 1 << 16;
        let path = self.path.join("metrics.jsonl");
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = files::open_regular(&path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => {
                Ok(String::from_utf8_lossy(&bytes).lines().rev().find_map(MetricRow::from_json))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("reading the metrics", &path)(error)),
        }
    }

    /// What the lines of a JSONL file say to `parse`; lines that cannot be read are left out.
    fn read_log<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let path = self.path.join(name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("reading a file of the run", &path)(error)),
        };
        let lines =
            bytes.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        Ok(lines.filter_map(parse).collect())
    }

    /// Appends a line to `metrics.jsonl`.
    pub fn append_metrics(&self, line: &impl Serialize) -> Result<()> {
        self.append_line("metrics.jsonl", line)
    }

    /// Appends a line to `evals.jsonl`.
    pub fn append_evaluation(&self, line: &impl Serialize) -> Result<()> {
        self.append_line("evals.jsonl", line)
    }

    /// Appends a line to `fidelity.jsonl`.
    pub fn append_fidelity(&self, record: &FidelityRecord) -> Result<()> {
        self.append_line("fidelity.jsonl", record)
    }

    /// Appends a line to `events.jsonl`.
    pub fn append_event(&self, event: &Event) -> Result<()> {
        self.append_line("events.jsonl", event)
    }

    /// Appends a line with the time to `log.txt`.
    pub fn log(&self, text: &str) -> Result<()> {
        let text = escaped(text.trim_end());
        self.append("log.txt", format!("{:.0} {text}\n", jiff::Timestamp::now()).as_bytes())
    }

    fn append_line(&self, name: &str, line: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)
            .map_err(|e| Error::failed(format!("cannot write a line of {name}: {e}")))?;
        bytes.push(b'\n');
        self.append(name, &bytes)
    }

    /// Appends with one write, so that a reader sees whole lines. Where that fails, no part of them
    /// stays.
    fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.persist(|| {
            let mut file = files::open_own(&path, File::options().create(true).append(true))
                .map_err(Error::io("opening a file of the run", &path))?;
            let before =
                file.metadata().map_err(Error::io("opening a file of the run", &path))?.len();
            file.write_all(bytes).map_err(|error| {
                file.set_len(before).ok();
                Error::io("appending to a file of the run", &path)(error)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment;

    #[test]
    fn a_damaged_list_of_metrics_is_read_by_its_sound_entries_and_kept_aside() {
        let parent = tempfile::tempdir().unwrap();
        let text = r#"Experiment(name: "t", model: Bundled("countdown"), task: Countdown())"#;
        let run =
            RunDir::create(parent.path(), &experiment::from_text(text, "test").unwrap()).unwrap();
        let names = |(known, fault): (Vec<Declaration>, Option<String>)| {
            (
                known.into_iter().map(|metric| metric.name).collect::<Vec<_>>(),
                fault.unwrap_or_default(),
            )
        };
        let path = run.path().join(DECLARATIONS);
        assert_eq!(names(run.read_declarations()), (vec![], String::new()));
        let damaged = r#"[{"name": "a/b", "better": "higher"}, {"name": "a/c"}, 3]"#;
        fs::write(&path, damaged).unwrap();
        let (known, fault) = names(run.read_declarations());
        assert_eq!(known, ["a/b"]);
        let words = [
            "metrics.json: entry 2 is left out: missing field `better`",
            "entry 3",
            &*path.to_string_lossy(),
        ];
        assert!(words.iter().all(|word| fault.contains(word)), "{fault}");

        let metric = Metric::new("a/d", "New.");
        let warning = run.keep_declarations(&[&metric]).unwrap().unwrap();
        assert!(
            warning.starts_with(&fault) && warning.ends_with("is kept as metrics.json.damaged"),
            "{warning}"
        );
        assert_eq!(fs::read_to_string(path.with_added_extension("damaged")).unwrap(), damaged);
        let sound = (vec!["a/d".to_string(), "a/b".to_string()], String::new());
        assert_eq!(names(run.read_declarations()), sound);
        assert_eq!(run.keep_declarations(&[&metric]).unwrap(), None);

        fs::write(&path, "{").unwrap();
        let (known, fault) = names(run.read_declarations());
        assert!(known.is_empty() && fault.contains("it is not a list of metrics"), "{fault}");
    }
}
