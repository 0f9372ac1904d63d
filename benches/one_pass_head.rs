//! The head of a decode step: fused against plain candle operations, with and without features. Prints medians.
//!
//! `cargo bench --bench one_pass_head`

#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

use candle_core::{Device, Result, Tensor};
use orthant::kernels::{HeadDraws, Uniforms, one_pass_head, one_pass_head_reference};
use std::time::Instant;

type Head = fn(&Tensor, &Tensor, f64, &[Uniforms], bool) -> Result<HeadDraws>;

fn median_ms(head: Head, hidden: &Tensor, weight: &Tensor, features: bool) -> Result<f64> {
    let uniforms = vec![Uniforms { token: 0.4, tile: 0.6 }; hidden.dim(0)?];
    let mut times = Vec::new();
    let started = Instant::now();
    while times.len() < 5 || started.elapsed().as_secs_f64() < 1.0 {
        let before = Instant::now();
        head(hidden, weight, 1.0, &uniforms, features)?;
        times.push(1e3 * before.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn main() -> Result<()> {
    println!(
        "{:>5} {:>5} {:>8} {:>13} {:>13} {:>13} {:>13}",
        "rows", "d", "V", "fused", "with phi", "reference", "with phi"
    );
    for (rows, d, vocabulary) in [(128, 128, 272), (128, 256, 512), (8, 256, 512), (64, 512, 32_000), (1, 512, 32_000)]
    {
        let hidden = Tensor::randn(0f32, 1.0, (rows, d), &Device::Cpu)?;
        let weight = Tensor::randn(0f32, 0.1, (vocabulary, d), &Device::Cpu)?;
        print!("{rows:>5} {d:>5} {vocabulary:>8}");
        for head in [one_pass_head as Head, one_pass_head_reference] {
            for features in [false, true] {
                print!(" {:>10.3} ms", median_ms(head, &hidden, &weight, features)?);
            }
        }
        println!();
    }
    Ok(())
}
