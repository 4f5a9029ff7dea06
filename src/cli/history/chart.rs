//! Charts of blocks: columns of a series under its limit. A gap is drawn as a gap, never as zero.

use jiff::{Timestamp, tz::TimeZone};

use crate::cli::{
    history::series::Bin,
    screen::{Line, Style},
};

/// Eighths of a character's height.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const GAP: &str = "·";
const LIMIT: &str = "┄";
/// Rows of a chart.
const ROWS: u32 = 10;
/// Hours up to which a chart is labelled by times, and from which by days.
const LABELLED_BY_TIME_HOURS: i64 = 48;

/// The style of a level under its limit: yellow from 80 % of it, red from all of it.
pub fn style(level: u32, limit: Option<u32>) -> Style {
    match limit {
        Some(limit) if level >= limit => Style::Alarm,
        Some(limit) if u64::from(level) * 100 >= u64::from(limit) * 80 => Style::Warning,
        _ => Style::Plain,
    }
}

/// The columns as one line; as high as the highest of them.
pub fn spark(columns: &[(Timestamp, Bin)]) -> Line {
    let top = columns.iter().filter_map(|(_, bin)| bin.peak).map(|peak| peak.level).max().unwrap_or(0);
    columns.iter().fold(Line::new(), |line, (_, bin)| match bin.peak {
        None => line.and(Style::Dim, GAP),
        Some(peak) => line.and(style(peak.level, peak.limit), EIGHTHS[eighths(peak.level, top, 1) as usize]),
    })
}

/// Eighths of `rows` that a level fills of a chart that ends at `top`: none for none, at least one for one.
fn eighths(level: u32, top: u32, rows: u32) -> u32 {
    if level == 0 || top == 0 {
        return 0;
    }
    let share = f64::from(level.min(top)) / f64::from(top) * f64::from(rows * 8);
    (share.round() as u32).max(1)
}

/// The chart, with levels on the left and times below.
pub fn chart(columns: &[(Timestamp, Bin)], zone: &TimeZone) -> Vec<Line> {
    let peak = columns.iter().filter_map(|(_, bin)| bin.peak).map(|peak| peak.level).max().unwrap_or(0);
    let limit = columns.iter().filter_map(|(_, bin)| bin.limit).max().unwrap_or(0);
    let top = peak.max(limit).max(1);
    let label_columns = top.to_string().len();
    let mut lines: Vec<_> = (0..ROWS)
        .rev()
        .map(|row| {
            let label = label(row, top).map(|label| label.to_string()).unwrap_or_default();
            let axis = Line::of(Style::Dim, format!("{label:>label_columns$} ┤"));
            columns.iter().fold(axis, |line, (_, bin)| {
                let (style, text) = cell(bin, row, top);
                line.and(style, text)
            })
        })
        .collect();
    lines.push(Line::of(Style::Dim, format!("{:>label_columns$} └{}", 0, "─".repeat(columns.len()))));
    lines.push(Line::of(Style::Dim, format!("{:label_columns$}  {}", "", times(columns, zone))));
    lines
}

/// The level that the top edge of a row stands for, on every other row: at the top exactly.
fn label(row: u32, top: u32) -> Option<u32> {
    let height = row + 1;
    let stands_for = |height: u32| u64::from(top) * u64::from(height) / u64::from(ROWS);
    let repeats = stands_for(height) == stands_for(height - 1);
    (height.is_multiple_of(2) && !repeats).then(|| u32::try_from(stands_for(height)).unwrap_or(top))
}

/// What stands in one row of one column.
fn cell(bin: &Bin, row: u32, top: u32) -> (Style, &'static str) {
    let limit_row = bin.limit.map(|limit| (eighths(limit, top, ROWS).max(1) - 1) / 8);
    let Some(peak) = bin.peak else {
        return (Style::Dim, GAP);
    };
    let filled = eighths(peak.level, top, ROWS).saturating_sub(row * 8).min(8);
    match filled {
        0 if limit_row == Some(row) => (Style::Alarm, LIMIT),
        filled => (style(peak.level, peak.limit), EIGHTHS[filled as usize]),
    }
}

/// The times under a chart: where a day begins, or every few hours of a short one.
fn times(columns: &[(Timestamp, Bin)], zone: &TimeZone) -> String {
    let (Some((first, _)), Some((last, _))) = (columns.first(), columns.last()) else { return String::new() };
    let by_time = last.duration_since(*first).as_hours() < LABELLED_BY_TIME_HOURS;
    let label = |time: Timestamp| {
        let local = time.to_zoned(zone.clone());
        let hour = i64::from(local.hour());
        if by_time {
            (local.date(), hour / 3, local.strftime("%H:%M").to_string())
        } else {
            (local.date(), 0, local.strftime("%a %-d").to_string())
        }
    };
    let mut text = String::new();
    let mut before = None;
    for (place, (time, _)) in columns.iter().enumerate() {
        let (day, part, label) = label(*time);
        let written = text.chars().count();
        if before.is_some_and(|before| before != (day, part))
            && (written < place || place == 0)
            && place + label.chars().count() <= columns.len()
        {
            text.push_str(&" ".repeat(place - written));
            text.push_str(&label);
        }
        before = Some((day, part));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::history::series::tests::hourly;

    #[test]
    fn a_gap_is_a_gap_and_zero_is_zero() {
        let series = hourly(&[Some(0), None, Some(10), Some(18), Some(20), Some(1)], 20);
        assert_eq!(spark(&series.columns(6)).render(false), " ·▄▇█▁");
    }

    #[test]
    fn a_chart_shows_limit_and_gaps() {
        let mut levels = vec![Some(0), Some(5), Some(10), Some(15), Some(18), None, None, Some(20)];
        levels.extend([Some(1); 40]);
        let series = hourly(&levels, 20);
        let lines: Vec<_> = chart(&series.columns(48), &TimeZone::UTC).iter().map(|line| line.render(false)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
20 ┤┄┄┄┄┄··█┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
   ┤    █··█
16 ┤   ▄█··█
   ┤   ██··█
12 ┤   ██··█
   ┤  ███··█
 8 ┤  ███··█
   ┤ ▄███··█
 4 ┤ ████··█
   ┤ ████··█▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄
 0 └────────────────────────────────────────────────
       03:00 09:00 15:00 21:00 03:00 09:00 15:00
"#);
    }
}
