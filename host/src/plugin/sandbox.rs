//! What an instance lives in: its memory limit, its voice, its state, and a WASI context with nothing in it but what is
//! granted.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use super::error::CallError;
use super::http::Web;
use super::log::{StandardStream, Voice};
use super::runtime::Plugin;
use super::state::State;

/// Bytes that a guest may hand to the host in one call, counted by wasmtime while it copies them.
pub(super) const HOSTCALL_BYTES: usize = 16 << 20;
/// Entries of all function tables of an instance. CPython, the largest guest known, has below 20,000.
const TABLE_ELEMENTS: usize = 100_000;
/// Streams, pollables and the like that an instance may hold at once. They live in the host's memory, which `memory` does
/// not count; wasmtime's own bound of a million is some hundred MiB.
const RESOURCES: usize = 1_000;
/// Random bytes that a guest may ask for in one call. They too are made in the host's memory (wasmtime's bound: 64 MiB).
const RANDOM_BYTES: u64 = 1 << 20;

/// The state of one store.
pub(super) struct Sandbox {
    pub(super) voice: Voice,
    pub(super) memory: MemoryLimit,
    pub(super) state: State,
    pub(super) web: Web,
    pub(super) http: WasiHttpCtx,
    pub(super) resources: ResourceTable,
    wasi: WasiCtx,
}

/// Counts all linear memories and tables of an instance together.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    limit: usize,
    used: usize,
    elements: usize,
    /// What was counted before the last growth, which may still fail.
    before: (usize, usize),
    /// What the guest was refused since the last look.
    pub(super) refused: Option<CallError>,
}

impl Sandbox {
    /// A store for an instance of a plugin.
    ///
    /// # Errors
    /// What the plugin is granted is not there any more.
    pub(super) fn store(plugin: &Plugin, state: State) -> Result<Store<Self>, CallError> {
        let voice = Voice::new(Arc::clone(&plugin.name));
        let mut wasi = WasiCtx::builder();
        wasi.stdout(StandardStream(voice.clone()))
            .stderr(StandardStream(voice.clone()))
            .allow_tcp(false)
            .allow_udp(false)
            .max_random_size(RANDOM_BYTES);
        plugin.granted.give(&mut wasi)?;
        let wasi = wasi.build();
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES);
        let memory = MemoryLimit { limit: plugin.memory, used: 0, elements: 0, before: (0, 0), refused: None };
        let servers = Arc::clone(&plugin.granted.servers);
        let web = Web::new(Arc::clone(&plugin.name), voice.clone(), servers, plugin.sender.clone());
        let sandbox = Self { voice, memory, state, web, http: WasiHttpCtx::new(), resources, wasi };
        let mut store = Store::new(&plugin.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        // At each tick the guest makes room for other tasks; that also lets the timeout around the call look at the clock.
        store.set_epoch_deadline(1);
        // Tokio's own `yield_now`, since only that lets a thread that runs nothing else look at its timers every time.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        Ok(store)
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl MemoryLimit {
    /// Bytes of all linear memories together.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    fn fits(&mut self, used: usize, elements: usize) -> bool {
        self.before = (self.used, self.elements);
        if used > self.limit {
            self.refused = Some(CallError::OutOfMemory(self.limit));
        } else if elements > TABLE_ELEMENTS {
            self.refused = Some(CallError::TableFull(TABLE_ELEMENTS));
        } else {
            (self.used, self.elements) = (used, elements);
            return true;
        }
        false
    }

    /// A growth that was allowed did not come about: the guest's own maximum was in the way, or the system had no memory.
    const fn take_back(&mut self) {
        (self.used, self.elements) = self.before;
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        Ok(self.fits(used, self.elements))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_sub(current).saturating_add(desired);
        Ok(self.fits(self.used, elements))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }
}
