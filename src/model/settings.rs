//! What came with a model beside its weights: `config.json` and `generation_config.json` as they
//! were, so that a written model keeps what this program does not change, and what is worth a
//! warning.

use super::decoder::DecoderSpec;
use super::families::{self, token_ids};
use super::fields::{Fields, in_words, is_nothing};
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Result};
use crate::escape::{MOST_LISTED, listed};
use crate::files::folder;
use candle_core::DType;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";

/// Settings of sampling by which other responses come about, each with the numbers that turn it
/// off.
const SAMPLING: [(&str, &[f64]); 22] = [
    ("bad_words_ids", &[]),
    ("begin_suppress_tokens", &[]),
    ("dola_layers", &[]),
    ("encoder_repetition_penalty", &[1.0]),
    ("epsilon_cutoff", &[0.0]),
    ("eta_cutoff", &[0.0]),
    ("exponential_decay_length_penalty", &[]),
    ("forced_bos_token_id", &[]),
    ("forced_eos_token_id", &[]),
    ("guidance_scale", &[1.0]),
    ("min_length", &[0.0]),
    ("min_new_tokens", &[0.0]),
    ("min_p", &[0.0]),
    ("no_repeat_ngram_size", &[0.0]),
    ("num_beams", &[0.0, 1.0]),
    ("penalty_alpha", &[0.0]),
    ("repetition_penalty", &[1.0]),
    ("sequence_bias", &[]),
    ("stop_strings", &[]),
    ("suppress_tokens", &[]),
    ("typical_p", &[1.0]),
    ("watermarking_config", &[]),
];

/// The settings of a model, and notes about them.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelSettings {
    config: Map<String, Value>,
    generation: Map<String, Value>,
    notes: Vec<String>,
}

impl DecoderSpec {
    /// Reads `config.json`, and the end-of-sequence tokens of `generation_config.json` where there
    /// is one, from a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        ModelSettings::read(folder).map(|(spec, _)| spec)
    }
}

impl ModelSettings {
    /// Reads both files of a folder; the second may be absent.
    pub(super) fn read(folder: &Path) -> Result<(DecoderSpec, Self)> {
        let located = |name: &str, error: &Error| {
            Error::input(format!("{error} ({})", folder.join(name).display()))
        };
        let text = folder::text(folder, CONFIG)?.ok_or_else(|| {
            let path = folder.join(CONFIG);
            Error::input(format!(
                "cannot read the model's config.json: there is none ({})",
                path.display()
            ))
        })?;
        let fields = Fields::parse(CONFIG, &text).map_err(|error| located(CONFIG, &error))?;
        let mut config = families::read(&fields).map_err(|error| located(CONFIG, &error))?;
        let mut settings = Self { config: fields.map().clone(), ..Self::default() };
        settings.note_sampling(&fields, CONFIG);
        if let Some(text) = folder::text(folder, GENERATION)? {
            let ends = settings
                .add_generation(&text, &config)
                .map_err(|error| located(GENERATION, &error))?;
            config.eos_token_ids = ends;
        }
        Ok((config, settings))
    }

    /// Takes in `generation_config.json`; returns the tokens that end a response by either file.
    fn add_generation(&mut self, text: &str, config: &DecoderSpec) -> Result<Vec<u32>> {
        let fields = Fields::parse(GENERATION, text)?;
        let more = token_ids(&fields, "eos_token_id", config.vocab_size)?;
        self.note_sampling(&fields, GENERATION);
        let mut ends = config.eos_token_ids.clone();
        let [own, others]: [BTreeSet<u32>; 2] =
            [&ends, &more].map(|ids| ids.iter().copied().collect());
        if !more.is_empty() && !own.is_subset(&others) {
            self.note(format!(
                "config.json ends a response at {}, generation_config.json at {}; here a response \
                 ends at any of them",
                listed(&ends, MOST_LISTED),
                listed(&more, MOST_LISTED)
            ));
        }
        ends.extend(more.into_iter().filter(|id| !own.contains(id)));
        self.generation.clone_from(fields.map());
        Ok(ends)
    }

    /// Notes what the tokenizer's files say that the model's do not, or that is not done here.
    pub(super) fn compare(
        &mut self,
        config: &DecoderSpec,
        tokenizer: &TextTokenizer,
    ) -> Result<()> {
        if let Some((token, id)) = tokenizer.end_of_turn()?
            && !config.eos_token_ids.is_empty()
            && !config.eos_token_ids.contains(&id)
        {
            self.note(format!(
                "tokenizer_config.json ends a turn with {token:?} ({id}), but config.json and \
                 generation_config.json end a response only at {}; responses continue after \
                 {token:?}: add {id} to eos_token_id of generation_config.json if they should not",
                listed(&config.eos_token_ids, MOST_LISTED)
            ));
        }
        if tokenizer.has_tokens_around()? {
            self.note(
                "the tokenizer's files put special tokens around a text; prompts here have only \
                 what their template writes, so a template for a model that needs such tokens must \
                 write them, such as {{ bos_token }}"
                    .to_string(),
            );
        }
        if tokenizer.cleans_up()? {
            self.note(
                "tokenizer_config.json has clean_up_tokenization_spaces true, with which \
                 Transformers takes spaces before punctuation out of what it decodes; here \
                 responses stay as their tokens spell them"
                    .to_string(),
            );
        }
        Ok(())
    }

    fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Notes settings of sampling that nothing here does. Temperature, top-k and top-p are the
    /// experiment's or the command's own.
    fn note_sampling(&mut self, fields: &Fields, file: &str) {
        let says = |(name, off): &(&str, &[f64])| {
            let value = fields.get(name)?;
            let is_off = value
                .as_f64()
                .is_some_and(|value| off.iter().any(|off| value.to_bits() == off.to_bits()));
            (!is_off && !is_nothing(value)).then(|| format!("{name} {}", in_words(value)))
        };
        let said: Vec<String> = SAMPLING.iter().filter_map(says).collect();
        if !said.is_empty() {
            let said = listed(said, MOST_LISTED);
            self.note(format!(
                "{file} asks for {said}, which is not done here: responses are sampled without it"
            ));
        }
    }

    /// What both files say.
    pub(super) fn texts(&self) -> [(&'static str, String); 2] {
        [(CONFIG, &self.config), (GENERATION, &self.generation)].map(|(name, fields)| {
            let fields = serde_json::to_string(fields);
            (name, fields.unwrap_or_default())
        })
    }

    /// What is worth a warning.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The text of `config.json` for a model of this shape with weights of `dtype`: what came with
    /// it, and what has changed.
    pub(super) fn config_json(&self, config: &DecoderSpec, dtype: DType) -> String {
        let Value::Object(own) = config.to_json(dtype) else { return String::new() };
        if self.config.is_empty() {
            return format!("{:#}\n", Value::Object(own));
        }
        let mut fields = self.config.clone();
        let mut set = |name: &str| {
            fields.insert(name.to_string(), own[name].clone());
        };
        // Both names and both places, for older and newer Transformers.
        ["torch_dtype", "tie_word_embeddings", "rope_theta"].into_iter().for_each(&mut set);
        if own.contains_key("rope_local_base_freq") {
            set("rope_local_base_freq");
        }
        if config.rope_scaling.is_some()
            && self.config.get("rope_scaling").is_none_or(Value::is_null)
        {
            set("rope_scaling");
        }
        if fields.contains_key("dtype") {
            fields.insert("dtype".to_string(), own["torch_dtype"].clone());
        }
        format!("{:#}\n", Value::Object(fields))
    }

    /// The text of `generation_config.json`.
    pub(super) fn generation_json(&self, config: &DecoderSpec) -> String {
        let own = json!({ "do_sample": true, "eos_token_id": config.eos_token_ids });
        let fields =
            if self.generation.is_empty() { own } else { Value::Object(self.generation.clone()) };
        format!("{fields:#}\n")
    }
}
