//! Units in words and signs: which are the same, and how they convert.

use super::tree::Number;
use std::collections::BTreeMap;

/// What a unit measures, and how many of the basic unit it is. Imperial lengths are defined by the inch of 0.0254 m.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    /// What it measures: basic dimensions with their exponents, none of them 0.
    pub(super) dimensions: BTreeMap<&'static str, i32>,
    /// Basic units in one of it.
    pub(super) factor: Number,
}

/// (names, dimensions, numerator, denominator)
type Row = (&'static [&'static str], &'static [(&'static str, i32)], i64, i64);

const LENGTH: &[(&str, i32)] = &[("length", 1)];
const MASS: &[(&str, i32)] = &[("mass", 1)];
const TIME: &[(&str, i32)] = &[("time", 1)];
const VOLUME: &[(&str, i32)] = &[("length", 3)];
const AREA: &[(&str, i32)] = &[("length", 2)];
const SPEED: &[(&str, i32)] = &[("length", 1), ("time", -1)];
const MONTHS: &[(&str, i32)] = &[("months", 1)];
const DOLLARS: &[(&str, i32)] = &[("dollars", 1)];
const YUAN: &[(&str, i32)] = &[("yuan", 1)];
const GALLONS: &[(&str, i32)] = &[("gallons", 1)];
const ENERGY: &[(&str, i32)] = &[("mass", 1), ("length", 2), ("time", -2)];

const UNITS: [Row; 58] = [
    (&["mm", "millimeter", "millimetre", "毫米"], LENGTH, 1, 1000),
    (&["cm", "centimeter", "centimetre", "厘米", "公分", "см"], LENGTH, 1, 100),
    (&["dm", "decimeter", "decimetre", "分米"], LENGTH, 1, 10),
    (&["m", "meter", "metre", "米", "м"], LENGTH, 1, 1),
    (&["km", "kilometer", "kilometre", "千米", "公里", "км"], LENGTH, 1000, 1),
    (&["in", "inch", "inche", "英寸"], LENGTH, 254, 10_000),
    (&["ft", "foot", "feet", "英尺"], LENGTH, 3048, 10_000),
    (&["yd", "yard", "码"], LENGTH, 9144, 10_000),
    (&["mi", "mile", "英里"], LENGTH, 1_609_344, 1000),
    (&["mg", "milligram", "毫克"], MASS, 1, 1_000_000),
    (&["g", "gram", "克", "г"], MASS, 1, 1000),
    (&["kg", "kilogram", "千克", "公斤", "кг"], MASS, 1, 1),
    (&["oz", "ounce", "盎司"], MASS, 45_359_237, 1_600_000_000),
    (&["lb", "pound", "磅"], MASS, 45_359_237, 100_000_000),
    (&["ton", "吨", "т"], &[("tons", 1)], 1, 1),
    (&["ms", "millisecond", "毫秒"], TIME, 1, 1000),
    (&["s", "sec", "second", "秒", "с"], TIME, 1, 1),
    (&["min", "minute", "分钟", "分"], TIME, 60, 1),
    (&["h", "hr", "hour", "小时", "时", "ч"], TIME, 3600, 1),
    (&["day", "天", "日"], TIME, 86_400, 1),
    (&["week", "周", "星期"], TIME, 604_800, 1),
    (&["month", "月", "个月"], MONTHS, 1, 1),
    (&["yr", "year", "年"], MONTHS, 12, 1),
    (&["dollar", "usd", "buck", "美元"], DOLLARS, 1, 1),
    (&["cent", "penny", "pennie", "美分"], DOLLARS, 1, 100),
    (&["euro", "eur", "欧元"], &[("euros", 1)], 1, 1),
    (&["gbp", "英镑"], &[("pounds sterling", 1)], 1, 1),
    (&["yen", "日元"], &[("yen", 1)], 1, 1),
    (&["yuan", "rmb", "cny", "元"], YUAN, 1, 1),
    (&["jiao", "角"], YUAN, 1, 10),
    (&["ml", "milliliter", "millilitre", "毫升"], VOLUME, 1, 1_000_000),
    (&["l", "liter", "litre", "升"], VOLUME, 1, 1000),
    (&["gallon", "gal", "加仑"], GALLONS, 1, 1),
    (&["quart"], GALLONS, 1, 4),
    (&["pint"], GALLONS, 1, 8),
    (&["mph"], SPEED, 1_609_344, 3_600_000),
    (&["kmh", "kph"], SPEED, 1000, 3600),
    (&["am", "a.m"], &[("morning", 1)], 1, 1),
    (&["pm", "p.m"], &[("afternoon", 1)], 1, 1),
    (&["acre", "英亩"], &[("acres", 1)], 1, 1),
    (&["hectare", "ha", "公顷"], AREA, 10_000, 1),
    (&["degree", "deg", "度"], &[("degrees", 1)], 1, 1),
    (&["radian", "rad", "弧度"], &[("radians", 1)], 1, 1),
    (&["n", "newton", "牛", "牛顿"], &[("mass", 1), ("length", 1), ("time", -2)], 1, 1),
    (&["j", "joule", "焦", "焦耳"], ENERGY, 1, 1),
    (&["kj", "kilojoule", "千焦"], ENERGY, 1000, 1),
    (&["w", "watt", "瓦", "瓦特"], &[("mass", 1), ("length", 2), ("time", -3)], 1, 1),
    (&["kw", "kilowatt", "千瓦"], &[("mass", 1), ("length", 2), ("time", -3)], 1000, 1),
    (&["pa", "pascal", "帕"], &[("mass", 1), ("length", -1), ("time", -2)], 1, 1),
    (&["hz", "hertz", "赫兹"], &[("time", -1)], 1, 1),
    (&["v", "volt", "伏"], &[("volts", 1)], 1, 1),
    (&["\\omega", "ohm", "欧姆"], &[("ohms", 1)], 1, 1),
    (&["a", "amp", "ampere", "安"], &[("amperes", 1)], 1, 1),
    (&["k", "kelvin"], &[("kelvins", 1)], 1, 1),
    (&["c", "celsius", "摄氏度"], &[("celsius", 1)], 1, 1),
    (&["f", "fahrenheit"], &[("fahrenheit", 1)], 1, 1),
    (&["mol", "mole", "摩尔"], &[("moles", 1)], 1, 1),
    (&["percent", "pct", "percentage"], &[("percent", 1)], 1, 1),
];

/// A word without its plural `s`.
fn singular(word: &str) -> &str {
    if word.len() > 2 { word.strip_suffix('s').unwrap_or(word) } else { word }
}

fn find(name: &str) -> Option<&'static Row> {
    let row = |name: &str| UNITS.iter().find(|(names, ..)| names.contains(&name));
    row(singular(name)).or_else(|| row(name))
}

/// Whether a word outside `\text` can only be a unit: `cm` after a number is not c times m.
pub(super) fn is_known(word: &str) -> bool {
    // In small letters these are products, `2pa`, and so is `2hR`.
    let starts_low = word.starts_with(|c: char| c.is_ascii_lowercase());
    let is_product = matches!(word, "pa" | "ha" | "kj" | "kw" | "hz")
        || (starts_low && word.chars().any(|c| c.is_ascii_uppercase()) && !matches!(word, "mL" | "kJ" | "kW"));
    let word = word.to_lowercase();
    !is_product && word.chars().count() >= 2 && find(&word).is_some()
}

/// Whether one letter is the sign of a unit.
pub(super) fn is_sign(letter: &str) -> bool {
    matches!(letter, "m" | "g" | "s" | "h" | "N" | "J" | "W" | "V" | "A" | "K" | "C" | "F" | "L" | "l")
}

/// Whether one letter after a number, in no `\mathrm`, may be a unit: not those that are common names of variables.
pub(super) fn is_plain_sign(letter: &str) -> bool {
    matches!(letter, "m" | "g" | "s" | "N" | "J" | "W" | "L" | "\\Omega")
}

/// The meaning of `cm^2`, `square feet`, `m per s^2` or `平方米`; `None` for words that are no unit, such as `right triangles`.
pub(super) fn unit(text: &str) -> Option<Unit> {
    let mut unit = Unit { dimensions: BTreeMap::new(), factor: Number::from_integer(1.into()) };
    let (mut sign, mut power, mut any) = (1, 1, false);
    for word in text.split_whitespace() {
        match word {
            "per" | "每" => sign = -1,
            "square" | "sq" | "平方" => power = 2,
            "cubic" | "cu" | "立方" => power = 3,
            "sterling" => return self::unit("gbp"),
            _ => {
                let (name, raised) = word.split_once('^').unwrap_or((word, "1"));
                let raised: i32 = raised.parse().ok().filter(|exponent: &i32| (1..=6).contains(&exponent.abs()))?;
                let (name, prefix) = [("平方", 2), ("立方", 3)]
                    .iter()
                    .find_map(|(prefix, power)| Some((name.strip_prefix(prefix)?, *power)))
                    .unwrap_or((name, 1));
                unit.multiply(name, sign * power * prefix * raised)?;
                (power, any) = (1, true);
            }
        }
    }
    unit.dimensions.retain(|_, exponent| *exponent != 0);
    any.then_some(unit)
}

impl Unit {
    /// Multiplies by a power of a unit with a name.
    fn multiply(&mut self, name: &str, exponent: i32) -> Option<()> {
        let (_, dimensions, numerator, denominator) = find(name)?;
        for (dimension, power) in *dimensions {
            *self.dimensions.entry(dimension).or_default() += power * exponent;
        }
        self.factor *= Number::new((*numerator).into(), (*denominator).into()).pow(exponent);
        Some(())
    }
}
