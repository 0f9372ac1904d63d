//! Behaviour of the window as a person sees it, and what the tests of its parts share.

mod added_panel;
mod performance;
mod pictures;
mod rasterizer;
mod rollouts;
mod small;
mod start;
pub(super) mod testing;
mod watch;
mod window;
