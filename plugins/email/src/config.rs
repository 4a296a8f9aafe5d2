//! The plugin's configuration.

use dockbell_plugin::time::Offset;
use serde_json::Value;

const KEYS: &str = "hint: the keys here are `engine-in-subject`, `hostname`, `timezone` and `utc-offset-seconds`";

/// How mails are written.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// What stands in the brackets of the subject.
    pub(crate) hostname: Option<String>,
    /// Whether the subject names the engine, since there are several.
    pub(crate) engine_in_subject: bool,
    /// In which times are told.
    pub(crate) offset: Offset,
}

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let json = serde_json::from_str(json).map_err(|error| format!("the configuration is not JSON: {error}"))?;
        let Value::Object(table) = json else { return Err("the configuration is not a table".to_owned()) };
        let mut config = Self::default();
        let mut timezone = None;
        for (key, value) in &table {
            match (key.as_str(), value) {
                ("hostname", Value::String(name)) => config.hostname = Some(name.clone()),
                ("timezone", Value::String(offset)) => {
                    timezone = Some(offset.parse().map_err(|reason| format!("timezone: {reason}"))?);
                }
                ("engine-in-subject", Value::Bool(names)) => config.engine_in_subject = *names,
                ("engine-in-subject", _) => {
                    return Err(format!("{key}: `true` or `false` is needed, not {value}"));
                }
                ("hostname" | "timezone", _) => return Err(format!("{key}: a string is needed, not {value}")),
                ("utc-offset-seconds", _) => {
                    config.offset = value
                        .as_i64()
                        .and_then(Offset::from_seconds)
                        .ok_or_else(|| format!("{key}: whole seconds of less than a day are needed, not {value}"))?;
                }
                _ => return Err(format!("{key}: unknown key\n{KEYS}")),
            }
        }
        config.offset = timezone.unwrap_or(config.offset);
        Ok(config)
    }
}
