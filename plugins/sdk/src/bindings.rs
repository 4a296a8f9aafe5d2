//! What `wit-bindgen` makes of `wit/v0.1`: the types and imports once, and each exported interface as a world of its own,
//! for two worlds of one crate may not export the same interface. A plugin exports [`setup`] and one other; the worlds
//! are joined again where the component is encoded.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated")]

pub mod setup {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "package dockbell:sdk;
            world setup-part {
                import dockbell:plugin/types@0.1.0;
                include dockbell:plugin/imports@0.1.0;
                import dockbell:plugin/state@0.1.0;
                export dockbell:plugin/setup@0.1.0;
            }",
        generate_all,
        generate_unused_types: true,
        pub_export_macro: true,
        export_macro_name: "export_setup",
        default_bindings_module: "dockbell_plugin::hidden::setup",
        additional_derives: [PartialEq, Eq],
        additional_type_attributes: {
            "dockbell:plugin/types@0.1.0/event": [#[derive(Default)]],
            "dockbell:plugin/types@0.1.0/batch": [#[derive(Default)]],
            "dockbell:plugin/types@0.1.0/notification": [#[derive(Default)]],
        },
    });
}

pub mod filter {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "package dockbell:sdk; world filter-part { export dockbell:plugin/filter@0.1.0; }",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_filter_part",
        default_bindings_module: "dockbell_plugin::hidden::filter",
        with: { "dockbell:plugin/types@0.1.0": crate::bindings::setup::dockbell::plugin::types },
    });
}

pub mod packed_filter {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "package dockbell:sdk; world packed-filter-part { export dockbell:plugin/packed-filter@0.1.0; }",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_packed_filter_part",
        default_bindings_module: "dockbell_plugin::hidden::packed_filter",
    });
}

pub mod formatter {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "package dockbell:sdk; world formatter-part { export dockbell:plugin/formatter@0.1.0; }",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_formatter_part",
        default_bindings_module: "dockbell_plugin::hidden::formatter",
        with: { "dockbell:plugin/types@0.1.0": crate::bindings::setup::dockbell::plugin::types },
    });
}

#[cfg(target_family = "wasm")]
pub(crate) use setup::dockbell::plugin::state;
pub(crate) use setup::dockbell::plugin::{logging, types};
