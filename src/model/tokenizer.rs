//! Text to token ids and back, from a folder's `tokenizer.json`.

use crate::error::{Error, Result};
use std::path::Path;

/// A tokenizer in the `tokenizers` format.
#[derive(Clone)]
pub struct TextTokenizer {
    inner: tokenizers::Tokenizer,
    /// Files that came with it and go where it goes: name and content.
    companions: Vec<(&'static str, Vec<u8>)>,
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
        let bytes = std::fs::read(&path)
            .map_err(|e| Error::input(format!("cannot read the model's tokenizer.json: {e} ({})", path.display())))?;
        let mut tokenizer = Self::from_json(&bytes).map_err(|e| Error::input(format!("{e} ({})", path.display())))?;
        for name in COMPANIONS {
            let path = folder.join(name);
            if path.exists() {
                let content = std::fs::read(&path)
                    .map_err(|e| Error::input(format!("cannot read the model's {name}: {e} ({})", path.display())))?;
                tokenizer.companions.push((name, content));
            }
        }
        Ok(tokenizer)
    }

    /// Parses the text of a `tokenizer.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        tokenizers::Tokenizer::from_bytes(bytes)
            .map(|inner| Self { inner, companions: Vec::new() })
            .map_err(|e| Error::input(format!("the tokenizer is not valid: {e}")))
    }

    /// A file that came with the tokenizer, such as `chat_template.jinja`.
    pub fn companion(&self, name: &str) -> Option<&[u8]> {
        self.companions.iter().find(|(known, _)| *known == name).map(|(_, content)| content.as_slice())
    }

    /// The text of its `tokenizer.json`.
    pub(crate) fn to_json(&self) -> Result<String> {
        self.inner.to_string(true).map_err(|e| Error::failed(format!("cannot serialise the tokenizer: {e}")))
    }

    /// Writes `tokenizer.json` and the files that came with it, or else a `tokenizer_config.json` that Transformers reads.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("tokenizer.json");
        std::fs::write(&path, self.to_json()?).map_err(Error::io("writing the tokenizer", &path))?;
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
        self.inner
            .encode(text, false)
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|e| Error::failed(format!("cannot tokenise {text:?}: {e}")))
    }

    /// The text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::failed(format!("cannot turn tokens into text: {e}")))
    }

    /// Where each token's text ends in [`TextTokenizer::decode`]'s text of `ids`, bytes: (tokens). A character that several tokens
    /// make up belongs to the last of them; special tokens end where the token before them ends.
    pub fn text_ends(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let mut stream = self.inner.decode_stream(true);
        let mut end = 0;
        ids.iter()
            .map(|&id| {
                let piece = stream.step(id).map_err(|e| Error::failed(format!("cannot turn tokens into text: {e}")))?;
                end += piece.map_or(0, |piece| piece.len()) as u32;
                Ok(end)
            })
            .collect()
    }

    /// The id of one token, if the vocabulary has it.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of ids that a model needs to know: one more than the largest, added tokens included. Ids may have gaps.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |last| last as usize + 1)
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
