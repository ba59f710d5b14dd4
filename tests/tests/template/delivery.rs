//! A distribution over the production bucket, and CORS for web pages.

use aws_sdk_s3::types::CorsRule;
use futures::join;
use serde_json::{Value, json};

use super::world::{World, statements};

/// The public half of a key that was made for this test.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0Z3VS5JJcds3xfn/ygWy
-----END PUBLIC KEY-----";

const SIGNED: [(&str, &str); 6] = [
    ("AllowedOrigins", "https://www.example.com,https://*.example.org"),
    ("DeliveryEnabled", "true"),
    ("DeliveryPublicKey", KEY),
    ("DeliveryDomainName", "media.example.com"),
    ("DeliveryCertificateArn", "arn:aws:acm:us-east-1:123456789012:certificate/0a"),
    ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/own"),
];

const OPEN: [(&str, &str); 3] =
    [("DeliveryEnabled", "true"), ("DeliveryPublic", "true"), ("ExistingProductionBucketName", "their-site")];

impl World {
    /// What the CLI says of a thing of `CloudFront`.
    fn cloudfront(&self, asked: &str) -> Value {
        serde_json::from_str(&self.shell(&format!("aws cloudfront {asked} --output json"))).unwrap()
    }

    fn distribution(&self) -> Value {
        let id = &self.made.outputs["DistributionId"];
        self.cloudfront(&format!("get-distribution-config --id {id}"))["DistributionConfig"].clone()
    }

    fn distribution_arn(&self) -> String {
        format!("arn:aws:cloudfront::123456789012:distribution/{}", self.made.outputs["DistributionId"])
    }
}

#[tokio::test]
async fn a_distribution_alone_reads_the_bucket_and_only_with_signatures_unless_opened() {
    let plain = World::of("plain", &[]).await;
    plain.emulator.clients.s3.create_bucket().bucket("their-site").send().await.unwrap();
    let (signed, open) = join!(plain.beside("signed", &SIGNED), plain.beside("open", &OPEN));
    private_by_default(&plain).await;
    signed_is_signed(&signed);
    origin_and_cache(&signed);
    policies(&signed, &open).await;
    cors(&signed).await;

    let config = open.distribution();
    assert_ne!(config["DefaultCacheBehavior"]["TrustedKeyGroups"]["Enabled"], true, "{config}");
    assert!(open.made.outputs["DeliveryDomain"].ends_with(".cloudfront.net"));
    assert!(!open.made.outputs.contains_key("DeliveryKeyPairId"));
}

/// Without the option nothing of `CloudFront` is there, and the bucket lets nobody in.
async fn private_by_default(plain: &World) {
    let kinds: Vec<String> = plain.resources().await.into_iter().map(|one| one.kind).collect();
    assert!(!kinds.iter().any(|kind| kind.starts_with("AWS::CloudFront")), "{kinds:?}");
    let policy = bucket_policy(plain).await;
    assert!(statements(&policy).iter().all(|one| one["Effect"] == "Deny"), "{policy}");
}

async fn bucket_policy(world: &World) -> Value {
    let call = world.emulator.clients.s3.get_bucket_policy().bucket(&world.made.production_bucket);
    serde_json::from_str(call.send().await.unwrap().policy().unwrap()).unwrap()
}

fn signed_is_signed(signed: &World) {
    let config = signed.distribution();
    let groups = &config["DefaultCacheBehavior"]["TrustedKeyGroups"];
    assert_eq!((&groups["Enabled"], &groups["Quantity"]), (&json!(true), &json!(1)), "{config}");
    let group = groups["Items"][0].as_str().unwrap();
    let group = signed.cloudfront(&format!("get-key-group --id {group}"));
    let key = &signed.made.outputs["DeliveryKeyPairId"];
    assert_eq!(group["KeyGroup"]["KeyGroupConfig"]["Items"], json!([key]));
    let key = signed.cloudfront(&format!("get-public-key --id {key}"));
    assert_eq!(key["PublicKey"]["PublicKeyConfig"]["EncodedKey"], KEY);
    assert_eq!(config["Aliases"]["Items"], json!(["media.example.com"]));
    assert_eq!(config["ViewerCertificate"]["MinimumProtocolVersion"], "TLSv1.2_2021");
    assert_eq!(signed.made.outputs["DeliveryDomain"], "media.example.com");
    // Pages of another origin send cookies only to who allows it, by name.
    let policy = config["DefaultCacheBehavior"]["ResponseHeadersPolicyId"].as_str().unwrap();
    let policy = signed.cloudfront(&format!("get-response-headers-policy --id {policy}"));
    let cors = &policy["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]["CorsConfig"];
    assert_eq!(cors["AccessControlAllowCredentials"], true);
    let origins = json!(["https://www.example.com", "https://*.example.org"]);
    assert_eq!(cors["AccessControlAllowOrigins"]["Items"], origins);
}

/// What objects say in `Cache-Control` holds (docs/deploy.md), and S3 is asked with the distribution's own signature.
fn origin_and_cache(signed: &World) {
    let config = signed.distribution();
    let origin = &config["Origins"]["Items"][0];
    let bucket = &signed.made.production_bucket;
    assert_eq!(origin["DomainName"], format!("{bucket}.s3.us-east-1.amazonaws.com"));
    assert_eq!(origin["S3OriginConfig"]["OriginAccessIdentity"], "");
    let access = origin["OriginAccessControlId"].as_str().unwrap();
    let access = signed.cloudfront(&format!("get-origin-access-control --id {access}"));
    let access = &access["OriginAccessControl"]["OriginAccessControlConfig"];
    assert_eq!((&access["SigningBehavior"], &access["SigningProtocol"]), (&json!("always"), &json!("sigv4")));
    let behaviour = &config["DefaultCacheBehavior"];
    assert_eq!(behaviour["ViewerProtocolPolicy"], "https-only");
    let cache = behaviour["CachePolicyId"].as_str().unwrap();
    let cache = signed.cloudfront(&format!("get-cache-policy --id {cache}"));
    let cache = &cache["CachePolicy"]["CachePolicyConfig"];
    assert_eq!((&cache["MinTTL"], &cache["MaxTTL"]), (&json!(1), &json!(31_536_000)));
    let key = &cache["ParametersInCacheKeyAndForwardedToOrigin"];
    for (config, behaviour) in [
        ("CookiesConfig", "CookieBehavior"),
        ("HeadersConfig", "HeaderBehavior"),
        ("QueryStringsConfig", "QueryStringBehavior"),
    ] {
        assert_eq!(key[config][behaviour], "none", "viewers share what is cached");
    }
}

/// Of a bucket of the stack its policy lets the distribution in; for one that was there the statement is printed.
async fn policies(signed: &World, open: &World) {
    let policy = bucket_policy(signed).await;
    let allowed: Vec<&Value> = statements(&policy).iter().filter(|one| one["Effect"] == "Allow").collect();
    let [only] = allowed[..] else { panic!("one reader: {policy}") };
    let expected = |world: &World| {
        json!({"Sid": "ThisDistributionOnly", "Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}/videos/*", world.made.production_bucket),
            "Condition": {"StringEquals": {"aws:SourceArn": world.distribution_arn()}}})
    };
    assert_eq!(only, &expected(signed));
    let printed: Value = serde_json::from_str(&open.made.outputs["DeliveryPolicyStatement"]).unwrap();
    assert_eq!(printed, expected(open));
    let policy = open.emulator.clients.s3.get_bucket_policy().bucket("their-site").send().await;
    assert!(policy.is_err(), "the stack leaves their bucket alone: {policy:?}");

    let key: Value = serde_json::from_str(&signed.made.outputs["DeliveryKeyStatement"]).unwrap();
    assert_eq!(key["Action"], "kms:Decrypt");
    assert_eq!(key["Condition"]["StringEquals"]["aws:SourceArn"], signed.distribution_arn());
    assert!(!open.made.outputs.contains_key("DeliveryKeyStatement"), "S3's own keys need none");
}

async fn cors(signed: &World) {
    let s3 = &signed.emulator.clients.s3;
    for (bucket, methods, exposed) in [
        (&signed.made.source_bucket, ["PUT", "POST"], "ETag"),
        (&signed.made.production_bucket, ["GET", "HEAD"], "Content-Range"),
    ] {
        let answer = s3.get_bucket_cors().bucket(bucket).send().await.unwrap();
        let [rule] = answer.cors_rules() else { panic!("{bucket}: {answer:?}") };
        assert_eq!(CorsRule::allowed_origins(rule), ["https://www.example.com", "https://*.example.org"]);
        assert_eq!(rule.allowed_methods(), methods, "{bucket}");
        assert!(rule.expose_headers().iter().any(|header| header == exposed), "{bucket}: {rule:?}");
    }
}

#[tokio::test]
async fn a_distribution_that_nobody_decided_to_open_is_refused() {
    let plain = World::of("plain", &[]).await;
    for (options, said) in [
        (&[("DeliveryEnabled", "true")][..], "DeliveryPublic=true"),
        (&[("DeliveryDomainName", "media.example.com")][..], "go together"),
    ] {
        let template = transcode_tests::deployment::Deployment::shipped().unwrap();
        let clients = &plain.emulator.clients;
        let refused =
            transcode_tests::deployment::Deployment::create_from(clients, "refused", template, options);
        let refused = format!("{:?}", refused.await.unwrap_err());
        assert!(refused.contains(said), "{refused}");
    }
}
