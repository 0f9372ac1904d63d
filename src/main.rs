//! The `orthant` program; see [`orthant::cli`].

use std::process::ExitCode;

/// Training allocates and frees large tensors all the time; mimalloc keeps their pages for a while
/// instead of returning them to the system and faulting them in again.
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
    keep_on_at_file_size_limits();
    ExitCode::from(orthant::cli::main())
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
