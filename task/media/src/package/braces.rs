//! Braces in the texts that ffmpeg makes of subtitles. Pure.
//!
//! ffmpeg takes override blocks of ASS (`{\i1}`) away, and passes on blocks without a backslash (`{note to the
//! translator}`), which renderers of ASS hide as comments. In every other format braces are text; ffmpeg puts backslashes
//! in front of them and, from version 7 on, `{}` behind an opening one.

/// A text of ASS without its comments. A block without an end is text.
pub(super) fn without_comments(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        if before.ends_with('\\') {
            out.push('{');
            rest = from;
            continue;
        }
        let Some((_, behind)) = from.split_once('}') else { return out + "{" + from };
        rest = behind;
    }
    out + rest
}

/// The text without what ffmpeg puts around braces.
pub(super) fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before.trim_end_matches('\\'));
        let (brace, behind) = from.split_at_checked(1).unwrap_or((from, ""));
        out.push_str(brace);
        let padded = brace == "{" && before.ends_with('\\');
        rest = behind.strip_prefix("{}").filter(|_| padded).unwrap_or(behind);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_ass_are_hidden_and_braces_of_other_formats_are_text() {
        for (text, ass, other) in [
            ("{note}Words", "Words", "{note}Words"),
            ("{note \\i1}Words {TL: check}end", "Words end", "{note \\i1}Words {TL: check}end"),
            ("{two\nlines}A", "A", "{two\nlines}A"),
            ("\\{literal\\} brace", "{literal} brace", "{literal} brace"),
            ("\\{{}of version 7\\}", "{of version 7}", "{of version 7}"),
            ("open { brace", "open { brace", "open { brace"),
            ("{a}{b", "{b", "{a}{b"),
            ("C:\\dir \\", "C:\\dir \\", "C:\\dir \\"),
            ("}", "}", "}"),
            ("\\\\\\{x", "{x", "{x"),
        ] {
            let found = (unescaped(&without_comments(text)), unescaped(text));
            assert_eq!(found, (ass.into(), other.into()), "{text}");
        }
    }
}
