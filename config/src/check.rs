//! Checks of values that are valid alone: ranges, and keys that contradict each other.

use std::fmt;

use crate::{
    contract::escaped,
    ladder::{LANGUAGE_TAG, is_language},
    settings::{Settings, SourceSettings},
};

/// A refused value: which key, why, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The key, such as `lease.margin_seconds`.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub why: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

/// SQS' longest visibility timeout, in seconds.
const MAX_VISIBILITY: u64 = 43_200;

/// All contradictions in the settings; none means that they can be used.
pub fn check(settings: &Settings) -> Vec<Contradiction> {
    let mut found = Findings(Vec::new());
    names(settings, &mut found);
    prefixes(settings, &mut found);
    leases(settings, &mut found);
    launches(settings, &mut found);
    tenants(settings, &mut found);
    jobs(settings, &mut found);
    calls(settings, &mut found);
    prices(settings, &mut found);
    outlets(settings, &mut found);
    events(settings, &mut found);
    found.0
}

struct Findings(Vec<Contradiction>);

impl Findings {
    /// Records `why` under `key` unless `holds`.
    fn require(&mut self, holds: bool, key: &'static str, why: impl Into<String>) {
        if !holds {
            self.0.push(Contradiction { key, why: why.into() });
        }
    }
}

fn prices(settings: &Settings, found: &mut Findings) {
    let cost = &settings.cost;
    for (key, usd) in [
        ("cost.vcpu_hour", cost.vcpu_hour),
        ("cost.gib_hour", cost.gib_hour),
        ("cost.storage_gib_hour", cost.storage_gib_hour),
    ] {
        found.require((0.0..=1000.0).contains(&usd), key, "0–1000 USD; 0 takes the list price");
    }
    found.require((0.0..=100.0).contains(&cost.spot_percent), "cost.spot_percent", "0–100");
}

/// Where metrics and traces go beside CloudWatch.
fn outlets(settings: &Settings, found: &mut Findings) {
    let listen = &settings.metrics.prometheus.listen;
    found.require(
        listen.is_empty() || listen.parse::<std::net::SocketAddr>().is_ok(),
        "metrics.prometheus.listen",
        "address:port, or empty",
    );
    found.require(
        *listen != settings.http.listen,
        "metrics.prometheus.listen",
        "must be another port than http.listen: who scrapes does not need the notes of jobs",
    );
    let endpoint = &settings.tracing.otlp.endpoint;
    let url = ["http://", "https://"]
        .iter()
        .any(|scheme| endpoint.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    found.require(
        endpoint.is_empty() || url,
        "tracing.otlp.endpoint",
        "http://host:port or https://host, or empty",
    );
}

/// The events of jobs.
fn events(settings: &Settings, found: &mut Findings) {
    let events = &settings.events;
    let name = |bus: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./-_".contains(&byte);
        bus.len() <= 256 && bus.bytes().all(plain)
    };
    found.require(
        name(&events.bus) || (events.bus.starts_with("arn:") && events.bus.contains(":event-bus/")),
        "events.bus",
        "name or ARN of an event bus, such as `default`; or empty",
    );
    found.require(
        !events.kinds.iter().any(|kind| kind.is_outcome()),
        "events.kinds",
        "accepted, started, playable_early, progress: outcomes are always sent, and cannot be left out",
    );
    found.require((60..=86_400).contains(&events.progress_seconds), "events.progress_seconds", "60–86400");
    found.require(
        (10..=3600).contains(&events.outbox_after_seconds),
        "events.outbox_after_seconds",
        "10–3600: messages of ended jobs are held meanwhile",
    );
}

const NO_FIFO: &str = "must be a standard queue: S3 sends to no FIFO queue, and in one a job that takes hours holds up all \
                       messages of its group";

/// Whether an address is that of a FIFO queue: the names of these end in `.fifo`, and no others may.
fn is_fifo(url: &str) -> bool {
    url.trim_end_matches('/').rsplit('.').next() == Some("fifo")
}

fn names(settings: &Settings, found: &mut Findings) {
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 40
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    found.require(plain(&settings.environment), "environment", "1–40 letters, digits, `-` or `_`");
    found.require(
        !settings.queues.is_empty(),
        "queues",
        "at least one [queues.<name>] with url and dead_letter_url",
    );
    for queue in settings.queues.values() {
        found.require((1..=100).contains(&queue.weight), "queues.*.weight", "1–100");
        found.require(queue.url != queue.dead_letter_url, "queues.*.dead_letter_url", "must differ from url");
        found.require(!is_fifo(&queue.url), "queues.*.url", NO_FIFO);
        found.require(!is_fifo(&queue.dead_letter_url), "queues.*.dead_letter_url", NO_FIFO);
    }
    let events = settings.events.queue_url.as_deref();
    found.require(!events.is_some_and(is_fifo), "events.queue_url", NO_FIFO);
    found.require(!settings.sources.is_empty(), "sources", "at least one [sources.<name>] with bucket");
    found.require(
        settings.sources.values().flat_map(|source| &source.suffixes).all(|suffix| !suffix.is_empty()),
        "sources.*.suffixes",
        "no ending may be empty; without the key every upload is taken",
    );
    found.require(
        settings.sources.values().filter_map(|source| source.default_language.as_deref()).all(is_language),
        "sources.*.default_language",
        LANGUAGE_TAG,
    );
    let prefix = &settings.output.prefix;
    found.require(
        prefix.is_empty() || (prefix.ends_with('/') && !prefix.starts_with('/')),
        "output.prefix",
        "must be empty, or end and not begin with `/`",
    );
    found.require(
        settings.sources.values().all(|source| source.bucket != settings.output.bucket),
        "output.bucket",
        "must not be a source bucket: outputs would be taken for uploads",
    );
    found.require(
        settings.state.bucket != settings.output.bucket,
        "state.bucket",
        "must not be the output bucket: what players may read must not hold job state",
    );
    found.require(!settings.cluster.subnets.is_empty(), "cluster.subnets", "at least one subnet");
    found.require(
        settings.http.listen.parse::<std::net::SocketAddr>().is_ok(),
        "http.listen",
        "address:port",
    );
}

/// No two source keys may have the same addresses.
fn prefixes(settings: &Settings, found: &mut Findings) {
    for source in settings.sources.values() {
        let own = |root: &str| {
            let plain = |segment: &str| escaped(segment) == segment;
            root.strip_suffix('/').is_some_and(|path| path.split('/').all(plain))
        };
        found.require(
            source.output_prefix.as_deref().is_none_or(|root| root.is_empty() || own(root)),
            "sources.*.output_prefix",
            "must be empty, or end and not begin with `/`; no part of it may be empty, begin with `.` or `~`, or look like \
             an attempt's folder (`v-…-1`)",
        );
    }
    let shared = settings.sources.iter().enumerate().find_map(|(index, (name, source))| {
        let mut others = settings.sources.iter().skip(index + 1);
        others.find(|(_, other)| overlap(settings, source, other)).map(|(other, _)| (name, other))
    });
    if let Some((one, other)) = shared {
        let why = format!(
            "sources.{one} and sources.{other} can give two different uploads the same addresses: the one would take the \
             place of the other. Set an `output_prefix` of its own for the one that was added later"
        );
        found.require(false, "sources.*.output_prefix", why);
    }
}

/// Whether a key of one source can have the address of another key of the other. Errs on the safe side.
fn overlap(settings: &Settings, one: &SourceSettings, other: &SourceSettings) -> bool {
    let root = |source: &SourceSettings| {
        source.output_prefix.clone().unwrap_or_else(|| settings.output.prefix.clone())
    };
    let (root_of_one, root_of_other) = (root(one), root(other));
    let within = |one: &str, other: &str| one.starts_with(other) || other.starts_with(one);
    if root_of_one == root_of_other {
        // Different keys have different addresses, so it takes the same key in two buckets.
        return one.bucket != other.bucket && within(&one.prefix, &other.prefix);
    }
    // Only the segments that all keys of a source begin with are certain.
    let begins = |root: &str, source: &SourceSettings| {
        let whole = source.prefix.rsplit_once('/').map(|(whole, _)| whole.split('/'));
        whole.into_iter().flatten().fold(root.to_owned(), |path, segment| path + &escaped(segment) + "/")
    };
    within(&begins(&root_of_one, one), &begins(&root_of_other, other))
}

fn leases(settings: &Settings, found: &mut Findings) {
    let lease = &settings.lease;
    found.require(
        (60..=MAX_VISIBILITY).contains(&lease.visibility_seconds),
        "lease.visibility_seconds",
        "60–43200 (12 h is SQS' maximum)",
    );
    found.require(
        lease.margin_seconds < lease.visibility_seconds && lease.margin_seconds > 0,
        "lease.margin_seconds",
        format!("must be above 0 and below lease.visibility_seconds ({})", lease.visibility_seconds),
    );
    found.require((1..=MAX_VISIBILITY).contains(&lease.park_seconds), "lease.park_seconds", "1–43200");
    found.require(
        settings.observe.orphan_grace_seconds > lease.visibility_seconds,
        "observe.orphan_grace_seconds",
        format!(
            "must be above lease.visibility_seconds ({}): a task's message may be invisible that long after a restart",
            lease.visibility_seconds
        ),
    );
}

fn launches(settings: &Settings, found: &mut Findings) {
    let launch = &settings.launch;
    found.require((1..=20_000).contains(&launch.max_tasks), "launch.max_tasks", "1–20000");
    let largest = launch.oom_sizes.iter().map(|(cpu, _)| *cpu).chain([launch.cpu]).max().unwrap_or(0);
    found.require(
        launch.max_vcpu == 0 || u64::from(launch.max_vcpu) * 1024 >= u64::from(largest),
        "launch.max_vcpu",
        format!("must let one task of the largest size run ({largest} CPU units), or be 0"),
    );
    found.require(
        fargate_size(launch.cpu, launch.memory_mib),
        "launch.memory_mib",
        format!("{} CPU units with {} MiB is no Fargate size", launch.cpu, launch.memory_mib),
    );
    found.require(
        launch.ephemeral_gib == 0 || (21..=200).contains(&launch.ephemeral_gib),
        "launch.ephemeral_gib",
        "21–200, or 0 for Fargate's 20 GiB",
    );
    found.require(
        (100..=2000).contains(&launch.disk_percent_of_source),
        "launch.disk_percent_of_source",
        "100–2000",
    );
    let sizes = || std::iter::once((launch.cpu, launch.memory_mib)).chain(launch.oom_sizes.iter().copied());
    found.require(
        sizes().all(|(cpu, memory)| fargate_size(cpu, memory))
            && sizes().zip(sizes().skip(1)).all(|((_, less), (_, more))| less < more),
        "launch.oom_sizes",
        "each must be a Fargate size, with more memory than the one before (the first: than launch.memory_mib)",
    );
    found.require((30..=3600).contains(&launch.deadline_seconds), "launch.deadline_seconds", "30–3600");
    found.require(launch.clock_skew_seconds <= 600, "launch.clock_skew_seconds", "at most 600");
    found.require(
        launch.per_second.is_finite() && launch.per_second > 0.0 && launch.per_second <= 20.0,
        "launch.per_second",
        "above 0, at most 20 (RunTask's limit for the account)",
    );
    found.require((1..=100).contains(&launch.burst), "launch.burst", "1–100");
    found.require(
        launch.breaker_jobs == 0 || (3..=1000).contains(&launch.breaker_jobs),
        "launch.breaker_jobs",
        "3–1000, or 0 for none: one or two bad uploads are nothing unusual",
    );
    found.require(
        (10..=3600).contains(&launch.breaker_probe_seconds),
        "launch.breaker_probe_seconds",
        "10–3600",
    );
    found.require((1..=86_400).contains(&launch.spot_pause_seconds), "launch.spot_pause_seconds", "1–86400");
}

/// Rules of one source. Each is held against each upload.
const MAX_RULES: usize = 50;

fn tenants(settings: &Settings, found: &mut Findings) {
    let launch = &settings.launch;
    let sizes = launch.oom_sizes.iter().map(|(cpu, _)| *cpu).chain([launch.cpu]);
    let largest = sizes.max().unwrap_or(0);
    found.require((10..=20_000).contains(&launch.look_ahead), "launch.look_ahead", "10–20000");
    for (name, source) in &settings.sources {
        let few = format!("source {name} has {}; at most {MAX_RULES}", source.tenants.len());
        found.require(source.tenants.len() <= MAX_RULES, "sources.*.tenants", few);
        for (index, rule) in source.tenants.iter().enumerate() {
            let prefix = rule.prefix.as_str();
            let of = |why: &str| format!("{prefix:?} of source {name}: {why}");
            found.require(
                rule.prefix.literal().starts_with(&source.prefix),
                "sources.*.tenants.prefix",
                of(&format!("must begin with the source's own prefix, {:?}", source.prefix)),
            );
            found.require(
                source.tenants.iter().take(index).all(|other| other.prefix != rule.prefix),
                "sources.*.tenants.prefix",
                of("is there twice"),
            );
            found.require((1..=1000).contains(&rule.weight), "sources.*.tenants.weight", of("1–1000"));
            found.require(
                rule.max_vcpu == 0 || u64::from(rule.max_vcpu) * 1024 >= u64::from(largest),
                "sources.*.tenants.max_vcpu",
                of(&format!("must let one task of the largest size run ({largest} CPU units), or be 0")),
            );
        }
    }
}

fn jobs(settings: &Settings, found: &mut Findings) {
    let jobs = &settings.jobs;
    found.require((1..=20).contains(&jobs.max_attempts), "jobs.max_attempts", "1–20");
    found.require((1..=1000).contains(&jobs.max_platform_attempts), "jobs.max_platform_attempts", "1–1000");
    found.require(
        jobs.retry_base_seconds > 0 && jobs.retry_base_seconds <= jobs.retry_cap_seconds,
        "jobs.retry_base_seconds",
        "above 0 and at most jobs.retry_cap_seconds",
    );
    found.require((60..=14 * 86_400).contains(&jobs.max_run_seconds), "jobs.max_run_seconds", "60–1209600");
    found.require(jobs.max_source_bytes > 0, "jobs.max_source_bytes", "above 0");
    found.require(
        (150..=14_400).contains(&settings.observe.heartbeat_stale_seconds),
        "observe.heartbeat_stale_seconds",
        "at least 150, for a task stops itself 120 s after its last heartbeat; at most 14400, for that a task is lost shows \
         after twice as long, which has to fit into the 12 h for which SQS lets a message be held",
    );
    found.require(
        settings.observe.no_progress_seconds > 2 * settings.observe.heartbeat_stale_seconds
            && settings.observe.no_progress_seconds <= 86_400,
        "observe.no_progress_seconds",
        "above twice observe.heartbeat_stale_seconds (without a heartbeat there is no progress to see), at most 86400",
    );
}

fn calls(settings: &Settings, found: &mut Findings) {
    let calls = &settings.calls;
    found.require(
        calls.attempt_seconds > calls.receive_wait_seconds
            && calls.attempt_seconds * 3 < settings.lease.visibility_seconds,
        "calls.attempt_seconds",
        "must be above calls.receive_wait_seconds and below a third of lease.visibility_seconds",
    );
    found.require(
        calls.receive_wait_seconds <= 20,
        "calls.receive_wait_seconds",
        "at most 20 (SQS' maximum)",
    );
    found.require(
        calls.operation_seconds >= calls.attempt_seconds,
        "calls.operation_seconds",
        "at least calls.attempt_seconds",
    );
    found.require((1..=512).contains(&calls.concurrency), "calls.concurrency", "1–512");
    for (key, rate) in [
        ("calls.reads_per_second", calls.reads_per_second),
        ("calls.stops_per_second", calls.stops_per_second),
    ] {
        found.require(
            rate.is_finite() && (0.1..=20.0).contains(&rate),
            key,
            "0.1–20 (the account's limit for reads)",
        );
    }
    found.require((1..=3600).contains(&settings.metrics.period_seconds), "metrics.period_seconds", "1–3600");
    found.require(
        (1..=110).contains(&settings.drain.timeout_seconds),
        "drain.timeout_seconds",
        "1–110 (stopTimeout is at most 120)",
    );
    let control = &settings.control;
    found.require((1..=60).contains(&control.poll_seconds), "control.poll_seconds", "must be 1–60");
    found.require(
        (10..=3600).contains(&control.start_wait_seconds),
        "control.start_wait_seconds",
        "must be 10–3600",
    );
    for (key, value) in [
        ("observe.describe_seconds", settings.observe.describe_seconds),
        ("observe.resync_seconds", settings.observe.resync_seconds),
        ("observe.provisioning_timeout_seconds", settings.observe.provisioning_timeout_seconds),
        ("observe.pull_timeout_seconds", settings.observe.pull_timeout_seconds),
        ("observe.start_timeout_seconds", settings.observe.start_timeout_seconds),
        ("observe.stop_timeout_seconds", settings.observe.stop_timeout_seconds),
        ("launch.cooldown_seconds", settings.launch.cooldown_seconds),
        ("calls.connect_seconds", calls.connect_seconds),
        ("image.recheck_seconds", settings.image.recheck_seconds),
    ] {
        found.require((1..=86_400).contains(&value), key, "1–86400");
    }
}

/// Whether (CPU units, MiB) is a size that Fargate offers.
pub fn fargate_size(cpu: u32, memory_mib: u32) -> bool {
    let gib = memory_mib / 1024;
    let whole = memory_mib.is_multiple_of(1024);
    match cpu {
        256 => [512, 1024, 2048].contains(&memory_mib),
        512 => whole && (1..=4).contains(&gib),
        1024 => whole && (2..=8).contains(&gib),
        2048 => whole && (4..=16).contains(&gib),
        4096 => whole && (8..=30).contains(&gib),
        8192 => whole && (16..=60).contains(&gib) && gib.is_multiple_of(4),
        16384 => whole && (32..=120).contains(&gib) && gib.is_multiple_of(8),
        _ => false,
    }
}
