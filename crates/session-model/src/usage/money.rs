//! Amounts of money, added without rounding.

use std::iter::Sum;
use std::ops::Add;

/// How many units of [`Usd`] a dollar has: 10^18.
const UNITS_PER_DOLLAR_DIGITS: i64 = 18;
const UNITS_PER_MICRO_DOLLAR: u128 = 1_000_000_000_000;
/// Micro-dollars per million tokens are 10^-12 dollars per token.
const UNITS_PER_PRICE: u128 = 1_000_000;

/// An amount of dollars in units of 10^-18, which is never negative.
///
/// A list price times a number of tokens is a whole number of units, so sums are exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Usd(u128);

impl Usd {
    /// The cost of so many tokens, at a price in micro-dollars per million tokens.
    pub fn of_tokens(tokens: u64, price: u64) -> Self {
        let product = u128::from(tokens).saturating_mul(u128::from(price));
        Self(product.saturating_mul(UNITS_PER_PRICE))
    }

    /// Reads a JSON number of dollars digit by digit. Digits behind the 18th decimal place are
    /// cut off. `None` for a negative amount and for one that is too large.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self(0));
        }
        let places = i64::try_from(fraction.len()).ok()?;
        let shift = match exponent.parse::<i64>() {
            Ok(exponent) => exponent
                .checked_sub(places)?
                .checked_add(UNITS_PER_DOLLAR_DIGITS)?,
            // An exponent of more digits than fit.
            Err(_) if exponent.starts_with('-') => return Some(Self(0)),
            Err(_) => return None,
        };
        shifted(digits, shift).map(Self)
    }

    /// The amount in micro-dollars, rounded half up.
    pub fn micro_dollars(self) -> u64 {
        let rounded = self.0.saturating_add(UNITS_PER_MICRO_DOLLAR / 2) / UNITS_PER_MICRO_DOLLAR;
        u64::try_from(rounded).unwrap_or(u64::MAX)
    }
}

/// The integer of these digits times 10^`shift`, rounded down.
fn shifted(digits: &str, shift: i64) -> Option<u128> {
    if shift >= 0 {
        let factor = 10_u128.checked_pow(u32::try_from(shift).ok()?)?;
        return digits.parse::<u128>().ok()?.checked_mul(factor);
    }
    let dropped = usize::try_from(shift.unsigned_abs()).ok()?;
    match digits.len().checked_sub(dropped) {
        None | Some(0) => Some(0),
        Some(kept) => digits[..kept].parse().ok(),
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_digit_by_digit() {
        for (text, micro_dollars) in [
            ("0", 0),
            ("0.0", 0),
            ("1", 1_000_000),
            ("0.000001", 1),
            ("0.0000005", 1),
            ("0.00000049999999", 0),
            ("1.5e-3", 1_500),
            ("1E2", 100_000_000),
            ("12.345678", 12_345_678),
            ("0.1234564999999999999999999", 123_456),
            ("0e999999999999999999999", 0),
            ("1e-999999999999999999999", 0),
            ("5e-40", 0),
            ("9e-19", 0),
        ] {
            let amount = Usd::parse(text).unwrap_or_else(|| unreachable!("{text}"));
            assert_eq!(amount.micro_dollars(), micro_dollars, "{text}");
        }
    }

    #[test]
    fn sums_have_no_error_of_binary_fractions() {
        let tenth = Usd::parse("0.1").unwrap();
        let sum: Usd = std::iter::repeat_n(tenth, 3).sum();
        assert_eq!(Some(sum), Usd::parse("0.3"));
    }

    #[test]
    fn an_amount_that_is_none_is_refused() {
        for text in ["-1", "", "e5", "1e99", "1e999999999999999999999", "x", "."] {
            assert_eq!(Usd::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_price_times_tokens_is_exact() {
        // 3.75 dollars per million tokens.
        assert_eq!(
            Usd::of_tokens(1, 3_750_000),
            Usd::parse("0.00000375").unwrap()
        );
        assert_eq!(
            Usd::of_tokens(1_000_000, 3_750_000).micro_dollars(),
            3_750_000
        );
    }
}
