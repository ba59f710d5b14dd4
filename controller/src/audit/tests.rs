use std::fmt::Write;

use super::{AuditReport, End, History};

/// A log of these events, one second apart.
fn log(events: &[&str]) -> String {
    let mut text = String::new();
    for (second, event) in events.iter().enumerate() {
        writeln!(text, "{{\"timestamp\":\"2026-01-01T00:00:{second:02}.5Z\",\"level\":\"INFO\",{event}}}")
            .unwrap();
    }
    text
}

fn audit(logs: &[&str]) -> AuditReport {
    let mut history = History::default();
    for (number, log) in logs.iter().enumerate() {
        history.read(&format!("log-{number}"), log.as_bytes()).unwrap();
    }
    history.report()
}

fn broken(report: &AuditReport) -> Vec<&'static str> {
    report.violations.iter().map(|violation| violation.invariant).collect()
}

const START: &str =
    r#""message":"controller started","max_attempts":2,"max_platform_attempts":2,"bus":"jobs""#;
const RECEIVED: &str = r#""message":"message received","message_id":"m","jobs":1"#;
const ASKED: &str = r#""message":"job received","message_id":"m","job":"j""#;
const CLAIMED: &str = r#""message":"attempt claimed","job":"j","attempt":"1","nonce":"a/1","over_by_job":0,"over_by_platform":0"#;
const AGAIN: &str = r#""message":"attempt claimed","job":"j","attempt":"2","nonce":"a/2","over_by_job":1,"over_by_platform":0"#;
/// 2026-01-01T00:05:00Z.
const SENT: &str = r#""message":"launch sent","job":"j","attempt":"1","not_after_ms":1767225900000"#;
const LAUNCHED: &str = r#""message":"task launched","job":"j","attempt":"1","task":"t1""#;
const WON: &str =
    r#""message":"register read","job":"j","outcome":"succeeded","nonce":"n","attempt":"1","task":"t1""#;
const DEAD: &str = r#""message":"register read","job":"j","outcome":"dead","nonce":"n","code":"CRASHED","attempts":1,"task":"t1""#;
const PUBLISHED: &str = r#""message":"entry points published","job":"j""#;
const LISTED: &str = r#""message":"index entry written","job":"j""#;
const TOLD: &str = r#""message":"event sent","job":"j","kind":"succeeded""#;
const TOLD_DEAD: &str =
    r#""message":"event put into the outbox: the bus does not take it","job":"j","kind":"dead""#;
const LETTERED: &str = r#""message":"message dead-lettered","message_id":"m","job":"j""#;
const DELETED: &str = r#""message":"message deleted","message_id":"m""#;
const SUCCEEDED: &str = r#""message":"job succeeded","job":"j""#;

const GOOD: &[&str] =
    &[START, RECEIVED, ASKED, CLAIMED, SENT, LAUNCHED, WON, PUBLISHED, LISTED, TOLD, DELETED, SUCCEEDED];
const LOST: &[&str] =
    &[START, RECEIVED, ASKED, CLAIMED, SENT, LAUNCHED, DEAD, LISTED, TOLD_DEAD, LETTERED, DELETED];

/// A path without one of its steps.
fn without<'a>(path: &[&'a str], step: &str) -> Vec<&'a str> {
    path.iter().copied().filter(|event| *event != step).collect()
}

/// A path with one of its steps replaced.
fn with<'a>(path: &[&'a str], step: &str, by: &'a str) -> Vec<&'a str> {
    path.iter().map(|event| if *event == step { by } else { event }).collect()
}

#[test]
fn an_ordinary_path_breaks_nothing_and_its_message_is_settled() {
    for (path, end) in [(GOOD, End::Succeeded), (LOST, End::Dead)] {
        let report = audit(&[&log(path)]);
        assert_eq!(broken(&report), [""; 0], "{report:?}");
        assert_eq!(report.messages.iter().map(|message| message.end).collect::<Vec<_>>(), [end]);
        assert_eq!((report.totals.torn, report.totals.unexplained), (0, 0));
    }
}

#[test]
fn each_broken_promise_is_named() {
    let other_claim = CLAIMED.replace("a/1", "b/1");
    let other_task = LAUNCHED.replace("t1", "t2");
    let other_terminal_record = WON.replace("\"n\"", "\"o\"");
    let late = SENT.replace("1767225900000", "1767225600000");
    let skipped = AGAIN.replace("\"over_by_job\":1", "\"over_by_job\":0");
    let spent = AGAIN.replace("\"attempt\":\"2\"", "\"attempt\":\"3\"").replace("_job\":1", "_job\":2");
    let platform = spent.replace("_job\":2", "_job\":0").replace("_platform\":0", "_platform\":2");
    let mute = DEAD.replace(",\"task\":\"t1\"", "");
    let short = DEAD.replace("\"attempts\":1", "\"attempts\":0");
    let uncoded = DEAD.replace("\"code\":\"CRASHED\",", "");
    let otherwise = SUCCEEDED.replace("job succeeded", "job dead");
    let parked = r#""message":"message parked","message_id":"m","reason":"unknown""#;
    let insert = |path: &[&'static str], after: &str, event: &str| {
        let events: Vec<String> = path
            .iter()
            .flat_map(|known| {
                let more = (*known == after).then(|| event.to_owned());
                std::iter::once((*known).to_owned()).chain(more)
            })
            .collect();
        log(&events.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (invariant, text) in [
        ("S1", log(&without(&without(GOOD, WON), TOLD))),
        ("S1", log(&without(GOOD, PUBLISHED))),
        ("S1", log(&without(LOST, LETTERED))),
        ("S2", insert(GOOD, WON, &other_terminal_record)),
        ("S5", insert(GOOD, LAUNCHED, &skipped)),
        ("S6", insert(GOOD, CLAIMED, &other_claim)),
        ("S7", insert(GOOD, LAUNCHED, &other_task)),
        ("S7", log(&with(GOOD, SENT, &late))),
        ("S9", insert(GOOD, LAUNCHED, &spent)),
        ("S10", insert(GOOD, LAUNCHED, &platform)),
        ("S11", log(&with(LOST, DEAD, &mute))),
        ("S11", log(&with(LOST, DEAD, &short))),
        ("S11", log(&with(LOST, DEAD, &uncoded))),
        ("S12", insert(GOOD, PUBLISHED, AGAIN)),
        ("S12", log(&with(GOOD, SUCCEEDED, &otherwise))),
        ("S15", insert(GOOD, RECEIVED, parked)),
        ("S18", log(&without(GOOD, TOLD))),
        ("S18", log(&without(LOST, TOLD_DEAD))),
        ("S18", log(&with(GOOD, TOLD, TOLD_DEAD))),
        ("S18", insert(GOOD, LAUNCHED, TOLD)),
        ("S20", log(&without(GOOD, LISTED))),
        ("S20", log(&without(LOST, LISTED))),
    ] {
        let report = audit(&[&text]);
        assert_eq!(broken(&report), [invariant], "{text}\n{report:?}");
        assert!(report.text().contains(&format!("violation {invariant} log-0:")), "{}", report.text());
        assert!(report.text().ends_with("violations=1\n"), "{}", report.text());
    }
}

#[test]
fn who_has_no_bus_and_who_is_older_need_not_tell_and_a_bus_holds_for_what_comes_after_it() {
    let (silent, older) = (START.replace("\"jobs\"", "\"\""), START.replace(",\"bus\":\"jobs\"", ""));
    let untold = without(GOOD, TOLD);
    assert_eq!(broken(&audit(&[&log(&with(&untold, START, &silent))])), [""; 0]);
    assert_eq!(broken(&audit(&[&log(&without(&with(&untold, START, &older), LISTED))])), [""; 0]);
    let bus = r#""message":"setting changed","key":"events.bus","old":"\"\"","new":"\"jobs\"""#;
    for (after, found) in [(START, &["S18"][..]), (RECEIVED, &[])] {
        let path = with(&untold, START, &silent);
        let at = untold.iter().position(|event| *event == after).unwrap();
        let path: Vec<&str> =
            path[..=at].iter().copied().chain([bus]).chain(path[at + 1..].iter().copied()).collect();
        assert_eq!(broken(&audit(&[&log(&path)])), found, "the bus comes after {after}");
    }
}

#[test]
fn what_one_process_has_read_another_has_not() {
    // The second controller deletes without having read the terminal record itself.
    let second = log(&[START, RECEIVED, ASKED, DELETED]);
    assert_eq!(broken(&audit(&[&log(GOOD), &second])), ["S1"]);
    // The same within one file, after a restart.
    let both: Vec<&str> = GOOD.iter().chain(&[START, RECEIVED, ASKED, DELETED]).copied().collect();
    assert_eq!(broken(&audit(&[&log(&both)])), ["S1"]);
    let right: Vec<&str> = GOOD
        .iter()
        .chain(&[START, RECEIVED, ASKED, WON, PUBLISHED, LISTED, TOLD, DELETED])
        .copied()
        .collect();
    assert_eq!(broken(&audit(&[&log(&right)])), [""; 0]);
}

#[test]
fn a_delete_in_one_log_outlives_a_lost_lease_in_another_but_not_a_later_receipt() {
    let at =
        |second: u32, event: &str| format!("{{\"timestamp\":\"2026-01-01T00:01:{second:02}Z\",{event}}}\n");
    let lost = at(1, RECEIVED) + &at(40, r#""message":"lease lost","message_id":"m""#);
    let path = [RECEIVED, ASKED, WON, PUBLISHED, DELETED];
    let settled: String = (20..).zip(path).map(|(second, event)| at(second, event)).collect();
    for logs in [[lost.as_str(), &settled], [&settled, &lost]] {
        assert_eq!(
            audit(&logs).messages.iter().map(|message| message.end).collect::<Vec<_>>(),
            [End::Succeeded]
        );
    }
    let copy = at(50, RECEIVED);
    for logs in [[copy.as_str(), &settled], [&settled, &copy]] {
        assert_eq!(audit(&logs).messages.iter().map(|message| message.end).collect::<Vec<_>>(), [End::Held]);
    }
}

#[test]
fn every_message_is_somewhere() {
    let text = log(&[
        START,
        RECEIVED,
        r#""message":"message received","message_id":"p","jobs":0"#,
        r#""message":"message parked","message_id":"p""#,
        r#""message":"message released","message_id":"p""#,
        r#""message":"message received","message_id":"r","jobs":1"#,
        r#""message":"message released","message_id":"r""#,
        r#""message":"message received","message_id":"l","jobs":1"#,
        r#""message":"lease lost","message_id":"l""#,
        r#""message":"message received","message_id":"t","jobs":0"#,
        r#""message":"message deleted","message_id":"t""#,
        r#""message":"message deleted","message_id":"from before""#,
    ]);
    let report = audit(&[&text]);
    let ends: Vec<_> =
        report.messages.iter().map(|message| (message.message.as_str(), message.end)).collect();
    let expected =
        [("l", End::Lost), ("m", End::Held), ("p", End::Parked), ("r", End::Released), ("t", End::Ignored)];
    assert_eq!(ends, expected);
    assert_eq!((broken(&report), report.totals.unexplained), (vec![], 1));
}

#[test]
fn torn_lines_strange_fields_and_bytes_that_are_no_text_are_counted_and_harm_nothing() {
    let mut bytes = log(GOOD).into_bytes();
    bytes.extend_from_slice(
        b"{\"message\":\"message deleted\",\"message_id\":7}\n[1]\n\xff\xfe{\n\n{\"message\":\"attempt clai",
    );
    let mut long = vec![b'x'; 3 << 20];
    long.push(b'\n');
    let mut history = History::default();
    history.read("a", long.as_slice()).unwrap();
    history.read("b", bytes.as_slice()).unwrap();
    let report = history.report();
    assert_eq!((report.totals.torn, report.totals.other, report.totals.lines), (4, 1, GOOD.len() as u64 + 5));
    assert_eq!((broken(&report), report.totals.succeeded), (vec![], 1));
}

/// The lines of a job that goes live.
fn live(job: &str, serial: u64, sequencer: Option<&str>) -> String {
    let sequencer = sequencer.map(|it| format!(r#","sequencer":"{it}""#)).unwrap_or_default();
    format!(
        r#""message":"entry points published","job":"{job}","pointer":"published/p.json","serial":{serial}{sequencer}"#
    )
}

#[test]
fn under_one_prefix_serial_and_order_only_go_forward() {
    let first = live("one", 1, Some("0055"));
    let forced = live("again", 2, None);
    let later = live("two", 3, Some("0055A"));
    let other_prefix = live("x", 1, Some("0001")).replace("p.json", "q.json");
    // The log of another controller is read later and contains earlier lines.
    assert_eq!(broken(&audit(&[&log(&[&later, &other_prefix]), &log(&[&first, &forced, &first])])), [""; 0]);
    let older = live("old", 4, Some("0054"));
    assert_eq!(broken(&audit(&[&log(&[&first, &later, &older])])), ["S17"]);
    assert_eq!(broken(&audit(&[&log(&[&older]), &log(&[&first])])), ["S17"], "in whatever order it is told");
    assert_eq!(
        broken(&audit(&[&log(&[&first, &live("two", 1, Some("0056"))])])),
        ["S17"],
        "two of one number"
    );
}

#[test]
fn a_superseded_job_is_settled_without_being_published_by_whoever_read_so() {
    let won = without(GOOD, SUCCEEDED);
    let told = r#""message":"superseded: a newer upload of the same object is published","job":"j","by":"k""#;
    assert_eq!(broken(&audit(&[&log(&with(&won, PUBLISHED, told))])), [""; 0]);
    let (stopped, end) = (WON.replace("succeeded", "superseded"), TOLD.replace("succeeded", "superseded"));
    let path = without(&with(&with(&won, WON, &stopped), TOLD, &end), PUBLISHED);
    assert_eq!(broken(&audit(&[&log(&path)])), [""; 0]);
    assert_eq!(broken(&audit(&[&log(&without(&without(&path, &stopped), &end))])), ["S1"]);
}

#[test]
fn a_cancelled_job_is_settled_without_a_letter_and_is_never_published() {
    let won = without(GOOD, SUCCEEDED);
    let (cancelled, end) = (WON.replace("succeeded", "cancelled"), TOLD.replace("succeeded", "cancelled"));
    let path = with(&with(&won, WON, &cancelled), TOLD, &end);
    assert_eq!(broken(&audit(&[&log(&without(&path, PUBLISHED))])), [""; 0]);
    assert_eq!(broken(&audit(&[&log(&path)])), ["S19"]);
}

/// Lines of a log with tenants, each at its second.
fn at(lines: &[(u64, String)]) -> String {
    let line = |(second, event): &(u64, String)| {
        format!("{{\"timestamp\":\"2026-01-01T00:{:02}:{:02}Z\",{event}}}\n", second / 60, second % 60)
    };
    lines.iter().map(line).collect()
}

fn asked(job: &str, tenant: &str, terms: &str) -> String {
    format!(r#""message":"job received","message_id":"m{job}","job":"{job}","tenant":"u/{tenant}/"{terms}"#)
}

fn claimed(job: &str) -> String {
    CLAIMED.replace("\"j\"", &format!("\"{job}\",\"cpu\":1024"))
}

fn launched(job: &str) -> String {
    LAUNCHED.replace("\"j\"", &format!("\"{job}\"")).replace("t1", &format!("t{job}"))
}

#[test]
fn a_tenant_over_its_limit_is_named() {
    let terms = r#","priority":"normal","max_tasks":1,"max_cpu":1024"#;
    let both = |terms: &str, between: &[String]| {
        let mut lines = vec![START.to_owned(), asked("1", "a", terms), asked("2", "a", terms)];
        lines.extend([claimed("1"), launched("1")]);
        lines.extend(between.iter().cloned());
        lines.extend([claimed("2"), launched("2")]);
        audit(&[&at(&(0..).zip(lines).collect::<Vec<_>>())])
    };
    let over = both(terms, &[]);
    assert_eq!(broken(&over), ["L9"], "{over:?}");
    assert!(over.violations[0].text.contains("u/a/ has 2 tasks, and may have 1"), "{over:?}");
    assert_eq!(broken(&both(&terms.replace("\"max_tasks\":1,", ""), &[])), ["L9"], "the limit of vCPU");
    assert_eq!(broken(&both(r#","priority":"normal""#, &[])), [""; 0], "without a limit");
    let ended = r#""message":"task ended","job":"1","attempt":"1","task":"t1""#.to_owned();
    assert_eq!(broken(&both(terms, &[ended])), [""; 0]);
    let raised = r#""message":"setting changed","key":"sources.u.tenants","old":"1","new":"2""#.to_owned();
    assert_eq!(broken(&both(terms, &[raised])), [""; 0]);
}

#[test]
fn a_newcomer_that_is_passed_over_is_named() {
    let normal = r#","priority":"normal""#;
    // A flood of one tenant, a newcomer after a second, and a claim for the flood every 40 s.
    let flood = |terms: &str, between: &[(u64, String)], last: &str| {
        let mut lines = vec![(0, START.to_owned())];
        lines.extend((1..9).map(|job| (0, asked(&job.to_string(), "a", normal))));
        lines.push((1, asked("b", "b", terms)));
        lines.extend((1..6_u64).map(|job| (40 * job, claimed(&job.to_string()))));
        lines.extend(between.iter().cloned());
        lines.push((300, last.to_owned()));
        lines.sort_by_key(|(second, _)| *second);
        audit(&[&at(&lines)])
    };
    for last in [claimed("b"), claimed("6")] {
        let late = flood(normal, &[], &last);
        assert_eq!(broken(&late), ["L9"], "{late:?}");
        assert!(late.violations[0].text.contains("job b, the first of u/b/"), "{late:?}");
    }
    let later =
        claimed("b").replace("\"attempt\":\"1\",", "\"attempt\":\"2\",").replace("_job\":0", "_job\":1");
    assert_eq!(broken(&flood(normal, &[], &later)), [""; 0], "an earlier attempt had to be waited for");
    assert_eq!(broken(&flood(r#","priority":"low""#, &[], &claimed("b"))), [""; 0], "of a lower class");
    for (second, event) in [
        (90, claimed("b")),
        (2, r#""message":"action failed","job":"b","action":"inspect""#.to_owned()),
        (2, r#""message":"paused","part":"tenant u/b/","who":"p","why":"w""#.to_owned()),
        (2, r#""message":"task adopted","job":"x","attempt":"1","task":"tx""#.to_owned()),
        (2, r#""message":"setting changed","key":"sources.u.tenants","old":"","new":"""#.to_owned()),
    ] {
        let between = [(second, event.clone())];
        assert_eq!(broken(&flood(normal, &between, &claimed("6"))), [""; 0], "{event}");
    }
}
