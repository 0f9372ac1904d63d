//! Units in words and signs: which are the same, and how they convert.

use super::tree::Number;
use std::collections::BTreeMap;

/// What a unit measures, and how many of the basic unit it is. Imperial lengths are defined by the
/// inch of 0.0254 m.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    /// What it measures: basic dimensions with their exponents, none of them 0.
    pub(super) dimensions: BTreeMap<&'static str, i32>,
    /// Basic units in one of it.
    pub(super) factor: Number,
}

/// Basic dimensions with their exponents.
type Dimensions = &'static [(&'static str, i32)];

/// (names, dimensions, numerator, denominator)
type Row = (&'static [&'static str], Dimensions, i64, i64);

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

const UNITS: [Row; 71] = [
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
    (&["rpm"], &[("time", -1)], 1, 60),
    (&["am", "a.m"], &[("morning", 1)], 1, 1),
    (&["pm", "p.m"], &[("afternoon", 1)], 1, 1),
    (&["light-year", "lightyear", "ly", "光年"], LENGTH, 9_460_730_472_580_800, 1),
    (&["nautical-mile", "海里"], LENGTH, 1852, 1),
    (&["fluid-ounce", "fluid-oz"], GALLONS, 1, 128),
    (&["troy-ounce", "troy-oz"], MASS, 311_034_768, 10_000_000_000),
    (&["man-hour", "person-hour", "工时"], &[("work", 1)], 1, 1),
    (&["man-day", "person-day"], &[("days of work", 1)], 1, 1),
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
    (&["bit"], &[("bits", 1)], 1, 1),
    (&["byte"], &[("bits", 1)], 8, 1),
    (&["percent", "pct", "percentage"], &[("percent", 1)], 1, 1),
    (&["permille"], &[("percent", 1)], 1, 10),
    (&["basis-point", "bp"], &[("percent", 1)], 1, 100),
    (&["ppm"], &[("percent", 1)], 1, 10_000),
    (&["ppb"], &[("percent", 1)], 1, 10_000_000),
];

/// Units that take prefixes, as they are written, with what one of them is: a number times a power
/// of ten.
const SYMBOLS: [(&str, Dimensions, i64, i32); 27] = [
    ("m", LENGTH, 1, 0),
    ("g", MASS, 1, -3),
    ("s", TIME, 1, 0),
    ("A", &[("amperes", 1)], 1, 0),
    ("K", &[("kelvins", 1)], 1, 0),
    ("mol", &[("moles", 1)], 1, 0),
    ("Hz", &[("time", -1)], 1, 0),
    ("N", &[("mass", 1), ("length", 1), ("time", -2)], 1, 0),
    ("Pa", &[("mass", 1), ("length", -1), ("time", -2)], 1, 0),
    ("bar", &[("mass", 1), ("length", -1), ("time", -2)], 1, 5),
    ("atm", &[("mass", 1), ("length", -1), ("time", -2)], 101_325, 0),
    ("mmHg", &[("mass", 1), ("length", -1), ("time", -2)], 133_322_387_415, -9),
    ("T", &[("teslas", 1)], 1, 0),
    ("Wb", &[("webers", 1)], 1, 0),
    ("J", ENERGY, 1, 0),
    ("Wh", ENERGY, 3600, 0),
    ("cal", ENERGY, 4184, -3),
    ("calorie", ENERGY, 4184, -3),
    ("eV", ENERGY, 1_602_176_634, -28),
    ("electronvolt", ENERGY, 1_602_176_634, -28),
    ("W", &[("mass", 1), ("length", 2), ("time", -3)], 1, 0),
    ("V", &[("volts", 1)], 1, 0),
    ("Ω", &[("ohms", 1)], 1, 0),
    ("L", VOLUME, 1, -3),
    ("l", VOLUME, 1, -3),
    ("B", &[("bits", 1)], 8, 0),
    ("b", &[("bits", 1)], 1, 0),
];

/// Prefixes as signs and as words, with their powers of ten.
const PREFIXES: [(&str, &str, i32); 14] = [
    ("T", "tera", 12),
    ("G", "giga", 9),
    ("M", "mega", 6),
    ("k", "kilo", 3),
    ("h", "hecto", 2),
    ("d", "deci", -1),
    ("c", "centi", -2),
    ("m", "milli", -3),
    ("μ", "micro", -6),
    ("µ", "micro", -6),
    ("u", "micro", -6),
    ("n", "nano", -9),
    ("p", "pico", -12),
    ("f", "femto", -15),
];

/// What a name measures, and how many basic units it is: `mW` is not `MW`, but `KM` is `km`.
fn measure(name: &str) -> Option<(Dimensions, Number)> {
    let of_row = |(_, dimensions, numerator, denominator): &Row| {
        (*dimensions, Number::new((*numerator).into(), (*denominator).into()))
    };
    if let Some(row) = UNITS.iter().find(|(names, ..)| names.contains(&name)) {
        return Some(of_row(row));
    }
    if let Some(found) = symbol(name).or_else(|| symbol(singular(name))) {
        return Some(found);
    }
    let lower = name.to_lowercase();
    if let Some(row) = find(&lower) {
        return Some(of_row(row));
    }
    let (rest, power) =
        PREFIXES.iter().find_map(|(_, word, power)| Some((lower.strip_prefix(word)?, *power)))?;
    let rest = singular(rest);
    let (dimensions, one) =
        find(rest).filter(|_| rest.len() > 2).map(of_row).or_else(|| symbol(rest))?;
    Some((dimensions, one * ten_to(power)))
}

/// One of [`SYMBOLS`], with the sign of a prefix or without.
fn symbol(name: &str) -> Option<(Dimensions, Number)> {
    SYMBOLS.iter().find_map(|(symbol, dimensions, number, power)| {
        let prefix = name.strip_suffix(symbol)?;
        let more = match prefix {
            "" => 0,
            prefix => PREFIXES.iter().find(|(sign, ..)| *sign == prefix)?.2,
        };
        Some((*dimensions, Number::from_integer((*number).into()) * ten_to(power + more)))
    })
}

fn ten_to(power: i32) -> Number {
    Number::from_integer(10.into()).pow(power)
}

/// Words that exclude each other, in groups that mean the same: what one group of a row says is not
/// what another says.
const EXCLUSIVE: [&[&[&str]]; 32] = [
    &[
        &["red"],
        &["blue"],
        &["green"],
        &["yellow"],
        &["white"],
        &["black"],
        &["orange"],
        &["purple"],
        &["pink"],
        &["brown"],
        &["gray", "grey"],
    ],
    &[&["penny", "pennie"], &["nickel"], &["dime"], &["quarter"]],
    &[&["boy"], &["girl"]],
    &[&["man", "men"], &["woman", "women"]],
    &[&["male"], &["female"]],
    &[&["north", "n"], &["south", "s"], &["east", "e"], &["west", "w"]],
    &[&["up", "upward", "above"], &["down", "downward", "below"]],
    &[&["left"], &["right"]],
    &[&["head"], &["tail"]],
    &[&["win"], &["loss", "losses"], &["draw", "tie"]],
    &[
        &["increase", "gain", "profit", "more", "rise"],
        &["decrease", "loss", "less", "fewer", "fall", "decline"],
    ],
    &[&["bc", "bce"], &["ad", "ce"]],
    &[&["odd"], &["even"]],
    &[&["noon"], &["midnight"]],
    &[
        &["monday"],
        &["tuesday"],
        &["wednesday"],
        &["thursday"],
        &["friday"],
        &["saturday"],
        &["sunday"],
    ],
    &[&["before", "ago", "earlier"], &["after", "later", "hence", "now"]],
    &[&["early"], &["late"]],
    // `counter-clockwise` are two words.
    &[&["counterclockwise", "counter", "anticlockwise", "anti"], &["clockwise"]],
    &[&["upstream"], &["downstream"]],
    &[&["faster", "quicker"], &["slower"]],
    &[&["longer", "taller"], &["shorter"]],
    &[&["older"], &["younger"]],
    &[&["heavier"], &["lighter"]],
    &[&["higher"], &["lower"]],
    &[&["larger", "bigger", "greater"], &["smaller"]],
    &[&["ahead"], &["behind"]],
    &[&["forward"], &["back", "backward"]],
    &[&["inside"], &["outside"]],
    &[&["positive"], &["negative"]],
    &[&["nonreal", "complex", "imaginary"], &["real"]],
    &[&["maximum", "maxima"], &["minimum", "minima"]],
    &[&["long"], &["wide"], &["tall", "high"], &["deep"], &["thick"]],
];

/// Whether two counts are known to count different things: `5 red` and `5 blue`.
pub(super) fn exclude(one: &str, other: &str) -> bool {
    let words = |text: &str| text.to_lowercase().split(' ').map(str::to_string).collect::<Vec<_>>();
    let (one, other) = (words(one), words(other));
    // `times a day` and `times a week`
    if one.len() == other.len() && one.len() > 1 {
        let mut different = one.iter().zip(&other).filter(|(one, other)| one != other);
        if let (Some((one, other)), None) = (different.next(), different.next())
            && let (Some(one), Some(other)) = (unit(one), unit(other))
        {
            return one != other;
        }
    }
    EXCLUSIVE.iter().any(|row| {
        let group = |words: &[String]| {
            row.iter().position(|group| {
                group
                    .iter()
                    .any(|known| words.iter().any(|word| word == known || singular(word) == *known))
            })
        };
        group(&one).zip(group(&other)).is_some_and(|(one, other)| one != other)
    })
}

/// Whether two counts name the same thing, in the singular or the plural.
pub(super) fn same_words(one: &str, other: &str) -> bool {
    let normal = |text: &str| -> Vec<String> {
        text.split(' ').map(|word| singular(&word.to_lowercase()).to_string()).collect()
    };
    one == other || normal(one) == normal(other)
}

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
    let is_product = matches!(word, "pa" | "ha" | "kj" | "kw" | "hz" | "ly")
        || (starts_low
            && word.chars().any(|c| c.is_ascii_uppercase())
            && !matches!(word, "mL" | "kJ" | "kW" | "kPa" | "kHz" | "kWh" | "eV" | "keV"));
    if is_product || word.chars().nth(1).is_none() {
        return false;
    }
    let lower = word.to_lowercase();
    find(&lower).is_some()
        || matches!(word, "kPa" | "kHz" | "kWh" | "eV" | "keV")
        || (lower.len() > 2
            && EXCLUSIVE.iter().any(|row| row.iter().any(|group| group.contains(&lower.as_str()))))
}

/// Whether one letter is the sign of a unit.
pub(super) fn is_sign(letter: &str) -> bool {
    matches!(
        letter,
        "m" | "g" | "s" | "h" | "N" | "J" | "W" | "V" | "A" | "K" | "C" | "F" | "L" | "l"
    )
}

/// Whether one letter after a number, in no `\mathrm`, may be a unit: not those that are common
/// names of variables.
pub(super) fn is_plain_sign(letter: &str) -> bool {
    matches!(letter, "m" | "g" | "s" | "N" | "J" | "W" | "L" | "\\Omega")
}

/// The meaning of `cm^2`, `square feet`, `m per s^2` or `平方米`; `None` for words that are not a
/// unit, such as `right triangles`.
pub(super) fn unit(text: &str) -> Option<Unit> {
    let mut unit = Unit { dimensions: BTreeMap::new(), factor: Number::from_integer(1.into()) };
    let (mut sign, mut power, mut any) = (1, 1, false);
    if text.split_whitespace().nth(MAX_WORDS).is_some() {
        return None;
    }
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let is_scale = |next: &&str| {
            matches!(next.to_lowercase().as_str(), "celsius" | "fahrenheit" | "c" | "f")
        };
        match word {
            // `degrees Celsius`
            "degree" | "degrees" if words.peek().is_some_and(is_scale) => {}
            "per" if words.peek().is_some_and(|next| matches!(*next, "mille" | "mil")) => {
                words.next();
                unit.multiply("permille", sign * power)?;
                (power, any) = (1, true);
            }
            "per" | "每" => sign = -1,
            "square" | "sq" | "平方" => power = 2,
            "cubic" | "cu" | "立方" => power = 3,
            "sterling" => return self::unit("gbp"),
            // `light years`
            "light" | "nautical" | "fluid" | "troy" | "man" | "person" | "basis" => {
                unit.multiply(&format!("{word}-{}", words.next()?), sign * power)?;
                (power, any) = (1, true);
            }
            _ => {
                let (name, raised) = word.split_once('^').unwrap_or((word, "1"));
                let raised: i32 = raised
                    .parse()
                    .ok()
                    .filter(|exponent: &i32| (1..=6).contains(&exponent.abs()))?;
                let (name, prefix) = [("平方", 2), ("立方", 3)]
                    .iter()
                    .find_map(|(prefix, power)| Some((name.strip_prefix(prefix)?, *power)))
                    .unwrap_or((name, 1));
                // `ms^{-1}` is metres per second.
                let joined = [("ms", "m", "s"), ("kmh", "km", "h")]
                    .into_iter()
                    .find(|(both, ..)| *both == name);
                match joined.filter(|_| raised < 0) {
                    Some((_, length, time)) => {
                        unit.multiply(length, sign * power)?;
                        unit.multiply(time, sign * power * raised)?;
                    }
                    None => unit.multiply(name, sign * power * prefix * raised)?,
                }
                (power, any) = (1, true);
            }
        }
    }
    unit.dimensions.retain(|_, exponent| *exponent != 0);
    any.then_some(unit)
}

/// How many words a unit may have.
const MAX_WORDS: usize = 12;

/// Words behind a unit that say which way it is measured.
const DIRECTIONS: [&str; 12] = [
    " long",
    " tall",
    " high",
    " wide",
    " deep",
    " thick",
    " away",
    " apart",
    " old",
    " each",
    " altogether",
    " in total",
];

/// The unit that a text is or begins with: `cm long`.
pub(super) fn leading_unit(text: &str) -> Option<Unit> {
    let is_sure =
        |text: &str| text.len() > 2 || matches!(text, "cm" | "mm" | "km" | "kg" | "mg" | "ft");
    let text = DIRECTIONS.iter().find_map(|word| text.strip_suffix(word)).unwrap_or(text);
    unit(text).or_else(|| {
        let ends: Vec<&str> =
            text.match_indices(' ').take(MAX_WORDS).map(|(end, _)| &text[..end]).collect();
        ends.into_iter().rev().filter(|text| is_sure(text)).find_map(unit)
    })
}

/// Whether a unit is that of a temperature, or of degrees of anything.
pub(super) fn is_temperature(unit: &Unit) -> bool {
    unit.dimensions.len() == 1
        && (unit.dimensions.contains_key("celsius") || unit.dimensions.contains_key("fahrenheit"))
}

/// Whether a unit is one of time, or says which half of a day it is.
pub(super) fn is_of_time(words: &str) -> bool {
    let is_day = |word: &str| {
        matches!(
            word,
            "am" | "pm"
                | "noon"
                | "midnight"
                | "clock"
                | "morning"
                | "afternoon"
                | "evening"
                | "night"
        )
    };
    let of_time = |unit: Unit| {
        let dimensions: Vec<_> = unit.dimensions.into_iter().collect();
        matches!(dimensions[..], [("time" | "morning" | "afternoon", 1)])
    };
    leading_unit(words).is_some_and(of_time) || words.to_lowercase().split(' ').any(is_day)
}

impl Unit {
    /// Multiplies by a power of a unit with a name.
    fn multiply(&mut self, name: &str, exponent: i32) -> Option<()> {
        let (dimensions, one) = measure(name)?;
        for (dimension, power) in dimensions {
            *self.dimensions.entry(dimension).or_default() += power * exponent;
        }
        self.factor *= one.pow(exponent);
        Some(())
    }
}
