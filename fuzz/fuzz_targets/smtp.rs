//! A mail server that answers anything: no panic, no secret in an error, and nobody has the mail without its answer 2xx.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Duration;

use dockbell::config::{Auth, EmailConfig, Login, Secret, SmtpServer, SmtpTls};
use dockbell::deliver::email::{Email, Limits};
use dockbell::deliver::{Attempt, Sealed};
use dockbell::message::{Alternative, Message, Notification, Phase};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

const PASSWORD: &str = "hunter2hunter2";
/// The same as it is sent, by LOGIN and by PLAIN.
const ENCODED: [&str; 2] = ["aHVudGVyMmh1bnRlcjI=", "AGRvY2tiZWxsAGh1bnRlcjJodW50ZXIy"];
/// So often a reply is repeated where the input says that it has no end.
const ENDLESS: usize = 4096;

// The first byte says what is delivered and how. Then come the replies, or parts of them, with NUL between them: the
// greeting, and one for each time that the client waits. When there are none left, the server hangs up or says nothing more.
fuzz_target!(|input: &[u8]| {
    let [how, replies @ ..] = input else { return };
    let how = How(*how);
    let replies: Vec<Vec<u8>> = replies
        .split(|byte| *byte == 0)
        .map(|reply| if how.endless() { reply.repeat(ENDLESS / reply.len().max(1)) } else { reply.to_vec() })
        .collect();
    WORLD.with(|world| world.runtime.block_on(deliver(how, replies, &world.listener)));
});

#[derive(Clone, Copy)]
struct How(u8);

impl How {
    fn logs_in(self) -> Option<Auth> {
        (self.0 & 1 != 0).then_some(if self.0 & 2 != 0 { Auth::XOAuth2 } else { Auth::Password })
    }
    fn has_many_recipients(self) -> bool {
        self.0 & 4 != 0
    }
    fn has_two_mails(self) -> bool {
        self.0 & 8 != 0
    }
    fn stalls(self) -> bool {
        self.0 & 0xf0 == 0xf0
    }
    fn endless(self) -> bool {
        self.0 & 0xf0 == 0xe0
    }
}

struct World {
    runtime: Runtime,
    listener: TcpListener,
}

thread_local! {
    static WORLD: World = {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        World { runtime, listener }
    };
}

/// One connection as the server saw it.
#[derive(Default)]
struct Dialogue {
    /// What the client said each time before it waited.
    heard: Vec<Vec<u8>>,
    said: Vec<u8>,
}

async fn deliver(how: How, replies: Vec<Vec<u8>>, listener: &TcpListener) {
    let mut email = email(how, listener.local_addr().unwrap().port());
    let mails: Vec<Sealed> = (0..=u128::from(how.has_two_mails())).map(|number| seal(&email, number)).collect();
    let (dialogues, over) = (RefCell::default(), Notify::new());
    let client = async {
        let mut attempts = Vec::new();
        for mail in &mails {
            attempts.push(email.deliver(mail).await);
        }
        drop(email);
        over.notify_one();
        attempts
    };
    let (attempts, ()) = tokio::join!(client, serve(listener, replies, how, &dialogues, &over));
    for (mail, attempt) in mails.iter().zip(&attempts) {
        judge(mail, attempt, &dialogues.borrow());
    }
}

async fn serve(
    listener: &TcpListener,
    replies: Vec<Vec<u8>>,
    how: How,
    dialogues: &RefCell<Vec<Dialogue>>,
    over: &Notify,
) {
    let mut replies = replies.into_iter();
    loop {
        tokio::select! {
            biased;
            stream = listener.accept() => {
                let mut dialogue = Dialogue::default();
                let _ = converse(stream.unwrap().0, &mut replies, how, &mut dialogue).await;
                dialogues.borrow_mut().push(dialogue);
            }
            () = over.notified() => return,
        }
    }
}

async fn converse(
    mut stream: TcpStream,
    replies: &mut impl Iterator<Item = Vec<u8>>,
    how: How,
    dialogue: &mut Dialogue,
) -> std::io::Result<()> {
    let mut heard = Vec::new();
    // A reply in parts would wait for the acknowledgement of each.
    stream.set_nodelay(true)?;
    loop {
        match replies.next() {
            Some(reply) => {
                dialogue.said.extend_from_slice(&reply);
                let _ = stream.write_all(&reply).await;
                if !is_whole(&dialogue.said) {
                    continue;
                }
            }
            None if how.stalls() => {}
            None => {
                let _ = stream.shutdown().await;
            }
        }
        let end = loop {
            match end(&heard) {
                Some(end) => break end,
                None if stream.read_buf(&mut heard).await? == 0 => return Ok(()),
                None => {}
            }
        };
        dialogue.heard.push(heard.drain(..end).collect());
    }
}

/// Where the first command or mail ends. A client that has its answers already does not wait for them.
fn end(heard: &[u8]) -> Option<usize> {
    let end: &[u8] = if is_mail(heard) { b"\r\n.\r\n" } else { b"\r\n" };
    heard.windows(end.len()).position(|window| window == end).map(|start| start + end.len())
}

/// Whether a client need not wait for more of the last reply. It would wait until its limit.
fn is_whole(said: &[u8]) -> bool {
    said.ends_with(b"\n") && lines(said).last().is_some_and(|last| last.get(3) != Some(&b'-'))
}

/// Whole lines of replies, without their ends, which are CR LF or LF alone.
fn lines(said: &[u8]) -> Vec<&[u8]> {
    let whole = said.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    whole.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

fn is_mail(heard: &[u8]) -> bool {
    heard.starts_with(b"From: ")
}

/// Each recipient is told once what became of the mail, and that it was accepted only where the server said so.
fn judge(mail: &Sealed, attempt: &Attempt, dialogues: &[Dialogue]) {
    let failed = attempt.failed.iter().map(|(to, _)| to);
    let mut told: Vec<_> = attempt.accepted.iter().chain(failed).cloned().collect();
    let mut pending = mail.pending.clone();
    (told.sort(), pending.sort());
    assert_eq!(told, pending);
    // A server that was not told the secret cannot repeat it, and one that is asked again knows it from before.
    let was_told = dialogues.len() == 1 && dialogues[0].heard.iter().any(|heard| heard.starts_with(b"AUTH "));
    for (_, failure) in &attempt.failed {
        let shown = format!("{failure} {failure:?}");
        assert!(shown.len() < 4096 && !failure.error.chars().any(char::is_control), "{shown}");
        assert!(!was_told || ![PASSWORD].iter().chain(&ENCODED).any(|secret| shown.contains(secret)), "{shown}");
    }
    for to in &attempt.accepted {
        let has_it = dialogues.iter().any(|dialogue| took(dialogue, mail, to));
        assert!(has_it, "{to} does not have it");
    }
}

/// Whether in this conversation the server took the mail for this recipient.
fn took(dialogue: &Dialogue, mail: &Sealed, to: &str) -> bool {
    let codes = codes(&dialogue.said);
    let is_good = |turn: usize| codes.get(turn + 1).is_some_and(|code| code.first() == Some(&b'2'));
    let id = mail.id.to_string();
    let holds = |heard: &[u8], what: &str| heard.windows(what.len()).any(|window| window == what.as_bytes());
    let mails = dialogue.heard.iter().enumerate().filter(|(_, heard)| is_mail(heard) && holds(heard, &id));
    mails.into_iter().any(|(turn, _)| {
        let named = dialogue.heard[..turn].iter().rposition(|heard| heard == format!("RCPT TO:<{to}>\r\n").as_bytes());
        is_good(turn) && named.is_some_and(is_good)
    })
}

/// The code of each whole reply.
fn codes(said: &[u8]) -> Vec<&[u8]> {
    let last = lines(said).into_iter().filter(|line| line.get(3) != Some(&b'-'));
    last.map(|line| &line[..line.len().min(3)]).collect()
}

fn email(how: How, port: u16) -> Email {
    let login = how.logs_in().map(|auth| Login { user: "dockbell".to_owned(), secret: Secret::text(PASSWORD), auth });
    let mut to = vec!["ops@example.com".to_owned()];
    if how.has_many_recipients() {
        to.extend(["dev@example.com".to_owned(), "jürgen@example.com".to_owned()]);
    }
    let server = SmtpServer { host: "127.0.0.1".to_owned(), port, tls: SmtpTls::None, login, ca: None, ehlo: None };
    let config = EmailConfig { server, from: "dockbell@example.com".to_owned(), to, rate: None };
    let limit = Duration::from_millis(if how.stalls() { 3 } else { 100 });
    let limits = Limits {
        connect: Duration::from_secs(2),
        tls: limit,
        greeting: limit,
        command: limit,
        data: limit,
        block: limit,
        accept: limit,
        quit: limit,
        warm: limit,
    };
    Email::open("ops", &config, "host-1").unwrap().with_limits(limits)
}

fn seal(email: &Email, number: u128) -> Sealed {
    static MESSAGE: LazyLock<Message> = LazyLock::new(|| Message {
        id: ulid::Ulid::from(0),
        route: "default".into(),
        group: String::new(),
        phase: Phase::First,
        sealed_at: jiff::Timestamp::UNIX_EPOCH,
        total: 1,
        notification: Notification {
            subject: "web died".to_owned(),
            alternatives: vec![Alternative { media_type: "text/plain".to_owned(), content: ".\n..\n.x\n".to_owned() }],
            fields: Vec::new(),
        },
    });
    email.seal(&Message { id: ulid::Ulid::from(number), ..MESSAGE.clone() }).unwrap()
}
