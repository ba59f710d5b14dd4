//! Media from the private production bucket: `GET /media/JOB/PATH` is the object at PATH below the stable prefix of the
//! job's outputs, and nothing else of the bucket.

use std::{io, time::Duration};

use aws_sdk_s3::{Client, operation::get_object::GetObjectOutput, primitives::ByteStream};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;

use super::desk::Place;

/// Most bytes of one answer. A segment has some megabytes; of a longer range the beginning is sent, as RFC 9110
/// (15.3.7) allows, and the browser asks for the rest.
const MOST: u64 = 32 << 20;

/// Longest wait for S3's headers, and then for each piece of the body.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a package has. Any other object is sent as bytes that no browser shows.
const TYPES: [&str; 10] = [
    "application/dash+xml",
    "application/json",
    "application/vnd.apple.mpegurl",
    "audio/mp4",
    "image/jpeg",
    "image/png",
    "text/vtt",
    "video/iso.segment",
    "video/mp2t",
    "video/mp4",
];

/// Whatever it is, as a document of its own it may do nothing.
const POLICY: &str = "sandbox; default-src 'none'";

/// The key of a path below a prefix; none for a path that is no plain one: empty parts, `.`, `..`, hidden characters.
pub(super) fn below(place: &Place, path: &str) -> Option<String> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    let fits = place.prefix.ends_with('/') && path.split('/').all(plain) && path.len() <= 1024;
    fits.then(|| format!("{}{path}", place.prefix))
}

/// What to ask S3 for: the wanted range, cut to [`MOST`]; none for the whole object. Error for what is no single range of
/// bytes.
pub(super) fn range(headers: &HeaderMap) -> Result<Option<String>, StatusCode> {
    let Some(value) = headers.get(header::RANGE) else { return Ok(None) };
    let wrong = StatusCode::RANGE_NOT_SATISFIABLE;
    let (unit, text) = value.to_str().ok().and_then(|text| text.split_once('=')).ok_or(wrong)?;
    if !unit.eq_ignore_ascii_case("bytes") {
        // RFC 9110, 14.2: a unit that is not known is ignored.
        return Ok(None);
    }
    let (from, to) = text.split_once('-').ok_or(wrong)?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten().ok_or(wrong)
    };
    if from.is_empty() {
        return Ok(Some(format!("bytes=-{}", number(to)?.min(MOST))));
    }
    let from = number(from)?;
    let last = from.saturating_add(MOST - 1);
    let to = if to.is_empty() { last } else { number(to)?.min(last) };
    if to < from { Err(wrong) } else { Ok(Some(format!("bytes={from}-{to}"))) }
}

/// Fetches an object, or a range of it, and passes it on as it arrives.
pub(super) async fn relay(s3: &Client, place: &Place, path: &str, headers: &HeaderMap) -> Response {
    let Some(key) = below(place, path) else { return StatusCode::NOT_FOUND.into_response() };
    let range = match range(headers) {
        Ok(range) => range,
        Err(status) => return status.into_response(),
    };
    let whole = range.is_none();
    let get = s3.get_object().bucket(&place.bucket).key(key).set_range(range).send();
    match tokio::time::timeout(PATIENCE, get).await {
        Ok(Ok(object)) if whole && length(&object).is_none_or(|length| length > MOST) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "Ask for a range of it.\n").into_response()
        }
        Ok(Ok(object)) => passed_on(object),
        Ok(Err(error)) => match error.code() {
            Some("NoSuchKey") => StatusCode::NOT_FOUND.into_response(),
            Some("InvalidRange") => StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
            code => {
                (StatusCode::BAD_GATEWAY, format!("S3: {}\n", code.unwrap_or("no answer"))).into_response()
            }
        },
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}

fn length(object: &GetObjectOutput) -> Option<u64> {
    object.content_length().and_then(|length| u64::try_from(length).ok())
}

fn passed_on(object: GetObjectOutput) -> Response {
    let kind = object.content_type().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(kind));
    let status = if object.content_range().is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind.unwrap_or("application/octet-stream"))
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::ACCEPT_RANGES, "bytes");
    if let Some(range) = object.content_range() {
        answer = answer.header(header::CONTENT_RANGE, range);
    }
    if let Some(length) = length(&object) {
        answer = answer.header(header::CONTENT_LENGTH, length);
    }
    let body = Body::from_stream(stream::unfold(object.body, piece));
    answer.body(body).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

/// The next piece and what is left; none at the end.
async fn piece(mut body: ByteStream) -> Option<(io::Result<Bytes>, ByteStream)> {
    match tokio::time::timeout(PATIENCE, body.next()).await {
        Ok(next) => Some((next?.map_err(io::Error::other), body)),
        // The length was announced, so the browser sees that it is cut off.
        Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { bucket: "videos".into(), prefix: "videos/films/cat.mp4/".into() }
    }

    #[test]
    fn a_path_stays_below_the_prefix_of_its_job() {
        let key = |path: &str| below(&place(), path);
        assert_eq!(
            key("v-1/video/720p/00001.m4s").as_deref(),
            Some("videos/films/cat.mp4/v-1/video/720p/00001.m4s")
        );
        for path in ["", "..", "../dog.mp4/master.m3u8", "a/../../b", "a//b", "/a", "a/", "./a", "a\nb"] {
            assert_eq!(key(path), None, "{path:?}");
        }
        assert_eq!(key(&"a".repeat(1025)), None);
        let whole_bucket = Place { prefix: String::new(), ..place() };
        assert_eq!(below(&whole_bucket, "a"), None);
    }

    #[test]
    fn a_range_is_one_and_not_too_long() {
        let range = |text: &str| range(&[(header::RANGE, text.parse().unwrap())].into_iter().collect());
        assert_eq!(range("bytes=0-99"), Ok(Some("bytes=0-99".into())));
        assert_eq!(range("bytes=5-"), Ok(Some(format!("bytes=5-{}", 5 + MOST - 1))));
        assert_eq!(range(&format!("bytes=0-{}", u64::MAX)), Ok(Some(format!("bytes=0-{}", MOST - 1))));
        assert_eq!(range("bytes=-7"), Ok(Some("bytes=-7".into())));
        assert_eq!((range("items=0-1"), range("Bytes=5-9")), (Ok(None), Ok(Some("bytes=5-9".into()))));
        for wrong in ["bytes=", "bytes=-", "bytes=9-3", "bytes=0-1,5-6", "bytes=a-b", "bytes", "bytes=+1-2"] {
            assert_eq!(range(wrong), Err(StatusCode::RANGE_NOT_SATISFIABLE), "{wrong}");
        }
        assert_eq!(super::range(&HeaderMap::new()), Ok(None));
    }
}
