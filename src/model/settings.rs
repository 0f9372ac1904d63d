//! What came with a model beside its weights: `config.json` and `generation_config.json` as they were, so that a written model keeps
//! what this program does not change, and what is worth a warning.

use super::config::{Qwen3Config, token_ids, unknown_fields};
use super::fields::Fields;
use super::folder;
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Result};
use candle_core::DType;
use serde_json::{Map, Value, json};
use std::path::Path;

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";

/// The settings of a model, and notes about them.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelSettings {
    config: Map<String, Value>,
    generation: Map<String, Value>,
    notes: Vec<String>,
}

impl ModelSettings {
    /// Reads both files of a folder; the second may be absent.
    pub(super) fn read(folder: &Path) -> Result<(Qwen3Config, Self)> {
        let located = |name: &str, error: &Error| Error::input(format!("{error} ({})", folder.join(name).display()));
        let text = folder::text(folder, CONFIG)?.ok_or_else(|| {
            let path = folder.join(CONFIG);
            Error::input(format!("cannot read the model's config.json: there is none ({})", path.display()))
        })?;
        let fields = Fields::parse(CONFIG, &text).map_err(|error| located(CONFIG, &error))?;
        let mut config = Qwen3Config::of_fields(&fields).map_err(|error| located(CONFIG, &error))?;
        let mut settings = Self { config: fields.map().clone(), ..Self::default() };
        let unknown = unknown_fields(&fields);
        if !unknown.is_empty() {
            settings.notes.push(format!(
                "config.json has fields that change nothing here: {}; they are kept ({})",
                unknown.join(", "),
                folder.display()
            ));
        }
        if let Some(text) = folder::text(folder, GENERATION)? {
            let ends = settings.add_generation(&text, &config).map_err(|error| located(GENERATION, &error))?;
            config.eos_token_ids = ends;
        }
        Ok((config, settings))
    }

    /// Takes in `generation_config.json`; returns the tokens that end a response by either file.
    fn add_generation(&mut self, text: &str, config: &Qwen3Config) -> Result<Vec<u32>> {
        let fields = Fields::parse(GENERATION, text)?;
        let more = token_ids(&fields, "eos_token_id", config.vocab_size)?;
        let mut ends = config.eos_token_ids.clone();
        if !more.is_empty() && ends.iter().any(|id| !more.contains(id)) {
            self.notes.push(format!(
                "config.json ends a response at {}, generation_config.json at {}; here a response ends at any of them",
                listed(&ends),
                listed(&more)
            ));
        }
        ends.extend(more.into_iter().filter(|id| !config.eos_token_ids.contains(id)));
        self.generation.clone_from(fields.map());
        Ok(ends)
    }

    /// Notes where the tokenizer ends a turn with a token that does not end a response.
    pub(super) fn compare_ends(&mut self, config: &Qwen3Config, tokenizer: &TextTokenizer) -> Result<()> {
        if let Some((token, id)) = tokenizer.end_of_turn()?
            && !config.eos_token_ids.contains(&id)
            && !config.eos_token_ids.is_empty()
        {
            self.notes.push(format!(
                "tokenizer_config.json ends a turn with {token:?} ({id}), but config.json and generation_config.json end a response only at {}; \
                 responses go on after {token:?}: add {id} to eos_token_id of generation_config.json if they should not",
                listed(&config.eos_token_ids)
            ));
        }
        Ok(())
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

    /// The text of `config.json` for a model of this shape with weights of `dtype`: what came with it, and what has changed.
    pub(super) fn config_json(&self, config: &Qwen3Config, dtype: DType) -> String {
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
        if config.rope_scaling.is_some() && self.config.get("rope_scaling").is_none_or(Value::is_null) {
            set("rope_scaling");
        }
        if fields.contains_key("dtype") {
            fields.insert("dtype".to_string(), own["torch_dtype"].clone());
        }
        format!("{:#}\n", Value::Object(fields))
    }

    /// The text of `generation_config.json`.
    pub(super) fn generation_json(&self, config: &Qwen3Config) -> String {
        let own = json!({ "do_sample": true, "eos_token_id": config.eos_token_ids });
        let fields = if self.generation.is_empty() { own } else { Value::Object(self.generation.clone()) };
        format!("{fields:#}\n")
    }
}

fn listed(ids: &[u32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
