//! One request over HTTP/1.1, as little of it as monitoring needs: GET and HEAD, one request on each
//! connection.
//!
//! The crate `httparse` reads the head of the request. Owns the limits of size and time; must not
//! know what is answered. A body of a request is not read.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How many headers a request may have. Browsers send some twenty.
const HEADERS: usize = 64;
/// How many octets are read at once.
const PIECE: usize = 1024;

/// The methods that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpMethod {
    /// The whole answer is wanted.
    Get,
    /// The answer is wanted without its body.
    Head,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpRequest {
    pub(super) method: HttpMethod,
    /// The path, without what follows a `?`.
    pub(super) path: String,
}

/// The status codes that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpStatus {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
    ServiceUnavailable,
}

impl HttpStatus {
    /// The status as it stands in the first line.
    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::ServiceUnavailable => "503 Service Unavailable",
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpResponse {
    pub(super) status: HttpStatus,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl HttpResponse {
    /// An answer of one line.
    pub(super) fn plain(status: HttpStatus, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// The answer that consists of its status.
    pub(super) fn of_status(status: HttpStatus) -> Self {
        Self::plain(status, format!("{}\n", status.line()))
    }

    /// The head of the answer. A browser must not keep the answer, must not guess what it is, and
    /// must not load anything because of it.
    fn head(&self) -> String {
        let Self { status, content_type, body } = self;
        let allow = match status {
            HttpStatus::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            HttpStatus::Ok
            | HttpStatus::BadRequest
            | HttpStatus::NotFound
            | HttpStatus::HeadTooLarge
            | HttpStatus::ServiceUnavailable => "",
        };
        let (status, length) = (status.line(), body.len());
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nConnection: close\r\n\r\n"
        )
    }
}

/// Reads the head of a request. `None`: it is not complete yet.
///
/// # Errors
/// The status of the answer, if this is not a request that is answered otherwise.
fn parse(octets: &[u8]) -> Result<Option<HttpRequest>, HttpStatus> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(octets).map_err(|error| {
        if error == httparse::Error::TooManyHeaders {
            HttpStatus::HeadTooLarge
        } else {
            HttpStatus::BadRequest
        }
    })?;
    if parsed.is_partial() {
        return Ok(None);
    }
    let method = match request.method {
        Some("GET") => HttpMethod::Get,
        Some("HEAD") => HttpMethod::Head,
        Some(_) | None => return Err(HttpStatus::MethodNotAllowed),
    };
    let path = request.path.and_then(|target| target.split('?').next()).unwrap_or_default().to_owned();
    Ok(Some(HttpRequest { method, path }))
}

/// Reads the request. `Ok(None)`: the peer sends no more.
///
/// # Errors
/// [`HttpStatus`] of the answer, or the connection broke.
pub(super) async fn read_request(
    stream: &mut TcpStream,
    largest: usize,
) -> io::Result<Option<Result<HttpRequest, HttpStatus>>> {
    let mut octets = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        let read = stream.read(&mut piece).await?;
        let Some(new @ [_, ..]) = piece.get(..read) else { return Ok(None) };
        octets.extend_from_slice(new);
        match parse(&octets) {
            Ok(None) if octets.len() >= largest => return Ok(Some(Err(HttpStatus::HeadTooLarge))),
            Ok(None) => {}
            Ok(Some(request)) => return Ok(Some(Ok(request))),
            Err(status) => return Ok(Some(Err(status))),
        }
    }
}

/// Writes the answer and closes the connection, within `limit`.
pub(super) async fn write_response(
    mut stream: TcpStream,
    method: HttpMethod,
    response: &HttpResponse,
    limit: Duration,
) {
    let write = async {
        stream.write_all(response.head().as_bytes()).await?;
        match method {
            HttpMethod::Get => stream.write_all(response.body.as_bytes()).await?,
            HttpMethod::Head => {}
        }
        stream.shutdown().await?;
        // If the socket were closed while it has unread octets, the kernel would reset the
        // connection, and the peer might lose the answer.
        let mut piece = [0; PIECE];
        while stream.read(&mut piece).await? > 0 {}
        io::Result::Ok(())
    };
    // A peer that does not read, or goes away, harms itself only.
    let _ = timeout(limit, write).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_when_its_head_is_complete() {
        let head = "GET /metrics?x=1 HTTP/1.1\r\nHost: fe0:9650\r\nAccept: */*\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(parse(&head.as_bytes()[..end]), Ok(None), "{:?}", &head[..end]);
        }
        let request = HttpRequest { method: HttpMethod::Get, path: "/metrics".to_owned() };
        assert_eq!(parse(head.as_bytes()), Ok(Some(request)));
        let head = parse(b"HEAD / HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert_eq!(head, HttpRequest { method: HttpMethod::Head, path: "/".to_owned() });
    }

    #[test]
    fn what_is_not_such_a_request_has_its_status() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
        for (octets, status) in [
            ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", HttpStatus::MethodNotAllowed),
            ("\u{16}\u{3}\u{1}", HttpStatus::BadRequest),
            ("GET / HTTP/2.0\r\n\r\n", HttpStatus::BadRequest),
            ("GET /\u{0} HTTP/1.1\r\n\r\n", HttpStatus::BadRequest),
            (&many, HttpStatus::HeadTooLarge),
        ] {
            assert_eq!(parse(octets.as_bytes()), Err(status), "{octets:?}");
        }
    }

    #[test]
    fn the_head_of_an_answer_says_how_long_its_body_is() {
        let head = HttpResponse::of_status(HttpStatus::MethodNotAllowed).head();
        assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{head}");
        assert!(
            head.contains("\r\nAllow: GET, HEAD\r\n") && head.contains("\r\nContent-Length: 23\r\n"),
            "{head}"
        );
        assert!(head.ends_with("\r\nConnection: close\r\n\r\n"), "{head}");
    }
}
