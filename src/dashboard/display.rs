//! What comes after the window, however it ends.
//!
//! When the session ends, `ssh -X` is cut off or the server stops, Wayland's connection lets the
//! event loop return or fail. Xlib instead ends the program from within whatever call finds its
//! connection broken, and its handler may not return. So the handler does there what would have
//! come after the window, and then ends the program: a run of this process continues as if there had
//! been no window.

use crate::dashboard::options::WindowEnd;
use std::sync::{Mutex, PoisonError};

/// What a program does once its window has ended; returns the exit status.
type Afterwards = Box<dyn FnOnce(WindowEnd) -> u8 + Send>;

/// There is one window at a time, and Xlib's handler knows no other place.
static AFTERWARDS: Mutex<Option<Afterwards>> = Mutex::new(None);

/// Notes what comes after the window that is about to open.
pub(super) fn prepare(afterwards: Afterwards) {
    *AFTERWARDS.lock().unwrap_or_else(PoisonError::into_inner) = Some(afterwards);
    #[cfg(target_os = "linux")]
    x11::watch();
}

/// Does what comes after the window.
pub(super) fn go_on(end: WindowEnd) -> u8 {
    let afterwards = AFTERWARDS.lock().unwrap_or_else(PoisonError::into_inner).take();
    afterwards.map_or(1, |afterwards| afterwards(end))
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "Xlib is a library of C")]
mod x11 {
    use super::go_on;
    use crate::dashboard::options::WindowEnd;
    use crate::error::Error;
    use crate::guard;
    use std::ffi::c_int;
    use x11_dl::xlib::{Display, Xlib};

    /// Sets the handler, where there is an Xlib.
    pub(super) fn watch() {
        let Ok(xlib) = Xlib::open() else { return };
        // SAFETY: the function takes a handler that lives as long as the program.
        unsafe { (xlib.XSetIOErrorHandler)(Some(lost)) };
    }

    /// Called by Xlib in place of the end of the program.
    unsafe extern "C" fn lost(_display: *mut Display) -> c_int {
        let end = WindowEnd::Lost(Error::failed("the display has gone, and the window with it"));
        let status = guard::unwound(|| go_on(end)).unwrap_or(1);
        // SAFETY: it takes any number. What the libraries of graphics would do at a usual exit
        // needs the display.
        unsafe { libc::_exit(c_int::from(status)) }
    }
}
