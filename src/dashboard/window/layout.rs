//! Where the panels are. Every panel is there once: it can be moved, but not lost.

use crate::dashboard::panel::{Home, Panel};
use eframe::Storage;
use egui_tiles::{Container, Linear, LinearDir, Tile, TileId, Tiles, Tree};
use serde::{Deserialize, Serialize};

/// The layout's name in the window's storage.
const STORAGE_KEY: &str = "dock";

/// The shares of the first layout's upper row, and of that row beside what stands below it.
const ROW: [(Home, f32); 3] = [(Home::Left, 0.16), (Home::Middle, 0.53), (Home::Right, 0.31)];
const ABOVE: f32 = 0.64;

/// Tabs of panels, which are named by their keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) tree: Tree<String>,
}

impl Layout {
    /// The first layout.
    pub(super) fn first(panels: &[Box<dyn Panel>]) -> Self {
        let mut tiles = Tiles::default();
        let mut tabs = |home: Home| {
            let at_home = panels.iter().filter(|panel| panel.home() == home);
            let panes: Vec<TileId> =
                at_home.map(|panel| tiles.insert_pane(panel.key().to_owned())).collect();
            (!panes.is_empty()).then(|| tiles.insert_tab_tile(panes))
        };
        let row: Vec<(TileId, f32)> =
            ROW.into_iter().filter_map(|(home, share)| Some((tabs(home)?, share))).collect();
        let below = tabs(Home::Below);

        let mut upper =
            Linear::new(LinearDir::Horizontal, row.iter().map(|(tile, _)| *tile).collect());
        for &(tile, share) in &row {
            upper.shares.set_share(tile, share);
        }
        let upper = tiles.insert_new(Tile::Container(Container::Linear(upper)));
        let root = match below {
            Some(below) => {
                let all = Linear::new_binary(LinearDir::Vertical, [upper, below], ABOVE);
                tiles.insert_new(Tile::Container(Container::Linear(all)))
            }
            None => upper,
        };
        Self { tree: tree(root, tiles) }
    }

    /// A layout in which every panel can be seen.
    #[cfg(test)]
    pub(super) fn spread(panels: &[Box<dyn Panel>]) -> Self {
        let mut tiles = Tiles::default();
        let panes: Vec<TileId> =
            panels.iter().map(|panel| tiles.insert_pane(panel.key().to_owned())).collect();
        let tabs = panes.into_iter().map(|pane| tiles.insert_tab_tile(vec![pane])).collect();
        let root = tiles.insert_grid_tile(tabs);
        Self { tree: tree(root, tiles) }
    }

    /// The layout that `storage` remembers, with the panels that have come since; the first one
    /// where it is not usable.
    pub(super) fn remembered(panels: &[Box<dyn Panel>], storage: Option<&dyn Storage>) -> Self {
        let text = storage.and_then(|storage| storage.get_string(STORAGE_KEY));
        text.and_then(|text| Self::read(panels, text)).unwrap_or_else(|| Self::first(panels))
    }

    /// Reads a layout that has every panel once.
    fn read(panels: &[Box<dyn Panel>], mut text: String) -> Option<Self> {
        for panel in panels {
            // Until version 0.1 panels were named by their titles.
            text = text
                .replace(&format!("Pane({})", panel.title()), &format!("Pane({:?})", panel.key()));
        }
        let mut layout: Self = ron::from_str(&text).ok()?;
        panels.iter().try_for_each(|panel| layout.add(panels, panel.as_ref()))?;
        layout.is_whole(panels).then_some(layout)
    }

    /// Writes the layout to `storage`.
    pub(super) fn remember(&self, storage: &mut dyn Storage) {
        eframe::set_value(storage, STORAGE_KEY, self);
    }

    /// Adds a panel that is not there to the tabs of another one of its home.
    fn add(&mut self, panels: &[Box<dyn Panel>], panel: &dyn Panel) -> Option<()> {
        let tiles = &mut self.tree.tiles;
        if tiles.find_pane(&panel.key().to_owned()).is_some() {
            return Some(());
        }
        let mut neighbours = panels.iter().filter(|other| other.home() == panel.home());
        let beside = neighbours.find_map(|other| tiles.find_pane(&other.key().to_owned()))?;
        let parent = tiles.parent_of(beside)?;
        let pane = tiles.insert_pane(panel.key().to_owned());
        let Some(Tile::Container(container)) = tiles.get_mut(parent) else { return None };
        container.add_child(pane);
        Some(())
    }

    /// Brings a panel to the front of its tabs.
    pub(super) fn bring_up(&mut self, key: &str) {
        self.tree.make_active(|_, tile| matches!(tile, Tile::Pane(pane) if *pane == key));
    }

    /// Whether it has every panel once, where it can be reached, and nothing else.
    fn is_whole(&self, panels: &[Box<dyn Panel>]) -> bool {
        let mut seen: Vec<&str> = Vec::new();
        let mut open: Vec<TileId> = self.tree.root().into_iter().collect();
        while let Some(tile) = open.pop() {
            match self.tree.tiles.get(tile) {
                Some(Tile::Pane(panel)) => seen.push(panel),
                Some(Tile::Container(container)) if open.len() < 1000 => {
                    open.extend(container.children());
                }
                _ => return false,
            }
        }
        let all = self.tree.tiles.tiles().filter(|tile| matches!(tile, Tile::Pane(_))).count();
        seen.len() == all
            && all == panels.len()
            && panels.iter().all(|panel| seen.contains(&panel.key()))
    }
}

fn tree(root: TileId, tiles: Tiles<String>) -> Tree<String> {
    Tree::new(egui::Id::unique("dock"), root, tiles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::panels;

    fn written(layout: &Layout) -> String {
        ron::to_string(layout).unwrap()
    }

    #[test]
    fn a_layout_survives_being_remembered_and_a_broken_one_is_not_used() {
        let panels = panels::all();
        let first = Layout::first(&panels);
        assert!(first.is_whole(&panels));
        let mut again = Layout::read(&panels, written(&first)).unwrap();
        assert_eq!(again, first);
        let other = again.tree.tiles.insert_pane("other".to_owned());
        let root = again.tree.root().unwrap();
        let Some(Tile::Container(root)) = again.tree.tiles.get_mut(root) else {
            panic!("the root holds the others")
        };
        root.add_child(other);
        assert!(Layout::read(&panels, written(&again)).is_none(), "a panel that nobody knows");
        let empty = Layout { tree: Tree::empty(egui::Id::unique("dock")) };
        assert!(Layout::read(&panels, written(&empty)).is_none());
    }

    #[test]
    fn layouts_of_earlier_versions_are_read() {
        let panels = panels::all();
        let first = Layout::first(&panels);
        let mut earlier = written(&first);
        for panel in &panels {
            earlier = earlier
                .replace(&format!("Pane({:?})", panel.key()), &format!("Pane({})", panel.title()));
        }
        assert!(earlier.contains("Pane(Health)"), "{earlier}");
        assert_eq!(Layout::read(&panels, earlier), Some(first));
    }

    #[test]
    fn a_panel_that_a_remembered_layout_lacks_joins_those_of_its_home() {
        let (mut fewer, panels) = (panels::all(), panels::all());
        fewer.retain(|panel| panel.key() != "health");
        let layout = Layout::read(&panels, written(&Layout::first(&fewer))).unwrap();
        let tile = |key: &str| layout.tree.tiles.find_pane(&key.to_owned()).unwrap();
        let parent = |key: &str| layout.tree.tiles.parent_of(tile(key));
        assert!(layout.is_whole(&panels) && parent("health") == parent("curves"));
    }
}
