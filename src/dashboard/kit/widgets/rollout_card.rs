//! One rollout: verdict, numbers and the completion's text.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::Theme;
use crate::dashboard::kit::tokens::answer_range;
use crate::dashboard::kit::widgets::marks;
use crate::dashboard::kit::widgets::quantity;
use crate::dashboard::kit::widgets::quantity::Meaning;
use crate::dashboard::kit::widgets::token_text;
use crate::dashboard::kit::widgets::token_text::Body;
use crate::metrics::Better;
use crate::run::RolloutView;
use egui::{Frame, Margin, RichText, ScrollArea, Stroke, Ui, vec2};

/// How much is said of a rollout beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every number and the extracted answer above the text.
    Full,
    /// The same where there is little room: rewards, novelty and advantage above the text, the rest
    /// below it.
    Short,
    /// The verdict, where the numbers stand elsewhere.
    Brief,
}

const fn meaning<'a>(name: &'a str, help: &'a str, unit: &'a str, place: &'a str) -> Meaning<'a> {
    Meaning { name, help, unit, better: Better::Neither, place }
}

/// Draws a rollout, named `name`, in a card of `height`; returns the token under the pointer.
pub(crate) fn show(
    ui: &mut Ui,
    theme: &Theme,
    name: &str,
    rollout: &RolloutView,
    body: Body<'_>,
    extent: Extent,
    height: f32,
) -> Option<usize> {
    let frame = Frame::new()
        .fill(theme.sunken)
        .stroke(Stroke::new(1.0, theme.border))
        .corner_radius(3.0)
        .inner_margin(Margin::symmetric(8, 6));
    frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.set_height((height - 14.0).max(48.0));
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(10.0, 2.0);
                ui.spacing_mut().interact_size.y = 16.0;
                ui.label(RichText::new(name).color(theme.text_strong));
                ui.scope(|ui| {
                    ui.spacing_mut().item_spacing.x = 4.0;
                    marks::verdict(ui, theme, rollout.verdict);
                    ui.label(
                        RichText::new(marks::verdict_word(rollout.verdict))
                            .color(theme.verdict(rollout.verdict)),
                    );
                });
                if extent != Extent::Brief {
                    judgement(ui, theme, rollout);
                }
                if extent == Extent::Full {
                    sampling(ui, theme, rollout);
                }
            });
            let answer = rollout.extracted.as_deref();
            if extent == Extent::Full {
                self::answer(ui, theme, answer);
            }
            ScrollArea::vertical()
                .id_salt(("completion", name.split(' ').next()))
                .min_scrolled_height(16.0)
                .auto_shrink([false, false])
                .show(ui, |ui| {
                    let lit = text(ui, theme, rollout, body);
                    if extent == Extent::Short {
                        self::answer(ui, theme, answer);
                        ui.horizontal_wrapped(|ui| {
                            ui.spacing_mut().item_spacing = vec2(10.0, 2.0);
                            sampling(ui, theme, rollout);
                        });
                    }
                    lit
                })
                .inner
        })
        .inner
}

/// The completion; returns the token under the pointer.
fn text(ui: &mut Ui, theme: &Theme, rollout: &RolloutView, body: Body<'_>) -> Option<usize> {
    if rollout.completion.is_empty() {
        ui.label(RichText::new("The completion is empty").color(theme.text_weak));
        return None;
    }
    let range = answer_range(&rollout.completion, rollout.extracted.as_deref());
    token_text::show(ui, theme, &rollout.completion, range, theme.verdict(rollout.verdict), body)
}

fn answer(ui: &mut Ui, theme: &Theme, answer: Option<&str>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Answer").color(theme.text_weak));
        let text = answer.map_or_else(
            || RichText::new("none found").color(theme.text_weak),
            |answer| {
                RichText::new(format::one_line(answer, 200)).monospace().color(theme.text_strong)
            },
        );
        ui.add(egui::Label::new(text).truncate())
            .on_hover_text("What the verifier judged, underlined in the completion");
    });
}

/// The rewards of a rollout: the field in its record, and the text.
fn reward(rollout: &RolloutView) -> (&'static str, String) {
    let base = f64::from(rollout.reward);
    let shaped = f64::from(rollout.shaped_reward);
    if !shaped.is_finite() || (shaped - base).abs() <= 1e-6 {
        return ("rollouts/ as reward", format::signed(base, 2));
    }
    let decimals = if base.fract() == 0.0 { 0 } else { 2 };
    let text = format!("{}, shaped {}", format::signed(base, decimals), format::signed(shaped, 2));
    ("rollouts/ as reward and shaped_reward", text)
}

/// What these are, with the named parts of the base reward.
fn reward_help(rollout: &RolloutView) -> String {
    let help = "Base reward of the task: +1 for a correct answer and \u{2212}1 otherwise, unless \
                the task gives others. Shaped is the reward after the method's shaping, if it did \
                any."
        .to_owned();
    if !rollout.reward_parts.is_empty() {
        let part = |(name, value): (&String, &f32)| {
            format!("{name} {}", format::signed(f64::from(*value), 3))
        };
        let parts: Vec<String> = rollout.reward_parts.iter().map(part).collect();
        return format!("{help} Parts of the base reward: {}.", parts.join(", "));
    }
    help
}

/// What was made of the rollout: rewards, novelty, advantage.
fn judgement(ui: &mut Ui, theme: &Theme, rollout: &RolloutView) {
    let (field, text) = reward(rollout);
    let help = reward_help(rollout);
    let reward = meaning("Reward", &help, "", field);
    quantity::phrase(ui, theme, reward, "reward", &text);
    let novelty = meaning(
        "Exploration score ν",
        "ν = √(1 − Σ_j w_j (Φ_i · Φ_j)²) with weights w that grow with the rewards of the others: \
         the part of this direction that high-reward peers do not explain, in [0, 1]. A method may \
         reward it.",
        "",
        "rollouts/ as novelty",
    );
    quantity::phrase(ui, theme, novelty, "novelty", &format::number(f64::from(rollout.novelty), 2));
    let advantage = meaning(
        "Advantage",
        "A = (r − mean of the group) / deviation, of the shaped rewards: above 0 the update makes \
         this answer more probable.",
        "",
        "rollouts/ as advantage",
    );
    quantity::phrase(ui, theme, advantage, "A", &format::signed(f64::from(rollout.advantage), 2));
}

/// How it was sampled: length and log-probability.
fn sampling(ui: &mut Ui, theme: &Theme, rollout: &RolloutView) {
    let help = "Response tokens, the end-of-sequence token included.";
    let length = meaning("Length", help, "tokens", "rollouts/ as length");
    let cut = if rollout.truncated { ", cut off" } else { "" };
    quantity::phrase(ui, theme, length, "", &format!("{} tokens{cut}", rollout.length));
    let help = "Σ_t log p(y_t | y_<t) under the sampling distribution: near 0 for what the policy \
                was sure of.";
    let logprob = meaning("Log-probability", help, "nats", "rollouts/ as logprob");
    quantity::phrase(ui, theme, logprob, "log p", &format::number(f64::from(rollout.logprob), 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;

    #[test]
    fn rewards_of_any_size_are_said_with_their_parts() {
        let mut rollout = testing::group(0, 2, 1).rollouts[0].clone();
        let mut said = |base: f32, shaped: f32| {
            (rollout.reward, rollout.shaped_reward) = (base, shaped);
            reward(&rollout).1
        };
        assert_eq!(said(1.0, 1.0), "+1.00");
        assert_eq!(said(-1.0, -1.25), "\u{2212}1, shaped \u{2212}1.25");
        assert_eq!(said(0.3, 0.45), "+0.30, shaped +0.45");
        assert_eq!(said(-0.25, f32::NAN), "\u{2212}0.25");
        assert!(!reward_help(&rollout).contains("Parts"));
        rollout.reward_parts = [("right".to_owned(), -1.0), ("boxed".to_owned(), 0.125)].into();
        assert!(
            reward_help(&rollout)
                .ends_with("Parts of the base reward: boxed +0.125, right \u{2212}1.000.")
        );
    }
}
