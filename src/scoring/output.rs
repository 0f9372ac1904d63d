//! Scores and the files that they are written to.

use super::ScoreInput;
use super::measured::Measured;
use crate::data::Label;
use crate::error::{Error, Result};
use crate::files::{self, lock::FolderLock};
use crate::geometry::CosineMatrix;
use crate::weights::{TensorFiles, write_tensors};
use candle_core::{Device, Tensor};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A line of `scores.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseScore {
    /// The response's group.
    pub group: Label,
    /// Its base reward.
    pub reward: f32,
    /// Its tokens.
    pub length: usize,
    /// log p of the response at temperature 1, nats.
    pub logprob: f64,
    /// Mean entropy per token at temperature 1, nats.
    pub entropy: f64,
    /// nu, in [0, 1].
    pub novelty: f32,
    /// nu normalised within the group, in [0, 1].
    pub novelty_normalized: f32,
    /// The shaped reward.
    pub shaped_reward: f32,
    /// The advantage within the group.
    pub advantage: f32,
}

impl ResponseScore {
    /// What is known of a response before its group is looked at.
    pub(super) fn new(input: &ScoreInput, measured: &Measured) -> Self {
        Self {
            group: input.group.clone(),
            reward: input.reward,
            length: input.response.len(),
            logprob: measured.logprobs.iter().copied().map(f64::from).sum(),
            entropy: measured.entropy,
            novelty: 0.0,
            novelty_normalized: 0.0,
            shaped_reward: input.reward,
            advantage: 0.0,
        }
    }
}

/// The geometry of one group.
#[derive(Clone, Debug)]
pub struct GroupScores {
    /// The group as named in the input.
    pub name: Label,
    /// Places of its responses in the input.
    pub members: Vec<usize>,
    /// Cosines between features (m, m).
    pub cosines: CosineMatrix,
    /// Cosines between gradients over all parameters (m, m), where asked for.
    pub gradient_cosines: Option<CosineMatrix>,
}

/// Everything that scoring found out.
#[derive(Clone, Debug)]
pub struct Scores {
    /// One per response, in the order of the input.
    pub responses: Vec<ResponseScore>,
    /// In the order of their first members.
    pub groups: Vec<GroupScores>,
    /// Sequence features (N, d), row-major.
    pub features: Vec<f32>,
    /// d.
    pub feature_size: usize,
    /// log p of every token at temperature 1, nats, by response.
    pub logprobs: Vec<Vec<f32>>,
}

/// The folder of scores, open for writing.
pub struct ScoreFolder {
    path: PathBuf,
    _lock: FolderLock,
}

const LINES: &str = "scores.jsonl";
const TENSORS: &str = "scores.safetensors";

impl ScoreFolder {
    /// Opens the folder at `path`, made where it is missing. Refuses to write over the `input`, and
    /// over files of the same names that are not scores.
    pub fn open(path: &Path, input: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|e| {
            let place = path.display();
            Error::input(format!(
                "the folder for the scores cannot be made: {e}; choose another --out ({place})"
            ))
        })?;
        let lock = FolderLock::take(path, &format!("the folder {}", path.display()))?;
        let (lines, tensors) = (path.join(LINES), path.join(TENSORS));
        let are_scores = is_score(&lines);
        for (file, is_ours) in
            [(&lines, are_scores), (&tensors, are_scores || has_scores(&tensors))]
        {
            if !file.exists() {
                continue;
            }
            let why = if file.canonicalize().ok() == input.canonicalize().ok() {
                "the scores would be written over their input"
            } else if !is_ours {
                "there is a file that `orthant score` did not write"
            } else {
                continue;
            };
            return Err(Error::input(format!("{why}; choose another --out ({})", file.display())));
        }
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    /// Writes `scores.jsonl` and `scores.safetensors` in place of earlier ones. Where there are
    /// lines, the tensors beside them belong to them, whenever the program or the machine stops.
    pub fn write(&self, scores: &Scores) -> Result<()> {
        let (lines, tensors) = (self.path.join(LINES), self.path.join(TENSORS));
        let new = tensors.with_added_extension("tmp");
        write_tensors(&new, scores.tensors()?, HashMap::new())?;
        let text = scores.lines()?;
        let replace = || {
            files::sync(&new)?;
            if lines.exists() {
                std::fs::remove_file(&lines)?;
                files::sync(&self.path)?;
            }
            std::fs::rename(&new, &tensors)?;
            files::write_whole(&lines, text.as_bytes())
        };
        replace().map_err(Error::io("writing the scores", &self.path))
    }
}

/// Whether the file begins with a line of scores, which no input has.
fn is_score(path: &Path) -> bool {
    let first = || -> Option<Map<String, Value>> {
        let mut line = String::new();
        BufReader::new(files::open_regular(path).ok()?.take(files::SETTINGS_BYTES))
            .read_line(&mut line)
            .ok()?;
        serde_json::from_str(&line).ok()
    };
    first().is_some_and(|line| {
        ["logprob", "novelty_normalized", "advantage"].iter().all(|name| line.contains_key(*name))
            && !["prompt", "completion", "response"].iter().any(|name| line.contains_key(*name))
    })
}

/// Whether the file holds the tensors of scores.
fn has_scores(path: &Path) -> bool {
    TensorFiles::open_file(path.to_path_buf()).is_ok_and(|files| {
        let names: Vec<&str> = files.names().collect();
        ["features", "logprobs", "offsets"].iter().all(|name| names.contains(name))
    })
}

impl Scores {
    fn lines(&self) -> Result<String> {
        let mut lines = String::new();
        for score in &self.responses {
            lines += &serde_json::to_string(score)
                .map_err(|e| Error::failed(format!("cannot write a score: {e}")))?;
            lines.push('\n');
        }
        Ok(lines)
    }

    fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        let cpu = &Device::Cpu;
        let shape = (self.responses.len(), self.feature_size);
        tensors.insert("features".to_string(), Tensor::from_slice(&self.features, shape, cpu)?);
        let logprobs = self.logprobs.concat();
        tensors.insert("logprobs".to_string(), Tensor::from_slice(&logprobs, logprobs.len(), cpu)?);
        let mut offsets = vec![0i64];
        for response in &self.logprobs {
            offsets.push(offsets[offsets.len() - 1] + response.len() as i64);
        }
        tensors.insert("offsets".to_string(), Tensor::from_slice(&offsets, offsets.len(), cpu)?);
        for (index, group) in self.groups.iter().enumerate() {
            let matrices = [
                ("cosine", Some(&group.cosines)),
                ("gradient_cosine", group.gradient_cosines.as_ref()),
            ];
            for (name, matrix) in matrices {
                if let Some(matrix) = matrix {
                    let size = (matrix.size(), matrix.size());
                    tensors.insert(
                        format!("{name}.{index}"),
                        Tensor::from_slice(matrix.values(), size, cpu)?,
                    );
                }
            }
        }
        Ok(tensors)
    }
}
