//! The dock: every panel is a tab that can be dragged anywhere; the layout is remembered.
//!
//! Panels cannot be closed, only moved, so that none is ever lost; [`Dock::reset`] brings the first layout back.

use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panels;
use crate::dashboard::panels::Tools;
use crate::dashboard::state::run::{State, Wish};
use egui::{Color32, Frame, Margin, Stroke, Ui, Visuals, WidgetText};
use egui_tiles::{
    Behavior, Container, Linear, LinearDir, SimplificationOptions, TabState, Tile, TileId, Tiles, Tree, UiResponse,
};
use serde::{Deserialize, Serialize};

/// Height of the line of tabs, points.
const TAB_HEIGHT: f32 = 24.0;

/// The panels of the dock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PanelKind {
    /// The step's groups as small multiples.
    Groups,
    /// The chosen group's geometry.
    Geometry,
    /// The texts of the chosen pair.
    Pair,
    /// Metrics over steps.
    Curves,
    /// The step's completions.
    Rollouts,
    /// Where the time goes.
    Timeline,
    /// What a person should look after.
    Health,
    /// The experiment and its live settings.
    Experiment,
}

impl PanelKind {
    /// All panels in reading order.
    pub const ALL: [Self; 8] = [
        Self::Groups,
        Self::Geometry,
        Self::Pair,
        Self::Curves,
        Self::Rollouts,
        Self::Timeline,
        Self::Health,
        Self::Experiment,
    ];

    /// The panel's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Groups => "Groups",
            Self::Geometry => "Geometry",
            Self::Pair => "Pair",
            Self::Curves => "Curves",
            Self::Rollouts => "Rollouts",
            Self::Timeline => "Timeline",
            Self::Health => "Health",
            Self::Experiment => "Experiment",
        }
    }
}

/// The layout of the panels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dock {
    tree: Tree<PanelKind>,
}

impl Default for Dock {
    fn default() -> Self {
        let mut tiles = Tiles::default();
        let mut tabs = |panels: &[PanelKind]| {
            let panes = panels.iter().map(|&panel| tiles.insert_pane(panel)).collect();
            tiles.insert_tab_tile(panes)
        };
        let groups = tabs(&[PanelKind::Groups]);
        let geometry = tabs(&[PanelKind::Geometry]);
        let pair = tabs(&[PanelKind::Pair]);
        let below = tabs(&[
            PanelKind::Curves,
            PanelKind::Rollouts,
            PanelKind::Timeline,
            PanelKind::Health,
            PanelKind::Experiment,
        ]);
        let mut row = Linear::new(LinearDir::Horizontal, vec![groups, geometry, pair]);
        row.shares.set_share(groups, 0.16);
        row.shares.set_share(geometry, 0.53);
        row.shares.set_share(pair, 0.31);
        let row = tiles.insert_new(Tile::Container(Container::Linear(row)));
        let all = Linear::new_binary(LinearDir::Vertical, [row, below], 0.64);
        let root = tiles.insert_new(Tile::Container(Container::Linear(all)));
        Self { tree: Tree::new(egui::Id::unique("dock"), root, tiles) }
    }
}

impl Dock {
    /// The layout that `storage` remembers, if it holds every panel once; otherwise the first layout.
    pub(crate) fn remembered(storage: Option<&dyn eframe::Storage>) -> Self {
        let kept: Option<Self> = storage.and_then(|storage| eframe::get_value(storage, STORAGE_KEY));
        kept.filter(Self::is_whole).unwrap_or_default()
    }

    /// Writes the layout to `storage`, as RON.
    pub(crate) fn remember(&self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, STORAGE_KEY, self);
    }

    /// Brings back the first layout.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Brings a panel to the front of its tabs.
    pub(crate) fn bring_up(&mut self, panel: PanelKind) {
        self.tree.make_active(|_, tile| matches!(tile, Tile::Pane(pane) if *pane == panel));
    }

    /// A layout in which every panel can be seen.
    #[cfg(test)]
    pub(crate) fn with_every_panel() -> Self {
        let mut tiles = Tiles::default();
        let panes = PanelKind::ALL.map(|panel| tiles.insert_pane(panel)).map(|pane| tiles.insert_tab_tile(vec![pane]));
        let root = tiles.insert_grid_tile(panes.to_vec());
        Self { tree: Tree::new(egui::Id::unique("dock"), root, tiles) }
    }

    /// Whether a panel can be seen.
    #[cfg(test)]
    pub(crate) fn is_up(&self, panel: PanelKind) -> bool {
        self.tree.tiles.find_pane(&panel).is_some_and(|tile| self.tree.active_tiles().contains(&tile))
    }

    fn is_whole(&self) -> bool {
        let count =
            |panel| self.tree.tiles.tiles().filter(|tile| matches!(tile, Tile::Pane(pane) if *pane == panel)).count();
        let reachable = {
            let mut seen = Vec::new();
            let mut open: Vec<TileId> = self.tree.root().into_iter().collect();
            while let Some(tile) = open.pop() {
                match self.tree.tiles.get(tile) {
                    Some(Tile::Pane(panel)) => seen.push(*panel),
                    Some(Tile::Container(container)) if open.len() < 1000 => open.extend(container.children()),
                    _ => return false,
                }
            }
            seen
        };
        PanelKind::ALL.iter().all(|panel| count(*panel) == 1 && reachable.contains(panel))
    }

    /// Draws the panels.
    pub(crate) fn show(&mut self, ui: &mut Ui, tools: &mut Tools<'_>, state: &mut State) {
        let mut panes = Panes { tools, state };
        self.tree.ui(&mut panes, ui);
    }
}

/// The layout's name in the window's storage.
const STORAGE_KEY: &str = "dock";

/// Draws one panel at a time.
struct Panes<'a, 'b> {
    tools: &'a mut Tools<'b>,
    state: &'a mut State,
}

impl Panes<'_, '_> {
    fn theme(&self) -> &Theme {
        self.tools.theme
    }
}

impl Behavior<PanelKind> for Panes<'_, '_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, panel: &mut PanelKind) -> UiResponse {
        Frame::new().fill(self.theme().panel).inner_margin(Margin::symmetric(10, 6)).show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            panels::show(*panel, ui, self.tools, self.state);
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, panel: &PanelKind) -> WidgetText {
        let text = panels::tab_title(*panel, self.state);
        let urgency = panels::health::urgency(self.theme(), self.state).filter(|_| *panel == PanelKind::Health);
        urgency.map_or_else(|| text.as_str().into(), |color| egui::RichText::new(&text).color(color).into())
    }

    fn top_bar_right_ui(
        &mut self,
        tiles: &Tiles<PanelKind>,
        ui: &mut Ui,
        _tile: TileId,
        tabs: &egui_tiles::Tabs,
        _scroll_offset: &mut f32,
    ) {
        let Some(active) = tabs.active else { return };
        let Some(Tile::Pane(panel)) = tiles.get(active) else { return };
        let (panel, rect) = (*panel, tiles.rect(active));
        self.state.palette.panels.extend(rect.map(|rect| (panel, rect)));
        ui.add_space(6.0);
        let button = egui::Button::new("").frame(false).min_size(egui::vec2(20.0, 20.0));
        let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
            ui.set_min_width(180.0);
            let format = if panel == PanelKind::Experiment { "Copy as RON" } else { "Copy as CSV" };
            if ui.button(format).clicked() {
                panels::as_text(panel, self.tools, self.state).put(ui.ctx());
            }
            let hint = "The panel as SVG and PNG in the run folder's figures";
            if let Some(rect) = rect
                && ui.button("Save picture").on_hover_text(hint).clicked()
            {
                self.state.wishes.push(Wish::SavePicture(panel, rect));
            }
        });
        marks::paint_more(ui, &response);
        let name = format!("More about {}", panel.title().to_lowercase());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name.clone()));
        response.on_hover_text("Copy what the panel shows, or save a picture of it");
    }

    fn tab_bar_height(&self, _style: &egui::Style) -> f32 {
        TAB_HEIGHT
    }

    fn min_size(&self) -> f32 {
        90.0
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..SimplificationOptions::default() }
    }

    fn tab_bar_color(&self, _visuals: &Visuals) -> Color32 {
        self.theme().sunken
    }

    fn tab_bg_color(&self, _: &Visuals, _: &Tiles<PanelKind>, _: TileId, state: &TabState) -> Color32 {
        if state.active { self.theme().panel } else { Color32::TRANSPARENT }
    }

    fn tab_outline_stroke(&self, _: &Visuals, _: &Tiles<PanelKind>, _: TileId, _: &TabState) -> Stroke {
        Stroke::NONE
    }

    fn tab_text_color(&self, _: &Visuals, _: &Tiles<PanelKind>, _: TileId, state: &TabState) -> Color32 {
        if state.active { self.theme().text_strong } else { self.theme().text_weak }
    }

    fn drag_preview_color(&self, _visuals: &Visuals) -> Color32 {
        self.theme().selection.gamma_multiply(0.6)
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_survives_being_remembered_and_a_broken_one_is_replaced() {
        let dock = Dock::default();
        assert!(dock.is_whole());
        let text = ron::to_string(&dock).unwrap();
        let mut again: Dock = ron::from_str(&text).unwrap();
        assert_eq!(again.tree, dock.tree);
        assert!(again.is_whole());
        let groups = again.tree.tiles.find_pane(&PanelKind::Groups).unwrap();
        again.tree.tiles.remove(groups);
        assert!(!again.is_whole());
        assert!(!Dock { tree: Tree::empty(egui::Id::unique("dock")) }.is_whole());
    }

    #[test]
    fn a_panel_behind_others_is_brought_up() {
        let mut dock = Dock::default();
        dock.bring_up(PanelKind::Health);
        assert!(dock.is_up(PanelKind::Health));
        assert!(!dock.is_up(PanelKind::Curves));
        assert!(dock.is_up(PanelKind::Geometry));
    }
}
