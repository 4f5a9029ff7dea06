//! The bar of a level under its limit, with a tick at the highest level of the week.

use crate::cli::screen::{Line, Style};

const FULL: &str = "█";
const EMPTY: &str = "░";
const TICK: &str = "┃";
/// What is drawn where the level is not known: never an empty bar.
const UNKNOWN: &str = "╌";

/// What a bar shows.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// `None` when it is not known.
    pub level: Option<u32>,
    /// The level is a lower bound: what lies above it is not known.
    pub at_least: bool,
    pub limit: u32,
    /// Highest level of the week, when there was one.
    pub peak: Option<u32>,
}

/// The bar in so many columns; full means at the limit, or over it.
pub fn bar(bar: Bar, columns: usize, style: Style) -> Line {
    let tick = bar.peak.filter(|peak| *peak > 0).map(|peak| place(peak, bar.limit, columns).saturating_sub(1));
    let filled = bar.level.map(|level| place(level, bar.limit, columns));
    let mut line = Line::new();
    for column in 0..columns {
        line = match (tick == Some(column), filled) {
            (true, _) => line.and(Style::Plain, TICK),
            (_, Some(filled)) if column < filled => line.and(style, FULL),
            (_, Some(_)) if !bar.at_least => line.and(Style::Dim, EMPTY),
            _ => line.and(Style::Dim, UNKNOWN),
        };
    }
    line
}

/// Columns that a level fills: at least one as soon as a slot is held, all only at the limit.
fn place(level: u32, limit: u32, columns: usize) -> usize {
    if level == 0 {
        return 0;
    }
    if level >= limit {
        return columns;
    }
    let share = f64::from(level) / f64::from(limit) * columns as f64;
    (share.round() as usize).clamp(1, columns - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(level: Option<u32>, limit: u32, peak: Option<u32>, expected: &str) {
        assert_eq!(bar(Bar { level, at_least: false, limit, peak }, 10, Style::Plain).render(false), expected);
    }

    #[test]
    fn a_bar_is_full_at_the_limit_only() {
        check(Some(0), 20, None, "░░░░░░░░░░");
        check(Some(1), 100, None, "█░░░░░░░░░");
        check(Some(14), 20, Some(19), "███████░┃░");
        check(Some(99), 100, None, "█████████░");
        check(Some(20), 20, Some(20), "█████████┃");
        check(Some(25), 20, Some(30), "█████████┃");
        check(Some(0), 0, None, "░░░░░░░░░░");
    }

    #[test]
    fn what_is_not_known_is_not_empty() {
        check(None, 20, Some(10), "╌╌╌╌┃╌╌╌╌╌");
        check(None, 20, None, "╌╌╌╌╌╌╌╌╌╌");
        let at_least = Bar { level: Some(4), at_least: true, limit: 20, peak: None };
        assert_eq!(bar(at_least, 10, Style::Plain).render(false), "██╌╌╌╌╌╌╌╌");
    }
}
