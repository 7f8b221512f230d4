//! Refusals as responses: status, headers and body, over every form.

mod answers;
mod unread;
