//! The parameters for an account with rules of its own. One emulator holds all the stacks: they do not know each other.

use aws_sdk_ecs::types::CpuArchitecture;
use futures::join;
use transcode_tests::deployment::Deployment;

use super::world::World;

/// Digest of both images.
const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

/// The settings of an environment with stricter rules.
const STRICT: [(&str, &str); 9] = [
    ("KmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/own"),
    ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/edge"),
    ("OperatorPrincipalArns", "arn:aws:iam::123456789012:role/on-call"),
    ("UploaderPrincipalArns", "arn:aws:iam::123456789012:role/shop"),
    ("TaskImageDigest", DIGEST),
    ("ControllerImageDigest", DIGEST),
    ("S3EndpointRouteTableIds", "rtb-00000001"),
    ("InterfaceEndpoints", "true"),
    ("EventBusName", "default"),
];

#[tokio::test]
async fn stacks_with_other_options_stand_beside_each_other() {
    let plain = World::of("plain", &[("CpuArchitecture", "ARM64")]).await;
    let (second, strict) = join!(plain.beside("second", &[]), plain.beside("strict", &STRICT));

    // Nothing that has a name is shared: deleting one stack leaves the others what is theirs.
    let theirs: Vec<String> = second.resources().await.into_iter().map(|one| one.id).collect();
    for mine in plain.resources().await {
        assert!(!theirs.contains(&mine.id), "both stacks have {mine:?}");
    }
    architecture(&plain, "ARM64").await;
    architecture(&second, "X86_64").await;
    let text = Deployment::shipped().unwrap();
    assert!(text.contains("  CpuArchitecture:\n    Type: String\n    Default: ARM64\n"), "the cheaper one");

    roles(&strict).await;
    images(&strict).await;
    endpoints(&strict, &plain).await;
    let variables = strict.controller_variables().await;
    assert_eq!(variables["TRANSCODE_EVENTS__BUS"], "default");
    assert!(!plain.controller_variables().await.contains_key("TRANSCODE_EVENTS__BUS"), "no events unasked");
}

async fn architecture(world: &World, wanted: &str) {
    for family in [&world.made.task_family, &format!("{}-transcode-controller", world.made.environment)] {
        let answer = world.ecs.describe_task_definition().task_definition(family).send().await.unwrap();
        let platform = answer.task_definition.unwrap().runtime_platform.unwrap();
        let found = platform.cpu_architecture.as_ref().map(CpuArchitecture::as_str);
        assert_eq!(found, Some(wanted), "{family}");
    }
}

async fn roles(strict: &World) {
    let principals = [None, None, None, Some("shop"), Some("on-call")];
    for (role, principal) in strict.made.roles.all().into_iter().zip(principals) {
        let shown = strict.role(role.rsplit('/').next().unwrap()).await;
        assert!(principal.is_none_or(|name| shown.contains(&format!("role/{name}"))), "{role}: {shown}");
        assert!(!shown.contains("MultiFactor") && !shown.contains(":root"), "{role}: {shown}");
    }
    // The emulator shows neither a role's boundary nor the encryption that a template gives a bucket.
    let text = Deployment::shipped().unwrap();
    let count = |what: &str| text.matches(what).count();
    assert_eq!(count("KMSMasterKeyID: !If [OwnKey, !Ref KmsKeyArn,"), 3);
    assert_eq!((count("Type: AWS::IAM::Role"), count("PermissionsBoundary: !If [Bounded,")), (5, 5));
    assert_eq!(count("Sid: UseTheBucketsKey"), 5, "whoever reads or writes a bucket");
}

async fn images(strict: &World) {
    for family in [&strict.made.task_family, "strict-transcode-controller"] {
        let answer = strict.ecs.describe_task_definition().task_definition(family).send().await.unwrap();
        let image = answer.task_definition.unwrap().container_definitions()[0].image().unwrap().to_owned();
        assert!(image.ends_with(&format!("@{DIGEST}")), "{image}");
    }
}

/// The endpoints of each service that tasks and controller call, and who reaches them.
async fn endpoints(strict: &World, plain: &World) {
    let kinds = |all: Vec<super::world::Resource>| {
        all.into_iter()
            .filter(|one| one.kind == "AWS::EC2::VPCEndpoint")
            .map(|one| one.id)
            .collect::<Vec<_>>()
    };
    assert!(kinds(plain.resources().await).is_empty(), "none unasked: each costs");
    let ids = kinds(strict.resources().await);
    let named: Vec<_> =
        ids.iter().enumerate().map(|(n, id)| format!("&VpcEndpointId.{}={id}", n + 1)).collect();
    let asked = format!("Action=DescribeVpcEndpoints&Version=2016-11-15{}", named.concat());
    let xml = strict.form("ec2", &asked).await;
    let mut services: Vec<&str> = xml
        .split("<serviceName>com.amazonaws.us-east-1.")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .collect();
    services.sort_unstable();
    assert_eq!(services, ["ecr.api", "ecr.dkr", "ecs", "events", "logs", "monitoring", "s3", "sqs"]);
}
