//! Text to token ids and back, from a folder's `tokenizer.json`.

use super::codec::Codec;
use super::tokenizer_settings::named::FILES as NAMING;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::files::{SETTINGS_BYTES, TOKENIZER_BYTES, checksums::sha256, decode, folder};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// A tokenizer in the `tokenizers` format.
#[derive(Clone)]
pub struct TextTokenizer {
    codec: Codec,
    /// `tokenizer.json` as it was, which is what is written.
    json: Arc<str>,
    /// Names the file in messages.
    origin: Arc<str>,
    /// Files that came with it and go where it goes: name and content.
    companions: Vec<(&'static str, Arc<[u8]>)>,
}

/// What else Transformers keeps of a tokenizer in a model folder.
pub(super) const COMPANIONS: [&str; 6] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
];

/// Marks the end of a response in the tokenizers that this program makes.
pub const END_OF_TEXT: &str = "<|endoftext|>";

impl TextTokenizer {
    /// Reads `tokenizer.json` from a model folder, and keeps what else of a tokenizer stands there.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bytes = folder::bytes(folder, "tokenizer.json", TOKENIZER_BYTES)?.ok_or_else(|| {
            Error::input(format!(
                "cannot read the model's tokenizer.json: there is none ({})",
                path.display()
            ))
        })?;
        let mut tokenizer = Self::of(bytes, &path.display().to_string())?;
        for name in COMPANIONS {
            let limit = if matches!(name, "vocab.json" | "merges.txt") {
                TOKENIZER_BYTES
            } else {
                SETTINGS_BYTES
            };
            if let Some(content) = folder::bytes(folder, name, limit)? {
                tokenizer.companions.push((name, content.into()));
            }
        }
        if let Some(bytes) = tokenizer.companion("tokenizer_config.json") {
            let at = |why: String| {
                Error::input(format!("{why} ({})", folder.join("tokenizer_config.json").display()))
            };
            let text = decode(bytes.to_vec()).map_err(|why| {
                at(format!("the model's tokenizer_config.json cannot be read: {why}"))
            })?;
            tokenizer.codec.counterparts().check(&text).map_err(|error| at(error.to_string()))?;
        }
        tokenizer.check_named(folder)?;
        Ok(tokenizer)
    }

    /// Refuses files of `folder` that call something a token which `tokenizer.json` does not.
    fn check_named(&self, folder: &Path) -> Result<()> {
        for name in NAMING {
            let Some(bytes) = self.companion(name) else { continue };
            let at = |why: String| Error::input(format!("{why} ({})", folder.join(name).display()));
            let text = decode(bytes.to_vec())
                .map_err(|why| at(format!("the model's {name} cannot be read: {why}")))?;
            let checked = self.codec.counterparts().check_named(name, &text);
            checked.map_err(|error| at(error.to_string()))?;
        }
        Ok(())
    }

    /// Parses the text of a `tokenizer.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        Self::of(bytes.to_vec(), "tokenizer.json")
    }

    /// Parses the content of a `tokenizer.json` that came from `origin`.
    fn of(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        let (codec, json) = Codec::parse(bytes)
            .map_err(|why| Error::input(format!("the tokenizer is not valid: {why} ({origin})")))?;
        Ok(Self { codec, json: json.into(), origin: origin.into(), companions: Vec::new() })
    }

    /// A file that came with the tokenizer, such as `chat_template.jinja`.
    pub fn companion(&self, name: &str) -> Option<&[u8]> {
        self.companions.iter().find(|(known, _)| *known == name).map(|(_, content)| &**content)
    }

    /// The token that ends a turn according to the files that came with the tokenizer, as a message
    /// shows it, and its id.
    pub(super) fn end_of_turn(&self) -> Result<Option<(String, u32)>> {
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            let settings = self.settings(name)?;
            let token = &settings["eos_token"];
            let text = token.as_str().or_else(|| token["content"].as_str());
            if let Some((token, id)) = text.and_then(|text| Some((text, self.token_id(text)?))) {
                return Ok(Some((cut(token, MOST_SHOWN), id)));
            }
        }
        Ok(None)
    }

    /// Whether Transformers puts special tokens around a text, which are not there here.
    pub(super) fn has_tokens_around(&self) -> Result<bool> {
        let settings = self.settings("tokenizer_config.json")?;
        let asks = |name: &str| settings[name].as_bool().unwrap_or(false);
        Ok(self.codec.tokens_around() > 0 || asks("add_bos_token") || asks("add_eos_token"))
    }

    /// Whether Transformers takes spaces before punctuation out of what it decodes, which stay
    /// here.
    pub(super) fn cleans_up(&self) -> Result<bool> {
        Ok(self.settings("tokenizer_config.json")?["clean_up_tokenization_spaces"] == true)
    }

    /// A JSON file that came with it; null where there is none.
    fn settings(&self, name: &str) -> Result<Value> {
        let Some(bytes) = self.companion(name) else { return Ok(Value::Null) };
        let bad = |why: String| {
            Error::input(format!("the model's {name} is not valid: {why} ({})", self.origin))
        };
        let text = decode(bytes.to_vec()).map_err(|error| bad(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
    }

    /// SHA-256 of the `tokenizer.json` that is written into checkpoints, without what comes with
    /// it.
    pub(crate) fn hash(&self) -> String {
        sha256(self.json())
    }

    /// The content of its `tokenizer.json`.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// Writes `tokenizer.json` and the files that came with it, or else a `tokenizer_config.json`
    /// that Transformers reads.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("tokenizer.json");
        std::fs::write(&path, &*self.json).map_err(Error::io("writing the tokenizer", &path))?;
        for (name, content) in &self.companions {
            let path = folder.join(name);
            std::fs::write(&path, content)
                .map_err(Error::io("writing the tokenizer's files", &path))?;
        }
        if self.companions.iter().any(|(name, _)| *name == "tokenizer_config.json") {
            return Ok(());
        }
        let path = folder.join("tokenizer_config.json");
        let end = self.token_id(END_OF_TEXT).map(|_| END_OF_TEXT);
        let config = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": end,
            "pad_token": end,
            "model_max_length": 1_000_000,
            "clean_up_tokenization_spaces": false,
        });
        std::fs::write(&path, format!("{config:#}\n"))
            .map_err(Error::io("writing the tokenizer's settings", &path))
    }

    /// A byte-level tokenizer in which every byte is a token, digits thus single ones, and each of
    /// `words` is one token too.
    pub fn bytes_and_words(words: &[&str]) -> Result<Self> {
        let mut vocabulary = serde_json::Map::new();
        let mut alphabet: Vec<char> =
            tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        for (id, symbol) in alphabet.iter().enumerate() {
            vocabulary.insert(symbol.to_string(), id.into());
        }
        let added = |id: usize, content: &str, special: bool| {
            serde_json::json!({
                "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            })
        };
        let mut added_tokens = vec![added(alphabet.len(), END_OF_TEXT, true)];
        added_tokens.extend(
            words.iter().enumerate().map(|(i, word)| added(alphabet.len() + 1 + i, word, false)),
        );
        let byte_level = serde_json::json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false,
        });
        let json = serde_json::json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added_tokens,
            "normalizer": null,
            "pre_tokenizer": byte_level,
            "post_processor": null,
            "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": [],
            },
        });
        Self::from_json(format!("{json:#}").as_bytes())
    }

    /// A tokenizer whose tokens are the numbers below `vocabulary`, written with spaces between
    /// them.
    pub fn numbers(vocabulary: usize) -> Result<Self> {
        let numbers: serde_json::Map<_, _> =
            (0..vocabulary).map(|id| (id.to_string(), id.into())).collect();
        let json = serde_json::json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [],
            "normalizer": null,
            "pre_tokenizer": { "type": "WhitespaceSplit" },
            "post_processor": null,
            "decoder": null,
            "model": { "type": "WordLevel", "vocab": numbers, "unk_token": "0" },
        });
        Self::from_json(format!("{json:#}").as_bytes())
    }

    /// Token ids of a text, without special tokens added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.codec.encode(text, false).map_err(|why| {
            let start: String = text.chars().take(60).collect();
            let rest = if start.len() < text.len() { ".." } else { "" };
            Error::input(format!(
                "the tokenizer cannot make tokens of {start:?}{rest}: {why} ({})",
                self.origin
            ))
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.codec.decode(ids).map_err(|why| {
            Error::input(format!(
                "the tokenizer cannot make a text of {} tokens: {why} ({})",
                ids.len(),
                self.origin
            ))
        })
    }

    /// Where each token's text ends in [`TextTokenizer::decode`]'s text of `ids`, bytes: (tokens).
    /// A character that several tokens make up belongs to the last of them; special tokens end
    /// where the token before them ends. Where a token is written differently when another one
    /// follows, it is as near as can be told.
    pub fn text_ends(&self, ids: &[u32]) -> Result<Vec<u32>> {
        Ok(self.codec.text_ends(ids, &self.decode(ids)?))
    }

    /// The id of one token, if the vocabulary has it.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.codec.token_id(token)
    }

    /// Number of ids that a model needs to know: one more than the largest, added tokens included.
    /// Ids may have gaps.
    pub fn vocabulary(&self) -> usize {
        self.codec.vocabulary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_text_survives_the_way_there_and_back_and_digits_stand_alone() {
        let tokenizer = TextTokenizer::bytes_and_words(&["Use", " to make ", "\\boxed{"]).unwrap();
        for text in
            ["Use 12 3 to make 36.\n12*3=36\n\\boxed{12*3}", "grüße, 你好 \u{1F600}\t\\box", ""]
        {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
        assert_eq!(tokenizer.encode("Use 12 to make 3\\boxed{").unwrap().len(), 7);
        assert_eq!(tokenizer.vocabulary(), 256 + 1 + 3);
        let end = tokenizer.token_id(END_OF_TEXT).unwrap();
        assert_eq!(tokenizer.decode(&[end]).unwrap(), "");
    }

    #[test]
    fn what_is_asked_of_decoded_texts_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        TextTokenizer::bytes_and_words(&[]).unwrap().write(folder.path()).unwrap();
        let path = folder.path().join("tokenizer_config.json");
        for (config, expected) in [
            ("{}", false),
            (r#"{"clean_up_tokenization_spaces": false}"#, false),
            (r#"{"clean_up_tokenization_spaces": true}"#, true),
        ] {
            std::fs::write(&path, config).unwrap();
            assert_eq!(
                TextTokenizer::read(folder.path()).unwrap().cleans_up().unwrap(),
                expected,
                "{config}"
            );
        }
    }

    #[test]
    fn numbers_are_their_own_tokens() {
        let tokenizer = TextTokenizer::numbers(300).unwrap();
        assert_eq!(tokenizer.encode("7 299 0 12").unwrap(), [7, 299, 0, 12]);
        assert_eq!(tokenizer.decode(&[7, 299, 0, 12]).unwrap(), "7 299 0 12");
        assert_eq!(tokenizer.vocabulary(), 300);
    }

    /// The tokenizer of all bytes with some parts of its file replaced.
    fn edited(edits: &[(&str, Value)]) -> Result<TextTokenizer> {
        let plain = TextTokenizer::bytes_and_words(&["Use"]).unwrap();
        let mut file: Value = serde_json::from_str(&plain.json).unwrap();
        for (part, value) in edits {
            *file.pointer_mut(part).unwrap() = value.clone();
        }
        TextTokenizer::from_json(file.to_string().as_bytes())
    }

    #[test]
    fn truncation_and_padding_of_the_file_are_not_applied_and_stay_in_it() {
        let plain = edited(&[]).unwrap();
        let truncation =
            json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
        let padding = json!({"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "!"});
        let text = "Use 12 3 to make 36.";
        for (part, value) in [("/truncation", truncation), ("/padding", padding)] {
            let tokenizer = edited(&[(part, value.clone())]).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), plain.encode(text).unwrap());
            let folder = tempfile::tempdir().unwrap();
            tokenizer.write(folder.path()).unwrap();
            let written: Value = serde_json::from_slice(
                &std::fs::read(folder.path().join("tokenizer.json")).unwrap(),
            )
            .unwrap();
            assert_eq!(written.pointer(part), Some(&value));
        }
        let error = edited(&[("/model/dropout", json!(0.1))]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("dropout of 0.1"), "{error}");
    }

    #[test]
    fn pathological_tokenizers_end_with_a_message() {
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let letters = format!("{}!", "a".repeat(60));
        let replaced = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let bomb = json!({"type": "Sequence", "normalizers": vec![replaced.clone(); 40]});
        let prepended = json!({"type": "Sequence", "normalizers": vec![json!({"type": "Prepend", "prepend": "b".repeat(1 << 20)}); 100]});
        for (part, value, word) in [
            ("/pre_tokenizer", split("(a+)+$"), "retry-limit"),
            ("/pre_tokenizer", split("(?:a|aa)+b"), "retry-limit"),
            ("/normalizer", bomb, "could make"),
            ("/normalizer", prepended, "could make"),
            (
                "/normalizer",
                json!({"type": "Prepend", "prepend": "b".repeat(10_000_000)}),
                "could make",
            ),
        ] {
            let tokenizer = edited(&[(part, value)]).unwrap();
            for text in [letters.clone(), letters.repeat(10)] {
                let error = tokenizer.encode(&text).unwrap_err();
                let message = error.to_string();
                assert!(error.exit_status() == 2 && message.contains(word), "{message}");
                assert!(message.contains("tokenizer.json"), "{message}");
            }
        }
        // What is too much for one token is found when it is read, and what is for many when they
        // come.
        let decoder =
            |count: usize| json!({"type": "Sequence", "decoders": vec![replaced.clone(); count]});
        let error = edited(&[("/decoder", decoder(40))]).map(|_| ()).unwrap_err();
        assert!(
            error.exit_status() == 2 && error.to_string().contains("bytes of one token"),
            "{error}"
        );
        let tokenizer = edited(&[("/decoder", decoder(16))]).unwrap();
        assert_eq!(tokenizer.decode(&[1, 2, 3]).unwrap().len(), 3);
        let error = tokenizer.decode(&[65; 2000]).unwrap_err();
        assert!(error.exit_status() == 2 && error.to_string().contains("could make"), "{error}");
    }

    #[test]
    fn ends_of_tokens_are_told_even_where_a_token_depends_on_the_next() {
        // A mark in front of a word is a space where another token follows, and nothing where none
        // does.
        let words = json!({"<one": 0, "<two": 1, "<th": 2, "ree": 3});
        let model = json!({"type": "WordLevel", "vocab": words, "unk_token": "ree"});
        let decoder = json!({"type": "BPEDecoder", "suffix": "<"});
        let tokenizer = edited(&[("/decoder", decoder), ("/model", model)]).unwrap();
        let ids = [0, 2, 3, 1];
        assert_eq!(tokenizer.decode(&ids).unwrap(), " one threetwo");
        assert_eq!(tokenizer.text_ends(&ids).unwrap(), [4, 7, 10, 13]);
        assert_eq!(tokenizer.text_ends(&[]).unwrap(), [0; 0]);
    }
}
