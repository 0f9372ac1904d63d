//! The runs that the window has open, how more are opened, and which there are.

pub(crate) mod editor;
pub(crate) mod found;
pub(crate) mod open_run;
pub(crate) mod opener;
pub(crate) mod past_run;
pub(crate) mod start;
