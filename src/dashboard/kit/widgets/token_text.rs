//! The text of a completion that can be selected: plain, with marks, or token by token.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::{MONO_SIZE, Theme};
use crate::dashboard::kit::tokens::TokenQuantity;
use crate::run::GroupTokens;
use egui::text::{LayoutJob, TextFormat};
use egui::text_selection::LabelSelectionState;
use egui::{Color32, FontId, Label, RichText, Role, Sense, Stroke, Ui, WidgetInfo};
use std::ops::Range;

/// How a completion is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// With these ranges of bytes marked, if any.
    Marked(&'a [Range<usize>]),
    /// Token by token.
    Tokens(TokenBody<'a>),
}

/// A completion token by token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBody<'a> {
    /// Its group's tokens.
    pub(crate) tokens: &'a GroupTokens,
    /// Its index in the group.
    pub(crate) index: usize,
    /// The other response of the pair.
    pub(crate) other: usize,
    /// What the tokens are shaded by.
    pub(crate) quantity: TokenQuantity,
    /// The value that the colours' ends stand for; see [`TokenQuantity::reach`].
    pub(crate) reach: f32,
    /// The token under the pointer elsewhere.
    pub(crate) lit: Option<usize>,
}

/// Draws `text`, with the answer underlined; returns the token under the pointer.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    text: &str,
    answer: Option<Range<usize>>,
    answer_color: Color32,
    body: Body<'_>,
) -> Option<usize> {
    let font = FontId::monospace(MONO_SIZE);
    let underline = Stroke::new(1.5, answer_color);
    match body {
        Body::Marked(marks) => {
            let job = marked(theme, text, marks, answer, underline, &font);
            ui.add(Label::new(job).wrap());
            None
        }
        Body::Tokens(body) => {
            let (job, starts) = token_job(theme, text, answer, underline, &font, body);
            let (position, galley, response) =
                Label::new(job).wrap().sense(Sense::hover()).layout_in_ui(ui);
            let lit = response.hover_pos().filter(|_| !starts.is_empty()).map(|pointer| {
                let cursor = galley.cursor_from_pos(pointer - position).index.0;
                starts.partition_point(|&start| start <= cursor).saturating_sub(1)
            });
            let label = galley.text().to_owned();
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, label.clone()));
            LabelSelectionState::label_text_selection(
                ui,
                &response,
                position,
                galley,
                theme.text,
                Stroke::NONE,
            );
            if let Some(token) = lit {
                response.on_hover_ui_at_pointer(|ui| explain(ui, theme, text, body, token));
            }
            lit
        }
    }
}

/// The text with marked ranges on another ground and the answer underlined.
fn marked(
    theme: &Theme,
    text: &str,
    marks: &[Range<usize>],
    answer: Option<Range<usize>>,
    underline: Stroke,
    font: &FontId,
) -> LayoutJob {
    let mut cuts: Vec<usize> =
        marks.iter().chain(answer.as_ref()).flat_map(|range| [range.start, range.end]).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let mut job = LayoutJob::default();
    for piece in cuts.windows(2) {
        let (start, end) = (piece[0], piece[1]);
        let Some(part) = text.get(start..end) else { continue };
        let within = |range: &Range<usize>| range.start <= start && end <= range.end;
        let is_marked = marks.iter().any(within);
        let mut format = TextFormat::simple(
            font.clone(),
            if is_marked { theme.text_strong } else { theme.text },
        );
        if is_marked {
            format.background = theme.selection;
        }
        if answer.as_ref().is_some_and(within) {
            format.underline = underline;
        }
        job.append(part, 0.0, format);
    }
    job
}

/// What stands for a token: its text, with marks where nothing could be seen.
fn visible(piece: &str, is_last: bool) -> String {
    if piece.is_empty() {
        return if is_last { " [end]".to_owned() } else { "·".to_owned() };
    }
    if piece.trim().is_empty() {
        return piece.replace(' ', "·").replace('\t', "→").replace('\n', "↵\n");
    }
    piece.replace('\n', "↵\n")
}

/// The tokens, and at which character each begins.
fn token_job(
    theme: &Theme,
    text: &str,
    answer: Option<Range<usize>>,
    underline: Stroke,
    font: &FontId,
    body: TokenBody<'_>,
) -> (LayoutJob, Vec<usize>) {
    let pieces = body.tokens.pieces(body.index, text);
    let values = body.quantity.values(body.tokens, body.index, body.other);
    let begin = body.tokens.range(body.index).start;
    let mut job = LayoutJob::default();
    let mut starts = Vec::with_capacity(pieces.len());
    let (mut at, mut characters) = (0, 0);
    for (token, (piece, &value)) in pieces.iter().zip(&values).enumerate() {
        let background = body.quantity.color(theme, value, body.reach);
        let color = background.map_or(theme.text_weak, |background| theme.text_on(background));
        let mut format = TextFormat::simple(font.clone(), color);
        format.background = background.unwrap_or(Color32::TRANSPARENT);
        let range = at..at + piece.len();
        if answer
            .as_ref()
            .is_some_and(|answer| range.start < answer.end && answer.start < range.end)
        {
            format.underline = underline;
        }
        if body.lit == Some(token) {
            format.underline = Stroke::new(2.0, theme.focus);
        }
        if body.quantity == TokenQuantity::Ratio
            && body.tokens.clipped.get(begin + token) == Some(&true)
        {
            format.strikethrough = Stroke::new(1.0, color);
        }
        let shown = visible(piece, token + 1 == pieces.len());
        starts.push(characters);
        characters += shown.chars().count();
        at = range.end;
        job.append(&shown, 0.0, format);
    }
    (job, starts)
}

/// Everything that is known of a token.
pub(crate) fn explain(ui: &mut Ui, theme: &Theme, text: &str, body: TokenBody<'_>, token: usize) {
    ui.set_max_width(340.0);
    let pieces = body.tokens.pieces(body.index, text);
    let Some(piece) = pieces.get(token) else { return };
    ui.label(
        RichText::new(format!("Token {} of {}", token + 1, pieces.len())).color(theme.text_strong),
    );
    let shown = if piece.is_empty() { "without text".to_owned() } else { format!("{piece:?}") };
    ui.label(RichText::new(format::one_line(&shown, 60)).monospace());
    for quantity in TokenQuantity::ALL {
        let value = quantity
            .values(body.tokens, body.index, body.other)
            .get(token)
            .copied()
            .unwrap_or(f32::NAN);
        let mut name = quantity.name().to_owned();
        if quantity == TokenQuantity::Share {
            let line = format!(" with {}", body.other);
            name.push_str(&line);
        }
        ui.label(format!("{name}  {}", quantity.format(value)));
    }
    if body.tokens.clipped.get(body.tokens.range(body.index).start + token) == Some(&true) {
        ui.label(RichText::new("Clipped: it gave no gradient").color(theme.warning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_could_not_be_seen_have_marks() {
        assert_eq!(visible(" the", false), " the");
        assert_eq!(visible("  ", false), "··");
        assert_eq!(visible("\n\n", false), "↵\n↵\n");
        assert_eq!(visible("", false), "·");
        assert!(!visible("", true).trim().is_empty());
    }
}
