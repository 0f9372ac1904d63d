//! What stands around the panels, and where they are.

pub(crate) mod dock;
pub(crate) mod failure;
pub(crate) mod keys;
mod layout;
pub(crate) mod palette;
pub(crate) mod run_bar;
pub(crate) mod run_tabs;
pub(crate) mod scrubber;
pub(crate) mod start_screen;
pub(crate) mod status;
pub(crate) mod stop;
mod theme_button;
