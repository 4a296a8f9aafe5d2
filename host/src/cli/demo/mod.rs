//! `dockbell demo`: the whole program against a recording, with an engine and a mail server of its own.

mod engine;
mod mail_server;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use clap::Args;
use mailparse::{MailHeaderMap, ParsedMail};

use super::signals::Stop;
use crate::app::inspection::SHOP;
use crate::app::watch::{Settings, Watch};
use crate::config::{Config, Environment};
use crate::store::Place;

/// The windows of a route without configuration, which are shortened as the recording is.
const SETTLE: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(60);

/// What `demo` takes.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many times faster than it happened
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    speed: u32,
    /// Also write each mail to this folder, as it was sent and as HTML to look at in a browser
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

/// Plays the recording and prints the mails.
pub(super) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.save {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    }
    let folder = tempfile::tempdir().context("cannot make a folder for the demo's socket")?;
    let socket = folder.path().join("engine.sock");
    let playing = engine::play(&socket, SHOP, args.speed)?;
    let mut mails = mail_server::listen().await?;
    let config = config(&socket, mails.port, args.speed)?;
    let events = SHOP.lines().count();
    print(&format!(
        "{events} events of a small shop, recorded from a real Docker engine, told {} times faster than they happened.\n\
         These are the mails you would have got:\n",
        args.speed
    ));

    let signal = Stop::listen()?;
    signal.allow(config.grace);
    let stop = signal.token;
    let settings = Settings { output: None, span: None, place: Place::Memory, reload: None };
    let Some(watch) = Watch::start(config, settings, &stop).await? else { return Ok(ExitCode::SUCCESS) };
    let (ending, rest) = (stop.clone(), WINDOW / args.speed + SETTLE / args.speed);
    tokio::spawn(async move {
        // What the last window brought is told when it ends.
        playing.finished().await;
        tokio::time::sleep(rest).await;
        ending.cancel();
    });
    let mut run = tokio::spawn(watch.run(stop));
    let mut count = 0;
    let ended = loop {
        tokio::select! {
            biased;
            Some(mail) = mails.arrived.recv() => {
                count += 1;
                show(count, &mail, args.save.as_deref())?;
            }
            ended = &mut run => break ended??,
        }
    };
    while let Ok(mail) = mails.arrived.try_recv() {
        count += 1;
        show(count, &mail, args.save.as_deref())?;
    }
    tracing::debug!(?ended, "the demo has ended");
    print(&format!(
        "{events} events, {count} mails. To watch your own containers: `dockbell`. To get mails: set DOCKBELL_SMTP_URL and \
         DOCKBELL_MAIL_TO."
    ));
    Ok(ExitCode::SUCCESS)
}

/// What somebody would write who watches one engine and wants mail.
fn config(socket: &Path, port: u16, speed: u32) -> anyhow::Result<Config> {
    let text = format!(
        r#"
        hostname = "shop-host"
        [engines.shop]
        host = "unix://{socket}"
        [routes.default]
        settle = "{settle}us"
        window = "{window}us"
        [sinks.ops]
        type = "email"
        server = "smtp://127.0.0.1:{port}?tls=none"
        from = "dockbell <dockbell@shop.example>"
        to = ["ops@shop.example"]
        "#,
        socket = socket.display(),
        settle = SETTLE.as_micros() / u128::from(speed),
        window = WINDOW.as_micros() / u128::from(speed),
    );
    Ok(Config::parse(Path::new("demo.toml"), &text, &Environment::default())?)
}

/// Prints a mail as a mail client would show its plain text.
fn show(number: usize, mail: &[u8], folder: Option<&Path>) -> anyhow::Result<()> {
    let parsed = mailparse::parse_mail(mail).context("the demo's own mail cannot be read")?;
    let bold = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
    let mut text = format!("{bold}mail {number} {}{bold:#}\n", "-".repeat(70));
    for name in ["From", "To", "Subject"] {
        let value = parsed.headers.get_first_value(name).unwrap_or_default();
        let _ = writeln!(text, "{bold}{name}:{bold:#} {value}");
    }
    let _ = writeln!(text, "\n{}", body(&parsed, "text/plain").unwrap_or_default().trim_end());
    print(&text);
    if let Some(folder) = folder {
        let save = |ending: &str, content: &[u8]| {
            let path = folder.join(format!("mail-{number:02}.{ending}"));
            std::fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))
        };
        save("eml", mail)?;
        save("html", body(&parsed, "text/html").unwrap_or_default().as_bytes())?;
    }
    Ok(())
}

/// The first part of a media type.
fn body(mail: &ParsedMail<'_>, media_type: &str) -> Option<String> {
    if mail.ctype.mimetype == media_type {
        return mail.get_body().ok();
    }
    mail.subparts.iter().find_map(|part| body(part, media_type))
}

fn print(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = writeln!(anstream::stdout(), "{text}");
}
