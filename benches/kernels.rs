//! Every kernel beside its reference of plain candle operations.
//!
//! `cargo bench --bench kernels`, or with a part of a name after it. Sizes are those of
//! `orthant bench`: rows of a decode step, tokens of a micro-batch. Kernels with a backward pass
//! are timed with it.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use candle_core::{Device, Result, Tensor, Var};
use divan::{Bencher, black_box};
use orthant::kernels;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // As the program does.
    // SAFETY: no other thread exists yet that could read the environment.
    #[allow(unsafe_code, reason = "candle's pool can only be configured through the environment")]
    unsafe {
        std::env::set_var("CANDLE_NUM_THREADS", "1");
    }
    divan::main();
}

const HIDDEN: usize = 256;
const INTERMEDIATE: usize = 768;
const HEADS: kernels::Heads = kernels::Heads { heads: 8, kv_heads: 4, head_dim: 32 };
const VOCABULARY: usize = 512;
/// Tokens of a micro-batch: sequences of [`LENGTH`].
const TOKENS: usize = 16 * LENGTH;
const LENGTH: usize = 160;

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap()
}

/// Times a forward pass without gradients.
fn forward(bencher: Bencher, inputs: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor> + Sync) {
    let inputs: Vec<Tensor> = inputs.iter().map(|shape| random(shape)).collect();
    bencher.bench(|| f(black_box(&inputs)).unwrap());
}

/// Times a forward and a backward pass.
fn both(bencher: Bencher, inputs: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor> + Sync) {
    let vars: Vec<Var> =
        inputs.iter().map(|shape| Var::from_tensor(&random(shape)).unwrap()).collect();
    let inputs: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let shape = f(&inputs).unwrap().shape().clone();
    let weights = random(shape.dims());
    bencher.bench(|| {
        (f(black_box(&inputs)).unwrap() * &weights).unwrap().sum_all().unwrap().backward().unwrap()
    });
}

/// x W^T of the rows of a decode step.
mod thin_linear {
    use super::{Bencher, HIDDEN, INTERMEDIATE, forward, kernels};

    const ROWS: [usize; 4] = [1, 8, 64, 128];

    #[divan::bench(args = ROWS)]
    fn fused(bencher: Bencher, rows: usize) {
        forward(bencher, &[&[rows, HIDDEN], &[INTERMEDIATE, HIDDEN]], |t| {
            kernels::thin_linear(&t[0], &t[1])
        });
    }

    #[divan::bench(args = ROWS)]
    fn reference(bencher: Bencher, rows: usize) {
        forward(bencher, &[&[rows, HIDDEN], &[INTERMEDIATE, HIDDEN]], |t| {
            kernels::linear_reference(&t[0], &t[1])
        });
    }
}

/// Attention of one row's new token to its cache.
mod decode_attention {
    use super::{Bencher, HEADS, black_box, kernels, random};

    const SLOTS: [usize; 3] = [32, 160, 1024];

    #[divan::bench(args = SLOTS)]
    fn fused(bencher: Bencher, slots: usize) {
        let page: Vec<f32> = random(&[HEADS.page_len()]).to_vec1().unwrap();
        let pages = vec![page; slots / kernels::PAGE];
        let pages: Vec<kernels::Page> =
            pages.iter().map(|page| (page.as_slice(), 0..kernels::PAGE)).collect();
        let q: Vec<f32> = random(&[HEADS.heads * HEADS.head_dim]).to_vec1().unwrap();
        let (mut out, scale) = (vec![0.0; q.len()], 1.0 / (HEADS.head_dim as f32).sqrt());
        bencher.bench_local(|| {
            kernels::paged_attention(&mut out, black_box(&q), black_box(&pages), HEADS, scale);
        });
    }

    #[divan::bench(args = SLOTS)]
    fn reference(bencher: Bencher, slots: usize) {
        let own = random(&[1, HEADS.kv_heads, slots, HEADS.head_dim]);
        let none = random(&[0, HEADS.kv_heads, HEADS.head_dim]);
        let cache = kernels::LayerCache { prompts: [none.clone(), none], own: [own.clone(), own] };
        let q = random(&[1, HEADS.heads, HEADS.head_dim]);
        let groups = kernels::PromptGroups::new([(0..0, 0..1)]);
        let scope = kernels::Scope::full(HEADS.head_dim);
        bencher.bench(|| {
            kernels::grouped_attention(black_box(&q), &cache, &groups, slots, scope).unwrap()
        });
    }
}

/// Token, log-probability, entropy and feature of a decode step: rows, d, vocabulary, and whether
/// there are features.
mod one_pass_head {
    use super::{Bencher, black_box, kernels, random};
    use kernels::Uniforms;

    const SIZES: [(usize, usize, usize, bool); 6] = [
        (128, 256, 512, false),
        (128, 256, 512, true),
        (8, 256, 512, true),
        (64, 512, 32_000, false),
        (64, 512, 32_000, true),
        (1, 512, 32_000, true),
    ];

    type Head = fn(
        &candle_core::Tensor,
        &candle_core::Tensor,
        f64,
        &[Uniforms],
        bool,
    ) -> candle_core::Result<kernels::HeadDraws>;

    fn run(
        bencher: Bencher,
        (rows, d, vocabulary, features): (usize, usize, usize, bool),
        head: Head,
    ) {
        let (hidden, weight) = (random(&[rows, d]), (random(&[vocabulary, d]) * 0.1).unwrap());
        let uniforms = vec![Uniforms { token: 0.4, tile: 0.6 }; rows];
        bencher.bench(|| head(black_box(&hidden), &weight, 1.0, &uniforms, features).unwrap());
    }

    #[divan::bench(args = SIZES)]
    fn fused(bencher: Bencher, sizes: (usize, usize, usize, bool)) {
        run(bencher, sizes, kernels::one_pass_head);
    }

    #[divan::bench(args = SIZES)]
    fn reference(bencher: Bencher, sizes: (usize, usize, usize, bool)) {
        run(bencher, sizes, kernels::one_pass_head_reference);
    }
}

/// x W^T of a micro-batch, and both gradients.
mod linear {
    use super::{Bencher, HIDDEN, INTERMEDIATE, TOKENS, both, kernels};

    #[divan::bench]
    fn fused(bencher: Bencher) {
        both(bencher, &[&[TOKENS, HIDDEN], &[INTERMEDIATE, HIDDEN]], |t| {
            kernels::linear(&t[0], &t[1])
        });
    }

    #[divan::bench]
    fn reference(bencher: Bencher) {
        both(bencher, &[&[TOKENS, HIDDEN], &[INTERMEDIATE, HIDDEN]], |t| {
            kernels::linear_reference(&t[0], &t[1])
        });
    }
}

/// Normalisation of a micro-batch.
mod rms_norm {
    use super::{Bencher, HIDDEN, TOKENS, both, kernels};

    #[divan::bench]
    fn fused(bencher: Bencher) {
        both(bencher, &[&[TOKENS, HIDDEN], &[HIDDEN]], |t| kernels::rms_norm(&t[0], &t[1], 1e-6));
    }

    #[divan::bench]
    fn reference(bencher: Bencher) {
        both(bencher, &[&[TOKENS, HIDDEN], &[HIDDEN]], |t| {
            kernels::rms_norm_reference(&t[0], &t[1], 1e-6, 0.0)
        });
    }
}

/// Rotary positions of a micro-batch's queries.
mod rotary_embedding {
    use super::{Bencher, HEADS, LENGTH, TOKENS, both, kernels};
    use std::sync::Arc;

    const SHAPE: [usize; 3] = [TOKENS, HEADS.heads, HEADS.head_dim];

    fn positions() -> Arc<[u32]> {
        (0..TOKENS).map(|token| (token % LENGTH) as u32).collect()
    }

    fn rotary() -> kernels::Rotary {
        kernels::Rotary::new(HEADS.head_dim, LENGTH, 10_000.0)
    }

    #[divan::bench]
    fn fused(bencher: Bencher) {
        let (positions, rotary) = (positions(), rotary());
        both(bencher, &[&SHAPE], |t| kernels::rotary_embedding(&t[0], &positions, &rotary));
    }

    #[divan::bench]
    fn reference(bencher: Bencher) {
        let (positions, rotary) = (positions(), rotary());
        both(bencher, &[&SHAPE], |t| {
            kernels::rotary_embedding_reference(&t[0], &positions, &rotary)
        });
    }
}

/// Gated activation of a micro-batch.
mod gated {
    use super::{Bencher, INTERMEDIATE, TOKENS, both, kernels};
    use kernels::Activation::{self, GeluTanh, Silu};

    const SHAPE: [usize; 2] = [TOKENS, INTERMEDIATE];

    #[divan::bench(args = [Silu, GeluTanh])]
    fn fused(bencher: Bencher, activation: Activation) {
        both(bencher, &[&SHAPE, &SHAPE], |t| kernels::gated(&t[0], &t[1], activation));
    }

    #[divan::bench(args = [Silu, GeluTanh])]
    fn reference(bencher: Bencher, activation: Activation) {
        both(bencher, &[&SHAPE, &SHAPE], |t| kernels::gated_reference(&t[0], &t[1], activation));
    }
}

/// Attention within the sequences of a micro-batch.
mod causal_attention {
    use super::{Bencher, HEADS, LENGTH, TOKENS, both, kernels};
    use kernels::{Scope, Segments};

    const Q: [usize; 3] = [TOKENS, HEADS.heads, HEADS.head_dim];
    const KV: [usize; 3] = [TOKENS, HEADS.kv_heads, HEADS.head_dim];

    fn segments() -> Segments {
        Segments::from_lengths([LENGTH; TOKENS / LENGTH])
    }

    #[divan::bench]
    fn fused(bencher: Bencher) {
        let (segments, scope) = (segments(), Scope::full(HEADS.head_dim));
        both(bencher, &[&Q, &KV, &KV], |t| {
            kernels::causal_attention(&t[0], &t[1], &t[2], &segments, scope)
        });
    }

    #[divan::bench]
    fn reference(bencher: Bencher) {
        let (segments, scope) = (segments(), Scope::full(HEADS.head_dim));
        both(bencher, &[&Q, &KV, &KV], |t| {
            kernels::causal_attention_reference(&t[0], &t[1], &t[2], &segments, scope)
        });
    }
}

/// Log-probabilities and entropies of a micro-batch's tokens.
mod token_head {
    use super::{Bencher, HIDDEN, TOKENS, VOCABULARY, both, kernels};
    use std::sync::Arc;

    fn targets() -> Arc<[u32]> {
        (0..TOKENS).map(|token| (token * 7 % VOCABULARY) as u32).collect()
    }

    #[divan::bench]
    fn fused(bencher: Bencher) {
        let targets = targets();
        both(bencher, &[&[TOKENS, HIDDEN], &[VOCABULARY, HIDDEN]], |t| {
            kernels::token_logprob_entropy(&t[0], &t[1], &targets, 1.0)
        });
    }

    #[divan::bench]
    fn reference(bencher: Bencher) {
        let targets = targets();
        both(bencher, &[&[TOKENS, HIDDEN], &[VOCABULARY, HIDDEN]], |t| {
            kernels::token_logprob_entropy_reference(&t[0], &t[1], &targets, 1.0)
        });
    }
}
