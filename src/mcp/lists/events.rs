//! Reads server-sent events one after another, and filters each.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use super::Shows;
use super::filter::filter;
use crate::util::event_stream::{BYTE_ORDER_MARK, data_of, field, lines};

/// The bytes of the event that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Up to where no end of that line was found.
    searched: usize,
    started: bool,
    /// Whether what cannot be read passes: the request asked for no list.
    passes_unread: bool,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    TooLarge,
    Unreadable,
}

impl Events {
    pub(super) fn new(passes_unread: bool) -> Self {
        Self {
            passes_unread,
            ..Self::default()
        }
    }

    /// Takes more of the stream, and gives out the events it completes, without what is not
    /// shown.
    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        max: usize,
        view: &dyn Shows,
    ) -> Result<Vec<u8>, Unfit> {
        self.bytes.extend_from_slice(chunk);
        let mut out = Vec::new();
        let mut start = 0;
        while let Some((end, next)) = self.line_end() {
            let is_first = !self.started && self.line == 0;
            let is_blank =
                end == self.line || is_first && self.bytes[..end] == *BYTE_ORDER_MARK.as_bytes();
            (self.line, self.searched) = (next, next);
            if next - start > max {
                return Err(Unfit::TooLarge);
            }
            if is_blank {
                self.event(start..next, &mut out, view)?;
                start = next;
            }
        }
        self.bytes.drain(..start);
        self.line -= start;
        self.searched -= start;
        // Room that one large event needed is not kept for the rest of the stream.
        if self.bytes.capacity() > 64 * 1024 && self.bytes.len() < 1024 {
            self.bytes.shrink_to(1024);
        }
        match self.bytes.len() <= max {
            true => Ok(out),
            false => Err(Unfit::TooLarge),
        }
    }

    /// What is left where the stream ends. Readers drop an event that is not complete, but
    /// not all of them do.
    pub(super) fn finish(&mut self, view: &dyn Shows) -> Result<Vec<u8>, Unfit> {
        let mut out = Vec::new();
        self.event(0..self.bytes.len(), &mut out, view)?;
        self.bytes = Vec::new();
        Ok(out)
    }

    /// Where the current line ends, and the next begins.
    fn line_end(&mut self) -> Option<(usize, usize)> {
        let rest = &self.bytes[self.searched..];
        let Some(offset) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = self.searched + offset;
        self.searched = end;
        match (self.bytes[end], self.bytes.get(end + 1)) {
            // It may be half of a CRLF.
            (b'\r', None) => None,
            (b'\r', Some(b'\n')) => Some((end, end + 2)),
            _ => Some((end, end + 1)),
        }
    }

    fn event(
        &mut self,
        range: std::ops::Range<usize>,
        out: &mut Vec<u8>,
        view: &dyn Shows,
    ) -> Result<(), Unfit> {
        let raw = &self.bytes[range];
        let text = match self.started {
            false => raw.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(raw),
            true => raw,
        };
        self.started |= !raw.is_empty();
        let Ok(text) = std::str::from_utf8(text) else {
            return self.unread(raw, out);
        };
        let data = data_of(text);
        // A message is an object or an array; what is neither names the endpoint of the old
        // transport, or is a comment.
        let is_message = data
            .trim_start_matches(['\u{feff}', ' ', '\t', '\n', '\r'])
            .starts_with(['{', '[']);
        let filtered = match is_message {
            true => match filter(&data, view) {
                Ok(filtered) => filtered,
                Err(_) => return self.unread(raw, out),
            },
            false => None,
        };
        match filtered {
            None => out.extend_from_slice(raw),
            Some(message) => {
                for line in lines(text).filter(|line| field(line).0 != "data") {
                    // With a mark it is no field, and would be one where it comes to stand first.
                    if !line.is_empty() && !line.starts_with(BYTE_ORDER_MARK) {
                        out.extend_from_slice(line.as_bytes());
                        out.push(b'\n');
                    }
                }
                for line in message.split('\n') {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
                out.push(b'\n');
            }
        }
        Ok(())
    }

    fn unread(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        if !self.passes_unread {
            return Err(Unfit::Unreadable);
        }
        out.extend_from_slice(raw);
        Ok(())
    }
}
