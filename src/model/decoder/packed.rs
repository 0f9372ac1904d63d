//! Token sequences one after another, as the network takes them.

use crate::error::Result;
use crate::kernels::Segments;
use std::sync::Arc;

/// A packed batch of token sequences.
#[derive(Clone, Debug)]
pub struct PackedTokens {
    /// Token ids of all sequences, one after another.
    pub ids: Vec<u32>,
    /// Each token's position within its whole sequence.
    pub positions: Arc<[u32]>,
    /// Where each sequence or branch begins, and what it continues.
    pub segments: Segments,
}

impl PackedTokens {
    /// Packs whole sequences.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let (mut ids, mut positions, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for sequence in sequences {
            ids.extend_from_slice(sequence);
            positions.extend(0..sequence.len() as u32);
            lengths.push(sequence.len());
        }
        Self { ids, positions: positions.into(), segments: Segments::from_lengths(lengths) }
    }

    /// Packs sequences and branches of them, each with the number of the part that it continues, as
    /// [`Segments::branching`].
    pub fn branching<'a>(
        parts: impl IntoIterator<Item = (&'a [u32], Option<usize>)>,
    ) -> Result<Self> {
        let parts: Vec<_> = parts.into_iter().collect();
        let segments = Segments::branching(parts.iter().map(|(ids, parent)| (ids.len(), *parent)))?;
        let positions = |part: &crate::kernels::Segment| {
            let start = part.prefix.len();
            start as u32..(start + part.tokens.len()) as u32
        };
        Ok(Self {
            ids: parts.iter().flat_map(|(ids, _)| ids.iter().copied()).collect(),
            positions: segments.parts().iter().flat_map(positions).collect(),
            segments,
        })
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
