//! Units in words: which are the same, and how they convert.

use super::tree::Number;

/// What a unit measures, and how many of the basic unit it is. Imperial lengths are defined by the inch of 0.0254 m.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    /// What it measures, with its exponent: `length^2`.
    pub(super) dimension: String,
    /// Basic units in one of it.
    pub(super) factor: Number,
}

/// (names, dimension, numerator, denominator)
type Row = (&'static [&'static str], &'static str, i64, i64);

const UNITS: [Row; 39] = [
    (&["mm", "millimeter", "millimetre"], "length", 1, 1000),
    (&["cm", "centimeter", "centimetre"], "length", 1, 100),
    (&["m", "meter", "metre"], "length", 1, 1),
    (&["km", "kilometer", "kilometre"], "length", 1000, 1),
    (&["in", "inch", "inche"], "length", 254, 10_000),
    (&["ft", "foot", "feet"], "length", 3048, 10_000),
    (&["yd", "yard"], "length", 9144, 10_000),
    (&["mi", "mile"], "length", 1_609_344, 1000),
    (&["mg", "milligram"], "mass", 1, 1_000_000),
    (&["g", "gram"], "mass", 1, 1000),
    (&["kg", "kilogram"], "mass", 1, 1),
    (&["oz", "ounce"], "mass", 45_359_237, 1_600_000_000),
    (&["lb", "pound"], "mass", 45_359_237, 100_000_000),
    (&["ton"], "tons", 1, 1),
    (&["ms", "millisecond"], "time", 1, 1000),
    (&["s", "sec", "second"], "time", 1, 1),
    (&["min", "minute"], "time", 60, 1),
    (&["h", "hr", "hour"], "time", 3600, 1),
    (&["day"], "time", 86_400, 1),
    (&["week"], "time", 604_800, 1),
    (&["month"], "months", 1, 1),
    (&["yr", "year"], "months", 12, 1),
    (&["dollar", "usd", "buck"], "dollars", 1, 1),
    (&["cent", "penny", "pennie"], "dollars", 1, 100),
    (&["euro", "eur"], "euros", 1, 1),
    (&["pound sterling", "gbp"], "pounds sterling", 1, 1),
    (&["yen"], "yen", 1, 1),
    (&["ml", "milliliter", "millilitre"], "volume", 1, 1000),
    (&["l", "liter", "litre"], "volume", 1, 1),
    (&["gallon", "gal"], "gallons", 1, 1),
    (&["quart"], "gallons", 1, 4),
    (&["pint"], "gallons", 1, 8),
    (&["mph", "mile per hour"], "speed in miles", 1, 1),
    (&["kmh", "kph", "km per h", "kilometer per hour", "km per hour"], "speed in kilometres", 1, 1),
    (&["am", "a.m"], "morning", 1, 1),
    (&["pm", "p.m"], "afternoon", 1, 1),
    (&["acre"], "acres", 1, 1),
    (&["degree", "deg"], "degrees", 1, 1),
    (&["radian", "rad"], "radians", 1, 1),
];

/// A word without its plural `s`.
fn singular(word: &str) -> &str {
    if word.len() > 2 { word.strip_suffix('s').unwrap_or(word) } else { word }
}

fn find(name: &str) -> Option<&'static Row> {
    UNITS.iter().find(|(names, ..)| names.contains(&name))
}

/// Whether a word outside `\text` can only be a unit: `cm` after a number is not c times m.
pub(super) fn is_known(word: &str) -> bool {
    let word = word.to_lowercase();
    word.len() >= 2 && (find(&word).is_some() || find(singular(&word)).is_some())
}

/// The meaning of `cm^2`, `square feet` or `miles per hour`; `None` for words that are no unit, such as `right triangles`.
pub(super) fn unit(text: &str) -> Option<Unit> {
    let mut exponent = 1;
    let mut words: Vec<&str> = text.split_whitespace().collect();
    match words.first() {
        Some(&("square" | "sq")) => exponent = 2,
        Some(&("cubic" | "cu")) => exponent = 3,
        _ => {}
    }
    if exponent > 1 {
        words.remove(0);
    } else if let Some((base, raised)) = words.last().and_then(|last| last.split_once('^')) {
        exponent = raised.parse().ok().filter(|exponent| (1..=3).contains(exponent))?;
        let last = words.len() - 1;
        words[last] = base;
    }
    let name = words.iter().map(|word| singular(word)).collect::<Vec<_>>().join(" ");
    let (_, dimension, numerator, denominator) = find(&name).or_else(|| find(&words.join(" ")))?;
    let factor = Number::new((*numerator).into(), (*denominator).into());
    let raised = (1..exponent).fold(factor.clone(), |product, _| product * &factor);
    Some(Unit { dimension: format!("{dimension}^{exponent}"), factor: raised })
}
