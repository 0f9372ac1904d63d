//! Widgets: one per file, drawing from plain data, without knowledge of the run.

pub(crate) mod cosine_matrix;
pub(crate) mod curve;
pub(crate) mod directions;
pub(crate) mod fidelity_bars;
pub(crate) mod histogram;
pub(crate) mod marks;
pub(crate) mod mini_matrix;
pub(crate) mod quantity;
pub(crate) mod rollout_card;
pub(crate) mod spectrum;
pub(crate) mod stage_strip;
pub(crate) mod token_chart;
pub(crate) mod token_text;
