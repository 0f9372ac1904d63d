//! The `orthant` program; see [`orthant::cli`].

use std::process::ExitCode;

/// Training allocates and frees large tensors all the time; mimalloc keeps their pages for the next ones.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's header: after how many milliseconds freed pages go back to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // Never, unless `MIMALLOC_PURGE_DELAY` says otherwise: the next step needs the pages again, and the system clears them first.
    // SAFETY: the call sets a number; no other thread exists yet.
    #[allow(unsafe_code, reason = "the allocator's options are set through its C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, -1);
    }
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // candle's own pool for element-wise operations waits by spinning, which takes the processor from the matrix products
        // and fused kernels that run on rayon's threads.
        // SAFETY: no other thread exists yet that could read the environment.
        #[allow(unsafe_code, reason = "the pool can only be configured through the environment")]
        unsafe {
            std::env::set_var("CANDLE_NUM_THREADS", "1");
        }
    }
    ExitCode::from(orthant::cli::main())
}
