//! The `tokenizers` library behind a door. It runs what a file says, so panics become errors,
//! nothing takes longer than a time, and texts that would grow beyond all memory on their way are
//! refused.

use super::tokenizer_growth::{Growth, growth};
use super::tokenizer_settings::{AddedToken, Counterparts};
use crate::escape::{MOST_SHOWN, cut};
use crate::files::decode;
use crate::guard::{caught, caught_within};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationParams};

/// A tokenizer as its file says, but for truncation and padding: those that stand in it are those
/// of whoever saved it, and no part of how a text becomes tokens.
#[derive(Clone)]
pub(super) struct Codec {
    inner: Arc<Tokenizer>,
    encoding: Growth,
    decoding: Growth,
    vocabulary: usize,
    /// Bytes of the longest token.
    longest_token: usize,
    counterparts: Arc<Counterparts>,
}

/// What of a `tokenizer.json` is looked at beside the library that reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    added_tokens: Vec<AddedToken>,
    model: Model,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Model {
    dropout: Option<f64>,
}

/// Most bytes that a text may have on its way through a tokenizer.
const MOST_BYTES: f64 = (64 << 20) as f64;

/// Most bytes that normalizers may add to a text of any length, however short: they do so for every
/// text.
const MOST_ADDED: f64 = (1 << 16) as f64;

/// Texts of more bytes are given to the library on a thread of its own, which is not waited for for
/// ever. Expressions that go back over a text again and again give up by themselves on one that is
/// as short as this.
const SHORT: usize = 256;

/// The longest that a text may take.
const LONGEST: Duration = Duration::from_mins(2);

impl Codec {
    /// Parses the content of a `tokenizer.json`; returns its text too, without a byte order mark.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<(Self, String), String> {
        let text = decode(bytes).map_err(|error| error.to_string())?;
        let short = |error: String| cut(&error, MOST_SHOWN);
        let file: File = serde_json::from_str(&text).map_err(|error| short(error.to_string()))?;
        if let Some(dropout) = file.model.dropout.filter(|dropout| *dropout != 0.0) {
            return Err(format!(
                "its model has a dropout of {dropout}, with which a text becomes other tokens each \
                 time; set it to null"
            ));
        }
        let mut inner = caught(|| Tokenizer::from_bytes(text.as_bytes()))?
            .map_err(|error| short(error.to_string()))?;
        inner.with_truncation(None).map_err(|error| error.to_string())?.with_padding(None);
        let tokens = inner.get_vocab(true).into_iter();
        let (vocabulary, longest_token) =
            tokens.fold((0, 0), |(vocabulary, longest), (token, id)| {
                (vocabulary.max(id as usize + 1), longest.max(token.len()))
            });
        let decoding = growth(&file.decoder);
        let most = decoding.of(longest_token);
        if most > MOST_BYTES {
            return Err(format!("its decoders could make {most:.0} bytes of one token"));
        }
        let codec = Self {
            inner: Arc::new(inner),
            encoding: growth(&file.normalizer).then(growth(&file.pre_tokenizer)),
            decoding,
            vocabulary,
            longest_token,
            counterparts: Arc::new(Counterparts::new(
                file.added_tokens,
                &file.normalizer,
                &file.pre_tokenizer,
            )),
        };
        Ok((codec, text))
    }

    /// The same codec, cutting texts at so many tokens, special ones included.
    pub(super) fn cut_at(self, tokens: usize) -> Result<Self, String> {
        let special = self.tokens_around();
        if tokens <= special {
            return Err(format!("of {tokens} positions special tokens take {special}"));
        }
        let mut inner = Arc::unwrap_or_clone(self.inner);
        let truncation = TruncationParams { max_length: tokens, ..TruncationParams::default() };
        inner
            .with_truncation(Some(truncation))
            .map_err(|error| format!("it cannot cut texts: {error}"))?;
        Ok(Self { inner: Arc::new(inner), ..self })
    }

    /// One more than the largest id, added tokens included. Ids may have gaps.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// What has its like in `tokenizer_config.json`.
    pub(super) fn counterparts(&self) -> &Counterparts {
        &self.counterparts
    }

    /// Special tokens that the file puts around a text, and [`Self::encode`] does only where it is
    /// asked to.
    pub(super) fn tokens_around(&self) -> usize {
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
    }

    /// The id of one token, if the vocabulary has it.
    pub(super) fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The tokens of a text, with special tokens around them where `special`.
    pub(super) fn encode(&self, text: &str, special: bool) -> Result<Encoding, String> {
        let most = self.encoding.of(text.len());
        if most > MOST_BYTES || self.encoding.added > MOST_ADDED {
            return Err(format!("its normalizers could make {most:.0} bytes of {}", text.len()));
        }
        let encoded = if text.len() <= SHORT {
            caught(|| self.inner.encode(text, special))
        } else {
            let (inner, text) = (self.inner.clone(), text.to_string());
            caught_within(LONGEST, move || inner.encode(text, special))
        };
        encoded?.map_err(|error| error.to_string())
    }

    /// The text of token ids, special tokens left out.
    pub(super) fn decode(&self, ids: &[u32]) -> Result<String, String> {
        let within = |bytes: usize| self.decoding.of(bytes) <= MOST_BYTES;
        if !within(ids.len() * self.longest_token) {
            let bytes = ids
                .iter()
                .filter_map(|&id| self.inner.id_to_token(id))
                .map(|token| token.len())
                .sum();
            if !within(bytes) {
                return Err(format!(
                    "its decoders could make {:.0} bytes of them",
                    self.decoding.of(bytes)
                ));
            }
        }
        caught(|| self.inner.decode(ids, true))?.map_err(|error| error.to_string())
    }

    /// Where each token's text ends in [`Self::decode`]'s `text` of `ids`, bytes: (tokens).
    pub(super) fn text_ends(&self, ids: &[u32], text: &str) -> Vec<u32> {
        self.text_ends_together(ids, text).unwrap_or_else(|| self.text_ends_apart(ids, text))
    }

    /// [`Self::text_ends`] by decoding each token with the few before it; none where a token is
    /// written differently when another one follows.
    fn text_ends_together(&self, ids: &[u32], text: &str) -> Option<Vec<u32>> {
        let mut ends = Vec::with_capacity(ids.len());
        // The tokens from `first` to `next` are `before`, which ends at `start` of the text.
        let (mut first, mut next, mut before, mut start, mut end) = (0, 0, String::new(), 0, 0);
        for index in 0..ids.len() {
            let decoded = self.decode(&ids[first..=index]).ok()?;
            let (piece, rest) = (decoded.strip_prefix(&before)?, &text[start..]);
            let is_whole =
                rest.starts_with(piece) && !self.continues(&decoded, ids.get(first..index + 2));
            let known =
                if is_whole { piece } else { piece.trim_end_matches(char::REPLACEMENT_CHARACTER) };
            if !rest.starts_with(known) {
                return None;
            }
            end = end.max(start + known.len());
            if is_whole && !piece.is_empty() {
                before = self.decode(&ids[next..=index]).ok()?;
                (first, next, start) = (next, index + 1, end);
            }
            ends.push(end as u32);
        }
        (end == text.len()).then_some(ends)
    }

    /// Whether a character that is not whole ends `text`, and the next token has more of it without
    /// making it whole. The tokens of the text and the next one are `longer`.
    fn continues(&self, text: &str, longer: Option<&[u32]>) -> bool {
        let decoded = |ids: &[u32]| self.decode(ids).unwrap_or_default();
        let is_part = |longer: &[u32]| {
            let follower = &longer[longer.len() - 1..];
            decoded(longer) == text && !decoded(follower).is_empty()
        };
        text.ends_with(char::REPLACEMENT_CHARACTER) && longer.is_some_and(is_part)
    }

    /// [`Self::text_ends`] where a token is written differently when another one follows: each is
    /// looked for in the text, after the one before it, as it is on its own.
    fn text_ends_apart(&self, ids: &[u32], text: &str) -> Vec<u32> {
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
}
