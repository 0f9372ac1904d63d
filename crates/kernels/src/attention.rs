//! Causal softmax attention over packed sequences with grouped key/value heads.
//!
//! For query head h of the token at place i in its sequence, with key/value head h / (heads /
//! `kv_heads`):
//!
//! ```text
//! p[i, j] = softmax over j <= i of <q[i], k[j]> / sqrt(head_dim)
//! out[i] = sum over j of p[i, j] v[j]
//! ```
//!
//! A [`Scope`] may divide the scores by another number, and may have a window of w tokens: then the
//! sums are over i - w < j <= i.
//!
//! Backward recomputes p instead of keeping it. With g = d loss / d out and s the scores before the
//! softmax:
//!
//! ```text
//! m[i] = sum over j of p[i, j] <g[i], v[j]>
//! d loss / d s[i, j] = p[i, j] (<g[i], v[j]> - m[i])
//! ```

use super::attend::{self, Columns, Heads, Inputs};
use super::buffers::Buffers;
use super::cuda;
use super::gather::select;
use super::scope::Scope;
use super::segments::Segments;
use super::storage::{fused, slice, with_slices};
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, bail};

/// Causal attention within each segment and to the segment that it continues, as far as `scope`
/// reaches: q (tokens, heads, `head_dim`), k and v (tokens, `kv_heads`, `head_dim`); returns
/// (tokens, heads * `head_dim`).
pub fn causal_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    scope: Scope,
) -> Result<Tensor> {
    let (tokens, heads, head_dim) = q.dims3()?;
    let kv_heads = k.dim(1)?;
    if tokens != segments.tokens()
        || k.dims() != [tokens, kv_heads, head_dim]
        || v.dims() != k.dims()
        || heads % kv_heads != 0
        || scope.window == Some(0)
    {
        bail!(
            "attention of q {:?}, k {:?}, v {:?} over {} tokens with {scope:?}",
            q.shape(),
            k.shape(),
            v.shape(),
            segments.tokens()
        );
    }
    if fused(&[q, k, v]) {
        let heads = Heads { queries: heads, keys: kv_heads, size: head_dim, scope };
        let op = Attention { segments: segments.clone(), heads };
        q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
    } else if cuda::applies(&[q, k, v]) {
        cuda::causal_attention(q, k, v, segments, scope)
    } else {
        causal_attention_reference(q, k, v, segments, scope)
    }
}

/// [`causal_attention`] from plain candle operations: gives every segment its prefix, pads, masks,
/// and packs again.
pub fn causal_attention_reference(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    scope: Scope,
) -> Result<Tensor> {
    let (_, heads, head_dim) = q.dims3()?;
    let kv_heads = k.dim(1)?;
    let device = q.device();
    let seen: Vec<Vec<u32>> = segments
        .parts()
        .iter()
        .map(|segment| {
            segment.prefix.clone().chain(segment.tokens.clone()).map(|token| token as u32).collect()
        })
        .collect();
    let (batch, longest) = (segments.len(), seen.iter().map(Vec::len).max().unwrap_or(0));
    // Padding repeats a sequence's last token; no real query sees it, being later.
    let padded: Vec<u32> = seen
        .iter()
        .flat_map(|seen| {
            (0..longest).map(|i| seen.get(i).or(seen.last()).copied().unwrap_or_default())
        })
        .collect();
    let packed: Vec<u32> = segments
        .parts()
        .iter()
        .enumerate()
        .flat_map(|(b, segment)| {
            (0..segment.tokens.len()).map(move |i| (b * longest + segment.prefix.len() + i) as u32)
        })
        .collect();
    let padded = Tensor::from_vec(padded, batch * longest, device)?;
    let packed = Tensor::from_vec(packed, segments.tokens(), device)?;
    let pad = |x: &Tensor, h: usize| -> Result<Tensor> {
        select(&x.contiguous()?, &padded)?
            .reshape((batch, longest, h, head_dim))?
            .transpose(1, 2)?
            .contiguous()
    };
    let repeat = |x: Tensor| -> Result<Tensor> {
        let groups = heads / kv_heads;
        x.unsqueeze(2)?
            .broadcast_as((batch, kv_heads, groups, longest, head_dim))?
            .contiguous()?
            .reshape((batch, heads, longest, head_dim))
    };
    let (q, k, v) = (pad(q, heads)?, repeat(pad(k, kv_heads)?)?, repeat(pad(v, kv_heads)?)?);
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * scope.wide_scale())?
        .to_dtype(DType::F32)?;
    let masked = |i, j| if scope.sees(i, j) { 0.0 } else { f32::NEG_INFINITY };
    let mask: Vec<f32> =
        (0..longest).flat_map(|i| (0..longest).map(move |j| masked(i, j))).collect();
    let scores = scores.broadcast_add(&Tensor::from_vec(mask, (longest, longest), device)?)?;
    let shifted = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let probabilities =
        shifted.broadcast_div(&shifted.sum_keepdim(D::Minus1)?)?.to_dtype(v.dtype())?;
    let out = probabilities
        .matmul(&v)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((batch * longest, heads * head_dim))?;
    out.index_select(&packed, 0)
}

struct Attention {
    segments: Segments,
    heads: Heads,
}

impl Attention {
    fn inputs<'a>(&self, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Inputs<'a> {
        let Heads { queries, keys, size, .. } = self.heads;
        let [k, v] = [k, v].map(|data| Columns { data, width: keys * size });
        Inputs { q: Columns { data: q, width: queries * size }, k, v, heads: self.heads }
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let mut out = vec![0.0; q.len()];
        attend::forward(&mut out, self.inputs(q, k, v), &self.segments, &mut Buffers::default());
        Ok((
            CpuStorage::F32(out),
            (self.segments.tokens(), self.heads.queries * self.heads.size).into(),
        ))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_slices([q, k, v, grad], |[q_data, k_data, v_data, grad]| {
            let inputs = self.inputs(q_data, k_data, v_data);
            let gradients = attend::backward(grad, inputs, &self.segments, &mut Buffers::default());
            let (mut dq, mut dk, mut dv) =
                (vec![0.0; q_data.len()], vec![0.0; k_data.len()], vec![0.0; v_data.len()]);
            gradients.d_queries(&mut dq);
            gradients.d_keys(&mut dk);
            gradients.d_values(&mut dv);
            let tensor = |data, like: &Tensor| Tensor::from_vec(data, like.shape(), like.device());
            Ok((Some(tensor(dq, q)?), Some(tensor(dk, k)?), Some(tensor(dv, v)?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random, values};
    use super::*;

    #[test]
    fn fused_attention_agrees_with_the_reference_forward_and_backward() {
        let branching =
            [(7, None), (20, Some(0)), (1, Some(0)), (0, Some(0)), (18, None), (4, Some(4))];
        for (segments, [heads, kv_heads, size], window) in [
            (Segments::from_lengths([5, 1, 9, 3]), [4, 2, 6], None),
            (Segments::branching(branching).unwrap(), [4, 2, 6], None),
            (Segments::branching(branching).unwrap(), [3, 3, 16], None),
            (Segments::from_lengths([5, 1, 9, 3]), [4, 2, 6], Some(4)),
            (Segments::branching(branching).unwrap(), [4, 2, 6], Some(1)),
            (Segments::branching(branching).unwrap(), [3, 3, 16], Some(6)),
            (Segments::branching([(50, None), (37, Some(0))]).unwrap(), [2, 1, 4], Some(21)),
        ] {
            let tokens = segments.tokens();
            let [q, k] = [heads, kv_heads].map(|heads| [tokens, heads, size]);
            let scope = Scope { window, scalar: if window.is_some() { 3.0 } else { size as f64 } };
            agree(
                &[random(&q, 1), random(&k, 2), random(&k, 3)],
                |t| causal_attention(&t[0], &t[1], &t[2], &segments, scope),
                |t| causal_attention_reference(&t[0], &t[1], &t[2], &segments, scope),
                2e-5,
            );
        }
    }

    /// The last token of a window of w sees what it would see as the last of w tokens.
    #[test]
    fn tokens_before_the_window_are_not_seen() {
        let (q, k, v) = (random(&[60, 2, 4], 1), random(&[60, 1, 4], 2), random(&[60, 1, 4], 3));
        let branches = Segments::branching([(20, None), (15, Some(0)), (25, Some(0))]).unwrap();
        for (segments, place) in [(Segments::from_lengths([60]), 59), (branches, 59)] {
            let scope = Scope { window: Some(19), ..Scope::full(4) };
            let whole = causal_attention(&q, &k, &v, &segments, scope).unwrap();
            let part = |t: &Tensor| t.narrow(0, place - 18, 19).unwrap();
            let (segments, full) = (Segments::from_lengths([19]), Scope::full(4));
            let alone = causal_attention(&part(&q), &part(&k), &part(&v), &segments, full).unwrap();
            let (whole, alone) = (whole.get(place).unwrap(), alone.get(18).unwrap());
            assert!(values(&(whole - alone).unwrap()).iter().all(|x| x.abs() < 1e-6));
        }
    }

    #[test]
    fn a_branch_sees_what_a_whole_sequence_would() {
        let (q, k, v) = (random(&[12, 2, 4], 1), random(&[12, 2, 4], 2), random(&[12, 2, 4], 3));
        let segments = Segments::branching([(5, None), (4, Some(0)), (3, Some(0))]).unwrap();
        let shared = causal_attention(&q, &k, &v, &segments, Scope::full(4)).unwrap();
        let part = |t: &Tensor| {
            Tensor::cat(&[t.narrow(0, 0, 5).unwrap(), t.narrow(0, 9, 3).unwrap()], 0).unwrap()
        };
        let whole = Segments::from_lengths([8]);
        let alone =
            causal_attention(&part(&q), &part(&k), &part(&v), &whole, Scope::full(4)).unwrap();
        let tail = (&shared.narrow(0, 9, 3).unwrap() - &alone.narrow(0, 5, 3).unwrap()).unwrap();
        assert!(values(&tail).iter().all(|difference| difference.abs() < 1e-6));
    }

    #[test]
    fn sequences_do_not_see_each_other() {
        let (q, k, v) = (random(&[8, 2, 4], 1), random(&[8, 2, 4], 2), random(&[8, 2, 4], 3));
        let (both, one) = (Segments::from_lengths([3, 5]), Segments::from_lengths([5]));
        let packed = causal_attention(&q, &k, &v, &both, Scope::full(4)).unwrap();
        let part = |t: &Tensor| t.narrow(0, 3, 5).unwrap();
        let alone =
            causal_attention(&part(&q), &part(&k), &part(&v), &one, Scope::full(4)).unwrap();
        assert_eq!(values(&packed.narrow(0, 3, 5).unwrap()), values(&alone));
    }
}
