//! Makes strangers' words safe for people and players: one function, [`escaped`], for every place.
//!
//! Keys, titles, profile names, tags, ffmpeg's messages, and answers of AWS that quote them hold whatever their
//! writers chose: line ends that forge a line, sequences that steer a terminal, marks that reverse the order of
//! letters, markup. Code that composes a text escapes such words **before** it inserts them; the last step before a
//! terminal or a log escapes once more ([`net`]), so that a forgotten place forges nothing.
//!
//! Hidden characters become JSON's own escapes (`\n`, `\u001b`, `\u202e`): the text is unambiguous for people, escaping
//! it twice changes nothing, and JSON stays the same JSON.

use std::{borrow::Cow, fmt::Write};

/// Where the words appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A terminal, a log line, plain text: no hidden character, one line.
    Line,
    /// HTML and XML, in texts and in quoted attributes.
    Markup,
    /// Markdown, in running text.
    Markdown,
    /// A quoted string of an HLS playlist, which has no escapes: forbidden characters are left out.
    Playlist,
    /// The text of a `WebVTT` cue, one line of it. Hidden characters are left out, but for marks of direction that end with
    /// the cue: subtitles in Arabic and Hebrew need them, and players isolate each cue.
    Cue,
}

/// A stranger's words, escaped for a place.
///
/// Escaping twice for [`Place::Line`] or [`Place::Playlist`] gives the same as once.
pub fn escaped(words: &str, place: Place) -> Cow<'_, str> {
    let plain = |c: char| !hidden(c) && !special(c, place);
    if words.chars().all(plain) {
        return Cow::Borrowed(words);
    }
    let mut text = String::with_capacity(words.len() + 16);
    for c in words.chars() {
        match place {
            _ if plain(c) => text.push(c),
            Place::Cue if !kept_in_cues(c) => {}
            Place::Cue if !hidden(c) => text.push_str(named(c)),
            Place::Cue => text.push(c),
            Place::Playlist => {}
            Place::Markup if !hidden(c) => {
                let _ = write!(text, "&#{};", u32::from(c));
            }
            // HTML inside Markdown is HTML.
            Place::Markdown if matches!(c, '<' | '>' | '&') => {
                let _ = write!(text, "&#{};", u32::from(c));
            }
            Place::Markdown if !hidden(c) => text.extend(['\\', c]),
            _ => push_escape(&mut text, c),
        }
    }
    Cow::Owned(text)
}

/// One line for people: at most `most` characters, the rest is cut.
pub fn one_line(words: &str, most: usize) -> String {
    escaped(words, Place::Line).chars().take(most).collect()
}

/// The last escape before a terminal or a log, for a finished text whose line ends and tabs are its own.
pub fn net(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| matches!(c, '\n' | '\t') || !hidden(c)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if matches!(c, '\n' | '\t') || !hidden(c) { clean.push(c) } else { push_escape(&mut clean, c) }
    }
    Cow::Owned(clean)
}

/// Whether a character has an effect without being visible: controls (a terminal's sequences begin with one), marks
/// of writing direction, separators of lines and paragraphs, characters without width, and U+FFFE and U+FFFF, which
/// SQS refuses in a message. The joiners U+200C and U+200D are left: words of several languages and emoji need them.
pub const fn hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is markup in a place.
const fn special(c: char, place: Place) -> bool {
    match place {
        Place::Line => false,
        Place::Markup => matches!(c, '<' | '>' | '&' | '"' | '\''),
        Place::Markdown => matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '('
                | ')'
                | '#'
                | '+'
                | '-'
                | '!'
                | '|'
                | '<'
                | '>'
                | '&'
                | '~'
                | ':'
                | '$'
                | '@'
        ),
        Place::Playlist => matches!(c, '"'),
        Place::Cue => matches!(c, '<' | '>' | '&'),
    }
}

/// Whether a character may be in a cue: it is not hidden, or a mark of direction that overrides no letter but orders
/// neighbours, as punctuation needs.
pub const fn kept_in_cues(c: char) -> bool {
    !hidden(c)
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}')
}

/// `WebVTT` knows these references by name only.
const fn named(c: char) -> &'static str {
    match c {
        '<' => "&lt;",
        '>' => "&gt;",
        _ => "&amp;",
    }
}

/// Appends the JSON escape of a character.
fn push_escape(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}

/// A writer of lines that passes everything through [`net`]. Bytes that are no UTF-8 are replaced.
///
/// Each write must hold whole characters, as log lines do.
#[derive(Debug)]
pub struct Net<W>(pub W);

impl<W: std::io::Write> std::io::Write for Net<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(net(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const PLACES: [Place; 4] = [Place::Line, Place::Markup, Place::Markdown, Place::Playlist];

    /// Every character that there is.
    fn all() -> impl Iterator<Item = char> {
        (0..=0x0010_ffff).filter_map(char::from_u32)
    }

    /// What Unicode's categories Cc, Zl and Zp and its bidirectional formatting characters are, independently of the
    /// ranges above.
    fn acts_unseen(c: char) -> bool {
        let bidi =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || bidi.contains(c)
    }

    #[test]
    fn no_character_that_acts_unseen_passes_any_place() {
        for c in all() {
            for place in PLACES {
                let words = format!("a{c}b");
                let text = escaped(&words, place);
                assert!(!text.chars().any(acts_unseen), "{c:?} {place:?} {text:?}");
                assert!(text.starts_with('a') && text.ends_with('b'), "{c:?} {place:?} {text:?}");
            }
            assert!(!net(&c.to_string()).chars().any(|c| acts_unseen(c) && c != '\n' && c != '\t'), "{c:?}");
        }
    }

    #[test]
    fn a_cue_keeps_the_marks_of_direction_that_subtitles_need_and_nothing_else_unseen() {
        for c in all() {
            let text = escaped(&c.to_string(), Place::Cue).into_owned();
            assert!(
                !text.contains(['<', '>', '\r', '\n', '\u{202d}', '\u{202e}', '\u{2028}', '\u{1b}']),
                "{text:?}"
            );
            assert!(!text.chars().any(|c| acts_unseen(c) && !kept_in_cues(c)), "{text:?}");
        }
        let hebrew = "\u{202b}שלום!\u{202c}\u{200f}";
        assert_eq!(escaped(hebrew, Place::Cue), hebrew);
        assert_eq!(escaped("a --> <b>&\u{202e}\u{2028}\u{1b}[1m", Place::Cue), "a --&gt; &lt;b&gt;&amp;[1m");
    }

    #[test]
    fn nothing_acts_as_markup_that_a_stranger_wrote() {
        for c in all() {
            let text = escaped(&c.to_string(), Place::Markup).into_owned();
            assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
            let markdown = escaped(&c.to_string(), Place::Markdown).into_owned();
            assert!(!markdown.contains(['<', '>']), "{markdown}");
            assert!(!escaped(&c.to_string(), Place::Playlist).contains(['"', '\r', '\n']));
        }
        assert_eq!(escaped("<b onclick='x'>&", Place::Markup), "&#60;b onclick=&#39;x&#39;&#62;&#38;");
        assert_eq!(
            escaped("[x](javascript:y)|`z`", Place::Markdown),
            "\\[x\\]\\(javascript\\:y\\)\\|\\`z\\`"
        );
        assert_eq!(escaped("A\",URI=\"evil\n#EXT", Place::Playlist), "A,URI=evil#EXT");
    }

    #[test]
    fn a_line_is_escaped_once_however_often_it_passes() {
        let words: String = all().collect();
        for place in [Place::Line, Place::Playlist] {
            let once = escaped(&words, place).into_owned();
            assert_eq!(escaped(&once, place), once);
        }
        assert_eq!(net(&net(&words)), net(&words));
    }

    #[test]
    fn what_everybody_can_see_is_left_as_it_is() {
        for words in ["films/café 日本.mp4", "عربى", "👩\u{200d}👩\u{200d}👧", "a\\b \"c\" <d> 'e' & f"]
        {
            assert_eq!(escaped(words, Place::Line), words);
        }
    }

    #[test]
    fn the_escapes_are_those_of_json_so_json_stays_the_same() {
        let words: String = all().filter(|c| hidden(*c)).collect();
        let json = serde_json::to_string(&words).unwrap();
        let read: String = serde_json::from_str(&net(&json)).unwrap();
        assert_eq!(read, words);
        assert_eq!(
            escaped("\u{1b}]0;x\u{7}\r\n\u{202e}\u{e0001}", Place::Line),
            "\\u001b]0;x\\u0007\\r\\n\\u202e\\udb40\\udc01"
        );
    }

    #[test]
    fn a_net_leaves_lines_and_takes_sequences() {
        let mut out = Net(Vec::new());
        out.write_all("a\tb\n\u{1b}[31mc\u{9b}2J\n".as_bytes()).unwrap();
        out.write_all(b"\xff\n").unwrap();
        assert_eq!(String::from_utf8(out.0).unwrap(), "a\tb\n\\u001b[31mc\\u009b2J\n\u{fffd}\n");
    }

    #[test]
    fn one_line_is_short() {
        let text = one_line(&format!("a\r\n{}", "x".repeat(5000)), 600);
        assert!(text.starts_with("a\\r\\nx") && text.chars().count() == 600, "{text}");
    }
}
