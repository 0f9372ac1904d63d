//! The parameters of a decoder, listed once: names, shapes and what each is.
//!
//! Whatever goes over the parameters goes over this list: building and reading a network, its first
//! weights, LoRA's targets, the estimate of memory. A part that a spec does not have is not in it.

use super::spec::{DecoderSpec, NormPlacement, QkNorm};
use crate::kernels::LayerParts;

/// The input embeddings (vocabulary, hidden).
pub(in crate::model) const EMBEDDINGS: &str = "model.embed_tokens.weight";

/// The last norm (hidden).
pub(in crate::model) const LAST_NORM: &str = "model.norm.weight";

/// The head (vocabulary, hidden), where it is not the embeddings.
pub(in crate::model) const HEAD: &str = "lm_head.weight";

/// What stands before the number of a layer.
pub(in crate::model) const LAYERS: &str = "model.layers.";

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Role {
    /// One row for each token of the vocabulary.
    Table,
    /// The scale of a norm.
    Norm,
    /// A linear layer, which an adapter may add to.
    Projection,
    /// A linear layer whose result is added to the residual stream.
    Output,
    /// The bias of a linear layer.
    Bias,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(in crate::model) struct Part {
    /// As in the files of Hugging Face.
    pub(in crate::model) name: String,
    pub(in crate::model) shape: Vec<usize>,
    pub(in crate::model) role: Role,
}

impl Part {
    fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>, role: Role) -> Self {
        Self { name: name.into(), shape: shape.into(), role }
    }

    /// The name of the linear layer that it is the weight of, such as `model.layers.0.mlp.up_proj`.
    pub(in crate::model) fn module(&self) -> Option<&str> {
        match self.role {
            Role::Projection | Role::Output => self.name.strip_suffix(".weight"),
            Role::Table | Role::Norm | Role::Bias => None,
        }
    }
}

impl DecoderSpec {
    /// The parameters of layer `index`.
    pub(in crate::model) fn layer_parts(&self, index: usize) -> LayerParts<Part> {
        let (d, mlp, head) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * head, self.num_key_value_heads * head);
        let name = |name: &str| format!("{LAYERS}{index}.{name}");
        let norm = |at: &str, size| Part::new(name(&format!("{at}.weight")), [size], Role::Norm);
        let matrix = |at: &str, shape: [usize; 2], role| {
            Part::new(name(&format!("{at}.weight")), shape, role)
        };
        let projection = |at: &str, shape| matrix(at, shape, Role::Projection);
        let output = |at: &str, shape| matrix(at, shape, Role::Output);
        let bias = |at: &str, size| {
            self.qkv_bias.then(|| Part::new(name(&format!("{at}.bias")), [size], Role::Bias))
        };
        let head_norm = |at: &str, all| {
            let size = |kind| if kind == QkNorm::Head { head } else { all };
            self.qk_norm.map(|kind| norm(at, size(kind)))
        };
        // Names of the norms before and after the attention, and before and after the MLP.
        let names = match self.norms {
            NormPlacement::Before => {
                [Some("input_layernorm"), None, Some("post_attention_layernorm"), None]
            }
            NormPlacement::After => {
                [None, Some("post_attention_layernorm"), None, Some("post_feedforward_layernorm")]
            }
            NormPlacement::Both => [
                Some("input_layernorm"),
                Some("post_attention_layernorm"),
                Some("pre_feedforward_layernorm"),
                Some("post_feedforward_layernorm"),
            ],
        };
        let [attention_norm, attention_out_norm, mlp_norm, mlp_out_norm] =
            names.map(|at| at.map(|at| norm(at, d)));

        LayerParts {
            attention_norm,
            q_proj: projection("self_attn.q_proj", [q, d]),
            q_bias: bias("self_attn.q_proj", q),
            k_proj: projection("self_attn.k_proj", [kv, d]),
            k_bias: bias("self_attn.k_proj", kv),
            v_proj: projection("self_attn.v_proj", [kv, d]),
            v_bias: bias("self_attn.v_proj", kv),
            q_norm: head_norm("self_attn.q_norm", q),
            k_norm: head_norm("self_attn.k_norm", kv),
            o_proj: output("self_attn.o_proj", [d, q]),
            attention_out_norm,
            mlp_norm,
            gate_proj: projection("mlp.gate_proj", [mlp, d]),
            up_proj: projection("mlp.up_proj", [mlp, d]),
            down_proj: output("mlp.down_proj", [d, mlp]),
            mlp_out_norm,
        }
    }

    /// All parameters, in the order of the forward pass.
    pub(in crate::model) fn parts(&self) -> Vec<Part> {
        let table = |name| Part::new(name, [self.vocab_size, self.hidden_size], Role::Table);
        let layers =
            (0..self.num_hidden_layers).flat_map(|index| self.layer_parts(index).into_vec());
        let mut all = vec![table(EMBEDDINGS)];
        all.extend(layers);
        all.push(Part::new(LAST_NORM, [self.hidden_size], Role::Norm));
        if !self.tie_word_embeddings {
            all.push(table(HEAD));
        }
        all
    }

    /// Names and shapes of all parameters, in the order of the forward pass.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        self.parts().into_iter().map(|part| (part.name, part.shape)).collect()
    }

    /// Name and dimensions (out, in) of every linear layer that an adapter may add to.
    pub(in crate::model) fn linear_layers(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        self.parts().into_iter().filter_map(|part| Some((part.module()?.to_string(), part.shape)))
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parts().iter().map(|part| part.shape.iter().product::<usize>()).sum()
    }
}
