//! What a plugin may reach beside its interface: nothing, unless its table says so.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::document::{Document, Table};
use super::origin::Server;
use super::problem::Mistake;
use super::quantity;
use super::value::Value;

/// The largest `state`: 1 MiB. It is held in memory, once per route.
const MOST_STATE: usize = 1 << 20;

/// The grants of a plugin, each a key of its table. The clock, random numbers and a voice in the log need no grant.
///
/// ```toml
/// [plugins.on-call]
/// component = "on-call.wasm"
/// env = ["TZ"]
/// dirs = [{ host = "/srv/on-call", guest = "/on-call" }]
/// state = "64 KiB"
/// http = ["https://api.example.com", { url = "http://calendar:8080", private = true }]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// `env`: these variables of dockbell's own environment, and no other. One that is not set is not there for the plugin
    /// either. Default: none.
    pub env: Vec<Variable>,
    /// `dirs`: folders, with all that is in them. Each must be there when dockbell starts. No link leads out of one, and no
    /// other path is there for the plugin. Default: none.
    pub dirs: Vec<Dir>,
    /// `state`: how much the plugin may keep across restarts, in bytes of keys and values together; the interface
    /// `dockbell:plugin/state`. Each route that names the plugin has a state of its own. Default: none, and then a plugin that
    /// imports the interface is refused; at most `1 MiB`.
    pub state: Option<StateSize>,
    /// `http`: web servers that the plugin may ask, by `wasi:http`: each a string with scheme and host, such as
    /// `"https://api.example.com"`, or a table `{ url, private }`. All paths of a server; a redirect is not followed. No name
    /// may lead to an address of the own network or of this machine, unless `private = true` stands beside it or the address
    /// itself is named. An empty list grants the interface alone, for a plugin that imports it and need not use it. Default:
    /// none, and then a plugin that imports `wasi:http` is refused.
    pub http: Option<Vec<Server>>,
}

impl Grants {
    /// Reads the keys of a plugin's table.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            env: table.take("env").map(variables).unwrap_or_default(),
            dirs: table.take("dirs").map(Value::list).map(dirs).unwrap_or_default(),
            state: table.take("state").and_then(|value| value.size(1..=MOST_STATE)).map(StateSize),
            http: table.take("http").map(Value::list).map(|values| values.into_iter().filter_map(server).collect()),
        }
    }

    /// The grants as lines of the configuration; none where nothing is granted.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let list =
            |key: &str, items: Vec<String>| (!items.is_empty()).then(|| format!("{key} = [{}]", items.join(", ")));
        let env = list("env", self.env.iter().map(|name| format!("\"{name}\"")).collect());
        let dirs = list("dirs", self.dirs.iter().map(Dir::to_string).collect());
        let state = self.state.map(|size| format!("state = \"{size}\""));
        let servers = |servers: &Vec<Server>| servers.iter().map(Server::to_string).collect::<Vec<_>>().join(", ");
        let http = self.http.as_ref().map(|http| format!("http = [{}]", servers(http)));
        env.into_iter().chain(dirs).chain(state).chain(http).collect()
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Variable(String);

impl Variable {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for Variable {
    type Err = Mistake;

    fn from_str(name: &str) -> Result<Self, Mistake> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(is_name) {
            return Err(Mistake::new(
                "is no name of a variable",
                "names alone, such as `env = [\"TZ\"]`, without values",
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder of this machine, and where the plugin finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// `host`: the folder; relative to the configuration file.
    pub host: PathBuf,
    /// `guest`: the path under which the plugin opens it, such as `/on-call`.
    pub guest: String,
    /// `write`: whether the plugin may change what is in it, and add to it without limit. Default `false`.
    pub write: bool,
}

/// As it stands in the configuration.
impl fmt::Display for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = if self.write { ", write = true" } else { "" };
        let quoted = |text: &str| toml::Value::from(text).to_string();
        write!(f, "{{ host = {}, guest = {}{write} }}", quoted(&self.host.to_string_lossy()), quoted(&self.guest))
    }
}

/// Bytes of keys and values that a plugin may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSize(usize);

impl StateSize {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for StateSize {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        quantity::size(text, 1..=MOST_STATE).map(Self)
    }
}

impl fmt::Display for StateSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes.is_multiple_of(1 << 20) => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes.is_multiple_of(1 << 10) => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

fn variables(value: Value<'_>) -> Vec<Variable> {
    let document = value.document;
    let mut known = HashSet::new();
    let names = value.strings().unwrap_or_default().into_iter();
    names
        .filter_map(|(text, place)| {
            let name: Result<Variable, Mistake> = text.parse();
            match name {
                Ok(name) if !known.insert(name.clone()) => {
                    document.report(&place, Mistake::new("is there twice", "once is enough"));
                    None
                }
                Ok(name) => Some(name),
                Err(mistake) => {
                    document.report(&place, mistake);
                    None
                }
            }
        })
        .collect()
}

fn dirs(values: Vec<Value<'_>>) -> Vec<Dir> {
    let mut known = HashSet::new();
    values.into_iter().filter_map(|value| dir(value, &mut known)).collect()
}

const DIR_FORM: &str = "such as `{ host = \"/srv/on-call\", guest = \"/on-call\" }`";

fn dir(value: Value<'_>, known: &mut HashSet<String>) -> Option<Dir> {
    let mut table = value.table()?;
    let document = table.document;
    let host = table.need("host", DIR_FORM).and_then(|value| {
        let place = value.place.clone();
        let path = value.path()?;
        let found = is_folder(&path);
        found.map_err(|mistake| document.report(&place, mistake)).ok().map(|()| path)
    });
    let guest = table.need("guest", DIR_FORM).and_then(|value| guest(document, value, known));
    let write = table.take("write").and_then(Value::truth).unwrap_or_default();
    table.finish();
    Some(Dir { host: host?, guest: guest?, write })
}

fn guest(document: &Document<'_>, value: Value<'_>, known: &mut HashSet<String>) -> Option<String> {
    let (path, place) = value.string()?;
    let mistake = if !path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains('\0') {
        Mistake::new("is not an absolute path", "the path under which the plugin opens the folder, such as `/on-call`")
    } else if !known.insert(path.clone()) {
        Mistake::new("another folder is there already", "give each folder a path of its own")
    } else {
        return Some(path);
    };
    document.report(&place, mistake);
    None
}

fn server(value: Value<'_>) -> Option<Server> {
    if value.is_string() {
        return value.parse().map(|origin| Server { origin, private: false });
    }
    let mut table = value.table()?;
    let origin =
        table.need("url", "such as `{ url = \"http://calendar:8080\", private = true }`").and_then(Value::parse);
    let private = table.take("private").and_then(Value::truth).unwrap_or_default();
    table.finish();
    Some(Server { origin: origin?, private })
}

fn is_folder(path: &std::path::Path) -> Result<(), Mistake> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Mistake::new(format!("`{shown}` is no folder"), "name the folder that holds the file")),
        Err(error) => Err(Mistake::new(
            format!("`{shown}` cannot be granted: {error}"),
            "make the folder, or correct the path; in a container, check that it is mounted",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_as_it_is_read() {
        for (text, written) in [("64 KiB", "64 KiB"), ("1MiB", "1 MiB"), ("1000", "1000"), ("2kb", "2000"), ("1", "1")]
        {
            let size: StateSize = text.parse().unwrap();
            assert_eq!(size.to_string(), written);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        assert!("2 MiB".parse::<StateSize>().is_err());
        assert!("0".parse::<StateSize>().is_err());
    }

    #[test]
    fn a_variable_is_a_name_alone() {
        assert_eq!("TZ".parse::<Variable>().unwrap().to_string(), "TZ");
        for text in ["", "TZ=UTC", "A B", "*", "1A", "Ä", "A\0"] {
            assert!(text.parse::<Variable>().is_err(), "{text}");
        }
    }
}
