use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::http::header;
use serde_json::json;

use super::*;
use crate::console::desk::{Ask, desk};

/// A stranger's words: what is in them must not become markup anywhere.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&\u{202e}.mp4";

/// A console on a desk that answers from here, with an S3 that is a small server of its own.
struct Served {
    address: SocketAddr,
    keys: Keys,
    client: reqwest::Client,
    acts: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn job() -> JobKey {
    JobKey::of(&["one"])
}

/// An attempt whose task failed with a stranger's words.
fn attempt() -> Value {
    json!({"claim": {"schema": 1, "job": job(), "attempt": 1, "task_definition": "t", "nonce": "n", "created_at_ms": 1,
        "variant": {"capacity": "fargate", "cpu": 1, "memory_mib": 1}, "launch_not_after_ms": 9, "history": []},
        "heartbeat": {"schema": 1, "job": job(), "attempt": 1, "seq": 1, "written_at_ms": 1, "stage": "transcoding",
        "percent": 5.0, "state": "failed", "failure": {"code": "NOT_MEDIA", "message": HOSTILE}}})
}

fn answer(question: &Question, acts: &AtomicUsize) -> Answer {
    let row = |key: &str| json!({"job": job(), "state": "queued", "key": key, "since_ms": 1, "why": key});
    match question {
        Question::Jobs(_) => {
            Ok(json!({"environment": HOSTILE, "controller": "live", "reported_at_ms": 1, "more": false,
            "jobs": [row(HOSTILE)], "says": [HOSTILE]}))
        }
        Question::Job(_) => Ok(json!({"job": job(), "attempts": [attempt()],
            "report": {"job": job(), "state": "queued", "known_at_ms": 1, "tenant": HOSTILE, "key": HOSTILE}, "story": [{"at_ms": 1, "what": "waits", "detail": HOSTILE}],
            "says": HOSTILE, "controller": "live", "result": {"warnings": [HOSTILE], "video": [{"name": HOSTILE}]}})),
        Question::Letters => {
            Ok(json!({"complete": true, "letters": [{"queue": "default", "message_id": HOSTILE,
            "kind": "dead", "job": job(), "code": "NOT_MEDIA", "key": HOSTILE, "sent_at_ms": 1, "why": HOSTILE}]}))
        }
        Question::Place(asked) if *asked == job() => {
            Ok(json!({"bucket": "videos", "prefix": "videos/a.mp4/"}))
        }
        Question::Place(_) => Err("there is no record".into()),
        Question::Find(text) => Ok(json!({"jobs": if text == "known" { vec![job()] } else { vec![] }})),
        Question::Cancel(..) | Question::Retry(_) | Question::Redrive(_) => {
            acts.fetch_add(1, Ordering::SeqCst);
            Ok(json!({"job": null}))
        }
        Question::Report | Question::Plan | Question::Explain(_) | Question::Events(_) => Ok(json!(null)),
    }
}

/// An S3 with `videos/a.mp4/v-1/00001.m4s`, of which it gives ranges, and with whatever else is asked for outside.
async fn s3() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async |request: axum::extract::Request| {
        match request.uri().path() {
            "/videos/videos/a.mp4/v-1/00001.m4s" => {}
            "/videos/videos/a.mp4/absent" => {
                return (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response();
            }
            _ => return "somebody else's".into_response(),
        }
        let kind = [(header::CONTENT_TYPE, "text/html")];
        match request.headers().get(header::RANGE).map(|range| range.to_str().unwrap()) {
            None => (kind, "0123456789").into_response(),
            Some("bytes=2-4") => {
                (StatusCode::PARTIAL_CONTENT, kind, [(header::CONTENT_RANGE, "bytes 2-4/10")], "234")
                    .into_response()
            }
            Some(_) => (StatusCode::RANGE_NOT_SATISFIABLE, "<Error><Code>InvalidRange</Code></Error>")
                .into_response(),
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(aws_credential_types::Credentials::for_tests())
        .endpoint_url(endpoint)
        .force_path_style(true);
    Client::from_conf(config.build())
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (desk, mut asked) = desk();
    let (acts, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let counted = Arc::clone(&acts);
    tokio::spawn(async move {
        while let Some(Ask { question, answer: to }) = asked.recv().await {
            to.send(answer(&question, &counted)).ok();
        }
    });
    let keys = Keys::new(address);
    let options =
        Options { keys: keys.clone(), desk, s3: s3().await, environment: "test".into(), hls_js: None };
    tokio::spawn(serve(listener, options, stop.clone()));
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Served { address, keys, client, acts, stop }
}

impl Served {
    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The cookie, as the entrance sets it.
    async fn cookie(&self) -> String {
        let answer = self.client.get(self.keys.entrance()).send().await.unwrap();
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        let get = self.client.get(self.origin() + path).header(header::COOKIE, self.cookie().await);
        get.send().await.unwrap()
    }

    async fn post(&self, origin: Option<&str>, token: &str) -> StatusCode {
        let mut post = self.client.post(self.origin() + "/act").header(header::COOKIE, self.cookie().await);
        if let Some(origin) = origin {
            post = post.header(header::ORIGIN, origin);
        }
        let body = format!("token={token}&action=cancel&job={}&why=wrong+file", job());
        let post = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        post.send().await.unwrap().status()
    }
}

#[tokio::test]
async fn nothing_is_shown_without_the_printed_key_or_under_a_foreign_name() {
    let served = served().await;
    for path in ["/", "/letters", "/api/jobs", "/assets/console.css", "/?key=", "/?key=wrong"] {
        let answer = served.client.get(served.origin() + path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let cookie = served.cookie().await;
    let port = served.address.port();
    for host in ["evil.example", &format!("evil.example:{port}"), &format!("localhost:{port}"), "127.0.0.1"] {
        let get = served
            .client
            .get(served.origin() + "/")
            .header(header::COOKIE, &cookie)
            .header(header::HOST, host);
        assert_eq!(get.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        let get = served.client.get(served.keys.entrance()).header(header::HOST, host);
        assert!(get.send().await.unwrap().headers().get(header::SET_COOKIE).is_none(), "{host}");
    }
    let answer = served.get("/").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn only_a_form_of_this_process_from_its_own_origin_changes_anything() {
    let served = served().await;
    let (origin, token) = (served.origin(), served.keys.token().to_owned());
    let refused = [
        (Some("http://evil.example"), token.as_str()),
        (Some("null"), &token),
        (None, &token),
        (Some(origin.as_str()), "0"),
        (Some(&origin), ""),
    ];
    for (origin, token) in refused {
        assert_eq!(served.post(origin, token).await, StatusCode::FORBIDDEN, "{origin:?} {token}");
    }
    assert_eq!(served.acts.load(Ordering::SeqCst), 0);
    assert_eq!(served.post(Some(&origin), &token).await, StatusCode::SEE_OTHER);
    assert_eq!(served.acts.load(Ordering::SeqCst), 1);
    // No other method, and no address that can be followed, acts.
    assert_eq!(served.get("/act").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let page = served.get(&format!("/jobs/{}/cancel", job())).await.text().await.unwrap();
    assert!(page.contains(&token) && page.contains("method=\"post\""), "{page}");
    assert_eq!(served.acts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_relay_gives_what_lies_below_the_jobs_prefix_and_nothing_else() {
    let served = served().await;
    let media = |path: &str| format!("/media/{}/{path}", job());
    let whole = served.get(&media("v-1/00001.m4s")).await;
    assert_eq!(
        whole.headers()[header::CONTENT_TYPE],
        "application/octet-stream",
        "markup of strangers is none here"
    );
    assert!(whole.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox"));
    assert_eq!(whole.text().await.unwrap(), "0123456789");

    let cookie = served.cookie().await;
    let range = async |range: &str| {
        let get =
            served.client.get(served.origin() + &media("v-1/00001.m4s")).header(header::COOKIE, &cookie);
        get.header(header::RANGE, range).send().await.unwrap()
    };
    let part = range("bytes=2-4").await;
    assert_eq!(
        (part.status(), part.headers()[header::CONTENT_RANGE].to_str().unwrap()),
        (StatusCode::PARTIAL_CONTENT, "bytes 2-4/10")
    );
    assert_eq!(part.text().await.unwrap(), "234");
    for wrong in ["bytes=4-2", "bytes=0-1,3-4", "bytes=99-"] {
        assert_eq!(range(wrong).await.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{wrong}");
    }
    let other = JobKey::of(&["another"]);
    for path in [
        media("absent"),
        media("..%2Fb.mp4%2Fmaster.m3u8"),
        media("v-1%2F..%2F..%2Fb"),
        format!("/media/{other}/v-1/00001.m4s"),
    ] {
        assert_eq!(served.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_strangers_wrote_is_text_on_every_page() {
    let served = served().await;
    for path in [
        "/".to_owned(),
        format!("/jobs/{}", job()),
        "/letters".into(),
        format!("/?q={}", "%3Cimg%20src%3Dx%3E%22"),
        "/?tenant=%3Cimg%20src%3Dx%3E%22".into(),
        "/find?q=%3Cimg%20src%3Dx%3E".into(),
    ] {
        let answer = served.get(&path).await;
        let page = answer.text().await.unwrap();
        assert!(page.contains("&#60;img src=x"), "{path}: {page}");
        assert!(!page.contains("<img") && !page.contains('\u{202e}'), "{path}: {page}");
    }
    let found = served.get("/find?q=known").await;
    assert_eq!(found.headers()[header::LOCATION], format!("/jobs/{}", job()));
    let named = served.get(&format!("/?q={}", job())).await;
    assert_eq!(named.headers()[header::LOCATION], format!("/jobs/{}", job()));
}
