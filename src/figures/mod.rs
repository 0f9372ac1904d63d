//! Figures: curves as SVG and PNG, drawn by plotters with a font that is compiled in, so that they
//! look alike everywhere.

use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::OnceLock;

/// Width of one plot, pixels.
const PLOT_WIDTH: u32 = 420;
/// Height of one plot, pixels.
const PLOT_HEIGHT: u32 = 260;
/// Height of the line with names, pixels.
const LEGEND_HEIGHT: u32 = 34;

/// Several plots with one x axis and one legend.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// What the x axes show, with its unit.
    pub x_label: String,
    /// The plots, from left to right and then down.
    pub plots: Vec<FigurePlot>,
}

/// One plot.
#[derive(Clone, Debug, Default)]
pub struct FigurePlot {
    /// Its title, with the unit of the y axis.
    pub title: String,
    /// Whether the y axis is logarithmic.
    pub is_log: bool,
    /// Its lines.
    pub lines: Vec<FigureLine>,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub struct FigureLine {
    /// Its name in the legend.
    pub name: String,
    /// Its colour: red, green, blue.
    pub color: [u8; 3],
    /// Lengths of its dashes and of the gaps between them, pixels, where it is broken.
    pub dashes: Option<(u32, u32)>,
    /// Points from left to right; one that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
    /// x, lowest and highest of what the line is the mean of; empty without.
    pub band: Vec<(f64, f64, f64)>,
}

impl Figure {
    /// The figure as SVG.
    pub fn svg(&self) -> Result<String> {
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, self.size()).into_drawing_area();
            self.draw(&root)?;
        }
        Ok(text)
    }

    /// Writes the figure as PNG.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        let (width, height) = self.size();
        let mut pixels = vec![255; (width * height * 3) as usize];
        {
            let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            self.draw(&root)?;
        }
        image::save_buffer(path, &pixels, width, height, image::ExtendedColorType::Rgb8).map_err(
            |error| {
                Error::failed(format!("writing the figure failed: {error} ({})", path.display()))
            },
        )
    }

    fn columns(&self) -> usize {
        match self.plots.len() {
            0 | 1 => 1,
            2 | 4 => 2,
            _ => 3,
        }
    }

    fn size(&self) -> (u32, u32) {
        let rows = self.plots.len().div_ceil(self.columns()).max(1);
        (PLOT_WIDTH * self.columns() as u32, PLOT_HEIGHT * rows as u32 + LEGEND_HEIGHT)
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Result<()> {
        install_font();
        let failed = |error: String| Error::failed(format!("drawing the figure failed: {error}"));
        root.fill(&WHITE).map_err(|error| failed(error.to_string()))?;
        let (legend, plots) = root.split_vertically(LEGEND_HEIGHT);
        self.draw_legend(&legend).map_err(failed)?;
        let rows = self.plots.len().div_ceil(self.columns()).max(1);
        for (plot, area) in self.plots.iter().zip(plots.split_evenly((rows, self.columns()))) {
            plot.draw(&area, &self.x_label).map_err(failed)?;
        }
        root.present().map_err(|error| failed(error.to_string()))
    }

    /// Every name once.
    fn draw_legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String> {
        let mut named: Vec<&FigureLine> = Vec::new();
        for line in
            self.plots.iter().flat_map(|plot| &plot.lines).filter(|line| !line.name.is_empty())
        {
            let look = |line: &FigureLine| (line.name.clone(), line.color, line.dashes);
            if named.iter().all(|known| look(known) != look(line)) {
                named.push(line);
            }
        }
        let mut x = 12;
        for FigureLine { name, color, dashes, .. } in named {
            let style = rgb(*color).stroke_width(2);
            let (length, gap) = dashes.map_or((22, 0), |(length, gap)| (length as i32, gap as i32));
            for from in (0..22).step_by((length + gap) as usize) {
                let dash = vec![(x + from, 18), (x + (from + length).min(22), 18)];
                area.draw(&PathElement::new(dash, style)).map_err(|error| error.to_string())?;
            }
            let style = ("sans-serif", 14).into_font().color(&BLACK);
            area.draw(&Text::new(name.to_owned(), (x + 28, 11), style.clone()))
                .map_err(|error| error.to_string())?;
            let (width, _) =
                area.estimate_text_size(name, &style).map_err(|error| error.to_string())?;
            x += 28 + width as i32 + 20;
        }
        Ok(())
    }
}

impl FigurePlot {
    fn height(&self, y: f64) -> f64 {
        if self.is_log { y.log10() } else { y }
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        x_label: &str,
    ) -> Result<(), String> {
        let points = self.lines.iter().flat_map(|line| {
            let ends = line.band.iter().flat_map(|&(x, low, high)| [(x, low), (x, high)]);
            line.points.iter().copied().chain(ends)
        });
        let (mut x, mut y) =
            ((f64::INFINITY, f64::NEG_INFINITY), (f64::INFINITY, f64::NEG_INFINITY));
        for (at, value) in points.map(|(at, value)| (at, self.height(value))) {
            if at.is_finite() && value.is_finite() {
                x = (x.0.min(at), x.1.max(at));
                y = (y.0.min(value), y.1.max(value));
            }
        }
        let wide = |(low, high): (f64, f64), share: f64| {
            if low > high {
                return 0.0..1.0;
            }
            let room = if high > low { share * (high - low) } else { 0.5 * low.abs().max(1e-3) };
            low - room..high + room
        };
        let (x, y) = (wide(x, 0.0), wide(y, 0.06));
        let error = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 15))
            .margin(10)
            .x_label_area_size(34)
            .y_label_area_size(52)
            .build_cartesian_2d(x, y)
            .map_err(error)?;
        let is_log = self.is_log;
        chart
            .configure_mesh()
            .x_desc(x_label)
            .label_style(("sans-serif", 12))
            .axis_desc_style(("sans-serif", 12))
            .x_labels(6)
            .y_labels(5)
            .max_light_lines(0)
            .bold_line_style(BLACK.mix(0.12))
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(if is_log { 10f64.powf(*value) } else { *value }))
            .draw()
            .map_err(error)?;
        for line in &self.lines {
            let color = rgb(line.color);
            if !line.band.is_empty() {
                let up = line.band.iter().map(|&(x, _, high)| (x, self.height(high)));
                let down = line.band.iter().rev().map(|&(x, low, _)| (x, self.height(low)));
                let outline: Vec<(f64, f64)> =
                    up.chain(down).filter(|point| point.1.is_finite()).collect();
                chart.draw_series([Polygon::new(outline, color.mix(0.18))]).map_err(error)?;
            }
            for piece in line
                .points
                .split(|point| !self.height(point.1).is_finite())
                .filter(|piece| !piece.is_empty())
            {
                let points = piece.iter().map(|&(x, value)| (x, self.height(value)));
                let style = color.stroke_width(2);
                if piece.len() == 1 {
                    chart
                        .draw_series(points.map(|at| Circle::new(at, 2, color.filled())))
                        .map_err(error)?;
                } else if let Some((length, gap)) = line.dashes {
                    chart
                        .draw_series(DashedLineSeries::new(points, length, gap, style))
                        .map_err(error)?;
                } else {
                    chart.draw_series(LineSeries::new(points, style)).map_err(error)?;
                }
            }
        }
        Ok(())
    }
}

fn rgb([red, green, blue]: [u8; 3]) -> RGBColor {
    RGBColor(red, green, blue)
}

/// About three significant digits.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Makes the window's own font known to plotters.
fn install_font() {
    static FONT: OnceLock<Vec<u8>> = OnceLock::new();
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    FONT.get_or_init(|| {
        let fonts = egui::FontDefinitions::default();
        let name =
            fonts.families.get(&egui::FontFamily::Proportional).and_then(|names| names.first());
        let data = name.and_then(|name| fonts.font_data.get(name));
        data.map(|data| data.font.as_ref().as_ref().to_vec()).unwrap_or_default()
    });
    // A font that cannot be read shows as an error of the drawing.
    INSTALLED.get_or_init(|| {
        FONT.get()
            .is_some_and(|bytes| register_font("sans-serif", FontStyle::Normal, bytes).is_ok())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        let points = vec![(1.0, 0.1), (2.0, 1.0), (3.0, f64::NAN), (4.0, 10.0), (5.0, 20.0)];
        let line = FigureLine {
            name: "G2RL s0".to_owned(),
            color: [13, 118, 110],
            points,
            ..FigureLine::default()
        };
        let seeds = FigureLine {
            name: "GRPO, 3 seeds".to_owned(),
            points: vec![(1.0, 1.0), (5.0, 2.0)],
            band: vec![(1.0, 0.5, 1.5), (5.0, 1.5, 2.5)],
            dashes: Some((6, 4)),
            ..FigureLine::default()
        };
        let plot = |title: &str, is_log| FigurePlot {
            title: title.to_owned(),
            is_log,
            lines: vec![line.clone(), seeds.clone()],
        };
        Figure {
            x_label: "step".to_owned(),
            plots: vec![plot("Reward", false), plot("KL, nats", true)],
        }
    }

    #[test]
    fn svg_names_titles_and_runs() {
        let svg = figure().svg().unwrap();
        for words in ["Reward", "KL, nats", "G2RL s0", "GRPO, 3 seeds", "step"] {
            assert!(svg.contains(words), "{words} is not in the figure");
        }
        assert_eq!(svg.matches("G2RL s0").count(), 1, "a name stands once in the legend");
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn png_has_the_size_of_its_plots_and_is_not_blank() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figure.png");
        figure().write_png(&path).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (2 * PLOT_WIDTH, PLOT_HEIGHT + LEGEND_HEIGHT));
        assert!(picture.pixels().filter(|pixel| pixel.0 == [13, 118, 110]).count() > 100);
        // The legend's text, which needs a font.
        assert!(
            picture
                .enumerate_pixels()
                .any(|(x, y, pixel)| y < LEGEND_HEIGHT && x > 40 && pixel.0 == [0, 0, 0])
        );
    }

    #[test]
    fn a_figure_without_values_is_drawn_empty() {
        assert!(Figure::default().svg().unwrap().contains("<svg"));
        let plots = vec![FigurePlot { title: "Nothing".to_owned(), ..FigurePlot::default() }];
        assert!(Figure { plots, ..Figure::default() }.svg().unwrap().contains("Nothing"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.25, 1000.0, 12.3456, 0.000_123].map(number),
            ["0", "0.25", "1000", "12.3", "0.000123"]
        );
    }
}
