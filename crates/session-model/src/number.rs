//! Numbers compared and added by value, without conversion to a float.
//!
//! A JSON number is kept as its text (see [`crate::json`]), so that `1` and `1.0` are different
//! documents but the same number.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// The most digits that a sum may have. Without a limit, an exponent of a few bytes could create a
/// huge number.
pub const MAX_DIGITS: usize = 1_000;
/// The longest text of a number that can be added to; longer numbers are not even parsed.
pub(crate) const MAX_TEXT: usize = 2 * MAX_DIGITS;

/// Whether two values are equal, with numbers compared by value as RFC 6902 requires.
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other
                || match (Decimal::parse(one.as_str()), Decimal::parse(other.as_str())) {
                    (Ok(one), Ok(other)) => one.is_same(&other),
                    // Numbers with an exponent of dozens of digits are equal only as text.
                    (Err(_), _) | (_, Err(_)) => false,
                }
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| is_same(one, other)))
        }
        (Value::Null | Value::Bool(_) | Value::String(_), _) => one == other,
        (Value::Number(_) | Value::Array(_) | Value::Object(_), _) => false,
    }
}

/// Converts a text to a number digit for digit; `None` if it is not a JSON number.
pub fn of_text(text: &str) -> Option<Number> {
    let starts_well = text
        .strip_prefix('-')
        .unwrap_or(text)
        .starts_with(|first: char| first.is_ascii_digit());
    match starts_well.then(|| crate::scanner::Scanner::document(text, 0))?? {
        // The scanner would accept white space after the number.
        Value::Number(number) if number.as_str() == text => Some(number),
        _ => None,
    }
}

/// Why there is no sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSum {
    /// The amount is not a number.
    NoNumber,
    /// The sum would have more than [`MAX_DIGITS`] digits.
    TooLong,
}

/// Adds an amount such as `7`, `-0.25` or `1e3` to a number, exactly.
pub fn add(number: &Number, amount: &str) -> Result<Number, NoSum> {
    if let (Some(number), Ok(whole)) = (number.as_i64(), amount.parse::<i64>())
        && let Some(sum) = number.checked_add(whole)
        && !amount.starts_with('+')
    {
        return Ok(sum.into());
    }
    if number.as_str().len() > MAX_TEXT {
        return Err(NoSum::TooLong);
    }
    let amount = Decimal::parse(amount)?;
    Decimal::parse(number.as_str())?
        .plus(&amount)
        .ok_or(NoSum::TooLong)
}

/// A number so large that adding to it always fails.
pub(crate) fn too_long() -> Number {
    Number::from_string_unchecked(format!("1e{MAX_TEXT}"))
}

/// A number: `digits` × 10^`exponent`, the digits without zeros at either end. Zero has no digits
/// and no sign.
#[derive(Debug)]
struct Decimal {
    is_negative: bool,
    /// Each 0 to 9, the most significant first.
    digits: Vec<u8>,
    exponent: i128,
    /// The exponent of the last digit as written, which a sum keeps: `1.50` plus `1` is `2.50`.
    last: i128,
}

/// The most digits of an exponent, so that the sum of two exponents cannot overflow.
const MAX_EXPONENT: usize = 30;

impl Decimal {
    /// Parses numbers such as `-12.5e-3`; leading zeros are accepted.
    fn parse(text: &str) -> Result<Self, NoSum> {
        let (is_negative, text) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(NoSum::NoNumber),
            None => (mantissa, ""),
        };
        let size = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || size.is_empty()
            || ![whole, fraction, size].into_iter().all(are_digits)
        {
            return Err(NoSum::NoNumber);
        }
        let size = size.trim_start_matches('0');
        if size.len() > MAX_EXPONENT {
            return Err(NoSum::TooLong);
        }
        let size = size
            .bytes()
            .fold(0, |size, digit| size * 10 + i128::from(digit - b'0'));
        let last = if exponent.starts_with('-') {
            -size
        } else {
            size
        } - fraction.len() as i128;
        let digits = [whole, fraction].concat();
        let kept = digits.trim_end_matches('0');
        let exponent = if kept.is_empty() {
            0
        } else {
            last + (digits.len() - kept.len()) as i128
        };
        let digits: Vec<u8> = kept
            .trim_start_matches('0')
            .bytes()
            .map(|digit| digit - b'0')
            .collect();
        Ok(Self {
            is_negative: is_negative && !digits.is_empty(),
            digits,
            exponent,
            last,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.is_negative, self.exponent, &self.digits)
            == (other.is_negative, other.exponent, &other.digits)
    }

    /// The exact sum, written without an exponent; `None` if it has too many digits.
    fn plus(&self, other: &Self) -> Option<Number> {
        let low = self.last.min(other.last).min(0);
        let high = |of: &Self| of.exponent + of.digits.len() as i128;
        let width = high(self).max(high(other)).max(1) - low;
        let width = usize::try_from(width)
            .ok()
            .filter(|width| *width <= MAX_DIGITS)?;
        let one = self.spread(low, width);
        let two = other.spread(low, width);
        let (is_negative, digits) = if self.is_negative == other.is_negative {
            (self.is_negative, sum(&one, &two))
        } else {
            match one.cmp(&two) {
                Ordering::Less => (other.is_negative, difference(&two, &one)),
                Ordering::Equal => (false, vec![0; width]),
                Ordering::Greater => (self.is_negative, difference(&one, &two)),
            }
        };
        let places = usize::try_from(-low).ok()?;
        Some(Number::from_string_unchecked(written(
            is_negative,
            &digits,
            places,
        )))
    }

    /// Writes its digits into a field of `width` digits, the last of which stands for 10^`low`.
    fn spread(&self, low: i128, width: usize) -> Vec<u8> {
        let mut field = vec![0; width];
        let behind = usize::try_from(self.exponent - low)
            .expect("it is at most as far as the field is wide");
        let start = width - behind - self.digits.len();
        field[start..start + self.digits.len()].copy_from_slice(&self.digits);
        field
    }
}

fn sum(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut digits: Vec<u8> = one
        .iter()
        .zip(two)
        .rev()
        .map(|(one, two)| {
            let sum = one + two + carry;
            carry = sum / 10;
            sum % 10
        })
        .collect();
    digits.push(carry);
    digits.reverse();
    digits
}

/// Subtracts the smaller number from the larger; both have the same length.
fn difference(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut borrowed = 0;
    let mut digits: Vec<u8> = larger
        .iter()
        .zip(smaller)
        .rev()
        .map(|(larger, smaller)| {
            let digit = 10 + larger - smaller - borrowed;
            borrowed = u8::from(digit < 10);
            digit % 10
        })
        .collect();
    digits.reverse();
    digits
}

fn written(is_negative: bool, digits: &[u8], places: usize) -> String {
    let point = digits.len() - places;
    let zeros = digits[..point - 1]
        .iter()
        .take_while(|digit| **digit == 0)
        .count();
    let sign = if is_negative { "-" } else { "" };
    let mut text = String::with_capacity(digits.len() + 2);
    text.push_str(sign);
    text.extend(
        digits[zeros..point]
            .iter()
            .map(|digit| char::from(b'0' + digit)),
    );
    if places > 0 {
        text.push('.');
        text.extend(digits[point..].iter().map(|digit| char::from(b'0' + digit)));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        of_text(text).unwrap()
    }

    fn are_same(one: &str, other: &str) -> bool {
        is_same(&Value::Number(number(one)), &Value::Number(number(other)))
    }

    #[test]
    fn numbers_are_the_same_by_value_however_they_are_written() {
        for (one, other) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("100", "1E2"),
            ("0", "-0"),
            ("0.0", "0e99"),
            ("-1.50", "-1.5"),
            ("1e1000000000000", "10e999999999999"),
            ("0.001", "1e-3"),
        ] {
            assert!(are_same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("25000000000000000001", "25000000000000000002"),
            ("25000000000000000001", "2.5e19"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("1", "-1"),
            ("1e400", "1e401"),
            ("1e-400", "0"),
            ("9007199254740992", "9007199254740993"),
            (
                "1e99999999999999999999999999999999999999999",
                "1e99999999999999999999999999999999999999998",
            ),
        ] {
            assert!(!are_same(one, other), "{one} {other}");
        }
        let document = |text: &str| crate::json::value(text.as_bytes()).unwrap();
        assert!(is_same(
            &document(r#"{"a":[1,{"b":2.0}],"c":"1"}"#),
            &document(r#"{"c":"1","a":[1.0,{"b":2}]}"#)
        ));
        assert!(!is_same(&document(r#"{"a":1}"#), &document(r#"{"b":1}"#)));
        assert!(!is_same(&document("[1]"), &document("[1,1]")));
        assert!(!is_same(&document("1"), &document("\"1\"")));
    }

    #[test]
    fn sums_are_exact_or_none() {
        for (old, amount, sum) in [
            ("5", "7", "12"),
            ("5", "-7", "-2"),
            ("5", "007", "12"),
            ("9223372036854775807", "1", "9223372036854775808"),
            (
                "18446744073709551615",
                "18446744073709551615",
                "36893488147419103230",
            ),
            ("-25000000000000000001", "25000000000000000001", "0"),
            ("25000000000000000001", "1", "25000000000000000002"),
            ("0.1", "0.2", "0.3"),
            ("1.50", "1", "2.50"),
            ("1.5", "1.5", "3.0"),
            ("1e3", "1", "1001"),
            ("1E+2", "1e-3", "100.001"),
            ("0", "0", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("0.5", "-0.25", "0.25"),
            ("99.9", "0.1", "100.0"),
        ] {
            assert_eq!(
                add(&number(old), amount),
                Ok(number(sum)),
                "{old} + {amount}"
            );
        }
        for (old, amount) in [
            ("1e1000000000", "1"),
            ("1", "1e-2000"),
            ("1e99999999999999999999999999999999999", "1"),
            ("1", "1e99999999999999999999999999999999999"),
        ] {
            assert_eq!(
                add(&number(old), amount),
                Err(NoSum::TooLong),
                "{old} + {amount}"
            );
        }
        for amount in [
            "", "-", "x", "1x", "1 ", " 1", "1.", ".5", "inf", "NaN", "1e", "+1", "--1", "0x1",
            "1e1e1",
        ] {
            assert_eq!(
                add(&number("5"), amount),
                Err(NoSum::NoNumber),
                "{amount:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn sums_are_those_of_wide_integers(
            one in -(1i128 << 100)..(1i128 << 100), two in -(1i128 << 100)..(1i128 << 100), places in 0u32..30,
        ) {
            let scaled = |n: i128| format!("{n}e-{places}");
            let sum = add(&number(&scaled(one)), &scaled(two));
            let Ok(sum) = sum else { return Err(TestCaseError::fail(format!("{sum:?}"))) };
            prop_assert!(are_same(sum.as_str(), &scaled(one + two)), "{} + {}: {}", one, two, sum);
            prop_assert_eq!(of_text(sum.as_str()), Some(sum));
        }
    }
}
