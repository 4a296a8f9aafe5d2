//! What an instance lives in: its memory limit, its voice, and a WASI context with nothing in it.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::log::{StandardStream, Voice};

/// Bytes that a guest may hand to the host in one call, counted by wasmtime while it copies them.
pub(super) const HOSTCALL_BYTES: usize = 16 << 20;
/// Entries of all function tables of an instance. CPython, the largest guest known, has below 20,000.
const TABLE_ELEMENTS: usize = 100_000;

/// The state of one store.
pub(super) struct Sandbox {
    pub(super) voice: Voice,
    pub(super) memory: MemoryLimit,
    wasi: WasiCtx,
    resources: ResourceTable,
}

/// Counts all linear memories and tables of an instance together.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    limit: usize,
    used: usize,
    elements: usize,
    /// Whether the guest was refused memory since the last look.
    pub(super) refused: bool,
}

impl Sandbox {
    pub(super) fn store(engine: &wasmtime::Engine, plugin: Arc<str>, memory: usize) -> Store<Self> {
        let voice = Voice::new(plugin);
        let wasi = WasiCtx::builder()
            .stdout(StandardStream(voice.clone()))
            .stderr(StandardStream(voice.clone()))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let sandbox = Self {
            voice,
            memory: MemoryLimit { limit: memory, used: 0, elements: 0, refused: false },
            wasi,
            resources: ResourceTable::new(),
        };
        let mut store = Store::new(engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        // At each tick the guest makes room for other tasks; that also lets the timeout around the call look at the clock.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
        store
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl MemoryLimit {
    fn fits(&mut self, used: usize, elements: usize) -> bool {
        let fits = used <= self.limit && elements <= TABLE_ELEMENTS;
        if fits {
            self.used = used;
            self.elements = elements;
        } else {
            self.refused = true;
        }
        fits
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        Ok(self.fits(used, self.elements))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_sub(current).saturating_add(desired);
        Ok(self.fits(self.used, elements))
    }
}
