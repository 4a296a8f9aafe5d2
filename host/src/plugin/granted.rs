//! What a plugin is granted, made ready for its instances.

use std::sync::Arc;

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::error::{CallError, outside};
use crate::config::grants::Dir;
use crate::config::{Grants, Server};

/// Variables with their values, folders, how large the state may be, and web servers.
pub(super) struct Granted {
    env: Vec<(String, String)>,
    dirs: Vec<Dir>,
    /// In bytes.
    pub(super) state: usize,
    pub(super) servers: Arc<[Server]>,
}

impl Granted {
    /// The grants of a plugin; looks up its variables in the environment of this process.
    pub(super) fn of(plugin: &str, grants: &Grants) -> Self {
        let env = grants.env.iter().filter_map(|variable| match std::env::var(variable.name()) {
            Ok(value) => Some((variable.name().to_owned(), value)),
            Err(error) => {
                tracing::warn!(plugin, "the variable `{variable}` is granted, but not there for the plugin: {error}");
                None
            }
        });
        Self {
            env: env.collect(),
            dirs: grants.dirs.clone(),
            state: grants.state.map_or(0, crate::config::grants::StateSize::bytes),
            servers: grants.http.iter().flatten().cloned().collect(),
        }
    }

    /// Hands all of it to an instance.
    ///
    /// # Errors
    /// A folder is not there any more.
    pub(super) fn give(&self, wasi: &mut WasiCtxBuilder) -> Result<(), CallError> {
        wasi.envs(&self.env);
        for Dir { host, guest, write } in &self.dirs {
            let allowed = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            wasi.preopened_dir(host, guest, allowed).map_err(|error| {
                CallError::GrantGone(outside(format_args!("the folder `{}`: {error:#}", host.display())))
            })?;
        }
        Ok(())
    }
}
