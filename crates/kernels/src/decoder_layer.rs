//! A whole decoder layer on the CPU in `f32`, forward and backward, without a graph.
//!
//! It computes what `model::decoder::Layer` computes from single operations, which is its
//! reference:
//!
//! ```text
//! q, k, v = Wq n + bq, Wk n + bk, Wv n + bv     with n = norm(x)
//! x1 = x + norm(Wo attention(rope(norm(q)), rope(norm(k)), v))
//! y = x1 + norm(Wdown (f(Wgate n1) * Wup n1))   with n1 = norm(x1)
//! ```
//!
//! Biases, norms and rotary embedding are there where the layer has them, and every W can have an
//! adapter ([`LayerWeight`]).
//!
//! Between the matrix products every element is touched once: norms take in the residual sum, and
//! head norms and rotary embedding are one pass. Backward keeps what the products made (q, k and v
//! before their norms, the attention's output, what a norm takes after the last product of a
//! branch, x1, gate and up) and computes everything else again. Gradients with respect to weights
//! are added where they are summed. Buffers are used again by the next layer.

use super::attend::{self, Columns, Heads, Inputs};
use super::buffers::Buffers;
use super::gated::{Activation, activate, activate_backward};
use super::layer_parts::LayerParts;
use super::layer_weight::{LayerWeight, WeightSums, add, add_elements};
use super::rms_norm::{ROWS, add_norm_backward, norm, norm_rows};
use super::rotary::{self, Rotary};
use super::scope::Scope;
use super::segments::Segments;
use super::simd;
use multiversion::multiversion;
use rayon::prelude::*;

/// A norm's weight, and the sum of its gradients where it is trained.
type NormWeight<'a> = (&'a [f32], Option<&'a mut [f32]>);

/// What a layer is beside its weights, and what it works on.
#[derive(Clone, Copy)]
pub struct LayerShape<'a> {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and of values.
    pub kv_heads: usize,
    /// Width of each head.
    pub head_dim: usize,
    /// What the norms add to the mean square.
    pub eps: f32,
    /// That of the MLP.
    pub activation: Activation,
    /// Absent where queries and keys are not rotated.
    pub rotary: Option<&'a Rotary>,
    /// Which keys a query sees.
    pub scope: Scope,
    /// Position of each token.
    pub positions: &'a [u32],
    /// The sequences.
    pub segments: &'a Segments,
}

/// What backward needs of a layer's forward pass; all (tokens, ...).
pub struct Saved {
    x: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attention: Vec<f32>,
    /// What the norm after the attention takes.
    attention_out: Option<Vec<f32>>,
    x1: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// What the norm after the MLP takes.
    mlp_out: Option<Vec<f32>>,
}

impl Saved {
    /// All of it, in the order of the fields.
    pub(super) fn vectors(&self) -> [Option<&Vec<f32>>; 10] {
        let Self { x, q, k, v, attention, attention_out, x1, gate, up, mlp_out } = self;
        let [x, q, k, v, attention] = [x, q, k, v, attention].map(Some);
        let [x1, gate, up] = [x1, gate, up].map(Some);
        [x, q, k, v, attention, attention_out.as_ref(), x1, gate, up, mlp_out.as_ref()]
    }

    /// From [`Self::vectors`]; what the norms after attention and MLP take counts where these are.
    pub(super) fn of_vectors(vectors: [Vec<f32>; 10], norms_after: bool) -> Self {
        let [x, q, k, v, attention, attention_out, x1, gate, up, mlp_out] = vectors;
        let after = |values| norms_after.then_some(values);
        let (attention_out, mlp_out) = (after(attention_out), after(mlp_out));
        Self { x, q, k, v, attention, attention_out, x1, gate, up, mlp_out }
    }

    /// Values (tokens, `kv_heads` * `head_dim`).
    pub fn values(&self) -> &[f32] {
        &self.v
    }

    /// The layer's input alone; gives all other buffers back.
    pub fn into_input(self, buffers: &mut Buffers) -> Vec<f32> {
        let Self { x, q, k, v, attention, attention_out, x1, gate, up, mlp_out } = self;
        buffers.give([q, k, v, attention, x1, gate, up]);
        buffers.give(attention_out.into_iter().chain(mlp_out));
        x
    }

    /// Gives all buffers back.
    pub fn free(self, buffers: &mut Buffers) {
        let x = self.into_input(buffers);
        buffers.give([x]);
    }
}

impl LayerShape<'_> {
    fn tokens(&self) -> usize {
        self.positions.len()
    }

    fn attention_heads(&self) -> Heads {
        let (size, scope) = (self.head_dim, self.scope);
        Heads { queries: self.heads, keys: self.kv_heads, size, scope }
    }

    fn widths(&self) -> (usize, usize) {
        (self.heads * self.head_dim, self.kv_heads * self.head_dim)
    }

    /// What the linear layer makes of x (tokens, inner).
    fn linear(&self, x: &[f32], weight: LayerWeight, buffers: &mut Buffers) -> Vec<f32> {
        weight.linear(x, x.len() / self.tokens().max(1), buffers)
    }

    /// The norm of x where there is one, written to `y`, and x itself where there is none.
    fn norm<'a>(&self, y: &'a mut [f32], x: &'a [f32], weight: Option<LayerWeight>) -> &'a [f32] {
        let Some(weight) = weight else { return x };
        norm(y, x, weight.elements, self.eps);
        y
    }

    /// The result of a branch after its norm, and before it where there is one.
    fn norm_after(
        &self,
        result: Vec<f32>,
        weight: Option<LayerWeight>,
        buffers: &mut Buffers,
    ) -> (Vec<f32>, Option<Vec<f32>>) {
        let Some(weight) = weight else { return (result, None) };
        let mut normed = buffers.take(result.len());
        norm(&mut normed, &result, weight.elements, self.eps);
        (normed, Some(result))
    }

    /// The gradient with respect to the result of a branch before its norm; none where there is no
    /// norm, which leaves `grad` as it is.
    fn norm_after_backward(
        &self,
        grad: &[f32],
        result: Option<Vec<f32>>,
        norm: Option<NormWeight>,
        buffers: &mut Buffers,
    ) -> Option<Vec<f32>> {
        let (result, (weight, sum)) = result.zip(norm)?;
        let mut d_result = buffers.zeros(grad.len());
        add_norm_backward(&mut d_result, grad, &result, weight, sum, self.eps);
        buffers.give([result]);
        Some(d_result)
    }

    /// Adds the gradient with respect to a branch's input x before its norm to `sum`, from the one
    /// after it.
    fn add_norm_before_backward(
        &self,
        sum: &mut [f32],
        grad: &[f32],
        x: &[f32],
        norm: Option<NormWeight>,
    ) {
        match norm {
            Some((weight, weight_sum)) => {
                add_norm_backward(sum, grad, x, weight, weight_sum, self.eps);
            }
            None => add(sum, grad),
        }
    }

    /// The layer's output for `x` (tokens, hidden), and what its backward pass needs.
    pub fn forward(
        &self,
        x: Vec<f32>,
        w: &LayerParts<LayerWeight>,
        buffers: &mut Buffers,
    ) -> (Vec<f32>, Saved) {
        let mut normed = buffers.take(x.len());
        let input = self.norm(&mut normed, &x, w.attention_norm);
        let mut q = self.linear(input, w.q_proj, buffers);
        let mut k = self.linear(input, w.k_proj, buffers);
        let mut v = self.linear(input, w.v_proj, buffers);
        for (y, bias) in [(&mut q, w.q_bias), (&mut k, w.k_bias), (&mut v, w.v_bias)] {
            if let Some(bias) = bias {
                add_bias(y, bias.elements);
            }
        }

        let (rotated_q, rotated_k) =
            (self.rotate(&q, w.q_norm, buffers), self.rotate(&k, w.k_norm, buffers));
        let mut attention = buffers.take(q.len());
        attend::forward(
            &mut attention,
            self.inputs(&rotated_q, &rotated_k, &v),
            self.segments,
            buffers,
        );
        let out = self.linear(&attention, w.o_proj, buffers);
        let (mut x1, attention_out) = self.norm_after(out, w.attention_out_norm, buffers);
        let input = if let Some(weight) = w.mlp_norm {
            add_norm(&mut normed, &mut x1, &x, weight.elements, self.eps);
            &normed
        } else {
            add(&mut x1, &x);
            &x1
        };
        let gate = self.linear(input, w.gate_proj, buffers);
        let up = self.linear(input, w.up_proj, buffers);
        let mut activated = buffers.take(gate.len());
        activate(&mut activated, &gate, &up, self.activation);
        let out = self.linear(&activated, w.down_proj, buffers);
        let (mut y, mlp_out) = self.norm_after(out, w.mlp_out_norm, buffers);
        add(&mut y, &x1);
        buffers.give([normed, rotated_q, rotated_k, activated]);
        (y, Saved { x, q, k, v, attention, attention_out, x1, gate, up, mlp_out })
    }

    /// Turns the gradient with respect to the output, `grad` (tokens, hidden), into the one with
    /// respect to the input, and adds the gradients with respect to what is trained to `sums`.
    pub fn backward(
        &self,
        grad: &mut [f32],
        saved: Saved,
        w: &LayerParts<LayerWeight>,
        sums: &mut LayerParts<WeightSums>,
        buffers: &mut Buffers,
    ) {
        let Saved { x, q, k, v, attention, attention_out, x1, mut gate, mut up, mlp_out } = saved;
        let (hidden, intermediate) = (self.hidden, self.intermediate);
        let (q_width, kv_width) = self.widths();
        let mut normed = buffers.take(x.len());
        let mut d_normed = buffers.take(x.len());

        // The MLP.
        let mut activated = buffers.take(gate.len());
        activate(&mut activated, &gate, &up, self.activation);
        let norm = of_norm(w.mlp_out_norm, &mut sums.mlp_out_norm);
        let d_mlp = self.norm_after_backward(grad, mlp_out, norm, buffers);
        let d_out = d_mlp.as_deref().unwrap_or(grad);
        let size = (hidden, intermediate);
        let rest = w.down_proj.add_gradients(&mut sums.down_proj, d_out, &activated, size, buffers);
        // `activated`, `gate` and `up` become the gradients with respect to themselves.
        w.down_proj.input_gradient(&mut activated, d_out, size, rest, false, buffers);
        activate_backward(&mut gate, &mut up, &activated, self.activation);
        let input = self.norm(&mut normed, &x1, w.mlp_norm);
        let size = (intermediate, hidden);
        let parts =
            [(&gate, w.gate_proj, &mut sums.gate_proj), (&up, w.up_proj, &mut sums.up_proj)];
        for (index, (d, weight, sums)) in parts.into_iter().enumerate() {
            let rest = weight.add_gradients(sums, d, input, size, buffers);
            weight.input_gradient(&mut d_normed, d, size, rest, index > 0, buffers);
        }
        let norm = of_norm(w.mlp_norm, &mut sums.mlp_norm);
        self.add_norm_before_backward(grad, &d_normed, &x1, norm);
        buffers.give([activated, gate, up, x1].into_iter().chain(d_mlp));

        // The attention.
        let norm = of_norm(w.attention_out_norm, &mut sums.attention_out_norm);
        let d_branch = self.norm_after_backward(grad, attention_out, norm, buffers);
        let d_out = d_branch.as_deref().unwrap_or(grad);
        let size = (hidden, q_width);
        let rest = w.o_proj.add_gradients(&mut sums.o_proj, d_out, &attention, size, buffers);
        let mut d_attention = attention;
        w.o_proj.input_gradient(&mut d_attention, d_out, size, rest, false, buffers);
        buffers.give(d_branch);
        let (rotated_q, rotated_k) =
            (self.rotate(&q, w.q_norm, buffers), self.rotate(&k, w.k_norm, buffers));
        let (mut dq, mut dk, mut dv) =
            (buffers.take(q.len()), buffers.take(k.len()), buffers.take(v.len()));
        let gradients = attend::backward(
            &d_attention,
            self.inputs(&rotated_q, &rotated_k, &v),
            self.segments,
            buffers,
        );
        gradients.d_queries(&mut dq);
        gradients.d_keys(&mut dk);
        gradients.d_values(&mut dv);
        gradients.free(buffers);
        self.rotate_backward(&mut dq, &q, of_norm(w.q_norm, &mut sums.q_norm));
        self.rotate_backward(&mut dk, &k, of_norm(w.k_norm, &mut sums.k_norm));
        for (d, sum) in [(&dq, &mut sums.q_bias), (&dk, &mut sums.k_bias), (&dv, &mut sums.v_bias)]
        {
            if let Some(sum) = elements_of(sum) {
                add_column_sums(sum, d);
            }
        }

        let input = self.norm(&mut normed, &x, w.attention_norm);
        let parts = [
            (&dq, w.q_proj, &mut sums.q_proj, q_width),
            (&dk, w.k_proj, &mut sums.k_proj, kv_width),
        ];
        for (index, (d, weight, sum, width)) in
            parts.into_iter().chain([(&dv, w.v_proj, &mut sums.v_proj, kv_width)]).enumerate()
        {
            let size = (width, hidden);
            let rest = weight.add_gradients(sum, d, input, size, buffers);
            weight.input_gradient(&mut d_normed, d, size, rest, index > 0, buffers);
        }
        let norm = of_norm(w.attention_norm, &mut sums.attention_norm);
        self.add_norm_before_backward(grad, &d_normed, &x, norm);
        buffers.give([normed, d_normed, d_attention, rotated_q, rotated_k, dq, dk, dv, x, q, k, v]);
    }

    /// Keys as the attention takes them: (tokens, `kv_heads` * `head_dim`).
    pub fn keys(
        &self,
        saved: &Saved,
        w: &LayerParts<LayerWeight>,
        buffers: &mut Buffers,
    ) -> Vec<f32> {
        self.rotate(&saved.k, w.k_norm, buffers)
    }

    fn inputs<'a>(&self, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Inputs<'a> {
        let (q_width, kv_width) = self.widths();
        let [k, v] = [k, v].map(|data| Columns { data, width: kv_width });
        Inputs { q: Columns { data: q, width: q_width }, k, v, heads: self.attention_heads() }
    }

    /// Every head of x (tokens, heads * `head_dim`), normalised where there is a norm, by itself or
    /// with all others, and rotated by its token's position where the layer rotates.
    fn rotate(&self, x: &[f32], norm: Option<LayerWeight>, buffers: &mut Buffers) -> Vec<f32> {
        let mut y = buffers.take(x.len());
        let width = x.len() / self.tokens().max(1);
        let block = (ROWS * width).max(1);
        let norm = norm.map(|weight| weight.elements);
        y.par_chunks_mut(block)
            .zip(x.par_chunks(block))
            .zip(self.positions.par_chunks(ROWS))
            .for_each(|((y, x), positions)| {
                let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(positions);
                for ((y, x), &position) in rows {
                    match (norm, self.rotary.map(|rotary| rotary.rows(position))) {
                        (None, None) => y.copy_from_slice(x),
                        (None, Some((cos, sin))) => rotary::rotate(y, x, cos, sin, 1.0),
                        (Some(weight), Some(turn)) if weight.len() == self.head_dim => {
                            rotate_heads(y, x, weight, turn, self.eps);
                        }
                        (Some(weight), turn) => {
                            norm_rows(y, x, weight, self.eps);
                            if let Some(turn) = turn {
                                rotate_in_place(y, turn);
                            }
                        }
                    }
                }
            });
        y
    }

    /// Turns the gradient with respect to [`Self::rotate`]'s result into the one with respect to
    /// its input x, in place, and adds the one with respect to the norm's weight to the sum beside
    /// it.
    fn rotate_backward(&self, grad: &mut [f32], x: &[f32], norm: Option<NormWeight>) {
        let width = x.len() / self.tokens().max(1);
        let block = (ROWS * width).max(1);
        let Some((weight, sum)) = norm else {
            let Some(rotary) = self.rotary else { return };
            grad.par_chunks_mut(block).zip(self.positions.par_chunks(ROWS)).for_each(
                |(grad, positions)| {
                    for (grad, &position) in grad.chunks_exact_mut(width).zip(positions) {
                        rotate_back(grad, rotary.rows(position));
                    }
                },
            );
            return;
        };

        let parts: Vec<Vec<f32>> = grad
            .par_chunks_mut(block)
            .zip(x.par_chunks(block))
            .zip(self.positions.par_chunks(ROWS))
            .map(|((grad, x), positions)| {
                let mut part = vec![0.0; weight.len()];
                let rows = grad.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(positions);
                for ((grad, x), &position) in rows {
                    let turn = self.rotary.map(|rotary| rotary.rows(position));
                    rotate_heads_backward(grad, x, weight, &mut part, turn, self.eps);
                }
                part
            })
            .collect();
        if let Some(sum) = sum {
            for part in &parts {
                add_elements(sum, part);
            }
        }
    }
}

/// The elements' sum of a parameter that is there and trained.
fn elements_of(sums: &mut Option<WeightSums>) -> Option<&mut [f32]> {
    sums.as_mut()?.elements.as_deref_mut()
}

/// A norm that is there.
fn of_norm<'a>(
    weight: Option<LayerWeight<'a>>,
    sums: &'a mut Option<WeightSums>,
) -> Option<NormWeight<'a>> {
    Some((weight?.elements, elements_of(sums)))
}

/// sum += x, and y = norm(sum), by rows.
fn add_norm(y: &mut [f32], sum: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let block = ROWS * weight.len();
    let blocks = y.par_chunks_mut(block).zip(sum.par_chunks_mut(block)).zip(x.par_chunks(block));
    blocks.for_each(|((y, sum), x)| {
        add_elements(sum, x);
        norm_rows(y, sum, weight, eps);
    });
}

/// Adds the bias to every row of y.
fn add_bias(y: &mut [f32], bias: &[f32]) {
    let block = ROWS * bias.len();
    y.par_chunks_mut(block).for_each(|y| {
        for y in y.chunks_exact_mut(bias.len()) {
            add_elements(y, bias);
        }
    });
}

/// Adds the sum of the rows of `grad` to `sum`, in one order for any number of threads.
fn add_column_sums(sum: &mut [f32], grad: &[f32]) {
    let width = sum.len();
    let parts: Vec<Vec<f32>> = grad
        .par_chunks(ROWS * width)
        .map(|rows| {
            let mut part = vec![0.0; width];
            for row in rows.chunks_exact(width) {
                add_elements(&mut part, row);
            }
            part
        })
        .collect();
    for part in &parts {
        add_elements(sum, part);
    }
}

/// One token's heads: norm, then rotation by (cos, sin) in halves.
#[multiversion(targets = "simd")]
fn rotate_heads(y: &mut [f32], x: &[f32], weight: &[f32], (cos, sin): (&[f32], &[f32]), eps: f32) {
    let (d, half) = (weight.len(), cos.len());
    let (w1, w2) = weight.split_at(half);
    for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
        let r = 1.0 / (simd::dot(x, x) / d as f32 + eps).sqrt();
        let ((y1, y2), (x1, x2)) = (y.split_at_mut(half), x.split_at(half));
        for i in 0..half {
            let (a, b) = (x1[i] * r * w1[i], x2[i] * r * w2[i]);
            y1[i] = a * cos[i] - b * sin[i];
            y2[i] = b * cos[i] + a * sin[i];
        }
    }
}

/// One token's heads, rotated by (cos, sin) in halves.
#[multiversion(targets = "simd")]
fn rotate_in_place(y: &mut [f32], (cos, sin): (&[f32], &[f32])) {
    let half = cos.len();
    for y in y.chunks_exact_mut(2 * half) {
        let (y1, y2) = y.split_at_mut(half);
        for i in 0..half {
            let (a, b) = (y1[i], y2[i]);
            y1[i] = a * cos[i] - b * sin[i];
            y2[i] = b * cos[i] + a * sin[i];
        }
    }
}

/// The gradient with respect to one token's heads before norm and rotation, in place. The norm is
/// over as many elements as its weight has: a head's, or all.
#[multiversion(targets = "simd")]
fn rotate_heads_backward(
    grad: &mut [f32],
    x: &[f32],
    weight: &[f32],
    d_weight: &mut [f32],
    turn: Option<(&[f32], &[f32])>,
    eps: f32,
) {
    let d = weight.len();
    for (grad, x) in grad.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
        let r = 1.0 / (simd::dot(x, x) / d as f32 + eps).sqrt();
        if let Some((cos, sin)) = turn {
            for head in grad.chunks_exact_mut(2 * cos.len()) {
                rotate_head_back(head, cos, sin);
            }
        }
        for (((g, dw), x), w) in grad.iter_mut().zip(d_weight.iter_mut()).zip(x).zip(weight) {
            *dw += *g * x * r;
            *g *= w;
        }
        let pull = r * r * r * simd::dot(grad, x) / d as f32;
        for (g, x) in grad.iter_mut().zip(x) {
            *g = r * *g - x * pull;
        }
    }
}

/// The gradient with respect to one token's heads before the rotation, in place.
#[multiversion(targets = "simd")]
fn rotate_back(grad: &mut [f32], (cos, sin): (&[f32], &[f32])) {
    for grad in grad.chunks_exact_mut(2 * cos.len()) {
        rotate_head_back(grad, cos, sin);
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn rotate_head_back(grad: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (g1, g2) = grad.split_at_mut(half);
    for i in 0..half {
        let (a, b) = (g1[i], g2[i]);
        g1[i] = a * cos[i] + b * sin[i];
        g2[i] = b * cos[i] - a * sin[i];
    }
}
