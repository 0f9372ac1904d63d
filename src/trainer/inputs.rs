//! What a run reads from outside, by its hashes, and whether it is still what the run was started with.

use super::resume::Resumed;
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::{EncoderSource, Experiment, SuiteConfig, to_text};
use crate::files::checksums::{self, sha256};
use crate::files::folder::member;
use crate::model::{ENCODER_FILES, LanguageModel, hub};
use crate::run::{Event, Manifest, ReplacedInput};
use crate::tasks::{TRAINING_DATA, Task};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What of a model's `config.json` decides the shapes of its weights and what is made of them.
const SHAPE: [&str; 11] = [
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "tie_word_embeddings",
    "rms_norm_eps",
    "rope_scaling",
    "rope_theta",
];

/// What a run reads, by its hashes.
pub(super) struct Inputs {
    shape: Map<String, Value>,
    model: String,
    /// The base model's weights in the precision that held until now, where that was another one.
    model_before: Option<String>,
    /// The problems with their prompts, and the settings of a task that makes them.
    data: String,
    /// Everything else, by what it is.
    read: BTreeMap<String, String>,
    /// Those of which the settings ask for another one than the run had.
    changed: BTreeSet<String>,
}

impl Inputs {
    /// Looks at what the run has read; `held` is what held before it is resumed.
    pub(super) fn new(
        experiment: &Experiment,
        base: &LanguageModel,
        task: &dyn Task,
        suites: &[Suite],
        held: Option<&Experiment>,
    ) -> Result<Self> {
        let config = base.config.to_json(base.trainable.head().dtype());
        let mut shape = Map::new();
        for name in SHAPE {
            shape.extend(config.get(name).map(|value| (name.to_string(), value.clone())));
        }
        let mut read: BTreeMap<String, String> =
            base.hashes().into_iter().map(|(name, hash)| (format!("the base model's {name}"), hash)).collect();
        read.extend(task.sources().into_iter().map(|(name, hash)| (name.to_string(), hash)));
        read.extend(task.template_hash().map(|hash| ("the prompt template".to_string(), hash.to_string())));
        read.extend(encoder_hash(experiment.encoder())?.map(|hash| ("the sentence encoder".to_string(), hash)));
        let mut changed = BTreeSet::new();
        for (evaluation, suite) in experiment.evaluations.iter().zip(suites) {
            let numbered = (2..).map(|number| format!("the suite {} ({number})", suite.name));
            let mut names = std::iter::once(format!("the suite {}", suite.name)).chain(numbered);
            let name = names.find(|name| !read.contains_key(name)).unwrap_or_default();
            let of_template = format!("the template of {name}");
            if held.is_some_and(|held| held.evaluations.iter().all(|earlier| earlier.suite != evaluation.suite)) {
                changed.extend([name.clone(), of_template.clone()]);
            }
            // Held-out problems have the template of the task.
            if let (Some(hash), false) = (&suite.template_hash, matches!(evaluation.suite, SuiteConfig::HeldOut(_))) {
                read.insert(of_template, hash.clone());
            }
            read.insert(name, suite.hash().to_string());
        }
        Ok(Self {
            shape,
            model: base.weights.hash()?,
            model_before: None,
            data: match task.hash() {
                Some(hash) => hash.to_string(),
                None => sha256(to_text(&experiment.task)?),
            },
            read,
            changed,
        })
    }

    /// The same where the base model's weights have had another hash until now, because they were read in another precision.
    pub(super) fn with_model_before(self, hash: Option<String>) -> Self {
        Self { model_before: hash, ..self }
    }

    /// Writes them into a manifest.
    pub(super) fn record(self, manifest: &mut Manifest) {
        manifest.shape = Some(self.shape);
        manifest.model_hash = self.model;
        manifest.data_hash = self.data;
        manifest.inputs = self.read;
    }

    /// What is not what the manifest says, from `step` on. What one side does not know is not compared.
    fn replaced(&self, manifest: &Manifest, step: u64) -> Vec<ReplacedInput> {
        let mut found = Vec::new();
        let mut compare = |input: &str, from: &str, to: &str| {
            if from != to {
                let (input, from, to) = (input.to_string(), from.to_string(), to.to_string());
                found.push(ReplacedInput { step, input, from, to });
            }
        };
        compare("the base model's weights", &manifest.model_hash, self.model_before.as_ref().unwrap_or(&self.model));
        if manifest.inputs.is_empty() {
            // An older version wrote it.
            compare(TRAINING_DATA, &manifest.data_hash, &self.data);
        }
        for (input, to) in self.read.iter().filter(|(input, _)| !self.changed.contains(*input)) {
            if let Some(from) = manifest.inputs.get(input) {
                compare(input, from, to);
            }
        }
        found
    }

    /// Refuses inputs that are not what the resumed run was started with, and a base model whose `config.json` gives other shapes or
    /// rotary settings in any case. Where changes are accepted, returns them.
    pub(super) fn check(&self, resumed: &Resumed) -> Result<Vec<ReplacedInput>> {
        let Some(manifest) = &resumed.manifest else { return Ok(Vec::new()) };
        if let Some(shape) = &manifest.shape {
            let differs = |(name, from): (&String, &Value)| {
                let to = self.shape.get(name).filter(|to| *to != from)?;
                Some(format!("its {name} was {from} and is {to}"))
            };
            if let Some(difference) = shape.iter().find_map(differs) {
                return Err(Error::input(format!(
                    "the base model's config.json is not the one that the run was started with: {difference}; give the run its \
                     model back, or start another run ({})",
                    resumed.directory.path().display()
                )));
            }
        }
        let replaced = self.replaced(manifest, resumed.state.step);
        if replaced.is_empty() || resumed.accepts_changes {
            return Ok(replaced);
        }
        let list = replaced.iter().map(|input| checksums::differs(&input.input, &input.from, &input.to));
        Err(Error::input(format!(
            "the run was started with something else: {}; give it back what it read, or go on with --accept-changes, which \
             records the change ({})",
            list.collect::<Vec<_>>().join("; "),
            resumed.directory.path().join("manifest.json").display()
        )))
    }
}

/// The event of an input that was replaced and accepted.
pub(super) fn event(replaced: &ReplacedInput) -> Event {
    let ReplacedInput { step, input, from, to } = replaced;
    Event::warning(*step, format!("{input} was replaced: its SHA-256 was {from} and is {to} from here on"))
}

/// The files of a sentence encoder that is not the base model.
fn encoder_hash(encoder: Option<&EncoderSource>) -> Result<Option<String>> {
    let folder = match encoder {
        None | Some(EncoderSource::Policy) => return Ok(None),
        Some(EncoderSource::Local(folder)) => folder.clone(),
        Some(EncoderSource::Hub(source)) => hub::fetch(&source.repo, &source.revision, &ENCODER_FILES)?,
    };
    let mut hashes = String::new();
    for name in ENCODER_FILES {
        if let Some(path) = member(&folder, name)? {
            let hash = checksums::sha256_of_file(&path);
            hashes.push_str(&hash.map_err(Error::io("reading the sentence encoder", &path))?);
        }
    }
    Ok(Some(sha256(hashes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn an_encoders_links_lead_to_nothing_that_is_hashed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("encoder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(place.path().join("secret"), "secret").unwrap();
        let source = EncoderSource::Local(folder.clone());
        std::fs::write(folder.join("config.json"), "{}").unwrap();
        assert!(encoder_hash(Some(&source)).unwrap().is_some());
        std::os::unix::fs::symlink("../secret", folder.join("model.safetensors")).unwrap();
        let error = encoder_hash(Some(&source)).unwrap_err();
        assert!(error.exit_status() == 2 && error.to_string().contains("outside of the folder"), "{error}");
    }
}
