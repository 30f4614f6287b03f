//! Durations as operators write them: `"100ms"`, `"1s"`, `"40.95s"`, `"1m30s"`, `"2d"`. The result
//! is exact, because decimal digits become nanoseconds without passing through a floating-point
//! number.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is a number without a unit.
    #[error("has no unit")]
    NoUnit,
    /// The text has a unit without a number, or anything else.
    #[error("is not a duration")]
    Malformed,
    /// The units are not in descending order, or one is repeated: `1s1m`, `1s1s`.
    #[error("has its units out of order")]
    Order,
    /// The duration has a fraction of a nanosecond, or is longer than 584 years.
    #[error("is too long or too precise")]
    Range,
}

/// Days are read but not written, because people write `24h` in a configuration.
const DAY: &str = "d";

/// The units and their nanoseconds, the longest first, which is also the order in which they may
/// follow each other.
const UNITS: [(&str, u64); 7] = [
    (DAY, 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration: numbers with units, each unit once, the longest first. A number may have a
/// decimal fraction. A plain `0` needs no unit.
///
/// # Errors
/// [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos, mut next_unit) = (text, 0_u64, 0_usize);
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let (index, (_, size)) = UNITS.iter().enumerate().find(|(_, (name, _))| *name == unit).ok_or(
            if unit.is_empty() && after.is_empty() {
                DurationError::NoUnit
            } else {
                DurationError::Malformed
            },
        )?;
        if index < next_unit {
            return Err(DurationError::Order);
        }
        nanos = nanos.checked_add(scale(number, *size)?).ok_or(DurationError::Range)?;
        (rest, next_unit) = (after, index + 1);
    }
    Ok(Duration::from_nanos(nanos))
}

/// A text from which [`parse`] reads the same duration: whole hours and minutes, and the rest as a
/// decimal of the largest unit that fits, such as `1m30s`, `40.95s`, `10ms`.
pub(super) fn text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS.into_iter().filter(|(unit, _)| *unit != DAY) {
        let whole = rest / size;
        if whole > 0 && size > 1_000_000_000 {
            text.push_str(&format!("{whole}{unit}"));
            rest %= size;
        } else if whole > 0 {
            let width = size.ilog10() as usize;
            let fraction = format!(".{:0width$}", rest % size);
            text.push_str(&format!("{whole}{}{unit}", fraction.trim_end_matches('0').trim_end_matches('.')));
            return text;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// A decimal number of a unit, converted to nanoseconds.
fn scale(number: &str, unit: u64) -> Result<u64, DurationError> {
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !whole.is_empty() && !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(DurationError::Malformed),
        None if number.is_empty() => return Err(DurationError::Malformed),
        None => (number, ""),
    };
    let mut nanos = digits(whole)?.checked_mul(unit).ok_or(DurationError::Range)?;
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        let places = u32::try_from(fraction.len()).map_err(|_| DurationError::Range)?;
        let divisor = 10_u64.checked_pow(places).ok_or(DurationError::Range)?;
        let scaled = u128::from(digits(fraction)?) * u128::from(unit);
        if !scaled.is_multiple_of(u128::from(divisor)) {
            return Err(DurationError::Range);
        }
        let part = u64::try_from(scaled / u128::from(divisor)).map_err(|_| DurationError::Range)?;
        nanos = nanos.checked_add(part).ok_or(DurationError::Range)?;
    }
    Ok(nanos)
}

fn digits(text: &str) -> Result<u64, DurationError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DurationError::Malformed);
    }
    text.parse().map_err(|_| DurationError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        const MS: u64 = 1_000_000;
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("10ms", 10 * MS),
            ("100ms", 100 * MS),
            ("1s", 1000 * MS),
            ("1.0s", 1000 * MS),
            ("0.01s", 10 * MS),
            ("40.95s", 40_950 * MS),
            ("40s950ms", 40_950 * MS),
            ("1m30s", 90_000 * MS),
            ("1.5h", 5_400_000 * MS),
            ("2d", 172_800_000 * MS),
            ("1d12h", 129_600_000 * MS),
            ("1h1m1s1ms1us1ns", 3_661_001_001_001),
            ("0.000000001s", 1),
            ("007s", 7000 * MS),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_duration_is_refused_with_the_reason() {
        for (text, error) in [
            ("", DurationError::Empty),
            ("5", DurationError::NoUnit),
            ("1s5", DurationError::NoUnit),
            ("s", DurationError::Malformed),
            ("1 s", DurationError::Malformed),
            (" 1s", DurationError::Malformed),
            ("-1s", DurationError::Malformed),
            ("+1s", DurationError::Malformed),
            (".5s", DurationError::Malformed),
            ("1.s", DurationError::Malformed),
            ("1.2.3s", DurationError::Malformed),
            ("1sec", DurationError::Malformed),
            ("1S", DurationError::Malformed),
            ("１s", DurationError::Malformed),
            ("1e3s", DurationError::Malformed),
            ("1s1m", DurationError::Order),
            ("1s1s", DurationError::Order),
            ("0.5ns", DurationError::Range),
            ("99999999999999999999s", DurationError::Range),
            ("9999999999h", DurationError::Range),
            ("0.0000000000000000000001s", DurationError::Range),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn durations_are_printed_as_one_would_write_them() {
        for (nanos, written) in [
            (0, "0s"),
            (10_000_000, "10ms"),
            (40_950_000_000, "40.95s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h"),
            (86_400_000_000_000, "24h"),
            (1_500, "1.5us"),
            (7, "7ns"),
        ] {
            assert_eq!(text(Duration::from_nanos(nanos)), written);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_printed_duration_reads_back_as_itself(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&text(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = parse(&text);
        }
    }
}
