//! What a run reads from outside, by its hashes, and whether it is still what the run was started with.

use super::resume::Resumed;
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::{EncoderSource, Event, Experiment, Manifest, ReplacedInput, to_text};
use crate::files::checksums;
use crate::model::{ENCODER_FILES, LanguageModel, hexadecimal, hub, member};
use crate::tasks::Task;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
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
    tokenizer: String,
    data: String,
    template: Option<String>,
    encoder: Option<String>,
    suites: BTreeMap<String, String>,
    /// Names of suites whose settings are others than the run had.
    changed_suites: BTreeSet<String>,
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
        let (mut hashes, mut changed_suites) = (BTreeMap::new(), BTreeSet::new());
        for (evaluation, suite) in experiment.evaluations.iter().zip(suites) {
            let numbered = (2..).map(|number| format!("{} ({number})", suite.name));
            let mut names = std::iter::once(suite.name.clone()).chain(numbered);
            let name = names.find(|name| !hashes.contains_key(name)).unwrap_or_default();
            if held.is_some_and(|held| held.evaluations.iter().all(|earlier| earlier.suite != evaluation.suite)) {
                changed_suites.insert(name.clone());
            }
            hashes.insert(name, suite.hash());
        }
        Ok(Self {
            shape,
            model: base.weights.hash()?,
            tokenizer: base.tokenizer.hash(),
            data: match task.hash() {
                Some(hash) => hash.to_string(),
                None => sha256(&to_text(&experiment.task)?),
            },
            template: task.template_hash().map(str::to_string),
            encoder: encoder_hash(experiment.encoder())?,
            suites: hashes,
            changed_suites,
        })
    }

    /// Writes them into a manifest.
    pub(super) fn record(self, manifest: &mut Manifest) {
        manifest.shape = Some(self.shape);
        manifest.model_hash = self.model;
        manifest.tokenizer_hash = Some(self.tokenizer);
        manifest.data_hash = self.data;
        manifest.template_hash = self.template;
        manifest.encoder_hash = self.encoder;
        manifest.suite_hashes = self.suites;
    }

    /// What is not what the manifest says, from `step` on. What one side does not know is not compared.
    fn replaced(&self, manifest: &Manifest, step: u64) -> Vec<ReplacedInput> {
        let mut found = Vec::new();
        let mut compare = |input: &str, from: Option<&String>, to: Option<&String>| {
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                found.push(ReplacedInput { step, input: input.to_string(), from: from.clone(), to: to.clone() });
            }
        };
        compare("the base model's weights", Some(&manifest.model_hash), Some(&self.model));
        compare("the base model's tokenizer", manifest.tokenizer_hash.as_ref(), Some(&self.tokenizer));
        compare("the prompt template", manifest.template_hash.as_ref(), self.template.as_ref());
        compare("the training data", Some(&manifest.data_hash), Some(&self.data));
        compare("the sentence encoder", manifest.encoder_hash.as_ref(), self.encoder.as_ref());
        for (name, hash) in self.suites.iter().filter(|(name, _)| !self.changed_suites.contains(*name)) {
            compare(&format!("the suite {name}"), manifest.suite_hashes.get(name), Some(hash));
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
        let list = replaced.iter().map(in_words).collect::<Vec<_>>().join("; ");
        Err(Error::input(format!(
            "the run was started with something else: {list}; give it back what it read, or go on with --accept-changes, which \
             records the change ({})",
            resumed.directory.path().join("manifest.json").display()
        )))
    }
}

fn in_words(replaced: &ReplacedInput) -> String {
    let short = checksums::short;
    format!("SHA-256 of {} was {} and is {}", replaced.input, short(&replaced.from), short(&replaced.to))
}

/// The event of an input that was replaced and accepted.
pub(super) fn event(replaced: &ReplacedInput) -> Event {
    let ReplacedInput { step, input, from, to } = replaced;
    Event::now(*step, "warning", format!("{input} was replaced: its SHA-256 was {from} and is {to} from here on"))
}

pub(super) fn sha256(text: &str) -> String {
    hexadecimal(Sha256::digest(text.as_bytes()))
}

/// The files of a sentence encoder that is not the base model.
fn encoder_hash(encoder: Option<&EncoderSource>) -> Result<Option<String>> {
    let folder = match encoder {
        None | Some(EncoderSource::Policy) => return Ok(None),
        Some(EncoderSource::Local(folder)) => folder.clone(),
        Some(EncoderSource::Hub(source)) => hub::fetch(&source.repo, &source.revision, &ENCODER_FILES)?,
    };
    let mut hasher = Sha256::new();
    for name in ENCODER_FILES {
        if let Some(path) = member(&folder, name)? {
            hasher.update(checksums::sha256(&path).map_err(Error::io("reading the sentence encoder", &path))?);
        }
    }
    Ok(Some(hexadecimal(hasher.finalize())))
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
