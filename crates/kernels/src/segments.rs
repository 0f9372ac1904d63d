//! Which tokens of a packed batch belong together.

use candle_core::{Result, bail};
use std::ops::Range;
use std::sync::Arc;

/// One sequence, or what one sequence adds to another that it continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its own tokens.
    pub tokens: Range<usize>,
    /// The segment that it continues, by number.
    pub parent: Option<usize>,
    /// The tokens of that segment; empty where there is none.
    pub prefix: Range<usize>,
}

/// The segments of a packed batch, one after another without gaps.
///
/// A segment with a parent is a branch: its tokens see all tokens of the parent, then their own up
/// to themselves. So responses that share a prompt need its tokens only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    parts: Arc<[Segment]>,
}

impl Segments {
    /// Separate sequences of the given lengths.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let parts = lengths.into_iter().map(|length| {
            let start = end;
            end += length;
            Segment { tokens: start..end, parent: None, prefix: 0..0 }
        });
        Self { parts: parts.collect() }
    }

    /// Segments of the given lengths with the number of the parent, where there is one: an earlier
    /// segment that has none itself.
    pub fn branching(parts: impl IntoIterator<Item = (usize, Option<usize>)>) -> Result<Self> {
        let mut end = 0;
        let mut segments: Vec<Segment> = Vec::new();
        for (length, parent) in parts {
            let prefix = match parent.map(|parent| segments.get(parent)) {
                None => 0..0,
                Some(Some(Segment { tokens, parent: None, .. })) => tokens.clone(),
                Some(_) => bail!("segment {} cannot continue segment {parent:?}", segments.len()),
            };
            segments.push(Segment { tokens: end..end + length, parent, prefix });
            end += length;
        }
        Ok(Self { parts: segments.into() })
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is no segment.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Number of tokens of all segments.
    pub fn tokens(&self) -> usize {
        self.parts.last().map_or(0, |segment| segment.tokens.end)
    }

    /// The segments in order.
    pub fn parts(&self) -> &[Segment] {
        &self.parts
    }

    /// The segments, and who else holds them.
    pub(super) fn shared_parts(&self) -> &Arc<[Segment]> {
        &self.parts
    }

    /// The tokens of each segment in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.parts.iter().map(|segment| segment.tokens.clone())
    }

    /// For each segment the numbers of its branches.
    pub(super) fn branches(&self) -> Vec<Vec<usize>> {
        let mut branches = vec![Vec::new(); self.len()];
        for (number, segment) in self.parts.iter().enumerate() {
            if let Some(parent) = segment.parent {
                branches[parent].push(number);
            }
        }
        branches
    }

    /// Splits the rows of a packed row-major matrix into one mutable slice per segment.
    pub(super) fn split<'a>(&self, mut rows: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.len());
        for range in self.ranges() {
            let (part, rest) = rows.split_at_mut(range.len() * width);
            parts.push(part);
            rows = rest;
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_know_their_prefix() {
        let segments =
            Segments::branching([(3, None), (2, Some(0)), (0, Some(0)), (4, None), (1, Some(3))])
                .unwrap();
        assert_eq!(segments.tokens(), 10);
        assert_eq!(segments.parts()[1], Segment { tokens: 3..5, parent: Some(0), prefix: 0..3 });
        assert_eq!(segments.parts()[4], Segment { tokens: 9..10, parent: Some(3), prefix: 5..9 });
        assert_eq!(segments.branches(), [vec![1, 2], vec![], vec![], vec![4], vec![]]);
    }

    #[test]
    fn a_branch_of_a_branch_or_of_a_later_segment_is_refused() {
        assert!(Segments::branching([(3, None), (2, Some(0)), (1, Some(1))]).is_err());
        assert!(Segments::branching([(3, Some(1)), (2, None)]).is_err());
    }
}
