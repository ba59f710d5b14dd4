//! Publishing on the emulator: conditional copies, the pointer, and terminal records that name files of others.

use transcode_config::contract::{
    Attempt, EntryPoint, JobKey, JobSpec, Layout, ObjectRef, Published, Succeeded, encode, pointer_key,
};
use transcode_controller::aws::S3Store;
use transcode_core::{
    effects::ports::{InspectError, Store},
    protocol::{fact::ErrorClass, publishing::Publication},
};

use crate::support::{Account, job, spec, world};

const BUCKET: &str = "videos";

fn store(world: &Account) -> S3Store {
    S3Store::new(world.clients.s3.clone(), &world.settings)
}

async fn put(world: &Account, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
    let put = world.emulator.clients.s3.put_object().bucket(bucket).key(key).body(body.into().into());
    put.content_type("application/vnd.apple.mpegurl").cache_control("max-age=2").send().await.unwrap();
}

async fn text(world: &Account, key: &str) -> Option<String> {
    let got = world.emulator.clients.s3.get_object().bucket(BUCKET).key(key).send().await.ok()?;
    Some(String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap())
}

/// The specification of an upload with this sequencer.
fn accepted(name: &str, sequencer: Option<&str>, prefix: &str) -> JobSpec {
    let mut spec = spec(&job(name));
    spec.source.sequencer = sequencer.map(str::to_owned);
    prefix.clone_into(&mut spec.output.prefix);
    spec
}

/// The terminal record of its first attempt, with these entry points (name and file of the entry).
fn winner(spec: &JobSpec, entries: &[(&str, &str)]) -> Succeeded {
    let folder = format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST));
    let object = |name: &str| ObjectRef { key: format!("{folder}{name}"), size: 1, sha256: String::new() };
    let point = |(to, from): &(&str, &str)| EntryPoint {
        to: format!("{}{to}", spec.output.prefix),
        from: object(from),
    };
    Succeeded {
        attempt: Attempt::FIRST,
        task_arn: None,
        bucket: BUCKET.into(),
        manifest: object("files.json"),
        files: 1,
        bytes: 1,
        duration_ms: 1,
        warnings: None,
        source: None,
        entry_points: entries.iter().map(point).collect(),
        folder,
    }
}

/// A succeeded job: its specification and one entry file with the job's name.
async fn succeeded(world: &Account, spec: &JobSpec) -> Succeeded {
    put(world, "state", &Layout::of(&spec.job).spec(), encode(spec)).await;
    let winner = winner(spec, &[("master.m3u8", "entry/master.m3u8")]);
    put(world, BUCKET, &winner.entry_points[0].from.key, spec.job.as_str()).await;
    winner
}

async fn pointer(world: &Account, spec: &JobSpec) -> Published {
    store(world).read(&pointer_key(&spec.output)).await.unwrap().unwrap()
}

#[tokio::test]
async fn publishing_copies_with_metadata_and_can_be_repeated() {
    let world = world().await;
    for prefix in ["videos/cat.mp4/", "videos/a b+c%20d/ü?#&/"] {
        let spec = accepted(prefix, None, prefix);
        let winner = succeeded(&world, &spec).await;
        for _ in 0..2 {
            let done = store(&world).publish(&spec.job, None, &winner).await.unwrap();
            assert!(matches!(done, Publication::Live(live) if live.serial == 1 && live.job == spec.job));
        }
        let to = format!("{prefix}master.m3u8");
        let get = world.emulator.clients.s3.get_object().bucket(BUCKET).key(&to).send().await.unwrap();
        assert_eq!(get.content_type(), Some("application/vnd.apple.mpegurl"), "{to}");
        assert_eq!(get.cache_control(), Some("max-age=2"));
        assert_eq!(text(&world, &to).await.as_deref(), Some(spec.job.as_str()));
    }
}

#[tokio::test]
async fn an_older_upload_never_takes_the_stable_names_of_a_newer_one() {
    let world = world().await;
    let (old, new) = (accepted("old", Some("0A"), "videos/x/"), accepted("new", Some("0A1"), "videos/x/"));
    let (old_won, new_won) = (succeeded(&world, &old).await, succeeded(&world, &new).await);
    let store = store(&world);
    store.publish(&old.job, None, &old_won).await.unwrap();
    assert_eq!(text(&world, "videos/x/master.m3u8").await.as_deref(), Some(old.job.as_str()));
    store.publish(&new.job, None, &new_won).await.unwrap();
    let again = store.publish(&old.job, None, &old_won).await.unwrap();
    assert_eq!(again, Publication::Superseded(new.job.clone()));
    assert_eq!(text(&world, "videos/x/master.m3u8").await.as_deref(), Some(new.job.as_str()));
    let live = pointer(&world, &new).await;
    assert_eq!((live.job, live.serial, live.highest_sequencer.as_deref()), (new.job.clone(), 2, Some("0A1")));
}

#[tokio::test]
async fn of_many_that_publish_at_once_the_newest_stays() {
    let world = world().await;
    for round in 0..4 {
        let prefix = format!("videos/race-{round}/");
        let specs: Vec<JobSpec> =
            (1..=6).map(|at| accepted(&format!("{round}/{at}"), Some(&format!("0{at}")), &prefix)).collect();
        let mut running = Vec::new();
        for spec in &specs {
            let (store, job, won) = (store(&world), spec.job.clone(), succeeded(&world, spec).await);
            running.push(tokio::spawn(async move {
                // Others in the way each time: as the planner does, again.
                loop {
                    match store.publish(&job, None, &won).await {
                        Err(InspectError::Call(error)) if error.class == ErrorClass::Transient => {}
                        done => break done.unwrap(),
                    }
                }
            }));
        }
        futures::future::join_all(running).await;
        let newest = specs.last().unwrap();
        assert_eq!(text(&world, &format!("{prefix}master.m3u8")).await.as_deref(), Some(newest.job.as_str()));
        assert_eq!(pointer(&world, newest).await.job, newest.job);
    }
}

#[tokio::test]
async fn s3s_conditions_hold_for_a_copys_destination_and_for_the_pointer() {
    let world = world().await;
    let s3 = &world.emulator.clients.s3;
    put(&world, BUCKET, "a", "a").await;
    let copy = || s3.copy_object().bucket(BUCKET).key("to").copy_source("videos/a");
    let put = || s3.put_object().bucket("state").key("published/p.json").body(b"1".to_vec().into());
    let code = |status: Option<u16>, expected: u16| assert_eq!(status, Some(expected));
    let status = |error: &aws_sdk_s3::error::SdkError<
        aws_sdk_s3::operation::copy_object::CopyObjectError,
    >| { error.raw_response().map(|response| response.status().as_u16()) };
    code(status(&copy().if_match("\"x\"").send().await.unwrap_err()), 404);
    let tag = copy().if_none_match("*").send().await.unwrap().copy_object_result.unwrap().e_tag.unwrap();
    code(status(&copy().if_none_match("*").send().await.unwrap_err()), 412);
    code(status(&copy().if_match("\"x\"").send().await.unwrap_err()), 412);
    copy().if_match(&tag).send().await.unwrap();
    let tag = put().if_none_match("*").send().await.unwrap().e_tag.unwrap();
    let refused = put().if_match("\"x\"").send().await.unwrap_err();
    code(refused.raw_response().map(|response| response.status().as_u16()), 412);
    put().if_match(tag).send().await.unwrap();
}

#[tokio::test]
async fn a_terminal_record_that_names_what_is_not_its_own_publishes_nothing() {
    let world = world().await;
    let spec = accepted("mallory", None, "videos/mallory/");
    put(&world, "state", &Layout::of(&spec.job).spec(), encode(&spec)).await;
    put(&world, BUCKET, "videos/victim/master.m3u8", "victim").await;
    put(&world, BUCKET, "private/secret", "secret").await;
    let honest = winner(&spec, &[("master.m3u8", "entry/master.m3u8")]);
    put(&world, BUCKET, &honest.entry_points[0].from.key, "mine").await;
    let point = |to: &str, from: &str| EntryPoint {
        to: to.to_owned(),
        from: ObjectRef { key: from.to_owned(), size: 1, sha256: String::new() },
    };
    let own = honest.entry_points[0].from.key.clone();
    let forged = [
        Succeeded { entry_points: vec![point("videos/victim/master.m3u8", &own)], ..honest.clone() },
        Succeeded { entry_points: vec![point("videos/mallory/leak", "private/secret")], ..honest.clone() },
        Succeeded { entry_points: vec![point("videos/mallory/v-0-1/x", &own)], ..honest.clone() },
        Succeeded { entry_points: vec![point("videos/mallory/", &own)], ..honest.clone() },
        Succeeded { folder: String::new(), ..honest.clone() },
        Succeeded { folder: "videos/victim/v-aaaaaaaaaaaa-1/".into(), ..honest.clone() },
        Succeeded { bucket: "other".into(), ..honest.clone() },
    ];
    for record in forged {
        let error = store(&world).publish(&spec.job, None, &record).await.unwrap_err();
        assert!(matches!(error, InspectError::Unreadable(_)), "{record:?}: {error:?}");
    }
    let without = JobKey::of(&["no specification"]);
    let error = store(&world).publish(&without, None, &honest).await.unwrap_err();
    assert!(matches!(error, InspectError::Unreadable(_)), "{error:?}");
    assert_eq!(text(&world, "videos/victim/master.m3u8").await.as_deref(), Some("victim"));
    assert_eq!(text(&world, "videos/mallory/leak").await, None);
    store(&world).publish(&spec.job, None, &honest).await.unwrap();
    assert_eq!(text(&world, "videos/mallory/master.m3u8").await.as_deref(), Some("mine"));
}

#[tokio::test]
async fn an_entry_file_that_is_missing_fails_for_good() {
    let world = world().await;
    let spec = accepted("gone", None, "videos/gone/");
    put(&world, "state", &Layout::of(&spec.job).spec(), encode(&spec)).await;
    let error =
        store(&world).publish(&spec.job, None, &winner(&spec, &[("a", "entry/a")])).await.unwrap_err();
    assert!(matches!(&error, InspectError::Call(call) if call.class == ErrorClass::Permanent), "{error:?}");
}
