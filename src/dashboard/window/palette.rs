//! The command palette: everything that the window can do, found by typing (Ctrl+K).

use crate::dashboard::kit::geometry;
use crate::dashboard::panel::draw;
use crate::dashboard::panel::{Panel, PanelContext};
use crate::dashboard::state::overlay::Overlay;
use crate::dashboard::state::pending::Request;
use crate::dashboard::state::run::State;
use crate::dashboard::window::dock::Dock;
use crate::dashboard::window::theme_button::change_theme;
use crate::run::{CosineKind, TrainerCommand};
use egui::{
    Align2, Area, Frame, Id, Key, Modifiers, Order, Rect, RichText, ScrollArea, TextEdit, Ui, vec2,
};

/// Width of the palette, points.
const WIDTH: f32 = 460.0;

/// Height of the list at most, points.
const LIST: f32 = 320.0;

/// What has been typed and chosen.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    /// Whether it is open.
    pub(crate) is_open: bool,
    text: String,
    chosen: usize,
}

/// Something that the palette can do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Request(Request),
    Command(TrainerCommand),
    Compare(CosineKind),
    Order(geometry::Order),
    Follow,
    First,
    Play,
    Event(i64),
    GoTo(u64),
    Keys,
    Theme,
    Copy(&'static str),
    Files(&'static str),
    Pin,
    Unpin,
}

impl Action {
    /// The key that does the same, if there is one.
    fn key(self, dock: &Dock) -> &'static str {
        match self {
            Self::Request(Request::ShowPanel(panel)) => {
                let digit = dock.digits().find(|(_, other)| other.key() == panel);
                digit.map_or("", |(digit, _)| digit.name())
            }
            Self::Command(TrainerCommand::Pause | TrainerCommand::Resume) => "Ctrl+Space",
            Self::Follow => "End",
            Self::First => "Home",
            Self::Play => "Space",
            Self::Event(by) => {
                if by > 0 {
                    ">"
                } else {
                    "<"
                }
            }
            Self::Keys => "?",
            Self::Unpin => "Escape",
            _ => "",
        }
    }
}

/// What can be taken out of the window and held in it, in words.
fn of_panels(state: &State, dock: &Dock) -> Vec<(String, Action)> {
    let word = |panel: &dyn Panel| panel.title().to_lowercase();
    let copy = |panel: &dyn Panel| {
        (format!("Copy {} as {}", word(panel), panel.format().name()), Action::Copy(panel.key()))
    };
    let save = |&(key, rect): &(&'static str, Rect)| {
        let panel = dock.panels().find(|panel| panel.key() == key)?;
        Some((
            format!("Save a picture of {}", word(panel)),
            Action::Request(Request::SavePicture(key, rect)),
        ))
    };
    let files = |panel: &dyn Panel| {
        Some((format!("Export {}", panel.files()?), Action::Files(panel.key())))
    };
    let mut actions: Vec<_> =
        dock.panels().map(copy).chain(dock.visible().iter().filter_map(save)).collect();
    actions.extend(dock.panels().filter_map(files));
    if state.selection.pinned.is_some() {
        actions.push(("Let go of the pinned pair".to_owned(), Action::Unpin));
    } else if state.cursor.shown_step().is_some() {
        actions.push(("Pin the pair that is shown".to_owned(), Action::Pin));
    }
    actions
}

/// What can be done now, in words.
fn actions(state: &State, dock: &Dock) -> Vec<(String, Action)> {
    use geometry::Order;
    let show = |panel: &dyn Panel| {
        (
            format!("Show {}", panel.title().to_lowercase()),
            Action::Request(Request::ShowPanel(panel.key())),
        )
    };
    let mut actions: Vec<(String, Action)> = dock.panels().map(show).collect();
    let commands = [
        ("Pause training", TrainerCommand::Pause),
        ("Resume training", TrainerCommand::Resume),
        ("Run one step", TrainerCommand::StepOnce),
        ("Write a checkpoint", TrainerCommand::Checkpoint),
        ("Stop training", TrainerCommand::Stop),
    ];
    let allowed = commands.into_iter().filter(|(_, command)| state.allows(*command));
    actions.extend(allowed.map(|(name, command)| (name.to_owned(), Action::Command(command))));
    for (name, compared) in [
        ("Compare features (gradient directions)", CosineKind::Feature),
        ("Compare embeddings (semantic)", CosineKind::Semantic),
        ("Compare parameter gradients", CosineKind::Parameter),
        ("Compare hidden states", CosineKind::Hidden),
    ] {
        if state.has(compared) {
            actions.push((name.to_owned(), Action::Compare(compared)));
        }
    }
    for (name, order) in
        [("index", Order::Index), ("reward", Order::Reward), ("cluster", Order::Cluster)]
    {
        actions.push((format!("Order by {name}"), Action::Order(order)));
    }
    actions.push(("Follow the newest step".to_owned(), Action::Follow));
    actions.push(("Go to the first step".to_owned(), Action::First));
    actions.push(("Play the steps".to_owned(), Action::Play));
    actions.push(("Go to the next event".to_owned(), Action::Event(1)));
    actions.push(("Go to the event before".to_owned(), Action::Event(-1)));
    actions.push(("Reset the layout".to_owned(), Action::Request(Request::ResetLayout)));
    actions.extend(of_panels(state, dock));
    actions.push(("Change the theme between dark and light".to_owned(), Action::Theme));
    actions.push(("Show the keys".to_owned(), Action::Keys));
    actions
}

/// The actions whose words contain every typed word; a number goes to that step.
fn matching(state: &State, dock: &Dock, text: &str) -> Vec<(String, Action)> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(String, Action)> = actions(state, dock)
        .into_iter()
        .filter(|(name, _)| words.iter().all(|word| name.to_lowercase().contains(word)))
        .collect();
    let number = words.iter().find_map(|word| word.parse::<u64>().ok());
    if let Some(step) = number.filter(|step| (1..=state.cursor.newest()).contains(step)) {
        found.insert(0, (format!("Go to step {step}"), Action::GoTo(step)));
    }
    found
}

/// Draws the palette where it is open, and acts on what is chosen.
pub(crate) fn show(
    ui: &Ui,
    cx: &PanelContext<'_>,
    state: &mut State,
    dock: &mut Dock,
    palette: &mut Palette,
) {
    let ctx = ui.ctx();
    if ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::K)) {
        *palette = Palette { is_open: !palette.is_open, ..Palette::default() };
    }
    if !palette.is_open {
        return;
    }
    let theme = cx.theme;
    let found = matching(state, dock, &palette.text);
    let (down, up, enter, escape) = ctx.input_mut(|input| {
        let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
        (pressed(Key::ArrowDown), pressed(Key::ArrowUp), pressed(Key::Enter), pressed(Key::Escape))
    });
    let mut chosen = palette.chosen.min(found.len().saturating_sub(1));
    if down {
        chosen = (chosen + 1).min(found.len().saturating_sub(1));
    }
    if up {
        chosen = chosen.saturating_sub(1);
    }
    let mut done = None;
    let area = Area::new(Id::unique("palette"))
        .order(Order::Foreground)
        .anchor(Align2::CENTER_TOP, vec2(0.0, 96.0));
    let shown = area.show(ctx, |ui| {
        Frame::popup(ui.style()).show(ui, |ui| {
            ui.set_width(WIDTH);
            let field = TextEdit::singleline(&mut palette.text)
                .hint_text("What to do, or a step's number")
                .desired_width(f32::INFINITY);
            let response = ui.add(field).accessible_name("Command");
            response.request_focus();
            if response.changed() {
                chosen = 0;
            }
            // As high as what is found needs, whatever the list showed before.
            ScrollArea::vertical().max_height(LIST).min_scrolled_height(LIST).show(ui, |ui| {
                for (place, (name, action)) in found.iter().enumerate() {
                    let text = RichText::new(name).color(if place == chosen {
                        theme.text_strong
                    } else {
                        theme.text
                    });
                    let response = ui.add_sized(
                        vec2(ui.available_width(), 22.0),
                        egui::Button::selectable(place == chosen, text).right_text(
                            RichText::new(action.key(dock)).small().color(theme.text_weak),
                        ),
                    );
                    if place == chosen && (down || up) {
                        response.scroll_to_me(None);
                    }
                    if response.clicked() {
                        done = Some(*action);
                    }
                }
                if found.is_empty() {
                    ui.label(RichText::new("Nothing does that").color(theme.text_weak));
                }
            });
        });
    });
    // What lies behind neither answers nor explains itself over it.
    ctx.memory_mut(|memory| memory.set_modal_layer(shown.response.layer_id));
    palette.chosen = chosen;
    if enter {
        done = found.get(chosen).map(|(_, action)| *action);
    }
    if escape || done.is_some() {
        *palette = Palette::default();
    }
    if let Some(action) = done {
        act(ctx, cx, state, dock, action);
    }
}

fn act(
    ctx: &egui::Context,
    cx: &PanelContext<'_>,
    state: &mut State,
    dock: &mut Dock,
    action: Action,
) {
    match action {
        Action::Request(request) => state.pending.request(request),
        Action::Command(TrainerCommand::Stop) => state.overlay = Overlay::Stop,
        Action::Command(command) => state.pending.ask(command),
        Action::Compare(compared) => state.choices.comparison = compared,
        Action::Order(order) => state.choices.order = order,
        Action::Follow => state.cursor.set_follow(true),
        Action::First => state.cursor.move_to(1),
        Action::Play => state.cursor.toggle_playing(),
        Action::Event(by) => state.jump_to_event(by),
        Action::GoTo(step) => state.cursor.move_to(step),
        Action::Keys => state.overlay = Overlay::Keys,
        Action::Theme => change_theme(ctx),
        Action::Copy(key) => {
            if let Some(panel) = dock.panel(key) {
                draw::copy(panel, cx, state).put(ctx);
            }
        }
        Action::Files(key) => {
            if let Some(panel) = dock.panel(key) {
                panel.write_files(ctx, cx, state);
            }
        }
        Action::Pin => {
            if let Some((pair, _)) = state.pair() {
                state.pin(pair);
            }
        }
        Action::Unpin => state.selection.unpin(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::panels;
    use crate::dashboard::tests::testing;

    #[test]
    fn words_find_actions_and_a_number_finds_a_step() {
        let state = State::new(testing::snapshot(20, 2, 4));
        let dock = Dock::new(panels::all(), None).unwrap();
        let names = |text: &str| {
            matching(&state, &dock, text).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names("show HEALTH"), ["Show health"]);
        assert_eq!(names("order clus"), ["Order by cluster"]);
        assert_eq!(matching(&state, &dock, "12")[0].1, Action::GoTo(12));
        assert!(names("21").is_empty(), "there is no step 21 yet");
        assert!(names("resume").is_empty(), "the run is not paused");
        assert_eq!(names("theme"), ["Change the theme between dark and light"]);
        assert_eq!(names("export"), ["Export the curves as CSV, SVG and PNG"]);
        assert_eq!(names("pin"), ["Pin the pair that is shown"]);
        assert_eq!(names("copy experi"), ["Copy experiment as RON"]);
        assert!(names("save").is_empty(), "no panel is on the screen");
        let key = |panel| Action::Request(Request::ShowPanel(panel)).key(&dock);
        assert_eq!((key("groups"), key("experiment"), key("other")), ("1", "8", ""));
    }
}
