//! Text to token ids and back, from a folder's `tokenizer.json`.

use super::folder;
use super::tokenizer_growth::{Growth, growth};
use crate::error::{Error, Result};
use crate::files::{SETTINGS_BYTES, TOKENIZER_BYTES, decode};
use crate::guard::{caught, caught_within};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A tokenizer in the `tokenizers` format.
#[derive(Clone)]
pub struct TextTokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    /// `tokenizer.json` as it was, which is what is written.
    json: Arc<[u8]>,
    /// Names the file in messages.
    origin: Arc<str>,
    limits: Limits,
    /// Files that came with it and go where it goes: name and content.
    companions: Vec<(&'static str, Arc<[u8]>)>,
}

/// What is known of a tokenizer before it is used.
#[derive(Clone, Copy)]
struct Limits {
    encoding: Growth,
    decoding: Growth,
    /// Number of ids that a model needs to know.
    vocabulary: usize,
    /// Bytes of the longest token.
    longest_token: usize,
}

/// What of a `tokenizer.json` is looked at beside the library that reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Steps {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: StepsOfModel,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StepsOfModel {
    dropout: Option<f64>,
}

/// What else Transformers keeps of a tokenizer in a model folder.
const COMPANIONS: [&str; 6] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
];

/// Marks the end of a response in the tokenizers that this program makes.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// Most bytes that a text may have on its way through a tokenizer.
const MOST_BYTES: f64 = (64 << 20) as f64;

/// Texts of more bytes are given to the tokenizer on a thread of its own, which is not waited for for ever. Expressions that go back
/// over a text again and again give up by themselves on one that is as short as this.
const SHORT: usize = 256;

/// The longest that a tokenizer may take.
const LONGEST: Duration = Duration::from_mins(2);

impl TextTokenizer {
    /// Reads `tokenizer.json` from a model folder, and keeps what else of a tokenizer stands there.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bytes = folder::bytes(folder, "tokenizer.json", TOKENIZER_BYTES)?.ok_or_else(|| {
            Error::input(format!("cannot read the model's tokenizer.json: there is none ({})", path.display()))
        })?;
        let mut tokenizer = Self::of(&bytes, &path.display().to_string())?;
        for name in COMPANIONS {
            let limit = if matches!(name, "vocab.json" | "merges.txt") { TOKENIZER_BYTES } else { SETTINGS_BYTES };
            if let Some(content) = folder::bytes(folder, name, limit)? {
                tokenizer.companions.push((name, content.into()));
            }
        }
        Ok(tokenizer)
    }

    /// Parses the text of a `tokenizer.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        Self::of(bytes, "tokenizer.json")
    }

    /// Parses the text of a `tokenizer.json` that came from `origin`.
    ///
    /// Truncation and padding that stand in it are those of whoever saved it, and no part of how a text becomes tokens.
    fn of(bytes: &[u8], origin: &str) -> Result<Self> {
        let bad = |why: String| Error::input(format!("the tokenizer is not valid: {why} ({origin})"));
        let text = decode(bytes.to_vec()).map_err(|error| bad(error.to_string()))?;
        let steps: Steps = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if let Some(dropout) = steps.model.dropout.filter(|dropout| *dropout != 0.0) {
            return Err(bad(format!(
                "its model has a dropout of {dropout}, with which a text becomes other tokens each time; set it to null"
            )));
        }
        let mut inner = caught(|| tokenizers::Tokenizer::from_bytes(text.as_bytes()))
            .map_err(&bad)?
            .map_err(|error| bad(error.to_string()))?;
        inner.with_truncation(None).map_err(|error| bad(error.to_string()))?.with_padding(None);
        let (mut vocabulary, mut longest_token) = (0, 0);
        for (token, id) in inner.get_vocab(true) {
            vocabulary = vocabulary.max(id as usize + 1);
            longest_token = longest_token.max(token.len());
        }
        let limits = Limits {
            encoding: growth(&steps.normalizer).then(growth(&steps.pre_tokenizer)),
            decoding: growth(&steps.decoder),
            vocabulary,
            longest_token,
        };
        Ok(Self { inner: Arc::new(inner), json: text.into_bytes().into(), origin: origin.into(), limits, companions: Vec::new() })
    }

    /// A file that came with the tokenizer, such as `chat_template.jinja`.
    pub fn companion(&self, name: &str) -> Option<&[u8]> {
        self.companions.iter().find(|(known, _)| *known == name).map(|(_, content)| &**content)
    }

    /// The token that ends a turn according to the files that came with the tokenizer, where it is one, and its id.
    pub(super) fn end_of_turn(&self) -> Result<Option<(String, u32)>> {
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            let Some(bytes) = self.companion(name) else { continue };
            let bad = |why: String| Error::input(format!("the model's {name} is not valid: {why} ({})", self.origin));
            let text = decode(bytes.to_vec()).map_err(|error| bad(error.to_string()))?;
            let settings: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
            let token = &settings["eos_token"];
            if let Some(token) = token.as_str().or_else(|| token["content"].as_str()) {
                return Ok(self.token_id(token).map(|id| (token.to_string(), id)));
            }
        }
        Ok(None)
    }

    /// Writes `tokenizer.json` and the files that came with it, or else a `tokenizer_config.json` that Transformers reads.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("tokenizer.json");
        std::fs::write(&path, &self.json).map_err(Error::io("writing the tokenizer", &path))?;
        for (name, content) in &self.companions {
            let path = folder.join(name);
            std::fs::write(&path, content).map_err(Error::io("writing the tokenizer's files", &path))?;
        }
        if self.companions.iter().any(|(name, _)| *name == "tokenizer_config.json") {
            return Ok(());
        }
        let path = folder.join("tokenizer_config.json");
        let config = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END_OF_TEXT,
            "pad_token": END_OF_TEXT,
            "model_max_length": 1_000_000,
            "clean_up_tokenization_spaces": false,
        });
        std::fs::write(&path, format!("{config:#}\n")).map_err(Error::io("writing the tokenizer's settings", &path))
    }

    /// A byte-level tokenizer in which every byte is a token, digits thus single ones, and each of `words` is one token too.
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
        added_tokens.extend(words.iter().enumerate().map(|(i, word)| added(alphabet.len() + 1 + i, word, false)));
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
        Self::from_json(json.to_string().as_bytes())
    }

    /// A tokenizer whose tokens are the numbers below `vocabulary`, written with spaces between them.
    pub fn numbers(vocabulary: usize) -> Result<Self> {
        let numbers: serde_json::Map<_, _> = (0..vocabulary).map(|id| (id.to_string(), id.into())).collect();
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
        Self::from_json(json.to_string().as_bytes())
    }

    /// Token ids of a text, without special tokens added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let failed = |why: &str| {
            let start: String = text.chars().take(60).collect();
            let rest = if start.len() < text.len() { ".." } else { "" };
            Error::input(format!("the tokenizer cannot make tokens of {start:?}{rest}: {why} ({})", self.origin))
        };
        let most = self.limits.encoding.of(text.len());
        if most > MOST_BYTES {
            return Err(failed(&format!("its normalizers could make {most:.0} bytes of {}", text.len())));
        }
        let ids = |encoding: tokenizers::Encoding| encoding.get_ids().to_vec();
        let encoded = if text.len() <= SHORT {
            caught(|| self.inner.encode(text, false).map(ids))
        } else {
            let (inner, text) = (self.inner.clone(), text.to_string());
            caught_within(LONGEST, move || inner.encode(text, false).map(ids))
        };
        encoded.map_err(|why| failed(&why))?.map_err(|error| failed(&error.to_string()))
    }

    /// The text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let failed = |why: &str| {
            Error::failed(format!("the tokenizer cannot make a text of {} tokens: {why} ({})", ids.len(), self.origin))
        };
        self.check_decoding(ids).map_err(|why| failed(&why))?;
        let decoded = caught(|| self.inner.decode(ids, true)).map_err(|why| failed(&why))?;
        decoded.map_err(|error| failed(&error.to_string()))
    }

    fn check_decoding(&self, ids: &[u32]) -> Result<(), String> {
        let within = |bytes: usize| self.limits.decoding.of(bytes) <= MOST_BYTES;
        if within(ids.len() * self.limits.longest_token) {
            return Ok(());
        }
        let bytes = ids.iter().filter_map(|&id| self.inner.id_to_token(id)).map(|token| token.len()).sum();
        if !within(bytes) {
            let most = self.limits.decoding.of(bytes);
            return Err(format!("its decoders could make {most:.0} bytes of them"));
        }
        Ok(())
    }

    /// Where each token's text ends in [`TextTokenizer::decode`]'s text of `ids`, bytes: (tokens). A character that several tokens
    /// make up belongs to the last of them; special tokens end where the token before them ends.
    ///
    /// Some decoders write a token differently when another one follows. Of these it is as near as can be told.
    pub fn text_ends(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let text = self.decode(ids)?;
        let ends = caught(|| {
            let mut stream = self.inner.decode_stream(true);
            let mut end = 0;
            let step = |&id: &u32| {
                end += stream.step(id).ok()?.map_or(0, |piece| piece.len());
                Some(end as u32)
            };
            ids.iter().map(step).collect::<Option<Vec<u32>>>()
        });
        Ok(ends.ok().flatten().unwrap_or_else(|| self.apart(ids, &text)))
    }

    /// [`Self::text_ends`] from what each token is on its own, looked for in the text one after another.
    fn apart(&self, ids: &[u32], text: &str) -> Vec<u32> {
        let mut end = 0;
        let mut ends: Vec<u32> = ids
            .iter()
            .map(|&id| {
                let piece = self.decode(&[id]).unwrap_or_default();
                let (piece, rest) = (piece.trim(), &text[end..]);
                if rest.trim_start().starts_with(piece) && !piece.is_empty() {
                    end += rest.len() - rest.trim_start().len() + piece.len();
                }
                end as u32
            })
            .collect();
        if let Some(last) = ends.last_mut() {
            *last = text.len() as u32;
        }
        ends
    }

    /// The id of one token, if the vocabulary has it.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of ids that a model needs to know: one more than the largest, added tokens included. Ids may have gaps.
    pub fn vocabulary(&self) -> usize {
        self.limits.vocabulary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_the_way_there_and_back_and_digits_stand_alone() {
        let tokenizer = TextTokenizer::bytes_and_words(&["Use", " to make ", "\\boxed{"]).unwrap();
        for text in ["Use 12 3 to make 36.\n12*3=36\n\\boxed{12*3}", "grüße, 你好 \u{1F600}\t\\box", ""] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
        assert_eq!(tokenizer.encode("Use 12 to make 3\\boxed{").unwrap().len(), 7);
        assert_eq!(tokenizer.vocabulary(), 256 + 1 + 3);
        let end = tokenizer.token_id(END_OF_TEXT).unwrap();
        assert_eq!(tokenizer.decode(&[end]).unwrap(), "");
    }

    #[test]
    fn numbers_are_their_own_tokens() {
        let tokenizer = TextTokenizer::numbers(300).unwrap();
        assert_eq!(tokenizer.encode("7 299 0 12").unwrap(), [7, 299, 0, 12]);
        assert_eq!(tokenizer.decode(&[7, 299, 0, 12]).unwrap(), "7 299 0 12");
        assert_eq!(tokenizer.vocabulary(), 300);
    }
}
