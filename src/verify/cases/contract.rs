//! Decisions that a reader may have expected otherwise. The page on data and rewards documents
//! them.

use super::{Case, check_tables};

/// Documented decisions that a reader may have expected otherwise.
const CONTRACT: &[Case] = &[
    ("5", &[r"5\%"], &["0.05", r"0.05\%"]),
    (r"5\%", &["5", "0.05", r"\frac{1}{20}"], &[r"0.05\%", "500"]),
    (r"\frac17", &["0.142857", "0.1428571"], &["0.14286", "0.142856", "0.143"]),
    ("2", &["2"], &["2, 2"]),
    ("101_2", &["101_2", "101"], &["5", "101_3"]),
    ("Ce^x", &["e^xC"], &["Ke^x"]),
    (r"(1,\infty)", &[r"x\in(1,\infty)"], &["x>1"]),
    ("13", &["13 hours", r"13\text{ h}"], &["13h", "13k"]),
    // `9 m` may be a product, whose value is not known.
    ("9 m", &[r"9\text{ m}"], &["9"]),
    (r"9\text{ m}", &["9", "9 m"], &["9 s"]),
    // Solutions are listed with "and" as well as with "or".
    (r"x=1\text{ or }x=2", &[r"x=1\text{ and }x=2", "1, 2"], &["x=1"]),
    (r"x=1\text{ and }x=2", &[r"x=1\text{ or }x=2", "1, 2"], &["x=2"]),
    // Letters are numbers unless they are vectors; matrices keep their order without a sign.
    (r"A\times B", &[r"B\times A"], &["A+B"]),
    (r"\vec A\times\vec B", &[], &[r"\vec B\times\vec A"]),
    // An interval is asked for as one: the question may be to write `x \ge 3` so.
    (r"[3,\infty)", &[r"x\in[3,\infty)"], &[r"x\ge3"]),
    (r"x\ge3", &[r"[3,\infty)"], &[r"(3,\infty)"]),
    ("1", &["a=b=c=1"], &["a=b=c=2"]),
    (r"x\equiv 1\pmod 5", &[r"1\pmod 5"], &["1", r"2\pmod 5"]),
    (r"1\pmod 5", &[r"x\equiv 1\pmod 5"], &["1"]),
];

#[test]
fn documented_decisions_hold() {
    check_tables(&[("documented decisions", CONTRACT)]);
}
