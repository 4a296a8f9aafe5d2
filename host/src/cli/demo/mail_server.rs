//! A mail server that keeps what it is given.

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A mail server on a port of its own, on this machine only.
pub(super) struct MailServer {
    /// Where it listens.
    pub(super) port: u16,
    /// The mails, as they were sent.
    pub(super) arrived: UnboundedReceiver<Vec<u8>>,
}

/// Starts it.
pub(super) async fn listen() -> anyhow::Result<MailServer> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen for mail on 127.0.0.1")?;
    let port = listener.local_addr()?.port();
    let (sender, arrived) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let sender = sender.clone();
            // A connection that breaks is its client's business.
            tokio::spawn(async move { drop(serve(connection, sender).await) });
        }
    });
    Ok(MailServer { port, arrived })
}

/// One connection, in as much of SMTP (RFC 5321) as a client needs that never makes a mistake.
async fn serve(connection: TcpStream, arrived: UnboundedSender<Vec<u8>>) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut connection = BufReader::new(connection);
    connection.write_all(b"220 demo\r\n").await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if connection.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match verb.as_slice() {
            b"DATA" => {
                connection.write_all(b"354 go on\r\n").await?;
                let mail = read_mail(&mut connection).await?;
                // Whoever started the demo may have left.
                let _ = arrived.send(mail);
                b"250 kept\r\n"
            }
            b"QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        connection.write_all(reply).await?;
    }
}

/// The lines up to the final dot, with the dots that the client doubled taken away.
async fn read_mail(connection: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if connection.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.as_slice() {
            b".\r\n" => return Ok(mail),
            [b'.', rest @ ..] => mail.extend_from_slice(rest),
            whole => mail.extend_from_slice(whole),
        }
    }
}
