//! The dock: every panel is a tab that can be dragged anywhere; the layout is remembered.

use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panel::{self, Panel, PanelContext, draw};
use crate::dashboard::state::pending::Request;
use crate::dashboard::state::run::State;
use crate::dashboard::window::layout::Layout;
use crate::error::Result;
use egui::{Color32, Frame, Key, Margin, Rect, Stroke, Ui, Visuals, WidgetText};
use egui_tiles::{Behavior, SimplificationOptions, TabState, Tile, TileId, Tiles, UiResponse};

/// Height of the line of tabs, points.
const TAB_HEIGHT: f32 = 24.0;

/// The keys of the first panels. Further ones have none: they are found in the palette.
const DIGITS: [Key; 9] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
];

/// The panels, and where they are.
pub(crate) struct Dock {
    panels: Vec<Box<dyn Panel>>,
    layout: Layout,
    /// Panels that are on the screen, by their keys, and where.
    visible: Vec<(&'static str, Rect)>,
}

impl Dock {
    /// `panels` in the layout that `storage` remembers; otherwise in the first layout. Refuses
    /// panels that cannot be told apart.
    pub(crate) fn new(
        panels: Vec<Box<dyn Panel>>,
        storage: Option<&dyn eframe::Storage>,
    ) -> Result<Self> {
        panel::check_names(&panels)?;
        let layout = Layout::remembered(&panels, storage);
        Ok(Self { layout, panels, visible: Vec::new() })
    }

    /// `panels` in a layout in which every one of them can be seen.
    #[cfg(test)]
    pub(crate) fn spread(panels: Vec<Box<dyn Panel>>) -> Self {
        Self { layout: Layout::spread(&panels), panels, visible: Vec::new() }
    }

    /// Writes the layout to `storage`.
    pub(crate) fn remember(&self, storage: &mut dyn eframe::Storage) {
        self.layout.remember(storage);
    }

    /// Brings back the first layout.
    pub(crate) fn reset(&mut self) {
        self.layout = Layout::first(&self.panels);
    }

    /// Brings the panel of that key to the front of its tabs.
    pub(crate) fn bring_up(&mut self, key: &str) {
        self.layout.bring_up(key);
    }

    /// All panels in reading order.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &dyn Panel> {
        self.panels.iter().map(AsRef::as_ref)
    }

    /// The first of them, each with the key that brings it up.
    pub(crate) fn digits(&self) -> impl Iterator<Item = (Key, &dyn Panel)> {
        DIGITS.into_iter().zip(self.panels())
    }

    /// The panel of that key.
    pub(crate) fn panel(&mut self, key: &str) -> Option<&mut dyn Panel> {
        find(&mut self.panels, key)
    }

    /// Panels that are on the screen, by their keys, and where.
    pub(crate) fn visible(&self) -> &[(&'static str, Rect)] {
        &self.visible
    }

    /// Lets every panel bring up to date what it needs.
    pub(crate) fn prepare(&mut self, run: &mut State, others: &mut [&mut State]) {
        self.panels.iter_mut().for_each(|panel| panel.prepare(run, others));
    }

    /// Draws the panels.
    pub(crate) fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        let Self { panels, layout, visible } = self;
        visible.clear();
        layout.tree.ui(&mut Panes { panels, visible, cx, run }, ui);
    }

    /// Whether a panel can be seen.
    #[cfg(test)]
    pub(crate) fn is_up(&self, key: &str) -> bool {
        let tree = &self.layout.tree;
        tree.tiles
            .find_pane(&key.to_owned())
            .is_some_and(|tile| tree.active_tiles().contains(&tile))
    }
}

fn find<'a>(panels: &'a mut [Box<dyn Panel>], key: &str) -> Option<&'a mut dyn Panel> {
    let panel = panels.iter_mut().find(|panel| panel.key() == key)?;
    Some(panel.as_mut())
}

/// Draws one panel at a time.
struct Panes<'a, 'b> {
    panels: &'a mut [Box<dyn Panel>],
    visible: &'a mut Vec<(&'static str, Rect)>,
    cx: &'a mut PanelContext<'b>,
    run: &'a mut State,
}

impl Panes<'_, '_> {
    fn theme(&self) -> &Theme {
        self.cx.theme
    }
}

impl Behavior<String> for Panes<'_, '_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, key: &mut String) -> UiResponse {
        Frame::new().fill(self.theme().panel).inner_margin(Margin::symmetric(10, 6)).show(
            ui,
            |ui| {
                ui.set_min_size(ui.available_size());
                if let Some(panel) = find(self.panels, key) {
                    draw::show(panel, ui, self.cx, self.run);
                }
            },
        );
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, key: &String) -> WidgetText {
        let Some(panel) = find(self.panels, key) else { return key.as_str().into() };
        let Some(badge) = panel.badge(self.cx.theme, self.run) else { return panel.title().into() };
        let text = format!("{} {}", panel.title(), badge.count);
        match badge.color {
            Some(color) => egui::RichText::new(text).color(color).into(),
            None => text.into(),
        }
    }

    fn top_bar_right_ui(
        &mut self,
        tiles: &Tiles<String>,
        ui: &mut Ui,
        _tile: TileId,
        tabs: &egui_tiles::Tabs,
        _scroll_offset: &mut f32,
    ) {
        let Some(active) = tabs.active else { return };
        let Some(Tile::Pane(key)) = tiles.get(active) else { return };
        let Some(panel) = find(self.panels, key) else { return };
        let rect = tiles.rect(active);
        self.visible.extend(rect.map(|rect| (panel.key(), rect)));
        ui.add_space(6.0);
        menu(ui, panel, rect, self.cx, self.run);
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

    fn tab_bg_color(&self, _: &Visuals, _: &Tiles<String>, _: TileId, state: &TabState) -> Color32 {
        if state.active { self.theme().panel } else { Color32::TRANSPARENT }
    }

    fn tab_outline_stroke(
        &self,
        _: &Visuals,
        _: &Tiles<String>,
        _: TileId,
        _: &TabState,
    ) -> Stroke {
        Stroke::NONE
    }

    fn tab_text_color(
        &self,
        _: &Visuals,
        _: &Tiles<String>,
        _: TileId,
        state: &TabState,
    ) -> Color32 {
        if state.active { self.theme().text_strong } else { self.theme().text_weak }
    }

    fn drag_preview_color(&self, _visuals: &Visuals) -> Color32 {
        self.theme().selection.gamma_multiply(0.6)
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        2.0
    }
}

/// What can be taken out of a panel, which is at `rect`.
fn menu(
    ui: &mut Ui,
    panel: &mut dyn Panel,
    rect: Option<Rect>,
    cx: &PanelContext<'_>,
    run: &mut State,
) {
    let button = egui::Button::new("").frame(false).min_size(egui::vec2(20.0, 20.0));
    let (response, _) = egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
        ui.set_min_width(180.0);
        if ui.button(format!("Copy as {}", panel.format().name())).clicked() {
            draw::copy(panel, cx, run).put(ui.ctx());
        }
        let hint = "The panel as SVG and PNG in the run folder's figures";
        if let Some(rect) = rect
            && ui.button("Save picture").on_hover_text(hint).clicked()
        {
            run.pending.request(Request::SavePicture(panel.key(), rect));
        }
    });
    marks::paint_more(ui, &response);
    let name = format!("More about {}", panel.title().to_lowercase());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name.clone()));
    response.on_hover_text("Copy what the panel shows, or save a picture of it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::panels;

    #[test]
    fn a_panel_behind_others_is_brought_up() {
        let mut dock = Dock::new(panels::all(), None).unwrap();
        dock.bring_up("health");
        assert!(dock.is_up("health"));
        assert!(!dock.is_up("curves"));
        assert!(dock.is_up("geometry"));
    }
}
