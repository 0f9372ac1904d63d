//! What a panel is, and what it draws with.
//!
//! A panel is a type of its own, in a file of its own, with whatever it has to remember. There is
//! one of each in the window, whichever run is shown; what it keeps about one run goes into
//! [`State::notes`]. Panels know nothing of each other. What one of them changes for the others
//! stands in the [`State`].

pub(crate) mod draw;
mod placeholder;
pub(crate) mod time_axis;
pub(crate) mod traces;

use crate::dashboard::kit::textures::Textures;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::state::run::State;
use crate::error::{Error, Result};
use egui::{Color32, Ui};

/// What panels draw with.
pub(crate) struct PanelContext<'a> {
    /// Colours.
    pub(crate) theme: &'a Theme,
    /// Colours of what is exported.
    pub(crate) light: &'a Theme,
    /// Matrices as textures.
    pub(crate) textures: &'a mut Textures,
    /// The other open runs.
    pub(crate) others: &'a [&'a State],
}

/// Where a panel stands in the first layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// At the left.
    Left,
    /// In the middle.
    Middle,
    /// At the right.
    Right,
    /// Below these, over the whole width.
    Below,
}

/// What must be there before a panel is drawn. Where it is not, `placeholder` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A run, as there always is.
    Run,
    /// The metrics of a step.
    Metrics,
    /// The rollouts of the step at the cursor, or of an earlier one while these are being read.
    Step,
    /// A group of them.
    Group,
}

/// What is copied of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table.
    Csv,
    /// An experiment.
    Ron,
}

impl Format {
    /// As it stands in menus.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Ron => "RON",
        }
    }
}

/// What a panel shows, as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The text; empty where there is nothing to copy.
    pub(crate) text: String,
    /// What it is, such as `16 x 16 cosines of group 3`.
    pub(crate) what: String,
}

/// How much there is to look at in a panel, for its tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Badge {
    /// How many things.
    pub(crate) count: usize,
    /// The colour of the tab, where it is to be noticed.
    pub(crate) color: Option<Color32>,
}

/// A panel of the dock. [`panels::all`](crate::dashboard::panels::all) lists them.
pub(crate) trait Panel {
    /// Its name in saved layouts and on the command line: in lower case, and it never changes.
    fn key(&self) -> &'static str;

    /// What stands on its tab.
    fn title(&self) -> &'static str;

    /// Where it stands in the first layout.
    fn home(&self) -> Home {
        Home::Below
    }

    /// What must be there before it is drawn.
    fn needs(&self) -> Needs {
        Needs::Run
    }

    /// Whether this is where the window says at length why a step has nothing to show.
    fn explains_absence(&self) -> bool {
        false
    }

    /// Brings up to date what it needs of the shown run and of the others. Called once a frame,
    /// though it may not be seen.
    fn prepare(&mut self, _run: &mut State, _others: &mut [&mut State]) {}

    /// Draws it.
    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, run: &mut State);

    /// What is copied of it.
    fn format(&self) -> Format {
        Format::Csv
    }

    /// What it shows, as text in that format.
    fn as_table(&mut self, cx: &PanelContext<'_>, run: &mut State) -> Table;

    /// How much there is to look at.
    fn badge(&self, _theme: &Theme, _run: &State) -> Option<Badge> {
        None
    }

    /// What it can write into the run folder's figures beside its picture, in words such as `the
    /// curves as CSV, SVG and PNG`.
    fn files(&self) -> Option<&'static str> {
        None
    }

    /// Writes these.
    fn write_files(&mut self, _ctx: &egui::Context, _cx: &PanelContext<'_>, _run: &mut State) {}
}

/// The key of the panel of that title, in lower or upper case.
pub(crate) fn named(panels: &[Box<dyn Panel>], title: &str) -> Option<&'static str> {
    panels.iter().find(|panel| panel.title().eq_ignore_ascii_case(title)).map(|panel| panel.key())
}

/// Refuses two panels with one key or one title: nobody could say which of them is meant.
pub(crate) fn check_names(panels: &[Box<dyn Panel>]) -> Result<()> {
    for (place, panel) in panels.iter().enumerate() {
        let (key, title) = (panel.key(), panel.title());
        for other in &panels[..place] {
            if other.key() == key {
                return Err(Error::failed(format!(
                    "the panels {} and {title} have the same key, `{key}`; give one of them \
                     another key",
                    other.title()
                )));
            }
            if other.title().eq_ignore_ascii_case(title) {
                return Err(Error::failed(format!(
                    "the panels `{}` and `{key}` have the same title, {title}; give one of them \
                     another title",
                    other.key()
                )));
            }
        }
    }
    Ok(())
}
