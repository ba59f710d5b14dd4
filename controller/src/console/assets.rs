//! The files of the pages, part of the program. No build step makes them.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type, content.
const FILES: [(&str, &str, &str); 4] = [
    ("console.css", "text/css; charset=utf-8", include_str!("page/console.css")),
    ("console.js", SCRIPT, include_str!("page/console.js")),
    ("player.js", SCRIPT, include_str!("page/player.js")),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// The player that is not part of the program.
pub(super) const HLS_JS: &str = "hls.js";

/// The file of this name, or `hls_js` under [`HLS_JS`] where there is one.
pub(super) fn asset(name: &str, hls_js: Option<&Bytes>) -> Response {
    if let (HLS_JS, Some(script)) = (name, hls_js) {
        return ([(header::CONTENT_TYPE, SCRIPT)], script.clone()).into_response();
    }
    let found = FILES.into_iter().find(|(known, ..)| *known == name);
    found.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |(_, kind, text)| ([(header::CONTENT_TYPE, kind)], text).into_response(),
    )
}
