//! Draws the window's triangles without a graphics card, for tests that look at pixels.
//!
//! Does what the window's shaders do: colours are multiplied and blended as they are, premultiplied
//! and in sRGB.

use egui::epaint::{ClippedPrimitive, ImageData, Mesh, Primitive, Vertex};
use egui::{
    Color32, ColorImage, Context, FullOutput, Pos2, Rect, TextureFilter, TextureId, TexturesDelta,
};
use egui_kittest::TestRenderer;
use image::{Rgba, RgbaImage};
use std::collections::HashMap;

/// The textures that the window has made so far.
#[derive(Default)]
pub(crate) struct Rasterizer {
    textures: HashMap<TextureId, (ColorImage, TextureFilter)>,
}

impl TestRenderer for Rasterizer {
    #[allow(clippy::iter_over_hash_type, reason = "textures do not depend on each other")]
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        for (id, parts) in delta.set.drain() {
            for part in parts {
                let ImageData::Color(image) = part.image;
                let Some([left, top]) = part.pos else {
                    self.textures.insert(id, ((*image).clone(), part.options.magnification));
                    continue;
                };
                let (texture, _) =
                    self.textures.get_mut(&id).expect("a part of a texture that is there");
                for (row, pixels) in image.pixels.chunks(image.size[0]).enumerate() {
                    let start = (top + row) * texture.size[0] + left;
                    texture.pixels[start..start + pixels.len()].copy_from_slice(pixels);
                }
            }
        }
        for id in delta.free.drain() {
            self.textures.remove(&id);
        }
    }

    fn render(&mut self, ctx: &Context, output: &FullOutput) -> Result<RgbaImage, String> {
        let scale = ctx.pixels_per_point();
        let size = ctx.content_rect().size() * scale;
        let mut picture = RgbaImage::new(size.x.round() as u32, size.y.round() as u32);
        for ClippedPrimitive { clip_rect, primitive } in
            ctx.tessellate(output.shapes.clone(), scale)
        {
            let Primitive::Mesh(mesh) = primitive else { continue };
            let (texture, filter) =
                self.textures.get(&mesh.texture_id).ok_or("a texture is missing")?;
            draw(&mut picture, &mesh, clip_rect * scale, scale, |at| sample(texture, *filter, at));
        }
        Ok(picture)
    }
}

/// The texture at `at`, from 0 to 1 in both directions.
fn sample(texture: &ColorImage, filter: TextureFilter, at: Pos2) -> [f32; 4] {
    let [width, height] = texture.size;
    let texel = |x: f32, y: f32| {
        let (x, y) =
            (x.clamp(0.0, width as f32 - 1.0) as usize, y.clamp(0.0, height as f32 - 1.0) as usize);
        texture.pixels[y * width + x].to_array().map(f32::from)
    };
    let (x, y) = (at.x * width as f32, at.y * height as f32);
    if filter == TextureFilter::Nearest {
        return texel(x.floor(), y.floor());
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let mix =
        |a: [f32; 4], b: [f32; 4], t: f32| std::array::from_fn(|i| t.mul_add(b[i] - a[i], a[i]));
    let row = |y: f32| mix(texel(left, y), texel(left + 1.0, y), x - left);
    mix(row(top), row(top + 1.0), y - top)
}

fn draw(
    picture: &mut RgbaImage,
    mesh: &Mesh,
    clip: Rect,
    scale: f32,
    texture: impl Fn(Pos2) -> [f32; 4],
) {
    for triangle in mesh.indices.chunks_exact(3) {
        let corners: [&Vertex; 3] =
            std::array::from_fn(|corner| &mesh.vertices[triangle[corner] as usize]);
        let [a, b, c] = corners.map(|corner| corner.pos * scale);
        let area = cross(a, b, c);
        if area == 0.0 {
            continue;
        }
        let bounds = Rect::from_points(&[a, b, c]).intersect(clip);
        let (left, right) = (
            bounds.left().max(0.0).floor() as u32,
            bounds.right().min(picture.width() as f32).ceil(),
        );
        let (top, bottom) = (
            bounds.top().max(0.0).floor() as u32,
            bounds.bottom().min(picture.height() as f32).ceil(),
        );
        for (y, x) in (top..bottom as u32).flat_map(|y| (left..right as u32).map(move |x| (y, x))) {
            let at = Pos2::new(x as f32 + 0.5, y as f32 + 0.5);
            // An edge belongs to one of the two triangles that share it.
            let parts =
                [(b, c), (c, a), (a, b)].map(|(from, to)| (cross(from, to, at) / area, from - to));
            let is_inside = parts
                .iter()
                .all(|(part, edge)| *part > 0.0 || (*part == 0.0 && (edge.y, edge.x) > (0.0, 0.0)));
            let in_clip = at.x >= clip.left()
                && at.x < clip.right()
                && at.y >= clip.top()
                && at.y < clip.bottom();
            if !is_inside || !in_clip {
                continue;
            }
            let weighted = |value: fn(&Vertex) -> f32| -> f32 {
                parts.iter().zip(corners).map(|((part, _), corner)| part * value(corner)).sum()
            };
            let texel =
                texture(Pos2::new(weighted(|corner| corner.uv.x), weighted(|corner| corner.uv.y)));
            let color: [fn(&Vertex) -> f32; 4] = [
                |v| v.color.r().into(),
                |v| v.color.g().into(),
                |v| v.color.b().into(),
                |v| v.color.a().into(),
            ];
            let source: [f32; 4] =
                std::array::from_fn(|channel| weighted(color[channel]) * texel[channel] / 255.0);
            let Rgba(pixel) = picture.get_pixel_mut(x, y);
            for (below, above) in pixel.iter_mut().zip(source) {
                *below = f32::from(*below).mul_add(1.0 - source[3] / 255.0, above).round() as u8;
            }
        }
    }
}

fn cross(a: Pos2, b: Pos2, c: Pos2) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// The colour of a pixel, which the window has made opaque.
pub(crate) fn pixel(picture: &RgbaImage, at: Pos2) -> Color32 {
    let Rgba([red, green, blue, alpha]) = *picture.get_pixel(at.x as u32, at.y as u32);
    Color32::from_rgba_premultiplied(red, green, blue, alpha)
}
