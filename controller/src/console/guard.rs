//! Who may ask. The console acts with the operator's credentials, so nobody but the person who started it may use it:
//! not another user of the machine, not a page of another site in the same browser.
//!
//! | danger | answer |
//! |---|---|
//! | another user or program of this machine connects to the port | every page needs the session's cookie, which only the printed address sets |
//! | a foreign name that leads to 127.0.0.1 (DNS rebinding) | `Host` must be the bound address |
//! | a page of another origin sends a form or a request | `Origin` must be ours, the cookie is `SameSite=Strict`, and a form carries the process' token |
//! | a page of another origin reads or frames a page | the cookie again; `Cross-Origin-Resource-Policy`, `frame-ancestors 'none'` |
//! | a stranger's words become markup | [`super::markup`], and a policy without inline scripts |

use std::net::SocketAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use uuid::Uuid;

/// Scripts, styles, media and forms from this server alone; media also from the buffers of a script's player.
const POLICY: &str = "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Headers of every answer. A stricter policy that a route has set stays. `no-referrer` would take the origin off forms.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Sent once the key is checked. The page sends the browser on by itself: after a redirect that began at another site, a
/// `SameSite=Strict` cookie would be left out.
const WELCOME: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Console</title><link rel=\"icon\" href=\"/assets/icon.svg\">\
                       <meta http-equiv=\"refresh\" content=\"0;url=/\"><p><a href=\"/\">To the console</a></p>";

/// The secrets of one process, and the address that it is bound to.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    address: SocketAddr,
    /// In the printed address and then in the cookie.
    session: String,
    /// In each form.
    token: String,
}

impl Keys {
    /// New secrets, of 122 random bits twice each.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let secret = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { address, session: secret(), token: secret() }
    }

    /// The address for the person who started the console.
    pub(crate) fn entrance(&self) -> String {
        format!("http://{}/?key={}", self.address, self.session)
    }

    /// The token of forms.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether a form's token is this process'.
    pub(super) fn accepts(&self, token: &str) -> bool {
        same(token, &self.token)
    }

    /// Cookies know no ports: the name keeps two consoles apart.
    fn cookie_name(&self) -> String {
        format!("console-{}", self.address.port())
    }

    fn cookie(&self) -> String {
        format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie_name(), self.session)
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let name = self.cookie_name();
        pairs.into_iter().any(|(found, value)| found == name && same(value, &self.session))
    }

    /// Whether the request names the bound address as its host: one header, and nothing else.
    fn is_host(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        host == Some(self.address.to_string().as_str()) && hosts.next().is_none()
    }

    fn is_origin(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        origin == Some(format!("http://{}", self.address).as_str())
    }

    fn is_entrance(&self, request: &Request) -> bool {
        let key = request.uri().query().and_then(|query| query.strip_prefix("key="));
        request.uri().path() == "/" && key.is_some_and(|key| same(key, &self.session))
    }

    /// Why a request is refused, if it is.
    fn refusal(&self, request: &Request) -> Option<(StatusCode, &'static str)> {
        if !self.is_host(request.headers()) {
            return Some((
                StatusCode::MISDIRECTED_REQUEST,
                "This console answers at its own address only.\n",
            ));
        }
        if !self.knows(request.headers()) {
            return Some((
                StatusCode::UNAUTHORIZED,
                "Open the address that `transcode-controller console` printed: it has this console's key.\n",
            ));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads && !self.is_origin(request.headers()) {
            return Some((StatusCode::FORBIDDEN, "Only this console's own pages may change anything.\n"));
        }
        None
    }
}

/// Compares every byte, so that the time says nothing of where a difference is.
fn same(one: &str, other: &str) -> bool {
    let differs = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differs == 0
}

/// Lets a request through or refuses it, and puts the headers on the answer.
pub(super) async fn guard(State(keys): State<Keys>, request: Request, next: Next) -> Response {
    let mut response = if keys.is_host(request.headers()) && keys.is_entrance(&request) {
        ([(header::SET_COOKIE, keys.cookie())], Html(WELCOME)).into_response()
    } else if let Some(refusal) = keys.refusal(&request) {
        refusal.into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
