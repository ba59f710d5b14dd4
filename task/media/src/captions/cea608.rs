//! CEA-608 captions: pairs of bytes in, texts and their times out. Pure.
//!
//! `cea608-types` reads codes and characters; this module applies them to a screen of 15 rows with 32 columns
//! (ANSI/CTA-608-E, 47 CFR 15.119). Only the text of a screen is kept: colours and places are not.
//!
//! Live captions build a text up while it is seen. Each state becomes one cue at its end, with the whole line from
//! the moment its first letters appeared, instead of a cue for every two letters.

use cea608_types::{Cea608, Cea608State, Mode, tables::Channel};

use crate::package::text::{Cue, MAX_BYTES};

const ROWS: usize = 15;
const COLUMNS: usize = 32;
/// A line that has moved up and waits longer than this for the next one is a state of its own, in milliseconds.
const SETTLED: u64 = 500;
/// Memory that the cues of a channel may take; there are four channels. Twelve hours of talk take 2 MB. Later cues
/// are left out.
const MAX_CHANNEL_BYTES: usize = MAX_BYTES / 2;

/// Field of an interlaced frame that a pair belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Has channels CC1 and CC2.
    One,
    /// Has channels CC3 and CC4, and data about the programme (XDS).
    Two,
}

/// Reads all four channels.
#[derive(Debug, Default)]
pub struct Decoder {
    one: Pairs,
    two: Pairs,
}

impl Decoder {
    /// Takes a pair of bytes with their parity bits, shown at `at` milliseconds. Damaged pairs are left out.
    pub fn pair(&mut self, field: Field, pair: [u8; 2], at: u64) {
        match field {
            Field::One => self.one.pair(pair, at),
            Field::Two => self.two.pair(pair, at),
        }
    }

    /// The cues of each channel until `end`, in milliseconds. Channels without text are left out.
    pub fn finish(self, end: u64) -> Vec<(&'static str, Vec<Cue>)> {
        let screens = self.one.screens.into_iter().chain(self.two.screens);
        let all = ["CC1", "CC2", "CC3", "CC4"].into_iter().zip(screens.map(|screen| screen.finish(end)));
        all.filter(|(_, cues)| !cues.is_empty()).collect()
    }
}

/// The pairs of one field.
#[derive(Debug, Default)]
struct Pairs {
    state: Cea608State,
    /// Inside data about the programme (XDS), which holds no captions.
    data: bool,
    /// Inside a page of text, which holds no captions.
    page: bool,
    screens: [Screen; 2],
}

impl Pairs {
    fn pair(&mut self, pair: [u8; 2], at: u64) {
        let bare = pair.map(|byte| byte & 0x7f);
        match bare {
            [0x01..=0x0e, _] => self.data = true,
            // Its end, with a checksum.
            [0x0f, _] => {
                self.data = false;
                return;
            }
            [0x10..=0x1f, _] => self.data = false,
            _ => {}
        }
        match bare {
            // TR and RTD, then the codes that set a caption's mode.
            [0x14 | 0x15 | 0x1c | 0x1d, 0x2a | 0x2b] => self.page = true,
            [0x14 | 0x15 | 0x1c | 0x1d, 0x20 | 0x25..=0x27 | 0x29 | 0x2f] => self.page = false,
            _ => {}
        }
        if self.data {
            return;
        }
        let Ok(Some(code)) = self.state.decode(pair) else { return };
        if self.page && !matches!(code, Cea608::EraseDisplay(_)) {
            return;
        }
        let [first, second] = &mut self.screens;
        let screen = if code.channel() == Channel::ONE { first } else { second };
        screen.take(code, at);
    }
}

type Page = [[char; COLUMNS]; ROWS];
const BLANK: Page = [[' '; COLUMNS]; ROWS];

/// One channel.
#[derive(Debug)]
struct Screen {
    mode: Option<Mode>,
    shown: Page,
    hidden: Page,
    row: usize,
    column: usize,
    /// When the current screen appeared, in milliseconds.
    since: u64,
    /// Whether lines have moved up and nothing was written since.
    rolled: bool,
    cues: Vec<Cue>,
    /// Memory of the cues, in bytes.
    held: usize,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            mode: None,
            shown: BLANK,
            hidden: BLANK,
            row: ROWS - 1,
            column: 0,
            since: 0,
            rolled: false,
            cues: Vec::new(),
            held: 0,
        }
    }
}

impl Screen {
    fn take(&mut self, code: Cea608, at: u64) {
        match code {
            Cea608::NewMode(_, mode) => self.enter(mode, at),
            Cea608::EraseDisplay(_) => {
                self.cut(at);
                self.shown = BLANK;
            }
            Cea608::EraseNonDisplay(_) => self.hidden = BLANK,
            Cea608::EndOfCaption(_) => {
                self.cut(at);
                self.mode = Some(Mode::PopOn);
                std::mem::swap(&mut self.shown, &mut self.hidden);
            }
            Cea608::CarriageReturn(_) => self.roll(at),
            Cea608::Preamble(_, place) => {
                // Texts do not keep the row in which lines roll; here they always roll in the last one.
                self.row = if self.rows().is_some() { ROWS - 1 } else { usize::from(place.row()) };
                self.column = usize::from(place.column());
            }
            Cea608::TabOffset(_, columns) => self.move_to(self.column + usize::from(columns)),
            Cea608::Backspace(_) => {
                self.move_to(self.column.saturating_sub(1));
                self.put(' ', at);
            }
            Cea608::DeleteToEndOfRow(_) => {
                let column = self.column;
                self.line(at).iter_mut().skip(column).for_each(|cell| *cell = ' ');
            }
            // Takes a place of its own.
            Cea608::MidRowChange(..) => self.write(' ', at),
            Cea608::Text(text) => {
                if text.needs_backspace {
                    self.move_to(self.column.saturating_sub(1));
                }
                text.char1.into_iter().chain(text.char2).for_each(|letter| self.write(letter, at));
            }
        }
    }

    fn enter(&mut self, mode: Mode, at: u64) {
        if mode != Mode::PopOn {
            self.cut(at);
        }
        if mode.is_rollup() && self.rows().is_none() {
            (self.shown, self.hidden) = (BLANK, BLANK);
        }
        if mode.is_rollup() {
            self.row = ROWS - 1;
        }
        self.mode = Some(mode);
    }

    /// Rows that roll; none in other modes.
    fn rows(&self) -> Option<usize> {
        self.mode.and_then(|mode| mode.rollup_rows()).map(usize::from)
    }

    fn roll(&mut self, at: u64) {
        let Some(rows) = self.rows() else { return };
        self.cut(at);
        self.shown.rotate_left(1);
        let kept = ROWS - rows..ROWS - 1;
        let gone = self.shown.iter_mut().enumerate().filter(|(row, _)| !kept.contains(row));
        gone.for_each(|(_, row)| *row = [' '; COLUMNS]);
        self.column = 0;
        self.rolled = true;
    }

    fn write(&mut self, letter: char, at: u64) {
        self.put(letter, at);
        self.move_to(self.column + 1);
    }

    fn put(&mut self, letter: char, at: u64) {
        let column = self.column;
        if let Some(cell) = self.line(at).get_mut(column) {
            *cell = letter;
        }
    }

    fn move_to(&mut self, column: usize) {
        self.column = column.min(COLUMNS - 1);
    }

    /// The row that is written to. If it is on the screen, the screen changes now.
    fn line(&mut self, at: u64) -> &mut [char; COLUMNS] {
        let seen = self.mode.is_some_and(|mode| mode != Mode::PopOn);
        if seen {
            let rolled = std::mem::take(&mut self.rolled);
            if (rolled && at.saturating_sub(self.since) > SETTLED) || text(&self.shown).is_empty() {
                self.cut(at);
            }
        }
        let page = if seen { &mut self.shown } else { &mut self.hidden };
        &mut page[self.row.min(ROWS - 1)]
    }

    /// Ends the cue of the current screen, if it has text. The next one begins now.
    fn cut(&mut self, at: u64) {
        let since = std::mem::replace(&mut self.since, at);
        let text = text(&self.shown);
        if text.is_empty() || at <= since || self.held > MAX_CHANNEL_BYTES {
            return;
        }
        match self.cues.last_mut() {
            Some(last) if last.end == since && last.text == text => last.end = at,
            _ => {
                let cue = Cue { start: since, end: at, text };
                self.held += cue.cost();
                self.cues.push(cue);
            }
        }
    }

    fn finish(mut self, end: u64) -> Vec<Cue> {
        self.cut(end);
        self.cues
    }
}

/// The rows that are not blank, escaped for `WebVTT`.
fn text(page: &Page) -> String {
    let rows = page.iter().map(|row| row.iter().collect::<String>());
    let rows = rows.map(|row| row.trim().to_owned()).filter(|row| !row.is_empty());
    let text = rows.collect::<Vec<_>>().join("\n");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
