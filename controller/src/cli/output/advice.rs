//! What to do about a call that AWS could not answer, for the end of the one line that says why a command failed.

use crate::aws::class::NO_CREDENTIALS;

/// What a person can do, if the error's text shows that the cause lies with credentials, permissions or the network. The
/// words are those of the SDK and of AWS: other errors say themselves what to do.
pub(crate) fn advice(error: &str) -> Option<&'static str> {
    const KNOWN: [(&[&str], &str); 6] = [
        (&[NO_CREDENTIALS], "sign in, or set AWS_PROFILE"),
        (&["region must be set"], "no Region is named: set AWS_REGION"),
        (&["missing signing region"], "no Region is named: set AWS_REGION"),
        (&["ExpiredToken"], "the session is over: sign in again"),
        (
            &["dispatch failure"],
            "AWS cannot be reached: look at the network, AWS_REGION and AWS_ENDPOINT_URL",
        ),
        (
            &["AccessDenied"],
            "the role in use may not do that: take the operator's (the stack's output OperatorRoleArn)",
        ),
    ];
    // It quotes what the controller was refused, and says already where to look.
    if error.contains("`explain` says why") {
        return None;
    }
    let fits = |(words, _): &&(&[&str], &str)| words.iter().all(|word| error.contains(word));
    KNOWN.iter().find(fits).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_reach_aws_is_told_what_to_look_at() {
        for (error, part) in [
            (
                "s3:GetObject: dispatch failure: io error: client error (Connect): refused",
                "cannot be reached",
            ),
            ("the index: s3:ListObjectsV2: there are no AWS credentials", "sign in"),
            ("ecs:DescribeTaskDefinition: dispatch failure: other: missing signing region", "set AWS_REGION"),
            ("s3:GetObject: dispatch failure: other: A region must be set when sending", "set AWS_REGION"),
            ("sqs:SendMessage: ExpiredToken: The security token included is expired", "sign in again"),
            ("s3:GetObject: AccessDenied: not authorized to perform s3:GetObject", "OperatorRoleArn"),
        ] {
            assert!(advice(error).is_some_and(|advice| advice.contains(part)), "{error}");
        }
        assert_eq!(advice("no job of a.mp4 waits or runs"), None);
        let quoted = "A controller cannot write its report: s3:PutObject: AccessDenied. So there is no record; `explain` says why";
        assert_eq!(advice(quoted), None, "the controller's role was refused, not this one");
    }
}
