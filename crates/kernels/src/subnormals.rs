//! Numbers below the normal range (in `f32`, below 1.2e-38) count as 0 in every thread that
//! computes.
//!
//! Processors work on such numbers in microcode, a hundred times slower. Where a policy is nearly
//! certain, most probabilities and what backward makes of them are that small, and a step takes ten
//! times as long without any result being better: what is added to a sum of the order of 1 is lost
//! below 1e-8. The mode is a thread's own, so all threads must have it: results would otherwise
//! depend on which thread computes what.

use std::sync::Once;

/// Sets the mode in this thread and in those of rayon's pool. Threads that are made later by this
/// one have it too where the system hands it down, as Linux does; others call this function.
pub fn flush_subnormals() {
    static POOL: Once = Once::new();
    flush_here();
    // Whoever has started the pool, and whenever: its threads stay for good.
    POOL.call_once(|| drop(rayon::broadcast(|_| flush_here())));
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the mode is a register that no safe function writes")]
fn flush_here() {
    /// Results below the normal range become 0, and arguments too.
    const FLUSH_TO_ZERO: u32 = 1 << 15 | 1 << 6;
    let mut control = 0u32;
    // SAFETY: the instructions store and load the control register of this thread's SSE and AVX
    // units through a pointer to a local variable. Of its bits only those two change, none of which
    // raises an exception or changes a rounding. The compiler assumes that the register stays as it
    // was: what it computes itself, or moves across, may be a subnormal number where the processor
    // would give 0, and no code of this program tells the two apart.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags));
        control |= FLUSH_TO_ZERO;
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags, readonly));
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "the mode is a register that no safe function writes")]
fn flush_here() {
    /// Arguments and results below the normal range become 0.
    const FLUSH_TO_ZERO: u64 = 1 << 24;
    // SAFETY: the instructions read and write the control register of this thread's floating-point
    // unit. Of its bits only that one changes, which raises no exception and changes no rounding.
    // The compiler assumes that the register stays as it was: what it computes itself, or moves
    // across, may be a subnormal number where the processor would give 0, and no code of this
    // program tells the two apart.
    unsafe {
        let mut control: u64;
        std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags));
        control |= FLUSH_TO_ZERO;
        std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn flush_here() {}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use std::hint::black_box;

    /// Whether this thread has the mode, for arguments and for results, of single numbers and of
    /// vectors.
    fn flushes() -> bool {
        let least = black_box(f32::MIN_POSITIVE);
        let below = black_box(f32::from_bits(1 << 20));
        let vector: Vec<f32> =
            black_box(vec![f32::MIN_POSITIVE; 64]).iter().map(|x| x * 0.5).collect();
        let is_zero = |x: f32| black_box(x).to_bits() == 0;
        is_zero(least * 0.5) && is_zero(below * 1e20) && vector.into_iter().all(is_zero)
    }

    #[test]
    fn every_thread_that_computes_has_the_mode() {
        let worker = std::thread::Builder::new().spawn(|| {
            let before = flushes();
            flush_subnormals();
            let workers = rayon::broadcast(|_| flushes());
            (before, flushes(), workers)
        });
        let (before, after, workers) = worker.unwrap().join().unwrap();
        assert!(!before, "the test would pass without the mode");
        assert!(
            after
                && workers.len() == rayon::current_num_threads()
                && workers.into_iter().all(|on| on)
        );
    }

    #[test]
    fn products_and_operations_of_candle_flush_too() {
        flush_subnormals();
        let shape = (64, 64);
        let small =
            (Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu).unwrap() * 1e-20).unwrap();
        let one =
            |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap().to_bits();
        assert_eq!(one((&small * &small).unwrap()), 0);
        assert_eq!(one(small.matmul(&(&small * 1e-20).unwrap()).unwrap()), 0);
    }
}
