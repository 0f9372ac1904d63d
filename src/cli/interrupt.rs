//! Ctrl-C: the first ends runs after their steps, the second the program.

use super::terminal::note;
use crate::error::{Error, Result};
use crate::run::{RunHandle, TrainerCommand};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Exit status after an interrupt that was saved.
pub(super) const INTERRUPTED: u8 = 130;

/// The first Ctrl-C ends the `runs` after their current steps; the second ends the program at once.
pub(super) fn stop_on_interrupt(
    runs: impl Fn() -> Vec<RunHandle> + Send + 'static,
) -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let handler = {
        let interrupted = interrupted.clone();
        move || {
            if interrupted.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED));
            }
            let runs: Vec<RunHandle> = runs().into_iter().filter(|run| !is_over(run)).collect();
            if runs.is_empty() || !tell_to_stop(runs) {
                std::process::exit(i32::from(INTERRUPTED));
            }
            note!(
                "\ninterrupted: finishing the step and saving a checkpoint; press Ctrl-C again to \
                 leave at once"
            );
        }
    };
    ctrlc::set_handler(handler)
        .map_err(|e| Error::failed(format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(interrupted)
}

fn is_over(run: &RunHandle) -> bool {
    run.snapshots.load().state.is_over()
}

/// Tells runs to stop, on a thread of its own: a trainer takes commands between steps only, and a
/// second interrupt may come earlier.
fn tell_to_stop(runs: Vec<RunHandle>) -> bool {
    let tell = move || {
        for run in runs {
            while !run.send(TrainerCommand::Stop) && !is_over(&run) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    std::thread::Builder::new().name("stop".to_string()).spawn(tell).is_ok()
}
