//! What is listed, and the filters.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::panels::rollouts::rows::{RolloutChoices, Rows};
use crate::verify::Verdict;
use egui::{ComboBox, RichText, TextEdit, Ui};

/// Draws them, `rows` being what they let through.
pub(super) fn show(ui: &mut Ui, theme: &Theme, choices: &mut RolloutChoices, rows: &Rows) {
    ui.horizontal_wrapped(|ui| {
        for (problems, name, hint) in [
            (false, "completions", "The completions of the shown step"),
            (
                true,
                "problems",
                "How often each problem was solved, over the recorded steps of the run",
            ),
        ] {
            if ui
                .selectable_label(choices.shows_problems == problems, name)
                .on_hover_text(hint)
                .clicked()
            {
                choices.shows_problems = problems;
            }
        }
        ui.separator();
        let search = TextEdit::singleline(&mut choices.text)
            .hint_text("Search, novelty>0.5")
            .desired_width(150.0);
        if choices.shows_problems {
            ui.add(search).accessible_name("Search problems");
            return;
        }
        for (whole, name) in [(true, "all groups"), (false, "this group")] {
            if ui.selectable_label(choices.whole_step == whole, name).clicked() {
                choices.whole_step = whole;
            }
        }
        ui.separator();
        ui.add(search).accessible_name("Search completions").on_hover_text(
            "What the completions must contain. Conditions on numbers may stand among the words: \
             novelty>0.5 reward<0; also shaped, advantage, length, logprob, entropy.",
        );
        let name = |verdict: Option<Verdict>| verdict.map_or("any verdict", marks::verdict_word);
        let verdicts =
            ComboBox::from_id_salt("verdict").selected_text(name(choices.verdict)).width(92.0);
        let list = verdicts.show_ui(ui, |ui| {
            let all = [Verdict::Correct, Verdict::Incorrect, Verdict::NoAnswer, Verdict::TimedOut];
            for verdict in std::iter::once(None).chain(all.map(Some)) {
                ui.selectable_value(&mut choices.verdict, verdict, name(verdict));
            }
        });
        list.response.accessible_name("Verdict");
        let count = if rows.listed.len() == rows.total {
            format!("{} completions", format::thousands(rows.total as f64))
        } else {
            format!(
                "{} of {}",
                format::thousands(rows.listed.len() as f64),
                format::thousands(rows.total as f64)
            )
        };
        ui.label(RichText::new(count).color(theme.text_weak));
        let is_filtered =
            choices.brush.is_some() || choices.verdict.is_some() || !choices.text.is_empty();
        if is_filtered
            && ui
                .small_button("All again")
                .on_hover_text("Take every filter and the brush away")
                .clicked()
        {
            choices.brush = None;
            choices.verdict = None;
            choices.text.clear();
        }
    });
}
