//! The program for GPUs beside this one.
//!
//! A program that is built for CUDA does not start where there is no driver. So a release has two:
//! `orthant`, which starts everywhere, and `orthant-cuda` beside it, which takes its place where the
//! driver's library can be loaded.

use super::terminal::note;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Set to 0, this keeps the program for GPUs from being started.
const SWITCH: &str = "ORTHANT_CUDA";

/// Becomes the program for GPUs, with the same arguments, where it is here and there is a driver.
/// Returns otherwise.
pub(super) fn start() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if std::env::var_os(SWITCH).is_some_and(|value| value == "0") || asks_for_the_cpu(&arguments) {
        return;
    }
    let Some(program) = program().filter(|program| program.is_file()) else { return };
    if !has_driver() {
        return;
    }
    // Only a failure returns.
    let error = Command::new(&program).args(arguments).exec();
    note!("warning: {} cannot be started, so the CPU computes: {error}", program.display());
}

/// Whether the arguments have `--device cpu`.
fn asks_for_the_cpu(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--device=cpu")
        || arguments.windows(2).any(|pair| pair == [OsStr::new("--device"), OsStr::new("cpu")])
}

/// Where the program for GPUs would be.
fn program() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.with_file_name("orthant-cuda"))
}

/// Whether the driver's library can be loaded.
fn has_driver() -> bool {
    #[allow(unsafe_code, reason = "the standard library loads no libraries")]
    // SAFETY: the name ends with a zero byte, and the driver's library may be loaded at any time. It
    // is not used, and stays loaded.
    unsafe {
        !libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_LAZY).is_null()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_asked_for_in_two_ways() {
        let asks = |arguments: &[&str]| {
            asks_for_the_cpu(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
        };
        assert!(asks(&["bench", "--device", "cpu"]) && asks(&["bench", "--device=cpu", "--json"]));
        assert!(!asks(&["bench", "--device", "auto"]) && !asks(&["bench", "cpu", "--device"]));
    }
}
