//! What an instance lives in: its memory limit, its voice, its state, and a WASI context with nothing in it but what is
//! granted.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use super::error::CallError;
use super::files::Files;
use super::http::Web;
use super::log::{StandardStream, Voice};
use super::memory::MemoryLimit;
use super::runtime::Plugin;
use super::state::State;

/// Bytes that a guest may hand to the host in one call, counted by wasmtime while it copies them.
pub(super) const HOSTCALL_BYTES: usize = 16 << 20;
/// Files, streams, pollables, requests, header fields and the like that an instance may hold at once. They live in the host's
/// memory. What may be large among them (bodies, listings) counts towards `memory`; of the rest each takes at most 60 KiB (a
/// request with its URL, header fields and the part of its body that is not yet sent), so all of them at most 16 MiB.
pub(super) const RESOURCES: usize = 256;
/// Bytes of a set of header fields, as they are held in memory: 16 KiB. Servers take 8 KiB on the wire.
const FIELD_BYTES: usize = 16 << 10;
/// Random bytes that a guest may ask for in one call. They too are made in the host's memory (wasmtime's bound: 64 MiB).
const RANDOM_BYTES: u64 = 1 << 20;

/// The state of one store.
pub(super) struct Sandbox {
    pub(super) voice: Voice,
    pub(super) memory: MemoryLimit,
    pub(super) state: State,
    pub(super) files: Files,
    pub(super) web: Web,
    pub(super) http: WasiHttpCtx,
    pub(super) resources: ResourceTable,
    wasi: WasiCtx,
}

impl Sandbox {
    /// A store for an instance of a plugin.
    ///
    /// # Errors
    /// What the plugin is granted is not there any more, or a folder of it hangs.
    pub(super) async fn store(plugin: &Plugin, state: State) -> Result<Store<Self>, CallError> {
        let voice = Voice::new(Arc::clone(&plugin.name));
        let mut wasi = WasiCtx::builder();
        wasi.stdout(StandardStream(voice.clone()))
            .stderr(StandardStream(voice.clone()))
            .allow_tcp(false)
            .allow_udp(false)
            .max_random_size(RANDOM_BYTES);
        let mut wasi = plugin.granted.give(wasi).await?.build();
        let files = Files::new(Arc::clone(&plugin.shared.files), Arc::clone(&plugin.left_over), &mut wasi)?;
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES);
        let memory = MemoryLimit::new(plugin.memory);
        let web = Web::new(plugin, voice.clone(), Arc::clone(&memory.budget));
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES);
        let sandbox = Self { voice, memory, state, files, web, http, resources, wasi };
        let mut store = Store::new(&plugin.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        Ok(store)
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}
