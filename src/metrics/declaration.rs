//! What a run folder says of its metrics.

use super::{
    Better, LONGEST_HELP, LONGEST_NAME, Metric, Origin, Plot, Range, Registry, change, leak,
};
use serde::{Deserialize, Serialize};

/// A metric as a run folder declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The least value that it can have, if there is one. This and what follows it down to `help`
    /// is absent in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The greatest value that it can have, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// How far beyond these rounding may carry a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<f64>,
    /// Whether it is a finite number in every step that has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finite: bool,
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
        let Range { low, high, rounding } = metric.range;
        Self {
            name: metric.name.to_string(),
            unit: metric.unit.to_string(),
            better: metric.better,
            title,
            always,
            low: Some(low).filter(|low| low.is_finite()),
            high: Some(high).filter(|high| high.is_finite()),
            rounding: Some(rounding).filter(|&rounding| rounding > 0.0),
            finite: metric.is_finite,
            help: metric.help.to_string(),
        }
    }
}

impl Declaration {
    /// Makes the metric known. What this program declares itself, or another run folder has
    /// declared before, stays as it is. A plot that a folder asks for is there in runs that measure
    /// it, so that it does not stand empty in all others.
    pub(crate) fn adopt(&self) {
        change(|registry| self.adopt_into(registry));
    }

    pub(super) fn adopt_into(&self, registry: &mut Registry) {
        registry.keep(&self.name, Origin::Folder, |name| {
            let title = self.title.as_ref().map(|title| leak(title, LONGEST_NAME));
            let plot = title.map_or(Plot::Asked, Plot::WhereMeasured);
            let help = leak(&self.help, LONGEST_HELP);
            let metric = Metric::new(name, help).unit(leak(&self.unit, LONGEST_NAME));
            let metric = metric.better(self.better).plot(plot);
            Metric { range: self.range(), is_finite: self.finite, ..metric }
        });
    }

    /// The values that the metric can have; every number where the file has no such range.
    fn range(&self) -> Range {
        let range = Range {
            low: self.low.unwrap_or(Range::ANY.low),
            high: self.high.unwrap_or(Range::ANY.high),
            rounding: self.rounding.unwrap_or_default().max(0.0),
        };
        if range.low <= range.high { range } else { Range::ANY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_ranges_or_with_impossible_ones_allows_every_number() {
        let range = |range: &str| {
            let text = format!(r#"{{"name": "test/range", "better": "lower"{range}}}"#);
            serde_json::from_str::<Declaration>(&text).unwrap().range()
        };
        assert_eq!(range(""), Range::ANY);
        assert_eq!(range(r#", "low": 2, "high": 1"#), Range::ANY);
        let share = range(r#", "low": 0, "high": 1, "rounding": -3"#);
        assert_eq!(share, Range { low: 0.0, high: 1.0, rounding: 0.0 });
        let written =
            serde_json::to_string(&Declaration::from(&Metric::new("test/plain", ""))).unwrap();
        let words = ["low", "high", "rounding", "finite"];
        assert!(words.iter().all(|word| !written.contains(word)), "{written}");
    }
}
