//! What a run reads from outside, by its hashes, and whether it is still what the run was started
//! with.

use super::replaced::WEIGHTS;
use super::resume::Resumed;
use crate::error::{Error, Result};
use crate::evaluation::Suite;
use crate::experiment::{EncoderSource, Experiment, SuiteConfig, to_text};
use crate::files::checksums::{self, sha256};
use crate::files::folder::member;
use crate::model::{ENCODER_FILES, ENCODER_LIMITS, LanguageModel, hub};
use crate::run::{ENCODER, Manifest, ReplacedInput, TEMPLATE};
use crate::tasks::{HELD_OUT_DATA, TRAINING_DATA, Task};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What of a model's `config.json` decides the shapes of its weights and what is made of them.
const SHAPE: [&str; 16] = [
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
    "rope_local_base_freq",
    "layer_types",
    "no_rope_layers",
    "sliding_window",
    "query_pre_attn_scalar",
];

/// What a run reads, by its hashes.
pub(super) struct Inputs {
    shape: Map<String, Value>,
    model: String,
    /// The base model's weights in the precision and the number of bits that held until now, where
    /// these were others.
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
        let mut read: BTreeMap<String, String> = base
            .hashes()
            .into_iter()
            .map(|(name, hash)| (format!("the base model's {name}"), hash))
            .collect();
        read.extend(task.sources().into_iter().map(|(name, hash)| (name.to_string(), hash)));
        read.extend(task.template_hash().map(|hash| (TEMPLATE.to_string(), hash.to_string())));
        read.extend(encoder_hashes(experiment.encoder())?);
        let mut changed = BTreeSet::new();
        for (evaluation, suite) in experiment.evaluations.iter().zip(suites) {
            let name = format!("the suite {}", suite.name);
            let of_template = format!("the template of {name}");
            if held.is_some_and(|held| {
                held.evaluations.iter().all(|earlier| earlier.suite != evaluation.suite)
            }) {
                changed.extend([name.clone(), of_template.clone()]);
            }
            // Held-out problems have the template of the task.
            if let (Some(hash), false) =
                (&suite.template_hash, matches!(evaluation.suite, SuiteConfig::HeldOut(_)))
            {
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

    /// The same where the base model's weights have had another hash until now, because they were
    /// read in another precision or kept in another number of bits.
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

    /// What is not what the manifest says, from `step` on. What one side does not know is not
    /// compared.
    fn replaced(&self, manifest: &Manifest, step: u64) -> Vec<ReplacedInput> {
        let mut found = Vec::new();
        let mut compare = |input: &str, from: &str, to: &str| {
            if from != to {
                let (input, from, to) = (input.to_string(), from.to_string(), to.to_string());
                found.push(ReplacedInput { step, input, from, to });
            }
        };
        compare(WEIGHTS, &manifest.model_hash, self.model_before.as_ref().unwrap_or(&self.model));
        if self.read.contains_key(TRAINING_DATA) && !manifest.inputs.contains_key(TRAINING_DATA) {
            // As older versions know it.
            compare(TRAINING_DATA, &manifest.data_hash, &self.data);
        }
        for (input, to) in self.read.iter().filter(|(input, _)| !self.changed.contains(*input)) {
            if let Some(from) = manifest.inputs.get(input) {
                compare(input, from, to);
            }
        }
        found
    }

    /// What has another hash from `step` on, or is not read any more, because the settings ask for
    /// something else. It is not a fault, but whoever goes back to an earlier step compares with
    /// what was read before. `replaced` is what [`Self::check`] returned.
    pub(super) fn reread(
        &self,
        manifest: &Manifest,
        step: u64,
        replaced: &[ReplacedInput],
    ) -> Vec<ReplacedInput> {
        let entry = |input: &str, from: &str, to: &str| {
            let (input, from, to) = (input.to_string(), from.to_string(), to.to_string());
            ReplacedInput { step, input, from, to }
        };
        let weights = self.model_before.as_ref().map(|before| entry(WEIGHTS, before, &self.model));
        let names: BTreeSet<&String> = manifest.inputs.keys().chain(self.read.keys()).collect();
        let hash = |of: &BTreeMap<String, String>, name: &String| {
            of.get(name).cloned().unwrap_or_default()
        };
        let others = names
            .into_iter()
            .map(|name| entry(name, &hash(&manifest.inputs, name), &hash(&self.read, name)));
        let is_new = |entry: &ReplacedInput| entry.from != entry.to && !replaced.contains(entry);
        weights.into_iter().chain(others).filter(is_new).collect()
    }

    /// What there is to warn of where an older version wrote the manifest: what it does not know of
    /// what is read, so that nothing says whether it is the same.
    pub(super) fn unknown(&self, manifest: &Manifest) -> Option<String> {
        // Held-out data have their part in the hash of data.
        let is_known = |name: &String| {
            manifest.inputs.contains_key(name)
                || [TRAINING_DATA, HELD_OUT_DATA].contains(&name.as_str())
        };
        let unknown: Vec<&str> = self
            .read
            .keys()
            .filter(|name| !is_known(name) && !self.changed.contains(*name))
            .map(String::as_str)
            .collect();
        (manifest.is_of_older_version && !unknown.is_empty()).then(|| {
            format!(
                "manifest.json is of an older version, so nothing says whether these are what the \
                 run began with: {}",
                unknown.join(", ")
            )
        })
    }

    /// Refuses inputs that are not what the resumed run was started with, and a base model whose
    /// `config.json` gives other shapes or rotary settings in any case. Where changes are accepted,
    /// returns them.
    pub(super) fn check(&self, resumed: &Resumed) -> Result<Vec<ReplacedInput>> {
        let Some(manifest) = &resumed.manifest else { return Ok(Vec::new()) };
        if let Some(shape) = &manifest.shape {
            let differs = |(name, from): (&String, &Value)| {
                let to = self.shape.get(name).filter(|to| *to != from)?;
                Some(format!("its {name} was {from} and is {to}"))
            };
            if let Some(difference) = shape.iter().find_map(differs) {
                return Err(Error::input(format!(
                    "the base model's config.json is not the one that the run was started with: \
                     {difference}; give the run its model back, or start another run ({})",
                    resumed.directory.path().display()
                )));
            }
        }
        let replaced = self.replaced(manifest, resumed.state.step);
        if replaced.is_empty() || resumed.accepts_changes {
            return Ok(replaced);
        }
        let list =
            replaced.iter().map(|input| checksums::differs(&input.input, &input.from, &input.to));
        Err(Error::input(format!(
            "the run was started with something else: {}; give it back what it read, or continue \
             with --accept-changes, which records the change ({})",
            list.collect::<Vec<_>>().join("; "),
            resumed.directory.path().join("manifest.json").display()
        )))
    }
}

/// The files of a sentence encoder that is not the base model, and how it cuts texts.
fn encoder_hashes(encoder: Option<&EncoderSource>) -> Result<Vec<(String, String)>> {
    let folder = match encoder {
        None | Some(EncoderSource::Policy) => return Ok(Vec::new()),
        Some(EncoderSource::Local(folder)) => folder.clone(),
        Some(EncoderSource::Hub(source)) => {
            hub::fetch(&source.repo, &source.revision, &ENCODER_FILES)?
        }
    };
    let hash = |name: &str| {
        let Some(path) = member(&folder, name)? else { return Ok(None) };
        let hash = checksums::sha256_of_file(&path);
        hash.map(Some).map_err(Error::io("reading the sentence encoder", &path))
    };
    let mut hashes = String::new();
    for name in ENCODER_FILES {
        hashes.extend(hash(name)?);
    }
    // A folder without it is like one in which it says nothing.
    let limits = hash(ENCODER_LIMITS)?.unwrap_or_else(|| sha256(""));
    let of_limits = format!("{ENCODER}'s {ENCODER_LIMITS}");
    Ok(vec![(ENCODER.to_string(), sha256(hashes)), (of_limits, limits)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RecordedState;
    use crate::trainer::replaced::taken_back;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, hash)| ((*name).to_string(), (*hash).to_string())).collect()
    }

    fn manifest(inputs: &[(&str, &str)], replaced: Vec<ReplacedInput>) -> Manifest {
        Manifest {
            version: String::new(),
            commit: String::new(),
            device: String::new(),
            model: String::new(),
            task: None,
            model_hash: "m".to_string(),
            data_hash: "d".to_string(),
            shape: None,
            inputs: map(inputs),
            replaced,
            reread: Vec::new(),
            started: String::new(),
            state: RecordedState::Training,
            step: 8,
            is_of_older_version: false,
        }
    }

    fn inputs(read: &[(&str, &str)]) -> Inputs {
        Inputs {
            shape: Map::new(),
            model: "m".to_string(),
            model_before: None,
            data: "d".to_string(),
            read: map(read),
            changed: BTreeSet::new(),
        }
    }

    fn replaced(step: u64, input: &str, from: &str, to: &str) -> ReplacedInput {
        ReplacedInput { step, input: input.to_string(), from: from.to_string(), to: to.to_string() }
    }

    #[test]
    fn a_run_that_is_taken_back_is_compared_with_what_held_there() {
        let changes = vec![
            replaced(3, TRAINING_DATA, "a", "b"),
            replaced(6, TRAINING_DATA, "b", "c"),
            replaced(6, WEIGHTS, "l", "m"),
            replaced(7, TRAINING_DATA, "c", "n"),
            // As an older version hashed it.
            replaced(7, "the suite own", "old", "older"),
        ];
        let newest = manifest(&[(TRAINING_DATA, "n"), ("the suite own", "s")], changes.clone());
        for (step, data, weights, kept) in [
            (8, "n", "m", 5),
            (7, "n", "m", 5),
            (6, "c", "m", 3),
            (5, "b", "l", 1),
            (3, "b", "l", 1),
            (2, "a", "l", 0),
        ] {
            let held = taken_back(newest.clone(), step);
            assert_eq!(
                (&*held.inputs[TRAINING_DATA], &*held.model_hash),
                (data, weights),
                "{step}"
            );
            assert_eq!(held.replaced, changes[..kept], "{step}");
            assert_eq!(held.inputs.contains_key("the suite own"), step >= 7);
        }
        // The newest data are a change there, and those of the time are none.
        let held = taken_back(newest, 2);
        let of = |data: &str| {
            Inputs { model: "l".to_string(), ..inputs(&[(TRAINING_DATA, data)]) }.replaced(&held, 2)
        };
        assert_eq!(of("n"), [replaced(2, TRAINING_DATA, "a", "n")]);
        assert!(of("a").is_empty());
        // Data that were replaced while an older version hashed them.
        let held = taken_back(
            manifest(&[(TRAINING_DATA, "n")], vec![replaced(6, TRAINING_DATA, "x", "y")]),
            2,
        );
        let of = |data: &str| {
            Inputs { data: data.to_string(), ..inputs(&[(TRAINING_DATA, "n")]) }.replaced(&held, 2)
        };
        assert_eq!((of("x"), of("y")), (vec![], vec![replaced(2, TRAINING_DATA, "x", "y")]));
    }

    #[test]
    fn what_the_manifest_of_an_older_version_does_not_know_is_told() {
        let read = [(TRAINING_DATA, "n"), (TEMPLATE, "t"), (ENCODER, "e"), ("the suite own", "s")];
        let older = Manifest {
            is_of_older_version: true,
            ..manifest(&[(TEMPLATE, "t"), (ENCODER, "f")], Vec::new())
        };
        let now = inputs(&read);
        assert_eq!(now.replaced(&older, 4), [replaced(4, ENCODER, "f", "e")]);
        assert!(now.unknown(&older).unwrap().ends_with("what the run began with: the suite own"));
        let other = Inputs { data: "x".to_string(), ..inputs(&read) };
        assert!(other.replaced(&older, 4).contains(&replaced(4, TRAINING_DATA, "d", "x")));
        assert_eq!(now.unknown(&manifest(&[(TEMPLATE, "t")], Vec::new())), None);
    }

    /// Where texts are cut decides embeddings as weights do. A folder that says nothing is compared
    /// too.
    #[test]
    fn how_an_encoder_cuts_texts_is_an_input() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        let source = EncoderSource::Local(folder.path().to_path_buf());
        let silent = encoder_hashes(Some(&source)).unwrap();
        std::fs::write(folder.path().join(ENCODER_LIMITS), r#"{"max_seq_length": 8}"#).unwrap();
        let cut = encoder_hashes(Some(&source)).unwrap();
        assert_eq!((silent.len(), &silent[0]), (2, &cut[0]));
        assert!(silent[1].0 == cut[1].0 && silent[1].1 != cut[1].1);
    }

    #[cfg(unix)]
    #[test]
    fn an_encoders_links_lead_to_nothing_that_is_hashed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("encoder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(place.path().join("secret"), "secret").unwrap();
        let source = EncoderSource::Local(folder.clone());
        std::fs::write(folder.join("config.json"), "{}").unwrap();
        assert!(!encoder_hashes(Some(&source)).unwrap().is_empty());
        std::os::unix::fs::symlink("../secret", folder.join("model.safetensors")).unwrap();
        let error = encoder_hashes(Some(&source)).unwrap_err();
        assert!(
            error.exit_status() == 2 && error.to_string().contains("outside of the folder"),
            "{error}"
        );
    }
}
