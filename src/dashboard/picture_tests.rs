//! What can be seen: pixels of the window, and the pictures that it saves.

use super::rasterizer::pixel;
use super::testing::{self, Window, with_step};
use super::theme::Themes;
use crate::trainer::{RunInfo, RunSnapshot};
use egui::{Color32, Key, Modifiers, Pos2, Rect, Theme, pos2, vec2};
use image::{Rgba, RgbaImage};
use std::path::Path;
use std::sync::Arc;

const M: usize = 4;

/// A step of one group with these cosines, and one that could not be computed.
fn snapshot() -> RunSnapshot {
    let upper = [(0, 1, 0.0), (0, 2, -1.0), (0, 3, 0.5), (1, 2, f32::NAN), (1, 3, -0.5), (2, 3, 0.05)];
    with_step(testing::snapshot(20, 1, M), |view| {
        let cosine = &mut view.groups[0].cosine;
        cosine.fill(1.0);
        for (i, j, value) in upper {
            (cosine[i * M + j], cosine[j * M + i]) = (value, value);
        }
    })
}

/// The upper left part of a cell, which the number in its middle leaves free.
fn inside(cells: Rect, i: usize, j: usize) -> Pos2 {
    cells.min + cells.size() / M as f32 * vec2(j as f32 + 0.15, i as f32 + 0.15)
}

/// A window that shows the whole range of cosines, ordered by index.
fn window(snapshot: RunSnapshot, theme: Theme) -> (Window, Rect) {
    let mut window = Window::open(snapshot);
    window.harness.ctx.set_theme(theme);
    window.click("±1");
    window.click("index");
    let (cells, _) = window.matrix();
    (window, cells)
}

#[test]
fn a_cell_has_the_colour_of_its_cosine_and_one_without_is_hatched() {
    let themes = Themes::load().unwrap();
    for theme in [Theme::Dark, Theme::Light] {
        let snapshot = snapshot();
        let group = snapshot.latest.as_ref().unwrap().groups[0].clone();
        let (mut window, cells) = window(snapshot, theme);
        let picture = window.harness.render().unwrap();
        let tokens = themes.of(theme);
        for (i, j) in (0..M).flat_map(|i| (0..M).map(move |j| (i, j))).filter(|(i, j)| i != j) {
            let seen = pixel(&picture, inside(cells, i, j));
            if let Some(color) = tokens.cosine(group.cosine[i * M + j], 1.0) {
                assert_eq!(seen, color, "{theme:?}, cell {i}, {j}");
                continue;
            }
            let side = cells.width() / M as f32;
            let corner = cells.min + vec2(j as f32, i as f32) * side;
            let across: Vec<Color32> =
                (0..side as usize).map(|x| pixel(&picture, corner + vec2(x as f32, 0.2 * side))).collect();
            assert!(across.contains(&tokens.sunken) && across.iter().any(|color| *color != tokens.sunken));
        }
        let neutral = tokens.cosine(0.0, 1.0).unwrap();
        let [red, green, blue, _] = neutral.to_array();
        assert!(red.abs_diff(green) < 12 && green.abs_diff(blue) < 12, "{neutral:?} is not neutral");
    }
}

/// Opens the panel's menu and saves its picture; returns the texts of the SVG and the PNG.
fn save(window: &mut Window, folder: &Path, panel: &str) -> (String, RgbaImage) {
    window.click(&format!("More about {panel}"));
    window.click("Save picture");
    let [svg, png] = ["svg", "png"].map(|kind| folder.join(format!("figures/{panel}_step_000020.{kind}")));
    let started = std::time::Instant::now();
    // The last file is the vector picture, and this is its end.
    let text = loop {
        match std::fs::read_to_string(&svg) {
            Ok(text) if text.ends_with("</svg>\n") => break text,
            _ => assert!(started.elapsed() < std::time::Duration::from_secs(20), "nothing was saved"),
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
        window.settle();
    };
    (text, image::open(png).unwrap().into_rgba8())
}

#[test]
fn the_saved_pictures_of_a_panel_agree_and_the_vector_picture_keeps_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let mut snapshot = snapshot();
    snapshot.info = Arc::new(RunInfo { directory: folder.path().to_path_buf(), ..testing::info() });
    let (mut window, cells) = window(snapshot, Theme::Light);
    let (svg, png) = save(&mut window, folder.path(), "geometry");
    let tree = roxmltree::Document::parse(&svg).unwrap();
    let root = tree.root_element();
    let view: Vec<f32> = root.attribute("viewBox").unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    let origin = pos2(view[0], view[1]);
    assert_eq!((png.width(), png.height()), (view[2].round() as u32, view[3].round() as u32));
    let texts: Vec<&str> =
        tree.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text()).collect();
    for text in ["reward", "-0.50", "+0.05", "Effective rank"] {
        assert!(
            texts.iter().any(|found| found.contains(text) || found.replace('\u{2212}', "-").contains(text)),
            "{text}: {texts:?}"
        );
    }
    // The matrix: a path per cell with a cosine.
    let matrix = tree.descendants().find(|node| node.attribute("shape-rendering").is_some()).unwrap();
    let cells_drawn: Vec<_> = matrix.children().filter(roxmltree::Node::is_element).collect();
    assert_eq!(cells_drawn.len(), M * M - 2);
    for (i, j) in (0..M).flat_map(|i| (0..M).map(move |j| (i, j))).filter(|(i, j)| i != j) {
        let start = format!("M{j} {i}h");
        let Some(cell) = cells_drawn.iter().find(|node| node.attribute("d").unwrap().starts_with(&start)) else {
            assert!(i + j == 3 && i * j == 2, "cell {i}, {j} is missing");
            continue;
        };
        let at = inside(cells, i, j) - origin;
        let Rgba([red, green, blue, _]) = *png.get_pixel(at.x as u32, at.y as u32);
        assert_eq!(cell.attribute("fill").unwrap(), format!("#{red:02x}{green:02x}{blue:02x}"), "cell {i}, {j}");
    }
}

#[test]
fn every_panel_becomes_a_vector_picture() {
    let folder = tempfile::tempdir().unwrap();
    let mut snapshot = with_step(snapshot(), testing::add_tokens);
    snapshot.info = Arc::new(RunInfo { directory: folder.path().to_path_buf(), ..testing::info() });
    let mut window = Window::open(with_step(snapshot, |view| {
        view.groups[0].rollouts[0].completion = "a < b & \"c\" > \u{1}".to_owned();
    }));
    let keys = [Key::Num1, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8];
    let panels = ["groups", "pair", "curves", "rollouts", "timeline", "health", "experiment"];
    for (key, panel) in keys.into_iter().zip(panels) {
        window.press(Modifiers::NONE, key);
        let (svg, _) = save(&mut window, folder.path(), panel);
        let tree = roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{panel}: {error}"));
        let count = tree.descendants().filter(|node| node.has_tag_name("text")).count();
        assert!(count >= 3, "{panel} has {count} texts");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{panel} has numbers that are none");
    }
}
