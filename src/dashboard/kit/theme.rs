//! Colours, text sizes and spacing. Every colour comes from `assets/theme.ron`; the rest of the
//! dashboard names tokens.

use crate::dashboard::kit::geometry::ColorScale;
use crate::error::{Error, Result};
use crate::experiment::MethodKind;
use crate::verify::Verdict;
use egui::style::ScrollStyle;
use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, TextStyle, Visuals};
use serde::Deserialize;

/// The theme file, embedded.
const THEME_RON: &str = include_str!("../../../assets/theme.ron");

/// Entries of a colour map's table.
const MAP_SIZE: usize = 257;

/// Large text: everything that is read.
pub(crate) const BODY_SIZE: f32 = 13.0;
/// Small text: units, axis labels, captions.
pub(crate) const SMALL_SIZE: f32 = 11.0;
/// Model text.
pub(crate) const MONO_SIZE: f32 = 12.0;
/// The grid that distances are multiples of, points.
pub(crate) const GRID: f32 = 4.0;
/// Width of curves and marks, points.
pub(crate) const LINE_WIDTH: f32 = 1.5;

/// A colour written as `#rrggbb`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Hex(Color32);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Color32::from_hex(&text)
            .map(Self)
            .map_err(|error| format!("`{text}` is not a colour such as \"#2ec4b6\": {error:?}"))
    }
}

/// One theme as written in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    panel: Hex,
    raised: Hex,
    hovered: Hex,
    sunken: Hex,
    border: Hex,
    focus: Hex,
    selection: Hex,
    text: Hex,
    text_weak: Hex,
    text_strong: Hex,
    grid: Hex,
    running: Hex,
    paused: Hex,
    correct: Hex,
    wrong: Hex,
    warning: Hex,
    error: Hex,
    error_surface: Hex,
    missing: Hex,
    ink_light: Hex,
    ink_dark: Hex,
    cosine: Vec<Hex>,
    novelty: Vec<Hex>,
    other_method: Hex,
    stages: [Hex; 6],
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    dark: Tokens,
    light: Tokens,
}

/// The colours of one theme, ready to draw with.
#[derive(Clone, Debug)]
pub(crate) struct Theme {
    /// Whether this is the dark one.
    pub(crate) is_dark: bool,
    /// Panels.
    pub(crate) panel: Color32,
    /// Buttons, cards, the stage that runs.
    pub(crate) raised: Color32,
    /// Buttons under the pointer.
    pub(crate) hovered: Color32,
    /// Plots and text areas.
    pub(crate) sunken: Color32,
    /// Lines between panels.
    pub(crate) border: Color32,
    /// Outline of what is chosen or has the keyboard.
    pub(crate) focus: Color32,
    /// Behind selected text.
    pub(crate) selection: Color32,
    /// Text.
    pub(crate) text: Color32,
    /// Captions and units.
    pub(crate) text_weak: Color32,
    /// Titles and values.
    pub(crate) text_strong: Color32,
    /// Grid lines of plots, faded by the plot.
    pub(crate) grid: Color32,
    /// A run that is running.
    pub(crate) running: Color32,
    /// A run that waits.
    pub(crate) paused: Color32,
    /// A correct completion.
    pub(crate) correct: Color32,
    /// A wrong completion.
    pub(crate) wrong: Color32,
    /// Warnings.
    pub(crate) warning: Color32,
    /// Errors.
    pub(crate) error: Color32,
    /// Behind error text.
    pub(crate) error_surface: Color32,
    /// Hatching of values that do not exist.
    pub(crate) missing: Color32,
    /// Numbers on dark map colours.
    ink_light: Color32,
    /// Numbers on light map colours.
    ink_dark: Color32,
    /// A method from a plugin.
    other_method: Color32,
    /// Sample, verify, features, update, evaluate, the rest.
    stages: [Color32; 6],
    /// From -1 to +1.
    cosine: Vec<Color32>,
    /// From 0 to 1.
    novelty: Vec<Color32>,
}

impl Theme {
    fn new(tokens: &Tokens, is_dark: bool) -> Self {
        Self {
            is_dark,
            panel: tokens.panel.0,
            raised: tokens.raised.0,
            hovered: tokens.hovered.0,
            sunken: tokens.sunken.0,
            border: tokens.border.0,
            focus: tokens.focus.0,
            selection: tokens.selection.0,
            text: tokens.text.0,
            text_weak: tokens.text_weak.0,
            text_strong: tokens.text_strong.0,
            grid: tokens.grid.0,
            running: tokens.running.0,
            paused: tokens.paused.0,
            correct: tokens.correct.0,
            wrong: tokens.wrong.0,
            warning: tokens.warning.0,
            error: tokens.error.0,
            error_surface: tokens.error_surface.0,
            missing: tokens.missing.0,
            ink_light: tokens.ink_light.0,
            ink_dark: tokens.ink_dark.0,
            other_method: tokens.other_method.0,
            stages: tokens.stages.map(|color| color.0),
            cosine: color_map(&tokens.cosine),
            novelty: color_map(&tokens.novelty),
        }
    }

    /// The colour of a cosine where the ends of the map stand for `-range` and `range`; `None` for
    /// NaN.
    pub(crate) fn cosine(&self, cosine: f32, range: f32) -> Option<Color32> {
        look_up(&self.cosine, (cosine / range).mul_add(0.5, 0.5))
    }

    /// The colour of a cosine on `scale`; `None` for NaN.
    pub(crate) fn cosine_on(&self, scale: ColorScale, cosine: f32) -> Option<Color32> {
        look_up(&self.cosine, scale.place(cosine))
    }

    /// The colour of a novelty from 0 to 1; `None` for NaN.
    pub(crate) fn novelty(&self, novelty: f32) -> Option<Color32> {
        look_up(&self.novelty, novelty)
    }

    /// The window's icon: a small cosine matrix.
    pub(crate) fn icon(&self) -> egui::IconData {
        const CELLS: [[f32; 3]; 3] = [[1.0, 0.35, -0.7], [0.35, 1.0, 0.6], [-0.7, 0.6, 1.0]];
        const SIZE: usize = 48;
        let cell = SIZE / CELLS.len();
        let rgba = (0..SIZE * SIZE)
            .flat_map(|pixel| {
                let (x, y) = (pixel % SIZE, pixel / SIZE);
                let is_gap = x % cell == cell - 1 || y % cell == cell - 1;
                let color = if is_gap { None } else { self.cosine(CELLS[y / cell][x / cell], 1.0) };
                color.unwrap_or(Color32::TRANSPARENT).to_array()
            })
            .collect();
        egui::IconData { rgba, width: SIZE as u32, height: SIZE as u32 }
    }

    /// The colour that a method has everywhere, by its name as shown.
    pub(crate) fn method(&self, name: &str) -> Color32 {
        let own = MethodKind::color_of(name);
        own.map_or(self.other_method, |color| {
            let [r, g, b] = if self.is_dark { color.on_dark } else { color.on_light };
            Color32::from_rgb(r, g, b)
        })
    }

    /// A shade of a method's colour, of [`SHADES`](crate::dashboard::kit::lines::SHADES): its own,
    /// a stronger one, a weaker one.
    pub(crate) fn method_shade(&self, name: &str, shade: usize) -> Color32 {
        let color = self.method(name);
        match shade {
            0 => color,
            1 => color.lerp_to_gamma(self.text_strong, 0.5),
            _ => color.lerp_to_gamma(self.panel, 0.25),
        }
    }

    /// The colours of sample, verify, features, update, evaluate, and the rest of a step.
    pub(crate) fn stages(&self) -> [Color32; 6] {
        self.stages
    }

    /// The colour of a verdict.
    pub(crate) fn verdict(&self, verdict: Verdict) -> Color32 {
        match verdict {
            Verdict::Correct => self.correct,
            Verdict::Incorrect => self.wrong,
            Verdict::NoAnswer => self.text_weak,
            Verdict::TimedOut => self.warning,
        }
    }

    /// The ink that reads better on `background`.
    pub(crate) fn text_on(&self, background: Color32) -> Color32 {
        let (light, dark) = (self.ink_light, self.ink_dark);
        if contrast(light, background) >= contrast(dark, background) { light } else { dark }
    }

    /// egui's own visuals in these colours.
    fn visuals(&self) -> Visuals {
        let mut visuals = if self.is_dark { Visuals::dark() } else { Visuals::light() };
        visuals.panel_fill = self.panel;
        visuals.window_fill = self.panel;
        visuals.window_stroke = Stroke::new(1.0, self.border);
        visuals.window_corner_radius = CornerRadius::same(4);
        visuals.menu_corner_radius = CornerRadius::same(4);
        visuals.extreme_bg_color = self.sunken;
        visuals.faint_bg_color = self.raised;
        visuals.code_bg_color = self.sunken;
        visuals.warn_fg_color = self.warning;
        visuals.error_fg_color = self.error;
        visuals.hyperlink_color = self.running;
        visuals.weak_text_color = Some(self.text_weak);
        visuals.selection.bg_fill = self.selection;
        visuals.selection.stroke = Stroke::new(1.0, self.text_strong);
        visuals.text_cursor.stroke = Stroke::new(2.0, self.focus);
        let widgets = &mut visuals.widgets;
        for (state, fill, line, text) in [
            (&mut widgets.noninteractive, self.panel, self.border, self.text),
            (&mut widgets.inactive, self.raised, self.border, self.text),
            (&mut widgets.hovered, self.hovered, self.text_weak, self.text_strong),
            (&mut widgets.active, self.hovered, self.focus, self.text_strong),
            (&mut widgets.open, self.raised, self.text_weak, self.text_strong),
        ] {
            // The boxes of check marks, which stand on panels and cards.
            state.bg_fill = self.sunken;
            state.weak_bg_fill = fill;
            state.bg_stroke = Stroke::new(1.0, line);
            state.fg_stroke = Stroke::new(1.0, text);
            state.corner_radius = CornerRadius::same(3);
            state.expansion = 0.0;
        }
        visuals
    }
}

/// Both themes.
#[derive(Clone, Debug)]
pub(crate) struct Themes {
    dark: Theme,
    light: Theme,
}

impl Themes {
    /// Parses the embedded file.
    pub(crate) fn load() -> Result<Self> {
        let file: ThemeFile = ron::from_str(THEME_RON)
            .map_err(|error| Error::failed(format!("assets/theme.ron, line {error}")))?;
        for tokens in [&file.dark, &file.light] {
            if tokens.cosine.len() < 3 || tokens.cosine.len() % 2 == 0 || tokens.novelty.len() < 2 {
                return Err(Error::failed(
                    "assets/theme.ron: `cosine` needs an odd number of colours from 3 on, with 0 \
                     in the middle, and `novelty` at least 2",
                ));
            }
        }
        Ok(Self { dark: Theme::new(&file.dark, true), light: Theme::new(&file.light, false) })
    }

    /// The theme for egui's choice.
    pub(crate) fn of(&self, theme: egui::Theme) -> &Theme {
        match theme {
            egui::Theme::Dark => &self.dark,
            egui::Theme::Light => &self.light,
        }
    }

    /// Sets colours, text sizes and spacing of `ctx`.
    pub(crate) fn install(&self, ctx: &egui::Context) {
        ctx.set_visuals_of(egui::Theme::Dark, self.dark.visuals());
        ctx.set_visuals_of(egui::Theme::Light, self.light.visuals());
        ctx.all_styles_mut(|style| {
            style.text_styles = [
                (TextStyle::Small, FontId::new(SMALL_SIZE, FontFamily::Proportional)),
                (TextStyle::Body, FontId::new(BODY_SIZE, FontFamily::Proportional)),
                (TextStyle::Button, FontId::new(BODY_SIZE, FontFamily::Proportional)),
                (TextStyle::Heading, FontId::new(BODY_SIZE, FontFamily::Proportional)),
                (TextStyle::Monospace, FontId::new(MONO_SIZE, FontFamily::Monospace)),
            ]
            .into();
            style.spacing.item_spacing = egui::vec2(2.0 * GRID, GRID);
            style.spacing.button_padding = egui::vec2(2.0 * GRID, 2.0);
            style.spacing.interact_size.y = 5.0 * GRID;
            style.spacing.menu_margin = Margin::same(8);
            style.spacing.window_margin = Margin::same(12);
            style.spacing.tooltip_width = 340.0;
            // Bars that are always seen say that there is more.
            style.spacing.scroll = ScrollStyle {
                floating_width: GRID,
                floating_allocated_width: 1.5 * GRID,
                foreground_color: true,
                dormant_handle_opacity: 0.45,
                active_handle_opacity: 0.6,
                ..ScrollStyle::floating()
            };
        });
        // Whoever holds the button for long clicks all the same.
        ctx.options_mut(|options| options.input_options.max_click_duration = f64::INFINITY);
    }
}

/// Text of the small size.
pub(crate) fn small_font() -> FontId {
    FontId::new(SMALL_SIZE, FontFamily::Proportional)
}

/// A table of colours that runs evenly through `stops`.
fn color_map(stops: &[Hex]) -> Vec<Color32> {
    let last = stops.len().saturating_sub(1);
    (0..MAP_SIZE)
        .map(|entry| {
            let place = entry as f32 / (MAP_SIZE - 1) as f32 * last as f32;
            let lower = (place as usize).min(last);
            let upper = (lower + 1).min(last);
            stops[lower].0.lerp_to_gamma(stops[upper].0, place - lower as f32)
        })
        .collect()
}

/// The table's colour at `place` from 0 to 1; `None` for NaN.
fn look_up(table: &[Color32], place: f32) -> Option<Color32> {
    if place.is_nan() {
        return None;
    }
    table.get((place.clamp(0.0, 1.0) * (MAP_SIZE - 1) as f32).round() as usize).copied()
}

/// Relative luminance after WCAG 2.
fn luminance(color: Color32) -> f32 {
    let linear = egui::Rgba::from(color);
    0.2126f32.mul_add(linear.r(), 0.7152f32.mul_add(linear.g(), 0.0722 * linear.b()))
}

/// Contrast ratio after WCAG 2, from 1 to 21.
pub(crate) fn contrast(a: Color32, b: Color32) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Theme; 2] {
        let themes = Themes::load().unwrap();
        [themes.dark, themes.light]
    }

    #[test]
    fn text_reads_on_every_surface_it_stands_on() {
        for theme in both() {
            let surfaces =
                [theme.panel, theme.raised, theme.hovered, theme.sunken, theme.selection];
            for surface in surfaces {
                for text in [theme.text, theme.text_strong] {
                    assert!(
                        contrast(text, surface) >= 4.5,
                        "{text:?} on {surface:?}: {}",
                        contrast(text, surface)
                    );
                }
            }
            let colors = [
                theme.text_weak,
                theme.running,
                theme.paused,
                theme.correct,
                theme.wrong,
                theme.warning,
                theme.error,
                theme.other_method,
            ];
            let methods = MethodKind::labels().map(|label| theme.method(label));
            for text in colors.into_iter().chain(methods) {
                for surface in [theme.panel, theme.raised, theme.sunken] {
                    assert!(
                        contrast(text, surface) >= 4.5,
                        "{text:?} on {surface:?}: {}",
                        contrast(text, surface)
                    );
                }
            }
            for text in [theme.text, theme.text_strong, theme.error] {
                assert!(contrast(text, theme.error_surface) >= 4.5);
            }
        }
    }

    #[test]
    fn every_shade_of_a_method_is_seen_on_the_panel() {
        for theme in both() {
            for method in MethodKind::labels().chain(["another"]) {
                let shades = [0, 1, 2].map(|shade| theme.method_shade(method, shade));
                for (place, shade) in shades.iter().enumerate() {
                    assert!(
                        contrast(*shade, theme.panel) >= 3.0,
                        "{method} {place}: {}",
                        contrast(*shade, theme.panel)
                    );
                    assert!(shades[..place].iter().all(|other| other != shade));
                }
            }
        }
    }

    #[test]
    fn numbers_read_on_every_colour_of_the_maps() {
        for theme in both() {
            for &color in theme.cosine.iter().chain(&theme.novelty) {
                assert!(contrast(theme.text_on(color), color) >= 4.5, "{color:?}");
            }
        }
    }

    #[test]
    fn the_cosine_map_is_neutral_at_zero_and_apart_at_its_ends() {
        for theme in both() {
            let zero = theme.cosine(0.0, 1.0).unwrap();
            let spread =
                zero.r().max(zero.g()).max(zero.b()) - zero.r().min(zero.g()).min(zero.b());
            assert!(spread <= 16, "zero has a hue: {zero:?}");
            let (low, high) = (theme.cosine(-0.5, 1.0).unwrap(), theme.cosine(0.5, 1.0).unwrap());
            assert!(low.r() > low.b() && high.b() > high.r());
            assert!(contrast(zero, low) >= 1.5 && contrast(zero, high) >= 1.5);
            assert_eq!(theme.cosine(f32::NAN, 1.0), None);
            assert_eq!(theme.cosine(-9.0, 1.0), theme.cosine(-1.0, 1.0));
        }
    }

    #[test]
    fn every_method_has_a_colour_of_its_own() {
        for theme in both() {
            let labels = MethodKind::labels().chain(["Mine"]);
            let colors: Vec<Color32> = labels.map(|label| theme.method(label)).collect();
            assert!(colors.len() > 4);
            for (i, color) in colors.iter().enumerate() {
                assert!(colors[..i].iter().all(|other| other != color));
            }
        }
    }
}
