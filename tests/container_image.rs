//! `Dockerfile` and `compose.yaml`: dockbell in a container, without root, without a file that it could write.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use dockbell_tests::docker::{Container, engine};
use dockbell_tests::program::wait_until;
use dockbell_tests::smtp_server::SmtpServer;
use real_engine::Docker;

const DOCKBELL: &str = env!("CARGO_BIN_EXE_dockbell-under-test");
const IMAGE: &str = "dockbell-test/dockbell:1";

/// The image from this repository's `Dockerfile`, without pulling anything: of the program and the libraries it links.
fn build_image(docker: &Docker) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let program = root.join("usr/local/bin/dockbell");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    succeed(Command::new("strip").arg("-o").arg(&program).arg(DOCKBELL));
    let linked = succeed(Command::new("ldd").arg(DOCKBELL));
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, `/lib64/ld-linux-x86-64.so.2 (0x...)`
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
    }
    let mut build = docker.command();
    build.args(["build", "--quiet", "--target", "prepared", "--tag", IMAGE, "--file"]);
    succeed(build.arg(repository().join("Dockerfile")).arg(folder.path()));
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_build_stage_is_sent_all_that_the_program_is_built_from() {
    let docker = engine();
    let folder = tempfile::tempdir().unwrap();
    let dockerfile = folder.path().join("Dockerfile");
    fs::write(&dockerfile, "FROM scratch\nCOPY . /src\n").unwrap();
    let image = "dockbell-test/context:1";
    let mut build = docker.command();
    succeed(build.args(["build", "--quiet", "--tag", image, "--file"]).arg(&dockerfile).arg(repository()));
    let id = docker.run(&["create", image, "nothing"]).unwrap();
    docker.run(&["cp", &format!("{id}:/src"), folder.path().to_str().unwrap()]).unwrap();
    docker.run(&["rm", &id]).unwrap();

    // `dockbell-tests` beside it, because that is how the libraries were built for this test.
    let target = Path::new(DOCKBELL).ancestors().nth(2).unwrap();
    let mut check = Command::new(env!("CARGO"));
    check.args(["check", "--locked", "--offline", "--package", "dockbell", "--package", "dockbell-tests"]);
    succeed(check.arg("--target-dir").arg(target).current_dir(folder.path().join("src")));
}

/// The project of `compose.yaml`, up; dropping it takes it down.
struct Project {
    docker: Docker,
    settings: Vec<(&'static str, String)>,
    others: PathBuf,
}

impl Project {
    fn compose(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &format!("dockbell-test-{}", process::id())]);
        command.arg("--file").arg(repository().join("compose.yaml")).arg("--file").arg(&self.others);
        command.args(arguments).env("DOCKER_HOST", self.docker.host()).envs(self.settings.iter().cloned());
        succeed(&mut command)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.compose(&["down", "--volumes", "--timeout", "1"]);
    }
}

#[test]
fn the_compose_file_runs_it_without_root_and_it_tells_and_mails_a_crash() {
    let docker = engine();
    build_image(&docker);
    let server = SmtpServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("smtp-url");
    fs::write(&secret, format!("smtp://127.0.0.1:{}?tls=none\n", server.port())).unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o444)).unwrap();
    // The network of this machine, because the mail server is here.
    let others = folder.path().join("others.yaml");
    fs::write(&others, format!("services:\n  dockbell:\n    image: {IMAGE}\n    network_mode: host\n")).unwrap();
    let group = fs::metadata(docker.socket()).unwrap().gid().to_string();
    let settings = vec![
        ("DOCKER_GID", group),
        ("DOCKER_SOCKET", docker.socket().display().to_string()),
        ("SMTP_URL_FILE", secret.display().to_string()),
        ("DOCKBELL_HOSTNAME", "harbour".to_owned()),
        ("DOCKBELL_MAIL_TO", "ops@example.com".to_owned()),
        ("DOCKBELL_MAIL_FROM", "bell@example.com".to_owned()),
    ];
    let project = Project { docker: docker.clone(), settings, others };
    project.compose(&["up", "--detach", "--no-build"]);
    let id = project.compose(&["ps", "--quiet"]).trim().to_owned();
    let logs =
        || succeed(Command::new("sh").args(["-c", "docker logs \"$0\" 2>&1", &id]).env("DOCKER_HOST", docker.host()));
    wait_until(|| logs().contains("reads the events of"));

    let web = Container::create(&docker, "web", &[], &["exit", "3"]).started();
    let told = format!("{} die (exit 3, crashed", web.name());
    wait_until(|| logs().contains(&told));
    let mail = server.next_mail();
    assert!(mail.header("Subject").unwrap().starts_with("[harbour] "), "{:?}", mail.headers);

    let inspect = |what: &str| docker.run(&["inspect", "--format", what, &id]).unwrap();
    assert_eq!(
        inspect("{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}"),
        "65532:65532 true [ALL]"
    );
    let process = inspect("{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("Uid:"), ["65532"; 4], "not root");
    assert_eq!(line("CapEff:"), ["0000000000000000"], "no capability");
    assert_eq!(line("NoNewPrivs:"), ["1"]);
    project.compose(&["stop"]);
    assert_eq!(inspect("{{.State.ExitCode}}"), "0", "{}", logs());
}
