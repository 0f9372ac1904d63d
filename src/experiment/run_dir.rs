//! The run folder: the only code that knows what is where in it.
//!
//! Lines are appended as they come; whole files and checkpoints are written under a temporary name and renamed, so that they are
//! there whole or not at all. A checkpoint gets its name when it, and all logs and records up to its step, are on the disk.

use super::config::Experiment;
use super::parse::{self, Difference};
use crate::error::{Error, Result};
use crate::escape::escaped;
use crate::evaluation::EvaluationRecord;
use crate::files::{
    self, SETTINGS_BYTES,
    lock::{self, FolderLock, Holder},
    space,
};
use crate::metrics::MetricRow;
use crate::trainer::{GroupTokens, GroupView, RolloutView, StepView};
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Files that grow by lines while a run goes on.
pub(super) const LOGS: [&str; 4] = ["metrics.jsonl", "evals.jsonl", "events.jsonl", "fidelity.jsonl"];

/// Folders in it.
const FOLDERS: [&str; 5] = ["rollouts", "geometry", "tokens", "checkpoints", "figures"];

/// One run's folder.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    patience: Option<Patience>,
    /// Bytes of a checkpoint, where they are known.
    checkpoint_bytes: u64,
}

/// Asked when something cannot be written: whether to try again.
#[derive(Clone)]
struct Patience(Arc<dyn Fn(&Error) -> bool + Send + Sync>);

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patience")
    }
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
        files::sync(parent).map_err(Error::io("syncing to disk", parent))?;
        let run = Self::at(&path);
        for folder in FOLDERS {
            let folder = run.path.join(folder);
            fs::create_dir(&folder).map_err(Error::io("making a folder of the run", &folder))?;
        }
        run.write_experiment(experiment)?;
        Ok(run)
    }

    /// Writes `experiment.ron`.
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<()> {
        self.write_whole("experiment.ron", format!("{}\n", parse::to_text(experiment)?).as_bytes())
    }

    /// The same folder; what cannot be written to it is tried again for as long as `ask` says so.
    pub(crate) fn with_patience(self, ask: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        Self { patience: Some(Patience(Arc::new(ask))), ..self }
    }

    /// The same folder, for a run whose checkpoints have so many bytes.
    pub(crate) fn with_checkpoints_of(self, checkpoint_bytes: u64) -> Self {
        Self { checkpoint_bytes, ..self }
    }

    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    /// Takes the folder's lock: whoever writes to the run holds it.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        FolderLock::take(&self.path, &format!("the run in {}", self.path.display()))
    }

    /// Whether the run says that it is training, but the process that trained it is gone: killed, or its machine was.
    pub fn is_interrupted(&self, manifest: &Manifest) -> bool {
        manifest.state == "training" && lock::holder(&self.path) == Holder::Nobody
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
        Ok((Self::at(path), parse::read(&file)?))
    }

    /// Refuses a folder in which something else stands where the run has a file or a folder. `look` says what is somewhere: links
    /// followed for those who only read.
    pub(crate) fn check_kinds(&self, look: fn(&Path) -> std::io::Result<fs::Metadata>) -> Result<()> {
        let refused = |path: &Path, is: &str, must: &str| {
            Err(Error::input(format!(
                "{} is {is} and must be {must} of the run; move it away, or put the run's own back",
                path.display()
            )))
        };
        for name in LOGS.into_iter().chain(["experiment.ron", "manifest.json", "log.txt"]) {
            let path = self.path.join(name);
            match look(&path) {
                Ok(found) if found.is_dir() => return refused(&path, "a folder", "a file"),
                Ok(found) if found.is_symlink() => return refused(&path, "a link", "a file"),
                Ok(found) if !found.is_file() => return refused(&path, "a pipe, a socket or a device", "a file"),
                _ => {}
            }
        }
        for name in FOLDERS {
            let path = self.path.join(name);
            if fs::metadata(&path).is_ok_and(|found| !found.is_dir()) {
                return refused(&path, "no folder", "the folder");
            }
        }
        Ok(())
    }

    /// The run folder at `path`, whatever is there: for reading what may be in it.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), patience: None, checkpoint_bytes: 0 }
    }

    /// The metrics recorded so far.
    pub fn read_metrics(&self) -> Result<Vec<MetricRow>> {
        self.read_log("metrics.jsonl", MetricRow::from_json)
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

    /// Steps with a record, ascending: those that [`RunDir::read_step`] can read. Costs a listing of `rollouts/`.
    pub fn recorded_steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = list(&self.path.join("rollouts"))?
            .iter()
            .filter_map(|path| record_step(path.file_name()?.to_str()?, &[".jsonl"]))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The record of `step`: its rollouts, and the cosine matrices that were recorded with them. `None` where the step was not
    /// recorded. A file that is damaged is an error that names the place.
    pub fn read_step(&self, step: u64) -> Result<Option<StepView>> {
        let name = rollouts_file(step);
        let path = self.path.join(&name);
        let text = match files::read_text(&path, u64::MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("reading the rollouts of a step", &path)(error)),
        };
        let mut groups: Vec<GroupView> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let record: RolloutRecord = serde_json::from_str(line)
                .map_err(|error| Error::failed(format!("{name}, line {}: {error}", number + 1)))?;
            record.join(&mut groups);
        }
        self.read_cosines(step, &mut groups)?;
        self.read_tokens(step, &mut groups)?;
        Ok(Some(StepView { step, groups }))
    }

    /// The lines of `rollouts/step_NNNNNN.jsonl`. Fails where the step was not recorded.
    pub(crate) fn read_rollout_lines(&self, step: u64) -> Result<String> {
        let path = self.path.join(rollouts_file(step));
        files::read_text(&path, u64::MAX).map_err(Error::io("reading the rollouts of a step", &path))
    }

    /// Fills in the cosine matrices of `geometry/step_NNNNNN.safetensors`; leaves them empty where they were not recorded.
    fn read_cosines(&self, step: u64, groups: &mut [GroupView]) -> Result<()> {
        let name = geometry_file(step);
        let path = self.path.join(&name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("reading the geometry of a step", &path)(error)),
        };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| Error::failed(format!("{name}: {error}")))?;
        for group in groups {
            let (number, m) = (group.group, group.rollouts.len());
            let matrix = |kind: &str| {
                let Ok(tensor) = tensors.tensor(&format!("{kind}.{number}")) else { return Ok(Vec::new()) };
                if tensor.dtype() != Dtype::F32 || tensor.shape() != [m, m] {
                    return Err(Error::failed(format!(
                        "{name}: {kind}.{number} is {:?} {:?}; for {m} rollouts it must be F32 [{m}, {m}]",
                        tensor.dtype(),
                        tensor.shape()
                    )));
                }
                let (values, _) = tensor.data().as_chunks();
                Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            };
            group.cosine = matrix("cosine")?;
            group.semantic = matrix("semantic")?;
            group.gradient = matrix("gradient")?;
        }
        Ok(())
    }

    /// Fills in the tokens of `tokens/step_NNNNNN.safetensors` where they were recorded. Runs that were made before texts and ratios
    /// were recorded have neither: no token view.
    fn read_tokens(&self, step: u64, groups: &mut [GroupView]) -> Result<()> {
        let name = tokens_file(step);
        let path = self.path.join(&name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("reading the tokens of a step", &path)(error)),
        };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| Error::failed(format!("{name}: {error}")))?;
        for group in groups {
            let (number, m) = (group.group, group.rollouts.len());
            let lengths: Vec<usize> = group.rollouts.iter().map(|rollout| rollout.length as usize).collect();
            let tokens: usize = lengths.iter().sum();
            if tensors.tensor(&format!("end.{number}")).is_err() {
                continue;
            }
            let data = |kind: &str, of: Dtype, shape: &[usize]| {
                let tensor = tensors
                    .tensor(&format!("{kind}.{number}"))
                    .map_err(|error| Error::failed(format!("{name}: {kind}.{number}: {error}")))?;
                if tensor.dtype() != of || tensor.shape() != shape {
                    return Err(Error::failed(format!(
                        "{name}: {kind}.{number} is {:?} {:?}; for {m} rollouts of {tokens} tokens it must be {of:?} {shape:?}",
                        tensor.dtype(),
                        tensor.shape()
                    )));
                }
                Ok(tensor.data())
            };
            let floats = |kind: &str, shape: &[usize]| -> Result<Vec<f32>> {
                let (values, _) = data(kind, Dtype::F32, shape)?.as_chunks();
                Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            };
            let (ends, _) = data("end", Dtype::U32, &[tokens])?.as_chunks();
            group.tokens = Some(Arc::new(GroupTokens {
                offsets: GroupTokens::offsets_of(&lengths),
                ends: ends.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
                norms: floats("norm", &[tokens])?,
                shares: floats("share", &[tokens, m])?,
                logprobs: floats("logprob", &[tokens])?,
                entropies: floats("entropy", &[tokens])?,
                ratios: floats("ratio", &[tokens])?,
                clipped: data("clipped", Dtype::U8, &[tokens])?.iter().map(|&clipped| clipped != 0).collect(),
            }));
        }
        Ok(())
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
        Tail { path: self.path.join(name), offset: 0, seen: 0 }
    }

    /// When the run was last heard of: the newest time of its logs and its manifest.
    pub fn last_written(&self) -> Option<SystemTime> {
        let time = |name: &str| fs::metadata(self.path.join(name)).and_then(|file| file.modified()).ok();
        LOGS.into_iter().chain(["experiment.ron", "manifest.json", "log.txt"]).filter_map(time).max()
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
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().rev().find_map(MetricRow::from_json)),
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
        let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        Ok(lines.filter_map(parse).collect())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `manifest.json`; `None` where there is none that can be read.
    pub fn read_manifest(&self) -> Option<Manifest> {
        serde_json::from_str(&files::read_text(&self.path.join("manifest.json"), SETTINGS_BYTES).ok()?).ok()
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
        self.append("log.txt", format!("{:.0} {}\n", jiff::Timestamp::now(), escaped(text)).as_bytes())
    }

    /// Writes `rollouts/step_NNNNNN.jsonl`, a line per rollout.
    pub fn write_rollouts(&self, step: u64, records: &[RolloutRecord]) -> Result<()> {
        self.write_lines(&rollouts_file(step), records)
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
        self.write_record(name, &bytes)
    }

    /// Writes `geometry/step_NNNNNN.safetensors` from `f32` tensors (name, shape, values).
    pub fn write_geometry(&self, step: u64, tensors: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<()> {
        let cpu = &Device::Cpu;
        let tensors =
            tensors.into_iter().map(|(name, shape, values)| Ok((name, Tensor::from_vec(values, shape, cpu)?)));
        self.write_tensors(&geometry_file(step), tensors.collect::<Result<_>>()?)
    }

    /// Writes `tokens/step_NNNNNN.safetensors`: for every group g of m responses that has tokens `offsets.g` i64 (m + 1), `end.g` u32,
    /// `norm.g`, `logprob.g`, `entropy.g`, `ratio.g` f32 and `clipped.g` u8 (tokens), and `share.g` f32 (tokens, m). What they hold:
    /// [`GroupTokens`].
    pub fn write_tokens(&self, step: u64, groups: &[GroupView]) -> Result<()> {
        let cpu = &Device::Cpu;
        let mut tensors = Vec::new();
        for (group, tokens) in groups.iter().filter_map(|group| Some((group.group, group.tokens.as_deref()?))) {
            let (count, m) = (tokens.norms.len(), tokens.offsets.len().saturating_sub(1));
            let mut add = |name: &str, tensor| tensors.push((format!("{name}.{group}"), tensor));
            let offsets = tokens.offsets.iter().map(|&offset| offset as i64).collect();
            let clipped = tokens.clipped.iter().copied().map(u8::from).collect();
            add("offsets", Tensor::from_vec::<_, i64>(offsets, m + 1, cpu)?);
            add("end", Tensor::from_slice(&tokens.ends, count, cpu)?);
            add("norm", Tensor::from_slice(&tokens.norms, count, cpu)?);
            add("share", Tensor::from_slice(&tokens.shares, (count, m), cpu)?);
            add("logprob", Tensor::from_slice(&tokens.logprobs, count, cpu)?);
            add("entropy", Tensor::from_slice(&tokens.entropies, count, cpu)?);
            add("ratio", Tensor::from_slice(&tokens.ratios, count, cpu)?);
            add("clipped", Tensor::from_vec::<_, u8>(clipped, count, cpu)?);
        }
        // Runs made before there was a token view have no folder for it.
        let folder = self.path.join("tokens");
        fs::create_dir_all(&folder).map_err(Error::io("making a folder of the run", &folder))?;
        self.write_tensors(&tokens_file(step), tensors)
    }

    fn write_tensors(&self, name: &str, tensors: Vec<(String, Tensor)>) -> Result<()> {
        let bytes = safetensors::serialize(tensors, None)
            .map_err(|e| Error::failed(format!("cannot serialise {name}: {e}")))?;
        self.write_record(name, &bytes)
    }

    fn append_line(&self, name: &str, line: &impl Serialize) -> Result<()> {
        let mut bytes =
            serde_json::to_vec(line).map_err(|e| Error::failed(format!("cannot write a line of {name}: {e}")))?;
        bytes.push(b'\n');
        self.append(name, &bytes)
    }

    /// Appends with one write, so that a reader sees whole lines. Where that fails, no part of them stays.
    fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.persist(|| {
            let mut file = files::open_own(&path, File::options().create(true).append(true))
                .map_err(Error::io("opening a file of the run", &path))?;
            let before = file.metadata().map_err(Error::io("opening a file of the run", &path))?.len();
            file.write_all(bytes).map_err(|error| {
                file.set_len(before).ok();
                Error::io("appending to a file of the run", &path)(error)
            })
        })
    }

    /// Writes a file that is on the disk afterwards.
    pub(super) fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.persist(|| files::write_whole(&path, bytes).map_err(Error::io("writing a file of the run", &path)))
    }

    /// Writes a file of a step, which the next checkpoint brings to the disk.
    fn write_record(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.persist(|| files::write_unsynced(&path, bytes).map_err(Error::io("writing a record of a step", &path)))
    }

    /// Writes, and tries again where it fails and somebody says so. A full disk is told with how much has to be freed.
    pub(super) fn persist<T>(&self, write: impl Fn() -> Result<T>) -> Result<T> {
        loop {
            let error = match write() {
                Err(Error::Io { doing, source, path }) => {
                    let source = space::explained(source, &self.path, self.checkpoint_bytes);
                    Error::Io { doing, source, path }
                }
                done => return done,
            };
            if !self.patience.as_ref().is_some_and(|patience| patience.0(&error)) {
                return Err(error);
            }
        }
    }
}

fn rollouts_file(step: u64) -> String {
    format!("rollouts/step_{step:06}.jsonl")
}

fn tokens_file(step: u64) -> String {
    format!("tokens/step_{step:06}.safetensors")
}

fn geometry_file(step: u64) -> String {
    format!("geometry/step_{step:06}.safetensors")
}

/// What is in a folder, in no particular order; nothing where there is no folder.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("reading a folder of the run", folder)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(Error::io("reading a folder of the run", folder))?.path())).collect()
}

/// N, where `name` is what the program calls something of step N, with one of these `endings`. Other names are somebody else's.
pub(super) fn record_step(name: &str, endings: &[&str]) -> Option<u64> {
    let rest = name.strip_prefix("step_")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let step: u64 = rest[..digits].parse().ok()?;
    (endings.contains(&&rest[digits..]) && format!("{step:06}") == rest[..digits]).then_some(step)
}

/// Reads the lines of a growing file as they come.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    offset: u64,
    seen: usize,
}

impl Tail {
    /// The whole lines written since the last call; a half-written one is left for the next. `None` where the file has become
    /// shorter: the run was taken back to a checkpoint, and everything is to be read again from the beginning.
    pub fn lines(&mut self) -> Result<Option<Vec<String>>> {
        let mut file = match files::open_regular(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((self.offset == 0).then(Vec::new));
            }
            Err(error) => return Err(Error::io("opening a file of the run", &self.path)(error)),
        };
        let mut bytes = Vec::new();
        let mut read = || -> std::io::Result<bool> {
            if file.metadata()?.len() < self.offset {
                return Ok(false);
            }
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)?;
            Ok(true)
        };
        if !read().map_err(Error::io("reading a file of the run", &self.path))? {
            return Ok(None);
        }
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        self.offset += bytes.len() as u64;
        let lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        self.seen += lines.len();
        Ok(Some(lines))
    }

    /// The number of the last line that was read, from 1.
    pub fn seen(&self) -> usize {
        self.seen
    }
}

/// A line of `rollouts/step_NNNNNN.jsonl`: one rollout with its problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The group's number within the step, from 0.
    pub group: u32,
    /// The rollout's number within the group, from 0.
    pub sample: usize,
    /// The problem's stable name.
    pub problem: String,
    /// The prompt's text.
    pub prompt: String,
    /// What would be right.
    pub answer: String,
    /// The rollout itself. Numbers that do not apply are null.
    #[serde(flatten)]
    pub rollout: RolloutView,
    /// The response's token ids.
    pub response_ids: Vec<u32>,
}

impl RolloutRecord {
    /// Puts the rollout into its group: the last one, or a new one.
    fn join(self, groups: &mut Vec<GroupView>) {
        if groups.last().is_none_or(|group| group.group != self.group) {
            groups.push(GroupView {
                group: self.group,
                problem_id: self.problem,
                prompt: self.prompt,
                answer: self.answer,
                rollouts: Vec::new(),
                cosine: Vec::new(),
                semantic: Vec::new(),
                gradient: Vec::new(),
                tokens: None,
            });
        }
        if let Some(group) = groups.last_mut() {
            group.rollouts.push(self.rollout);
        }
    }
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
    /// SHA-256 of the problems of a data set, and of the settings of another task.
    pub data_hash: String,
    /// What decides the shapes of the base model's weights. This and what follows is absent in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<serde_json::Map<String, Value>>,
    /// SHA-256 of everything else that it reads, by what it is: the base model's files, data, templates, suites, a sentence encoder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// What was read before, where the run went on with something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedInput>,
    /// When the run started, UTC.
    pub started: String,
    /// `training`, `finished`, `stopped` or `failed`.
    pub state: String,
    /// Steps finished.
    pub step: u64,
}

/// Something that a run reads and that was replaced while it was not running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedInput {
    /// The step from which on the new one holds.
    pub step: u64,
    /// What it is, in words.
    pub input: String,
    /// The hash before.
    pub from: String,
    /// The hash afterwards.
    pub to: String,
}

/// A line of `events.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The step after which it happened.
    pub step: u64,
    /// When, UTC.
    pub time: String,
    /// `started`, `paused`, `resumed`, `edit`, `checkpoint`, `warning`, `stopped`, `finished` or `error`.
    pub kind: Cow<'static, str>,
    /// What happened.
    pub text: String,
    /// What was changed, where a setting was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<SettingEdit>,
}

/// A setting that was changed while the run went on, or when it was resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingEdit {
    /// Its path in the experiment, such as `optimizer.learning_rate`.
    pub path: Cow<'static, str>,
    /// What it was: a number, or a text with anything else as RON.
    pub from: Value,
    /// What it is from the next step on.
    pub to: Value,
}

impl SettingEdit {
    /// The change that makes a field differ.
    pub fn of(difference: &Difference) -> Self {
        let value = |ron: &str| {
            let whole = ron.parse::<u64>().map(Value::from).or_else(|_| ron.parse::<i64>().map(Value::from));
            let number = whole.ok().or_else(|| ron.parse::<f64>().ok().map(Value::from));
            number.filter(Value::is_number).unwrap_or_else(|| ron.into())
        };
        Self { path: difference.path.clone().into(), from: value(&difference.from), to: value(&difference.to) }
    }

    /// As [`parse::set`] takes it.
    pub fn assignment(&self) -> String {
        format!("{}={}", self.path, ron_of(&self.to))
    }
}

/// A value of a setting as RON.
fn ron_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

impl Event {
    /// An event that happens now.
    pub fn now(step: u64, kind: &'static str, text: impl Into<String>) -> Self {
        Self { step, time: format!("{:.0}", jiff::Timestamp::now()), kind: kind.into(), text: text.into(), edit: None }
    }

    /// A setting is changed now.
    pub fn edited(step: u64, edit: SettingEdit) -> Self {
        let text = format!("{} from {} to {}", edit.path, ron_of(&edit.from), ron_of(&edit.to));
        Self { edit: Some(edit), ..Self::now(step, "edit", text) }
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
    fn a_run_that_says_it_is_training_while_nobody_holds_its_lock_is_interrupted() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let manifest = |state: &str| -> Manifest {
            let text = r#"{"version": "0.1.0", "commit": "", "device": "cpu", "model": "m", "model_hash": "", "data_hash": "",
                "started": "", "state": "STATE", "step": 0}"#;
            serde_json::from_str(&text.replace("STATE", state)).unwrap()
        };
        // Made by an older version, which had no lock: nobody knows.
        assert!(!run.is_interrupted(&manifest("training")));
        let lock = run.lock().unwrap();
        assert!(!run.is_interrupted(&manifest("training")));
        drop(lock);
        assert!(run.is_interrupted(&manifest("training")) && !run.is_interrupted(&manifest("finished")));
    }

    #[test]
    fn a_changed_setting_comes_back_as_it_was_given() {
        for (ron, json) in [
            ("4", "4"),
            ("-3", "-3"),
            ("18446744073709551615", "18446744073709551615"),
            ("0.001", "0.001"),
            ("inf", "\"inf\""),
            ("Grpo", "\"Grpo\""),
            ("\"4\"", "\"\\\"4\\\"\""),
        ] {
            let edit =
                SettingEdit::of(&Difference { path: "a.b".to_string(), from: "0".to_string(), to: ron.to_string() });
            let text = serde_json::to_string(&edit).unwrap();
            assert!(text.ends_with(&format!("\"to\":{json}}}")), "{text}");
            let again: SettingEdit = serde_json::from_str(&text).unwrap();
            assert_eq!(again.assignment(), format!("a.b={ron}"));
        }
        // As older versions wrote it.
        let old: SettingEdit = serde_json::from_str(r#"{"path": "method.lambda", "from": 0.5, "to": 1.0}"#).unwrap();
        assert_eq!(old.assignment(), "method.lambda=1.0");
    }

    #[test]
    fn a_checkpoint_that_fails_half_way_is_not_there() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let failed = run.write_checkpoint(3, &experiment(), |folder| {
            fs::write(folder.join("half"), "x").unwrap();
            Err(Error::failed("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(run.path().join("checkpoints")).unwrap().count(), 0);
        let whole = |folder: &Path| {
            fs::write(folder.join("whole"), "x").unwrap();
            Ok(())
        };
        // More than any disk has room for is refused before anything is written.
        let refused =
            run.clone().with_checkpoints_of(u64::MAX / 2).write_checkpoint(3, &experiment(), whole).unwrap_err();
        assert!(refused.exit_status() == 1 && refused.to_string().contains("free"), "{refused}");
        let path = run.write_checkpoint(3, &experiment(), whole).unwrap();
        assert!(path.join("whole").exists());
        assert_eq!(RunDir::checkpoint_experiment(&path).unwrap(), Some(experiment()));
        assert_eq!(fs::read_dir(run.path().join("checkpoints")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_tried_again_for_as_long_as_somebody_says_so() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let event = || Event::now(1, "warning", "a");
        let path = run.path().join("events.jsonl");
        fs::create_dir(&path).unwrap();
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let patient = run.clone().with_patience({
            let (asked, path) = (asked.clone(), path.clone());
            move |error| {
                assert!(error.to_string().contains("events.jsonl"), "{error}");
                if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                    fs::remove_dir(&path).unwrap();
                }
                true
            }
        });
        assert!(run.append_event(&event()).is_err());
        patient.append_event(&event()).unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
        assert_eq!(run.read_events().unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_told_with_what_has_to_be_freed_for_the_next_checkpoint() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap().with_checkpoints_of(1 << 60);
        let full = || std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = run.persist(|| Err::<(), _>(Error::io("appending", "metrics.jsonl")(full()))).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("appending failed: ") && text.contains("going on takes 1073741824 GiB"), "{text}");
        assert!(text.contains(" GiB more (metrics.jsonl)"), "{text}");
    }

    #[test]
    fn a_growing_file_is_read_by_whole_lines_and_a_shorter_one_anew() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let path = run.path().join("metrics.jsonl");
        let mut tail = run.tail_metrics();
        assert_eq!(tail.lines().unwrap(), Some(vec![]));
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(tail.lines().unwrap(), Some(vec!["one".to_string(), "two".to_string()]));
        assert_eq!(tail.lines().unwrap(), Some(vec![]));
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail.lines().unwrap(), Some(vec!["three".to_string()]));
        fs::write(&path, "one\n").unwrap();
        assert_eq!(tail.lines().unwrap(), None);
    }

    fn record(group: u32, sample: usize) -> RolloutRecord {
        RolloutRecord {
            group,
            sample,
            problem: format!("p{group}"),
            prompt: "Why?\n".to_string(),
            answer: "42".to_string(),
            rollout: RolloutView {
                completion: format!("because \u{1f600} {sample}"),
                verdict: crate::verify::Verdict::NoAnswer,
                extracted: None,
                reward: -1.0,
                shaped_reward: -1.1,
                novelty: 0.3,
                novelty_normalized: 0.1,
                advantage: -0.7,
                length: 3,
                truncated: true,
                logprob: -4.25,
                entropy: 1.5,
            },
            response_ids: vec![7, 8, 9],
        }
    }

    #[test]
    fn a_recorded_step_reads_back_as_it_was_and_null_is_nan() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let mut records = vec![record(0, 0), record(0, 1), record(1, 0)];
        records[2].rollout.novelty = f32::NAN;
        run.write_rollouts(12, &records).unwrap();
        let matrix = vec![1.0, -0.25, -0.25, 1.0];
        run.write_geometry(12, vec![("cosine.0".to_string(), vec![2, 2], matrix.clone())]).unwrap();
        assert_eq!(run.recorded_steps().unwrap(), [12]);
        let view = run.read_step(12).unwrap().unwrap();
        assert_eq!((view.step, view.groups.len()), (12, 2));
        assert_eq!(view.groups[0].rollouts, [records[0].rollout.clone(), records[1].rollout.clone()]);
        assert_eq!((&view.groups[0].cosine, view.groups[0].semantic.len()), (&matrix, 0));
        assert_eq!((view.groups[1].problem_id.as_str(), view.groups[1].prompt.as_str()), ("p1", "Why?\n"));
        assert!(view.groups[1].rollouts[0].novelty.is_nan() && view.groups[1].cosine.is_empty());
        assert!(run.read_step(13).unwrap().is_none());
    }

    #[test]
    fn damaged_records_are_errors_that_name_the_place() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let refused = |step: u64| run.read_step(step).unwrap_err().to_string();
        run.write_rollouts(1, &[record(0, 0), record(0, 1)]).unwrap();
        let path = run.path().join("rollouts/step_000001.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 20]).unwrap();
        assert!(refused(1).starts_with("rollouts/step_000001.jsonl, line 2: "), "{}", refused(1));
        fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
        assert!(refused(1).contains("step_000001.jsonl"), "{}", refused(1));

        run.write_rollouts(2, &[record(0, 0), record(0, 1)]).unwrap();
        run.write_geometry(2, vec![("cosine.0".to_string(), vec![3, 3], vec![0.0; 9])]).unwrap();
        assert!(refused(2).contains("for 2 rollouts it must be F32 [2, 2]"), "{}", refused(2));
        fs::write(run.path().join("geometry/step_000002.safetensors"), "not a tensor").unwrap();
        assert!(refused(2).starts_with("geometry/step_000002.safetensors: "), "{}", refused(2));
    }

    #[test]
    fn lines_and_geometry_read_back() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        run.append_event(&Event::now(1, "warning", "a")).unwrap();
        run.append_event(&Event::now(2, "warning", "b")).unwrap();
        let text = fs::read_to_string(run.path().join("events.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1]["text"], "b");
        run.write_geometry(7, vec![("cosine.0".to_string(), vec![2, 2], vec![1.0, 0.5, 0.5, 1.0])]).unwrap();
        let path = run.path().join("geometry/step_000007.safetensors");
        let read = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
        assert_eq!(read["cosine.0"].to_vec2::<f32>().unwrap(), [[1.0, 0.5], [0.5, 1.0]]);
    }
}
