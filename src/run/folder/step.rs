//! The record of a step in the run folder: rollouts, geometry and tokens, written and read back.

use super::RunDir;
use super::listing::{list, record_step};
use crate::error::{Error, Result};
use crate::files;
use crate::run::{CosineKind, GroupCosines, GroupTokens, GroupView, RolloutView, StepView};
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::fs;
use std::sync::Arc;

impl RunDir {
    /// Steps with a record, ascending: those that [`RunDir::read_step`] can read. Costs a listing
    /// of `rollouts/`.
    pub fn recorded_steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = list(&self.path().join("rollouts"))?
            .iter()
            .filter_map(|path| record_step(path.file_name()?.to_str()?, &[".jsonl"]))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The record of `step`: its rollouts, and the cosine matrices that were recorded with them.
    /// `None` where the step was not recorded. A file that is damaged is an error that names the
    /// place.
    pub fn read_step(&self, step: u64) -> Result<Option<StepView>> {
        let name = rollouts_file(step);
        let path = self.path().join(&name);
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
        let path = self.path().join(rollouts_file(step));
        files::read_text(&path, u64::MAX)
            .map_err(Error::io("reading the rollouts of a step", &path))
    }

    /// Fills in the cosine matrices of `geometry/step_NNNNNN.safetensors`; leaves them empty where
    /// they were not recorded.
    fn read_cosines(&self, step: u64, groups: &mut [GroupView]) -> Result<()> {
        let name = geometry_file(step);
        let path = self.path().join(&name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("reading the geometry of a step", &path)(error)),
        };
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|error| Error::failed(format!("{name}: {error}")))?;
        for group in groups {
            let (number, m) = (group.group, group.rollouts.len());
            let tensor = |kind: CosineKind| {
                let names = std::iter::once(kind.tensor()).chain(other_name(kind));
                names
                    .map(|name| format!("{name}.{number}"))
                    .find_map(|name| Some((tensors.tensor(&name).ok()?, name)))
            };
            for kind in CosineKind::ALL {
                let Some((tensor, tensor_name)) = tensor(kind) else { continue };
                if tensor.dtype() != Dtype::F32 || tensor.shape() != [m, m] {
                    return Err(Error::failed(format!(
                        "{name}: {tensor_name} is {:?} {:?}; for {m} rollouts it must be F32 [{m}, \
                         {m}]",
                        tensor.dtype(),
                        tensor.shape()
                    )));
                }
                let (values, _) = tensor.data().as_chunks();
                group.cosines[kind] =
                    values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            }
        }
        Ok(())
    }

    /// Fills in the tokens of `tokens/step_NNNNNN.safetensors` where they were recorded. Runs that
    /// were made before texts and ratios were recorded have neither: no token view.
    fn read_tokens(&self, step: u64, groups: &mut [GroupView]) -> Result<()> {
        let name = tokens_file(step);
        let path = self.path().join(&name);
        let bytes = match files::read(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("reading the tokens of a step", &path)(error)),
        };
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|error| Error::failed(format!("{name}: {error}")))?;
        for group in groups {
            let (number, m) = (group.group, group.rollouts.len());
            let lengths: Vec<usize> =
                group.rollouts.iter().map(|rollout| rollout.length as usize).collect();
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
                        "{name}: {kind}.{number} is {:?} {:?}; for {m} rollouts of {tokens} tokens \
                         it must be {of:?} {shape:?}",
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
                clipped: data("clipped", Dtype::U8, &[tokens])?
                    .iter()
                    .map(|&clipped| clipped != 0)
                    .collect(),
            }));
        }
        Ok(())
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
    pub fn write_geometry(
        &self,
        step: u64,
        tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
    ) -> Result<()> {
        let cpu = &Device::Cpu;
        let tensors = tensors
            .into_iter()
            .map(|(name, shape, values)| Ok((name, Tensor::from_vec(values, shape, cpu)?)));
        self.write_tensors(&geometry_file(step), tensors.collect::<Result<_>>()?)
    }

    /// Writes `tokens/step_NNNNNN.safetensors`: for every group g of m responses that has tokens
    /// `offsets.g` i64 (m + 1), `end.g` u32, `norm.g`, `logprob.g`, `entropy.g`, `ratio.g` f32 and
    /// `clipped.g` u8 (tokens), and `share.g` f32 (tokens, m). What they hold: [`GroupTokens`].
    pub fn write_tokens(&self, step: u64, groups: &[GroupView]) -> Result<()> {
        let cpu = &Device::Cpu;
        let mut tensors = Vec::new();
        for (group, tokens) in
            groups.iter().filter_map(|group| Some((group.group, group.tokens.as_deref()?)))
        {
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
        let folder = self.path().join("tokens");
        fs::create_dir_all(&folder).map_err(Error::io("making a folder of the run", &folder))?;
        self.write_tensors(&tokens_file(step), tensors)
    }

    fn write_tensors(&self, name: &str, tensors: Vec<(String, Tensor)>) -> Result<()> {
        let bytes = safetensors::serialize(tensors, None)
            .map_err(|e| Error::failed(format!("cannot serialise {name}: {e}")))?;
        self.write_record(name, &bytes)
    }
}

/// What runs of some earlier versions call the cosines of a kind, where they call them otherwise.
fn other_name(kind: CosineKind) -> Option<&'static str> {
    match kind {
        CosineKind::Feature => Some("feature"),
        CosineKind::Parameter => Some("parameter"),
        CosineKind::Semantic | CosineKind::Hidden => None,
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
                cosines: GroupCosines::default(),
                tokens: None,
            });
        }
        if let Some(group) = groups.last_mut() {
            group.rollouts.push(self.rollout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Event;
    use crate::run::folder::tests::experiment;
    use serde_json::Value;

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
                reward_parts: [("format".to_string(), 0.25)].into(),
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
        assert_eq!(
            view.groups[0].rollouts,
            [records[0].rollout.clone(), records[1].rollout.clone()]
        );
        assert_eq!(
            (
                &view.groups[0].cosines[CosineKind::Feature],
                view.groups[0].cosines[CosineKind::Semantic].len()
            ),
            (&matrix, 0)
        );
        assert_eq!(
            (view.groups[1].problem_id.as_str(), view.groups[1].prompt.as_str()),
            ("p1", "Why?\n")
        );
        assert!(
            view.groups[1].rollouts[0].novelty.is_nan()
                && view.groups[1].cosines[CosineKind::Feature].is_empty()
        );
        assert!(run.read_step(13).unwrap().is_none());
    }

    #[test]
    fn cosines_are_read_by_their_names_and_by_those_of_some_earlier_versions() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDir::create(parent.path(), &experiment()).unwrap();
        let tensor = |name: &str, value: f32| (format!("{name}.0"), vec![1, 1], vec![value]);
        let names = ["cosine", "semantic", "gradient", "hidden"];
        let others = ["feature", "semantic", "parameter", "hidden"];
        for (step, names) in [(3, names), (4, others)] {
            run.write_rollouts(step, &[record(0, 0)]).unwrap();
            let values = names.into_iter().zip([0.5, 0.25, 0.125, 0.75]);
            let tensors = values.map(|(name, value)| tensor(name, value)).collect();
            run.write_geometry(step, tensors).unwrap();
            let view = run.read_step(step).unwrap().unwrap();
            let read = CosineKind::ALL.map(|kind| view.groups[0].cosines[kind].clone());
            assert_eq!(read, [[0.5], [0.25], [0.125], [0.75]]);
        }
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
        run.append_event(&Event::warning(1, "a")).unwrap();
        run.append_event(&Event::warning(2, "b")).unwrap();
        let text = fs::read_to_string(run.path().join("events.jsonl")).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1]["text"], "b");
        run.write_geometry(7, vec![("cosine.0".to_string(), vec![2, 2], vec![1.0, 0.5, 0.5, 1.0])])
            .unwrap();
        let path = run.path().join("geometry/step_000007.safetensors");
        let read = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
        assert_eq!(read["cosine.0"].to_vec2::<f32>().unwrap(), [[1.0, 0.5], [0.5, 1.0]]);
    }
}
