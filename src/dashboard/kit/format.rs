//! Numbers and lines as people read them.

use crate::escape::shown;

/// What stands where a number does not exist.
pub(crate) const NOT_AVAILABLE: &str = "n/a";

/// From this size on numbers are written in scientific notation.
const ENORMOUS: f64 = 1e6;

/// From this size on that holds for counts too.
const UNCOUNTABLE: f64 = 1e12;

/// `digits` decimals and a power of ten: `3.2e15`.
pub(crate) fn scientific(value: f64, digits: usize) -> String {
    format!("{value:.digits$e}").replace('-', "\u{2212}")
}

/// `decimals` places with a true minus sign, enormous values in scientific notation; `n/a` where
/// there is not a number.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NOT_AVAILABLE.to_owned();
    }
    if value.abs() >= ENORMOUS {
        return scientific(value, 1);
    }
    let text = format!("{:.decimals$}", value.abs());
    // A value that rounds to zero has no sign.
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    if value < 0.0 && !is_zero { format!("\u{2212}{text}") } else { text }
}

/// Like [`number`], with `+` before positive numbers.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = number(value, decimals);
    if value > 0.0 && value.is_finite() && !text.chars().all(|c| matches!(c, '0' | '.')) {
        format!("+{text}")
    } else {
        text
    }
}

/// About three significant digits, for values of any size.
pub(crate) fn compact(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        NOT_AVAILABLE.to_owned()
    } else if size >= ENORMOUS {
        scientific(value, 1)
    } else if size >= 10_000.0 {
        thousands(value)
    } else if size >= 100.0 {
        number(value, 0)
    } else if size >= 10.0 {
        number(value, 1)
    } else if size >= 1.0 {
        number(value, 2)
    } else if size >= 0.0995 {
        number(value, 3)
    } else if size >= 0.000_995 {
        number(value, 4)
    } else if size == 0.0 {
        "0".to_owned()
    } else {
        scientific(value, 1)
    }
}

/// A share as per cent.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{} %", number(100.0 * share, 0))
    } else {
        NOT_AVAILABLE.to_owned()
    }
}

/// A whole number with commas, as far as it can be read.
pub(crate) fn thousands(value: f64) -> String {
    if !value.is_finite() {
        return NOT_AVAILABLE.to_owned();
    }
    if value.abs() >= UNCOUNTABLE {
        return scientific(value, 1);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("\u{2212}{text}") } else { text }
}

/// How many of something there are: `1 step`, `1,200 steps`.
pub(crate) fn count(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", thousands(count as f64)) }
}

/// Seconds as `3:12` or `1:02:03`.
pub(crate) fn clock(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOT_AVAILABLE.to_owned();
    }
    let total = seconds.round() as u64;
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// How long ago something was, in seconds, as people say it.
pub(crate) fn ago(seconds: f64) -> String {
    let (count, unit) = match seconds {
        s if !s.is_finite() || s < 2.0 => return "just now".to_owned(),
        s if s < 60.0 => (s, "s"),
        s if s < 3600.0 => (s / 60.0, "min"),
        s if s < 48.0 * 3600.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{} {unit} ago", count.floor())
}

/// A short time given in seconds, as milliseconds or seconds.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        NOT_AVAILABLE.to_owned()
    } else if seconds <= 0.0 {
        "0 ms".to_owned()
    } else if seconds < 0.0005 {
        "< 1 ms".to_owned()
    } else if seconds < 0.9995 {
        format!("{:.0} ms", 1000.0 * seconds)
    } else if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else {
        clock(seconds)
    }
}

/// The first line of `text` as [`shown`], with an ellipsis where something is left out.
pub(crate) fn one_line(text: &str, max_chars: usize) -> String {
    let mut lines = text.trim().lines();
    let mut line = shown(lines.next().unwrap_or_default(), max_chars);
    if lines.next().is_some() && !line.ends_with('…') {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago_are_said_in_the_unit_that_fits() {
        let said = [0.0, 59.0, 185.0, 7300.0, 1e6].map(ago);
        assert_eq!(said, ["just now", "59 s ago", "3 min ago", "2 h ago", "11 days ago"]);
    }

    #[test]
    fn numbers_have_true_signs_and_a_word_for_nan() {
        assert_eq!(number(-0.634, 2), "\u{2212}0.63");
        assert_eq!(number(-0.001, 2), "0.00");
        assert_eq!(signed(0.41, 2), "+0.41");
        assert_eq!(signed(0.001, 2), "0.00");
        assert_eq!(signed(f64::NAN, 2), "n/a");
        assert_eq!(percent(0.125), "12 %");
    }

    #[test]
    fn large_and_small_values_stay_short() {
        assert_eq!(thousands(1_939.6), "1,940");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(compact(0.083_21), "0.0832");
        assert_eq!(compact(0.153), "0.153");
        assert_eq!(compact(7.333), "7.33");
        assert_eq!(compact(42.17), "42.2");
        assert_eq!(compact(123_456.0), "123,456");
        assert_eq!(compact(0.000_01), "1.0e\u{2212}5");
    }

    #[test]
    fn enormous_values_are_written_in_scientific_notation() {
        assert_eq!(compact(3.21e15), "3.2e15");
        assert_eq!(compact(-333_333_333_333_333.3), "\u{2212}3.3e14");
        assert_eq!(compact(999_999.0), "999,999");
        assert_eq!(signed(1e308, 2), "+1.0e308");
        assert_eq!(number(-1e22, 1), "\u{2212}1.0e22");
        assert_eq!(
            (thousands(123_456_789.0), thousands(1e15)),
            ("123,456,789".to_owned(), "1.0e15".to_owned())
        );
        assert_eq!(percent(1e300), "1.0e302 %");
    }

    #[test]
    fn times_choose_their_unit() {
        assert_eq!(clock(192.0), "3:12");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(duration(0.612), "612 ms");
        assert_eq!(duration(0.0), "0 ms");
        assert_eq!(duration(0.000_1), "< 1 ms");
        assert_eq!(duration(2.25), "2.2 s");
    }

    #[test]
    fn one_line_says_when_it_leaves_something_out() {
        assert_eq!(one_line("Use 4 7 to make 11.", 40), "Use 4 7 to make 11.");
        assert_eq!(one_line("a\nb", 40), "a…");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("abcdef\ng", 3), "abc…");
        assert_eq!(one_line("left \u{202e}right", 40), "left \\u202eright");
    }
}
