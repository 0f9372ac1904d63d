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
    /// The cosines that an order by cluster is by.
    pub(crate) clustered: Compared,
    /// What the colour map's ends stand for.
    pub(crate) range: f32,
}

/// What was drawn, in which theme, and where it is.
type Entry = Option<(MatrixKey, bool, TextureHandle)>;

/// One texture per group of the shown step and kind of cosine.
#[derive(Default)]
pub(crate) struct Textures {
    entries: Vec<[Entry; 3]>,
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
            self.entries.resize_with(place + 1, Default::default);
        }
        let entry = &mut self.entries[place][key.compared as usize];
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

    /// Frees all textures.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Frees the textures of groups from `groups` on.
    pub(crate) fn keep(&mut self, groups: usize) {
        self.entries.truncate(groups);
    }
}

/// One pixel per cell; transparent where there is no cosine.
fn picture(theme: &Theme, group: &GroupView, key: MatrixKey) -> ColorImage {
    let order = derive::display_order(group, key.clustered, key.order);
    let m = order.len();
    if m == 0 {
        return ColorImage::filled([1, 1], Color32::TRANSPARENT);
    }
    let color =
        |i: usize, j: usize| theme.cosine(group.cosine(key.compared, i, j), key.range).unwrap_or(Color32::TRANSPARENT);
    let pixels = order.iter().flat_map(|&i| order.iter().map(move |&j| (i, j))).map(|(i, j)| color(i, j)).collect();
    ColorImage::new([m, m], pixels)
}
