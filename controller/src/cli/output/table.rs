//! Columns for people.

use transcode_config::escape::{Place, escaped};
use unicode_width::UnicodeWidthStr;

use super::text::{Text, Tint};

/// Spaces between two columns.
const GAP: usize = 2;

/// A table: a line of titles and rows of cells, each as wide as the widest of its column.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    rows: Vec<Vec<(Tint, String)>>,
}

impl Table {
    /// A table with these columns.
    pub(in crate::cli) fn of(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (Tint::Faint, (*title).to_owned())).collect()] }
    }

    /// Adds a row. An empty cell is shown as `-`, so that columns can be counted.
    pub(in crate::cli) fn row(&mut self, cells: impl IntoIterator<Item = (Tint, String)>) -> &mut Self {
        let shown = |(tint, words): (Tint, String)| {
            let words = if words.is_empty() { "-".to_owned() } else { words };
            (tint, escaped(&words, Place::Line).into_owned())
        };
        self.rows.push(cells.into_iter().map(shown).collect());
        self
    }

    /// Writes it. The last column is not filled up.
    pub(in crate::cli) fn write(&self, text: &mut Text) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, words)| words.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            for (column, (tint, words)) in row.iter().enumerate() {
                text.span(*tint, words);
                if column + 1 < row.len() {
                    let left = widths.get(column).copied().unwrap_or(0).saturating_sub(words.width());
                    text.span(Tint::Plain, &" ".repeat(left + GAP));
                }
            }
            text.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_whatever_strangers_call_their_files() {
        let cells = |words: [&str; 2]| words.map(|word| (Tint::Plain, word.to_owned()));
        let mut table = Table::of(&["JOB", "KEY"]);
        table.row(cells(["1", "a"])).row(cells(["12345", "電影\u{202e}"])).row(cells(["電影", ""]));
        let mut text = Text::default();
        table.write(&mut text);
        let lines = "JOB    KEY\n1      a\n12345  電影\\u202e\n電影   -\n";
        assert_eq!(text.finished(false), lines);
    }
}
