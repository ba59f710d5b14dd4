//! Keeps the end of standard error, escaped, in bounded memory.

/// Bytes of standard error that are kept: ffmpeg's last dozen lines fit, and a log line stays readable.
const KEEP: usize = 8 * 1024;

/// The last part of a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Takes the next part of the stream.
    pub(super) fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
        // Drops the front rarely: only when twice the amount has gathered.
        if self.bytes.len() > 2 * KEEP {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let surplus = self.bytes.len().saturating_sub(KEEP);
        self.bytes.drain(..surplus);
    }

    /// The kept part as printable ASCII and line ends: bytes that a hostile file puts into its metadata cannot colour
    /// a terminal, forge a log line of ours or break JSON.
    pub(super) fn text(mut self) -> String {
        self.cut();
        let mut text = String::with_capacity(self.bytes.len());
        for &byte in &self.bytes {
            match byte {
                // A status line overwrites itself with carriage returns.
                b'\n' | b'\r' => text.push('\n'),
                b' '..=b'~' => text.push(char::from(byte)),
                other => text.extend(other.escape_ascii().map(char::from)),
            }
        }
        text
    }
}

/// The last characters of a text, at most `most`: the end of a failure's evidence matters most.
pub(super) fn last(text: &str, most: usize) -> &str {
    let text = text.trim_end();
    let start = text.len().saturating_sub(most);
    // The text is ASCII, so every index is a character's.
    text.get(start..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= KEEP);
        assert!(text.ends_with("line 99999\n"));
    }

    #[test]
    fn control_characters_and_bytes_above_ascii_are_escaped() {
        let mut tail = Tail::default();
        tail.push(b"\x1b[31mred\0\xff ok\rnext");
        assert_eq!(tail.text(), "\\x1b[31mred\\x00\\xff ok\nnext");
    }

    #[test]
    fn the_last_characters() {
        assert_eq!(last("abcdef\n", 3), "def");
        assert_eq!(last("ab", 3), "ab");
    }
}
