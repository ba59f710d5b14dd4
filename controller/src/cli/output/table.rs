//! Columns for people.

use transcode_config::escape::{Place, escaped};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::text::{Text, Tint};

/// Spaces between two columns.
const GAP: usize = 2;

/// In place of what is left out.
const CUT: char = '…';

/// What a column may lose on a terminal that is too narrow for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its end, down to this width.
    End(usize),
    /// Its middle: of an object's key the end says most.
    Middle(usize),
    /// All behind its first characters, without a mark: the beginning of a job's key names the job.
    Key(usize),
}

/// A table: a line of titles and rows of cells, each as wide as the widest of its column.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<(Tint, String)>>,
    /// Columns that may be cut, those first that lose least.
    cuts: Vec<(usize, Cut)>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn of(titles: &[&str]) -> Self {
        let titles = titles.iter().map(|title| (Tint::Faint, (*title).to_owned()));
        Self { rows: vec![titles.collect()], cuts: Vec::new() }
    }

    /// On a terminal that is too narrow this column is cut, after those that were named before it.
    pub(crate) fn cut(mut self, title: &str, cut: Cut) -> Self {
        let titles = self.rows.first().into_iter().flatten();
        let found = titles.enumerate().find(|(_, (_, words))| words == title);
        self.cuts.extend(found.map(|(column, _)| (column, cut)));
        self
    }

    /// Adds a row. An empty cell is shown as `-`, so that columns can be counted.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (Tint, String)>) -> &mut Self {
        let shown = |(tint, words): (Tint, String)| {
            let words = if words.is_empty() { "-".to_owned() } else { words };
            (tint, escaped(&words, Place::Line).into_owned())
        };
        self.rows.push(cells.into_iter().map(shown).collect());
        self
    }

    /// Writes it. The last column is not filled up.
    pub(crate) fn write(&self, text: &mut Text) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, words)| words.width()).max().unwrap_or(0)
        };
        let natural: Vec<usize> = (0..columns).map(width).collect();
        let widths = self.fitted(natural, text.width());
        for row in &self.rows {
            for (column, (tint, words)) in row.iter().enumerate() {
                let width = widths.get(column).copied().unwrap_or(0);
                let words = self.short(column, words, width);
                text.span(*tint, &words);
                if column + 1 < row.len() {
                    let left = width.saturating_sub(words.width());
                    text.span(Tint::Plain, &" ".repeat(left + GAP));
                }
            }
            text.end();
        }
    }

    /// The widths with which a row fits into a line, as far as the columns allow.
    fn fitted(&self, mut widths: Vec<usize>, line: Option<usize>) -> Vec<usize> {
        let Some(line) = line else { return widths };
        for (column, cut) in &self.cuts {
            let all: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            let Some(width) = widths.get_mut(*column) else { continue };
            let (Cut::End(least) | Cut::Middle(least) | Cut::Key(least)) = *cut;
            let wanted = width.saturating_sub(all.saturating_sub(line)).max(least.min(*width));
            // The beginning of a key is as good as more of it.
            *width = if wanted < *width && matches!(cut, Cut::Key(_)) { least } else { wanted };
        }
        widths
    }

    fn short(&self, column: usize, words: &str, width: usize) -> String {
        let cut = self.cuts.iter().find(|(cut, _)| *cut == column).map(|(_, cut)| *cut);
        match cut {
            Some(cut) if words.width() > width => shortened(words, width, cut),
            _ => words.to_owned(),
        }
    }
}

/// The words within this many columns.
fn shortened(words: &str, width: usize, cut: Cut) -> String {
    let room = width.saturating_sub(1);
    match cut {
        Cut::Key(_) => within(words.chars(), width).collect(),
        Cut::End(_) => within(words.chars(), room).chain([CUT]).collect(),
        Cut::Middle(_) => {
            let begin: String = within(words.chars(), room / 3).collect();
            let end: Vec<char> = within(words.chars().rev(), room - begin.width()).collect();
            begin.chars().chain([CUT]).chain(end.into_iter().rev()).collect()
        }
    }
}

/// As many of the characters as fit into this many columns.
fn within(chars: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    chars.scan(0, move |used, c| {
        *used += c.width().unwrap_or(0);
        (*used <= width).then_some(c)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells<const N: usize>(words: [&str; N]) -> [(Tint, String); N] {
        words.map(|word| (Tint::Plain, word.to_owned()))
    }

    #[test]
    fn columns_stand_below_each_other_whatever_strangers_call_their_files() {
        let mut table = Table::of(&["JOB", "KEY"]);
        table.row(cells(["1", "a"])).row(cells(["12345", "電影\u{202e}"])).row(cells(["電影", ""]));
        let mut text = Text::default();
        table.write(&mut text);
        let lines = "JOB    KEY\n1      a\n12345  電影\\u202e\n電影   -\n";
        assert_eq!(text.finished(false), lines);
    }

    #[test]
    fn on_a_narrow_terminal_columns_are_cut_one_after_the_other() {
        let table = Table::of(&["JOB", "KEY", "WHY"]);
        let mut table = table.cut("WHY", Cut::End(8)).cut("JOB", Cut::Key(4)).cut("KEY", Cut::Middle(9));
        table.row(cells(["0123456789", "films/2026/cat.mp4", "waiting for a free slot"]));
        table.row(cells(["9876543210", "電影電影電影電影電影", "-"]));
        let at = |width| {
            let mut text = Text::within(width);
            table.write(&mut text);
            text.finished(false).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let row = |width| at(width)[1].clone();
        assert_eq!(row(None), "0123456789  films/2026/cat.mp4    waiting for a free slot");
        assert_eq!(row(Some(57)), row(None), "it fits");
        assert_eq!(row(Some(50)), "0123456789  films/2026/cat.mp4    waiting for a f…");
        assert_eq!(row(Some(38)), "0123  films/2026/cat.mp4    waiting…");
        assert_eq!(at(Some(30))[1..], ["0123  film…6/cat.mp4  waiting…", "9876  電影…電影電影   -"]);
        assert!(at(Some(30)).iter().all(|line| line.width() <= 30), "{:?}", at(Some(30)));
        assert_eq!(at(Some(1)), at(Some(25)), "never below what can be read");
    }
}
