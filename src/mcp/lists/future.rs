use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, Response};
use pin_project_lite::pin_project;

use super::{ListsBody, View};
use crate::auth::ResponseBody;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    Events,
}

/// What kind of messages a response can hold.
fn media(headers: &HeaderMap) -> Option<Media> {
    let of = |value: &[u8]| {
        let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
        if essence.eq_ignore_ascii_case(b"text/event-stream") {
            return Some(Media::Events);
        }
        let essence = essence.to_ascii_lowercase();
        let is_json = essence == b"application/json" || essence.ends_with(b"+json");
        is_json.then_some(Media::Json)
    };
    headers
        .get_all(CONTENT_TYPE)
        .iter()
        .find_map(|value| of(value.as_bytes()))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn filtered<B>(
    response: Response<B>,
    view: View,
    no_lists: bool,
) -> Response<ResponseBody<ListsBody<B>>> {
    let media = media(response.headers()).filter(|media| !(no_lists && *media == Media::Json));
    let Some(media) = media else {
        return response.map(|body| ResponseBody::inner(ListsBody::pass(body)));
    };
    if is_encoded(response.headers()) {
        telemetry::list_withheld("encoded");
        let (own, bytes) = refusal::internal_error_response().into_parts();
        let body = ListsBody::own(response.into_body(), bytes);
        return Response::from_parts(own, ResponseBody::inner(body));
    }
    let mut response = response.map(|body| {
        ResponseBody::inner(match media {
            Media::Json => ListsBody::json(body, view),
            Media::Events => ListsBody::events(body, view),
        })
    });
    for gone in WHOLE {
        response.headers_mut().remove(gone);
    }
    response
}

impl<F, B, E> Future for ListsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
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
