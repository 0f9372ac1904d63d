//! The numbers of a group beside its matrix: histogram, statistics, spectrum, and how well the
//! features stand for gradients.

use crate::dashboard::kit::format;
use crate::dashboard::kit::geometry::{ColorScale, GroupGeometry};
use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::quantity::{self, Meaning};
use crate::dashboard::kit::widgets::{fidelity_bars, histogram, spectrum};
use crate::metrics::{Better, Metric};
use crate::run::{CosineKind, FidelityRecord};
use crate::stages::metrics;
use egui::{Ui, vec2};

/// Where a group's numbers come from.
const FOLDER: &str = "geometry/, as the group's matrix of cosines";

/// Draws them.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    geometry: &GroupGeometry,
    compared: CosineKind,
    marked: Option<f32>,
    scale: ColorScale,
    fidelity: Option<&FidelityRecord>,
) {
    // The scroll bar has room of its own.
    ui.set_max_width(ui.available_width() - 10.0);
    let below = fidelity.map_or(0.0, fidelity_bars::height);
    let height = ui.available_height() - below;
    ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
    caption(ui, theme, format!("Pairs by cosine, colours {}", scale.name()));
    let free = height - 176.0;
    let chart = (0.62 * free).clamp(64.0, 300.0);
    histogram::show(ui, theme, &geometry.histogram, marked, scale, chart);
    ui.add_space(4.0);
    let of_group =
        |name, metric: &'static Metric| Meaning { place: FOLDER, ..Meaning::of(name, metric) };
    let truth = Meaning {
        name: "Mean cosine",
        help: "Mean cosine between the gradients of this group's completions over all parameters.",
        unit: "",
        better: Better::Neither,
        place: FOLDER,
    };
    let mean = match compared {
        CosineKind::Feature => of_group("Mean cosine", &metrics::GEOMETRY_COSINE_MEAN),
        CosineKind::Semantic => of_group("Mean cosine", &metrics::SEMANTIC_COSINE_MEAN),
        CosineKind::Parameter => truth,
        CosineKind::Hidden => Meaning {
            help: "Mean cosine between the mean hidden states of this group's completions.",
            ..truth
        },
    };
    quantity::row(ui, theme, mean, &format::signed(geometry.mean, 3));
    let negative = of_group("Negative pairs", &metrics::GEOMETRY_NEGATIVE_RATIO);
    quantity::row(ui, theme, negative, &format::percent(geometry.negative));
    let orthogonal = of_group("Near-orthogonal pairs", &metrics::GEOMETRY_ORTHOGONAL_RATIO);
    quantity::row(ui, theme, orthogonal, &format::percent(geometry.orthogonal));
    let rank = Meaning {
        name: "Effective rank",
        help: "exp(entropy of the normalised eigenvalues of this group's cosine matrix): how many \
               directions it spans.",
        unit: "",
        better: Better::Higher,
        place: FOLDER,
    };
    let of = if geometry.effective_rank.is_finite() {
        format!(" of {}", geometry.order.len())
    } else {
        String::new()
    };
    quantity::row(ui, theme, rank, &format!("{}{of}", format::number(geometry.effective_rank, 1)));
    ui.add_space(4.0);
    caption(ui, theme, "Spectrum");
    spectrum::show(
        ui,
        theme,
        &geometry.spectrum,
        geometry.effective_rank,
        (0.38 * free).clamp(32.0, 180.0),
    );
    if let Some(fidelity) = fidelity {
        ui.add_space(4.0);
        fidelity_bars::show(ui, theme, fidelity);
    }
}
