//! What a stream says before it is ended: known to a layer further in, said by the auth layer.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_ENCODING;

/// Hears what a stream says to the client, and has the last word where its credential ends it.
pub(crate) trait LastWords: Send + Sync + 'static {
    fn heard(&mut self, data: &[u8]);
    /// `None`: the stream ends as it is.
    fn say(&mut self) -> Option<Bytes>;
}

/// The last words, in the extensions of a response; the next auth layer further out takes them.
// An extension has to be `Clone`, and there is one stream: the first to take them has them.
#[derive(Clone)]
pub(crate) struct EndOfStream(Arc<Mutex<Option<Box<dyn LastWords>>>>);

impl EndOfStream {
    pub(crate) fn new(words: impl LastWords) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(words)))))
    }

    /// Takes the words out of a response. None are for a body that somebody encoded in between.
    pub(super) fn take<B>(response: &mut Response<B>) -> Option<Box<dyn LastWords>> {
        let Self(words) = response.extensions_mut().remove()?;
        let words = words.lock().unwrap_or_else(PoisonError::into_inner).take();
        words.filter(|_| !response.headers().contains_key(CONTENT_ENCODING))
    }
}
