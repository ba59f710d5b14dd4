//! A text for people: spans with a tint, escaped one by one, so that colours survive the escape of strangers' words.

use std::fmt::Write;

use transcode_config::escape::{Place, escaped};

/// What a span says, by colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tint {
    /// The terminal's own colour.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// In work, or to be looked at.
    Busy,
    /// Failed.
    Bad,
    /// Beside the point.
    Faint,
}

impl Tint {
    /// The sequence that begins the colour; `None` for the terminal's own.
    fn sequence(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("\u{1b}[32m"),
            Self::Busy => Some("\u{1b}[33m"),
            Self::Bad => Some("\u{1b}[31m"),
            Self::Faint => Some("\u{1b}[2m"),
        }
    }
}

const RESET: &str = "\u{1b}[0m";

/// A text for people, line by line.
#[derive(Debug, Default)]
pub(crate) struct Text {
    spans: Vec<(Tint, String)>,
    /// Columns of the terminal; `None` if nobody looks at one.
    width: Option<usize>,
}

impl Text {
    /// A text for a terminal of this width.
    pub(crate) fn within(width: Option<usize>) -> Self {
        Self { spans: Vec::new(), width }
    }

    /// Columns of the terminal.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Adds one line. Hidden characters in it are escaped, line ends too.
    pub(crate) fn line(&mut self, line: &str) -> &mut Self {
        self.span(Tint::Plain, line).end()
    }

    /// Adds a part of a line, in one tint.
    pub(crate) fn span(&mut self, tint: Tint, words: &str) -> &mut Self {
        self.spans.push((tint, escaped(words, Place::Line).into_owned()));
        self
    }

    /// Ends the line.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.spans.push((Tint::Plain, "\n".to_owned()));
        self
    }

    /// The finished text, with colours if asked for.
    pub(crate) fn finished(&self, colour: bool) -> String {
        let mut text = String::new();
        for (tint, words) in &self.spans {
            match tint.sequence().filter(|_| colour) {
                // Writing to a string cannot fail.
                Some(begin) => drop(write!(text, "{begin}{words}{RESET}")),
                None => text.push_str(words),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_words_bring_no_colours_and_no_lines_and_ours_do() {
        let mut text = Text::default();
        text.span(Tint::Good, "done\u{1b}[31m\n").line(" ok");
        assert_eq!(text.finished(false), "done\\u001b[31m\\n ok\n");
        assert_eq!(text.finished(true), "\u{1b}[32mdone\\u001b[31m\\n\u{1b}[0m ok\n");
    }
}
