//! Server-sent events as text.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

/// What a stream may begin with.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The lines of an event. A CRLF gives an empty one more, which means nothing inside of an event.
pub(crate) fn lines(event: &str) -> impl Iterator<Item = &str> {
    event.split(['\n', '\r'])
}

/// The name and the value of a line.
pub(crate) fn field(line: &str) -> (&str, &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name, value.strip_prefix(' ').unwrap_or(value))
}

/// The data of an event; empty where it has none.
pub(crate) fn data_of(event: &str) -> String {
    let mut data = String::new();
    let mut first = true;
    for line in lines(event) {
        if let ("data", value) = field(line) {
            if !std::mem::take(&mut first) {
                data.push('\n');
            }
            data.push_str(value);
        }
    }
    data
}

/// The data of complete events. Those without data are left out. A stream is given from its
/// beginning.
#[cfg(any(feature = "doctor", fuzzing))]
pub(crate) fn complete_events(stream: &str) -> Vec<String> {
    let stream = stream.strip_prefix(BYTE_ORDER_MARK).unwrap_or(stream);
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    // What follows the last empty line is not complete.
    let whole = stream.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let data = whole.split("\n\n").map(data_of);
    data.filter(|data| !data.is_empty()).collect()
}

#[cfg(all(test, feature = "doctor"))]
mod tests {
    use super::*;

    #[test]
    fn events_end_with_an_empty_line_however_lines_end() {
        for (stream, expected) in [
            ("", vec![]),
            ("data: a", vec![]),
            ("data: a\n", vec![]),
            ("data: a\n\n", vec!["a"]),
            ("data: a\r\n\r\ndata: b\r\n\r\ndata: c\r\n", vec!["a", "b"]),
            ("data: a\r\rdata:b\r\r", vec!["a", "b"]),
            // Half of the second line end has come, which is enough.
            ("data: a\r\n\r", vec!["a"]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            (" data: a\n\n", vec![]),
            ("data:  a\ndata\nid: 1\ndata: b\n\n", vec![" a\n\nb"]),
            (": data: a\n\ndatas: a\n\ndata: a\n\n\n", vec!["a"]),
        ] {
            assert_eq!(complete_events(stream), expected, "{stream:?}");
        }
    }
}
