//! The webhook's receiver in `docs/integrate.md`, as it stands there.

use std::{net::TcpListener, path::Path, time::Duration};

use serde_json::{Value, json};
use transcode_tests::{
    paths,
    process::{Process, Spec},
    wait,
};

const LIMIT: Duration = Duration::from_mins(1);

/// The text of the receiver.
fn code() -> String {
    let text = std::fs::read_to_string(paths::checkout().join("docs/integrate.md")).unwrap();
    text.split("```js\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_receiver_of_the_documents_refuses_strangers_and_takes_an_event_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("receive.mjs"), code()).unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let env = [("WEBHOOK_SECRETS", "new old".to_owned()), ("PORT", port.to_string())];
    let receiver = Process::start(&Spec {
        name: "receiver",
        program: Path::new("node"),
        args: vec!["receive.mjs".into()],
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        folder: folder.path(),
        logs: folder.path(),
        out: None,
        orderly: false,
    })
    .unwrap();
    let address = format!("http://127.0.0.1:{port}/");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let up = async || Ok(client.get(&address).send().await.ok().map(|answer| answer.status().as_u16()));
    assert_eq!(wait::until("it listens", LIMIT, up).await.unwrap(), 401, "nobody without the secret");

    let send = async |secret: &str, id: &str| {
        let event: Value = json!({"detail": {"id": id, "kind": "succeeded", "job": "j", "user_metadata": {"user-id": "42"}}});
        let call = client.post(&address).header("x-api-key", secret).body(event.to_string());
        call.send().await.unwrap().status().as_u16()
    };
    for (secret, id, status) in [
        ("other", "j.0.succeeded", 401),
        ("", "j.0.succeeded", 401),
        ("new old", "j.0.succeeded", 401),
        ("new", "j.0.succeeded", 204),
        ("old", "j.0.succeeded", 204),
        ("new", "k.0.succeeded", 204),
    ] {
        assert_eq!(send(secret, id).await, status, "{secret} {id}");
    }
    let told = receiver.output();
    assert_eq!(told.lines().count(), 2, "each event once: {told}");
    assert!(told.lines().all(|line| line == "succeeded j { 'user-id': '42' }"), "{told}");
}
