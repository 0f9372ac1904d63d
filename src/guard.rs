//! Calls into libraries that may panic or never end on what somebody else made: both become errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

thread_local! {
    /// Whether a panic of this thread is caught and told elsewhere, and so not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `work` returns, or the text of its panic, which is not printed.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = unwound(work);
    QUIET.set(outer);
    result.map_err(|payload| panic_text(payload.as_ref()))
}

/// What `work` returns, or what it was ended with: a panic, which has been told, or an error on its
/// way out of a schedule.
pub(crate) fn unwound<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
}

/// [`caught`], on a thread of its own that is waited for no longer than `limit`. One that takes
/// longer is left to itself until the program ends.
pub(crate) fn caught_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let thread = std::thread::Builder::new().name("guarded".to_string()).spawn(move || {
        // Nobody listens any more where the limit has passed.
        drop(sender.send(caught(work)));
    });
    thread.map_err(|error| format!("no thread for it: {error}"))?;
    receiver.recv_timeout(limit).unwrap_or_else(|_| {
        Err(format!("it has not come to an end within {} s", limit.as_secs_f64()))
    })
}

/// The message that a panic was raised with.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_calls_without_end_become_errors() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("number {}", 3)).map(|(): ()| ()), Err("number 3".to_string()));
        let minute = Duration::from_mins(1);
        assert_eq!(caught_within(minute, || 7), Ok(7));
        assert_eq!(caught_within(minute, || panic!("oh")).map(|(): ()| ()), Err("oh".to_string()));
        let error =
            caught_within(Duration::from_millis(20), || std::thread::sleep(Duration::from_secs(2)));
        assert!(error.unwrap_err().contains("0.02 s"));
    }
}
