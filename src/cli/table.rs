//! Tables that fit: when a terminal is too narrow, names are shortened and the less important columns are left out. A
//! row never wraps.

use crate::cli::screen::{Line, Style};

/// Spaces between columns.
const GAP: usize = 2;

/// Which side of a column its cells stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub align: Align,
    /// Columns of the lowest rank are left out first; those of [`Column::ALWAYS`] never.
    pub rank: u8,
    /// The width to which its cells may be cut; `None` when they may not.
    pub least: Option<usize>,
}

impl Column {
    /// The rank of columns without which a row says nothing.
    pub const ALWAYS: u8 = u8::MAX;

    pub const fn left(title: &'static str, rank: u8) -> Self {
        Self { title, align: Align::Left, rank, least: None }
    }

    pub const fn right(title: &'static str, rank: u8) -> Self {
        Self { title, align: Align::Right, rank, least: None }
    }

    /// A column of names, which may be cut to `least` columns.
    pub const fn name(title: &'static str, rank: u8, least: usize) -> Self {
        Self { title, align: Align::Left, rank, least: Some(least) }
    }
}

/// What stands on one line of a table.
#[derive(Clone, Debug)]
pub enum Row {
    /// A cell for each column.
    Cells(Vec<Line>),
    /// A line across all columns.
    Across(Line),
}

/// Rows under columns.
#[derive(Clone, Debug)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

impl Table {
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Line>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    pub fn across(&mut self, line: Line) {
        self.rows.push(Row::Across(line));
    }

    /// Shows all cells as less important: what they say is old.
    pub fn dim(&mut self) {
        for row in &mut self.rows {
            if let Row::Cells(cells) = row {
                cells.iter_mut().for_each(|cell| *cell = cell.clone().restyled(Style::Dim));
            }
        }
    }

    /// The table as lines of at most `width` columns, the titles first. Columns in which nothing stands are left out.
    pub fn lay_out(&self, width: usize) -> Vec<Line> {
        let fitted = self.fit(width);
        let titles = fitted.iter().map(|(at, width)| {
            let column = &self.columns[*at];
            pad(Line::of(Style::Heading, column.title), *width, column.align)
        });
        let mut lines = vec![join(titles)];
        lines.extend(self.rows.iter().map(|row| match row {
            Row::Across(line) => line.clone(),
            Row::Cells(cells) => join(fitted.iter().map(|(at, width)| {
                let cell = cells.get(*at).cloned().unwrap_or_default();
                pad(cell.cut(*width), *width, self.columns[*at].align)
            })),
        }));
        lines
    }

    /// The columns that are shown, by place, with their widths.
    fn fit(&self, width: usize) -> Vec<(usize, usize)> {
        let mut shown: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|at| (at, self.natural_width(at)))
            .filter(|(at, natural)| *natural > 0 || self.columns[*at].rank == Column::ALWAYS)
            .map(|(at, natural)| (at, natural.max(self.columns[at].title.chars().count())))
            .collect();
        loop {
            let Some(mut over) = total(&shown).checked_sub(width).filter(|over| *over > 0) else { return shown };
            let mut cut = shown.clone();
            cut.sort_by_key(|(at, _)| self.columns[*at].rank);
            for (at, wide) in &mut cut {
                let least = self.columns[*at].least.unwrap_or(*wide).min(*wide);
                let by = over.min(*wide - least);
                *wide -= by;
                over -= by;
            }
            cut.sort_unstable();
            let least = shown.iter().enumerate().min_by_key(|(_, (at, _))| self.columns[*at].rank);
            match least {
                Some((place, (at, _))) if over > 0 && self.columns[*at].rank < Column::ALWAYS => {
                    shown.remove(place);
                }
                _ => return cut,
            }
        }
    }

    /// The width of a column's widest cell.
    fn natural_width(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => cells.get(at),
            Row::Across(_) => None,
        });
        cells.map(Line::width).max().unwrap_or(0)
    }
}

fn total(columns: &[(usize, usize)]) -> usize {
    columns.iter().map(|(_, width)| width).sum::<usize>() + GAP * columns.len().saturating_sub(1)
}

fn pad(line: Line, width: usize, align: Align) -> Line {
    let space = Line::from(" ".repeat(width.saturating_sub(line.width())));
    match align {
        Align::Left => line.then(space),
        Align::Right => space.then(line),
    }
}

fn join(cells: impl Iterator<Item = Line>) -> Line {
    let mut line = Line::new();
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            line = line.and(Style::Plain, " ".repeat(GAP));
        }
        line = line.then(cell);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [
            Column::name("model", Column::ALWAYS, 6),
            Column::right("now", Column::ALWAYS),
            Column::left("worker", 1),
            Column::left("never", 9),
        ];
        let mut table = Table::new(&columns);
        table.row(["elevenlabs".into(), "18".into(), "w-1".into(), Line::new()]);
        table.across(Line::from("other"));
        table
    }

    #[track_caller]
    fn check(width: usize, expected: &str) {
        let lines: Vec<_> = table().lay_out(width).iter().map(|line| line.render(false)).collect();
        assert_eq!(lines.join("\n"), expected);
        assert!(table().lay_out(width).iter().all(|line| line.width() <= width));
    }

    #[test]
    fn names_are_cut_before_columns_are_left_out() {
        check(40, "model       now  worker\nelevenlabs   18  w-1\nother");
        check(20, "model    now  worker\neleven…   18  w-1\nother");
        check(18, "model       now\nelevenlabs   18\nother");
    }
}
