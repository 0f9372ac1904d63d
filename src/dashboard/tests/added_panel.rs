//! A panel that nobody but this file knows, in the window beside the others.

use crate::dashboard::kit::theme::Theme;
use crate::dashboard::panel::{self, Badge, Needs, Panel, PanelContext, Table};
use crate::dashboard::panels;
use crate::dashboard::state::run::State;
use crate::dashboard::tests::testing::{self, Window};
use crate::dashboard::window::dock::Dock;
use crate::run::RunSnapshot;
use egui::accesskit::Role;
use egui::{Key, Modifiers, Ui};
use egui_kittest::kittest::Queryable;
use std::sync::Arc;

/// Counts clicks, for all runs and for each of them, and knows the other open runs.
#[derive(Default)]
struct Tally {
    clicks: usize,
}

/// Clicks while one run was shown.
#[derive(Clone, Default)]
struct OfRun(usize);

impl Panel for Tally {
    fn key(&self) -> &'static str {
        "tally"
    }

    fn title(&self) -> &'static str {
        "Tally"
    }

    fn needs(&self) -> Needs {
        Needs::Metrics
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State) {
        let OfRun(mut own) = run.notes.get();
        if ui.button("Count").clicked() {
            self.clicks += 1;
            own += 1;
        }
        run.notes.set(OfRun(own));
        let others: Vec<&str> = cx.others.iter().map(|other| other.snapshot.info.name()).collect();
        ui.label(format!("{} clicks, {own} here, beside {}", self.clicks, others.join(" and ")));
    }

    fn as_table(&mut self, cx: &PanelContext<'_>, run: &mut State) -> Table {
        let runs = std::iter::once(&*run).chain(cx.others.iter().copied());
        let lines =
            runs.map(|run| format!("{},{}\n", run.snapshot.info.name(), run.cursor.newest()));
        Table {
            text: format!("run,step\n{}", lines.collect::<String>()),
            what: "the tally".to_owned(),
        }
    }

    fn badge(&self, _theme: &Theme, run: &State) -> Option<Badge> {
        let OfRun(count) = run.notes.get();
        (count > 0).then_some(Badge { count, color: None })
    }
}

/// A panel of which nothing but its key and its title is known.
struct Plain {
    key: &'static str,
    title: &'static str,
}

impl Panel for Plain {
    fn key(&self) -> &'static str {
        self.key
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut PanelContext<'_>, _: &mut State) {
        ui.label(format!("this is {}", self.key));
    }

    fn as_table(&mut self, _: &PanelContext<'_>, _: &mut State) -> Table {
        Table { text: "a\n1\n".to_owned(), what: self.key.to_owned() }
    }
}

fn named(name: &str, steps: u64) -> RunSnapshot {
    let info = testing::info_with(name, 0);
    let info = Arc::new(crate::run::RunInfo { directory: format!("runs/{name}").into(), ..info });
    RunSnapshot { info, ..testing::snapshot(steps, 2, 4) }
}

/// The panels of the program, then these.
fn with(added: Vec<Box<dyn Panel>>) -> Vec<Box<dyn Panel>> {
    panels::all().into_iter().chain(added).collect()
}

fn window(own: RunSnapshot, others: Vec<RunSnapshot>) -> Window {
    Window::open_with(own, others, || with(vec![Box::new(Tally::default())]))
}

/// Two more than have keys.
fn eleven() -> Vec<Box<dyn Panel>> {
    with(vec![
        Box::new(Tally::default()),
        Box::new(Plain { key: "tenth", title: "Tenth" }),
        Box::new(Plain { key: "eleventh", title: "Eleventh" }),
    ])
}

#[test]
fn panels_beyond_the_ninth_have_no_key_and_everything_else() {
    assert_eq!(panel::named(&eleven(), "TENTH"), Some("tenth"), "as `--panel` takes it");
    let dock = Dock::new(eleven(), None).unwrap();
    let digits: Vec<(&str, &str)> =
        dock.digits().map(|(digit, panel)| (digit.name(), panel.key())).collect();
    assert_eq!((digits.len(), digits[0], digits[8]), (9, ("1", "groups"), ("9", "tally")));
    let mut window = Window::open_with(named("first", 20), Vec::new(), eleven);
    assert!(window.has("Tenth") && window.has("Eleventh") && !window.has("this is"));
    for key in [Key::Num0, Key::Num9] {
        window.press(Modifiers::NONE, key);
        assert!(!window.has("this is"));
    }
    window.press(Modifiers::COMMAND, Key::K);
    window.harness.get_by_role_and_label(Role::TextInput, "Command").type_text("show tenth");
    window.settle();
    assert!(window.has("Show tenth") && !window.has("Show eleventh"));
    window.press(Modifiers::NONE, Key::Enter);
    assert!(window.has("this is tenth"));
    assert_eq!(window.copied("tenth", "Copy as CSV"), "a\n1\n");
    window.harness.state_mut().bring_up("eleventh");
    window.settle();
    assert!(window.has("this is eleventh") && !window.has("this is tenth"));
    window.click("?");
    assert!(window.has("1 … 9") && window.has("experiment, tally"));
    assert!(!window.has("tally, tenth"), "keys are told of panels that have one");
}

#[test]
fn two_panels_that_cannot_be_told_apart_are_refused_with_both_names() {
    let refused = |key, title| {
        let panels = with(vec![Box::new(Tally::default()), Box::new(Plain { key, title })]);
        Dock::new(panels, None).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(
        refused("tally", "Count"),
        "the panels Tally and Count have the same key, `tally`; give one of them another key"
    );
    assert_eq!(
        refused("count", "TALLY"),
        "the panels `tally` and `count` have the same title, TALLY; give one of them another title"
    );
    assert_eq!(refused("count", "Count"), "");
}

#[test]
fn a_panel_that_is_added_is_in_the_dock_among_the_keys_and_in_the_palette() {
    let mut window = window(named("first", 20), vec![named("second", 30)]);
    assert!(window.has("Tally") && !window.has("clicks"), "its tab is there, behind another");
    window.press(Modifiers::NONE, Key::Num9);
    assert!(window.has("0 clicks, 0 here, beside second"));
    assert_eq!(window.copied("tally", "Copy as CSV"), "run,step\nfirst,20\nsecond,30\n");
    window.settle();
    assert!(window.has("copied: the tally as CSV"));
    window.press(Modifiers::COMMAND, Key::K);
    for entry in ["Show tally", "Copy tally as CSV", "Save a picture of tally"] {
        assert!(window.has(entry), "{entry}");
    }
    window.press(Modifiers::NONE, Key::Escape);
    window.click("?");
    assert!(window.has("1 … 9") && window.has("health, experiment, tally"));
}

#[test]
fn a_panel_keeps_what_is_its_own_and_what_is_of_a_run() {
    let mut window = window(named("first", 20), vec![named("second", 30)]);
    window.press(Modifiers::NONE, Key::Num9);
    window.click("Count");
    assert!(window.has("1 clicks, 1 here") && window.has("Tally 1"));
    window.click("second s0");
    assert!(window.has("1 clicks, 0 here, beside first") && !window.has("Tally 1"));
    window.click("Count");
    window.click("first s0");
    assert!(window.has("2 clicks, 1 here, beside second"));
}

#[test]
fn a_panel_is_not_asked_to_draw_what_it_lacks() {
    let mut window = window(named("first", 0), Vec::new());
    window.press(Modifiers::NONE, Key::Num9);
    assert!(window.has("The first finished step appears here.") && !window.has("clicks"));
    window.harness.get_by_label("More about tally").click();
    window.settle();
    window.click("Copy as CSV");
    assert!(window.has("nothing to copy: tally as CSV"));
}
