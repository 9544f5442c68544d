//! A subscriber that keeps the spans and events of this crate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context as Scope, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The fields of a span or an event, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn is_of(&self, listener: &str) -> bool {
        self.get("listener") == Some(listener)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The spans that have ended.
    pub(crate) spans: Vec<Fields>,
    /// Each event, and the span that it was in.
    pub(crate) events: Vec<(Fields, Option<Fields>)>,
}

pub(crate) static SEEN: Mutex<Seen> = Mutex::new(Seen { spans: Vec::new(), events: Vec::new() });

/// Keeps the spans and events of this crate.
struct Capture;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, scope: Scope<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        scope.span(id).expect("it is there").extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, scope: Scope<'_, S>) {
        let span = scope.span(id).expect("it is there");
        values.record(span.extensions_mut().get_mut::<Fields>().expect("inserted"));
    }

    fn on_event(&self, event: &Event<'_>, scope: Scope<'_, S>) {
        if event.metadata().target() == "tower_linger" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let span = scope.event_span(event);
            let span = span.and_then(|span| span.extensions().get::<Fields>().cloned());
            SEEN.lock().expect("no panic").events.push((fields, span));
        }
    }

    fn on_close(&self, id: Id, scope: Scope<'_, S>) {
        let span = scope.span(&id).expect("it is there");
        if span.metadata().target() == "tower_linger" && span.name() == "close" {
            let fields = span.extensions().get::<Fields>().expect("inserted").clone();
            SEEN.lock().expect("no panic").spans.push(fields);
        }
    }
}

pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing_subscriber::registry().with(Capture).init());
}

/// The spans of a listener that have ended.
pub(crate) fn spans(listener: &str) -> Vec<Fields> {
    let seen = SEEN.lock().expect("no panic");
    seen.spans.iter().filter(|span| span.is_of(listener)).cloned().collect()
}

pub(crate) fn only_span(listener: &str) -> Fields {
    let spans = spans(listener);
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans[0].clone()
}
