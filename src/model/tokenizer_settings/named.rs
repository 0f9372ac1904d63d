//! Tokens that the files beside `tokenizer.json` name. Transformers adds those that it lacks, and a
//! text that holds them becomes other tokens.

use super::{AddedToken, Counterparts};
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::model::fields::Fields;
use serde_json::Value;

/// The files that name tokens.
pub(in crate::model) const FILES: [&str; 3] =
    ["tokenizer_config.json", "special_tokens_map.json", NUMBERED];

/// The file that gives tokens their ids.
const NUMBERED: &str = "added_tokens.json";

/// Fields that list special tokens.
const LISTS: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// Fields of one special token.
const SINGLE: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl Counterparts {
    /// Refuses what the file `name`, one of [`FILES`], calls a token and `tokenizer.json` does not.
    pub(in crate::model) fn check_named(&self, name: &str, text: &str) -> Result<()> {
        let fields = Fields::parse(name, text)?;
        if name == NUMBERED {
            return self.check_numbered(&fields);
        }
        for field in LISTS {
            let tokens: Vec<&Value> = match fields.get(field) {
                None => continue,
                Some(Value::Array(tokens)) => tokens.iter().collect(),
                Some(Value::Object(tokens)) => tokens.values().collect(),
                Some(_) => return Err(fields.wrong(field, "it must be a list of tokens")),
            };
            for token in tokens {
                let content = content(token)
                    .ok_or_else(|| fields.wrong(field, "its tokens must be texts"))?;
                self.check_special(name, field, content)?;
            }
        }
        for field in SINGLE {
            let Some(token) = fields.get(field) else { continue };
            let content = content(token)
                .ok_or_else(|| fields.wrong(field, "it must be the text of a token, or null"))?;
            // An empty text stands for no token.
            if !content.is_empty() && self.added(content).is_none() {
                self.check_special(name, field, content)?;
            }
        }
        Ok(())
    }

    fn added(&self, token: &str) -> Option<&AddedToken> {
        self.added_tokens.iter().find(|own| own.content == token)
    }

    fn check_special(&self, name: &str, field: &str, token: &str) -> Result<()> {
        let is = match self.added(token) {
            Some(own) if own.special => return Ok(()),
            Some(_) => "is not special",
            None => "is not an added token",
        };
        Err(disagreement(&format!("{name}'s {field}"), token, is))
    }

    fn check_numbered(&self, fields: &Fields) -> Result<()> {
        for (token, id) in fields.map() {
            let is = match self.added(token) {
                Some(own) if id.as_u64() == Some(own.id.into()) => continue,
                Some(own) => format!("has the id {}", own.id),
                None => "is not an added token".to_string(),
            };
            return Err(disagreement(NUMBERED, token, &is));
        }
        Ok(())
    }
}

/// The text of a token, which is written by itself or with its properties.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str())
}

fn disagreement(place: &str, token: &str, is: &str) -> Error {
    Error::input(format!(
        "{place} and tokenizer.json do not agree on the token {:?}: the first names it, and in \
         tokenizer.json it {is}; write both again with save_pretrained of Transformers' tokenizer",
        cut(token, MOST_SHOWN)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_that_only_other_files_add_are_refused_by_name() {
        let tokens =
            json!([{"id": 7, "content": "<end>", "special": true}, {"id": 8, "content": "<call>"}]);
        let own =
            Counterparts::new(serde_json::from_value(tokens).unwrap(), &Value::Null, &Value::Null);
        let check = |name: &str, value: &Value| own.check_named(name, &value.to_string());
        let [settings, map, numbered] = FILES;
        for (name, value, words) in [
            (
                settings,
                json!({"additional_special_tokens": ["<end>", "plus"]}),
                "additional_special_tokens and",
            ),
            (settings, json!({"extra_special_tokens": {"x": "plus"}}), "extra_special_tokens and"),
            (settings, json!({"extra_special_tokens": 3}), "a list of tokens"),
            (
                settings,
                json!({"additional_special_tokens": ["<call>"]}),
                "\"<call>\": the first names it, and in tokenizer.json it is not special",
            ),
            (settings, json!({"pad_token": "plus"}), "tokenizer_config.json's pad_token"),
            (map, json!({"bos_token": "nope"}), "special_tokens_map.json's bos_token"),
            (map, json!({"eos_token": {"content": "nope"}}), "the token \"nope\""),
            (map, json!({"eos_token": 5}), "special_tokens_map.json's eos_token is 5"),
            (map, json!({"eos_token": {"id": 5}}), "eos_token is {\"id\":5}"),
            (
                map,
                json!({"additional_special_tokens": [{"content": "plus"}]}),
                "special_tokens_map.json's",
            ),
            (
                numbered,
                json!({"plus": 299}),
                "\"plus\": the first names it, and in tokenizer.json it is not an added token",
            ),
            (numbered, json!({"<call>": 9}), "it has the id 8"),
        ] {
            let error = check(name, &value).unwrap_err();
            assert!(error.exit_status() == 2 && error.to_string().contains(words), "{error}");
        }
        for (name, value) in [
            (
                settings,
                json!({"additional_special_tokens": ["<end>"], "extra_special_tokens": {}, "eos_token": "<end>"}),
            ),
            (
                settings,
                json!({"additional_special_tokens": null, "bos_token": null, "pad_token": "<call>"}),
            ),
            (map, json!({"eos_token": {"content": "<end>"}, "unk_token": ""})),
            (numbered, json!({"<end>": 7, "<call>": 8})),
        ] {
            check(name, &value).unwrap();
        }
    }
}
