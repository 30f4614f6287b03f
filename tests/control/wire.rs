//! A varlink client that can misbehave.

use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub struct Wire(pub UnixStream);

impl Wire {
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        // A server that does not answer fails the test, instead of hanging it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, message: &Value) {
        self.raw(format!("{message}\0").as_bytes()).unwrap();
    }

    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.send(&json!({ "method": method, "parameters": parameters }));
        self.reply().expect("an answer")
    }

    /// The next reply; `None`: the server closed the connection.
    pub fn reply(&mut self) -> Option<Value> {
        let mut frame = Vec::new();
        let mut byte = [0];
        loop {
            match self.0.read(&mut byte) {
                Ok(0) => {
                    assert!(frame.is_empty(), "half a reply: {}", String::from_utf8_lossy(&frame));
                    return None;
                }
                Ok(_) if byte == [0] => return Some(serde_json::from_slice(&frame).unwrap()),
                Ok(_) => frame.extend(byte),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// Waits for the server to close the connection, whatever it says before.
    pub fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("still open: {error}"),
        }
    }
}

pub fn served(socket: &Path) {
    let reply = Wire::connect(socket).call("org.vrrpd.Control.Status", json!({}));
    assert_eq!(reply["parameters"]["node"], "frontend-0", "{reply}");
}
