//! Counts over time, as a row of blocks.

use std::collections::BTreeMap;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns that it takes at most.
const WIDTH: u64 = 48;
const DAY: u64 = 24;

/// A row of blocks for counts by the hour since 1970, a blank for none, and what a block stands for. None without counts.
pub(crate) fn sparkline(hours: &BTreeMap<i64, u64>) -> Option<(String, String)> {
    let (first, last) = (*hours.keys().next()?, *hours.keys().next_back()?);
    let days = last.abs_diff(first) / DAY + 1;
    let (width, by) = match last.abs_diff(first) {
        span if span < WIDTH => (1, "by hour".to_owned()),
        _ if days <= WIDTH => (DAY, "by day".to_owned()),
        _ => {
            let days = days.div_ceil(WIDTH);
            (days.saturating_mul(DAY), format!("by {days} days"))
        }
    };
    let width = i64::try_from(width).unwrap_or(i64::MAX);
    let start = first.div_euclid(width);
    let columns = usize::try_from(last.div_euclid(width).abs_diff(start)).ok()? + 1;
    let mut counts = vec![0u64; columns];
    for (hour, count) in hours {
        let column = usize::try_from(hour.div_euclid(width).abs_diff(start)).ok()?;
        if let Some(sum) = counts.get_mut(column) {
            *sum = sum.saturating_add(*count);
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let block = |count: u64| match count {
        0 => ' ',
        count => {
            let height = u128::from(count) * BLOCKS.len() as u128;
            let height = usize::try_from(height.div_ceil(u128::from(most))).unwrap_or(1);
            BLOCKS.get(height.saturating_sub(1)).copied().unwrap_or(' ')
        }
    };
    Some((counts.into_iter().map(block).collect(), by))
}
