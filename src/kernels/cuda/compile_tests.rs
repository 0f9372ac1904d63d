//! All sources compile for the GPU. NVRTC needs none.

use super::device::compile;
use super::*;
use candle_core::DType;

#[test]
fn every_program_compiles_for_every_generation() {
    for program in [
        &attention::PROGRAM,
        &decode_attention::PROGRAM,
        &one_pass_head::PROGRAM,
        &optimizer::PROGRAM,
        &rms_norm::PROGRAM,
        &rotary::PROGRAM,
        &rows::PROGRAM,
        &swiglu::PROGRAM,
        &token_head::PROGRAM,
    ] {
        for capability in [(8, 0), (9, 0)] {
            for dtype in [DType::F32, DType::BF16] {
                for (head_dim, group) in [(128, 2), (32, 4)] {
                    let ptx = compile(program.of(dtype).heads(head_dim, group), capability).unwrap();
                    for kernel in program.kernels {
                        assert!(ptx.contains(&format!(".entry {kernel}(")), "{kernel} is missing");
                    }
                    if !program.source.contains("HEAD_DIM") {
                        break;
                    }
                }
            }
        }
    }
}
