//! The player: a video element that works by itself where the browser plays HLS, and what `player.js` needs.

use transcode_config::contract::{JobKey, Outcome, TaskState};

use crate::console::{
    documents::Job,
    markup::{Html, html},
};

/// Places below a job's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Playable {
    /// The master playlist.
    pub(super) playlist: String,
    pub(super) poster: Option<String>,
    pub(super) storyboard: Option<String>,
    /// It still grows.
    pub(super) early: bool,
}

/// What can be played of a job now: its live result, or what its task has ready.
pub(super) fn playable(job: &Job) -> Option<Playable> {
    let prefix = &job.spec.as_ref()?.output.prefix;
    let below = |key: &str| key.strip_prefix(prefix.as_str()).map(str::to_owned);
    match job.terminal.as_ref().map(|terminal| &terminal.outcome) {
        Some(Outcome::Succeeded(won)) if job.live.as_ref().is_some_and(|live| live.job == job.job) => {
            let entry = |name: &str| {
                let names = won.entry_points.iter().filter_map(|entry| below(&entry.to));
                names.into_iter().find(|found| found == name)
            };
            let video = job.result.as_ref().is_some_and(|made| !made.video.is_empty());
            let storyboard =
                below(&won.folder).filter(|_| video).map(|folder| folder + "images/storyboard.vtt");
            Some(Playable {
                playlist: entry("master.m3u8")?,
                poster: entry("poster.jpg"),
                storyboard,
                early: false,
            })
        }
        Some(_) => None,
        None => {
            let heartbeat = job.attempts.last()?.heartbeat.as_ref()?;
            let playlist = below(heartbeat.playable.as_ref()?)?;
            (heartbeat.state == TaskState::Working).then_some(Playable {
                playlist,
                poster: None,
                storyboard: None,
                early: true,
            })
        }
    }
}

/// The player's section, which is no live part: nobody wants a film to begin anew. Empty until there is something to play.
pub(super) fn player(job: &Job, hls_js: bool) -> Html {
    let mut html = Html::default();
    html.raw("<section id=\"player\" class=\"player\" aria-label=\"Player\">");
    if let Some(playable) = playable(job) {
        element(&mut html, &job.job, &playable, hls_js);
    }
    html.raw("</section>\n");
    html
}

fn element(html: &mut Html, job: &JobKey, playable: &Playable, hls_js: bool) {
    let Playable { playlist, poster, storyboard, early } = playable;
    html! { html, "<div class=\"screen\"><video controls playsinline preload=\"metadata\" src=\"/media/" (job) "/"
    (playlist) "\"" }
    if let Some(poster) = poster {
        html! { html, " poster=\"/media/" (job) "/" (poster) "\"" }
    }
    if let Some(storyboard) = storyboard {
        html! { html, " data-storyboard=\"/media/" (job) "/" (storyboard) "\"" }
    }
    if *early {
        html.raw(" data-early");
    }
    if hls_js {
        html.raw(" data-hls=\"/assets/hls.js\"");
    }
    html.raw("></video></div>\n");
    if storyboard.is_some() {
        // Shown by the script: without it there is nothing to see in it.
        html.raw(
            "<div class=\"seek\" hidden><canvas width=\"160\" height=\"90\" hidden></canvas>\
             <input type=\"range\" min=\"0\" max=\"1000\" value=\"0\" step=\"1\" aria-label=\"Position, with preview\"></div>\n",
        );
    }
    html.raw(
        "<p class=\"controls\"><label class=\"quality\" hidden>Quality <select></select></label> \
              <span class=\"engine\" role=\"status\"></span></p>\n",
    );
    if *early {
        html.raw("<p class=\"faint\">The task is still at work: this is what is ready.</p>\n");
    }
    if !hls_js {
        html.raw(
            "<p class=\"hint no-hls\">Nothing to see? Not every browser plays HLS by itself. Get hls.js once, and start the \
             console with it: <code>npm pack hls.js@1.7.4 &amp;&amp; tar xf hls.js-1.7.4.tgz</code>, then \
             <code>--hls-js package/dist/hls.min.js</code>. In a checkout, <code>scripts/setup --test</code> brings it.</p>\n",
        );
    }
}
