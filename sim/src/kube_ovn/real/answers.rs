//! What a server answers: JSON-RPC on its control socket, and on the port for clients.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::backend::Database;

/// So many messages are read past before it is said that no answer comes.
const MOST_MESSAGES: usize = 8;

/// Whether a server answers a command on its control socket, and what.
#[derive(Debug)]
pub(super) enum Said {
    /// It was done, with this text.
    Yes(String),
    /// It was refused, with this text.
    No(String),
}

/// Gives a command to a server by its control socket.
///
/// # Errors
/// If it does not answer within the limit.
pub(super) fn command(control: &Path, words: (&str, &str), limit: Duration) -> io::Result<Said> {
    let mut stream = UnixStream::connect(control)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let reply = ask(&mut stream, words.0, &json!([words.1]))?;
    Ok(match (reply["result"].as_str(), reply["error"].as_str()) {
        (Some(text), _) => Said::Yes(text.to_owned()),
        (None, refusal) => Said::No(refusal.unwrap_or("it gave no reason").trim().to_owned()),
    })
}

/// Whether the server of a database at an address says that it leads; false if it does not answer within the limit.
pub(super) fn leads(address: Ipv4Addr, database: Database, limit: Duration) -> bool {
    let asked = || -> io::Result<Value> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, database.client_port())), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let select =
            json!({"op": "select", "table": "Database", "where": [["name", "==", database.schema()]], "columns": ["leader"]});
        ask(&mut stream, "transact", &json!(["_Server", select]))
    };
    asked().is_ok_and(|reply| reply["result"][0]["rows"][0]["leader"] == true)
}

fn ask(stream: &mut (impl Read + Write), method: &str, params: &Value) -> io::Result<Value> {
    let request = json!({"id": 1, "method": method, "params": params});
    stream.write_all(request.to_string().as_bytes())?;
    for message in serde_json::Deserializer::from_reader(stream).into_iter::<Value>().take(MOST_MESSAGES) {
        let message = message.map_err(io::Error::from)?;
        if message["id"] == 1 && message.get("method").is_none() {
            return Ok(message);
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended without an answer"))
}
