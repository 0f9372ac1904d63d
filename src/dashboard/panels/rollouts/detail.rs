//! The chosen completion in full.

use crate::dashboard::kit::text::caption;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::tokens::TokenQuantity;
use crate::dashboard::kit::widgets::rollout_card::{self, Extent};
use crate::dashboard::kit::widgets::token_chart;
use crate::dashboard::kit::widgets::token_text::{Body, TokenBody};
use crate::dashboard::panels::rollouts::table::name_of;
use crate::dashboard::state::run::State;
use crate::dashboard::state::selection::Place;
use crate::experiment::Every;
use crate::run::StepView;
use egui::{Id, RichText, Ui};

/// Height of the chart over token positions, points.
const CHART: f32 = 52.0;

/// The chosen completion: its numbers, its text, and its tokens where they are recorded.
pub(super) fn show(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    view: &StepView,
    shading: &mut TokenQuantity,
    shown: Option<Place>,
) {
    let Some((place, group)) = shown.and_then(|place| Some((place, view.groups.get(place.group)?)))
    else {
        caption(ui, theme, "Click a completion to read it here.");
        return;
    };
    let Some(rollout) = group.rollouts.get(place.index) else { return };
    let name = name_of(group, place);
    let Some(tokens) = &group.tokens else {
        let height = ui.available_height() - 18.0;
        rollout_card::show(ui, theme, &name, rollout, Body::Marked(&[]), Extent::Brief, height);
        let every = state.snapshot.info.experiment.record.tokens_every;
        let text = match every {
            Every(0) => "Tokens are not recorded (record.tokens_every: 0).".to_owned(),
            every => format!("Tokens are recorded every {every} steps (record.tokens_every)."),
        };
        caption(ui, theme, text);
        return;
    };
    // The part is that in the cosine with the other response of the pair.
    let pair = state.pair().map(|(pair, _)| pair);
    let other =
        pair.map_or(place.index, |pair| if pair.i == place.index { pair.j } else { pair.i });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for quantity in TokenQuantity::ALL {
            let is_shown = *shading == quantity;
            let name = match quantity {
                TokenQuantity::Share => format!("part with {other}"),
                _ => quantity.name().to_owned(),
            };
            if ui
                .selectable_label(is_shown, RichText::new(name).small())
                .on_hover_text(quantity.help())
                .clicked()
            {
                *shading = quantity;
            }
        }
    });
    let quantity = *shading;
    let reach = quantity.reach(&quantity.values(tokens, place.index, other));
    let id = Id::unique("token under the pointer");
    let lit = ui
        .data(|data| data.get_temp::<(Place, usize)>(id))
        .filter(|(of, _)| *of == place)
        .map(|(_, lit)| lit);
    let body = TokenBody { tokens, index: place.index, other, quantity, reach, lit };
    let height = (ui.available_height() - CHART - 4.0).max(60.0);
    let in_text =
        rollout_card::show(ui, theme, &name, rollout, Body::Tokens(body), Extent::Brief, height);
    let in_chart = token_chart::show(ui, theme, &rollout.completion, body, CHART);
    let now = in_text.or(in_chart);
    if now != lit {
        ui.data_mut(|data| match now {
            Some(token) => {
                data.insert_temp(id, (place, token));
            }
            None => data.remove::<(Place, usize)>(id),
        });
        ui.ctx().request_repaint();
    }
}
