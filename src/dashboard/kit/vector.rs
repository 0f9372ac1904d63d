//! Painted shapes as a vector picture (SVG 1.1), so that a panel can be put into a paper as it is
//! seen.
//!
//! Texts stay texts, in the window's fonts where the reader has them and in similar ones otherwise,
//! at the widths that they have in the window. Textures become a rectangle per pixel: cosine
//! matrices have one pixel per cell.

use egui::epaint::text::TextFormat;
use egui::epaint::{
    BandShape, ClippedShape, ColorMode, CornerRadius, EllipseShape, Mesh, PathShape,
    QuadraticBezierShape, RectShape, TextShape,
};
use egui::{
    Color32, ColorImage, FontFamily, Pos2, Rect, Shape, Stroke, StrokeKind, TextureId, Vec2,
};
use std::fmt::Write;
use std::sync::Arc;

/// What `shapes` paint inside of `rect`, in points, over `background`. `image` finds the picture
/// that a texture was made of.
pub(crate) fn svg<'a>(
    shapes: impl IntoIterator<Item = &'a ClippedShape>,
    rect: Rect,
    background: Color32,
    image: impl Fn(TextureId) -> Option<Arc<ColorImage>>,
) -> String {
    let mut writer = Writer { text: String::new(), clips: 0, image };
    let (width, height) = (Number(rect.width()), Number(rect.height()));
    let origin = format!("{} {}", Number(rect.left()), Number(rect.top()));
    writer.push(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="{origin} {width} {height}">"#
    ));
    writer.rect(&RectShape::filled(rect, CornerRadius::ZERO, background));
    for ClippedShape { clip_rect, shape, .. } in shapes {
        let (seen, bounds) = (clip_rect.intersect(rect), shape.visual_bounding_rect());
        if !seen.is_positive() || !seen.intersects(bounds) {
            continue;
        }
        if seen.contains_rect(bounds) {
            writer.shape(shape, seen);
        } else {
            writer.clipped(shape, seen);
        }
    }
    writer.text.push_str("</svg>\n");
    writer.text
}

struct Writer<F> {
    text: String,
    clips: usize,
    image: F,
}

/// A coordinate in points, to a hundredth.
struct Number(f32);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rounded = (self.0 * 100.0).round() / 100.0;
        // There is no minus zero in a picture.
        write!(f, "{}", rounded + 0.0)
    }
}

/// A colour as the attribute `name` and its opacity.
struct Paint(&'static str, Color32);

impl std::fmt::Display for Paint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(name, color) = *self;
        let [red, green, blue, alpha] = color.to_srgba_unmultiplied();
        if alpha == 0 {
            return write!(f, r#" {name}="none""#);
        }
        write!(f, r##" {name}="#{red:02x}{green:02x}{blue:02x}""##)?;
        if alpha < 255 {
            write!(f, r#" {name}-opacity="{}""#, Number(f32::from(alpha) / 255.0))?;
        }
        Ok(())
    }
}

/// The attributes of a line.
struct Line(Stroke);

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, r#"{} stroke-width="{}""#, Paint("stroke", self.0.color), Number(self.0.width))
    }
}

impl<F: Fn(TextureId) -> Option<Arc<ColorImage>>> Writer<F> {
    /// Writes an element on a line of its own.
    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // A string takes everything.
        let _written = self.text.write_fmt(element);
        self.text.push('\n');
    }

    fn clipped(&mut self, shape: &Shape, seen: Rect) {
        self.clips += 1;
        let name = self.clips;
        let before = self.text.len();
        self.push(format_args!(
            r#"<clipPath id="c{name}"><rect{}/></clipPath><g clip-path="url(#c{name})">"#,
            Sides(seen)
        ));
        let empty = self.text.len();
        self.shape(shape, seen);
        if self.text.len() == empty {
            self.text.truncate(before);
        } else {
            self.text.push_str("</g>\n");
        }
    }

    fn shape(&mut self, shape: &Shape, seen: Rect) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| self.shape(shape, seen)),
            Shape::Circle(circle) => {
                let radius = Vec2::splat(circle.radius);
                self.ellipse(&EllipseShape {
                    center: circle.center,
                    radius,
                    fill: circle.fill,
                    stroke: circle.stroke,
                    angle: 0.0,
                });
            }
            Shape::Ellipse(ellipse) => self.ellipse(ellipse),
            Shape::LineSegment { points, stroke } => {
                self.path(points, false, Color32::TRANSPARENT, *stroke);
            }
            Shape::Path(PathShape { points, closed, fill, stroke }) => {
                let color = match &stroke.color {
                    ColorMode::Solid(color) => *color,
                    // One colour for the whole line: that of its first point.
                    ColorMode::UV(color) => points.first().map_or(Color32::TRANSPARENT, |at| {
                        color(shape.visual_bounding_rect(), *at)
                    }),
                };
                self.path(points, *closed, *fill, Stroke::new(stroke.width, color));
            }
            Shape::Band(band) => self.band(band),
            Shape::Rect(rect) => self.rect(rect),
            Shape::Text(text) => self.galley(text, seen),
            Shape::Mesh(mesh) => self.mesh(mesh),
            Shape::QuadraticBezier(QuadraticBezierShape {
                points: [a, b, c],
                fill,
                stroke,
                ..
            }) => {
                let d = format!("M{}Q{} {}", Point(*a), Point(*b), Point(*c));
                self.curve(&d, *fill, &stroke.color, stroke.width);
            }
            Shape::CubicBezier(curve) => {
                let [a, b, c, d] = curve.points.map(Point);
                let d = format!("M{a}C{b} {c} {d}");
                self.curve(&d, curve.fill, &curve.stroke.color, curve.stroke.width);
            }
            Shape::Noop | Shape::Callback(_) => {}
        }
    }

    fn curve(&mut self, d: &str, fill: Color32, color: &ColorMode, width: f32) {
        let color = if let ColorMode::Solid(color) = color { *color } else { Color32::TRANSPARENT };
        self.push(format_args!(
            r#"<path d="{d}"{}{}/>"#,
            Paint("fill", fill),
            Line(Stroke::new(width, color))
        ));
    }

    fn ellipse(&mut self, ellipse: &EllipseShape) {
        let EllipseShape { center, radius, fill, stroke, angle } = *ellipse;
        let (x, y) = (Number(center.x), Number(center.y));
        let turn = if angle == 0.0 {
            String::new()
        } else {
            format!(r#" transform="rotate({} {x} {y})""#, Number(angle.to_degrees()))
        };
        self.push(format_args!(
            r#"<ellipse cx="{x}" cy="{y}" rx="{}" ry="{}"{}{}{turn}/>"#,
            Number(radius.x),
            Number(radius.y),
            Paint("fill", fill),
            Line(stroke)
        ));
    }

    fn path(&mut self, points: &[Pos2], is_closed: bool, fill: Color32, stroke: Stroke) {
        if points.len() < 2 || (fill == Color32::TRANSPARENT && stroke.is_empty()) {
            return;
        }
        let list: Vec<String> = points.iter().map(|point| Point(*point).to_string()).collect();
        let (name, list) = (if is_closed { "polygon" } else { "polyline" }, list.join(" "));
        self.push(format_args!(
            r#"<{name} points="{list}"{}{}/>"#,
            Paint("fill", fill),
            Line(stroke)
        ));
    }

    fn band(&mut self, band: &BandShape) {
        let turn = egui::emath::Rot2::from_angle(band.angle);
        let high = band.points.iter().map(|point| Pos2::new(point.x, point.y.min));
        let low = band.points.iter().rev().map(|point| Pos2::new(point.x, point.y.max));
        let outline: Vec<Pos2> =
            high.chain(low).map(|point| (turn * point.to_vec2()).to_pos2()).collect();
        self.path(&outline, true, band.fill, band.stroke);
    }

    fn rect(&mut self, shape: &RectShape) {
        if let Some(brush) = &shape.brush
            && brush.fill_texture_id != TextureId::default()
        {
            return self.picture(brush.fill_texture_id, shape.rect);
        }
        // Shadows are blurred; they are of the window, not of the panel.
        if shape.blur_width > 0.0 || (shape.fill == Color32::TRANSPARENT && shape.stroke.is_empty())
        {
            return;
        }
        let half = shape.stroke.width / 2.0;
        let rect = match shape.stroke_kind {
            _ if shape.stroke.is_empty() => shape.rect,
            StrokeKind::Inside => shape.rect.shrink(half),
            StrokeKind::Middle => shape.rect,
            StrokeKind::Outside => shape.rect.expand(half),
        };
        let radius = shape.corner_radius.average();
        let round =
            if radius > 0.0 { format!(r#" rx="{}""#, Number(radius)) } else { String::new() };
        self.push(format_args!(
            "<rect{}{round}{}{}/>",
            Sides(rect),
            Paint("fill", shape.fill),
            Line(shape.stroke)
        ));
    }

    /// A texture, spread over `rect`.
    fn picture(&mut self, texture: TextureId, rect: Rect) {
        let Some(image) = (self.image)(texture) else { return };
        let [width, height] = image.size;
        let scale = rect.size() / Vec2::new(width as f32, height as f32);
        // Not rounded: a hundredth of a point a cell would add up.
        self.push(format_args!(
            r#"<g transform="translate({} {}) scale({} {})" shape-rendering="crispEdges">"#,
            rect.left(),
            rect.top(),
            scale.x,
            scale.y
        ));
        for (place, color) in image.pixels.iter().enumerate().filter(|(_, color)| color.a() > 0) {
            let (x, y) = (place % width, place / width);
            self.push(format_args!(r#"<path d="M{x} {y}h1v1h-1z"{}/>"#, Paint("fill", *color)));
        }
        self.text.push_str("</g>\n");
    }

    fn mesh(&mut self, mesh: &Mesh) {
        if mesh.texture_id != TextureId::default() {
            return self.picture(mesh.texture_id, mesh.calc_bounds());
        }
        for triangle in mesh.indices.chunks_exact(3) {
            let corners = [0, 1, 2].map(|corner| &mesh.vertices[triangle[corner] as usize]);
            let mean = |channel: usize| {
                (corners
                    .iter()
                    .map(|corner| u32::from(corner.color.to_array()[channel]))
                    .sum::<u32>()
                    / 3) as u8
            };
            let color = Color32::from_rgba_premultiplied(mean(0), mean(1), mean(2), mean(3));
            self.path(&corners.map(|corner| corner.pos), true, color, Stroke::NONE);
        }
    }

    /// A laid-out text: for every row the runs of characters of one format, each with its
    /// background below it.
    fn galley(&mut self, shape: &TextShape, seen: Rect) {
        let TextShape { pos, galley, angle, .. } = shape;
        let turned = *angle != 0.0;
        if turned {
            let (x, y) = (Number(pos.x), Number(pos.y));
            self.push(format_args!(
                r#"<g transform="rotate({} {x} {y})">"#,
                Number(angle.to_degrees())
            ));
        }
        let mut sections = galley.job.sections.iter().peekable();
        let mut byte = 0;
        for row in &galley.rows {
            let is_seen = turned || row.rect().translate(pos.to_vec2()).intersects(seen);
            let mut run: Option<Run<'_>> = None;
            for glyph in &row.glyphs {
                while sections.next_if(|section| section.byte_range.end.0 <= byte).is_some() {}
                byte += glyph.chr.len_utf8();
                // The sign for what is left out, at the very end, belongs to the last section.
                let Some(format) = sections
                    .peek()
                    .map(|section| &section.format)
                    .or(run.as_ref().map(|run| run.format))
                else {
                    continue;
                };
                let left = *pos + row.pos.to_vec2() + glyph.pos.to_vec2();
                if run.as_ref().is_none_or(|run| !std::ptr::eq(run.format, format)) {
                    self.run(
                        run.take().filter(|_| is_seen),
                        shape,
                        row.rect().translate(pos.to_vec2()),
                    );
                }
                let run = run.get_or_insert_with(|| Run {
                    format,
                    start: left,
                    end: left.x,
                    ink_end: left.x,
                    text: String::new(),
                });
                run.text.push(glyph.chr);
                run.end = left.x + glyph.advance_width;
                if !glyph.chr.is_whitespace() {
                    run.ink_end = run.end;
                }
            }
            self.run(run.filter(|_| is_seen), shape, row.rect().translate(pos.to_vec2()));
            byte += usize::from(row.ends_with_newline);
        }
        if turned {
            self.text.push_str("</g>\n");
        }
    }

    fn run(&mut self, run: Option<Run<'_>>, shape: &TextShape, row: Rect) {
        let Some(Run { format, start, end, ink_end, text }) = run else { return };
        let across =
            Rect::from_min_max(Pos2::new(start.x, row.top()), Pos2::new(end, row.bottom()));
        self.rect(&RectShape::filled(
            across.expand(format.expand_bg),
            CornerRadius::ZERO,
            format.background,
        ));
        let own =
            if format.color == Color32::PLACEHOLDER { shape.fallback_color } else { format.color };
        let color = shape.override_text_color.unwrap_or(own).gamma_multiply(shape.opacity_factor);
        let mut line = |y: f32, stroke: Stroke| {
            let stroke = if stroke.color == Color32::PLACEHOLDER {
                Stroke::new(stroke.width, color)
            } else {
                stroke
            };
            self.path(
                &[Pos2::new(start.x, y), Pos2::new(end, y)],
                false,
                Color32::TRANSPARENT,
                stroke,
            );
        };
        line(row.bottom(), format.underline);
        line(row.bottom(), shape.underline);
        line(row.center().y, format.strikethrough);
        let ink = text.trim_end();
        if ink.is_empty() {
            return;
        }
        let family = match &format.font_id.family {
            FontFamily::Monospace => "Hack, monospace",
            FontFamily::Proportional | FontFamily::Name(_) => "Ubuntu, sans-serif",
        };
        let style = if format.italics { r#" font-style="italic""# } else { "" };
        self.push(format_args!(
            r#"<text x="{}" y="{}" font-family="{family}" font-size="{}"{style} textLength="{}" lengthAdjust="spacingAndGlyphs" xml:space="preserve"{}>{}</text>"#,
            Number(start.x),
            Number(start.y),
            Number(format.font_id.size),
            Number(ink_end - start.x),
            Paint("fill", color),
            Escaped(ink)
        ));
    }
}

/// Characters of one format beside each other.
struct Run<'a> {
    format: &'a TextFormat,
    /// The left end of the base line.
    start: Pos2,
    /// The right end, and that of the last character that is not a space: readers do not agree on
    /// spaces at the end.
    end: f32,
    ink_end: f32,
    text: String,
}

/// A point in a list of points.
struct Point(Pos2);

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", Number(self.0.x), Number(self.0.y))
    }
}

/// The attributes of a rectangle's place and size.
struct Sides(Rect);

impl std::fmt::Display for Sides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [x, y, width, height] =
            [self.0.left(), self.0.top(), self.0.width(), self.0.height()].map(Number);
        write!(f, r#" x="{x}" y="{y}" width="{width}" height="{height}""#)
    }
}

/// A text between tags.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in self.0.chars() {
            match char {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                // XML has no other control characters, escaped or not.
                '\t' => f.write_char(' ')?,
                char if char.is_control() => f.write_char('\u{fffd}')?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
