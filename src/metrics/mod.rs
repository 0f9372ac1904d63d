//! Metrics: what is declared of them, and their values.
//!
//! Whoever measures a metric declares it, once, beside the code that measures it: a stage in its own file, a plugin from outside
//! with [`Metric::new`]. What has been declared, and what a run folder declares, is found here by name.

mod history;

pub use history::{History, MetricRow};

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
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// `area/name`, the key in `metrics.jsonl`.
    pub name: &'static str,
    /// The unit, empty for plain numbers.
    pub unit: &'static str,
    /// Which direction is good.
    pub better: Better,
    /// When it has a plot of its own.
    pub plot: Plot,
    /// One or two sentences with the formula, for tooltips.
    pub help: &'static str,
}

impl Metric {
    /// A metric called `area/name`, a plain number of which neither direction is good, drawn when somebody asks for it.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, unit: "", better: Better::Neither, plot: Plot::Asked, help }
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

    /// Its title in the window: that of its plot where it has one, else its name.
    pub fn title(&self) -> &'static str {
        match self.plot {
            Plot::Always(title) | Plot::WhereMeasured(title) => title,
            Plot::Asked => self.name,
        }
    }
}

/// Declares the metrics of a file, as statics, and all of them in order as `METRICS`.
macro_rules! metrics {
    ($($id:ident: $name:literal, $unit:literal, $better:ident, $plot:ident$(($title:literal))?, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: $crate::metrics::Metric = $crate::metrics::Metric {
                name: $name,
                unit: $unit,
                better: $crate::metrics::Better::$better,
                plot: $crate::metrics::Plot::$plot$(($title))?,
                help: $help,
            };
        )*

        /// The metrics that are measured here.
        pub(super) const METRICS: &[&$crate::metrics::Metric] = &[$(&$id),*];
    };
}
pub(crate) use metrics;

/// Metrics of run folders that are remembered at most; what a folder has beyond is left out.
const MOST: usize = 4096;

/// All metrics that this process has met.
#[derive(Default)]
struct Registry {
    in_order: Vec<&'static Metric>,
    by_name: HashMap<&'static str, usize>,
}

impl Registry {
    /// Adds a metric; a later declaration of a name takes the place of the earlier one.
    fn add(&mut self, metric: &'static Metric) {
        if let Some(&place) = self.by_name.get(metric.name) {
            self.in_order[place] = metric;
        } else {
            self.by_name.insert(metric.name, self.in_order.len());
            self.in_order.push(metric);
        }
    }
}

static REGISTRY: LazyLock<RwLock<Registry>> = LazyLock::new(RwLock::default);

fn look<T>(find: impl FnOnce(&Registry) -> T) -> T {
    find(&REGISTRY.read().unwrap_or_else(PoisonError::into_inner))
}

/// Makes metrics known by their names.
pub fn declare(metrics: &[&'static Metric]) {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    for metric in metrics {
        registry.add(metric);
    }
}

/// The metric of that name, if somebody has declared it.
pub fn find(name: &str) -> Option<&'static Metric> {
    look(|registry| registry.by_name.get(name).map(|&place| registry.in_order[place]))
}

/// All metrics that have been declared or met so far, in that order.
pub fn known() -> Vec<&'static Metric> {
    look(|registry| registry.in_order.clone())
}

/// The metric of that name. One that nobody has declared gets a plot under its name, and nothing else is known of it. `None` where
/// there are too many of these.
pub(crate) fn named(name: &str) -> Option<&'static Metric> {
    find(name).or_else(|| keep(name, |name| Metric::new(name, "").plot(Plot::WhereMeasured(name))))
}

/// Keeps a metric from outside for as long as the process lives.
fn keep(name: &str, make: impl FnOnce(&'static str) -> Metric) -> Option<&'static Metric> {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    if registry.in_order.len() >= MOST && !registry.by_name.contains_key(name) {
        return None;
    }
    let metric: &'static Metric = Box::leak(Box::new(make(leak(name))));
    registry.add(metric);
    Some(metric)
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_string().into_boxed_str())
}

/// A metric as a run folder declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// `area/name`.
    pub name: String,
    /// The unit, empty for plain numbers.
    #[serde(default)]
    pub unit: String,
    /// Which direction is good.
    pub better: Better,
    /// Its title in the window, if it has a plot of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether that plot is there in runs that do not measure it.
    #[serde(default)]
    pub always: bool,
    /// What it is.
    #[serde(default)]
    pub help: String,
}

impl From<&Metric> for Declaration {
    fn from(metric: &Metric) -> Self {
        let (title, always) = match metric.plot {
            Plot::Always(title) => (Some(title.to_string()), true),
            Plot::WhereMeasured(title) => (Some(title.to_string()), false),
            Plot::Asked => (None, false),
        };
        Self {
            name: metric.name.to_string(),
            unit: metric.unit.to_string(),
            better: metric.better,
            title,
            always,
            help: metric.help.to_string(),
        }
    }
}

impl Declaration {
    /// Makes the metric known. What this program declares itself stays as it is.
    pub(crate) fn adopt(&self) {
        if find(&self.name).is_some_and(|known| !known.help.is_empty()) {
            return;
        }
        keep(&self.name, |name| {
            let plot = match &self.title {
                Some(title) if self.always => Plot::Always(leak(title)),
                Some(title) => Plot::WhereMeasured(leak(title)),
                None => Plot::Asked,
            };
            Metric { name, unit: leak(&self.unit), better: self.better, plot, help: leak(&self.help) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static OWN: Metric = Metric::new("test/own", "Its own.").unit("s").better(Better::Lower).plot(Plot::Always("Own"));

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
    }

    #[test]
    fn what_was_met_before_it_was_declared_gets_its_declaration() {
        static LATE: Metric = Metric::new("test/late", "Late.");
        let bare = named("test/late").unwrap();
        assert_eq!((bare.help, bare.title()), ("", "test/late"));
        declare(&[&LATE]);
        assert_eq!(named("test/late").map(|metric| metric.help), Some("Late."));
    }
}
