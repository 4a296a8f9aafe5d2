//! Running plugins: one warm instance, and a fresh one after every failure.

use std::fmt;
use std::sync::Arc;

use tokio::time::error::Elapsed;
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap};

use super::error::{CallError, Refused, outside};
use super::processors::Slices;
use super::runtime::{Plugin, Role};
use super::sandbox::{HOSTCALL_BYTES, RESOURCES, Sandbox};
use super::state::State;
use super::v0_1;
use crate::event::Event;
use crate::message::{Batch, Notification};
use crate::text::{is_hidden, one_line};

/// Messages that a formatter may make of one batch.
const MAX_NOTIFICATIONS: usize = 16;
/// Forms of one message. Mail programs show two, and a few more may be attached.
const MAX_ALTERNATIVES: usize = 32;
/// Fields of one message.
const MAX_FIELDS: usize = 256;
/// Bytes of all fields of one message, names and values.
const MAX_FIELD_BYTES: usize = 64 << 10;
/// Bytes of a subject; RFC 5322 allows lines of 998.
const MAX_SUBJECT: usize = 900;
/// Bytes of a media type; RFC 6838 allows 127 on each side of the `/`.
const MAX_MEDIA_TYPE: usize = 255;

/// A running filter.
#[derive(Debug)]
pub struct Filter(Instance);

/// A running formatter.
#[derive(Debug)]
pub struct Formatter(Instance);

struct Instance {
    plugin: Arc<Plugin>,
    /// Survives the instance.
    state: State,
    /// None after a failure, until the next call.
    live: Option<Live>,
}

struct Live {
    store: Store<Sandbox>,
    slices: Slices,
    filter: Option<v0_1::filter::Guest>,
    /// For events in their packed form, which costs less.
    packed: Option<(v0_1::packed_filter::Guest, v0_1::Packed)>,
    formatter: Option<v0_1::formatter::Guest>,
}

impl Filter {
    /// Starts an instance and configures it. What it keeps, if it is granted a state, ends with it.
    ///
    /// # Errors
    /// When the plugin is no filter, does not survive its start, or refuses its configuration.
    pub async fn start(plugin: Arc<Plugin>) -> Result<Self, Refused> {
        Self::start_with(plugin, None).await
    }

    /// The same with a state that outlives it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(plugin: Arc<Plugin>, state: Option<State>) -> Result<Self, Refused> {
        Instance::start(plugin, Role::Filter, state).await.map(Self)
    }

    /// The plugin's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// How much memory the instance has at present, in bytes; 0 where there is none, after a failure.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// Whether the filter lets an event pass.
    ///
    /// # Errors
    /// When the call fails; the next one has a fresh instance.
    pub async fn accept(&mut self, event: &Event) -> Result<bool, CallError> {
        let limit = self.0.plugin.timeout;
        let live = self.0.live().await?;
        live.slices.begin(&mut live.store);
        let outcome = if let Some((guest, packed)) = &mut live.packed {
            live.slices.run(limit, v0_1::accept_packed(guest, &mut live.store, event, packed)).await
        } else if let Some(guest) = &live.filter {
            live.slices.run(limit, v0_1::accept(guest, &mut live.store, event)).await
        } else {
            return Err(CallError::BadAnswer("it is no filter".to_owned()));
        };
        self.0.end_call(outcome)
    }
}

impl Formatter {
    /// Starts an instance and configures it. What it keeps, if it is granted a state, ends with it.
    ///
    /// # Errors
    /// When the plugin is no formatter, does not survive its start, or refuses its configuration.
    pub async fn start(plugin: Arc<Plugin>) -> Result<Self, Refused> {
        Self::start_with(plugin, None).await
    }

    /// The same with a state that outlives it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(plugin: Arc<Plugin>, state: Option<State>) -> Result<Self, Refused> {
        Instance::start(plugin, Role::Formatter, state).await.map(Self)
    }

    /// The plugin's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.plugin.name
    }

    /// How much memory the instance has at present, in bytes; 0 where there is none, after a failure.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// The messages for a batch: at least one, each with a subject of one line and a `text/plain` form.
    ///
    /// # Errors
    /// When the call fails or the answer breaks these rules; the next call has a fresh instance.
    pub async fn format(&mut self, batch: &Batch) -> Result<Vec<Notification>, CallError> {
        let limit = self.0.plugin.timeout;
        let live = self.0.live().await?;
        let Some(guest) = &live.formatter else { return Err(CallError::BadAnswer("it is no formatter".to_owned())) };
        live.slices.begin(&mut live.store);
        let outcome = live.slices.run(limit, v0_1::format(guest, &mut live.store, batch)).await;
        check(self.0.end_call(outcome)?)
    }
}

impl Instance {
    async fn start(plugin: Arc<Plugin>, role: Role, state: Option<State>) -> Result<Self, Refused> {
        let (is_it, other) = match role {
            Role::Filter => (plugin.filter.is_some(), Role::Formatter),
            Role::Formatter => (plugin.formatter.is_some(), Role::Filter),
        };
        if !is_it {
            return Err(Refused::WrongWorld {
                plugin: plugin.name.to_string(),
                wanted: role,
                lacks: format!("{}/{role}@{}", v0_1::PACKAGE, v0_1::VERSION),
                is: Some(other),
            });
        }
        let state = state.unwrap_or_else(|| State::fleeting(plugin.granted.state));
        let live = Live::start(&plugin, &state).await.map_err(|error| match error {
            CallError::Failed(reason) => Refused::configuration(&plugin.name, &plugin.made_of.0, reason),
            CallError::BadAnswer(reason) => Refused::Misfit { plugin: plugin.name.to_string(), reason },
            error => Refused::NotStarted { plugin: plugin.name.to_string(), error },
        })?;
        Ok(Self { plugin, state, live: Some(live) })
    }

    fn memory(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.store.data().memory.used())
    }

    async fn live(&mut self) -> Result<&mut Live, CallError> {
        if self.live.is_none() {
            self.live = Some(Live::start(&self.plugin, &self.state).await?);
        }
        // Just made sure of.
        self.live.as_mut().ok_or_else(|| CallError::Trapped("there is no instance".to_owned()))
    }

    /// What came of a call; after a trap or a timeout the instance is gone.
    fn end_call<T>(&mut self, outcome: Result<wasmtime::Result<Result<T, String>>, Elapsed>) -> Result<T, CallError> {
        let Some(live) = &mut self.live else { return Err(CallError::Trapped("there is no instance".to_owned())) };
        let ended = live.end_call(outcome, &self.plugin);
        if !matches!(ended, Ok(_) | Err(CallError::Failed(_))) {
            self.live = None;
        }
        ended
    }
}

impl Live {
    async fn start(plugin: &Plugin, state: &State) -> Result<Self, CallError> {
        let mut store = Sandbox::store(plugin, state.clone()).await?;
        let slices = plugin.shared.processors.share(&mut store);
        let voice = store.data().voice.clone();
        let started = slices.run(plugin.timeout, plugin.pre.instantiate_async(&mut store)).await;
        let instance = match started {
            Err(_) => return Err(CallError::TimedOut(plugin.timeout)),
            Ok(Err(error)) => return Err(classify(&error, store.data_mut().memory.refused.take(), voice.end_call())),
            Ok(Ok(instance)) => instance,
        };
        let misfit = |what: &'static str| {
            move |error: wasmtime::Error| CallError::BadAnswer(outside(format_args!("`{what}`: {error:#}")))
        };
        let setup = plugin.setup.load(&mut store, &instance).map_err(misfit("configure"))?;
        let filter = plugin.filter.as_ref().map(|indices| indices.load(&mut store, &instance));
        let packed = plugin.packed.as_ref().map(|indices| indices.load(&mut store, &instance));
        let formatter = plugin.formatter.as_ref().map(|indices| indices.load(&mut store, &instance));
        let mut live = Self {
            filter: filter.transpose().map_err(misfit("accept"))?,
            packed: packed.transpose().map_err(misfit("accept"))?.map(|guest| (guest, v0_1::Packed::default())),
            formatter: formatter.transpose().map_err(misfit("format"))?,
            store,
            slices,
        };
        live.slices.begin(&mut live.store);
        let outcome = live.slices.run(plugin.timeout, setup.call_configure(&mut live.store, &plugin.config)).await;
        live.end_call(outcome, plugin)?;
        Ok(live)
    }

    fn end_call<T>(
        &mut self,
        outcome: Result<wasmtime::Result<Result<T, String>>, Elapsed>,
        plugin: &Plugin,
    ) -> Result<T, CallError> {
        let said = self.store.data().voice.end_call();
        self.store.data_mut().web.end_call();
        let refused = self.store.data_mut().memory.refused.take();
        match outcome {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(text))) => Err(CallError::Failed(outside(text))),
            Ok(Err(error)) => Err(classify(&error, refused, said)),
            Err(_) => Err(CallError::TimedOut(plugin.timeout)),
        }
    }
}

/// A trap in words. A guest that is refused memory usually aborts, so a refusal explains the trap that follows it.
fn classify(error: &wasmtime::Error, refused: Option<CallError>, said: Option<String>) -> CallError {
    if let Some(refused) = refused {
        return refused;
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return CallError::Trapped(format!("it ended itself with exit code {}", exit.0));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return CallError::TooManyResources(RESOURCES);
    }
    // Wasmtime has no type for this one.
    if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
        return CallError::BadAnswer(format!(
            "it is more than the {} MiB that a call may hand over",
            HOSTCALL_BYTES >> 20
        ));
    }
    // Neither for this one, `ENOMEM` of `mmap`.
    if error.root_cause().to_string().contains("(os error 12)") {
        return CallError::no_addresses();
    }
    let what = match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "it aborted (`unreachable`)".to_owned(),
        Some(trap) => trap.to_string(),
        None => outside(format_args!("{:#}", error.root_cause())),
    };
    CallError::Trapped(match said {
        Some(said) => format!("{what}; it said: {said}"),
        None => what,
    })
}

fn check(mut notifications: Vec<Notification>) -> Result<Vec<Notification>, CallError> {
    let bad = |text: String| Err(CallError::BadAnswer(text));
    if notifications.is_empty() {
        return bad("it made no message".to_owned());
    }
    if notifications.len() > MAX_NOTIFICATIONS {
        return bad(format!("it made {} messages, at most {MAX_NOTIFICATIONS} are allowed", notifications.len()));
    }
    let bytes: usize = notifications.iter().flat_map(|made| &made.alternatives).map(|form| form.content.len()).sum();
    if bytes > HOSTCALL_BYTES {
        return bad(format!("it made {bytes} bytes, at most {HOSTCALL_BYTES} are allowed"));
    }
    for notification in &mut notifications {
        let (forms, fields) = (notification.alternatives.len(), notification.fields.len());
        if forms > MAX_ALTERNATIVES {
            return bad(format!("a message has {forms} forms, at most {MAX_ALTERNATIVES} are allowed"));
        }
        if fields > MAX_FIELDS {
            return bad(format!("a message has {fields} fields, at most {MAX_FIELDS} are allowed"));
        }
        let bytes: usize = notification.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_FIELD_BYTES {
            return bad(format!("the fields of a message have {bytes} bytes, at most {MAX_FIELD_BYTES} are allowed"));
        }
        if notification.subject.chars().all(|c| is_hidden(c) || c.is_whitespace()) {
            return bad("a message has no subject".to_owned());
        }
        notification.subject = one_line(&notification.subject, MAX_SUBJECT);
        if notification.alternative("text/plain").is_none() {
            return bad("a message has no `text/plain` form".to_owned());
        }
        if let Some(form) = notification.alternatives.iter().find(|form| !is_media_type(&form.media_type)) {
            return bad(format!("`{}` is not a media type", one_line(&form.media_type, MAX_MEDIA_TYPE)));
        }
    }
    Ok(notifications)
}

/// Two names of RFC 6838 and no parameters. Sinks put it into headers, where a line break would begin another one.
fn is_media_type(text: &str) -> bool {
    let name = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(allowed)
    };
    text.len() <= MAX_MEDIA_TYPE && text.split_once('/').is_some_and(|(kind, form)| name(kind) && name(form))
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("plugin", &self.plugin.name).field("live", &self.live.is_some()).finish()
    }
}
