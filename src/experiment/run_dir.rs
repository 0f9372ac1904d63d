//! The run folder: the only code that knows what is where in it.
//!
//! Lines are appended and flushed as they come; whole files and checkpoints are written under a temporary name, synced and
//! renamed, so that they are there whole or not at all.

use super::config::Experiment;
use super::parse;
use crate::error::{Error, Result};
use crate::evaluation::EvaluationRecord;
use crate::geometry::TokenAttribution;
use crate::metrics::MetricRow;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One run's folder, open for writing.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes `<parent>/<name>-s<seed>-<UTC time>/` and writes the resolved experiment into it.
    pub fn create(parent: &Path, experiment: &Experiment) -> Result<Self> {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let base = format!("{}-s{}-{time}", experiment.name, experiment.seed);
        fs::create_dir_all(parent).map_err(|e| {
            Error::input(format!("cannot make the folder of runs: {e}; give another with --out ({})", parent.display()))
        })?;
        let mut path = parent.join(&base);
        let mut attempt = 2;
        // Two runs may start within one second; `create_dir` lets only one of them have a name.
        while let Err(error) = fs::create_dir(&path) {
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(Error::io("making the run folder", &path)(error));
            }
            path = parent.join(format!("{base}-{attempt}"));
            attempt += 1;
        }
        let run = Self { path };
        for folder in ["rollouts", "geometry", "tokens", "checkpoints", "figures"] {
            let folder = run.path.join(folder);
            fs::create_dir(&folder).map_err(Error::io("making a folder of the run", &folder))?;
        }
        run.write_whole("experiment.ron", format!("{}\n", parse::to_text(experiment)?).as_bytes())?;
        Ok(run)
    }

    /// Opens an existing run folder; returns it with the experiment that it holds.
    pub fn open(path: &Path) -> Result<(Self, Experiment)> {
        let file = path.join("experiment.ron");
        if !file.is_file() {
            return Err(Error::input(format!(
                "{} is not a run folder: it has no experiment.ron; give a folder that `orthant run` made",
                path.display()
            )));
        }
        Ok((Self { path: path.to_path_buf() }, parse::read(&file)?))
    }

    /// The newest checkpoint: its step and folder.
    pub fn newest_checkpoint(&self) -> Result<(u64, PathBuf)> {
        let folder = self.path.join("checkpoints");
        let newest = list(&folder)?
            .into_iter()
            .filter_map(|path| Some((step_number(path.file_name()?.to_str()?)?, path)))
            .filter(|(_, path)| path.join("trainer.json").is_file())
            .max();
        newest.ok_or_else(|| {
            Error::input(format!(
                "the run has no checkpoint to go on from ({}); start it again with `orthant run {}`",
                folder.display(),
                self.path.join("experiment.ron").display()
            ))
        })
    }

    /// Takes the run back to where it was after `step`: drops what was logged later, and whatever a crash left half-written.
    /// Afterwards each step stands once.
    pub fn rewind(&self, step: u64, experiment: &Experiment) -> Result<()> {
        for name in ["metrics.jsonl", "evals.jsonl", "events.jsonl", "fidelity.jsonl"] {
            let kept: String =
                self.lines(name)?.into_iter().filter(|(at, _)| *at <= step).map(|(_, line)| line + "\n").collect();
            self.write_whole(name, kept.as_bytes())?;
        }
        for folder in ["rollouts", "geometry", "tokens", "checkpoints"] {
            for path in list(&self.path.join(folder))? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let half_written = path.extension().is_some_and(|extension| extension == "tmp");
                if half_written || step_number(name).is_some_and(|at| at > step) {
                    let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                    removed.map_err(Error::io("removing what was written after the checkpoint", &path))?;
                }
            }
        }
        self.write_whole("experiment.ron", format!("{}\n", parse::to_text(experiment)?).as_bytes())
    }

    /// The metrics recorded so far.
    pub fn read_metrics(&self) -> Result<Vec<MetricRow>> {
        Ok(self.lines("metrics.jsonl")?.iter().filter_map(|(_, line)| MetricRow::from_json(line)).collect())
    }

    /// The evaluations recorded so far.
    pub fn read_evaluations(&self) -> Result<Vec<EvaluationRecord>> {
        Ok(self.lines("evals.jsonl")?.iter().filter_map(|(_, line)| serde_json::from_str(line).ok()).collect())
    }

    /// The proxy fidelity measured so far.
    pub fn read_fidelity(&self) -> Result<Vec<FidelityRecord>> {
        Ok(self.lines("fidelity.jsonl")?.iter().filter_map(|(_, line)| serde_json::from_str(line).ok()).collect())
    }

    /// Steps with a whole checkpoint, ascending.
    pub fn checkpoint_steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = list(&self.path.join("checkpoints"))?
            .iter()
            .filter_map(|path| step_number(path.file_name()?.to_str()?))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The whole lines of a JSONL file with their `step`; a line cut off by a crash is left out.
    fn lines(&self, name: &str) -> Result<Vec<(u64, String)>> {
        #[derive(Deserialize)]
        struct At {
            step: u64,
        }
        let path = self.path.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io("reading a file of the run", &path)(error)),
        };
        let parsed =
            text.lines().filter_map(|line| Some((serde_json::from_str::<At>(line).ok()?.step, line.to_string())));
        Ok(parsed.collect())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `manifest.json`; `None` where there is none that can be read.
    pub fn read_manifest(&self) -> Option<Manifest> {
        serde_json::from_str(&fs::read_to_string(self.path.join("manifest.json")).ok()?).ok()
    }

    /// Writes `manifest.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|e| Error::failed(format!("cannot write the manifest: {e}")))?;
        self.write_whole("manifest.json", format!("{text}\n").as_bytes())
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
        self.append("log.txt", format!("{:.0} {text}\n", jiff::Timestamp::now()).as_bytes())
    }

    /// Writes `rollouts/step_NNNNNN.jsonl`.
    pub fn write_rollouts<T: Serialize>(&self, step: u64, lines: &[T]) -> Result<()> {
        self.write_lines(&format!("rollouts/step_{step:06}.jsonl"), lines)
    }

    /// Writes `geometry/step_NNNNNN.jsonl`: statistics, a line per group.
    pub fn write_group_geometry<T: Serialize>(&self, step: u64, lines: &[T]) -> Result<()> {
        self.write_lines(&format!("geometry/step_{step:06}.jsonl"), lines)
    }

    fn write_lines<T: Serialize>(&self, name: &str, lines: &[T]) -> Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line)
                .map_err(|e| Error::failed(format!("cannot write a line of {name}: {e}")))?;
            bytes.push(b'\n');
        }
        self.write_whole(name, &bytes)
    }

    /// Writes `geometry/step_NNNNNN.safetensors` from `f32` tensors (name, shape, values).
    pub fn write_geometry(&self, step: u64, tensors: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<()> {
        let cpu = &Device::Cpu;
        let tensors =
            tensors.into_iter().map(|(name, shape, values)| Ok((name, Tensor::from_vec(values, shape, cpu)?)));
        self.write_tensors(&format!("geometry/step_{step:06}.safetensors"), tensors.collect::<Result<_>>()?)
    }

    /// Writes `tokens/step_NNNNNN.safetensors`.
    pub fn write_tokens(&self, step: u64, groups: &[GroupTokens]) -> Result<()> {
        let cpu = &Device::Cpu;
        let mut tensors = Vec::new();
        for tokens in groups {
            let (count, m) = (tokens.attribution.norms.len(), tokens.lengths.len());
            let mut offsets = vec![0i64];
            offsets.extend(tokens.lengths.iter().scan(0, |end, &length| {
                *end += length as i64;
                Some(*end)
            }));
            let mut add = |name: &str, tensor| tensors.push((format!("{name}.{}", tokens.group), tensor));
            add("offsets", Tensor::from_vec(offsets, m + 1, cpu)?);
            add("norm", Tensor::from_slice(&tokens.attribution.norms, count, cpu)?);
            add("share", Tensor::from_slice(&tokens.attribution.shares, (count, m), cpu)?);
            add("logprob", Tensor::from_slice(&tokens.logprobs, count, cpu)?);
            add("entropy", Tensor::from_slice(&tokens.entropies, count, cpu)?);
        }
        // Runs made before there was a token view have no folder for it.
        let folder = self.path.join("tokens");
        fs::create_dir_all(&folder).map_err(Error::io("making a folder of the run", &folder))?;
        self.write_tensors(&format!("tokens/step_{step:06}.safetensors"), tensors)
    }

    fn write_tensors(&self, name: &str, tensors: Vec<(String, Tensor)>) -> Result<()> {
        let bytes = safetensors::serialize(tensors, None)
            .map_err(|e| Error::failed(format!("cannot serialise {name}: {e}")))?;
        self.write_whole(name, &bytes)
    }

    /// Makes `checkpoints/step_NNNNNN/`, its content written by `fill` into a temporary folder first. Returns its path.
    pub fn write_checkpoint(&self, step: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let parent = self.path.join("checkpoints");
        let target = parent.join(format!("step_{step:06}"));
        let temporary = parent.join(format!(".step_{step:06}.tmp"));
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(Error::io("removing a half-written checkpoint", &temporary))?;
        }
        fs::create_dir(&temporary).map_err(Error::io("making a checkpoint's folder", &temporary))?;
        fill(&temporary)?;
        for entry in fs::read_dir(&temporary).map_err(Error::io("reading a checkpoint's folder", &temporary))? {
            let path = entry.map_err(Error::io("reading a checkpoint's folder", &temporary))?.path();
            sync(&path)?;
        }
        sync(&temporary)?;
        if target.exists() {
            fs::remove_dir_all(&target).map_err(Error::io("replacing a checkpoint", &target))?;
        }
        fs::rename(&temporary, &target).map_err(Error::io("putting a checkpoint in place", &target))?;
        sync(&parent)?;
        Ok(target)
    }

    fn append_line(&self, name: &str, line: &impl Serialize) -> Result<()> {
        let mut bytes =
            serde_json::to_vec(line).map_err(|e| Error::failed(format!("cannot write a line of {name}: {e}")))?;
        bytes.push(b'\n');
        self.append(name, &bytes)
    }

    /// Appends with one write, so that a reader sees whole lines.
    fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("opening a file of the run", &path))?;
        file.write_all(bytes).map_err(Error::io("appending to a file of the run", &path))
    }

    fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let temporary = path.with_added_extension("tmp");
        fs::write(&temporary, bytes).map_err(Error::io("writing a file of the run", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::io("putting a file of the run in place", &path))
    }
}

/// What is in a folder, in no particular order; nothing where there is no folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("reading a folder of the run", folder)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(Error::io("reading a folder of the run", folder))?.path())).collect()
}

/// N of `step_N`, with or without an extension.
fn step_number(name: &str) -> Option<u64> {
    name.strip_prefix("step_")?.split('.').next()?.parse().ok()
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("syncing to disk", path))
}

/// One group's tokens, for the token view.
#[derive(Clone, Debug)]
pub struct GroupTokens {
    /// The group's number within the step.
    pub group: u32,
    /// Tokens of each response (m).
    pub lengths: Vec<usize>,
    /// |phi| and parts in the cosines.
    pub attribution: TokenAttribution,
    /// log p of every token under the sampling distribution, nats: (tokens).
    pub logprobs: Vec<f32>,
    /// Entropy of the sampling distribution at every token, nats: (tokens).
    pub entropies: Vec<f32>,
}

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

/// Fidelity for one part of the network. Numbers are null where they do not exist, such as correlations of constants.
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

/// `manifest.json`: what a run is and where it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The program's version.
    pub version: String,
    /// The commit that the program was built from, or `unknown`.
    pub commit: String,
    /// The device in words.
    pub device: String,
    /// The model in words.
    pub model: String,
    /// SHA-256 of the initial weights.
    pub model_hash: String,
    /// SHA-256 of the task's settings.
    pub data_hash: String,
    /// When the run started, UTC.
    pub started: String,
    /// `training`, `finished`, `stopped` or `failed`.
    pub state: String,
    /// Steps finished.
    pub step: u64,
}

/// A line of `events.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// The step after which it happened.
    pub step: u64,
    /// When, UTC.
    pub time: String,
    /// `started`, `paused`, `resumed`, `checkpoint`, `warning`, `stopped`, `finished` or `error`.
    pub kind: &'static str,
    /// What happened.
    pub text: String,
}

impl Event {
    /// An event that happens now.
    pub fn now(step: u64, kind: &'static str, text: impl Into<String>) -> Self {
        Self { step, time: format!("{:.0}", jiff::Timestamp::now()), kind, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment() -> Experiment {
        parse::from_text(r#"Experiment(name: "t", model: Bundled("countdown"), task: Countdown())"#, "test").unwrap()
    }

    #[test]
    fn two_runs_of_one_second_get_folders_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = RunDir::create(parent.path(), &experiment()).unwrap();
        let second = RunDir::create(parent.path(), &experiment()).unwrap();
        assert_ne!(first.path(), second.path());
        let again: Experiment = parse::read(&first.path().join("experiment.ron")).unwrap();
        assert_eq!(again, experiment());
    }

    #[test]
    fn a_checkpoint_that_fails_half_way_is_not_there() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let failed = run.write_checkpoint(3, |folder| {
            fs::write(folder.join("half"), "x").unwrap();
            Err(Error::failed("disk full"))
        });
        assert!(failed.is_err());
        assert!(!run.path().join("checkpoints/step_000003").exists());
        let path = run
            .write_checkpoint(3, |folder| {
                fs::write(folder.join("whole"), "x").unwrap();
                Ok(())
            })
            .unwrap();
        assert!(path.join("whole").exists());
        assert_eq!(fs::read_dir(run.path().join("checkpoints")).unwrap().count(), 1);
    }

    #[test]
    fn lines_and_geometry_read_back() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        run.append_event(&Event::now(1, "warning", "a")).unwrap();
        run.append_event(&Event::now(2, "warning", "b")).unwrap();
        let text = fs::read_to_string(run.path().join("events.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1]["text"], "b");
        run.write_geometry(7, vec![("cosine.0".to_string(), vec![2, 2], vec![1.0, 0.5, 0.5, 1.0])]).unwrap();
        let path = run.path().join("geometry/step_000007.safetensors");
        let read = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
        assert_eq!(read["cosine.0"].to_vec2::<f32>().unwrap(), [[1.0, 0.5], [0.5, 1.0]]);
    }
}
