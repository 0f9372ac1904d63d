//! Cosine matrices as textures of one pixel per cell, remade only when step, order, range or theme have changed.

use super::derive::{self, Order};
use super::theme::Theme;
use crate::trainer::{Compared, GroupView};
use egui::{Color32, ColorImage, TextureHandle, TextureId, TextureOptions};

/// What a texture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MatrixKey {
    /// The step.
    pub(crate) step: u64,
    /// What the cosines compare.
    pub(crate) compared: Compared,
    /// The order of rows and columns.
    pub(crate) order: Order,
    /// What the colour map's ends stand for.
    pub(crate) range: f32,
}

/// One texture per group of the shown step.
#[derive(Default)]
pub(crate) struct Textures {
    entries: Vec<Option<(MatrixKey, bool, TextureHandle)>>,
}

impl Textures {
    /// The matrix of the group at `place` in the step.
    pub(crate) fn matrix(
        &mut self,
        ctx: &egui::Context,
        theme: &Theme,
        group: &GroupView,
        place: usize,
        key: MatrixKey,
    ) -> TextureId {
        if self.entries.len() <= place {
            self.entries.resize_with(place + 1, || None);
        }
        let entry = &mut self.entries[place];
        if let Some((cached, is_dark, texture)) = entry {
            if *cached != key || *is_dark != theme.is_dark {
                texture.set(picture(theme, group, key), TextureOptions::NEAREST);
                (*cached, *is_dark) = (key, theme.is_dark);
            }
            return texture.id();
        }
        let name = format!("cosine matrix {place}");
        let texture = ctx.load_texture(name, picture(theme, group, key), TextureOptions::NEAREST);
        entry.insert((key, theme.is_dark, texture)).2.id()
    }

    /// Frees the textures of groups from `groups` on.
    pub(crate) fn keep(&mut self, groups: usize) {
        self.entries.truncate(groups);
    }
}

/// One pixel per cell; transparent where there is no cosine.
fn picture(theme: &Theme, group: &GroupView, key: MatrixKey) -> ColorImage {
    let order = derive::display_order(group, key.order);
    let m = order.len();
    if m == 0 {
        return ColorImage::filled([1, 1], Color32::TRANSPARENT);
    }
    let color =
        |i: usize, j: usize| theme.cosine(group.cosine(key.compared, i, j), key.range).unwrap_or(Color32::TRANSPARENT);
    let pixels = order.iter().flat_map(|&i| order.iter().map(move |&j| (i, j))).map(|(i, j)| color(i, j)).collect();
    ColorImage::new([m, m], pixels)
}
