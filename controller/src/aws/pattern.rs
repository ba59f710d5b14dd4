//! Patterns as IAM has them: `*` matches any text, `?` any one character.

/// Whether a text fits a pattern as a whole. In time that grows with both lengths, whatever the pattern.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || text.get(t) == Some(wanted) => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// Whether a key is meant by what a person wrote: a pattern for the whole key where it has `*` or `?`, else a prefix.
pub fn prefix_or_pattern(wanted: &str, key: &[u8]) -> bool {
    if wanted.contains(['*', '?']) {
        matches(wanted.as_bytes(), key)
    } else {
        key.starts_with(wanted.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_iam_has_them() {
        let yes = |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes());
        assert!(yes("a/*/c", "a/b/b/c") && yes("*", "") && yes("a?c*", "abc") && yes("a*b*c", "aXbYbZc"));
        assert!(!yes("a/*/c", "a/b/d") && !yes("a?c", "ac") && !yes("", "a") && !yes("ab", "a"));
    }

    #[test]
    fn without_a_sign_of_a_pattern_it_is_a_prefix() {
        assert!(prefix_or_pattern("films/", b"films/a.mp4") && prefix_or_pattern("*.mp4", b"films/a.mp4"));
        assert!(!prefix_or_pattern("a.mp4", b"films/a.mp4") && !prefix_or_pattern("*.mp4", b"a.mp4.txt"));
    }
}
