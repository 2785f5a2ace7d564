//! The static files of the pages: style sheet, script, icon. The path contains a hash of the content, so that browsers may
//! cache the files forever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

const YEAR: &str = "public, max-age=31536000, immutable";

#[derive(Debug)]
pub(super) struct Asset {
    pub path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, text: &'static str) -> Self {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        Self { path: format!("/static/{stem}-{}.{extension}", &hash[..12]), content_type, bytes: text.as_bytes() }
    }
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../assets/style.css")));
pub(super) static LIVE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("live", "js", "text/javascript; charset=utf-8", include_str!("../assets/live.js")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")));

pub(super) async fn get(Path(name): Path<String>) -> Response {
    let all: [&Asset; 3] = [&STYLE, &LIVE, &ICON];
    match all.into_iter().find(|asset| asset.path.strip_prefix("/static/") == Some(&name)) {
        Some(asset) => {
            let headers = [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, YEAR)];
            (headers, asset.bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
