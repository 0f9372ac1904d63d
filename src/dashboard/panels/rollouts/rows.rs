//! The completions of a step as rows of a table: their quantities, what is let through, and in
//! which order. No drawing here.

use crate::dashboard::kit::completions::Quantity;
use crate::dashboard::kit::tokens::TokenQuantity;
use crate::dashboard::state::selection::Place;
use crate::run::{RolloutView, StepView};
use crate::verify::Verdict;

/// What the rows are put in order by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// As sampled.
    #[default]
    Place,
    /// By verdict, correct first.
    Verdict,
    /// By a number.
    By(Quantity),
    /// By the extracted answer.
    Answer,
}

/// A rectangle in the scatter plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Brush {
    /// From and to, along x.
    pub(super) x: [f64; 2],
    /// From and to, along y.
    pub(super) y: [f64; 2],
}

/// What is searched for: words, and conditions on numbers such as `novelty>0.5`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Search {
    /// What the completion must contain, in lower case.
    words: String,
    /// Bounds that a quantity must keep; `true` is a lower bound.
    bounds: Vec<(Quantity, bool, f64)>,
}

impl Search {
    /// Reads what was typed. A condition is the name of a quantity, `<` or `>`, and a number;
    /// everything else is looked for as it is.
    pub(super) fn parse(text: &str) -> Self {
        let condition = |term: &str| -> Option<(Quantity, bool, f64)> {
            let at = term.find(['<', '>'])?;
            let quantity =
                Quantity::ALL.into_iter().find(|quantity| quantity.key() == &term[..at])?;
            Some((quantity, term.as_bytes()[at] == b'>', term[at + 1..].parse().ok()?))
        };
        let text = text.to_lowercase();
        let (conditions, words): (Vec<&str>, Vec<&str>) =
            text.split(' ').partition(|term| condition(term).is_some());
        Self {
            words: words.join(" ").trim().to_owned(),
            bounds: conditions.into_iter().filter_map(condition).collect(),
        }
    }

    fn finds(&self, rollout: &RolloutView) -> bool {
        let holds = |&(quantity, is_lower, bound): &(Quantity, bool, f64)| {
            let value = quantity.of(rollout);
            if is_lower { value > bound } else { value < bound }
        };
        self.bounds.iter().all(holds)
            && (self.words.is_empty() || rollout.completion.to_lowercase().contains(&self.words))
    }
}

/// What is chosen in the panel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RolloutChoices {
    /// Whether the completions of all groups are listed.
    pub(super) whole_step: bool,
    /// What the completions must contain.
    pub(super) text: String,
    /// The verdict that they must have.
    pub(super) verdict: Option<Verdict>,
    /// The order.
    pub(super) sort: Sort,
    /// Whether the order is turned around.
    pub(super) descending: bool,
    /// The scatter plot's quantities, x and y.
    pub(super) axes: [Quantity; 2],
    /// What is brushed.
    pub(super) brush: Option<Brush>,
    /// What the tokens of the completion are shaded by.
    pub(super) shading: TokenQuantity,
    /// Whether problems over time are shown in place of completions.
    pub(super) shows_problems: bool,
}

impl Default for RolloutChoices {
    fn default() -> Self {
        Self {
            whole_step: true,
            text: String::new(),
            verdict: None,
            sort: Sort::Place,
            descending: false,
            axes: [Quantity::Logprob, Quantity::Novelty],
            brush: None,
            shading: TokenQuantity::Size,
            shows_problems: false,
        }
    }
}

/// The completions of a step that are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// All completions there are.
    pub(super) total: usize,
    /// Those that the filters let through: what the scatter plot draws.
    pub(super) filtered: Vec<Place>,
    /// Those of them that are brushed, in order: what the table lists.
    pub(super) listed: Vec<Place>,
}

impl Rows {
    /// The rows of `view`, of which `group` is the chosen one.
    pub(super) fn new(view: &StepView, group: usize, choices: &RolloutChoices) -> Self {
        let search = Search::parse(&choices.text);
        let groups = view
            .groups
            .iter()
            .enumerate()
            .filter(|(place, _)| choices.whole_step || *place == group);
        let all: Vec<Place> = groups
            .flat_map(|(group, of)| (0..of.rollouts.len()).map(move |index| Place { group, index }))
            .collect();
        let rollout = |place: Place| &view.groups[place.group].rollouts[place.index];
        let total = all.len();
        let filtered: Vec<Place> = all
            .into_iter()
            .filter(|&place| {
                let rollout = rollout(place);
                choices.verdict.is_none_or(|verdict| verdict == rollout.verdict)
                    && search.finds(rollout)
            })
            .collect();
        let mut listed: Vec<Place> = filtered
            .iter()
            .copied()
            .filter(|&place| {
                choices.brush.is_none_or(|brush| {
                    [brush.x, brush.y].into_iter().zip(choices.axes).all(
                        |([from, to], quantity)| {
                            let value = quantity.of(rollout(place));
                            from <= value && value <= to
                        },
                    )
                })
            })
            .collect();
        match choices.sort {
            Sort::Place => {}
            Sort::Verdict => listed.sort_by_key(|&place| rollout(place).verdict as u8),
            Sort::By(quantity) => {
                listed
                    .sort_by(|&a, &b| quantity.of(rollout(a)).total_cmp(&quantity.of(rollout(b))));
            }
            Sort::Answer => {
                listed.sort_by(|&a, &b| rollout(a).extracted.cmp(&rollout(b).extracted));
            }
        }
        if choices.descending {
            listed.reverse();
        }
        Self { total, filtered, listed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::testing;

    #[test]
    fn rows_are_filtered_by_text_and_verdict_brushed_and_put_in_order() {
        let view = testing::step(20, 2, 6);
        let rows = |choices: &RolloutChoices| Rows::new(&view, 1, choices);
        let mut choices = RolloutChoices::default();
        assert_eq!((rows(&choices).total, rows(&choices).listed.len()), (12, 12));
        choices.whole_step = false;
        assert!(rows(&choices).listed.iter().all(|place| place.group == 1));
        assert_eq!(rows(&choices).total, 6);
        choices.whole_step = true;
        choices.sort = Sort::By(Quantity::Novelty);
        choices.descending = true;
        let novelties: Vec<f32> = rows(&choices)
            .listed
            .iter()
            .map(|p| view.groups[p.group].rollouts[p.index].novelty)
            .collect();
        assert!(novelties.is_sorted_by(|a, b| a >= b), "{novelties:?}");
        choices.verdict = Some(Verdict::Correct);
        let correct: usize = view.groups.iter().map(crate::run::GroupView::correct).sum();
        assert_eq!(rows(&choices).listed.len(), correct);
        choices.axes = [Quantity::Novelty, Quantity::Reward];
        choices.brush = Some(Brush { x: [0.5, 1.0], y: [-2.0, 2.0] });
        let brushed = rows(&choices);
        assert_eq!(brushed.filtered.len(), correct);
        assert!(
            brushed.listed.iter().all(|p| view.groups[p.group].rollouts[p.index].novelty >= 0.5)
        );
        assert!(brushed.listed.len() < correct);
        choices.text = "NOT IN ANY".to_owned();
        assert!(rows(&choices).filtered.is_empty());
    }

    #[test]
    fn conditions_on_numbers_stand_among_the_words_of_a_search() {
        let view = testing::step(20, 1, 12);
        let listed = |text: &str| {
            let choices = RolloutChoices { text: text.to_owned(), ..RolloutChoices::default() };
            let rows = Rows::new(&view, 0, &choices);
            rows.listed
                .iter()
                .map(|place| &view.groups[0].rollouts[place.index])
                .collect::<Vec<_>>()
        };
        let half = listed("Novelty>0.5");
        assert!(
            !half.is_empty() && half.len() < 12 && half.iter().all(|rollout| rollout.novelty > 0.5)
        );
        let both = listed("novelty>0.5 BOXED reward<0");
        assert!(
            both.iter().all(|rollout| rollout.completion.contains("boxed") && rollout.reward < 0.0)
        );
        assert!(both.len() < half.len());
        assert_eq!(
            Search::parse("length>3x a<b").words,
            "length>3x a<b",
            "what is no condition is text"
        );
        assert_eq!(listed("novelty<nan").len(), 0);
    }
}
