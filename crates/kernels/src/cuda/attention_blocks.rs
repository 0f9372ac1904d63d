//! Which blocks attention consists of, as `attention.cu` reads it.

use super::super::segments::Segment;
use candle_core::{Device, Result, Tensor};
use std::cmp::Reverse;

/// Queries or keys that a block owns.
pub(super) const BLOCK: usize = 64;

/// A block of keys sums over as many queries as its segment has tokens, and over at least this many
/// where there are more.
const FEWEST_QUERIES: usize = 1024;

/// What [`Lists::keys`] has in place of a slot where one block has the whole sum.
const WHOLE: u32 = u32::MAX;

/// Blocks, longest first: the last ones to begin should not be the last ones to end by much.
#[derive(Debug, Default)]
struct Lists {
    /// A block of queries: place of the first one, tokens of the sequence, those of them that the
    /// parent has; what is added to a place to have the number of a token of the parent, and of one
    /// of the segment.
    queries: Vec<[u32; 5]>,
    /// A block of keys and some of the queries that see them: place of the first key, tokens of the
    /// segment, number of its first token; the runs of queries, from and to; where the sums belong.
    keys: Vec<[u32; 6]>,
    /// Queries behind each other: number of the first token, its place, how many they are.
    runs: Vec<[u32; 3]>,
    /// Keys whose sums are in several slots: number of the first token, how many keys, first slot,
    /// how many slots.
    sums: Vec<[u32; 4]>,
    /// Slots that are used.
    slots: usize,
}

impl Lists {
    fn new(parts: &[Segment]) -> Self {
        let mut lists = Self::default();
        let mut branches = vec![Vec::new(); parts.len()];
        for segment in parts {
            if let Some(parent) = segment.parent {
                branches[parent].push(segment);
            }
        }
        for (segment, branches) in parts.iter().zip(&branches) {
            lists.add_queries(segment);
            lists.add_keys(segment, branches);
        }
        lists.queries.sort_by_key(|&[first, ..]| Reverse(first));
        let runs = &lists.runs;
        lists.keys.sort_by_key(|&[first, _, _, from, to, _]| {
            // Queries of the run that stand behind the first key.
            let behind =
                |&[_, place, count]: &[u32; 3]| count.min((place + count).saturating_sub(first));
            Reverse(runs[from as usize..to as usize].iter().map(behind).sum::<u32>())
        });
        lists
    }

    fn add_queries(&mut self, segment: &Segment) {
        let prefix = segment.prefix.len();
        let after = (segment.tokens.start as u32).wrapping_sub(prefix as u32);
        let end = prefix + segment.tokens.len();
        self.queries.extend((prefix..end).step_by(BLOCK).map(|first| {
            [first as u32, end as u32, prefix as u32, segment.prefix.start as u32, after]
        }));
    }

    fn add_keys(&mut self, segment: &Segment, branches: &[&Segment]) {
        let (start, length) = (segment.tokens.start, segment.tokens.len());
        let chunks = self.chunks(segment, branches);
        for first in (0..length).step_by(BLOCK) {
            for (chunk, &[from, to]) in chunks.iter().enumerate() {
                let slot = if chunks.len() == 1 { WHOLE } else { (self.slots + chunk) as u32 };
                self.keys.push([first as u32, length as u32, start as u32, from, to, slot]);
            }
            if chunks.len() > 1 {
                let (rows, slots) = (BLOCK.min(length - first), chunks.len());
                self.sums.push([
                    (start + first) as u32,
                    rows as u32,
                    self.slots as u32,
                    slots as u32,
                ]);
                self.slots += slots;
            }
        }
    }

    /// Adds the runs of queries that see a segment's keys; returns from where to where they are a
    /// block's.
    fn chunks(&mut self, segment: &Segment, branches: &[&Segment]) -> Vec<[u32; 2]> {
        let length = segment.tokens.len();
        let most = length.max(FEWEST_QUERIES);
        let mut from = self.runs.len();
        let mut sum = length;
        let mut chunks = Vec::new();
        self.runs.push([segment.tokens.start as u32, 0, length as u32]);
        for branch in branches {
            let mut at = 0;
            while at < branch.tokens.len() {
                if sum == most {
                    chunks.push([from as u32, self.runs.len() as u32]);
                    (from, sum) = (self.runs.len(), 0);
                }
                let count = (branch.tokens.len() - at).min(most - sum);
                let (token, place) = (branch.tokens.start + at, length + at);
                self.runs.push([token as u32, place as u32, count as u32]);
                (at, sum) = (at + count, sum + count);
            }
        }
        chunks.push([from as u32, self.runs.len() as u32]);
        chunks
    }
}

/// [`Lists`] on a device.
#[derive(Clone)]
pub(super) struct Blocks {
    pub(super) queries: Tensor,
    pub(super) keys: Tensor,
    pub(super) runs: Tensor,
    /// Left out where no sum is in parts.
    pub(super) sums: Option<Tensor>,
    /// Parts of sums, `BLOCK` keys each.
    pub(super) slots: usize,
}

impl Blocks {
    /// Those of segments that have tokens.
    pub(super) fn new(parts: &[Segment], device: &Device) -> Result<Self> {
        let lists = Lists::new(parts);
        Ok(Self {
            queries: upload(&lists.queries, device)?,
            keys: upload(&lists.keys, device)?,
            runs: upload(&lists.runs, device)?,
            sums: (lists.slots > 0).then(|| upload(&lists.sums, device)).transpose()?,
            slots: lists.slots,
        })
    }
}

fn upload<const N: usize>(list: &[[u32; N]], device: &Device) -> Result<Tensor> {
    Tensor::from_slice(list.as_flattened(), (list.len(), N), device)
}

#[cfg(test)]
mod tests {
    use super::super::super::Segments;
    use super::*;
    use std::collections::BTreeMap;

    /// A parent with many branches, one of them long, one empty and one behind another sequence; a
    /// long sequence; a long parent.
    fn segments() -> Segments {
        let mut parts = vec![(130, None)];
        parts.extend((0..20).map(|i| (10 * i, Some(0))));
        parts.extend([(2500, Some(0)), (3000, None), (70, Some(0)), (1500, None)]);
        parts.extend([(1400, Some(24)), (200, Some(24)), (1600, Some(24)), (0, None)]);
        Segments::branching(parts).unwrap()
    }

    #[test]
    fn every_key_is_summed_over_every_query_that_sees_it_once() {
        let segments = segments();
        let lists = Lists::new(segments.parts());
        let mut seen = BTreeMap::<(u32, u32), usize>::new();
        for &[first, length, start, from, to, _] in &lists.keys {
            for &[token, place, count] in &lists.runs[from as usize..to as usize] {
                // Queries of whole blocks of keys; a block leaves out those before its own keys.
                for i in (0..count).filter(|i| place + i >= first) {
                    let last = length.min(first + BLOCK as u32).min(place + i + 1);
                    *seen.entry((start + first, token + i)).or_default() += (last - first) as usize;
                }
            }
        }
        let mut wanted = BTreeMap::new();
        for segment in segments.parts() {
            for (i, query) in segment.tokens.clone().enumerate() {
                for (keys, visible) in [
                    (segment.prefix.clone(), segment.prefix.len()),
                    (segment.tokens.clone(), i + 1),
                ] {
                    for first in (0..visible).step_by(BLOCK) {
                        let count = BLOCK.min(visible - first);
                        wanted.insert(((keys.start + first) as u32, query as u32), count);
                    }
                }
            }
        }
        assert_eq!(seen, wanted);
    }

    #[test]
    fn no_block_has_many_more_queries_than_its_segment_has_tokens() {
        let lists = Lists::new(segments().parts());
        let mut slots = vec![0; lists.slots];
        for &[_, length, _, from, to, slot] in &lists.keys {
            let runs = &lists.runs[from as usize..to as usize];
            let queries: u32 = runs.iter().map(|&[_, _, count]| count).sum();
            assert!(queries <= length.max(FEWEST_QUERIES as u32));
            if slot != WHOLE {
                slots[slot as usize] += 1;
            }
        }
        assert!(slots.iter().all(|&uses| uses == 1));
        // Of 130 + 1900 + 2500 + 70 queries at most 1024, and of 1500 + 3200 at most 1500.
        let of = |token| lists.sums.iter().find(|sum| sum[0] == token).unwrap();
        assert_eq!((of(0)[3], of(128)[1], of(128)[3]), (5, 2, 5));
        assert_eq!(of(130 + 1900 + 2500 + 3000 + 70)[3], 4);
        assert_eq!(lists.sums.len(), 3 + 24);
        let mut covered = vec![0; lists.slots];
        for &[_, _, slot, count] in &lists.sums {
            covered[slot as usize..(slot + count) as usize].iter_mut().for_each(|n| *n += 1);
        }
        assert!(covered.iter().all(|&uses| uses == 1));
    }

    #[test]
    fn the_longest_blocks_begin_first() {
        let lists = Lists::new(segments().parts());
        // Of the branch of 1600 tokens.
        assert_eq!(lists.queries[0][0], 1500 + 24 * 64);
        assert!(lists.queries.is_sorted_by_key(|item| Reverse(item[0])));
        let tokens = segments().tokens();
        let owned = lists.queries.iter().map(|&[first, end, ..]| (end - first).min(64) as usize);
        assert_eq!(owned.sum::<usize>(), tokens);
        assert_eq!(lists.keys[0][..3], [0, 3000, 130 + 1900 + 2500]);
    }
}
