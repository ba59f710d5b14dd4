//! What is around every page.

use crate::console::markup::{Html, html};

/// What a page is, for the frame around it.
#[derive(Debug, Default)]
pub(in crate::console) struct Head<'a> {
    pub(in crate::console) title: &'a str,
    /// Path of the entry of the navigation.
    pub(in crate::console) at: &'a str,
    /// Seconds after which the page is fetched again; none if nothing on it changes.
    pub(in crate::console) poll: Option<u32>,
    /// Name of the environment, and whether its controller speaks.
    pub(in crate::console) environment: Option<(&'a str, &'a str)>,
}

/// The entries of the navigation.
const PLACES: [(&str, &str); 2] = [("/", "Jobs"), ("/letters", "Dead letters")];

/// A whole page.
pub(in crate::console) fn page(head: &Head<'_>, body: &Html) -> String {
    let mut page = Html::default();
    html! { page,
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" (head.title) " · transcode console</title>\n"
    "<link rel=\"icon\" href=\"/assets/icon.svg\">\n<link rel=\"stylesheet\" href=\"/assets/console.css\">\n"
    "<script type=\"module\" src=\"/assets/console.js\"></script>\n</head>\n<body" }
    if let Some(seconds) = head.poll {
        html! { page, " data-poll=\"" (seconds) "\"" }
    }
    html! { page, ">\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n"
    "<a class=\"brand\" href=\"/\">transcode</a>\n<nav aria-label=\"Pages\">" }
    for (path, name) in PLACES {
        html! { page, "<a href=\"" (path) "\"" }
        if path == head.at {
            page.raw(" aria-current=\"page\"");
        }
        html! { page, ">" (name) "</a>" }
    }
    page.raw("</nav>\n");
    if let Some((name, controller)) = head.environment {
        html! { page, "<p id=\"environment\" data-live>environment <b>" (name) "</b>, controller <b class=\"is-"
        (controller) "\">"
        (controller) "</b></p>\n" }
    }
    html! { page, "</header>\n<main id=\"main\" tabindex=\"-1\">\n" [body]
    "</main>\n<p id=\"news\" class=\"unseen\" role=\"status\" aria-live=\"polite\"></p>\n</body>\n</html>\n" }
    page.into_string()
}

/// A page that says what went wrong.
pub(in crate::console) fn failed(why: &str) -> String {
    let mut body = Html::default();
    html! { body, "<h1>That did not work</h1>\n<p class=\"says bad\">" (why)
    "</p>\n<p><a href=\"/\">Back to the jobs</a></p>\n" }
    page(&Head { title: "Error", ..Head::default() }, &body)
}
