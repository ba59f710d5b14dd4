//! The meaning of AWS errors: one table for the controller and the task.
//!
//! [`meaning`] reads a code, an HTTP status and a message, and nothing else; each program then acts on the
//! [`Meaning`]. Codes are matched, not texts. The text counts only where one code has several causes ([`TEXTS`]), and
//! for the code of another service that a message quotes: ECS passes on EC2's answer as `… (ErrorCode: X)`, and then
//! X is the cause.
//!
//! Sources: the error lists of the API references of S3, SQS, ECS, EC2, STS, KMS and CloudWatch; the messages were
//! seen in answers.

/// The meaning of an error. The order is that of the table in the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meaning {
    /// Too many calls. Nothing was done.
    Throttled,
    /// Capacity or a quota. Nothing was done.
    Capacity,
    /// A passing state. Nothing was done.
    Passing,
    /// Another conditional write on the same key is under way. Nothing was done.
    Conflict,
    /// The answer does not say whether the call was carried out.
    Uncertain,
    /// The caller has no permission, or no valid identity.
    Denied,
    /// The caller's clock is wrong. Nothing was done.
    Clock,
    /// The key of KMS cannot be used: it is disabled, about to be deleted, of another kind, or not there.
    KeyUnusable,
    /// The bucket lies in another Region than the one that the call went to.
    WrongRegion,
    /// The bucket is not there.
    NoBucket,
    /// Something else that the settings name is wrong or missing: a queue, a cluster, a subnet, a security group.
    Misconfigured,
    /// The object, or the version that was asked for, is not there.
    NotFound,
    /// The multipart upload does not exist, or no longer.
    NoUpload,
    /// The object lies in an archive.
    Archived,
    /// A condition did not hold: the object is not as the caller expects it.
    Precondition,
    /// The range lies outside the object.
    Range,
    /// The request itself is refused; the same call will be refused again.
    Rejected,
    /// A refusal whose code is not in this table. The same call may succeed or not: the caller makes a few tries, and
    /// the operator gets AWS' words.
    Unknown,
}

/// The row of a [`Meaning`] in the documents.
#[derive(Debug, Clone, Copy)]
pub struct MeaningInfo {
    /// Name in the documents.
    pub name: &'static str,
    /// What happened, and whether the call was carried out.
    pub text: &'static str,
}

impl Meaning {
    /// All of them, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::Throttled,
        Self::Capacity,
        Self::Passing,
        Self::Conflict,
        Self::Uncertain,
        Self::Denied,
        Self::Clock,
        Self::KeyUnusable,
        Self::WrongRegion,
        Self::NoBucket,
        Self::Misconfigured,
        Self::NotFound,
        Self::NoUpload,
        Self::Archived,
        Self::Precondition,
        Self::Range,
        Self::Rejected,
        Self::Unknown,
    ];

    /// Its row in the documents.
    #[rustfmt::skip]
    pub const fn info(self) -> MeaningInfo {
        const fn row(name: &'static str, text: &'static str) -> MeaningInfo {
            MeaningInfo { name, text }
        }
        match self {
            Self::Throttled => row("throttled", "too many calls; nothing was done"),
            Self::Capacity => row("capacity", "capacity or a quota; nothing was done"),
            Self::Passing => row("passing", "a state that passes; nothing was done"),
            Self::Conflict => row("conflict", "another conditional write is under way; nothing was done"),
            Self::Uncertain => row("uncertain", "no answer, or one that does not say whether the call was carried out"),
            Self::Denied => row("denied", "no permission, or no valid identity"),
            Self::Clock => row("clock", "the caller's clock is wrong; nothing was done"),
            Self::KeyUnusable => row("key unusable", "the KMS key is disabled, about to be deleted, of another kind or not there"),
            Self::WrongRegion => row("wrong Region", "the bucket lies in another Region than the one that was asked; the message names it"),
            Self::NoBucket => row("no bucket", "the bucket is not there"),
            Self::Misconfigured => row("misconfigured", "something else that the settings name is wrong or missing"),
            Self::NotFound => row("not found", "the object or version is not there"),
            Self::NoUpload => row("no upload", "the multipart upload is not known any more"),
            Self::Archived => row("archived", "the object lies in an archive"),
            Self::Precondition => row("precondition", "the object is not as the caller expects it"),
            Self::Range => row("range", "the range lies outside the object"),
            Self::Rejected => row("rejected", "the request is refused and will be refused again"),
            Self::Unknown => row("unknown", "a refusal that this version does not know: a few tries, then the operator has AWS' words"),
        }
    }
}

/// Codes with several causes: `(code, part of the text in lower case, meaning)`. The first match counts.
#[rustfmt::skip]
const TEXTS: &[(&str, &str, Meaning)] = &[
    // A throttle of something behind ECS, which the SDK does not see as one.
    ("InvalidParameterException", "rate exceeded", Meaning::Throttled),
    ("ClientException", "rate exceeded", Meaning::Throttled),
    ("ServerException", "rate exceeded", Meaning::Throttled),
    // Quotas: of vCPUs, of tasks, of tasks in PROVISIONING.
    ("ClientException", "limit on the number of", Meaning::Capacity),
    ("ClientException", "provisioning", Meaning::Capacity),
    ("ClientException", "capacity is unavailable", Meaning::Capacity),
    ("InvalidParameterException", "limit on the number of", Meaning::Capacity),
    ("InvalidParameterException", "capacity is unavailable", Meaning::Capacity),
    ("ServerException", "capacity is unavailable", Meaning::Capacity),
    // The revision that this attempt is pinned to is gone; the next attempt pins another.
    ("ClientException", "taskdefinition", Meaning::Rejected),
    ("InvalidParameterException", "taskdefinition", Meaning::Rejected),
    // The credential scope names another Region than the bucket's.
    ("AuthorizationQueryParametersError", "region", Meaning::WrongRegion),
    ("InvalidRequest", "kms", Meaning::KeyUnusable),
];

/// Codes of all services, with the meaning of each.
#[rustfmt::skip]
pub const CODES: &[(Meaning, &[&str])] = &[
    (Meaning::Throttled, &[
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "RequestLimitExceeded", "TooManyRequestsException", "TooManyRequests", "BandwidthLimitExceeded",
        "PriorRequestNotComplete", "EC2ThrottledException", "SlowDown", "KMS.ThrottlingException", "KmsThrottled",
    ]),
    (Meaning::Capacity, &[
        "OverLimit", "LimitExceededException", "LimitExceeded", "InsufficientFreeAddressesInSubnet",
        "NetworkInterfaceLimitExceeded", "InsufficientInstanceCapacity", "InsufficientCapacity",
        "InsufficientCapacityException", "VcpuLimitExceeded", "ServiceQuotaExceededException",
    ]),
    (Meaning::Passing, &[
        "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "TemporaryRedirect",
        // The body was damaged on its way.
        "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody",
        "KMS.DependencyTimeoutException", "KMS.KeyUnavailableException",
    ]),
    (Meaning::Conflict, &["ConditionalRequestConflict", "OperationAborted"]),
    (Meaning::Uncertain, &[
        "ServerException", "InternalError", "InternalFailure", "InternalServiceFault", "InternalServiceError",
        "ServiceUnavailable", "ServiceUnavailableException", "Unavailable", "RequestTimeout", "InternalException",
        "RequestTimeoutException", "KMS.KMSInternalException", "KMS.InternalException",
    ]),
    (Meaning::Denied, &[
        "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthFailure",
        "AllAccessDisabled", "AccountProblem", "BlockedException", "Blocked", "OptInRequired", "PendingVerification",
        "NotSignedUp", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken",
        "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationToken",
        "KMS.AccessDeniedException", "KmsAccessDenied", "KmsOptInRequired",
        "KMS.OptInRequired",
    ]),
    (Meaning::Clock, &["RequestTimeTooSkewed", "RequestInTheFuture"]),
    (Meaning::KeyUnusable, &[
        "KMS.DisabledException", "KMS.NotFoundException", "KMS.InvalidStateException", "KMS.KMSInvalidStateException",
        "KMS.InvalidKeyUsageException", "KMS.IncorrectKeyException", "KMS.UnsupportedOperationException",
        "KMS.InvalidArnException", "KMS.InvalidGrantTokenException", "KmsDisabled", "KmsNotFound", "KmsInvalidState",
        "KmsInvalidKeyUsage",
    ]),
    (Meaning::WrongRegion, &[
        "PermanentRedirect", "Redirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException",
        "InvalidRegionName", "InvalidRegion",
    ]),
    (Meaning::NoBucket, &["NoSuchBucket", "InvalidBucketName"]),
    (Meaning::Misconfigured, &[
        "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress", "InvalidSecurity",
        "AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperation", "ClusterNotFoundException",
        "PlatformUnknownException", "PlatformTaskDefinitionIncompatibilityException", "UnsupportedFeatureException",
        // EventBridge: the bus, and its policy.
        "ResourceNotFoundException", "NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException",
        "InvalidAccountIdException",
        // All parameters of RunTask except the overrides come from the settings: subnets, groups, providers.
        "InvalidParameterException", "InvalidSubnet", "InvalidGroupId.Malformed", "DefaultVpcDoesNotExist",
    ]),
    (Meaning::NotFound, &[
        "NoSuchKey", "NoSuchVersion", "NotFound",
        // A version that is a delete marker.
        "MethodNotAllowed",
    ]),
    (Meaning::NoUpload, &["NoSuchUpload"]),
    (Meaning::Archived, &["InvalidObjectState"]),
    (Meaning::Precondition, &["PreconditionFailed"]),
    (Meaning::Range, &["InvalidRange"]),
    (Meaning::Rejected, &[
        "ClientException", "ConflictException", "InvalidParameterValue", "InvalidParameterCombination",
        "MissingParameter", "ValidationError", "ValidationException", "InvalidRequest", "InvalidArgument",
        "InvalidMessageContents", "ReceiptHandleIsInvalid", "EntityTooLarge", "EntityTooSmall", "InvalidPart",
        "InvalidPartOrder", "MalformedXML", "InvalidDigest", "MissingContentLength", "KeyTooLongError",
        "MalformedDetail", "NotImplemented", "BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong",
    ]),
];

/// The meaning of an error answer. `code` is none if the answer has no body, as for `HEAD`.
///
/// `other_region`: the answer names a Region that is not the caller's own (S3's header `x-amz-bucket-region`).
pub fn meaning(code: Option<&str>, status: u16, message: &str, other_region: bool) -> Meaning {
    let Some(code) = code.map(bare) else {
        return match status {
            // S3 answers a HEAD in the wrong Region with nothing more.
            400 if other_region => Meaning::WrongRegion,
            _ => by_status(status),
        };
    };
    if let Some(inner) = quoted_code(message).and_then(|inner| behind(inner, status)) {
        return inner;
    }
    let lower = message.to_ascii_lowercase();
    let by_text = TEXTS.iter().find(|(known, text, _)| *known == code && lower.contains(text));
    by_text.map(|(_, _, meaning)| *meaning).or_else(|| of_code(code)).unwrap_or_else(|| by_status(status))
}

/// The code without the name space of the JSON protocols and without the suffix of the EC2 protocol.
fn bare(code: &str) -> &str {
    let code = code.rsplit('#').next().unwrap_or(code);
    let code = code.split(':').next().unwrap_or(code);
    code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code)
}

fn of_code(code: &str) -> Option<Meaning> {
    let listed = CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(meaning, _)| *meaning);
    listed.or_else(|| of_pattern(code))
}

/// EC2 has a code for each kind of object (`InvalidSubnetID.NotFound`) and each of its limits, and KMS' codes come
/// with prefixes; their form is enough.
fn of_pattern(code: &str) -> Option<Meaning> {
    if code.starts_with("Invalid") && (code.ends_with(".NotFound") || code.ends_with(".Malformed")) {
        return Some(Meaning::Misconfigured);
    }
    if code.ends_with("LimitExceeded") || code.starts_with("Insufficient") {
        return Some(Meaning::Capacity);
    }
    code.starts_with("KMS.").then_some(Meaning::KeyUnusable)
}

/// The code of another service, quoted in a message: `… (ErrorCode: X)`, `… Error Code: X; …`.
fn quoted_code(message: &str) -> Option<&str> {
    let rest = ["ErrorCode:", "Error Code:"].iter().find_map(|name| Some(message.split_once(name)?.1))?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(rest.len());
    let code = rest.get(..end)?.trim_end_matches('.');
    (!code.is_empty()).then_some(code)
}

/// The meaning of a nested error for the outer call. If the outer service refused (4xx) because the inner one gave no
/// good answer, nothing was done.
fn behind(inner: &str, status: u16) -> Option<Meaning> {
    match of_code(bare(inner))? {
        Meaning::Uncertain if status < 500 => Some(Meaning::Passing),
        known => Some(known),
    }
}

/// For codes that the table does not know, and answers without one.
fn by_status(status: u16) -> Meaning {
    match status {
        301 | 302 | 308 => Meaning::WrongRegion,
        307 => Meaning::Passing,
        401 | 403 => Meaning::Denied,
        404 | 405 => Meaning::NotFound,
        409 => Meaning::Conflict,
        412 => Meaning::Precondition,
        416 => Meaning::Range,
        429 => Meaning::Throttled,
        // 0 is no status: no answer could be read.
        0 | 408 | 500.. => Meaning::Uncertain,
        _ => Meaning::Unknown,
    }
}

/// The Region that an error answer of S3 names: its header `x-amz-bucket-region`, else in the body the element
/// `Region`, the words `expecting 'X'`, or the host of `Endpoint`. Only what has the form of a Region's name is given.
pub fn region_named(header: Option<&str>, body: &str) -> Option<String> {
    let between = |from: &str, to: char| Some(body.split_once(from)?.1.split_once(to)?.0);
    let endpoint =
        || between("<Endpoint>", '<')?.strip_suffix(".amazonaws.com")?.rsplit_once("s3")?.1.get(1..);
    let found = [header, between("<Region>", '<'), between("expecting '", '\''), endpoint()];
    found.into_iter().flatten().find(|name| is_region(name)).map(str::to_owned)
}

/// `eu-west-1`, `us-gov-east-1`, `cn-north-1`: letters, digits and hyphens, and a number at the end.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let number =
        parts.last().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    (3..=5).contains(&parts.len()) && name.len() <= 32 && number && parts.iter().rev().skip(1).all(letters)
}

/// Whether a key can be written in an XML body, such as that of `DeleteObjects`: XML 1.0 cannot express most control
/// characters, and S3 answers `MalformedXML`. Such keys are deleted one by one, with the key in the address.
pub fn fits_xml(key: &str) -> bool {
    // The SDK writes line ends as references, and a tab is allowed.
    key.chars().all(|c| {
        matches!(c, '\t' | '\n' | '\r') || !matches!(c, '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
    })
}

/// A key from a listing with `encoding-type=url`, in which S3 encodes keys that XML cannot express: a form's
/// encoding, with `+` for a space. None if the bytes are not UTF-8.
pub fn url_decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped =
            after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        let (byte, left) = match (first, escaped) {
            (b'%', Some(byte)) => (byte, after.get(2..).unwrap_or_default()),
            (b'+', _) => (b' ', after),
            (other, _) => (*other, after),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
