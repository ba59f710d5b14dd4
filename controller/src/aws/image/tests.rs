use serde_json::json;

use super::*;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn a_reference_says_where_which_and_by_what() {
    let ecr = Registry::Ecr { account: "123456789012".into(), region: "eu-west-1".into() };
    let other = |host: &str| Registry::Other(host.into());
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    for (text, registry, repository, tag, digest) in [
        (format!("{host}/prod/task:1.2"), ecr.clone(), "prod/task", Some("1.2"), None),
        (format!("{host}/task@{A}"), ecr.clone(), "task", None, Some(A)),
        (format!("{host}/task:1@{A}"), ecr.clone(), "task", Some("1"), Some(A)),
        (format!("{host}/task"), ecr.clone(), "task", Some("latest"), None),
        ("123456789012.dkr-ecr.eu-west-1.on.aws/task:1".into(), ecr.clone(), "task", Some("1"), None),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/t:1".into(),
            Registry::Ecr { account: "123456789012".into(), region: "cn-north-1".into() },
            "t",
            Some("1"),
            None,
        ),
        (
            "1234.dkr.ecr.eu-west-1.amazonaws.com/task:1".into(),
            other("1234.dkr.ecr.eu-west-1.amazonaws.com"),
            "task",
            Some("1"),
            None,
        ),
        ("transcode-task:local".into(), other("docker.io"), "transcode-task", Some("local"), None),
        ("localhost:5000/a/b:1".into(), other("localhost:5000"), "a/b", Some("1"), None),
        ("public.ecr.aws/x/y".into(), other("public.ecr.aws"), "x/y", Some("latest"), None),
    ] {
        let expected = Reference {
            registry,
            repository: repository.into(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        };
        assert_eq!(Reference::parse(&text), Some(expected), "{text}");
    }
    for text in ["", "a b", "task:", "task@sha256:12", "host.x/", "host.x/a:b/c", "a\nb"] {
        assert_eq!(Reference::parse(text), None, "{text:?}");
    }
}

#[test]
fn of_several_images_the_one_for_the_architecture_is_taken() {
    let one = |os: &str, arch: &str, digest: &str| json!({"digest": digest, "platform": {"os": os, "architecture": arch}});
    let index = json!({"manifests": [one("unknown", "unknown", A), one("linux", "amd64", A), one("linux", "arm64", B)]});
    let index = index.to_string();
    assert_eq!(manifest(&index, "arm64"), Ok(Manifest::Index(B.into())));
    assert_eq!(manifest(&index, "amd64"), Ok(Manifest::Index(A.into())));
    let only = json!({"manifests": [one("unknown", "unknown", A), one("linux", "arm64", B), {"digest": A}]});
    let error = manifest(&only.to_string(), "amd64").unwrap_err();
    assert_eq!(error, Unfit::OtherPlatform { wanted: "linux/amd64".into(), found: "linux/arm64".into() });
    let single = json!({"config": {"digest": A, "size": 7}, "layers": []}).to_string();
    assert_eq!(manifest(&single, "amd64"), Ok(Manifest::Image(A.into())));
    for bad in ["", "[]", "{\"config\": {\"digest\": \"../../x\"}}"] {
        assert!(matches!(manifest(bad, "amd64"), Err(Unfit::Unreadable(_))), "{bad}");
    }
    assert_eq!(
        (architecture(None), architecture(Some("X86_64")), architecture(Some("ARM64"))),
        ("amd64", "amd64", "arm64")
    );
}

#[test]
fn a_configuration_must_be_for_the_platform_and_speak_our_version_of_the_contract() {
    let config = |os: &str, arch: &str, labels: serde_json::Value| {
        json!({"os": os, "architecture": arch, "config": {"Labels": labels}}).to_string()
    };
    let ours = json!({"org.transcode-operator.contract": "1"});
    assert_eq!(configuration(&config("linux", "amd64", ours.clone()), "amd64"), Ok(()));
    for (text, expected) in [
        (
            config("linux", "amd64", json!({"org.transcode-operator.contract": "2"})),
            Unfit::OtherContract("2".into()),
        ),
        (config("linux", "amd64", json!({"other": "1"})), Unfit::NoContract),
        (config("linux", "amd64", json!(null)), Unfit::NoContract),
        (json!({"os": "linux", "architecture": "amd64"}).to_string(), Unfit::NoContract),
        (config("linux", "arm64", ours.clone()), other_platform("amd64", "linux/arm64")),
        (config("windows", "amd64", ours), other_platform("amd64", "windows/amd64")),
    ] {
        assert_eq!(configuration(&text, "amd64"), Err(expected), "{text}");
    }
    assert!(matches!(configuration("{}", "amd64"), Err(Unfit::Unreadable(_))));
}

#[test]
fn findings_refuse_from_the_configured_severity_on() {
    let done = |counts: &[(&str, u32)]| {
        Scan::Done(counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect())
    };
    let high = done(&[("HIGH", 3), ("CRITICAL", 0), ("INFORMATIONAL", 9), ("UNDEFINED", 2)]);
    for (refuse, expected) in [
        (Severity::Off, Ok(())),
        (Severity::Critical, Ok(())),
        (Severity::High, Err(Unfit::Findings("3 HIGH".into()))),
        (Severity::Low, Err(Unfit::Findings("3 HIGH".into()))),
    ] {
        assert_eq!(scan(&high, refuse, true), expected, "{refuse:?}");
    }
    let both = done(&[("HIGH", 1), ("CRITICAL", 2)]);
    assert_eq!(scan(&both, Severity::Medium, false), Err(Unfit::Findings("2 CRITICAL, 1 HIGH".into())));
    assert_eq!(scan(&both, Severity::Off, true), Ok(()));
    let not = Scan::None("PENDING".into());
    assert_eq!(scan(&not, Severity::Critical, false), Ok(()));
    assert_eq!(scan(&not, Severity::Critical, true), Err(Unfit::NotScanned("PENDING".into())));
}
