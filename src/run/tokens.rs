//! The tokens of a group's responses.

use std::ops::Range;

/// The tokens of a group's m responses, response after response: (tokens).
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTokens {
    /// Where each response begins and the last one ends: (m + 1).
    pub offsets: Vec<usize>,
    /// Where the token's text ends in its completion, bytes: (tokens). Tokens without text, such as
    /// the end of the sequence, end where the one before ends.
    pub ends: Vec<u32>,
    /// |phi|, the size of the token's feature: (tokens).
    pub norms: Vec<f32>,
    /// What the token adds to the cosine of its response with each member: row-major (tokens, m).
    pub shares: Vec<f32>,
    /// log p under the sampling distribution, nats: (tokens).
    pub logprobs: Vec<f32>,
    /// Entropy of the sampling distribution, nats: (tokens).
    pub entropies: Vec<f32>,
    /// Probability in the update's last pass divided by that while sampling: (tokens). NaN where
    /// the token was not trained on.
    pub ratios: Vec<f32>,
    /// Whether clipping took the token's gradient away: (tokens).
    pub clipped: Vec<bool>,
}

impl GroupTokens {
    /// Where responses of these lengths begin, one after another, and where the last one ends.
    pub fn offsets_of(lengths: &[usize]) -> Vec<usize> {
        let ends = lengths.iter().scan(0, |end, &length| {
            *end += length;
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect()
    }

    /// The tokens of response `index`; empty where there is none.
    pub fn range(&self, index: usize) -> Range<usize> {
        match self.offsets.get(index..=index + 1) {
            Some(&[start, end]) => start..end,
            _ => 0..0,
        }
    }

    /// The texts of the tokens of response `index`, which join up to its `completion`.
    pub fn pieces<'a>(&self, index: usize, completion: &'a str) -> Vec<&'a str> {
        let mut start = 0;
        let ends = self.ends.get(self.range(index)).unwrap_or_default();
        let mut pieces: Vec<&str> = ends
            .iter()
            .map(|&end| {
                let end = completion.floor_char_boundary((end as usize).max(start));
                let piece = &completion[start..end];
                start = end;
                piece
            })
            .collect();
        // Bytes that never became a character belong to the last token.
        if let Some(last) = pieces.last_mut() {
            let begin = start - last.len();
            *last = &completion[begin..];
        }
        pieces
    }

    /// Bytes of memory that this takes, about.
    pub fn size(&self) -> usize {
        4 * self.shares.len() + 21 * self.norms.len()
    }
}
