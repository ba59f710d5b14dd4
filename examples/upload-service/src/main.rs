//! Runs the example service: as a Lambda function where Lambda starts it, otherwise on loopback.
//!
//! | variable | meaning |
//! |---|---|
//! | `SOURCE_BUCKET`, `STATE_BUCKET` | outputs of the stack |
//! | `UPLOAD_PREFIX` | prefix of the keys; `uploads/` if unset |
//! | `TICKET_SECRET` | at least 32 random bytes: `openssl rand -base64 48`; on Lambda from a secret |
//! | `MAX_BYTES` | largest file; 50 GB if unset |
//! | `LISTEN`, `PAGE`, `HLS_JS` | on loopback only: the port, the page's folder, hls.js' file for browsers without native HLS |

mod local;

use std::{env, sync::Arc};

use anyhow::Context;
use aws_config::BehaviorVersion;
use aws_sdk_s3::{Client, config::Builder};
use transcode_web::upload::TicketKey;
use upload_service::Service;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let named = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
    let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
    // An endpoint other than AWS' own has no wildcard host names for buckets.
    let own = env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let service = Service {
        s3: Client::from_conf(Builder::from(&sdk).force_path_style(own).build()),
        sources: named("SOURCE_BUCKET")?,
        prefix: named("UPLOAD_PREFIX").unwrap_or_else(|_| "uploads/".into()),
        state: named("STATE_BUCKET")?,
        max_bytes: named("MAX_BYTES").map_or(Ok(50_000_000_000), |text| text.parse()).context("MAX_BYTES")?,
        key: TicketKey::new(named("TICKET_SECRET")?.as_bytes())?,
    };
    let service = Arc::new(service);
    // Lambda says so to every function.
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        function(service).await
    } else {
        loopback(service).await
    }
}

/// Behind a function URL, an API Gateway or a load balancer.
async fn function(service: Arc<Service>) -> anyhow::Result<()> {
    use lambda_http::{Body, Request, Response, service_fn};
    let text = |body: bytes::Bytes| match String::from_utf8(body.to_vec()) {
        Ok(text) => Body::Text(text),
        Err(other) => Body::Binary(other.into_bytes()),
    };
    let answer = service_fn(move |request: Request| {
        let service = Arc::clone(&service);
        async move {
            let answer = service.handle(request.map(|body| body.to_vec().into())).await;
            Ok::<Response<Body>, lambda_http::Error>(answer.map(text))
        }
    });
    lambda_http::run(answer).await.map_err(|error| anyhow::anyhow!(error))
}

async fn loopback(service: Arc<Service>) -> anyhow::Result<()> {
    let listener =
        tokio::net::TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:8080".into())).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let page = Arc::new(local::Page::load()?);
    let answer = move |request| local::answer(Arc::clone(&service), Arc::clone(&page), request);
    axum::serve(listener, axum::Router::new().fallback(answer)).await.map_err(Into::into)
}
