//! What panels are written as: fields of tables (CSV), and files, each written on a thread of its
//! own.

use crate::error::{Error, Result};
use egui::{Color32, ColorImage};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What became of an export: the files, or why there are none.
pub(crate) type ExportResult = Arc<Mutex<Option<Result<String, String>>>>;

/// A text as a field of CSV.
pub(crate) fn field(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A number as a field of CSV: empty where there is none.
pub(crate) fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// Saves a part of the window as `name.png` and `name.svg` into `folder` and tells `result`.
pub(crate) fn write_picture(
    folder: PathBuf,
    name: String,
    picture: ColorImage,
    svg: String,
    result: &ExportResult,
    wake: egui::Context,
) {
    in_background(result, wake, move || {
        std::fs::create_dir_all(&folder)
            .map_err(Error::io("making the folder for figures", &folder))?;
        save_png(&picture, &folder.join(format!("{name}.png")))?;
        let path = folder.join(format!("{name}.svg"));
        std::fs::write(&path, svg).map_err(Error::io("writing the picture", &path))?;
        Ok(format!("{name}.png and {name}.svg are in {}", folder.display()))
    });
}

/// Saves a picture as PNG.
pub(crate) fn save_png(image: &ColorImage, path: &Path) -> Result<()> {
    let [width, height] = image.size;
    let bytes: Vec<u8> = image.pixels.iter().flat_map(Color32::to_srgba_unmultiplied).collect();
    image::save_buffer(path, &bytes, width as u32, height as u32, image::ExtendedColorType::Rgba8)
        .map_err(|error| {
            Error::failed(format!("saving the screenshot failed: {error} ({})", path.display()))
        })
}

/// Does `work` on a thread of its own and tells `result` what became of it.
pub(crate) fn in_background(
    result: &ExportResult,
    wake: egui::Context,
    work: impl FnOnce() -> Result<String> + Send + 'static,
) {
    let (told, failed) = (Arc::clone(result), Arc::clone(result));
    let tell = |result: &ExportResult, what: Result<String, String>| {
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    };
    let work = move || {
        tell(&told, work().map_err(|error| error.to_string()));
        wake.request_repaint();
    };
    if let Err(error) = std::thread::Builder::new().name("export".to_owned()).spawn(work) {
        tell(&failed, Err(format!("cannot start the thread that exports: {error}")));
    }
}
