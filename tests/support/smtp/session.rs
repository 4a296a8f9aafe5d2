//! One client's dialogue with a scripted mail server.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::script::{Fault, Stage};
use super::{Command, Mail, Shared, Tls};

/// Most bytes of a line that are read.
const LINE: u64 = 2 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Session {
    shared: Arc<Shared>,
    stream: BufStream<Box<dyn Stream>>,
    connection: usize,
    encrypted: bool,
    known: bool,
    from: Option<String>,
    to: Vec<String>,
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends all sessions.
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let mut connection = 0;
        shared.see(|seen| {
            seen.connections += 1;
            seen.open += 1;
            connection = seen.connections;
        });
        let shared = Arc::clone(&shared);
        sessions.spawn(async move {
            // A client that goes away is no failure of the server.
            let _ = Session::new(&shared, stream, connection).run().await;
            shared.see(|seen| seen.open -= 1);
        });
    }
}

impl Session {
    fn new(shared: &Arc<Shared>, stream: TcpStream, connection: usize) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            shared: Arc::clone(shared),
            stream: BufStream::new(Box::new(stream)),
            connection,
            encrypted: false,
            known: false,
            from: None,
            to: Vec::new(),
        }
    }

    async fn run(mut self) -> io::Result<()> {
        if !self.say(Stage::Connect, "").await? {
            return Ok(());
        }
        if let Tls::Implicit(certificate) = &self.shared.options.tls {
            let acceptor = certificate.acceptor();
            self = self.encrypt(acceptor).await?;
        }
        self.say(Stage::Greeting, "220 scripted.example ESMTP").await?;
        while let Some(line) = self.line().await? {
            self = self.command(&line).await?;
        }
        Ok(())
    }

    async fn command(mut self, line: &str) -> io::Result<Self> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => {
                let offers = self.offers();
                self.say(Stage::Ehlo, &offers).await?;
            }
            "STARTTLS" => {
                if let Tls::StartTls(certificate) = &self.shared.options.tls {
                    let acceptor = certificate.acceptor();
                    if self.say(Stage::StartTls, "220 2.0.0 go ahead").await? {
                        self = self.encrypt(acceptor).await?;
                    }
                } else {
                    self.send(b"502 5.5.1 not offered\r\n").await?;
                }
            }
            "AUTH" => self.login(rest).await?,
            "MAIL" if self.shared.options.login.is_some() && !self.known => {
                self.send(b"530 5.7.0 log in first\r\n").await?;
            }
            "MAIL" => {
                if self.say(Stage::Mail, "250 2.1.0 sender ok").await? {
                    self.from = Some(address(rest));
                    self.to.clear();
                }
            }
            "RCPT" => self.recipient(&address(rest)).await?,
            "DATA" if self.to.is_empty() => self.send(b"554 5.5.1 no recipients\r\n").await?,
            "DATA" => {
                if self.say(Stage::Data, "354 go on").await? {
                    self.message().await?;
                }
            }
            "RSET" | "NOOP" => {
                self.say(Stage::Other, "250 2.0.0 ok").await?;
            }
            "QUIT" => {
                self.say(Stage::Quit, "221 2.0.0 bye").await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            _ => self.send(b"500 5.5.2 what?\r\n").await?,
        }
        Ok(self)
    }

    fn offers(&self) -> String {
        let options = &self.shared.options;
        let mut lines = vec!["scripted.example".to_owned(), "8BITMIME".to_owned()];
        let start_tls = matches!(options.tls, Tls::StartTls(_));
        if start_tls && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        if options.login.is_some() && (self.encrypted || !start_tls) {
            lines.push(format!("AUTH {}", options.mechanisms.unwrap_or("PLAIN LOGIN")));
        }
        lines.extend(options.extensions.iter().map(|extension| (*extension).to_owned()));
        let last = lines.len() - 1;
        let mark = |place: usize| if place == last { ' ' } else { '-' };
        let lines: Vec<_> = lines.iter().enumerate().map(|(place, line)| format!("250{}{line}", mark(place))).collect();
        lines.join("\r\n")
    }

    async fn login(&mut self, rest: &str) -> io::Result<()> {
        let given = match rest.split_once(' ').unwrap_or((rest, "")) {
            ("PLAIN", secret) => {
                let plain = decoded(secret);
                let mut parts = plain.splitn(3, '\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            ("LOGIN", _) => {
                self.send(format!("334 {}\r\n", STANDARD.encode("Username:")).as_bytes()).await?;
                let user = self.line().await?.unwrap_or_default();
                self.send(format!("334 {}\r\n", STANDARD.encode("Password:")).as_bytes()).await?;
                let password = self.line().await?.unwrap_or_default();
                (decoded(&user), decoded(&password))
            }
            ("XOAUTH2", secret) => {
                let sent = decoded(secret);
                let part = |name: &str| sent.split('\u{1}').find_map(|part| part.strip_prefix(name)).map(str::to_owned);
                let given = (part("user=").unwrap_or_default(), part("auth=Bearer ").unwrap_or_default());
                if self.shared.options.login.as_ref() != Some(&given) {
                    // The code follows when the client has answered the challenge with an empty line.
                    let why = STANDARD.encode(r#"{"status":"401","schemes":"bearer"}"#);
                    self.send(format!("334 {why}\r\n").as_bytes()).await?;
                    if self.line().await?.as_deref() != Some("") {
                        return self.send(b"501 5.5.2 an empty line was wanted\r\n").await;
                    }
                }
                given
            }
            _ => return self.send(b"504 5.5.4 unknown mechanism\r\n").await,
        };
        if self.shared.options.login.as_ref() != Some(&given) {
            return self.send(b"535 5.7.8 authentication failed\r\n").await;
        }
        self.known = self.say(Stage::Auth, "235 2.7.0 welcome").await?;
        Ok(())
    }

    async fn recipient(&mut self, recipient: &str) -> io::Result<()> {
        if let Some(reply) = self.shared.script.for_recipient(recipient) {
            return self.send(format!("{reply}\r\n").as_bytes()).await;
        }
        if self.say(Stage::Rcpt, "250 2.1.5 recipient ok").await? {
            self.to.push(recipient.to_owned());
        }
        Ok(())
    }

    async fn message(&mut self) -> io::Result<()> {
        if !self.say(Stage::Body, "").await? {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let mut bytes = Vec::new();
        loop {
            let mut line = Vec::new();
            if (&mut self.stream).take(LINE).read_until(b'\n', &mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.as_slice() {
                b".\r\n" => break,
                [b'.', rest @ ..] => bytes.extend_from_slice(rest),
                line => bytes.extend_from_slice(line),
            }
        }
        let place = self.shared.seen().mails.len();
        let mail = Mail {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            bytes,
            at: Instant::now(),
            accepted: false,
            connection: self.connection,
        };
        self.shared.see(|seen| seen.mails.push(mail));
        if self.say(Stage::Dot, "250 2.0.0 taken").await? {
            self.shared.see(|seen| seen.mails[place].accepted = true);
        }
        Ok(())
    }

    /// Answers as the script says, else as usual; whether it was as usual.
    async fn say(&mut self, stage: Stage, usual: &str) -> io::Result<bool> {
        let usual = if usual.is_empty() { String::new() } else { format!("{usual}\r\n") };
        match self.shared.script.take(stage) {
            None => self.send(usual.as_bytes()).await?,
            Some(Fault::Pause(time)) => {
                tokio::time::sleep(time).await;
                self.send(usual.as_bytes()).await?;
            }
            Some(Fault::Slow(time)) => {
                for byte in usual.bytes() {
                    tokio::time::sleep(time).await;
                    self.send(&[byte]).await?;
                }
            }
            Some(Fault::Reply(reply)) => {
                self.send(format!("{reply}\r\n").as_bytes()).await?;
                return Ok(false);
            }
            Some(Fault::Bytes(bytes)) => {
                self.send(&bytes).await?;
                return Ok(false);
            }
            Some(Fault::Says(bytes)) => self.send(&bytes).await?,
            Some(Fault::Drop) => return Err(io::ErrorKind::ConnectionAborted.into()),
            // Reads, so that it sees the client go, but answers nothing.
            Some(Fault::Stall) => loop {
                if self.stream.read(&mut [0; 4096]).await? == 0 {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            },
            Some(Fault::Endless) => loop {
                self.send(b"250-and more\r\n").await?;
                tokio::task::yield_now().await;
            },
            Some(Fault::EndlessLine) => loop {
                self.send(&[b'2'; 512]).await?;
                tokio::task::yield_now().await;
            },
        }
        Ok(true)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if (&mut self.stream).take(LINE).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        let command = Command { line: line.clone(), encrypted: self.encrypted, connection: self.connection };
        self.shared.see(|seen| seen.commands.push(command));
        Ok(Some(line))
    }

    async fn encrypt(self, acceptor: TlsAcceptor) -> io::Result<Self> {
        let stream = acceptor.accept(self.stream.into_inner()).await?;
        Ok(Self { stream: BufStream::new(Box::new(stream)), encrypted: true, ..self })
    }
}

/// What stands between the angle brackets of MAIL and RCPT.
fn address(argument: &str) -> String {
    let inner = argument.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(argument, |(address, _)| address).to_owned()
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned()
}
