//! Money as integers: prices in pico-dollars a token, costs in nano-dollars.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A price or an exact sum, in pico-dollars (10⁻¹² USD). A price of 1 USD per million tokens is 1,000,000 pico-dollars
/// a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PicoUsd(pub u128);

impl PicoUsd {
    /// This many times the price, or the largest sum there is.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The share of the price that belongs to `part` of `whole`, rounded half up.
    #[must_use]
    pub fn share(self, part: u64, whole: u64) -> Self {
        let whole = u128::from(whole.max(1));
        Self(self.0.saturating_mul(u128::from(part)).saturating_add(whole / 2) / whole)
    }

    /// Rounded once, half up, to nano-dollars.
    pub fn to_nano(self) -> NanoUsd {
        NanoUsd(u64::try_from((self.0.saturating_add(500)) / 1_000).unwrap_or(u64::MAX))
    }
}

/// A price that is not a decimal number this program can hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{given:?} is not a price: write a decimal number of USD with at most {decimals} decimals, such as 0.40")]
pub struct MoneyError {
    given: String,
    decimals: u32,
}

/// Reads a decimal's text exactly, as so many units of 10⁻`decimals`. No float ever stands between.
fn decimal(text: &str, decimals: u32) -> Result<u128, MoneyError> {
    let wrong = || MoneyError { given: text.chars().take(64).collect(), decimals };
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (plain.as_str(), 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let value: u128 = digits.parse().map_err(|_| wrong())?;
    let fraction_digits = i32::try_from(fraction.len()).map_err(|_| wrong())?;
    let shift = exponent
        .checked_sub(fraction_digits)
        .and_then(|shift| shift.checked_add(i32::try_from(decimals).ok()?))
        .ok_or_else(wrong)?;
    let power = 10_u128.checked_pow(shift.unsigned_abs()).ok_or_else(wrong)?;
    if shift >= 0 {
        value.checked_mul(power).ok_or_else(wrong)
    } else if value.is_multiple_of(power) {
        Ok(value / power)
    } else {
        Err(wrong())
    }
}

impl PicoUsd {
    /// A price given in USD per million tokens, as pico-dollars a token: `0.40` → 400,000.
    ///
    /// # Errors
    /// When the text is not a plain decimal, or has more than six decimals.
    pub fn per_million(text: &str) -> Result<Self, MoneyError> {
        decimal(text, 6).map(Self)
    }

    /// A price given in USD for one thing (an image, a request): `0.04` → 40,000,000,000.
    ///
    /// # Errors
    /// When the text is not a plain decimal, or has more than twelve decimals.
    pub fn each(text: &str) -> Result<Self, MoneyError> {
        decimal(text, 12).map(Self)
    }
}

/// A cost, in nano-dollars (10⁻⁹ USD). JSON shows it as a number of dollars with at most nine decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Both together, or the largest sum there is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Reads a provider's own figure in USD (`usage.cost`), from the number's text; what is below a nano-dollar is
    /// rounded half up.
    pub fn from_decimal(text: &str) -> Option<Self> {
        (0..=12)
            .find_map(|drop| {
                // A float printed by a provider may carry more digits than fit: give up digits from the right.
                let keep = text.len().checked_sub(drop)?;
                let head = if text.contains(['e', 'E']) { text } else { text.get(..keep)? };
                decimal(head, 18).ok()
            })
            .map(|atto| Self(u64::try_from((atto + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars, with as many of nine decimals as are needed and at least two: `0.00`, `0.0000042`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let point = text.find('.').unwrap_or(text.len());
        let short = text.trim_end_matches('0');
        let end = short.len().max((point + 3).min(text.len()));
        f.pad(text.get(..end).unwrap_or(&text))
    }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let nano = decimal(text, 9)?;
        u64::try_from(nano).map(Self).map_err(|_| MoneyError { given: text.into(), decimals: 9 })
    }
}

impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A JSON number with exactly the decimals that the integer has: 9 digits are within f64's 15 for any sum
        // below a million dollars, and the shortest text that reads back is what serde_json prints.
        #[expect(clippy::cast_precision_loss, reason = "exact below 9 million dollars, as shown above")]
        serializer.serialize_f64(self.0 as f64 / 1e9)
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::from_decimal(&number.to_string()).ok_or_else(|| serde::de::Error::custom("not an amount of USD"))
    }
}

macro_rules! shown_price {
    ($(#[$doc:meta])* $name:ident, $per_dollar:literal, $read:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub PicoUsd);

        impl $name {
            /// The number of dollars, for showing.
            #[expect(clippy::cast_precision_loss, reason = "a price has far fewer than f64's 15 digits")]
            fn dollars(self) -> f64 {
                self.0.0 as f64 / $per_dollar
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.dollars().to_string())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.dollars())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = serde_json::Number::deserialize(deserializer)?;
                $read(&number.to_string()).map(Self).map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <f64 as utoipa::PartialSchema>::schema()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

shown_price!(
    /// A price a token, shown and read as USD per million tokens.
    UsdPerMillion, 1e6, PicoUsd::per_million
);
shown_price!(
    /// The price of one thing, shown and read as USD.
    UsdEach, 1e12, PicoUsd::each
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_from_their_text_exactly() {
        assert_eq!(PicoUsd::per_million("0.40").unwrap(), PicoUsd(400_000));
        assert_eq!(PicoUsd::per_million("1").unwrap(), PicoUsd(1_000_000));
        assert_eq!(PicoUsd::per_million("0.000001").unwrap(), PicoUsd(1));
        assert_eq!(PicoUsd::each("0.04").unwrap(), PicoUsd(40_000_000_000));
        assert_eq!(PicoUsd::per_million("1.5e1").unwrap(), PicoUsd(15_000_000));
        for bad in ["", "-1", "abc", "1.2.3", "0.0000001", "nan", "1e99"] {
            assert!(PicoUsd::per_million(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cost_is_rounded_once_and_shown_with_at_most_nine_decimals() {
        let sum = PicoUsd(400_000).times(3).plus(PicoUsd(1_600_000).times(2));
        assert_eq!(sum.to_nano(), NanoUsd(4_400));
        assert_eq!(NanoUsd(4_400).to_string(), "0.0000044");
        assert_eq!(NanoUsd(0).to_string(), "0.00");
        assert_eq!(NanoUsd(1_500_000_000).to_string(), "1.50");
        assert_eq!(serde_json::to_string(&NanoUsd(4_400)).unwrap(), "4.4e-6");
    }

    #[test]
    fn a_providers_own_figure_is_taken() {
        assert_eq!(NanoUsd::from_decimal("0.00014"), Some(NanoUsd(140_000)));
        assert_eq!(NanoUsd::from_decimal("1.95e-05"), Some(NanoUsd(19_500)));
        assert_eq!(NanoUsd::from_decimal("0.00001953450000000000001"), Some(NanoUsd(19_535)));
        assert_eq!(NanoUsd::from_decimal("minus"), None);
    }
}
