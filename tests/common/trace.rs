//! What was traced on this thread.
//!
//! One subscriber for the whole process, writing to the thread an event happens on:
//! subscribers per test would race for the cached interest of the call sites.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::rc::Rc;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static SEEN: RefCell<Vec<Traced>> = const { RefCell::new(Vec::new()) };
    static REACTION: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// One event.
#[derive(Clone, Debug)]
pub struct Traced {
    pub level: Level,
    pub target: String,
    pub fields: BTreeMap<String, String>,
}

impl Traced {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// Starts to record on this thread, forgetting what was recorded before.
pub fn start() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
    REACTION.set(None);
    take();
}

/// Starts to record, and calls this from within each event of this crate on this thread, as a
/// subscriber may.
pub fn react(reaction: impl Fn() + 'static) {
    start();
    REACTION.set(Some(Rc::new(reaction)));
}

/// The events since [`start`], or since the last call, but for those of requests that went on;
/// of this crate only.
pub fn take() -> Vec<Traced> {
    let mut events = take_all();
    events.retain(|event| event.level < Level::TRACE);
    events
}

/// The same, and those of requests that went on.
pub fn take_all() -> Vec<Traced> {
    take_everything().into_iter().filter(is_ours).collect()
}

fn is_ours(event: &Traced) -> bool {
    event.target.starts_with("tower_mcp_auth")
}

/// The same, and what other crates told.
pub fn take_everything() -> Vec<Traced> {
    SEEN.with_borrow_mut(std::mem::take)
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let traced = Traced {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            fields: fields.0,
        };
        let is_ours = is_ours(&traced);
        SEEN.with_borrow_mut(|seen| seen.push(traced));
        let reaction = REACTION.with_borrow(Option::clone);
        if let Some(reaction) = reaction.filter(|_| is_ours) {
            reaction();
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), text);
    }
}
