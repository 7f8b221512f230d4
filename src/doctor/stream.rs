//! JSON-RPC answers, in a body or in an event stream.

use serde_json::{Map, Value};

use super::client::Answer;
use crate::json::object;
use crate::util::event_stream::complete_events;

/// Whether the stream has brought an answer, so that nothing more is waited for.
pub(super) fn has_answer(body: &[u8]) -> bool {
    events(body).any(|data| is_answer(&data))
}

/// The JSON-RPC answer, wherever it stands.
pub(super) fn answer(answer: &Answer) -> Option<Map<String, Value>> {
    if answer.media_type() == "text/event-stream" {
        return events(&answer.body).find(is_answer);
    }
    object(&answer.body).ok().filter(is_answer)
}

fn is_answer(message: &Map<String, Value>) -> bool {
    message.contains_key("result") || message.contains_key("error")
}

/// The objects in the data of complete events.
fn events(body: &[u8]) -> impl Iterator<Item = Map<String, Value>> {
    let events = complete_events(&String::from_utf8_lossy(body));
    events
        .into_iter()
        .filter_map(|data| object(data.as_bytes()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_once_its_event_is_whole() {
        let start = "id: 0\ndata:\n\n: ping\n\ndata: {\"method\":\"notifications/x\"}\n\n";
        for (rest, is_there) in [
            ("", false),
            ("data: {\"result\":{}}", false),
            ("data: {\"result\":{}}\n\n", true),
            (
                "event: message\r\ndata: {\"error\":\r\ndata: {}}\r\n\r\n",
                true,
            ),
            ("data: {\"result\":\n\n", false),
            ("data: {\"result\":{}}\r\r", true),
        ] {
            let body = format!("{start}{rest}");
            assert_eq!(has_answer(body.as_bytes()), is_there, "{rest:?}");
        }
    }
}
