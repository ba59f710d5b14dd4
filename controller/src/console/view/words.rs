//! Times, durations and numbers for people.

use aws_smithy_types::{DateTime, date_time::Format};

use crate::console::markup::{Html, html};

/// A duration, in the unit that fits best.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..10 if ms < 10_000 => format!("{}.{} s", seconds, ms % 1000 / 100),
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An age in whole seconds or more: it would count tenths on each visit.
pub(super) fn age(from_ms: u64, now_ms: u64) -> String {
    span((now_ms.saturating_sub(from_ms) / 1000).max(10) * 1000).replace("10 s", "< 10 s")
}

/// A time in UTC, to the second.
pub(super) fn time(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_else(|_| format!("{ms} ms since 1970"))
}

/// A moment that says how long ago it was, and when.
pub(super) fn ago(at_ms: u64, now_ms: u64) -> Html {
    let (mut html, at) = (Html::default(), time(at_ms));
    html! { html, "<time datetime=\"" (at) "\" title=\"" (at) "\">" (age(at_ms, now_ms)) "</time>" }
    html
}

/// A rate.
pub(super) fn rate(bps: u64) -> String {
    if bps < 1_000_000 {
        format!("{} kbit/s", bps / 1000)
    } else {
        format!("{}.{} Mbit/s", bps / 1_000_000, bps % 1_000_000 / 100_000)
    }
}

/// A size.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_ages_do_not_flicker() {
        assert_eq!(
            [0, 1_940, 10_000, 130_000, 8_000_000].map(span),
            ["0.0 s", "1.9 s", "10 s", "2 min", "2 h"]
        );
        assert_eq!([0, 9_999, 11_000].map(|ms| age(0, ms)), ["< 10 s", "< 10 s", "11 s"]);
        assert_eq!([999_999, 2_340_000].map(rate), ["999 kbit/s", "2.3 Mbit/s"]);
        assert_eq!([5, 2_048, 3 << 19].map(size), ["5 bytes", "2 KiB", "1.5 MiB"]);
    }
}
