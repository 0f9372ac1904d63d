//! Attention of one new token per row over cached keys and values, where the rows of a group share
//! those of their prompt. Forward only.
//!
//! A prompt's keys and values are kept once, and on a GPU they are read once for all rows of its
//! group. What a row has for itself are the tokens that followed its prompt; all rows have equally
//! many of these.

use super::cuda;
use super::scope::Scope;
use candle_core::{D, DType, Result, Tensor, bail};
use std::ops::Range;
use std::sync::Arc;

/// Keys and values of a layer.
pub struct LayerCache {
    /// Keys and values of all prompts, one after another: (tokens, `kv_heads`, `head_dim`).
    pub prompts: [Tensor; 2],
    /// Keys and values of the tokens that followed: (rows, `kv_heads`, slots, `head_dim`).
    pub own: [Tensor; 2],
}

/// Which rows of a batch continue which prompt.
#[derive(Clone, Debug)]
pub struct PromptGroups {
    /// For each group its prompt's first token, the token after its last, its first row, and the
    /// row after its last.
    bounds: Arc<[u32]>,
}

impl PromptGroups {
    /// Groups as tokens of their prompts and rows. The rows of all groups, one after another, are
    /// those of the batch; groups without rows are left out.
    pub fn new(groups: impl IntoIterator<Item = (Range<usize>, Range<usize>)>) -> Self {
        let groups = groups.into_iter().filter(|(_, rows)| !rows.is_empty());
        let bounds = groups.flat_map(|(tokens, rows)| {
            [tokens.start, tokens.end, rows.start, rows.end].map(|bound| bound as u32)
        });
        Self { bounds: bounds.collect() }
    }

    /// Tokens of the prompt and rows of each group.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Range<usize>, Range<usize>)> {
        let groups = self.bounds.as_chunks::<4>().0;
        groups.iter().map(|bounds| {
            let [first, end, first_row, end_row] = bounds.map(|bound| bound as usize);
            (first..end, first_row..end_row)
        })
    }

    /// The groups of the given rows, which are in order, as those of a batch of these rows.
    #[must_use]
    pub fn retain(&self, kept: &[u32]) -> Self {
        Self::new(self.iter().map(|(tokens, rows)| {
            let place = |row: usize| kept.partition_point(|&kept| (kept as usize) < row);
            (tokens, place(rows.start)..place(rows.end))
        }))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bounds.last().map_or(0, |&end| end as usize)
    }

    /// As kernels take them: see `bounds`.
    pub(super) fn bounds(&self) -> &Arc<[u32]> {
        &self.bounds
    }

    /// The place of each row's next token, when `own` tokens have followed its prompt.
    pub fn positions(&self, own: usize) -> Arc<[u32]> {
        let of_group = |(tokens, rows): (Range<usize>, Range<usize>)| {
            std::iter::repeat_n((tokens.len() + own) as u32, rows.len())
        };
        self.iter().flat_map(of_group).collect()
    }
}

/// Attends from q (rows, heads, `head_dim`) to what each row's token sees of its prompt and of its
/// own slots `0..end`, the last of which is the token's; returns (rows, heads * `head_dim`).
pub fn grouped_attention(
    q: &Tensor,
    cache: &LayerCache,
    groups: &PromptGroups,
    end: usize,
    scope: Scope,
) -> Result<Tensor> {
    check(q, cache, groups, end, scope)?;
    let LayerCache { prompts, own } = cache;
    if cuda::applies(&[q, &prompts[0], &prompts[1], &own[0], &own[1]])
        && let Some(out) = cuda::grouped_attention(q, cache, groups, end, scope)?
    {
        return Ok(out);
    }
    grouped_attention_reference(q, cache, groups, end, scope)
}

fn check(
    q: &Tensor,
    cache: &LayerCache,
    groups: &PromptGroups,
    end: usize,
    scope: Scope,
) -> Result<()> {
    let (rows, heads, head_dim) = q.dims3()?;
    let (tokens, _, _) = cache.prompts[0].dims3()?;
    let (_, kv_heads, slots, _) = cache.own[0].dims4()?;
    let fits = cache.own.iter().all(|t| t.dims() == [rows, kv_heads, slots, head_dim])
        && cache.prompts.iter().all(|t| t.dims() == [tokens, kv_heads, head_dim])
        && groups.rows() == rows
        && groups.iter().all(|(prompt, _)| prompt.end <= tokens)
        && heads.is_multiple_of(kv_heads)
        && (1..=slots).contains(&end)
        && scope.window != Some(0);
    if !fits {
        bail!(
            "attention of {:?} to {end} slots of {:?} after prompts {:?} with {scope:?}",
            q.shape(),
            cache.own[0].shape(),
            cache.prompts[0].shape()
        );
    }
    Ok(())
}

/// [`grouped_attention`] from plain candle operations.
pub(super) fn grouped_attention_reference(
    q: &Tensor,
    cache: &LayerCache,
    groups: &PromptGroups,
    end: usize,
    scope: Scope,
) -> Result<Tensor> {
    let out = groups.iter().map(|(prompt, rows)| of_group(q, cache, prompt, rows, end, scope));
    Tensor::cat(&out.collect::<Result<Vec<_>>>()?, 0)
}

/// The rows of one group.
fn of_group(
    q: &Tensor,
    cache: &LayerCache,
    prompt: Range<usize>,
    rows: Range<usize>,
    end: usize,
    scope: Scope,
) -> Result<Tensor> {
    let (_, heads, head_dim) = q.dims3()?;
    let kv_heads = cache.own[0].dim(1)?;
    let (n, group) = (rows.len(), heads / kv_heads);
    let first = scope.first(prompt.len() + end - 1);
    let of_prompt = first.min(prompt.len())..prompt.len();
    let of_own = first.saturating_sub(prompt.len())..end;
    let q = q.narrow(0, rows.start, n)?.reshape((n, kv_heads, group, head_dim))?;

    let [keys, values] = cache
        .own
        .each_ref()
        .map(|t| t.narrow(0, rows.start, n)?.narrow(2, of_own.start, of_own.len())?.contiguous());
    let (own_keys, own_values) = (keys?, values?);
    let scores = q.matmul(&own_keys.t()?)?;
    // Of the prompt (kv_heads, tokens, head_dim) and, for all rows at once, (kv_heads, n group, ..).
    let of_prompts = cache.prompts.each_ref().map(|t| {
        let seen = t.narrow(0, prompt.start + of_prompt.start, of_prompt.len())?;
        seen.transpose(0, 1)?.contiguous()
    });
    let [keys, values] = of_prompts;
    let (keys, values) = (keys?, values?);
    let together = |t: &Tensor, width: usize| {
        t.transpose(0, 1)?.contiguous()?.reshape((kv_heads, n * group, width))
    };
    let apart = |t: Tensor, width: usize| {
        t.reshape((kv_heads, n, group, width))?.transpose(0, 1)?.contiguous()
    };
    let scores = if of_prompt.is_empty() {
        scores
    } else {
        let before = together(&q, head_dim)?.matmul(&keys.t()?)?;
        Tensor::cat(&[apart(before, of_prompt.len())?, scores], 3)?
    };
    let scores = (scores * scope.wide_scale())?.to_dtype(DType::F32)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let probabilities =
        shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?.to_dtype(own_values.dtype())?;
    let own = probabilities.narrow(3, of_prompt.len(), of_own.len())?.contiguous()?;
    let out = own.matmul(&own_values)?;
    let out = if of_prompt.is_empty() {
        out
    } else {
        let before = probabilities.narrow(3, 0, of_prompt.len())?;
        (out + apart(together(&before, of_prompt.len())?.matmul(&values)?, head_dim)?)?
    };
    out.reshape((n, heads * head_dim))
}

#[cfg(test)]
mod tests {
    use super::super::check::{difference, random};
    use super::super::{Segments, causal_attention_reference};
    use super::*;

    /// Of whole sequences, with the queries of their last tokens.
    #[test]
    fn rows_attend_as_the_last_tokens_of_whole_sequences() {
        let (heads, kv_heads, head_dim, slots, end) = (4, 2, 6, 9, 7);
        let prompts = [5, 1, 11];
        let rows = [0..2, 2..3, 3..6];
        let tokens: usize = prompts.iter().sum();
        let q = random(&[6, heads, head_dim], 1);
        let cache = LayerCache {
            prompts: [2, 3].map(|seed| random(&[tokens, kv_heads, head_dim], seed)),
            own: [4, 5].map(|seed| random(&[6, kv_heads, slots, head_dim], seed)),
        };
        let ranges = [0..5, 5..6, 6..17];
        let groups = PromptGroups::new(ranges.iter().cloned().zip(rows));
        for window in [None, Some(1), Some(7), Some(8), Some(10)] {
            let scope = Scope { window, ..Scope::full(head_dim) };
            let found = grouped_attention(&q, &cache, &groups, end, scope).unwrap();
            for (prompt, rows) in groups.iter() {
                for row in rows {
                    let [keys, values] = [0, 1].map(|which| {
                        let own = cache.own[which].narrow(0, row, 1).unwrap().squeeze(0).unwrap();
                        let own = own.transpose(0, 1).unwrap().narrow(0, 0, end).unwrap();
                        let before =
                            cache.prompts[which].narrow(0, prompt.start, prompt.len()).unwrap();
                        Tensor::cat(&[before, own.contiguous().unwrap()], 0).unwrap()
                    });
                    let length = prompt.len() + end;
                    let last = q.narrow(0, row, 1).unwrap();
                    let queries = Tensor::cat(&vec![last; length], 0).unwrap();
                    let segments = Segments::from_lengths([length]);
                    let all =
                        causal_attention_reference(&queries, &keys, &values, &segments, scope);
                    let expected = all.unwrap().narrow(0, length - 1, 1).unwrap();
                    let own = found.narrow(0, row, 1).unwrap();
                    let off = difference(&own, &expected.reshape(own.shape()).unwrap());
                    assert!(off < 1e-5, "row {row}, {window:?}: {off:e}");
                }
            }
        }
    }

    #[test]
    fn groups_keep_their_prompts_when_rows_leave() {
        let groups = PromptGroups::new([(0..3, 0..2), (3..4, 2..5), (4..9, 5..6)]);
        assert_eq!(groups.rows(), 6);
        assert_eq!(*groups.positions(2), [5, 5, 3, 3, 3, 7]);
        let fewer = groups.retain(&[1, 5]);
        assert_eq!(fewer.iter().collect::<Vec<_>>(), [(0..3, 0..1), (4..9, 1..2)]);
        assert_eq!(fewer.retain(&[1]).iter().collect::<Vec<_>>(), [(4..9, 0..1)]);
        assert_eq!(groups.retain(&[]).rows(), 0);
    }
}
