//! The future of the list filter: decides by the head of the response.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{ListsBody, View};
use crate::gate::{KnownLength, ResponseBody};
use crate::refusal;
use crate::telemetry;

/// What is said of the whole answer: its length, its version, its digests (RFC 9530).
const WHOLE: [HeaderName; 4] = [
    CONTENT_LENGTH,
    ETAG,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

pin_project! {
    /// The future of a [`McpLists`](super::McpLists).
    pub struct ListsFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F> {
        Inner {
            #[pin]
            future: F,
            // Taken with the response.
            view: Option<View>,
            no_lists: bool,
        },
        Unfiltered {
            #[pin]
            future: F,
        },
        Respond {
            response: Option<Response<Bytes>>,
        },
    }
}

impl<F> ListsFuture<F> {
    pub(super) fn inner(future: F, view: View, no_lists: bool) -> Self {
        Self {
            kind: Kind::Inner {
                future,
                view: Some(view),
                no_lists,
            },
        }
    }

    pub(super) fn unfiltered(future: F) -> Self {
        Self {
            kind: Kind::Unfiltered { future },
        }
    }

    pub(super) fn respond(response: Response<Bytes>) -> Self {
        Self {
            kind: Kind::Respond {
                response: Some(response),
            },
        }
    }
}

/// What a response is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    Events,
    /// JSON to some clients, as it has no media type, or one that says little: how it begins
    /// decides.
    Unsaid,
    /// JSON to some clients, and events to others.
    Both,
}

/// Types that clients take for no message, whatever is in them. gRPC can have `json` in its
/// type.
const OTHERS: [&[u8]; 10] = [
    b"application/grpc",
    b"application/javascript",
    b"audio/",
    b"font/",
    b"image/",
    b"text/css",
    b"text/html",
    b"text/javascript",
    b"text/xml",
    b"video/",
];

/// What clients can take a response for. They search its media type for a text, look at how it
/// begins, or read JSON from whatever they get: any type that has `json` in it is JSON, with
/// parameters, in upper case, twice, or none at all.
fn media(headers: &HeaderMap) -> Option<Media> {
    let (mut json, mut events, mut others) = (false, false, true);
    let mut values = headers.get_all(CONTENT_TYPE).iter().peekable();
    if values.peek().is_none() {
        return Some(Media::Unsaid);
    }
    for value in values {
        let value = value.as_bytes().to_ascii_lowercase();
        let value = value.trim_ascii();
        let is_other = OTHERS.iter().any(|other| value.starts_with(other));
        let says = |text: &[u8]| value.windows(text.len()).any(|window| window == text);
        json |= says(b"json") && !value.starts_with(b"application/grpc");
        events |= says(b"event-stream");
        others &= is_other;
    }
    match (json, events) {
        (true, true) => Some(Media::Both),
        (true, false) => Some(Media::Json),
        (false, true) => Some(Media::Events),
        (false, false) if others => None,
        (false, false) => Some(Media::Unsaid),
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        !value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"identity")
    })
}

fn filtered<B: Body>(
    response: Response<B>,
    view: View,
    no_lists: bool,
) -> Response<ResponseBody<ListsBody<B>>> {
    let media = media(response.headers());
    let media = media.filter(|media| *media == Media::Events || !no_lists);
    // Of a response without a body the length is said all the same, as to HEAD.
    let media = media.filter(|_| !response.body().is_end_stream());
    let Some(media) = media else {
        return response.map(|body| ResponseBody::inner(ListsBody::pass(body)));
    };
    let withheld = match media {
        Media::Both => Some("media_type"),
        _ => is_encoded(response.headers()).then_some("encoded"),
    };
    if let Some(why) = withheld {
        telemetry::list_withheld(why);
        let (own, bytes) = refusal::internal_error_response().into_parts();
        let body = ListsBody::own(response.into_body(), bytes);
        return Response::from_parts(own, ResponseBody::inner(body));
    }
    let is_known = response.headers().contains_key(CONTENT_LENGTH)
        || response.body().size_hint().exact().is_some();
    let mut response = response.map(|body| {
        ResponseBody::inner(match media {
            Media::Events => ListsBody::events(body, view, no_lists),
            Media::Unsaid => ListsBody::json(body, view, false),
            Media::Json | Media::Both => ListsBody::json(body, view, true),
        })
    });
    for gone in WHOLE {
        response.headers_mut().remove(gone);
    }
    if is_known {
        response.extensions_mut().insert(KnownLength);
    }
    response
}

impl<F, B, E> Future for ListsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<ListsBody<B>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Inner {
                future,
                view,
                no_lists,
            } => {
                let response = ready!(future.poll(cx))?;
                let view = view.take().expect("ListsFuture polled after completion");
                Ok(filtered(response, view, *no_lists))
            }
            KindProj::Unfiltered { future } => {
                let response = ready!(future.poll(cx))?;
                Ok(response.map(|body| ResponseBody::inner(ListsBody::pass(body))))
            }
            KindProj::Respond { response } => {
                let response = response
                    .take()
                    .expect("ListsFuture polled after completion");
                Ok(response.map(ResponseBody::own))
            }
        })
    }
}

impl<F> fmt::Debug for ListsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListsFuture").finish_non_exhaustive()
    }
}
