//! All containers of an engine, as they are now.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::timeout;

use super::api::{Engine, LARGEST_ANSWER};
use super::error::{EngineError, Fault, quoted};

/// How long the list and all looks may take together.
const LIMIT: Duration = Duration::from_secs(60);
/// Most bytes of the list: about 10,000 containers with many labels.
const LARGEST_LIST: u64 = 64 << 20;
/// Most bytes of what is kept of all containers together: 5,000 with 13 KiB of labels each.
const LARGEST_ALL: usize = 64 << 20;
/// Most bytes of an id; Docker's and Podman's have 64.
const LONGEST_ID: usize = 255;
/// Containers that are looked at side by side.
const TOGETHER: usize = 8;
/// Most containers that are looked at one by one; the time would not do for more. Of the others it is only known that they are
/// there.
const MOST: usize = 5000;

/// A container as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Whether nothing else is known: it was not looked at, or the answer could not be read.
    pub unknown: bool,
    /// Its name, without the slash.
    pub name: String,
    /// The image as it was named when the container was made.
    pub image: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it runs now.
    pub running: bool,
    /// When it was last started.
    pub started: Option<Timestamp>,
    /// When it last ended.
    pub finished: Option<Timestamp>,
    /// Exit code of its last run; 0 also while it runs.
    pub exit_code: i64,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// `healthy`, `unhealthy`, `starting`; empty where it has no health check.
    pub health: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Looked {
    id: String,
    name: String,
    created: String,
    state: State,
    config: Config,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    running: bool,
    started_at: String,
    finished_at: String,
    exit_code: i64,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    health: Option<Health>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Health {
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: String,
    labels: Option<HashMap<String, String>>,
}

impl Engine {
    /// Lists all containers and looks at each, at most 5,000 of them; takes at most a minute. None where a proxy forbids that (their default).
    ///
    /// # Errors
    /// The connection failed, or the engine answered with an error or not in time.
    pub async fn containers(&self) -> Result<Option<Vec<Container>>, EngineError> {
        match timeout(LIMIT, self.look_at_all()).await {
            Ok(Ok(containers)) => Ok(Some(containers)),
            Ok(Err(Fault::Status { status: 401 | 403 | 404, .. })) => Ok(None),
            Ok(Err(fault)) => Err(self.error(fault)),
            Err(_) => Err(self.error(Fault::Timeout { what: "the list of containers".to_owned(), limit: LIMIT })),
        }
    }

    async fn look_at_all(&self) -> Result<Vec<Container>, Fault> {
        let path = "/containers/json";
        let list = self.read(&format!("{path}?all=1"), LARGEST_LIST).await?;
        let listed: Vec<Listed> = serde_json::from_slice(&list)
            .map_err(|error| Fault::Answer { path: path.to_owned(), reason: quoted(&error) })?;
        drop(list);
        let mut listed = listed.into_iter().filter(|one| is_id(&one.id));
        let looks = listed.by_ref().take(MOST).map(|one| async move { self.look_at(one.id).await });
        let mut looks = stream::iter(looks).buffered(TOGETHER);
        let (mut containers, mut bytes) = (Vec::new(), 0);
        while let Some(look) = looks.next().await {
            // One that is gone meanwhile is none.
            let Some(container) = look? else { continue };
            bytes += container.bytes();
            if bytes > LARGEST_ALL {
                return Err(Fault::TooLarge { path: "/containers/*/json".to_owned(), limit: LARGEST_ALL as u64 });
            }
            containers.push(container);
        }
        drop(looks);
        let looked_at = containers.len();
        containers.extend(listed.map(|one| unknown(one.id)));
        let others = containers.len() - looked_at;
        if others > 0 {
            tracing::warn!(engine = %self.name(), looked_at, others, "It has more containers than are looked at: what happened to the others in a gap is not found out.");
        }
        Ok(containers)
    }

    async fn look_at(&self, id: String) -> Result<Option<Container>, Fault> {
        let unreadable = match self.read(&format!("/containers/{id}/json"), LARGEST_ANSWER).await {
            Err(Fault::Status { status: 404, .. }) => return Ok(None),
            Err(fault @ Fault::TooLarge { .. }) => quoted(&fault),
            answer => match serde_json::from_slice::<Looked>(&answer?) {
                Ok(looked) => return Ok(Some(container(looked))),
                Err(error) => quoted(&error),
            },
        };
        tracing::warn!(engine = %self.name(), container = id, "what the engine says about it cannot be read: {unreadable}");
        // It is there, which is all that is known.
        Ok(Some(unknown(id)))
    }
}

fn is_id(id: &str) -> bool {
    id.len() <= LONGEST_ID && id.chars().all(|c| c.is_ascii_alphanumeric())
}

fn unknown(id: String) -> Container {
    Container { id, unknown: true, ..Container::default() }
}

impl Container {
    /// Roughly what it takes in memory.
    fn bytes(&self) -> usize {
        let Self { id, name, image, labels, health, .. } = self;
        let texts = [id, name, image, health].into_iter().chain(labels.iter().flat_map(|(name, value)| [name, value]));
        size_of::<Self>() + texts.map(|text| text.capacity() + size_of::<String>()).sum::<usize>()
    }
}

fn container(looked: Looked) -> Container {
    let Looked { id, name, created, state, config } = looked;
    // Engines write the year 1 for never.
    let time = |text: &str| text.parse::<Timestamp>().ok().filter(|time| *time > Timestamp::UNIX_EPOCH);
    let mut labels: Vec<_> = config.labels.unwrap_or_default().into_iter().collect();
    labels.sort();
    Container {
        id,
        unknown: false,
        name: name.trim_start_matches('/').to_owned(),
        image: config.image,
        labels,
        created: time(&created),
        running: state.running,
        started: time(&state.started_at),
        finished: time(&state.finished_at),
        exit_code: state.exit_code,
        oom_killed: state.oom_killed,
        health: state.health.map(|health| health.status).filter(|status| status != "none").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_leaves_out_is_not_there() {
        let looked = r#"{"Id":"a","Name":"/web","Created":"2026-11-22T12:00:00.5Z","State":{"Running":true,"StartedAt":"2026-11-22T12:00:01Z",
            "FinishedAt":"0001-01-01T00:00:00Z","Health":{"Status":"none"}},"Config":{"Image":"shop","Labels":null}}"#;
        let container = container(serde_json::from_str(looked).unwrap());
        assert_eq!((container.name.as_str(), container.health.as_str()), ("web", ""));
        assert_eq!((container.finished, container.labels.len()), (None, 0));
        assert!(container.started > container.created);
    }
}
