//! The keyboard: what keys do, and the list of them.

use crate::dashboard::panel::PanelContext;
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::pending::Request;
use crate::dashboard::state::run::State;
use crate::dashboard::window::dock::Dock;
use crate::dashboard::window::palette::Palette;
use egui::{Grid, Id, Key, Modifiers, Popup, RichText, Ui, Window};

/// What keys do, beside those that bring up panels.
const KEYS: [(&str, &str); 11] = [
    ("Arrow keys", "walk the matrix and pin the pair"),
    ("[  ]", "previous and next group"),
    (",  .", "one step back and one step on"),
    (
        "<  >",
        "the event before and the next: checkpoint, evaluation, warning, pause, changed setting",
    ),
    ("Home  End", "the first step; the newest, from now on"),
    ("Space", "play the steps, ten a second, or stop playing"),
    ("Escape", "let go of the pinned pair, close this list"),
    ("Ctrl+K", "find everything that the window can do"),
    ("Ctrl+Space", "pause and resume training"),
    ("L", "follow the newest step, or hold this one"),
    ("?", "this list"),
];

/// The line about these.
fn panel_keys(dock: &Dock) -> (String, String) {
    let titles: Vec<String> =
        dock.digits().map(|(_, panel)| panel.title().to_lowercase()).collect();
    (format!("1 … {}", titles.len()), format!("bring up {}", titles.join(", ")))
}

/// Acts on the keys pressed since the last frame. Not while a text is being edited.
pub(crate) fn handle(ui: &Ui, state: &mut State, dock: &Dock, palette: &Palette) {
    let is_typing = ui.ctx().text_edit_focused();
    // Escape has taken the keyboard from a text by now; it was meant for the text.
    let id = Id::unique("a text was being edited");
    let was_typing = ui.data(|data| data.get_temp(id)).unwrap_or(false);
    ui.data_mut(|data| {
        data.insert_temp(id, is_typing);
    });
    let has_left = was_typing && ui.input(|input| input.key_pressed(Key::Escape));
    // Lists and questions that lie over the panels have keys of their own.
    let is_covered =
        palette.is_open || state.overlay == Overlay::Stop || Popup::is_any_open(ui.ctx());
    if is_typing || has_left || is_covered {
        return;
    }
    let pressed =
        |modifiers: Modifiers, key: Key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if pressed(Modifiers::CTRL, Key::Space) {
        state.toggle_pause();
    }
    // `?` is a shifted key on most layouts, so the text it makes counts and not the key.
    if ui.input(|input| {
        input.events.iter().any(|event| matches!(event, egui::Event::Text(text) if text == "?"))
    }) {
        state.toggle_keys();
    }
    if pressed(Modifiers::NONE, Key::Escape) {
        if state.overlay == Overlay::Keys {
            state.overlay = Overlay::Nothing;
        } else {
            state.selection.unpin();
        }
    }
    for (key, rows, columns) in [
        (Key::ArrowUp, -1, 0),
        (Key::ArrowDown, 1, 0),
        (Key::ArrowLeft, 0, -1),
        (Key::ArrowRight, 0, 1),
    ] {
        if pressed(Modifiers::NONE, key) {
            state.walk_matrix(rows, columns);
        }
    }
    if pressed(Modifiers::NONE, Key::OpenBracket) {
        state.walk_groups(-1);
    }
    if pressed(Modifiers::NONE, Key::CloseBracket) {
        state.walk_groups(1);
    }
    for (key, by) in [(Key::Comma, -1), (Key::Period, 1)] {
        if pressed(Modifiers::SHIFT, key) {
            state.jump_to_event(by);
        }
        if pressed(Modifiers::NONE, key) {
            state.cursor.step_by(by);
        }
    }
    for (key, panel) in dock.digits() {
        if pressed(Modifiers::NONE, key) {
            state.pending.request(Request::ShowPanel(panel.key()));
        }
    }
    if pressed(Modifiers::NONE, Key::Home) {
        state.cursor.move_to(1);
    }
    if pressed(Modifiers::NONE, Key::End) {
        state.cursor.set_follow(true);
    }
    // A button that has the keyboard takes the space bar for itself.
    if ui.memory(|memory| memory.focused().is_none()) && pressed(Modifiers::NONE, Key::Space) {
        state.cursor.toggle_playing();
    }
    if pressed(Modifiers::NONE, Key::L) {
        state.cursor.set_follow(!state.cursor.follows());
    }
}

/// Draws the list of keys where it is open.
pub(crate) fn show(ui: &Ui, cx: &PanelContext<'_>, state: &mut State, dock: &Dock) {
    let mut open = state.overlay == Overlay::Keys;
    let window = Window::new("Keys").open(&mut open).collapsible(false).resizable(false);
    window.anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO).show(ui.ctx(), |ui| {
        Grid::new("keys").num_columns(2).spacing([24.0, 6.0]).show(ui, |ui| {
            let mut lines = KEYS.map(|(key, what)| (key.to_owned(), what.to_owned())).to_vec();
            lines.insert(KEYS.len() - 3, panel_keys(dock));
            for (key, what) in lines {
                ui.label(RichText::new(key).monospace().color(cx.theme.text_strong));
                ui.label(what);
                ui.end_row();
            }
        });
    });
    if !open && state.overlay == Overlay::Keys {
        state.overlay = Overlay::Nothing;
    }
}
