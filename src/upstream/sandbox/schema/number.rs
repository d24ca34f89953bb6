//! A number within a schema's bounds.

use serde_json::{Map, Value};

/// Whole numbers up to here are exact in a double, and shown without a fraction.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The first of a few likely numbers that fits: 0, then those next to the bounds, then the middle.
pub(super) fn in_bounds(words: &Map<String, Value>, whole: bool) -> Option<Value> {
    let bounds = Bounds::read(words, whole);
    let candidates = bounds.candidates();
    candidates.into_iter().find(|&candidate| bounds.fit(candidate)).map(to_value)
}

struct Bounds {
    min: f64,
    max: f64,
    above: f64,
    below: f64,
    /// The number is a multiple of this; 0 where it may be any.
    step: f64,
}

impl Bounds {
    fn read(words: &Map<String, Value>, whole: bool) -> Self {
        let number = |name| words.get(name).and_then(Value::as_f64);
        Self {
            min: number("minimum").unwrap_or(f64::NEG_INFINITY),
            max: number("maximum").unwrap_or(f64::INFINITY),
            above: number("exclusiveMinimum").unwrap_or(f64::NEG_INFINITY),
            below: number("exclusiveMaximum").unwrap_or(f64::INFINITY),
            step: number("multipleOf").unwrap_or(if whole { 1.0 } else { 0.0 }),
        }
    }

    fn candidates(&self) -> [f64; 7] {
        let (low, high) = (self.min.max(self.above), self.max.min(self.below));
        let step = if self.step > 0.0 { self.step } else { 1.0 };
        let (up, down) = ((low / step).ceil() * step, (high / step).floor() * step);
        [0.0, low, up, up + step, down, down - step, f64::midpoint(low, high)]
    }

    fn fit(&self, number: f64) -> bool {
        let multiple = self.step <= 0.0 || number % self.step == 0.0;
        let inside = self.min <= number && number <= self.max && self.above < number && number < self.below;
        number.is_finite() && inside && multiple
    }
}

fn to_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        // In range by the line above.
        return Value::from(number as i64);
    }
    Value::from(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn gives(words: Value, whole: bool, expected: Option<Value>) {
        assert_eq!(in_bounds(words.as_object().unwrap(), whole), expected, "of {words}");
    }

    #[test]
    fn zero_where_it_fits_and_else_the_nearest() {
        gives(json!({"minimum": -5, "maximum": 5}), true, Some(json!(0)));
        gives(json!({"minimum": 18}), true, Some(json!(18)));
        gives(json!({"minimum": 1.5}), true, Some(json!(2)));
        gives(json!({"minimum": 1.5}), false, Some(json!(1.5)));
        gives(json!({"exclusiveMinimum": 0}), true, Some(json!(1)));
        gives(json!({"exclusiveMinimum": 0, "exclusiveMaximum": 1}), false, Some(json!(0.5)));
        gives(json!({"maximum": -3}), true, Some(json!(-3)));
        gives(json!({"exclusiveMaximum": 0}), true, Some(json!(-1)));
        gives(json!({"minimum": 7, "multipleOf": 5}), true, Some(json!(10)));
        gives(json!({"minimum": 2, "maximum": 1}), true, None);
    }
}
