//! The story of `shop.jsonl`: three minutes of a web shop's compose project.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use real_engine::{Docker, Tiny};

use super::tap::Tap;

/// Plays the story; answers what the engine said meanwhile.
pub(super) fn record(docker: &Docker, tiny: &Tiny) -> Result<String> {
    let shop = Shop::open(docker)?;
    shop.import_images(tiny)?;
    shop.up()?;
    let tap = Tap::open(docker.socket())?;
    shop.play(Instant::now())?;
    let lines = tap.close()?;
    shop.down()?;
    Ok(lines)
}

/// A compose project whose services do what they do when a file appears in their `/control`.
struct Shop<'a> {
    docker: &'a Docker,
    control: PathBuf,
}

/// The project's images; those with a path have a health check that fails while the file exists.
const IMAGES: &[(&str, Option<&str>)] = &[
    (
        "postgres:16.4",
        Some("--interval=5s --timeout=2s --retries=2 CMD [\"/tiny\", \"health\", \"/control/db-is-down\"]"),
    ),
    ("redis:7.2", None),
    ("shop/admin:1.3.0", None),
    ("shop/api:2.4.1", None),
    ("shop/report:2.4.1", None),
    ("shop/search:0.9.7", None),
    ("shop/thumbnailer:1.1.2", None),
    ("shop/web:1.8.2", Some("--interval=20s --start-period=5s CMD [\"/tiny\", \"health\", \"/control/never\"]")),
    ("shop/web:1.8.3", Some("--interval=20s --start-period=5s CMD [\"/tiny\", \"health\", \"/control/never\"]")),
    ("shop/worker:2.4.1", None),
];

impl<'a> Shop<'a> {
    fn open(docker: &'a Docker) -> Result<Self> {
        let control = docker.socket().parent().context("the socket has no folder")?.join("control");
        fs::create_dir_all(&control)?;
        Ok(Self { docker, control })
    }

    fn import_images(&self, tiny: &Tiny) -> Result<()> {
        for (name, health) in IMAGES {
            let health = health.map(|how| format!("HEALTHCHECK {how}"));
            tiny.import(self.docker, name, &health.as_deref().map_or_else(Vec::new, |change| vec![change]))?;
        }
        Ok(())
    }

    /// `docker compose up`, before the recording begins.
    fn up(&self) -> Result<()> {
        let project = ["--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.network=default"];
        self.docker.run(&[&["network", "create"], &project[..], &["shop_default"]].concat())?;
        let forever = ["until", "/control/never"];
        self.start("db", 1, "postgres:16.4", &["--restart=always"], &forever)?;
        self.start("cache", 1, "redis:7.2", &["--restart=always"], &forever)?;
        self.start(
            "api",
            1,
            "shop/api:2.4.1",
            &["--restart=always"],
            &["until", "/control/api-panics", "sleep", "0.4", "exit", "1"],
        )?;
        self.start(
            "worker",
            1,
            "shop/worker:2.4.1",
            &["--restart=always"],
            &["until", "/control/db-is-down", "sleep", "0.3", "exit", "1"],
        )?;
        self.start("web", 1, "shop/web:1.8.2", &["--restart=always"], &forever)?;
        // Its connections take longer to close than a stop waits.
        self.start("web", 2, "shop/web:1.8.2", &["--restart=always"], &["ignore-term", "until", "/control/never"])?;
        let little = ["--restart=unless-stopped", "--memory=48m", "--memory-swap=48m"];
        self.start(
            "thumbnailer",
            1,
            "shop/thumbnailer:1.1.2",
            &little,
            &["until", "/control/big-picture", "oom", "now"],
        )?;
        self.start("search", 1, "shop/search:0.9.7", &[], &["until", "/control/bad-index", "segfault", "now"])?;
        self.start("admin", 1, "shop/admin:1.3.0", &["--restart=unless-stopped"], &forever)?;
        for name in ["shop-db-1", "shop-web-1", "shop-web-2"] {
            self.wait_for_health(name, "healthy", 60)?;
        }
        Ok(())
    }

    /// What happens; the numbers are seconds since `begin`.
    fn play(&self, begin: Instant) -> Result<()> {
        let at = |second: u64| sleep((begin + Duration::from_secs(second)).saturating_duration_since(Instant::now()));

        // A job that does what it should.
        at(3);
        let job = ["--rm", "--label", "com.docker.compose.oneoff=True"];
        self.start("report", 1, "shop/report:2.4.1", &job, &["sleep", "4", "exit", "0"])?;

        // The database stops answering: the worker, which cannot do without, crashes again and again.
        at(14);
        self.set("db-is-down", true)?;
        at(38);
        self.set("db-is-down", false)?;
        self.wait_for_health("shop-db-1", "healthy", 20)?;

        // A picture that is too big for the memory the thumbnailer has.
        at(70);
        self.set("big-picture", true)?;
        self.wait_for_exit("shop-thumbnailer-1", 20)?;
        self.set("big-picture", false)?;

        // A segmentation fault, and a person who looks around before starting it again.
        at(84);
        self.set("bad-index", true)?;
        self.wait_for_exit("shop-search-1", 20)?;
        self.set("bad-index", false)?;
        at(97);
        self.docker.run(&["exec", "shop-db-1", "/tiny", "print", "select count(*) from products"])?;
        at(104);
        self.docker.run(&["start", "shop-search-1"])?;

        // Planned: a restart, a stop, a deploy.
        at(112);
        self.docker.run(&["restart", "shop-cache-1"])?;
        at(118);
        self.docker.run(&["stop", "shop-admin-1"])?;
        at(126);
        self.deploy("web", 1, "shop/web:1.8.3")?;
        at(133);
        self.deploy("web", 2, "shop/web:1.8.3")?;
        self.wait_for_health("shop-web-2", "healthy", 60)?;

        // One crash that a restart mends.
        at(168);
        self.set("api-panics", true)?;
        self.wait_for_exit("shop-api-1", 20)?;
        self.set("api-panics", false)?;
        at(178);
        self.docker.run(&["start", "shop-admin-1"])?;
        at(184);
        Ok(())
    }

    /// `docker compose down`, and what it would leave.
    fn down(&self) -> Result<()> {
        let all = self.docker.run(&["ps", "--all", "--quiet"])?;
        self.docker.run(&[&["rm", "--force"], &all.lines().collect::<Vec<_>>()[..]].concat())?;
        self.docker.run(&["network", "rm", "shop_default"])?;
        Ok(())
    }

    fn start(&self, service: &str, number: u32, image: &str, options: &[&str], words: &[&str]) -> Result<()> {
        let name = format!("shop-{service}-{number}");
        self.create(&name, service, number, image, options, words)?;
        self.docker.run(&["start", &name]).map(drop)
    }

    fn create(
        &self,
        name: &str,
        service: &str,
        number: u32,
        image: &str,
        options: &[&str],
        words: &[&str],
    ) -> Result<()> {
        let label = |key: &str, value: &str| format!("--label=com.docker.compose.{key}={value}");
        let volume = format!("--volume={}:/control:ro", self.control.display());
        let labels = [
            label("project", "shop"),
            label("project.working_dir", "/srv/shop"),
            label("project.config_files", "/srv/shop/compose.yaml"),
            label("service", service),
            label("container-number", &number.to_string()),
            label("oneoff", "False"),
            label("image", image),
            label("version", "2.29.7"),
        ];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let fixed = ["create", "--name", name, "--network=shop_default", "--stop-timeout=3", &volume];
        self.docker.run(&[&fixed[..], &labels, options, &[image], words].concat()).map(drop)
    }

    /// Puts a container of another image into the place of the old one, in the steps of `docker compose up`.
    fn deploy(&self, service: &str, number: u32, image: &str) -> Result<()> {
        let name = format!("shop-{service}-{number}");
        let old = self.docker.run(&["inspect", "--format", "{{.Id}}", &name])?;
        let passing = format!("{}_{name}", &old[..12]);
        self.create(&passing, service, number, image, &["--restart=always"], &["until", "/control/never"])?;
        self.docker.run(&["stop", &name])?;
        self.docker.run(&["rm", &name])?;
        self.docker.run(&["rename", &passing, &name])?;
        self.docker.run(&["start", &name]).map(drop)
    }

    fn set(&self, file: &str, exists: bool) -> Result<()> {
        let path = self.control.join(file);
        if exists {
            fs::write(path, "")?
        } else {
            fs::remove_file(path)?
        }
        Ok(())
    }

    fn wait_for_health(&self, name: &str, wanted: &str, seconds: u64) -> Result<()> {
        self.wait(name, "{{.State.Health.Status}}", seconds, |status| status == wanted)
    }

    /// Waits until a container that still runs ends, or is started anew by its policy.
    fn wait_for_exit(&self, name: &str, seconds: u64) -> Result<()> {
        let started = self.docker.run(&["inspect", "--format", "{{.State.StartedAt}} true", name])?;
        self.wait(name, "{{.State.StartedAt}} {{.State.Running}}", seconds, |now| now != started)
    }

    fn wait(&self, name: &str, what: &str, seconds: u64, is_it: impl Fn(&str) -> bool) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(seconds) {
            if is_it(&self.docker.run(&["inspect", "--format", what, name])?) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        bail!("`{name}` is not as it should be after {seconds} s")
    }
}
