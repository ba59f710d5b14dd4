//! Words for people: addresses, times, durations; and the two outputs of a command.

use std::{borrow::Cow, io::Write};

use anyhow::Context;
use aws_smithy_types::{DateTime, date_time::Format};
use transcode_config::escape::{Place, escaped, hidden, net};

/// Writes to standard output. A closed output is an error: the rest of the work may be pointless.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(net(text).as_bytes()).and_then(|()| out.flush()).context("standard output")
}

/// Writes to standard error, without a panic if it is closed.
pub(crate) fn complain(text: &str) {
    writeln!(std::io::stderr().lock(), "transcode-controller: {}", net(text)).ok();
}

/// One value on one line for people, with unsafe characters escaped.
pub(crate) fn shown(value: &str) -> Cow<'_, str> {
    escaped(value, Place::Line)
}

/// An object's address for people. In quotes where it could be mistaken for the text around it.
pub(crate) fn address(bucket: &str, key: &str) -> String {
    let address = format!("s3://{bucket}/{key}");
    if address.chars().any(|c| c.is_whitespace() || c == '"' || hidden(c)) {
        return format!("\"{}\"", shown(&address).replace('"', "\\\""));
    }
    address
}

/// A time in the format of AWS, to the second.
pub(crate) fn time(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_else(|_| format!("{ms} ms since 1970"))
}

/// A duration, in the unit that fits best.
pub(crate) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Parses a duration with its unit: `90s`, `30m`, `12h`, `7d`. Returns milliseconds.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    let wrong = || "a time is a number and s, m, h or d, such as 90m or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    let number = text.get(..text.len() - 1).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number: u64 = number.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_taken_for_the_words_around_it() {
        assert_eq!(address("b", "films/cat.mp4"), "s3://b/films/cat.mp4");
        let forged = address("b", "a\r\n\u{1b}[8m\". It is done.\u{202e}");
        assert_eq!(forged, r#""s3://b/a\r\n\u001b[8m\". It is done.\u202e""#);
    }

    #[test]
    fn times_are_written_for_people() {
        assert_eq!(time(1_764_000_000_999), "2025-11-24T16:00:00Z");
        let spans = [999, 119_999, 120_000, 7_199_000, 7_200_000, 172_800_000].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
        assert!(!time(u64::MAX).is_empty());
        let read = ["90s", "30m", "12h", "7d"].map(|text| milliseconds(text).unwrap());
        assert_eq!(read, [90_000, 1_800_000, 43_200_000, 604_800_000]);
        for wrong in ["", "5", "m", "-5m", "5 m", "1.5h", "5µ", "99999999999999999999d"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
