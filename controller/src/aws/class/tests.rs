use super::*;

fn refused<'a>(code: &'a str, status: u16, message: &'a str) -> SdkFailure<'a> {
    SdkFailure::Refused { code: Some(code), status, message, other_region: false }
}

/// Answers that AWS was seen to give, and the class of each.
#[test]
fn each_row_of_what_aws_answers() {
    use ErrorClass::{Capacity, Misconfigured, Permanent, Throttled, Transient, Uncertain};
    let wrapped = "Rate exceeded (Service: AmazonECS; Status Code: 400; ErrorCode: Throttling)";
    #[rustfmt::skip]
    let rows = [
        (SdkFailure::NotSent, Permanent),
        (SdkFailure::NoCredentials, Transient),
        (SdkFailure::NoAnswer, Uncertain),
        (SdkFailure::Garbled, Uncertain),
        (refused("ThrottlingException", 400, "Rate exceeded"), Throttled),
        (refused("Throttling", 400, "Rate exceeded"), Throttled),
        (refused("RequestThrottled", 403, ""), Throttled),
        (refused("SlowDown", 503, "Please reduce your request rate."), Throttled),
        (refused("InvalidParameterException", 400, wrapped), Throttled),
        (refused("InvalidParameterException", 400, "The subnet ID 'subnet-1' does not exist"), Misconfigured),
        (refused("InvalidParameterException", 400, "TaskDefinition not found."), Permanent),
        (refused("ClientException", 400, "TaskDefinition is inactive"), Permanent),
        (refused("ClientException", 400, "You've reached the limit on the number of vCPUs you can run concurrently"), Capacity),
        (refused("ClientException", 400, "You've reached the limit on the number of tasks in PROVISIONING"), Capacity),
        (refused("ClientException", 400, "something else"), Permanent),
        (refused("ServerException", 500, "Capacity is unavailable at this time. Please try again later"), Capacity),
        (refused("ServerException", 500, "Internal Error"), Uncertain),
        (refused("AccessDeniedException", 400, "not authorized to perform: ecs:RunTask"), Misconfigured),
        (refused("ClusterNotFoundException", 400, "Cluster not found."), Misconfigured),
        (refused("BlockedException", 400, "Your account is currently blocked."), Misconfigured),
        (refused("PlatformUnknownException", 400, ""), Misconfigured),
        (refused("PlatformTaskDefinitionIncompatibilityException", 400, ""), Misconfigured),
        (refused("UnsupportedFeatureException", 400, ""), Misconfigured),
        (refused("AWS.SimpleQueueService.NonExistentQueue", 400, ""), Misconfigured),
        (refused("OverLimit", 403, "Too many messages in flight"), Capacity),
        (refused("ReceiptHandleIsInvalid", 400, ""), Permanent),
        (refused("AccessDenied", 403, ""), Misconfigured),
        (refused("NoSuchKey", 404, ""), Permanent),
        (refused("NoSuchBucket", 404, ""), Misconfigured),
        (refused("PreconditionFailed", 412, ""), Permanent),
        (refused("ConditionalRequestConflict", 409, ""), Transient),
        (refused("InternalError", 500, ""), Uncertain),
        (refused("ExpiredTokenException", 400, ""), Transient),
        (refused("RequestTimeTooSkewed", 403, ""), Misconfigured),
    ];
    for (trouble, class) in rows {
        assert_eq!(classify(trouble), class, "{trouble:?}");
    }
}

#[test]
fn an_unknown_code_is_judged_by_its_status() {
    for (status, class) in [
        (400, ErrorClass::Unknown),
        (301, ErrorClass::Misconfigured),
        (403, ErrorClass::Misconfigured),
        (404, ErrorClass::Permanent),
        (408, ErrorClass::Uncertain),
        (429, ErrorClass::Throttled),
        (500, ErrorClass::Uncertain),
        (503, ErrorClass::Uncertain),
        (599, ErrorClass::Uncertain),
    ] {
        assert_eq!(classify(refused("FromTheFuture", status, "Rate exceeded")), class, "{status}");
        assert_eq!(
            classify(SdkFailure::Refused { code: None, status, message: "", other_region: false }),
            class,
            "{status}"
        );
    }
}

#[test]
fn a_bucket_in_another_region_is_misconfiguration_with_the_regions_name() {
    use aws_sdk_s3::{operation::head_object::HeadObjectError, primitives::SdkBody};
    use aws_smithy_types::error::ErrorMetadata;

    let error = |status: u16, header: bool, code: Option<&str>, body: &'static str| {
        let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if header {
            answer.headers_mut().insert("x-amz-bucket-region", "mars-north-7");
        }
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        let error = SdkError::service_error(HeadObjectError::generic(meta.build()), answer);
        call_error("s3:HeadObject", &error)
    };
    for found in [
        error(301, true, None, ""),
        error(400, true, None, ""),
        error(
            301,
            false,
            Some("PermanentRedirect"),
            "<Error><Endpoint>x.s3.mars-north-7.amazonaws.com</Endpoint></Error>",
        ),
        error(
            400,
            false,
            Some("AuthorizationHeaderMalformed"),
            "<Error><Region>mars-north-7</Region></Error>",
        ),
    ] {
        assert_eq!(found.class, ErrorClass::Misconfigured, "{found}");
        assert!(found.message.contains("the bucket lies in mars-north-7"), "{found}");
    }
    assert_eq!(error(400, false, None, "").class, ErrorClass::Unknown);
    // Neither is refused: the one cannot be read, the other is an error that S3 found after it had begun to answer.
    assert_eq!(error(200, false, None, "<Broken").class, ErrorClass::Uncertain);
    assert_eq!(error(200, false, Some("InternalError"), "").class, ErrorClass::Uncertain);
    assert_eq!(error(200, false, Some("AccessDenied"), "").class, ErrorClass::Misconfigured);
}

/// An error with a cause, as the SDK nests them.
#[derive(Debug, thiserror::Error)]
#[error("the credential provider was not enabled")]
struct Chain(#[source] Text);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Text(&'static str);

#[test]
fn without_credentials_only_what_somebody_has_set_up_is_told() {
    let of = |text: &'static str| no_credentials(&Chain(Text(text)));
    let none = "no credentials found in chain. Attempted:\n  Environment: the credential provider was not enabled: no \
                variable\n  Ec2InstanceMetadata: the credential provider was not enabled: disabled";
    assert_eq!(of(none), "there are no AWS credentials");
    let expired = "no credentials found in chain. Attempted:\n  Environment: the credential provider was not enabled: no \
                   variable\n  Profile: the SSO session has expired";
    assert_eq!(of(expired), "there are no AWS credentials: Profile: the SSO session has expired");
    let plain = no_credentials(&Text("the session has expired"));
    assert_eq!(plain, "there are no AWS credentials: the session has expired");
    assert_eq!(
        no_credentials(&Text("the credential provider was not enabled")),
        "there are no AWS credentials"
    );
}
