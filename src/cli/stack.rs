//! Threads for work that recurses deeply.

use crate::error::{Error, Result};
use crate::kernels::flush_subnormals;
use crate::model::BACKWARD_STACK;

/// Does `work` on a thread with a stack for backward passes.
pub(super) fn on_large_stack<T: Send>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(name.to_string())
            .stack_size(BACKWARD_STACK)
            .spawn_scoped(scope, || {
                flush_subnormals();
                work()
            })
            .map_err(|e| Error::failed(format!("cannot start the thread `{name}`: {e}")))?;
        thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}
