//! The plugins that are part of the program, built from `plugins/` and committed in `plugins/dist/`.

/// A plugin that is part of the program.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// The name that `component` takes.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    pub(super) component: &'static [u8],
}

/// All of them.
pub const BUNDLED: [Bundled; 3] = [
    Bundled {
        name: "match",
        about: "filter: conditions on kind, action, engine, name, image, labels, attributes and facts",
        component: include_bytes!("../../../plugins/dist/match.wasm"),
    },
    Bundled {
        name: "email",
        about: "formatter: subject, text and HTML for people",
        component: include_bytes!("../../../plugins/dist/email.wasm"),
    },
    Bundled {
        name: "json",
        about: "formatter: one line of JSON in the engine API's own field names",
        component: include_bytes!("../../../plugins/dist/json.wasm"),
    },
];
