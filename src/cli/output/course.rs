//! A row of values as one line of small bars.

/// Bars by height. The first stands for nothing at all, so that little is told from none.
const BARS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where a terminal takes no other characters.
const PLAIN: [char; 9] = ['.', ':', '-', '=', '+', 'o', '*', '%', '#'];

/// Draws values against the highest of them, in at most so many cells: where there are more values, some share a cell.
pub(super) fn draw(values: &[u64], cells: usize, unicode: bool) -> String {
    if cells == 0 || values.is_empty() {
        return String::new();
    }
    let bars = if unicode { BARS } else { PLAIN };
    let shared = shared(values, cells);
    let highest = shared.iter().copied().max().unwrap_or(0);
    let levels = u128::try_from(bars.len() - 1).unwrap_or(1);
    let bar = |value: &u64| {
        let level = (u128::from(*value) * levels).div_ceil(u128::from(highest.max(1)));
        bars.get(usize::try_from(level).unwrap_or(0)).copied().unwrap_or(' ')
    };
    shared.iter().map(bar).collect()
}

/// The sums of neighbours, so that no more than so many are left. All cells stand for as much time, but for the last.
fn shared(values: &[u64], cells: usize) -> Vec<u64> {
    let each = values.len().div_ceil(cells).max(1);
    values.chunks(each).map(|chunk| chunk.iter().fold(0, |sum: u64, value| sum.saturating_add(*value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_values_and_nothing_is_told_from_little() {
        assert_eq!(draw(&[0, 1, 50, 100], 10, true), "·▁▄█");
        assert_eq!(draw(&[0, 1, 50, 100], 10, false), ".:+#");
        assert_eq!(draw(&[0, 0], 10, true), "··");
        assert_eq!(draw(&[u64::MAX, u64::MAX, 0], 2, true), "█·");
        assert_eq!(draw(&[1], 0, true), "");
    }

    #[test]
    fn more_values_than_cells_share_them_and_no_value_is_left_out() {
        let values: Vec<u64> = (0..720).collect();
        let sums = shared(&values, 60);
        assert_eq!((sums.len(), sums.iter().sum::<u64>()), (60, values.iter().sum()));
        assert!(shared(&values, 100).len() <= 100);
    }
}
