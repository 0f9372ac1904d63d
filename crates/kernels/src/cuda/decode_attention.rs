//! Attention of one new token per row over cached keys and values; see
//! [`crate::grouped_attention`].

use super::super::{LayerCache, PromptGroups, Scope};
use super::launch::{Program, aligned, arguments, launch, uninitialised};
use super::resident::indices;
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "decode_attention",
    source: include_str!("decode_attention.cu"),
    kernels: &["prompt_attention", "decode_attention", "decode_attention_merge"],
};

/// Blocks that keep a large GPU busy: those that go through rows' own slots, and those that go
/// through prompts, which have more of them on their way at a time.
const ENOUGH_BLOCKS: usize = 512;
const ENOUGH_PROMPT_BLOCKS: usize = 256;

/// The fewest own slots, and the fewest of a prompt's tokens, that are worth a block.
const FEWEST_SLOTS: usize = 128;
const FEWEST_TOKENS: usize = 64;

/// Queries of a warp, and the fewest and most warps of a block of `prompt_attention`.
const WARP_QUERIES: usize = 16;
const WARPS: usize = 4;
const MOST_WARPS: usize = 8;

/// Most query heads of a key/value head whose sums fit into registers.
const LARGEST_GROUP: usize = 8;
const LARGEST_HEAD: usize = 256;

/// Among how many blocks the work of one row or one group is divided.
#[derive(Clone, Copy)]
struct Splits {
    prompt: usize,
    own: usize,
}

/// [`crate::grouped_attention`] on a GPU, of checked input; nothing for shapes that the kernels are
/// not made for.
pub(crate) fn grouped_attention(
    q: &Tensor,
    cache: &LayerCache,
    groups: &PromptGroups,
    end: usize,
    scope: Scope,
) -> Result<Option<Tensor>> {
    let (rows, heads, head_dim) = q.dims3()?;
    let kv_heads = cache.own[0].dim(1)?;
    if !head_dim.is_multiple_of(16 / q.dtype().size_in_bytes())
        || head_dim > LARGEST_HEAD
        || heads / kv_heads > LARGEST_GROUP
    {
        return Ok(None);
    }
    let share = |enough: usize, blocks: usize, seen: usize, fewest: usize| {
        enough.div_ceil(blocks.max(1)).min(seen.div_ceil(fewest)).max(1)
    };
    let longest = groups.iter().map(|(prompt, _)| prompt.len()).max().unwrap_or(0);
    let blocks = groups.iter().len() * query_blocks(groups, heads / kv_heads).1;
    let splits = Splits {
        prompt: share(
            ENOUGH_PROMPT_BLOCKS,
            blocks * kv_heads,
            longest.min(unseen(scope, end)),
            FEWEST_TOKENS,
        ),
        own: share(ENOUGH_BLOCKS, rows * kv_heads, end - scope.first(end - 1), FEWEST_SLOTS),
    };
    attend(q, cache, groups, end, scope, splits).map(Some)
}

/// How many tokens before its own a row sees.
fn unseen(scope: Scope, end: usize) -> usize {
    (scope.window_or_largest() as usize).saturating_sub(end)
}

/// Warps of a block of `prompt_attention`, and how many blocks the queries of the largest group
/// take.
fn query_blocks(groups: &PromptGroups, group: usize) -> (usize, usize) {
    let queries = groups.iter().map(|(_, rows)| rows.len() * group).max().unwrap_or(0);
    let warps = if queries > WARPS * WARP_QUERIES { MOST_WARPS } else { WARPS };
    (warps, queries.div_ceil(warps * WARP_QUERIES))
}

fn attend(
    q: &Tensor,
    cache: &LayerCache,
    groups: &PromptGroups,
    end: usize,
    scope: Scope,
    splits: Splits,
) -> Result<Tensor> {
    let (rows, heads, head_dim) = q.dims3()?;
    let (_, kv_heads, slots, _) = cache.own[0].dims4()?;
    let q = aligned(q)?;
    let (dtype, device, group) = (q.dtype(), q.device(), heads / kv_heads);
    let program = PROGRAM.of(dtype).heads(head_dim, group);
    let out = uninitialised((rows, heads * head_dim), dtype, device)?;
    let [keys, values] = &cache.own;
    let (scale, window) = (scope.scale(), scope.window_or_largest());
    // Where the window ends within the rows' own tokens, no prompt is seen.
    let of_prompt = if unseen(scope, end) > 0 { splits.prompt } else { 0 };
    let parts = of_prompt + if splits.own > 1 { splits.own } else { 0 };
    let partial =
        uninitialised((rows * heads * parts * (head_dim + 2)).max(1), DType::F32, device)?;

    if of_prompt > 0 {
        let (warps, blocks) = query_blocks(groups, group);
        let bounds = indices(groups.bounds(), device)?;
        let [keys, values] = &cache.prompts;
        let (keys, values) = (aligned(keys)?, aligned(values)?);
        let arguments = arguments![
            &q, &keys, &values, &bounds, &partial, kv_heads, blocks, of_prompt, parts, end, scale,
            window
        ];
        let grid = [groups.iter().len() * blocks * of_prompt, kv_heads];
        launch(program, "prompt_attention", grid, 32 * warps, arguments)?;
    }
    let start = scope.first(end - 1);
    let arguments = arguments![
        &q, keys, values, &out, &partial, kv_heads, slots, start, end, scale, of_prompt, parts
    ];
    launch(program, "decode_attention", [rows * kv_heads, splits.own], 32 * WARPS, arguments)?;
    if splits.own > 1 {
        let arguments = arguments![&partial, &out, parts];
        launch(program, "decode_attention_merge", [rows * heads, 1], 128, arguments)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{difference, random, rounded, within_bf16};
    use super::super::super::grouped_attention::grouped_attention_reference as on_cpu;
    use super::super::emulate;
    use super::*;

    /// Heads, key/value heads, elements of a head, prompts with their rows, slots and how many of
    /// them are filled.
    struct Case<'a>(usize, usize, usize, &'a [(usize, usize)], usize, usize);

    impl Case<'_> {
        fn groups(&self) -> PromptGroups {
            let (mut token, mut row) = (0, 0);
            PromptGroups::new(self.3.iter().map(|&(tokens, rows)| {
                (token, row) = (token + tokens, row + rows);
                (token - tokens..token, row - rows..row)
            }))
        }

        fn check(&self, window: Option<usize>, splits: &[(usize, usize)]) {
            let &Self(heads, kv_heads, head_dim, prompts, slots, end) = self;
            let groups = self.groups();
            let (tokens, rows) = (prompts.iter().map(|p| p.0).sum(), groups.rows());
            let scope = Scope { window, ..Scope::full(head_dim) };
            let q = random(&[rows, heads, head_dim], 1);
            let cache = LayerCache {
                prompts: [2, 3].map(|seed| random(&[tokens, kv_heads, head_dim], seed)),
                own: [4, 5].map(|seed| random(&[rows, kv_heads, slots, head_dim], seed)),
            };
            let map = |cache: &LayerCache, f: &dyn Fn(&Tensor) -> Tensor| LayerCache {
                prompts: cache.prompts.each_ref().map(f),
                own: cache.own.each_ref().map(f),
            };
            let expected = on_cpu(&q, &cache, &groups, end, scope).unwrap();
            let (half_q, half) = (rounded(&q), map(&cache, &rounded));
            let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
            let half_expected =
                on_cpu(&wide(&half_q), &map(&half, &wide), &groups, end, scope).unwrap();
            for &(prompt, own) in splits {
                let splits = Splits { prompt, own };
                let found = attend(&q, &cache, &groups, end, scope, splits).unwrap();
                let off = difference(&found, &expected);
                assert!(
                    off < 1e-5,
                    "heads of {head_dim}, {window:?}, {prompt}, {own} splits: {off:e}"
                );
                let found = attend(&half_q, &half, &groups, end, scope, splits).unwrap();
                within_bf16(&found, &half_expected);
            }
        }
    }

    #[test]
    fn emulated_decode_attention_agrees_with_the_cpu() {
        if !emulate::available() {
            return;
        }
        let prompts: &[(usize, usize)] = &[(5, 2), (1, 1), (37, 3)];
        let splits = [(1, 1), (3, 2)];
        for case in [
            Case(4, 2, 8, prompts, 10, 8),
            Case(3, 1, 40, prompts, 70, 70),
            Case(2, 2, 128, prompts, 40, 33),
            Case(8, 1, 128, &[(40, 2)], 9, 5),
            Case(2, 1, 256, &[(33, 2), (3, 1)], 20, 17),
        ] {
            case.check(None, &splits);
        }
        // Windows that see all, some and nothing of prompts; and a window of the token alone.
        for window in [50, 35, 33, 32, 9, 1] {
            Case(2, 1, 16, prompts, 40, 33).check(Some(window), &splits);
        }
    }

    /// Groups that fill one warp's queries, two's, four's, eight's and several blocks' of them, each
    /// beside a smaller one; prompts around the sizes of tiles.
    #[test]
    fn groups_of_all_sizes_are_served() {
        if !emulate::available() {
            return;
        }
        for (rows, tokens) in [(8, 64), (9, 65), (17, 130), (33, 1), (65, 63)] {
            let prompts = [(tokens, rows), (70, 1)];
            Case(2, 1, 16, &prompts, 3, 2).check(None, &[(1, 1), (2, 1)]);
        }
    }

    #[test]
    fn work_is_divided_until_a_gpu_is_busy() {
        let groups = Case(8, 4, 8, &[(1000, 16), (10, 3)], 1, 1).groups();
        assert_eq!(query_blocks(&groups, 2), (4, 1));
        assert_eq!(query_blocks(&groups, 8), (8, 1));
        assert_eq!(query_blocks(&groups, 16), (8, 2));
        let windowed = Scope { window: Some(10), ..Scope::full(8) };
        assert_eq!((unseen(windowed, 3), unseen(windowed, 10)), (7, 0));
    }
}
