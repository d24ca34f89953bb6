//! Histograms with the bounds that OpenTelemetry's conventions for generative AI advise
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>).

/// A bucket's upper bound: in thousandths, and as its label says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    thousandths: u64,
    /// The value of the label `le`.
    pub label: &'static str,
}

const fn at(thousandths: u64, label: &'static str) -> Bound {
    Bound { thousandths, label }
}

/// Bounds of counts of tokens: powers of 4.
pub const TOKENS: &[Bound] = &[
    at(1_000, "1.0"),
    at(4_000, "4.0"),
    at(16_000, "16.0"),
    at(64_000, "64.0"),
    at(256_000, "256.0"),
    at(1_024_000, "1024.0"),
    at(4_096_000, "4096.0"),
    at(16_384_000, "16384.0"),
    at(65_536_000, "65536.0"),
    at(262_144_000, "262144.0"),
    at(1_048_576_000, "1.048576e+06"),
    at(4_194_304_000, "4.194304e+06"),
    at(16_777_216_000, "1.6777216e+07"),
    at(67_108_864_000, "6.7108864e+07"),
];

/// Bounds of the seconds of a call.
pub const SECONDS: &[Bound] = &[
    at(10, "0.01"),
    at(20, "0.02"),
    at(40, "0.04"),
    at(80, "0.08"),
    at(160, "0.16"),
    at(320, "0.32"),
    at(640, "0.64"),
    at(1_280, "1.28"),
    at(2_560, "2.56"),
    at(5_120, "5.12"),
    at(10_240, "10.24"),
    at(20_480, "20.48"),
    at(40_960, "40.96"),
    at(81_920, "81.92"),
];

/// Bounds of the seconds to a first token.
pub const TTFT: &[Bound] = &[
    at(1, "0.001"),
    at(5, "0.005"),
    at(10, "0.01"),
    at(20, "0.02"),
    at(40, "0.04"),
    at(60, "0.06"),
    at(80, "0.08"),
    at(100, "0.1"),
    at(250, "0.25"),
    at(500, "0.5"),
    at(750, "0.75"),
    at(1_000, "1.0"),
    at(2_500, "2.5"),
    at(5_000, "5.0"),
    at(7_500, "7.5"),
    at(10_000, "10.0"),
];

/// Counts of values by bucket, and their sum.
#[derive(Debug, Clone)]
pub struct Histogram<const N: usize> {
    buckets: [u32; N],
    count: u64,
    sum: u64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0 }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts a value, of which so many make one of the unit of the bounds.
    pub(super) fn observe(&mut self, bounds: &[Bound], value: u64, per_unit: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        let thousandths = value.saturating_mul(1_000 / per_unit.max(1));
        let place = bounds.iter().position(|bound| thousandths <= bound.thousandths);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place)) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, in what was counted: tokens, or milliseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many values were at most as great as each bound, in the order of the bounds.
    pub fn up_to(&self) -> impl Iterator<Item = u64> + '_ {
        self.buckets.iter().scan(0, |sum: &mut u64, count| {
            *sum += u64::from(*count);
            Some(*sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_at_its_bound_and_above() {
        let mut seconds = Histogram::<{ SECONDS.len() }>::default();
        for ms in [0, 10, 11, 81_920, 81_921] {
            seconds.observe(SECONDS, ms, 1_000);
        }
        let counts: Vec<_> = seconds.up_to().collect();
        assert_eq!((counts[0], counts[1], counts[12], counts[13]), (2, 3, 3, 4));
        assert_eq!((seconds.count(), seconds.sum()), (5, 163_862));
        let mut tokens = Histogram::<{ TOKENS.len() }>::default();
        tokens.observe(TOKENS, 16, 1);
        assert_eq!(tokens.up_to().position(|count| count == 1), Some(2));
    }

    #[test]
    fn labels_say_their_bounds() {
        for bound in TOKENS.iter().chain(SECONDS).chain(TTFT) {
            let value: f64 = bound.label.parse().unwrap();
            assert!((value * 1_000.0 - bound.thousandths as f64).abs() < 1e-6, "{}", bound.label);
        }
    }
}
