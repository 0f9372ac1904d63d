//! Cosine matrices as textures of one pixel per cell, remade only when step, order, range or theme
//! have changed.

use crate::dashboard::kit::geometry;
use crate::dashboard::kit::geometry::{ColorScale, Order};
use crate::dashboard::kit::theme::Theme;
use crate::run::{CosineKind, GroupView};
use egui::{Color32, ColorImage, TextureHandle, TextureId, TextureOptions};
use std::sync::Arc;

/// What a texture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MatrixKey {
    /// The step.
    pub(crate) step: u64,
    /// What the cosines compare.
    pub(crate) compared: CosineKind,
    /// The order of rows and columns.
    pub(crate) order: Order,
    /// The cosines that an order by cluster is by.
    pub(crate) clustered: CosineKind,
    /// What its colours stand for.
    pub(crate) scale: ColorScale,
}

struct Entry {
    key: MatrixKey,
    is_dark: bool,
    picture: Arc<ColorImage>,
    texture: TextureHandle,
}

/// One texture per group of the shown step and kind of cosine.
#[derive(Default)]
pub(crate) struct Textures {
    entries: Vec<[Option<Entry>; 3]>,
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
        if let Some(entry) = entry {
            if entry.key != key || entry.is_dark != theme.is_dark {
                (entry.key, entry.is_dark, entry.picture) =
                    (key, theme.is_dark, Arc::new(picture(theme, group, key)));
                entry.texture.set(Arc::clone(&entry.picture), TextureOptions::NEAREST);
            }
            return entry.texture.id();
        }
        let picture = Arc::new(picture(theme, group, key));
        let name = format!("cosine matrix {place}");
        let texture = ctx.load_texture(name, Arc::clone(&picture), TextureOptions::NEAREST);
        entry.insert(Entry { key, is_dark: theme.is_dark, picture, texture }).texture.id()
    }

    /// The picture that a texture was made of, one pixel per cell.
    pub(crate) fn picture(&self, texture: TextureId) -> Option<Arc<ColorImage>> {
        let entry =
            self.entries.iter().flatten().flatten().find(|entry| entry.texture.id() == texture)?;
        Some(Arc::clone(&entry.picture))
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
    let order = geometry::display_order(group, key.clustered, key.order);
    let m = order.len();
    if m == 0 {
        return ColorImage::filled([1, 1], Color32::TRANSPARENT);
    }
    let color = |i: usize, j: usize| {
        theme.cosine_on(key.scale, group.cosine(key.compared, i, j)).unwrap_or(Color32::TRANSPARENT)
    };
    let pixels = order
        .iter()
        .flat_map(|&i| order.iter().map(move |&j| (i, j)))
        .map(|(i, j)| color(i, j))
        .collect();
    ColorImage::new([m, m], pixels)
}
