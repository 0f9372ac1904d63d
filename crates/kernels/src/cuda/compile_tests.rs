//! All sources compile for GPUs, which NVRTC needs none for.

use super::device::compile;
use super::*;
use candle_core::DType;
use rayon::prelude::*;
use std::path::Path;

#[test]
fn every_program_compiles_for_every_generation() {
    let programs = [
        &attention::PROGRAM,
        &decode_attention::PROGRAM,
        &decode_layer::PROGRAM,
        &finite::PROGRAM,
        &gated::PROGRAM,
        &nf4::PROGRAM,
        &one_pass_head::PROGRAM,
        &optimizer::PROGRAM,
        &rms_norm::PROGRAM,
        &rotary::PROGRAM,
        &rows::PROGRAM,
        &token_head::PROGRAM,
        &truncated::PROGRAM,
    ];
    let sources =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda")).unwrap();
    let sources = sources
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "cu"));
    assert_eq!(sources.count(), programs.len(), "a source is not compiled here");
    let kinds =
        programs.into_iter().flat_map(|program| [(program, DType::F32), (program, DType::BF16)]);
    // The first GPUs with kernels, and the ones that they are made for: A100 and H100.
    let kinds: Vec<_> = kinds
        .flat_map(|(program, dtype)| ["sm_80", "sm_90"].map(|to| (program, dtype, to)))
        .collect();
    kinds.into_par_iter().for_each(|(program, dtype, architecture)| {
        let largest = attention::largest_head(dtype);
        for (head_dim, group) in [(128, 2), (32, 4), (largest, 4)] {
            let ptx = compile(program.of(dtype).heads(head_dim, group), architecture).unwrap();
            for kernel in program.kernels {
                assert!(
                    ptx.contains(&format!(".entry {kernel}(")),
                    "{kernel} is missing for {architecture}"
                );
            }
            if !program.source.contains("HEAD_DIM") {
                break;
            }
        }
    });
}

/// What this relies on: PTX that no assembler takes is an error.
#[test]
fn instructions_that_an_architecture_does_not_have_are_errors() {
    static PROGRAM: launch::Program = launch::Program {
        name: "wrong",
        source: "extern \"C\" __global__ void wrong(float* x) { asm \
                 volatile(\"no.such.instruction;\"); x[0] = 1.0f; }",
        kernels: &["wrong"],
    };
    assert!(compile(PROGRAM.of(DType::F32), "compute_80").is_ok());
    assert!(compile(PROGRAM.of(DType::F32), "sm_80").is_err());
}
