//! What panels share in order to draw. It knows no panel, no run that is open, and no window.

pub(crate) mod cached;
pub(crate) mod completions;
pub(crate) mod copies;
pub(crate) mod export;
pub(crate) mod format;
pub(crate) mod geometry;
pub(crate) mod lines;
pub(crate) mod series;
pub(crate) mod stages;
pub(crate) mod text;
pub(crate) mod textures;
pub(crate) mod theme;
pub(crate) mod tokens;
pub(crate) mod trailing;
pub(crate) mod vector;
pub(crate) mod widgets;
