//! HTML from literals and escaped words: the one place where a stranger's words become part of a page.
//!
//! Only a literal of the program can be added as it is (`&'static str`); everything else passes
//! [`escaped`] for [`Place::Markup`]. Attributes are always quoted.

use std::fmt::Display;

use transcode_config::escape::{Place, escaped};

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Adds the program's own markup.
    pub(super) fn raw(&mut self, literal: &'static str) -> &mut Self {
        self.0.push_str(literal);
        self
    }

    /// Adds words, escaped.
    pub(super) fn text(&mut self, words: impl Display) -> &mut Self {
        self.0.push_str(&escaped(&words.to_string(), Place::Markup));
        self
    }

    /// Adds a piece that is made already.
    pub(super) fn add(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// The finished markup.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Whether it is empty.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Adds literals as they are, and what stands in parentheses escaped: `html! { page, "<b>" (key) "</b>" }`. What stands
/// in brackets is an [`Html`] already.
macro_rules! html {
    ($to:expr, $($rest:tt)*) => {{ $crate::console::markup::html_parts!($to, $($rest)*); }};
}

macro_rules! html_parts {
    ($to:expr,) => {};
    ($to:expr, ($words:expr) $($rest:tt)*) => {
        $to.text(&$words);
        $crate::console::markup::html_parts!($to, $($rest)*);
    };
    ($to:expr, [$piece:expr] $($rest:tt)*) => {
        $to.add(&$piece);
        $crate::console::markup::html_parts!($to, $($rest)*);
    };
    ($to:expr, $literal:literal $($rest:tt)*) => {
        $to.raw($literal);
        $crate::console::markup::html_parts!($to, $($rest)*);
    };
}

pub(super) use html;
pub(super) use html_parts;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_are_markup() {
        let mut page = Html::default();
        let mut inner = Html::default();
        html! { inner, "<i>" ("a & b") "</i>" }
        html! { page, "<b title=\"" ("\"><script>'x'\u{202e}\n") "\">" (5) [inner] "</b>" }
        assert_eq!(
            page.into_string(),
            "<b title=\"&#34;&#62;&#60;script&#62;&#39;x&#39;\\u202e\\n\">5<i>a &#38; b</i></b>"
        );
    }
}
