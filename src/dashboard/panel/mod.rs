//! What panels are made of.

pub(crate) mod notice;
pub(crate) mod traces;
