use super::*;

fn of(code: &str, status: u16, message: &str) -> Meaning {
    meaning(Some(code), status, message, false)
}

#[test]
fn a_wrong_region_is_known_by_code_by_status_and_by_header() {
    for (code, status) in [
        (Some("PermanentRedirect"), 301),
        (Some("AuthorizationHeaderMalformed"), 400),
        (Some("IllegalLocationConstraintException"), 400),
        (Some("Redirect"), 301),
        // HEAD: no body, so no code.
        (None, 301),
        (None, 308),
    ] {
        assert_eq!(meaning(code, status, "", false), Meaning::WrongRegion, "{code:?} {status}");
    }
    assert_eq!(meaning(None, 400, "", true), Meaning::WrongRegion);
    assert_eq!(meaning(None, 400, "", false), Meaning::Unknown, "a bare 400 of the own Region");
    assert_eq!(of("TemporaryRedirect", 307, ""), Meaning::Passing, "a bucket that is new");
    assert_eq!(meaning(None, 307, "", false), Meaning::Passing);
}

#[test]
fn the_code_of_the_service_behind_ecs_says_what_happened() {
    let group = |code: &str| {
        format!("Error retrieving security group information for [sg-1]: words of EC2. (ErrorCode: {code})")
    };
    for (code, expected) in [
        ("RequestLimitExceeded", Meaning::Throttled),
        ("Client.RequestLimitExceeded", Meaning::Throttled),
        ("Throttling", Meaning::Throttled),
        ("InternalError", Meaning::Passing),
        ("Unavailable", Meaning::Passing),
        ("InternalFailure", Meaning::Passing),
        ("InvalidSubnetID.NotFound", Meaning::Misconfigured),
        ("InvalidGroup.NotFound", Meaning::Misconfigured),
        ("InvalidSecurityGroupID.Malformed", Meaning::Misconfigured),
        ("UnauthorizedOperation", Meaning::Denied),
        ("OptInRequired", Meaning::Denied),
        ("NetworkInterfaceLimitExceeded", Meaning::Capacity),
        ("SecurityGroupsPerInterfaceLimitExceeded", Meaning::Capacity),
        ("InsufficientFreeAddressesInSubnet", Meaning::Capacity),
    ] {
        assert_eq!(of("InvalidParameterException", 400, &group(code)), expected, "{code}");
        assert_eq!(of("ClientException", 400, &group(code)), expected, "{code}");
    }
    // A code that nobody knows leaves the word to ECS.
    assert_eq!(of("InvalidParameterException", 400, &group("FromTheFuture")), Meaning::Misconfigured);
    let other = "Rate exceeded (Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException; Request ID: 1)";
    assert_eq!(of("InvalidParameterException", 400, other), Meaning::Throttled);
    // The answer of ECS itself leaves open what was done.
    assert_eq!(of("ServerException", 500, &group("InternalError")), Meaning::Uncertain);
}

#[test]
fn a_code_that_nobody_knows_is_judged_by_its_status_and_blamed_on_nobody() {
    for (status, expected) in [
        (400, Meaning::Unknown),
        (402, Meaning::Unknown),
        (411, Meaning::Unknown),
        (300, Meaning::Unknown),
        (200, Meaning::Unknown),
        (301, Meaning::WrongRegion),
        (401, Meaning::Denied),
        (403, Meaning::Denied),
        (404, Meaning::NotFound),
        (405, Meaning::NotFound),
        (408, Meaning::Uncertain),
        (409, Meaning::Conflict),
        (412, Meaning::Precondition),
        (416, Meaning::Range),
        (429, Meaning::Throttled),
        (500, Meaning::Uncertain),
        (503, Meaning::Uncertain),
        (599, Meaning::Uncertain),
        (0, Meaning::Uncertain),
    ] {
        assert_eq!(of("FromTheFuture", status, "Rate exceeded"), expected, "{status}");
        assert_eq!(meaning(None, status, "", false), expected, "{status}");
    }
}

#[test]
fn what_kms_says_through_s3_and_sqs_is_known() {
    for (code, status, expected) in [
        ("KMS.ThrottlingException", 400, Meaning::Throttled),
        ("KmsThrottled", 400, Meaning::Throttled),
        ("KMS.DisabledException", 400, Meaning::KeyUnusable),
        ("KMS.NotFoundException", 400, Meaning::KeyUnusable),
        ("KMS.KMSInvalidStateException", 400, Meaning::KeyUnusable),
        ("KMS.FromTheFutureException", 400, Meaning::KeyUnusable),
        ("KmsDisabled", 400, Meaning::KeyUnusable),
        ("com.amazonaws.sqs#KmsInvalidState", 400, Meaning::KeyUnusable),
        ("KmsAccessDenied", 400, Meaning::Denied),
        ("KMS.AccessDeniedException", 400, Meaning::Denied),
        ("KMS.KMSInternalException", 500, Meaning::Uncertain),
        ("KMS.DependencyTimeoutException", 503, Meaning::Passing),
    ] {
        assert_eq!(of(code, status, ""), expected, "{code}");
    }
}

#[test]
fn one_code_carries_different_troubles() {
    for (code, message, expected) in [
        ("ClientException", "Tasks provisioning capacity limit exceeded.", Meaning::Capacity),
        (
            "ClientException",
            "You've reached the limit on the number of tasks in PROVISIONING",
            Meaning::Capacity,
        ),
        ("ClientException", "TaskDefinition is inactive", Meaning::Rejected),
        ("ClientException", "something else", Meaning::Rejected),
        ("InvalidParameterException", "Unable to assume the service linked role.", Meaning::Misconfigured),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole", Meaning::Denied),
    ] {
        assert_eq!(of(code, 400, message), expected, "{message}");
    }
}

#[test]
fn no_code_stands_in_the_table_twice_and_each_text_refines_a_code_that_exists() {
    let mut codes: Vec<_> = CODES.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
    let (all, kinds) = (codes.len(), CODES.len());
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all);
    assert_eq!(kinds + 1, Meaning::ALL.len(), "all but the unknown have codes");
    assert!(
        TEXTS.iter().all(|(_, text, _)| *text == text.to_ascii_lowercase()),
        "texts are compared in lower case"
    );
}

#[test]
fn the_region_is_found_wherever_s3_names_it() {
    let body = |inner: &str| format!("<Error><Code>X</Code>{inner}</Error>");
    assert_eq!(region_named(Some("eu-west-1"), "").as_deref(), Some("eu-west-1"));
    for inner in [
        "<Region>eu-west-1</Region>",
        "<Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message>",
        "<Endpoint>films.s3.eu-west-1.amazonaws.com</Endpoint>",
        "<Endpoint>films.s3-eu-west-1.amazonaws.com</Endpoint>",
        "<Endpoint>s3.eu-west-1.amazonaws.com</Endpoint>",
    ] {
        assert_eq!(region_named(None, &body(inner)).as_deref(), Some("eu-west-1"), "{inner}");
    }
    for inner in
        ["", "<Region>\u{1b}[31m</Region>", "<Region>a-b</Region>", "<Endpoint>x.example.org</Endpoint>"]
    {
        assert_eq!(region_named(Some("no region at all"), &body(inner)), None, "{inner}");
    }
}

#[test]
fn every_key_comes_back_from_a_listing_as_it_was_written() {
    let all: String = (0..=0x2fff).filter_map(char::from_u32).collect();
    let encode = |space: &str, plain: &str| {
        let each = all.bytes().map(|byte| match byte {
            b' ' => space.to_owned(),
            byte if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        });
        each.collect::<String>()
    };
    // As S3 and as others encode.
    for text in [encode("+", "/-_.*"), encode("%20", "/-_.~")] {
        assert_eq!(url_decoded(&text).as_deref(), Some(all.as_str()));
    }
    assert_eq!(url_decoded("%c3%BC").as_deref(), Some("ü"), "in either case");
    assert_eq!(url_decoded("a%2").as_deref(), Some("a%2"), "not an escape: as it stands");
    assert_eq!(url_decoded("%zz").as_deref(), Some("%zz"));
    assert_eq!(url_decoded("%ff"), None);
}

#[test]
fn a_key_that_xml_cannot_hold_is_known() {
    for key in ["a b/ü\u{202e}.mp4", "line\nend\r\t", "\u{7f}\u{9b}\u{85}"] {
        assert!(fits_xml(key), "{key:?}");
    }
    for key in ["\u{1b}]0;x", "a\u{0}", "a\u{8}", "\u{fffe}", "\u{ffff}"] {
        assert!(!fits_xml(key), "{key:?}");
    }
}
