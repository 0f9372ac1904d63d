//! What can be seen: pixels of the window, and the pictures that it saves.

use crate::dashboard::kit::theme::Themes;
use crate::dashboard::tests::rasterizer::pixel;
use crate::dashboard::tests::testing;
use crate::dashboard::tests::testing::{Window, with_metric, with_step};
use crate::run::{CosineKind, RunInfo, RunSnapshot};
use egui::{Color32, Key, Modifiers, Pos2, Rect, Theme, pos2, vec2};
use egui_kittest::kittest::Queryable;
use image::{Rgba, RgbaImage};
use std::path::Path;
use std::sync::Arc;

const M: usize = 4;

/// A step of one group with these cosines, and one that could not be computed.
fn snapshot() -> RunSnapshot {
    let upper =
        [(0, 1, 0.0), (0, 2, -1.0), (0, 3, 0.5), (1, 2, f32::NAN), (1, 3, -0.5), (2, 3, 0.05)];
    with_step(testing::snapshot(20, 1, M), |view| {
        let cosine = &mut view.groups[0].cosines[CosineKind::Feature];
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
            if let Some(color) = tokens.cosine(group.cosines[CosineKind::Feature][i * M + j], 1.0) {
                assert_eq!(seen, color, "{theme:?}, cell {i}, {j}");
                continue;
            }
            let side = cells.width() / M as f32;
            let corner = cells.min + vec2(j as f32, i as f32) * side;
            let across: Vec<Color32> = (0..side as usize)
                .map(|x| pixel(&picture, corner + vec2(x as f32, 0.2 * side)))
                .collect();
            assert!(
                across.contains(&tokens.sunken)
                    && across.iter().any(|color| *color != tokens.sunken)
            );
        }
        let neutral = tokens.cosine(0.0, 1.0).unwrap();
        let [red, green, blue, _] = neutral.to_array();
        assert!(
            red.abs_diff(green) < 12 && green.abs_diff(blue) < 12,
            "{neutral:?} is not neutral"
        );
    }
}

/// Opens the panel's menu and saves its picture; returns the texts of the SVG and the PNG.
fn save(window: &mut Window, folder: &Path, panel: &str) -> (String, RgbaImage) {
    window.click(&format!("More about {panel}"));
    window.click("Save picture");
    let [svg, png] =
        ["svg", "png"].map(|kind| folder.join(format!("figures/{panel}_step_000020.{kind}")));
    let started = std::time::Instant::now();
    // The last file is the vector picture, and this is its end.
    let text = loop {
        match std::fs::read_to_string(&svg) {
            Ok(text) if text.ends_with("</svg>\n") => break text,
            _ => {
                assert!(
                    started.elapsed() < std::time::Duration::from_secs(20),
                    "nothing was saved"
                );
            }
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
    let view: Vec<f32> = root
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let origin = pos2(view[0], view[1]);
    assert_eq!((png.width(), png.height()), (view[2].round() as u32, view[3].round() as u32));
    let texts: Vec<&str> = tree
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .collect();
    for text in ["reward", "-0.50", "+0.05", "Effective rank"] {
        assert!(
            texts
                .iter()
                .any(|found| found.contains(text) || found.replace('\u{2212}', "-").contains(text)),
            "{text}: {texts:?}"
        );
    }
    // The matrix: a path per cell with a cosine.
    let matrix =
        tree.descendants().find(|node| node.attribute("shape-rendering").is_some()).unwrap();
    let cells_drawn: Vec<_> = matrix.children().filter(roxmltree::Node::is_element).collect();
    assert_eq!(cells_drawn.len(), M * M - 2);
    for (i, j) in (0..M).flat_map(|i| (0..M).map(move |j| (i, j))).filter(|(i, j)| i != j) {
        let start = format!("M{j} {i}h");
        let Some(cell) =
            cells_drawn.iter().find(|node| node.attribute("d").unwrap().starts_with(&start))
        else {
            assert!(i + j == 3 && i * j == 2, "cell {i}, {j} is missing");
            continue;
        };
        let at = inside(cells, i, j) - origin;
        let Rgba([red, green, blue, _]) = *png.get_pixel(at.x as u32, at.y as u32);
        assert_eq!(
            cell.attribute("fill").unwrap(),
            format!("#{red:02x}{green:02x}{blue:02x}"),
            "cell {i}, {j}"
        );
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
        let tree =
            roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{panel}: {error}"));
        let count = tree.descendants().filter(|node| node.has_tag_name("text")).count();
        assert!(count >= 3, "{panel} has {count} texts");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{panel} has numbers that are none");
    }
}

#[test]
fn curves_and_bands_reach_the_newest_step_though_another_panel_was_in_front() {
    let mut window = Window::open(testing::snapshot(30, 1, M));
    window.click("over time");
    window.press(Modifiers::NONE, Key::Num5);
    window.update(|snapshot| *snapshot = testing::snapshot(60, 1, M));
    let theme = Themes::load().unwrap();
    let theme = theme.of(window.harness.ctx.theme());
    // The curve of this metric stands between its title and the title below.
    let reaches = |window: &mut Window, title: &str, color: Color32| {
        let picture = window.harness.render().unwrap();
        let rect = window.harness.get_all_by_label_contains(title).next().unwrap().rect();
        let (left, top) = (rect.left(), rect.bottom() + 2.0);
        let is_there = |x: f32| (0..60).any(|y| pixel(&picture, pos2(x, top + y as f32)) == color);
        let columns: Vec<u32> = (0..260).filter(|x| is_there(left + *x as f32)).collect();
        columns.last().copied().unwrap_or(0)
    };
    let late = reaches(&mut window, "Negative pairs", theme.cosine(-0.7, 1.0).unwrap());
    window.press(Modifiers::NONE, Key::Num4);
    let curve = reaches(&mut window, "Training accuracy", theme.method("G2RL"));
    // A window that has seen nothing else draws them as far.
    let mut fresh = Window::open(testing::snapshot(60, 1, M));
    fresh.click("over time");
    assert_eq!(late, reaches(&mut fresh, "Negative pairs", theme.cosine(-0.7, 1.0).unwrap()));
    assert_eq!(curve, reaches(&mut fresh, "Training accuracy", theme.method("G2RL")));
    assert!(late > 100 && curve > 100, "{late}, {curve}");
}

#[test]
fn novelties_are_told_apart_where_the_colours_are_fitted() {
    let snapshot = with_step(testing::snapshot(20, 1, 2), |view| {
        for (rollout, novelty) in view.groups[0].rollouts.iter_mut().zip([0.91, 0.94]) {
            rollout.novelty = novelty;
        }
    });
    let mut window = Window::open(snapshot);
    window.click("index");
    let themes = Themes::load().unwrap();
    let theme = themes.of(window.harness.ctx.theme()).clone();
    let strips = |window: &mut Window| {
        let (cells, _) = window.matrix();
        let picture = window.harness.render().unwrap();
        [0.25, 0.75].map(|row| {
            pixel(&picture, pos2(cells.right() + 8.0, cells.top() + row * cells.height()))
        })
    };
    assert_eq!(strips(&mut window), [0.0, 1.0].map(|end| theme.novelty(end).unwrap()));
    window.click("±1");
    assert_eq!(strips(&mut window), [0.91, 0.94].map(|value| theme.novelty(value).unwrap()));
}

#[test]
fn steps_whose_value_is_no_number_are_hatched() {
    let painted = |value: fn(u64) -> f64| {
        let snapshot = with_metric(
            testing::snapshot(20, 1, M),
            &crate::stages::metrics::REWARD_ACCURACY,
            value,
        );
        let mut window = Window::open(snapshot);
        let themes = Themes::load().unwrap();
        let theme = themes.of(window.harness.ctx.theme());
        let (panel, plot) = (theme.panel, theme.sunken);
        let picture = window.harness.render().unwrap();
        let rect =
            window.harness.get_all_by_label_contains("Training accuracy").next().unwrap().rect();
        let at = |x: u32, y: u32| pos2(rect.left() + x as f32, rect.bottom() + y as f32);
        (0..200)
            .flat_map(|x| (0..50).map(move |y| (x, y)))
            .filter(|(x, y)| ![panel, plot].contains(&pixel(&picture, at(*x, *y))))
            .count()
    };
    let whole = painted(|_| 1.0);
    let missing = painted(|step| if (8..=12).contains(&step) { f64::NAN } else { 1.0 });
    let infinite = painted(|step| if (8..=12).contains(&step) { f64::INFINITY } else { 1.0 });
    for broken in [missing, infinite] {
        assert!(broken > whole + 200, "{broken} pixels after {whole}");
    }
}

#[test]
fn the_timeline_shows_its_bands_in_the_smallest_window() {
    let mut window = Window::open_sized(testing::snapshot(20, 1, M), vec2(900.0, 600.0));
    window.press(Modifiers::NONE, Key::Num6);
    let themes = Themes::load().unwrap();
    let stages = themes.of(window.harness.ctx.theme()).stages();
    let rect = window.harness.get_by_label_contains("Time per stage of steps").rect();
    let picture = window.harness.render().unwrap();
    let is_band = |x: f32, y: u32| stages.contains(&pixel(&picture, pos2(x, y as f32)));
    // Through the middle of step 19; the cursor's line covers that of step 20.
    let x = rect.right() - 1.5 * (rect.width() - 64.0) / 20.0;
    let height = (rect.top() as u32..600).filter(|y| is_band(x, *y)).count();
    assert!(height >= 30, "{height} points high");
}
