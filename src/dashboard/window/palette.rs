//! The command palette: everything that the window can do, found by typing (Ctrl+K).

use crate::dashboard::panels::Tools;
use crate::dashboard::state::run::{Over, State, Wish};
use crate::dashboard::window::dock::PanelKind;
use crate::run::{CosineKind, TrainerCommand};
use egui::{Align2, Area, Frame, Id, Key, Modifiers, Order, Rect, RichText, ScrollArea, TextEdit, Ui, vec2};

/// Width of the palette, points.
const WIDTH: f32 = 460.0;

/// Height of the list at most, points.
const LIST: f32 = 320.0;

/// What has been typed and chosen.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    /// Whether it is open.
    pub(crate) is_open: bool,
    /// Panels that are on the screen, and where: the dock says so in each frame.
    pub(crate) panels: Vec<(PanelKind, Rect)>,
    text: String,
    chosen: usize,
}

/// Something that the palette can do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Wish(Wish),
    Command(TrainerCommand),
    Compare(CosineKind),
    Order(crate::dashboard::kit::geometry::Order),
    Follow,
    First,
    Play,
    Event(i64),
    GoTo(u64),
    Keys,
    Theme,
    Copy(PanelKind),
    ExportCurves,
    Pin,
    Unpin,
}

impl Action {
    /// The key that does the same.
    fn key(self) -> &'static str {
        match self {
            Self::Wish(Wish::ShowPanel(panel)) => {
                const KEYS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];
                PanelKind::ALL.iter().position(|other| *other == panel).map_or("", |place| KEYS[place])
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

/// What can be taken out of the window and held in it, in words; `panels` are on the screen.
fn of_panels(state: &State, panels: &[(PanelKind, Rect)]) -> Vec<(String, Action)> {
    let copy = |&panel: &PanelKind| {
        let format = if panel == PanelKind::Experiment { "RON" } else { "CSV" };
        (format!("Copy {} as {format}", panel.title().to_lowercase()), Action::Copy(panel))
    };
    let save = |&(panel, rect): &(PanelKind, Rect)| {
        let name = format!("Save a picture of {}", panel.title().to_lowercase());
        (name, Action::Wish(Wish::SavePicture(panel, rect)))
    };
    let mut actions: Vec<_> = PanelKind::ALL.iter().map(copy).chain(panels.iter().map(save)).collect();
    actions.push(("Export the curves as CSV, SVG and PNG".to_owned(), Action::ExportCurves));
    if state.pinned.is_some() {
        actions.push(("Let go of the pinned pair".to_owned(), Action::Unpin));
    } else if state.shown_step().is_some() {
        actions.push(("Pin the pair that is shown".to_owned(), Action::Pin));
    }
    actions
}

/// What can be done now, in words.
fn actions(state: &State, panels: &[(PanelKind, Rect)]) -> Vec<(String, Action)> {
    use crate::dashboard::kit::geometry::Order;
    let mut actions: Vec<(String, Action)> = PanelKind::ALL
        .iter()
        .map(|&panel| (format!("Show {}", panel.title().to_lowercase()), Action::Wish(Wish::ShowPanel(panel))))
        .collect();
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
    ] {
        if state.has(compared) {
            actions.push((name.to_owned(), Action::Compare(compared)));
        }
    }
    for (name, order) in [("index", Order::Index), ("reward", Order::Reward), ("cluster", Order::Cluster)] {
        actions.push((format!("Order by {name}"), Action::Order(order)));
    }
    actions.push(("Follow the newest step".to_owned(), Action::Follow));
    actions.push(("Go to the first step".to_owned(), Action::First));
    actions.push(("Play the steps".to_owned(), Action::Play));
    actions.push(("Go to the next event".to_owned(), Action::Event(1)));
    actions.push(("Go to the event before".to_owned(), Action::Event(-1)));
    actions.push(("Reset the layout".to_owned(), Action::Wish(Wish::ResetLayout)));
    actions.extend(of_panels(state, panels));
    actions.push(("Change the theme between dark and light".to_owned(), Action::Theme));
    actions.push(("Show the keys".to_owned(), Action::Keys));
    actions
}

/// The actions whose words contain every typed word; a number goes to that step.
fn matching(state: &State, panels: &[(PanelKind, Rect)], text: &str) -> Vec<(String, Action)> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(String, Action)> = actions(state, panels)
        .into_iter()
        .filter(|(name, _)| words.iter().all(|word| name.to_lowercase().contains(word)))
        .collect();
    let number = words.iter().find_map(|word| word.parse::<u64>().ok());
    if let Some(step) = number.filter(|step| (1..=state.newest_step()).contains(step)) {
        found.insert(0, (format!("Go to step {step}"), Action::GoTo(step)));
    }
    found
}

/// Draws the palette where it is open, and acts on what is chosen.
pub(crate) fn show(ui: &Ui, tools: &Tools<'_>, state: &mut State) {
    let ctx = ui.ctx();
    let panels = std::mem::take(&mut state.palette.panels);
    if ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::K)) {
        state.palette = Palette { is_open: !state.palette.is_open, ..Palette::default() };
    }
    if !state.palette.is_open {
        return;
    }
    let theme = tools.theme;
    let found = matching(state, &panels, &state.palette.text);
    let (down, up, enter, escape) = ctx.input_mut(|input| {
        let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
        (pressed(Key::ArrowDown), pressed(Key::ArrowUp), pressed(Key::Enter), pressed(Key::Escape))
    });
    let mut chosen = state.palette.chosen.min(found.len().saturating_sub(1));
    if down {
        chosen = (chosen + 1).min(found.len().saturating_sub(1));
    }
    if up {
        chosen = chosen.saturating_sub(1);
    }
    let mut done = None;
    let area = Area::new(Id::unique("palette")).order(Order::Foreground).anchor(Align2::CENTER_TOP, vec2(0.0, 96.0));
    area.show(ctx, |ui| {
        Frame::popup(ui.style()).show(ui, |ui| {
            ui.set_width(WIDTH);
            let field = TextEdit::singleline(&mut state.palette.text)
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
                    let text = RichText::new(name).color(if place == chosen { theme.text_strong } else { theme.text });
                    let response = ui.add_sized(
                        vec2(ui.available_width(), 22.0),
                        egui::Button::selectable(place == chosen, text)
                            .right_text(RichText::new(action.key()).small().color(theme.text_weak)),
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
    state.palette.chosen = chosen;
    if enter {
        done = found.get(chosen).map(|(_, action)| *action);
    }
    if escape || done.is_some() {
        state.palette = Palette::default();
    }
    if let Some(action) = done {
        act(ctx, tools, state, action);
    }
}

fn act(ctx: &egui::Context, tools: &Tools<'_>, state: &mut State, action: Action) {
    match action {
        Action::Wish(wish) => state.wishes.push(wish),
        Action::Command(TrainerCommand::Stop) => state.over = Over::Stop,
        Action::Command(command) => state.ask(command),
        Action::Compare(compared) => state.comparison = compared,
        Action::Order(order) => state.order = order,
        Action::Follow => state.set_follow(true),
        Action::First => state.move_to(1),
        Action::Play => state.toggle_playing(),
        Action::Event(by) => state.jump_to_event(by),
        Action::GoTo(step) => state.move_to(step),
        Action::Keys => state.over = Over::Keys,
        Action::Theme => crate::dashboard::window::run_bar::change_theme(ctx),
        Action::Copy(panel) => crate::dashboard::panels::as_text(panel, tools, state).put(ctx),
        Action::ExportCurves => crate::dashboard::panels::curves::export_curves(ctx, tools, state),
        Action::Pin => {
            let shown = state.geometry().and_then(|geometry| state.pair(&geometry));
            if let Some((pair, _)) = shown {
                state.pin(pair);
            }
        }
        Action::Unpin => state.unpin(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::testing;

    #[test]
    fn words_find_actions_and_a_number_finds_a_step() {
        let state = State::new(testing::snapshot(20, 2, 4));
        let names = |text: &str| matching(&state, &[], text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("show HEALTH"), ["Show health"]);
        assert_eq!(names("order clus"), ["Order by cluster"]);
        assert_eq!(matching(&state, &[], "12")[0].1, Action::GoTo(12));
        assert!(names("21").is_empty(), "there is no step 21 yet");
        assert!(names("resume").is_empty(), "the run is not paused");
        assert_eq!(names("theme"), ["Change the theme between dark and light"]);
        assert_eq!(names("export"), ["Export the curves as CSV, SVG and PNG"]);
        assert_eq!(names("pin"), ["Pin the pair that is shown"]);
        assert_eq!(names("copy experi"), ["Copy experiment as RON"]);
        assert!(names("save").is_empty(), "no panel is on the screen");
        let panels = [(PanelKind::Curves, Rect::EVERYTHING)];
        assert_eq!(matching(&state, &panels, "save")[0].0, "Save a picture of curves");
    }
}
