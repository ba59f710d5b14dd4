//! On loopback the service serves the page too, from memory: on AWS that is a bucket's, or the team's own site's.

use std::{collections::BTreeMap, env, fs, path::Path, sync::Arc};

use anyhow::Context;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use upload_service::{MAX_BODY, Service};

/// Files of the page by name.
pub(crate) struct Page(BTreeMap<String, (Vec<u8>, &'static str)>);

/// What the page may load and call: itself, and S3. Nothing else.
const POLICY: &str = "default-src 'self'; connect-src 'self' http: https:; media-src 'self' blob: http: https:; \
                      img-src 'self' http: https:; worker-src 'self' blob:; frame-ancestors 'none'";

impl Page {
    /// Reads the files of `PAGE`, and `HLS_JS` as `hls.js`.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in env::var_os("PAGE").iter().map(fs::read_dir).collect::<Result<Vec<_>, _>>()? {
            for file in entry {
                let file = file?;
                add(&mut files, &file.file_name().to_string_lossy(), &file.path())?;
            }
        }
        if let Some(file) = env::var_os("HLS_JS") {
            add(&mut files, "hls.js", Path::new(&file))?;
        }
        Ok(Self(files))
    }
}

fn add(files: &mut BTreeMap<String, (Vec<u8>, &'static str)>, name: &str, path: &Path) -> anyhow::Result<()> {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => return Ok(()),
    };
    files.insert(name.to_owned(), (fs::read(path).with_context(|| path.display().to_string())?, kind));
    Ok(())
}

/// A file of the page, or the service's answer.
pub(crate) async fn answer(service: Arc<Service>, page: Arc<Page>, request: Request) -> Response {
    let name = request.uri().path().trim_start_matches('/');
    if let Some((bytes, kind)) = page.0.get(if name.is_empty() { "index.html" } else { name }) {
        let head = [(header::CONTENT_TYPE, *kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
        return (head, bytes.clone()).into_response();
    }
    let (head, body) = request.into_parts();
    match to_bytes(body, MAX_BODY).await {
        Ok(body) => service.handle(http::Request::from_parts(head, body)).await.map(Body::from),
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}
