//! What a layer's backward pass needs of one token, side by side: how a forward pass that goes token
//! by token keeps what [`Saved`] has of many tokens at once.

use super::buffers::Buffers;
use super::decoder_layer::Saved;
use rayon::prelude::*;
use std::ops::Range;

/// Tokens whose records a thread goes through at a time.
const TOGETHER: usize = 32;

/// A part of a record, named as in [`Saved`].
#[derive(Clone, Copy, Debug)]
pub enum RecordPart {
    /// The layer's input.
    X,
    /// Queries, keys and values, one after another, before their norms and rotary embedding.
    Qkv,
    /// What the attention makes.
    Attention,
    /// What the norm after the attention takes.
    AttentionOut,
    /// The sum after the attention.
    X1,
    /// The MLP's gate before its activation.
    Gate,
    /// What the gate is multiplied with.
    Up,
    /// What the norm after the MLP takes.
    MlpOut,
}

/// Where the parts are in one token's record of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of all queries.
    pub queries: usize,
    /// Width of all keys, and of all values.
    pub keys: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Whether a norm follows the attention, and the MLP.
    pub norms_after: bool,
}

impl RecordLayout {
    /// Widths of the vectors of [`Saved`], in their order.
    fn widths(&self) -> [usize; 10] {
        let Self { hidden, queries, keys, intermediate: mlp, norms_after } = *self;
        let after = if norms_after { hidden } else { 0 };
        [hidden, queries, keys, keys, queries, after, hidden, mlp, mlp, after]
    }

    /// Elements of a record.
    pub fn len(&self) -> usize {
        self.widths().iter().sum()
    }

    /// Whether a record has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a part is in a record.
    pub fn range(&self, part: RecordPart) -> Range<usize> {
        let vectors = match part {
            RecordPart::X => 0..1,
            RecordPart::Qkv => 1..4,
            RecordPart::Attention => 4..5,
            RecordPart::AttentionOut => 5..6,
            RecordPart::X1 => 6..7,
            RecordPart::Gate => 7..8,
            RecordPart::Up => 8..9,
            RecordPart::MlpOut => 9..10,
        };
        let end = |vectors: usize| self.widths()[..vectors].iter().sum();
        end(vectors.start)..end(vectors.end)
    }

    /// Writes the first tokens of a forward pass, one into each record.
    pub fn scatter(&self, records: &mut [&mut [f32]], saved: &Saved) {
        let vectors = saved.vectors().map(|values| values.map_or(&[][..], Vec::as_slice));
        records.par_iter_mut().with_min_len(TOGETHER).enumerate().for_each(|(token, record)| {
            let mut rest = &mut **record;
            for (values, width) in vectors.iter().zip(self.widths()) {
                let (part, others) = rest.split_at_mut(width);
                part.copy_from_slice(&values[token * width..][..width]);
                rest = others;
            }
        });
    }

    /// What backward needs of the tokens of these records, in their order.
    pub fn gather(&self, records: &[&[f32]], buffers: &mut Buffers) -> Saved {
        let mut start = 0;
        let vectors = self.widths().map(|width| {
            let range = start..start + width;
            start = range.end;
            if width == 0 {
                return Vec::new();
            }
            let mut values = buffers.take(records.len() * width);
            values.par_chunks_mut(TOGETHER * width).zip(records.par_chunks(TOGETHER)).for_each(
                |(values, records)| {
                    for (values, record) in values.chunks_exact_mut(width).zip(records) {
                        values.copy_from_slice(&record[range.clone()]);
                    }
                },
            );
            values
        });
        Saved::of_vectors(vectors, self.norms_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecordPart::{Attention, AttentionOut, Gate, MlpOut, Qkv, Up, X, X1};

    /// Every number tells its layout's part, token and column.
    #[test]
    fn what_is_scattered_is_gathered_in_any_order() {
        for norms_after in [false, true] {
            let layout =
                RecordLayout { hidden: 3, queries: 4, keys: 2, intermediate: 5, norms_after };
            let tokens = 70;
            let mut part = 0.0;
            let vectors = layout.widths().map(|width| {
                part += 10_000.0;
                (0..tokens * width).map(|at| part + at as f32).collect::<Vec<f32>>()
            });
            let saved = Saved::of_vectors(vectors.clone(), norms_after);
            let mut records = vec![vec![-1.0; layout.len()]; tokens - 1];
            let mut places: Vec<&mut [f32]> = records.iter_mut().map(Vec::as_mut_slice).collect();
            layout.scatter(&mut places, &saved);

            let order = [68, 0, 33, 31, 32, 5];
            let chosen: Vec<&[f32]> = order.iter().map(|&token| &records[token][..]).collect();
            let found = layout.gather(&chosen, &mut Buffers::default());
            for ((found, all), width) in
                found.vectors().into_iter().zip(&vectors).zip(layout.widths())
            {
                let wanted: Vec<f32> = order
                    .iter()
                    .flat_map(|&token| &all[token * width..][..width])
                    .copied()
                    .collect();
                assert_eq!(found.map_or(&[][..], Vec::as_slice), wanted);
            }

            let all = [X, Qkv, Attention, AttentionOut, X1, Gate, Up, MlpOut];
            let ranges: Vec<usize> = all.into_iter().flat_map(|part| layout.range(part)).collect();
            assert_eq!(ranges, (0..layout.len()).collect::<Vec<_>>());
            assert_eq!(records[7][layout.range(X1)], vectors[6][7 * 3..8 * 3]);
            assert_eq!(records[7][layout.range(Qkv)][4..6], vectors[2][7 * 2..8 * 2]);
        }
    }
}
