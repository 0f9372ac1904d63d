//! Metrics: what is declared of them, and their values.
//!
//! Whoever measures a metric declares it, once, beside the code that measures it: a stage in its
//! own file, a plugin from outside with [`Metric::new`]. What has been declared, and what a run
//! folder declares, is found here by name.

mod declaration;
mod history;
mod range;

pub use declaration::Declaration;
pub use history::{History, MetricRow};
pub use range::Range;

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Larger values are better.
    Higher,
    /// Smaller values are better.
    Lower,
    /// It depends; the help text says on what.
    Neither,
}

/// When a metric has a plot of its own among the curves, before anybody has chosen what to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// In every run, under this title.
    Always(&'static str),
    /// In runs that measure it, under this title.
    WhereMeasured(&'static str),
    /// Only when somebody asks for it.
    Asked,
}

/// The declaration of one metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// `area/name`, the key in `metrics.jsonl`.
    pub name: &'static str,
    /// The unit, empty for plain numbers.
    pub unit: &'static str,
    /// Which direction is good.
    pub better: Better,
    /// When it has a plot of its own.
    pub plot: Plot,
    /// Which values it can have.
    pub range: Range,
    /// Whether it is a finite number in every step that has it.
    pub is_finite: bool,
    /// One or two sentences with the formula, for tooltips.
    pub help: &'static str,
}

impl Metric {
    /// A metric called `area/name`, a plain number of any size of which neither direction is good,
    /// drawn when somebody asks for it.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: "",
            better: Better::Neither,
            plot: Plot::Asked,
            range: Range::ANY,
            is_finite: false,
            help,
        }
    }

    /// The same in this unit.
    #[must_use]
    pub const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// The same with a good direction.
    #[must_use]
    pub const fn better(self, better: Better) -> Self {
        Self { better, ..self }
    }

    /// The same with a plot of its own.
    #[must_use]
    pub const fn plot(self, plot: Plot) -> Self {
        Self { plot, ..self }
    }

    /// The same, with values between `low` and `high`.
    ///
    /// # Panics
    /// Where `low` is above `high`; in a static that is an error of compilation.
    #[must_use]
    pub const fn range(self, low: f64, high: f64) -> Self {
        assert!(low <= high, "the least value of a metric is above its greatest");
        Self { range: Range { low, high, ..self.range }, ..self }
    }

    /// The same, with values of at least `low`.
    #[must_use]
    pub const fn at_least(self, low: f64) -> Self {
        let high = self.range.high;
        self.range(low, high)
    }

    /// The same, with values of at most `high`.
    #[must_use]
    pub const fn at_most(self, high: f64) -> Self {
        let low = self.range.low;
        self.range(low, high)
    }

    /// The same, with values that rounding may carry beyond the range, by `rounding` at most.
    ///
    /// # Panics
    /// Where `rounding` is negative; in a static that is an error of compilation.
    #[must_use]
    pub const fn rounding(self, rounding: f64) -> Self {
        assert!(rounding >= 0.0, "a range is not narrowed by rounding");
        Self { range: Range { rounding, ..self.range }, ..self }
    }

    /// The same, with a finite number in every step that has a value.
    #[must_use]
    pub const fn finite(self) -> Self {
        Self { is_finite: true, ..self }
    }

    /// Its title in the window: that of its plot where it has one, else its name.
    pub fn title(&self) -> &'static str {
        match self.plot {
            Plot::Always(title) | Plot::WhereMeasured(title) => title,
            Plot::Asked => self.name,
        }
    }
}

/// Declares the metrics of a file, as statics, and all of them in order as `METRICS`. After the
/// plot come functions of [`Metric`] that say more, such as `range(0.0, 1.0)`.
macro_rules! metrics {
    ($(
        $id:ident: $name:literal, $unit:literal, $better:ident, $plot:ident$(($title:literal))?
        $(, $more:ident($($value:expr),*))*, $help:literal;
    )*) => {
        $(
            #[doc = $help]
            #[allow(unreachable_pub, reason = "a list of the crate names those that others read")]
            pub static $id: $crate::metrics::Metric = $crate::metrics::Metric::new($name, $help)
                .unit($unit)
                .better($crate::metrics::Better::$better)
                .plot($crate::metrics::Plot::$plot$(($title))?)
                $(.$more($($value),*))*;
        )*

        /// The metrics that are measured here.
        pub(super) const METRICS: &[&$crate::metrics::Metric] = &[$(&$id),*];
    };
}
pub(crate) use metrics;

/// Metrics that are remembered at most; what run folders have beyond is left out.
const MOST: usize = 4096;

/// Bytes of the longest name of a metric that a run folder may have, and characters of the longest
/// title and unit.
const LONGEST_NAME: usize = 256;

/// Characters of the longest help of a metric that a run folder may have.
const LONGEST_HELP: usize = 2000;

/// Who made a metric known; whoever comes later here is believed rather than those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Nobody: its name was met in a row.
    Row,
    /// The declarations of a run folder.
    Folder,
    /// This program, or a plugin of it.
    Program,
}

/// All metrics that this process has met.
#[derive(Default)]
struct Registry {
    in_order: Vec<(&'static Metric, Origin)>,
    by_name: HashMap<&'static str, usize>,
}

impl Registry {
    fn find(&self, name: &str) -> Option<(&'static Metric, Origin)> {
        self.by_name.get(name).map(|&place| self.in_order[place])
    }

    /// Adds a metric in the place of the one of that name.
    fn add(&mut self, metric: &'static Metric, origin: Origin) {
        if let Some(&place) = self.by_name.get(metric.name) {
            self.in_order[place] = (metric, origin);
        } else {
            self.by_name.insert(metric.name, self.in_order.len());
            self.in_order.push((metric, origin));
        }
    }

    /// The metric of that name; one from outside is kept for as long as the process lives, unless
    /// one from there or nearer is known. `None` where it cannot be the name of a metric, or where
    /// there are too many.
    fn keep(
        &mut self,
        name: &str,
        origin: Origin,
        make: impl FnOnce(&'static str) -> Metric,
    ) -> Option<&'static Metric> {
        match self.find(name) {
            Some((known, nearer)) if nearer >= origin => return Some(known),
            None if self.in_order.len() >= MOST
                || name.len() > LONGEST_NAME
                || !name.contains('/') =>
            {
                return None;
            }
            _ => {}
        }
        let metric: &'static Metric = Box::leak(Box::new(make(leak(name, LONGEST_NAME))));
        self.add(metric, origin);
        Some(metric)
    }
}

static REGISTRY: LazyLock<RwLock<Registry>> = LazyLock::new(RwLock::default);

fn look<T>(find: impl FnOnce(&Registry) -> T) -> T {
    find(&REGISTRY.read().unwrap_or_else(PoisonError::into_inner))
}

fn change<T>(change: impl FnOnce(&mut Registry) -> T) -> T {
    change(&mut REGISTRY.write().unwrap_or_else(PoisonError::into_inner))
}

/// Makes metrics of this program known by their names. A later declaration of a name takes the
/// place of the earlier one.
pub fn declare(metrics: &[&'static Metric]) {
    change(|registry| metrics.iter().for_each(|metric| registry.add(metric, Origin::Program)));
}

/// A plain number of this program that is drawn in the runs that measure it, kept for as long as
/// the process lives.
pub(crate) fn own(name: &str, help: &str) -> &'static Metric {
    if let Some(known) = find(name).filter(|known| known.help == help) {
        return known;
    }
    let name = leak(name, LONGEST_NAME);
    let metric = Metric::new(name, leak(help, LONGEST_HELP)).plot(Plot::WhereMeasured(name));
    let metric: &'static Metric = Box::leak(Box::new(metric));
    declare(&[metric]);
    metric
}

/// The metric of that name, if somebody has declared it.
pub fn find(name: &str) -> Option<&'static Metric> {
    look(|registry| registry.find(name)).map(|(metric, _)| metric)
}

/// All metrics that have been declared or met so far, in that order.
pub fn known() -> Vec<&'static Metric> {
    look(|registry| registry.in_order.iter().map(|(metric, _)| *metric).collect())
}

/// The metric of that name. One that nobody has declared gets a plot under its name, and nothing
/// else is known of it. `None` where there are too many of these, or where it cannot be the name of
/// a metric.
pub(crate) fn named(name: &str) -> Option<&'static Metric> {
    let bare = |name| Metric::new(name, "").plot(Plot::WhereMeasured(name));
    find(name).or_else(|| change(|registry| registry.keep(name, Origin::Row, bare)))
}

/// The first `most` characters of a text, for as long as the process lives.
fn leak(text: &str, most: usize) -> &'static str {
    Box::leak(text.chars().take(most).collect::<String>().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    static OWN: Metric = Metric::new("test/own", "Its own.")
        .unit("s")
        .better(Better::Lower)
        .plot(Plot::Always("Own"))
        .at_least(0.0)
        .at_most(9.0)
        .rounding(0.25)
        .finite();

    #[test]
    fn a_declaration_reads_back_and_does_not_replace_what_the_program_declares() {
        declare(&[&OWN]);
        let text = serde_json::to_string(&Declaration::from(&OWN)).unwrap();
        let read: Declaration = serde_json::from_str(&text).unwrap();
        Declaration { help: "Another.".to_string(), ..read.clone() }.adopt();
        assert_eq!(find("test/own"), Some(&OWN));
        Declaration { name: "test/foreign".to_string(), ..read }.adopt();
        let foreign = find("test/foreign").unwrap();
        assert_eq!((foreign.unit, foreign.better, foreign.title()), ("s", Better::Lower, "Own"));
        assert_eq!((foreign.range, foreign.is_finite), (OWN.range, true));
        assert_eq!((OWN.range.low, OWN.range.high), (0.0, 9.0), "one end leaves the other");
    }

    #[test]
    fn what_was_met_before_it_was_declared_gets_its_declaration() {
        static LATE: Metric = Metric::new("test/late", "Late.");
        let bare = named("test/late").unwrap();
        assert_eq!((bare.help, bare.title()), ("", "test/late"));
        declare(&[&LATE]);
        assert_eq!(named("test/late").map(|metric| metric.help), Some("Late."));
    }

    fn foreign(name: &str, help: &str) -> Declaration {
        let (name, help) = (name.to_string(), help.to_string());
        let title = Some("Foreign".to_string());
        let metric = Declaration::from(&Metric::new("test/foreign", "").better(Better::Higher));
        Declaration { name, title, always: true, help, ..metric }
    }

    #[test]
    fn what_was_declared_while_a_name_was_looked_up_stays() {
        let mut registry = Registry::default();
        registry.add(&OWN, Origin::Program);
        // As `named` does it that has found nothing before.
        let kept = registry.keep("test/own", Origin::Row, |name| Metric::new(name, ""));
        assert!(kept.is_some_and(|kept| std::ptr::eq(kept, &raw const OWN)));
        assert!(registry.find("test/own").is_some_and(|(known, _)| known == &OWN));
    }

    #[test]
    fn a_folder_takes_the_place_of_a_bare_name_only_and_is_kept_once() {
        static SILENT: Metric = Metric::new("test/silent", "");
        let mut registry = Registry::default();
        registry.add(&SILENT, Origin::Program);
        foreign("test/silent", "Loud.").adopt_into(&mut registry);
        assert!(
            registry
                .find("test/silent")
                .is_some_and(|(known, _)| std::ptr::eq(known, &raw const SILENT))
        );

        registry.keep("test/met", Origin::Row, |name| Metric::new(name, ""));
        foreign("test/met", "").adopt_into(&mut registry);
        let (adopted, _) = registry.find("test/met").unwrap();
        assert_eq!(
            (adopted.better, adopted.plot),
            (Better::Higher, Plot::WhereMeasured("Foreign"))
        );
        for help in ["", "Another."] {
            foreign("test/met", help).adopt_into(&mut registry);
            assert!(
                registry.find("test/met").is_some_and(|(known, _)| std::ptr::eq(known, adopted)),
                "{help}"
            );
        }
    }

    #[test]
    fn what_a_folder_makes_known_has_bounds() {
        let mut registry = Registry::default();
        let long = "long ".repeat(1000);
        for name in [format!("test/{long}"), "no_area".to_string()] {
            foreign(&name, "").adopt_into(&mut registry);
            assert!(registry.find(&name).is_none());
        }
        let declaration = Declaration {
            unit: long.clone(),
            title: Some(long.clone()),
            ..foreign("test/long", &long)
        };
        declaration.adopt_into(&mut registry);
        let (long, _) = registry.find("test/long").unwrap();
        assert_eq!((long.unit.len(), long.title().len(), long.help.len()), (256, 256, 2000));
        (0..2 * MOST).for_each(|n| foreign(&format!("test/{n}"), "").adopt_into(&mut registry));
        assert_eq!(registry.in_order.len(), MOST);
    }
}
