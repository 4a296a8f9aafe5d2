//! my-plugin: tells only containers that ended with an exit code of their own.

use dockbell_plugin::{Event, Filter, export_filter};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyFailed {
    /// The lowest exit code that is told.
    #[serde(default = "one")]
    lowest: u8,
}

fn one() -> u8 {
    1
}

impl Filter for OnlyFailed {
    fn configure(config: &str) -> Result<Self, String> {
        serde_json::from_str(config).map_err(|error| error.to_string())
    }

    fn accept(&mut self, event: &Event) -> Result<bool, String> {
        let Some(code) = event.attribute("exitCode").filter(|_| event.action == "die") else { return Ok(false) };
        let code: u8 = code.parse().map_err(|_| format!("`{code}` is not an exit code"))?;
        Ok(code >= self.lowest)
    }
}

export_filter!(OnlyFailed);

#[cfg(test)]
mod tests {
    use super::*;

    fn die(code: &str) -> Event {
        let attributes = vec![("exitCode".to_owned(), code.to_owned())];
        Event { action: "die".to_owned(), attributes, ..Event::default() }
    }

    #[test]
    fn only_containers_that_failed_are_told() {
        let mut filter = OnlyFailed::configure("{}").unwrap();
        assert_eq!(["0", "1", "137"].map(|code| filter.accept(&die(code)).unwrap()), [false, true, true]);
        assert!(!filter.accept(&Event { action: "start".to_owned(), ..die("1") }).unwrap());
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = OnlyFailed::configure(r#"{"low": 2}"#).err().unwrap();
        assert!(error.contains("unknown field `low`, expected `lowest`"), "{error}");
    }
}
