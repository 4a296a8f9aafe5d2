//! How fast dockbell is, as one table: everything is measured in one run on one machine, so that the ratios hold where the
//! absolute figures do not. `cargo xtask bench` runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench that cannot go on has failed")]

// The bundled filter's own source, compiled natively.
#[path = "../../plugins/match/src/condition.rs"]
mod condition;
#[path = "../../plugins/match/src/glob.rs"]
mod glob;
#[path = "../../plugins/match/src/matcher.rs"]
mod matcher;
#[path = "../../plugins/match/src/refusal.rs"]
mod refusal;

#[path = "pipeline/isolation.rs"]
mod isolation;
#[path = "pipeline/languages.rs"]
mod languages;
#[path = "pipeline/process.rs"]
mod process;
#[path = "pipeline/source.rs"]
mod source;
#[path = "pipeline/stages.rs"]
mod stages;

use std::time::Duration;

use bytes::Bytes;
use dockbell_tests::engine::container;
use jiff::Timestamp;
use tempfile::TempDir;

use languages::Built;

/// Events in every row that counts microseconds per event.
const EVENTS: usize = 200_000;
/// What a person would configure: trouble, and only in one project.
const CONDITION: &str = r#"{"kind":"container","any":[{"action":["die","oom"]},{"action":"health_status","detail":"unhealthy"}],"label":{"com.docker.compose.project":"shop"}}"#;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` only wants to know whether it runs.
    let events = if std::env::args().any(|argument| argument == "--test") { 2_000 } else { EVENTS };
    let lines = lines(events);
    // For a profiler, and for who works on a language: `cargo bench --bench pipeline -- whole`, or `-- languages`.
    if std::env::args().any(|argument| argument == "languages") {
        return languages(&lines[..events / 10]).await;
    }
    if std::env::args().any(|argument| argument == "whole") {
        for _ in 0..10 {
            println!("{:.2} microseconds per event", stages::whole(&lines).await.as_secs_f64() * 1e6 / events as f64);
        }
        return;
    }
    println!("{events} events of {} bytes; {}\n", lines[0].len(), machine());

    println!("| microseconds per event | | times `docker events` |\n| --- | ---: | ---: |");
    let docker = process::docker_events(&lines).await;
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
    let row = |what: &str, time: Option<Duration>| match (time, docker) {
        (Some(time), Some(docker)) => {
            println!("| {what} | {:.2} | {:.1} |", per_event(time), docker.as_secs_f64() / time.as_secs_f64());
        }
        (Some(time), None) => println!("| {what} | {:.2} | |", per_event(time)),
        (None, _) => println!("| {what} | not measured: no `docker` here | |"),
    };
    row("`docker events --format '{{json .}}'` on the same socket", docker);
    row("parsing alone", Some(stages::parsing(&lines)));
    row("socket to reader", Some(stages::reading(&lines).await));
    row("one `match` filter, warm, in its sandbox", Some(stages::filtering(&lines).await));
    row("the same filter, native", Some(stages::filtering_natively(&lines)));
    row("**socket, reader, facts, journal, one `match` filter, route**", Some(stages::whole(&lines).await));

    languages(&lines[..events / 10]).await;

    println!("\n| the program as a process | |\n| --- | ---: |");
    let mut program = process::Program::start("0s", "0s").await;
    println!("| start to subscribed, median of 9 | {} ms |", process::start_to_subscribed().await.as_millis());
    println!("| memory idle | {:.1} MiB |", program.memory("VmRSS"));
    let latency = program.latencies(if events == EVENTS { 300 } else { 5 }).await;
    println!("| engine's event to accepted mail, settle 0, p50 | {:.1} ms |", latency.p50.as_secs_f64() * 1e3);
    println!("| the same, p99 | {:.1} ms |", latency.p99.as_secs_f64() * 1e3);
    let mut program = process::Program::start("1s", "5s").await;
    program.burst(&lines).await;
    println!("| memory at the peak of {events} events at once | {:.1} MiB |", program.memory("VmHWM"));
    let done = isolation::beside_an_endless_loop().await * 100.0;
    println!("| events filtered beside a filter that never ends, of those beside an honest one | {done:.0} % |");
}

/// What plugins cost in each language.
async fn languages(lines: &[Bytes]) {
    let folder = TempDir::new().unwrap();
    let built = languages::build(folder.path());
    println!("\n| a new filter in | microseconds per event, through its route | second start | memory of ten |");
    println!("| --- | ---: | ---: | ---: |");
    for Built { language, component } in built {
        let Some(component) = component else {
            println!("| {language} | not measured: its compiler is not here | | |");
            continue;
        };
        let time = languages::through_a_route(&component, lines).await.as_secs_f64() * 1e6 / lines.len() as f64;
        let second = languages::second_start(&component).await.as_secs_f64() * 1e3;
        let copies = languages::copies(&component, 10, folder.path());
        let one = process::Program::with_filters("0s", "0s", &copies[..1]).await.memory("VmRSS");
        let ten = process::Program::with_filters("0s", "0s", &copies).await.memory("VmRSS");
        println!("| {language} | {time:.2} | {second:.1} ms | {:.1} MiB more than one |", ten - one);
    }
}

/// Lines as Docker sends them for a compose project, each different.
fn lines(events: usize) -> Vec<Bytes> {
    // Nothing that an engine could have remembered from before it was connected.
    let soon = Timestamp::now() + Duration::from_secs(600);
    let first = i64::try_from(soon.as_nanosecond()).unwrap();
    let line = |number: usize| {
        let action = ["start", "die", "health_status: healthy", "kill"][number % 4];
        let line = container(action)
            .name(&format!("shop-worker-{}", number % 50))
            .id(&format!("{:064x}", 0xfeed_0000 + number % 50))
            .attribute("com.docker.compose.project", "shop")
            .attribute("com.docker.compose.service", "worker")
            .attribute("com.docker.compose.version", "2.24.1")
            .attribute("exitCode", "1")
            .at_nanos(first + i64::try_from(number).unwrap_or_default() * 1_000)
            .legacy();
        Bytes::from(line.line() + "\n")
    };
    (0..events).map(line).collect()
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}", model.unwrap_or("unknown processor"))
}
