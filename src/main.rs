//! The `orthant` program; see [`orthant::cli`].

use std::process::ExitCode;

/// Training allocates and frees large tensors all the time; mimalloc keeps their pages, see
/// [`keep_pages`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // candle's own pool for element-wise operations waits by spinning, which takes the
        // processor from the matrix products and fused kernels that run on rayon's threads.
        // SAFETY: no other thread exists yet that could read the environment.
        #[allow(unsafe_code, reason = "the pool can only be configured through the environment")]
        unsafe {
            std::env::set_var("CANDLE_NUM_THREADS", "1");
        }
    }
    keep_pages();
    keep_on_at_file_size_limits();
    ExitCode::from(orthant::cli::main())
}

/// What a step frees the next one allocates again. Without this mimalloc returns it to the system
/// after a second, and the system clears every page before it gives it out again.
fn keep_pages() {
    use libmimalloc_sys::{mi_option_set, mi_option_t, mi_option_use_numa_nodes};
    // `mi_option_purge_delay` has no name in the crate. In mimalloc.h it stands before this one.
    const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;
    // SAFETY: sets a number; no other thread exists yet.
    #[allow(unsafe_code, reason = "the crate has no safe function for it")]
    unsafe {
        mi_option_set(PURGE_DELAY, -1);
    }
}

/// Where a file would become larger than the shell allows (`ulimit -f`), the system ends the program
/// without a word unless the signal is ignored; then writing fails, as it does on a full disk.
#[cfg(target_os = "linux")]
fn keep_on_at_file_size_limits() {
    // SAFETY: ignoring a signal installs no handler.
    #[allow(unsafe_code, reason = "the standard library knows no signals")]
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_on_at_file_size_limits() {}
