//! Emptying the folders of attempts that did not win, on the emulator; unusual answers on a stub.

use transcode_config::contract::{Attempt, JobKey, Layout};
use transcode_controller::aws::S3Store;
use transcode_core::{effects::ports::Store, protocol::fact::ErrorClass};

use crate::{
    stub::{Answer, Stub},
    support::{Account, claim, clients, job, settings, spec, world},
};

fn attempt(number: u32) -> Attempt {
    Attempt::new(number).unwrap()
}

/// The folder of an attempt of a job with the specification that the tests use.
fn folder(job: &JobKey, number: u32) -> String {
    format!("{}{}", spec(job).output.prefix, Layout::of(job).folder(attempt(number)))
}

async fn put(world: &Account, key: &str) {
    let put = world.emulator.clients.s3.put_object().bucket("videos").key(key);
    put.body(b"x".to_vec().into()).send().await.unwrap();
}

async fn open_upload(world: &Account, key: &str) {
    let s3 = &world.emulator.clients.s3;
    let upload = s3.create_multipart_upload().bucket("videos").key(key).send().await.unwrap();
    let part = s3.upload_part().bucket("videos").key(key).set_upload_id(upload.upload_id).part_number(1);
    part.body(b"x".to_vec().into()).send().await.unwrap();
}

/// Keys of all files in the output bucket, and of its open uploads.
async fn left(world: &Account) -> (Vec<String>, Vec<String>) {
    let s3 = &world.emulator.clients.s3;
    let objects = s3.list_objects_v2().bucket("videos").send().await.unwrap();
    let uploads = s3.list_multipart_uploads().bucket("videos").send().await.unwrap();
    let mut open: Vec<_> = uploads.uploads().iter().filter_map(|it| Some(it.key()?.to_owned())).collect();
    open.sort();
    (objects.contents().iter().filter_map(|it| Some(it.key()?.to_owned())).collect(), open)
}

#[tokio::test]
async fn losers_folders_are_emptied_with_their_open_uploads_and_nothing_else_is_touched() {
    let world = world().await;
    let store = S3Store::new(world.clients.s3.clone(), &world.settings);
    let job = job("x");
    store.claim(&spec(&job), &claim(&job, 1)).await.unwrap();
    let prefix = spec(&job).output.prefix;
    // The winner's number begins with a loser's.
    let kept = [format!("{prefix}master.m3u8"), format!("{}video/1.m4s", folder(&job, 12))];
    for key in &kept {
        put(&world, key).await;
    }
    for loser in [1, 3] {
        put(&world, &format!("{}video/1.m4s", folder(&job, loser))).await;
        put(&world, &format!("{}files.json", folder(&job, loser))).await;
        open_upload(&world, &format!("{}audio.mp4", folder(&job, loser))).await;
    }
    let winners = format!("{}audio.mp4", folder(&job, 12));
    open_upload(&world, &winners).await;
    for _ in 0..2 {
        store.collect(&job, None, &[attempt(1), attempt(2), attempt(3)]).await.unwrap();
        assert_eq!(left(&world).await, (kept.to_vec(), vec![winners.clone()]));
    }
}

/// Files and open uploads whose names have characters that XML cannot hold, or that an encoding changes.
#[tokio::test]
async fn names_of_any_characters_are_emptied_too() {
    let world = world().await;
    let store = S3Store::new(world.clients.s3.clone(), &world.settings);
    let job = job("x");
    store.claim(&spec(&job), &claim(&job, 1)).await.unwrap();
    for name in [
        "\u{1b}]0;x\u{7}",
        "a\nb\r\tc",
        "a b+c%2Bd",
        "é\u{202e}\u{2028}",
        "<&\"'>",
        "\u{85}\u{9b}",
        "\u{ffff}",
    ] {
        put(&world, &format!("{}{name}.m4s", folder(&job, 1))).await;
        // The emulator's own answer to this call cannot be read where it repeats such a key.
        if transcode_config::aws::fits_xml(name) {
            open_upload(&world, &format!("{}{name}.mp4", folder(&job, 1))).await;
        }
    }
    store.collect(&job, None, &[attempt(1)]).await.unwrap();
    assert_eq!(left(&world).await, (Vec::new(), Vec::new()));
}

/// S3 itself lists such a key only encoded, and accepts none of them in a batch.
#[tokio::test]
async fn a_key_that_xml_cannot_hold_is_listed_encoded_and_deleted_alone() {
    let listed = |key: &str| format!("<Contents><Key>{key}</Key></Contents>");
    let keys =
        [listed("videos/x/a+b%2Bc"), listed("videos/x/%1B%5D0%3B"), listed("videos/x/%EF%BF%BF")].concat();
    let page = format!(
        "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
    );
    let gone = Answer::Say(204, String::new());
    let batch = answered("<DeleteResult></DeleteResult>");
    let (store, stub) = on(vec![answered(&page), batch, gone.clone(), gone]).await;
    store.collect(&job("x"), None, &[attempt(1)]).await.unwrap();
    let sent = stub.sent();
    assert!(
        sent[1].line.contains("encoding-type=url") && sent[2].line.contains("encoding-type=url"),
        "{sent:?}"
    );
    assert!(sent[3].body.contains("<Key>videos/x/a b+c</Key>") && !sent[3].body.contains("]0"), "{sent:?}");
    let alone: Vec<_> = sent[4..].iter().map(|sent| sent.line.split('?').next().unwrap()).collect();
    assert_eq!(alone, ["DELETE /videos/videos/x/%1B%5D0%3B", "DELETE /videos/videos/x/%EF%BF%BF"]);
}

#[tokio::test]
async fn of_a_job_that_nobody_accepted_nothing_is_collected() {
    let world = world().await;
    let store = S3Store::new(world.clients.s3.clone(), &world.settings);
    let job = job("x");
    put(&world, &format!("{}a", folder(&job, 1))).await;
    store.collect(&job, None, &[attempt(1)]).await.unwrap();
    assert_eq!(left(&world).await.0.len(), 1);
}

fn answered(body: &str) -> Answer {
    Answer::Say(200, body.to_owned())
}

/// A page of files; `truncated`: another page follows.
fn page(truncated: bool) -> Answer {
    let key = "<Contents><Key>videos/cat.mp4/v-1/a</Key></Contents>";
    answered(&format!("<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{key}</ListBucketResult>"))
}

/// A page of open uploads; `truncated`: another page follows.
fn uploads(truncated: bool, open: bool) -> Answer {
    let upload = "<Upload><Key>videos/cat.mp4/v-1/a</Key><UploadId>u</UploadId></Upload>";
    let upload = if open { upload } else { "" };
    let page = format!("<IsTruncated>{truncated}</IsTruncated>{upload}");
    answered(&format!("<ListMultipartUploadsResult>{page}</ListMultipartUploadsResult>"))
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Say(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

/// A store on a stub that answers with the specification, and then with these answers.
async fn store_on(answers: Vec<Answer>) -> (S3Store, Stub) {
    let document = String::from_utf8(transcode_config::contract::encode(&spec(&job("x")))).unwrap();
    let stub = Stub::start([vec![answered(&document)], answers].concat()).await;
    let settings = settings();
    (S3Store::new(clients(&stub.endpoint, &settings).s3, &settings), stub)
}

/// The same, with no open uploads before these answers.
async fn on(answers: Vec<Answer>) -> (S3Store, Stub) {
    store_on([vec![uploads(false, false)], answers].concat()).await
}

#[tokio::test]
async fn a_folder_of_many_pages_is_emptied_page_by_page() {
    let gone = || answered("<DeleteResult></DeleteResult>");
    let (store, stub) = on(vec![page(true), gone(), page(true), gone(), page(false), gone()]).await;
    store.collect(&job("x"), None, &[attempt(1)]).await.unwrap();
    let deletes = stub.sent().iter().filter(|sent| sent.line.starts_with("POST")).count();
    assert_eq!((deletes, stub.sent().len()), (3, 8));
}

#[tokio::test]
async fn a_file_that_cannot_be_deleted_is_a_failure_of_its_own_class() {
    let denied = "<DeleteResult><Error><Key>videos/cat.mp4/v-1/a</Key><Code>AccessDenied</Code>\
                  <Message>no</Message></Error></DeleteResult>";
    let (store, _stub) = on(vec![page(false), answered(denied)]).await;
    let error = store.collect(&job("x"), None, &[attempt(1)]).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Misconfigured, "AccessDenied: no"));
}

/// Both stop after ten pages; the next try removes the rest.
#[tokio::test]
async fn what_never_ends_is_left_for_the_next_try() {
    let aborts = [uploads(true, true), Answer::Say(204, String::new())];
    let deletes = [page(true), answered("<DeleteResult></DeleteResult>")];
    let none = vec![uploads(false, false)];
    for (before, answers, most) in [(vec![], aborts, 21), (none, deletes, 22)] {
        let (store, stub) = store_on([before, vec![answers; 20].concat()].concat()).await;
        let error = store.collect(&job("x"), None, &[attempt(1)]).await.unwrap_err();
        assert_eq!((error.class, stub.sent().len()), (ErrorClass::Transient, most), "{}", error.message);
    }
}

#[tokio::test]
async fn uploads_of_many_pages_are_aborted_also_where_one_has_ended_meanwhile() {
    let aborted = Answer::Say(204, String::new());
    let nothing = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let gone = refused(404, "NoSuchUpload");
    let answers = vec![uploads(true, true), aborted, uploads(false, true), gone, answered(nothing)];
    let (store, stub) = store_on(answers).await;
    store.collect(&job("x"), None, &[attempt(1)]).await.unwrap();
    let aborts = stub.sent().iter().filter(|sent| sent.line.starts_with("DELETE")).count();
    assert_eq!((aborts, stub.sent().len()), (2, 6));
}

#[tokio::test]
async fn what_cannot_be_listed_or_aborted_is_a_failure_of_its_own_class() {
    let denied = || refused(403, "AccessDenied");
    let aborts = vec![uploads(false, true), denied()];
    let files = vec![uploads(false, false), denied()];
    for answers in [vec![denied()], aborts, files] {
        let asked = 1 + answers.len();
        let (store, stub) = store_on(answers).await;
        let error = store.collect(&job("x"), None, &[attempt(1)]).await.unwrap_err();
        assert_eq!((error.class, stub.sent().len()), (ErrorClass::Misconfigured, asked), "{}", error.message);
    }
}
