//! What `tokenizer_config.json` says of a tokenizer beside `tokenizer.json`, which alone is what a
//! text becomes tokens by here.
//!
//! Transformers changes the tokenizer of `tokenizer.json` by these fields when it loads it. Where
//! they ask for other tokens than `tokenizer.json` gives, the model is refused.

pub(super) mod named;

use super::fields::Fields;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const FILE: &str = "tokenizer_config.json";

/// A token that is found in a text before all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the format's")]
pub(super) struct AddedToken {
    /// Absent in `tokenizer_config.json`, where it is the key.
    id: u32,
    content: String,
    special: bool,
    lstrip: bool,
    rstrip: bool,
    single_word: bool,
}

/// What of `tokenizer.json` has its like in `tokenizer_config.json`.
#[derive(Clone, Debug, Default)]
pub(super) struct Counterparts {
    pub(super) added_tokens: Vec<AddedToken>,
    /// Whether a space is put before a text, where its bytes become tokens.
    pub(super) add_prefix_space: Option<bool>,
    /// Whether capital letters become small ones.
    pub(super) lowers: bool,
}

impl Counterparts {
    /// Looks at the tokens, the normalizer and the pre-tokenizer of a `tokenizer.json`.
    pub(super) fn new(
        added_tokens: Vec<AddedToken>,
        normalizer: &Value,
        pre_tokenizer: &Value,
    ) -> Self {
        let parts = pre_tokenizer["pretokenizers"]
            .as_array()
            .map_or(std::slice::from_ref(pre_tokenizer), Vec::as_slice);
        let bytes = parts.iter().find(|part| part["type"] == "ByteLevel");
        let add_prefix_space = bytes.and_then(|part| part["add_prefix_space"].as_bool());
        Self { added_tokens, add_prefix_space, lowers: lowers(normalizer) }
    }

    /// Refuses a `tokenizer_config.json` that asks for other tokens.
    pub(super) fn check(&self, config: &str) -> Result<()> {
        let fields = Fields::parse(FILE, config)?;
        if fields.flag("split_special_tokens")?.unwrap_or(false) {
            return Err(fields.wrong("split_special_tokens", "that is not supported, only false"));
        }
        if fields.flag("do_lower_case")?.unwrap_or(false) && !self.lowers {
            let right = "but no normalizer of tokenizer.json makes capital letters small; write \
                         both again with save_pretrained of Transformers' tokenizer";
            return Err(fields.wrong("do_lower_case", right));
        }
        if let (Some(asked), Some(own)) = (fields.flag("add_prefix_space")?, self.add_prefix_space)
            && asked != own
        {
            let right = format!("but it is {own} in tokenizer.json; make them the same");
            return Err(fields.wrong("add_prefix_space", &right));
        }
        self.check_added(&fields)
    }

    fn check_added(&self, fields: &Fields) -> Result<()> {
        let Some(asked) = fields.object("added_tokens_decoder")? else { return Ok(()) };
        let own: BTreeMap<u32, &AddedToken> =
            self.added_tokens.iter().map(|token| (token.id, token)).collect();
        for (id, token) in asked.map() {
            let read =
                serde_json::from_value::<AddedToken>(token.clone()).ok().zip(id.parse().ok());
            let Some((token, id)) = read else {
                return Err(asked.wrong(id, "it must be a token with its number as name"));
            };
            let token = AddedToken { id, ..token };
            let difference = match own.get(&id) {
                Some(own) if **own == token => continue,
                Some(own) if own.content != token.content => {
                    format!("there it is {:?}", cut(&own.content, MOST_SHOWN))
                }
                Some(_) => "there it has other properties (special, lstrip, rstrip, single_word)"
                    .to_string(),
                None => "there it is not an added token".to_string(),
            };
            return Err(Error::input(format!(
                "{FILE} and tokenizer.json do not agree on the added token {id}, {:?} in the \
                 first; {difference}; write both again with save_pretrained of Transformers' \
                 tokenizer",
                cut(&token.content, MOST_SHOWN)
            )));
        }
        Ok(())
    }
}

/// Whether a normalizer makes capital letters small.
fn lowers(normalizer: &Value) -> bool {
    match normalizer["type"].as_str() {
        Some("Lowercase") => true,
        Some("BertNormalizer") => normalizer["lowercase"] == true,
        Some("Sequence") => {
            normalizer["normalizers"].as_array().is_some_and(|parts| parts.iter().any(lowers))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn own(pre_tokenizer: &Value) -> Counterparts {
        let tokens = json!([{"id": 7, "content": "<end>", "special": true, "lstrip": false, "rstrip": false, "normalized": false}]);
        Counterparts::new(serde_json::from_value(tokens).unwrap(), &json!(null), pre_tokenizer)
    }

    #[test]
    fn what_asks_for_other_tokens_is_refused_by_name() {
        let plain = json!({"type": "Sequence", "pretokenizers": [{"type": "Split"}, {"type": "ByteLevel", "add_prefix_space": false}]});
        for (config, words) in [
            (json!({"split_special_tokens": true}), ["split_special_tokens is true", "only false"]),
            (
                json!({"do_lower_case": true}),
                ["do_lower_case is true", "no normalizer of tokenizer.json"],
            ),
            (
                json!({"add_prefix_space": true}),
                ["add_prefix_space is true", "it is false in tokenizer.json"],
            ),
            (
                json!({"added_tokens_decoder": {"8": {"content": "<more>", "special": true}}}),
                ["8, \"<more>\"", "not an added token"],
            ),
            (
                json!({"added_tokens_decoder": {"7": {"content": "<stop>", "special": true}}}),
                ["7, \"<stop>\"", "there it is \"<end>\""],
            ),
            (
                json!({"added_tokens_decoder": {"7": {"content": "<end>"}}}),
                ["7, \"<end>\"", "other properties"],
            ),
            (
                json!({"added_tokens_decoder": {"x": {"content": "<end>"}}}),
                ["added_tokens_decoder.x is {", "its number"],
            ),
        ] {
            let error = own(&plain).check(&config.to_string()).unwrap_err();
            let message = error.to_string();
            assert!(
                error.exit_status() == 2 && words.iter().all(|word| message.contains(word)),
                "{message}"
            );
        }
        for (normalizer, is_fine) in [
            (json!({"type": "Lowercase"}), true),
            (json!({"type": "BertNormalizer", "lowercase": true}), true),
            (json!({"type": "BertNormalizer", "lowercase": false}), false),
            (
                json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}),
                true,
            ),
            (json!({"type": "Sequence", "normalizers": [{"type": "NFC"}]}), false),
        ] {
            let own = Counterparts::new(Vec::new(), &normalizer, &plain);
            assert_eq!(own.check(r#"{"do_lower_case": true}"#).is_ok(), is_fine, "{normalizer}");
            own.check(r#"{"do_lower_case": false}"#).unwrap();
        }
        let spaced = json!({"type": "ByteLevel", "add_prefix_space": true});
        assert!(own(&spaced).check(r#"{"add_prefix_space": false}"#).is_err());
        for (pre_tokenizer, config) in [
            (&plain, json!({"add_prefix_space": false, "split_special_tokens": false})),
            (
                &plain,
                json!({"added_tokens_decoder": {"7": {"content": "<end>", "special": true, "normalized": true}}}),
            ),
            (&spaced, json!({"add_prefix_space": true})),
            (&spaced, json!({"add_prefix_space": null, "added_tokens_decoder": null})),
            (&json!(null), json!({"add_prefix_space": true})),
        ] {
            own(pre_tokenizer).check(&config.to_string()).unwrap();
        }
    }
}
