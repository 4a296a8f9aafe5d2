//! An HTTP proxy that leads every host to one server of a test, whatever its name: raw TCP on 127.0.0.1.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct ScriptedProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ScriptedProxy {
    /// A proxy that leads to `server` those who show `login`, the value of the header `Proxy-Authorization`; to others it
    /// answers 407.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(server: SocketAddr, login: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("the address");
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sessions.spawn(session(stream, server, login, Arc::clone(&seen)));
            }
        });
        Self { address, heads, task }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of all requests to the proxy itself.
    ///
    /// # Panics
    /// When a session of the proxy has panicked.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("heads").clone()
    }
}

impl Drop for ScriptedProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What ends it early ends the connection, which the client has to bear.
async fn session(mut client: TcpStream, server: SocketAddr, login: &str, heads: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    heads.lock().expect("heads").push(head.clone());
    if !head.to_lowercase().contains(&format!("proxy-authorization: {login}\r\n").to_lowercase()) {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await.ok();
    }
    let mut server = TcpStream::connect(server).await.ok()?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
        server.write_all(&bytes[end..]).await.ok()?;
    } else {
        server.write_all(&bytes).await.ok()?;
    }
    copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}
