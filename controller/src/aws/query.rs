//! A few reads from services without an SDK client here: STS, IAM, EC2, Service Quotas, CloudFormation and CloudWatch
//! Logs.
//!
//! Their SDK crates, EC2's above all, would take longer to build than all the rest of the controller, for one answer
//! each. So these requests are written by hand and signed with the SDK's own signer, and only the needed fields of the
//! answers are read.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use transcode_config::{escape::one_line, settings::CallSettings};
use transcode_core::protocol::fact::{CallError, ErrorClass};

use super::{
    class::{MAX_MESSAGE, NO_CREDENTIALS, SdkFailure, classify, no_credentials},
    plain::{self, Failure, Response},
};

/// Longest answer that is read, in bytes: a thousand subnets take a tenth of it.
const MAX_ANSWER: usize = 8 << 20;

/// The SDK's words where no Region is set; ours too, so that one advice answers both.
const NO_REGION: &str = "missing signing region";

/// A service that this module calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The caller's identity.
    Sts,
    /// The caller's permissions.
    Iam,
    /// Subnets.
    Ec2,
    /// Quotas.
    ServiceQuotas,
    /// Stacks.
    CloudFormation,
    /// Log lines.
    Logs,
}

impl Service {
    /// Host name part, service name of the signature, and the environment variable that overrides the endpoint.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Sts => ("sts", "sts", "AWS_ENDPOINT_URL_STS"),
            Self::Iam => ("iam", "iam", "AWS_ENDPOINT_URL_IAM"),
            Self::Ec2 => ("ec2", "ec2", "AWS_ENDPOINT_URL_EC2"),
            Self::ServiceQuotas => ("servicequotas", "servicequotas", "AWS_ENDPOINT_URL_SERVICE_QUOTAS"),
            Self::CloudFormation => ("cloudformation", "cloudformation", "AWS_ENDPOINT_URL_CLOUDFORMATION"),
            Self::Logs => ("logs", "logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"),
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Body.
    pub text: String,
    /// The server's clock, to the second, if the answer has it.
    pub date: Option<String>,
}

/// Sends the requests.
#[derive(Debug, Clone)]
pub struct Query {
    sdk: SdkConfig,
    region: String,
    calls: CallSettings,
}

impl Query {
    /// With the SDK's Region, credentials and endpoint.
    pub fn new(sdk: SdkConfig, calls: &CallSettings) -> Self {
        let region = sdk.region().map(ToString::to_string).unwrap_or_default();
        Self { sdk, region, calls: calls.clone() }
    }

    /// The Region; empty where none is set.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The Region's partition.
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// The query protocol (STS, IAM, EC2, CloudFormation): parameters in, XML out.
    pub async fn form(
        &self,
        service: Service,
        operation: &'static str,
        parameters: &[(String, String)],
    ) -> Result<Answer, CallError> {
        let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        self.send(service, operation, &[("content-type", kind)], body).await
    }

    /// The JSON protocol (Service Quotas, CloudWatch Logs).
    pub async fn json(
        &self,
        service: Service,
        operation: &'static str,
        target: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, CallError> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.send(service, operation, &headers, body.to_string()).await
    }

    async fn send(
        &self,
        service: Service,
        operation: &'static str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Answer, CallError> {
        let failed = |class, message: String| CallError { operation, class, message };
        let url = self.address(service);
        let signed = self
            .signed(service, &url, headers, body.as_bytes())
            .await
            .map_err(|why| failed(ErrorClass::Misconfigured, why))?;
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = |client: reqwest::Client| {
            let request = client.post(&url).body(body);
            headers.chain(signed).fold(request, |request, (name, value)| request.header(name, value))
        };
        let answer = plain::ask(&self.calls, MAX_ANSWER, request).await;
        let Response { status, date, bytes } = answer.map_err(|failure| {
            let class = match failure {
                Failure::Broken(_) => ErrorClass::Uncertain,
                Failure::TooLong(_) => ErrorClass::Permanent,
            };
            failed(class, failure.to_string())
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status != 200 {
            let (code, message) = error_of(&text);
            let refused =
                SdkFailure::Refused { code: code.as_deref(), status, message: &message, other_region: false };
            let class = classify(refused);
            return Err(failed(
                class,
                one_line(
                    &format!("{}: {message}", code.unwrap_or_else(|| format!("HTTP {status}"))),
                    MAX_MESSAGE,
                ),
            ));
        }
        Ok(Answer { text, date })
    }

    fn address(&self, service: Service) -> String {
        let (host, _, variable) = service.names();
        let given = std::env::var(variable).ok().or_else(|| self.sdk.endpoint_url().map(str::to_owned));
        let suffix = if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || match (service, self.partition()) {
            (Service::Iam, "aws") => "https://iam.amazonaws.com/".to_owned(),
            (Service::Iam, "aws-us-gov") => "https://iam.us-gov.amazonaws.com/".to_owned(),
            _ => format!("https://{host}.{}.{suffix}/", self.region),
        };
        given.map_or_else(own, |url| format!("{}/", url.trim_end_matches('/')))
    }

    /// The headers of the signature. Errors are for people, and contain no credentials.
    async fn signed(
        &self,
        service: Service,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, String> {
        if self.region.is_empty() {
            return Err(NO_REGION.to_owned());
        }
        let provider = self.sdk.credentials_provider().ok_or(NO_CREDENTIALS)?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| one_line(&no_credentials(&error), MAX_MESSAGE))?;
        let identity = credentials.into();
        // IAM has one Region for each partition.
        let region = match (service, self.partition()) {
            (Service::Iam, "aws") => "us-east-1",
            (Service::Iam, "aws-us-gov") => "us-gov-west-1",
            (Service::Iam, "aws-cn") => "cn-north-1",
            _ => &self.region,
        };
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service.names().1)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let request = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body))
            .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The partition of a Region, as ARNs begin: `aws`, or another name.
pub fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Form encoding.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Code and message of an error answer, in XML or JSON.
fn error_of(text: &str) -> (Option<String>, String) {
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        let field = |names: [&str; 2]| names.iter().find_map(|name| value[*name].as_str()).map(str::to_owned);
        let code =
            field(["__type", "code"]).map(|code| code.rsplit('#').next().unwrap_or_default().to_owned());
        return (code, field(["message", "Message"]).unwrap_or_default());
    }
    (texts(text, "Code").into_iter().next(), texts(text, "Message").into_iter().next().unwrap_or_default())
}

/// The texts of all elements with this name, in order; empty if the answer is no XML.
pub fn texts(xml: &str, name: &str) -> Vec<String> {
    let Ok(document) = roxmltree::Document::parse(xml) else { return Vec::new() };
    let elements = document.descendants().filter(|node| node.tag_name().name() == name);
    elements.filter_map(|node| node.text()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_both_protocols() {
        let xml = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no &amp; no</Message></Error></ErrorResponse>";
        assert_eq!(error_of(xml), (Some("AccessDenied".into()), "no & no".into()));
        let json = r#"{"__type": "com.amazon#NoSuchResourceException", "Message": "gone"}"#;
        assert_eq!(error_of(json), (Some("NoSuchResourceException".into()), "gone".into()));
        assert_eq!(error_of("<html>"), (None, String::new()));
    }

    #[test]
    fn elements_are_found_whatever_their_namespace() {
        let xml = r#"<A xmlns="x"><item><n>1</n></item><item><n>2</n></item></A>"#;
        assert_eq!(texts(xml, "n"), ["1", "2"]);
        assert!(texts("no xml", "n").is_empty());
    }
}
