//! The upload page in headless Chromium, with the example service, a line that is cut, and the real pipeline behind it.

use std::{fs::File, io::Write, net::TcpListener};

use serde_json::json;
use sha2::{Digest, Sha256};
use transcode_tests::{Stack, StackOptions, clients, deployment::Deployment};

use super::{cors::Cors, lambda::Runtime, line::Line, *};

/// Size of the file: a short clip, and a box that players skip.
const BYTES: u64 = 200_000_000;
/// Where the line is cut, in bytes sent.
const CUTS: [u64; 3] = [30_000_000, 80_000_000, 130_000_000];
const FILE: &str = "holiday.mp4";

/// Four seconds of the real clip, and a `free` box up to the size.
fn padded(folder: &Path) -> PathBuf {
    let path = folder.join(FILE);
    let args = "-t 4 -vf scale=480:270 -preset ultrafast -movflags +faststart -y";
    let clip = paths::clip().unwrap().display().to_string();
    let args: Vec<&str> = ["-v", "error", "-i", &clip]
        .into_iter()
        .chain(args.split(' '))
        .chain([path.to_str().unwrap()])
        .collect();
    run(Path::new("ffmpeg"), &args, folder);
    let left = BYTES - fs::metadata(&path).unwrap().len();
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(&u32::try_from(left).unwrap().to_be_bytes()).unwrap();
    file.write_all(b"free").unwrap();
    file.set_len(BYTES).unwrap();
    path
}

/// The template for pages of one origin.
fn template(origin: &str) -> String {
    let parameter = |default: &str| format!("  AllowedOrigins:\n    Type: String\n    Default: {default}\n");
    let text = Deployment::shipped().unwrap();
    let next = text.replace(&parameter("\"\""), &parameter(origin));
    assert_ne!(next, text);
    next
}

/// The example service on `listen` or, with more variables, as a Lambda function; S3 is at `s3`.
fn service(stack: &Stack, s3: &str, listen: &str, function: Vec<(String, String)>) -> Process {
    let root = paths::checkout();
    let mut env = clients::environment(s3, None);
    let more = [
        // The emulator verifies signatures made with this key.
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("SOURCE_BUCKET", stack.deployment.source_bucket.clone()),
        ("STATE_BUCKET", stack.deployment.state_bucket.clone()),
        ("TICKET_SECRET", "a secret of a test, long enough to be taken".to_owned()),
        ("LISTEN", listen.to_owned()),
        ("PAGE", root.join("examples/upload-page").display().to_string()),
        ("HLS_JS", paths::tool("player/node_modules/hls.js/dist/hls.min.js").unwrap().display().to_string()),
    ];
    env.extend(more.map(|(name, value)| (name.to_owned(), value)));
    let name = if function.is_empty() { "upload-service" } else { "upload-function" };
    env.extend(function);
    Process::start(&Spec {
        name,
        program: &paths::binary("upload-service").unwrap(),
        args: Vec::new(),
        env,
        folder: stack.folder(),
        logs: stack.folder(),
        out: None,
        orderly: false,
    })
    .unwrap()
}

/// The same service as a Lambda function takes a file in one part and shows its job to the end.
async fn as_a_function(stack: &Stack) {
    let lambda = Runtime::start().await;
    let mut function = service(stack, stack.endpoint(), "", lambda.environment());
    let film = paths::tiny_clip(stack.folder()).unwrap();
    let new = json!({"name": "tiny.mp4", "type": "video/mp4", "bytes": film.len()});
    let (status, open) = lambda.call("POST", "/uploads", Some(new)).await;
    assert_eq!((status, &open["parts"]), (200, &json!(1)), "{open}");
    let upload = format!("/uploads/{}", open["id"].as_str().unwrap());
    let sha256 = base64(&Sha256::digest(&film));
    let wanted = json!({"parts": [{"number": 1, "sha256": sha256}]});
    let (_, signed) = lambda.call("POST", &format!("{upload}/parts"), Some(wanted)).await;
    let mut put = reqwest::Client::new().put(signed["parts"][0]["url"].as_str().unwrap()).body(film);
    for header in list(&signed["parts"][0]["headers"]) {
        put = put.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    assert_eq!(put.send().await.unwrap().status().as_u16(), 200);
    let (_, there) = lambda.call("GET", &upload, None).await;
    assert_eq!(there["there"][0]["sha256"], sha256.as_str(), "{there}");
    assert_eq!(lambda.call("POST", &format!("{upload}/complete"), None).await.0, 204);
    let job = upload.replace("/uploads/", "/jobs/");
    let ended = wait::until("the function shows the job's end", LIMIT, async || {
        function.ensure_running()?;
        let (_, job) = lambda.call("GET", &job, None).await;
        Ok((job["state"] == "succeeded").then_some(job))
    });
    ended.await.unwrap();
    assert_eq!(lambda.call("GET", "/uploads/forged", None).await.0, 404);
}

/// Starts `tests/player/upload.mjs`.
fn browser(stack: &Stack, page: &str, file: &Path) -> Process {
    let shots = shots("upload");
    let args = [page.to_owned(), file.display().to_string(), shots.display().to_string()];
    Process::driver("upload.mjs", &args, stack.folder()).unwrap()
}

/// The n-th line that the driver has printed.
fn said(node: &mut Process, at: usize) -> Value {
    wait::until_blocking(LIMIT, || node.output().lines().nth(at).is_some() || node.ended().is_some());
    let text = node.output().lines().nth(at).map(str::to_owned);
    assert!(text.is_some(), "{}", node.tail(30));
    serde_json::from_str(&text.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_cuts_and_a_reload_and_plays_from_signed_addresses() {
    let options = StackOptions {
        task_env: vec![("TRANSCODE_HEARTBEAT_SECONDS".to_owned(), "1".to_owned())],
        ..StackOptions::default()
    };
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (listen, page) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let options = StackOptions { template: Some(template(&page)), ..options };
    let stack = Stack::with(options.setting("observe.describe_seconds", "1")).await.unwrap();
    let file = padded(stack.folder());
    let buckets = [&stack.deployment.source_bucket, &stack.deployment.production_bucket];
    let cors = Cors::of(&stack.clients().s3, &buckets).await;
    let line = Line::to(stack.endpoint(), CUTS.to_vec(), cors).await;
    let mut service = service(&stack, &line.endpoint, &listen, Vec::new());
    wait::until("the page is served", LIMIT, async || Ok(reqwest::get(&page).await.ok())).await.unwrap();

    let mut node = browser(&stack, &page, &file);
    let halted = said(&mut node, 0);
    assert_eq!(
        (line.cuts_left(), &halted["unfinished"]),
        (0, &format!("Not finished: {FILE}").into()),
        "{halted}"
    );
    let before = line.sent();
    assert!(before < BYTES, "the reload came in between: {before} bytes");
    line.repair();
    let seen = said(&mut node, 1);
    service.ensure_running().unwrap();

    let ratio = float(line.sent()) / float(BYTES);
    assert!((1.0..=1.05).contains(&ratio), "{} bytes on the wire, {ratio:.3} times the file", line.sent());
    let uploads = stack.objects(&stack.deployment.source_bucket, "uploads/").await.unwrap();
    let keys: Vec<_> = uploads.keys().collect();
    assert!(keys.len() == 1 && keys[0].ends_with(&format!("/{FILE}")), "{keys:?}");
    let stored = stack.read(&stack.deployment.source_bucket, keys[0]).await.unwrap().unwrap();
    assert!(stored == fs::read(&file).unwrap(), "the object is the file");

    for text in ["Paused.", "Making it playable …", "Ready to watch."] {
        assert!(list(&seen["said"]).iter().any(|said| said == text), "{text} was not said: {seen}");
    }
    let tags = list(&seen["tags"]);
    assert!(!tags.is_empty() && tags.iter().all(Value::is_string), "the page may read each ETag: {tags:?}");
    let (from, to) = (number(&seen["played"][0]), number(&seen["played"][1]));
    assert!(to > from + 0.2, "the video plays: {from} to {to}");
    near("its length", number(&seen["duration"]), 4.0, 0.1);
    let requests: Vec<_> = list(&seen["requests"]).iter().filter_map(Value::as_str).collect();
    let foreign = requests.iter().filter(|url| !url.contains("://127.0.0.1:") && !url.starts_with("blob:"));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&&str>::new(), "no request leaves loopback");
    let segments = requests.iter().filter(|url| url.contains(".m4s?") && url.contains("X-Amz-Signature="));
    assert!(segments.count() >= 2, "segments by signed addresses: {requests:?}");
    assert_eq!(seen["focus"], "file", "the first stop of the keyboard");
    assert_eq!(seen["width"], 360, "nothing is wider than a phone");
    as_a_function(&stack).await;
    for name in ["page", "phone"] {
        let shot = shots("upload").join(format!("{name}.png"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::copy(shot, paths::checkout().join(format!("docs/pictures/upload-{name}.png"))).unwrap();
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(value: u64) -> f64 {
    value as f64
}

/// Base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let word = three.iter().chain(&[0, 0]).take(3).fold(0, |word, byte| (word << 8) | usize::from(*byte));
        let digits = (0..4).map(|at| char::from(DIGITS[(word >> (18 - 6 * at)) & 63]));
        digits.take(three.len() + 1).chain(std::iter::repeat_n('=', 3 - three.len())).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
