//! What `presign` signs for browsers, used by plain HTTP: forms, uploads in parts, playlists that expire.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

use serde_json::Value;
use transcode_config::{
    contract::{
        Attempt, JobKey, JobSpec, Layout, ObjectRef, Outcome, OutputTarget, SCHEMA, Source, Succeeded,
        Terminal, encode,
    },
    ladder::Profile,
};
use transcode_tests::{Stack, StackOptions, controller, order, paths};

async fn stack() -> Stack {
    Stack::with(StackOptions { without_controller: true, ..StackOptions::default() }).await.unwrap()
}

/// The same with roles: signatures of forms are verified, session tokens with them.
async fn stack_with_roles() -> Stack {
    let options = StackOptions { without_controller: true, with_roles: true, ..StackOptions::default() };
    Stack::with(options).await.unwrap()
}

/// Exit status, standard output and standard error of a `presign` command.
fn presign(stack: &Stack, args: &[&str]) -> (i32, String, String) {
    let mut program = Command::new(paths::binary("transcode-controller").unwrap());
    let env = stack.environment_as(&stack.deployment.roles.uploader).unwrap_or_else(|_| {
        let mut env = controller::environment(stack.endpoint(), &stack.fargate.endpoint);
        // The emulator verifies signatures made with this key.
        env.extend(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.into(), "test".into())));
        env
    });
    program.env_clear().envs(env).arg("presign");
    let out = program.args(args).arg("--config").arg(stack.plan.config()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

fn said(stack: &Stack, args: &[&str]) -> Value {
    let (status, out, complaint) = presign(stack, &[args, &["-o", "json"]].concat());
    assert_eq!(status, 0, "{args:?}: {complaint}");
    serde_json::from_str(&out).unwrap()
}

fn complained(stack: &Stack, args: &[&str]) -> String {
    let (status, out, complaint) = presign(stack, args);
    assert_eq!((status, out.as_str()), (1, ""), "{args:?}: {complaint}");
    complaint
}

/// Sends a form as a browser does; `changes` take the place of its fields.
async fn post(form: &Value, changes: &[(&str, &str)], file: &str) -> u16 {
    let mut fields: Vec<(String, String)> = form["fields"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    for (name, value) in changes {
        fields.retain(|(own, _)| own != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    let field = |(name, value): (String, String)| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = fields.into_iter().map(field).collect();
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.mp4\"";
    let body = format!("{fields}{head}\r\n\r\n{file}\r\n--edge--\r\n");
    let call = reqwest::Client::new().post(form["url"].as_str().unwrap()).body(body);
    let call = call.header("content-type", "multipart/form-data; boundary=edge");
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_form_takes_what_its_policy_says_and_nothing_else() {
    let stack = stack_with_roles().await;
    let key = "ünï code/a+b.mp4";
    let words = ["--user-metadata", "user-id=42"];
    let form = ["upload", key, "--post", "--max-bytes", "10", "--type", "video/"];
    let form = said(&stack, &[&form[..], &words].concat());
    let video = ("Content-Type", "video/mp4");
    assert_eq!(post(&form, &[video], "far too long a film").await, 400, "too large");
    assert_eq!(post(&form, &[("Content-Type", "text/html")], "a film").await, 403, "another type");
    assert_eq!(post(&form, &[video, ("key", "other.mp4")], "a film").await, 403, "another key");
    let forged = ("x-amz-signature", "00".repeat(32));
    assert_eq!(post(&form, &[video, (forged.0, &forged.1)], "a film").await, 403, "another signature");
    assert_eq!(post(&form, &[video, ("x-amz-meta-user-id", "43")], "a film").await, 403, "other words");
    assert_eq!(post(&form, &[video], "a film").await, 201);
    assert_eq!(words_of(&stack, key).await, [("user-id".to_owned(), "42".to_owned())]);
    let source = &stack.deployment.source_bucket;
    assert_eq!(stack.read(source, key).await.unwrap().as_deref(), Some(b"a film".as_slice()));

    let form = said(&stack, &["upload", "people/7/", "--post", "--max-bytes", "10"]);
    assert_eq!(post(&form, &[("key", "people/8/cat.mp4")], "a film").await, 403, "outside of the prefix");
    assert_eq!(post(&form, &[], "a film").await, 201);
    assert_eq!(stack.read(source, "people/7/cat.mp4").await.unwrap().as_deref(), Some(b"a film".as_slice()));
    let complaint = complained(&stack, &["upload", "a", "--post", "--max-bytes", "6000000000"]);
    assert!(complaint.contains("sent in parts"), "{complaint}");
}

/// The metadata of an upload.
async fn words_of(stack: &Stack, key: &str) -> Vec<(String, String)> {
    let head = stack.clients().s3.head_object().bucket(&stack.deployment.source_bucket).key(key);
    head.send().await.unwrap().metadata.unwrap_or_default().into_iter().collect()
}

async fn put(address: &Value, body: Vec<u8>) -> u16 {
    let mut call = reqwest::Client::new().put(address["url"].as_str().unwrap()).body(body);
    for header in address["headers"].as_array().unwrap() {
        call = call.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_upload_in_parts_is_complete_when_every_part_is_there_and_replaces_nothing() {
    let stack = stack().await;
    let (key, size) = ("films/large.mp4", ((5 << 20) + 3).to_string());
    let words = ["--user-metadata", "user-id=42"];
    let open = said(&stack, &[&["upload", key, "--multipart", &size][..], &words].concat());
    assert_eq!((open["parts"].as_u64(), open["part_bytes"].as_u64()), (Some(2), Some(5 << 20)), "{open}");
    let id = open["id"].as_str().unwrap();
    let with = |id: &str, more: &[&str]| {
        let args = ["upload", key, "--multipart", &size, "--id", id];
        [args.as_slice(), more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let say = |args: Vec<String>| said(&stack, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let fail = |args: Vec<String>| complained(&stack, &args.iter().map(String::as_str).collect::<Vec<_>>());

    let addresses = say(with(id, &["--parts", "1-2"]));
    assert_eq!(put(&addresses[1], b"longer".to_vec()).await, 403, "a part of another size");
    assert_eq!(put(&addresses[1], b"end".to_vec()).await, 200);
    let complaint = fail(with(id, &["--complete"]));
    assert!(complaint.contains("1 parts are missing: 1"), "{complaint}");
    assert_eq!(put(&addresses[0], vec![7; 5 << 20]).await, 200);
    let there = say(with(id, &["--list"]));
    assert_eq!((there[0]["number"].as_u64(), there[1]["bytes"].as_u64()), (Some(1), Some(3)), "{there}");
    say(with(id, &["--complete"]));
    let stored = stack.read(&stack.deployment.source_bucket, key).await.unwrap().unwrap();
    assert_eq!(stored.len().to_string(), size);
    assert_eq!(words_of(&stack, key).await, [("user-id".to_owned(), "42".to_owned())]);
    assert!(stored.ends_with(&[7, b'e', b'n', b'd']), "in the order of the parts");

    let second = said(&stack, &["upload", key, "--multipart", "3"]);
    let second = second["id"].as_str().unwrap();
    let small = ["upload", key, "--multipart", "3", "--id", second];
    let addresses = said(&stack, &[small.as_slice(), &["--parts", "1"]].concat());
    assert_eq!(put(&addresses[0], b"new".to_vec()).await, 200);
    let complaint = complained(&stack, &[small.as_slice(), &["--complete"]].concat());
    assert!(complaint.contains("there already"), "{complaint}");
    said(&stack, &["upload", key, "--id", second, "--abort"]);
    let complaint = complained(&stack, &["upload", key, "--id", second, "--list"]);
    assert!(complaint.contains("not there"), "{complaint}");
    let shouted = complained(&stack, &["upload", key, "--multipart", "3", "--user-metadata", "User=42"]);
    assert!(shouted.contains("a name has a–z"), "{shouted}");
    for (parts, complaint) in [("3", "parts 1–2"), ("1-200", "1–100 parts")] {
        let text = fail(with(id, &["--parts", parts]));
        assert!(text.contains(complaint), "{text}");
    }
}

/// A job whose small package is published: playlists as the packager writes them.
async fn published(stack: &Stack) -> JobSpec {
    let (source, output) = (&stack.deployment.source_bucket, &stack.deployment.production_bucket);
    let from = Source {
        bucket: source.clone(),
        key: "a b.mp4".into(),
        version_id: None,
        etag: None,
        size: None,
        sequencer: None,
        uploaded_at_ms: None,
    };
    let target = OutputTarget { bucket: output.clone(), prefix: "videos/a b.mp4/".into() };
    let spec = order::spec(JobKey::of(&["play"]), from, Profile::built_in("standard").unwrap(), target);
    let layout = Layout::of(&spec.job);
    let name = layout.folder(Attempt::FIRST);
    let folder = format!("{}{name}", spec.output.prefix);
    let master = format!(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",URI=\"{name}audio/en/index.m3u8\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n{name}video/720p/index.m3u8\n\
         #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"{name}video/720p/iframes.m3u8\"\n"
    );
    let media = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:1,\n00001.m4s\n#EXT-X-ENDLIST\n";
    for (path, text) in [
        ("entry/master.m3u8", master.as_str()),
        ("audio/en/index.m3u8", media),
        ("video/720p/index.m3u8", media),
        ("video/720p/iframes.m3u8", media),
        ("video/720p/init.mp4", "init"),
        ("video/720p/00001.m4s", "segment"),
        ("images/storyboard.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nstoryboard.jpg#xywh=0,0,1,1\n"),
        ("images/storyboard.jpg", "sheet"),
    ] {
        write(stack, output, &format!("{folder}{path}"), text.as_bytes().to_vec()).await;
    }
    let state = &stack.deployment.state_bucket;
    write(stack, state, &layout.spec(), encode(&spec)).await;
    let claim = order::claim(spec.job.clone(), Attempt::FIRST, 1);
    write(stack, state, &layout.claim(Attempt::FIRST), encode(&claim)).await;
    spec
}

async fn write(stack: &Stack, bucket: &str, key: &str, body: Vec<u8>) {
    let put = stack.clients().s3.put_object().bucket(bucket).key(key).body(body.into());
    put.send().await.unwrap();
}

async fn decide(stack: &Stack, spec: &JobSpec) {
    let folder = format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST));
    let manifest = ObjectRef { key: format!("{folder}files.json"), size: 1, sha256: String::new() };
    let won = Succeeded {
        attempt: Attempt::FIRST,
        task_arn: None,
        bucket: spec.output.bucket.clone(),
        folder,
        manifest,
        files: 1,
        bytes: 1,
        duration_ms: 1000,
        source: None,
        entry_points: Vec::new(),
        warnings: None,
    };
    let job = spec.job.clone();
    let (nonce, outcome) = ("n".into(), Outcome::Succeeded(won));
    let terminal = Terminal { schema: SCHEMA, job, nonce, written_at_ms: 1, outcome };
    write(stack, &stack.deployment.state_bucket, &Layout::of(&spec.job).terminal(), encode(&terminal)).await;
}

/// What the first signed address of a text leads to.
async fn fetched(text: &str) -> (u16, String) {
    let at = text.find("http").unwrap();
    let address = text[at..].split(['"', '\n', '#']).next().unwrap();
    let answer = reqwest::get(address).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_private_package_plays_from_a_folder_of_playlists_or_with_cookies() {
    let stack = stack().await;
    let spec = published(&stack).await;
    let job = spec.job.as_str();
    let to = stack.folder().join("tree");
    let play = |more: &[&str]| {
        let args = [&["playback", job], more].concat();
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let folder = to.to_str().unwrap();
    let args = play(&["--to", folder]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let complaint = complained(&stack, &args);
    assert!(complaint.contains("nothing to play yet"), "{complaint}");
    decide(&stack, &spec).await;
    said(&stack, &args);
    let name = Layout::of(&spec.job).folder(Attempt::FIRST);
    let read = |path: &str| std::fs::read_to_string(Path::new(folder).join(path)).unwrap();
    assert!(!read("master.m3u8").contains("http"), "playlists refer to each other as before");
    let media = read(&format!("{name}video/720p/index.m3u8"));
    assert_eq!(fetched(&media).await, (200, "init".into()), "{media}");
    assert_eq!(fetched(media.split_once("EXTINF").unwrap().1).await, (200, "segment".into()), "{media}");
    assert!(read(&format!("{name}audio/en/index.m3u8")).contains("audio/en/00001.m4s?"));
    assert!(read(&format!("{name}video/720p/iframes.m3u8")).contains("X-Amz-Signature"));
    let cues = read(&format!("{name}images/storyboard.vtt"));
    assert_eq!(fetched(&cues).await, (200, "sheet".into()), "{cues}");
    assert!(cues.contains("#xywh=0,0,1,1"), "{cues}");

    let (status, one, _) = presign(&stack, &["playback", job, "--playlist", "master.m3u8"]);
    assert_eq!((status, one), (0, read("master.m3u8")));
    for path in ["../x/master.m3u8", "v-000000000000-1/video/720p/index.m3u8", "/etc/passwd"] {
        complained(&stack, &["playback", job, "--playlist", path]);
    }
    let key = stack.folder().join("key.pem");
    let made =
        Command::new("openssl").args(["genrsa", "-traditional", "-out"]).arg(&key).arg("2048").output();
    assert!(made.unwrap().status.success());
    let key = key.to_str().unwrap();
    let cloudfront =
        ["--cloudfront-domain", "media.example.com", "--key-pair-id", "K1", "--private-key", key];
    let opened = said(&stack, &[["playback", job].as_slice(), &cloudfront].concat());
    assert_eq!(opened["address"], "https://media.example.com/videos/a%20b.mp4/master.m3u8");
    assert_eq!(opened["path"], "/videos/a%20b.mp4/");
    assert_eq!(opened["cookies"].as_object().unwrap().len(), 4, "{opened}");
}
