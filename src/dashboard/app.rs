//! The window's frame loop: takes in the newest snapshots and the step that is shown, lays out the
//! panels, passes commands on.

use crate::dashboard::kit::copies;
use crate::dashboard::kit::export::{self, save_png};
use crate::dashboard::kit::textures::Textures;
use crate::dashboard::kit::theme::{Theme, Themes};
use crate::dashboard::kit::vector;
use crate::dashboard::options::Screenshot;
use crate::dashboard::panel::PanelContext;
use crate::dashboard::runs::open_run::{OpenRun, RunSource};
use crate::dashboard::runs::opener::Opener;
use crate::dashboard::runs::start::Start;
use crate::dashboard::state::label;
use crate::dashboard::state::pending::Request;
use crate::dashboard::state::run::State;
use crate::dashboard::state::shown::Spot;
use crate::dashboard::window::dock::Dock;
use crate::dashboard::window::palette::Palette;
use crate::dashboard::window::run_tabs::RunTabs;
use crate::dashboard::window::{
    failure, keys, palette, run_bar, run_tabs, scrubber, start_screen, status, stop,
};
use crate::error::{Error, Result};
use crate::run::{RunInfo, RunState};
use egui::layers::PaintList;
use egui::{
    CentralPanel, Color32, Frame, LayerId, Margin, Panel, Rect, Stroke, Ui, UiBuilder,
    ViewportCommand, vec2,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What became of the screenshot, shared with the callback that receives it and with whoever opened
/// the window.
pub(super) type ScreenshotResult = Arc<Mutex<Option<Result<()>>>>;

/// Frames that are drawn after the last change before the screenshot is taken, so that layouts and
/// animations settle.
const SETTLING_FRAMES: u32 = 6;

/// Heights of the lines below the dock, points.
const SCRUBBER: f32 = 30.0;
const STATUS: f32 = 24.0;

/// Time between frames while the view moves by itself or waits for a step.
const FRAME: Duration = Duration::from_millis(33);

/// The dashboard as an application.
pub(super) struct Dashboard {
    runs: Vec<OpenRun>,
    /// The run that every panel shows.
    active: usize,
    start: Option<Start>,
    opener: Opener,
    /// What the runs' labels were made of.
    labelled: Vec<Arc<RunInfo>>,
    /// Whether the start screen covers the runs.
    start_is_open: bool,
    dock: Dock,
    palette: Palette,
    themes: Themes,
    textures: Textures,
    screenshot: Option<Screenshot>,
    /// Whether somebody looks at the window. One that only takes a picture has nobody who could be
    /// asked.
    is_attended: bool,
    screenshot_result: ScreenshotResult,
    settled_frames: u32,
    /// Whether somebody asked the program to end, by a key of the terminal.
    interrupted: Arc<AtomicBool>,
}

impl Dashboard {
    /// A dashboard on `runs`, drawing with `ctx`; with a start screen where `start` is given.
    pub(super) fn new(
        ctx: &egui::Context,
        runs: Vec<RunSource>,
        start: Option<Start>,
        opener: Opener,
        dock: Dock,
        themes: Themes,
        screenshot: Option<Screenshot>,
        screenshot_result: ScreenshotResult,
    ) -> Result<Self> {
        themes.install(ctx);
        let is_attended = screenshot.is_none();
        let runs = runs
            .into_iter()
            .map(|run| OpenRun::new(ctx, run, is_attended))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            start_is_open: runs.is_empty(),
            runs,
            active: 0,
            start,
            opener,
            labelled: Vec::new(),
            dock,
            palette: Palette::default(),
            themes,
            textures: Textures::default(),
            screenshot,
            is_attended,
            screenshot_result,
            settled_frames: 0,
            interrupted: Arc::default(),
        })
    }

    /// The same, closing its window once `interrupted` is set and the runs of this process are
    /// over.
    pub(super) fn until(self, interrupted: Arc<AtomicBool>) -> Self {
        Self { interrupted, ..self }
    }

    /// Brings a panel to the front.
    #[cfg(test)]
    pub(super) fn bring_up(&mut self, key: &str) {
        self.dock.bring_up(key);
    }

    /// Opens another run and shows it. One that is open already is shown; a run that trains here
    /// takes the place of its folder.
    fn open(&mut self, ctx: &egui::Context, source: RunSource) -> Result<()> {
        let directory = source.snapshots().load().info.directory.clone();
        let open = self.runs.iter().position(|run| run.state.snapshot.info.directory == directory);
        let place = match open {
            Some(place) if matches!(source, RunSource::Trainer(_)) => {
                let mut run = OpenRun::new(ctx, source, self.is_attended)?;
                run.state.choices = self.runs[place].state.choices.clone();
                self.runs[place] = run;
                // The same steps may have come out otherwise.
                self.textures.clear();
                place
            }
            Some(place) => place,
            None => {
                self.runs.push(OpenRun::new(ctx, source, self.is_attended)?);
                self.runs.len() - 1
            }
        };
        self.show_run(place);
        self.start_is_open = false;
        Ok(())
    }

    /// Shows another of the open runs, with what has been chosen so far.
    fn show_run(&mut self, place: usize) {
        if place == self.active || place >= self.runs.len() {
            return;
        }
        self.runs[place].state.choices = self.runs[self.active].state.choices.clone();
        self.active = place;
        self.textures.clear();
    }

    fn close_run(&mut self, place: usize) {
        // A run that trains continues; its window may be opened again from the start screen.
        self.runs.remove(place);
        if self.active >= place && self.active > 0 {
            self.active -= 1;
        }
        self.start_is_open |= self.runs.is_empty();
        self.textures.clear();
    }

    /// Brings the state up to date: the newest snapshots, and the step at the cursor where that is
    /// at hand.
    fn take_in(&mut self, ctx: &egui::Context) {
        let now = ctx.input(|input| input.time);
        // Nothing changes under the pointer while it may click, so that the click means what was
        // seen; nor where panels are drawn again.
        let is_pressed = ctx.input(|input| input.pointer.could_any_button_be_click());
        let is_held = is_pressed || ctx.current_pass_index() > 0;
        for run in self.runs.iter_mut().filter(|_| !is_held) {
            if run.take_in(now) {
                self.textures.clear();
            }
        }
        if let Some(start) = &mut self.start {
            start.take_in();
        }
        for opened in self.opener.take_in() {
            match opened.and_then(|source| self.open(ctx, source)) {
                Ok(()) => self.start.iter_mut().for_each(|start| start.error = None),
                Err(error) => self.fail(error.to_string()),
            }
        }
        for run in &mut self.runs {
            run.state.pending.is_resuming =
                self.opener.is_resuming(&run.state.snapshot.info.directory);
        }
        self.label_runs();
        self.prepare();
        let said = copies::take_said(ctx);
        let Some(run) = self.runs.get_mut(self.active) else { return };
        run.state.messages.listen(now);
        if let Some(said) = said {
            run.state.messages.tell(said);
        }
        let shown = self.screenshot.as_ref().and_then(|screenshot| screenshot.after_step);
        if let Some(step) = shown.filter(|_| run.state.is_watched()) {
            run.state.cursor.move_to(step);
        }
        if !is_held {
            run.state.cursor.play();
        }
        run.find_step();
        if run.state.cursor.is_playing() || run.state.cursor.wanted().is_some() {
            ctx.request_repaint_after(FRAME);
        }
    }

    /// Says why something that was asked of the window could not be.
    fn fail(&mut self, error: String) {
        match (&mut self.start, self.runs.get_mut(self.active)) {
            (Some(start), _) if self.start_is_open => start.fail(error),
            (_, Some(run)) => run.state.messages.tell_problem(error),
            (Some(start), None) => start.fail(error),
            (None, None) => {}
        }
    }

    /// Tells the runs apart, where another one was opened or one is no longer what it was.
    fn label_runs(&mut self) {
        let infos = self.runs.iter().map(|run| &run.state.snapshot.info);
        if infos.clone().count() == self.labelled.len()
            && infos.zip(&self.labelled).all(|(info, before)| Arc::ptr_eq(info, before))
        {
            return;
        }
        let labels =
            label::labels(&self.runs.iter().map(|run| run.state.named()).collect::<Vec<_>>());
        self.runs.iter_mut().zip(labels).for_each(|(run, label)| run.state.label = label);
        self.labelled = self.runs.iter().map(|run| Arc::clone(&run.state.snapshot.info)).collect();
    }

    /// Lets the panels bring up to date what they need of the runs.
    fn prepare(&mut self) {
        let Some((shown, others)) = shown_and_others(&mut self.runs, self.active) else { return };
        self.dock.prepare(shown, &mut { others });
    }

    fn act(&mut self, asked: Option<RunTabs>) {
        match asked {
            Some(RunTabs::Show(place)) => {
                self.start_is_open = false;
                self.show_run(place);
            }
            Some(RunTabs::Close(place)) => self.close_run(place),
            Some(RunTabs::Start) => self.start_is_open = true,
            None => {}
        }
    }

    fn draw(&mut self, ui: &mut Ui) {
        if self.runs.len() > 1 || (self.start.is_some() && !self.runs.is_empty()) {
            let theme = self.themes.of(ui.ctx().theme());
            let tabs: Vec<&State> = self.runs.iter().map(|run| &run.state).collect();
            let shown = (!self.start_is_open).then_some(self.active);
            let asked = Panel::top("runs")
                .frame(Frame::new().fill(theme.sunken).inner_margin(Margin::symmetric(10, 2)))
                .show(ui, |ui| run_tabs::show(ui, theme, &tabs, shown, self.start.is_some()))
                .inner;
            self.act(asked);
        }
        let theme = self.themes.of(ui.ctx().theme());
        let frame =
            |x: i8, y: i8| Frame::new().fill(theme.panel).inner_margin(Margin::symmetric(x, y));
        if self.start_is_open
            && let Some(start) = &mut self.start
        {
            CentralPanel::no_frame()
                .frame(frame(16, 12))
                .show(ui, |ui| start_screen::show(ui, theme, start, &mut self.opener));
            return;
        }
        let Some((state, others)) = shown_and_others(&mut self.runs, self.active) else { return };
        let others: Vec<&State> = others.into_iter().map(|other| &*other).collect();
        let light = self.themes.of(egui::Theme::Light);
        let mut cx = PanelContext { theme, light, textures: &mut self.textures, others: &others };
        keys::handle(ui, state, &self.dock, &self.palette);

        Panel::top("run bar").frame(frame(10, 6)).show(ui, |ui| run_bar::show(ui, &cx, state));
        if let RunState::Failed { message } = &state.snapshot.state {
            let message = message.clone();
            Panel::top("failure")
                .frame(frame(10, 6))
                .show(ui, |ui| failure::show(ui, &cx, state, &message));
        }
        // From the top down, for the keyboard goes through the window in this order.
        let room = ui.available_rect_before_wrap();
        let (above, status) = room.split_top_bottom_at_y(room.bottom() - STATUS);
        let (dock, scrubber) = above.split_top_bottom_at_y(above.bottom() - SCRUBBER);
        ui.scope_builder(UiBuilder::new().max_rect(dock), |ui| self.dock.show(ui, &mut cx, state));
        strip(ui, theme, "scrubber", scrubber, |ui| scrubber::show(ui, &cx, state));
        strip(ui, theme, "status", status, |ui| status::show(ui, &cx, state));
        keys::show(ui, &cx, state, &self.dock);
        palette::show(ui, &cx, state, &mut self.dock, &mut self.palette);
        stop::show(ui, &cx, state);
        for request in std::mem::take(&mut state.pending.requests) {
            match request {
                Request::ShowPanel(panel) => self.dock.bring_up(panel),
                Request::ResetLayout => self.dock.reset(),
                Request::Resume => self.opener.resume(&state.snapshot.info.directory),
                Request::SavePicture(panel, rect) => {
                    let svg = painted_svg(ui.ctx(), rect, theme.panel, &self.textures);
                    save_panel(ui.ctx(), state, panel, rect, svg);
                }
            }
        }
    }

    /// Takes the screenshot once its step is finished and the picture has settled.
    fn take_screenshot(&mut self, ctx: &egui::Context) {
        let Some(screenshot) = &self.screenshot else { return };
        let mut missed = None;
        if let Some(run) = self.runs.get(self.active) {
            let snapshot = &run.state.snapshot;
            // Nobody knows whether a run that says nothing will ever say more.
            let is_over = snapshot.state.is_over() || run.state.is_silent();
            // Without a step, what a folder has by now; of a run that begins, its first step.
            let wanted = screenshot.after_step.unwrap_or(u64::from(!run.state.is_watched()));
            let is_reached = snapshot.step >= wanted;
            if !(is_reached || is_over) || run.state.cursor.wanted().is_some() {
                return;
            }
            missed = (!is_reached).then(|| (snapshot.step, wanted, snapshot.state.is_over()));
        } else if self.start.as_ref().is_some_and(|start| start.is_reading() && start.is_empty()) {
            return;
        }
        self.settled_frames += 1;
        if self.settled_frames < SETTLING_FRAMES {
            ctx.request_repaint();
            return;
        }
        let Some(Screenshot { path, .. }) = self.screenshot.take() else { return };
        let result = Arc::clone(&self.screenshot_result);
        let window = ctx.clone();
        ctx.request_screenshot(move |image| {
            let saved = save_png(&image, &path).and_then(|()| match missed {
                Some(missed) => Err(missed_step(missed, &path)),
                None => Ok(()),
            });
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
            window.send_viewport_cmd(ViewportCommand::Close);
            window.request_repaint();
        });
        ctx.request_repaint();
    }
}

impl eframe::App for Dashboard {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.frame(ui);
        self.take_screenshot(ui.ctx());
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.dock.remember(storage);
    }

    fn persist_egui_memory(&self) -> bool {
        // A window that only takes a picture leaves no trace in the next one.
        self.is_attended
    }
}

impl Dashboard {
    /// What all panels show.
    fn spot(&mut self) -> Option<Spot> {
        self.runs.get_mut(self.active).map(|run| run.state.spot())
    }

    /// One frame: takes in what is new, draws, and passes on what the person asked for.
    pub(super) fn frame(&mut self, ui: &mut Ui) {
        self.take_in(ui.ctx());
        if ui.input(|input| input.viewport().close_requested()) {
            // The window closes at once; a trainer finishes its step and writes a checkpoint.
            self.runs.iter_mut().for_each(OpenRun::stop);
        }
        let before = self.spot();
        self.draw(ui);
        // Panels that were drawn before the pointer chose something else show what was there: all
        // are drawn again.
        if self.spot() != before {
            ui.ctx().request_discard("something else is shown");
            ui.ctx().request_repaint();
        }
        self.runs.iter_mut().for_each(OpenRun::send_commands);
        if self.interrupted.load(Ordering::SeqCst) && !self.runs.iter().any(OpenRun::trains) {
            ui.ctx().send_viewport_cmd(ViewportCommand::Close);
        }
    }
}

/// The shown one of the open runs, and the others in their order.
fn shown_and_others(runs: &mut [OpenRun], shown: usize) -> Option<(&mut State, Vec<&mut State>)> {
    let (before, rest) = runs.split_at_mut_checked(shown)?;
    let (own, after) = rest.split_first_mut()?;
    let others = before.iter_mut().chain(after).map(|run| &mut run.state).collect();
    Some((&mut own.state, others))
}

/// A line below the dock.
fn strip(ui: &mut Ui, theme: &Theme, name: &str, rect: Rect, add: impl FnOnce(&mut Ui)) {
    ui.painter().rect_filled(rect, 0.0, theme.panel);
    ui.painter().hline(rect.x_range(), rect.top(), Stroke::new(1.0, theme.border));
    let inside = rect.shrink2(vec2(10.0, 2.0));
    add(&mut ui.new_child(UiBuilder::new().max_rect(inside).id_salt(name)));
}

/// What this frame has painted inside of `rect` so far, as SVG.
fn painted_svg(
    ctx: &egui::Context,
    rect: Rect,
    background: Color32,
    textures: &Textures,
) -> String {
    ctx.graphics(|graphics| {
        let shapes =
            graphics.get(LayerId::background()).into_iter().flat_map(PaintList::all_entries);
        vector::svg(shapes, rect, background, |texture| textures.picture(texture))
    })
}

/// Saves a panel into the run folder's figures: `svg`, and the pixels of the next frame as PNG.
fn save_panel(ctx: &egui::Context, state: &State, key: &str, rect: Rect, svg: String) {
    let folder = state.snapshot.info.directory.join("figures");
    let name = format!("{}_step_{:06}", key, state.cursor.at());
    let (result, wake, scale) =
        (state.messages.export.clone(), ctx.clone(), ctx.pixels_per_point());
    ctx.request_screenshot(move |image| {
        let picture = image.region(&rect, Some(scale));
        export::write_picture(folder, name, picture, svg, &result, wake);
    });
    ctx.request_repaint();
}

/// Says that a run ended before the step that was to be pictured.
fn missed_step((step, wanted, is_over): (u64, u64, bool), path: &Path) -> Error {
    let how = if is_over { "ended" } else { "was last heard of" };
    Error::failed(format!(
        "the run {how} at step {step}, before step {wanted} of --after-step; {} shows step {step}",
        path.display()
    ))
}
